"""The rows as a table for people, and the page that keeps them.

python -m bench.attack.table RESULT.json ...    puts the rows of these results into docs/threats.md, for older ones
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from banyan_sim.attack import NOTHING
from bench.attack.attack import named, names
from bench.attack.verdict import hurts
from bench.harness import ROOT

PAGE = ROOT / "docs" / "threats.md"
OPENS, ENDS = "<!-- attacks: made by bench/attack/table.py -->\n", "<!-- end of attacks -->\n"
OPENS_CHOSEN = OPENS.replace("attacks", "attacks on chosen accounts")
COLUMNS = (
    *("attack", "price", "posts acknowledged", "posts at the peer", "CPU", "memory", "disk"),
    *("points", "comparing", "newcomer", "what hurts", "run"),
)
NOT_RUN = "not run"
Rows = Mapping[str, Mapping[str, Any]]
Cells = tuple[str, ...]
"""A line of a table."""


def cells_of(rows: Rows) -> dict[str, Cells]:
    """By attack. Times are p50 / p99 in milliseconds; "->" is from before the attack to during it. Memory and disk are
    MB more than before; points are the most that one honest node held against the other."""
    return {name: _line(name, row) for name, row in rows.items()}


def table(found: Mapping[str, Cells]) -> str:
    """Markdown: first what hurts in most ways, then what holds, then what was not run."""

    def worst(name: str) -> tuple[bool, int, str]:
        hurts = found[name][-2]
        return hurts == NOT_RUN, 0 if hurts == "nothing" else -1 - hurts.count("; "), name

    rows = [COLUMNS, ("---",) * len(COLUMNS), *(found[name] for name in sorted(found, key=worst))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _line(name: str, row: Mapping[str, Any]) -> Cells:
    what, hurts = f"`{name}`: {named(name).about}", "; ".join(row["hurts"]) or "nothing"
    if "ended" in row:
        return (what, *("",) * (len(COLUMNS) - 3), hurts, row.get("run", ""))
    price, before, during, after = row["price"], row["before"], row["during"], row["after"]
    came, rest, compared = row["newcomer_s"], row.get("newcomer_after_s"), during["by_comparing_s"]
    points = max(p[k] or 0 for p in (during, after) for k in ("points_of_neighbour", "points_of_victim"))
    return (
        what,
        f"{price['identities']:,} ids, {price['sent'] / 1e6:,.1f} MB in {row['seconds']} s",
        *(f"{_times(before[key])} -> {_times(during[key])}" for key in ("acknowledged", "at_peer")),
        f"{before['cpu_percent']} -> {during['cpu_percent']} %",
        f"{during['anon_mb'] - before['anon_mb']:+.0f}",
        f"{max(during['disk_mb'], after['disk_mb']) - before['disk_mb']:+.0f}",
        f"{points:g}{'' if during['linked'] and after['linked'] else ', link lost'}",
        "" if compared is None else f"{compared:.1f} s",
        ("never" if came is None else f"{came:.1f} s") + ("" if rest is None else f", {rest:.1f} after"),
        hurts,
        row.get("run", ""),
    )


def _times(found: Mapping[str, float]) -> str:
    return f"{found['p50_ms']:,.0f} / {found['p99_ms']:,.0f}"


def taken_over(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rows of a result, each with what hurts, and in `run` at which commit it ran and how many beside it."""
    beside = f", {at_once} at once" if (at_once := result["sizes"].get("at_once")) else ""
    run = result["versions"]["banyan"].split()[-1] + beside
    rows: Rows = result["attacks"]
    control = rows.get(NOTHING)
    return {name: {**row, "hurts": hurts(row, control), "run": run} for name, row in rows.items()}


def filled(page: str, rows: Rows, chosen: Rows) -> str:
    """The page with these rows in the place of older ones, and a row for every attack, run or not.
    chosen: the rows of a victim with chosen accounts; of these only those that were run are shown."""
    missing = cells_of({name: {"ended": "", "hurts": [NOT_RUN]} for name in names()})
    page = _between(page, OPENS, {**missing, **_kept(page, OPENS), **cells_of(rows)})
    return _between(page, OPENS_CHOSEN, {**_kept(page, OPENS_CHOSEN), **cells_of(chosen)})


def _kept(page: str, opens: str) -> dict[str, Cells]:
    """The lines of a table of the page. What an attack does is said as it says it now."""
    found = page.split(opens)[1].split(ENDS)[0].splitlines()
    cells = {
        line.split("`")[1]: line.removeprefix("| ").removesuffix(" |").split(" | ")
        for line in found
        if line.startswith("| `")
    }
    return {name: (f"`{name}`: {named(name).about}", *line[1:]) for name, line in cells.items() if name in names()}


def _between(page: str, opens: str, found: Mapping[str, Cells]) -> str:
    before, rest = page.split(opens)
    return f"{before}{opens}\n{table(found)}\n\n{ENDS}{rest.split(ENDS, 1)[1]}"


def main(argv: Sequence[str] | None = None) -> None:
    rows: dict[str, dict[str, Any]] = {"all": {}, "follows": {}}
    for path in sys.argv[1:] if argv is None else argv:
        result = json.loads(Path(path).read_text("utf-8"))
        rows[result["sizes"].get("interest", "all")] |= taken_over(result)
    PAGE.write_text(filled(PAGE.read_text("utf-8"), rows["all"], rows["follows"]), "utf-8")


if __name__ == "__main__":
    main()
