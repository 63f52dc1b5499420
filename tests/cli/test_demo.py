"""The demo: four real processes end with one graph, in less than a minute, and leave nothing behind."""

from __future__ import annotations

import io
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from banyan_cli import errors
from banyan_cli.demo.nodes import DemoNode
from banyan_cli.demo.story import CAST, FIRST_WORDS, ISLAND_WORDS, MAINLAND_WORDS, NAMES, Screen, frontiers
from tests.cli.shell import COMMAND, banyan, clean_environment, forked


def _status(entries: int, root: str, lacking: int = 0) -> dict[str, Any]:
    return {"entries": entries, "root": root * 32, "peers": 3, "lacking_parts": lacking}


class _Forked:
    """A node of the demo, as `subprocess.Popen` shows one, forked from a process that has loaded the program."""

    def __init__(self, node: DemoNode) -> None:
        self._made = forked(node.home.path.with_suffix(".log"), "--home", node.home.path, "up")
        self.terminate, self.kill = self._made.terminate, self._made.kill

    def poll(self) -> int | None:
        return self._made.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._made.join(timeout)
        if self._made.exitcode is None:
            raise subprocess.TimeoutExpired("up", timeout or 0)
        return self._made.exitcode


def test_the_demo_converges_prints_what_it_promises_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = list[_Forked]()

    def start(node: DemoNode) -> None:
        started.append(_Forked(node))
        monkeypatch.setattr(node, "_process", started[-1])

    monkeypatch.setattr(DemoNode, "start", start)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = signal.getsignal(signal.SIGTERM)
    try:
        ran = banyan("demo", "--exit", "--json")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ran.code == 0, ran.err
    result = ran.json
    assert set(result) == {"converged", "nodes", "digests", "views", "entries", "seconds"}
    assert (result["converged"], result["nodes"]) == (True, 4)
    assert len(result["digests"]) == len(result["views"]) == 4
    assert len(set(result["digests"])) == len(set(result["views"])) == 1
    assert result["entries"] > 50
    assert result["seconds"] > 0
    assert "Cedar is cut off" in ran.err
    assert [node.poll() for node in started] == [0, 0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_says_again_and_again_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_cli.demo.story.SILENCE_SECONDS", 0.4)
    out = io.StringIO()
    with Screen(Console(file=out), []).shown():
        deadline = time.monotonic() + 60
        while out.getvalue().count("the nodes are starting") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_demo_that_is_ended_early_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    env = {**clean_environment(), "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen([*COMMAND, "demo", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    deadline = time.monotonic() + 60
    while len(_processes(tmp_path)) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(_processes(tmp_path)) == 4
    demo.terminate()
    out, _ = demo.communicate(timeout=60)
    assert (demo.returncode, out) == (errors.INTERRUPTED, b"")
    assert list(tmp_path.iterdir()) == []
    assert _processes(tmp_path) == []


def _processes(folder: Path) -> list[Path]:
    return [p for p in Path("/proc").glob("[0-9]*") if str(folder) in _command_line(p)]


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text("utf-8", "replace")
    except OSError:
        return ""


def test_the_simulator_plays_the_same_world_twice_from_one_seed() -> None:
    first, second = (banyan("sim", "run", "--nodes", 6, "--seed", 7, "--json") for _ in range(2))
    assert first.code == 0, first.out + first.err
    assert first.json["converged"]
    assert first.json["nodes"] == 6
    assert (first.json["trace"], first.json["digest"]) == (second.json["trace"], second.json["digest"])


def test_every_author_in_the_demo_has_a_home() -> None:
    people = {person for part in CAST for person in (part.name, *part.people)}
    said = [*FIRST_WORDS, *(p for p, _ in ISLAND_WORDS), *(p for p, _ in MAINLAND_WORDS)]
    assert set(said) <= people
    assert len(NAMES) == 4


def test_the_view_lines_up_and_marks_who_is_cut_off() -> None:
    out = io.StringIO()
    rows = [
        ("lotus", "platform", _status(40, "ab")),
        ("cedar", "platform", _status(20, "cd")),
        ("mango", "platform", _status(40, "ab", 3)),
        ("pi", "hobbyist", None),
    ]
    Console(file=out, width=100, color_system=None).print(frontiers(rows, frozenset({"cedar"})))
    lines = out.getvalue().splitlines()
    assert any("cedar" in line and "cut off" in line for line in lines)
    assert any("mango" in line and "3 contents to come" in line for line in lines)
    assert any("pi" in line and "starting" in line for line in lines)
    assert all(cell_len(line) <= 100 for line in lines)
