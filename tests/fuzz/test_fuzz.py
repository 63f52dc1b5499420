"""The kept inputs, some thousand new ones from a fixed seed, and that the fuzzer itself finds what it looks for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.errors import Malformed
from banyan_replica.message_dispatch import MessageDispatcher
from banyan_replica.replica import Replica
from tests.fuzz import corpus, hits, session, state
from tests.fuzz.engine import Engine
from tests.fuzz.mutate import raw_bytes
from tests.fuzz.target import Bound, Target
from tests.fuzz.targets import found

ROOT = Path(__file__).parents[2]
TARGETS = found()


def test_kept_and_new_inputs_find_nothing_and_stay_below_the_bounds_of_work_and_memory(tmp_path: Path) -> None:
    """Every kept input is read first; then some thousand are made of them."""
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "2000", "--seed", "suite", "--json"]
    done = subprocess.run([*command, "--state", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    found = "".join(path.read_text() for path in tmp_path.glob("faults/*.txt"))
    assert done.returncode == 0, found + done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert set(told["targets"]) == set(TARGETS)
    assert told["inputs"] >= 2000
    for name, row in told["targets"].items():
        assert row["kept"] > 1, name
        assert row["reached"] > 0, f"{name} runs no code that is named as its own"
        assert 0 < row["work"] <= 1, name
        assert row["memory"] <= 1, name


def test_the_file_of_kept_inputs_is_small_and_of_known_targets() -> None:
    assert corpus.KEPT.stat().st_size <= corpus.MOST_BYTES
    assert set(corpus.load()) == set(TARGETS)


# -- the fuzzer


def _toy(read: Any, **more: Any) -> Engine:
    engine = Engine(Target("toy", read, (ValueError,), lambda: [b"seed"], ("toy",), raw_bytes, **more))
    engine.begin([])
    return engine


SOURCE = b"""
def read(raw):
    if raw[:1] == b"a":
        if raw[1:2] == b"b":
            if raw[2:3] == b"c":
                raise KeyError(raw)
    for byte in raw:
        for other in raw if byte == 0 else ():
            pass
    raise ValueError
"""


@pytest.fixture
def toy() -> Any:
    """A decoder with counters."""
    names: dict[str, Any] = {hits.NAME: hits.COUNTERS}
    before = len(hits.BLOCKS)
    exec(hits.counted(SOURCE, "toy.py", "toy"), names)
    yield names["read"]
    del hits.BLOCKS[before:]


def test_an_input_behind_three_branches_is_found_step_by_step_and_made_small(toy: Any) -> None:
    run = _toy(toy).go(12_000, "1")
    assert [(fault.kind, fault.raw) for fault in run.faults] == [("KeyError at toy.py:6", b"abc")]
    assert run.refused > 0


def test_without_what_it_reaches_the_same_input_is_not_found(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "_new", lambda engine, found, raw: False)
    assert not _toy(toy).go(12_000, "1").faults


def test_work_beyond_the_bound_is_a_fault(toy: Any) -> None:
    assert not _toy(toy, work=Bound(100_000, 100)).go(2_000, "1").faults
    engine = _toy(toy, work=Bound(20, 4))
    engine.feed(bytes(30))
    assert [fault.kind for fault in engine.run.faults] == ["too much work at toy:9"]


def test_memory_beyond_the_bound_is_a_fault() -> None:
    engine = _toy(lambda raw: bytes(1000 * len(raw)), memory=Bound(50_000, 10))
    engine.feed(b"x" * 20, measured=True)
    assert not engine.run.faults
    engine.feed(b"x" * 200, measured=True)
    assert "took 200" in engine.run.faults[0].what


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    done = [state.advance(tmp_path, "crdt.header", until, "1") for until in (300, 300, 500)]
    assert done == [300, 300, 500]
    assert state.report(tmp_path, {"crdt.header": 500}, 0.0)["inputs"] == 500


# -- sequences of messages


@pytest.fixture(scope="module")
def catch_up() -> bytes:
    return session.stories()[1]


def test_a_story_reaches_its_end(catch_up: bytes) -> None:
    session.play(catch_up)


def test_what_is_raised_in_the_replica_is_noticed(catch_up: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MessageDispatcher, "_data", broken)
    with pytest.raises(ZeroDivisionError):
        session.play(catch_up)


def test_an_honest_peer_that_is_charged_is_noticed(catch_up: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(self: MessageDispatcher, link: Any, m: Any, now: float) -> None:
        raise Malformed("a hello again")

    monkeypatch.setattr(MessageDispatcher, "_hello", strict)
    with pytest.raises(AssertionError, match="charged"):
        session.play(catch_up)


def test_what_is_remembered_without_bound_is_noticed(catch_up: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, hoard = Replica.receive, list[bytes]()

    def hoards(self: Replica, peer: str, data: bytes, now: float, *rest: Any) -> None:
        self.__dict__["hoard"] = hoard
        hoard.append(bytes(1_000_000))
        plain(self, peer, data, now, *rest)

    monkeypatch.setattr(Replica, "receive", hoards)
    with pytest.raises(AssertionError, match="are remembered"):
        session.play(catch_up)


def test_nodes_that_do_not_become_equal_again_are_noticed(catch_up: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SETTLES_S", 5.0)
    plain = MessageDispatcher._message

    def deaf(self: MessageDispatcher, link: Any, m: Any, *rest: Any) -> None:
        if link.peer != "h":
            plain(self, link, m, *rest)

    monkeypatch.setattr(MessageDispatcher, "_message", deaf)
    with pytest.raises(AssertionError, match="not within 5"):
        session.play(catch_up)


def test_nothing_grows_when_the_same_is_said_again_and_again() -> None:
    """The second time may still add what is counted by peer or by minute; ten more times add nothing."""
    for raw in [raw for raw in session.stories() if session.read(raw)[0] == session.CHECKED][::2]:
        kept = []
        for times in (2, 12):
            scene, (_, steps) = session.Scene(True), session.read(raw)
            scene.link("a", "h")
            for name in session.SAYS:
                scene.link("a", name)
            for who, wait, what in steps * times:
                scene.run(wait / 1000)
                session.step(scene, who, what)
            scene.run(2.0)
            scene.judged()
            assert not scene.replicas["a"].links["r"].closing, "nobody listened, so this shows nothing"
            kept.append(session.remembered(scene.replicas["a"]))
        assert kept[1] < kept[0] + 20_000
