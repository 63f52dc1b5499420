"""Parameters that many commands have: how Typer reads each, and how a declared command calls what was typed."""

from __future__ import annotations

from typing import Annotated

import typer

from banyan_cli import completion, refs
from banyan_cli.declare import Read, Ref
from banyan_cli.errors import BadInput

ACCOUNT = Ref(lambda s, text, by: refs.account(s, text))
POST = Ref(lambda s, text, by: refs.post(s, text))

By = Annotated[
    str | None,
    typer.Option(
        "--as", help="Which account hosted here acts; yours when left out.", autocompletion=completion.accounts
    ),
]
Reader = Annotated[
    str | None,
    typer.Option("--as", help="Who reads; your own account when left out.", autocompletion=completion.accounts),
]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]
Who = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help="An account's id or its beginning, or a name.", autocompletion=completion.accounts
    ),
    ACCOUNT,
]
Whose = Annotated[
    str | None,
    typer.Argument(help="An account's id or name; yours when left out.", autocompletion=completion.accounts),
    ACCOUNT,
]
Hosted = Annotated[
    str,
    typer.Argument(metavar="NAME", help="An account hosted here: its name or id.", autocompletion=completion.accounts),
    ACCOUNT,
]
Uri = Annotated[
    str,
    typer.Argument(
        metavar="POST", help="A post: its digits as shown, or its address.", autocompletion=completion.posts
    ),
    POST,
]
_TITLED = "Its title or digits as shown, or its address."
Group = Annotated[
    str,
    typer.Argument(
        metavar="GROUP", help="The name of a group of yours, its digits as shown, or its address.", show_default=False
    ),
    Ref(refs.group),
]
Event = Annotated[str, typer.Argument(metavar="EVENT", help=_TITLED, show_default=False), Ref(refs.event)]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help=_TITLED, show_default=False), Ref(refs.channel)]
Episode = Annotated[str, typer.Argument(metavar="EPISODE", help=_TITLED, show_default=False), Ref(refs.episode)]
Playlist = Annotated[str, typer.Argument(metavar="PLAYLIST", help=_TITLED, show_default=False), Ref(refs.playlist)]


def checked(known: tuple[str, ...], wrong: str) -> Read:
    """One of these. wrong: the sentence about another, `{}`."""

    def value(text: str) -> str:
        if text not in known:
            raise BadInput(wrong.format(text))
        return text

    return Read(value)
