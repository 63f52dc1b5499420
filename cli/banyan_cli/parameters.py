"""Parameters that many commands have: how Typer reads each, how a declared command calls what was typed, and what the
shell offers to complete it: accounts and posts shown lately, writers, peers, settings.

Completing never writes, never asks for a passphrase and never fails. If nothing is known, nothing is offered. Without a
running node only what was shown is offered, because opening the store would take its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.declare import Parser, Resolver
from banyan_cli.errors import BadInput
from banyan_node.home.folder import Home, find_home
from banyan_node.terminal_escape import plain

Offered = list[tuple[str, str]]
MOST = 50


def _offers(known: Callable[[Home], Iterable[tuple[str, str]]]) -> Callable[[typer.Context, str], Offered]:
    """known: (what is offered, what it is called), of a home."""

    def complete(ctx: typer.Context, incomplete: str) -> Offered:
        try:
            given: str | None = ctx.find_root().params.get("home")
            rows = [row for row in known(find_home(given)) if row[0].lower().startswith(incomplete.lower())]
        except Exception:
            return []  # the shell is waiting for the next key and must not show an error
        return [(plain(offer), plain(what)) for offer, what in rows[:MOST]]

    return complete


def _accounts(home: Home) -> Iterable[tuple[str, str]]:
    shown = refs.shown_accounts(home)
    return [(name, account) for account, name in shown.items()] + list(shown.items())


def _posts(home: Home) -> Iterable[tuple[str, str]]:
    return [(digits, "") for digits in refs.shown_posts(home)]


def _writers(home: Home) -> Iterable[tuple[str, str]]:
    return [(grant["writer"], "") for grant in _ask(home, "account.show")["grants"]]


def _peers(home: Home) -> Iterable[tuple[str, str]]:
    return [(row["peer"], row["address"]) for row in _ask(home, "peers")]


def _settings(home: Home) -> Iterable[tuple[str, str]]:
    from banyan_node.home.settings import OPTIONS

    return [(option.name, option.why) for option in OPTIONS.values()]


def _ask(home: Home, method: str) -> Any:
    from banyan_node.server.control_client import ControlClient

    with ControlClient.from_home(home, 1.0) as node:
        return node.call(method)


some_account, some_post, some_writer, some_peer, some_setting = map(
    _offers, (_accounts, _posts, _writers, _peers, _settings)
)


def argument(about: str, offered: Callable[[typer.Context, str], Offered], metavar: str | None = None) -> Any:
    """An argument for which the shell offers something."""
    return typer.Argument(metavar=metavar, help=about, autocompletion=offered)


ACCOUNT = Resolver(lambda s, text, by: refs.account(s, text))
POST = Resolver(lambda s, text, by: refs.post(s, text))

By = Annotated[
    str | None,
    typer.Option("--as", help="Which account hosted here acts; yours when left out.", autocompletion=some_account),
]
Reader = Annotated[
    str | None, typer.Option("--as", help="Who reads; your own account when left out.", autocompletion=some_account)
]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]
Who = Annotated[str, argument("An account's id or its beginning, or a name.", some_account, "ACCOUNT"), ACCOUNT]
Whose = Annotated[str | None, argument("An account's id or name; yours when left out.", some_account), ACCOUNT]
Hosted = Annotated[str, argument("An account hosted here: its name or id.", some_account, "NAME"), ACCOUNT]
Uri = Annotated[str, argument("A post: its digits as shown, or its address.", some_post, "POST"), POST]
_TITLED = "Its title or digits as shown, or its address."
Group = Annotated[
    str,
    typer.Argument(
        metavar="GROUP", help="The name of a group of yours, its digits as shown, or its address.", show_default=False
    ),
    Resolver(refs.group),
]
Event = Annotated[str, typer.Argument(metavar="EVENT", help=_TITLED, show_default=False), Resolver(refs.event)]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help=_TITLED, show_default=False), Resolver(refs.channel)]
Episode = Annotated[str, typer.Argument(metavar="EPISODE", help=_TITLED, show_default=False), Resolver(refs.episode)]
Playlist = Annotated[str, typer.Argument(metavar="PLAYLIST", help=_TITLED, show_default=False), Resolver(refs.playlist)]


def checked(known: tuple[str, ...], wrong: str) -> Parser:
    """One of these. wrong: the sentence about another, `{}`."""

    def value(text: str) -> str:
        if text not in known:
            raise BadInput(wrong.format(text))
        return text

    return Parser(value)


def text_of(file: Path, most: int | None = None) -> str:
    """What a file of text has, without a mark of its encoding. most: bytes. Raises BadInput."""
    try:
        if most is not None and file.stat().st_size > most:
            raise BadInput(f"{file} has more than {most:,} bytes: split it.")
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError:
        raise BadInput(f"{file} is no text in UTF-8; save it so.") from None
