"""Which heads each commit moved, so that an index of heads outside the store can catch up.

    meta  "moves"          -> n u64 | token 16                the last commit that moved heads
    meta  "moves since"    -> n u64                           lists are kept of the commits after n; absent: of none
    meta  "moved" | n u64  -> token before 16 | rows          the heads that commit n wrote: name 68 | size u8 | value

A position is n and token. The token is a hash of the token before and of every head that the commit wrote. So equal
positions mean equal heads, even if a backup was restored and changed differently. The position is written in the
transaction that moves heads, whether lists are kept or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain

from banyan_crdt.ids import Head, LogId
from banyan_storage import tables as t
from banyan_storage.engine import Item, WriteTxn
from banyan_storage.tables import RowLayout

POSITION_KEY, SINCE_KEY, LIST = b"moves", b"moves since", b"moved"
TOKEN = 16
_AT = RowLayout("n 8 | token 16")
POSITION = _AT.token.stop
"""Bytes of a position."""
_NAME = 68


class HeadMoves:
    """The position of the pending transaction, and the lists. The store calls `take`, `flush` and `forget`."""

    def __init__(self, write: WriteTxn) -> None:
        self._write = write
        self.forget()

    def forget(self) -> None:
        """After a rollback: reads the position from the store."""
        self._at = self._write.get(t.META, POSITION_KEY) or bytes(POSITION)
        self._since = self._write.get(t.META, SINCE_KEY)
        self._begin()

    def _begin(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._hash = hashlib.blake2b(self._at, digest_size=TOKEN)

    def take(self, rows: Sequence[Item]) -> None:
        """Notes rows that are written to the table of heads."""
        self._rows.update(rows)
        self._hash.update(b"".join(chain.from_iterable(rows)))

    def flush(self) -> list[Item]:
        """Called before a commit, with which the returned rows of `meta` are to be written."""
        if not self._rows:
            return []
        before, self._at = self._at, self.position
        if self._since is not None:
            rows = [name + bytes((len(value),)) + value for name, value in sorted(self._rows.items())]
            self._write.put(t.META, LIST + self._at[_AT.n], before[_AT.token] + b"".join(rows))
        self._begin()
        return [(POSITION_KEY, self._at)]

    @property
    def position(self) -> bytes:
        """The position after the pending transaction is committed."""
        return t.u64(t.number(self._at[_AT.n]) + 1) + self._hash.digest() if self._rows else self._at

    @property
    def pending(self) -> bool:
        """Whether the pending transaction moved heads."""
        return bool(self._rows)

    # -- lists

    @property
    def kept(self) -> bool:
        return self._since is not None

    def keep(self) -> None:
        """Keeps lists from the pending transaction on."""
        if self._since is None:
            self._since = self._at[_AT.n]
            self._write.put(t.META, SINCE_KEY, self._since)

    def stop(self) -> None:
        """Keeps no lists, and deletes the existing ones."""
        if self._since is not None:
            self._since = None
            self._write.delete(t.META, SINCE_KEY)
            self._write.delete_range(t.META, LIST, LIST + b"\xff")

    def trim(self, position: bytes) -> None:
        """Deletes the lists before this position."""
        upto = position[_AT.n]
        if self._since is not None and self._since < upto:
            self._since = upto
            self._write.put(t.META, SINCE_KEY, upto)
            self._write.delete_range(t.META, LIST, LIST + t.u64(t.number(upto) + 1))

    def after(self, position: bytes) -> range | None:
        """The commits after this position that moved heads. None: unknown, so any head may have moved."""
        first, last = t.number(position[_AT.n]) + 1, t.number(self._at[_AT.n])
        if position == self._at:
            return range(first, first)
        if first > last or self._since is None or t.number(self._since) >= first:
            return None
        before = (self._write.get(t.META, LIST + t.u64(first)) or b"")[:TOKEN]
        return range(first, last + 1) if before == position[_AT.token] else None

    def heads(self, n: int) -> dict[LogId, Head] | None:
        """The heads that commit n moved. None: there is no list of it."""
        raw = self._write.get(t.META, LIST + t.u64(n))
        if raw is None:
            return None
        out, at = dict[LogId, Head](), TOKEN
        while at < len(raw):
            end = at + _NAME + 1 + raw[at + _NAME]
            out[t.log_of_name(raw[at : at + _NAME])] = t.head_of_value(raw[at + _NAME + 1 : end])[1]
            at = end
        return out
