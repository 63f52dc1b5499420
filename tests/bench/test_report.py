"""docs/performance.md keeps what the benches found, judged by the bounds of today; its picture is made of results."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

import pytest

from bench import report
from bench.rig.plot import GAP, Line, Panel, picture

META: dict[str, Any] = {
    "rounds": 3,
    "quick": False,
    "time": "2026-01-02T03:04:05Z",
    "machine": {"cpu": "a cpu", "cores": 2, "memory_gb": 25.0, "system": "Linux", "load_1m": 0.5},
    "versions": {"banyan": "0.1.0 abc"},
}
GROWTH: dict[str, Any] = {
    "ratio_to_small": 1.3,
    "anon_mb": 180.0,
    "seconds_to_ready": 6.0,
    "sizes": {"entries": [10_000, 100_000, 1_000_000]},
    "cases": {
        "runs": {"us_per_entry": [30.0, 32.0, 33.0]},
        "scattered": {"us_per_entry": [200.0, 230.0, 260.0]},
        "started": {"anon_mb": [90.0, 95.0, 180.0], "asked_anon_mb": [92.0, 99.0, 190.0]},
        "idle": {"anon_mb": 100.0},
    },
    **META,
}


def test_the_page_is_judged_by_the_bounds_of_today() -> None:
    page = report.PAGE.read_text("utf-8")
    assert report.filled(page, {}) == page, "a bound, or the name of a figure, is another in bench/report.py"
    assert not [row for row in report.rows_of(page, "figures").values() if report.NOT_RUN in row]


def test_every_bench_and_both_tables_have_a_place_in_the_page() -> None:
    page = report.PAGE.read_text("utf-8")
    for name in ("figures", "machine", *report.BENCHES):
        assert page.count(f"<!-- {name}: made by bench.report -->") == 1
        assert page.count(f"<!-- end of {name} -->") == 1


def test_what_was_not_measured_again_stays_in_the_page() -> None:
    page = report.PAGE.read_text("utf-8")
    found = report.filled(page, {"growth": GROWTH})
    assert "| an entry on 1,000,000 against 10,000 held | <= 1.50x | <= 1.20x | **1.30x** | must | growth |" in found
    assert "| growth | 2026-01-02T03:04:05Z | 0.1.0 abc | 3 | 0.5 | a cpu, 2 cores, 25.0 GB, Linux |" in found
    assert "| runs | 30 / 32 / 33 |" in found
    for name in {"figures", "machine"}:
        before = {key: row for key, row in report.rows_of(page, name).items() if "growth" not in row}
        assert before
        assert before.items() <= report.rows_of(found, name).items()
    quick = report.filled(found, {"growth": {**GROWTH, "quick": True}})
    assert report.rows_of(quick, "figures") == report.rows_of(found, "figures")
    assert report.rows_of(quick, "machine")["growth"].startswith("| growth (quick) | ")
    assert report.filled(quick, {"growth": GROWTH}) == found


def test_a_figure_is_judged_by_its_bounds_and_one_that_was_not_measured_says_so() -> None:
    lines = report.table_of_figures({"growth": GROWTH}, {}).splitlines()
    found = {line.split(" | ")[0].strip("| "): line.split(" | ")[3:5] for line in lines}
    assert found["an entry on 1,000,000 against 10,000 held"] == ["**1.30x**", "must"]
    assert found["anonymous memory, 1,000,000 entries held"] == ["**180 MB**", "aim"]
    assert found["start to ready with 1,000,000 entries"] == ["**6 s**", "no"]
    assert found["live to 20 nodes: delivered"] == ["not run", ""]
    assert "aim |" not in report.table_of_figures({"growth": {**GROWTH, "quick": True}}, {}).split("\n", 2)[2]


def test_cases_are_rows_and_what_a_case_lacks_stays_empty() -> None:
    table = report.table_of_cases({"cases": {"one_two": {"p50_ms": 1.25, "lost": 0}, "three": {"lost": 12_345}}})
    assert table.splitlines() == [
        "| | p50 ms | lost |",
        "|---|---:|---:|",
        "| one two | 1.25 | 0 |",
        "| three |  | 12,345 |",
    ]


def test_a_mark_without_its_end_is_an_error() -> None:
    page = report.PAGE.read_text("utf-8").replace("<!-- end of growth -->", "")
    with pytest.raises(ValueError, match="behind it '<!-- end of growth -->'"):
        report.filled(page, {"growth": GROWTH})


def test_the_picture_is_svg_with_a_name_for_every_line() -> None:
    root = ElementTree.fromstring(report.plot({"growth": GROWTH}))
    texts = [x.text or "" for x in root.iter() if x.tag.endswith("}text")]
    assert {"in runs of 250", "one a writer", "10k", "100k", "1M", "entries held"} <= set(texts)
    assert "260" in next(x.text or "" for x in root.iter() if x.tag.endswith("}desc"))
    assert report.plot({"growth": copy.deepcopy(GROWTH)}) == report.plot({"growth": GROWTH})


@pytest.mark.parametrize("log", [False, True])
def test_names_of_lines_that_end_together_do_not_touch(log: bool) -> None:
    lines = [Line(f"line {n}", [(10, 1.0), (1_000, 5.0)]) for n in range(4)]
    root = ElementTree.fromstring(picture("t", "d", [Panel("p", "x", "y", lines, log)]))
    ends = [float(x.attrib["y"]) for x in root.iter() if x.tag.endswith("}text") and (x.text or "").startswith("line ")]
    ends.sort()
    assert all(b - a >= GAP - 0.2 for a, b in pairwise(ends))
