"""Work that is due at a later time, ordered by that time.

One table holds every kind of work. A key of a kind is due at one time; setting it again moves it. A row is written in
the transaction of its cause. A worker reads only what is due, and drops or moves the row in the transaction of the
work. A row only says what to look at, so a row that is too early does no harm.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from banyan_storage import tables as t
from banyan_storage.engine import ReadTxn, WriteTxn
from banyan_storage.tables import RowLayout

MAX_KEY = 400
"""The most bytes of a key."""
_BY_TIME, _BY_KEY = b"\0", b"\1"
CELL, DRAFT = RowLayout("account 32 | coll 8 | key 16"), RowLayout("account 32 | name 16")
REPLACED = RowLayout("account 32 | ref 34")
BY_TIME, BY_KEY = RowLayout("work 1 | order 1 | at_ms 8 | key"), RowLayout("work 1 | order 1 | key")


class Work(IntEnum):
    """The kinds; the numbers are on disk."""

    CHECKPOINT = 1
    """account 32: it may have changed since its last checkpoint."""
    ERASE = 2
    """CELL: erase the content of a deleted cell."""
    FORGET = 3
    """account 32 | writer 32 | log 4: forget entries of the log that do not count."""
    PUBLISH = 4
    """DRAFT: publish it."""
    KEEP = 5
    """blob 32 | account 32 | id 16: a draft names the blob, which is kept; look whether it still does."""
    REPLACED = 6
    """REPLACED: erase a picture of a profile that another write replaced."""
    WITHHELD = 7
    """account 32 | key 16: the order that withholds the post ends."""
    ERASE_ACCOUNT = 8
    """account 32: what is held of the account is erased."""
    SIGN_OUT = 9
    """account 32: it is closed, so the door ends its sessions and tokens."""


class Due(NamedTuple):
    """Milliseconds since 1970, and what is due then."""

    at_ms: int
    key: bytes


def due(txn: ReadTxn, work: Work, now_ms: int, limit: int) -> list[Due]:
    """What is due by now, oldest first."""
    start = bytes((work,)) + _BY_TIME
    rows = txn.scan(t.DUE, start, start + t.u64(now_ms + 1), limit=limit)
    return [Due(t.number(row[BY_TIME.at_ms]), row[BY_TIME.key]) for row, _ in rows]


def due_at(txn: ReadTxn, work: Work, key: bytes) -> int | None:
    """When the key is due, or None."""
    raw = txn.get(t.DUE, bytes((work,)) + _BY_KEY + key)
    return None if raw is None else t.number(raw)


def planned(txn: ReadTxn, work: Work, prefix: bytes, limit: int) -> list[bytes]:
    """The keys that begin so and are due at any time, in order."""
    return [row[BY_KEY.key] for row, _ in txn.prefix(t.DUE, bytes((work,)) + _BY_KEY + prefix, limit=limit)]


def set_due(txn: WriteTxn, work: Work, key: bytes, at_ms: int) -> None:
    """Makes the key due at that time only."""
    if len(key) > MAX_KEY:
        raise ValueError(f"a key of {len(key)} bytes; {MAX_KEY} are the most")
    drop_due(txn, work, key)
    kind = bytes((work,))
    txn.put(t.DUE, kind + _BY_TIME + t.u64(at_ms) + key, b"")
    txn.put(t.DUE, kind + _BY_KEY + key, t.u64(at_ms))


def drop_due(txn: WriteTxn, work: Work, key: bytes) -> None:
    """The key is no longer due."""
    at_ms = due_at(txn, work, key)
    if at_ms is not None:
        kind = bytes((work,))
        txn.delete(t.DUE, kind + _BY_TIME + t.u64(at_ms) + key)
        txn.delete(t.DUE, kind + _BY_KEY + key)


def astray(txn: ReadTxn) -> set[tuple[bytes, bytes, bytes]]:
    """(work, key, time) of rows that stand in one of the two orders only."""
    by_time, by_key = set[tuple[bytes, bytes, bytes]](), set[tuple[bytes, bytes, bytes]]()
    for row, value in txn.scan(t.DUE):
        work, order, key = BY_KEY.unpack(row)
        if order == _BY_TIME:
            by_time.add((work, row[BY_TIME.key], row[BY_TIME.at_ms]))
        else:
            by_key.add((work, key, value))
    return by_time ^ by_key


def postpone(txn: WriteTxn, work: Work, prefix: bytes, at_ms: int) -> None:
    """Moves due keys with this prefix to that time, unless they are due later."""
    rows = list(txn.prefix(t.DUE, bytes((work,)) + _BY_KEY + prefix))
    for row, value in rows:
        if t.number(value) < at_ms:
            set_due(txn, work, row[BY_KEY.key], at_ms)
