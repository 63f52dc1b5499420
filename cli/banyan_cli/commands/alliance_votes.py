"""Votes of an alliance: who is invited, what is proposed, votes and commits; roll calls and other keys."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import seat_work as work
from banyan_cli.errors import BadInput
from banyan_cli.seat_work import Address, SeatWork
from banyan_cli.show.tables import count

if TYPE_CHECKING:
    from banyan_charter.acts import Act, Proposal
    from banyan_charter.ledger import ActLedger
    from banyan_node.alliance.seat_file import SeatFile


@work.command("seat take out yes wait")
def invite(
    w: SeatWork,
    number: Annotated[int, typer.Option("--count", min=1, max=64, help="How many invitations.")] = 1,
    address: Address = "",
) -> None:
    """Invite a platform into the alliance that stands: it runs `banyan alliance join`, and votes admit it.

    With --wait it stays until the card is here, proposes to admit it, and until that stands.
    """
    from banyan_node.alliance.invitations import Invited, invited

    ledger = w.ledger()
    name, nobody = ledger.founding.name.decode(), ledger.founding.parameters
    with invited(
        w.folder, new := Invited(w.folder / "invited", ledger.realm, name, ledger.charter, nobody, None)
    ) as table:
        if table is None or table.charter != ledger.charter:
            table = new  # the other one's founding is over
        made = table.give(number, w.address(address), len(ledger.epochs))
    texts = [one.text for one in made]
    w.give(
        {"invitations": texts},
        texts,
        "Each is secret, and good once{}. Once its card is here: `banyan alliance propose`, or `propose FILE`.",
    )
    while w.wait and w.linked and not (cards := w.cards(ledger, made)):
        w.progress(f"{count(number, 'invitation')}: no card is here yet.")
        time.sleep(work.LOOK_S)
    if w.wait and w.linked:
        with w.at_work() as (mine, ledger):
            _propose(w, mine, ledger, [*cards])


@work.command("seat take out yes wait")
def propose(
    w: SeatWork,
    files: Annotated[list[Path] | None, typer.Argument(help="Cards, renewals, answers.", metavar="FILE")] = None,
    expel: Annotated[list[str] | None, typer.Option(help="A member that is to leave: its domain.")] = None,
    sleep: Annotated[list[str] | None, typer.Option(help="One that missed two roll calls.")] = None,
    rolls: Annotated[bool, typer.Option("--roll-call", help="Call the roll.")] = False,
    change: Annotated[
        list[str] | None, typer.Option(help="MEMBER=VALUE: its new domain or kind, or `vote` or `no-vote`.")
    ] = None,
    parameters: Annotated[Path | None, typer.Option(help="A TOML file of all parameters.")] = None,
    note: Annotated[list[str] | None, typer.Option(help="A reason, for all to read.")] = None,
) -> None:
    """Propose what the next epoch is to be, all of it in one content, and vote for it.

    Where nothing but notes is named: to admit those who answered your invitations.
    """
    from banyan_charter.acts import Expel, Remark, Roll, SetParameters, Sleep
    from banyan_node.alliance.parameters_file import parameters_from
    from banyan_node.api.alliance_rows import member_of

    with w.at_work() as (mine, ledger):
        found = [_proposal(w, ledger, path) for path in files or ()]
        found += [Expel(member_of(ledger, one).member) for one in expel or ()]
        found += [Sleep(member_of(ledger, one).member) for one in sleep or ()]
        found += _changes(ledger, change or ())
        found += [SetParameters(parameters_from(parameters))] if parameters else []
        found += [Roll()] if rolls else []
        found += w.cards(ledger) if not found else ()
        found += [Remark(one.encode()) for one in note or ()]
        if not found:
            raise BadInput("Say what is proposed, such as a card or --expel MEMBER; --help lists all.")
        _propose(w, mine, ledger, found)


def _proposal(w: SeatWork, ledger: ActLedger, path: Path) -> Proposal:
    """What a file asks for. A card is taken once for its invitation, where that was given out in this home."""
    from banyan_node.alliance.invitations import invited
    from banyan_node.alliance.papers import Card, kind_of, proposal_from, read_file

    if kind_of(path) != "card":
        return proposal_from(ledger.charter, path)
    card = Card.of(read_file("card", path))
    with invited(w.folder) as table:
        if table is not None and table.charter == ledger.charter:
            table.take(card)
    return card.admission


def _changes(ledger: ActLedger, texts: Iterable[str]) -> list[Proposal]:
    """One change a member, of all that is said of it."""
    from banyan_charter.acts import Change
    from banyan_charter.values import Kind, domain_of
    from banyan_node.api.alliance_rows import KINDS, member_of

    found = dict[bytes, Change]()
    for text in texts:
        name, _, value = text.partition("=")
        was = member_of(ledger, name)
        if value in ("vote", "no-vote"):
            new: dict[str, Any] = {"voting": value == "vote"}
        else:
            new = (
                {"kind": Kind(KINDS.index(value))} if value in KINDS else {"domain": domain_of(value.lower().encode())}
            )
        now = found.get(was.member, Change(was.member, was.domain, was.kind, was.voting))
        found[was.member] = now._replace(**new)
        if found[was.member] == now:
            raise BadInput(f"'--change {text}' changes nothing: {name} is that already.")
    return list(found.values())


@work.command("seat take out yes wait", "roll-call")
def roll_call(w: SeatWork) -> None:
    """Propose a roll call, and vote for it. Members answer with `banyan alliance answer`."""
    from banyan_charter.acts import Roll

    with w.at_work() as (mine, ledger):
        _propose(w, mine, ledger, [Roll()])


def _open_number(ledger: ActLedger) -> int:
    """The epoch that is decided next. Raises BadInput."""
    if not ledger.epochs:
        raise BadInput("The founding is not signed by all yet; `banyan alliance status` says by whom.")
    return len(ledger.epochs)


def _propose(w: SeatWork, mine: SeatFile, ledger: ActLedger, found: list[Proposal]) -> None:
    from banyan_charter.acts import Change, Expel, RollAnswer
    from banyan_charter.ballots import has_no
    from banyan_crdt.errors import Reject
    from banyan_node.api.alliance_rows import changes

    me, number = mine.seat.member, _open_number(ledger)
    here = ledger.epochs[-1].seats.get(me)
    if (lacks := has_no(here)) or here is None:
        raise BadInput(f"{mine.seat.domain.decode()} has {lacks} in epoch {number - 1}: let another member propose it.")
    gone = [p.member for p in found if isinstance(p, Expel | Change)]
    if twice := [one for one in gone if gone.count(one) > 1]:
        raise BadInput(f"{ledger.epochs[-1].seats[twice[0]].domain.decode()} is expelled and changed; say one of them.")
    if here.missed and not any(isinstance(p, RollAnswer) and p.member == me for p in found):
        found = [RollAnswer(me, mine.signer.present(number)), *found]
    try:
        content, after = mine.signer.content(ledger.epochs[-1], found)
    except Reject as why:
        said = str(why)
        for seat in ledger.epochs[-1].seats.values():
            said = said.replace(seat.member.hex()[:16], seat.domain.decode())
        raise BadInput(f"{said}.") from None
    w.ask(f"Your proposal for epoch {number}", changes(ledger.epochs[-1], after, content))
    ledger.add(content)
    ledger.settle()
    _sign(w, mine, ledger, content.id.hex(), [content])


@work.command("seat take out yes wait")
def vote(
    w: SeatWork,
    content: Annotated[str | None, typer.Argument(help="The content, or how it begins; the open one.")] = None,
) -> None:
    """Sign what is open: a vote, and once more than 2/3 voted, a commit. First it shows what that changes."""
    with w.at_work() as (mine, ledger):
        _sign(w, mine, ledger, content, [])


def _sign(w: SeatWork, mine: SeatFile, ledger: ActLedger, wanted: str | None, first: list[Act]) -> None:
    """At most one vote, and the commits that it makes possible; what was signed before is given away again. With
    --wait the same again whenever others signed, until an epoch stands."""
    from banyan_charter.acts import EpochVote
    from banyan_crdt.errors import Refused
    from banyan_node.api.alliance_rows import open_contents

    number, signed, voted = _open_number(ledger), [*first, *mine.acts()], False
    chosen, agreed = _content(ledger, wanted, w.yes), {act.id for act in first}
    while len(ledger.epochs) == number:
        try:
            found = mine.next_act(ledger, chosen)
        except Refused as why:
            if not signed:
                raise BadInput(str(why).replace(mine.seat.member.hex()[:16], mine.seat.domain.decode())) from None
            if first and not voted:
                w.s.out.note(f"No vote for it was signed: {why}")
            found = None
        else:
            if found is None:
                raise BadInput("No content is open: `banyan alliance propose` makes one.")
        if found is None or (voted and isinstance(found[0], EpochVote)):
            w.hand_on(ledger, mine, signed)
            if not (w.wait and w.linked):
                break
            ledger, voted = w.changed(ledger), False
            continue
        act, promise = found
        row = next(row for row in open_contents(ledger) if row.id == act.content.hex())
        if act.content not in agreed:
            title = f"{'A commit to' if row.locked else 'A vote for'} {row.id[: work.SHORT]}, by {row.author}"
            if agreed and w.yes:
                raise BadInput(f"{title}: it came while this waited, so it was not signed. Run the same again.")
            w.ask(title, row.changes)
        mine.keep(act, promise)
        agreed, voted = agreed | {act.content}, voted or isinstance(act, EpochVote)
        signed.append(act)
        ledger.add(act)
        ledger.settle()
    w.hand_on(ledger, mine, [act for act in signed if act.number == number])
    w.signed(ledger, mine)


def _content(ledger: ActLedger, wanted: str | None, yes: bool) -> Any:
    """The content that a person means; None: whichever the convention favours. Raises BadInput."""
    from banyan_node.api.alliance_rows import open_contents

    rows = list(open_contents(ledger))
    if wanted is None:
        if yes and len(rows) > 1 and not any(row.locked for row in rows):
            raise BadInput(f"{count(len(rows), 'content')} are open: name the one that you mean with --yes.")
        return None
    fits = [row.id for row in rows if row.id.startswith(wanted.lower().rstrip("…"))]
    if len(fits) != 1:
        said = ", ".join(f"{row.id[: work.SHORT]} by {row.author}" for row in rows) or "none"
        raise BadInput(f"'{wanted}' is {'no' if not fits else 'more than one'} content that is open; there is {said}.")
    return bytes.fromhex(fits[0])


@work.command("seat take out")
def answer(w: SeatWork) -> None:
    """Answer the roll call, or wake: a signature of the seat, good for the next epoch. A member proposes it."""
    from banyan_charter.acts import RollAnswer, Wake

    with w.at_work() as (mine, ledger):
        number, me = len(ledger.epochs), mine.seat.member
        here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
        if here is None or (here.awake and not here.missed):
            raise BadInput("There is no roll call that your seat did not answer.")
        made = (RollAnswer if here.awake else Wake)(me, mine.signer.present(number))
    _give_proposal(w, ledger, made, f"{'An answer' if here.awake else 'A waking'} of {here.domain.decode()}")


@work.command("seat spare take out")
def renew(
    w: SeatWork,
    account: Annotated[str | None, typer.Option(help="The member's account, if the seat's file is lost.")] = None,
) -> None:
    """Ask for other keys of your seat, signed by its spare key, because the first one was lost or copied.

    The spare key stays; the seat's file is made if it was lost. A member with a vote proposes it.
    """
    from banyan_node.alliance.seat_file import read_seat, renewed

    ledger = w.ledger()
    member = read_seat(w.seat_path).seat.member if w.seat_path.exists() else w.account(account)
    made, here = renewed(ledger, w.seat_path, w.spare_path, member)
    _give_proposal(w, ledger, made, f"A renewal of {here.domain.decode()}, signed by its spare key")


def _give_proposal(w: SeatWork, ledger: ActLedger, made: Proposal, done: str) -> None:
    from banyan_node.alliance.papers import proposal_text

    text = proposal_text(ledger.realm, ledger.charter, made)
    note = (
        f"{done}, for epoch {len(ledger.epochs)}{{}}. A member with a vote proposes it: `banyan alliance propose FILE`."
    )
    w.give({"proposal": text}, [text], note)
