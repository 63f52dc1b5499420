"""The node's end of the line to a worker (protocol.py): it answers what the worker cannot read in the store itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import msgspec
import trio

from banyan_node.api.cost import SPENT, CallCost, TimedAwaitable
from banyan_node.home.audit import Actor
from banyan_node.idempotency import RecordKey
from banyan_node.operator_errors import CallError
from banyan_web.endpoint import DoorBackend
from banyan_web.workers.protocol import (
    MICROSECONDS,
    WINDOW,
    Frame,
    FrameSplitter,
    LineRefusal,
    WorkerCall,
    WorkerDoes,
    WorkerFrameKind,
    frame,
    frame_of,
)

READ = 1 << 16
_log = logging.getLogger(__name__)


class WorkerHost(DoorBackend, Protocol):
    """A node."""

    async def answer(self, name: str, params: Mapping[str, Any], by: Actor = ..., once: RecordKey | None = None) -> Any:
        """As `call`, in the declared type."""


class NodeEnd:
    """does: told what the worker did lately; None: it is ready."""

    def __init__(self, backend: WorkerHost, line: trio.SocketStream, does: Callable[[WorkerDoes | None], None]) -> None:
        self._backend, self._line, self._does = backend, line, does
        self._turn = trio.Lock()
        self._asked: dict[int, trio.CancelScope] = {}
        self._may: dict[int, _Allowance] = {}
        self._closed = False

    async def run(self, opening: bytes) -> None:
        """Until the worker's end closes; what it asked for then is cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                await self._send(opening)
                frames = FrameSplitter()
                async for data in self._line:
                    for one in frames.feed(data):
                        self._take(one, nursery)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it died
        finally:
            self._closed = True

    async def stop(self) -> None:
        """Tells the worker to end."""
        await self._send(frame(WorkerFrameKind.STOP, 0))

    def _take(self, one: Frame, nursery: trio.Nursery) -> None:
        number = one.number
        match one.kind:
            case WorkerFrameKind.READY:
                self._does(None)
            case WorkerFrameKind.DOES:
                self._does(msgspec.json.decode(one.payload, type=WorkerDoes))
            case WorkerFrameKind.CANCEL:
                if number in self._asked:
                    self._asked[number].cancel()
            case WorkerFrameKind.MORE:
                if number in self._may:
                    self._may[number].more(int.from_bytes(one.payload, "big"))
            case WorkerFrameKind.CALL:
                nursery.start_soon(self._kept, number, self._call, one)
            case WorkerFrameKind.PIECE:
                nursery.start_soon(self._kept, number, self._piece, one)
            case WorkerFrameKind.EVENTS:
                nursery.start_soon(self._kept, number, self._events, one)

    async def _kept(self, number: int, do: Callable[[Frame], Coroutine[Any, Any, bytes]], one: Frame) -> None:
        """Sends what an answer cost, and its last frame, whatever comes of it."""
        cost = CallCost()
        SPENT.set(cost)
        with trio.CancelScope() as scope:
            self._asked[number] = scope
            try:
                last = await TimedAwaitable(do(one), cost)
            except CallError as why:
                last = frame_of(
                    WorkerFrameKind.REFUSED, number, LineRefusal(why.code, why.message, why.status, dict(why.more))
                )
            except Exception:
                _log.exception("a call of a worker of the door failed")
                last = frame(WorkerFrameKind.FAILED, number)
            finally:
                del self._asked[number]
            await self._send(frame(WorkerFrameKind.COST, number, MICROSECONDS.pack(round(cost.seconds * 1e6))) + last)

    async def _call(self, one: Frame) -> bytes:
        return frame_of(
            WorkerFrameKind.ANSWER,
            one.number,
            await self._backend.answer(*msgspec.json.decode(one.payload, type=WorkerCall)),
        )

    async def _piece(self, one: Frame) -> bytes:
        blob, offset, length = msgspec.json.decode(one.payload)
        return frame(WorkerFrameKind.ANSWER, one.number, await self._backend.piece(blob, offset, length))

    async def _events(self, one: Frame) -> bytes:
        number, may = one.number, _Allowance()
        self._may[number] = may
        try:
            async with aclosing(await self._backend.events(msgspec.json.decode(one.payload))) as events:
                async for event in events:  # the first one means: from here on none is missed
                    await may.take()
                    await self._send(frame_of(WorkerFrameKind.EVENT, number, event))
        finally:
            del self._may[number]
        return frame(WorkerFrameKind.END, number)

    async def _send(self, data: bytes) -> None:
        """A frame is sent whole, whoever is cancelled meanwhile. Does nothing after the end."""
        with trio.CancelScope(shield=True):
            async with self._turn:
                if not self._closed:
                    try:
                        await self._line.send_all(data)
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        self._closed = True


class _Allowance:
    """How many events may be sent."""

    def __init__(self) -> None:
        self._left, self._changed = WINDOW, trio.Event()

    def more(self, count: int) -> None:
        self._left += count
        self._changed.set()

    async def take(self) -> None:
        while not self._left:
            self._changed = trio.Event()
            await self._changed.wait()
        self._left -= 1
