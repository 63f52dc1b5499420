"""Writes to a connection that nobody waits for any more: they spoil nothing of what is written after them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from libp2p.io.exceptions import IOException
from libp2p.io.trio import TrioTCPStream

from banyan_node.edge.libp2p_host import MAX_UNSENT, BoundedStream

FRAME = 60_000


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[BoundedStream, trio.SocketStream]]:
    """One of this node, and the peer's end of it, over loopback."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    far = await trio.open_tcp_stream(*listener.socket.getsockname())
    near = await listener.accept()
    async with listener, far, near:
        yield BoundedStream(TrioTCPStream(near)), far


async def test_a_write_that_is_cancelled_is_finished_by_the_next_one() -> None:
    async with connection() as (near, far), trio.open_nursery() as nursery:
        wrote, cut = b"", 0
        while cut < 3:
            frame = bytes((len(wrote) // FRAME % 251,)) * FRAME
            wrote += frame
            with trio.move_on_after(0.2) as scope:
                await near.write(frame)
            cut += scope.cancelled_caught
        with trio.CancelScope() as begun:
            begun.cancel()
            await near.write(b"never waited for")
        wrote += b"never waited for" + b"last"
        nursery.start_soon(near.write, b"last")
        came = bytearray()
        with trio.fail_after(60):
            while len(came) < len(wrote):
                came += await far.receive_some(1 << 20)
        assert came == wrote


async def test_a_peer_that_reads_nothing_of_what_is_given_up_loses_its_connection() -> None:
    async with connection() as (near, _):
        given_up = 0
        while given_up < MAX_UNSENT // FRAME:
            with trio.move_on_after(0.01) as scope:
                await near.write(bytes(FRAME))
            given_up += scope.cancelled_caught
        with pytest.raises(IOException, match="hang up"):
            await near.write(bytes(2 * FRAME))


async def test_a_write_to_a_connection_that_ended_says_so() -> None:
    async with connection() as (near, far):
        await far.aclose()
        with pytest.raises(IOException, match="the connection ended"):
            await write_much(near)
        await near.close()
        with pytest.raises(IOException, match="the connection ended"):
            await near.write(b"late")


async def write_much(near: BoundedStream) -> None:
    for _ in range(100):
        await near.write(bytes(FRAME))
