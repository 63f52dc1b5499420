"""The edge: what is promised of links, with real hosts on loopback."""

from banyan_node.edge import EdgeConfig, open_edge


def config(n: int = 1, **settings: object) -> EdgeConfig:
    return EdgeConfig(identity_seed=bytes([n]) * 32, listen=("/ip4/127.0.0.1/tcp/0",), **settings)  # type: ignore[arg-type]


async def test_two_edges_exchange_frames() -> None:
    async with open_edge(config(1)) as a, open_edge(config(2)) as b:
        there = await a.dial(b.addresses[0])
        here = await b.incoming.receive()
        assert (there.peer_id, there.inbound) == (b.peer_id, False)
        assert (here.peer_id, here.inbound) == (a.peer_id, True)
        await there.send([b"one", b"x" * 300_000])
        assert await here.receive() == b"one"
        assert await here.receive() == b"x" * 300_000
        await here.send([b"two"])
        assert await there.receive() == b"two"
        assert await a.dial(b.addresses[0]) is there
        assert 0 < await a.ping(b.peer_id) < 5
