"""Every view that there is: those of the folder social/, found there, in the order of their names.

A view is known in the store by its name, so nothing depends on which others there are. `SHOWN_NAME` is what all others
are made of: which operation of each slot shows, and the seed of its content (view_rows.py). It is folded from the log;
the others follow from it. Its version follows from the collections: with a new one, one field more, or another seed,
everything is built again from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from banyan_schema.collection import Collection
from banyan_schema.registry import SOCIAL

from ..engine import Table
from ..tables import STORE_TABLES
from ..view_rows import SHOWN_TABLES, facts_of
from . import social
from .view import Row, RowOf, Showing, View

SHOWN_NAME = "shown"
VERSIONS = Table("view_versions")
"""name -> version u32. Of views whose rows are all there."""
BUILDING = Table("views_building")
"""name -> version u32 | cursor (building.py). Of views whose rows are being built."""


def checked(views: Iterable[View]) -> tuple[View, ...]:
    """By name. Raises ValueError where two share a name, a table, or a kind of facts: a row would be of both."""
    known = sorted(views, key=lambda view: view.name)
    taken = [table.name for table in (*STORE_TABLES, *SHOWN_TABLES, VERSIONS, BUILDING)]
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
VIEW_TABLES = (*SHOWN_TABLES, *ROW_TABLES, *COUNT_TABLES, VERSIONS, BUILDING)
NAMES = (SHOWN_NAME, *(view.name for view in VIEWS))


def shown_version(collections: Iterable[Collection[Any]]) -> int:
    """32 bits of a hash over the name, the version and the seeds of each."""
    said = sorted(f"{c.name} {c.version} {c.seeds}" for c in collections)
    return int.from_bytes(sha256("\n".join(said).encode()).digest()[:4], "big")


SHOWN_VERSION = shown_version(SOCIAL)


def version_of(name: str) -> int:
    """The one of this program."""
    return SHOWN_VERSION if name == SHOWN_NAME else next(view.version for view in VIEWS if view.name == name)


def tables_of(name: str) -> tuple[Table, ...]:
    return SHOWN_TABLES if name == SHOWN_NAME else next(view.all_tables for view in VIEWS if view.name == name)


_LISTENING: dict[str, tuple[str, RowOf]] = {kind: (view.name, of) for view in VIEWS for kind, of in view.rows.items()}


def rows_of(showing: Showing, takes: Callable[[str], bool] | None = None) -> list[Row]:
    """What views make of a slot; `takes`: whether a view, by its name, is asked. Other facts are left."""
    slot, place, seed = showing
    found = []
    for kind, key in facts_of(slot, seed):
        view, of = _LISTENING.get(kind, ("", None))
        if of is not None and (takes is None or takes(view)):
            found.append(of(slot[:4], key, slot[13:], place))
    return found
