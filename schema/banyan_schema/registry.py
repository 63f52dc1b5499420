"""Registries: which collections are known, by id and by name. `SOCIAL` has those of the folder social/.

A registry is a value: `SOCIAL.adding(POLL)` returns another one. To make a collection known everywhere, put a module
with a tuple `COLLECTIONS` into social/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from banyan_crdt.codec import ARRAY
from banyan_crdt.ids import Coll
from banyan_crdt.ops import Op

from . import social
from .collection import Collection
from .layout import MAX_FIELDS


class Registry:
    """A set of collections, found by id or by name."""

    def __init__(self, collections: Iterable[Collection[Any]]) -> None:
        """Raises ValueError if two collections have the same name or id."""
        known = tuple(collections)
        self.by_id: dict[Coll, Collection[Any]] = {collection.id: collection for collection in known}
        self.by_name: dict[str, Collection[Any]] = {collection.name: collection for collection in known}
        if len(self.by_name) < len(known) or len(self.by_id) < len(known):
            names = sorted(collection.name for collection in known)
            raise ValueError(f"two collections have one name or id among {', '.join(names)}: rename one of them")

    def __iter__(self) -> Iterator[Collection[Any]]:
        """The collections in the order of their names."""
        return iter([self.by_name[name] for name in sorted(self.by_name)])

    def adding(self, *collections: Collection[Any]) -> Registry:
        """A registry with these collections too. Raises ValueError as the constructor does."""
        return Registry((*self, *collections))

    def blobs_in(self, collection: Coll, content: bytes) -> tuple[bytes, ...]:
        """The roots of the blobs that content names. Never raises."""
        known = self.by_id.get(collection)
        return () if known is None else known.blobs_in(content)

    @cached_property
    def blob_head(self) -> bytes:
        """The first byte of the shortest content that names a blob: greater ones may, smaller ones never do."""
        layouts = [(c.layout, c.blobs.field) for c in self if c.layout is not None and c.blobs is not None]
        return bytes([ARRAY + 1 + min((layout.names.index(field) for layout, field in layouts), default=MAX_FIELDS)])

    def decode(self, collection: Coll, op: Op, content: bytes) -> Any:
        """The content of `op`, or None if its collection is not known or cannot read it. Never raises."""
        known = self.by_id.get(collection)
        return known.decode(content) if known is not None and isinstance(op, known.op) else None


def _found() -> Registry:
    """The collections of all modules in social/."""
    names = sorted(module.name for module in iter_modules(social.__path__))
    modules = [import_module(f"{social.__name__}.{name}") for name in names]
    return Registry(collection for module in modules for collection in module.COLLECTIONS)


SOCIAL = _found()
