"""Which charter this node follows, and what stands there: epochs, members, what is open."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from banyan_cli import seat_work as work
from banyan_cli.command_session import Session
from banyan_cli.show.tables import Row, columns, count
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from rich.console import Console

_MEMBERS = columns(
    ("member", "domain"),
    ("kind", "kind"),
    ("", work.vote_words),
    ("missed#", "missed"),
    ("account", lambda row: row["account"]),
)


@work.COMMANDS.command()
def status(s: Session, seat: work.SeatPath = None, take: work.In = None) -> None:
    """The epoch that stands, what is open and who signed it, and what to run next."""
    from banyan_node.alliance.seat_file import read_seat
    from banyan_node.api.alliance_rows import next_steps, status_of

    ledger, path = work.read_ledger(s, take), work.seat_path(s, seat)
    mine = read_seat(path) if path.exists() else None
    value = {**work.plain(status_of(ledger)), "next": next_steps(ledger, mine)}
    s.out.answer(value, _show_status)


@work.COMMANDS.command()
def members(s: Session, take: work.In = None) -> None:
    """The members of the last epoch."""
    from banyan_node.api.alliance_rows import member_rows

    s.out.answers([work.plain(row) for row in member_rows(work.read_ledger(s, take))], _MEMBERS, "Nobody.")


@work.COMMANDS.command()
def history(s: Session, take: work.In = None) -> None:
    """All epochs, what each changed, and who signed it."""
    from banyan_node.api.alliance_rows import history_of

    rows = [work.plain(row) for row in history_of(work.read_ledger(s, take))]
    s.out.answers(rows, _show_history, "Only epoch 0: nothing was changed since the founding.")


@work.COMMANDS.command()
def verify(s: Session, take: work.In = None) -> None:
    """All acts again from their bytes: each signature, each rule. It says the digest, which others can compare."""
    from banyan_node.api.alliance_rows import status_of

    value = work.plain(status_of(work.read_ledger(s, take)))
    short = {name: value[name] for name in ("charter", "name", "epoch", "acts", "digest")}
    s.out.done(
        short, f"{work.stands_sentence(value)} {count(value['acts'], 'act')} verified, digest {value['digest']}."
    )


@work.COMMANDS.command()
def follow(
    s: Session,
    file: Annotated[Path, typer.Argument(help="A file of acts.")],
    yes: Annotated[bool, typer.Option("--yes", help="Follow it in place of another one, without being asked.")] = False,
) -> None:
    """Have this node follow the charter of a file, and keep the file's acts; of a charter that it follows: bring acts.

    If it follows another one, this shows who is in both, and asks.
    """
    from banyan_charter.acts import encode_act
    from banyan_node.alliance.papers import ledger_of
    from banyan_node.api.alliance_rows import member_rows, status_of

    ledger = ledger_of([file])
    new = {row.account: row.domain for row in member_rows(ledger)}
    if (before := _followed(s)) is not None and before["charter"] != ledger.charter.hex():
        old = {row["account"]: row["domain"] for row in s.call("alliance.members")["members"]}
        both, left, came = old.keys() & new.keys(), old.keys() - new.keys(), new.keys() - old.keys()
        said = (("both", new, both), (f"{before['name']} alone", old, left), ("the new one alone", new, came))
        lines = [f"In {what}: {', '.join(sorted(of[one] for one in who)) or 'nobody'}." for what, of, who in said]
        work.ask(s, f"Follow {ledger.founding.name.decode()} in place of {before['name']}", lines, yes)
    s.call("alliance.follow", founding=b64encode(encode_act(ledger.founding)).decode())
    work.offer(s, work.every_act(ledger))
    value = work.plain(status_of(work.read_ledger(s, None)))
    s.out.done(value, f"This node follows it. {work.stands_sentence(value)}")


def _followed(s: Session) -> Row | None:
    """What `alliance.status` answers; None: no charter is followed."""
    try:
        found: Row = s.call("alliance.status")
        return found
    except CallError as error:
        if error.code != "not_found":
            raise
        return None


@work.COMMANDS.command()
def leave(s: Session) -> None:
    """Have this node follow no charter any more. Its acts are kept, and the seat is as before: `expel` ends that."""
    s.out.done(s.call("alliance.leave"), "This node follows no charter.")


@work.COMMANDS.command()
def acts(s: Session, out: Annotated[Path, typer.Option("--out", help="The file to write.")]) -> None:
    """Write all acts that this node has into a file, for a seat on another machine or for somebody who verifies."""
    from banyan_node.alliance.papers import acts_text
    from banyan_node.api.alliance_rows import status_of

    ledger = work.read_ledger(s, None)
    work.write_file(out, acts_text(ledger, work.every_act(ledger)))
    value = work.plain(status_of(ledger))
    s.out.done({**value, "file": str(out)}, f"{work.stands_sentence(value)} {count(len(ledger), 'act')} are in {out}.")


def _show_status(console: Console, value: Row) -> None:
    lines = [
        work.stands_sentence(value),
        f"Charter {value['charter']}, {count(value['acts'], 'act')}, digest {value['digest']}.",
    ]
    if value["epoch"] is not None:
        lines.append(
            f"{count(value['votes'], 'vote')}, of which {value['needed']} are needed for epoch {value['number']}."
        )
    for row in value["contents"]:
        lines += ["", work.open_sentence(row), *(f"  {sentence}" for sentence in row["changes"])]
        lines += [f"  ballot {row['ballot']}: votes of {', '.join(row['voted'])}"] if row["voted"] else []
        lines += [f"  commits of {', '.join(row['committed'])}"] if row["committed"] else []
    if value["struck"]:
        lines += ["", f"Signed two histories, which is proved: {', '.join(value['struck'])}."]
    work.show_lines(console, [*lines, *([""] if value["next"] else []), *value["next"]])


def _show_history(console: Console, rows: list[Row]) -> None:
    for row in rows:
        head = f"Epoch {row['number']}, by {row['author']}: {count(row['members'], 'member')}"
        work.show_lines(
            console, [head, *(f"  {one}" for one in row["changes"]), f"  signed by {', '.join(row['signed'])}"]
        )
