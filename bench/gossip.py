"""Figures of the gossip at 1,000 to 10,000 nodes in virtual time: delivery, redundancy, deaths, loss, Sybils.

python -m bench gossip --nodes 1000 --messages 300 --rate 50 --seed 1 --json
"""

from __future__ import annotations

import gc
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence

from banyan_replica.gossip.frames import Neighbour
from banyan_sim.gossip_world import GossipWorld
from bench.harness import arguments, at_least, finish, say

Figures = dict[str, float]


def grown(nodes: int, seed: int, rate: float, loss: float = 0.0, settle_s: float = 20.0) -> GossipWorld:
    world = GossipWorld(nodes, seed, loss=loss)
    world.grow(settle_s=settle_s)
    world.blast(250, min(rate, 25.0), tail_s=5.0)  # the tree settles
    return world


def steady(nodes: int, messages: int, rate: float, seed: int) -> Figures:
    return grown(nodes, seed, rate).blast(messages, rate)


def third_dead(nodes: int, messages: int, rate: float, seed: int) -> Figures:
    world = grown(nodes, seed, rate)
    world.kill(world.rng.sample(list(world.nodes), int(nodes * 0.3)))
    return {**world.blast(messages // 4, rate), "reached": world.reached(), "alive": len(world.nodes)}


def lossy(nodes: int, messages: int, rate: float, seed: int) -> Figures:
    return grown(nodes, seed, rate, loss=0.05).blast(messages, rate)


def sybils(groups: int) -> Callable[[int, int, float, int], Figures]:
    def scene(nodes: int, messages: int, rate: float, seed: int) -> Figures:
        nodes = min(nodes, 300)
        world = grown(nodes, seed, rate, settle_s=70.0)
        world.infest(100, groups)
        for _ in range(100):
            world.assault(0.5)
            world.run(world.now + 2.0)
        seats = [p in world.sybils for g in world.nodes.values() for p in g.neighbours()]
        figures = {"isolated": world.isolated(), "sybil_share": round(sum(seats) / len(seats), 3)}
        return {**figures, **world.blast(messages // 4, rate)}

    return scene


def small(platforms: int, leaves: int) -> Callable[[int, int, float, int], Figures]:
    """Small nodes, of which each holds the messages of 20 publishers and its own."""

    def scene(nodes: int, messages: int, rate: float, seed: int) -> Figures:
        world = GossipWorld(platforms, seed, leaves=leaves, follows=20)
        world.grow(settle_s=40.0)
        world.blast(100, min(rate, 25.0), tail_s=5.0)
        world.heard.clear()
        figures = world.blast(messages, min(rate, 25.0))
        return {**figures, "pushed_to_leaves_per_wanted": round(world.pushed_per_wanted(messages), 2)}

    return scene


def leaf_places(each_s: int) -> Callable[[int, int, float, int], Figures]:
    """Two platforms and 100 small nodes; 400 strangers of as many networks say that they are leaves, and `each_s` of
    them a second ask each platform for a place, which has 256. After a minute 50 more small nodes come."""

    def scene(nodes: int, messages: int, rate: float, seed: int) -> Figures:
        world = GossipWorld(2, seed, leaves=100, follows=20)
        platforms, early = list(world.nodes)[:2], list(world.wants)
        world.grow(settle_s=40.0)
        world.infest(400, 400)
        strangers = list(world.sybils)
        world.wants.update(dict.fromkeys(strangers, frozenset()))
        late = [f"n{k}" for k in range(500, 550)]
        has = dict.fromkeys(("early", "late"), 0)
        for second in range(180):
            if second == 60:
                for name in late:
                    world.wants[name] = frozenset(n.encode() for n in (name, *world.rng.sample(list(world.nodes), 20)))
                    world.add(name).join(platforms[0], (world.addr(platforms[0]),), world.now)
                    world.drain(name)
            for k in range(each_s):
                for platform in platforms:
                    stranger = strangers[world.rng.randrange(len(strangers))]
                    world.meet(stranger, platform)
                    world.sybil_says(stranger, platform, Neighbour(True, (world.addr(stranger),)))
                if second >= 90 and k % (each_s // 5) == 0:
                    world.publish(world.rng.choice(list(world.nodes)))
                world.run(world.now + 1 / each_s)
            if second >= 90:
                places = {leaf for platform in platforms for leaf in world.nodes[platform].leaves()}
                has["early"] += len(places.intersection(early))
                has["late"] += len(places.intersection(late))
        world.run(world.now + 10.0)
        delays = sorted(delay for sent in world.sent.values() for delay in sent.delays)
        return {
            "early_with_a_place": round(has["early"] / 90 / len(early), 3),
            "late_with_a_place": round(has["late"] / 90 / len(late), 3),
            "delivered": round(len(delays) / sum(sent.audience for sent in world.sent.values()), 3),
            "p99_s": round(delays[int(len(delays) * 0.99)], 3),
        }

    return scene


SCENES: dict[str, Callable[[int, int, float, int], Figures]] = {
    "steady": steady,
    "30 % dead at once": third_dead,
    "5 % loss": lossy,
    "10 platforms, 100 small nodes": small(10, 100),
    "10 platforms, 500 small nodes": small(10, 500),
    "100 small nodes alone": small(0, 100),
    "leaf places, 5 asked for a second": leaf_places(5),
    "leaf places, 50 asked for a second": leaf_places(50),
    "leaf places, 500 asked for a second": leaf_places(500),
    "100 Sybils, 2 groups, 300 nodes": sybils(2),
    "100 Sybils, 20 groups, 300 nodes": sybils(20),
}


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--nodes", type=at_least(10), help="default: 1,000; 10,000 take about 4 GB and minutes")
        parser.add_argument("--messages", type=at_least(4), help="default: 300")
        parser.add_argument("--rate", type=float, default=50.0, help="messages per second in the whole network")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--scene", choices=list(SCENES), action="append", help="default: all; --quick: the first")

    args = arguments("gossip", __doc__, argv, rounds=1, more=more)
    nodes = args.nodes or (200 if args.quick else 1_000)
    messages = args.messages or (100 if args.quick else 300)
    gc.disable()  # the worlds hold millions of small objects and few cycles
    rows: dict[str, Figures] = {}
    for name in args.scene or list(SCENES)[: 1 if args.quick else None]:
        start = time.perf_counter()
        figures = SCENES[name](nodes, messages, args.rate, args.seed)
        rows[name] = {**figures, "wall_s": round(time.perf_counter() - start, 1)}
        gc.collect()
        say(f"{name} took {rows[name]['wall_s']} s")
    sizes = {"nodes": nodes, "messages": messages, "rate": args.rate, "seed": args.seed}
    finish(args, "gossip", sizes=sizes, cases=rows)


if __name__ == "__main__":
    main()
