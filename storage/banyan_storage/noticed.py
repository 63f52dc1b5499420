"""What an account hears of, newest first: the rows of the view `notices`, with what each of them names."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add, Put, decode_body
from banyan_crdt.parts import content_of
from banyan_schema.notices import NOTICES as WHAT
from banyan_schema.notices import UNTOLD, Notice
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Post, Reaction, Repost, Target
from banyan_schema.social.channel import Episode
from banyan_schema.social.event import EventInvite
from banyan_schema.social.group import GroupAct, GroupJoin

from .engine import ReadTxn, after_prefix
from .reader import StoreReader
from .tables import PARTS, part_place, u48
from .view_rows import NUMBERED, NUMBERS
from .views.progress import cursors, need
from .views.registry import SHOWN_NAME
from .views.social.moves import BROADCASTS
from .views.social.notices import NOTICES, VIEW

PLACE_BYTES, NUMBER_BYTES = 8, 4
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
    """What names these accounts, in the order of places, after this one. Reads two rows for each account, and one for
    each that is used. Raises ViewBuilding."""
    need(cursors(txn), SHOWN_NAME, VIEW.name)
    start, authors = after_prefix(after) or b"", dict[bytes, AccountId]()
    both = [(named, key) for named in accounts for key in _keys(named)]
    rows = (((row[:PLACE_BYTES], named, row) for row in txn.dups(NOTICES, key, start)) for named, key in both)
    for place, named, row in merge(*rows):
        number = row[-NUMBER_BYTES:]
        author = authors.get(number)
        if author is None:
            author = authors[number] = AccountId(txn.get(NUMBERED, number) or b"")
        if author != named:
            yield Naming(place, named, author)


def names(txn: ReadTxn, n: int, named: AccountId) -> bool:
    """Whether the entry with arrival number n names the account. Raises ViewBuilding."""
    need(cursors(txn), SHOWN_NAME, VIEW.name)
    return any(any(txn.dups(NOTICES, key, u48(n), u48(n + 1))) for key in _keys(named))


def _keys(named: AccountId) -> tuple[bytes, bytes]:
    """Of what it is told, and of what it is not."""
    return named, named + UNTOLD


Wanted: TypeAlias = Callable[[Notice, AccountId], bool]
"""What happened, and who did it -> whether to tell it."""

Heard: TypeAlias = tuple[bytes, Noticed | None]


Row: TypeAlias = tuple[bytes, bytes, Notice | None]
"""Place, number of the account that did it, and what it told all who follow it, or None: see `_least`."""


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
    last, accounts = b"", dict[bytes, AccountId]()
    rows = txn.dups(NOTICES, account, b"", before, reverse=True)
    own: Iterator[Row] = ((row[:PLACE_BYTES], row[PLACE_BYTES + 1 :], None) for row in rows)
    for place, number, told_all in merge(own, _told_all(txn, tellers, before), key=itemgetter(0), reverse=True):
        if place == last:
            continue
        last = place
        who = accounts.get(number)
        if who is None:
            who = accounts[number] = AccountId(txn.get(NUMBERED, number) or b"")
        what = told_all or _least(txn, account, place)
        told = who != account and wanted(what, who)
        yield place, _read(txn, reader, who, account, place, what) if told else None


def _told_all(txn: ReadTxn, tellers: Iterable[AccountId], before: bytes | None) -> Iterator[Row]:
    """What these accounts told all who follow them, newest first. One row of each is read, and one more for each row
    that is used."""
    numbers = _speaking(txn, {*tellers})
    rows = [(row, number) for number, row in txn.ending(BROADCASTS, [(number, before) for number in numbers])]
    rows.sort()
    while rows:
        row, number = rows.pop()
        yield row[:PLACE_BYTES], number, WHAT[row[PLACE_BYTES]]
        older = next(txn.dups(BROADCASTS, number, b"", row, reverse=True), None)
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


def _least(txn: ReadTxn, account: AccountId, place: bytes) -> Notice:
    """The first of what one operation does to the account."""
    row = next(txn.dups(NOTICES, account, place, None))
    return WHAT[row[PLACE_BYTES]]


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
