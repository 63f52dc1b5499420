"""The links of this node: at most one per pair of peers, and a host that is always running.

One link per pair. The dialling side uses its link only after the accepting side has confirmed it with an empty frame.
If two peers dial each other at the same time, the dial of the smaller peer id (as base58 text) wins. The smaller side
leaves the other dial waiting until its own has succeeded or failed; the larger side accepts at once, and its own `dial`
returns that link. If a peer dials again while the link of its last dial stands, it has lost that link, and the new one
replaces it. A link that this node dialled is probed first, and is kept if the peer answers.

The supervisor. The host runs inside a loop. If it fails in spite of the guards in libp2p_host.py, all its links close,
the events "host-down" and "host-up" are sent, and a new host listens on the same ports.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.ping import ID as PING
from libp2p.host.ping import perform_ping_roundtrip
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from multiaddr import Multiaddr

from banyan_node.admission.throttle import Throttle
from banyan_node.admission.usage import CAUSE
from banyan_node.edge.admission import Admission
from banyan_node.edge.blob_streams import BLOB_PROTOCOL, serve_blobs
from banyan_node.edge.config import DialFailed, EdgeConfig, EdgeError, EdgeEvent, LinkClosed
from banyan_node.edge.dial import Attempt, host_of, split, why_failed
from banyan_node.edge.libp2p_host import GuardedHost, GuardedSwarm, close_connection, make_host
from banyan_node.edge.libp2p_services import HeadsBridge, discover
from banyan_node.edge.link import Buffers, Link
from banyan_node.media.blob_fetcher import BlobAnswers

SYNC_PROTOCOL = "/banyan/1/sync"
LONGEST_PAUSE = 5.0


class Edge:
    """Made by `open_edge`. incoming: links that peers dialled. events: see EdgeEvent; dropped when full.

    discovered: addresses to dial that mDNS heard of, when it is on. door: who may hold a connection. throttle: how much
    of the processor strangers get. blobs: answers questions of linked peers for blobs, once it is set.
    """

    def __init__(self, config: EdgeConfig, throttle: Throttle | None = None) -> None:
        self.config, self.throttle = config, throttle or Throttle()
        self.door = Admission(config, self._tell, self.throttle.tally)
        self.throttle.spare(self.door.slots.named)
        self.blobs: BlobAnswers | None = None
        self._asking = set[str]()
        self._buffers = Buffers(config.frame_buffers)
        self._links: dict[str, Link] = {}
        self._attempts: dict[str, Attempt] = {}
        self._incoming_send, self.incoming = trio.open_memory_channel[Link](config.incoming_backlog)
        self._events_send, self.events = trio.open_memory_channel[EdgeEvent](1024)
        self._discovered_send, self.discovered = trio.open_memory_channel[str](256)
        self._host: GuardedHost | None = None
        self._nursery: trio.Nursery | None = None
        self._bridge: HeadsBridge | None = None
        self._up = trio.Event()
        self._listen = config.listen
        self._peer_id = str(self._make_host().get_id())

    @property
    def peer_id(self) -> str:
        """This node's peer id, base58; the same for the same seed."""
        return self._peer_id

    @property
    def addresses(self) -> list[str]:
        """The multiaddrs this node listens on, each ending in /p2p/<peer id>."""
        return [f"{addr}/p2p/{self._peer_id}" for addr in self._listen]

    @property
    def links(self) -> dict[str, Link]:
        """The live links by peer id."""
        return {peer: link for peer, link in self._links.items() if link.closed is None}

    async def wait_up(self) -> None:
        """Returns once the first host listens."""
        await self._up.wait()

    async def dial(self, addr: str) -> Link:
        """The link to the peer at addr ("/ip4/../tcp/../p2p/<peer id>"): the one that stands, or a new one.

        Dials this one address once. Raises DialFailed.
        """
        peer, target = split(addr)
        if peer == self._peer_id:
            raise DialFailed(f"{addr} is this node itself")
        if (standing := self._standing(peer)) is not None:
            return standing
        attempt = self._attempts.get(peer)
        if attempt is not None:
            await attempt.done.wait()
            if (standing := self._standing(peer)) is not None:
                return standing
            raise attempt.error or DialFailed(f"the dial to {peer} that was under way was given up")
        self.door.wait(peer)
        attempt = self._attempts[peer] = Attempt()
        try:
            return await self._dial(peer, target, attempt)
        except EdgeError as error:
            attempt.error = error
            raise
        finally:
            del self._attempts[peer]
            attempt.done.set()

    async def ping(self, peer: str) -> float:
        """Seconds for 32 bytes to go to a linked peer and come back, over libp2p's ping. Raises EdgeError."""
        try:
            with trio.fail_after(self.config.slots.step_s):
                stream = await self.open_stream(peer, PING)
                try:
                    began = trio.current_time()
                    await perform_ping_roundtrip(stream)
                    return trio.current_time() - began
                finally:
                    with trio.CancelScope(shield=True), trio.move_on_after(1):
                        await stream.reset()
        except Exception as error:
            raise EdgeError(f"{peer} did not answer a ping: {type(error).__name__} {error}") from error

    async def open_stream(self, peer: str, protocol: str) -> Any:
        """A stream of another protocol to a linked peer, over its connection. Raises EdgeError."""
        connection = next(iter(self._swarm().connections.get(ID.from_string(peer), [])), None)
        if connection is None:
            raise EdgeError(f"there is no connection to {peer}: dial it first")
        try:
            return await self._open_stream(connection, TProtocol(protocol))
        except Exception as error:
            raise EdgeError(f"{peer} does not take {protocol}: {type(error).__name__} {error}") from error

    async def _on_blob_stream(self, stream: Any) -> None:
        """A linked peer asks for blobs. Runs inside the guard of libp2p_host.py, one stream a peer."""
        peer = str(stream.muxed_conn.peer_id)
        if self.blobs is None or self._standing(peer) is None or peer in self._asking:
            await stream.reset()
            return
        self._asking.add(peer)
        try:
            await serve_blobs(stream, peer, self.blobs)
        finally:
            self._asking.discard(peer)

    async def announce(self, shard: int, data: bytes) -> None:
        """Publishes data on the gossipsub topic of a shard, for libp2p peers that listen there. Raises EdgeError."""
        if self._bridge is None:
            raise EdgeError("there is no heads bridge: set heads_bridge, or wait for the host to be up")
        await self._bridge.announce(shard, data)

    async def _dial(self, peer: str, target: Multiaddr, attempt: Attempt) -> Link:
        swarm = self._swarm()
        if not swarm.gate.admits(host_of(target)):
            raise DialFailed(f"{target} is not an address that the CIDR settings admit")
        made: list[Link] = []
        failed: list[str] = []

        async def ours() -> None:
            try:
                with trio.fail_after(2 * self.config.slots.step_s):
                    link = await self._connect(peer, target)
                    await link.wait_accepted()
                    made.append(link)
            except Exception as error:
                failed.append(why_failed(peer, target, error))
            attempt.decided.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours)
            await attempt.decided.wait()
            nursery.cancel_scope.cancel()
        if attempt.rival is not None:
            if made:
                made[0].close(f"{peer} dialled at the same time and its dial won", excused=True)
            return attempt.rival
        if not made:
            raise DialFailed(failed[0] if failed else f"no link to {peer} at {target}")
        self._links[peer] = made[0]
        return made[0]

    async def _connect(self, peer: str, target: Multiaddr) -> Link:
        slot = self.door.dials(host_of(target), peer)
        usage = self.throttle.opened(host_of(target))
        self.throttle.met(usage, peer)
        CAUSE.set(usage)
        connection: Any = None
        try:
            connection = await self._swarm().dial_addr(target, ID.from_string(peer))
            stream = await self._open_stream(connection, TProtocol(SYNC_PROTOCOL))
            link = self._make_link(stream, connection, peer, inbound=False, slot=slot)
        except BaseException:
            self.door.left(slot)
            self.throttle.closed(usage)
            with trio.CancelScope(shield=True):
                if connection is not None:
                    await close_connection(connection)
            raise
        try:
            self._live().start_soon(self._keep, link)
            await link.wait_accepted()
        except BaseException:
            link.close("the dial was given up")
            raise
        return link

    async def _open_stream(self, connection: Any, protocol: TProtocol) -> INetStream:
        stream: INetStream = await connection.new_stream()
        assert self._host is not None
        chosen = await self._host.multiselect_client.select_one_of(
            [protocol], MultiselectCommunicator(stream), max(1, round(self.config.slots.step_s))
        )
        stream.set_protocol(chosen)
        return stream

    def _make_link(self, stream: Any, connection: SwarmConn, peer: str, *, inbound: bool, slot: int) -> Link:
        async def hang_up() -> None:
            with trio.move_on_after(1):
                await stream.reset()
            await close_connection(connection)

        muxer: Any = connection.muxed_conn  # yamux knows it, but the interface does not promise it
        where = muxer.get_remote_address()
        addr = "" if where is None else f"/{'ip6' if ':' in where[0] else 'ip4'}/{where[0]}/tcp/{where[1]}/p2p/{peer}"
        usage = CAUSE.get()
        assert usage is not None, "a connection is the cause of all that it starts"
        return Link(
            stream,
            hang_up,
            peer_id=peer,
            remote_addr=addr,
            inbound=inbound,
            slot=slot,
            usage=usage,
            config=self.config,
            buffers=self._buffers,
        )

    async def _keep(self, link: Link) -> None:
        await self.door.run(link)
        if not link.inbound:
            self.throttle.closed(link.usage)
        if self._links.get(link.peer_id) is link:
            del self._links[link.peer_id]
            self._tell(EdgeEvent("link-down", link.peer_id, str(link.closed)))

    async def _on_sync_stream(self, stream: Any) -> None:
        """A peer opened the sync protocol. Runs inside the guard of libp2p_host.py, and lasts as long as the link."""
        peer = str(stream.muxed_conn.peer_id)
        slot = self._swarm().slot_of.get(stream.muxed_conn, 0)
        link = self._make_link(stream, stream.swarm_conn, peer, inbound=True, slot=slot)
        if not await self._may_take(peer):
            self._tell(EdgeEvent("stream-refused", peer, f"{peer} dialled, and this node's own link to it stands"))
            self.throttle.tally.stopped("link", peer)
            await stream.reset()
            return
        attempt = self._attempts.get(peer)
        self._links[peer] = link
        if attempt is not None:
            attempt.rival = link
            attempt.decided.set()
        self._live().start_soon(self._keep, link)
        try:
            if attempt is None:
                self._incoming_send.send_nowait(link)
            await link.accept()
        except trio.WouldBlock:
            self.throttle.tally.stopped("link", peer)
            link.close(f"{self.config.incoming_backlog} links wait to be taken here: dial again later")
        except LinkClosed:
            pass
        await link.wait_closed()

    async def _may_take(self, peer: str) -> bool:
        """Whether a link that peer dialled may be this pair's link."""
        with trio.move_on_after(self.config.slots.step_s):
            attempt = self._attempts.get(peer)
            if attempt is not None and self._peer_id < peer:
                await attempt.done.wait()
            standing = self._standing(peer)
            if standing is not None:
                if standing.inbound and self.door.replaces(peer):
                    self.door.replace(standing)
                else:
                    standing.probe()
                await standing.wait_closed()
        return self._standing(peer) is None and (peer not in self._attempts or peer < self._peer_id)

    def settle(self, peer: str) -> None:
        """The peer said hello, so its link takes a slot. Whoever uses an edge calls this, or the link is ended."""
        link = self._standing(peer)
        if link is not None and link.inbound:
            self.door.settle(link)

    async def _sweep(self, swarm: GuardedSwarm) -> None:
        """Ends connections that took too long to say hello. With the bridge on, those with a stream are in use."""
        while True:
            await trio.sleep(self.config.slots.step_s / 8)
            streaming = [c.muxed_conn for c in list(swarm.born) if c.streams] if self.config.heads_bridge else []
            self.door.sweep({swarm.slot_of[conn] for conn in streaming if conn in swarm.slot_of})

    def _standing(self, peer: str) -> Link | None:
        link = self._links.get(peer)
        return link if link is not None and link.closed is None else None

    def _make_host(self) -> GuardedHost:
        return make_host(self.config, self._tell, self.door, self.throttle)

    def _swarm(self) -> GuardedSwarm:
        if self._host is None:
            raise DialFailed("the host is being restarted: try again in a moment")
        return self._host.swarm

    def _live(self) -> trio.Nursery:
        if self._nursery is None:
            raise DialFailed("the host is being restarted: try again in a moment")
        return self._nursery

    def _tell(self, event: EdgeEvent) -> None:
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._events_send.send_nowait(event)

    async def supervise(self) -> None:
        """Runs hosts, one after the other, until cancelled. `open_edge` starts it."""
        pause = 0.1
        while True:
            began = trio.current_time()
            try:
                await self._run_host()
                why = "it stopped by itself"
            except Exception as error:
                if not self._up.is_set():
                    raise
                why = repr(error)
            self._tell(EdgeEvent("host-down", "", f"the libp2p host went down and is started again: {why}"))
            pause = 0.1 if trio.current_time() - began > 60 else min(pause * 2, LONGEST_PAUSE)
            await trio.sleep(pause)

    async def _run_host(self) -> None:
        host = self._make_host()
        host.set_stream_handler(TProtocol(SYNC_PROTOCOL), self._on_sync_stream)
        host.set_stream_handler(TProtocol(BLOB_PROTOCOL), self._on_blob_stream)
        try:
            async with host.run([Multiaddr(addr) for addr in self._listen]), trio.open_nursery() as nursery:
                bound = [str(addr) for addr in host.get_transport_addrs()]
                if len(bound) < len(self._listen):
                    got = f" (only on {', '.join(bound)})" if bound else ""
                    raise EdgeError(
                        f"The node cannot listen on {', '.join(self._listen)}{got}: another program has the port, or "
                        "the address is not of this machine; stop that program, or name another address in node.listen."
                    )
                self._listen = tuple(bound)
                self._host, self._nursery = host, nursery
                self._tell(EdgeEvent("host-up", "", f"listening on {', '.join(bound) or 'nothing'}"))
                self._up.set()
                nursery.start_soon(self._sweep, host.swarm)
                if self.config.mdns:
                    nursery.start_soon(self._discover, host)
                if self.config.heads_bridge:
                    self._bridge = HeadsBridge(host, self._tell)
                    nursery.start_soon(self._bridge.run)
                await trio.sleep_forever()
        finally:
            self._host = self._nursery = self._bridge = None
            with trio.CancelScope(shield=True), trio.move_on_after(3):
                # Listeners live in trio's system nursery: a cancelled swarm leaves them behind, still accepting.
                for listener in list(host.swarm.listeners.values()):
                    await listener.close()
                for connection in list(host.swarm.born):
                    await close_connection(connection)

    async def _discover(self, host: GuardedHost) -> None:
        def found(addr: str) -> None:
            with contextlib.suppress(trio.WouldBlock):
                self._discovered_send.send_nowait(addr)

        try:
            await discover(host, found, self.config.mdns_interfaces)
        except Exception as error:
            self._tell(EdgeEvent("handler-error", "", f"mDNS is off, dial peers by address: {error!r}"))


@contextlib.asynccontextmanager
async def open_edge(config: EdgeConfig, throttle: Throttle | None = None) -> AsyncIterator[Edge]:
    """A running edge; on leaving, its links close and its host stops. Raises EdgeError if it cannot listen."""
    edge = Edge(config, throttle)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(edge.throttle.run)
        nursery.start_soon(edge.supervise)
        await edge.wait_up()
        try:
            yield edge
        finally:
            for link in edge.links.values():
                link.close("this node is stopping", excused=True)
            nursery.cancel_scope.cancel()
