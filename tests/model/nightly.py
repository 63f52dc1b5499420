"""The long comparison of the implementation with the model.

    python -m tests.model.nightly --runs 5000000 --seed S --jobs 2 --json

A run is one delivery of one random adversarial set to three nodes (see agreement.py). Progress goes to stderr, the
result to stdout. The exit status is 1 if any run was unconverged, differed or broke off, or if model and implementation
disagreed about any set; `--only SEED` examines one of the reported seeds again.

    python -m tests.model.nightly --world --runs 1000000 --seed S --jobs 2 --json

A run is then one set on real replicas that are linked in virtual time (see world.py); `--only SEED` shrinks it. With
`--kept FILE` it can be stopped: the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.model import world_many
from tests.model.agreement import NodeKind, Tally, examine

CHUNK = 50
Job = tuple[str, int, int, NodeKind]


def _chunk(job: Job) -> Tally:
    seed, first, per_set, kind = job
    total = Tally()
    for n in range(first, first + CHUNK):
        total = total.plus(examine(f"{seed}/{n}", per_set, kind=kind))
    return total


def _jobs(seed: str, per_set: int, kind: NodeKind) -> Iterator[Job]:
    first = 0
    while True:
        yield seed, first, per_set, kind
        first += CHUNK


def work(seed: str, runs: int, jobs: int, per_set: int, kind: NodeKind) -> Tally:
    """Examines sets until `runs` runs are done. The sets depend on `seed` alone, how many of them on `runs` as well."""
    total, began, said = Tally(), time.monotonic(), 0.0
    waves = _jobs(seed, per_set, kind)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        while total.runs < runs:
            for t in pool.map(_chunk, [next(waves) for _ in range(jobs)]):
                total = total.plus(t)
            elapsed = time.monotonic() - began
            if elapsed - said > 5:
                said = elapsed
                print(
                    f"{total.runs:,} of {runs:,} runs, {total.sets:,} sets, {total.runs / elapsed:,.0f} runs/s,"
                    f" unconverged {total.unconverged}, differing {total.differing},"
                    f" unservable {total.unservable}, disagreeing {total.disagreeing}",
                    file=sys.stderr,
                    flush=True,
                )
    return total


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model.nightly", description=__doc__)
    parser.add_argument("--runs", type=int, default=5_000_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--per-set", type=int, default=40, help="random orders of one set; up to five entries: all")
    parser.add_argument("--only", help="examine one seed, as a report names it")
    parser.add_argument("--nodes", choices=("judge", "store"), default="judge", help="store: real nodes, slowly")
    parser.add_argument("--world", action="store_true", help="sets on real replicas in virtual time")
    parser.add_argument("--theme", default="", help="of the sets on real replicas: one theme only")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="of --world: the sets so far, to go on from")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if args.world:
        if args.only:
            return world_many.explain(args.only, args.theme, args.json)
        return world_many.main(args.seed, args.runs, args.jobs, args.theme, args.json, args.kept)
    began = time.monotonic()
    if args.only:
        total = examine(args.only, args.per_set, kind=args.nodes)
    else:
        total = work(args.seed, args.runs, args.jobs, args.per_set, args.nodes)
    report = total._asdict() | {"seed": args.seed, "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(report) if args.json else "\n".join(f"{k:12} {v}" for k, v in report.items()))
    return 0 if total.clean else 1


if __name__ == "__main__":
    sys.exit(main())
