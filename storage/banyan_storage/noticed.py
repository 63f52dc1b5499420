"""What an account hears of, newest first: the rows of the view `notices`, with what each of them names.

Of what one account does in a day at most A_DAY things of each kind are told, the newest, or one that mentions somebody
ten thousand times would hide what everybody else says. A day is one of this machine's clock, since an author may date
entries as it likes. The others are passed over without being read, so a page costs the same however many there are.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add, Put, decode_body
from banyan_crdt.parts import content_of
from banyan_schema.notices import NOTICES as WHAT
from banyan_schema.notices import Notice
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Post, Reaction, Repost, Target
from banyan_schema.social.channel import Episode
from banyan_schema.social.event import EventInvite
from banyan_schema.social.group import GroupAct, GroupJoin

from .arrived import arrival_of, quiet_at
from .engine import ReadTxn, after_prefix
from .reader import StoreReader
from .tables import PARTS, part_place, u48
from .view_rows import NUMBERED, NUMBERS, place_bytes
from .views.progress import cursors, need
from .views.registry import SHOWN_NAME
from .views.social.moves import BROADCASTS
from .views.social.notices import NAMINGS, NOTICES, VIEW, stretch_of

READ = 65_536
"""Of so many of the last rows of an account is read who names it."""
A_DAY = 20
"""So many things of one account, kind and day are told."""
DAY_MS = 86_400_000
PLACE_BYTES = 8
"""A cursor is the place of an operation."""
HOPS = 4
"""To find the next account that told all something takes as long as to look up so many accounts."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """what: what happened; of several things that one post does, the first in the order of `WHAT`. who: did it.
    time_ms: of the entry. post: theirs, which answers, quotes or mentions. about: the post of the account that is
    answered, quoted, reacted to or reposted. edited: theirs is an edit. group: that invites, accepts or is asked for;
    event: to which they invite; channel: of a new episode, whose post is `post`. Whether they may is not looked at."""

    what: Notice
    who: AccountId
    time_ms: int
    post: Target | None
    about: Target | None
    emoji: str | None
    edited: bool
    ref: Ref
    group: Target | None = None
    event: Target | None = None
    channel: Target | None = None


class Naming(NamedTuple):
    """An entry of `author`, `place`: of its operation, that names the account `named`."""

    place: bytes
    named: AccountId
    author: AccountId


def naming(txn: ReadTxn, accounts: Iterable[AccountId], after: bytes) -> Iterator[Naming]:
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
            yield Naming(place, named, author)


def _upward(txn: ReadTxn, named: AccountId, after: bytes) -> Iterator[tuple[bytes, AccountId, bytes]]:
    """(place, the account, number of the one that names it), after this place."""
    start = stretch_of(after)
    while (first := next(txn.dups(NOTICES, named, start), None)) is not None:
        rows = _of_stretch(txn, named, first[:5], _Days(txn))
        yield from sorted((row[10:], named, row[5:9]) for row in rows if row[10:] > after)
        start = after_prefix(first[:5]) or first


def _untold(txn: ReadTxn, named: AccountId, after: bytes) -> Iterator[tuple[bytes, AccountId, bytes]]:
    """The same of what it is not told."""
    for row in txn.dups(NAMINGS, named, after_prefix(after) or b""):
        yield row[:PLACE_BYTES], named, row[PLACE_BYTES:]


def namers(txn: ReadTxn, accounts: Iterable[AccountId], authors: Iterable[AccountId]) -> list[Naming]:
    """Those of these authors that name one of the accounts, each by the newest place, the newest last. Raises
    ViewBuilding."""
    need(cursors(txn), SHOWN_NAME, VIEW.name)
    numbers = {number: AccountId(author) for author, number in txn.get_many(NUMBERS, sorted(authors))}
    found = dict[AccountId, Naming]()
    for named in accounts:
        told = ((row[10:], row[5:9]) for row in islice(txn.dups(NOTICES, named, reverse=True), READ))
        untold = ((row[:8], row[8:]) for row in islice(txn.dups(NAMINGS, named, reverse=True), READ))
        for place, number in chain(told, untold):
            author = numbers.get(number)
            if author is not None and author != named and (author not in found or found[author].place < place):
                found[author] = Naming(place, named, author)
    return sorted(found.values())


def names(txn: ReadTxn, n: int, named: AccountId, author: AccountId) -> bool:
    """Whether the entry with arrival number n is of the author and names the account. Raises ViewBuilding."""
    need(cursors(txn), SHOWN_NAME, VIEW.name)
    number = txn.get(NUMBERS, author)
    groups = [] if number is None else [stretch_of(u48(n)) + number + bytes((what,)) for what in range(len(WHAT))]
    told = any(any(txn.dups(NOTICES, named, group + u48(n), group + u48(n + 1))) for group in groups)
    return told or any(row[PLACE_BYTES:] == number for row in txn.dups(NAMINGS, named, u48(n), u48(n + 1)))


Wanted: TypeAlias = Callable[[Notice, AccountId], bool]
"""What happened, and who did it -> whether to tell it."""

Heard: TypeAlias = tuple[bytes, Noticed | None]


Row: TypeAlias = tuple[bytes, bytes, int]
"""Place, number of the account that did it, and the number of what happened."""


class _Days:
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
        arrival = arrival_of(self._txn, int.from_bytes(place[:6], "big"))
        return None if arrival is None else arrival.time_ms // DAY_MS


def noticed(
    txn: ReadTxn,
    reader: StoreReader,
    account: AccountId,
    before: bytes | None,
    wanted: Wanted,
    tellers: Iterable[AccountId] = (),
) -> Iterator[Heard]:
    """(cursor, what it heard of), newest first, without what the account did itself. None in the place of what is not
    wanted, or cannot be read any more, so that a caller can stop. tellers: the accounts of which it hears too what they
    tell all who follow them."""
    last, accounts, days = b"", dict[bytes, AccountId](), _Days(txn)
    own = _own(txn, account, before)
    for place, number, what in merge(own, _told_all(txn, tellers, before), key=itemgetter(0), reverse=True):
        if place == last:
            continue
        last = place
        who = accounts.get(number)
        if who is None:
            who = accounts[number] = AccountId(txn.get(NUMBERED, number) or b"")
        told = who != account and wanted(WHAT[what], who) and days.takes(number + bytes((what,)), place)
        yield place, _read(txn, reader, who, account, place, WHAT[what]) if told else None


def _own(txn: ReadTxn, account: AccountId, before: bytes | None) -> Iterator[Row]:
    """What was told to the account, newest first: of each stretch the newest of each account, kind and day. Of what one
    operation does, the first is first."""
    stop = None if before is None else stretch_of(before, 1)
    while (newest := next(txn.dups(NOTICES, account, b"", stop, reverse=True), None)) is not None:
        stretch, days = newest[:5], _Days(txn)
        rows = _of_stretch(txn, account, stretch, days)
        found = [(row[10:], row[5:9], row[9]) for row in rows if before is None or row[10:] < before]
        yield from sorted(found, key=lambda row: (row[0], -row[2]), reverse=True)
        stop = stretch


def _of_stretch(txn: ReadTxn, account: AccountId, stretch: bytes, days: _Days) -> Iterator[bytes]:
    """The rows of a stretch, those of one account and kind together, the newest of them first."""
    stop: bytes | None = stretch + b"\xff" * 5
    while stop is not None:
        rows, stop = txn.dups(NOTICES, account, stretch, stop, reverse=True), None
        for row in rows:
            if not days.takes(row[5:10], row[10:]):
                stop = row[:10] + days.begin(row[10:])
                break
            yield row


def _told_all(txn: ReadTxn, tellers: Iterable[AccountId], before: bytes | None) -> Iterator[Row]:
    """What these accounts told all who follow them, newest first. One row of each is read, and one more for each row
    that is used."""
    numbers, days = _speaking(txn, {*tellers}), _Days(txn)
    rows = [(row, number) for number, row in txn.ending(BROADCASTS, [(number, before) for number in numbers])]
    rows.sort()
    while rows:
        row, number = rows.pop()
        place, stop = row[:PLACE_BYTES], row
        if days.takes(number, place):
            yield place, number, row[PLACE_BYTES]
        else:
            stop = days.begin(place)
        older = next(txn.dups(BROADCASTS, number, b"", stop, reverse=True), None)
        if older is not None:
            insort(rows, (older, number))


def _speaking(txn: ReadTxn, tellers: set[AccountId]) -> list[bytes]:
    """Numbers of those of them that ever told all something, ascending; or of all of them, when so many accounts did
    that it takes longer to find out: most told nothing."""
    numbers, after = list[bytes](), b""
    while row := next(txn.scan(BROADCASTS, after, limit=1), None):
        numbers.append(row[0])
        after = row[0] + b"\0"
        if len(numbers) * HOPS > len(tellers):
            return sorted(number for _, number in txn.get_many(NUMBERS, sorted(tellers)))
    return [number for number, who in txn.get_many(NUMBERED, numbers) if who in tellers]


def _read(
    txn: ReadTxn, reader: StoreReader, who: AccountId, account: AccountId, place: bytes, what: Notice
) -> Noticed | None:
    n, at = part_place(place)
    entry, part = reader.at(n), txn.get(PARTS, place)
    if entry is None or part is None:
        return None
    op = decode_body(entry.ops).ops[at]
    if not isinstance(op, Put | Add):
        return None
    said = SOCIAL.decode(op.coll, op, content_of(part))
    post, about, emoji = None, None, None
    if isinstance(said, Post):
        post = Target(who, CellKey(op.key))
        named = [said.quote if what == "quote" else None, said.reply.parent if said.reply else None]
        about = next((target for target in named if target is not None and target.account == account), None)
    elif isinstance(said, Reaction | Repost):
        about, emoji = said.target, said.emoji if isinstance(said, Reaction) else None
    edited = isinstance(op, Put) and bool(op.refs)
    group = said.group if isinstance(said, GroupAct | GroupJoin) else None
    time_ms = entry.header.time >> 16
    event = said.event if isinstance(said, EventInvite) else None
    channel = None
    if isinstance(said, Episode):
        post, channel = said.post, said.channel
    return Noticed(what, who, time_ms, post, about, emoji, edited, Ref(entry.id, at), group, event, channel)
