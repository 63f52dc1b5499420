"""All views: those of the folder social/, where they are found, in the order of their names.

The store knows a view by its name, so views do not depend on each other. `SHOWN_NAME` is the view that all others are
made from: for each slot, which operation shows, and the seed of its content (view_rows.py). It is folded from the log.
Its version is computed from the collections: a new collection, a new field or another seed rebuilds everything from the
log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from banyan_schema.collection import Collection
from banyan_schema.registry import SOCIAL
from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.tables import ACTS, ARRIVED, STORE_TABLES
from banyan_storage.view_rows import SHOWN_TABLES, SLOT, Showing, facts_of
from banyan_storage.views import social
from banyan_storage.views.journal import JOURNAL
from banyan_storage.views.touched import TOUCHED
from banyan_storage.views.view import Row, RowOf, View

SHOWN_NAME = "shown"
VERSIONS = Table("view_versions")
"""name -> version u32, for views that are complete."""
BUILDING = Table("views_building")
"""name -> BUILDING_ROW, for views that are being built."""
BUILDING_ROW = Layout("version 4 | cursor")
"""cursor: see progress.py."""

AGAIN = Table("views_again")
"""account -> how far it is, for an account that is folded again in steps (large_accounts.py)."""


def checked(views: Iterable[View]) -> tuple[View, ...]:
    """By name. Raises ValueError where two share a name, a table, or a kind of facts: a row would be of both."""
    known = sorted(views, key=lambda view: view.name)
    taken = [table.name for table in (*STORE_TABLES, *SHOWN_TABLES, VERSIONS, BUILDING, AGAIN, JOURNAL, TOUCHED)]
    for what, names in (
        ("view", [SHOWN_NAME, *(view.name for view in known)]),
        ("table", [*taken, *(table.name for view in known for table in view.all_tables)]),
        ("kind of facts", [kind for view in known for kind in view.rows]),
    ):
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{what} '{twice[0]}' is of two views, or of a view and the store: rename one")
    return tuple(known)


def _found() -> tuple[View, ...]:
    """The views of the modules of social/."""
    names = sorted(module.name for module in iter_modules(social.__path__))
    return checked(import_module(f"{social.__name__}.{name}").VIEW for name in names)


VIEWS = _found()
ROW_TABLES = tuple(table for view in VIEWS for table in view.tables)
COUNT_TABLES = tuple(counter.counts for view in VIEWS for counter in view.counters)
VIEW_TABLES = (*SHOWN_TABLES, *ROW_TABLES, *COUNT_TABLES, VERSIONS, BUILDING, AGAIN, JOURNAL, TOUCHED)
GUARDED = (ACTS, ARRIVED, JOURNAL, TOUCHED)
"""Of the store too: each row has a checksum (tables.py)."""
OPENINGS = [(view.tables[0], view.openings) for view in VIEWS if view.openings is not None]
"""What the views make of a post that answers nothing."""
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
    number, unique, found = slot[SLOT.account], slot[SLOT.unique], []
    for kind, key in facts_of(slot, seed):
        listening = _LISTENING.get(kind)
        if listening is not None and (takes is None or takes(listening[0])):
            found.append(listening[1](number, key, unique, place))
    return found
