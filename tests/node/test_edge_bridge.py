"""The heads bridge and mDNS: what other libp2p software sees of a node."""

from typing import Any

import pytest
import trio
from libp2p import new_host
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from banyan_node.edge import EdgeConfig, EdgeError, open_edge
from tests.node.test_edge_rogue import delimited, rogue

HERE = ("/ip4/127.0.0.1/tcp/0",)


def config(n: int, **settings: Any) -> EdgeConfig:
    return EdgeConfig(identity_seed=bytes([n]) * 32, listen=HERE, **settings)


async def hears_announcements(addr: str, announce: Any) -> None:
    """A stock gossipsub host subscribes to a shard's heads and hears one."""
    host = new_host(listen_addrs=[Multiaddr(HERE[0])])
    router = GossipSub([PROTOCOL_ID_V11], degree=6, degree_low=4, degree_high=12, heartbeat_interval=1)
    pubsub = Pubsub(host, router)
    async with host.run([Multiaddr(HERE[0])]), background_trio_service(router), background_trio_service(pubsub):
        await pubsub.wait_until_ready()
        heard = await pubsub.subscribe("/banyan/1/heads/3")
        await host.connect(info_from_p2p_addr(Multiaddr(addr)))
        async with trio.open_nursery() as nursery:

            async def keep_announcing() -> None:
                while True:
                    await trio.sleep(0.2)
                    await announce(3, b"heads")

            nursery.start_soon(keep_announcing)
            with trio.fail_after(60):
                assert (await heard.get()).data == b"heads"
            nursery.cancel_scope.cancel()
        await host.close()


async def test_other_libp2p_software_hears_announced_heads() -> None:
    async with open_edge(config(1, heads_bridge=True)) as edge:
        await hears_announcements(edge.addresses[0], edge.announce)


async def test_without_the_bridge_announcing_says_what_to_set() -> None:
    async with open_edge(config(1)) as edge:
        with pytest.raises(EdgeError, match="heads_bridge"):
            await edge.announce(1, b"heads")


def crashers() -> list[bytes]:
    """RPCs that raise inside libp2p's pubsub, or should: no protobuf; a key that is no key; ids and fields missing."""
    publish = rpc_pb2.RPC()
    message = publish.publish.add(from_id=b"\xff", seqno=b"", data=b"x", key=b"not a key", signature=b"")
    message.topicIDs.append("/banyan/1/heads/3")
    want, have, graft, prune = (rpc_pb2.RPC() for _ in range(4))
    want.control.iwant.add().messageIDs.append(b"\xff not an id")
    have.control.ihave.add(topicID="/banyan/1/heads/3").messageIDs.append(b"\xff")
    graft.control.graft.add()
    prune.control.prune.add(topicID="/banyan/1/heads/3").peers.add(peerID=b"\x00", signedPeerRecord=b"\x00")
    record = rpc_pb2.RPC(senderRecord=b"\xff" * 9)
    return [b"\xff\xff\xff", *(rpc.SerializeToString() for rpc in (publish, want, have, graft, prune, record))]


async def test_malformed_rpcs_end_neither_the_host_nor_the_bridge() -> None:
    async with open_edge(config(1, heads_bridge=True)) as edge:
        for n, raw in enumerate(crashers()):
            async with rogue(edge.addresses[0], bytes([50 + n]) * 32) as peer:
                await peer.open(1, "/meshsub/1.1.0")
                subscribe = rpc_pb2.RPC()
                subscribe.subscriptions.add(subscribe=True, topicid="/banyan/1/heads/3")
                for rpc in (subscribe.SerializeToString(), raw):
                    await peer.say(1, bytes([len(rpc)]) + rpc)
                await trio.sleep(0.1)
        await hears_announcements(edge.addresses[0], edge.announce)
        seen = []
        while True:
            try:
                seen.append(edge.events.receive_nowait())
            except trio.WouldBlock:
                break
        assert [event.kind for event in seen if event.kind.startswith("host")] == ["host-up"]
        assert [event.sentence for event in seen if "gossipsub went down" in event.sentence] == []


async def test_stock_libp2p_peers_can_identify_and_ping_a_node() -> None:
    async with open_edge(config(1)) as edge, rogue(edge.addresses[0]) as peer:
        await peer.open(1, "/ipfs/id/1.0.0")
        got = b""
        with trio.fail_after(60):
            while b"/banyan/1/sync" not in got:
                _, _, stream, payload = await peer.read_frame()
                got += payload if stream == 1 else b""
            await peer.open(3, "/ipfs/ping/1.0.0")
            await peer.say(3, b"p" * 32)
            got = b""
            while got != delimited("/multistream/1.0.0", "/ipfs/ping/1.0.0") + b"p" * 32:
                _, _, stream, payload = await peer.read_frame()
                got += payload if stream == 3 else b""


async def test_peers_on_the_same_network_find_each_other() -> None:
    settings: dict[str, Any] = {"mdns": True, "mdns_interfaces": ("127.0.0.1",)}
    async with open_edge(config(1, **settings)) as a, open_edge(config(2, **settings)) as b:
        with trio.fail_after(60):
            while (addr := await a.discovered.receive()) not in b.addresses:
                pass
            link = await a.dial(addr)
            assert link.peer_id == b.peer_id
