"""Costs that must not grow with the network: one more entry on a forked account, one more control entry or checkpoint
of an account with many control entries, a link of a node with chosen accounts while nothing happens.

`forked`: an account of 20,000 posts in four logs, one of them forked, on an LMDB store with views. Measured is what
each of 100 more posts costs the judging thread without the commit: on a branch that does not count, at the end of a log
that does, and the post that makes the fork. `control`: bytes on the wire, every frame counted, from one node to another
in virtual time, for one more control entry and one more checkpoint of an account with 1,000 control entries.
`interest`: the same for 120 s in which nothing happens, in each direction.

python -m bench upkeep --json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from banyan_crdt.ids import EntryId, LogId
from banyan_crdt.ops import Pin
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_node.context import TABLES
from banyan_replica.intake.author import Author, Written
from banyan_replica.intake.ingest import Ingest
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_replica.sync.item_builder import run_item
from banyan_sim.machine import EPOCH
from banyan_sim.world import World
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.local_tables import OWN_TIPS
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.reader import StoreReader
from bench.harness import arguments, finish, median, say, workplace
from bench.rig.people import Account, admit, drawn, open_account, opened, post, root_of

LOGS, MORE, STEP, QUIET_S = 4, 100, 1_000, 120
NOW_MS = int(EPOCH * 1_000)
FULL, FEW = "n0", "n1"
"""The two nodes of a world: one holds all, the other what it wants."""


def forked(folder: Path, entries: int) -> dict[str, float]:
    """Milliseconds: of the post that forks, and medians of those that come then."""
    holder, twin = opened(LmdbEngine(folder, TABLES)), opened(MemoryEngine(TABLES))
    phone, copy = Author(holder, TEST, drawn("phone")), Author(twin, TEST, drawn("a copy of the phone"))
    account, opening = open_account(phone, 1)
    admit(twin, account, opening)
    each = entries // LOGS
    for number in range(1, LOGS + 1):
        for first, stop in _pieces(each):
            for made in _write(phone, account, number, first, stop):
                if number == 2 or (number == 1 and stop < each):
                    _give(phone, made, twin)
                    OWN_TIPS.put(twin.store, made.log, [made.entries[-1].id])  # a copy of a home knows no better
        holder.store.commit()
    fork = _write_and_give(copy, account, 1, each, holder)
    assert holder.head(_log(account, 1)).flag
    branch, on = list[float](), list[float]()
    for n in range(each + 1, each + 1 + MORE):
        branch.append(_write_and_give(copy, account, 1, n, holder))
        on.append(_write_and_give(copy, account, 2, n, holder))
    holder.store.rollback()
    holder.store.close()
    return {"fork_ms": fork, "branch_ms": median(branch), "other_log_ms": median(on)}


def _pieces(entries: int) -> list[tuple[int, int]]:
    """(first, stop) of what is written under one signature; the last entry alone, so that a log can fork there."""
    ends = [*range(STEP, entries - 1, STEP), entries - 1, entries]
    return list(zip([0, *ends], ends, strict=False))


def _log(account: Account, number: int) -> LogId:
    return LogId(account.id, account.device.key, number)


def _write(author: Author, account: Account, number: int, first: int, stop: int) -> list[Written]:
    drafts = [post(account, 1_000_000 * number + n) for n in range(first, stop)]
    return author.append(_log(account, number), account.device, drafts, NOW_MS)


def _give(author: Author, made: Written, to: Ingest) -> float:
    """What was written in one store, to another: the milliseconds that it takes there."""
    item = run_item(author.store, made.log, made.entries)
    run = decode_run(TEST, item.run)
    began = time.perf_counter()
    to.run(run, NOW_MS, contents=item.contents)
    return (time.perf_counter() - began) * 1e3


def _write_and_give(author: Author, account: Account, number: int, n: int, to: Ingest) -> float:
    [made] = _write(author, account, number, n, n + 1)
    return _give(author, made, to)


def linked(write: Callable[[Replica], Any], interest: Callable[[], frozenset[Any]] | None = None) -> World:
    """Two nodes: what one wrote before they met. `interest`: what the other wants, asked for after the writing."""
    w = World(2, 1, limits=Limits())
    w.boot(1.0)
    w.run(0.1)
    w.nodes[FULL].feed(lambda r, now: write(r))
    if interest is not None:
        w.at(0.5, w.nodes[FEW].feed, lambda r, now: r.set_interest(interest(), now))
    return w


def until(w: World, done: Callable[[Replica], bool], within_s: float) -> None:
    """Runs until `done` of the node that holds less."""
    end = w.now + within_s
    while not (w.nodes[FEW].up and done(w.nodes[FEW].replica)):
        if w.now >= end:
            raise SystemExit(f"the two nodes did not get there within {within_s:.0f} s of virtual time")
        w.run(w.now + 0.25)


def control(entries: int) -> dict[str, float]:
    """Bytes from one node to its neighbour until it has one pin more, then one checkpoint more, by gossip."""
    root, wrote = root_of(1), list[Written]()
    account: Account

    def write(r: Replica) -> None:
        nonlocal account
        account, _ = open_account(r.author, 1)
        wrote.extend(r.author.append(account.log, account.device, [post(account, n) for n in range(3)], NOW_MS))
        for _ in range(entries - 1):
            pin(r, 0)

    def pin(r: Replica, seq: int) -> EntryId:
        at = Pin(account.device.key, 1, seq, wrote[0].entries[seq].id)
        return r.author.control(account.id, root, at, NOW_MS).id

    def say_pin(r: Replica, now: float) -> None:
        said.append(pin(r, 1))
        r.writes.publish_control(account.id, now)

    def say_checkpoint(r: Replica, now: float) -> None:
        said.append(r.writes.publish_checkpoint(account.id, root, now).id)

    w, said = linked(write), list[EntryId]()
    until(w, lambda r: r.store.counts().entries == w.nodes[FULL].replica.store.counts().entries, 120)
    found = dict[str, float]()
    for name, job in (("control_entry", say_pin), ("checkpoint", say_checkpoint)):
        w.run(w.now + 20)
        before = w.network.sent[FULL, FEW]
        w.nodes[FULL].feed(job)
        until(w, lambda r: _holds(r.store, account, said[-1]), 30)
        found[f"{name}_bytes"] = w.network.sent[FULL, FEW] - before
    return found


def _holds(store: StoreReader, account: Account, said: EntryId) -> bool:
    return store.has(said) or said in [c.id for c in store.checkpoints(account.id)]


def interest(accounts: int) -> dict[str, float]:
    """Bytes a second each way, once the node holds all that it wants."""
    people = list[Account]()

    def write(r: Replica) -> None:
        for number in range(accounts):
            account, _ = open_account(r.author, number)
            r.author.append(account.log, account.device, [post(account, 0)], NOW_MS)
            people.append(account)

    w = linked(write, lambda: frozenset(p.id for p in people))
    until(w, lambda r: r.store.counts().accounts == accounts, 600)
    w.run(w.now + 60)
    before = dict(w.network.sent)
    w.run(w.now + QUIET_S)
    ways = {"up": (FEW, FULL), "down": (FULL, FEW)}
    return {f"{name}_bytes_per_s": (w.network.sent[way] - before[way]) / QUIET_S for name, way in ways.items()}


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
