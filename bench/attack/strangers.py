"""Strangers: free identities, each a libp2p host with a key of its own, that dial a node and say what they like.

They are built from the product's edge and codec, so the links are those of honest peers. What they send and how they
were treated is counted in one `AttackTally`, which is the price of the attack.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio

from banyan_crdt.errors import Reject
from banyan_node.edge import Edge, EdgeConfig, EdgeError, Link, SlotSettings, open_edge
from banyan_replica.wire.message_table import decode_message
from banyan_replica.wire.messages import Hello, Message
from banyan_sim import attack
from banyan_sim.attack import AttackTally, Victim
from banyan_sim.forge import Forge

PIECE = 64_000
UPDATE = bytes((0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0))
"""A frame of yamux: the first stream of who dialled may have 0 bytes more under way."""


class Stranger(attack.Attacker):
    """One identity with one link. Raises EdgeError once the link has ended."""

    def __init__(self, edge: Edge, link: Link, tally: AttackTally) -> None:
        super().__init__(tally, os.urandom)
        self.edge, self.link = edge, link
        self.greeted = trio.Event()
        self.over = trio.Event()

    @property
    def alive(self) -> bool:
        return self.link.closed is None

    async def throw(self, *frames: bytes) -> None:
        await self.link.send(frames)
        self.tally.frames += len(frames)
        self.tally.sent += sum(map(len, frames))

    async def drip(self, raw: bytes) -> None:
        """Writes bytes to the stream as they are, in pieces that a muxer takes, without a frame around them."""
        try:
            for at in range(0, len(raw), PIECE):
                await self.link._stream.write(raw[at : at + PIECE])
        except Exception as why:  # whatever libp2p says of a stream that ends
            raise EdgeError(f"not written: {why}") from why
        self.tally.sent += len(raw)

    async def open_and_reset(self) -> None:
        """Opens another stream and resets it. Raises EdgeError."""
        try:
            connection: Any = next(iter(self.edge._swarm().connections.values()))[0]
            stream = await connection.new_stream()
            await stream.reset()
        except Exception as why:  # whatever libp2p says of a connection that ends
            raise EdgeError(f"no stream: {why}") from why
        self.tally.frames += 1

    async def give_no_window(self, times: int) -> None:
        """Gives the victim 0 bytes more of window, `times` times in one write. Raises EdgeError."""
        try:
            connection: Any = next(iter(self.edge._swarm().connections.values()))[0]
            await connection.muxed_conn._write_frame(UPDATE * times)
        except Exception as why:  # whatever libp2p says of a connection that ends
            raise EdgeError(f"no window: {why}") from why
        self.tally.frames += times
        self.tally.sent += times * len(UPDATE)

    async def part(self) -> None:
        self.link.close("the stranger leaves")
        self.over.set()

    async def ended(self) -> None:
        await self.over.wait()

    def deafen(self) -> None:
        """Reads nothing more from the stream, so that the peer's writes stay where they are."""
        setattr(self.link, "_stream", _Deaf(self.link._stream))  # noqa: B010

    async def listen(self) -> None:
        """Hears the peer until the link ends."""
        with suppress(EdgeError):
            while True:
                raw = await self.link.receive()
                self.tally.received += len(raw)
                with suppress(Reject):
                    await self.hear(raw, decode_message(raw))
        self.over.set()
        self.greeted.set()

    async def hear(self, raw: bytes, message: Message) -> None:
        await super().hear(raw, message)
        if isinstance(message, Hello):
            self.greeted.set()


class Strangers(attack.Attackers):
    """All identities of one attack, in tasks of one nursery."""

    def __init__(self, identities: int, victim: Victim, nursery: trio.Nursery) -> None:
        super().__init__(identities, victim, Forge(os.urandom, lambda: time.time_ns() // 1_000_000))
        self.nursery = nursery

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def now(self) -> float:
        return time.time()

    async def meet(
        self, address: str = "", *, hello: bool = True, key: bytes = b"", store: bytes = b"", handshake_s: float = 10.0
    ) -> Stranger:
        """handshake_s: the most that the handshake and the peer's hello may take. Raises EdgeError."""
        self.tally.identities += not key
        config = EdgeConfig(identity_seed=key or os.urandom(32), slots=SlotSettings(step_s=handshake_s))
        stranger: Stranger | EdgeError = await self.nursery.start(self._live, config, address or self.victim.address)
        if isinstance(stranger, EdgeError):
            self.tally.refused += 1
            raise stranger
        if hello:
            await stranger.greet(store)
            with trio.move_on_after(handshake_s):
                await stranger.greeted.wait()
        return stranger

    async def _live(self, config: EdgeConfig, address: str, task_status: Any) -> None:
        async with open_edge(config) as edge:
            try:
                link = await edge.dial(address)
            except EdgeError as why:
                task_status.started(why)
                return
            self.tally.links += 1
            stranger = Stranger(edge, link, self.tally)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stranger.listen)
                task_status.started(stranger)
                await stranger.over.wait()
                nursery.cancel_scope.cancel()
        self.tally.lost += 1

    async def each(self, play: Callable[[int], attack.Work], count: int = 0) -> None:
        async def one(n: int) -> None:
            while True:
                with suppress(EdgeError):
                    await play(n)
                await trio.sleep(0.05)  # a refusal costs the stranger little, and must not cost its process all

        async with trio.open_nursery() as nursery:
            for n in range(count or self.identities):
                nursery.start_soon(one, n)


class _Deaf:
    """A stream whose reads never return."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self, n: int | None = None) -> bytes:
        await trio.sleep_forever()
        return b""

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)
