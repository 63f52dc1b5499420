"""Who names an account, and where: the rows of the view `notices`, of what one account does in a day the newest alone.

Of what one account does in a day at most A_DAY things of each kind are told, the newest, or one that mentions somebody
ten thousand times would hide what everybody else says. A day is one of this machine's clock, since an author may date
entries as it likes. The others are passed over without being read, so a page costs the same however many there are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain, islice
from typing import NamedTuple

from banyan_crdt.ids import AccountId
from banyan_schema.notices import NOTICES as WHAT
from banyan_storage.arrivals import arrival_of, quiet_at
from banyan_storage.engine import ReadTxn, after_prefix
from banyan_storage.slots import NUMBERED, NUMBERS, place_bytes
from banyan_storage.tables import part_place, u48
from banyan_storage.views.registry import SHOWN_NAME, cursors, need
from banyan_storage.views.social.notices import NAMING, NAMINGS, NOTICE, NOTICES, VIEW, stretch_of

READ = 65_536
"""Of so many of the last rows of an account is read who names it."""
A_DAY = 20
"""So many things of one account, kind and day are told."""
DAY_MS = 86_400_000
PLACE_BYTES = 8
"""A cursor is the place of an operation."""


class AccountReference(NamedTuple):
    """An entry of `author`, `place`: of its operation, that names the account `named`."""

    place: bytes
    named: AccountId
    author: AccountId


def naming(txn: ReadTxn, accounts: Iterable[AccountId], after: bytes) -> Iterator[AccountReference]:
    """What names these accounts, in the order of places, after this one; the newest of what one account does too often.
    Reads a stretch of rows for each account. Raises ViewBuilding."""
    need(cursors(txn), SHOWN_NAME, VIEW.name)
    authors = dict[bytes, AccountId]()
    told = [_upward(txn, named, after) for named in accounts]
    for place, named, number in merge(*told, *(_untold(txn, named, after) for named in accounts)):
        author = authors.get(number)
        if author is None:
            author = authors[number] = AccountId(txn.get(NUMBERED, number) or b"")
        if author != named:
            yield AccountReference(place, named, author)


def _upward(txn: ReadTxn, named: AccountId, after: bytes) -> Iterator[tuple[bytes, AccountId, bytes]]:
    """(place, the account, number of the one that names it), after this place."""
    start = stretch_of(after)
    while (first := next(txn.dups(NOTICES, named, start), None)) is not None:
        stretch = first[NOTICE.stretch]
        cut = map(NOTICE.unpack, of_stretch(txn, named, stretch, Days(txn)))
        yield from sorted((place, named, number) for _, number, _, place in cut if place > after)
        start = after_prefix(stretch) or first


def _untold(txn: ReadTxn, named: AccountId, after: bytes) -> Iterator[tuple[bytes, AccountId, bytes]]:
    """The same of what it is not told."""
    for row in txn.dups(NAMINGS, named, after_prefix(after) or b""):
        place, number = NAMING.unpack(row)
        yield place, named, number


def namers(txn: ReadTxn, accounts: Iterable[AccountId], authors: Iterable[AccountId]) -> list[AccountReference]:
    """Those of these authors that name one of the accounts, each by the newest place, the newest last. Raises
    ViewBuilding."""
    need(cursors(txn), SHOWN_NAME, VIEW.name)
    numbers = {number: AccountId(author) for author, number in txn.get_many(NUMBERS, sorted(authors))}
    found = dict[AccountId, AccountReference]()
    for named in accounts:
        rows = map(NOTICE.unpack, islice(txn.dups(NOTICES, named, reverse=True), READ))
        told = ((place, number) for _, number, _, place in rows)
        untold = map(NAMING.unpack, islice(txn.dups(NAMINGS, named, reverse=True), READ))
        for place, number in chain(told, untold):
            author = numbers.get(number)
            if author is not None and author != named and (author not in found or found[author].place < place):
                found[author] = AccountReference(place, named, author)
    return sorted(found.values())


def names(txn: ReadTxn, n: int, named: AccountId, author: AccountId) -> bool:
    """Whether the entry with arrival number n is of the author and names the account. Raises ViewBuilding."""
    need(cursors(txn), SHOWN_NAME, VIEW.name)
    number = txn.get(NUMBERS, author)
    groups = [] if number is None else [stretch_of(u48(n)) + number + bytes((what,)) for what in range(len(WHAT))]
    told = any(any(txn.dups(NOTICES, named, group + u48(n), group + u48(n + 1))) for group in groups)
    return told or any(row[NAMING.account] == number for row in txn.dups(NAMINGS, named, u48(n), u48(n + 1)))


class Days:
    """Counts what accounts did in a day, where the newest is read first. by: number of the account, and what it did."""

    def __init__(self, txn: ReadTxn) -> None:
        self._txn = txn
        self._read: defaultdict[bytes, deque[bytes]] = defaultdict(lambda: deque(maxlen=A_DAY))
        """The places that were read last."""

    def takes(self, by: bytes, place: bytes) -> bool:
        """Whether fewer than A_DAY places that were read are of the same day; then this one is read too."""
        read = self._read[by]
        if len(read) == A_DAY and self._day(read[0]) == self._day(place):
            return False
        read.append(place)
        return True

    def begin(self, place: bytes) -> bytes:
        """The first place of the day of a place; the first of all, if it is not known when that arrived."""
        day = self._day(place)
        before = None if day is None else quiet_at(self._txn, day * DAY_MS - 1)
        return bytes(PLACE_BYTES) if before is None else place_bytes(before.n + 1, 0)

    def _day(self, place: bytes) -> int | None:
        arrival = arrival_of(self._txn, part_place(place)[0])
        return None if arrival is None else arrival.time_ms // DAY_MS


def of_stretch(txn: ReadTxn, account: AccountId, stretch: bytes, days: Days) -> Iterator[bytes]:
    """The rows of a stretch, those of one account and kind together, the newest of them first."""
    stop: bytes | None = stretch + b"\xff" * 5
    while stop is not None:
        rows, stop = txn.dups(NOTICES, account, stretch, stop, reverse=True), None
        for row in rows:
            if not days.takes(row[NOTICE.by], row[NOTICE.place]):
                stop = row[NOTICE.begin] + days.begin(row[NOTICE.place])
                break
            yield row
