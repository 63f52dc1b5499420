"""What size costs: an entry on a store of 1,000,000 entries and on one of 10,000; memory, disk and start of a node.

The same new entries are given to stores of 10,000, 100,000 and 1,000,000 in turn, as frames of a peer to a replica on
LMDB, committed with fsync:

runs       250 posts each by 10 accounts
scattered  one post each by 300 accounts

All stores hold these accounts; each round takes other accounts. `ratio_to_small` is the worse of the two ratios of
medians. Start and memory are those of `banyan up` as a process: from exec to the first answer that says it is ready,
RssAnon some seconds later, and again after some reads. A node with an empty home is the idle hobbyist. Disk is the size
of the million entries, follows and views included (posts alone: see catchup).

python -m bench growth --json
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from banyan_crdt.ids import account_to_text
from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_node.operator_errors import CallError, NoNode
from banyan_node.server.control_client import ControlClient
from banyan_node.workers import process_memory
from banyan_replica.outbox import Commit, Send
from banyan_replica.replica import PeerIdentity, Replica
from banyan_replica.sync.item_builder import log_items
from banyan_replica.wire.data_items import size_of
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import DataItems, Item, RunItem
from banyan_storage.engine import Engine
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.memory_engine import MemoryEngine
from bench.harness import ROOT, BenchError, anon_mb, arguments, finish, median, say, workplace
from bench.rig.people import Account, copied, filling, opened, post, write_in_turn
from bench.rig.processes import new_home
from bench.rig.world import FULL, QUICK, SHARED_EACH, people_of, worlds

KINDS = ("runs", "scattered")
WRITERS, RUN, SCATTERED = 10, 250, 300
PIECE = 256 << 10
REST_S = 5.0
"""How long a started node is left alone before its memory is read."""
PEER = "a peer"


class PeerStore:
    """A replica on a store, with one peer that only sends."""

    def __init__(self, home: Path, engine: type[LmdbEngine] = LmdbEngine) -> None:
        self.engine = engine(Home(home).store, TABLES)
        self.replica = _replica(self.engine, "here")
        self.now = time.time()
        other = _replica(MemoryEngine(TABLES), PEER)
        for replica, peer in ((other, "here"), (self.replica, PEER)):
            replica.peer_up(peer, group=peer, outbound=True, addrs=(f"/{peer}",), now=self.now)
        while not isinstance(hello := other.next_effect(), Send):
            pass
        self.take([hello.data])

    def take(self, frames: Sequence[bytes]) -> float:
        """Seconds until all of it is durable."""
        began = time.perf_counter()
        for frame in frames:
            self.replica.receive(PEER, frame, self.now)
        while (effect := self.replica.next_effect()) is not None:
            if isinstance(effect, Commit):
                self.replica.store.commit()
        return time.perf_counter() - began

    def entries(self) -> int:
        counts = self.replica.store.counts()
        return counts.entries - counts.lacking

    def close(self) -> None:
        self.replica.store.close()


def _replica(engine: Engine, name: str) -> Replica:
    rng = random.Random(name)
    return Replica(opened(engine).store, TEST, PeerIdentity(name, (f"/{name}",)), rng, rng.randbytes)


def news(home: Path, writers: Sequence[Account], others: Sequence[Account], run: int) -> dict[str, list[bytes]]:
    """Frames of new entries that follow what a copy of the smallest store holds. The copy is changed."""
    with filling(home) as author:
        drafts = [post(writers[0], n) for n in range(SHARED_EACH, SHARED_EACH + run)]
        runs = ((w, [post(w, n) for n, _ in enumerate(drafts, SHARED_EACH)]) for w in writers)
        write_in_turn(author, runs, each_signed=False)
        write_in_turn(author, ((w, [post(w, SHARED_EACH)]) for w in others), each_signed=True)
        store = author.store
        by_kind = {"runs": writers, "scattered": others}
        return {
            kind: _frames([i for w in people for i in log_items(store, w.log, SHARED_EACH)])
            for kind, people in by_kind.items()
        }


def _frames(items: Sequence[RunItem]) -> list[bytes]:
    frames, waiting, size = [], list[Item](), 0
    for item in items:
        waiting.append(item)
        size += size_of(item)
        if size >= PIECE:
            frames.append(encode_message(DataItems(waiting)))
            waiting, size = [], 0
    return [*frames, encode_message(DataItems(waiting))] if waiting else frames


def compare(folder: Path, homes: Sequence[Path], rounds: int, run: int, scattered: int) -> dict[str, list[float]]:
    """Microseconds per entry on each store, by kind: medians of rounds in turn, after a warm-up round.

    The first home is copied for each round, because new entries would soon double it; the others grow.
    """
    people = people_of(homes[0])
    each = WRITERS + scattered
    if len(people) < (rounds + 1) * each:
        raise BenchError(f"{rounds} rounds take {(rounds + 1) * each} accounts, there are {len(people)}: ask for fewer")
    larger = [PeerStore(home) for home in homes[1:]]
    process_memory.prepare()  # as a node does; which store is charged with a look at all of them would be chance
    spent: dict[str, list[list[float]]] = {kind: [[] for _ in homes] for kind in KINDS}
    counts = {"runs": WRITERS * run, "scattered": scattered}
    try:
        for turn in range(rounds + 1):
            some = people[turn * each : (turn + 1) * each]
            frames = news(copied(homes[0], folder / "news"), some[:WRITERS], some[WRITERS:], run)
            smallest = PeerStore(copied(homes[0], folder / "smallest"))
            gc.collect()
            os.sync()  # what copying left to write would otherwise be charged to the first commit
            for kind in KINDS:
                for n, store in enumerate((smallest, *larger)):
                    before = store.entries()
                    seconds = store.take(frames[kind])
                    if store.entries() - before != counts[kind]:
                        raise BenchError(f"{store.entries() - before} of {counts[kind]} new entries were taken")
                    if turn:
                        spent[kind][n].append(seconds / counts[kind] * 1e6)
            smallest.close()
    finally:
        for store in larger:
            store.close()
        for name in ("news", "smallest"):
            shutil.rmtree(folder / name, ignore_errors=True)
    return {kind: [round(median(v), 1) for v in rows] for kind, rows in spent.items()}


def started(home: Path, questions: int, rest_s: float) -> dict[str, float]:
    """A node as people run it, not for the first time: seconds from exec to ready, memory at rest and after reads."""
    asked = [account_to_text(a.id) for a in people_of(home)[:questions]] if questions else []
    given = {"BANYAN_NODE_REALM": "test", "BANYAN_LOG_LEVEL": "warning", "BANYAN_INTEREST_MODE": "all"}
    environment = {**os.environ, **given}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # people's Python keeps what it compiled
    began = time.perf_counter()
    command = [sys.executable, "-m", "banyan_cli", "--home", str(home), "up"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            client = _ready(Home(home), process)
            found = {"seconds_to_ready": time.perf_counter() - began}
            time.sleep(rest_s)
            found["anon_mb"] = anon_mb(process.pid)
            with client:
                for account in asked:
                    client.call("profile.get", account=account)
                    client.call("feed", account=account)
            found["asked_anon_mb"] = anon_mb(process.pid)
        finally:
            process.terminate()
    return found


def _ready(home: Home, process: subprocess.Popen[bytes]) -> ControlClient:
    until = time.monotonic() + 120.0
    while time.monotonic() < until and process.poll() is None:
        try:
            client = ControlClient.from_home(home)
            if client.call("status")["ready"]:
                return client
            client.close()
        except (NoNode, CallError):
            pass
        time.sleep(0.01)
    raise BenchError(f"the node in {home.path} did not become ready; it ended with status {process.poll()}")


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("growth", __doc__, argv, rounds=5)
    plan, run, scattered = (QUICK, 50, 100) if args.quick else (FULL, RUN, SCATTERED)
    rest = 1.0 if args.quick else REST_S
    with workplace(args.folder) as folder:
        homes = worlds(folder, plan)
        people = people_of(homes[2])
        middle, large = copied(homes[1], folder / "middle"), copied(homes[2], folder / "large")
        idle = new_home(folder / f"idle-{os.urandom(4).hex()}")
        try:
            engine = LmdbEngine(Home(large).store, TABLES)
            used = engine.sizes().used
            engine.close()
            say("starting nodes")
            started(idle, 0, 0.0)  # the first start after an installation compiles what the others load
            copied(homes[0], folder / "smallest")
            starts = [[started(home, 100, rest)] for home in (folder / "smallest", middle)]
            starts.append([started(large, 100, rest) for _ in range(1 if args.quick else 3)])
            alone = started(idle, 0, rest)
            say("comparing what an entry costs")
            cost = compare(folder, [homes[0], middle, large], args.rounds, run, scattered)
        finally:
            for home in (middle, large, idle):
                shutil.rmtree(home)
    by_size = {k: [round(median([s[k] for s in rows]), 2) for rows in starts] for k in starts[0][0]}
    ratios = {kind: round(us[-1] / us[0], 2) for kind, us in cost.items()}
    finish(
        args,
        "growth",
        ratio_to_small=max(ratios.values()),
        anon_mb=by_size["anon_mb"][-1],
        bytes_per_entry=round(used / plan.sizes[2]),
        seconds_to_ready=by_size["seconds_to_ready"][-1],
        sizes={"entries": list(plan.sizes), "accounts": len(people)},
        cases={
            **{kind: {"us_per_entry": us, "ratio_to_small": ratios[kind]} for kind, us in cost.items()},
            "started": by_size,
            "idle": {k: round(alone[k], 2) for k in ("seconds_to_ready", "anon_mb")},
        },
    )


if __name__ == "__main__":
    main()
