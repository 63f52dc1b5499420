"""What of entities was made once and is needed again."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple

from cachetools import FIFOCache, TTLCache

from banyan_node.api.methods.post_rows import PostRow

PEOPLE, PEOPLE_S = 20_000, 10.0
"""Accounts that stand beside posts: so many are kept made, each for so long; its counts may be so old there."""
TALKED_S = 300.0
"""How old trends may be."""
TEXTS = 20_000
"""Texts of posts that are kept as HTML."""
BODIES = 10_000
"""Posts that are kept as JSON, each as one reader sees it: 3 kB."""


class StatusBody(NamedTuple):
    """A Status entity. row: of which it was made, held so that no other object gets its id. people: the Account
    entities in it, by DID."""

    row: PostRow
    people: tuple[tuple[str, Any], ...]
    json: bytes


@dataclass(frozen=True, slots=True)
class EntityCaches:
    """Of one process."""

    people: FIFOCache[str, tuple[float, dict[str, Any]]] = field(default_factory=lambda: FIFOCache(PEOPLE))
    """Account entities by DID, each with the time when it was made, seconds of `monotonic`."""
    texts: FIFOCache[object, str] = field(default_factory=lambda: FIFOCache(TEXTS))
    """HTML, by the text and by where its mentions lead."""
    tags: TTLCache[str, list[str]] = field(default_factory=lambda: TTLCache(PEOPLE, PEOPLE_S))
    """Those that an account follows."""
    talked: TTLCache[str, list[dict[str, Any]]] = field(default_factory=lambda: TTLCache(1, TALKED_S))
    """The newest posts, for trends."""
    bodies: FIFOCache[int, StatusBody] = field(default_factory=lambda: FIFOCache(BODIES))
    """Status entities as JSON (statuses.py)."""

    def person(self, did: str) -> dict[str, Any] | None:
        """One made within PEOPLE_S. Each post of a page asks, and a TTLCache takes four times as long to answer."""
        made = self.people.get(did)
        return made[1] if made is not None and monotonic() - made[0] < PEOPLE_S else None

    def put_person(self, did: str, entity: dict[str, Any]) -> None:
        self.people[did] = monotonic(), entity
