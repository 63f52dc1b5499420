"""Which operations name the parts that are held, read from their entries."""

from __future__ import annotations

import struct

from banyan_crdt.errors import BanyanError
from banyan_crdt.ops import Op, Part, decode_body, part_of
from banyan_storage import tables as t
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader

UNREADABLE = (BanyanError, CorruptStore, LookupError, ValueError, struct.error)
"""What reading a row of an unknown form may raise."""


class NamedParts:
    """The parts that entries name. Ask in key order, so that an entry is read once for all its parts."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader, self._n, self._ops = reader, -1, tuple[Op, ...]()

    def op(self, key: bytes) -> Op | None:
        """The operation at a place."""
        n, at = t.part_place(key)
        if n != self._n:
            self._n, self._ops = n, self._read(n)
        return self._ops[at] if at < len(self._ops) else None

    def part(self, key: bytes) -> Part | None:
        op = self.op(key)
        return None if op is None else part_of(op)

    def _read(self, n: int) -> tuple[Op, ...]:
        try:
            e = self._reader.at(n)
            return decode_body(e.ops).ops if e else ()
        except UNREADABLE:
            return ()
