"""What was done under which id, for a day: an operation that comes again under its id is only answered again.

The note is written in the transaction of the operation, so after a crash both are there or neither. Notes lie in the
order of days, so those that are old enough are found without an index.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec

from banyan_crdt.codec import encode
from banyan_crdt.ids import AccountId, H, account_to_text
from banyan_storage.local_tables import IDEMPOTENCY, IdempotencyRecord
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

DAY_MS = 24 * 3_600_000
_JSON = msgspec.json.Encoder(order="sorted")


def name_of(whose: str, id: str) -> bytes:
    """Under which an operation is noted. whose: who gave the id; others may give the same one."""
    return H("once", encode([whose.encode(), id.encode()]))[:16]


def digest_of(request: Any) -> bytes:
    """Of a request as JSON values, in whatever order its fields stand."""
    return H("once said", _JSON.encode(request))[:16]


def find(reader: StoreReader, name: bytes, now_ms: int) -> IdempotencyRecord | None:
    """What was done under this name in the last 24 hours, or a little longer."""
    today = now_ms // DAY_MS
    return IDEMPOTENCY.get(reader, (today, name)) or IDEMPOTENCY.get(reader, (max(0, today - 1), name))


def put(store: Store, name: bytes, said: bytes, answer: Any, now_ms: int) -> None:
    IDEMPOTENCY.put(store, (now_ms // DAY_MS, name), IdempotencyRecord(said, msgspec.json.encode(answer)))


def forget(store: Store, now_ms: int, most: int) -> None:
    """Removes at most so many of the days before yesterday."""
    for key in [*islice(IDEMPOTENCY.keys(store), most)]:
        if key[0] < now_ms // DAY_MS - 1:
            IDEMPOTENCY.put(store, key, None)


def forget_of(store: Store, account: AccountId) -> None:
    """Removes the answers that name an account."""
    name = account_to_text(account).encode()
    for key, record in [*IDEMPOTENCY.rows(store)]:
        if name in record.answer:
            IDEMPOTENCY.put(store, key, None)
