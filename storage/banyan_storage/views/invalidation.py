"""What each change of the views touched, for readers that keep what they made of rows (read_cache.py): a row for each
change, in order.

A change touches the accounts of which something else is shown now, and the posts whose counts changed. The row is
written in the transaction of the change. So whoever reads a later state learns what of the earlier one still holds, in
any process, from the snapshot alone.
"""

from __future__ import annotations

import struct
from collections.abc import Set
from itertools import pairwise
from typing import NamedTuple

from banyan_storage.engine import ReadTxn, Table, WriteTxn
from banyan_storage.tables import guard, guarded, number, u64

TOUCHED = Table("touched")
"""change 8 -> accounts u16 | their numbers, 4 each | posts (`post_name`), 8 each; or nothing: perhaps all; guarded"""
MOST = 1_024
"""Accounts and posts that a row names; a change of more is noted as one of all."""
HELD = 4_096
"""Changes that are held at least. A reader that is further behind reads all anew."""
_COUNT = struct.Struct(">H")
_TARGET = 48


class Invalidation(NamedTuple):
    """accounts: their numbers. posts: see `post_name`."""

    accounts: frozenset[bytes]
    posts: frozenset[bytes]


def post_name(target: bytes) -> bytes:
    """8 bytes of a post (account 32 | key 16). Two posts may share them: then both are touched."""
    return target[_TARGET - 8 : _TARGET]


def last(txn: ReadTxn) -> int:
    """The number of the last change; 0 if there was none."""
    found = txn.last(TOUCHED)
    return 0 if found is None else number(found[0])


def note(txn: WriteTxn, accounts: Set[bytes], posts: Set[bytes]) -> None:
    if accounts or posts:
        many = len(accounts) + len(posts) > MOST
        _put(txn, b"" if many else _COUNT.pack(len(accounts)) + b"".join(sorted(accounts)) + b"".join(sorted(posts)))


def note_all(txn: WriteTxn) -> None:
    """Everything may be different."""
    _put(txn, b"")


def _put(txn: WriteTxn, row: bytes) -> None:
    n = last(txn) + 1
    txn.put(TOUCHED, u64(n), guard(u64(n), row))
    if n % HELD == 0:
        txn.delete_range(TOUCHED, b"", u64(n - HELD))


def changes(txn: ReadTxn, after: int) -> list[Invalidation] | None:
    """The changes after this one, in their order; None if they are not all there, or one of them is of all."""
    found = list(txn.scan(TOUCHED, u64(after + 1)))
    numbers = [after, *(number(n) for n, _ in found)]
    rows = [row for row in (guarded(*one) for one in found) if row]
    if any(b != a + 1 for a, b in pairwise(numbers)) or len(rows) < len(found):
        return None
    return None if not found and last(txn) != after else [_read(row) for row in rows]


def touched(txn: ReadTxn, after: int) -> frozenset[bytes] | None:
    """The numbers of the accounts of `changes`; None as there, or if `after` is below 0 or above the last change."""
    found = changes(txn, after) if 0 <= after <= last(txn) else None
    return None if found is None else frozenset().union(*(change.accounts for change in found))


def _read(row: bytes) -> Invalidation:
    end = 2 + 4 * _COUNT.unpack_from(row)[0]
    accounts, posts = range(2, end, 4), range(end, len(row), 8)
    return Invalidation(frozenset(row[at : at + 4] for at in accounts), frozenset(row[at : at + 8] for at in posts))
