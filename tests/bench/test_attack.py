"""The attack laboratory: each module of `attacks/` is an attack, and a quick run has the figures of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from banyan_node.home.folder import Home
from banyan_node.home.settings import load as load_settings
from banyan_sim.attack import NOTHING, Attack
from bench.__main__ import main
from bench.attack.attack import named, names, names_of_chosen
from bench.attack.laboratory import QUICK
from bench.attack.table import OPENS, PAGE, cells_of, filled, table, taken_over
from bench.attack.verdict import hurts
from bench.rig import processes
from bench.rig.processes import USUAL
from tests.forking import loaded_bench


def test_every_module_is_one_attack_and_says_what_it_does() -> None:
    found = names()
    assert found[0] == NOTHING
    assert set(QUICK) <= set(found)
    for name in found:
        attack = named(name)
        assert issubclass(attack, Attack)
        assert attack.about


def test_a_victim_with_chosen_accounts_meets_half_of_the_attacks_and_all_that_aim_at_it() -> None:
    aimed = {name for name in names() if named(name).on_chosen}
    assert aimed == {"false_notices", "interests"}
    assert names_of_chosen()[0] == NOTHING
    assert aimed <= set(names_of_chosen())
    assert len(names_of_chosen()) <= 1 + len(names()) // 2 + len(aimed)


def test_benches_ask_without_a_token_as_often_and_as_much_as_they_like(tmp_path: Path) -> None:
    http = load_settings(Home(tmp_path), USUAL, env={}).config.http
    assert (http.address_rate, http.anonymous_cpu) == (0, 0)


def test_a_quick_run_has_every_figure_of_every_phase(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "start", loaded_bench)
    some, rows = QUICK[:2], dict[str, Any]()
    for name, interest in zip(some, ("follows", "all"), strict=True):
        options = ["--quick", "--seconds", "10", "--attack", name, "--interest", interest]
        assert main(["attack", *options, "--json", "--folder", str(tmp_path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        found: dict[str, Any] = json.loads(lines[0])
        assert found["bench"] == "attack"
        assert found["sizes"]["interest"] == interest
        rows |= found["attacks"]
    assert tuple(rows) == some
    for row in rows.values():
        assert "ended" not in row
        for phase in ("before", "during", "after"):
            of = row[phase]
            assert of["posts"] > 0
            assert 0 < of["acknowledged"]["p50_ms"] <= of["acknowledged"]["p99_ms"]
            assert 0 < of["at_peer"]["p50_ms"] <= of["at_peer"]["p99_ms"]
            assert of["anon_mb"] > 0
            assert of["disk_mb"] > 0
    assert rows[NOTHING]["price"]["links"] == 0
    assert all(rows[name]["price"]["links"] > 0 for name in some if name != NOTHING)
    assert table(cells_of(rows)).count("\n") == 1 + len(some)


def test_the_page_has_a_row_for_every_attack() -> None:
    page = PAGE.read_text("utf-8")
    assert filled(page, {}, {}) == page, "run `uv run python -m bench.attack.table`"
    assert all(f"| `{name}`: {named(name).about} |" in page for name in names())


def test_a_row_that_ran_again_replaces_the_older_one() -> None:
    result = {"sizes": {"at_once": 2}, "versions": {"banyan": "0.1.0 abc"}, "attacks": {"slots": row(linked=False)}}
    page = PAGE.read_text("utf-8")
    found = filled(page, taken_over(result), {})
    assert found.count("\n") == page.count("\n")
    hurts = [line for line in found.split(OPENS)[1].splitlines()[3:] if " | nothing | " not in line]
    assert next(line for line in hurts if line.startswith("| `slots`: ")).endswith(
        " | the honest link ended | abc, 2 at once |"
    )
    assert filled(found, {}, {}) == found


def row(**during: Any) -> dict[str, Any]:
    phase = {
        "acknowledged": {"p50_ms": 10.0, "p99_ms": 20.0},
        "at_peer": {"p50_ms": 20.0, "p99_ms": 40.0},
        "never_acknowledged": 0,
        "never_at_peer": 0,
        "points_of_neighbour": 0.0,
        "points_of_victim": None,
        "linked": True,
        "anon_mb": 100.0,
        "disk_mb": 10.0,
        "cpu_percent": 3,
        "by_comparing_s": 1.0,
        "status": {"fresh_as_of": None, "clock": None},
    }
    price = {"identities": 3, "sent": 1_000_000}
    rest = {"price": price, "seconds": 10, "newcomer_s": 1.0}
    return {"before": phase, "during": {**phase, **during}, "after": phase, **rest}


@pytest.mark.parametrize(
    ("during", "said"),
    [
        ({}, []),
        ({"acknowledged": {"p50_ms": 10.0, "p99_ms": 90.0}}, []),
        ({"acknowledged": {"p50_ms": 10.0, "p99_ms": 91.0}}, ["posts acknowledged after 0.1 s"]),
        ({"never_at_peer": 2}, ["2 posts never at the peer"]),
        ({"points_of_victim": 0.3}, ["honest nodes charged each other 0.3 points"]),
        ({"linked": False}, ["the honest link ended"]),
        ({"anon_mb": 251.0}, ["151 MB more memory"]),
        ({"status": {"fresh_as_of": 1, "clock": None}}, ["it says how fresh it is on a stranger's word"]),
    ],
)
def test_what_hurts_is_said_in_words(during: dict[str, Any], said: list[str]) -> None:
    assert hurts(row(**during), row()) == said


def test_late_posts_on_a_busy_machine_are_no_harm() -> None:
    late = row(acknowledged={"p50_ms": 10.0, "p99_ms": 500.0})
    assert hurts(late, None) == ["posts acknowledged after 0.5 s"]
    assert hurts(late, row(acknowledged={"p50_ms": 10.0, "p99_ms": 300.0})) == []


def test_a_newcomer_that_did_not_come_and_a_process_that_ended_hurt() -> None:
    assert hurts({**row(), "newcomer_s": None}, row()) == ["a newcomer did not catch up"]
    assert hurts({**row(), "newcomer_s": 9.0}, row()) == ["a newcomer needed 9 s"]
    after = {"newcomer_after_s": 4.0}
    assert hurts({**row(), "newcomer_s": 9.0, **after}, row()) == [], "it reads as much without strangers"
    assert hurts({"about": "", "ended": "it said: nothing"}, row()) == ["a process ended"]
