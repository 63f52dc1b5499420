"""The list of gates is whole: each stands where it says, and nothing refuses or delays that is not in it."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from banyan_node.admission.gates import (
    FRAME,
    LATELY_S,
    NAMES,
    OTHERS,
    REQUEST,
    AdmissionStop,
    AdmissionTally,
    GateRecord,
)

ROOT = Path(__file__).parent.parent.parent
GATES: dict[str, GateRecord] = FRAME | REQUEST
ROOMS = ("node/banyan_node", "replica/banyan_replica", "web/banyan_web")
NAMED = {"stopped": 0, "_stopped": 0, "delay": 0, "bye": 1, "NotAdmitted": 0, "_let_go": 2}
"""Calls that name a gate, and at which place."""
TOO_MUCH = {429, 503}
"""Statuses by which HTTP refuses whoever asks too much; those of bodies and tokens have one gate each
(`refusals.GATES`)."""
TOLD = {"connection-refused", "stream-refused"}
"""Events of the edge about refusals."""


def files() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


FILES = dict(files())


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call: its file, the name of what is called."""
    for file, text in FILES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                yield file, getattr(node.func, "attr", getattr(node.func, "id", "")), node


CALLS = [*calls()]


def literal(node: ast.expr) -> set[str]:
    """The texts that an argument can be."""
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def named() -> Iterator[tuple[str, str]]:
    """(file, gate) of each place that names one."""
    for file, name, call in CALLS:
        if name in NAMED and len(call.args) > NAMED[name]:
            yield from ((file, gate) for gate in literal(call.args[NAMED[name]]) if gate)
        yield from ((file, gate) for key in call.keywords if key.arg == "gate" for gate in literal(key.value) if gate)
    for node in ast.walk(ast.parse(FILES["replica/banyan_replica/replica.py"])):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "self.stops" and literal(node.slice):
            yield "replica/banyan_replica/replica.py", literal(node.slice).pop()
    for gate in literal(
        next(
            one.value
            for one in ast.walk(ast.parse(FILES["web/banyan_web/refusals.py"]))
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "GATES"
        )
    ):
        yield "web/banyan_web/refusals.py", gate


PLACES = {*named()}


def test_no_gate_has_a_name_twice() -> None:
    assert not FRAME.keys() & REQUEST.keys()


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_stands_where_the_list_says(gate: str) -> None:
    assert any((file, gate) in PLACES for file in GATES[gate].where)


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_gives_the_reasons_of_the_list(gate: str) -> None:
    texts = [FILES[file] for file in GATES[gate].where]
    assert [piece for piece in GATES[gate].says if not any(piece in text for text in texts)] == []


def test_whatever_names_a_gate_stands_in_its_row() -> None:
    assert [place for place in sorted(PLACES) if place[0] not in GATES[place[1]].where] == []


def test_a_refusal_for_too_much_names_its_gate() -> None:
    """So that a new gate is in the list."""
    refusals = [(file, call) for file, name, call in CALLS if name == "HttpRefusal"]
    assert [
        f"{file}:{call.lineno}"
        for file, call in refusals
        if isinstance(call.args[0], ast.Constant) and call.args[0].value in TOO_MUCH
        if not any(key.arg == "gate" for key in call.keywords)
    ] == []


def test_what_the_edge_refuses_is_counted_at_a_gate() -> None:
    """Each function that tells of a refusal also counts it."""
    told = 0
    for file in [file for file in FILES if file.startswith("node/banyan_node/edge/")]:
        for function in ast.walk(ast.parse(FILES[file])):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                made = [one for one in ast.walk(function) if isinstance(one, ast.Call)]
                events = [one for one in made if ast.unparse(one.func) == "EdgeEvent" and literal(one.args[0]) & TOLD]
                told += len(events)
                counted = [one for one in made if ast.unparse(one.func).endswith("tally.stopped")]
                assert len(counted) >= len(events), f"{file}: {function.name}"
    assert told


def test_one_goodbye_names_no_gate_because_whoever_asks_for_it_counted() -> None:
    """That of `Peers.turn_away`."""
    unnamed = [file for file, name, call in CALLS if name == "bye" and not literal(call.args[1]) - {""}]
    assert unnamed == ["replica/banyan_replica/peers/peers.py"]


def test_the_page_shows_both_chains() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    made: str = runpy.run_path(str(ROOT / "docs" / "gates_table.py"))["filled"](page)
    assert page == made, "run `uv run python docs/gates_table.py`"


def test_the_tally_names_whom_a_gate_stopped_most_lately() -> None:
    now, registry = 0.0, CollectorRegistry()
    tally = AdmissionTally(registry, lambda: now)
    assert tally.most() == []
    tally.stopped("slots", "one")
    tally.stopped("rate", "other", 3)
    for peer, seconds in (("slow", 2.0), ("slower", 3.0)):
        with tally.delay("read", peer):
            now += seconds
    assert tally.most() == [AdmissionStop("rate", "other", 3, 0.0), AdmissionStop("read", "slower", 1, 3.0)]
    assert registry.get_sample_value("banyan_admission_stopped_total", {"gate": "read"}) == 2
    assert registry.get_sample_value("banyan_admission_delay_seconds_total", {"gate": "read"}) == 5.0
    now += LATELY_S
    tally.stopped("slots", "one")
    assert tally.most()[0].whom == "other"
    now += LATELY_S
    assert tally.most() == [AdmissionStop("slots", "one", 1, 0.0)]
    now += 2 * LATELY_S
    assert tally.most() == []


def test_ever_new_names_are_counted_together() -> None:
    tally = AdmissionTally(clock=lambda: 0.0)
    for n in range(2 * NAMES):
        tally.stopped("slots", f"peer {n}")
    assert tally.most() == [AdmissionStop("slots", OTHERS, NAMES, 0.0)]
