"""Flips a random bit of a store, many times; a check finds it, and a repair leaves nothing wrong.

    python -m tests.crash.flips --bits 1000 --seed 1 --json

`nothing`: no row changed, because the byte is not in use. `own`: a row changed of which only this node knows what it
was. `found`: the check named it, and after the repair it names nothing; `whole` of these kept every entry and all
content without a peer. Exit status 1: a bit that changed rows and was not found, or a store that could not be repaired;
`wrong` names each.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from banyan_crdt.realm import TEST
from banyan_node.home.folder import Home
from banyan_node.upkeep.repair import repair
from tests.crash import crashes
from tests.crash.apart import apart
from tests.node.test_repair import PAGE, Rows, filled, flipped, found, own, rows_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.flips", description=__doc__)
    parser.add_argument("--bits", type=int, default=1_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rng, what, wrong = random.Random(args.seed), Counter[str](), list[str]()
    with crashes.room() as folder:
        source = filled(Path(folder) / "source")
        good, pages = rows_of(source), (source.store / "data.mdb").stat().st_size // PAGE
        for _ in range(args.bits):
            page, bit = rng.randrange(pages), rng.randrange(8 * PAGE)
            said = examined(source, good, Path(folder) / "flipped", page, bit)
            what[said if said in ("nothing", "own", "found", "whole") else "wrong"] += 1
            if said not in ("nothing", "own", "found", "whole"):
                wrong.append(f"bit {bit} of page {page}: {said}")
                print(wrong[-1], file=sys.stderr, flush=True)
    answer = {"bits": args.bits, "pages": pages, "found": what["found"] + what["whole"], "whole": what["whole"]}
    answer |= {"nothing": what["nothing"], "own": what["own"]}
    print(json.dumps({**answer, "wrong": wrong}) if args.json else f"{answer}, {len(wrong)} wrong.")
    return 1 if wrong else 0


def examined(source: Home, good: Rows, to: Path, page: int, bit: int) -> str:
    """What became of it."""
    said = apart(partial(_look, source, good, to, page, bit))
    shutil.rmtree(to, ignore_errors=True)
    return said


def _look(source: Home, good: Rows, to: Path, page: int, bit: int) -> str:
    home = flipped(source, to, page, bit)
    if not found(home):
        now = rows_of(home)
        changed = [name for name in good if good[name] != now[name]]
        return "nothing" if not changed else "own" if own(good, now) else f"{changed} changed, and nothing was said"
    done = repair(home, TEST, lambda sentence: None)
    if done.left or found(home):
        return f"{done.pages[:1]} {done.found.lines[:1]} left after the repair: {done.left[:2]}"
    now = rows_of(home)
    return "whole" if all(len(now[name]) >= len(good[name]) for name in ("entries", "parts")) else "found"


if __name__ == "__main__":
    sys.exit(main())
