"""A worker's end of the line to the node (protocol.py), under asyncio, and the node as the worker sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from itertools import count
from typing import Any, cast

import anyio
import anyio.to_thread
import msgspec

from banyan_node.api import decode
from banyan_node.api.cost import SPENT, CallCost, timed
from banyan_node.api.dispatch import method_of
from banyan_node.api.worker_reads import NodeOnly, StoreReads
from banyan_node.home.audit import OPERATOR, Actor
from banyan_node.idempotency import RecordKey
from banyan_node.operator_errors import CallError
from banyan_web.workers.protocol import (
    MICROSECONDS,
    WINDOW,
    Frame,
    FrameSplitter,
    LineRefusal,
    WorkerCall,
    WorkerDoes,
    WorkerFrameKind,
    WorkerSetup,
    frame,
    frame_of,
)


class NodeLine(asyncio.Protocol):
    """Use it in one event loop. opening: what the worker must know. stop: set when the node wants it to end, or when it
    is gone. gone: set when it is gone."""

    def __init__(self) -> None:
        self.opening: asyncio.Future[WorkerSetup] = asyncio.get_running_loop().create_future()
        self.stop, self.gone = asyncio.Event(), asyncio.Event()
        self._frames, self._numbers = FrameSplitter(), count(1)
        self._waiting: dict[int, tuple[asyncio.Future[bytes], CallCost | None]] = {}
        self._streams: dict[int, _Events] = {}
        self._writable = asyncio.Event()
        self._transport: asyncio.Transport

    @property
    def lost(self) -> bool:
        """Whether the node is gone."""
        return self.gone.is_set()

    # -- of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self._writable.set()
        if not self.opening.done():
            self.opening.set_exception(_gone())
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(_gone())
        for stream in self._streams.values():
            stream.put(_gone())
        self.stop.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        for one in self._frames.feed(data):
            self._take(one)

    def _take(self, one: Frame) -> None:
        if one.kind == WorkerFrameKind.STOP:
            self.stop.set()
        elif one.kind == WorkerFrameKind.OPEN:
            self.opening.set_result(msgspec.json.decode(one.payload, type=WorkerSetup))
        elif one.number in self._streams and one.kind != WorkerFrameKind.COST:
            self._streams[one.number].put(_end_of(one) if one.kind != WorkerFrameKind.EVENT else one.value)
        else:
            future, cost = self._waiting.get(one.number, (None, None))
            if future is None or future.done():
                return  # nobody waits any more
            if one.kind == WorkerFrameKind.COST:
                if cost is not None:
                    cost.seconds += MICROSECONDS.unpack(one.payload)[0] / 1e6
                return
            why = None if one.kind == WorkerFrameKind.ANSWER else _end_of(one)
            if why is None:
                future.set_result(one.payload)
            else:
                future.set_exception(why)

    # -- a backend of the door

    async def call(
        self, name: str, params: Mapping[str, Any], by: Actor = OPERATOR, once: RecordKey | None = None
    ) -> Any:
        """The answer, as JSON values. by: who acts, for the audit log. once: under this key it is done once. Raises
        CallError."""
        return msgspec.json.decode(await self._ask(WorkerFrameKind.CALL, WorkerCall(name, dict(params), by, once)))

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        """Bytes of a blob. Raises CallError."""
        return await self._ask(WorkerFrameKind.PIECE, (blob, offset, length))

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        """What happens at the node; once this returns, none is missed. Raises CallError."""
        number, stream = next(self._numbers), _Events()
        self._streams[number] = stream
        try:
            await self._send(frame_of(WorkerFrameKind.EVENTS, number, params))
            first = await stream.get()
            if isinstance(first, Exception):
                raise first
        except BaseException:
            self._leave(number)
            raise
        return self._told(number, stream, first)

    async def _told(self, number: int, stream: _Events, event: Any) -> AsyncGenerator[Any, None]:
        taken = 0
        try:
            while event is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
                taken += 1
                if taken == WINDOW // 2:
                    await self._send(frame(WorkerFrameKind.MORE, number, taken.to_bytes(4, "big")))
                    taken = 0
                event = await stream.get()
        finally:
            self._leave(number)

    def _leave(self, number: int) -> None:
        del self._streams[number]
        self._write(frame(WorkerFrameKind.CANCEL, number))

    async def _ask(self, kind: WorkerFrameKind, value: object) -> bytes:
        number = next(self._numbers)
        try:
            asked = frame_of(kind, number, value)
        except (UnicodeEncodeError, OverflowError, RecursionError, TypeError):
            raise CallError("bad_request", "The request has a value that is no JSON.") from None
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future, SPENT.get()
        try:
            await self._send(asked)
            return await future
        except asyncio.CancelledError:
            self._write(frame(WorkerFrameKind.CANCEL, number))
            raise
        finally:
            del self._waiting[number]

    # -- what it says of itself

    async def say_ready(self) -> None:
        await self._send(frame(WorkerFrameKind.READY, 0))

    async def say(self, does: WorkerDoes) -> None:
        await self._send(frame_of(WorkerFrameKind.DOES, 0, does))

    async def _send(self, data: bytes) -> None:
        await self._writable.wait()
        if self.lost:
            raise _gone()
        self._write(data)

    def _write(self, data: bytes) -> None:
        if not self.lost:
            self._transport.write(data)


class _Events:
    """Events that wait; the node sends no more than WINDOW."""

    def __init__(self) -> None:
        self._held: deque[Any] = deque()
        self._more = asyncio.Event()

    def put(self, event: Any) -> None:
        self._held.append(event)
        self._more.set()

    async def get(self) -> Any:
        """None at the end; an exception is an event too."""
        while not self._held:
            self._more.clear()
            await self._more.wait()
        return self._held.popleft()


def _end_of(one: Frame) -> Exception | None:
    if one.kind == WorkerFrameKind.REFUSED:
        why = msgspec.json.decode(one.payload, type=LineRefusal)
        return CallError(why.code, why.message, why.status, why.more)
    if one.kind == WorkerFrameKind.FAILED:
        return RuntimeError("the call failed inside the node, whose log says why")
    return None


def _gone() -> CallError:
    return CallError("not_ready", "The node stops; ask again when it runs.", 503)


# What the store alone can answer is read here, all else is asked over the line.

SLOW = 2
"""Slow reads at one time."""


class WorkerBackend:
    """Implements `banyan_web.endpoint.DoorBackend`. A quick read is done at once: to hand it to a thread takes as long
    as many of them, and all threads of a process share the interpreter."""

    def __init__(self, reads: StoreReads, line: NodeLine) -> None:
        self._reads, self._line = reads, line
        self._slow = anyio.CapacityLimiter(SLOW)

    async def call(
        self, name: str, params: Mapping[str, Any], by: Actor = OPERATOR, once: RecordKey | None = None
    ) -> Any:
        found = await self._read(name, params)
        return await self._line.call(name, params, by, once) if found is None else msgspec.to_builtins(found)

    async def answer(self, name: str, params: Mapping[str, Any]) -> Any:
        found = await self._read(name, params)
        if found is None:
            found = msgspec.convert(await self._line.call(name, params), method_of(name).answers)
        return found

    async def _read(self, name: str, params: Mapping[str, Any]) -> Any:
        """The answer in its declared type; None if the node has to be asked."""
        method = method_of(name)
        if method.apart:
            ask = decode.request(method, params)
            try:
                if method.slow:
                    return await anyio.to_thread.run_sync(timed(self._reads.answer), method, ask, limiter=self._slow)
                return self._reads.answer(method, ask)
            except NodeOnly:
                pass
        return None

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        try:
            return await anyio.to_thread.run_sync(timed(self._reads.piece), blob, offset, length, limiter=self._slow)
        except NodeOnly:
            return await self._line.piece(blob, offset, length)

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        return await self._line.events(params)
