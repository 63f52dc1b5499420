"""The peers of the last run are dialled again, also by a node that was only ever dialled."""

from __future__ import annotations

from pathlib import Path

import trio

from banyan_node.links import peerstore
from banyan_node.links.peerstore import Anchor
from banyan_node.node import Node
from banyan_replica.gossip.frames import PeerInfo
from tests.node.real import converged, make_home, make_node, running


async def linked(node: Node, peer: str) -> None:
    with trio.fail_after(60):
        while not any(p["peer"] == peer and p["connected"] for p in await node.backend.call("peers", {})):
            await trio.sleep(0.05)


async def neighbours(node: Node, number: int) -> None:
    with trio.fail_after(60):
        while len(await node.worker.call(lambda c, now: c.replica.gossip.callers())) < number:
            await trio.sleep(0.05)


async def test_a_node_that_was_only_dialled_finds_its_callers_after_a_clean_stop(tmp_path: Path) -> None:
    """It listens at another port then, so nobody finds it."""
    home = make_home(tmp_path / "a")
    first = make_node(home)
    async with running(make_node(make_home(tmp_path / "c"))) as c:
        async with running(first) as a:
            c.nursery.start_soon(c.links.keep_dialling, a.edge.addresses[0])
            await linked(a, c.edge.peer_id)
            await neighbours(a, 1)
            await converged([a, c])
        assert peerstore.read(home.peers) == [Anchor(c.edge.peer_id, tuple(c.edge.addresses), True)]
        async with running(make_node(home)) as a:
            await linked(a, c.edge.peer_id)
            assert [p["inbound"] for p in await a.backend.call("peers", {})] == [False]


async def test_a_node_without_links_keeps_its_anchors_when_it_stops(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    kept = [Anchor("12D3KooWE66oAtwJUqvwmmjFrwRkYnmd8ffm52XmqWYGzoMaAdiV", ("/ip4/127.0.0.1/tcp/9",))]
    peerstore.write(home.peers, kept)
    async with running(make_node(home)):
        pass
    assert peerstore.read(home.peers) == kept


def test_callers_are_kept_only_if_no_peer_was_chosen(tmp_path: Path) -> None:
    """Otherwise a peer that dials us often decides whom we find again."""
    chosen, caller = PeerInfo("good", ("/ip4/192.0.2.1/tcp/1",)), PeerInfo("bad", ("/ip4/192.0.2.2/tcp/1",))
    assert peerstore.worth_keeping([chosen], [caller]) == [Anchor("good", chosen.addrs)]
    assert peerstore.worth_keeping([], [caller]) == [Anchor("bad", caller.addrs, True)]


def test_what_an_older_program_wrote_and_what_is_damaged_is_read(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    path.write_text('[{"peer": "a", "addrs": ["/ip4/192.0.2.1/tcp/1"]}]')
    assert [a.addr for a in peerstore.read(path)] == ["/ip4/192.0.2.1/tcp/1/p2p/a"]
    for broken in ("", "[]", "[1]", "{", '[{"peer": 1}]', '[{"peer": "a", "addrs": []}]'):
        path.write_text(broken)
        assert peerstore.read(path) == []
