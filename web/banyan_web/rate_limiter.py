"""Counts requests and what they cost, for all processes of the door, and refuses those that are too many: over HTTP and
over WebSocket alike."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from mmap import mmap
from struct import Struct
from typing import Any

import anyio.lowlevel
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from banyan_node.api.cost import SPENT, CallCost, TimedAwaitable
from banyan_schema.dates import iso
from banyan_web.door_store import Token
from banyan_web.rate_limits import UNLIMITED, RateLimits, WindowCount, moved_on
from banyan_web.refusals import HttpRefusal, refusal, too_much

BYTE_S = 1e-8
"""What a byte of an answer counts as, seconds: 100 MB as one."""
STEP_S = 0.05
"""An answer that goes on is charged whenever it cost so much."""
_MANY_STREAMS = too_much("streams", "Too many streams are open without logging in: close one, or log in.")


def counted(bounds: RateLimits, token: Token | None, address: str) -> dict[str, str]:
    """One request more of the token; without one, of the address. Returns the headers of its answer, which are none
    where there is no limit. Raises HttpRefusal (429), with these headers and `Retry-After`."""
    count = bounds.request(token, address)
    if count is None:
        return {}
    headers = _headers(count)
    if count.over:
        headers["retry-after"] = str(_again(bounds, count))
        raise HttpRefusal(429, "Too many requests", headers, gate="rate")
    return headers


class Meter:
    """What one answer costs, or one WebSocket from its handshake to its end. It is charged to nobody until `charge`
    says to whom."""

    def __init__(self, bounds: RateLimits, scope: Scope, receive: Receive, send: Send) -> None:
        self._bounds, self._cost = bounds, CallCost()
        self._scope, self._receive, self._send = scope, receive, send
        self._address: str | None = None
        self._charged, self._begun, self._streaming = 0.0, True, False
        self._until, self._refused = anyio.CancelScope(), False

    def charge(self, address: str) -> None:
        """Who asks from there pays. Raises HttpRefusal (429), with `Retry-After`, if nothing of their allowance is
        left."""
        self._address = address
        try:
            self.demand()
        except HttpRefusal:
            self._address = None
            raise
        self._begun = False
        self._bounds.begin_anonymous(address, 1)

    def demand(self) -> None:
        """Before more work for who pays. Raises HttpRefusal (429) as `charge` does."""
        self._spend()
        over = None if self._address is None else self._bounds.anonymous_over(self._address)
        if over is not None:
            raise too_much("anonymous", "Too much was asked for without logging in.", _again(self._bounds, over))

    async def send(self, message: Message) -> None:
        """Sends a part of the answer. A stream that is one too many is ended before its first part."""
        if self._address is not None and _opens_stream(message):
            self._streaming = self._bounds.open_stream(self._address)
            if not self._streaming:
                self._refused = True
                self._until.cancel()
                await anyio.lowlevel.checkpoint()
        self._begins()
        await self._send(message)
        sent = message.get("body") or message.get("bytes") or message.get("text") or b""
        self._cost.seconds += len(sent) * BYTE_S
        if self._cost.seconds - self._charged > STEP_S:
            self._spend()

    async def run(self, answering: Coroutine[Any, Any, None]) -> None:
        """Makes and sends the answer."""
        before = SPENT.set(self._cost)
        try:
            with self._until:
                await TimedAwaitable(answering, self._cost)
            if self._refused:
                self._bounds.refused(_MANY_STREAMS, HTTPConnection(self._scope))
                await refusal(_MANY_STREAMS)(self._scope, self._receive, self._send)
        finally:
            SPENT.reset(before)
            self._begins()
            self._spend()
            if self._streaming and self._address is not None:
                self._bounds.close("streams", self._address)

    async def beside(self, work: Callable[..., Coroutine[Any, Any, None]], *given: Any) -> None:
        """What another task does for the answer."""
        await TimedAwaitable(work(*given), self._cost)

    def _begins(self) -> None:
        if self._address is not None and not self._begun:
            self._begun = True
            self._bounds.begin_anonymous(self._address, -1)

    def _spend(self) -> None:
        if self._address is not None:
            self._bounds.spend_anonymous(self._address, self._cost.seconds - self._charged)
            self._charged = self._cost.seconds


def _opens_stream(message: Message) -> bool:
    """Whether an answer begins that ends when the client leaves."""
    if message["type"] == "websocket.accept":
        return True
    begins = message["type"] == "http.response.start" and message["status"] == 200
    return begins and not any(name.lower() == b"content-length" for name, _ in message["headers"])


def is_anonymous(token: Token | None) -> bool:
    """Whether anybody can ask so: without a token, or with one of an app alone, which whoever registers one has."""
    return token is None or (token.account is None and not any(scope in token.scopes for scope in UNLIMITED))


def _again(bounds: RateLimits, count: WindowCount) -> int:
    return max(1, count.ends - int(bounds.clock()))


def _headers(count: WindowCount) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(count.limit),
        "x-ratelimit-remaining": str(count.left),
        "x-ratelimit-reset": iso(count.ends * 1000),
    }


# Several processes count together in memory that they share. A count is a slot of 20 bytes: half of a keyed hash of
# what is counted, the end of its window, the count, and that of the window before. The other half of the hash chooses
# eight slots; if none of them is free, the count whose window ends first goes. Each node draws its key anew, so nobody
# can choose whose counts meet.
#
# A process locks its eight slots by a record lock of the system, which ends with the process: one that is killed holds
# up nobody. A lock and its release take 2 us, and no other process is asked.

KEY_BYTES = 16
_SLOT = Struct(">8sIII")
_LOAD = Struct("=I")
MOST = 2**32 - 1
_NEAR = 8
"""Slots among which a count can be."""
_GROUPS = 1 << 14
_SPAN = _NEAR * _SLOT.size
_LOADS_AT, _LOADS = _GROUPS * _SPAN, 4_096
SIZE = _LOADS_AT + _LOADS
"""2.5 MiB: 131,072 counts; and behind them how many connections each process has, 4 bytes each."""


def shared_memory() -> int:
    """A descriptor of memory for counts, which has no name."""
    if hasattr(os, "memfd_create"):
        made = os.memfd_create("banyan-counts")
    else:
        with tempfile.TemporaryFile() as file:
            made = os.dup(file.fileno())
    os.ftruncate(made, SIZE)
    return made


class SharedCounts:
    """descriptor: of `shared_memory`. key: KEY_BYTES random bytes, the same in all processes. One thread of each."""

    def __init__(self, descriptor: int, key: bytes) -> None:
        self._file, self._key = descriptor, key
        self._memory = mmap(descriptor, SIZE)

    def add(self, kind: str, key: str, ends: int, seconds: int, more: int = 1) -> tuple[int, int]:
        """As `WindowCounts.add`."""
        name, at = self._place(kind, key)
        fcntl.lockf(self._file, fcntl.LOCK_EX, _SPAN, at)
        try:
            slots = [_SLOT.unpack_from(self._memory, at + n * _SLOT.size) for n in range(_NEAR)]
            found = next((n for n in range(_NEAR) if slots[n][0] == name), None)
            if found is None:
                found = min(range(_NEAR), key=lambda n: slots[n][1])
            held, at_last, counted, earlier = slots[found]
            if held != name:
                at_last, counted, earlier = ends, 0, 0
            count, before = moved_on(at_last, counted, earlier, ends, seconds, more)
            _SLOT.pack_into(self._memory, at + found * _SLOT.size, name, ends, min(count, MOST), before)
            return count, before
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _SPAN, at)

    def forget(self, kind: str, key: str) -> None:
        """The count begins anew."""
        name, at = self._place(kind, key)
        fcntl.lockf(self._file, fcntl.LOCK_EX, _SPAN, at)
        try:
            for n in range(_NEAR):
                if _SLOT.unpack_from(self._memory, at + n * _SLOT.size)[0] == name:
                    _SLOT.pack_into(self._memory, at + n * _SLOT.size, bytes(8), 0, 0, 0)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _SPAN, at)

    def note_load(self, number: int, connections: int) -> None:
        """How many connections process `number` has."""
        _LOAD.pack_into(self._memory, _LOADS_AT + number * _LOAD.size, connections)

    def least_load(self, processes: int) -> int:
        """The fewest connections that one of them has."""
        return min(int(_LOAD.unpack_from(self._memory, _LOADS_AT + n * _LOAD.size)[0]) for n in range(processes))

    def _place(self, kind: str, key: str) -> tuple[bytes, int]:
        digest = blake2b(f"{kind}\0{key}".encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()
        return digest[:8], int.from_bytes(digest[8:], "big") % _GROUPS * _SPAN
