"""Many random runs of the ballots of a charter.

    python -m tests.model.charter_many --runs 10000000 --seed S --jobs 2

Prints the seeds that broke something; `--only SEED` runs one again. The exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter

from tests.model.charter_ballots import run
from tests.model.charter_spec import RULES, Rules

CHUNK = 20_000


def many(seed: str, first: int, last: int, rules: Rules = RULES) -> Counter[str]:
    """Counts: how the runs ended, and `SEED: what broke`."""
    out: Counter[str] = Counter()
    for n in range(first, last):
        broke = run(f"{seed}/{n}", rules, out)
        if broke:
            out[f"{seed}/{n}: {broke}"] += 1
    return out


def first_broken(seed: str, runs: int, rules: Rules, what: str) -> int | None:
    """The number of the first run that breaks `what`."""
    return next((n for n in range(runs) if run(f"{seed}/{n}", rules) == what), None)


def _chunk(job: tuple[str, int, int]) -> Counter[str]:
    return many(*job)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model.charter_many", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only")
    args = parser.parse_args()
    if args.only:
        print(run(args.only) or "nothing broke")
        return 0
    began = time.monotonic()
    chunks = [(args.seed, n, min(n + CHUNK, args.runs)) for n in range(0, args.runs, CHUNK)]
    total: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for n, counts in enumerate(pool.imap_unordered(_chunk, chunks), 1):
            total.update(counts)
            if n % 25 == 0:
                print(f"{n * CHUNK:,} runs, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    broken = sorted(k for k in total if ":" in k)
    report = {k: v for k, v in sorted(total.items()) if ":" not in k}
    print(json.dumps({"runs": args.runs, "seconds": round(time.monotonic() - began, 1), "broken": broken} | report))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
