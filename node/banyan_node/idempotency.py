"""One store of what was done under which key, by every way into the node: a request that comes again under its key is
answered again, and not done again.

A key is an Idempotency-Key, the id of an operation in bulk, or that of a form. It stands for its request for WINDOW_MS,
or up to twice as long. The record is written in the transaction of what was done, so after a crash both are there or
neither. Records lie in the order of days, so those that are old enough are found without an index.
"""

import re
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec

from banyan_crdt.codec import encode
from banyan_crdt.ids import H
from banyan_node.operator_errors import CallError
from banyan_storage.local_tables import IDEMPOTENCY, IdempotencyRecord
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

T = TypeVar("T")
WINDOW_MS = 24 * 3_600_000
MAX_KEY = 200
"""Characters of an Idempotency-Key."""
_OLD = 2
"""Old records that go with each new one."""
_JSON = msgspec.json.Encoder(order="sorted")
_DID = re.compile(rb"did:banyan:\w+")


class RecordKey(NamedTuple):
    """name: of the record, 16 bytes. said: the digest of the request, 16 bytes. outlives: the answer stays when an
    account is erased that it names."""

    name: bytes
    said: bytes
    outlives: bool = False

    def demand_same(self, said: bytes) -> None:
        """Raises CallError if the key was used for another request."""
        if said != self.said:
            why = "Something else was sent with this Idempotency-Key before: use a new one, or open the form anew."
            raise CallError("refused", why, 422)


def key_of(whose: str, given: str, request: Any) -> RecordKey:
    """whose: who gave it; others may give the same one. request: JSON values, in whatever order their fields stand."""
    name = H("once", encode([whose.encode(), given.encode("utf-8", "replace")]))
    return RecordKey(name[:16], H("once said", _JSON.encode(request))[:16])


def find(reader: StoreReader, name: bytes, now_ms: int) -> IdempotencyRecord | None:
    """What was done under this name in the last WINDOW_MS, or a little longer."""
    today = now_ms // WINDOW_MS
    return IDEMPOTENCY.get(reader, (today, name)) or IDEMPOTENCY.get(reader, (max(0, today - 1), name))


def once(store: Store, key: RecordKey, now_ms: int, answers: Any, do: Callable[[], Any]) -> Any:
    """What `do` answers, or what it answered when the key came first. answers: its type. Raises CallError."""
    before = find(store, key.name, now_ms)
    if before is not None:
        key.demand_same(before.said)
        return msgspec.json.decode(before.answer, type=answers)
    answer = do()
    put(store, key, answer, now_ms)
    return answer


def put(store: Store, key: RecordKey, answer: Any, now_ms: int, about: Collection[str] = ()) -> IdempotencyRecord:
    """Returns what is kept now. about: DIDs and names of accounts with whose erasing it goes, beside the DIDs in the
    answer."""
    for old in [*islice(IDEMPOTENCY.keys(store), _OLD)]:
        if old[0] < now_ms // WINDOW_MS - 1:
            IDEMPOTENCY.put(store, old, None)
    raw = msgspec.json.encode(answer)
    named = () if key.outlives else {*_DID.findall(raw), *(one.encode() for one in about)}
    record = IdempotencyRecord(key.said, raw, b"\n".join(named))
    IDEMPOTENCY.put(store, (now_ms // WINDOW_MS, key.name), record)
    return record


def drop(store: Store, name: bytes, now_ms: int) -> None:
    """The key is as new."""
    for day in (now_ms // WINDOW_MS, max(0, now_ms // WINDOW_MS - 1)):
        IDEMPOTENCY.put(store, (day, name), None)


def forget(store: Store, *whose: str) -> None:
    """Removes the answers that are about an account: its DID, and the name by which it was opened."""
    names = {one.encode() for one in whose}
    for key, record in [*IDEMPOTENCY.rows(store)]:
        if not names.isdisjoint(record.about.split(b"\n")):
            IDEMPOTENCY.put(store, key, None)
