"""Whole networks under attack: hundreds of machines with the node's own code, a third of all identities hostile.

One seed draws who attacks and how: a few of the attacks of `attacks/`, each with its part of the attackers. Honest
people post meanwhile. At the end, while the attack goes on, within 150 s every honest post must be at every honest
machine that holds its account, and these must hold the same of it. No honest machine may have charged another, and none
may have said that it is complete while it had lacked a post of honest people for 20 s.
"""

from __future__ import annotations

import json
import random
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from banyan_crdt.ids import control_log
from banyan_replica.peers.limits import Limits
from banyan_sim.attack import names, only
from banyan_sim.attack_world import ATTACK_S, WRITE_END_S, AttackWorld, says_complete
from banyan_sim.machine import drawn as chosen_by
from banyan_sim.runner import no_collection, remembered_signatures

BOUND_S = 150.0
"""Every post is to be everywhere so long after it was made. Whoever has only hostile links dials a contact again after
120 s (`GossipSettings.trust_s`), and roots are compared within seconds."""
FAILED = 30
"""The most failures that are told of one world."""
KINDS = 4
"""Different attacks in one world."""
SLOW = 20.0
"""A machine is so many times slower than the core of the benches, so that the few frames that a world can afford load
it as many load a node."""


@dataclass(frozen=True, slots=True)
class AttackResult:
    """failed: what must not be. chosen: honest machines that hold chosen accounts. undelivered: pairs of a post and a
    machine. p50_s, p99_s, most_s: from the question of the author to a machine that has it. alone: honest machines
    without an honest neighbour at the end. complete: those that say so of themselves then. surrounded: the share of
    hostile ones among the neighbours of honest machines. strangers, peers: share of a core that frames of attackers,
    and of honest machines, take of one honest machine, in the mean and at most. waiting: bytes of frames that waited at
    one machine, at most. banned: identities. slights: that honest machines held against attackers. stored: accounts at
    one machine."""

    seed: int
    attacks: tuple[str, ...]
    failed: tuple[str, ...]
    honest: int
    chosen: int
    hostile: int
    posts: int
    undelivered: int
    p50_s: float
    p99_s: float
    most_s: float
    seconds: float
    alone: int
    complete: int
    surrounded: float
    strangers: tuple[float, float]
    peers: tuple[float, float]
    waiting: int
    banned: int
    slights: int
    identities: int
    links: int
    frames: int
    sent: int
    stored: int
    trace: str


def run(
    seed: int,
    *,
    nodes: int = 300,
    hostile: float = 0.33,
    attacks: Sequence[str] = (),
    posts: int = 20,
    writers: int = 8,
    chosen: int | None = None,
    slow: float = SLOW,
    limits: Limits | None = None,
) -> AttackResult:
    """One world. nodes: identities at once, of which this share is hostile. attacks: names; else the seed draws.
    chosen: how many honest machines hold chosen accounts (None: half of them if the seed is odd). slow: so many times
    slower than the core of the benches each machine is."""
    bad = round(nodes * hostile)
    with remembered_signatures(), no_collection():
        few = chosen_by(seed, nodes - bad) if chosen is None else chosen
        kinds, limits = list(attacks) or drawn(seed), limits or Limits()
        world = AttackWorld(nodes - bad, bad, seed, kinds, writers, limits, few)
        for node in world.honestly:
            node.slow = slow
        world.plan_all(posts)
        return ended(world)


def ended(world: AttackWorld) -> AttackResult:
    """Lets time go on until all posts are everywhere, or for BOUND_S after the last."""
    world.run(WRITE_END_S)
    while world.now < WRITE_END_S + BOUND_S and not (world.everywhere() and not differing(world)):
        world.run(world.now + 1.0)
    return _result(world)


def drawn(seed: int) -> list[str]:
    """Which attacks a seed has. The first goes round, so that as many seeds as there are attacks have all; the others
    are drawn."""
    every = only(())
    first = every[seed % len(every)]
    rest = [name for name in every if name != first]
    return [first, *random.Random(f"{seed}/attacks").sample(rest, KINDS - 1)]


def differing(world: AttackWorld) -> list[str]:
    """What honest machines hold otherwise than the first, which holds everything, of the honest accounts that they
    should hold, contents included."""
    first, out = world.honestly[0], []
    for node in world.honestly:
        for log, writer in world.due(node).items():
            both = log, control_log(log.account)
            heads = [first.replica.ingest.head(each) for each in both]
            if [node.replica.ingest.head(each) for each in both] != heads:
                out.append(f"{node.name} holds another state of the account of {writer.home.name} than {first.name}")
            elif any(node.replica.store.part(e.id, 0) is None for e in node.replica.store.chain(log)):
                out.append(f"{node.name} lacks content of {writer.home.name}")
    return out


def _result(world: AttackWorld) -> AttackResult:
    honest, names = world.honestly, world.nodes
    delays = sorted(world.delays)
    lost = sum(world.lacks(n.name, world.now) for n in honest)
    failed = [f"{lost} posts are missing somewhere after {BOUND_S:.0f} s"] * bool(lost)
    failed += [f"{node} said that it is complete" for node in world.lies[:5]]
    if not lost:
        failed += differing(world)[:5]
    for node in honest:
        failed += [f"{node.name} charged {p}: {why}" for p, why in node.rejected + node.slighted if p in names]
        failed += [
            f"{node.name} holds {points:.1f} points against {p}"
            for p in names
            if (points := node.replica.peers.points(p, node.local())) > 0
        ]
    near = [list(n.replica.gossip.neighbours()) for n in honest]
    lasts = world.now - ATTACK_S
    tallies = [crowd.tally for crowd in world.crowds]
    bans = {ban.peer for n in honest for ban in n.replica.status.view(n.local()).bans}

    def share(of: Callable[[str], bool]) -> tuple[float, float]:
        each = [sum(s for peer, s in n.worked.items() if of(peer)) / lasts for n in honest]
        return round(sum(each) / len(each), 6), round(max(each), 6)

    return AttackResult(
        seed=world.seed,
        attacks=tuple(world.kinds),
        failed=tuple(failed[:FAILED]),
        honest=len(honest),
        chosen=sum(n.chosen is not None for n in honest),
        hostile=sum(len(c.seats) for c in world.crowds),
        posts=sum(len(w.posts) for w in world.writers),
        undelivered=lost,
        p50_s=round(delays[len(delays) // 2], 2) if delays else 0.0,
        p99_s=round(delays[int(len(delays) * 0.99)], 2) if delays else 0.0,
        most_s=round(delays[-1], 2) if delays else 0.0,
        seconds=round(world.now, 1),
        alone=sum(not any(p in names for p in them) for them in near),
        complete=sum(says_complete(n) for n in honest),
        surrounded=round(sum(p not in names for them in near for p in them) / max(1, sum(map(len, near))), 3),
        strangers=share(lambda peer: peer not in names),
        peers=share(lambda peer: peer in names),
        waiting=max(n.most_waiting for n in honest),
        banned=len(bans),
        slights=sum(len(n.slighted) for n in honest),
        identities=sum(t.identities for t in tallies),
        links=sum(t.links for t in tallies),
        frames=sum(t.frames for t in tallies),
        sent=sum(t.sent for t in tallies),
        stored=max(n.replica.store.counts().accounts for n in honest),
        trace=world.trace.hex(),
    )


# -- many seeds


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What many worlds have in common: the worst of each figure, the median of times, and the seeds that failed."""
    typical = sorted(row["p50_s"] for row in rows)
    return {
        "seeds": len(rows),
        "failed": sorted(row["seed"] for row in rows if row["failed"]),
        "honest": rows[0]["honest"],
        "hostile": rows[0]["hostile"],
        "posts": sum(row["posts"] for row in rows),
        "undelivered": sum(row["undelivered"] for row in rows),
        "p50_s": typical[len(typical) // 2],
        "p99_s": max(row["p99_s"] for row in rows),
        "most_s": max(row["most_s"] for row in rows),
        "alone": sum(row["alone"] for row in rows),
        "surrounded": max(row["surrounded"] for row in rows),
        "strangers": max(row["strangers"][1] for row in rows),
        "waiting": max(row["waiting"] for row in rows),
        "core_s": round(sum(row["core_s"] for row in rows)),
    }


def one(seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """The row of one seed. core_s: what it took of this machine's core."""
    began = time.process_time()
    return {**asdict(run(seed, **options)), "core_s": round(time.process_time() - began, 1)}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints one line a seed, then what they have in common. The exit status is 1 if a seed failed."""
    parser = ArgumentParser(prog="python -m banyan_sim.attack_network", description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--nodes", type=int, default=300, help="identities at once, hostile ones included")
    parser.add_argument("--hostile", type=float, default=0.33, help="the share of them that attacks")
    parser.add_argument("--attack", action="append", choices=names(), metavar="NAME", help="default: the seed draws")
    parser.add_argument(
        "--chosen", type=int, help="honest machines with chosen accounts; default: half if the seed is odd"
    )
    parser.add_argument("--posts", type=int, default=20, help="posts of honest people in each world")
    parser.add_argument("--jobs", type=int, default=1, help="worlds at once, each in a process")
    parser.add_argument("--kept", type=Path, help="rows are kept in this file, and seeds that are in it are not run")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    options = {
        "nodes": args.nodes,
        "hostile": args.hostile,
        "attacks": args.attack or [],
        "posts": args.posts,
        "chosen": args.chosen,
    }
    rows: dict[int, dict[str, Any]] = {}
    if args.kept is not None and args.kept.exists():
        kept = map(json.loads, args.kept.read_text("utf-8").splitlines())
        rows = {row["seed"]: row["row"] for row in kept if row["options"] == options}
    wanted = range(args.first, args.first + args.seeds)
    with ProcessPoolExecutor(args.jobs) as pool:
        begun = {pool.submit(one, seed, options) for seed in wanted if seed not in rows}
        for done in as_completed(begun):
            row = done.result()
            rows[row["seed"]] = row
            if args.kept is not None:
                with args.kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"seed": row["seed"], "options": options, "row": row}) + "\n")
            print(json.dumps(row) if args.json else _line(row), flush=True)
    found = summary([rows[seed] for seed in wanted])
    print(json.dumps(found) if args.json else ", ".join(f"{key} {value}" for key, value in found.items()))
    return 1 if found["failed"] else 0


def _line(row: dict[str, Any]) -> str:
    what = "; ".join(row["failed"][:3]) or f"held, posts everywhere within {row['most_s']} s"
    return f"seed {row['seed']}, {' '.join(row['attacks'])}: {what}"


if __name__ == "__main__":
    sys.exit(main())
