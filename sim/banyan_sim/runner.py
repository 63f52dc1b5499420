"""Runs one world from a seed until its honest replicas agree, and reports the result.

`run_world` does all of it: machines start, people write while the drawn faults come and go, then the faults stop. Then
all honest replicas must reach one frontier and one view, and none may lack content that another honest one has.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice

from nacl.bindings import crypto_sign_open as check

from banyan_crdt import signing
from banyan_replica.peers.limits import Limits
from banyan_sim.machine import Machine, drawn, queries
from banyan_sim.world import KINDS as FAULTS
from banyan_sim.world import LIARS, World, draw

# Signatures checked once in a world, not once at each of its replicas.
#
# A check is a pure function of (key, signed bytes, signature). The memo's key is all three, and only checks that passed
# are remembered, so no replica can accept what it would refuse alone. libsodium's function is replaced while the memo
# is in use, and restored afterwards.


@contextmanager
def remembered_signatures(on: bool = True) -> Iterator[None]:
    """The memo. Only one thread may use it."""
    door = vars(signing)
    passed: dict[tuple[bytes, bytes], bytes] = {}

    def remembering(signed: bytes, key: bytes) -> bytes:
        found = passed.get((signed, key))
        if found is None:
            found = passed[signed, key] = check(signed, key)
        return found

    if on:
        door["crypto_sign_open"] = remembering
    try:
        yield
    finally:
        door["crypto_sign_open"] = check


BOOT_S, WRITE_AT, FAULTS_AT = 3.0, 4.0, 6.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """`digest`, `views`: of all honest replicas that hold everything, or of the first where they disagree. `chosen`:
    machines that held chosen accounts. `seconds`: virtual, from the end of the faults to agreement. `redundancy`:
    copies of gossip messages that came for each one needed. `wronged`: honest machines that an honest one charged with
    a lie. `why`: what still differed when time ran out."""

    converged: bool
    trace: str
    digest: str
    views: str
    nodes: int
    chosen: int
    seed: int
    seconds: float
    messages: int
    bytes: int
    redundancy: float
    events: int
    acts: dict[str, int] = field(default_factory=dict)
    figures: dict[str, int] = field(default_factory=dict)
    wronged: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


def run_world(
    nodes: int = 100,
    seed: int = 1,
    *,
    faults: Sequence[str] = FAULTS,
    liars: Sequence[str] | None = None,
    chosen: int | None = None,
    people: int = 8,
    acts: int = 40,
    fault_s: float = 20.0,
    patience_s: float = 240.0,
    memo: bool = True,
    limits: Limits | None = None,
) -> RunResult:
    """`liars`: names of kinds.LIARS, one machine each (None: drawn by the seed, one machine in 14, at most one of a
    kind). `chosen`: how many honest machines hold chosen accounts (None: half of them if the seed is odd). `memo`: each
    signature is checked once in the world instead of once at each replica."""
    rng = random.Random(f"{seed}/plan")
    if liars is None:
        liars = rng.sample(sorted(LIARS), min(len(LIARS), nodes // 14))

    def run() -> RunResult:
        few = drawn(seed, nodes - len(liars)) if chosen is None else chosen
        world = World(nodes, seed, liars=liars, people=people, chosen=few, limits=limits or Limits())
        stop = FAULTS_AT + fault_s
        world.boot(BOOT_S)
        world.publish(WRITE_AT, stop, acts)
        world.plan(draw(rng, [n.name for n in world.honest], FAULTS_AT, stop, faults))
        world.run(stop)
        world.heal()
        converged = False
        while not converged and world.now < stop + patience_s:
            world.run(world.now + 0.5)
            converged = agreed(world.honest)
        return _result(world, converged, world.now - stop)

    with remembered_signatures(memo), no_collection():
        return run()


@contextmanager
def no_collection() -> Iterator[None]:
    """Turns the search for reference cycles off: a world makes few cycles and many objects, and the search took a tenth
    of the time. One search follows, when nothing refers to the world any more."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
        gc.collect()


def agreed(honest: Sequence[Machine]) -> bool:
    """Whether there is one frontier and one view, no machine lacks a part that another one has, and those with chosen
    accounts hold the same of these. The first holds everything."""
    whole = [n for n in honest if n.chosen is None]
    if len({n.replica.status.stands.root for n in whole}) > 1 or _lacking(honest) or any(_wanting(honest)):
        return False
    digests = {(n.replica.store.digest(), views_digest(n)) for n in whole}
    return len(digests) == 1


def views_digest(node: Machine) -> bytes:
    return queries(node.replica).views_digest()


def _wanting(honest: Sequence[Machine]) -> Iterator[str]:
    """What machines with chosen accounts do not hold as the first does, which holds everything."""
    for node in honest:
        if node.chosen is not None:
            yield from (f"{node.name} {what}" for what in node.chosen.wanting(node.replica, honest[0].replica))


def _lacking(honest: Sequence[Machine]) -> list[str]:
    """The machines that lack a part that another one has."""
    out = []
    for node in honest:
        store = node.replica.store
        if not store.counts().lacking:
            continue
        rows = store.lacking(b"", 1 << 20)
        if any(other.replica.store.part(row.entry, row.op) is not None for row in rows for other in honest):
            out.append(node.name)
    return out


def _result(world: World, converged: bool, seconds: float) -> RunResult:
    honest = world.honest
    total: Counter[str] = Counter()
    for node in honest:
        total.update(node.figures())
    needed = total["gossip accepted"]
    store = honest[0].replica.store
    network = world.network
    why = () if converged else tuple(_differences(honest))
    return RunResult(
        converged,
        world.trace.hex(),
        store.digest().hex(),
        views_digest(honest[0]).hex(),
        len(world.nodes),
        sum(node.chosen is not None for node in honest),
        world.seed,
        round(seconds, 3),
        network.messages,
        network.sent.total(),
        round((needed + total["gossip duplicates"]) / needed, 3) if needed else 0.0,
        world.trace.events,
        dict(sorted(world.workload.done.items())),
        dict(sorted(total.items())) | {"resets": network.resets},
        tuple(
            f"{node.name} charged {peer}: {reason}"
            for node in honest
            for peer, reason in node.rejected
            if peer not in world.liars
        ),
        why,
    )


def _differences(honest: Sequence[Machine]) -> Iterable[str]:
    """Which groups of machines agree, what the two largest disagree on, and what those with chosen accounts lack."""
    groups: dict[bytes, list[Machine]] = {}
    for node in [n for n in honest if n.chosen is None]:
        groups.setdefault(node.replica.store.digest(), []).append(node)
    ordered = sorted(groups.values(), key=lambda g: (-len(g), g[0].name))
    for group in ordered[:5]:
        yield f"{len(group)} machines stand at one frontier: {' '.join(n.name for n in group[:10])}"
    if len(ordered) > 1:
        one, two = (dict(g[0].replica.store.all_heads()) for g in ordered[:2])
        for log in sorted(one.keys() | two.keys()):
            if one.get(log) != two.get(log):
                yield f"log {log.account.hex()[:8]}/{log.writer.hex()[:8]}/{log.log}: {one.get(log)} and {two.get(log)}"
    for name in _lacking(honest)[:10]:
        yield f"{name} lacks content that others have"
    yield from islice(_wanting(honest), 10)


def to_json(result: RunResult) -> dict[str, object]:
    return asdict(result)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m banyan_sim.runner --nodes 100 --seed 7 [--seeds 5] [--faults loss crash] [--liars fork]`."""
    parser = argparse.ArgumentParser(prog="banyan-sim", description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="so many seeds, from --seed on")
    parser.add_argument("--faults", nargs="*", default=FAULTS, choices=FAULTS)
    parser.add_argument("--liars", nargs="*", default=None, choices=sorted(LIARS))
    parser.add_argument(
        "--chosen",
        type=int,
        default=None,
        help="machines with chosen accounts; default: half of them, if the seed is odd",
    )
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--acts", type=int, default=40)
    parser.add_argument("--no-memo", action="store_true", help="check every signature at every replica")
    args = parser.parse_args(argv)
    failed = 0
    for seed in range(args.seed, args.seed + args.seeds):
        began = time.process_time()
        result = run_world(
            args.nodes,
            seed,
            faults=tuple(args.faults),
            liars=args.liars,
            chosen=args.chosen,
            people=args.people,
            acts=args.acts,
            memo=not args.no_memo,
        )
        failed += not result.converged
        print(json.dumps(to_json(result), ensure_ascii=False), flush=True)
        print(f"seed {seed}: {time.process_time() - began:.1f} s of processor time", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
