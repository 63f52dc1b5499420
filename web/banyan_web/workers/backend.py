"""The node as a worker sees it: what the store alone can answer is read here, all else is asked over the line."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from banyan_node.api import decode
from banyan_node.api.apart import NotHere, StoreReads
from banyan_node.api.cost import timed
from banyan_node.api.dispatch import method_of
from banyan_node.home.audit import OPERATOR, Actor
from banyan_node.idempotency import Key
from banyan_web.workers.line import NodeLine

SLOW = 2
"""Slow reads at one time."""


class WorkerBackend:
    """Implements `banyan_web.endpoint.Backend`. A quick read is done at once: to hand it to a thread takes as long as
    many of them, and all threads of a process share the interpreter."""

    def __init__(self, reads: StoreReads, line: NodeLine) -> None:
        self._reads, self._line = reads, line
        self._slow = anyio.CapacityLimiter(SLOW)

    async def call(self, name: str, params: Mapping[str, Any], by: Actor = OPERATOR, once: Key | None = None) -> Any:
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
            except NotHere:
                pass
        return None

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        try:
            return await anyio.to_thread.run_sync(timed(self._reads.piece), blob, offset, length, limiter=self._slow)
        except NotHere:
            return await self._line.piece(blob, offset, length)

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        return await self._line.events(params)
