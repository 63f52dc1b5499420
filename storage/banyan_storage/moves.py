"""Which heads moved, commit by commit: what an index of heads that is kept outside the store has missed.

    meta  "moves"          -> n u64 | token 16                the last commit that moved heads
    meta  "moves since"    -> n u64                           lists are kept of the commits after n; absent: of none
    meta  "moved" | n u64  -> token before 16 | lid u32 ...   the logs whose heads commit n wrote

A position is n and token. The token is a hash over the token before and every head that the commit wrote, so equal
positions mean equal heads, also where a backup was restored and went another way. The position is noted in the
transaction that moves heads, by the only code that writes heads, whether lists are kept or not.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from itertools import chain

from banyan_crdt.ids import Head, LogId

from . import tables as t
from .engine import Item, WriteTxn

POSITION_KEY, SINCE_KEY, LIST = b"moves", b"moves since", b"moved"
TOKEN = 16
POSITION = 8 + TOKEN
"""Bytes of a position."""


class Moves:
    """The position of the pending transaction, and the lists. The store calls `take`, `flush` and `forget`."""

    def __init__(self, write: WriteTxn) -> None:
        self._write = write
        self.forget()

    def forget(self) -> None:
        """What is pending is gone: stand where the store stands."""
        self._at = self._write.get(t.META, POSITION_KEY) or bytes(POSITION)
        self._since = self._write.get(t.META, SINCE_KEY)
        self._begin()

    def _begin(self) -> None:
        self._lids: set[bytes] = set()
        self._hash = hashlib.blake2b(self._at, digest_size=TOKEN)

    def take(self, rows: Sequence[Item]) -> None:
        """These rows of the table of heads are written."""
        self._lids.update([value[:4] for _, value in rows])
        self._hash.update(b"".join(chain.from_iterable(rows)))

    def flush(self) -> None:
        """Before a commit."""
        if not self._lids:
            return
        before, self._at = self._at, self.position
        if self._since is not None:
            self._write.put(t.META, LIST + self._at[:8], before[8:] + b"".join(sorted(self._lids)))
        self._write.put(t.META, POSITION_KEY, self._at)
        self._begin()

    @property
    def position(self) -> bytes:
        """Where the heads stand once what is pending is committed."""
        return t.u64(t.number(self._at[:8]) + 1) + self._hash.digest() if self._lids else self._at

    @property
    def pending(self) -> bool:
        """Whether heads moved that are not committed."""
        return bool(self._lids)

    # -- lists

    @property
    def kept(self) -> bool:
        return self._since is not None

    def keep(self) -> None:
        """Keep lists from the pending transaction on."""
        if self._since is None:
            self._since = self._at[:8]
            self._write.put(t.META, SINCE_KEY, self._since)

    def stop(self) -> None:
        """Keep none, and forget those there are."""
        if self._since is not None:
            self._since = None
            self._write.delete(t.META, SINCE_KEY)
            self._write.delete_range(t.META, LIST, LIST + b"\xff")

    def trim(self, position: bytes) -> None:
        """Nobody will ask what moved before this position."""
        upto = position[:8]
        if self._since is not None and self._since < upto:
            self._since = upto
            self._write.put(t.META, SINCE_KEY, upto)
            self._write.delete_range(t.META, LIST, LIST + t.u64(t.number(upto) + 1))

    def after(self, position: bytes) -> list[int] | None:
        """The lids of heads that commits after this position wrote. None: it is not known, so any may have moved.

        What is pending is left out.
        """
        if position == self._at:
            return []
        first, last = t.number(position[:8]) + 1, t.number(self._at[:8])
        if first > last:
            return None
        rows = list(self._write.scan(t.META, LIST + t.u64(first), LIST + t.u64(last + 1)))
        if len(rows) != last + 1 - first or rows[0][1][:TOKEN] != position[8:]:
            return None
        lids = set(chain.from_iterable(_lids(value) for _, value in rows))
        return sorted(lids)

    def heads(self, lids: Sequence[int]) -> dict[LogId, Head]:
        """Where these logs stand, pending changes included. Ascending lids are cheapest."""
        names = sorted(name for _, name in self._write.get_many(t.LOGS, map(t.u32, lids)))
        rows = self._write.get_many(t.HEADS, names)
        return {t.log_of_name(key): t.head_of_value(value)[1] for key, value in rows}


def _lids(value: bytes) -> tuple[int, ...]:
    return struct.unpack_from(f">{(len(value) - TOKEN) // 4}I", value, TOKEN)
