"""How an operation, the body of an entry and a part are spelled: each once, as values for the encoder.

What reads or writes them by position spells no byte a second time. It lets the encoder write a sample, and `between`
says which bytes stand around the fields. How CBOR itself spells a value is known to codec.py alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from banyan_crdt.codec import Value, encode


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
    """What stands in `raw` before each of these fields, and behind the last; they are found in this order."""
    found = []
    for field in fields:
        before, _, raw = raw.partition(field)
        found.append(before)
    return (*found, raw)


def _nested(value: Value) -> Value:
    return [*map(_nested, value)] if isinstance(value, tuple) else value


ONE_OP = encode(plain_body((), [0]))[:-1]
"""How the body of one operation begins, where it has no deps."""
