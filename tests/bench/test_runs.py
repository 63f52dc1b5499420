"""Benches measure what they claim: tiny runs with real stores and real nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_node.home.settings import load
from banyan_node.local import open_local
from banyan_storage.lmdb_engine import LmdbEngine
from bench.__main__ import main
from bench.catchup import once
from bench.harness import BenchError
from bench.rig import processes
from bench.rig.people import filling, known_account, open_account, opened, runs_home, singles_homes
from bench.rig.processes import Child, new_home
from bench.rig.world import Plan, people_of, worlds
from tests.forking import loaded_bench


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of a bench begin loaded; one test below starts one as benches do."""
    monkeypatch.setattr(processes, "start", loaded_bench)


def run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*argv, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    found: dict[str, Any] = json.loads(lines[0])
    return found


def entries_of(home: Path) -> int:
    ingest = opened(LmdbEngine(Home(home).store, TABLES))
    found = ingest.store.counts()
    ingest.store.close()
    assert found.lacking == 0
    return found.entries


@pytest.mark.usefixtures("_forked")
def test_a_newcomer_catches_up_over_slow_lines_that_carry_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(["lines", "--quick", "--folder", str(tmp_path)], capsys)
    assert tuple(found["cases"]) == ("16_kib_s", "60_kb_s")
    for case in found["cases"].values():
        assert case["links"] == 1
        assert 0.9 < case["bytes_ratio"] < 1.2


@pytest.mark.usefixtures("_forked")
def test_a_siege_is_laid_and_honest_posts_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(["siege", "--quick", "--seconds", "8", "--folder", str(tmp_path)], capsys)
    (siege,) = found["sieges"]
    assert siege["price"]["identities"] == 40
    assert siege["price"]["links"] > 3
    assert siege["links"] > siege["honest_links"] > 0
    assert 0 < found["arrived"] <= found["posts"]
    assert found["isolated"] == 0


def test_ingest_takes_everything_and_keeps_its_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["ingest", "--quick", "--writers", "2", "--entries", "60", "--folder", str(tmp_path)]
    first = run(argv, capsys)
    stores = list(tmp_path.rglob("runs-2x60"))
    made = stores[0].stat().st_mtime_ns
    assert run(argv, capsys)["sizes"] == first["sizes"] == {"writers": 2, "entries_each": 60, "text_bytes": 190}
    assert [p.stat().st_mtime_ns for p in stores] == [made]
    assert first["entries_per_second"] > 0
    assert first["bytes_per_entry"] > 200
    assert sorted(p.name for p in tmp_path.iterdir()) == [stores[0].parent.name]


@pytest.mark.usefixtures("_forked")
def test_a_start_is_measured_with_rows_that_were_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(["start", "--quick", "--logs", "20000", "--folder", str(tmp_path)], capsys)
    assert found["sizes"]["logs"] == 20_000
    assert found["seconds_to_ready"] > 0
    assert set(found["cases"]) == {"node", "index", "moved", "keep", "without_rows"}
    assert [p.name for p in tmp_path.iterdir()] == [next(tmp_path.glob("stores-*")).name]


@pytest.mark.usefixtures("_forked")
def test_a_catch_up_between_processes_ends_with_equal_stores(tmp_path: Path) -> None:
    home = runs_home(tmp_path, 2, 100)
    found = once(tmp_path, home, None, batches=3)
    assert found["entries"] == 2 * 100 + 2 * 1 + 2
    assert found["lost"] == 0
    assert len(found["waits"]) == 3
    assert min(found["waits"]) > 0


def test_a_node_that_was_away_knows_the_accounts_and_lacks_the_posts(tmp_path: Path) -> None:
    full, away = singles_homes(tmp_path, 5)
    assert entries_of(full) == 5 * 2
    assert entries_of(away) == 5


def test_a_world_grows_from_the_same_accounts(tmp_path: Path) -> None:
    plan = Plan(6, (1, 2))
    homes = worlds(tmp_path, plan)
    people = [people_of(home) for home in homes]
    assert [len(p) for p in people] == [6, 7, 9]
    assert [a.id for a in people[2][:7]] == [a.id for a in people[1]]
    assert [entries_of(h) - len(p) for h, p in zip(homes, people, strict=True)] == list(plan.sizes)


def test_an_account_can_be_written_for_by_who_knows_its_number(tmp_path: Path) -> None:
    with filling(new_home(tmp_path)) as author:
        made, _ = open_account(author, 3)
    known = known_account(3, made.id)
    assert (known.log, known.salt) == (made.log, made.salt)


def test_a_process_that_fails_says_so(tmp_path: Path) -> None:
    with (
        Child("bench.catchup:no_such_role", []) as child,
        pytest.raises(BenchError, match=r"(?s)ended too early; it said: .*no_such_role"),
    ):
        child.hear(30.0)


def test_a_life_that_moves_in_comes_whole_and_again_adds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(["moving", "--posts", "300", "--folder", str(tmp_path)], capsys)
    assert found["posts"] == 300
    for case in ("alone", "beside"):
        assert found["cases"][case]["log_entries"] == 3  # two of posts, one of the profile
        assert found["cases"][case]["seconds"] > 0


@pytest.mark.usefixtures("_forked")
def test_posts_at_the_door_are_of_many_authors_because_a_log_takes_so_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["door", "--quick", "--seconds", "1", "--way", "0", "--kind", "post", "--folder", str(tmp_path)]
    found = run(argv, capsys)
    assert found["cases"]["0 workers"]["post"]["per_second"] > 0
    home = Home(tmp_path / "social-4000")
    with open_local(home, load(home, {"node.realm": "test"}, env={})) as node:
        newest = node.call("feed", all=True, limit=50)["posts"]
    assert {post["text"] for post in newest} == {"x" * 140}
    assert len({post["account"] for post in newest}) > 20
