"""What an account hears of, newest first: the rows of the view `notices` (banyan_storage.account_references), with what
each of them names."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import TypeAlias

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
from banyan_schema.social.label import Label, LabelAppeal, is_whole
from banyan_storage.account_references import Days, of_stretch
from banyan_storage.engine import ReadTxn
from banyan_storage.reader import StoreReader
from banyan_storage.slots import NUMBERED, NUMBERS
from banyan_storage.tables import PARTS, part_place
from banyan_storage.views.social.identity import BROADCAST, BROADCASTS
from banyan_storage.views.social.notices import NOTICE, NOTICES, stretch_of

HOPS = 4
"""To find the next account that told all something takes as long as to look up so many accounts."""


@dataclass(frozen=True, slots=True)
class Notification:
    """what: what happened; of several things that one post does, the first in the order of `WHAT`. who: did it.
    time_ms: of the entry. post: theirs, which answers, quotes or mentions. about: the post of the account that is
    answered, quoted, reacted to, reposted or labelled. edited: theirs is an edit. group: that invites, accepts or is
    asked for; event: to which they invite; channel: of a new episode, whose post is `post`. Whether they may
    is not looked at."""

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


Wanted: TypeAlias = Callable[[Notice, AccountId], bool]
"""What happened, and who did it -> whether to tell it."""

Heard: TypeAlias = tuple[bytes, Notification | None]


Row: TypeAlias = tuple[bytes, bytes, int]
"""Place, number of the account that did it, and the number of what happened."""


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
    last, accounts, days = b"", dict[bytes, AccountId](), Days(txn)
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
        stretch, days = newest[NOTICE.stretch], Days(txn)
        rows = of_stretch(txn, account, stretch, days)
        cut = ((place, number, what[0]) for _, number, what, place in map(NOTICE.unpack, rows))
        found = [row for row in cut if before is None or row[0] < before]
        yield from sorted(found, key=lambda row: (row[0], -row[2]), reverse=True)
        stop = stretch


def _told_all(txn: ReadTxn, tellers: Iterable[AccountId], before: bytes | None) -> Iterator[Row]:
    """What these accounts told all who follow them, newest first. One row of each is read, and one more for each row
    that is used."""
    numbers, days = _speaking(txn, {*tellers}), Days(txn)
    rows = [(row, number) for number, row in txn.ending(BROADCASTS, [(number, before) for number in numbers])]
    rows.sort()
    while rows:
        row, number = rows.pop()
        (place, what), stop = BROADCAST.unpack(row), row
        if days.takes(number, place):
            yield place, number, what[0]
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
) -> Notification | None:
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
    elif isinstance(said, Label | LabelAppeal):
        about = None if is_whole(said.about) else said.about
    edited = isinstance(op, Put) and bool(op.refs)
    group = said.group if isinstance(said, GroupAct | GroupJoin) else None
    time_ms = entry.header.time >> 16
    event = said.event if isinstance(said, EventInvite) else None
    channel = None
    if isinstance(said, Episode):
        post, channel = said.post, said.channel
    return Notification(what, who, time_ms, post, about, emoji, edited, Ref(entry.id, at), group, event, channel)
