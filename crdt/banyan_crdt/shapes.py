"""The form of an operation, of the body of an entry and of a part, each defined once as a value for the encoder.

Code that reads or writes them by position does not write these bytes a second time. It lets the encoder write a sample,
and `between` gives the bytes around the fields. Only codec.py knows how CBOR encodes a value.
"""

from __future__ import annotations

from collections.abc import Iterable

from banyan_crdt.codec import Value, array_at, bytes_head, encode


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
