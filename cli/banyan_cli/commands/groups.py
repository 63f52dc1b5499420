"""Groups: what a person does in them, and what their owners and moderators do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.posts import By, Undo, Uri, Who
from banyan_cli.declare import root
from banyan_cli.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

_group = root.group("group", "Groups: talk among those who share something.")
Which = Annotated[
    str,
    typer.Argument(
        metavar="GROUP", help="The name of a group of yours, its digits as shown, or its address.", show_default=False
    ),
]
KINDS = ("open", "request", "closed")
KindOf = Annotated[
    str | None,
    typer.Option(
        "--kind",
        help="open: anybody joins; request: who joins waits to be accepted; closed: only who is invited joins.",
    ),
]
About = Annotated[str | None, typer.Option("--description", help="What the group is for.")]
Rules = Annotated[str | None, typer.Option("--rules", help="What its members hold to.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")]
Reader = Annotated[
    str | None,
    typer.Option("--as", help="Who reads; your own account when left out.", autocompletion=completion.accounts),
]
STANDINGS = {
    "owner": "you own it",
    "moderator": "you moderate it",
    "member": "you are in it",
    "asked": "you wait to be accepted",
    "invited": "you are invited: `banyan group join`",
    "banned": "you are banned from it",
    "none": "",
}


# -- reading


@_group.command("ls")
def group_ls(
    s: Session,
    account: Annotated[
        str | None, typer.Argument(help="Whose groups; yours when left out.", autocompletion=completion.accounts)
    ] = None,
    by: Reader = None,
) -> None:
    """The groups that an account owns, is in, or asked to join."""
    page = s.call("groups", account=None if account is None else refs.account(s, account), by=by, limit=1_000)
    refs.note(s.home, groups=page["groups"])
    s.out.answers(page["groups"], _show_groups, "No groups yet: `banyan group create NAME`.")


@_group.command("show")
def group_show(s: Session, which: Which, by: Reader = None) -> None:
    """What a group is for, who rules it, and what is pinned."""
    value = s.call("group.show", group=refs.group(s, which, by), by=by)
    refs.note(s.home, groups=[value])
    refs.note(s.home, posts=value["pinned"])
    s.out.answer(value, _show_group)


@_group.command("feed")
def group_feed(
    s: Session,
    which: Which,
    limit: Limit = 20,
    before: Annotated[str | None, typer.Option(help="Continue where a page ended.")] = None,
    by: Reader = None,
) -> None:
    """What is said in a group, the newest first."""
    page = s.call("group.feed", group=refs.group(s, which, by), limit=limit, before=before, by=by)
    refs.note(s.home, posts=page["posts"])
    s.out.answers(page["posts"], _show_posts, "No posts here yet: `banyan post --group`.")
    if page["before"]:
        same = "" if by is None else f" --as {by}"
        s.out.note(f"More: `banyan group feed '{which}'{same} --limit {limit} --before {page['before']}`")


@_group.command("members")
def group_members(
    s: Session,
    which: Which,
    limit: Limit = 100,
    after: Annotated[str | None, typer.Option(help="Continue where a page ended.")] = None,
    by: Reader = None,
) -> None:
    """Who is in a group."""
    _people(s, "members", which, limit, after, by, "Nobody is in it.")


@_group.command("requests")
def group_requests(
    s: Session,
    which: Which,
    limit: Limit = 100,
    after: Annotated[str | None, typer.Option(help="Continue where a page ended.")] = None,
    by: Reader = None,
) -> None:
    """Who asked to join and waits for an answer."""
    _people(s, "requests", which, limit, after, by, "Nobody waits.")


# -- opening and joining


@_group.command("create")
def group_create(
    s: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    kind: KindOf = None,
    description: About = None,
    rules: Rules = None,
    by: By = None,
) -> None:
    """Open a group. Nothing that is said in it is secret, whatever its kind."""
    answer = s.call("group.create", name=name, kind=_kind(kind), description=description, rules=rules, by=by)
    refs.note(s.home, groups=[answer])
    s.out.done(answer, f"Opened: {answer['name']}  {refs.short(answer['uri'])}\n{answer['uri']}")


@_group.command("set")
def group_set(
    s: Session,
    which: Which,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    kind: KindOf = None,
    description: About = None,
    rules: Rules = None,
    by: By = None,
) -> None:
    """Change what a group of yours says of itself."""
    given = {"name": name, "kind": _kind(kind), "description": description, "rules": rules}
    if all(value is None for value in given.values()):
        raise BadInput("Nothing is to be changed; give --name, --kind, --description or --rules.")
    answer = s.call("group.set", group=refs.group(s, which, by), by=by, **given)
    s.out.done(answer, f"Changed: {answer['name']}.")


@_group.command("delete")
def group_delete(
    s: Session,
    which: Which,
    yes: Annotated[bool, typer.Option("--yes", help="It cannot be taken back; say that you mean it.")] = False,
    by: By = None,
) -> None:
    """End a group of yours for good. What was said in it stays with those who said it."""
    if not yes:
        raise BadInput("A group that is deleted cannot be brought back; say so with --yes.")
    answer = s.call("group.delete", group=refs.group(s, which, by), by=by)
    s.out.done(answer, f"Deleted: {answer['name']}.")


@_group.command("join")
def group_join(s: Session, which: Which, undo: Undo = False, by: By = None) -> None:
    """Join a group, or ask to."""
    if undo:
        group_leave(s, which, by)
        return
    answer = s.call("group.join", group=refs.group(s, which, by), by=by)
    waits = f"Asked to join {answer['name']}: its owner or a moderator has to accept that."
    s.out.done(answer, waits if answer["waits"] else f"Joined {answer['name']}.")


@_group.command("leave")
def group_leave(s: Session, which: Which, by: By = None) -> None:
    """Leave a group, or ask no more to join it. What you said in it is shown there no more, until you join again."""
    answer = s.call("group.join", group=refs.group(s, which, by), undo=True, by=by)
    s.out.done(answer, "Left.")


# -- for owners and moderators


@_group.command("accept")
def group_accept(s: Session, which: Which, account: Who, undo: Undo = False, by: By = None) -> None:
    """Accept somebody who asked to join."""
    _act(s, "accept", which, account, undo, by, "Accepted into {}.")


@_group.command("refuse")
def group_refuse(s: Session, which: Which, account: Who, undo: Undo = False, by: By = None) -> None:
    """Take somebody who asked to join off the list."""
    _act(s, "refuse", which, account, undo, by, "Refused in {}.")


@_group.command("invite")
def group_invite(s: Session, which: Which, account: Who, undo: Undo = False, by: By = None) -> None:
    """Invite somebody: whoever is invited and joins is a member."""
    _act(s, "invite", which, account, undo, by, "Invited to {}.")


@_group.command("ban")
def group_ban(s: Session, which: Which, account: Who, undo: Undo = False, by: By = None) -> None:
    """Ban somebody: nothing of it is shown in the group."""
    _act(s, "ban", which, account, undo, by, "Banned from {}.")


@_group.command("moderator")
def group_moderator(
    s: Session,
    which: Which,
    account: Who,
    undo: Undo = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="With --undo: what the moderator said ends too; else you say the same.")
    ] = False,
    by: By = None,
) -> None:
    """Name a moderator of a group of yours, or dismiss one."""
    if drop and not undo:
        raise BadInput("--drop goes with --undo: it ends what a moderator said who is dismissed.")
    whom, group = refs.account(s, account), refs.group(s, which, by)
    answer = s.call("group.moderator", group=group, account=whom, undo=undo, drop=drop or None, by=by)
    kept = f" You say now what it said: {answer['kept']:,}." if answer["kept"] else ""
    s.out.done(
        answer, f"It moderates {answer['name']} no more.{kept}" if undo else f"It moderates {answer['name']} now."
    )


@_group.command("remove")
def group_remove(s: Session, uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Remove a post from its group. It stays with its author."""
    _act_on_post(s, "remove", uri, undo, by, "Removed from {}.")


@_group.command("pin")
def group_pin(s: Session, uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Pin a post in its group."""
    _act_on_post(s, "pin", uri, undo, by, "Pinned in {}.")


def _act(s: Session, what: str, which: str, account: str, undo: bool, by: str | None, sentence: str) -> None:
    whom, group = refs.account(s, account), refs.group(s, which, by)
    answer = s.call(f"group.{what}", group=group, account=whom, undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else sentence.format(answer["name"]))


def _act_on_post(s: Session, what: str, uri: str, undo: bool, by: str | None, sentence: str) -> None:
    answer = s.call(f"group.{what}", uri=refs.post(s, uri), undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else sentence.format(answer["name"]))


def _people(s: Session, what: str, which: str, limit: int, after: str | None, by: str | None, none: str) -> None:
    page = s.call(f"group.{what}", group=refs.group(s, which, by), limit=limit, after=after, by=by)
    refs.note(s.home, accounts=page["members"])
    s.out.answers(page["members"], _show_members, none)
    if page["after"]:
        same = "" if by is None else f" --as {by}"
        s.out.note(f"More: `banyan group {what} '{which}'{same} --limit {limit} --after {page['after']}`")


def _kind(kind: str | None) -> str | None:
    if kind is not None and kind not in KINDS:
        raise BadInput(f"'{kind}' is no kind of group; there are {', '.join(KINDS)}.")
    return kind


def _members(row: dict[str, Any]) -> str:
    return f"{row['members']:,}" + ("" if row["exact"] else "+")


def _show_groups(console: Console, rows: list[dict[str, Any]]) -> None:
    from banyan_cli.show.text_tables import table
    from banyan_node.terminal_escape import plain

    made = table("group", "kind", "members#", "standing", "name")
    for row in rows:
        made.add_row(refs.short(row["uri"]), row["kind"], _members(row), row["standing"], plain(row["name"]))
    console.print(made)


def _show_group(console: Console, value: dict[str, Any]) -> None:
    from rich.text import Text

    from banyan_cli.show.feed import post
    from banyan_cli.show.phrases import name_of
    from banyan_node.terminal_escape import plain

    console.print(Text.assemble((plain(value["name"]), "bold"), f"  {refs.short(value['uri'])}"))
    console.print(Text(value["uri"], "dim"), soft_wrap=True)
    count = "1 member" if value["members"] == 1 else f"{_members(value)} members"
    standing = STANDINGS[value["standing"]]
    console.print(Text(" · ".join(filter(None, (value["kind"], count, standing))), "dim"))
    rulers = [name_of(one["account"], one["name"]) for one in (value["owner"], *value["moderators"])]
    console.print(Text.assemble(("owner: ", "dim"), rulers[0]))
    if rulers[1:]:
        console.print(Text.assemble(("moderators: ", "dim"), ", ".join(rulers[1:])))
    for word in ("description", "rules"):
        if value[word]:
            console.print(Text.assemble((f"{word}: ", "dim"), plain(value[word], lines=True)))
    for row in value["pinned"]:
        console.print(Text("pinned", "dim italic"))
        console.print(post(row, _now_ms()))


def _show_posts(console: Console, posts: list[Any]) -> None:
    from banyan_cli.show.feed import feed

    feed(_now_ms())(console, posts)


def _show_members(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table

    made = table("name", "standing", "account")
    for row in rows:
        made.add_row(name_of(row["account"], row["name"]), row["standing"], Text(row["account"]))
    console.print(made)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
