"""An alliance of platforms: its founding, admissions and votes; what stands is in alliance_state.py.

Beside a running node, without --out, its line carries all of it; else files do.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import seat_work as work
from banyan_cli.errors import BadInput
from banyan_cli.seat_work import Work
from banyan_cli.show.tables import count
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from banyan_charter.acts import Act, Proposal
    from banyan_charter.ledger import Ledger
    from banyan_node.alliance.invitations import Invited
    from banyan_node.alliance.papers import Card, Invitation
    from banyan_node.alliance.seat_file import SeatFile

JOIN_S = 5.0
"""How often the node of who invited is asked."""
Domain = Annotated[str | None, typer.Option(help="Your platform's domain.")]
KindName = Annotated[str, typer.Option(help="host, publisher, authority or observer.")]
Account = Annotated[str | None, typer.Option(help="The member's account; yours when left out.")]
Address = Annotated[str, typer.Option(help="Where your node is dialled; where it listens when left out.")]


@work.command("seat spare take out yes")
def found(
    w: Work,
    name: Annotated[str, typer.Argument(help="What the alliance is called.")],
    domain: Domain = None,
    founders: Annotated[int, typer.Option(min=1, max=4_096, help="How many, you too.")] = 1,
    kind: KindName = "host",
    account: Account = None,
    parameters: Annotated[Path | None, typer.Option(help="A TOML file of quotas, authorities, duties.")] = None,
    address: Address = "",
) -> None:
    """Found an alliance: an invitation for each other founder, then the founding once their cards are here.

    Beside a running node it waits for them. Else run it again with --in for each card or signature that came. It goes
    on where it stopped.
    """
    from banyan_charter.ledger import Ledger
    from banyan_node.alliance.papers import Card, kind_of, ledger_of, read_file
    from banyan_node.alliance.seat_file import opened

    cards = [one for one in w.take or () if kind_of(work.head_of(one)) == "card"]
    acts = [one for one in w.take or () if one not in cards]

    def make() -> SeatFile:
        return _new_seat(w, w.realm, (domain, kind, True, account), 0)

    new = not w.seat_path.exists()
    with opened(w.seat_path, make) as mine:
        _say_where(w, new)
        here = _founders(
            w, mine, name, founders, parameters, address, [Card.of(read_file("card", one)) for one in cards]
        )
        if (founding := here.founding()) is None:
            texts = [one.text for one in here.open()]
            w.give(
                {"state": "invited", "invitations": texts},
                texts,
                f"{here.here()} Give each of the others one of the {count(len(texts), 'invitation')}{{}}; each is "
                "secret, and good once.",
            )
        while founding is None and w.linked:
            w.progress(here.here())
            time.sleep(work.LOOK_S)
            here = _founders(w, mine, name, founders, parameters, address, [])
            founding = here.founding()
        if founding is None:
            return
        ledger = ledger_of(acts) if acts else Ledger(mine.realm, founding)
        if ledger.founding != founding:
            raise BadInput("The files are of another founding than the one of your invitations.")
        _sign_founding(w, mine, ledger)
        w.hand_on_until(ledger, mine)


def _founders(
    w: Work, mine: SeatFile, name: str, founders: int, parameters: Path | None, address: str, cards: list[Card]
) -> Invited:
    """What this home has of the founding, with these cards."""
    from banyan_node.alliance.invitations import Invited, invited

    new = Invited(w.folder / "invited", mine.realm, name, b"", work.parameters_of(parameters), mine.seat)
    with invited(w.folder, None if mine.charter else new) as table:
        if table is None or (table.name, table.charter, table.founder) != (name, b"", mine.seat):
            raise BadInput(f"This home founds no alliance '{name}' now; `banyan alliance status` says what it has.")
        if (more := founders - 1 - len(table.given)) > 0:
            table.give(more, _address(w, address))
        for card in cards:
            table.take(card)
        return table


def _address(w: Work, given: str) -> str:
    """Where this node is dialled."""
    node = w.s.node()
    return given or " ".join(node.call("id")["addresses"] if node else ())


def _new_seat(w: Work, realm: Any, asked: tuple[str | None, str, bool, str | None], since: int) -> SeatFile:
    """asked: domain, kind, whether it has a vote, account."""
    from banyan_charter.ballots import Promise
    from banyan_charter.values import Kind, domain_of
    from banyan_node.alliance.seat_file import SeatFile, new_keys
    from banyan_node.api.alliance_rows import KINDS

    domain, kind, voting, account = asked
    if domain is None:
        raise BadInput("Say the domain of your platform with --domain, such as --domain example.vn.")
    if kind not in KINDS:
        raise BadInput(f"'{kind}' is no kind of member; there are {', '.join(KINDS)}.")
    name, of = domain_of(domain.lower().encode()), Kind(KINDS.index(kind))
    seat, keys, _ = new_keys(realm, w.account(account), name, of, voting, since, w.spare_path)
    return SeatFile(w.seat_path, realm, b"", seat, keys, Promise(0))


def _say_where(w: Work, new: bool) -> None:
    if new:
        said = f"The seat's keys are in {w.seat_path}, its spare key in {w.spare_path}"
        w.s.out.note(f"{said}: keep that one off this machine.")


def _sign_founding(w: Work, mine: SeatFile, ledger: Ledger) -> None:
    """Shows the founders, asks, and signs, if that was not done."""
    from banyan_node.api.alliance_rows import member_rows

    if mine.charter:
        return
    if not w.linked:
        w.demand_out()
    founding, rows = ledger.founding, [*map(work.plain, member_rows(ledger))]
    said = [f"{row['domain']}: {row['kind']}, {work.vote_words(row)} ({row['account']})" for row in rows]
    p = founding.parameters
    more = f"{count(len(rows), 'member')}; a quota of {p.quota:,} accounts, {p.hourly:,} new ones an hour."
    w.ask(f"The founding of {founding.name.decode()}", [*said, more])
    mine.found(founding)


@work.command("seat take out yes wait")
def invite(
    w: Work,
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
        made = table.give(number, _address(w, address), len(ledger.epochs))
    texts = [one.text for one in made]
    w.give(
        {"invitations": texts},
        texts,
        "Each is secret, and good once{}. Once its card is here: `banyan alliance propose`, or `propose FILE`.",
    )
    while w.wait and w.linked and not (cards := _cards(w, ledger, made)):
        w.progress(f"{count(number, 'invitation')}: no card is here yet.")
        time.sleep(work.LOOK_S)
    if w.wait and w.linked:
        with w.at_work() as (mine, ledger):
            _propose(w, mine, ledger, cards)


def _cards(w: Work, ledger: Ledger, of: list[Invitation] | None = None) -> list[Proposal]:
    """Who answered invitations of this home, or these alone, and was never a member."""
    from banyan_node.alliance.invitations import invited

    with invited(w.folder) as table:
        came = [] if table is None or table.charter != ledger.charter else table.cards()
    return [
        card.admission
        for one, card in came
        if (of is None or one in of) and not any(card.seat.member in e.seats for e in ledger.epochs[one.since - 1 :])
    ]


@work.command("seat spare take out yes")
def join(
    w: Work,
    invitation: Annotated[str, typer.Argument(help="The invitation, or a file with it.")],
    domain: Domain = None,
    kind: KindName = "host",
    voting: Annotated[bool, typer.Option("--vote/--no-vote", help="Whether the seat has a vote.")] = True,
    account: Account = None,
) -> None:
    """Join an alliance: make a seat and its card, sign the founding that it is in, or wait for the votes that admit it.

    Beside a running node that is all. With files: --out for the card, then the same with --in and the acts that came
    back. It goes on where it stopped.
    """
    from banyan_charter.acts import CharterId, admission
    from banyan_node.alliance.papers import BadPaper, Card, Invitation
    from banyan_node.alliance.seat_file import opened, spare_of

    is_file = len(invitation) < 200 and Path(invitation).is_file()
    asked = Invitation.of(Path(invitation).read_text("ascii", "replace") if is_file else invitation)

    def make() -> SeatFile:
        new = _new_seat(w, asked.realm, (domain, kind, voting, account), asked.since)
        sig = b""
        if asked.charter:
            sig = admission(CharterId(asked.charter), new.seat, spare_of(w.spare_path, new.seat.member)).sig
        new.charter, new.invitation = asked.charter, asked.text
        new.card = Card.signed(asked, new.seat, sig).text
        return new

    new = not w.seat_path.exists()
    with opened(w.seat_path, make, asked.text) as mine:
        _say_where(w, new)
        if not w.take and not w.linked:
            w.give(
                {"state": "asked", "card": mine.card},
                [mine.card],
                f"This is the card of {mine.seat.domain.decode()} for {asked.name}{{}}: give it to who invited you. "
                "Then run the same again with --in and the acts that come back.",
            )
            return
        ledger = w.ledger() if w.take else _asked(w, mine, asked)
        if not asked.charter and ledger.founding.name.decode() != asked.name:
            raise BadPaper(f"the acts are of {ledger.founding.name.decode()}, and the invitation is to {asked.name}.")
        _sign_founding(w, mine, ledger)
        mine.settle(ledger)
        w.hand_on_until(ledger, mine)


def _asked(w: Work, mine: SeatFile, asked: Invitation) -> Ledger:
    """The charter that the node of who invited answers: once all founders are there, or that it admits into."""
    from banyan_node.alliance.papers import add_acts

    if not asked.address:
        raise BadInput("The invitation names no node: say with --out where to write the card, and send that back.")
    founding, first = None, True
    while founding is None:
        try:
            answer = w.s.call("alliance.join", address=asked.address, card=mine.card)
            founding, said = answer["founding"], answer["said"]
        except CallError as error:
            if error.code != "no_peer" or first:
                raise
            said = str(error)
        if founding is None:
            w.progress(said)
            time.sleep(JOIN_S)
        first = False
    return add_acts(None, asked.realm, b64decode(founding), ())


@work.command("seat take out yes wait")
def propose(
    w: Work,
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
    from banyan_charter.acts import Expel, Note, Roll, SetParameters, Sleep
    from banyan_node.api.alliance_rows import member_of

    with w.at_work() as (mine, ledger):
        found = [_proposal(w, ledger, path) for path in files or ()]
        found += [Expel(member_of(ledger, one).member) for one in expel or ()]
        found += [Sleep(member_of(ledger, one).member) for one in sleep or ()]
        found += _changes(ledger, change or ())
        found += [SetParameters(work.parameters_of(parameters))] if parameters else []
        found += [Roll()] if rolls else []
        found = found or _cards(w, ledger)
        found += [Note(one.encode()) for one in note or ()]
        if not found:
            raise BadInput("Say what is proposed, such as a card or --expel MEMBER; --help lists all.")
        _propose(w, mine, ledger, found)


def _proposal(w: Work, ledger: Ledger, path: Path) -> Proposal:
    """What a file asks for. A card is taken once for its invitation, where that was given out in this home."""
    from banyan_node.alliance.invitations import invited
    from banyan_node.alliance.papers import Card, kind_of, proposal_from, read_file

    if kind_of(work.head_of(path)) != "card":
        return proposal_from(ledger.charter, path)
    card = Card.of(read_file("card", path))
    with invited(w.folder) as table:
        if table is not None and table.charter == ledger.charter:
            table.take(card)
    return card.admission


def _changes(ledger: Ledger, texts: Iterable[str]) -> list[Proposal]:
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
def roll_call(w: Work) -> None:
    """Propose a roll call, and vote for it. Members answer with `banyan alliance answer`."""
    from banyan_charter.acts import Roll

    with w.at_work() as (mine, ledger):
        _propose(w, mine, ledger, [Roll()])


def _propose(w: Work, mine: SeatFile, ledger: Ledger, found: list[Proposal]) -> None:
    from banyan_charter.acts import Answer, Change, Expel
    from banyan_node.api.alliance_rows import changes

    me, number = mine.seat.member, len(ledger.epochs)
    here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
    if here is None or not here.votes:
        why = (
            "no seat" if here is None else "no vote" if here.awake else "no vote while it is asleep (`answer` wakes it)"
        )
        raise BadInput(f"{mine.seat.domain.decode()} has {why} in epoch {number - 1}: let another member propose it.")
    gone = [p.member for p in found if isinstance(p, Expel | Change)]
    if twice := [one for one in gone if gone.count(one) > 1]:
        raise BadInput(f"{ledger.epochs[-1].seats[twice[0]].domain.decode()} is expelled and changed; say one of them.")
    if here.missed and not any(isinstance(p, Answer) and p.member == me for p in found):
        found = [Answer(me, mine.signer.present(number)), *found]
    content, after = mine.signer.content(ledger.epochs[-1], found)
    w.ask(f"Your proposal for epoch {number}", changes(ledger.epochs[-1], after, content))
    ledger.add(content)
    ledger.settle()
    _sign(w, mine, ledger, content.id.hex(), [content])


@work.command("seat take out yes wait")
def vote(
    w: Work, content: Annotated[str | None, typer.Argument(help="The content, or how it begins; the open one.")] = None
) -> None:
    """Sign what is open: a vote, and once more than 2/3 voted, a commit. First it shows what that changes."""
    with w.at_work() as (mine, ledger):
        _sign(w, mine, ledger, content, [])


def _sign(w: Work, mine: SeatFile, ledger: Ledger, wanted: str | None, first: list[Act]) -> None:
    """At most one vote, and the commits that it makes possible; what was signed before is given away again. With
    --wait the same again whenever others signed, until an epoch stands."""
    from banyan_charter.acts import Vote
    from banyan_crdt.errors import Refused
    from banyan_node.api.alliance_rows import open_contents

    number, signed, voted = len(ledger.epochs), [*first, *mine.acts()], False
    if number == 0:
        raise BadInput("The founding is not signed by all yet; `banyan alliance status` says by whom.")
    chosen, agreed = _content(ledger, wanted, w.yes), {act.id for act in first}
    while len(ledger.epochs) == number:
        try:
            found = mine.next_act(ledger, chosen)
        except Refused:
            if not signed:
                raise
            found = None
        else:
            if found is None:
                raise BadInput("No content is open: `banyan alliance propose` makes one.")
        if found is None or (voted and isinstance(found[0], Vote)):
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
        agreed, voted = agreed | {act.content}, voted or isinstance(act, Vote)
        signed.append(act)
        ledger.add(act)
        ledger.settle()
    w.hand_on(ledger, mine, [act for act in signed if act.number == number])
    w.signed(ledger, mine)


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


@work.command("seat take out")
def answer(w: Work) -> None:
    """Answer the roll call, or wake: a signature of the seat, good for the next epoch. A member proposes it."""
    from banyan_charter.acts import Answer, Wake

    with w.at_work() as (mine, ledger):
        number, me = len(ledger.epochs), mine.seat.member
        here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
        if here is None or (here.awake and not here.missed):
            raise BadInput("There is no roll call that your seat did not answer.")
        made = (Answer if here.awake else Wake)(me, mine.signer.present(number))
    _give_proposal(w, ledger, made, f"{'An answer' if here.awake else 'A waking'} of {here.domain.decode()}")


@work.command("seat spare take out")
def renew(
    w: Work,
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


def _give_proposal(w: Work, ledger: Ledger, made: Proposal, done: str) -> None:
    from banyan_node.alliance.papers import proposal_text

    text = proposal_text(ledger.realm, ledger.charter, made)
    note = (
        f"{done}, for epoch {len(ledger.epochs)}{{}}. A member with a vote proposes it: `banyan alliance propose FILE`."
    )
    w.give({"proposal": text}, [text], note)
