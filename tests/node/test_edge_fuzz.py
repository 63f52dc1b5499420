"""Malformed inputs to every protocol of the edge, from one seed, by night ten thousand; the host still serves all."""

import random
import struct
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import trio

from banyan_node.edge import Edge, EdgeConfig, Link, LinkClosed, open_edge
from tests.needs import NIGHT
from tests.node.test_edge_rogue import DATA, FIN, RST, SYN, WINDOW, delimited, rogue, yamux

PROTOCOLS = [
    "/banyan/1/sync",
    "/ipfs/id/1.0.0",
    "/ipfs/ping/1.0.0",
    "/meshsub/1.1.0",
    "/meshsub/1.2.0",
    "/floodsub/1.0.0",
    "ls",
    "na",
    "",
]
AT_ONCE = 8


def noise_of(rng: random.Random, most: int = 200) -> bytes:
    return rng.randbytes(rng.randrange(most))


def mangled(rng: random.Random, data: bytes) -> bytes:
    """data with a few bytes changed, cut out or put in."""
    out = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(3):
            case 0:
                out[at : at + 1] = rng.randbytes(1)
            case 1:
                del out[at : at + rng.randrange(1, 8)]
            case _:
                out[at:at] = noise_of(rng, 12)
    return bytes(out)


def negotiation(rng: random.Random) -> bytes:
    """Malformed multistream-select; sometimes it reaches noise, with a broken handshake."""
    match rng.randrange(6):
        case 0:
            return noise_of(rng)
        case 1:
            return mangled(rng, delimited("/multistream/1.0.0", "/noise"))
        case 2:
            return delimited("/multistream/1.0.0") + rng.choice(
                [b"\x00", b"\x01\n", b"\xff" * 12, b"\x03\xff\xfe\n", b"\x80" * 8 + b"\x10"]
            )
        case 3:
            return delimited("/multistream/1.0.0", *rng.choices(["/tls/1.0.0", "/plaintext/2.0.0", "ls", "na"], k=3))
        case 4:
            return delimited("/multistream/1.0.0", "/noise") + noise_of(rng)
        case _:
            message = noise_of(rng, 120)
            return delimited("/multistream/1.0.0", "/noise") + struct.pack(">H", len(message)) + message


def muxer_frame(rng: random.Random) -> bytes:
    """A yamux frame, mostly with a well-formed header that contradicts earlier frames."""
    payload = noise_of(rng, 40)
    length = rng.choice([None, None, None, 0, rng.randrange(2**32), 2**24 + 1])
    kind, flags = (
        rng.choice([0, 0, 1, 1, 2, 3, rng.randrange(256)]),
        rng.choice([0, 1, 2, 4, 8, rng.randrange(16), rng.randrange(65536)]),
    )
    frame = yamux(kind, flags, rng.choice([0, 1, 2, 3, 5, rng.randrange(2**32)]), payload, length)
    return mangled(rng, frame) if rng.random() < 0.1 else frame


def protobuf(rng: random.Random, depth: int = 0) -> bytes:
    """Random fields of every wire type, nested: what identify and gossipsub parse."""
    out = b""
    for _ in range(rng.randrange(5)):
        field, wire = rng.randrange(1, 8), rng.choice([2, 2, 2, 0, 1, 5, rng.randrange(8)])
        body = protobuf(rng, depth + 1) if depth < 3 and rng.random() < 0.7 else noise_of(rng, 40)
        value = {0: bytes([rng.randrange(128)]), 1: rng.randbytes(8), 5: rng.randbytes(4)}.get(
            wire, bytes([len(body) & 127]) + body
        )
        out += bytes([field << 3 | wire]) + value
    return out


def conversation(rng: random.Random) -> bytes:
    """The bytes of a stream: a protocol name and then anything."""
    hello = delimited("/multistream/1.0.0", rng.choice(PROTOCOLS))
    match rng.randrange(5):
        case 0:
            return mangled(rng, hello)
        case 1:
            return hello + noise_of(rng)
        case 2:
            body = protobuf(rng)[:127]
            return hello + bytes([len(body)]) + body
        case 3:
            return hello + b"\xff" * rng.randrange(12) + protobuf(rng)
        case _:
            return noise_of(rng, 60)


def frames(rng: random.Random) -> bytes:
    """Frames of the sync protocol, some of them not."""
    out = b""
    for _ in range(rng.randrange(1, 6)):
        body = noise_of(rng, 100)
        out += struct.pack(">I", rng.choice([len(body), len(body), 0, rng.randrange(2**32)])) + body
    return out


class Doors:
    """One input of the edge per method; each call sends something malformed."""

    def __init__(self, edge: Edge, seed: int) -> None:
        self.addr = edge.addresses[0]
        self.host, self.port = self.addr.split("/")[2], int(self.addr.split("/")[4])
        self.rng = random.Random(seed)
        self.said: Counter[str] = Counter()

    async def raw(self) -> None:
        async with await trio.open_tcp_stream(self.host, self.port) as tcp:
            self.said["negotiation"] += 1
            await tcp.send_all(negotiation(self.rng))
            with trio.move_on_after(0.005):
                await tcp.receive_some()

    async def muxer(self) -> None:
        async with rogue(self.addr, self.rng.randbytes(32)) as peer:
            await peer.open(1)
            for _ in range(30):
                self.said["muxer"] += 1
                await peer.write(muxer_frame(self.rng))
            await trio.sleep(0.02)

    async def streams(self) -> None:
        async with rogue(self.addr, self.rng.randbytes(32)) as peer:
            for stream in range(1, 101, 2):
                self.said["streams"] += 1
                end = self.rng.choice([RST, RST, FIN])
                await peer.write(yamux(WINDOW, SYN, stream) + yamux(DATA, 0, stream, conversation(self.rng)))
                await trio.sleep(0)
                await peer.write(yamux(WINDOW, end, stream))
            await trio.sleep(0.05)

    async def sync(self) -> None:
        async with rogue(self.addr, self.rng.randbytes(32)) as peer:
            await peer.open(1)
            for _ in range(10):
                self.said["sync"] += 1
                await peer.say(1, frames(self.rng))
            await trio.sleep(0.02)


async def serve(edge: Edge) -> None:
    """Accepts every link and echoes the frames of well-behaved peers."""

    async def echo(link: Link) -> None:
        with suppress(LinkClosed):
            while True:
                frame = await link.receive()
                if frame.startswith(b"echo"):  # stands for a hello: it has a slot from then on
                    edge.settle(link.peer_id)
                    await link.send([frame])

    async with trio.open_nursery() as nursery:
        async for link in edge.incoming:
            nursery.start_soon(echo, link)


@pytest.mark.parametrize("bridge", [False, True])
async def test_thousands_of_malformed_inputs_at_every_door_leave_the_host_up(bridge: bool) -> None:
    settings: dict[str, Any] = {"listen": ("/ip4/127.0.0.1/tcp/0",), "max_streams_per_peer": 64}
    events: Counter[str] = Counter()

    async def watch(edge: Edge) -> None:
        async for event in edge.events:
            events[event.kind] += 1
            assert event.kind != "host-down", event.sentence

    async with (
        open_edge(EdgeConfig(identity_seed=b"\x01" * 32, heads_bridge=bridge, **settings)) as edge,
        open_edge(EdgeConfig(identity_seed=b"\x02" * 32, **settings)) as friend,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(serve, edge)
        nursery.start_soon(watch, edge)
        doors = Doors(edge, seed=20240229 + bridge)
        link = await friend.dial(edge.addresses[0])
        await link.send([b"echo to the first"])
        assert await link.receive() == b"echo to the first"
        work = [doors.raw] * 2000 + [doors.muxer] * 100 + [doors.streams] * 60 + [doors.sync] * 60
        work = work if NIGHT else work[::3]
        doors.rng.shuffle(work)

        async def worker() -> None:
            while work:
                with suppress(Exception), trio.move_on_after(2):
                    await work.pop()()

        async with trio.open_nursery() as workers:
            for _ in range(AT_ONCE):
                workers.start_soon(worker)
        assert sum(doors.said.values()) >= (5000 if NIGHT else 1500), doors.said
        with trio.fail_after(60):
            await link.send([b"echo to the one who was there all along"])
            assert await link.receive() == b"echo to the one who was there all along"
            link.close("done")
            await link.wait_closed()
            link = await friend.dial(edge.addresses[0])
            await link.send([b"echo to the one who came after"])
            assert await link.receive() == b"echo to the one who came after"
        assert events["host-up"] == 1
        nursery.cancel_scope.cancel()
