"""Accounts that are about to be taken to this node: fetched from peers although nobody here hosts or follows them."""

from __future__ import annotations

from banyan_crdt.ids import AccountId
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

_AWAITED = b"awaited:"


def accounts(store: StoreReader) -> frozenset[AccountId]:
    return frozenset(AccountId(key[-32:]) for key, _ in store.notes(_AWAITED))


def is_awaited(store: StoreReader, account: AccountId) -> bool:
    return store.note(_AWAITED + account) is not None


def put(store: Store, account: AccountId, waits: bool) -> None:
    store.put_note(_AWAITED + account, b"" if waits else None)
