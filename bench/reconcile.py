"""What it costs to find which heads differ between two frontiers, and to update the sums for it.

Two frontiers of 1,000,000 heads differ in 0, 1, 100 or 1,000 of them, in every try other ones. All bytes of the frames
that find them are counted, in both directions: questions with their probes, answers with their cells. A try counts only
if exactly the changed heads are found, with the lengths of both sides. In turn, on the same differences: an XOR
rateless sketch (cells of 8 + 8 + 8 bytes, the same walk, exactly as many cells as needed, no estimate, no frames), and
the ranges that the node uses as a fallback (16 ways, frames without heads).

The other figures are CPU times: decoding 1,000 differences; a head that moves in a table, alone and among 1,000; the
same with all updates that it causes (two hashes for the root, one for the name, row, ranges, cells); and a table of all
heads under a new salt.

python -m bench reconcile --json
"""

from __future__ import annotations

import copy
import hashlib
import random
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.realm import MAIN
from banyan_replica.frontier.index import FrontierIndex, name_words
from banyan_replica.frontier.sketch import (
    CELLS,
    Numbers,
    P,
    add,
    add_one,
    decode,
    empty,
    key_of,
    length_of,
    place,
    submod,
    unpack,
    walk,
)
from banyan_replica.frontier.sums import DEPTH
from banyan_replica.sync.exchange import answer, probes
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import Sketch, Sums
from bench.harness import BenchError, anon_mb, arguments, at_least, finish, interleaved, median, say

BUCKET = 64
"""Up to this number of heads below a prefix, the node names them instead of dividing further."""


class Heads:
    """A computed frontier: one log each in evenly spread accounts."""

    last_arrival = 0

    def __init__(self, size: int) -> None:
        self.size = size

    def nth(self, n: int) -> tuple[LogId, Head]:
        rest = hashlib.sha256(n.to_bytes(8, "big")).digest()
        account = AccountId(((n << 32) // self.size).to_bytes(4, "big") + rest[4:])
        return LogId(account, WriterKey(rest), 1), Head(1 + n % 50, EntryId(rest[::-1]), 0)

    def head(self, log: LogId) -> Head:
        raise BenchError("nothing is rolled back here")

    def all_heads(self, start: bytes | None = None, stop: bytes | None = None) -> Iterator[tuple[LogId, Head]]:
        first = int.from_bytes(start[:4], "big") * self.size >> 32 if start else 0
        heads = (self.nth(n) for n in range(first, self.size))
        return heads if stop is None else takewhile(lambda row: row[0].account < stop, heads)

    def note(self, key: bytes) -> bytes | None:
        return None

    def put_note(self, key: bytes, value: bytes | None) -> None:
        return


class Change(NamedTuple):
    log: LogId
    here: Head
    there: Head


class Found(NamedTuple):
    size: int
    trips: int
    decode_s: float


def changes(rng: random.Random, heads: Heads, n: int) -> list[Change]:
    """The heads that are ahead on the other side, by one to three entries."""
    found = (heads.nth(k) for k in rng.sample(range(heads.size), n))
    return [Change(log, h, Head(h.length + rng.randint(1, 3), EntryId(rng.randbytes(32)), 0)) for log, h in found]


def by_sketch(here: FrontierIndex, there: FrontierIndex, made: Sequence[Change]) -> Found:
    """Questions and answers until all differences are found. Raises BenchError if others are found than were made."""
    mine, theirs = _cells(here), _cells(there)
    ask = Sketch(b"", 0, 0, 0, probes(mine))
    size, trips, spent, came = 0, 0, 0.0, empty(0)
    while True:
        reply = answer(ask, theirs, 7)
        size, trips = size + len(encode_message(ask)) + len(encode_message(reply)), trips + 1
        began = time.process_time()
        came = np.concatenate((came, unpack(reply.cells)))
        found = decode(submod(mine[: len(came)], came))
        spent += time.process_time() - began
        if not found.left:
            break
        if len(came) == CELLS:
            raise BenchError(f"{len(made)} differences did not come out of {CELLS} cells")
        ask = Sketch(b"", len(came), min(max(8, len(came) // 4), CELLS - len(came)), reply.stamp, b"")
    _check(here, found.items, made)
    return Found(size, trips, spent)


def _check(here: FrontierIndex, items: dict[int, int], made: Sequence[Change]) -> None:
    key = key_of(MAIN.id)
    expected = {place(key, *name_words(c.log)): c for c in made}
    for h, w in items.items():
        change = expected.pop(h)
        if length_of((here.weigh(b"", change.here) - w) % P) != change.there.length:
            raise BenchError("a difference came out with another length than it has")
    if expected:
        raise BenchError(f"{len(expected)} of {len(made)} differences did not come out")


def by_xor(made: Sequence[Change]) -> Found:
    """Cells of sum, checksum and count, two items a head: as many as peel, at 24 bytes."""
    items = [int.from_bytes(h.id[:8], "big") >> 3 for c in made for h in (c.here, c.there) if h.id is not None]
    walks = [list(walk(h, 1 << 14)) for h in items]
    low, high = 0, 4 * len(items) + 64
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _peels(walks, middle) else (middle, high)
    return Found(24 * high, 1, 0.0)


def _peels(walks: Sequence[Sequence[int]], cells: int) -> bool:
    inside: list[set[int]] = [set() for _ in range(cells)]
    for n, at in enumerate(walks):
        for i in at:
            if i < cells:
                inside[i].add(n)
    todo = [cell for cell in inside if len(cell) == 1]
    left = len(walks)
    while todo:
        cell = todo.pop()
        if len(cell) != 1:
            continue
        (n,) = cell
        left -= 1
        for i in walks[n]:
            if i < cells:
                inside[i].discard(n)
                if len(inside[i]) == 1:
                    todo.append(inside[i])
    return not left


def by_ranges(here: FrontierIndex, there: FrontierIndex, made: Sequence[Change]) -> Found:
    """Sums down to buckets of 64 heads; what then names the heads is left out."""
    level, size, trips = [b""], 0, 0
    sides = [here, there]
    while level:
        trips += 1
        below: list[bytes] = []
        for prefix in level:
            mine, theirs = (side.children(b"", prefix) or [] for side in sides)
            size += len(encode_message(Sums(b"", prefix, mine)))
            below += [
                prefix + bytes((n,))
                for n, (a, b) in enumerate(zip(mine, theirs, strict=True))
                if a != b and max(a[0], b[0]) > BUCKET and len(prefix) < DEPTH
            ]
        level = below
        sides.reverse()
    return Found(size, -(-(trips + 2) // 2), 0.0)


def _cells(index: FrontierIndex) -> Numbers:
    table = index.table(b"")
    if table is None:
        raise BenchError("the frontier was not read to its end")
    return table.cells


def timed(do: Callable[[], object]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def in_index(index: FrontierIndex, made: Sequence[Change]) -> float:
    """Seconds a head, of heads that move together and are asked for; then they move back."""

    def move() -> None:
        for c in made:
            index.moved(c.log, c.here, c.there)
        _cells(index)

    spent = timed(move)
    back(index, made)
    return spent / len(made)


def in_table(rng: np.random.Generator, together: bool) -> float:
    h, t = (rng.integers(0, P, 1_000, dtype=np.uint64) for _ in range(2))
    table, pairs = empty(), list(zip(h.tolist(), t.tolist(), strict=True))

    def one_by_one() -> None:
        for place_, weight in pairs:
            add_one(table, place_, weight)

    return timed((lambda: add(table, h, t)) if together else one_by_one) / 1_000


def rebuild(index: FrontierIndex) -> tuple[float, float]:
    """Seconds for a table of all heads under a new salt, and for the longest slice of it."""
    salt = random.Random(index.rows).randbytes(16)
    index.begin(salt)
    slices = []
    while index.busy:
        slices.append(timed(index.work))
    index.drop(salt)
    return sum(slices), max(slices)


def back(index: FrontierIndex, made: Sequence[Change]) -> None:
    for c in made:
        index.moved(c.log, c.there, c.here)
    _cells(index)


def figures(d: int, tries: Sequence[Found]) -> dict[str, Any]:
    size = median([t.size for t in tries])
    return {
        "bytes": round(size),
        "bytes_per_difference": round(size / max(1, d), 1),
        "round_trips": round(median([t.trips for t in tries])),
        "one_trip_percent": round(100 * sum(t.trips == 1 for t in tries) / len(tries)),
        "decode_ms": round(1e3 * median([t.decode_s for t in tries]), 2),
    }


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--heads", type=at_least(2_000), help="default: 1,000,000, with --quick 100,000")
        parser.add_argument("--tries", type=at_least(1), default=100, help="of each size a round, other heads each")

    args = arguments("reconcile", __doc__, argv, more=more)
    heads = Heads(args.heads or (100_000 if args.quick else 1_000_000))
    say(f"two frontiers of {heads.size:,} heads")
    here = FrontierIndex(heads, MAIN.id)
    there = copy.deepcopy(here)
    rng = random.Random(1)
    sizes = (0, 1, 100, 1_000)

    def compare(d: int) -> dict[str, list[Found]]:
        out: dict[str, list[Found]] = {"sketch": [], "xor": [], "ranges": []}
        for k in range(args.tries):
            made = changes(rng, heads, d)
            for c in made:
                there.moved(c.log, c.here, c.there)
            _cells(there)
            out["sketch"].append(by_sketch(here, there, made))
            if k == 0 and d:
                out["xor"].append(by_xor(made))
                out["ranges"].append(by_ranges(here, there, made))
            back(there, made)
        say(f"{d:,} differ: {figures(d, out['sketch'])}")
        return out

    moving = changes(rng, heads, 1_000)
    tries = interleaved(args.rounds, {str(d): partial(compare, d) for d in sizes})
    arrays = np.random.default_rng(1)
    times = interleaved(
        args.rounds,
        {
            "alone": lambda: in_table(arrays, False),
            "batched": lambda: in_table(arrays, True),
            "index": lambda: in_index(there, moving),
        },
    )
    built = interleaved(args.rounds, {"": lambda: rebuild(here)})[""]
    cases: dict[str, dict[str, Any]] = {}
    for d in sizes:
        rows = tries[str(d)]
        for way in ("sketch", "xor", "ranges"):
            found = [t for row in rows for t in row[way]]
            if found:
                cases[f"{d}_{way}"] = figures(d, found)
                if way != "sketch":  # neither was timed, and of their trips each has its own number
                    cases[f"{d}_{way}"] = {k: v for k, v in cases[f"{d}_{way}"].items() if k[:4] in ("byte", "roun")}
    finish(
        args,
        "reconcile",
        bytes_per_difference=cases["1000_sketch"]["bytes_per_difference"],
        round_trips=cases["1000_sketch"]["round_trips"],
        anon_mb=anon_mb(),
        decode_ms=cases["1000_sketch"]["decode_ms"],
        update_us=round(1e6 * median(times["alone"]), 1),
        update_batched_us=round(1e6 * median(times["batched"]), 2),
        index_update_us=round(1e6 * median(times["index"]), 2),
        rebuild_s=round(median([whole for whole, _ in built]), 3),
        longest_slice_ms=round(1e3 * median([longest for _, longest in built]), 1),
        sizes={"heads": heads.size, "differences": list(sizes), "tries_a_round": args.tries},
        cases=cases,
    )


if __name__ == "__main__":
    main()
