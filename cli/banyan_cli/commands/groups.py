"""Groups: what a person does in them, and what their owners and moderators do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.declare import Fields, Sentence, root, shown, unchanged
from banyan_cli.parameters import ACCOUNT, By, Group, Reader, Undo, Uri, Who, argument, checked, some_account
from banyan_cli.show.tables import Row, aside, columns, headline, labelled, named, styled

if TYPE_CHECKING:
    from rich.console import Console

_group = root.group("group", "Groups: talk among those who share something.")
KINDS = ("open", "request", "closed")
KindOf = Annotated[
    str | None,
    typer.Option(
        help="open: anybody joins; request: who joins waits to be accepted; closed: only who is invited joins."
    ),
    checked(KINDS, f"'{{}}' is no kind of group; there are {', '.join(KINDS)}."),
]
About = Annotated[str | None, typer.Option(help="What the group is for.")]
Rules = Annotated[str | None, typer.Option(help="What its members hold to.")]
STANDINGS = {
    "owner": "you own it",
    "moderator": "you moderate it",
    "member": "you are in it",
    "asked": "you wait to be accepted",
    "invited": "you are invited: `banyan group join`",
    "banned": "you are banned from it",
    "none": "",
}


# -- how it looks


def _members(row: Row) -> str:
    return f"{row['members']:,}" + ("" if row["exact"] else "+")


_GROUPS = columns(
    ("group", lambda row: refs.short(row["uri"])),
    ("kind", "kind"),
    ("members#", _members),
    ("standing", "standing"),
    ("name", "name"),
)
_PEOPLE = columns(("name", named), ("standing", "standing"), ("account", "account"))


def _show_group(console: Console, value: Row) -> None:
    from banyan_cli.show.feed import post

    headline(console, value["name"], value["uri"])
    count = "1 member" if value["members"] == 1 else f"{_members(value)} members"
    aside(console, value["kind"], count, STANDINGS[value["standing"]])
    labelled(console, "owner", named(value["owner"]))
    labelled(console, "moderators", ", ".join(map(named, value["moderators"])))
    for word in ("description", "rules"):
        labelled(console, word, value[word])
    for row in value["pinned"]:
        console.print(styled(("pinned", "dim italic")))
        console.print(post(row))


# -- reading


@_group.rows(
    "groups", _GROUPS, "No groups yet: `banyan group create NAME`.", field="groups", seen="groups", limit=1_000
)
def group_ls(
    account: Annotated[str | None, argument("Whose groups; yours when left out.", some_account), ACCOUNT] = None,
    by: Reader = None,
) -> None:
    """The groups that an account owns, is in, or asked to join."""


@_group.value("group.show", _show_group, seen=lambda value: {"groups": [value], "posts": value["pinned"]})
def group_show(group: Group, by: Reader = None) -> None:
    """What a group is for, who rules it, and what is pinned."""


def _again(what: str) -> Sentence:
    def more(page: Fields) -> str:
        typed = page["typed"]
        same = "" if typed["by"] is None else f" --as {typed['by']}"
        return f"banyan group {what} '{typed['group']}'{same} --limit {typed['limit']}"

    return more


@_group.rows(
    "group.feed",
    shown("feed.feed"),
    "No posts here yet: `banyan post --group`.",
    field="posts",
    seen="posts",
    page=20,
    cursor="before",
    more=_again("feed"),
)
def group_feed(group: Group, by: Reader = None) -> None:
    """What is said in a group, the newest first."""


_MEMBERS: dict[str, Any] = {"field": "members", "seen": "accounts", "page": 100}


@_group.rows("group.members", _PEOPLE, "Nobody is in it.", more=_again("members"), **_MEMBERS)
def group_members(group: Group, by: Reader = None) -> None:
    """Who is in a group."""


@_group.rows("group.requests", _PEOPLE, "Nobody waits.", more=_again("requests"), **_MEMBERS)
def group_requests(group: Group, by: Reader = None) -> None:
    """Who asked to join and waits for an answer."""


# -- opening and joining


@_group.act("group.create", "Opened: {name}  {short}\n{uri}", seen="groups")
def group_create(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    kind: KindOf = None,
    description: About = None,
    rules: Rules = None,
    by: By = None,
) -> None:
    """Open a group. Nothing that is said in it is secret, whatever its kind."""


_CHANGED = "Nothing is to be changed; give --name, --kind, --description or --rules."


@_group.act("group.set", "Changed: {name}.", wrong=unchanged(_CHANGED, "name", "kind", "description", "rules"))
def group_set(
    group: Group,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    kind: KindOf = None,
    description: About = None,
    rules: Rules = None,
    by: By = None,
) -> None:
    """Change what a group of yours says of itself."""


@_group.act(
    "group.delete", "Deleted: {name}.", sure="A group that is deleted cannot be brought back; say so with --yes."
)
def group_delete(group: Group, by: By = None) -> None:
    """End a group of yours for good. What was said in it stays with those who said it."""


@_group.act("group.join", undone="Left.")
def group_join(answer: Fields, group: Group, undo: Undo = False, by: By = None) -> str:
    """Join a group, or ask to."""
    name = answer["name"]
    waits = f"Asked to join {name}: its owner or a moderator has to accept that."
    return waits if answer["waits"] else f"Joined {name}."


@_group.act("group.join", "Left.", undo=True)
def group_leave(group: Group, by: By = None) -> None:
    """Leave a group, or ask no more to join it. What you said in it is shown there no more, until you join again."""


# -- for owners and moderators


@_group.act("group.accept", "Accepted into {name}.")
def group_accept(group: Group, account: Who, undo: Undo = False, by: By = None) -> None:
    """Accept somebody who asked to join."""


@_group.act("group.refuse", "Refused in {name}.")
def group_refuse(group: Group, account: Who, undo: Undo = False, by: By = None) -> None:
    """Take somebody who asked to join off the list."""


@_group.act("group.invite", "Invited to {name}.")
def group_invite(group: Group, account: Who, undo: Undo = False, by: By = None) -> None:
    """Invite somebody: whoever is invited and joins is a member."""


@_group.act("group.ban", "Banned from {name}.")
def group_ban(group: Group, account: Who, undo: Undo = False, by: By = None) -> None:
    """Ban somebody: nothing of it is shown in the group."""


def _dismissed(answer: Fields) -> str:
    kept = f" You say now what it said: {answer['kept']:,}." if answer["kept"] else ""
    return f"It moderates {answer['name']} no more.{kept}"


def _dropped_alone(typed: Fields) -> str:
    alone = typed["drop"] and not typed["undo"]
    return "--drop goes with --undo: it ends what a moderator said who is dismissed." if alone else ""


@_group.act("group.moderator", "It moderates {name} now.", undone=_dismissed, wrong=_dropped_alone)
def group_moderator(
    group: Group,
    account: Who,
    undo: Undo = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="With --undo: what the moderator said ends too; else you say the same.")
    ] = False,
    by: By = None,
) -> None:
    """Name a moderator of a group of yours, or dismiss one."""


@_group.act("group.remove", "Removed from {name}.")
def group_remove(uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Remove a post from its group. It stays with its author."""


@_group.act("group.pin", "Pinned in {name}.")
def group_pin(uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Pin a post in its group."""
