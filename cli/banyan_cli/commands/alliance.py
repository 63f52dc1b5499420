"""An alliance of platforms: its founding, admissions, votes, and what stands. Keys stay in a file of their own."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.show.tables import Row, columns, count
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from rich.console import Console

    from banyan_charter.acts import Act, Proposal
    from banyan_charter.ledger import Ledger
    from banyan_crdt.ids import AccountId
    from banyan_node.alliance.papers import Invitation
    from banyan_node.alliance.seat_file import SeatFile

OFFERED = 500
"""Acts that are given to the node in one call."""
SHORT = 16
"""Digits of a content or a charter that are shown."""
_alliance = root.group("alliance", "An alliance of platforms that nobody owns: found it, join it, vote.")
SeatPath = Annotated[
    Path | None,
    typer.Option("--seat", help="The file with the seat's keys; `alliance/seat` in the home when left out."),
]
SparePath = Annotated[
    Path | None, typer.Option("--spare", help="The file with the spare key; beside the seat when left out.")
]
In = Annotated[
    list[Path] | None, typer.Option("--in", help="A file to work on in place of what the node has. May be repeated.")
]
OutFile = Annotated[Path | None, typer.Option("--out", help="Where to write the result, in place of the node.")]
Sign = Annotated[bool, typer.Option("--yes", help="Sign without being asked; you have read what it changes.")]


@_alliance.command()
def found(
    s: Session,
    name: Annotated[str, typer.Argument(help="What the alliance is called.")],
    domain: Annotated[str | None, typer.Option(help="Your platform's domain.")] = None,
    founders: Annotated[int, typer.Option(min=1, max=4_096, help="How many, you too.")] = 1,
    kind: Annotated[str, typer.Option(help="host, publisher, authority or observer.")] = "host",
    account: Annotated[str | None, typer.Option(help="The member's account; yours when left out.")] = None,
    parameters: Annotated[Path | None, typer.Option(help="A TOML file of quotas, authorities, duties.")] = None,
    address: Annotated[str, typer.Option(help="Where your node is dialled, for the invitations.")] = "",
    seat: SeatPath = None,
    spare: SparePath = None,
    take: In = None,
    out: OutFile = None,
    yes: Sign = False,
) -> None:
    """Found an alliance: an invitation for each other founder, then the founding once their cards are here.

    Run it again with --in for each card or signature that came; it goes on where it stopped.
    """
    from banyan_node.alliance.invitations import Invited, invited
    from banyan_node.alliance.papers import Card, Invitation, kind_of, read_file
    from banyan_node.alliance.seat_file import opened

    path, given = _seat_path(s, seat), list(take or ())
    folder, realm = s.home.path / "alliance", _realm(s)
    if not path.exists() and domain is None:
        raise BadInput("Say the domain of your platform with --domain, such as --domain example.vn.")

    def make() -> SeatFile:
        return _new_seat(s, path, spare, realm, (domain or "", kind, True, account), 0)

    with opened(path, make) as mine:
        offer = Invitation(realm, name, b"", 0, address, b"")
        new = Invited(folder / "invited", offer, _parameters(parameters), mine.seat, {})
        with invited(folder, new if not mine.charter else None) as table:
            if table is None or (table.offer.name, table.offer.charter) != (name, b"") or table.founder != mine.seat:
                raise BadInput(f"This home founds no alliance '{name}' now; `banyan alliance status` says what it has.")
            if len(table.given) < founders - 1:
                table.give(founders - 1 - len(table.given))
            for one in [one for one in given if kind_of(_head(one)) == "card"]:
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
    value = {"state": "invited", "invitations": texts, "members": _members(seats), "file": str(out) if out else None}
    if out is not None:
        _write(out, "\n".join(texts))
    s.out.answer(value, lambda console, value: _show_lines(console, [] if out else texts))
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
        _demand_out(out)
        _ask(s, f"The founding of {founding.name.decode()}", _founding_words(founding), yes)
        mine.found(founding)
    _hand_on(s, ledger, mine, mine.acts(), out)


def _founding_words(founding: Any) -> list[str]:
    rows = _members(founding.seats)
    said = [f"{row['domain']}: {row['kind']}, {_vote(row)} ({row['account']})" for row in rows]
    p = founding.parameters
    return [*said, f"{count(len(rows), 'member')}; a quota of {p.quota:,} accounts, {p.hourly:,} new ones an hour."]


@_alliance.command()
def invite(
    s: Session,
    number: Annotated[int, typer.Option("--count", min=1, max=64, help="How many invitations.")] = 1,
    address: Annotated[str, typer.Option(help="Where your node is dialled.")] = "",
    take: In = None,
    out: OutFile = None,
) -> None:
    """Invite a platform into the alliance that stands: `banyan alliance join` makes its card, a vote admits it."""
    from banyan_node.alliance.invitations import Invited, invited
    from banyan_node.alliance.papers import Invitation

    ledger, folder = _ledger(s, take), s.home.path / "alliance"
    offer = Invitation(ledger.realm, ledger.founding.name.decode(), ledger.charter, len(ledger.epochs), address, b"")
    with invited(folder, new := Invited(folder / "invited", offer, ledger.founding.parameters, None, {})) as table:
        if table is None or table.offer.charter != ledger.charter:
            table = new  # the other one's founding is over
        texts = [one.text for one in table.give(number)]
    if out is not None:
        _write(out, "\n".join(texts))
    s.out.answer({"invitations": texts}, lambda console, value: _show_lines(console, [] if out else texts))
    s.out.note("Each is secret, and good once. The card that comes back: `banyan alliance propose CARD`.")


@_alliance.command()
def join(
    s: Session,
    invitation: Annotated[str, typer.Argument(help="The invitation, or a file with it.")],
    domain: Annotated[str | None, typer.Option(help="Your platform's domain.")] = None,
    kind: Annotated[str, typer.Option(help="host, publisher, authority or observer.")] = "host",
    voting: Annotated[bool, typer.Option("--vote/--no-vote", help="Whether the seat has a vote.")] = True,
    account: Annotated[str | None, typer.Option(help="The member's account; yours when left out.")] = None,
    seat: SeatPath = None,
    spare: SparePath = None,
    take: In = None,
    out: OutFile = None,
    yes: Sign = False,
) -> None:
    """Join an alliance: make a seat and its card; then, with --in, sign the founding that your card is in.

    Run it again with the acts that came back; it goes on where it stopped.
    """
    from banyan_charter.acts import CharterId, admission
    from banyan_node.alliance.papers import BadPaper, Card, Invitation
    from banyan_node.alliance.seat_file import opened, spare_of

    path, text = _seat_path(s, seat), _text(invitation)
    asked = Invitation.of(text)
    if not path.exists() and domain is None:
        raise BadInput("Say the domain of your platform with --domain, such as --domain example.vn.")

    def make() -> SeatFile:
        new = _new_seat(s, path, spare, asked.realm, (domain or "", kind, voting, account), asked.since)
        key = spare_of(_spare_path(path, spare), new.seat.member)
        sig = admission(CharterId(asked.charter), new.seat, key).sig if asked.charter else b""
        new.charter, new.invitation = asked.charter, asked.text
        new.card = Card.signed(asked, new.seat, sig).text
        return new

    with opened(path, make, asked.text) as mine:
        if take is None:
            _say_card(s, mine, asked, out)
            return
        ledger = _ledger(s, take)
        if not asked.charter and ledger.founding.name.decode() != asked.name:
            raise BadPaper(f"the acts are of {ledger.founding.name.decode()}, and the invitation is to {asked.name}.")
        if not mine.charter:
            _demand_out(out)
            _ask(s, f"The founding of {asked.name}", _founding_words(ledger.founding), yes)
            mine.found(ledger.founding)
        _hand_on(s, ledger, mine, mine.acts(), out)


def _say_card(s: Session, mine: SeatFile, asked: Invitation, out: Path | None) -> None:
    if out is not None:
        _write(out, mine.card)
    value = {"state": "asked", "card": mine.card, "file": str(out) if out else None, "members": _members([mine.seat])}
    s.out.answer(value, lambda console, value: _show_lines(console, [] if out else [mine.card]))
    s.out.note(
        f"This is the card of {mine.seat.domain.decode()} for {asked.name}{f', in {out}' if out else ''}: give it to "
        "who invited you. Then run the same again with --in and the acts that come back."
    )


@_alliance.command()
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
    seat: SeatPath = None,
    take: In = None,
    out: OutFile = None,
    yes: Sign = False,
) -> None:
    """Propose what the next epoch is to be, all of it in one content, and vote for it."""
    from banyan_charter.acts import Expel, Note, Roll, SetParameters, Sleep

    with _work(s, seat, take, out) as (mine, ledger):
        found: list[Proposal] = [_proposal(s, ledger, path) for path in files or ()]
        found += [Expel(_member(ledger, one)) for one in expel or ()]
        found += [Sleep(_member(ledger, one)) for one in sleep or ()]
        found += _changes(ledger, domain or (), kind or (), vote or (), no_vote or ())
        found += [SetParameters(_parameters(parameters))] if parameters else []
        found += [Roll()] if rolls else []
        found += [Note(one.encode()) for one in note or ()]
        if not found:
            raise BadInput("Say what is proposed, such as a card or --expel MEMBER; --help lists all.")
        _propose(s, mine, ledger, found, out, yes)


def _proposal(s: Session, ledger: Ledger, path: Path) -> Proposal:
    """What a file asks for. A card is taken once for its invitation, where that was given out in this home."""
    from banyan_node.alliance.invitations import invited
    from banyan_node.alliance.papers import Card, kind_of, proposal_from, read_file

    if kind_of(_head(path)) != "card":
        return proposal_from(ledger.charter, path)
    card = Card.of(read_file("card", path))
    with invited(s.home.path / "alliance") as table:
        if table is not None and table.offer.charter == ledger.charter:
            table.take(card)
    return card.admission


@_alliance.command("roll-call")
def roll_call(s: Session, seat: SeatPath = None, take: In = None, out: OutFile = None, yes: Sign = False) -> None:
    """Propose a roll call, and vote for it. Members answer with `banyan alliance answer`."""
    from banyan_charter.acts import Roll

    with _work(s, seat, take, out) as (mine, ledger):
        _propose(s, mine, ledger, [Roll()], out, yes)


def _propose(s: Session, mine: SeatFile, ledger: Ledger, found: list[Proposal], out: Path | None, yes: bool) -> None:
    from banyan_charter.acts import Answer
    from banyan_node.api.alliance_rows import changes

    me, number = mine.seat.member, len(ledger.epochs)
    here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
    if here and here.missed and here.votes and not any(isinstance(p, Answer) and p.member == me for p in found):
        found = [Answer(me, mine.signer.present(number)), *found]
    content, after = mine.signer.content(ledger.epochs[-1], found)
    _ask(s, f"Your proposal for epoch {number}", changes(ledger.epochs[-1], after, content), yes)
    ledger.add(content)
    ledger.settle()
    _sign_and_hand_on(s, mine, ledger, content.id.hex(), out, True, [content])


@_alliance.command()
def vote(
    s: Session,
    content: Annotated[str | None, typer.Argument(help="The content, or how it begins; the open one.")] = None,
    seat: SeatPath = None,
    take: In = None,
    out: OutFile = None,
    yes: Sign = False,
) -> None:
    """Sign what is open: a vote, and once more than 2/3 voted, a commit. First it shows what that changes."""
    with _work(s, seat, take, out) as (mine, ledger):
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
            title = f"{'A commit to' if row.locked else 'A vote for'} {row.id[:SHORT]}, by {row.author}"
            _ask(s, title, row.changes, yes)
        mine.keep(act, promise)
        agreed, voted = act.content, voted or isinstance(act, Vote)
        signed.append(act)
        ledger.add(act)
        ledger.settle()
    _hand_on(s, ledger, mine, signed, out)


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
        said = ", ".join(f"{row.id[:SHORT]} by {row.author}" for row in rows) or "none"
        raise BadInput(f"'{wanted}' is {'no' if not fits else 'more than one'} content that is open; there is {said}.")
    return bytes.fromhex(fits[0])


@_alliance.command()
def answer(s: Session, seat: SeatPath = None, take: In = None, out: OutFile = None) -> None:
    """Answer the roll call, or wake: a signature of the seat, good for the next epoch. A member proposes it."""
    from banyan_charter.acts import Answer, Wake
    from banyan_node.alliance.papers import proposal_text

    with _work(s, seat, take, out) as (mine, ledger):
        number, me = len(ledger.epochs), mine.seat.member
        here = ledger.epochs[-1].seats.get(me) if ledger.epochs else None
        if here is None or (here.awake and not here.missed):
            raise BadInput("There is no roll call that your seat did not answer.")
        made = (Answer if here.awake else Wake)(me, mine.signer.present(number))
        text = proposal_text(ledger.realm, ledger.charter, made)
    done = f"{'An answer' if here.awake else 'A waking'} of {here.domain.decode()} for epoch {number}"
    _give_proposal(s, text, done, out)


@_alliance.command()
def renew(
    s: Session,
    account: Annotated[str | None, typer.Option(help="The member's account, if the seat's file is lost.")] = None,
    seat: SeatPath = None,
    spare: SparePath = None,
    take: In = None,
    out: OutFile = None,
) -> None:
    """Ask for other keys of your seat, signed by its spare key, because the first one was lost or copied.

    The spare key stays; the seat's file is made if it was lost. A member with a vote proposes it.
    """
    from banyan_node.alliance.papers import proposal_text
    from banyan_node.alliance.seat_file import read_seat, renewed

    path, ledger = _seat_path(s, seat), _ledger(s, take)
    member = read_seat(path).seat.member if path.exists() else _account(s, account)
    made, here = renewed(ledger, path, _spare_path(path, spare), member)
    text = proposal_text(ledger.realm, ledger.charter, made)
    _give_proposal(s, text, f"A renewal of {here.domain.decode()}, signed by its spare key", out)


def _give_proposal(s: Session, text: str, done: str, out: Path | None) -> None:
    if out is not None:
        _write(out, text)
    s.out.answer(
        {"proposal": text, "file": str(out) if out else None},
        lambda console, value: _show_lines(console, [] if out else [text]),
    )
    s.out.note(
        f"{done}{f', in {out}' if out else ''}. A member with a vote proposes it: `banyan alliance propose FILE`."
    )


# -- what stands


@_alliance.command()
def status(s: Session, seat: SeatPath = None, take: In = None) -> None:
    """The epoch that stands, what is open and who signed it, and what to run next."""
    from banyan_node.alliance.seat_file import read_seat
    from banyan_node.api.alliance_rows import next_steps, status_of

    ledger, path = _ledger(s, take), _seat_path(s, seat)
    mine = read_seat(path) if path.exists() else None
    value = {**_plain(status_of(ledger)), "next": next_steps(ledger, mine)}
    s.out.answer(value, _show_status)


@_alliance.command()
def members(s: Session, take: In = None) -> None:
    """The members of the last epoch."""
    from banyan_node.api.alliance_rows import member_rows

    s.out.answers([_plain(row) for row in member_rows(_ledger(s, take))], _MEMBERS, "Nobody.")


@_alliance.command()
def history(s: Session, take: In = None) -> None:
    """All epochs, what each changed, and who signed it."""
    from banyan_node.api.alliance_rows import history_of

    rows = [_plain(row) for row in history_of(_ledger(s, take))]
    s.out.answers(rows, _show_history, "Only epoch 0: nothing was changed since the founding.")


@_alliance.command()
def verify(s: Session, take: In = None) -> None:
    """All acts again from their bytes: each signature, each rule. It says the digest, which others can compare."""
    from banyan_node.api.alliance_rows import status_of

    value = _plain(status_of(_ledger(s, take)))
    short = {name: value[name] for name in ("charter", "name", "epoch", "acts", "digest")}
    s.out.done(short, f"{_stands(value)} {count(value['acts'], 'act')} verified, digest {value['digest']}.")


# -- what they share


def _stands(value: Row) -> str:
    if value["epoch"] is None:
        return f"{value['name']} is not founded yet: {', '.join(value['missing'])} did not sign."
    return f"Epoch {value['epoch']} of {value['name']} stands: {count(value['members'], 'member')}."


def _seat_path(s: Session, seat: Path | None) -> Path:
    return (seat or s.home.path / "alliance" / "seat").absolute()


def _spare_path(path: Path, spare: Path | None) -> Path:
    return (spare or path.with_name(f"{path.name}.spare")).absolute()


def _realm(s: Session) -> Any:
    from banyan_crdt.realm import REALMS

    return REALMS[s.settings.config.node.realm]


def _new_seat(
    s: Session, path: Path, spare: Path | None, realm: Any, asked: tuple[str, str, bool, str | None], since: int
) -> SeatFile:
    """asked: domain, kind, whether it has a vote, account."""
    from banyan_charter.ballots import Promise
    from banyan_charter.values import Kind, domain_of
    from banyan_node.alliance.seat_file import SeatFile, new_keys

    domain, kind, voting, account = asked
    name, of, at = domain_of(domain.lower().encode()), Kind(_kind(kind)), _spare_path(path, spare)
    seat, keys, _ = new_keys(realm, _account(s, account), name, of, voting, since, at)
    s.out.note(f"The seat's keys are in {path}, its spare key in {at}: keep that one elsewhere, off this machine.")
    return SeatFile(path, realm, b"", seat, keys, Promise(0))


def _kind(text: str) -> int:
    from banyan_node.api.alliance_rows import KINDS

    if text not in KINDS:
        raise BadInput(f"'{text}' is no kind of member; there are {', '.join(KINDS)}.")
    return KINDS.index(text)


def _account(s: Session, account: str | None) -> AccountId:
    """An id is taken as it is, so that a seat can be made on a machine without a node."""
    from banyan_crdt.ids import account_from_text

    if account is None or not account.startswith("did:"):
        shown = s.call("account.show", account=account) if account else s.call("account.show")
        if not shown["hosted"]:
            raise BadInput(f"'{account}' is not hosted here; a member's account is one that its own node hosts.")
        account = shown["account"]
    return account_from_text(str(account))


def _member(ledger: Ledger, text: str) -> AccountId:
    from banyan_node.api.alliance_rows import member_of

    return member_of(ledger, text).member


def _changes(ledger: Ledger, *options: Iterable[str]) -> list[Proposal]:
    """One change a member, of all options that name it."""
    from banyan_charter.acts import Change
    from banyan_charter.values import Kind, domain_of
    from banyan_node.api.alliance_rows import member_of

    found = dict[bytes, Change]()
    for option, texts in zip(("domain", "kind", "vote", "no-vote"), options, strict=True):
        for text in texts:
            name, equals, value = text.partition("=")
            if bool(equals) != (option in ("domain", "kind")):
                raise BadInput(f"--{option} takes {'MEMBER=VALUE' if not equals else 'a member alone'}, not '{text}'.")
            was = member_of(ledger, name)
            now = found.get(was.member, Change(was.member, was.domain, was.kind, was.voting))
            new: dict[str, Any] = {"voting": option == "vote"}
            if equals:
                new = {option: domain_of(value.encode()) if option == "domain" else Kind(_kind(value))}
            found[was.member] = now._replace(**new)
    return list(found.values())


def _parameters(path: Path | None) -> Any:
    from banyan_charter.values import Parameters
    from banyan_node.alliance.parameters_file import parameters_from

    return parameters_from(path) if path else Parameters()


def _ledger(s: Session, take: list[Path] | None) -> Ledger:
    """Of these files, else of the node; each signature is checked again."""
    from banyan_node.alliance.papers import add_acts, ledger_of

    if take:
        return ledger_of(take)
    raws, after = list[bytes](), 0
    while after is not None:
        page = s.call("alliance.acts", after=after)
        raws += map(b64decode, page["acts"])
        after = page["after"]
    ledger = add_acts(None, _realm(s), raws[0], raws[1:])
    ledger.settle()
    return ledger


@_alliance.command()
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
        _ask(s, f"Follow {ledger.founding.name.decode()} in place of {before['name']}", lines, yes)
    s.call("alliance.follow", founding=b64encode(encode_act(ledger.founding)).decode())
    _offer(s, _every(ledger))
    value = _plain(status_of(_ledger(s, None)))
    s.out.done(value, f"This node follows it. {_stands(value)}")


def _followed(s: Session) -> Row | None:
    """What `alliance.status` answers; None: no charter is followed."""
    try:
        found: Row = s.call("alliance.status")
        return found
    except CallError as error:
        if error.code != "not_found":
            raise
        return None


@_alliance.command()
def leave(s: Session) -> None:
    """Have this node follow no charter any more. Its acts are kept, and the seat is as before: `expel` ends that."""
    s.out.done(s.call("alliance.leave"), "This node follows no charter.")


@_alliance.command()
def acts(s: Session, out: Annotated[Path, typer.Option("--out", help="The file to write.")]) -> None:
    """Write all acts that this node has into a file, for a seat on another machine or for somebody who verifies."""
    from banyan_node.alliance.papers import acts_text
    from banyan_node.api.alliance_rows import status_of

    ledger = _ledger(s, None)
    _write(out, acts_text(ledger, _every(ledger)))
    value = _plain(status_of(ledger))
    s.out.done({**value, "file": str(out)}, f"{_stands(value)} {count(len(ledger), 'act')} are in {out}.")


def _every(ledger: Ledger) -> list[Act]:
    return [act for number in range(len(ledger.epochs) + 1) for act in ledger.acts(number)]


def _offer(s: Session, acts: list[Act]) -> None:
    """Gives acts to the node, and says what it does not take now."""
    from banyan_charter.acts import encode_act

    for at in range(0, len(acts), OFFERED):
        texts = [b64encode(encode_act(act)).decode() for act in acts[at : at + OFFERED]]
        for why in s.call("alliance.offer", acts=texts)["refused"]:
            s.out.note(f"An act was not taken: {why}.")


@contextmanager
def _work(
    s: Session, seat: Path | None, take: list[Path] | None, out: Path | None
) -> Iterator[tuple[SeatFile, Ledger]]:
    """The seat, which this command has alone, and the charter as it stands."""
    from banyan_node.alliance.seat_file import opened

    path = _seat_path(s, seat)
    if not path.exists():
        raise BadInput(f"There is no seat in {path}; name its file with --seat, or make one with `join` or `found`.")
    if take:
        _demand_out(out)
    with opened(path) as mine:
        ledger = _ledger(s, take)
        mine.settle(ledger)
        yield mine, ledger


def _demand_out(out: Path | None) -> None:
    if out is None:
        raise BadInput("With --in, say with --out where to write what you sign.")


def _ask(s: Session, title: str, said: list[str], yes: bool) -> None:
    """Shows what is to be signed, and asks. Raises BadInput where nobody can be asked."""
    for line in [f"{title}:", *(f"  {line}" for line in said)]:
        s.out.note(line)
    if yes:
        return
    if s.out.json or not sys.stdin.isatty():
        raise BadInput("Nothing was signed: read what it changes, then say --yes.")
    typer.confirm("Sign it?", abort=True, err=True)


def _hand_on(s: Session, ledger: Ledger, mine: SeatFile, signed: list[Act], out: Path | None) -> None:
    """Gives away what was signed, and says where that leads."""
    from banyan_node.alliance.papers import acts_text
    from banyan_node.api.alliance_rows import next_steps, status_of

    for act in signed:
        ledger.add(act)
    ledger.settle()
    mine.settle(ledger)
    if out is not None:
        _write(out, acts_text(ledger, _every(ledger)))
    else:
        _offer(s, signed)
    value = {**_plain(status_of(ledger)), "next": next_steps(ledger, mine), "file": str(out) if out else None}
    said = [_stands(value), *(_open(row) for row in value["contents"])]
    s.out.done({"state": "signed", **value}, " ".join(said))
    if out is not None:
        s.out.note(f"All acts are in {out}: give it to those whose signatures are missing.")


def _open(row: Row) -> str:
    what = "is locked, and waits for commits of" if row["locked"] else "waits for votes of"
    return f"{row['id'][:SHORT]} by {row['author']} {what} {', '.join(row['missing']) or 'nobody'}."


def _members(seats: Iterable[Any]) -> list[Row]:
    from banyan_node.api.alliance_rows import seat_row

    return [_plain(seat_row(one)) for one in seats]


def _plain(row: Any) -> Row:
    import msgspec

    found: Row = msgspec.to_builtins(row)
    return found


def _text(given: str) -> str:
    return Path(given).read_text("ascii", "replace") if len(given) < 200 and Path(given).is_file() else given


def _head(path: Path) -> str:
    return path.read_text("ascii", "replace")[:64] if path.is_file() else ""


def _write(path: Path, text: str) -> None:
    from banyan_node.home.folder import write_private

    try:
        write_private(path.absolute(), text.encode() + b"\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}).") from error


def _vote(row: Row) -> str:
    return ("with a vote" if row["awake"] else "asleep") if row["voting"] else "without a vote"


_MEMBERS = columns(
    ("member", "domain"), ("kind", "kind"), ("", _vote), ("missed#", "missed"), ("account", lambda row: row["account"])
)


def _show_lines(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def _show_status(console: Console, value: Row) -> None:
    lines = [_stands(value), f"Charter {value['charter']}, {count(value['acts'], 'act')}, digest {value['digest']}."]
    if value["epoch"] is not None:
        lines.append(
            f"{count(value['votes'], 'vote')}, of which {value['needed']} are needed for epoch {value['number']}."
        )
    for row in value["contents"]:
        lines += ["", _open(row), *(f"  {sentence}" for sentence in row["changes"])]
        lines += [f"  ballot {row['ballot']}: votes of {', '.join(row['voted'])}"] if row["voted"] else []
        lines += [f"  commits of {', '.join(row['committed'])}"] if row["committed"] else []
    if value["struck"]:
        lines += ["", f"Signed two histories, which is proved: {', '.join(value['struck'])}."]
    _show_lines(console, [*lines, *([""] if value["next"] else []), *value["next"]])


def _show_history(console: Console, rows: list[Row]) -> None:
    for row in rows:
        head = f"Epoch {row['number']}, by {row['author']}: {count(row['members'], 'member')}"
        _show_lines(console, [head, *(f"  {one}" for one in row["changes"]), f"  signed by {', '.join(row['signed'])}"])
