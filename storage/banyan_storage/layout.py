"""The layout of a row, written once: its fields are cut out by their names."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING


class Layout:
    """The fields of a key or a value in their order, as in "time 8 | key 16 | place 8": name and bytes of each. The
    last one may have no size: it is all that is left. Each is a slice of that name: `row[LINE.place]`.

    `spans`: several fields by one name: the first and the last of them, or the first alone, then up to the end."""

    unpack: Callable[[bytes], tuple[bytes, ...]]
    """The fields of a row, of two or more."""

    if TYPE_CHECKING:  # a method would make every field slower to find

        def __getattr__(self, field: str) -> slice: ...

    def __init__(self, fields: str, **spans: str) -> None:
        at, found = 0, dict[str, slice]()
        for field in fields.split(" | "):
            name, _, size = field.partition(" ")
            found[name] = slice(at, at + int(size) if size else None)
            at += int(size or 0)
        self.unpack = itemgetter(*found.values())
        for name, span in spans.items():
            first, _, last = span.partition(" ")
            found[name] = slice(found[first].start, found[last].stop if last else None)
        self.__dict__.update(found)
