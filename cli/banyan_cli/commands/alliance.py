"""An alliance of platforms: its founding, and joining one. alliance_votes.py votes, alliance_state.py says what stands.

Beside a running node, without --out, its line carries all of it; else files do.
"""

from __future__ import annotations

import time
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import seat_work as work
from banyan_cli.errors import BadInput
from banyan_cli.seat_work import Address, SeatWork
from banyan_cli.show.tables import count
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from banyan_charter.ledger import ActLedger
    from banyan_node.alliance.invitations import Invited
    from banyan_node.alliance.papers import Card, Invitation
    from banyan_node.alliance.seat_file import SeatFile

JOIN_S = 5.0
"""How often the node of who invited is asked."""
Domain = Annotated[str | None, typer.Option(help="Your platform's domain.")]
KindName = Annotated[str, typer.Option(help="host, publisher, authority or observer.")]
Account = Annotated[str | None, typer.Option(help="The member's account; yours when left out.")]


@work.command("seat spare take out yes")
def found(
    w: SeatWork,
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
    from banyan_charter.ledger import ActLedger
    from banyan_node.alliance.papers import Card, kind_of, ledger_of, read_file
    from banyan_node.alliance.seat_file import opened

    cards = [one for one in w.take or () if kind_of(one) == "card"]
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
        ledger = ledger_of(acts) if acts else ActLedger(mine.realm, founding)
        if ledger.founding != founding:
            raise BadInput("The files are of another founding than the one of your invitations.")
        _sign_founding(w, mine, ledger)
        w.hand_on_until(ledger, mine)


def _founders(
    w: SeatWork, mine: SeatFile, name: str, founders: int, parameters: Path | None, address: str, cards: list[Card]
) -> Invited:
    """What this home has of the founding, with these cards."""
    from banyan_node.alliance.invitations import Invited, invited
    from banyan_node.alliance.parameters_file import parameters_from

    new = Invited(w.folder / "invited", mine.realm, name, b"", parameters_from(parameters), mine.seat)
    with invited(w.folder, None if mine.charter else new) as table:
        if table is None or (table.name, table.charter, table.founder) != (name, b"", mine.seat):
            raise BadInput(f"This home founds no alliance '{name}' now; `banyan alliance status` says what it has.")
        if (more := founders - 1 - len(table.given)) > 0:
            table.give(more, w.address(address))
        for card in cards:
            table.take(card)
        return table


def _new_seat(w: SeatWork, realm: Any, asked: tuple[str | None, str, bool, str | None], since: int) -> SeatFile:
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


def _say_where(w: SeatWork, new: bool) -> None:
    if new:
        said = f"The seat's keys are in {w.seat_path}, its spare key in {w.spare_path}"
        w.s.out.note(f"{said}: keep that one off this machine.")


def _sign_founding(w: SeatWork, mine: SeatFile, ledger: ActLedger) -> None:
    """Shows the founders and what they agree on, asks, and signs, if that was not done."""
    from banyan_charter.rules import first_epoch
    from banyan_charter.values import Parameters
    from banyan_node.api.alliance_rows import member_rows, parameter_changes

    if mine.charter:
        return
    if not w.linked:
        w.demand_out()
    founding, rows = ledger.founding, [*map(work.plain, member_rows(ledger))]
    said = [f"{row['domain']}: {row['kind']}, {work.vote_words(row)} ({row['account']})" for row in rows]
    p = founding.parameters
    more = f"{count(len(rows), 'member')}; a quota of {p.quota:,} accounts, {p.hourly:,} new ones an hour."
    usual = first_epoch(founding)._replace(parameters=Parameters(p.quota, p.hourly))
    w.ask(f"The founding of {founding.name.decode()}", [*said, *parameter_changes(usual, p), more])
    mine.found(founding)


@work.command("seat spare take out yes")
def join(
    w: SeatWork,
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


def _asked(w: SeatWork, mine: SeatFile, asked: Invitation) -> ActLedger:
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
