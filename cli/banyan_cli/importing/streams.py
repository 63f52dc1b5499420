"""Reads the items of a large JSON array, or the rows of a CSV file, one by one: a file of any size needs little memory.

The array is the whole file, or the value of a key of the one object that the file is. What stands before it (a byte
order mark, `window.YTD.tweets.part0 =`) is passed over. An item that is too large or nested too deeply gives a Broken
in its place, and is passed over too. A file that is broken gives the items before the break, and then one Broken.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from banyan_cli.importing.archives import Archive
from banyan_cli.importing.model import BROKEN, Omission

MOST_ITEM = 16 << 20
"""Characters of one item: what is read before it is called broken."""
MOST_PASSED = 256 << 20
"""Characters of an item that is passed over; a larger one ends the reading of its file."""
_ENDS, _NONE, _EMPTY = "it ends in the middle", "it is not JSON", "it is empty"
REST = "; the rest of the file, from here on, was not read"
NAME = 200
"""Characters of the longest name before an `=`."""
NEAR = 16
"""An error so many characters before the end of what was read may come from that end: an escape has twelve."""
_CHUNK = 1 << 18
_SPACE = " \t\r\n"
_MARK, _QUOTE = re.compile(r'["\[\]{}]'), re.compile('"')
_REST_OF_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_DECODE = json.JSONDecoder().raw_decode


class Bytes(Protocol):
    """What items are read from."""

    def read(self, size: int, /) -> bytes: ...


class Broken(NamedTuple):
    """why: in a few words."""

    why: str


def unread(one: Any, place: str, why: str) -> Omission:
    """Of an item that is broken, or of another form: why."""
    return Omission(BROKEN, place, one.why if isinstance(one, Broken) else why)


class _Bad(Exception):
    """The JSON is broken here. Its argument is why."""


class _SkippedValue(_Bad):
    """A value that is not read, although it may be whole. The buffer is still before it."""


class _Buffer:
    """The text of a file, as far as it was read and not used. at: where it goes on."""

    def __init__(self, stream: Bytes) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder("utf-8-sig")("replace")
        self.text, self.at, self.ended = "", 0, False

    def more(self, least: int = _CHUNK) -> bool:
        """Reads on. Returns whether there was something."""
        if self.ended:
            return False
        raw = self._stream.read(max(_CHUNK, least))
        self.ended = not raw
        self.text = self.text[self.at :] + self._decoder.decode(raw, final=self.ended)
        self.at = 0
        return not self.ended

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in _SPACE:
                    return self.text[self.at]
                self.at += 1
            if not self.more():
                return ""

    def take(self, character: str) -> bool:
        if self.peek() != character:
            return False
        self.at += 1
        return True

    def value(self) -> Any:
        """The value that begins here. Raises _Bad."""
        if not self.peek():
            raise _Bad(_ENDS)
        while True:
            try:
                found, end = _DECODE(self.text, self.at)
                if end < len(self.text) or self.ended:
                    self.at = end
                    return found
                why, cut = "", True
            except RecursionError:
                raise _SkippedValue("it is nested too deeply") from None
            except json.JSONDecodeError as error:
                why = error.msg[:1].lower() + error.msg[1:]
                end = len(self.text.rstrip()) - 1 if self.ended else len(self.text) - NEAR
                cut = error.pos > end or error.msg.startswith("Unterminated")
            except ValueError:  # a number of thousands of digits
                raise _SkippedValue("it has a number that is too long") from None
            size = len(self.text) - self.at
            if cut and size > MOST_ITEM:
                raise _SkippedValue(f"it has an item of more than {MOST_ITEM >> 20} MiB")
            if self.ended or not cut:
                raise _Bad(_ENDS if cut else why)
            self.more(size)

    def passed(self) -> bool:
        """Passes over the object, array or string that begins here, without holding it. Returns whether it was whole,
        and not of more than MOST_PASSED characters."""
        depth, quoted, size = 0, False, 0
        if self.peek() not in ("{", "[", '"'):
            return False
        while size <= MOST_PASSED:
            start = self.at
            if quoted:
                found = _REST_OF_STRING.match(self.text, start)
                self.at = found.end() if found else start
                found = _QUOTE.match(self.text, self.at)
            else:
                found = _MARK.search(self.text, start)
                self.at = len(self.text)
            if found is None:  # a backslash at the end stays there, for what it escapes
                size += self.at - start
                if not self.more():
                    return False
                continue
            self.at = found.end()
            size += self.at - start
            if found[0] == '"':
                quoted = not quoted
            else:
                depth += 1 if found[0] in "{[" else -1
            if not depth and not quoted:
                return True
        return False


def items(stream: Bytes, *keys: str) -> Iterator[Any]:
    """The items of the array, or of the arrays under these keys of the object; a value that is no array is one item."""
    text = _Buffer(stream)
    try:
        if text.peek() not in ("[", "{", "") and not _assigned(text):
            raise _Bad(_NONE)
        if text.take("["):
            yield from _array(text)
        elif text.take("{"):
            yield from _object(text, keys)
        else:
            raise _Bad(_NONE if text.peek() else _EMPTY)
    except _Bad as bad:
        why = str(bad)
        yield Broken(why if why in (_ENDS, _NONE, _EMPTY) else why + REST)


def _assigned(text: _Buffer) -> bool:
    """Passes over `name =`."""
    while len(text.text) - text.at < NAME and text.more():
        pass
    at = text.text.find("=", text.at, text.at + NAME)
    if at < 0 or any(c in text.text[text.at : at] for c in '[{"'):
        return False
    text.at = at + 1
    return text.peek() in ("[", "{")


def _value(text: _Buffer) -> Any:
    """The value that begins here, or Broken if it was passed over."""
    try:
        return text.value()
    except _SkippedValue as unread:
        if not text.passed():
            raise
        return Broken(str(unread))


def _array(text: _Buffer) -> Iterator[Any]:
    if text.take("]"):
        return
    while True:
        yield _value(text)
        if text.take("]"):
            return
        if not text.take(","):
            raise _Bad("a comma is missing" if text.peek() else _ENDS)


def _object(text: _Buffer, keys: tuple[str, ...]) -> Iterator[Any]:
    if text.take("}"):
        return
    while True:
        key = text.value() if text.peek() == '"' else None
        if not isinstance(key, str) or not text.take(":"):
            raise _Bad("a key is missing" if text.peek() else _ENDS)
        if key in keys and text.take("["):
            yield from _array(text)
        else:
            found = _value(text)
            if key in keys:
                yield found
        if text.take("}"):
            return
        if not text.take(","):
            raise _Bad("a comma is missing" if text.peek() else _ENDS)


# Rows of a CSV file, with the place of each.

MOST_FIELD = 1 << 24
"""Characters of one field."""


def rows(archive: Archive, name: str, delimiter: str = ",") -> Iterator[tuple[str, list[str] | Omission]]:
    """(place, row) of all rows that are not empty, the first with the names of columns too. A file that is broken ends
    in an `Omission`, which says that the rest was not read."""
    csv.field_size_limit(MOST_FIELD)
    with archive.open(name) as raw, io.TextIOWrapper(raw, "utf-8-sig", "replace", newline="") as text:
        found = csv.reader(text, delimiter=delimiter)
        while True:
            try:
                row = next(found)
            except StopIteration:
                return
            except csv.Error as error:
                where = f"{name}, line {found.line_num}"
                yield where, Omission(BROKEN, where, f"{error}{REST}")
                return
            if any(row):
                yield f"{name}, line {found.line_num}", row


def named(archive: Archive, name: str, delimiter: str = ",") -> Iterator[tuple[str, dict[str, str] | Omission]]:
    """(place, row) by the names in the first row. A field that a short row lacks is empty."""
    columns: list[str] | None = None
    for where, row in rows(archive, name, delimiter):
        if isinstance(row, Omission):
            yield where, row
        elif columns is None:
            columns = [column.strip() for column in row]
        else:
            yield where, {**dict.fromkeys(columns, ""), **dict(zip(columns, row, strict=False))}
