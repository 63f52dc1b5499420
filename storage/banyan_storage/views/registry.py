"""All views: those of the folder social/, where they are found, in the order of their names; and how much of each is
built.

The store knows a view by its name, so views do not depend on each other. `SHOWN_NAME` is the view that all others are
made from: for each slot, which operation shows, and the seed of its content (slots.py). It is folded from the log.
Its version is computed from the collections: a new collection, a new field or another seed rebuilds everything from the
log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

from banyan_crdt.ids import AccountId
from banyan_schema.collection import Collection
from banyan_schema.registry import SOCIAL
from banyan_storage.engine import ReadTxn, Table
from banyan_storage.errors import ViewBuilding
from banyan_storage.slots import SHOWN_LAYOUT, SHOWN_TABLES, SLOT, SlotContent, facts_of
from banyan_storage.tables import ACTS, ARRIVED, STORE_TABLES, RowLayout
from banyan_storage.views import social
from banyan_storage.views.invalidation import TOUCHED
from banyan_storage.views.journal import JOURNAL
from banyan_storage.views.view import Row, RowOf, View

SHOWN_NAME = "shown"
VERSIONS = Table("view_versions")
"""name -> version u32, for views that are complete."""
BUILDING = Table("views_building")
"""name -> BUILDING_ROW, for views that are being built."""
BUILDING_ROW = RowLayout("version 4 | cursor")
"""cursor: see `CURSOR`."""

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
    modules = [import_module(f"{social.__name__}.{module.name}") for module in iter_modules(social.__path__)]
    return checked(view for module in modules for view in vars(module).values() if isinstance(view, View))


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
    """32 bits of a hash over the layout of rows, and name, version and `seeds` of each collection."""
    said = [f"{SHOWN_LAYOUT}", *sorted(f"{c.name} {c.version} {c.seeds}" for c in collections)]
    return int.from_bytes(sha256("\n".join(said).encode()).digest()[:4], "big")


SHOWN_VERSION = shown_version(SOCIAL)


def version_of(name: str) -> int:
    """The version of a view in this program."""
    return SHOWN_VERSION if name == SHOWN_NAME else next(view.version for view in VIEWS if view.name == name)


def tables_of(name: str) -> tuple[Table, ...]:
    """All tables of a view, counters included."""
    return SHOWN_TABLES if name == SHOWN_NAME else next(view.all_tables for view in VIEWS if view.name == name)


_LISTENING: dict[str, tuple[str, RowOf]] = {kind: (view.name, of) for view in VIEWS for kind, of in view.rows.items()}


def rows_of(showing: SlotContent, takes: Callable[[str], bool] | None = None) -> list[Row]:
    """The rows that views make of a slot. `takes`: whether to include the view of that name. Facts that no view shows
    give no row."""
    slot, place, seed = showing
    number, unique, found = slot[SLOT.account], slot[SLOT.unique], []
    for kind, key in facts_of(slot, seed):
        listening = _LISTENING.get(kind)
        if listening is not None and (takes is None or takes(listening[0])):
            found.append(listening[1](number, key, unique, place))
    return found


# Of each view all is there, or the part up to a cursor (builder.py).

CURSOR = RowLayout("account 32 | own")
"""own: of the last slot."""
WHOLE = b"\xff" * 64
"""The rest of a cursor at the end of its account, after all slots."""


class ViewProgress(NamedTuple):
    """A view: its version, and how much of it is built, from 0 to 1; 1: all of it."""

    name: str
    version: int
    done: float


def cursors(txn: ReadTxn) -> Mapping[str, bytes]:
    """The cursors of the views that are being built, by name. Usually there are none."""
    if not txn.count(BUILDING):
        return {}
    return {name.decode(): value[BUILDING_ROW.cursor] for name, value in txn.scan(BUILDING)}


def done_of(cursor: bytes) -> float:
    """How much is built, from 0 to 1. Account ids are hashes, so the cursor's place among all ids tells it."""
    return int.from_bytes(cursor.ljust(8, b"\0")[:8], "big") / (1 << 64)


def standings(txn: ReadTxn) -> list[ViewProgress]:
    """Every view."""
    at = cursors(txn)
    return [ViewProgress(name, version_of(name), done_of(at[name]) if name in at else 1.0) for name in NAMES]


def need(at: Mapping[str, bytes], *names: str) -> None:
    """Raises ViewBuilding if one of these views is being built."""
    for name in names:
        if name in at:
            raise ViewBuilding(name, done_of(at[name]))


def is_folded(at: Mapping[str, bytes], account: AccountId) -> bool:
    """Whether what the account shows must be updated now. If False, the builder reads the account later."""
    cursor = at.get(SHOWN_NAME)
    return cursor is None or account <= cursor[CURSOR.account]


def is_built(at: Mapping[str, bytes], name: str, account: bytes, slot: bytes) -> bool:
    """The same for the rows that a view makes of a slot. `slot` begins with the account's number."""
    cursor = at.get(name)
    return cursor is None or account + slot[SLOT.own] <= cursor


def folded(at: Mapping[str, bytes], accounts: Iterable[AccountId]) -> set[AccountId]:
    """Those of the accounts for which `is_folded` is true."""
    return {account for account in accounts if is_folded(at, account)}
