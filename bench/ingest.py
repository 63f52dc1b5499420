"""How fast a node ingests entries of others, without a network: decode, hash, verify, judge, store, views, commit.

Two replicas on LMDB stores in this process exchange frames as bytes: one holds 20 writers x 5,000 posts of about 300
bytes, the other nothing. `entries_per_second` times the newcomer's part only, `served_per_second` the holder's. Frames
that wait for the newcomer are taken together, at most half its credit, and committed with fsync. Garbage is collected
as in a node; otherwise full collections would happen in either part by chance, which is a tenth of the figure.

python -m bench ingest --json
"""

from __future__ import annotations

import cProfile
import gc
import pstats
import random
import shutil
import sys
import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_node.workers import process_memory
from banyan_replica.outbox import Commit, Disconnect, Send
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import PeerIdentity, Replica
from banyan_storage.engine import Engine
from banyan_storage.lmdb_engine import LmdbEngine
from bench.harness import BenchError, anon_mb, arguments, at_least, finish, interleaved, median, say, workplace
from bench.rig.people import copied, opened, runs_home
from bench.rig.processes import new_home


class Side:
    """A replica with its store, its inbox and the time it took."""

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self.engine: Engine = LmdbEngine(Home(home).store, TABLES)
        store, rng = opened(self.engine).store, random.Random(name)
        self.replica = Replica(store, TEST, PeerIdentity(name, (f"/{name}",)), rng, rng.randbytes)
        self.inbox: deque[bytes] = deque()
        self.seconds = 0.0
        self.commits = 0

    def turn(self, other: Side, now: float) -> bool:
        """Takes the frames that wait, or a timer that is due, and sends the answers. Returns whether there was
        anything."""
        timer = self.replica.get_timer()
        if not self.inbox and (timer is None or timer > now):
            return False
        began = time.perf_counter()
        size = 0
        while self.inbox and size < Limits().credit // 2:
            frame = self.inbox.popleft()
            size += len(frame)
            self.replica.receive(other.name, frame, now)
        if timer is not None and timer <= now:
            self.replica.handle_timer(now)
        self.drain(other)
        self.seconds += time.perf_counter() - began
        return True

    def drain(self, other: Side) -> None:
        while (effect := self.replica.next_effect()) is not None:
            match effect:
                case Commit():
                    self.replica.store.commit()
                    self.commits += 1
                case Send(_, data, _):
                    other.inbox.append(data)
                case Disconnect(_, reason):
                    raise BenchError(f"{self.name} let {other.name} go: {reason}")

    def entries(self) -> int:
        """How many are held with all their content."""
        counts = self.replica.store.counts()
        return counts.entries - counts.lacking


def take(holder: Side, newcomer: Side, within_s: float = 600.0) -> None:
    """Runs both until the newcomer holds everything. Virtual time passes as they work, which says how fast the line is,
    and when both have nothing to do."""
    now = time.time()
    end, wanted = now + within_s, holder.entries()
    for a, b in ((holder, newcomer), (newcomer, holder)):
        a.replica.peer_up(b.name, group=b.name, outbound=a is newcomer, addrs=(f"/{b.name}",), now=now)
        a.drain(b)
    while newcomer.entries() < wanted or newcomer.replica.store.pending:
        began = time.perf_counter()
        moved = [newcomer.turn(holder, now), holder.turn(newcomer, now)]
        now += time.perf_counter() - began
        if not any(moved):
            now = min(t for s in (holder, newcomer) if (t := s.replica.get_timer()) is not None)
        if now > end:
            raise BenchError(f"after {within_s:.0f} s the newcomer holds {newcomer.entries():,} of {wanted:,} entries")
    if newcomer.replica.store.digest() != holder.replica.store.digest():
        raise BenchError("the newcomer has as many entries as its peer and not the same heads")


def once(folder: Path, source: Path, profile: cProfile.Profile | None) -> dict[str, Any]:
    gc.collect()  # replicas are full of cycles; what is left of the round before is no memory of this one
    homes = copied(source, folder / "holder"), new_home(folder / "newcomer")
    holder, newcomer = Side("holder", homes[0]), Side("newcomer", homes[1])
    try:
        if profile is not None:
            profile.enable()
        take(holder, newcomer)
        if profile is not None:
            profile.disable()
        used = newcomer.engine.sizes().used
        say(f"{newcomer.entries():,} entries in {newcomer.seconds:.2f} s, {newcomer.commits} commits")
        return {"in": newcomer.seconds, "out": holder.seconds, "commits": newcomer.commits, "used": used}
    finally:
        for side, home in zip((holder, newcomer), homes, strict=True):
            side.replica.store.close()
            shutil.rmtree(home)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--writers", type=at_least(1), default=20)
        parser.add_argument("--entries", type=at_least(1), help="of each writer; default: 5,000, with --quick 1,000")
        parser.add_argument("--profile", action="store_true", help="say where the time goes; figures are then too low")

    args = arguments("ingest", __doc__, argv, more=more)
    each = args.entries or (1_000 if args.quick else 5_000)
    profile = cProfile.Profile() if args.profile else None
    process_memory.prepare()
    with workplace(args.folder) as folder:
        source = runs_home(folder, args.writers, each)
        rows = interleaved(args.rounds, {"": lambda: once(folder, source, profile)})[""]
    if profile is not None:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(30)
    entries = args.writers * each
    finish(
        args,
        "ingest",
        entries_per_second=round(entries / median([row["in"] for row in rows])),
        served_per_second=round(entries / median([row["out"] for row in rows])),
        bytes_per_entry=round(median([row["used"] for row in rows]) / entries),
        anon_mb=anon_mb(),
        commits=round(median([row["commits"] for row in rows])),
        sizes={"writers": args.writers, "entries_each": each, "text_bytes": 190},
    )


if __name__ == "__main__":
    main()
