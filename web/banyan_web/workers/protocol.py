"""What goes over the line between the node and one worker: a pair of Unix sockets that the worker inherits.

A frame is the length of its payload (4 bytes), its kind (1), the number of a question (4), and the payload, which is
JSON, but for the bytes of a blob. The worker counts its questions; an answer has the number of its question. No other
process can reach the line, so it needs no token; whichever end dies, the other reads the end of the line at once.

    worker -> node      node -> worker
                        OPEN     what the worker must know, the first frame
    READY               the worker serves
    CALL                COST, then ANSWER, REFUSED or FAILED
    PIECE               the same
    EVENTS              EVENT for each, at most WINDOW more than MORE allowed, then END, REFUSED or FAILED
    MORE                so many more events may come
    CANCEL              nothing: nobody waits for the answer any more
    DOES                what it did lately, every BEAT_S seconds
                        STOP     end soon: first the streams, then what is under way
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from banyan_node.home.audit import Actor
from banyan_node.home.sections import HttpSettings, LogSettings
from banyan_node.idempotency import RecordKey

WINDOW = 256
"""Events of one stream that are under way."""
BEAT_S = 2.0
SILENT_S = 60.0
"""A worker that says nothing for so long hangs, and is killed."""
_HEAD = Struct(">IBI")
MICROSECONDS = Struct(">Q")
"""The payload of COST: of the processor, that the answer took."""


class WorkerFrameKind(IntEnum):
    OPEN = 0
    ANSWER = 1
    REFUSED = 2
    FAILED = 3
    EVENT = 4
    END = 5
    STOP = 6
    COST = 7
    READY = 16
    CALL = 17
    PIECE = 18
    EVENTS = 19
    MORE = 20
    CANCEL = 21
    DOES = 22


class Frame(NamedTuple):
    kind: int
    number: int
    payload: bytes

    @property
    def value(self) -> object:
        """The payload, if it is JSON."""
        return msgspec.json.decode(self.payload)


class WorkerSetup(msgspec.Struct, frozen=True):
    """What a worker must know. opening_key: of the node's device; it opens, and cannot sign. push_key: the secret of
    push messages (mastodon/push/crypto.py). url: of the door. listener, counts: descriptors. counts_key: 16 random
    bytes. number: which of `workers` it is, from 0."""

    home: str
    realm: str
    opening_key: bytes
    push_key: bytes
    http: HttpSettings
    log: LogSettings
    grace_seconds: float
    url: str
    listener: int
    counts: int
    counts_key: bytes
    number: int
    workers: int


class WorkerDoes(msgspec.Struct, frozen=True):
    """requests: since its start. connections: open now. stops: gate, address and how often, since it said so last."""

    requests: int
    connections: int
    stops: list[tuple[str, str, int]] = []


class WorkerCall(NamedTuple):
    """by: who acts, for the audit log. once: under this key it is done once."""

    name: str
    params: dict[str, Any]
    by: Actor
    once: RecordKey | None


class LineRefusal(msgspec.Struct, frozen=True, array_like=True):
    code: str
    message: str
    status: int
    more: dict[str, Any] = {}


def frame(kind: WorkerFrameKind, number: int, payload: bytes = b"") -> bytes:
    return _HEAD.pack(len(payload), kind, number) + payload


def frame_of(kind: WorkerFrameKind, number: int, value: object) -> bytes:
    """With a value as JSON. Raises what msgspec raises if it is none."""
    return frame(kind, number, msgspec.json.encode(value))


class FrameSplitter:
    """Takes bytes as they come, gives whole frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._rest += data
        at, size = 0, len(self._rest)
        try:
            while size - at >= _HEAD.size:
                length, kind, number = _HEAD.unpack_from(self._rest, at)
                end = at + _HEAD.size + length
                if end > size:
                    break
                payload = bytes(memoryview(self._rest)[at + _HEAD.size : end])
                at = end
                yield Frame(kind, number, payload)
        finally:
            del self._rest[:at]
