"""What does not get dearer as a network grows: an entry more on an account that is forked, a control entry more of an
account with many, a link of a node that holds chosen accounts while nothing happens.

`forked`: an account of 20,000 entries in four logs, of which one is forked, on an LMDB store with views; what each of
100 entries more costs the thread that judges, commit left out: on a branch that does not count, at the end of a log
that does, and of the entry that forked it. `control`: bytes on the wire, every frame counted, between two nodes in
virtual time, of one entry more of a control log of 1,000. `interest`: the same of 120 s in which nothing happens.

python -m bench upkeep --json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from banyan_crdt.entry import Entry
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_node.context import TABLES
from banyan_replica.intake.ingest import Ingest, PartItem
from banyan_storage.lmdb_engine import LmdbEngine
from bench.harness import arguments, finish, median, say, workplace
from bench.rig.people import opened
from tests.crdt.make import Person, add, follow, run_bytes, signer
from tests.node.helpers import NOW_MS, World, give

LOGS, MORE, QUIET_S = 4, 100, 120


def forked(folder: Path, entries: int) -> dict[str, float]:
    """Milliseconds: of the entry that forks, and medians of those that come then."""
    ingest = opened(LmdbEngine(folder / "store", TABLES))
    eve = Person("eve")
    ingest.control(eve.id, eve.control, NOW_MS)
    each = entries // LOGS
    logs = [_log(eve, each, number) for number in range(1, LOGS + 1)]
    for log in logs:
        for k in range(0, each, 1_000):
            give(ingest, log, k, min(k + 1_000, each))
        ingest.store.commit()
    branch = [*logs[0][: each - 1], follow(eve.full("phone"), eve.log(), logs[0][: each - 1], add("fork"))]
    fork_ms = _timed(lambda: give(ingest, branch, each - 1))
    assert ingest.head(eve.log()).flag
    beside, on = list[float](), list[float]()
    for _ in range(MORE):
        branch.append(follow(eve.full("phone"), eve.log(), branch, add(f"branch {len(branch)}")))
        beside.append(_one(ingest, branch))
        other = logs[1]
        other.append(follow(eve.full("phone"), eve.log(number=2), other, add(f"on {len(other)}")))
        on.append(_one(ingest, other))
    ingest.store.rollback()
    ingest.store.close()
    return {"fork_ms": fork_ms, "branch_ms": median(beside), "other_log_ms": median(on)}


def _log(eve: Person, entries: int, number: int) -> list[Entry]:
    log = eve.write(entries, number=number, signed=False)
    for k in [*range(999, entries, 1_000), entries - 1]:
        log[k] = log[k]._replace(sig=signer(eve.full("phone")).sign(log[k].id))
    return log


def _one(ingest: Ingest, log: Sequence[Entry]) -> float:
    run = decode_run(TEST, run_bytes(log, len(log) - 1, len(log)))
    return _timed(lambda: ingest.run(run, NOW_MS))


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def control(entries: int) -> dict[str, float]:
    """Bytes from one node to its neighbour until it has one pin more, by gossip."""
    w, an = World("a", "b"), Person("an")
    log = an.write(3)
    while len(an.control) < entries:
        an.say(an.pin(log[0]))
    for name in "ab":
        r = w.replicas[name]
        r.ingest.control(an.id, an.control, NOW_MS)
        r.ingest.parts([PartItem(an.control[0].id, 0, an.salt)])
        give(r.ingest, log)
        w.drain(name)
    w.link("a", "b")
    w.run(20)
    before, a = w.bytes["a", "b"], w.replicas["a"]
    more = an.say(an.pin(log[1]))
    a.ingest.control(an.id, [more], NOW_MS)
    a.publish_control(an.id, w.now)
    w.drain("a")
    w.until(lambda: w.replicas["b"].store.has(more.id), 30)
    return {"control_entry_bytes": w.bytes["a", "b"] - before}


def interest(accounts: int) -> dict[str, float]:
    """Bytes a second each way, once the node holds all that it wants."""
    w = World("full", "few")
    people = [w.person("full", f"u{k}") for k in range(accounts)]
    for p in people:
        w.post("full", p, 1)
    w.replicas["few"].set_interest(frozenset(p.id for p in people), w.now)
    w.link("few", "full")
    w.until(lambda: w.replicas["few"].store.counts().accounts == accounts, 600)
    w.run(60)
    before = dict(w.bytes)
    w.run(QUIET_S)
    ways = {"up": ("few", "full"), "down": ("full", "few")}
    return {f"{name}_bytes_per_s": (w.bytes[way] - before[way]) / QUIET_S for name, way in ways.items()}


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("upkeep", __doc__, argv, rounds=3)
    entries, accounts = (2_000, 200) if args.quick else (20_000, 20_000)
    rounds: list[dict[str, float]] = []
    for k in range(args.rounds):
        with workplace(args.folder) as folder:
            say(f"round {k + 1} of {args.rounds}")
            rounds.append(forked(folder / f"upkeep-{time.time_ns()}", entries))
    say(f"the control log; then {accounts} accounts of interest")
    cases = {key: round(median([r[key] for r in rounds]), 3) for key in rounds[0]}
    rest = {**control(1_000), **interest(accounts)}
    finish(args, "upkeep", **cases, **{k: round(v, 1) for k, v in rest.items()}, sizes={"entries": entries})


if __name__ == "__main__":
    main()
