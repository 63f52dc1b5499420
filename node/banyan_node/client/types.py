"""What /v1 of a door answers, where that is not the answer of a method of the node.

The door declares its endpoints with these types, and the client reads into them, so they cannot differ.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from banyan_node.api.declare import Response
from banyan_node.api.texts import Did, FirehoseCursor, Milliseconds


class OpenedAccount(Response, frozen=True):
    """recovery_words: 24 words for the user, null if the request had a commitment. repeated: whether this is the answer
    to an earlier request. error, code: why it was refused, or why its profile was. line: of the request, in bulk."""

    status: int
    name: str | None = None
    account: Did | None = None
    recovery_words: str | None = None
    repeated: bool = False
    error: str | None = None
    code: str | None = None
    line: int | None = None
    id: str | None = None


class OperationRow(Response, frozen=True):
    """answer: of the method. repeated: whether it is that of the first time. error, code: why it was refused. line: of
    the request."""

    status: int
    id: Any = None
    repeated: bool = False
    answer: dict[str, Any] | None = None
    error: str | None = None
    code: str | None = None
    line: int | None = None


class Webhook(Response, frozen=True):
    """state: disabled after it failed for a day. cursor: of the last event that was taken. error: of the last try.
    created, failing_since, tried, delivered: seconds since 1970. secret: in the answer to its making only."""

    id: str
    url: str
    accounts: list[str]
    events: list[str]
    collections: list[str]
    created: int
    state: Literal["active", "disabled"]
    cursor: str | None
    error: str | None
    failing_since: int | None
    tried: int | None
    delivered: int | None
    secret: str | None = None


class Webhooks(Response, frozen=True):
    webhooks: list[Webhook]


class FirehoseNote(Response, frozen=True, kw_only=True):
    """A line that is no event. frontier: a frontier cursor, of a note of that kind. why, message: of `end`."""

    kind: Literal["begin", "heartbeat", "frontier", "end"]
    cursor: FirehoseCursor
    time_ms: Milliseconds
    frontier: str | msgspec.UnsetType = msgspec.UNSET
    why: Literal["slow", "shutdown", "revoked", "restored", "caught_up"] | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET


class FirehoseDictionary(Response, frozen=True):
    """format: that it is for. hash: for `compress`; SHA-256 of its bytes. id: as zstd names it in a frame."""

    format: Literal["ndjson", "cbor"]
    hash: str
    id: int
    bytes: int


class FirehoseDictionaries(Response, frozen=True):
    dictionaries: list[FirehoseDictionary]


class ConsumerRow(Response, frozen=True):
    """cursor: everything up to it was confirmed."""

    name: str
    cursor: FirehoseCursor
    updated_ms: Milliseconds


class ConsumerRows(Response, frozen=True):
    consumers: list[ConsumerRow]
