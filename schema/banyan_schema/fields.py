"""The types of which content is made. Each can be written, read strictly, and read by position.

- `plain` turns a value into what CBOR carries; raises ValueError with a sentence past a limit.
- `read` turns what CBOR carried back into the value; raises NotContent on anything else.
- `step` reads the value out of the content's bytes at a position, and says where it ends. It may give up (NotContent)
  on a value that `read` accepts; it never accepts what `read` refuses. It need not look whether the bytes are long
  enough: what ends behind them ends elsewhere than the content.

Strings are written in NFC and read as they come, normal or not: which strings are normal depends on the version of
Unicode that the reader has, and two readers of one content must see the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

from banyan_crdt.codec import BYTES, BYTES_1, BYTES_2, UINT_8, Value, array_head, bytes_head, encode
from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.shapes import between

from .address import Target


class NotContent(ValueError):
    """These bytes are not content of this schema."""


class Field(NamedTuple):
    """One field of content. `null`: it may be left empty."""

    plain: Callable[[Any], Value]
    read: Callable[[Value], Any]
    step: Callable[[bytes, int], tuple[Any, int]]
    null: bool = False


def optional(field: Field) -> Field:
    """The same, or null."""
    plain, read = field.plain, field.read
    return Field(
        lambda value: None if value is None else plain(value),
        lambda value: None if value is None else read(value),
        field.step,
        null=True,
    )


def text(what: str, most: int) -> Field:
    """A string of at most `most` bytes of UTF-8, at most 65,535. `what` it is, for the sentence of an error."""

    def plain(value: str) -> bytes:
        return normal(what, value, most)

    def read(value: Value) -> str:
        if type(value) is not bytes or len(value) > most:
            raise NotContent
        return value.decode()

    def step(raw: bytes, at: int) -> tuple[str, int]:
        head = raw[at]
        if BYTES <= head < BYTES_1:
            start, size = at + 1, head - BYTES
        elif head == BYTES_1 and raw[at + 1] > 23:
            start, size = at + 2, raw[at + 1]
        elif head == BYTES_2 and raw[at + 1]:
            start, size = at + 3, raw[at + 1] << 8 | raw[at + 2]
        else:
            raise NotContent
        if size > most:
            raise NotContent
        end = start + size
        return raw[start:end].decode(), end

    return Field(plain, read, step)


def normal(what: str, value: str, most: int) -> bytes:
    """UTF-8 in NFC, so that what looks the same is written the same; raises ValueError past the limit or on a lone
    surrogate."""
    raw = unicodedata.normalize("NFC", value).encode()
    if len(raw) > most:
        raise ValueError(f"{what} has {len(raw)} bytes; {most} is the most: shorten it")
    return raw


_LEAST = (24, 1 << 8, 1 << 16, 1 << 32)
"""What is written in one byte, in two, in four, in eight: nothing that fits in fewer."""


def number(what: str) -> Field:
    """An unsigned integer of 64 bits."""

    def plain(value: int) -> int:
        if not 0 <= value < 1 << 64:
            raise ValueError(f"{what} is {value}; it must be from 0 to 2^64 - 1")
        return value

    def read(value: Value) -> int:
        if type(value) is not int:
            raise NotContent
        return value

    def step(raw: bytes, at: int) -> tuple[int, int]:
        head = raw[at]
        if head < 24:
            return head, at + 1
        if head <= UINT_8:
            end = at + 1 + (1 << (head - 24))
            value = int.from_bytes(raw[at + 1 : end], "big")
            if value >= _LEAST[head - 24]:
                return value, end
        raise NotContent

    return Field(plain, read, step)


def _fixed(size: int) -> Field:
    head = bytes_head(size)
    skip = len(head)

    def read(value: Value) -> bytes:
        if type(value) is not bytes or len(value) != size:
            raise NotContent
        return value

    def step(raw: bytes, at: int) -> tuple[bytes, int]:
        start = at + skip
        if raw[at:start] != head:
            raise NotContent
        return raw[start : start + size], start + size

    return Field(bytes, read, step)


ACCOUNT, KEY = _fixed(32), _fixed(16)
"""An account's id; a cell's key."""


def _plain_target(value: Target) -> Value:
    return [*value]


def _read_target(value: Value) -> Target:
    if type(value) is not list or len(value) != 2:
        raise NotContent
    return Target(AccountId(ACCOUNT.read(value[0])), CellKey(KEY.read(value[1])))


_SAMPLE = Target(AccountId(b"a" * 32), CellKey(b"k" * 16))
_TARGET, _BEFORE_KEY, _ = between(encode(_plain_target(_SAMPLE)), *_SAMPLE)
_KEY = _BEFORE_KEY[0]


def _step_target(raw: bytes, at: int) -> tuple[Target, int]:
    if raw[at : at + 3] != _TARGET or raw[at + 35] != _KEY:
        raise NotContent
    return Target(AccountId(raw[at + 3 : at + 35]), CellKey(raw[at + 36 : at + 52])), at + 52


TARGET = Field(_plain_target, _read_target, _step_target)
"""[account, key]."""


_PAIR = array_head(2)[0]


def pair(field: Field) -> Field:
    """[first, second], both of one type."""

    def plain(value: tuple[Any, Any]) -> Value:
        return [field.plain(value[0]), field.plain(value[1])]

    def read(value: Value) -> tuple[Any, Any]:
        if type(value) is not list or len(value) != 2:
            raise NotContent
        return field.read(value[0]), field.read(value[1])

    def step(raw: bytes, at: int) -> tuple[Any, int]:
        if raw[at] != _PAIR:
            raise NotContent
        first, at = field.step(raw, at + 1)
        second, at = field.step(raw, at)
        return (first, second), at

    return Field(plain, read, step)
