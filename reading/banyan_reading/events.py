"""Events as people read them: by their beginning, of some accounts or of a group, and who answered what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from itertools import groupby

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import CURSOR
from banyan_reading.groups import GroupView
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.event import ANSWERS, EVENT, REPLIES, Answer, EventReply, SocialEvent, moment
from banyan_schema.social.group import group_digest
from banyan_storage.engine import ReadTxn, after_prefix
from banyan_storage.slots import NUMBERED, NUMBERS
from banyan_storage.views.social.events import (
    EVENT_REPLIES,
    EVENT_REPLY,
    EVENT_REPLY_COUNTS,
    EVENT_ROW,
    EVENTS,
    GROUP_EVENTS,
    VIEW,
)
from banyan_storage.views.view import BY_TIME, count_of


@dataclass(frozen=True, slots=True)
class EventView:
    """cursor: for the page behind it."""

    target: Target
    event: SocialEvent

    @property
    def cursor(self) -> bytes:
        return moment(self.event.begins_ms) + self.target.raw


def event_of(ask: Queries, target: Target) -> EventView | None:
    """The event, or None if it is unknown or deleted or its content is not held."""
    ask.need(VIEW.name)
    event, _ = ask.register(target, EVENT)
    return EventView(target, event) if isinstance(event, SocialEvent) else None


def start_of(since_ms: int) -> bytes:
    """The place before all events that begin at that time or later."""
    return moment(since_ms)


def of_accounts(ask: Queries, accounts: Iterable[AccountId], after: bytes) -> Iterator[EventView]:
    """The accounts' events, the first to begin first, then by account and key. after: a cursor, or `start_of`. Reads
    one row of each account, and one more for each event that is used."""
    ask.need(VIEW.name)
    txn = ask.reader.txn
    numbers = [(number, AccountId(who)) for who, number in txn.get_many(NUMBERS, sorted({*accounts}))]
    heads = [row for number, who in numbers if (row := _next(txn, number, who, after)) is not None]
    heapify(heads)
    while heads:
        begins, who, key, number = heads[0]
        follower = _next(txn, number, who, begins + who + key)
        if follower is None:
            heappop(heads)
        else:
            heapreplace(heads, follower)
        found = event_of(ask, Target(who, CellKey(key)))
        if found is not None:
            yield found


def _next(txn: ReadTxn, number: bytes, who: AccountId, after: bytes) -> tuple[bytes, AccountId, bytes, bytes] | None:
    """The account's first event behind a cursor."""
    begins, other, key = CURSOR.unpack(after)
    start = number + begins
    if other:  # of those that begin together, the ones behind the cursor's by account, then by key
        start = (after_prefix(start + key) if who == other else start if who > other else after_prefix(start)) or start
    row = next(iter(txn.scan(EVENTS, start, after_prefix(number), limit=1)), None)
    return None if row is None else (row[0][EVENT_ROW.begins], who, row[0][EVENT_ROW.key], number)


def of_group(ask: Queries, group: GroupView, after: bytes) -> Iterator[tuple[bytes, EventView | None]]:
    """(cursor, event) of a group, the first to begin first; None in the place of what the group does not show: events
    of accounts that are no members, or that were removed, or of those whom the owner blocks."""
    ask.need(VIEW.name)
    txn, start = ask.reader.txn, group_digest(group.target.raw)
    begins, other, key = CURSOR.unpack(after)
    begin = start + begins
    if other:
        number = ask.number(AccountId(other))
        begin = after_prefix(begin + (number or b"") + (key if number else b"")) or begin
    for row, _ in txn.scan(GROUP_EVENTS, begin, after_prefix(start)):
        begins, number, key = BY_TIME.unpack(row[len(start) :])
        target = Target(AccountId(txn.get(NUMBERED, number) or b""), CellKey(key))
        found = event_of(ask, target)
        shows = found is not None and found.event.group == group.target and group.lets(target)
        yield begins + target.raw, found if shows else None


def answers(ask: Queries, event: Target) -> dict[Answer, int]:
    """How many accounts gave each answer."""
    ask.need(VIEW.name)
    txn = ask.reader.txn
    counts = [count_of(txn.get(EVENT_REPLY_COUNTS, event.raw + bytes((n,)))) for n in range(len(ANSWERS))]
    return dict(zip(ANSWERS, counts, strict=True))


def who_answered(ask: Queries, event: Target, answer: Answer, after: AccountId | None) -> Iterator[AccountId]:
    """The accounts that gave an answer, in the order in which this store met them. after: the last one of the page
    before."""
    ask.need(VIEW.name)
    txn, start = ask.reader.txn, event.raw + bytes((ANSWERS.index(answer),))
    number = None if after is None else ask.number(after)
    begin = start if number is None else after_prefix(start + number) or start
    rows = txn.scan(EVENT_REPLIES, begin, after_prefix(start))
    return (AccountId(txn.get(NUMBERED, n) or b"") for n, _ in groupby(key[EVENT_REPLY.account] for key, _ in rows))


def answered(ask: Queries, account: AccountId) -> dict[Target, Answer]:
    """What an account answers to which events. If two of its cells are of one event, the later write counts."""
    found = list[tuple[int, EventReply]]()
    layout = REPLIES.layout
    assert layout is not None
    for item in ask.items(account, REPLIES):
        found.append((item.time_ms, layout.make(*item.values)))
    return {said.event: said.answer for _, said in sorted(found, key=lambda one: one[0])}
