"""The rows as a table for people, and the page that shows the kept ones.

python -m bench.attack.table RESULT.json ...    takes the rows of these results over, and writes docs/threats.md again
python -m bench.attack.table                    only writes the page
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

KEPT, PAGE = ROOT / "bench" / "results" / "attack.json", ROOT / "docs" / "threats.md"
KEPT_CHOSEN = KEPT.with_name("attack-follows.json")
"""The rows of a victim with chosen accounts."""
OPENS, ENDS = "<!-- attacks: made by bench/attack/table.py -->\n", "<!-- end of attacks -->\n"
OPENS_CHOSEN = OPENS.replace("attacks", "attacks on chosen accounts")
COLUMNS = (
    *("attack", "price", "posts acknowledged", "posts at the peer", "CPU", "memory", "disk"),
    *("points", "comparing", "newcomer", "what hurts"),
)
Rows = Mapping[str, Mapping[str, Any]]


def table(rows: Rows) -> str:
    """Markdown. Times are p50 / p99 in milliseconds; "->" is from before the attack to during it. Memory and disk are
    MB more than before; points are the most that one honest node held against the other."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_line(name, row) for name, row in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    what, hurts = f"`{name}`: {row['about']}", "; ".join(row["hurts"]) or "nothing"
    if "ended" in row:
        return (what, *("",) * (len(COLUMNS) - 2), hurts)
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
    )


def _times(found: Mapping[str, float]) -> str:
    return f"{found['p50_ms']:,.0f} / {found['p99_ms']:,.0f}"


def taken_over(kept: Rows, result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The kept rows, with those of one result in the place of older ones. Each says in `ran` when and how it ran."""
    ran = {key: result[key] for key in ("time", "sizes", "machine")} | {"banyan": result["versions"]["banyan"]}
    rows: Rows = result["attacks"]
    control = rows.get(NOTHING)
    return {**kept, **{name: {**row, "hurts": hurts(row, control), "ran": ran} for name, row in rows.items()}}


def filled(page: str, rows: Rows, chosen: Rows) -> str:
    """The page with its tables: first what hurts in most ways, then what holds. An attack without a row was not run.
    chosen: the rows of a victim with chosen accounts; of these only those that were run are shown."""
    missing = {name: {"about": named(name).about, "ended": "", "hurts": ["not run"]} for name in names()}
    every: Rows = {**missing, **rows}
    worst = sorted(every, key=lambda name: (name not in rows, -len(every[name]["hurts"]), name))
    page = _between(page, OPENS, table({name: every[name] for name in worst}))
    worst = sorted(chosen, key=lambda name: (-len(chosen[name]["hurts"]), name))
    return _between(page, OPENS_CHOSEN, table({name: chosen[name] for name in worst}))


def _between(page: str, opens: str, found: str) -> str:
    before, rest = page.split(opens)
    return f"{before}{opens}\n{found}\n\n{ENDS}{rest.split(ENDS, 1)[1]}"


def load(path: Path = KEPT) -> dict[str, Mapping[str, Any]]:
    """The kept rows."""
    found: dict[str, Mapping[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def main(argv: Sequence[str] | None = None) -> None:
    kept: dict[Path, Rows] = {path: load(path) for path in (KEPT, KEPT_CHOSEN)}
    for path in sys.argv[1:] if argv is None else argv:
        result = json.loads(Path(path).read_text("utf-8"))
        of = KEPT_CHOSEN if result["sizes"].get("interest") == "follows" else KEPT
        kept[of] = taken_over(kept[of], result)
    for of, rows in kept.items():
        of.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    PAGE.write_text(filled(PAGE.read_text("utf-8"), kept[KEPT], kept[KEPT_CHOSEN]), "utf-8")


if __name__ == "__main__":
    main()
