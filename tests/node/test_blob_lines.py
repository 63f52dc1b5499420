"""Questions for blobs on one stream: an answer that drips ends, and one that nobody waits for spoils no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from banyan_crdt.errors import Malformed
from banyan_node.edge.blob_streams import ANSWER_S, BlobLine
from banyan_node.edge.link import PREFIX
from banyan_node.media.blob_fetcher import NoPeerAnswer


class Stream:
    """As libp2p's, over memory."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner

    async def read(self, n: int | None = None) -> bytes:
        return bytes(await self._inner.receive_some(n))

    async def write(self, data: bytes) -> None:
        await self._inner.send_all(data)

    async def close(self) -> None:
        await self._inner.aclose()

    async def reset(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def line() -> AsyncIterator[tuple[BlobLine, Stream]]:
    """A line, and the peer's end of it."""
    near, far = memory_stream_pair()
    made = BlobLine("peer", Stream(near))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        yield made, Stream(far)
        nursery.cancel_scope.cancel()


async def test_an_answer_that_drips_ends(autojump_clock: MockClock) -> None:
    async def drip(far: Stream) -> None:
        for byte in PREFIX.pack(1000) + bytes(1000):
            await far.write(bytes((byte,)))
            await trio.sleep(1)

    async with line() as (near, far), trio.open_nursery() as nursery:
        nursery.start_soon(drip, far)
        began = trio.current_time()
        with pytest.raises(NoPeerAnswer):
            await near.ask(b"?", 1000)
        assert ANSWER_S <= trio.current_time() - began < 2 * ANSWER_S
        nursery.cancel_scope.cancel()


async def test_who_no_longer_waits_leaves_the_answers_of_others_as_they_are(autojump_clock: MockClock) -> None:
    async with line() as (near, far):
        for _ in range(2):
            with trio.move_on_after(1):
                await near.ask(b"?", 10)
        with trio.move_on_after(1) as third:
            await near.ask(b"?", 10)
        assert third.cancelled_caught, "two are owed, so no third one was asked"
        assert await far.read(100) == 2 * (PREFIX.pack(1) + b"?")
        await far.write(PREFIX.pack(3) + b"one" + PREFIX.pack(3) + b"two" + PREFIX.pack(5) + b"three")
        assert await near.ask(b"?", 10) == b"three"


async def test_an_answer_that_is_too_long_is_told_to_who_asked(autojump_clock: MockClock) -> None:
    async with line() as (near, far):
        await far.write(PREFIX.pack(11))
        with pytest.raises(Malformed, match="too long"):
            await near.ask(b"?", 10)
        with pytest.raises(NoPeerAnswer):
            await near.ask(b"?", 10)
