"""Reads any collection of an account from its slots, without a view.

Slots of one collection are stored together, ordered by key and element, so a page reads only its own rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from banyan_crdt.ids import CellKey
from banyan_crdt.parts import content_of
from banyan_schema.collection import Collection
from banyan_storage.engine import ReadTxn, after_prefix
from banyan_storage.reader import StoreReader
from banyan_storage.slots import KINDS, SLOT, all_shown, ms_of, time_at
from banyan_storage.tables import PARTS

ShownItem: TypeAlias = tuple[bytes, CellKey, CellKey | None, int, list[Any]]
"""Place, key, element (None for a register), time of the entry in milliseconds, values of the content's fields."""


def items_of(
    txn: ReadTxn, reader: StoreReader, number: bytes, of: Collection[Any], prefix: bytes, after: bytes
) -> Iterator[ShownItem]:
    """The items of a collection of registers or sets. number: the account's. prefix: of key and element. after: start
    after this key and element."""
    assert of.layout is not None, f"collection '{of.name}' has no content with fields"
    opens, is_set = of.id + KINDS[of.merge], of.merge == "set"
    start, stop = opens + prefix, after_prefix(opens + prefix)
    if after:
        start = max(start, after_prefix(opens + after) or start)
    for slot, place, _ in all_shown(txn, number, start, stop):
        part = txn.get(PARTS, place)
        values = None if part is None else of.layout.values(content_of(part))
        if values is not None:
            elem = CellKey(slot[SLOT.element]) if is_set else None
            yield place, CellKey(slot[SLOT.key]), elem, ms_of(time_at(reader, place)), values
