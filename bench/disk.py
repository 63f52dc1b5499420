"""Where the bytes of a store are: by table, and by what its pages are for.

A fresh node ingests posts of 20 writers (as `ingest` does), and every page of its data file is read. `bytes` are those
of all pages of a table for each entry, `fill` is how much of its leaves is used. Pages are free after a commit because
LMDB writes a copy of each page that it changes, and may use the old one two commits later. Or, with --store, the same
of any store: a copy, or that of a node that does not run.

python -m bench disk --json
"""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from banyan_node.home.folder import Home
from banyan_storage.lmdb_folder import DATA
from banyan_storage.lmdb_pages import Pages
from bench.harness import BenchError, arguments, finish, say, workplace
from bench.ingest import Side, take
from bench.rig.people import copied, runs_home
from bench.rig.processes import new_home

WRITERS, PAGE, HEAD = 20, 4_096, 16
BRANCH, LEAF, FIXED = 1, 2, 0x20
LEAST_PAGES = 3
"""Tables of fewer pages are counted together."""


def ingested(folder: Path, each: int) -> Path:
    """The store of a node that ingested all."""
    homes = copied(runs_home(folder, WRITERS, each), folder / "holder"), new_home(folder / "newcomer")
    holder, newcomer = Side("holder", homes[0]), Side("newcomer", homes[1])
    try:
        take(holder, newcomer)
    finally:
        for side in (holder, newcomer):
            side.replica.store.close()
        shutil.rmtree(homes[0])
    return Home(homes[1]).store


def pages_of(store: Path, entries: int) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The figures of the whole, and of each table."""
    with Pages(store / DATA) as pages:
        if faults := pages.check():
            raise BenchError(f"{store} is damaged: {faults[0]}")
        used, last = pages.used, pages.meta.last
    kinds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    with (store / DATA).open("rb") as file:
        for number, use in used.items():
            file.seek(number * PAGE)
            head = file.read(HEAD)
            flags, lower, upper = (int.from_bytes(head[at : at + 2], "little") for at in (10, 12, 14))
            name = "free" if use == "a free page" else use.removeprefix("of ").removeprefix("table ").partition(",")[0]
            kind = "free" if name == "free" else "branch" if flags & BRANCH else "leaf" if flags & LEAF else "other"
            kinds[name][kind] += 1
            kinds[name]["filled"] += (PAGE - (upper - lower)) / PAGE if kind == "leaf" else 0
    tables: dict[str, dict[str, Any]] = {}
    small = 0.0
    for name, found in sorted(kinds.items(), key=lambda item: -sum(item[1].values())):
        filled, count = found.pop("filled"), sum(found.values())
        if count < LEAST_PAGES:
            small += count
            continue
        tables[name] = {"bytes": round(count * PAGE / entries, 1)} | {kind: round(n) for kind, n in found.items()}
        if found.get("leaf"):
            tables[name]["fill"] = round(filled / found["leaf"], 2)
    tables["small tables"] = {"bytes": round(small * PAGE / entries, 1), "pages": round(small)}
    return {"bytes_per_entry": round((last + 1) * PAGE / entries), "pages": last + 1}, tables


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--store", type=Path, help="the folder `store` of a home: bytes of the whole")

    args = arguments("disk", __doc__, argv, rounds=1, more=more)
    each = 400 if args.quick else 5_000
    with workplace(args.folder) as folder:
        if args.store is not None:
            whole, tables = pages_of(args.store, 1)
        else:
            store = ingested(folder, each)
            whole, tables = pages_of(store, WRITERS * each)
            shutil.rmtree(store.parent)
    for name, row in tables.items():
        say(f"{name:24} {row['bytes']:>12,.1f} B  {', '.join(f'{k} {v}' for k, v in row.items() if k != 'bytes')}")
    finish(args, "disk", **whole, sizes={"writers": WRITERS, "entries_each": each}, cases=tables)


if __name__ == "__main__":
    main()
