"""Places in pages as their readers have them: as text, in which the time comes first."""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.ids import AccountId
from banyan_reading.timelines import CURSOR
from banyan_storage.layout import Layout
from banyan_storage.view_rows import TIME, ms_of

_DIGITS = 2 * TIME.ms.stop
_HOME = Layout("ms 6 | counter 2 | account 32 | key 16")
APART = 20
"""Bits of a place in a search below the milliseconds; see search/index.py."""


class HomePlace(NamedTuple):
    """A place at home: the time, the rest of its bytes, and of which line."""

    ms: int
    counter: bytes
    account: AccountId
    key: bytes


def home_place(place: str) -> HomePlace:
    """The parts of a place at home."""
    ms, counter, account, key = _HOME.unpack(bytes.fromhex(place))
    return HomePlace(int.from_bytes(ms, "big"), counter, AccountId(account), key)


def cursor_ms(cursor: bytes) -> int:
    """When the line of a cursor was written, in milliseconds since 1970."""
    return ms_of(cursor[CURSOR.time])


def place_ms(place: str) -> int:
    """The same of a place in a timeline, or of the key of a post that a node wrote, in hexadecimal digits."""
    return int(place[:_DIGITS], 16)


def found_ms(place: str) -> int:
    """The same of a place in a search."""
    return int(place, 16) >> APART


def found_below(ms: int) -> str:
    """The place in a search above all posts of that millisecond."""
    return f"{min((ms + 1) << APART, (1 << 63) - 1):016x}"
