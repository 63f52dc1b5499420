"""Slots that are computed as a whole: the live operations are read and changed, what shows is computed again, and only
what differs from before is written."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from banyan_crdt.parts import content_of
from banyan_storage import tables as t
from banyan_storage.engine import WriteTxn, after_prefix
from banyan_storage.reader import StoreReader
from banyan_storage.slots import (
    CELLS,
    KINDS,
    SHOW,
    SLOT,
    STAMP,
    TOMB,
    TOMBS,
    SlotContent,
    all_shown,
    cells_at,
    in_order,
    shown,
    shown_at,
    size_of,
    stamp_of,
)
from banyan_storage.views.row_changes import RowChanges

_apart = itemgetter(SLOT.account, SLOT.own)


class _SlotState(NamedTuple):
    """was: what the slot showed. cells: the other live operations before. live: all live operations now."""

    was: bytes
    cells: set[bytes]
    live: set[bytes]


class Slots:
    """Some of them, and all rows to write."""

    def __init__(
        self, txn: WriteTxn, reader: StoreReader, building: Mapping[str, bytes], empty: Set[bytes] = frozenset()
    ) -> None:
        self._txn, self._reader = txn, reader
        self._slots: dict[bytes, _SlotState] = {}
        self.contents: dict[bytes, bytes] = {}
        self.changes = RowChanges(txn, building, empty)

    def at(self, slot: bytes) -> _SlotState:
        """The slot, read from the store when it is first asked for."""
        found = self._slots.get(slot)
        if found is None:
            was, cells = shown_at(self._txn, slot), cells_at(self._txn, slot)
            live = {*cells, stamp_of(self._reader, was[SHOW.place])} if was else {*cells}
            found = self._slots[slot] = _SlotState(was, cells, live)
        return found

    def add(self, slot: bytes, stamp: bytes, content: bytes | None) -> None:
        """Adds a live operation, and its content if it is held."""
        self.at(slot).live.add(stamp)
        if content is not None:
            self.contents[stamp[STAMP.place]] = content

    def remove(self, slot: bytes, place: bytes) -> bool:
        """Removes an operation. Returns whether it was live there."""
        live = self.at(slot).live
        gone = {stamp for stamp in live if stamp[STAMP.place] == place}
        live -= gone
        return bool(gone)

    def bury(self, tombs: set[bytes]) -> None:
        """Writes tombstones and empties their cells. `tombs`: `TOMB`."""
        self._txn.put_many(TOMBS, sorted([(tomb[TOMB.account], tomb[TOMB.cell]) for tomb in tombs]))
        for tomb in tombs:
            number, coll, key = TOMB.unpack(tomb)
            for kind in KINDS.values():
                start = coll + kind + key
                rows = [number + value for value in self._txn.dups(CELLS, number, start, after_prefix(start))]
                shows = [one.slot for one in all_shown(self._txn, number, start, after_prefix(start))]
                for slot in chain(shows, (row[: size_of(row)] for row in rows)):
                    self.at(slot).live.clear()

    def _content(self, place: bytes) -> bytes | None:
        found = self.contents.get(place)
        if found is None:
            raw = self._txn.get(t.PARTS, place)
            found = None if raw is None else content_of(raw)
        return found

    def finish(self) -> None:
        """Computes what the slots show, and writes what differs. Commits nothing."""
        changes = self.changes
        for slot, state in self._slots.items():
            show, (number, own) = shown(slot, in_order(self._reader, state.live), self._content), _apart(slot)
            cells = state.live - {show.stamp} if show else state.live
            for stamp in state.cells - cells:
                changes.delete(CELLS, number, own + stamp)
            changes.puts[CELLS] += [(number, own + stamp) for stamp in cells - state.cells]
            was, now = state.was, show.stamp[STAMP.place] + show.seed if show else b""
            if was == now:
                continue
            changes.slot(_showing(slot, was), _showing(slot, now))
        changes.write()


def _showing(slot: bytes, row: bytes) -> SlotContent | None:
    return SlotContent(slot, *SHOW.unpack(row)) if row else None
