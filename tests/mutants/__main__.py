"""Plants every mistake of the list, one at a time, and says which suite notices it.

    uv run python -m tests.mutants [--only NAME] [--changed COMMIT] [--minutes M] [--jobs N] [--json]

`--only`: those whose names contain the words. `--changed`: instead of the list, small changes of operators in every
function that differs from the commit (operators.py). `--minutes`: none begins later; which were left out is said. The
exit status is 1 if any survives or does not apply.
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

from tests.mutants.anchor import NoPlace
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Edit
from tests.mutants.operators import changed_since, edits, suites_of
from tests.mutants.runner import Copy, Outcome, module_of


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


def try_all(some: Sequence[Edit], jobs: int, seconds: float) -> list[Outcome]:
    """Raises SystemExit if the suites do not pass without a mistake."""
    suites, end = sorted({suite for edit in some for suite in edit.suites}), time.monotonic() + seconds
    with copies(jobs, suites) as free, ThreadPoolExecutor(jobs) as pool:

        def one(edit: Edit) -> Outcome:
            copy = free.get()
            try:
                outcome = copy.run(edit) if time.monotonic() < end else Outcome(edit.name, "", "left out", "", 0.0)
            finally:
                free.put(copy)
            if outcome.verdict != "left out":
                print(f"{outcome.seconds:6.1f} s  {outcome.verdict}: {outcome.name}", file=sys.stderr, flush=True)
            return outcome

        copy = free.get()
        why = copy.unharmed(suites, sorted({module_of(edit.file) for edit in some}))
        free.put(copy)
        if why is not None:
            raise SystemExit(f"the suites do not pass without any mistake: {why}")
        return list(pool.map(one, some))


def listed(only: str) -> Iterator[Edit | Outcome]:
    for mutant in MUTANTS:
        if only.lower() in mutant.name.lower():
            try:
                yield mutant.edit()
            except NoPlace as why:
                yield Outcome(mutant.name, mutant.where, "did not apply", str(why), 0.0)


def report(outcomes: Sequence[Outcome], seconds: float) -> str:
    lines = [f"{o.verdict:14} {o.name}\n{'':14} {o.by or o.file}" for o in outcomes if o.verdict != "left out"]
    killed, left = (sum(o.verdict == verdict for o in outcomes) for verdict in ("killed", "left out"))
    without = f"; {left} left out" if left else ""
    return "\n".join([*lines, f"{killed} of {len(outcomes) - left} killed in {seconds:,.0f} s{without}"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="those whose names contain these words")
    parser.add_argument("--changed", metavar="COMMIT", help="changes of operators in functions that differ from it")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no mistake is planted later")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if args.changed is not None:
        chosen: list[Edit | Outcome] = [
            e for f, name, scope in changed_since(args.changed) for e in edits(f, name, scope, suites_of(f))
        ]
    else:
        chosen = list(listed(args.only))
    if not chosen:
        parser.error("there is no such mistake")
    began = time.monotonic()
    outcomes = [one for one in chosen if isinstance(one, Outcome)]
    outcomes += try_all([one for one in chosen if isinstance(one, Edit)], args.jobs, args.minutes * 60)
    seconds = round(time.monotonic() - began, 1)
    if args.json:
        print(json.dumps({"seconds": seconds, "mutants": [o._asdict() for o in outcomes]}, indent=1))
    else:
        print(report(outcomes, seconds))
    return int(any(o.verdict not in ("killed", "left out") for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
