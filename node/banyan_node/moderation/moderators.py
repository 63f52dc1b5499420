"""Who moderates at this node: hosted accounts that the operator named."""

from __future__ import annotations

from collections.abc import Iterator

from banyan_crdt.ids import AccountId
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

_MODERATOR = b"moderator:"


def note(store: Store, account: AccountId, since_ms: int | None) -> None:
    """since_ms: milliseconds since 1970; None: it moderates no more."""
    store.put_note(_MODERATOR + account, None if since_ms is None else since_ms.to_bytes(8, "big"))


def is_moderator(reader: StoreReader, account: AccountId) -> bool:
    return reader.note(_MODERATOR + account) is not None


def every(reader: StoreReader) -> Iterator[tuple[AccountId, int]]:
    """(account, since when)."""
    return ((AccountId(key[len(_MODERATOR) :]), int.from_bytes(raw, "big")) for key, raw in reader.notes(_MODERATOR))
