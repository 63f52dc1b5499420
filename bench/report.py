"""Runs benches, and writes what they found into docs/performance.md and its picture.

uv run python -m bench.report                         runs every bench, about 15 minutes on a quiet machine
uv run python -m bench.report --only catchup query    what the others found before stays in the page

The page is what is kept: its last table says at which commit, when and on which machine each bench ran.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.harness import FIGURES as FIGURE_KEYS
from bench.harness import ROOT
from bench.rig.plot import Line, Panel, picture

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.svg"
BENCHES = (
    *("ingest", "create", "catchup", "reconcile", "live", "query"),
    *("growth", "peers", "codec", "edge", "blobs", "upkeep", "start", "social"),
)
"""In the order in which they run: the short ones first, so that a fault shows early."""
PICTURED = ("growth", "query", "reconcile")
"""The picture is drawn anew when all of these ran."""
NOT_RUN = "not run"
Result = Mapping[str, Any]
Results = Mapping[str, Result]


class Figure(NamedTuple):
    """A line of the table. must, aim: bounds; `below`: whether less is better. path: the bench, then keys into its
    result."""

    what: str
    path: str
    must: float
    aim: float
    unit: str
    below: bool = False

    @property
    def bench(self) -> str:
        return self.path.split(".")[0]

    def reached(self, results: Results, row: str) -> float | None:
        """row: of the page, with what was reached before; None: it was never measured."""
        try:
            return _at(results, self.path)
        except KeyError:
            found = re.search(r"\*\*([\d.,]+)", row)
            return float(found[1].replace(",", "")) if found else None

    def bound(self, value: float) -> str:
        return f"{'<=' if self.below else '>='} {_number(value)}{self.unit}"

    def met(self, reached: float) -> str:
        def within(bound: float) -> bool:
            return reached <= bound if self.below else reached >= bound

        return "aim" if within(self.aim) else "must" if within(self.must) else "no"


def _at(results: Results, path: str) -> float:
    found: Any = results
    for key in path.split("."):
        found = found[key]
    return float(found)


RUNS, SINGLES = (f"catchup.cases.{case}.entries_per_second" for case in ("runs", "singles"))
AWAY = "peers.ratios.hypercore_to_single_posts_away"
BATCHED, PUBLISHERS = (f"create.cases.{case}.entries_per_second" for case in ("batched", "publishers"))
SKETCH = "reconcile.cases.{}_sketch"
FIGURES = (
    Figure("catch-up: 100,000 entries by 20 writers, fresh node", RUNS, 40_000, 70_000, "/s"),
    Figure("the same, against Hypercore with 20 cores", "peers.ratios.hypercore_20_writers", 6, 10, "x"),
    Figure("the same by one writer, against one Hypercore", "peers.ratios.hypercore", 6, 10, "x"),
    Figure("catch-up: one entry each by 20,000 writers", SINGLES, 8_000, 15_000, "/s"),
    Figure("the same, against one Hypercore of 10,000 entries", AWAY, 1.3, 2, "x"),
    Figure("one entry each, fresh node, against a Hypercore each", "peers.ratios.hypercore_single_posts", 1.3, 2, "x"),
    Figure("create: one signature each, in batches", BATCHED, 12_000, 25_000, "/s"),
    Figure("durable single posts, 64 publishers", PUBLISHERS, 2_000, 5_000, "/s"),
    Figure("100 entries more to a connected peer, p50", "catchup.cases.hundred_more.p50_ms", 30, 10, " ms", True),
    Figure(
        "reconcile 1,000,000 heads, 100 differ: each", f"{SKETCH.format(100)}.bytes_per_difference", 64, 42, " B", True
    ),
    Figure("the same, 1,000 differ: each", f"{SKETCH.format(1000)}.bytes_per_difference", 64, 42, " B", True),
    Figure("the same: round trips", f"{SKETCH.format(1000)}.round_trips", 1, 1, "", True),
    Figure("reconcile, one differs", f"{SKETCH.format(1)}.bytes", 300, 200, " B", True),
    Figure("reconcile, equal", f"{SKETCH.format(0)}.bytes", 250, 200, " B", True),
    Figure("sketch: decoding 1,000 differences", "reconcile.decode_ms", 50, 20, " ms", True),
    Figure("sketch: a head that moves, among 1,000", "reconcile.update_batched_us", 20, 2, " us", True),
    Figure("sketch: a table of 1,000,000 heads", "reconcile.rebuild_s", 2, 0.7, " s", True),
    Figure("live to 20 nodes: delivered", "live.delivered", 100, 100, " %"),
    Figure("live to 20 nodes, 200 entries/s: p99", "live.p99_ms", 1_500, 500, " ms", True),
    Figure("an entry on 1,000,000 against 10,000 held", "growth.ratio_to_small", 1.5, 1.2, "x", True),
    Figure("anonymous memory, idle hobbyist node", "growth.cases.idle.anon_mb", 150, 120, " MB", True),
    Figure("anonymous memory, 1,000,000 entries held", "growth.anon_mb", 300, 200, " MB", True),
    Figure("disk for an entry of 300 B, views included", "catchup.bytes_per_entry", 1_000, 600, " B", True),
    Figure("start to ready with 1,000,000 entries", "growth.seconds_to_ready", 5, 2, " s", True),
    Figure("one entry more on a forked account of 20,000", "upkeep.branch_ms", 5, 0.5, " ms", True),
    Figure("one control entry more, of 1,000: on the wire", "upkeep.control_entry_bytes", 1_000, 300, " B", True),
    Figure("one checkpoint more of that account", "upkeep.checkpoint_bytes", 1_000, 300, " B", True),
    Figure("20,000 accounts of interest, nothing new: a link, up", "upkeep.up_bytes_per_s", 100, 10, " B/s", True),
    Figure("the same, down", "upkeep.down_bytes_per_s", 100, 10, " B/s", True),
    Figure("a film of 1 GB from one node to another", "blobs.mb_per_second", 30, 80, " MB/s"),
    Figure("start to ready with 10,000,000 logs", "start.seconds_to_ready", 15, 3, " s", True),
    Figure("the same, until it can compare with peers", "start.seconds_to_compare", 15, 3, " s", True),
    Figure("the same, 50,000 heads moved", "start.cases.moved.seconds_to_compare", 15, 3, " s", True),
    Figure("memory of that index then", "start.cases.moved.anon_mb", 1_000, 500, " MB", True),
    Figure("1,000,000 posts: home, who follows 1,000, p99", "social.cases.home.p99_ms", 20, 5, " ms", True),
    Figure("the same: 200 answers of a thread of 500, p99", "social.cases.thread_500.p99_ms", 30, 15, " ms", True),
    Figure("the same: of a thread of 10,000, p99", "social.cases.thread_10000.p99_ms", 30, 15, " ms", True),
    Figure("the same: 40 notifications, p99", "social.cases.notifications.p99_ms", 10, 5, " ms", True),
    Figure("the same: a search for two words, p99", "social.cases.search_two.p99_ms", 50, 10, " ms", True),
    Figure("the same: for a phrase, p99", "social.cases.search_phrase.p99_ms", 50, 10, " ms", True),
    Figure("the same: any count, p99", "social.cases.counts.p99_ms", 0.05, 0.02, " ms", True),
    Figure("the same: a post beside 8 readers, against alone", "social.post_ratio", 1.5, 1.2, "x", True),
)


def table_of_figures(results: Results, before: Mapping[str, str]) -> str:
    """Without results of --quick, because their sizes are smaller than promised. before: rows of the page, which stay
    for what was not measured, judged by the bounds of today."""
    results = {name: result for name, result in results.items() if not result["quick"]}
    rows = ["| figure | must | aim | reached | | bench |", "|---|---:|---:|---:|---|---|"]
    for f in FIGURES:
        reached, met = NOT_RUN, ""
        if (value := f.reached(results, before.get(f.what, ""))) is not None:
            reached, met = f"**{_number(value)}{f.unit}**", f.met(value)
        rows.append(f"| {f.what} | {f.bound(f.must)} | {f.bound(f.aim)} | {reached} | {met} | {f.bench} |")
    return "\n".join(rows)


def table_of_cases(result: Result) -> str:
    """All figures of the cases of one bench: a row per case, a column per figure. Empty if there are none."""
    cases: Mapping[str, Mapping[str, Any]] = result.get("cases", {})
    columns = list(dict.fromkeys(k for found in cases.values() for k in found if k not in ("spread", "seconds")))
    rows = ["| | " + " | ".join(c.replace("_", " ") for c in columns) + " |", "|---|" + "---:|" * len(columns)]
    for name, found in cases.items():
        rows.append(f"| {name.replace('_', ' ')} | " + " | ".join(_cell(found.get(c)) for c in columns) + " |")
    return "\n".join(rows) if cases else ""


def table_of_one(result: Result) -> str:
    """Figures of the bench as a whole; where it has cases, those that no case can have. Empty where there are none."""
    left_out = {"rounds", "quick", *(FIGURE_KEYS if "cases" in result else ())}
    figures = {k: v for k, v in result.items() if isinstance(v, int | float) and k not in left_out}
    heads = " | ".join(k.replace("_", " ") for k in figures)
    row = " | ".join(map(_cell, figures.values()))
    return f"| {heads} |\n|{'---:|' * len(figures)}\n| {row} |" if figures else ""


def table_of_peers(result: Result) -> str:
    rows = [
        "| | version | entries/s | ours / theirs | CPU, us an entry | ours / theirs | bytes stored |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, x in result["systems"].items():
        ratio, cpu = (result[k].get(name) for k in ("ratios", "cpu_ratios"))
        rows.append(
            f"| {name.replace('_', ' ')} | {x.get('version', '')} | {x['entries_per_second']:,} | {_cell(ratio)} "
            f"| {x['cpu_us_per_entry']} | {_cell(cpu)} | {x['stored_bytes_per_entry']:,} |"
        )
    rows += ["", "What is not equal:", ""]
    for topic, said in result["not_equal"].items():
        rows.append(f"- **{topic}**: " + "; ".join(f"{system}: {what}" for system, what in said.items()))
    return "\n".join(rows)


def table_of_machine(results: Results, before: Mapping[str, str]) -> str:
    """Where and when each result was measured. before: rows of the page, which stay for what was not."""
    rows = dict(before)
    for name, r in results.items():
        m = r["machine"]
        where = f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}"
        cells = (r["time"], r["versions"]["banyan"], r["rounds"], m["load_1m"], where)
        rows[name] = f"| {' | '.join(map(str, (name, *cells)))} |"
        if r["quick"]:
            rows[name] = rows[name].replace(name, f"{name} (quick)", 1)
    heads = ("| bench | when | commit | rounds | load before | machine |", "|---|---|---|---:|---:|---|")
    return "\n".join([*heads, *(rows[name] for name in BENCHES if name in rows)])


def rows_of(page: str, name: str) -> dict[str, str]:
    """The rows of a table of the page, by their first cell without what stands in brackets."""
    between = page.split(_start(name))[1].split(_end(name))[0].strip().splitlines()[2:]
    return {re.split(r" \(quick\)", line.split(" | ")[0][2:])[0]: line for line in between}


def blocks(results: Results, page: str) -> dict[str, str]:
    """What stands between the marks of the page, by name, if it is not what stands there."""
    made = {
        "figures": table_of_figures(results, rows_of(page, "figures")),
        "machine": table_of_machine(results, rows_of(page, "machine")),
    }
    for name, result in results.items():
        of = (table_of_peers,) if name == "peers" else (table_of_one, table_of_cases)
        made[name] = "\n\n".join(table for make in of if (table := make(result)))
    return made


def filled(page: str, results: Results) -> str:
    """The page with fresh tables between its marks. Raises ValueError where the mark of one is missing."""
    for name, text in blocks(results, page).items():
        start, end = _start(name), _end(name)
        if start not in page or end not in page.split(start)[1]:
            raise ValueError(f"{PAGE.name} needs the mark '{start}', and behind it '{end}'")
        before, rest = page.split(start)
        page = f"{before}{start}\n\n{text}\n\n{end}{rest.split(end, 1)[1]}"
    return page


def _start(name: str) -> str:
    return f"<!-- {name}: made by bench.report -->"


def _end(name: str) -> str:
    return f"<!-- end of {name} -->"


def plot(results: Results) -> str:
    panels: list[Panel] = []
    if "growth" in results:
        growth = results["growth"]
        held, cases = growth["sizes"]["entries"], growth["cases"]
        lines = [
            Line(name, list(zip(held, cases[kind]["us_per_entry"], strict=True)))
            for kind, name in (("runs", "in runs of 250"), ("scattered", "one a writer"))
        ]
        panels.append(Panel("What a new entry costs", "entries held", "microseconds, durable", lines))
        lines = [
            Line(name, list(zip(held, cases["started"][key], strict=True)))
            for key, name in (("anon_mb", "at rest"), ("asked_anon_mb", "after 200 reads"))
        ]
        panels.append(Panel("Memory of a node", "entries held", "RssAnon, MB", lines))
    if "query" in results:
        query = results["query"]
        sizes = query["sizes"]["entries"]
        lines = [
            Line(kind, [(n, query["cases"][f"{kind} of {n:,}"]["p50_ms"]) for n in sizes])
            for kind in ("timeline", "thread", "profile", "followers")
        ]
        panels.append(Panel("What reading costs", "entries held", "milliseconds, p50", lines, log=True))
    if "reconcile" in results:
        cases = results["reconcile"]["cases"]
        numbers = [n for n in results["reconcile"]["sizes"]["differences"] if n]
        lines = [
            Line(name, [(n, cases[f"{n}_{way}"]["bytes"]) for n in numbers])
            for way, name in (("sketch", "sketch"), ("xor", "XOR sketch"), ("ranges", "ranges"))
        ]
        heads = f"{results['reconcile']['sizes']['heads']:,}"
        panels.append(
            Panel(f"Finding what differs of {heads}", "heads that differ", "bytes, both ways", lines, log=True)
        )
    about = "; ".join(
        f"{p.title} ({p.costs}) by {p.sizes}: " + ", ".join(f"{x.name} {_number(x.points[-1][1])}" for x in p.lines)
        for p in panels
    )
    return picture("Cost against size", f"{about}, at the largest size.", panels)


def measure(names: Sequence[str], folder: Path, quick: bool) -> dict[str, Result]:
    """Runs benches one after the other; returns the results of those that did not fail."""
    found, began = dict[str, Result](), time.monotonic()
    for n, name in enumerate(names, 1):
        print(f"[{n}/{len(names)}, {time.monotonic() - began:.0f} s] {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "bench", name, "--json", "--folder", str(folder)]
        command += ["--quick"] if quick else []
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if not done.returncode:
            found[name] = json.loads(done.stdout)
    print(f"measured in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " / ".join(map(_cell, value))
    return _number(value) if isinstance(value, int | float) else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BENCHES, metavar="NAME", help="these benches; default: all")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, to see that everything works")
    parser.add_argument("--folder", type=Path, help="where stores are kept for the next time (default: not kept)")
    args = parser.parse_args(argv)
    names = args.only or BENCHES
    with tempfile.TemporaryDirectory(prefix="banyan-bench-") as lent:
        results = measure(names, args.folder or Path(lent), args.quick)
    PAGE.write_text(filled(PAGE.read_text("utf-8"), results), "utf-8")
    if set(PICTURED) <= set(results):
        PICTURE.write_text(plot(results), "utf-8")
    if failed := [name for name in names if name not in results]:
        print(f"bench.report: {', '.join(failed)} failed; what they found before stands in the page.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
