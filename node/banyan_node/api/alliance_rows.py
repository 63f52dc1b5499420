"""A charter for people and programs: its members, what stands, what is open, and what a content changes, in words."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from banyan_charter.acts import (
    Admit,
    Change,
    Content,
    EpochCommit,
    Expel,
    Proposal,
    Remark,
    Renew,
    Roll,
    RollAnswer,
    SetParameters,
    Sleep,
    Wake,
)
from banyan_charter.ballots import locked
from banyan_charter.keytree import LEAVES
from banyan_charter.ledger import ActLedger
from banyan_charter.rules import Epoch, double_signers, first_epoch
from banyan_charter.values import ROLL_CALLS, Authority, Parameters, Scope, Seat
from banyan_crdt.ids import AccountId, EntryId, account_to_text
from banyan_node.alliance.papers import BadPaper
from banyan_node.alliance.seat_file import SeatFile, adopted
from banyan_node.api.declare import Response
from banyan_node.api.json_types import Did, DigestHex, EntryHex, did, digest_hex, entry_hex
from banyan_node.terminal_escape import plain

ROLL_CALL_MS, KEYS_LEFT = 90 * 86_400_000, 100
"""After so long without a roll call, and with so few keys left, `next_steps` says it."""
KINDS = ("host", "publisher", "authority", "observer")
"""Names of `Kind`, in its order."""


class SeatRow(Response):
    """A seat of the last epoch. kind: host, publisher, authority or observer. missed: roll calls since its last answer.
    root: of its keys. since: the number that the first of them signs. confirmed: whether the account's own log says
    that the seat is its; null where no node was asked."""

    account: Did
    domain: str
    kind: str
    voting: bool
    awake: bool
    missed: int
    root: DigestHex
    since: int
    confirmed: bool | None = None


class OpenContent(Response):
    """What the next epoch may be. author: a domain, as all members here. changes: sentences. ballot: the last one with
    votes for it, 0: none. locked: whether they lock it there. voted, committed: in that ballot. missing: who may still
    sign what it needs next."""

    id: EntryHex
    author: str
    changes: list[str]
    ballot: int
    locked: bool
    voted: list[str]
    committed: list[str]
    missing: list[str]


class AllianceStatus(Response):
    """epoch: the last that stands, null while founders sign; missing: those who did not. number: of the open one.
    needed: signatures for it. struck: who was proved to sign two histories of it. digest: equal where all acts are."""

    charter: EntryHex
    name: str
    epoch: int | None
    members: int
    votes: int
    needed: int
    missing: list[str]
    number: int
    contents: list[OpenContent]
    struck: list[str]
    acts: int
    digest: DigestHex


class EpochRow(Response):
    """An epoch that stands. signed: who committed to it. votes: in it."""

    number: int
    id: EntryHex
    author: str
    changes: list[str]
    members: int
    votes: int
    signed: list[str]


def needed(votes: int) -> int:
    """How many are more than 2/3."""
    return votes * 2 // 3 + 1


def member_rows(ledger: ActLedger) -> list[SeatRow]:
    """Of the last epoch, or of the founding."""
    return [
        SeatRow(
            *(did(s.member), s.domain.decode(), KINDS[s.kind], s.voting, s.awake, s.missed),
            *(digest_hex(s.root), s.since),
        )
        for s in _last(ledger).seats.values()
    ]


def status_of(ledger: ActLedger) -> AllianceStatus:
    """See `AllianceStatus`."""
    last, number = _last(ledger), len(ledger.epochs)
    votes = _votes(last)
    return AllianceStatus(
        entry_hex(EntryId(ledger.charter)),
        plain(ledger.founding.name.decode()),
        number - 1 if number else None,
        len(last.seats),
        votes,
        needed(votes) if number else len(last.seats),
        [] if number else _unsigned(ledger, last),
        number,
        list(open_contents(ledger)),
        [domain_in(last, m) for m in _struck(ledger, number)],
        len(ledger),
        digest_hex(ledger.digest),
    )


def _struck(ledger: ActLedger, number: int) -> tuple[AccountId, ...]:
    """Whose signatures of the open number contradict each other."""
    if (c := ledger.counts.get(number)) is None:
        return ()
    return c.named(double_signers(c, [a for a in ledger.acts(number) if isinstance(a, Content) or a.content in c.who]))


def _unsigned(ledger: ActLedger, first: Epoch) -> list[str]:
    """The founders whose signature is missing."""
    signed = {a.member for a in ledger.acts(0) if isinstance(a, EpochCommit) and a.member in first.seats}
    return [s.domain.decode() for m, s in first.seats.items() if m not in signed]


def open_contents(ledger: ActLedger) -> Iterator[OpenContent]:
    """Those of the open number that may follow the last epoch."""
    number = len(ledger.epochs)
    if (c := ledger.counts.get(number)) is None:
        return
    before, locks = ledger.epochs[-1], locked(c)
    for x in ledger.contents(number):
        if (who := c.who.get(x.id)) is None:
            continue
        ballot = locks.get(x.id) or max((b for b, y in c.voted if y == x.id), default=0)
        voted, committed = c.voted.get((ballot, x.id), 0), c.committed.get((ballot, x.id), 0)
        left = who.old & ~committed if x.id in locks else (who.old | who.new) & ~voted
        names = ([domain_in(before, m, who.after) for m in c.named(some)] for some in (voted, committed, left))
        yield OpenContent(
            entry_hex(EntryId(x.id)),
            domain_in(before, x.author),
            changes(before, who.after, x),
            *(ballot, x.id in locks),
            *names,
        )


def history_of(ledger: ActLedger, since: int = 1) -> Iterator[EpochRow]:
    """From this number on, the oldest first."""
    for x in adopted(ledger, since):
        before, after = ledger.epochs[x.number - 1 : x.number + 1]
        c = ledger.counts[x.number]
        signed = next(f.commits for f in c.certificates if f.content == x.id)
        names = [domain_in(before, m, after) for m in c.named(signed)]
        row = entry_hex(EntryId(x.id)), domain_in(before, x.author), changes(before, after, x)
        yield EpochRow(x.number, *row, len(after.seats), _votes(after), names)


def changes(before: Epoch, after: Epoch, x: Content) -> list[str]:
    """What a content changes, a sentence each; the last one says the thresholds."""
    said = [sentence for p in x.proposals for sentence in _words(p, before, after)]
    was, will = _votes(before), _votes(after)
    votes = f"{was} votes as before" if was == will else f"{was} votes become {will}"
    as_before = "" if was == will or needed(was) != needed(will) else ", as before"
    return [*said, f"{votes}, of which {needed(will)} are needed{as_before}."]


def _words(p: Proposal, before: Epoch, after: Epoch) -> Iterator[str]:
    if isinstance(p, Roll):
        yield f"A roll call: who answers none of {ROLL_CALLS} may be put to sleep."
    elif isinstance(p, Remark):
        yield f"Note: {plain(p.text.decode())}"
    elif isinstance(p, SetParameters):
        yield from parameter_changes(before, p.parameters)
    elif isinstance(p, Admit):
        s = p.seat
        vote = "with a vote" if s.voting else "without a vote"
        yield f"{s.domain.decode()} joins as {_a(s)}, {vote} ({account_to_text(s.member)})."
    else:
        name = domain_in(before, p.member, after)
        if isinstance(p, Change):
            yield from _change(before.seats[p.member], p)
        elif isinstance(p, Renew):
            by = "its spare key" if isinstance(p.by, bytes) else "its key"
            yield f"{name} gets other keys, as {by} asks."
        else:
            yield f"{name} {_VERBS[type(p)]}."


_VERBS: dict[type, str] = {
    Expel: "is expelled",
    RollAnswer: "answers the roll call",
    Sleep: "is put to sleep: it has no vote until it wakes",
    Wake: "wakes and has its vote again",
}


def _a(s: Seat) -> str:
    return f"{'an' if KINDS[s.kind][0] in 'ao' else 'a'} {KINDS[s.kind]}"


def _change(was: Seat, p: Change) -> Iterator[str]:
    name = was.domain.decode()
    if p.domain != was.domain:
        yield f"{name} is {p.domain.decode()} from then on."
    if p.kind != was.kind:
        yield f"{name} is {_a(was._replace(kind=p.kind))}, no longer {_a(was)}."
    if p.voting != was.voting:
        yield f"{name} {'gets a vote' if p.voting else 'loses its vote'}."


def parameter_changes(before: Epoch, new: Parameters) -> Iterator[str]:
    """What is not as before, a sentence each."""
    for name, old, now in zip(Parameters._fields, before.parameters, new, strict=True):
        if isinstance(now, int) and old != now:
            yield f"The parameter {name} is {now:,}, not {old:,}."
        elif isinstance(now, tuple) and isinstance(old, tuple):
            for one in old:
                if one not in now:
                    yield f"The parameter {name} loses {_shown(one, before)}."
            for one in now:
                if one not in old:
                    yield f"The parameter {name} gets {_shown(one, before)}."


def _shown(value: object, before: Epoch) -> str:
    def names(accounts: Iterable[AccountId]) -> str:
        seats = before.seats
        texts = (seats[a].domain.decode() if a in seats else account_to_text(a) for a in accounts)
        return ", ".join(texts) or "nobody"

    match value:
        case Authority(account, scopes, cap):
            return f"{names([account])}, which orders for {b', '.join(scopes).decode()}, alone {cap:,} posts a day"
        case Scope(name, members, judges):
            return f"{name.decode()}, where {names(members)} carry out orders and {names(judges)} judge appeals"
        case bytes():
            return names([AccountId(value)]) if len(value) == 32 else value.decode("utf-8", "replace")
    return str(value)


def next_steps(ledger: ActLedger, mine: SeatFile | None, now_ms: int | None = None) -> list[str]:
    """What the operator of this seat may run next, a sentence each. now_ms: of its clock; no rule reads one."""
    if mine is None or mine.charter != ledger.charter or not ledger.epochs:
        return []
    number, me, said = len(ledger.epochs), mine.seat.domain.decode(), list[str]()
    for row in open_contents(ledger):
        if me in row.missing:
            said.append(
                f"`banyan alliance vote {row.id[:16]}`: {'a commit' if row.locked else 'a vote'} of yours is missing."
            )
    here = ledger.epochs[-1].seats.get(mine.seat.member)
    if here is None:
        return said
    if here.missed or not here.awake:
        said.append(f"`banyan alliance answer`: your seat {'missed a roll call' if here.awake else 'is asleep'}.")
    if mine.seat.since + LEAVES - number < KEYS_LEFT and mine.next is None:
        said.append(f"`banyan alliance renew`: its last key is for epoch {mine.seat.since + LEAVES - 1}.")
    now_ms = now_ms or time.time_ns() // 1_000_000
    if here.votes and mine.rolled_ms and now_ms - mine.rolled_ms > ROLL_CALL_MS and not ledger.counts[number].who:
        said.append("`banyan alliance roll-call`: the last one was more than 90 days ago.")
    return said


def domain_in(epoch: Epoch, member: AccountId, *more: Epoch) -> str:
    """The domain of a member there, or in one of these; of none the beginning of its account."""
    found = (e.seats[member].domain.decode() for e in (epoch, *more) if member in e.seats)
    return next(found, member.hex()[:16])


def member_of(ledger: ActLedger, text: str) -> Seat:
    """The seat of a domain or an account. Raises BadPaper."""
    seats = _last(ledger).seats.values()
    for s in seats:
        if text in (s.domain.decode(), account_to_text(s.member)):
            return s
    known = ", ".join(s.domain.decode() for s in list(seats)[:8])
    raise BadPaper(f"'{text}' is no member; members are {known}{', ...' if len(seats) > 8 else ''}.")


def _last(ledger: ActLedger) -> Epoch:
    return ledger.epochs[-1] if ledger.epochs else first_epoch(ledger.founding)


def _votes(epoch: Epoch) -> int:
    return sum(s.votes for s in epoch.seats.values())
