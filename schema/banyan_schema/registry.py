"""Registries: which collections are known, by id and by name. `SOCIAL` has those of the folder social/.

A registry is a value: `SOCIAL.adding(POLL)` returns another one. To make a collection known everywhere, put a module
with a tuple `COLLECTIONS` into social/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from banyan_crdt.blob import HASH_BYTES
from banyan_crdt.codec import ARRAY, bytes_head
from banyan_crdt.ids import Coll
from banyan_crdt.ops import Op
from banyan_crdt.parts import beginning_with
from banyan_schema import social
from banyan_schema.collection import Collection

_ROOT, _NO_HEAD = bytes_head(HASH_BYTES), b"\xff"


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
    def _blob_heads(self) -> dict[Coll, bytes]:
        """Of each collection that names blobs, the first byte of its shortest content that does: greater ones may,
        smaller ones never do."""
        named = [(c.id, c.layout, c.blobs.field) for c in self if c.layout is not None and c.blobs is not None]
        return {of: bytes([ARRAY + 1 + layout.names.index(field)]) for of, layout, field in named}

    @cached_property
    def naming_version(self) -> bytes:
        """4 bytes that differ where other content names blobs."""
        said = sorted(f"{self.by_id[of].name} {head[0]}" for of, head in self._blob_heads.items())
        return sha256("\n".join(said).encode()).digest()[:4]

    def naming(self, colls: Sequence[Coll], parts: Sequence[bytes]) -> list[int]:
        """Which of these checked parts may name blobs, each of the collection at its place; the others never do. Most
        that is asked is a run of one collection: then it costs what `beginning_with` does."""
        heads, kinds = self._blob_heads, {*colls}
        if len(kinds) == 1:
            head = heads.get(kinds.pop())
            return [] if head is None else beginning_with(parts, head)
        some = [(k, head) for k, coll in enumerate(colls) if (head := heads.get(coll)) is not None]
        return [k for k, head in some if beginning_with((parts[k],), head)]

    def may_name(self, part: bytes) -> bool:
        """The same of a part whose collection is not known: content that names a blob has enough fields for one of
        them, and the head of a root in it. A text rarely has both, so its entry need not be read."""
        return _ROOT in part and bool(beginning_with((part,), min(self._blob_heads.values(), default=_NO_HEAD)))

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
