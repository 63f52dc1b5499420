"""What a slot shows, a pure function of its live operations and the held content; and these operations, in the order
that decides it.

Stamps (`STAMP`) are ordered by time. Two devices of an account may write entries with the same time; then
their ids decide, not the order of arrival, which differs between nodes.
"""

from __future__ import annotations

import struct
from collections import abc
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from heapq import merge
from itertools import pairwise
from typing import Any, NamedTuple

from banyan_crdt.ids import CellKey, Coll, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.collection import Collection, Facts, SeedIn
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Content
from banyan_schema.social.post import time_in
from banyan_storage.engine import Item, ReadTxn, Table, after_prefix
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader
from banyan_storage.tables import RowLayout, part_place

# A slot is one register, or one element of one set. A register shows its last live write (by time, entry id, op index);
# if that one's content is not held it shows nothing, because an older text would be wrong. An element shows its last
# live add with held content. The shown write is a row of `SHOWN`, other live operations are rows of `CELLS`.
#
# A row of `SHOWN` has a place and a seed: the small part of the content from which the rows of other views are made
# (views/). So these rows can be deleted after the content is gone, and rebuilt without reading it.
#
# Posts have a row in `TIMELINE`, by time. The key of the usual post begins with its time, so this row is found by the
# key too, and says all that a row of `SHOWN` would. Such a post has no other row here.
#
# Rows name operations by place (arrival number and op index, the key of the content), accounts by this store's own
# four-byte numbers, and posts by account id and key, because a post may be answered before its author is known here.
# All rows of an account are values of one key, its number, so the number is not repeated.

REGISTER, ELEMENT = b"\x01", b"\x02"
"""The kind of a slot."""

NUMBERS = Table("account_numbers")
"""account 32 -> account number 4"""
NUMBERED = Table("accounts_by_number")
"""account number 4 -> account 32"""
CELLS = Table("cells", dupsort=True)
"""account number 4 -> set of: SLOT.own | STAMP. Live operations that are not shown."""
TOMBS = Table("tombs", dupsort=True)
"""account number 4 -> set of: TOMB.cell"""
COVERS = Table("covers", dupsort=True)
"""account number 4 -> set of: COVER. Covered operations that were not live at the time."""
SHOWN = Table("shown", dupsort=True)
"""account number 4 -> set of: SLOT.own | SHOW"""
TIMELINE = Table("timeline", dupsort=True)
"""account number 4 -> set of: LINE, of each post that shows"""
PER_ACCOUNT = (CELLS, TOMBS, COVERS, SHOWN, TIMELINE)
"""All rows of an account are of one key, its number."""
SHOWN_TABLES = (NUMBERS, NUMBERED, *PER_ACCOUNT)
SHOWN_LAYOUT = 3
"""Version of the rows of these tables."""

SLOT = RowLayout(
    "account 4 | coll 8 | kind 1 | key 16 | element 16", own="coll", of="coll kind", begin="account kind", unique="key"
)
"""account: its number. Only a slot of a set has an element. own: all but the account."""
TARGET = RowLayout("account 32 | key 16")
"""A post, by its account itself."""
TIME = RowLayout("ms 6 | counter 2")
TIME_BYTES, PLACE_BYTES = TIME.counter.stop, 8
NO_COUNTER = bytes(TIME_BYTES - TIME.ms.stop)
STAMP = RowLayout("time 8 | arrival 6 | op 2", place="arrival")
SHOW = RowLayout("place 8 | seed")
LINE = RowLayout("time 8 | key 16 | place 8 | rest")
"""key: of the post. rest: of its seed, behind the time, if the row stands for the one in `SHOWN`. A row ends before the
operation of its place if that is the first and nothing follows, which is usual: see `place_in`."""
FIRST_OP = bytes(2)
POSTS = POST + REGISTER
"""Where the slots of posts begin, without the account."""
TOMB = RowLayout("account 4 | coll 8 | key 16", cell="coll")
COVER = RowLayout("entry 32 | op 2 | cell")
"""cell: coll 8, covered by a del, or coll 8 | key 16, by a put."""
KINDS = {"register": REGISTER, "set": ELEMENT}
"""The kind of the slots of a collection, by how it merges."""
SMALL, KEPT = 1_024, 8_192
"""Content of at most so many bytes is kept read, so much of it: the same names and posts are read for many pages."""
_OF_SLOT: dict[bytes, Collection[Any]] = {of.id + KINDS[of.merge]: of for of in SOCIAL if of.merge in KINDS}
"""Collection and kind of a slot -> its collection."""
_SEED_IN = {kind: of.seed_in for kind, of in _OF_SLOT.items()}

ContentOf = Callable[[bytes], bytes | None]
"""Returns the content at a place, or None if it is not held."""


class SlotContent(NamedTuple):
    """What one slot shows. `slot`: SLOT. `place`: of the operation. `seed`: see banyan_schema.collection."""

    slot: bytes
    place: bytes
    seed: bytes

    @property
    def account(self) -> bytes:
        """The account's number, 4 bytes."""
        return self.slot[SLOT.account]


class ShownWrite(NamedTuple):
    """The write that a slot shows."""

    stamp: bytes
    seed: bytes


def register_slot(account: bytes, coll: Coll, key: CellKey) -> bytes:
    """The account's number, then the slot."""
    return account + coll + REGISTER + key


def element_slot(account: bytes, coll: Coll, key: CellKey, elem: CellKey) -> bytes:
    return account + coll + ELEMENT + key + elem


def slot_of(account: bytes, op: Put | Add) -> bytes:
    if isinstance(op, Put):
        return account + op.coll + REGISTER + op.key
    return account + op.coll + ELEMENT + op.key + op.elem


def size_of(slot: bytes) -> int:
    """The length of a slot with its account's number. `slot`: begins with it."""
    last = SLOT.key if slot[SLOT.kind] == REGISTER else SLOT.element
    return int(last.stop)


def rows_shown(shows: SlotContent) -> list[tuple[Table, bytes, bytes]]:
    """The rows (table, key, value) that say what a slot shows."""
    slot, place, seed = shows
    row = SHOWN, slot[SLOT.account], slot[SLOT.own] + place + seed
    if slot[SLOT.of] != POSTS:
        return [row]
    key, time = slot[SLOT.key], time_in(seed)
    usual = usual_time(key) == time
    rest = seed[TIME_BYTES:] if usual else b""
    line = TIMELINE, slot[SLOT.account], time + key + (place + rest if rest else place.removesuffix(FIRST_OP))
    return [line] if usual else [row, line]


def usual_time(key: bytes) -> bytes:
    """The time of a post whose key, or first bytes of a key, begins with its time."""
    return key[TIME.ms] + NO_COUNTER


def all_shown(txn: ReadTxn, account: bytes, start: bytes = b"", stop: bytes | None = None) -> Iterator[SlotContent]:
    """What the slots from `start` to `stop` show, in their order. account: its number, without which the slots are
    given."""
    others = (_shown_in(account + row) for row in txn.dups(SHOWN, account, start, stop))
    if start[: len(POSTS)] > POSTS or (stop is not None and stop <= POSTS):
        return others
    low, high = (of[len(POSTS) :] if of is not None and of.startswith(POSTS) else b"" for of in (start, stop))
    return merge(others, _usual_posts(txn, account, low, high or None))


def _usual_posts(txn: ReadTxn, account: bytes, low: bytes, high: bytes | None) -> Iterator[SlotContent]:
    """What the posts show whose keys begin with their time. low, high: keys, or first bytes of keys."""
    for row in txn.dups(TIMELINE, account, low[TIME.ms], None if high is None else after_prefix(high[TIME.ms])):
        time, key, _, rest = LINE.unpack(row)
        if usual_time(key) == time and low <= key and (high is None or key < high):
            yield SlotContent(account + POSTS + key, place_in(row), time + rest)


def place_in(row: bytes) -> bytes:
    """The place in a `LINE`, 8 bytes."""
    return row[LINE.place].ljust(PLACE_BYTES, b"\0")


def _shown_in(row: bytes) -> SlotContent:
    """row: of `SHOWN`, behind the account's number."""
    size = size_of(row)
    return SlotContent(row[:size], *SHOW.unpack(row[size:]))


def ms_of(time: bytes) -> int:
    """Milliseconds since 1970: the first six of the eight bytes of a time."""
    return int.from_bytes(time[TIME.ms], "big")


stamp_bytes = struct.Struct(">QQ").pack
"""(time, n << 16 | op) -> time 8 | place 8."""


def place_bytes(n: int, op: int) -> bytes:
    return (n << 16 | op).to_bytes(8, "big")


def ref_bytes(ref: Ref) -> bytes:
    return ref.entry + ref.op.to_bytes(2, "big")


def read_content(kind: bytes, raw: bytes) -> Content | None:
    """`raw` as content of slots of this collection and kind (9 bytes)."""
    return (_read if len(raw) > SMALL else _read_again)(kind, raw)


def _read(kind: bytes, raw: bytes) -> Content | None:
    of = _OF_SLOT.get(kind)
    return None if of is None else of.decode(raw)


_read_again = lru_cache(KEPT)(_read)


def shown(slot: bytes, live: Sequence[bytes], content_of: ContentOf) -> ShownWrite | None:
    """The write that is shown, or None. live: the slot's stamps, the last write last."""
    for stamp in reversed(live):
        raw = content_of(stamp[STAMP.place])
        seed = None if raw is None else seed_of(slot, stamp[STAMP.time], raw)
        if seed is not None:
            return ShownWrite(stamp, seed)
        if slot[SLOT.kind] == REGISTER:
            return None
    return None


def seeds_of(kind: bytes) -> SeedIn:
    """What makes the seeds of slots of this collection and kind (9 bytes): `seed_of`, but from the checked bytes of a
    part."""
    return _SEED_IN.get(kind, _no_seed)


def _no_seed(time: bytes, part: bytes) -> None:
    return None


def seed_of(slot: bytes, time: bytes, raw: bytes) -> bytes | None:
    """The part of an operation's content that rows need; None if it is not valid content of the slot's collection.

    time: that of the entry.
    """
    of = _OF_SLOT.get(slot[SLOT.of])
    return None if of is None else of.seed_of(time, raw)


def facts_of(slot: bytes, seed: bytes) -> Facts:
    """The facts of a shown slot for views; none if its collection is unknown."""
    of = _OF_SLOT.get(slot[SLOT.of])
    return () if of is None else of.facts(seed)


def shown_at(txn: ReadTxn, slot: bytes) -> bytes:
    """`SHOW` of what the slot shows, or empty."""
    return next((show for _, show in shown_in(txn, [slot])), b"")


def shown_in(txn: ReadTxn, slots: Iterable[bytes]) -> Iterator[Item]:
    """The same of many: those that show something, with their `SHOW`."""
    asked = dict.fromkeys(sorted(slots))
    lines = {_line_of(slot): slot for slot in asked if slot[SLOT.of] == POSTS}
    for number, start, row in txn.beginning(TIMELINE, sorted(lines)) if lines else ():
        time, _, _, rest = LINE.unpack(row)
        slot = lines[number, start]
        del asked[slot]
        yield slot, place_in(row) + time + rest
    for number, own, row in txn.beginning(SHOWN, [(slot[SLOT.account], slot[SLOT.own]) for slot in asked]):
        yield number + own, row[len(own) :]


def that_show(txn: ReadTxn, slots: Iterable[bytes]) -> set[bytes]:
    """Those of the slots, which ascend, that show something."""
    asked = [*slots]
    found = {number + own for number, own, _ in txn.beginning(SHOWN, [(s[SLOT.account], s[SLOT.own]) for s in asked])}
    lines = sorted([_line_of(slot) for slot in asked if slot[SLOT.of] == POSTS])
    if lines:
        found.update([number + POSTS + row[LINE.key] for number, _, row in txn.beginning(TIMELINE, lines)])
    return found


def _line_of(slot: bytes) -> Item:
    """Where `TIMELINE` has a usual post."""
    key = slot[SLOT.key]
    return slot[SLOT.account], usual_time(key) + key


def cells_at(txn: ReadTxn, slot: bytes) -> set[bytes]:
    """The stamps of live operations that are not shown."""
    own = slot[SLOT.own]
    return {value[len(own) :] for value in txn.dups(CELLS, slot[SLOT.account], own, after_prefix(own))}


def time_at(reader: StoreReader, place: bytes) -> bytes:
    """The time of the entry at a place, 8 bytes."""
    return _name(reader, place)[1]


def stamp_of(reader: StoreReader, place: bytes) -> bytes:
    return time_at(reader, place) + place


def in_order(reader: StoreReader, stamps: abc.Collection[bytes]) -> list[bytes]:
    """The stamps sorted, the last write last."""
    ordered = sorted(stamps)
    if any(a[STAMP.time] == b[STAMP.time] and a[STAMP.arrival] != b[STAMP.arrival] for a, b in pairwise(ordered)):
        ordered.sort(key=lambda stamp: (stamp[STAMP.time], _name(reader, stamp[STAMP.place])[0], stamp[STAMP.op]))
    return ordered


def last(reader: StoreReader, places: Sequence[bytes]) -> bytes:
    """The place of the last write. The entry of one alone is not read."""
    if len(places) == 1:
        return places[0]
    return in_order(reader, [stamp_of(reader, place) for place in places])[-1][STAMP.place]


def live_in(txn: ReadTxn, reader: StoreReader, slot: bytes) -> list[bytes]:
    """All live operations of a slot as stamps, the last write last."""
    stamps, show = cells_at(txn, slot), shown_at(txn, slot)
    if show:
        stamps.add(stamp_of(reader, show[SHOW.place]))
    return in_order(reader, stamps)


def _name(reader: StoreReader, place: bytes) -> tuple[bytes, bytes]:
    """(id, time) of the entry at a place."""
    n, _ = part_place(place)
    found = reader.name_at(n)
    if found is None:
        raise CorruptStore(f"the views name arrival {n}, which is not there; run a check")
    return found
