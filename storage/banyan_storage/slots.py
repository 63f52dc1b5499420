"""The live operations of a slot, shown or not, in the order that decides which is shown.

Stamps (`STAMP`) are ordered by time. Two devices of an account may write entries with
the same time; then their ids decide, not the order of arrival, which differs between nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from banyan_storage.engine import ReadTxn, after_prefix
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader
from banyan_storage.tables import part_place
from banyan_storage.view_rows import CELLS, SHOW, SHOWN, SLOT, STAMP


def shown_at(txn: ReadTxn, slot: bytes) -> bytes:
    """`SHOW` of what the slot shows, or empty."""
    found = next(txn.beginning(SHOWN, [(slot[SLOT.account], slot[SLOT.own])]), None)
    return b"" if found is None else found[2][len(slot) - SLOT.own.start :]


def cells_at(txn: ReadTxn, slot: bytes) -> set[bytes]:
    """The stamps of live operations that are not shown."""
    own = slot[SLOT.own]
    return {value[len(own) :] for value in txn.dups(CELLS, slot[SLOT.account], own, after_prefix(own))}


def time_at(reader: StoreReader, place: bytes) -> bytes:
    """The time of the entry at a place, 8 bytes."""
    return _name(reader, place)[1]


def stamp_of(reader: StoreReader, place: bytes) -> bytes:
    return time_at(reader, place) + place


def in_order(reader: StoreReader, stamps: Collection[bytes]) -> list[bytes]:
    """The stamps sorted, the last write last."""
    ordered = sorted(stamps)
    if any(a[STAMP.time] == b[STAMP.time] and a[STAMP.arrival] != b[STAMP.arrival] for a, b in pairwise(ordered)):
        ordered.sort(key=lambda stamp: (stamp[STAMP.time], _name(reader, stamp[STAMP.place])[0], stamp[STAMP.op]))
    return ordered


def last(reader: StoreReader, places: Sequence[bytes]) -> bytes:
    """The place of the last write. The entry of one alone is not read."""
    if len(places) == 1:
        return places[0]
    return in_order(reader, [stamp_of(reader, place) for place in places])[-1][STAMP.place]


def live_in(txn: ReadTxn, reader: StoreReader, slot: bytes) -> list[bytes]:
    """All live operations of a slot as stamps, the last write last."""
    stamps, show = cells_at(txn, slot), shown_at(txn, slot)
    if show:
        stamps.add(stamp_of(reader, show[SHOW.place]))
    return in_order(reader, stamps)


def _name(reader: StoreReader, place: bytes) -> tuple[bytes, bytes]:
    """(id, time) of the entry at a place."""
    n, _ = part_place(place)
    found = reader.name_at(n)
    if found is None:
        raise CorruptStore(f"the views name arrival {n}, which is not there; run a check")
    return found
