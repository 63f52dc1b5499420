"""The live operations of a slot, shown or not, in the order that decides which is shown.

Stamps (time 8 | arrival number 6 | op index 2) are ordered by time. Two devices of an account may write entries with
the same time; then their ids decide, not the order of arrival, which differs between nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from .engine import ReadTxn, after_prefix
from .errors import CorruptStore
from .reader import StoreReader
from .tables import number
from .view_rows import CELLS, SHOWN


def shown_at(txn: ReadTxn, slot: bytes) -> bytes:
    """place 8 | seed of what the slot shows, or empty. slot: begins with the account's number."""
    found = next(txn.beginning(SHOWN, [(slot[:4], slot[4:])]), None)
    return b"" if found is None else found[2][len(slot) - 4 :]


def cells_at(txn: ReadTxn, slot: bytes) -> set[bytes]:
    """The stamps of live operations that are not shown."""
    size = len(slot) - 4
    return {value[size:] for value in txn.dups(CELLS, slot[:4], slot[4:], after_prefix(slot[4:]))}


def stamp_of(reader: StoreReader, place: bytes) -> bytes:
    return _name(reader, place)[1] + place


def in_order(reader: StoreReader, stamps: Collection[bytes]) -> list[bytes]:
    """The stamps sorted, the last write last."""
    ordered = sorted(stamps)
    if any(a[:8] == b[:8] and a[8:14] != b[8:14] for a, b in pairwise(ordered)):
        ordered.sort(key=lambda stamp: (stamp[:8], _name(reader, stamp[8:])[0], stamp[14:]))
    return ordered


def last(reader: StoreReader, places: Sequence[bytes]) -> bytes:
    """The place of the last write. The entry of one alone is not read."""
    return places[0] if len(places) == 1 else in_order(reader, [stamp_of(reader, place) for place in places])[-1][8:]


def live_in(txn: ReadTxn, reader: StoreReader, slot: bytes) -> list[bytes]:
    """All live operations of a slot as stamps, the last write last."""
    stamps, show = cells_at(txn, slot), shown_at(txn, slot)
    if show:
        stamps.add(stamp_of(reader, show[:8]))
    return in_order(reader, stamps)


def _name(reader: StoreReader, place: bytes) -> tuple[bytes, bytes]:
    """(id, time) of the entry at a place."""
    found = reader.name_at(number(place[:6]))
    if found is None:
        raise CorruptStore(f"the views name arrival {number(place[:6])}, which is not there; run a check")
    return found
