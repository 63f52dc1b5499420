"""What a slot shows: a pure function of its live operations and the held content.

A slot is one register, or one element of one set. A register shows its last live write (by time, entry id, op index);
if that one's content is not held it shows nothing, because an older text would be wrong. An element shows its last live
add with held content. The shown write is a row of `SHOWN`, other live operations are rows of `CELLS`. So the usual
post, which is written once, has one row in `SHOWN` and none in `CELLS`.

A row of `SHOWN` has a place and a seed: the small part of the content from which the rows of other views are made
(views/). So these rows can be deleted after the content is gone, and rebuilt without reading it.

Rows name operations by place (arrival number and op index, the key of the content), accounts by this store's own
four-byte numbers, and posts by account id and key, because a post may be answered before its author is known here. All
rows of an account are values of one key, its number, so the number is not repeated.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from banyan_crdt.ids import CellKey, Coll, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.collection import Collection, Facts, SeedIn
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Content, Target

from .engine import Table

REGISTER, ELEMENT = b"\x01", b"\x02"
"""The kind of a slot."""

NUMBERS = Table("account_numbers")
"""account 32 -> account number 4"""
NUMBERED = Table("accounts_by_number")
"""account number 4 -> account 32"""
CELLS = Table("cells", dupsort=True)
"""account number 4 -> set of: slot | time 8 | place 8. Live operations that are not shown.
A slot is coll 8 | kind 1 | key 16, of an element followed by element 16; a place is arrival number 6 | op index 2"""
TOMBS = Table("tombs", dupsort=True)
"""account number 4 -> set of: coll 8 | key 16"""
COVERS = Table("covers", dupsort=True)
"""account number 4 -> set of: entry id 32 | op 2 | coll 8 (covered by a del) or coll 8 | key 16 (by a put).
Covered operations that were not live at the time."""
SHOWN = Table("shown", dupsort=True)
"""account number 4 -> set of: slot | place 8 | seed"""
SHOWN_TABLES = (NUMBERS, NUMBERED, CELLS, TOMBS, COVERS, SHOWN)

_REGISTER_SIZE, _ELEMENT_SIZE = 4 + 8 + 1 + 16, 4 + 8 + 1 + 32
KINDS = {"register": REGISTER, "set": ELEMENT}
"""The kind of the slots of a collection, by how it merges."""
SMALL, KEPT = 1_024, 8_192
"""Content of at most so many bytes is kept read, so much of it: the same names and posts are read for many pages."""
_OF_SLOT: dict[bytes, Collection[Any]] = {of.id + KINDS[of.merge]: of for of in SOCIAL if of.merge in KINDS}
"""Collection and kind of a slot -> its collection."""
_SEED_IN = {kind: of.seed_in for kind, of in _OF_SLOT.items()}

ContentOf = Callable[[bytes], bytes | None]
"""Returns the content at a place, or None if it is not held."""


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


def slot_size(slot: bytes) -> int:
    """The length of a slot with its account's number."""
    return _REGISTER_SIZE if slot[12:13] == REGISTER else _ELEMENT_SIZE


stamp_bytes = struct.Struct(">QQ").pack
"""(time, n << 16 | op) -> time 8 | place 8."""


def place_bytes(n: int, op: int) -> bytes:
    return (n << 16 | op).to_bytes(8, "big")


def ref_bytes(ref: Ref) -> bytes:
    return ref.entry + ref.op.to_bytes(2, "big")


def read_content(slot: bytes, raw: bytes) -> Content | None:
    """`raw` as content of the slot's schema."""
    return (_read if len(raw) > SMALL else _read_again)(slot[4:13], raw)


def _read(kind: bytes, raw: bytes) -> Content | None:
    of = _OF_SLOT.get(kind)
    return None if of is None else of.decode(raw)


_read_again = lru_cache(KEPT)(_read)


def shown(slot: bytes, live: Sequence[bytes], content_of: ContentOf) -> ShownWrite | None:
    """The write that is shown, or None. live: the slot's stamps, the last write last."""
    for stamp in reversed(live):
        raw = content_of(stamp[8:])
        seed = None if raw is None else seed_of(slot, stamp[:8], raw)
        if seed is not None:
            return ShownWrite(stamp, seed)
        if slot[12:13] == REGISTER:
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
    of = _OF_SLOT.get(slot[4:13])
    return None if of is None else of.seed_of(time, raw)


def facts_of(slot: bytes, seed: bytes) -> Facts:
    """The facts of a shown slot for views; none if its collection is unknown."""
    of = _OF_SLOT.get(slot[4:13])
    return () if of is None else of.facts(seed)


def target_bytes(target: Target) -> bytes:
    return target.account + target.key
