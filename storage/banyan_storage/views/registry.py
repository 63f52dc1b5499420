"""Every view that there is. A new one is a module like thread.py, and a line here.

`SHOWN_NAME` is what all others are made of: which operation of each slot shows, and the seed of its content
(view_rows.py). It is folded from the log; the others follow from it. A collection whose seed changes, or that is new,
raises `SHOWN_VERSION`, and everything is built again from the log.
"""

from __future__ import annotations

from ..engine import Table
from ..view_rows import SHOWN_TABLES
from . import followers, reactions, relations, thread, timeline
from .view import View

SHOWN_NAME, SHOWN_VERSION = "shown", 1
VIEWS: tuple[View, ...] = (timeline.VIEW, thread.VIEW, reactions.VIEW, relations.VIEW, followers.VIEW)

VERSIONS = Table("view_versions")
"""name -> version u32. Of views whose rows are all there."""
BUILDING = Table("views_building")
"""name -> version u32 | cursor (building.py). Of views whose rows are being built."""

ROW_TABLES = tuple(table for view in VIEWS for table in view.tables)
COUNT_TABLES = tuple(counter.counts for view in VIEWS for counter in view.counters)
VIEW_TABLES = (*SHOWN_TABLES, *ROW_TABLES, *COUNT_TABLES, VERSIONS, BUILDING)
NAMES = (SHOWN_NAME, *(view.name for view in VIEWS))


def version_of(name: str) -> int:
    """The one of this program."""
    return SHOWN_VERSION if name == SHOWN_NAME else next(view.version for view in VIEWS if view.name == name)


def tables_of(name: str) -> tuple[Table, ...]:
    return SHOWN_TABLES if name == SHOWN_NAME else next(view.all_tables for view in VIEWS if view.name == name)


def fed_by(coll: bytes) -> tuple[View, ...]:
    """The views that read slots of a collection."""
    return _FED.get(coll, ())


_FED: dict[bytes, tuple[View, ...]] = {
    coll: tuple(view for view in VIEWS if coll in view.feeds) for coll in sorted({c for v in VIEWS for c in v.feeds})
}
