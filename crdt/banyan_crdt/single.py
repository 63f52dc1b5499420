"""The most frequent bodies, read and written by position: one put without refs, or one add, with content.

Only this module knows where the bytes of such a body are. If it accepts a body, the strict reader
(ops.decode_any_body) accepts it too and reads the same; if it is not sure, the strict reader decides.

    body = 82 80 81 85 | 01 | 48 coll | 50 key | 80       | 82 58 20 hash, size     a put
    body = 82 80 81 85 | 02 | 48 coll | 50 key | 50 elem  | 82 58 20 hash, size     an add
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from banyan_crdt.codec import uint
from banyan_crdt.ids import CellKey, Coll, PartHash

PUT, ADD = 1, 2
"""The codes of the two operations."""
NO_ELEM = CellKey(b"")
_PUT_STARTS, _ADD_STARTS, _KEY, _NO_REFS, _PART = (
    b"\x82\x80\x81\x85\x01\x48",
    b"\x82\x80\x81\x85\x02\x48",
    b"\x50",
    b"\x80",
    b"\x82\x58\x20",
)
_PUT_BETWEEN = (_PUT_STARTS, _KEY, b"", _NO_REFS + _PART)
_ADD_BETWEEN = (_ADD_STARTS, _KEY, _KEY, _PART)
_FORMS = {
    struct.calcsize(form): struct.Struct(form).unpack
    for form in (">6s8s1s16s0s0s4s32sBB", ">6s8s1s16s0s0s4s32sBH", ">6s8s1s16s1s16s3s32sBB", ">6s8s1s16s1s16s3s32sBH")
}
_TO_SIZE = struct.Struct(">6s8s1s16s4s32s")
"""A put up to the size of its part."""


Single: TypeAlias = tuple[int, Coll, CellKey, CellKey, PartHash, int]
"""Code, collection, key, element (empty in a put), hash and size of the part. A plain tuple, because there are many."""


def read_single(raw: bytes) -> Single | None:
    """The fields of such a body, if its part has 24 to 65,535 bytes. None if it is, or may be, another body."""
    unpack = _FORMS.get(len(raw))
    if unpack is None:
        return None
    start, coll, k, key, e, elem, p, part, width, size = unpack(raw)
    if not ((width == 0x18 and 23 < size < 256) or (width == 0x19 and size > 255)):
        return None
    between = (start, k, e, p)
    if between == _PUT_BETWEEN:
        return PUT, coll, key, elem, part, size
    if between == _ADD_BETWEEN:
        return ADD, coll, key, elem, part, size
    return None


def write_single(one: Single) -> bytes | None:
    """The body of these fields. It is joined and not encoded, in a tenth of the time. None if a field has a wrong
    size."""
    code, coll, key, elem, part, size = one
    if len(coll) != 8 or len(key) != 16 or len(part) != 32 or len(elem) != (16 if code == ADD else 0):
        return None
    if code == ADD:
        return b"".join((_ADD_STARTS, coll, _KEY, key, _KEY, elem, _PART, part, uint(size)))
    return b"".join((_PUT_STARTS, coll, _KEY, key, _NO_REFS, _PART, part, uint(size)))


class Puts(NamedTuple):
    """The puts of a sequence of bodies, as columns. Each body is one put without refs, with content."""

    colls: tuple[Coll, ...]
    keys: tuple[CellKey, ...]
    parts: tuple[PartHash, ...]
    sizes: tuple[int, ...]

    def since(self, first: int) -> Puts:
        """The puts from index `first` on."""
        return Puts(self.colls[first:], self.keys[first:], self.parts[first:], self.sizes[first:])


_BETWEEN = (_PUT_STARTS, _KEY, _NO_REFS + _PART)


def puts_in(ops: Sequence[bytes], sizes: Sequence[int]) -> Puts | None:
    """The puts of bodies that are each one put without refs, with content of the given size in bytes; otherwise
    None."""
    end = _TO_SIZE.size
    if len(ops) == 1:  # without the columns' preparations
        if ops[0][end:] != uint(sizes[0]):
            return None
        start, coll, k, key, p, part = _TO_SIZE.unpack_from(ops[0])
        return Puts((coll,), (key,), (part,), (sizes[0],)) if (start, k, p) == _BETWEEN else None
    tails = {size: uint(size) for size in set(sizes)}
    if [raw[end:] for raw in ops] != [tails[size] for size in sizes]:
        return None
    starts, colls, k, keys, p, parts = zip(*_TO_SIZE.iter_unpack(b"".join([raw[:end] for raw in ops])), strict=True)
    return Puts(colls, keys, parts, tuple(sizes)) if {*starts, *k, *p} == {*_BETWEEN} else None
