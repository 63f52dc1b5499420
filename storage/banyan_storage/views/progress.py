"""How much of each view is there: all of it, or the part up to a cursor (building.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from banyan_crdt.ids import AccountId
from banyan_storage.engine import ReadTxn
from banyan_storage.errors import ViewBuilding
from banyan_storage.layout import Layout
from banyan_storage.view_rows import SLOT
from banyan_storage.views.registry import BUILDING, BUILDING_ROW, NAMES, SHOWN_NAME, version_of

CURSOR = Layout("account 32 | own")
"""own: of the last slot."""
WHOLE = b"\xff" * 64
"""The rest of a cursor at the end of its account, after all slots."""


class ViewStanding(NamedTuple):
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


def standings(txn: ReadTxn) -> list[ViewStanding]:
    """Every view."""
    at = cursors(txn)
    return [ViewStanding(name, version_of(name), done_of(at[name]) if name in at else 1.0) for name in NAMES]


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
