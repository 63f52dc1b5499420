"""How far each view is: all there, or built up to a cursor (building.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from banyan_crdt.ids import AccountId

from ..engine import ReadTxn
from ..errors import ViewBuilding
from .registry import BUILDING, NAMES, SHOWN_NAME, version_of

WHOLE = b"\xff" * 64
"""The rest of a cursor that stands behind all slots of its account."""


class ViewStanding(NamedTuple):
    """A view: its version, and how much of it is there, 0 to 1; 1 where nothing is left to build."""

    name: str
    version: int
    done: float


def cursors(txn: ReadTxn) -> Mapping[str, bytes]:
    """Of the views that are being built: usually none."""
    if not txn.count(BUILDING):
        return {}
    return {name.decode(): value[4:] for name, value in txn.scan(BUILDING)}


def done_of(cursor: bytes) -> float:
    """Ids of accounts are hashes, so how far the cursor is among all ids is how much is done."""
    return int.from_bytes(cursor[:8].ljust(8, b"\0"), "big") / (1 << 64)


def standings(txn: ReadTxn) -> list[ViewStanding]:
    at = cursors(txn)
    return [ViewStanding(name, version_of(name), done_of(at[name]) if name in at else 1.0) for name in NAMES]


def need(at: Mapping[str, bytes], *names: str) -> None:
    """Raises ViewBuilding where one of these views is being built."""
    for name in names:
        if name in at:
            raise ViewBuilding(name, done_of(at[name]))


def is_folded(at: Mapping[str, bytes], account: AccountId) -> bool:
    """Whether what the account shows is kept in step; else the builder comes to it later."""
    cursor = at.get(SHOWN_NAME)
    return cursor is None or account <= cursor[:32]


def is_built(at: Mapping[str, bytes], name: str, account: bytes, slot: bytes) -> bool:
    """The same of the rows that a view makes of a slot, which begins with the account's number."""
    cursor = at.get(name)
    return cursor is None or account + slot[4:] <= cursor


def folded(at: Mapping[str, bytes], accounts: Iterable[AccountId]) -> set[AccountId]:
    return {account for account in accounts if is_folded(at, account)}
