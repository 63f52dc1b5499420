"""Coverage-guided fuzzing of every decoder, and of sequences of messages to a replica.

    python -m tests.fuzz --inputs 1000000 --jobs 2 --json

Each target reads mutated inputs (`targets/`). What it may raise, what must hold of what was read, and how much work and
memory an input may cause, is written beside it. A run goes on where the one before with the same `--state` stopped:
`--inputs` is what all of them together read. Progress goes to stderr, the result to stdout. The exit status is 1 if an
input was found that must not be possible; it is in the state's folder, with what happened.

    python -m tests.fuzz --show TARGET FILE       # reads one input, and says what happens
    python -m tests.fuzz --keep                   # takes what was found into tests/fuzz/corpus.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tests.fuzz import hits

SLICE = 10
"""Each target is run in so many slices, so that all progress alike and a run that is ended has done some of each."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs of all targets together")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--state", type=Path, default=Path(".fuzz"), help="the folder where the run goes on")
    parser.add_argument("--only", default="", help="targets whose name begins so")
    parser.add_argument("--minutes", type=float, default=0, help="begin no new slice after so many minutes; 0: no end")
    parser.add_argument("--keep", action="store_true", help="take what was found into tests/fuzz/corpus.json")
    parser.add_argument("--show", nargs=2, metavar=("TARGET", "FILE"), help="read one input")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    hits.install()
    from tests.fuzz import state

    if args.show:
        return state.show(args.show[0], Path(args.show[1]).read_bytes())
    if args.keep:
        return state.keep(args.state, args.only)
    began = time.monotonic()
    plan = state.plan(args.inputs, args.only)
    args.state.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(args.jobs, get_context("spawn"), hits.install) as pool:
        for part in range(1, SLICE + 1):
            if args.minutes and time.monotonic() - began > 60 * args.minutes:
                break
            doing = [
                pool.submit(state.advance, args.state, name, inputs * part // SLICE, args.seed)
                for name, inputs in plan.items()
            ]
            for done in as_completed(doing):
                print(done.result(), file=sys.stderr, flush=True)
    report = state.report(args.state, plan, time.monotonic() - began)
    print(json.dumps(report) if args.json else state.table(report))
    return 1 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
