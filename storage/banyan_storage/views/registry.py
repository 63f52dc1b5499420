"""All views. To add one, write a module like thread.py and add it here.

`SHOWN_NAME` is the view that all others are made from: for each slot, which operation shows, and the seed of its
content (view_rows.py). It is folded from the log. Its version is computed from the collections: a new collection, a new
field or another seed rebuilds everything from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

from banyan_schema.collection import Collection
from banyan_schema.registry import SOCIAL

from ..engine import Table
from ..view_rows import SHOWN_TABLES, facts_of
from . import followers, reactions, relations, thread, timeline
from .view import Row, RowOf, Showing, View

SHOWN_NAME = "shown"
VIEWS: tuple[View, ...] = (timeline.VIEW, thread.VIEW, reactions.VIEW, relations.VIEW, followers.VIEW)

VERSIONS = Table("view_versions")
"""name -> version u32, for views that are complete."""
BUILDING = Table("views_building")
"""name -> version u32 | cursor (building.py), for views that are being built."""

ROW_TABLES = tuple(table for view in VIEWS for table in view.tables)
COUNT_TABLES = tuple(counter.counts for view in VIEWS for counter in view.counters)
VIEW_TABLES = (*SHOWN_TABLES, *ROW_TABLES, *COUNT_TABLES, VERSIONS, BUILDING)
NAMES = (SHOWN_NAME, *(view.name for view in VIEWS))


def shown_version(collections: Iterable[Collection[Any]]) -> int:
    """32 bits of a hash over name, version and `seeds` of each collection."""
    said = sorted(f"{c.name} {c.version} {c.seeds}" for c in collections)
    return int.from_bytes(sha256("\n".join(said).encode()).digest()[:4], "big")


SHOWN_VERSION = shown_version(SOCIAL)


def version_of(name: str) -> int:
    """The version of a view in this program."""
    return SHOWN_VERSION if name == SHOWN_NAME else next(view.version for view in VIEWS if view.name == name)


def tables_of(name: str) -> tuple[Table, ...]:
    """All tables of a view, counters included."""
    return SHOWN_TABLES if name == SHOWN_NAME else next(view.all_tables for view in VIEWS if view.name == name)


_LISTENING: dict[str, tuple[str, RowOf]] = {kind: (view.name, of) for view in VIEWS for kind, of in view.rows.items()}


def rows_of(showing: Showing, takes: Callable[[str], bool] | None = None) -> list[Row]:
    """The rows that views make of a slot. `takes`: whether to include the view of that name. Facts that no view shows
    give no row."""
    slot, place, seed = showing
    found = []
    for kind, key in facts_of(slot, seed):
        view, of = _LISTENING.get(kind, ("", None))
        if of is not None and (takes is None or takes(view)):
            found.append(of(slot[:4], key, slot[13:], place))
    return found
