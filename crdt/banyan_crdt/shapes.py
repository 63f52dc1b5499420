"""The form of an operation, of the body of an entry and of a part, each defined once as a value for the encoder; and
the fast reader and writer of the most frequent bodies.

Code that reads or writes them by position does not write these bytes a second time. It lets the encoder write a sample,
and `between` gives the bytes around the fields. Only codec.py knows how CBOR encodes a value.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from banyan_crdt.codec import UINT_1, UINT_2, Value, array_at, bytes_head, encode, uint
from banyan_crdt.ids import CellKey, Coll, PartHash


def plain_body(deps: Iterable[bytes], ops: Iterable[Value]) -> Value:
    """[deps, [op, ...]], of operations that are plain values."""
    return [[*deps], [*ops]]


def plain_op(code: int, fields: Iterable[Value]) -> Value:
    """[code, field, ...]; tuples in it become arrays."""
    return [code, *map(_nested, fields)]


def plain_part(salt: bytes, content: bytes) -> Value:
    """[salt of 16 bytes, content]."""
    return [salt, content]


def between(raw: bytes, *fields: bytes) -> tuple[bytes, ...]:
    """The bytes of `raw` before each of these fields, which are found in this order, and after the last one."""
    found = []
    for field in fields:
        before, _, raw = raw.partition(field)
        found.append(before)
    return (*found, raw)


def _nested(value: Value) -> Value:
    return [*map(_nested, value)] if isinstance(value, tuple) else value


def ops_in(raw: bytes) -> int:
    """How many operations a well-formed body has; they are not read."""
    if raw.startswith(ONE_OP):
        return 1
    deps, at = array_at(raw, 1)
    return array_at(raw, at + deps * _DEP)[0]


_DEP = len(bytes_head(32)) + 32
ONE_OP = encode(plain_body((), [0]))[:-1]
"""The beginning of a body with one operation and no deps."""


# The most frequent bodies, read and written by position: one put without refs, or one add, with content.
#
# If this module accepts a body, the strict reader (ops.decode_any_body) accepts it too and reads the same; if it is not
# sure, the strict reader decides. It learns the positions of the fields from what the encoder writes.
#
#     put = before, coll, before, key, before,               hash, size
#     add = before, coll, before, key, before, elem, before, hash, size

PUT, ADD = 1, 2
"""The codes of the two operations."""
NO_ELEM = CellKey(b"")
_COLL, _KEY, _ELEM, _HASH = b"c" * 8, b"k" * 16, b"e" * 16, b"h" * 32
"""Fields of samples. Their bytes do not occur around the fields."""


def _around(code: int, middle: Value, *elem: bytes) -> tuple[bytes, ...]:
    """The bytes before each field of such a body. `middle`: its third field."""
    body = encode(plain_body((), [plain_op(code, (_COLL, _KEY, middle, (_HASH, 0)))]))
    return between(body.removesuffix(uint(0)), _COLL, _KEY, *elem, _HASH)[:-1]


_PUT, _ADD = _around(PUT, ()), _around(ADD, _ELEM, _ELEM)
_PUT_COLL, _PUT_KEY, _PUT_PART = _PUT
_ADD_COLL, _ADD_KEY, _ADD_ELEM, _ADD_PART = _ADD
_PUT_BETWEEN, _ADD_BETWEEN = (_PUT_COLL, _PUT_KEY, b"", _PUT_PART), _ADD


def _form(around: tuple[bytes, ...], elem: int, size: str) -> str:
    coll, key, before, part = map(len, around)
    return f">{coll}s8s{key}s16s{before}s{elem}s{part}s32s{size}"


_FORMS = {
    struct.calcsize(form): struct.Struct(form).unpack
    for form in (_form(*of, size) for of in ((_PUT_BETWEEN, 0), (_ADD_BETWEEN, 16)) for size in ("BB", "BH"))
}
_TO_SIZE = struct.Struct(">{}s8s{}s16s{}s32s".format(*map(len, _PUT)))
"""A put up to the size of its part."""
A_PUT = b"".join(map(b"%b(.{%d})".__mod__, zip(map(re.escape, _PUT), (8, 16, 32), strict=True)))
"""The same as a pattern of three groups: collection, key, hash."""


def begins_put(coll: Coll) -> bytes:
    """How a body begins that is one put in this collection: what stands before its key."""
    return _PUT_COLL + coll + _PUT_KEY


Single: TypeAlias = tuple[int, Coll, CellKey, CellKey, PartHash, int]
"""Code, collection, key, element (empty in a put), hash and size of the part. A plain tuple, because there are many."""


def is_first_write(raw: bytes, coll: Coll, key: CellKey) -> bool:
    """Whether the only operation of a body on this register is a put with content and without refs. False if that is
    not sure. raw: that has an operation on it. For bodies of hundreds of operations, which take long to decode."""
    return coll + _PUT_KEY + first_put(key) in raw and raw.count(key) == 1


def first_put(key: CellKey) -> bytes:
    """What a body has before the hash of a put without refs, from its key on."""
    return key + _PUT_PART


def read_single(raw: bytes) -> Single | None:
    """The fields of such a body, if its part has 24 to 65,535 bytes. None if it is, or may be, another body."""
    unpack = _FORMS.get(len(raw))
    if unpack is None:
        return None
    start, coll, k, key, e, elem, p, part, width, size = unpack(raw)
    if not ((width == UINT_1 and 23 < size < 256) or (width == UINT_2 and size > 255)):
        return None
    around = (start, k, e, p)
    if around == _PUT_BETWEEN:
        return PUT, coll, key, elem, part, size
    if around == _ADD_BETWEEN:
        return ADD, coll, key, elem, part, size
    return None


def write_single(one: Single) -> bytes | None:
    """The body of these fields. It is joined and not encoded, in a tenth of the time. None if a field has a wrong
    size."""
    code, coll, key, elem, part, size = one
    if len(coll) != 8 or len(key) != 16 or len(part) != 32 or len(elem) != (16 if code == ADD else 0):
        return None
    if code == ADD:
        return b"".join((_ADD_COLL, coll, _ADD_KEY, key, _ADD_ELEM, elem, _ADD_PART, part, uint(size)))
    return b"".join((_PUT_COLL, coll, _PUT_KEY, key, _PUT_PART, part, uint(size)))


class Puts(NamedTuple):
    """The puts of a sequence of bodies, as columns. Each body is one put without refs, with content."""

    colls: tuple[Coll, ...]
    keys: tuple[CellKey, ...]
    parts: tuple[PartHash, ...]
    sizes: tuple[int, ...]

    def since(self, first: int) -> Puts:
        """The puts from index `first` on."""
        return Puts(self.colls[first:], self.keys[first:], self.parts[first:], self.sizes[first:])


def puts_in(ops: Sequence[bytes], sizes: Sequence[int]) -> Puts | None:
    """The puts of bodies that are each one put without refs, with content of the given size in bytes; otherwise
    None."""
    end = _TO_SIZE.size
    if len(ops) == 1:  # without the columns' preparations
        if ops[0][end:] != uint(sizes[0]):
            return None
        start, coll, k, key, p, part = _TO_SIZE.unpack_from(ops[0])
        return Puts((coll,), (key,), (part,), (sizes[0],)) if (start, k, p) == _PUT else None
    tails = {size: uint(size) for size in set(sizes)}
    if [raw[end:] for raw in ops] != [tails[size] for size in sizes]:
        return None
    starts, colls, k, keys, p, parts = zip(*_TO_SIZE.iter_unpack(b"".join([raw[:end] for raw in ops])), strict=True)
    return Puts(colls, keys, parts, tuple(sizes)) if {*starts, *k, *p} == {*_PUT} else None


# The arguments of operations. If one has the wrong shape, the whole entry is void.


class Void(Exception):
    """An argument is not what its operation takes."""


def need(ok: bool) -> None:
    """Raises Void unless `ok`."""
    if not ok:
        raise Void


def sized(v: Any, n: int) -> Any:
    """`v`, if it is a byte string of `n` bytes; otherwise raises Void."""
    if type(v) is not bytes or len(v) != n:
        raise Void
    return v


def unsigned(v: Any, bits: int) -> int:
    """`v`, if it is an unsigned integer of at most `bits` bits; otherwise raises Void."""
    if type(v) is not int or v >> bits:
        raise Void
    return v


def array(v: Any, n: int | None = None) -> list[Any]:
    """`v`, if it is an array (of `n` elements); otherwise raises Void."""
    if type(v) is not list or (n is not None and len(v) != n):
        raise Void
    return v
