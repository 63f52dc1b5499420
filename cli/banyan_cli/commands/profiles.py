"""Who an account says it is: the texts and the pictures of its profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session, put
from banyan_cli.commands import handles
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

_profile = root.group("profile", "Who an account says it is.")
PICTURES = ("avatar", "banner")


@_profile.alone
def profile(s: Session) -> None:
    _answer(s, None)


@_profile.command("show")
def show(
    s: Session,
    account: Annotated[
        str | None,
        typer.Argument(help="An account's id or name; yours when left out.", autocompletion=completion.accounts),
    ] = None,
) -> None:
    """An account's profile, and whom it follows."""
    _answer(s, None if account is None else refs.account(s, account))


@_profile.command("set")
def change(
    s: Session,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE", help="Such as name='Minh Anh' bio='...'.", show_default=False),
    ] = None,
    avatar: Annotated[str | None, typer.Option(metavar="FILE", help="Your picture.")] = None,
    avatar_alt: Annotated[str | None, typer.Option(metavar="TEXT", help="What it shows.")] = None,
    no_avatar: Annotated[bool, typer.Option("--no-avatar", help="Take your picture away.")] = False,
    banner: Annotated[str | None, typer.Option(metavar="FILE", help="The wide picture above your profile.")] = None,
    banner_alt: Annotated[str | None, typer.Option(metavar="TEXT", help="What it shows.")] = None,
    no_banner: Annotated[bool, typer.Option("--no-banner", help="Take it away.")] = False,
    by: Annotated[str | None, typer.Option("--as", help="Which account hosted here; yours when left out.")] = None,
) -> None:
    """Say who you are, in words and pictures."""
    given = dict[str, str]()
    for field in fields or ():
        name, equals, value = field.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"'{field}' is not FIELD=VALUE; write, for example, name='Minh Anh'.")
        if name.strip() in PICTURES:
            raise BadInput(f"'{name.strip()}' is a picture; give its file: --{name.strip()} FILE.")
        given[name.strip()] = value
    files = {"avatar": (avatar, avatar_alt, no_avatar), "banner": (banner, banner_alt, no_banner)}
    for name, (file, told, gone) in files.items():
        if file is not None and gone:
            raise BadInput(f"--{name} and --no-{name} exclude one another; choose one.")
        if told is not None and file is None:
            raise BadInput(f"--{name}-alt describes the file of --{name}; give both.")
    if not given and not any(file is not None or gone for file, _, gone in files.values()):
        raise BadInput("Nothing is to be set; write, for example, name='Minh Anh' or --avatar FILE.")
    pictures = {name: _picture(s, file, told) for name, (file, told, gone) in files.items() if file or gone}
    answer = s.call("profile.set", fields=given or None, pictures=pictures or None, by=by)
    says, away = [*given, *(n for n in pictures if pictures[n])], [n for n in pictures if not pictures[n]]
    said = [f"The profile says {', '.join(says)} now."] if says else []
    s.out.done(answer, " ".join([*said, *(f"It has no {name} now." for name in away)]))


def _picture(s: Session, file: str | None, told: str | None) -> dict[str, str | None] | None:
    """As `profile.set` takes it: put first, so that nothing is set if it is refused."""
    return None if file is None else {"blob": put(s, file)["blob"], "description": told}


def _answer(s: Session, account: str | None) -> None:
    value = s.call("profile.get", account=account)
    refs.note(s.home, accounts=[value])
    refs.note(s.home, posts=value["pinned"])
    s.out.answer(value, _show)


def _show(console: Console, value: dict[str, Any]) -> None:
    from rich.text import Text

    from banyan_cli.show import feed
    from banyan_cli.show.phrases import count, name_of

    console.print(Text(name_of(value["account"], value["name"]), "bold"))
    console.print(Text(value["account"], "dim"), soft_wrap=True)
    if value["moved_to"]:
        to = name_of(value["moved_to"]["account"], value["moved_to"]["name"])
        console.print(
            Text.assemble((f"moved to {to}  ", "bold"), (value["moved_to"]["account"], "dim")), soft_wrap=True
        )
    if value["also_was"]:
        console.print(Text("was " + ", ".join(name_of(a["account"], a["name"]) for a in value["also_was"]), "dim"))
    for one in value["official"]:
        by = name_of(one["platform"]["account"], one["platform"]["name"])
        console.print(Text(f"{plain(one['title'])}, verified by {by}"))
    if value["handle"]:
        console.print(Text(handles.shown(value["handle"])))
    for field, text in value["fields"].items():
        if text and field not in ("name", "handle"):
            console.print(Text.assemble((f"{plain(field)}: ", "dim"), plain(text, lines=True)))
    for name in PICTURES:
        if picture := value["pictures"].get(name):
            console.print(Text.assemble((f"{name}: ", "dim"), feed.media_line(picture)))
    said = [count(value["posts"], "post"), f"follows {value['follows']:,}", count(value["followers"], "follower")]
    console.print(Text(" · ".join(said), "dim"))
    for row in value["pinned"]:
        console.print(Text.assemble(("pinned  ", "dim"), (refs.short(row["uri"]), "dim"), f"  {plain(row['text'])}"))
    names = [name_of(a["account"], a["name"]) for a in value.get("following", [])]
    if names:
        console.print(Text.assemble(("follows ", "dim"), ", ".join(names)))
