"""An alliance of platforms: its founding, admissions and votes; what stands is in alliance_state.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import seat_work as work
from banyan_cli.command_session import Session
from banyan_cli.errors import BadInput
from banyan_cli.show.tables import count

if TYPE_CHECKING:
    from banyan_charter.acts import Act, Proposal
    from banyan_charter.ledger import Ledger
    from banyan_node.alliance.papers import Invitation
    from banyan_node.alliance.seat_file import SeatFile


@work.COMMANDS.command()
def found(
    s: Session,
    name: Annotated[str, typer.Argument(help="What the alliance is called.")],
    domain: Annotated[str | None, typer.Option(help="Your platform's domain.")] = None,
    founders: Annotated[int, typer.Option(min=1, max=4_096, help="How many, you too.")] = 1,
    kind: Annotated[str, typer.Option(help="host, publisher, authority or observer.")] = "host",
    account: Annotated[str | None, typer.Option(help="The member's account; yours when left out.")] = None,
    parameters: Annotated[Path | None, typer.Option(help="A TOML file of quotas, authorities, duties.")] = None,
    address: Annotated[str, typer.Option(help="Where your node is dialled, for the invitations.")] = "",
    seat: work.SeatPath = None,
    spare: work.SparePath = None,
    take: work.In = None,
    out: work.OutFile = None,
    yes: work.Sign = False,
) -> None:
    """Found an alliance: an invitation for each other founder, then the founding once their cards are here.

    Run it again with --in for each card or signature that came; it goes on where it stopped.
    """
    from banyan_node.alliance.invitations import Invited, invited
    from banyan_node.alliance.papers import Card, Invitation, kind_of, read_file
    from banyan_node.alliance.seat_file import opened

    path, given = work.seat_path(s, seat), list(take or ())
    folder, realm = s.home.path / "alliance", work.realm_of(s)
    if not path.exists() and domain is None:
        raise BadInput("Say the domain of your platform with --domain, such as --domain example.vn.")

    def make() -> SeatFile:
        return work.new_seat(s, path, spare, realm, (domain or "", kind, True, account), 0)

    with opened(path, make) as mine:
        offer = Invitation(realm, name, b"", 0, address, b"")
        new = Invited(folder / "invited", offer, work.parameters_of(parameters), mine.seat, {})
        with invited(folder, new if not mine.charter else None) as table:
            if table is None or (table.offer.name, table.offer.charter) != (name, b"") or table.founder != mine.seat:
                raise BadInput(f"This home founds no alliance '{name}' now; `banyan alliance status` says what it has.")
            if len(table.given) < founders - 1:
                table.give(founders - 1 - len(table.given))
            for one in [one for one in given if kind_of(work.head_of(one)) == "card"]:
                table.take(Card.of(read_file("card", one)))
                given.remove(one)
            left, founding = table.open(), table.founding()
            seats = table.seats()
        if founding is None:
            _say_invitations(s, left, seats, out)
            return
        _found(s, mine, founding, given, out, yes)


def _say_invitations(s: Session, left: list[Invitation], seats: list[Any], out: Path | None) -> None:
    texts = [one.text for one in left]
    value = {
        "state": "invited",
        "invitations": texts,
        "members": work.seat_rows(seats),
        "file": str(out) if out else None,
    }
    if out is not None:
        work.write_file(out, "\n".join(texts))
    s.out.answer(value, lambda console, value: work.show_lines(console, [] if out else texts))
    s.out.note(
        f"{count(len(seats), 'founder')} of {len(seats) + len(left)} are here. Give each of the others one of the "
        f"{count(len(left), 'invitation')}{f' in {out}' if out else ''}; each is secret, and good once."
    )


def _found(s: Session, mine: SeatFile, founding: Any, given: list[Path], out: Path | None, yes: bool) -> None:
    """Signs the founding if that was not done, and says who has still to sign it."""
    from banyan_charter.ledger import Ledger
    from banyan_node.alliance.papers import ledger_of

    ledger = ledger_of(given) if given else Ledger(mine.realm, founding)
    if ledger.charter != founding.id:
        raise BadInput("The files are of another founding than the one of your invitations.")
    if mine.charter != founding.id:
        work.demand_out(out)
        work.ask(s, f"The founding of {founding.name.decode()}", _founding_words(founding), yes)
        mine.found(founding)
    work.hand_on(s, ledger, mine, mine.acts(), out)


def _founding_words(founding: Any) -> list[str]:
    rows = work.seat_rows(founding.seats)
    said = [f"{row['domain']}: {row['kind']}, {work.vote_words(row)} ({row['account']})" for row in rows]
    p = founding.parameters
    return [*said, f"{count(len(rows), 'member')}; a quota of {p.quota:,} accounts, {p.hourly:,} new ones an hour."]


@work.COMMANDS.command()
def invite(
    s: Session,
    number: Annotated[int, typer.Option("--count", min=1, max=64, help="How many invitations.")] = 1,
    address: Annotated[str, typer.Option(help="Where your node is dialled.")] = "",
    take: work.In = None,
    out: work.OutFile = None,
) -> None:
    """Invite a platform into the alliance that stands: `banyan alliance join` makes its card, a vote admits it."""
    from banyan_node.alliance.invitations import Invited, invited
    from banyan_node.alliance.papers import Invitation

    ledger, folder = work.read_ledger(s, take), s.home.path / "alliance"
    offer = Invitation(ledger.realm, ledger.founding.name.decode(), ledger.charter, len(ledger.epochs), address, b"")
    with invited(folder, new := Invited(folder / "invited", offer, ledger.founding.parameters, None, {})) as table:
        if table is None or table.offer.charter != ledger.charter:
            table = new  # the other one's founding is over
        texts = [one.text for one in table.give(number)]
    if out is not None:
        work.write_file(out, "\n".join(texts))
    s.out.answer({"invitations": texts}, lambda console, value: work.show_lines(console, [] if out else texts))
    s.out.note("Each is secret, and good once. The card that comes back: `banyan alliance propose CARD`.")


@work.COMMANDS.command()
def join(
    s: Session,
    invitation: Annotated[str, typer.Argument(help="The invitation, or a file with it.")],
    domain: Annotated[str | None, typer.Option(help="Your platform's domain.")] = None,
    kind: Annotated[str, typer.Option(help="host, publisher, authority or observer.")] = "host",
    voting: Annotated[bool, typer.Option("--vote/--no-vote", help="Whether the seat has a vote.")] = True,
    account: Annotated[str | None, typer.Option(help="The member's account; yours when left out.")] = None,
    seat: work.SeatPath = None,
    spare: work.SparePath = None,
    take: work.In = None,
    out: work.OutFile = None,
    yes: work.Sign = False,
) -> None:
    """Join an alliance: make a seat and its card; then, with --in, sign the founding that your card is in.

    Run it again with the acts that came back; it goes on where it stopped.
    """
    from banyan_charter.acts import CharterId, admission
    from banyan_node.alliance.papers import BadPaper, Card, Invitation
    from banyan_node.alliance.seat_file import opened, spare_of

    path, text = work.seat_path(s, seat), work.text_of(invitation)
    asked = Invitation.of(text)
    if not path.exists() and domain is None:
        raise BadInput("Say the domain of your platform with --domain, such as --domain example.vn.")

    def make() -> SeatFile:
        new = work.new_seat(s, path, spare, asked.realm, (domain or "", kind, voting, account), asked.since)
        key = spare_of(work.spare_path(path, spare), new.seat.member)
        sig = admission(CharterId(asked.charter), new.seat, key).sig if asked.charter else b""
        new.charter, new.invitation = asked.charter, asked.text
        new.card = Card.signed(asked, new.seat, sig).text
        return new

    with opened(path, make, asked.text) as mine:
        if take is None:
            _say_card(s, mine, asked, out)
            return
        ledger = work.read_ledger(s, take)
        if not asked.charter and ledger.founding.name.decode() != asked.name:
            raise BadPaper(f"the acts are of {ledger.founding.name.decode()}, and the invitation is to {asked.name}.")
        if not mine.charter:
            work.demand_out(out)
            work.ask(s, f"The founding of {asked.name}", _founding_words(ledger.founding), yes)
            mine.found(ledger.founding)
        work.hand_on(s, ledger, mine, mine.acts(), out)


def _say_card(s: Session, mine: SeatFile, asked: Invitation, out: Path | None) -> None:
    if out is not None:
        work.write_file(out, mine.card)
    value = {
        "state": "asked",
        "card": mine.card,
        "file": str(out) if out else None,
        "members": work.seat_rows([mine.seat]),
    }
    s.out.answer(value, lambda console, value: work.show_lines(console, [] if out else [mine.card]))
    s.out.note(
        f"This is the card of {mine.seat.domain.decode()} for {asked.name}{f', in {out}' if out else ''}: give it to "
        "who invited you. Then run the same again with --in and the acts that come back."
    )


@work.COMMANDS.command()
def propose(
    s: Session,
    files: Annotated[list[Path] | None, typer.Argument(help="Cards, renewals, answers.", metavar="FILE")] = None,
    expel: Annotated[list[str] | None, typer.Option(help="A member that is to leave: its domain.")] = None,
    sleep: Annotated[list[str] | None, typer.Option(help="One that missed two roll calls.")] = None,
    rolls: Annotated[bool, typer.Option("--roll-call", help="Call the roll.")] = False,
    domain: Annotated[list[str] | None, typer.Option(help="MEMBER=DOMAIN: its new domain.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="MEMBER=KIND: its new kind.")] = None,
    vote: Annotated[list[str] | None, typer.Option(help="A member that gets a vote.")] = None,
    no_vote: Annotated[list[str] | None, typer.Option(help="A member that loses its vote.")] = None,
    parameters: Annotated[Path | None, typer.Option(help="A TOML file of all parameters.")] = None,
    note: Annotated[list[str] | None, typer.Option(help="A reason, for all to read.")] = None,
    seat: work.SeatPath = None,
    take: work.In = None,
    out: work.OutFile = None,
    yes: work.Sign = False,
) -> None:
    """Propose what the next epoch is to be, all of it in one content, and vote for it."""
    from banyan_charter.acts import Expel, Note, Roll, SetParameters, Sleep

    with work.at_work(s, seat, take, out) as (mine, ledger):
        found: list[Proposal] = [_proposal(s, ledger, path) for path in files or ()]
        found += [Expel(work.member_id(ledger, one)) for one in expel or ()]
        found += [Sleep(work.member_id(ledger, one)) for one in sleep or ()]
        found += work.changes_of(ledger, domain or (), kind or (), vote or (), no_vote or ())
        found += [SetParameters(work.parameters_of(parameters))] if parameters else []
        found += [Roll()] if rolls else []
        found += [Note(one.encode()) for one in note or ()]
        if not found:
            raise BadInput("Say what is proposed, such as a card or --expel MEMBER; --help lists all.")
        _propose(s, mine, ledger, found, out, yes)


def _proposal(s: Session, ledger: Ledger, path: Path) -> Proposal:
    """What a file asks for. A card is taken once for its invitation, where that was given out in this home."""
    from banyan_node.alliance.invitations import invited
    from banyan_node.alliance.papers import Card, kind_of, proposal_from, read_file

    if kind_of(work.head_of(path)) != "card":
        return proposal_from(ledger.charter, path)
    card = Card.of(read_file("card", path))
    with invited(s.home.path / "alliance") as table:
        if table is not None and table.offer.charter == ledger.charter:
            table.take(card)
    return card.admission


@work.COMMANDS.command("roll-call")
def roll_call(
    s: Session, seat: work.SeatPath = None, take: work.In = None, out: work.OutFile = None, yes: work.Sign = False
) -> None:
    """Propose a roll call, and vote for it. Members answer with `banyan alliance answer`."""
    from banyan_charter.acts import Roll

    with work.at_work(s, seat, take, out) as (mine, ledger):
        _propose(s, mine, ledger, [Roll()], out, yes)


def _propose(s: Session, mine: SeatFile, ledger: Ledger, found: list[Proposal], out: Path | None, yes: bool) -> None:
    from banyan_charter.acts import Answer
    from banyan_node.api.alliance_rows import changes

    me, number = mine.seat.member, len(ledger.epochs)
    here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
    if here and here.missed and here.votes and not any(isinstance(p, Answer) and p.member == me for p in found):
        found = [Answer(me, mine.signer.present(number)), *found]
    content, after = mine.signer.content(ledger.epochs[-1], found)
    work.ask(s, f"Your proposal for epoch {number}", changes(ledger.epochs[-1], after, content), yes)
    ledger.add(content)
    ledger.settle()
    _sign_and_hand_on(s, mine, ledger, content.id.hex(), out, True, [content])


@work.COMMANDS.command()
def vote(
    s: Session,
    content: Annotated[str | None, typer.Argument(help="The content, or how it begins; the open one.")] = None,
    seat: work.SeatPath = None,
    take: work.In = None,
    out: work.OutFile = None,
    yes: work.Sign = False,
) -> None:
    """Sign what is open: a vote, and once more than 2/3 voted, a commit. First it shows what that changes."""
    with work.at_work(s, seat, take, out) as (mine, ledger):
        _sign_and_hand_on(s, mine, ledger, content, out, yes, [])


def _sign_and_hand_on(
    s: Session, mine: SeatFile, ledger: Ledger, wanted: str | None, out: Path | None, yes: bool, first: list[Act]
) -> None:
    """At most one vote, and the commits that it makes possible; what was signed before is given away again."""
    from banyan_charter.acts import Vote
    from banyan_crdt.errors import Refused
    from banyan_node.api.alliance_rows import open_contents

    number, signed, agreed, voted = len(ledger.epochs), [*first, *mine.acts()], None, False
    if number == 0:
        raise BadInput("The founding is not signed by all yet; `banyan alliance status` says by whom.")
    chosen = _content(ledger, wanted, yes)
    while len(ledger.epochs) == number:
        try:
            found = mine.next_act(ledger, chosen)
        except Refused:
            if not signed:
                raise
            break
        if found is None:
            raise BadInput("No content is open: `banyan alliance propose` makes one.")
        act, promise = found
        if voted and isinstance(act, Vote):
            break
        row = next(row for row in open_contents(ledger) if row.id == act.content.hex())
        if act.content != agreed and not (first and act.content == first[0].id):
            title = f"{'A commit to' if row.locked else 'A vote for'} {row.id[: work.SHORT]}, by {row.author}"
            work.ask(s, title, row.changes, yes)
        mine.keep(act, promise)
        agreed, voted = act.content, voted or isinstance(act, Vote)
        signed.append(act)
        ledger.add(act)
        ledger.settle()
    work.hand_on(s, ledger, mine, signed, out)


def _content(ledger: Ledger, wanted: str | None, yes: bool) -> Any:
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


@work.COMMANDS.command()
def answer(s: Session, seat: work.SeatPath = None, take: work.In = None, out: work.OutFile = None) -> None:
    """Answer the roll call, or wake: a signature of the seat, good for the next epoch. A member proposes it."""
    from banyan_charter.acts import Answer, Wake
    from banyan_node.alliance.papers import proposal_text

    with work.at_work(s, seat, take, out) as (mine, ledger):
        number, me = len(ledger.epochs), mine.seat.member
        here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
        if here is None or (here.awake and not here.missed):
            raise BadInput("There is no roll call that your seat did not answer.")
        made = (Answer if here.awake else Wake)(me, mine.signer.present(number))
        text = proposal_text(ledger.realm, ledger.charter, made)
    done = f"{'An answer' if here.awake else 'A waking'} of {here.domain.decode()} for epoch {number}"
    _give_proposal(s, text, done, out)


@work.COMMANDS.command()
def renew(
    s: Session,
    account: Annotated[str | None, typer.Option(help="The member's account, if the seat's file is lost.")] = None,
    seat: work.SeatPath = None,
    spare: work.SparePath = None,
    take: work.In = None,
    out: work.OutFile = None,
) -> None:
    """Ask for other keys of your seat, signed by its spare key, because the first one was lost or copied.

    The spare key stays; the seat's file is made if it was lost. A member with a vote proposes it.
    """
    from banyan_node.alliance.papers import proposal_text
    from banyan_node.alliance.seat_file import read_seat, renewed

    path, ledger = work.seat_path(s, seat), work.read_ledger(s, take)
    member = read_seat(path).seat.member if path.exists() else work.account_of(s, account)
    made, here = renewed(ledger, path, work.spare_path(path, spare), member)
    text = proposal_text(ledger.realm, ledger.charter, made)
    _give_proposal(s, text, f"A renewal of {here.domain.decode()}, signed by its spare key", out)


def _give_proposal(s: Session, text: str, done: str, out: Path | None) -> None:
    if out is not None:
        work.write_file(out, text)
    s.out.answer(
        {"proposal": text, "file": str(out) if out else None},
        lambda console, value: work.show_lines(console, [] if out else [text]),
    )
    s.out.note(
        f"{done}{f', in {out}' if out else ''}. A member with a vote proposes it: `banyan alliance propose FILE`."
    )
