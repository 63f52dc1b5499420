"""What a start costs with very many logs: seconds until the node is ready, seconds until it can compare, memory.

The store has 10,000,000 heads, one log each in evenly spread accounts, written directly into its tables (no entries: a
start reads heads only). Its index is made once by reading every head, as in the first start, and kept beside it. Then,
each in a process of its own, on files that the kernel was asked to drop from memory:

node    `banyan up`: from exec to the first answer that says it is ready, and RssAnon some seconds later
index   the store opened and the frontier index until it can compare: seconds, the longest step, memory that it added
moved   the same after 50,000 heads moved since rows were kept
keep    rows kept again while heads move: seconds, the longest step of the replica's thread, the end of it

`anon_mb` is the index alone: what opening store and index added to RssAnon until it is ready. `mapped_mb` is RssFile
then: pages of the store, of the rows and of libraries, which the kernel may take back.

python -m bench start --json
python -m bench start --logs 10000000 --folder PATH
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_node.upkeep.rows_file import FileRowStore
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.persistence import RowPersistence
from banyan_storage import tables as t
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.store import Store
from bench.growth import started
from bench.harness import BenchError, anon_mb, arguments, at_least, finish, median, say, workplace
from bench.rig.people import copied, kept, opened
from bench.rig.processes import new_home

BATCH = 100_000
MOVED = 50_000
TOGETHER = 1_000
"""Heads that move in one commit."""
REST_S = 2.0


def nth(n: int, size: int) -> tuple[LogId, Head]:
    rest = hashlib.sha256(n.to_bytes(8, "big")).digest()
    account = AccountId(((n << 32) // size).to_bytes(4, "big") + rest[4:])
    return LogId(account, WriterKey(rest), 1), Head(1 + n % 50, EntryId(rest[::-1]), 0)


def fill(home: Path, size: int) -> None:
    """The tables of a store that holds so many heads."""
    engine = LmdbEngine(Home(home).store, TABLES)
    opened(engine)
    write = engine.write()
    for start in range(0, size, BATCH):
        rows = [(lid, *nth(lid, size)) for lid in range(start, min(start + BATCH, size))]
        names = [t.log_name(log) for _, log, _ in rows]
        write.put_many(t.LOGS, [(t.u32(lid + 1), name) for (lid, _, _), name in zip(rows, names, strict=True)], True)
        heads = [(name, t.head_value(lid + 1, head)) for (lid, _, head), name in zip(rows, names, strict=True)]
        write.put_many(t.HEADS, heads, True)
        write.put_many(t.ACCOUNTS, [(name[:32], b"") for name in names], True)
        engine.commit()
    engine.close()


@contextmanager
def index_of(home: Path) -> Iterator[tuple[Store, FrontierIndex]]:
    engine = LmdbEngine(Home(home).store, TABLES)
    store = opened(engine).store
    row_store = FileRowStore(Home(home).rows)
    try:
        yield store, FrontierIndex(store, TEST.id, RowPersistence(row_store, store.moves, store.store_id))
    finally:
        engine.close()


def commit(store: Store, index: FrontierIndex) -> float:
    """As a replica does; seconds of the index in it."""
    spent = 0.0
    while store.pending:
        spent += timed(index.note)
        store.commit()
    return spent + timed(index.durable)


def timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def read(home: Path) -> dict[str, float]:
    """Every head is read, and rows are kept at the end."""
    before, began = anon_mb(), time.perf_counter()
    with index_of(home) as (store, index):
        while not index.ready:
            index.work()
        out = {"seconds_to_compare": time.perf_counter() - began, "anon_mb": anon_mb() - before}
        store.put_note(b"bench", b"something to commit")
        commit(store, index)
        out["seconds_to_keep"] = timed(index.close)
        commit(store, index)
    return out


def start(home: Path) -> dict[str, float]:
    before, began = anon_mb(), time.perf_counter()
    with index_of(home) as (_, index):
        out = {"seconds_to_root": time.perf_counter() - began}
        if index.ready or index._loading is None:
            raise BenchError("what was kept was not believed")
        steps = [0.0]
        while not index.ready:
            steps.append(timed(index.work))
        if index.table(b"") is None:
            raise BenchError("there is no table")
        out["seconds_to_compare"] = time.perf_counter() - began
        out |= {"longest_step_ms": 1e3 * max(steps), "anon_mb": anon_mb() - before, "mapped_mb": file_mb()}
    return out


def move(store: Store, index: FrontierIndex, rng: random.Random, size: int, n: int) -> None:
    for _ in range(n):
        log, _ = nth(rng.randrange(size), size)
        lid, old = store._log(log)
        head = Head(old.length + 1, EntryId(rng.randbytes(32)), 0)
        store._set_head(log, lid, head)
        index.moved(log, old, head)


def moves(size: int) -> int:
    """How many heads move, of so many."""
    return min(MOVED, size // 4)


def moved(home: Path, size: int) -> None:
    """Heads move, and nothing is kept."""
    rng = random.Random(1)
    with index_of(home) as (store, index):
        while not index.ready:
            index.work()
        for _ in range(0, moves(size), TOGETHER):
            move(store, index, rng, size, TOGETHER)
            commit(store, index)


def keep(home: Path, size: int) -> dict[str, float]:
    """Heads move until rows are due, and on while they are written."""
    rng = random.Random(2)
    with index_of(home) as (store, index):
        while not index.ready:
            index.work()
        index._unkept = size  # due at once
        began, steps, ends = time.perf_counter(), [timed(index.tick)], [0.0]
        while index._saving is not None:
            for _ in range(16):
                if index.busy:
                    steps.append(timed(index.work))
            move(store, index, rng, size, 20)
            ends.append(commit(store, index))
            steps.append(timed(index.tick))
        commit(store, index)
    return {
        "seconds_to_keep": time.perf_counter() - began,
        "longest_step_ms": 1e3 * max(steps),
        "longest_end_ms": 1e3 * max(ends),
    }


def file_mb() -> float:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("RssFile:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise BenchError("/proc/self/status names no RssFile; this needs Linux")


def alone(do: Callable[..., Any], *arguments: Any) -> Any:
    """In a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        return pool.submit(do, *arguments).result()


def dropped(home: Path) -> None:
    """The kernel forgets the files of a home, as far as it may be asked to."""
    os.sync()
    for path in (Home(home).rows, Home(home).store / "data.mdb"):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def cold(home: Path, do: Callable[[], dict[str, float]], rounds: int) -> dict[str, float]:
    rows = []
    for _ in range(rounds):
        dropped(home)
        rows.append(do())
    return {k: round(median([row[k] for row in rows]), 2) for k in rows[0]}


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--logs", type=at_least(20_000), help="default: 10,000,000, with --quick 200,000")

    args = arguments("start", __doc__, argv, more=more)
    size = args.logs or (200_000 if args.quick else 10_000_000)
    with workplace(args.folder) as folder:
        made = kept(folder, f"start-{size}", lambda place: alone(fill, new_home(place), size))
        home = copied(made, folder / "start")
        try:
            disk = sum(path.stat().st_blocks * 512 for path in Home(home).store.iterdir())
            say("reading every head")
            whole = alone(read, home)
            say("starting")
            index = cold(home, lambda: alone(start, home), args.rounds)
            node = cold(home, lambda: started(home, 0, REST_S), args.rounds)
            say("moving heads")
            alone(moved, home, size)
            after = cold(home, lambda: alone(start, home), args.rounds)
            again = alone(keep, home, size)
            rows = Home(home).rows.stat().st_blocks * 512
        finally:
            shutil.rmtree(home)
    finish(
        args,
        "start",
        anon_mb=index["anon_mb"],
        seconds_to_ready=node["seconds_to_ready"],
        seconds_to_compare=index["seconds_to_compare"],
        sizes={"logs": size, "store_mb": round(disk / 1e6), "rows_mb": round(rows / 1e6), "moved": moves(size)},
        cases={
            "node": {k: node[k] for k in ("seconds_to_ready", "anon_mb")},
            "index": index,
            "moved": after,
            "keep": {k: round(v, 2) for k, v in again.items()},
            "without_rows": {k: round(v, 2) for k, v in whole.items()},
        },
    )


if __name__ == "__main__":
    main()
