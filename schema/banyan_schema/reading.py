"""Reads the cells of an account as values, with the content that is held.

This works for every collection, with or without a view. Views show the same (a test compares). A register shows its
last live write. If the content of that write is not held or is not readable, it shows nothing, because an older value
would be wrong. An element shows its last live add with content.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from banyan_crdt.cells import Cells
from banyan_crdt.ids import CellKey, Ref
from banyan_schema.collection import Collection

C = TypeVar("C")
ContentOf: TypeAlias = Callable[[Ref], bytes | None]
"""Operation -> its content without the salt, or None if it is not held."""
UNREADABLE = "\ufffd"
"""Shown for a character of a text whose content is not held, or does not have this character."""


def registers(of: Collection[C], cells: Cells, content_of: ContentOf) -> dict[CellKey, C]:
    """What each register of the collection shows, by key. Registers that show nothing are left out."""
    out: dict[CellKey, C] = {}
    for (coll, key), writes in cells.registers.items():
        if coll == of.id:
            (_, entry, op), _ = writes[0]
            raw = content_of(Ref(entry, op))
            content = None if raw is None else of.decode(raw)
            if content is not None:
                out[key] = content
    return out


def elements(of: Collection[C], cells: Cells, content_of: ContentOf) -> dict[CellKey, dict[CellKey, C]]:
    """What each element of each set of the collection shows, by key and element."""
    out: dict[CellKey, dict[CellKey, C]] = {}
    for (coll, key), found in cells.sets.items():
        for elem, adds in found.items() if coll == of.id else ():
            for (_, entry, op), _ in reversed(adds):
                raw = content_of(Ref(entry, op))
                content = None if raw is None else of.decode(raw)
                if content is not None:
                    out.setdefault(key, {})[elem] = content
                    break
    return out


def counters(of: Collection[C], cells: Cells) -> dict[CellKey, int]:
    """The sum of each counter of the collection, by key."""
    return {key: count for (coll, key), count in cells.counters.items() if coll == of.id}


def texts(of: Collection[C], cells: Cells, content_of: ContentOf) -> dict[CellKey, str]:
    """Each text of the collection, by key. Character i of an insertion is code point i of its content, read as
    UTF-8."""
    inserted: dict[Ref, str] = {}

    def character(ref: Ref, offset: int) -> str:
        if ref not in inserted:
            inserted[ref] = _utf8(content_of(ref) or b"")
        return inserted[ref][offset : offset + 1] or UNREADABLE

    return {
        key: "".join([character(*at) for at in found]) for (coll, key), found in cells.texts.items() if coll == of.id
    }


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""
