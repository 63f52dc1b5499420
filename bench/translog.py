"""The public log of a node at a million lines: how many lines a second are appended, and what a proof takes.

Lines are as long as those of an order. The log grows to its size in steps of 4,096 lines, which is how many one
checkpoint takes at most; each step has its files, fsyncs and a signature. `append_per_s` is of the last 100,000 lines,
`single_ms` of one line with a checkpoint of its own. `proof_ms` makes a proof that a random line is in the log, from
the files; `verify_ms` checks it. `read_s` reads and hashes all lines.

python -m bench translog --json
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from banyan_crdt.ids import AccountId, H
from banyan_node.transparency.public_log import TOGETHER, PublicLog
from banyan_schema.public_line import PUBLIC_LINE, PublicLine
from banyan_translog.checkpoints import EntryProof, verify_entry
from banyan_translog.merkle import inclusion_proof, leaf_hash, root_hash
from banyan_translog.tiles import WIDTH
from bench.harness import arguments, at_least, finish, median, percentile, say, workplace

PROOFS, SINGLES, LAST = 1_000, 50, 100_000


def line(n: int) -> bytes:
    """Of an order."""
    name = n.to_bytes(8, "big")
    order, root, audit = (H("bench", what, name) for what in (b"order", b"root", b"audit"))
    what = ("vn", "fraud", "Art. 23 of Decree 147/2024")
    by = AccountId(H("bench", b"ministry"))
    return PUBLIC_LINE.encode(
        PublicLine("order", 1_800_000_000_000 + n, by, order, *what, "", 9, root, 86_400, 0, audit)
    )


def timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def once(folder: Path, size: int) -> dict[str, Any]:
    log, rng, last = PublicLog(folder / "log"), random.Random(1), 0.0
    while log.size < size:
        some = [line(n) for n in range(log.size, min(size, log.size + TOGETHER))]
        took = timed(partial(log.append, some))
        last += took if log.size > size - LAST else 0.0
    say(f"{log.size:,} lines, {log.checkpoint.root.hex()[:16]}")
    proofs, checks = list[float](), list[float]()
    for _ in range(PROOFS):
        n = rng.randrange(size)
        began = time.perf_counter()
        proof = EntryProof(n, tuple(inclusion_proof(log.hashes(size), n, size)), log.note)
        proofs.append(time.perf_counter() - began)
        raw = log.line(n)
        checks.append(timed(partial(verify_entry, raw, proof, [log.signer.key])))
    read = timed(lambda: [leaf_hash(raw) for at in range(-(-size // WIDTH)) for raw in log.lines(at)])
    assert root_hash(log.hashes(size), size) == log.checkpoint.root
    singles = [timed(partial(log.append, [line(size + n)])) for n in range(SINGLES)]
    return {
        "append_per_s": min(size, LAST) / last,
        "single_ms": 1e3 * median(singles),
        "proof_ms": 1e3 * median(proofs),
        "proof_p99_ms": 1e3 * percentile(proofs, 0.99),
        "verify_ms": 1e3 * median(checks),
        "read_s": read,
        "bytes_per_line": sum(f.stat().st_size for f in (folder / "log").rglob("*") if f.is_file()) / size,
    }


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: Any) -> None:
        parser.add_argument("--lines", type=at_least(1_000), help="default: 1,000,000, with --quick 20,000")

    args = arguments("translog", __doc__, argv, rounds=1, more=more)
    size = args.lines or (20_000 if args.quick else 1_000_000)
    rows = list[dict[str, Any]]()
    for _ in range(args.rounds):
        with workplace(args.folder) as folder:
            rows.append(once(folder, size))
    finish(args, "translog", lines=size, **{k: round(median([row[k] for row in rows]), 3) for k in rows[0]})


if __name__ == "__main__":
    main()
