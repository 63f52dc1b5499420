"""What the edge promises about links and peers, with real hosts on loopback."""

import contextlib
import socket
import struct
from itertools import pairwise
from typing import Any

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.network.exceptions import SwarmException
from libp2p.protocol_muxer.exceptions import MultiselectClientError
from libp2p.stream_muxer.yamux.yamux import YamuxStream

from banyan_node.edge import DialFailed, Edge, EdgeConfig, EdgeError, Link, LinkClosed, SlotSettings, open_edge, yamux
from banyan_node.edge.config import Gate
from banyan_node.edge.dial import why_failed


def config(n: int = 1, **settings: Any) -> EdgeConfig:
    return EdgeConfig(identity_seed=bytes([n]) * 32, **{"listen": ("/ip4/127.0.0.1/tcp/0",), **settings})


async def greet(a: Edge, b: Edge) -> tuple[Link, Link]:
    """a dials b. Returns both ends of the link, after a frame went each way."""
    with trio.fail_after(60):
        there = await a.dial(b.addresses[0])
        here = await b.incoming.receive()
        await exchange(there, here)
    return there, here


async def exchange(one: Link, other: Link) -> None:
    await one.send([b"ping"])
    assert await other.receive() == b"ping"
    await other.send([b"pong"])
    assert await one.receive() == b"pong"


async def until_event(edge: Edge, kind: str) -> str:
    with trio.fail_after(60):
        async for event in edge.events:
            if event.kind == kind:
                return event.sentence
    raise AssertionError(f"no event {kind}")


async def test_two_edges_exchange_frames() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)
        assert (there.peer_id, there.inbound) == (b.peer_id, False)
        assert (here.peer_id, here.inbound) == (a.peer_id, True)
        assert there.remote_addr == b.addresses[0]
        await there.send([b"one", b"x" * 300_000])
        assert await here.receive() == b"one"
        assert await here.receive() == b"x" * 300_000
        assert 0 < await a.ping(b.peer_id) < 5
        assert 0 < await b.ping(a.peer_id) < 5


async def test_a_second_dial_returns_the_link_that_stands() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)
        assert await a.dial(b.addresses[0]) is there
        assert await b.dial(a.addresses[0]) is here


async def test_callers_that_dial_together_share_one_dial() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        got: list[Link] = []

        async def dial() -> None:
            got.append(await a.dial(b.addresses[0]))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(dial)
        assert len(got) == 5
        assert len(set(map(id, got))) == 1
        await exchange(got[0], await b.incoming.receive())


@pytest.mark.parametrize("lag", [0, 0.002, 0.004, 0.006, 0.01, 0.02])
async def test_two_peers_that_dial_each_other_keep_one_link_dialled_by_the_smaller(lag: float) -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        small, large = sorted((a, b), key=lambda edge: edge.peer_id)
        got: dict[str, Link] = {}

        async def dial(edge: Edge, other: Edge, after: float) -> None:
            await trio.sleep(after)
            got[edge.peer_id] = await edge.dial(other.addresses[0])

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dial, small, large, 0)
                nursery.start_soon(dial, large, small, lag)
        assert not got[small.peer_id].inbound
        assert got[large.peer_id].inbound
        await exchange(got[small.peer_id], got[large.peer_id])
        await trio.sleep(0.5)
        assert small.links == {large.peer_id: got[small.peer_id]}
        assert large.links == {small.peer_id: got[large.peer_id]}
        assert [len(c) for edge in (a, b) for c in edge._swarm().connections.values()] == [1, 1]


async def test_a_dial_takes_one_attempt_and_no_happy_eyeballs_delay() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        best = 9.0
        for _ in range(4):
            began = trio.current_time()
            link = await a.dial(b.addresses[0])
            best = min(best, trio.current_time() - began)
            link.close("done")
            await link.wait_closed()
            await trio.sleep(0.05)
        assert best < 0.2


async def test_a_failed_dial_raises_with_a_reason() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        wrong = b.addresses[0].replace(b.peer_id, str(Edge(config(3)).peer_id))
        quic = f"/ip4/127.0.0.1/udp/4001/quic-v1/p2p/{b.peer_id}"
        for addr in (
            wrong,
            quic,
            a.addresses[0],
            "nonsense",
            "/ip4/127.0.0.1/tcp/1",
            f"/ip4/127.0.0.1/tcp/1/p2p/{b.peer_id}",
        ):
            with pytest.raises(DialFailed), trio.fail_after(60):
                await a.dial(addr)
        await greet(a, b)


async def test_closing_one_end_ends_the_other_after_what_was_sent() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)
        await there.send([b"last words"])
        await trio.sleep(0.1)
        there.close("done")
        await there.wait_closed()
        with pytest.raises(LinkClosed, match="done"):
            await there.receive()
        with pytest.raises(LinkClosed, match="done"):
            await there.send([b"x"])
        assert await here.receive() == b"last words"
        with pytest.raises(LinkClosed), trio.fail_after(60):
            await here.receive()
        await greet(a, b)


async def test_a_send_that_is_cancelled_halfway_ends_the_link() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2, frame_buffer=2**26)) as b:
        there, _ = await greet(a, b)
        with trio.move_on_after(0.001):
            await there.send([b"x" * 4_000_000] * 4)
        with pytest.raises(LinkClosed, match="cut short"):
            await there.send([b"y"])


async def test_what_cannot_be_framed_is_refused_before_it_is_sent() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)
        for frame in (b"", b"x" * (4 * 1024 * 1024 + 1)):
            with pytest.raises(ValueError, match="cannot be sent"):
                await there.send([b"fine", frame])
        await exchange(there, here)


async def test_small_frames_leave_in_large_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)
        sizes: list[int] = []
        write = there._stream.write

        async def count(data: bytes) -> None:
            sizes.append(len(data))
            await write(data)

        monkeypatch.setattr(there._stream, "write", count)
        async with trio.open_nursery() as nursery:
            for n in range(1000):
                nursery.start_soon(there.send, [struct.pack(">I", n) * 50] * 5)
        assert sum(sizes) == 1000 * 5 * 204
        assert all(size >= 16 * 1024 for size in sizes[1:-1])
        got = [await here.receive() for _ in range(5000)]
        assert sorted(got) == sorted(struct.pack(">I", n) * 50 for n in range(1000) for _ in range(5))
        assert sum(one == other for one, other in pairwise(got)) >= 4000


async def test_a_window_is_given_back_in_large_pieces_and_not_with_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    """What was given back, without what the window grew by, and the window before."""
    windows: dict[YamuxStream, int] = {}
    update = YamuxStream.send_window_update

    async def counted(stream: YamuxStream, increment: int, skip_lock: bool = False) -> None:
        now = stream.target_recv_window
        before = windows.get(stream, now)
        given.append((increment - (now - before), before))
        windows[stream] = now
        await update(stream, increment, skip_lock)

    monkeypatch.setattr(YamuxStream, "send_window_update", counted)
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)
        given.clear()
        for _ in range(100):
            await there.send([b"x" * 100])
            await here.receive()
        assert given == []
        with trio.fail_after(60):
            for _ in range(20):  # far more than one window
                await there.send([b"x" * 100_000])
                await here.receive()
        assert 0 < len(given) < 20
        assert min(given)[0] >= 64 * 1024
        for often in (1_000.0, 0.0):  # four megabytes come fast, and so slowly that it is time each time
            monkeypatch.setattr(yamux, "GIVE_BACK_S", often)
            given.clear()
            for _ in range(40):
                await there.send([b"x" * 100_000])
                await here.receive()
            assert sum(piece for piece, _ in given) > 1_000_000
            if often:
                assert all(piece >= window // 2 for piece, window in given[1:]), "each piece costs both sides a frame"
            else:
                assert max(given[1:])[0] < 256 * 1024, "a slow line must not be silent for half of the largest window"


async def test_quiet_links_outlive_the_idle_timeout() -> None:
    async with open_edge(config(1, idle_timeout=1.5)) as a, open_edge(config(2, idle_timeout=1.5)) as b:
        there, here = await greet(a, b)
        await trio.sleep(3.5)
        await exchange(there, here)


async def test_a_peer_that_came_back_replaces_its_old_link() -> None:
    async with open_edge(config(1)) as a:
        async with open_edge(config(2)) as b:
            _, old = await greet(b, a)
        async with open_edge(config(2)) as b:
            _, new = await greet(b, a)
            assert old.closed is not None
            assert a.links == {b.peer_id: new}


async def test_a_host_that_goes_down_is_started_again_on_the_same_port() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)
        before = b.addresses

        async def boom() -> None:
            raise RuntimeError("a bug in libp2p")

        b._swarm().manager.run_task(boom)
        assert "a bug in libp2p" in await until_event(b, "host-down")
        for link in (there, here):
            with pytest.raises(LinkClosed), trio.fail_after(60):
                await link.receive()
        await until_event(b, "host-up")
        assert b.addresses == before
        await greet(a, b)


async def test_an_exception_in_a_stream_handler_is_an_event_and_no_more() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there, here = await greet(a, b)

        async def boom(_stream: Any) -> None:
            raise RuntimeError("a bug in a handler")

        assert b._host is not None
        b._host.set_stream_handler(TProtocol("/boom"), boom)
        (connection,) = a._swarm().connections[next(iter(a._swarm().connections))]
        with contextlib.suppress(MultiselectClientError):
            await a._open_stream(connection, TProtocol("/boom"))
        assert "a bug in a handler" in await until_event(b, "handler-error")
        await exchange(there, here)


async def test_links_beyond_the_backlog_are_refused() -> None:
    async with open_edge(config(1, incoming_backlog=1)) as hub, open_edge(config(2)) as x, open_edge(config(3)) as y:
        await x.dial(hub.addresses[0])
        with pytest.raises(DialFailed):
            await y.dial(hub.addresses[0])


async def test_a_private_alliance_admits_only_those_with_the_key() -> None:
    key, other = b"k" * 32, b"o" * 32
    quick: dict[str, Any] = {"slots": SlotSettings(step_s=1.0)}
    async with open_edge(config(1, psk=key)) as a, open_edge(config(2, psk=key)) as b:
        there, here = await greet(a, b)
        await there.send([b"x" * 1_000_000])
        assert await here.receive() == b"x" * 1_000_000
        async with open_edge(config(3, **quick)) as open_to_all, open_edge(config(4, psk=other, **quick)) as stranger:
            for outsider in (open_to_all, stranger):
                with pytest.raises(DialFailed):
                    await outsider.dial(a.addresses[0])
        await exchange(there, here)


@pytest.mark.parametrize("listen", ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"])
async def test_the_cidr_gate_holds_in_both_directions(listen: str) -> None:
    here = ("127.0.0.0/8", "::1/128")
    async with (
        open_edge(config(1, listen=(listen,), deny_cidrs=here)) as closed,
        open_edge(config(2, listen=(listen,))) as b,
    ):
        with pytest.raises(DialFailed):
            await b.dial(closed.addresses[0])
        with pytest.raises(DialFailed, match="CIDR"):
            await closed.dial(b.addresses[0])
    async with (
        open_edge(config(1, listen=(listen,), allow_cidrs=here)) as picky,
        open_edge(config(2, listen=(listen,))) as b,
    ):
        await greet(b, picky)


def test_the_gate_reads_addresses_strictly() -> None:
    gate = Gate(("10.0.0.0/8", "fe80::/10"), ("10.9.0.0/16",))
    assert [gate.admits(host) for host in ("10.1.2.3", "::ffff:10.1.2.3", "fe80::1%eth0")] == [True] * 3
    assert [gate.admits(host) for host in ("10.9.0.1", "::ffff:10.9.0.1", "11.0.0.1", None, "x")] == [False] * 5
    assert Gate((), ()).admits(None)


def test_settings_that_cannot_work_are_refused() -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {"identity_seed": b"short"},
        {"psk": b"short"},
        {"deny_cidrs": ("10.0.0.0/99",)},
        {"frame_buffer": 1},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError):
            EdgeConfig(**{"identity_seed": b"\x01" * 32, **wrong})


async def test_a_taken_port_is_said_at_once() -> None:
    with pytest.raises(BaseExceptionGroup):
        async with open_edge(config(1, listen=("/ip4/192.0.2.1/tcp/1",))):
            pass


async def test_both_families_can_have_one_port_and_a_second_host_cannot() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = (f"/ip4/0.0.0.0/tcp/{port}", f"/ip6/::/tcp/{port}")
    async with open_edge(config(1, listen=both)) as edge, open_edge(config(2)) as other:
        for host in ("/ip4/127.0.0.1", "/ip6/::1"):
            link = await other.dial(f"{host}/tcp/{port}/p2p/{edge.peer_id}")
            link.close("done")
            await link.wait_closed()
        for listen in (*both, f"/ip4/127.0.0.1/tcp/{port}"):
            with pytest.raises(BaseExceptionGroup) as caught:
                async with open_edge(config(3, listen=(listen,))):
                    pass
            assert caught.group_contains(EdgeError, match="cannot listen on .*another program has the port")


@pytest.mark.parametrize(
    "error",
    [
        trio.TooSlowError(),
        SwarmException("Outbound muxer upgrade timeout exceeded for peer x"),
        MultiselectClientError("response timed out after 5s, protocols tried: ['/banyan/1/sync']"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_dial_that_takes_too_long_is_told_without_words_of_libp2p(error: Exception) -> None:
    assert why_failed("PEER", "/ip4/192.0.2.1/tcp/1", error) == (
        "/ip4/192.0.2.1/tcp/1 answers, and does not finish the handshake with PEER in time: it may be overloaded"
    )
