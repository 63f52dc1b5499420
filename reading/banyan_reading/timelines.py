"""The timelines of many accounts, merged, newest first: their posts, what they reposted, and places in pages."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Put, decode_body
from banyan_crdt.shapes import read_single
from banyan_reading.answers import CURSOR, PostView, TimelineLine
from banyan_reading.questions import PostQuestions
from banyan_schema.social import POST
from banyan_storage.engine import ReadTxn, Table, after_prefix
from banyan_storage.entry_records import decode_line
from banyan_storage.errors import CorruptStore
from banyan_storage.slots import LINE, NUMBERED, NUMBERS, SHOW, TIME, TIMELINE, ms_of, place_in, register_slot, shown_at
from banyan_storage.tables import RowLayout, part_place, u48
from banyan_storage.views.social.timeline import SHARES
from banyan_storage.views.view import BY_PLACE, BY_TIME

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

POSTS, WITH_REPOSTS = (TIMELINE,), (TIMELINE, SHARES)
"""The tables of a timeline. Their rows have one form."""


def timeline(
    ask: PostQuestions,
    accounts: Iterable[AccountId],
    before: bytes | None,
    reposts: bool = False,
    after: bytes | None = None,
) -> Iterator[tuple[bytes, PostView | None]]:
    """(cursor, post) of lines (`PostQuestions.lines`); None in the place of what is not held."""
    for line in ask.lines(accounts, before, reposts, after):
        yield line.cursor, ask.posts_at([line]).get(line)


class _Next(NamedTuple):
    """The newest row of a timeline that was not given yet."""

    cursor: bytes
    table: Table
    number: bytes
    row: bytes


def newest(
    txn: ReadTxn, numbers: Mapping[AccountId, bytes], before: bytes | None, tables: Iterable[Table] = POSTS
) -> Iterator[TimelineLine]:
    """The merged timelines of these accounts. The newest row of each is read in one pass; further rows are read only
    from timelines whose row was used. So the cost grows only with the number of accounts and of rows."""
    accounts_of = {number: account for account, number in numbers.items()}
    stops = list(stops_below(sorted(accounts_of.items()), before))
    rows = [
        _Next(_cursor(accounts_of[number], row), table, number, row)
        for table in tables
        for number, row in txn.ending(table, stops)
    ]
    rows.sort()
    walks: dict[tuple[Table, bytes], Iterator[bytes]] = {}
    while rows:
        cursor, table, number, row = rows.pop()
        account = accounts_of[number]
        yield TimelineLine(cursor, place_in(row), table in POSTS)
        walk = walks.get((table, number))
        if walk is None:
            walk = walks[table, number] = txn.dups(table, number, b"", row, reverse=True)
        row = next(walk, b"")
        if row:
            insort(rows, _Next(_cursor(account, row), table, number, row))


def oldest(
    txn: ReadTxn, numbers: Mapping[AccountId, bytes], after: bytes, tables: Iterable[Table] = POSTS
) -> Iterator[TimelineLine]:
    """The same from a cursor on, the oldest first."""

    def rising(table: Table, account: AccountId, number: bytes) -> Iterator[TimelineLine]:
        for row in txn.dups(table, number, after[CURSOR.time]):
            cursor = _cursor(account, row)
            if cursor > after:
                yield TimelineLine(cursor, place_in(row), table in POSTS)

    return merge(*[rising(table, *one) for table in tables for one in numbers.items()], key=lambda line: line.cursor)


def by_time(
    ask: ViewReader, table: Table, keys: Sequence[bytes], before: bytes | None, after: bytes | None
) -> Iterator[TimelineLine]:
    """The posts of some keys of a table (key -> set of: BY_PLACE), newest first: those of one time by the account's
    number, those of one account as they came. before: the cursor of the last line of the page before. after: then what
    is newer than that, the oldest first."""
    txn = ask.reader.txn
    low = b"" if after is None else after_prefix(_row_at(txn, after, b"\0")) or b"\xff"
    high = None if before is None or low else _row_at(txn, before, b"\xff")
    walks = [txn.dups(table, key, low, high, reverse=not low) for key in keys]
    for row in merge(*walks, reverse=not low):
        time, number, place = BY_PLACE.unpack(row)
        yield TimelineLine(time + ask.account(number) + _key_of(ask, place), place)


def _row_at(txn: ReadTxn, cursor: bytes, unknown: bytes) -> bytes:
    """Where a cursor stands in such a table. unknown: stands for each byte of what is not held here any more."""
    time, account, key = CURSOR.unpack(cursor)
    number = txn.get(NUMBERS, account) or b""
    shown = shown_at(txn, register_slot(number, POST, CellKey(key))) if number else b""
    return (time + number + shown[SHOW.place]).ljust(BY_PLACE.place.stop, unknown)


def _key_of(ask: ViewReader, place: bytes) -> bytes:
    """The key of the register that the operation at a place writes."""
    n, at = part_place(place)
    raw = ask.records([u48(n)]).get(u48(n))
    ops = b"" if raw is None else decode_line(n, raw).ops
    if (single := read_single(ops)) is not None:
        return single[2]
    op = decode_body(ops).ops[at] if ops else None
    if not isinstance(op, Put):
        raise CorruptStore(f"the views name a post of arrival {n}, which has none; run a check")
    return op.key


def _cursor(account: AccountId, row: bytes) -> bytes:
    return row[LINE.time] + account + row[LINE.key]


def stops_below(
    accounts: Iterable[tuple[bytes, AccountId]], before: bytes | None
) -> Iterable[tuple[bytes, bytes | None]]:
    """Where the timeline of each account, given as (number, account), stops below a cursor."""
    if before is None:
        return [(number, None) for number, _ in accounts]
    time, author, key = CURSOR.unpack(before)
    after = after_prefix(time)
    return ((n, time + key if a == author else after if a < author else time) for n, a in accounts)


def answers(txn: ReadTxn, table: Table, prefix: bytes, after: bytes | None) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(`CURSOR`, account's number, place) of rows that begin with the prefix, oldest first, those
    of one time by account, whatever their numbers here. after: the first of these three, of the last one read."""
    at, start = len(prefix), prefix if after is None else prefix + after[CURSOR.time]
    rows = txn.scan(table, start, after_prefix(prefix))
    cut = ((BY_TIME.unpack(key[at:]), place) for key, place in rows)
    for time, together in groupby(cut, lambda row: row[0][0]):
        found = []
        for (_, number, key), place in together:
            found.append((time + (txn.get(NUMBERED, number) or b"") + key, number, place))
        for one in sorted(found):
            if after is None or one[0] > after:
                yield one


# Places in pages as their readers have them: text in which the time comes first.

_DIGITS = 2 * TIME.ms.stop
_HOME = RowLayout("ms 6 | counter 2 | account 32 | key 16")
APART = 20
"""Bits of a place in a search below the milliseconds; see search/fts_index.py."""


class HomePlace(NamedTuple):
    """A place at home: the time, the rest of its bytes, and of which line."""

    ms: int
    counter: bytes
    account: AccountId
    key: bytes


def home_place(place: str) -> HomePlace:
    """The parts of a place at home."""
    ms, counter, account, key = _HOME.unpack(bytes.fromhex(place))
    return HomePlace(int.from_bytes(ms, "big"), counter, AccountId(account), key)


def cursor_ms(cursor: bytes) -> int:
    """When the line of a cursor was written, in milliseconds since 1970."""
    return ms_of(cursor[CURSOR.time])


def place_ms(place: str) -> int:
    """The same of a place in a timeline, or of the key of a post that a node wrote, in hexadecimal digits."""
    return int(place[:_DIGITS], 16)


def found_ms(place: str) -> int:
    """The same of a place in a search."""
    return int(place, 16) >> APART


def found_below(ms: int) -> str:
    """The place in a search above all posts of that millisecond."""
    return f"{min((ms + 1) << APART, (1 << 63) - 1):016x}"
