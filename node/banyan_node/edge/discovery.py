"""Optional: peers on the local network, by libp2p's mDNS (_p2p._udp.local, multiaddrs in dnsaddr records).

Only addresses are learned here, as hints for dialling; noise proves who answers there. zeroconf has threads of its
own and blocks when it starts and stops, so both happen outside the event loop.
"""

import secrets
from collections.abc import Callable, Sequence

import trio
from libp2p.discovery.events.peerDiscovery import peerDiscovery
from libp2p.discovery.mdns.broadcaster import PeerBroadcaster
from libp2p.discovery.mdns.listener import PeerListener
from libp2p.discovery.mdns.mdns import SERVICE_TYPE
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStore
from zeroconf import InterfaceChoice, Zeroconf

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
