"""A peer that speaks TCP, noise and yamux by hand and sends what no honest peer would, and how the node reacts."""

import gc
import struct
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
from libp2p.peer.id import ID
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as Noise
from libp2p.security.security_multistream import SecurityMultistream
from multiaddr import Multiaddr

from banyan_node.edge import (
    CreditBroken,
    Edge,
    EdgeConfig,
    FrameTooLarge,
    Link,
    LinkClosed,
    SlotSettings,
    SlowPeer,
    open_edge,
)
from banyan_node.edge.config import MAX_WINDOW
from banyan_node.edge.libp2p_host import BoundedTcp
from banyan_node.edge.link import AT_ONCE, WRITE_SIZE, pieces

HEADER = struct.Struct("!BBHII")
DATA, WINDOW = 0, 1
SYN, FIN, RST = 1, 4, 8
SYNC = "/banyan/1/sync"


def delimited(*lines: str) -> bytes:
    """multistream-select messages: varint length, text, newline (all shorter than 128 bytes)."""
    return b"".join(bytes([len(line) + 1]) + line.encode() + b"\n" for line in lines)


def yamux(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    return HEADER.pack(0, kind, flags, stream, len(payload) if length is None else length) + payload


class Rogue:
    """One raw connection, secured and muxed; it reads only when told to."""

    def __init__(self, session: Any) -> None:
        self.session = session

    async def write(self, data: bytes) -> None:
        await self.session.write(data)

    async def open(self, stream: int, protocol: str = SYNC) -> None:
        """Opens a stream and asks for a protocol without waiting for an answer."""
        hello = delimited("/multistream/1.0.0", protocol)
        await self.write(yamux(WINDOW, SYN, stream) + yamux(DATA, 0, stream, hello))

    async def say(self, stream: int, data: bytes) -> None:
        for at in range(0, len(data), 60_000):
            await self.write(yamux(DATA, 0, stream, data[at : at + 60_000]))

    async def read_frame(self) -> tuple[int, int, int, bytes]:
        _, kind, flags, stream, length = HEADER.unpack(await self.session.read(HEADER.size))
        return kind, flags, stream, await self.session.read(length) if kind == DATA and length else b""


async def secured(addr: str, seed: bytes = b"\x77" * 32) -> Any:
    """A noise session to addr, before any muxer was named."""
    where, _, peer = addr.rpartition("/p2p/")
    keys = create_new_key_pair(seed)
    noise = SecurityMultistream({NOISE: Noise(keys, noise_privkey=create_noise_key().private_key)})
    raw = await BoundedTcp().dial(Multiaddr(where))
    try:
        return await noise.secure_outbound(raw, ID.from_string(peer))
    except BaseException:
        with trio.CancelScope(shield=True):
            await raw.close()
        raise


@asynccontextmanager
async def rogue(addr: str, seed: bytes = b"\x77" * 32) -> AsyncIterator[Rogue]:
    session = await secured(addr, seed)
    try:
        await session.write(delimited("/multistream/1.0.0", "/yamux/1.0.0"))
        for answer in ("/multistream/1.0.0", "/yamux/1.0.0"):
            assert await session.read(len(delimited(answer))) == delimited(answer)
        yield Rogue(session)
    finally:
        with trio.CancelScope(shield=True):
            await session.close()


def config(**settings: Any) -> EdgeConfig:
    return EdgeConfig(identity_seed=b"\x01" * 32, listen=("/ip4/127.0.0.1/tcp/0",), **settings)


@asynccontextmanager
async def link_with_rogue(**settings: Any) -> AsyncIterator[tuple[Edge, Link, Rogue]]:
    async with open_edge(config(**settings)) as edge, rogue(edge.addresses[0]) as peer:
        await peer.open(1)
        with trio.fail_after(60):
            yield edge, await edge.incoming.receive(), peer


async def test_a_peer_that_stops_reading_ends_the_link_at_the_write_deadline() -> None:
    async with link_with_rogue(write_deadline=0.3, min_rate=1 << 30) as (_, link, _peer):
        with pytest.raises(SlowPeer, match=r"took no .* bytes within 0.301 s"):
            await link.send([b"x" * 1_000_000])
        await link.wait_closed()


def test_a_line_of_the_least_rate_has_time_for_a_whole_window() -> None:
    """By default: 1 MiB under way at 16 KiB/s, and what other lines are granted."""
    settings = config()
    assert MAX_WINDOW / settings.min_rate == 64.0
    assert settings.write_deadline + MAX_WINDOW / settings.min_rate < settings.idle_timeout


async def test_a_peer_that_gives_window_seldom_keeps_its_link() -> None:
    async with open_edge(config()) as edge, rogue(edge.addresses[0]) as peer, trio.open_nursery() as nursery:
        await peer.open(1)
        await peer.say(1, struct.pack(">I", 5) + b"hello")
        link = await edge.incoming.receive()

        async def data() -> bytes:
            while True:
                kind, _, _, came = await peer.read_frame()
                if kind == DATA:
                    return came

        async def read_seldom() -> None:
            under_way = 0
            while under_way < 256 * 1024:
                under_way += len(await data())
            await trio.sleep(5.5)  # libp2p gives up after 5 s
            await peer.write(yamux(WINDOW, 0, 1, length=1))
            assert await data() == bytes(1), "what little window there is, is used at once"
            await peer.write(yamux(WINDOW, 0, 1, length=256 * 1024))

        nursery.start_soon(read_seldom)
        with trio.fail_after(60):
            await link.send([bytes(400_000)])
        assert link.closed is None


async def test_a_frame_left_unfinished_ends_the_link_at_the_read_deadline() -> None:
    async with link_with_rogue(read_deadline=0.2) as (_, link, peer):
        await peer.say(1, struct.pack(">I", 100) + b"only this")
        with pytest.raises(SlowPeer, match="did not finish a frame"):
            await link.receive()


async def test_what_came_of_an_unfinished_frame_is_freed_when_the_peer_goes_and_not_when_garbage_is_collected() -> None:
    async with open_edge(config()) as edge:
        gc.collect()
        gc.disable()  # a full collection is rare where a replica works, and 4 MiB a connection add up
        tracemalloc.start()
        try:
            for n in range(4):
                async with rogue(edge.addresses[0], bytes((n,)) * 32) as peer:  # one that comes again has to wait
                    await peer.open(1)
                    with trio.fail_after(60):
                        link = await edge.incoming.receive()
                        await peer.say(1, struct.pack(">I", 3_000_000) + bytes(200_000))
                        while link.waiting < 200_000:
                            await trio.sleep(0.01)
                with trio.fail_after(60):
                    await link.wait_closed()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        assert kept < 600_000, "of 800,000 bytes that came"


async def test_bytes_that_drip_do_not_push_the_read_deadline_back() -> None:
    async with link_with_rogue(read_deadline=0.3) as (_, link, peer), trio.open_nursery() as nursery:

        async def drip() -> None:
            await peer.say(1, struct.pack(">I", 1000))
            while True:
                await peer.say(1, b"x")
                await trio.sleep(0.05)

        nursery.start_soon(drip)
        with pytest.raises(SlowPeer, match="did not finish a frame"):
            await link.receive()
        nursery.cancel_scope.cancel()


async def test_a_silent_peer_loses_its_link_at_the_idle_timeout() -> None:
    async with link_with_rogue(idle_timeout=0.4) as (_, link, _peer):
        with pytest.raises(SlowPeer, match=r"silent for 0.4 s"):
            await link.receive()


async def test_a_link_that_ends_amid_a_keep_alive_says_why_and_not_what_that_cut() -> None:
    async with link_with_rogue(idle_timeout=0.4) as (_, link, peer):
        await link.send([b"last"])
        said = b""
        while not said.endswith(b"last"):
            said += (await peer.read_frame())[3]

        async def read_on() -> None:
            while True:
                await peer.read_frame()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            await link.send([bytes(256 * 1024 - len(said) - 6)])  # 2 bytes of credit stay, and a keep-alive is 4
            with pytest.raises(SlowPeer, match=r"silent for 0.4 s"):
                await link.receive()
            nursery.cancel_scope.cancel()


async def test_a_frame_over_the_limit_is_refused_by_its_length_alone() -> None:
    async with link_with_rogue() as (_, link, peer):
        await peer.say(1, struct.pack(">I", 4 * 1024 * 1024 + 1))
        with pytest.raises(FrameTooLarge, match=r"4194305 bytes; the limit is 4194304"):
            await link.receive()


async def test_so_it_is_behind_many_tiny_frames_that_came_with_it() -> None:
    async with link_with_rogue() as (_, link, peer):
        await peer.say(1, (struct.pack(">I", 1) + b"t") * AT_ONCE + struct.pack(">I", 4 * 1024 * 1024 + 1))
        with trio.fail_after(60):  # and not after the 90 s of silence that end a link
            for _ in range(AT_ONCE):
                assert await link.receive() == b"t"
            with pytest.raises(FrameTooLarge):
                await link.receive()


def test_frames_are_written_in_pieces_that_join_to_them() -> None:
    for sizes in ((), (0,), (1, 4), (WRITE_SIZE,), (WRITE_SIZE - 1, 1, 1), (4, 3 * WRITE_SIZE + 1, 4, WRITE_SIZE)):
        parts = [bytes([n + 1]) * size for n, size in enumerate(sizes)]
        found = list(pieces(parts))
        assert b"".join(found) == b"".join(parts)
        assert all(type(piece) is bytes and len(piece) == WRITE_SIZE for piece in found[:-1])
        assert all(0 < len(piece) <= WRITE_SIZE for piece in found)


async def test_sending_without_credit_ends_the_link_after_what_fitted() -> None:
    async with link_with_rogue(max_frame=1000, frame_buffer=4000) as (_, link, peer):
        for _ in range(5):
            await peer.say(1, struct.pack(">I", 900) + b"f" * 900)
        await link.wait_closed()
        for _ in range(4):
            assert await link.receive() == b"f" * 900
        with pytest.raises(CreditBroken, match="more than it had credit for"):
            await link.receive()


async def test_of_many_peers_that_fill_the_buffers_the_one_with_most_loses_its_link() -> None:
    whole = struct.pack(">I", 900) + b"f" * 900
    async with (
        link_with_rogue(max_frame=1000, frame_buffer=20_000, frame_buffers=10_000) as (edge, greedy, peer),
        rogue(edge.addresses[0], b"\x78" * 32) as modest,
    ):
        await modest.open(1)
        with trio.fail_after(60):
            other = await edge.incoming.receive()
            await modest.say(1, whole)
            while not other.waiting:
                await trio.sleep(0.01)
            await peer.say(1, whole * 9)
            while greedy.waiting < 8_600:
                await trio.sleep(0.01)
            await modest.say(1, whole)
            await greedy.wait_closed()
        assert isinstance(greedy.closed, CreditBroken)
        assert "more than any other" in str(greedy.closed)
        assert [await other.receive() for _ in range(2)] == [b"f" * 900] * 2
        assert other.closed is None
        await modest.say(1, whole)
        assert await other.receive() == b"f" * 900


async def test_what_waits_in_links_that_ended_counts_until_it_is_received_or_dropped() -> None:
    whole = struct.pack(">I", 900) + b"f" * 900
    async with link_with_rogue(max_frame=1000, frame_buffer=20_000, frame_buffers=10_000) as (edge, first, peer):
        ended = [first]
        with trio.fail_after(60):
            await peer.say(1, whole * 3)
            while first.waiting < 2_800:
                await trio.sleep(0.01)
            await peer.write(yamux(WINDOW, RST, 1))
            await first.wait_closed()
            for k in range(5):
                async with rogue(edge.addresses[0], bytes([k]) * 32) as other:
                    await other.open(1)
                    ended.append(link := await edge.incoming.receive())
                    await other.say(1, whole * 3)
                    while link.waiting < 2_800:
                        await trio.sleep(0.01)
                await link.wait_closed()
        assert 5_000 < sum(link.waiting for link in ended) <= 10_000
        received = 0
        for link in ended:
            while link.waiting:
                received += len(await link.receive())
            with pytest.raises(LinkClosed):
                await link.receive()
        assert received == 9 * 900
        assert sum(link.waiting for link in ended) == edge._buffers._total == 0


async def test_a_link_that_this_node_closes_keeps_nothing_of_what_came() -> None:
    whole = struct.pack(">I", 900) + b"f" * 900
    async with link_with_rogue(max_frame=1000, frame_buffer=20_000) as (edge, link, peer):
        with trio.fail_after(60):
            await peer.say(1, whole * 3 + whole[:500])
            while link.waiting < 3_000:
                await trio.sleep(0.01)
            link.close("enough")
            await link.wait_closed()
        assert link.waiting == edge._buffers._total == 0


async def test_many_tiny_frames_count_against_the_frame_buffer_too() -> None:
    async with link_with_rogue(max_frame=1000, frame_buffer=4000) as (_, link, peer):
        await peer.say(1, (struct.pack(">I", 1) + b"t") * 100)
        await link.wait_closed()
        assert isinstance(link.closed, CreditBroken)


async def test_unread_streams_hold_two_mebibytes_at_most() -> None:
    async with link_with_rogue() as (edge, link, peer):
        await peer.open(3, "/ipfs/id/1.0.0")
        for _ in range(60):
            await peer.say(3, b"y" * 60_000)
        await peer.say(1, struct.pack(">I", 4) + b"more")
        assert await link.receive() == b"more"
        muxers: list[Any] = [c.muxed_conn for held in edge._swarm().connections.values() for c in held]
        assert sum(len(buffer) for buffer in muxers[0].stream_buffers.values()) <= 2 * 1024 * 1024


async def test_first_bytes_that_are_not_text_do_not_end_the_host() -> None:
    async with link_with_rogue() as (edge, link, peer):
        await peer.write(yamux(WINDOW, SYN, 3) + yamux(DATA, 0, 3, b"\x04\xff\xfe\xfd\n"))
        async for event in edge.events:
            if event.kind == "handler-error":
                assert "UnicodeDecodeError" in event.sentence
                break
        await peer.say(1, struct.pack(">I", 4) + b"more")
        assert await link.receive() == b"more"


async def test_streams_per_peer_are_capped() -> None:
    async with link_with_rogue(max_streams_per_peer=3) as (_, link, peer):
        for stream in range(3, 13, 2):
            await peer.write(yamux(WINDOW, SYN, stream))
        refused: set[int] = set()
        while len(refused) < 3:
            _, flags, stream, _ = await peer.read_frame()
            if flags & RST:
                refused.add(stream)
        assert refused == {7, 9, 11}
        await peer.say(1, struct.pack(">I", 4) + b"more")
        assert await link.receive() == b"more"


@pytest.mark.parametrize("offer", ["/plaintext/2.0.0", "/secio/1.0.0", "/tls/1.0.0"])
async def test_only_noise_is_offered(offer: str) -> None:
    async with open_edge(config()) as edge:
        host, port = edge.addresses[0].split("/")[2], int(edge.addresses[0].split("/")[4])
        async with await trio.open_tcp_stream(host, port) as tcp:
            await tcp.send_all(delimited("/multistream/1.0.0", offer))
            answer = b""
            while len(answer) < len(delimited("/multistream/1.0.0", "na")):
                answer += await tcp.receive_some()
            assert answer == delimited("/multistream/1.0.0", "na")


async def test_a_length_of_two_to_the_sixty_before_the_handshake_is_hung_up_on() -> None:
    async with open_edge(config()) as edge:
        host, port = edge.addresses[0].split("/")[2], int(edge.addresses[0].split("/")[4])
        async with await trio.open_tcp_stream(host, port) as tcp:
            await tcp.send_all(b"\x80" * 8 + b"\x10" + b"x" * 1000)
            with trio.fail_after(60):
                while await tcp.receive_some():
                    pass


async def test_connections_that_carry_no_link_are_closed() -> None:
    async with open_edge(config(slots=SlotSettings(step_s=0.4))) as edge, rogue(edge.addresses[0]) as peer:
        with trio.fail_after(60):
            while edge._swarm().connections:
                await trio.sleep(0.05)
        with pytest.raises(Exception, match=r"closed"):
            await peer.session.read(100)
