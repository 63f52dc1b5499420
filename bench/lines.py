"""How a newcomer catches up over slow lines: two processes of one node each, and a line between them that carries so
many bytes a second each way (bench/rig/slow_line.py), or pauses.

`line_s` is the time that the line alone needs for the bytes of the same catch-up without a limit, its pauses included;
`bytes_ratio` is what passed the line to those bytes: what is above 1 was sent twice. One link is right.

python -m bench lines --json
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.harness import BenchError, arguments, finish, interleaved, median, say, workplace
from bench.rig.people import copied, runs_home
from bench.rig.processes import Child, new_home
from bench.rig.slow_line import SlowLine

WRITERS = 4


class Case(NamedTuple):
    """rate: bytes a second. pauses: see `SlowLine`."""

    rate: int
    pauses: tuple[tuple[float, float], ...] = ()


FAST = Case(1 << 30)
CASES = {
    "16_kib_s": Case(16 << 10),
    "60_kb_s": Case(60_000),
    "60_kb_s_paused_15_s": Case(60_000, ((5.0, 20.0),)),
    "60_kb_s_paused_40_s": Case(60_000, ((5.0, 45.0),)),
}


def once(folder: Path, source: Path, case: Case) -> dict[str, Any]:
    """The figures of one newcomer that starts with nothing."""
    here, there = copied(source, folder / "holder"), new_home(folder / "newcomer")
    try:
        with Child("bench.catchup:holder", [here]) as holds, Child("bench.catchup:newcomer", [there]) as comes:
            known, _ = holds.hear(), comes.hear()
            parts = known["address"].split("/")
            with SlowLine(int(parts[4]), case.rate, case.pauses) as line:
                parts[4] = str(line.port)
                found: dict[str, Any] = comes.ask({"dial": "/".join(parts), "entries": known["entries"]}, 600.0)
                found |= {"links": line.links, "carried": line.carried}
            if holds.ask("digest") != comes.ask("digest"):
                raise BenchError("the newcomer has as many entries as its peer and not the same heads and views")
            return found
    finally:
        shutil.rmtree(here)
        shutil.rmtree(there)


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("lines", __doc__, argv, rounds=1)
    each = 50 if args.quick else 800
    with workplace(args.folder) as folder:
        source = runs_home(folder, WRITERS, each)
        cases_run = {name: case for name, case in CASES.items() if not (args.quick and case.pauses)}  # over before one
        runs = {name: partial(once, folder, source, case) for name, case in {"fast": FAST, **cases_run}.items()}
        found = interleaved(args.rounds, runs)
    needed = median([row["carried"] for row in found.pop("fast")])
    cases = {}
    for name, rows in found.items():
        case = CASES[name]
        alone = needed / case.rate + sum(end - begin for begin, end in case.pauses)
        seconds, carried = median([row["seconds"] for row in rows]), median([row["carried"] for row in rows])
        cases[name] = {
            "line_s": round(alone, 1),
            "seconds": round(seconds, 1),
            "bytes_ratio": round(carried / needed, 2),
            "links": max(row["links"] for row in rows),
        }
        say(f"{name}: {seconds:.0f} s, the line alone {alone:.0f} s")
    finish(args, "lines", sizes={"writers": WRITERS, "entries_each": each, "bytes": round(needed)}, cases=cases)


if __name__ == "__main__":
    main()
