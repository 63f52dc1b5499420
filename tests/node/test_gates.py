"""The list of gates is whole: each stands where it says, and nothing refuses or delays that is not in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from banyan_node.admission.gates import FRAME, LATELY_S, NAMES, OTHERS, REQUEST, AdmissionStop, AdmissionTally
from docs.generate import places

ROOT = Path(__file__).parent.parent.parent
GATES = {**FRAME, **REQUEST}
ROOMS = ("node/banyan_node", "replica/banyan_replica", "web/banyan_web")
TOO_MUCH = {429, 503}
"""Statuses by which HTTP refuses whoever asks too much; those of bodies and tokens have one gate each
(`refusals.GATES`)."""
UNCOUNTED = {
    "oauth/grants.py": "`_broken` counts",
    "platform/hosting.py": "a line of many, which the node refuses: it has no gate",
    "platform/json_lines.py": "what the node refuses of lines: it has no gate; those of a body count as they come",
    "page/public.py": "what the node says of a question stands in the page of its answers",
    "mastodon/endpoints/media.py": "what the node says of a file is kept, and said when it is asked for",
    "mastodon/push/sender.py": "a log says it: nobody is answered",
    "mastodon/streaming/hub.py": "a stream leaves out what is not shown",
}
"""Where a refusal that is caught is no answer of a gate, each with what becomes of it."""
SAID = ("message", "body", "status")
"""What an answer takes of a refusal."""
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


PLACES = places()


def test_no_gate_has_a_name_twice() -> None:
    assert not FRAME.keys() & REQUEST.keys()


def test_each_gate_of_the_list_stands_in_the_code_and_no_other() -> None:
    assert {place.gate for place in PLACES} == GATES.keys()


def test_the_page_has_the_sentences_that_stand_beside_a_gate() -> None:
    says = {(place.gate, sentence) for place in PLACES for sentence in place.says}
    assert {
        ("network", "… is not an address that the CIDR settings admit"),
        ("hello", "protocol version … meets …: update the older node"),
        ("rate", "Too many requests"),
        ("queue", "Many who are not logged in write at the moment; try again soon."),
        ("host", "The Host header is …; this answers to localhost, 127.0.0.1 and [::1]."),
    } <= says


def test_a_refusal_for_too_much_names_its_gate() -> None:
    """So that a new gate is in the list."""
    refusals = [(file, call) for file, name, call in CALLS if name == "HttpRefusal"]
    assert [
        f"{file}:{call.lineno}"
        for file, call in refusals
        if isinstance(call.args[0], ast.Constant) and call.args[0].value in TOO_MUCH
        if not any(key.arg == "gate" for key in call.keywords)
    ] == []


def test_whoever_answers_with_a_refusal_counts_it() -> None:
    """Each handler of the door that catches one, names what it says, and raises none: `RateLimits.refused`."""
    found = set[str]()
    for file in [file for file in FILES if file.startswith("web/")]:
        for handler in ast.walk(ast.parse(FILES[file])):
            if not isinstance(handler, ast.ExceptHandler) or ast.unparse(handler.type or handler) != "HttpRefusal":
                continue
            inner = [node for one in handler.body for node in ast.walk(one)]
            said = [
                one for one in inner if isinstance(one, ast.Attribute) and one.attr in ("message", "body", "status")
            ]
            given = [one for call in inner if isinstance(call, ast.Call) for one in call.args]
            says = any(ast.unparse(one) == handler.name for one in [*given, *(one.value for one in said)])
            counts = any(isinstance(one, ast.Call) and ast.unparse(one.func).endswith("refused") for one in inner)
            if says and not counts and not any(isinstance(one, ast.Raise) for one in inner):
                found.add(file.removeprefix("web/banyan_web/"))
    assert found == UNCOUNTED.keys()


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
    tally.stopped("read", "slower", seconds=0.5)
    assert tally.most()[1] == AdmissionStop("read", "slower", 2, 3.5), "of before and lately together"
    now += LATELY_S
    assert tally.most() == [AdmissionStop("slots", "one", 1, 0.0), AdmissionStop("read", "slower", 1, 0.5)]
    now += 2 * LATELY_S
    assert tally.most() == []


def test_ever_new_names_are_counted_together() -> None:
    tally = AdmissionTally(clock=lambda: 0.0)
    for n in range(2 * NAMES):
        tally.stopped("slots", f"peer {n}")
    assert tally.most() == [AdmissionStop("slots", OTHERS, NAMES, 0.0)]
