"""Orders of the alliance: giving, confirming, carrying out, ending them; appeals; duties that nobody answers for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import Fields, root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import By, Uri, text_of
from banyan_cli.show.tables import Row, ago, columns, count

_order = root.group("order", "Orders of your alliance that content goes, and what platforms answer.")
_appeal = root.group("appeal", "Against orders of your alliance.")
_duties = root.group("duties", "What laws ask of you, and who answers for it.")
OrderHash = Annotated[str, typer.Argument(metavar="ORDER", help="Its 64 digits, as `order list --json` says.")]
Paper = Annotated[str | None, typer.Option(help="SHA-256 of the paper, or of the record of a call, 64 digits.")]
Reason = Annotated[str, typer.Option(help="Anybody can read it.")]


def _answered(row: Row) -> str:
    return ", ".join(f"{n} {word}" for word in ("done", "refused", "waiting", "late") if (n := _words(row).count(word)))


def _words(row: Row) -> list[str]:
    return [one["word"] for one in row["answers"]]


_ORDERS = columns(
    ("order", lambda row: row["order"][:16]),
    ("scope", "scope"),
    ("since", lambda row: "" if row["begins"] is None else ago(row["begins"])),
    ("posts#", lambda row: str(row["posts"])),
    ("standing", "standing"),
    ("answers", _answered),
    ("appeals#", lambda row: str(row["appeals"])),
    ("why", "why"),
)


def _stands(answer: Fields, **_: object) -> str:
    """What an order comes to."""
    return f"Order {answer['order']} is {answer['standing']}{answer['why'] and ': '}{answer['why']}."


_LINES = columns(("nobody is", "role"), ("duty", "duty"), ("law", "law"), ("source", "source"))


@_order.command(name="issue")
def order_issue(
    s: Session,
    posts: Annotated[list[str], typer.Argument(metavar="POST...", help="Which posts go.")],
    scope: Annotated[str, typer.Option(help="Where: a scope of the charter.")],
    basis: Annotated[str, typer.Option(help="The law. Anybody can read it.")] = "",
    category: Annotated[str, typer.Option("--class", help="A class of a duty file.")] = "",
    deadline_h: Annotated[int, typer.Option("--hours", help="Until platforms answer.")] = 24,
    term_d: Annotated[int, typer.Option("--days", help="Until it ends; 0: until somebody ends it.")] = 0,
    given: Annotated[Literal["written", "phone", "paper"], typer.Option(help="How the authority said it.")] = "written",
    paper: Paper = None,
    by: By = None,
) -> None:
    """Give an order. What it names is told to platforms in scope alone."""
    named = [refs.post(s, post) for post in posts]
    asked = {"scope": scope, "basis": basis, "category": category, "deadline_h": deadline_h, "term_d": term_d}
    made = s.call("order.issue", posts=named, given=given, paper=paper, **asked, **{"as": refs.acting(s, by)})
    s.out.done(made, _stands(made))


@_order.act("order.accept")
def order_accept(answer: Fields, order: OrderHash) -> str:
    """Carry out an order that waits for you (node.ask_before_orders), or that you refused."""
    return _stands(answer)


@_order.act("order.confirm")
def order_confirm(answer: Fields, order: OrderHash, paper: Paper = None, by: By = None) -> str:
    """Stand behind an order of another role, whose paper you saw."""
    return _stands(answer)


@_order.act("order.refuse", "Refused.")
def order_refuse(order: OrderHash, why: Reason, by: By = None) -> None:
    """Answer that this platform does not carry out an order."""


@_order.act("order.rule", outcome="ends")
def order_end(answer: Fields, order: OrderHash, why: Reason = "", by: By = None) -> str:
    """End an order for good, as its issuer or a judge."""
    return _stands(answer)


@_order.rows("order.list", _ORDERS, "No orders.", field="orders")
def order_list() -> None:
    """All orders, what each comes to, and what platforms answered."""


@_appeal.act("order.appeal", "Appealed.")
def appeal_make(post: Uri, why: Reason, by: By = None) -> None:
    """Appeal against the order that withholds a post here."""


@_appeal.act("order.rule")
def appeal_decide(
    answer: Fields,
    order: OrderHash,
    outcome: Annotated[Literal["suspends", "confirms", "ends"], typer.Argument(help="What you decide.")],
    post: Annotated[str | None, typer.Option(help="The address of one post of it; all when left out.")] = None,
    why: Reason = "",
    by: By = None,
) -> str:
    """Decide about an order, or about one post of it, as a judge of its scope."""
    return _stands(answer)


@_duties.command(name="check")
def duties_check(
    s: Session,
    person: Annotated[list[str] | None, typer.Option(help="ROLE=NAME. May be repeated.")] = None,
    file: Annotated[list[Path] | None, typer.Option(help="A file of duties; those that ship when left out.")] = None,
) -> None:
    """Which duties nobody answers for."""
    from banyan_duties.duty_file import read_duties, unmanned
    from banyan_node.moderation.strikes import duty_files

    try:
        known = [read_duties(text_of(one), str(one)) for one in file] if file else [*duty_files()]
    except ValueError as why:
        raise BadInput(str(why)) from None
    roles = sorted({role for one in known for _, _, role in one.lines()})
    persons = dict[str, str]()
    for said in person or ():
        role, _, name = said.partition("=")
        if role not in roles or not name.strip():
            raise BadInput(f"'{said}' is not ROLE=NAME; the roles are {', '.join(roles)}.")
        persons[role] = name
    lacking = [
        {"law": one.name, "duty": name, "source": source, "role": role}
        for one in known
        for name, source, role in unmanned(one, persons)
    ]
    s.out.answers(lacking, _LINES, f"Somebody answers for each duty of {count(len(known), 'law')}.")
