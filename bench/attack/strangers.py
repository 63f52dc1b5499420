"""Strangers: free identities, each a libp2p host with a key of its own, that dial a node and say what they like.

They are built from the product's edge and codec, so the links are those of honest peers. What they send and how they
were treated is counted in one `Tally`, which is the price of the attack.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import trio

from banyan_crdt.errors import Reject
from banyan_crdt.realm import TEST
from banyan_node.edge import Edge, EdgeConfig, EdgeError, Link, SlotSettings, open_edge
from banyan_replica.gossip.frames import Join
from banyan_replica.wire import (
    VERSION,
    Bye,
    Credit,
    DataItems,
    Hello,
    Message,
    Root,
    decode_message,
    encode_message,
)
from bench.attack.attack import Victim
from bench.attack.forge import gossip

PIECE = 64_000
REASON = 60
"""Characters of a goodbye that are counted as one reason."""


@dataclass
class Tally:
    """What an attack cost and how it was met. byes: goodbyes by the beginning of their reason."""

    identities: int = 0
    links: int = 0
    refused: int = 0
    lost: int = 0
    frames: int = 0
    sent: int = 0
    received: int = 0
    byes: Counter[str] = field(default_factory=Counter)


class Stranger:
    """One identity with one link. hello: what the peer said of itself. root: where it stood last. on: called with every
    message that comes. credits: whether it lets the peer send more bulk."""

    def __init__(self, edge: Edge, link: Link, tally: Tally) -> None:
        self.edge, self.link, self._tally = edge, link, tally
        self.hello: Hello | None = None
        self.root: tuple[int, bytes, int] = (0, bytes(32), 0)
        self.greeted = trio.Event()
        self.over = trio.Event()
        self.on: Callable[[Message], object] = lambda message: None
        self.credits = True

    @property
    def alive(self) -> bool:
        return self.link.closed is None

    async def say(self, *messages: Message) -> None:
        """Sends messages. Raises EdgeError once the link has ended."""
        await self.throw(*map(encode_message, messages))

    async def throw(self, *frames: bytes) -> None:
        """Sends frames as they are."""
        await self.link.send(frames)
        self._tally.frames += len(frames)
        self._tally.sent += sum(map(len, frames))

    async def greet(self, store: bytes = b"", root: bytes = bytes(32), logs: int = 0, arrival: int = 0) -> None:
        """Says hello. store: 16 bytes that name its store, drawn if empty."""
        await self.say(Hello(VERSION, TEST.id, store or os.urandom(16), logs, root, arrival, b"", 0))

    async def join(self) -> None:
        """Asks to be a neighbour of the gossip; its frames of membership then count."""
        await self.throw(gossip(Join(("/ip4/127.0.0.1/tcp/1",))))

    async def drip(self, raw: bytes) -> None:
        """Writes bytes to the stream as they are, in pieces that a muxer takes, without a frame around them."""
        for at in range(0, len(raw), PIECE):
            await self.link._stream.write(raw[at : at + PIECE])
        self._tally.sent += len(raw)

    async def open_and_reset(self) -> None:
        """Opens another stream and resets it. Raises EdgeError."""
        try:
            connection: Any = next(iter(self.edge._swarm().connections.values()))[0]
            stream = await connection.new_stream()
            await stream.reset()
        except Exception as why:  # whatever libp2p says of a connection that ends
            raise EdgeError(f"no stream: {why}") from why
        self._tally.frames += 1

    async def part(self) -> None:
        self.link.close("the stranger leaves")
        self.over.set()

    def deafen(self) -> None:
        """Reads nothing more from the stream, so that the peer's writes stay where they are."""
        setattr(self.link, "_stream", _Deaf(self.link._stream))  # noqa: B010

    async def listen(self) -> None:
        """Hears the peer until the link ends."""
        with suppress(EdgeError):
            while True:
                raw = await self.link.receive()
                self._tally.received += len(raw)
                with suppress(Reject):
                    await self._hear(raw, decode_message(raw))
        self.over.set()
        self.greeted.set()

    async def _hear(self, raw: bytes, message: Message) -> None:
        match message:
            case Hello():
                self.hello, self.root = message, (message.logs, message.root, message.arrival)
                self.greeted.set()
            case Root():
                self.root = (message.logs, message.root, message.arrival)
            case Bye(reason):
                self._tally.byes[reason.decode("utf-8", "replace")[:REASON]] += 1
                self.link.close("the peer said bye")
            case DataItems() if self.credits:
                await self.say(Credit(len(raw)))
            case _:
                pass
        self.on(message)


class Strangers:
    """All identities of one attack. identities: how many it may have at once."""

    def __init__(self, identities: int, victim: Victim, nursery: trio.Nursery) -> None:
        self.identities, self.victim, self.nursery = identities, victim, nursery
        self.tally = Tally()

    async def meet(
        self, address: str = "", *, hello: bool = True, key: bytes = b"", store: bytes = b"", handshake_s: float = 10.0
    ) -> Stranger:
        """A new identity, linked to the node at an address (default: the victim's). hello: both said hello. key: an
        identity that was used before. Raises EdgeError if there is no link."""
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

    async def each(self, play: Callable[[int], Any], count: int = 0) -> None:
        """Plays `play(n)` for n below `count` (0: all identities) at once, each again whenever its link has ended."""

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
