"""The types of fields in content. Each type can be written, read strictly, and read by position.

- `json` says how the value is written in JSON, where programs and people meet it.
- `plain` turns a value into a CBOR value. It raises ValueError with a sentence past a limit.
- `read` turns a CBOR value back. It raises NotContent on anything else.
- `step` reads the value from the content's bytes at a position, and says where it ends. It may give up (NotContent)
  on a value that `read` accepts, but never accepts what `read` refuses. It need not check that the bytes are long
  enough: the caller notices a value that ends beyond the content.

Strings are written in NFC, and read unchanged, normal or not. Which strings are normal depends on the reader's version
of Unicode, and two readers of one content must see the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

from banyan_crdt.codec import BYTES, BYTES_1, BYTES_2, UINT_8, Value, bytes_head, encode
from banyan_crdt.ids import AccountId, CellKey, account_from_text, account_to_text
from banyan_crdt.shapes import between
from banyan_schema.address import Target, post_from_text, post_to_text


class NotContent(ValueError):
    """These bytes are not content of this layout."""


class Json(NamedTuple):
    """`kind`: in a word or two. `show`: a value as JSON has it; `take`: the value of that, raises ValueError with a
    sentence on anything else."""

    kind: str
    show: Callable[[Any], Any]
    take: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


AS_IT_IS = Json("JSON", _same, _same)
"""For values that JSON holds; `plain` judges what is taken."""


def _only(kind: str, of: type, what: str) -> Json:
    """A value of a type that JSON has."""

    def take(value: Any) -> Any:
        if type(value) is not of:
            raise ValueError(f"{what} is {kind}, not {value!r:.60}")
        return value

    return Json(kind, _same, take)


def _told(kind: str, show: Callable[[Any], str], read: Callable[[str], Any]) -> Json:
    """A value that is written as a text."""

    def take(value: Any) -> Any:
        if type(value) is not str:
            raise ValueError(f"{value!r:.60} is not {kind}")
        return read(value)

    return Json(kind, show, take)


class Field(NamedTuple):
    """The type of one field. `null`: it may be null."""

    plain: Callable[[Any], Value]
    read: Callable[[Value], Any]
    step: Callable[[bytes, int], tuple[Any, int]]
    null: bool = False
    json: Json = AS_IT_IS


def optional(field: Field) -> Field:
    """The same type, or null."""
    plain, read = field.plain, field.read
    return Field(
        lambda value: None if value is None else plain(value),
        lambda value: None if value is None else read(value),
        field.step,
        null=True,
        json=Json(
            field.json.kind,
            lambda value: None if value is None else field.json.show(value),
            lambda value: None if value is None else field.json.take(value),
        ),
    )


def text(what: str, most: int) -> Field:
    """A string of at most `most` bytes of UTF-8, at most 65,535. `what`: its name in errors."""

    def plain(value: str) -> bytes:
        return normal(what, value, most)

    def read(value: Value) -> str:
        if type(value) is not bytes or len(value) > most:
            raise NotContent
        return value.decode()

    def step(raw: bytes, at: int) -> tuple[str, int]:
        start, end = _span(raw, at)
        if end - start > most:
            raise NotContent
        return raw[start:end].decode(), end

    return Field(plain, read, step, json=_only("a text", str, what))


def blob(what: str, most: int) -> Field:
    """At most `most` bytes, at most 65,535; hexadecimal in JSON. `what`: its name in errors."""

    def plain(value: bytes) -> bytes:
        if len(value) > most:
            raise ValueError(f"{what} has {len(value)} bytes; {most} is the most: shorten it")
        return value

    def read(value: Value) -> bytes:
        if type(value) is not bytes or len(value) > most:
            raise NotContent
        return value

    def step(raw: bytes, at: int) -> tuple[bytes, int]:
        start, end = _span(raw, at)
        if end - start > most:
            raise NotContent
        return raw[start:end], end

    return Field(plain, read, step, json=_told(what, bytes.hex, bytes.fromhex))


def _span(raw: bytes, at: int) -> tuple[int, int]:
    """Where a byte string begins and ends whose head is at `at`."""
    head = raw[at]
    if BYTES <= head < BYTES_1:
        return at + 1, at + 1 + head - BYTES
    if head == BYTES_1 and raw[at + 1] > 23:
        return at + 2, at + 2 + raw[at + 1]
    if head == BYTES_2 and raw[at + 1]:
        return at + 3, at + 3 + (raw[at + 1] << 8 | raw[at + 2])
    raise NotContent


def normal(what: str, value: str, most: int) -> bytes:
    """The string in NFC, as UTF-8, so that equal-looking strings are written equally. Raises ValueError if this has
    more than `most` bytes, or on a lone surrogate. `what`: its name in the error."""
    raw = unicodedata.normalize("NFC", value).encode()
    if len(raw) > most:
        raise ValueError(f"{what} has {len(raw)} bytes; {most} is the most: shorten it")
    return raw


_LEAST = (24, 1 << 8, 1 << 16, 1 << 32)
"""The least integer that is written in 1, 2, 4 and 8 bytes; a smaller one has a shorter form."""


def number(what: str) -> Field:
    """An unsigned integer of 64 bits. `what`: its name in errors."""

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

    return Field(plain, read, step, json=_only("a whole number", int, what))


def signed(what: str, least: int, most: int) -> Field:
    """An integer from `least` to `most`, both of less than 63 bits, written as the unsigned 2n, or -2n - 1 if it is
    negative, as the addition of a counter is. A reader treats content with another one as missing. what: its name in
    errors."""
    of = number(what)

    def plain(value: int) -> int:
        if not least <= value <= most:
            raise ValueError(f"{what} is {value}; it must be from {least} to {most}")
        return value << 1 if value >= 0 else (-value << 1) - 1

    def read(value: Value) -> int:
        if type(value) is not int:
            raise NotContent
        found = -(value >> 1) - 1 if value & 1 else value >> 1
        if not least <= found <= most:
            raise NotContent
        return found

    def step(raw: bytes, at: int) -> tuple[int, int]:
        found, at = of.step(raw, at)
        return read(found), at

    return Field(plain, read, step, json=_only("a whole number", int, what))


def formed(what: str, most: int, form: re.Pattern[str], example: str) -> Field:
    """A string of at most `most` bytes that is of a form as a whole. example: such a string, for errors."""
    of = text(what, most)

    def checked(value: str) -> str:
        if not form.fullmatch(value):
            raise NotContent(f"{what} is '{value[:60]}'; it has the form of {example}")
        return value

    def step(raw: bytes, at: int) -> tuple[str, int]:
        found, at = of.step(raw, at)
        return checked(found), at

    return Field(lambda value: of.plain(checked(value)), lambda value: checked(of.read(value)), step, json=of.json)


def choice(what: str, *words: str) -> Field:
    """One of these words, written as its number, 0 for the first. A reader that meets a number without a word treats
    the content as missing: an audience, say, must not be guessed."""
    of = number(what)

    def plain(value: str) -> int:
        if value not in words:
            raise ValueError(f"{what} is '{value:.60}'; it must be one of {', '.join(words)}")
        return words.index(value)

    def read(value: Value) -> str:
        if type(value) is not int or value >= len(words):
            raise NotContent
        return words[value]

    def step(raw: bytes, at: int) -> tuple[str, int]:
        found, at = of.step(raw, at)
        return read(found), at

    return Field(plain, read, step, json=_only(f"one of {', '.join(words)}", str, what))


def _fixed(size: int, json: Json) -> Field:
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

    return Field(bytes, read, step, json=json)


def key_from_text(text: str) -> CellKey:
    """Raises ValueError with a sentence."""
    if len(text) != 32 or any(c not in "0123456789abcdef" for c in text):
        raise ValueError(f"'{text[:60]}' is no key: it has 32 hexadecimal digits")
    return CellKey(bytes.fromhex(text))


def _hash_from_text(text: str) -> bytes:
    if len(text) != 64 or any(c not in "0123456789abcdef" for c in text):
        raise ValueError(f"'{text[:80]}' is no hash: it has 64 hexadecimal digits")
    return bytes.fromhex(text)


HASH = _fixed(32, _told("a hash", bytes.hex, _hash_from_text))
"""The type of a SHA-256 hash."""
ACCOUNT = _fixed(32, _told("an account", account_to_text, account_from_text))
KEY = _fixed(16, _told("a key", bytes.hex, key_from_text))
"""The types of an account's id (32 bytes) and of a cell's key (16 bytes)."""


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


TARGET = Field(_plain_target, _read_target, _step_target, json=_told("a post", post_to_text, post_from_text))
"""The type of a Target: [account, key]."""
