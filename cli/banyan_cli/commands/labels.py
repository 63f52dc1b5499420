"""Labels: what accounts say of posts and accounts, whose labels this node follows, and whose a reader wants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from banyan_cli import refs
from banyan_cli.declare import Fields, Resolver, root
from banyan_cli.parameters import ACCOUNT, By, Undo, Who, argument, some_account, some_post
from banyan_cli.show.tables import Row, ago, columns, short_account

if TYPE_CHECKING:
    from banyan_cli.command_session import Session

_label = root.group("label", "What you say of posts and accounts, for those who follow your labels; appeals.")
_labeller = root.group("labeller", "Whose labels this node follows, and whose you want.")


def _about(s: Session, text: str, by: str | None) -> str:
    is_post = "/" in text or re.fullmatch(r"[0-9a-f]{6,32}…?", text)
    return refs.post(s, text) if is_post else refs.account(s, text)


About = Annotated[
    str, argument("A post, or an account: the account itself.", some_post, "POST|ACCOUNT"), Resolver(_about)
]
Name = Annotated[str, typer.Argument(metavar="LABEL", help="What it is called, such as spam.", show_default=False)]
Reason = Annotated[str, typer.Option(help="For whoever is labelled, and for readers.")]
Days = Annotated[int, typer.Option(min=0, help="For how long; 0: until taken back.")]
Issuer = Annotated[
    str | None,
    typer.Option("--account", help="Of this account; yours when left out.", autocompletion=some_account),
    ACCOUNT,
]


def _what(row: Row) -> str:
    return refs.short(row["post"]) if row["post"] else short_account(row["account"])


def _by(row: Row) -> str:
    return row["issuer"]["name"] or refs.short(row["issuer"]["account"])


_LABELS = columns(
    ("label", "name"),
    ("does", "severity"),
    ("about", _what),
    ("by", _by),
    ("when", lambda row: ago(row["at"])),
    ("ends", lambda row: "" if row["until"] is None else ago(row["until"])),
    ("reason", "reason"),
)
_NAMES = columns(("label", "name"), ("severity", "severity"), ("title", "title"), ("meaning", "text"))
_APPEALS = columns(
    ("label", "name"),
    ("about", lambda row: refs.short(row["post"]) if row["post"] else "the account"),
    ("by", lambda row: row["who"]["name"] or refs.short(row["who"]["account"])),
    ("when", lambda row: ago(row["at"])),
    ("says", "text"),
)
_LABELLERS = columns(
    ("name", "name"), ("does", "does"), ("standing#", "standing"), ("waiting#", "waits"), ("account", "account")
)
_CHOSEN = columns(("name", "name"), ("wish", "wish"), ("account", "account"))


@_label.act("label.put", "Labelled.", undone="No longer labelled.")
def label_put(about: About, name: Name, reason: Reason = "", days: Days = 0, undo: Undo = False, by: By = None) -> None:
    """Label a post or an account. Its author is told; who follows your labels sees it."""


@_label.act("label.define", "{typed[name]}: {typed[severity]}.", undone="No longer defined: it warns.")
def label_define(
    name: Name,
    severity: Annotated[
        Literal["note", "warn", "hide"], typer.Option(help="What is meant to happen: nothing; a warning; not shown.")
    ] = "warn",
    title: Annotated[str, typer.Option(help="What readers see.")] = "",
    text: Annotated[str, typer.Option(help="What is meant.")] = "",
    undo: Undo = False,
    by: By = None,
) -> None:
    """Say what a label of yours means, and how severe it is."""


@_label.rows("label.list", _LABELS, "No labels.", field="labels")
def label_ls(
    account: Issuer = None,
    about: Annotated[
        str | None, typer.Option(help="Only of this post or account, by anybody."), Resolver(_about)
    ] = None,
    by: By = None,
) -> None:
    """Labels that an account gave; with --about, what is said of one thing."""


@_label.rows("label.names", _NAMES, "No label is defined: each warns.", field="names")
def label_names(account: Issuer = None, by: By = None) -> None:
    """What an account means by its labels."""


@_label.act("label.appeal", "Appealed to {typed[issuer]}.", undone="The appeal was taken back.")
def label_appeal(
    issuer: Who,
    about: About,
    name: Name,
    text: Annotated[str, typer.Option(help="Why the label is wrong. Anybody can read it.")] = "",
    undo: Undo = False,
    by: By = None,
) -> None:
    """Tell whoever labelled you, or your post, that it is wrong."""


@_label.rows("label.appeals", _APPEALS, "Nobody appeals.", field="appeals")
def label_appeals(by: By = None) -> None:
    """Who appeals against your labels. `label put ... --undo` takes a label back."""


@_labeller.act("labeller.set", undone="This node no longer follows these labels; what they did is being taken back.")
def labeller_set(
    answer: Fields,
    account: Who,
    does: Annotated[
        Literal["note", "warn", "hide", "withhold", "allow"],
        typer.Option(
            help="At most. note: nothing; warn: words before posts; hide: posts are not shown, accounts are limited; "
            "withhold: content is given to nobody; allow: no other labeller touches what it labels `allow`."
        ),
    ] = "warn",
    undo: Undo = False,
) -> str:
    """Let this node follow the labels of an account, as the operator of this node."""
    return f"This node follows the labels of {answer['account']} (at most: {answer['does']}). `banyan labeller ls`"


@_labeller.act("labeller.accept", "{waits} changes wait now; the others are being carried out.")
def labeller_accept(account: Who) -> None:
    """Let many changes at once of a labeller come true."""


@_labeller.rows("labeller.list", _LABELLERS, "This node follows nobody's labels.", field="labellers")
def labeller_ls() -> None:
    """Whose labels this node follows, and how many changes wait for `labeller accept`."""


@_labeller.act("labeller.choose", "Noted. Only you can see that.")
def labeller_choose(
    account: Who,
    wish: Annotated[
        Literal["refuse", "warn", "hide"] | None,
        typer.Option(help="refuse: none of its words; warn: its words; hide: not what it hides. Left out: as here."),
    ] = None,
    by: By = None,
) -> None:
    """What you want of somebody's labels, whatever this node follows."""


@_labeller.rows("labeller.chosen", _CHOSEN, "You chose none.", field="labellers")
def labeller_chosen(by: By = None) -> None:
    """Whose labels you chose."""
