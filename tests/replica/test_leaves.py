"""Leaves in the gossip network: nodes that hold the messages of some topics only, as hobbyists' do by default."""

from __future__ import annotations

from collections import Counter

import pytest

from banyan_replica.gossip.frames import AnyFrame, Join, Neighbour, PushFrame
from banyan_replica.gossip.settings import GossipSettings
from banyan_sim.gossip_world import GossipWorld
from tests.needs import few


def world_of(relays: int, leaves: int, seed: int = 1, follows: int = 20) -> GossipWorld:
    world = GossipWorld(relays, seed, leaves=leaves, follows=min(follows, relays + leaves))
    world.grow(settle_s=40.0)
    world.blast(100, 25.0, tail_s=5.0)
    world.heard.clear()
    return world


def relays_beside(world: GossipWorld, name: str) -> int:
    return sum(peer not in world.wants for peer in world.nodes[name].neighbours())


def test_among_many_leaves_everything_arrives_where_it_is_wanted_and_a_leaf_is_pushed_little_else() -> None:
    for seed in range(1, 1 + few(3)):
        world = world_of(10, 200, seed)
        figures = world.blast(150, 25.0)
        assert figures["complete"] == 150
        assert world.pushed_per_wanted(150) <= 1.3


def test_leaves_take_no_place_of_a_node_that_relays_and_each_has_two_that_relay() -> None:
    world = world_of(10, 200)
    for name in world.nodes:
        assert relays_beside(world, name) >= (2 if name in world.wants else 4), name


def test_where_leaves_have_no_room_the_groups_that_have_most_give_way() -> None:
    world = GossipWorld(4, settings=GossipSettings(leaves=20))
    world.grow()
    world.infest(100, 2)  # they say that they are leaves
    node = world.nodes["n0"]
    before = node.neighbours()
    lone = [f"n{300 + k}" for k in range(5)]
    for sybil in [*world.sybils, *lone]:
        group = world.sybils.get(sybil, sybil)
        node.peer_up(sybil, group=group, outbound=False, addrs=(), now=world.now)
        node.subscribe(sybil, frozenset(), world.now)
        node.receive(sybil, Join(), world.now)
    found = Counter(world.sybils.get(peer, "alone") for peer in node.neighbours() if peer not in world.nodes)
    assert found["alone"] == 5
    assert sum(found.values()) == 20
    assert tuple(peer for peer in node.neighbours() if peer in world.nodes) == before


def full_of_leaves() -> tuple[GossipWorld, list[str]]:
    """A platform with twenty places, whose leaves are each of another network, oldest first."""
    world = GossipWorld(2, settings=GossipSettings(leaves=20))
    world.grow()
    for k in range(20):
        ask(world, f"n{300 + k}", first=True)
    return world, list(world.nodes["n0"].leaves())


def ask(world: GossipWorld, leaf: str, *, first: bool = False) -> bool:
    """The leaf asks n0 for a place. Returns whether it has one."""
    node = world.nodes["n0"]
    if first:
        node.peer_up(leaf, group=leaf, outbound=False, addrs=(), now=world.now)
        node.subscribe(leaf, frozenset(), world.now)
    node.receive(leaf, Neighbour(True, ()), world.now)
    return leaf in node.leaves()


def test_who_asks_for_a_leafs_place_again_and_again_displaces_neither_the_oldest_nor_named_ones() -> None:
    world, before = full_of_leaves()
    assert len(before) == 20
    world.named["n0"].add(before[-1])
    for k in range(100):
        assert ask(world, f"n{400 + k}", first=True)
    stay = [leaf for leaf in before if leaf in world.nodes["n0"].leaves()]
    assert stay[:4] == before[:4]
    assert stay[-1] == before[-1]
    assert len(stay) < 12


def test_a_leaf_takes_the_place_of_another_one_once_in_some_seconds() -> None:
    world, _ = full_of_leaves()
    strangers = [f"n{400 + k}" for k in range(40)]
    for stranger in strangers:
        ask(world, stranger, first=True)
    now = world.nodes["n0"].leaves()
    assert not any(ask(world, one) for one in strangers if one not in now)
    assert world.nodes["n0"].leaves() == now
    world.now += GossipSettings().leaf_gap_s
    assert all(ask(world, one) for one in strangers)


def test_a_leaf_that_asked_once_for_an_own_message_of_a_platform_is_not_pushed_all_twice_from_then_on() -> None:
    world = GossipWorld(2)
    world.grow(settle_s=5.0)
    leaf = "n9"
    world.wants[leaf] = frozenset({b"n0"})
    world.add(leaf).join("n1", (world.addr("n1"),), world.now)
    world.drain(leaf)
    world.run(world.now + 40.0)
    ways = {("n0", leaf): 0.2, ("n0", "n1"): 0.02, ("n1", leaf): 0.02}
    for late_s in (0.0, 2.0, 0.0, 0.0, 0.0):  # the way from n1, which is the shorter one, is slow for a while
        for (a, b), latency in ways.items():
            world.conns[a, b] = world.conns[b, a] = latency
        world.conns["n1", leaf] += late_s
        world.heard.clear()
        for _ in range(75):
            world.publish("n0")
            world.run(world.now + 0.02)
    assert leaf in world.nodes["n0"].neighbours()
    assert world.nodes[leaf].stats()["grafts"] > 0
    assert world.pushed_per_wanted(75) <= 1.3


@pytest.mark.parametrize("relays", [1, 2, 3])
def test_few_platforms_serve_their_leaves(relays: int) -> None:
    world = world_of(relays, 30)
    assert world.blast(100, 25.0)["complete"] == 100
    assert world.pushed_per_wanted(100) <= 1.3


def test_a_node_that_becomes_a_leaf_and_back_is_served_as_what_it_is() -> None:
    world = world_of(6, 20)
    name = "n3"
    for wants in (frozenset({b"n0", b"n3"}), None):
        if wants is None:
            del world.wants[name]
        else:
            world.wants[name] = wants
        world.nodes[name].become_leaf(wants is not None, world.now)
        world.drain(name)
        for peer in list(world.peers_of[name]):
            world.nodes[peer].subscribe(name, wants, world.now)
            world.drain(peer)
        world.run(world.now + 30.0)
        assert world.blast(60, 25.0)["complete"] == 60


def beside_two_platforms() -> tuple[GossipWorld, str]:
    """A leaf that follows n0 and is a neighbour of n0 and n1. The way over n1 is the longer one."""
    world = GossipWorld(2)
    world.grow(settle_s=5.0)
    leaf = "n9"
    world.wants[leaf] = frozenset({b"n0", leaf.encode()})
    world.add(leaf).join("n1", (world.addr("n1"),), world.now)
    world.drain(leaf)
    world.run(world.now + 40.0)
    slow(world, {("n0", leaf): 0.02, ("n0", "n1"): 0.02, ("n1", leaf): 0.02})
    assert set(world.nodes[leaf].neighbours()) == {"n0", "n1"}
    return world, leaf


def slow(world: GossipWorld, ways: dict[tuple[str, str], float]) -> None:
    for (a, b), latency in ways.items():
        world.conns[a, b] = world.conns[b, a] = latency


def write(world: GossipWorld, name: str, posts: int) -> None:
    for _ in range(posts):
        world.publish(name)
        world.run(world.now + 0.1)


def test_of_two_platforms_the_faster_one_pushes_to_a_leaf() -> None:
    for slower, faster in (("n0", "n1"), ("n1", "n0")):
        world, leaf = beside_two_platforms()
        slow(world, {("n0", leaf): 0.2, ("n1", leaf): 0.2, (faster, leaf): 0.02})
        write(world, "n0", 4)
        world.run(world.now + 1.0)
        assert leaf in world.nodes[faster].eager()
        assert leaf not in world.nodes[slower].eager()
        world.heard.clear()
        write(world, "n0", 50)
        assert world.pushed_per_wanted(50) == 1.0


def test_what_a_leaf_writes_makes_no_platform_push_to_it_that_it_pruned() -> None:
    world, leaf = beside_two_platforms()
    write(world, "n0", 10)
    assert leaf not in world.nodes["n1"].eager()
    slow(world, {("n0", "n1"): 3.0})  # so n1 has to ask the leaf for what it announces, and then it is pushed that
    write(world, leaf, 2)
    world.run(world.now + 5.0)
    assert world.nodes["n1"].stats()["grafts"] > 0
    assert leaf not in world.nodes["n1"].eager()
    assert world.nodes[leaf].eager() == ("n0",)
    slow(world, {("n0", "n1"): 0.02, ("n0", leaf): 0.2})
    write(world, leaf, 20)  # n1 has these from the leaf first
    assert leaf not in world.nodes["n1"].eager()
    slow(world, {("n0", leaf): 0.02})
    world.run(world.now + 2.0)
    world.heard.clear()
    write(world, "n0", 50)
    assert world.pushed_per_wanted(50) <= 1.1
    assert all(len(sent.delays) == sent.audience for sent in world.sent.values())


def test_a_leaf_sends_its_prune_again_to_a_platform_that_goes_on_pushing() -> None:
    world, leaf = beside_two_platforms()
    write(world, "n0", 10)
    world.nodes["n1"]._tree.links[leaf].eager = True  # earlier versions forgot a prune
    world.heard.clear()
    write(world, "n0", 50)
    assert world.pushed_per_wanted(50) <= 1.1


@pytest.mark.parametrize("share", [2, 3, 1])
def test_a_platform_that_keeps_posts_back_delays_them_for_a_leaf_no_longer_than_asking_takes(
    share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The eager one of two platforms passes on neither every second post, nor every third, nor any."""
    world, leaf = beside_two_platforms()
    slow(world, {("n0", leaf): 0.5})
    write(world, "n0", 20)
    assert world.nodes[leaf].eager() == ("n1",)
    send = world.send

    def kept_back(src: str, dst: str, frame: AnyFrame) -> None:
        if (src, dst) == ("n1", leaf) and isinstance(frame, PushFrame):
            items = tuple(item for item in frame.items if int.from_bytes(item.mid, "big") % share)
            frame = PushFrame(items, (), frame.grafts, frame.prune)
        send(src, dst, frame)

    monkeypatch.setattr(world, "send", kept_back)
    before = len(world.sent)
    write(world, "n0", 60)
    world.run(world.now + 5.0)
    s = world.settings
    late = [delay for sent in list(world.sent.values())[before:] for delay in sent.delays]
    assert len(late) == 2 * 60
    assert max(late) <= s.lazy_s + s.graft_s + 3 * 0.5 + s.window_s + 0.1
