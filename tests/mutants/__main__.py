"""Plants every mistake of the list and says which suite notices it.

    uv run python -m tests.mutants [--only NAME] [--jobs N] [--json]

`--only`: those whose names contain the words. The exit status is 1 if any survives or does not apply.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.runner import Copy, Outcome


@contextmanager
def copies(n: int, suites: Sequence[str]) -> Iterator[SimpleQueue[Copy]]:
    free, made = SimpleQueue[Copy](), list[Copy]()
    with tempfile.TemporaryDirectory(prefix="banyan-mutants-") as folder:
        try:
            for k in range(n):
                made.append(Copy(Path(folder) / str(k), suites))
                free.put(made[-1])
            yield free
        finally:
            for copy in made:
                copy.close()


def try_all(mutants: Sequence[Mutant], jobs: int) -> list[Outcome]:
    """Raises SystemExit if the suites do not pass without a mistake."""
    suites = sorted({s for m in mutants for s in m.suites})
    with copies(jobs, suites) as free, ThreadPoolExecutor(jobs) as pool:

        def one(mutant: Mutant) -> Outcome:
            copy = free.get()
            try:
                outcome = copy.run(mutant)
            finally:
                free.put(copy)
            print(f"{outcome.seconds:6.1f} s  {outcome.verdict}: {outcome.name}", file=sys.stderr, flush=True)
            return outcome

        copy = free.get()
        why = copy.unharmed(suites, sorted({m.module for m in mutants}))
        free.put(copy)
        if why is not None:
            raise SystemExit(f"the suites do not pass without any mistake: {why}")
        return list(pool.map(one, mutants))


def report(outcomes: Sequence[Outcome], seconds: float) -> str:
    lines = [f"{o.verdict:14} {o.name}\n{'':14} {o.by or o.file}" for o in outcomes]
    killed = sum(o.verdict == "killed" for o in outcomes)
    return "\n".join([*lines, f"{killed} of {len(outcomes)} killed in {seconds:,.0f} s"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="those whose names contain these words")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    mutants = [m for m in MUTANTS if args.only.lower() in m.name.lower()]
    if not mutants:
        parser.error(f"no mistake of the list is called {args.only!r}")
    began = time.monotonic()
    outcomes = try_all(mutants, args.jobs)
    seconds = round(time.monotonic() - began, 1)
    if args.json:
        print(json.dumps({"seconds": seconds, "mutants": [o._asdict() for o in outcomes]}, indent=1))
    else:
        print(report(outcomes, seconds))
    return int(any(o.verdict != "killed" for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
