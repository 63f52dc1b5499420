"""Which charter this node follows, and what stands there: epochs, members, what is open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from banyan_cli import seat_work as work
from banyan_cli.errors import BadInput
from banyan_cli.parameters import text_of
from banyan_cli.seat_work import SeatWork
from banyan_cli.show.tables import Row, columns, count

if TYPE_CHECKING:
    from rich.console import Console

MOST_ACCOUNTS, MOST_BYTES = 20_000, 4_000_000
"""Of one call, and of a file of them."""
_MEMBERS = columns(
    ("member", "domain"),
    ("kind", "kind"),
    ("", work.vote_words),
    ("missed#", "missed"),
    ("account", lambda row: row["account"]),
    ("", lambda row: {True: "confirmed", False: "not confirmed by its account", None: ""}[row["confirmed"]]),
)


@work.command("seat take")
def status(w: SeatWork) -> None:
    """The epoch that stands, what is open and who signed it, and what to run next."""
    from banyan_node.alliance.seat_file import read_seat
    from banyan_node.api.alliance_rows import next_steps, status_of

    ledger = w.ledger()
    mine = read_seat(w.seat_path) if w.seat_path.exists() else None
    came = [f"`banyan alliance propose`: {one.seat.domain.decode()} answered." for one in w.cards(ledger)]
    w.s.out.answer({**work.plain(status_of(ledger)), "next": [*came, *next_steps(ledger, mine)]}, _show_status)


@work.command("take")
def members(w: SeatWork) -> None:
    """The members of the last epoch; with a node, whose account confirms that its seat is its own."""
    from banyan_node.api.alliance_rows import member_rows

    rows = map(work.plain, member_rows(w.ledger())) if w.take else w.s.call("alliance.members")["members"]
    w.s.out.answers([*rows], _MEMBERS, "Nobody.")


@work.command("take")
def history(w: SeatWork) -> None:
    """All epochs, what each changed, and who signed it."""
    from banyan_node.api.alliance_rows import history_of

    rows = [work.plain(row) for row in history_of(w.ledger())]
    w.s.out.answers(rows, _show_history, "Only epoch 0: nothing was changed since the founding.")


@work.command("take")
def verify(w: SeatWork) -> None:
    """All acts again from their bytes: each signature, each rule. It says the digest, which others can compare."""
    from banyan_node.api.alliance_rows import status_of

    value = work.plain(status_of(w.ledger()))
    short = {name: value[name] for name in ("charter", "name", "epoch", "acts", "digest")}
    w.s.out.done(short, f"{work.stand(value)[0]} {count(value['acts'], 'act')} verified, digest {value['digest']}.")


@work.command("yes")
def follow(w: SeatWork, file: Annotated[Path, typer.Argument(help="A file of acts.")]) -> None:
    """Have this node follow the charter of a file, and keep the file's acts; of a charter that it follows: bring acts.

    If it follows another one, this shows who is in both, and asks.
    """
    from banyan_node.alliance.papers import ledger_of

    w.follow(ledger_of([file]))
    value = w.s.call("alliance.status")
    w.s.out.done(value, f"This node follows it. {work.stand(value)[0]}")


@work.command("")
def leave(w: SeatWork) -> None:
    """Have this node follow no charter any more. Its acts are kept, and the seat is as before: `expel` ends that."""
    w.s.out.done(w.s.call("alliance.leave"), "This node follows no charter.")


@work.command("")
def acts(w: SeatWork, out: Annotated[Path, typer.Option("--out", help="The file to write.")]) -> None:
    """Write all acts that this node has into a file, for a seat on another machine or for somebody who verifies."""
    from banyan_node.alliance.papers import acts_text
    from banyan_node.api.alliance_rows import status_of

    ledger = w.ledger()
    work.write_file(out, acts_text(ledger, work.every_act(ledger)))
    value = work.plain(status_of(ledger))
    w.s.out.done({**value, "file": str(out)}, f"{work.stand(value)[0]} {count(len(ledger), 'act')} are in {out}.")


@work.command("")
def quota(
    w: SeatWork,
    member: Annotated[str, typer.Argument(help="Its domain or DID.")],
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="Accounts to name for each reason.")] = 10,
) -> None:
    """How many accounts a member lists, how many are kept for it here, and why the others are not."""
    w.s.out.answer(w.s.call("alliance.quota", member=member, limit=limit), _show_quota)


@work.command("")
def hosted(
    w: SeatWork,
    accounts: Annotated[list[str] | None, typer.Argument(help="Names of accounts hosted here, or DIDs.")] = None,
    take: Annotated[Path | None, typer.Option("--in", help="A file of them, one a line.")] = None,
    standing: Annotated[str, typer.Option("--as", help="hosted, attested, vouched or none.")] = "none",
) -> None:
    """Set what your platform says of accounts: with none they are on its list no longer, and their places are free."""
    lines = [] if take is None else text_of(take, MOST_BYTES).splitlines()
    named = [*(accounts or ()), *(one.strip() for one in lines if one.strip())]
    if not named:
        raise BadInput("Name accounts, or a file of them with --in.")
    if len(named) > MOST_ACCOUNTS:
        raise BadInput(f"These are {len(named):,} accounts; one call takes {MOST_ACCOUNTS:,}: split the file.")
    value = w.s.call("alliance.hosted", accounts=named, standing=standing)
    w.s.out.done(
        value,
        f"{count(value['accounts'], 'account')}: {standing}; {count(value['batches'], 'batch', 'batches')} written.",
    )


def _show_quota(console: Console, value: Row) -> None:
    placed = f"{value['hosted']:,} hosted, {value['attested']:,} attested, {value['vouched']:,} vouched for"
    lines = [f"{value['domain']}: {placed}; a quota of {value['quota']:,}. {count(value['kept'], 'account')} kept."]
    lines += [f"{value['twice']:,} places name an account again."] if value["twice"] else []
    for row in value["refused"]:
        lines += [f"Not kept: {count(row['number'], 'account')}, because {row['why']}."]
        lines += [f"  {account}" for account in row["accounts"]]
    work.show_lines(console, lines)


def _show_status(console: Console, value: Row) -> None:
    lines = [
        work.stand(value)[0],
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
