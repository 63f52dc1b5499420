"""Services of libp2p that are optional: mDNS, and heads over gossipsub.

mDNS (_p2p._udp.local, multiaddrs in dnsaddr records) finds peers on the local network. Only addresses are learned here,
as hints for dialling; noise proves who answers there. zeroconf has threads of its own and blocks when it starts and
stops, so both happen outside the event loop.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import trio
from libp2p.discovery.events.peerDiscovery import peerDiscovery
from libp2p.discovery.mdns.broadcaster import PeerBroadcaster
from libp2p.discovery.mdns.listener import PeerListener
from libp2p.discovery.mdns.mdns import SERVICE_TYPE
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStore
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, PROTOCOL_ID_V12, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from zeroconf import InterfaceChoice, Zeroconf

from banyan_node.edge.config import EdgeError, EdgeEvent
from banyan_node.edge.libp2p_host import GuardedHost


async def discover(host: GuardedHost, found: Callable[[str], None], interfaces: Sequence[str]) -> None:
    """Announces host and calls found(addr) for every address of every other peer, until cancelled.

    interfaces: IP addresses of the interfaces to use; empty means all.
    """
    me = host.get_id()
    token = trio.lowlevel.current_trio_token()

    def tell(info: PeerInfo) -> None:
        if info.peer_id != me:
            for addr in info.addrs:
                where = str(addr).partition("/p2p/")[0]
                try:
                    token.run_sync_soon(found, f"{where}/p2p/{info.peer_id}")
                except trio.RunFinishedError:
                    return

    def start() -> tuple[Zeroconf, PeerBroadcaster, PeerListener]:
        zeroconf = Zeroconf(interfaces=list(interfaces) or InterfaceChoice.All)
        name = f"{secrets.token_hex(16)}.{SERVICE_TYPE}"
        caster = PeerBroadcaster(zeroconf, SERVICE_TYPE, name, str(me), _port(host), host=host)
        listener = PeerListener(PeerStore(), zeroconf, SERVICE_TYPE, name)
        caster.register()
        return zeroconf, caster, listener

    peerDiscovery.register_peer_discovered_handler(tell)
    try:
        zeroconf, caster, listener = await trio.to_thread.run_sync(start)
        try:
            await trio.sleep_forever()
        finally:

            def stop() -> None:
                caster.unregister()
                listener.stop()
                zeroconf.close()

            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(stop)
    finally:
        peerDiscovery.unregister_peer_discovered_handler(tell)


def _port(host: GuardedHost) -> int:
    for addr in host.get_transport_addrs():
        return int(addr.value_for_protocol("tcp") or 0)
    return 0


# Announces heads over gossipsub, one topic per shard, so that js-libp2p and go-libp2p can listen.
#
# It only publishes: it subscribes to nothing, and relays and reads no messages of others. So a peer can cause work only
# by its own subscriptions and control messages. libp2p's pubsub ends its whole service when one of its tasks raises (a
# published message that does not decode, a control message with missing fields). So the tasks that peers can start are
# guarded, and the service runs in a loop of its own that restarts it; the host is not affected.

TOPIC = "/banyan/1/heads/"
MAX_RPC = 64 * 1024
MAX_TOPICS_PER_PEER = 64


class GuardedGossip(GossipSub):
    """A router whose tasks report what they raise."""

    tell: Callable[[EdgeEvent], None]

    async def handle_rpc(self, rpc: rpc_pb2.RPC, sender_peer_id: ID) -> None:
        """Control messages of a peer."""
        await self._guard(sender_peer_id, super().handle_rpc, rpc, sender_peer_id)

    async def on_peer_subscribed(self, peer_id: ID, topic: str) -> None:
        """A peer wants a topic."""
        await self._guard(peer_id, super().on_peer_subscribed, peer_id, topic)

    async def flush_pending_messages(self, peer_id: ID) -> None:
        """What waited for the peer."""
        await self._guard(peer_id, super().flush_pending_messages, peer_id)

    async def _guard(self, peer_id: ID, run: Any, *args: Any) -> None:
        try:
            await run(*args)
        except Exception as error:
            self.tell(EdgeEvent("handler-error", str(peer_id), f"gossipsub failed on what {peer_id} sent: {error!r}"))


class HeadsPubsub(Pubsub):
    """Hears subscriptions to heads topics, and no messages."""

    def handle_subscription(self, origin_id: ID, sub_message: rpc_pb2.RPC.SubOpts) -> None:
        """Keeps a subscription if it is to a heads topic."""
        if sub_message.topicid.startswith(TOPIC):
            super().handle_subscription(origin_id, sub_message)

    def _is_subscribed_to_msg(self, msg: rpc_pb2.Message) -> bool:
        return False


class HeadsBridge:
    """Announces heads while `run` runs."""

    def __init__(self, host: GuardedHost, tell: Callable[[EdgeEvent], None]) -> None:
        self._host = host
        self._tell = tell
        self._pubsub: HeadsPubsub | None = None

    async def announce(self, shard: int, data: bytes) -> None:
        """Publishes data on the shard's topic. Raises EdgeError while the service is being started again."""
        if self._pubsub is None:
            raise EdgeError("the heads bridge is being started: announce again in a moment")
        try:
            await self._pubsub.publish(f"{TOPIC}{shard}", data)
        except Exception as error:
            raise EdgeError(f"heads of shard {shard} were not announced: {error!r}") from error

    async def run(self) -> None:
        """Runs pubsub services, one after the other, until cancelled."""
        pause = 0.1
        while True:
            began = trio.current_time()
            try:
                await self._serve()
                why = "it stopped by itself"
            except Exception as error:
                why = repr(error)
            self._tell(EdgeEvent("handler-error", "", f"gossipsub went down and is started again: {why}"))
            pause = 0.1 if trio.current_time() - began > 60 else min(pause * 2, 5.0)
            await trio.sleep(pause)

    async def _serve(self) -> None:
        swarm = self._host.swarm
        router = GuardedGossip(
            [PROTOCOL_ID_V12, PROTOCOL_ID_V11, PROTOCOL_ID],
            degree=6,
            degree_low=4,
            degree_high=12,
            heartbeat_interval=1,
        )
        router.tell = self._tell
        before = list(swarm.notifees)
        pubsub = HeadsPubsub(
            self._host, router, max_inbound_rpc_size=MAX_RPC, max_subscriptions_per_peer=MAX_TOPICS_PER_PEER
        )
        try:
            async with background_trio_service(router) as routing, background_trio_service(pubsub) as serving:
                await pubsub.wait_until_ready()
                self._pubsub = pubsub
                for peer in list(swarm.connections):
                    pubsub.manager.run_task(pubsub.ensure_peer_stream, peer)
                async with trio.open_nursery() as nursery:
                    for manager in (routing, serving):
                        nursery.start_soon(_cancel_when, manager.wait_finished, nursery.cancel_scope)
        finally:
            self._pubsub = None
            for notifee in [n for n in swarm.notifees if n not in before and type(n).__name__ == "PubsubNotifee"]:
                swarm.remove_notifee(notifee)


async def _cancel_when(happens: Any, scope: trio.CancelScope) -> None:
    await happens()
    scope.cancel()
