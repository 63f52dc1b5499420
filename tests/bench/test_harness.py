"""Every bench prints one JSON object at the end, and one sentence if it is called wrongly."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench import harness
from bench.__main__ import BENCHES, main
from bench.harness import BenchError


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["catchpu"], "there is no bench 'catchpu'; perhaps catchup was meant."),
        (["nothing-like-it"], f"there is no bench 'nothing-like-it'; there are {', '.join(BENCHES)}."),
    ],
)
def test_an_unknown_name_gets_one_sentence(argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"bench: {sentence}\n"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["ingest", "--rounds", "0"], "0 is less than 1"),
        (["ingest", "--rounds", "many"], "'many' is no whole number"),
        (["ingest", "--quickly"], "unrecognized arguments: --quickly"),
        (["ingest", "--folder", __file__], "is a file; name a folder"),
        (["catchup", "--case", "none"], "invalid choice: 'none'"),
    ],
)
def test_bad_arguments_get_one_sentence(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert told in said.err
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"bench {argv[0]}: ")


def test_without_a_name_it_says_which_benches_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr().out
    assert all(name in said for name in BENCHES)


def test_a_bench_that_cannot_go_on_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> None:
        raise BenchError("the disk is full")

    monkeypatch.setattr("bench.ingest.main", fail)
    assert main(["ingest"]) == 1
    assert capsys.readouterr().err == "bench ingest: the disk is full.\n"


def test_the_end_is_one_json_object_with_the_shared_figures_first(capsys: pytest.CaptureFixture[str]) -> None:
    args = harness.arguments("some", "about", ["--json"])
    harness.finish(args, "some", sizes={"n": 1}, p99_ms=2.0, entries_per_second=10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    result = json.loads(lines[0])
    assert list(result)[:3] == ["bench", "entries_per_second", "p99_ms"]
    assert result["machine"]["cores"] == os.cpu_count()
    assert {"python", "banyan", "libp2p", "lmdb"} <= set(result["versions"])


def test_without_json_a_person_reads_figures_and_the_object_is_last(capsys: pytest.CaptureFixture[str]) -> None:
    args = harness.arguments("some", "about", [])
    harness.finish(args, "some", entries_per_second=12_345, cases={"one": {"seconds": 1.5}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["entries_per_second", "12,345"]
    assert lines[1] == "one: seconds 1.5"
    assert json.loads(lines[-1])["bench"] == "some"


def test_quick_means_one_round_unless_rounds_are_named() -> None:
    assert harness.arguments("some", "", []).rounds == 3
    assert harness.arguments("some", "", ["--quick"]).rounds == 1
    assert harness.arguments("some", "", ["--quick", "--rounds", "5"]).rounds == 5


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert harness.percentile(values, 0.5) == 50
    assert harness.percentile(values, 0.99) == 99
    assert harness.percentile(values, 1.0) == 100
    assert harness.percentile([7.0], 0.99) == 7
    with pytest.raises(BenchError):
        harness.percentile([], 0.5)


def test_rounds_take_turns() -> None:
    order: list[str] = []
    found = harness.interleaved(2, {"a": lambda: order.append("a"), "b": lambda: order.append("b")})
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [None, None], "b": [None, None]}


def test_anonymous_memory_is_counted_and_grows_with_what_is_held() -> None:
    before = harness.anon_mb()
    held = bytearray(os.urandom(1 << 20) * 64)
    assert harness.anon_mb() - before > 32
    assert len(held) == 64 << 20


def test_a_named_folder_stays_and_another_goes(tmp_path: Path) -> None:
    with harness.workplace(tmp_path / "kept") as kept:
        (kept / "file").touch()
    with harness.workplace(None) as lent:
        (lent / "file").touch()
    assert (kept / "file").exists()
    assert not lent.exists()
