"""What a slot shows: a pure function of its live operations and the content that is held.

A slot is one register, or one element of one set. A register shows its last live write (by time, entry id, op index)
or, where that one's content is not held, nothing: an older text would be a lie. An element shows its last live add with
content that is held. What a slot shows stands in `SHOWN`, its other live operations in `CELLS`: the usual post, written
once and never again, has one row there and none here.

`SHOWN` keeps what each slot shows as a place and a seed, the little of the content that the rows of the other views are
made of (views/). So rows can be taken away after the content is gone, and built anew without reading it.

Rows name operations by place (arrival number of the entry, op index: the key of the content itself), accounts by this
store's own four-byte numbers, and posts by account id and key, since a post may be answered before anybody here has
heard of its author. What an account has is the values of one key, its number: nothing is repeated in every row.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from banyan_crdt.ids import CellKey, Coll, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.collection import Collection, Facts
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
"""account number 4 -> set of: slot | time 8 | place 8. Live operations that do not show.
A slot is coll 8 | kind 1 | key 16, of an element followed by element 16; a place is arrival number 6 | op index 2"""
TOMBS = Table("tombs", dupsort=True)
"""account number 4 -> set of: coll 8 | key 16"""
COVERS = Table("covers", dupsort=True)
"""account number 4 -> set of: entry id 32 | op 2 | coll 8 (covered by a del) or coll 8 | key 16 (by a put).
Of operations that were not live when they were covered."""
SHOWN = Table("shown", dupsort=True)
"""account number 4 -> set of: slot | place 8 | seed"""
SHOWN_TABLES = (NUMBERS, NUMBERED, CELLS, TOMBS, COVERS, SHOWN)

_REGISTER_SIZE, _ELEMENT_SIZE = 4 + 8 + 1 + 16, 4 + 8 + 1 + 32
KINDS = {"register": REGISTER, "set": ELEMENT}
"""The kind of the slots of a collection, by how it merges."""
_OF_SLOT: dict[bytes, Collection[Any]] = {of.id + KINDS[of.merge]: of for of in SOCIAL if of.merge in KINDS}
"""Collection and kind of a slot -> what its content says."""
_SEED_IN = {kind: of.seed_in for kind, of in _OF_SLOT.items()}

ContentOf = Callable[[bytes], bytes | None]
"""The content at a place, if it is held here."""


class ShownWrite(NamedTuple):
    """What one slot shows: a stamp and a seed."""

    stamp: bytes
    seed: bytes


def register_slot(account: bytes, coll: Coll, key: CellKey) -> bytes:
    """The account's number, then the slot: in memory the two go together."""
    return account + coll + REGISTER + key


def element_slot(account: bytes, coll: Coll, key: CellKey, elem: CellKey) -> bytes:
    return account + coll + ELEMENT + key + elem


def slot_of(account: bytes, op: Put | Add) -> bytes:
    if isinstance(op, Put):
        return account + op.coll + REGISTER + op.key
    return account + op.coll + ELEMENT + op.key + op.elem


def slot_size(slot: bytes) -> int:
    """How long a slot with its account's number is, from its start."""
    return _REGISTER_SIZE if slot[12:13] == REGISTER else _ELEMENT_SIZE


stamp_bytes = struct.Struct(">QQ").pack
"""Of a time and of `n << 16 | op`: time 8 | place 8."""


def place_bytes(n: int, op: int) -> bytes:
    return (n << 16 | op).to_bytes(8, "big")


def ref_bytes(ref: Ref) -> bytes:
    return ref.entry + ref.op.to_bytes(2, "big")


def read_content(slot: bytes, raw: bytes) -> Content | None:
    """`raw` as content of the slot's schema."""
    of = _OF_SLOT.get(slot[4:13])
    return None if of is None else of.decode(raw)


def shown(slot: bytes, live: Sequence[bytes], content_of: ContentOf) -> ShownWrite | None:
    """`live`: the slot's stamps, the last write last."""
    for stamp in reversed(live):
        raw = content_of(stamp[8:])
        seed = None if raw is None else seed_of(slot, stamp[:8], raw)
        if seed is not None:
            return ShownWrite(stamp, seed)
        if slot[12:13] == REGISTER:
            return None
    return None


def seed_in(slot: bytes, time: bytes, part: bytes) -> bytes | None:
    """`seed_of` for the bytes of a part that were checked before."""
    try:
        seed = _SEED_IN[slot[4:13]]
    except KeyError:
        return None
    return seed(time, part)


def seed_of(slot: bytes, time: bytes, raw: bytes) -> bytes | None:
    """What the rows need of an operation's content; None where it does not read as content of the slot's schema.

    `time`: that of the entry.
    """
    of = _OF_SLOT.get(slot[4:13])
    return None if of is None else of.seed_of(time, raw)


def facts_of(slot: bytes, seed: bytes) -> Facts:
    """What a slot that shows something states to views; none where its collection is not known here."""
    of = _OF_SLOT.get(slot[4:13])
    return () if of is None else of.facts(seed)


def target_bytes(target: Target) -> bytes:
    return target.account + target.key
