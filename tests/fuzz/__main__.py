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
import gc
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.fuzz import hits

SLICES, LEAST = 10, 50_000
"""A run of many inputs is done in slices of each target, so that all progress alike. One of fewer than `LEAST` inputs
is done in one slice, because a slice begins with reading what was kept."""


class _Here(Executor):
    """Does everything in this process, which has imported everything already: that takes some seconds."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def _doing(jobs: int) -> Executor:
    return _Here() if jobs == 1 else ProcessPoolExecutor(jobs, get_context("spawn"), hits.install)


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
    gc.disable()  # while modules load nothing is garbage
    from tests.fuzz import state

    if args.show:
        return state.show(args.show[0], Path(args.show[1]).read_bytes())
    if args.keep:
        return state.keep(args.state, args.only)
    began = time.monotonic()
    plan = state.plan(args.inputs, args.only)
    gc.freeze()
    gc.enable()
    args.state.mkdir(parents=True, exist_ok=True)
    slices = SLICES if args.inputs >= LEAST else 1
    with _doing(args.jobs) as pool:
        for part in range(1, slices + 1):
            if args.minutes and time.monotonic() - began > 60 * args.minutes:
                break
            doing = [
                pool.submit(state.advance, args.state, name, inputs * part // slices, args.seed)
                for name, inputs in plan.items()
            ]
            for done in doing:
                done.result()
    report = state.report(args.state, plan, time.monotonic() - began)
    print(json.dumps(report) if args.json else state.table(report))
    return 1 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
