"""What of entities was made once and is needed again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cachetools import FIFOCache, TTLCache

from banyan_node.api.methods.reading import PostRow

PEOPLE, PEOPLE_S = 20_000, 10.0
"""Accounts that stand beside posts: so many are kept made, each for so long; its counts may be so old there."""
TALKED_S = 300.0
"""How old trends may be."""
TEXTS = 20_000
"""Texts of posts that are kept as HTML."""
BODIES = 10_000
"""Posts that are kept as JSON, each as one reader sees it: 3 kB."""


class Body(NamedTuple):
    """A Status entity. row: of which it was made, held so that no other object gets its id. people: the Account
    entities in it, by DID."""

    row: PostRow
    people: tuple[tuple[str, Any], ...]
    json: bytes


@dataclass(frozen=True, slots=True)
class EntityCaches:
    """Of one process."""

    people: TTLCache[str, dict[str, Any]] = field(default_factory=lambda: TTLCache(PEOPLE, PEOPLE_S))
    """Account entities by DID."""
    texts: FIFOCache[object, str] = field(default_factory=lambda: FIFOCache(TEXTS))
    """HTML, by the text and by where its mentions lead."""
    tags: TTLCache[str, list[str]] = field(default_factory=lambda: TTLCache(PEOPLE, PEOPLE_S))
    """Those that an account follows."""
    talked: TTLCache[str, list[dict[str, Any]]] = field(default_factory=lambda: TTLCache(1, TALKED_S))
    """The newest posts, for trends."""
    bodies: FIFOCache[int, Body] = field(default_factory=lambda: FIFOCache(BODIES))
    """Status entities as JSON (bodies.py)."""
