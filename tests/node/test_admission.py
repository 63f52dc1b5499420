"""Who may hold a connection, with real hosts on loopback: silent links and sockets, and peers that come back."""

from __future__ import annotations

import resource
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.admission.connection_slots import Pool, Progress
from banyan_node.edge import (
    DialFailed,
    Edge,
    EdgeConfig,
    EdgeError,
    Link,
    Paused,
    PauseSettings,
    SlotSettings,
    open_edge,
)
from banyan_node.edge.libp2p_host import FILES, MAX_UNPROVEN
from tests.node.real import converged, make_home, make_node, running
from tests.node.test_edge_rogue import Rogue, rogue

HELLO = b"hello"


def config(n: int, **settings: Any) -> EdgeConfig:
    return EdgeConfig(identity_seed=struct.pack(">I", n) * 8, listen=("/ip4/127.0.0.1/tcp/0",), **settings)


async def until(what: Callable[[], bool], within: float = 60.0) -> None:
    with trio.fail_after(within):
        while not what():
            await trio.sleep(0.02)


async def keeps_dialling(edge: Edge, other: Edge) -> Link:
    """As a node dials: again after a refusal."""
    with trio.fail_after(60):
        while True:
            try:
                return await edge.dial(other.addresses[0])
            except DialFailed:
                await trio.sleep(0.2)


async def flood(stack: AsyncExitStack, addr: str, count: int) -> int:
    """Silent links of so many identities. Returns how many got through the handshake."""
    made = 0
    for n in range(count):
        try:
            peer = await stack.enter_async_context(rogue(addr, struct.pack(">I", 1000 + n) * 8))
            await peer.open(1)
            made += 1
        except Exception:
            await trio.sleep(0.01)
    return made


async def greets(hub: Edge, edge: Edge) -> Link:
    """edge dials hub and says hello. Its end of the link, which is settled."""
    link = await keeps_dialling(edge, hub)
    await link.send([HELLO])
    await until(lambda: edge.peer_id in hub.links)
    assert await hub.links[edge.peer_id].receive() == HELLO
    hub.settle(edge.peer_id)
    return link


@asynccontextmanager
async def taking(hub: Edge, take: Callable[[Link], None] = lambda link: None) -> AsyncIterator[None]:
    """Takes the links that peers dial, as a node does."""

    async def serve() -> None:
        async for link in hub.incoming:
            take(link)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield
        nursery.cancel_scope.cancel()


async def dials_on(edge: Edge, hub: Edge, stop: Callable[[DialFailed], bool]) -> None:
    """Dials again and again, without a wait, until a dial fails as `stop` says."""
    with trio.fail_after(60):
        while True:
            try:
                await (await edge.dial(hub.addresses[0])).wait_closed()
            except DialFailed as why:
                if stop(why):
                    return


async def test_127_silent_links_of_one_address_keep_neither_a_newcomer_nor_a_dial_out() -> None:
    patient = SlotSettings(arriving=64, step_s=60.0)  # so that no deadline helps
    async with (
        open_edge(config(1, slots=patient)) as hub,
        open_edge(config(2)) as x,
        open_edge(config(3)) as y,
        taking(hub),
        AsyncExitStack() as stack,
    ):
        assert await flood(stack, hub.addresses[0], 127) >= patient.arriving
        link = await greets(hub, x)
        out = await hub.dial(y.addresses[0])
        filling = hub.door.slots.filling()
        assert (filling.inbound, filling.outbound) == (1, 1)
        assert filling.arriving <= patient.arriving
        assert link.closed is None
        assert out.closed is None


async def test_links_that_only_say_hello_make_room_for_a_newcomer() -> None:
    few = SlotSettings(links=6, outbound=2, named=1)
    async with open_edge(config(1, slots=few)) as hub, AsyncExitStack() as stack:
        edges = [await stack.enter_async_context(open_edge(config(10 + n))) for n in range(4)]
        links = [await greets(hub, edge) for edge in edges]
        await until(lambda: len(hub.links) == 3)
        assert [link.closed is None for link in links[:2]] == [True, True]
        assert links[3].closed is None
        assert hub.door.slots.filling().evicted == 1
        assert [(one.gate, one.times) for one in hub.throttle.tally.most()] == [("slots", 1)]


async def test_half_open_sockets_go_after_a_step_and_newcomers_get_in_meanwhile() -> None:
    quick = SlotSettings(step_s=1.0)
    async with open_edge(config(1, slots=quick)) as hub, open_edge(config(2)) as x, AsyncExitStack() as stack:
        port = int(hub.addresses[0].split("/")[4])
        sockets = [await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port)) for _ in range(200)]
        await greets(hub, x)
        with trio.fail_after(60):
            for socket in sockets:
                while True:
                    try:
                        if not await socket.receive_some():
                            break
                    except trio.BrokenResourceError:
                        break
        assert hub.door.slots.filling().arriving == 0
        assert list(hub.links) == [x.peer_id]


async def test_who_says_nothing_makes_room_for_one_that_speaks_and_not_the_other_way_round() -> None:
    few = SlotSettings(arriving=4, step_s=60.0, fair_s=60.0)
    async with open_edge(config(1, slots=few)) as hub, AsyncExitStack() as stack:
        host, port = hub.addresses[0].split("/")[2], int(hub.addresses[0].split("/")[4])

        async def come(says: bytes) -> trio.SocketStream:
            socket = await stack.enter_async_context(await trio.open_tcp_stream(host, port))
            await socket.send_all(says)
            return socket

        async def go(sockets: list[trio.SocketStream]) -> None:
            for socket in sockets:
                with trio.fail_after(60), suppress(trio.BrokenResourceError):
                    while await socket.receive_some():
                        pass

        slots = hub.door.slots
        silent = [await come(b"") for _ in range(4)]
        await until(lambda: slots.filling().arriving == 4)
        await trio.sleep(2 * few.silent_s)
        for _ in range(4):
            await come(b"\x13/multistream/1.0.0\n")
        await go(silent)
        await until(lambda: [held.far for held in slots.held.values()] == [Progress.SPEAKS] * 4)
        await trio.sleep(2 * few.silent_s)
        await go([await come(b"") for _ in range(4)])
        assert [held.far for held in slots.held.values()] == [Progress.SPEAKS] * 4


async def test_who_proposes_protocols_without_end_is_let_go_before_it_costs_much() -> None:
    patient = SlotSettings(step_s=60.0)
    async with open_edge(config(1, slots=patient)) as hub:
        host, port = hub.addresses[0].split("/")[2], int(hub.addresses[0].split("/")[4])
        async with await trio.open_tcp_stream(host, port) as socket, trio.open_nursery() as nursery:

            async def propose() -> None:
                with suppress(trio.BrokenResourceError):
                    await socket.send_all(b"\x13/multistream/1.0.0\n")
                    while True:
                        await socket.send_all(b"\x03/n\n" * 4_000)

            nursery.start_soon(propose)
            answered = 0
            with trio.fail_after(60), suppress(trio.BrokenResourceError):
                while got := await socket.receive_some():
                    answered += len(got)
            assert answered <= 20 + MAX_UNPROVEN  # "na" for each proposal, none longer than that
            nursery.cancel_scope.cancel()
        await until(lambda: hub.door.slots.filling().arriving == 0)


async def reads_on(peer: Rogue) -> None:
    with trio.fail_after(60):
        while True:
            await peer.session.read(1)


@pytest.mark.parametrize("far", ["secured", "linked"])
async def test_a_peer_that_stops_halfway_goes(far: str) -> None:
    quick = SlotSettings(step_s=0.5)
    async with open_edge(config(1, slots=quick)) as hub, rogue(hub.addresses[0]) as peer:
        if far == "linked":
            await peer.open(1)
        await until(lambda: hub.door.slots.filling().arriving == 1)
        with pytest.raises(Exception, match="closed"):
            await reads_on(peer)
        await until(lambda: hub.door.slots.filling().arriving == 0)


async def test_a_peer_that_is_not_read_from_may_say_hello_later() -> None:
    quick = SlotSettings(step_s=0.5)
    async with open_edge(config(1, slots=quick)) as hub, open_edge(config(2)) as edge:
        link = await edge.dial(hub.addresses[0])
        await until(lambda: edge.peer_id in hub.links)
        here = hub.links[edge.peer_id]
        assert here.usage is not None
        with here.usage.held():
            await trio.sleep(2.0)
            assert (here.closed, link.closed) == (None, None)


async def test_a_peer_that_is_dialled_and_says_nothing_goes() -> None:
    quick = SlotSettings(step_s=0.5)
    async with open_edge(config(1, slots=quick)) as a, open_edge(config(2)) as b:
        link = await a.dial(b.addresses[0])
        with pytest.raises(EdgeError, match="said nothing within"), trio.fail_after(60):
            await link.receive()
        await until(lambda: a.door.slots.filling().outbound == 0)


async def test_a_slot_lives_as_long_as_its_connection() -> None:
    few = SlotSettings(links=4)
    async with open_edge(config(1, slots=few)) as hub:
        for turn in range(3):
            async with open_edge(config(10 + turn)) as x, open_edge(config(20 + turn)) as y:
                await greets(hub, x)
                await hub.dial(y.addresses[0])
                assert hub.door.slots.filling()[:3:2] == (1, 1)
            await until(lambda: not hub.door.slots.held)


async def test_two_nodes_with_one_key_do_not_replace_each_others_link_for_ever() -> None:
    rude = PauseSettings(free=1_000_000)  # of any make: neither waits
    async with (
        open_edge(config(1)) as hub,
        open_edge(config(2, pauses=rude)) as one,
        open_edge(config(2, pauses=rude)) as other,
        taking(hub),
        trio.open_nursery() as nursery,
    ):

        async def comes(edge: Edge) -> None:
            while True:
                try:
                    await (await edge.dial(hub.addresses[0])).wait_closed()
                except DialFailed:
                    await trio.sleep(0.01)

        nursery.start_soon(comes, one)
        nursery.start_soon(comes, other)
        await until(lambda: hub.door.pauses.left(one.peer_id, trio.current_time()) > 0)
        nursery.cancel_scope.cancel()


async def test_a_dialler_that_is_hung_up_on_at_once_waits() -> None:
    async with (
        open_edge(config(1)) as hub,
        open_edge(config(2)) as x,
        taking(hub, lambda link: link.close("go away", excused=True)),
    ):
        await dials_on(x, hub, lambda why: isinstance(why, Paused))
        with pytest.raises(Paused, match="ended at once"):
            await x.dial(hub.addresses[0])


async def test_a_dialler_that_does_not_wait_is_refused_when_its_id_is_proven() -> None:
    taken = []

    def send_away(link: Link) -> None:
        taken.append(link)
        link.close("go away")

    async with (
        open_edge(config(1)) as hub,
        open_edge(config(2, pauses=PauseSettings(free=1_000_000))) as x,
        taking(hub, send_away),
    ):
        await dials_on(x, hub, lambda why: hub.door.pauses.left(x.peer_id, trio.current_time()) > 0)
        before = len(taken)
        for _ in range(3):
            with pytest.raises(DialFailed):
                await x.dial(hub.addresses[0])
        await trio.sleep(0.2)
        assert len(taken) == before


async def test_a_node_that_was_banned_waits(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        slow = {"discovery__redial_seconds": "60"}
        async with running(make_node(make_home(tmp_path / "b"), bootstrap=a.addresses, **slow)) as b:
            await until(lambda: b.edge.peer_id in a.edge.links)
            await a.backend.call("peers.ban", {"peer": b.edge.peer_id})
            await until(lambda: b.edge.door.pauses.left(a.edge.peer_id, trio.current_time()) > 0, within=120)


async def test_a_node_under_127_silent_links_says_so_and_takes_a_newcomer(tmp_path: Path) -> None:
    slow = {"limits__handshake_seconds": "60", "limits__arriving": "64"}
    async with running(make_node(make_home(tmp_path / "a"), **slow)) as a, AsyncExitStack() as stack:
        await flood(stack, a.addresses[0], 127)
        slots = (await a.backend.call("status", {}))["slots"]
        assert slots["arriving"] == slots["arriving_of"]
        assert "may wait for a hello" in slots["crowded"]
        async with running(make_node(make_home(tmp_path / "b"), bootstrap=a.addresses)) as b:
            await b.backend.call("account.create", {"name": "b"})
            await converged([a, b], within=120)
            filling = a.edge.door.slots.filling()
            assert filling.inbound + filling.outbound >= 1


async def test_leaves_in_all_slots_keep_no_newcomer_out(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"), limits__peers="8")) as a, AsyncExitStack() as stack:
        room = a.edge.door.slots.s.strangers
        for n in range(room):
            leaf = make_node(make_home(tmp_path / f"leaf{n}"), bootstrap=a.addresses, node__role="hobbyist")
            await stack.enter_async_context(running(leaf))
        await until(lambda: sum(link.leaf for link in a.seen.links) == room)
        assert a.edge.door.slots.filling().inbound == room
        async with running(make_node(make_home(tmp_path / "b"), bootstrap=a.addresses)) as b:
            held = a.edge.door.slots.held
            await until(
                lambda: any(h.peer == b.edge.peer_id and h.pool is Pool.INBOUND for h in held.values()), within=30
            )


async def test_who_listens_may_open_as_many_files_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(900, hard), hard))
        async with open_edge(config(1)):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(FILES, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
