"""Loses power at random places of what a node writes, and examines what is left.

    python -m tests.crash --places 1000 --seed 1 --json

Each scene of writer.py runs once under strace, which records every write and every sync. Then the power is lost at
random places of the record, and disk.py says what may be left: each sector that no sync made safe in any state that it
had. The product opens what is left (examine.py). Exit status 1: something that was acknowledged is gone, or something
is half done. `--only SCENE:NUMBER` shows one crash again, with the same seed; `--keep DIR` keeps its home there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tests.crash import crashes
from tests.crash.writer import SCENES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--places", type=int, default=1_000, help="all scenes together")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--only", default="", help="SCENE:NUMBER, as a report names it")
    parser.add_argument("--keep", type=Path, help="a new folder for the home of the last crash")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    scenes, only = args.scenes.split(","), -1
    if args.only:
        scenes, only = [args.only.split(":")[0]], int(args.only.split(":")[1])
    began, rows = time.monotonic(), list[crashes.Crashed]()
    with crashes.room() as folder:
        for k, recorded in enumerate(crashes.record(scenes, Path(folder))):
            places = args.places // len(scenes) + (k < args.places % len(scenes))
            scene = recorded.name
            found = crashes.crash(recorded, places, f"{args.seed}/{scene}", only, args.keep)
            rows.append(found)
            print(f"{scene}: {found.crashes} crashes, {len(found.wrong)} wrong", file=sys.stderr, flush=True)
            for line in found.wrong[:10]:
                print(f"    {line}", file=sys.stderr, flush=True)
    total, wrong = sum(row.crashes for row in rows), sum(len(row.wrong) for row in rows)
    said: dict[str, object] = {"crashes": total, "wrong": wrong, "seconds": round(time.monotonic() - began, 1)}
    said["scenes"] = [row._asdict() for row in rows]
    print(json.dumps(said) if args.json else f"{total} crashes, {wrong} wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
