"""What was done under which id, for a day: an operation that comes again under its id is only answered again.

The note is written in the transaction of the operation, so after a crash both are there or neither. Notes lie in the
order of days, so those that are old enough are found without an index.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

import msgspec

from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import AccountId, H, account_to_text
from banyan_node.context import Context
from banyan_storage.store import Store

_NOTE = b"once:"
DAY_MS = 24 * 3_600_000
_JSON = msgspec.json.Encoder(order="sorted")


class Before(NamedTuple):
    """What was done: the digest of the request, and the answer as JSON values."""

    said: bytes
    answer: Any


def name_of(whose: str, id: str) -> bytes:
    """Under which an operation is noted. whose: who gave the id; others may give the same one."""
    return H("once", encode([whose.encode(), id.encode()]))[:16]


def digest_of(request: Any) -> bytes:
    """Of a request as JSON values, in whatever order its fields stand."""
    return H("once said", _JSON.encode(request))[:16]


class Notes:
    """The notes of one call. An operation is known for at least 24 hours."""

    def __init__(self, ctx: Context, now_ms: int) -> None:
        today = now_ms // DAY_MS
        self._store, self._today = ctx.store, _of(today)
        yesterday = _of(today - 1)
        self._before = yesterday if next(ctx.store.notes(yesterday), None) else None

    def find(self, name: bytes) -> Before | None:
        """What was done under this name."""
        raw = self._store.note(self._today + name)
        if raw is None and self._before is not None:
            raw = self._store.note(self._before + name)
        if raw is None:
            return None
        said, answer = decode(raw)
        return Before(said, msgspec.json.decode(answer))

    def put(self, name: bytes, said: bytes, answer: Any) -> None:
        self._store.put_note(self._today + name, encode([said, msgspec.json.encode(answer)]))


def forget(ctx: Context, now_ms: int, most: int) -> None:
    """Removes at most so many notes of the days before yesterday."""
    kept = _of(now_ms // DAY_MS - 1)
    for key, _ in list(islice(ctx.store.notes(_NOTE), most)):
        if key >= kept:
            break
        ctx.store.put_note(key, None)


def forget_of(store: Store, account: AccountId) -> None:
    """Removes the answers that name an account."""
    name = account_to_text(account).encode()
    for key, raw in [*store.notes(_NOTE)]:
        if name in raw:
            store.put_note(key, None)


def _of(day: int) -> bytes:
    return _NOTE + max(0, day).to_bytes(4, "big")
