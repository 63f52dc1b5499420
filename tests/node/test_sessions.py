"""Sessions: their states and steps, which object writes which field, and what a peer may not send in a state."""

from __future__ import annotations

import ast
import inspect
import random
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.ids import Head
from banyan_replica.peers.flow import Flow
from banyan_replica.peers.ledger import Leak, Load, Scale
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import Course, PeerClaims, PeerSession
from banyan_replica.peers.states import (
    COURSE,
    LIFE,
    READER,
    TURN,
    CourseState,
    IllegalStep,
    LifeState,
    ReaderState,
    TurnState,
    step,
)
from banyan_replica.sync.catchup import PeerReader, SpanRead
from banyan_replica.sync.orders import Orders, RangeForPeer, ReplayForPeer
from banyan_replica.sync.peer_debt import Later, OwedLogs, OwedRanges, Pace, PeerDebt
from banyan_replica.sync.replay import note_agreement
from banyan_replica.wire.message_table import TABLE, Who, before_hello
from banyan_replica.wire.messages import (
    BUSY,
    LAST,
    TOO_MANY,
    ActNames,
    Answered,
    Bye,
    CharterActs,
    CharterState,
    Credit,
    DataItems,
    Digests,
    GossipFrame,
    Heads,
    Interest,
    JoinAlliance,
    Joined,
    Message,
    Notices,
    Parts,
    Replay,
    Replayed,
    Root,
    Scan,
    Scanned,
    Shared,
    Sketch,
    SketchCells,
    SketchNames,
    Sums,
    WantActs,
    WantDigests,
    WantNames,
    WantNotices,
    WantParts,
    Wants,
)
from tests.crdt.make import Person
from tests.needs import numbers
from tests.replica.helpers import NOW_MS, World, data, plain_hello, run_item
from tests.replica.test_missing_parts import bare

ROOT = Path(__file__).parents[2]
MACHINES: list[tuple[Any, Enum]] = [
    (LIFE, LifeState.GREETING),
    (COURSE, CourseState.APART),
    (READER, ReaderState.IDLE),
    (TURN, TurnState.IDLE),
]


# -- the tables


def reached(table: Any, start: Enum) -> set[Enum]:
    seen, todo = {start}, [start]
    while todo:
        for after in table[todo.pop()].values():
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


@pytest.mark.parametrize(("table", "start"), MACHINES, ids=lambda x: type(x).__name__ if isinstance(x, Enum) else "")
def test_every_state_of_a_machine_can_be_reached_and_every_event_is_known_somewhere(table: Any, start: Enum) -> None:
    assert reached(table, start) == set(table) == set(type(start))
    events: set[Enum] = {event for steps in table.values() for event in steps}
    assert events == set(type(next(iter(events))))


@pytest.mark.parametrize(("table", "start"), MACHINES, ids=lambda x: type(x).__name__ if isinstance(x, Enum) else "")
def test_an_event_in_a_state_that_does_not_know_it_raises(table: Any, start: Enum) -> None:
    events = {event for steps in table.values() for event in steps}
    for state in type(start):
        for event in events:
            if event in table[state]:
                assert step(table, state, event) is table[state][event]
            else:
                with pytest.raises(IllegalStep, match=f"{state.name} has no step for {event.name}"):
                    step(table, state, event)


# -- who writes what

OBJECTS = (
    PeerSession, Flow, Load, Leak, PeerClaims, Course, Orders, RangeForPeer, ReplayForPeer, PeerDebt, OwedLogs,
    OwedRanges, Later, Pace, PeerReader, SpanRead,
)  # fmt: skip
CHANGING = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "move_to_end", "pop", "popitem", "popleft",
    "remove", "setdefault", "update",
}  # fmt: skip
OTHERS = {
    ("gossip/neighbour_queues.py", "link"), ("gossip/plumtree.py", "link"), ("gossip/plumtree.py", "note"),
    ("peers/ledger.py", "account"), ("sync/comparison.py", "at"),
    ("sync/comparison.py", "build"), ("sync/sync.py", "pair"), ("upkeep/log_check.py", "self._found"),
    ("banyan_sim/wires.py", "wire"), ("media/blob_fetcher.py", "fetch"), ("media/prefetch.py", "place"),
    ("importing/streams.py", "text"), ("importing/transfer.py", "self.totals"), ("importing/twitter.py", "known"),
}  # fmt: skip
"""Variables that hold other objects, which have fields of the same names."""


def owners() -> dict[str, set[Path]]:
    """Field -> the modules of the classes that have it."""
    found: dict[str, set[Path]] = {}
    for kind in OBJECTS:
        for name in kind.__slots__:
            found.setdefault(name, set()).add(Path(inspect.getfile(kind)))
    return found


def written(tree: ast.AST, fields: set[str]) -> Iterator[tuple[str, int]]:
    """(field, line) of all assignments to a field of another object than `self`, or into its value."""
    for node in ast.walk(tree):
        target: ast.AST | None = None
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            target = node
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            target = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            target = node.func.value
        if not isinstance(target, ast.Attribute) or target.attr not in fields:
            continue
        if not (isinstance(target.value, ast.Name) and target.value.id == "self"):
            yield ast.unparse(target), target.lineno


def test_every_field_of_a_session_is_written_by_the_module_of_its_object_alone() -> None:
    fields, wrong = owners(), []
    for room in ("replica", "node", "sim", "cli", "bench"):
        for path in sorted((ROOT / room).rglob("*.py")):
            theirs = {name for name, modules in fields.items() if path not in modules}
            for what, line in written(ast.parse(path.read_text("utf-8")), theirs):
                if (f"{path.parent.name}/{path.name}", what.rsplit(".", 1)[0]) not in OTHERS:
                    wrong.append(f"{path.relative_to(ROOT)}:{line} {what}")
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    [
        "link.hello = m",
        "link.flow.window += 1",
        "link.told.differences.clear()",
        "link.told.differences[log] = head",
        "del link.owed.later.accounts[account]",
        "link.flow.came, rest = 1, 2",
        "for link.told.root in roots: pass",
    ],
)
def test_a_write_from_outside_is_seen(line: str) -> None:
    assert list(written(ast.parse(line), set(owners())))


def test_no_object_of_a_session_has_more_than_twelve_fields() -> None:
    assert {kind.__name__: len(kind.__slots__) for kind in OBJECTS if len(kind.__slots__) > 12} == {}


# -- the course


def test_equal_roots_do_not_end_a_replay_so_the_rest_of_it_is_not_unasked() -> None:
    w, an = World("a"), Person("an")
    w.replicas["a"].ingest.control(an.id, an.control, NOW_MS)
    note_agreement(w.replicas["a"].store, plain_hello().store_id, 5)
    w.drain("a")
    w.rogue("r", "a", arrival=1_000)
    link = w.replicas["a"].links["r"]
    assert link.course.state.name == "REPLAYING"
    w.say("r", "a", Root(w.replicas["a"].tree.count, w.replicas["a"].tree.root, 1_000))
    assert link.course.state.name == "REPLAYING"
    w.say("r", "a", data(run_item(an.write(5))))
    assert link.owed.pace.stray(0, w.now) == 0
    w.say("r", "a", Replayed(1_000, 1))
    assert link.course.state.name == "REPLAYED"
    w.say("r", "a", Root(w.replicas["a"].tree.count, w.replicas["a"].tree.root, 1_000))
    assert link.course.state.name == "LIVE"


def test_what_a_replay_left_is_found_by_comparing_even_if_more_came_at_the_peer_meanwhile() -> None:
    w = World("a")
    note_agreement(w.replicas["a"].store, plain_hello().store_id, 5)
    w.drain("a")
    w.rogue("r", "a", arrival=1_000, root=b"1" * 32)
    w.say("r", "a", Replayed(1_000, 1))
    w.say("r", "a", Root(0, b"2" * 32, 2_000))
    w.run(0.1)
    assert [type(m) for m in w.heard["r"] if isinstance(m, Replay | Sketch)] == [Replay, Sketch]


def test_a_comparison_has_its_time_and_the_next_waits_for_it() -> None:
    w = World("a")
    w.rogue("r", "a", root=b"1" * 32)
    link = w.replicas["a"].links["r"]
    assert link.course.state.name == "COMPARING"
    w.run(1)
    w.heard["r"].clear()
    w.say("r", "a", Root(0, b"2" * 32, 0))
    w.run(0.1)
    assert not [m for m in w.heard["r"] if isinstance(m, Sketch)]
    w.run(w.limits.session_s)
    w.say("r", "a", Root(0, b"3" * 32, 0))
    w.run(0.1)
    assert [m for m in w.heard["r"] if isinstance(m, Sketch)]


# -- what is not heard

UNASKED: list[Message] = [
    GossipFrame([]), Root(9, bytes(32), 9), Sums(b"", b"", [(0, bytes(16))] * 16), Heads(b"", 1, []), Wants([]),
    DataItems([]), Credit(1), WantParts([]), Parts([]), Replay(0), Scan(1, b"", LAST), Scanned(1, LAST, 1), Answered(1),
    Sketch(b"", 0, 0, 0, bytes(88)), SketchCells(b"", 0, BUSY, 0, b""), SketchNames(b"", b""),
    Replayed(1, 1), Interest(0, b""), Shared(bytes(8), bytes(32)), WantNotices(bytes(8), bytes(32)),
    Notices(bytes(8), 0, []), CharterState(bytes(32), 0, bytes(32)),
    WantDigests(bytes(32), 0), Digests(bytes(32), 0, b""),
    WantNames(bytes(32), 0, b""), ActNames(bytes(32), 0, b""), WantActs(bytes(32), 0, b""),
    CharterActs(bytes(32), 0, []), JoinAlliance(bytes(32), b"", bytes(64)), Joined(0, b""),
]  # fmt: skip
"""One of each but hello, bye and witness."""


def state_of(link: PeerSession) -> tuple[Any, ...]:
    return link.life, link.course.state, link.orders.state, link.told.root, link.told.arrival, link.flow.came


@pytest.mark.parametrize("message", UNASKED, ids=lambda m: type(m).__name__)
def test_what_comes_before_the_hello_is_not_heard_and_costs_nothing(message: Message) -> None:
    w = World("a")
    w.link("r", "a")
    link = w.replicas["a"].links["r"]
    before = state_of(link)
    w.say("r", "a", message)
    assert state_of(link) == before
    w.run(0.1)
    assert w.points("a", "r") == 0
    assert {type(m).__name__ for m in w.heard["r"]} <= {"Hello", "GossipFrame"}


def test_one_of_every_message_is_tried_before_the_hello() -> None:
    made = {line.shape.made.__name__ for line in TABLE if not line.before_hello}
    assert made - {type(m).__name__ for m in UNASKED} == {"Witness"}
    assert [m for m in UNASKED if before_hello(m)] == []


@pytest.mark.parametrize(
    ("message", "answers"), [(Root(9, b"9" * 32, 9), []), (Replay(7), [Replayed(7, 1)])], ids=["root", "replay"]
)
def test_where_one_holds_chosen_accounts_nothing_is_replayed(message: Message, answers: list[Message]) -> None:
    w = World("a")
    w.person("a", "an")
    w.rogue("r", "a", partial=1)
    w.run(1)
    w.heard["r"].clear()
    before = state_of(w.replicas["a"].links["r"])
    w.say("r", "a", message)
    assert state_of(w.replicas["a"].links["r"]) == before
    w.run(0.1)
    assert w.points("a", "r") == 0
    assert [m for m in w.heard["r"] if isinstance(m, DataItems | Replayed | Scanned | Sketch)] == answers


def test_a_share_is_not_heard_of_where_both_hold_everything() -> None:
    w = World("a")
    w.rogue("r", "a")
    before = state_of(w.replicas["a"].links["r"])
    w.say("r", "a", Shared(bytes(8), b"1" * 32))
    assert state_of(w.replicas["a"].links["r"]) == before
    assert w.points("a", "r") == 0


def test_unasked_answers_are_ignored_and_cost_nothing() -> None:
    w = World("a")
    w.rogue("r", "a", logs=0, root=World("b").replicas["b"].tree.root)
    link = w.replicas["a"].links["r"]
    before = state_of(link)
    salt = b"0123456789abcdef"
    w.say(
        "r", "a", SketchCells(salt, 0, BUSY, 0, b""), Replayed(3, 1), Scanned(1, LAST, 1), Answered(0), Credit(1 << 40)
    )
    assert state_of(link) == before
    assert w.points("a", "r") == 0


def test_content_is_taken_from_every_peer_with_an_open_question() -> None:
    w, an = World("a"), Person("an")
    whole, structure = bare(an, 2)
    held = whole.replicas["whole"].store
    w.rogue("r", "a")
    w.say("r", "a", structure)
    lacked = w.replicas["a"].store.counts().lacking
    pieces = [(row[0], 0, held.part(row[0], 0), b"") for row in [(e.id,) for e in held.chain(an.log())]]
    w.say("r", "a", Parts(pieces[:1]))
    assert w.replicas["a"].store.counts().lacking == lacked, "nobody asked for it yet"
    w.run(5)
    asked = sum(isinstance(m, WantParts) for m in w.heard["r"])
    assert asked > 1
    for _ in range(asked - 1):
        w.say("r", "a", Parts([]))
    w.say("r", "a", Parts(pieces))
    assert w.replicas["a"].store.counts().lacking == lacked - 2
    assert w.points("a", "r") == 0


def test_who_said_goodbye_is_not_heard_any_more() -> None:
    w = World("a")
    w.rogue("r", "a")
    w.say("r", "a", Bye(b"see you"), encode([99]), Root(9, bytes(32), 9))
    link = w.replicas["a"].links["r"]
    assert link.life.name == "CLOSING"
    assert link.told.arrival == 0
    assert w.points("a", "r") == 0
    assert w.cut == [("a", "r", "the peer says: see you")]


def test_whatever_peers_say_in_whatever_order_no_step_is_illegal_and_every_state_is_seen() -> None:
    seen = set[Enum]().union(*(chatter(seed) for seed in numbers(20, 2)))
    assert seen == {*CourseState, *TurnState}


def chatter(seed: int) -> set[Enum]:
    """The states of two peers that send anything at any time."""
    rng, seen = random.Random(seed), set[Enum]()
    w = World("a", seed=seed, limits=Limits(scale=Scale(let_go_at=1 << 30, ban_at=1 << 30)))
    a, an = w.replicas["a"], w.person("a", "an")
    w.post("a", an, 5)
    note_agreement(a.store, plain_hello().store_id, 5)
    w.drain("a")
    claims: list[Message] = [
        Root(0, b"1" * 32, 1_000),
        Root(100_000, b"2" * 32, 9),
        SketchCells(b"", 0, TOO_MANY, 0, b""),
        Answered(0),
    ]
    for n in range(200):
        peer = rng.choice(["r1", "r2"])
        if peer not in a.links:
            arrival, partial = rng.choice([0, 1_000]), int(rng.random() < 0.1)
            w.rogue(peer, "a", arrival=arrival, partial=partial, root=bytes([n]) * 32)
        link = a.links[peer]
        if rng.random() < 0.2:
            link.flow.granted(-link.flow.may_send, 0.0)
        read = Scanned(link.owed.ranges.last, rng.choice([b"", LAST]), rng.randrange(3))
        sayable: list[Message] = [*UNASKED, *claims, Root(a.tree.count, a.tree.root, 1_000), read]
        w.say(peer, "a", rng.choice(sayable))
        if rng.random() < 0.1:
            w.post("a", an, 1)
        if rng.random() < 0.05:
            a.commit_failed(None)
        if rng.random() < 0.02:
            w.unlink(peer, "a")
        w.run(rng.choice([0, 0, 0.1, 1, 12]))
        for one in a.links.values():
            seen |= {one.course.state, one.orders.state}
            assert (one.orders.retold is not None) == (one.orders.state in (TurnState.RETELLING, TurnState.BOTH))
            assert (one.orders.aloud is not None) == (one.orders.state in (TurnState.READING, TurnState.BOTH))
    return seen


def test_every_kind_of_sender_is_judged() -> None:
    assert {line.who for line in TABLE} == set(Who)


def test_a_peer_that_is_read_to_is_told_of_both_when_it_asks_for_a_replay_and_a_range() -> None:
    w = World("a")
    an = w.person("a", "an")
    w.post("a", an, 3)
    w.rogue("r", "a")
    w.run(0.1)
    link = w.replicas["a"].links["r"]
    w.heard["r"].clear()
    link.flow.may_send = 0
    w.say("r", "a", Scan(1, b"", LAST), Replay(0))
    assert link.orders.state.name == "BOTH"
    link.flow.may_send = link.flow.most
    w.replicas["a"].sync.serving.pump(link)
    w.run(0.1)
    ends = [m for m in w.heard["r"] if isinstance(m, Replayed | Scanned)]
    assert [type(m) for m in ends] == [Replayed, Scanned]
    assert link.orders.state.name == "IDLE"


def test_heads_that_differ_are_remembered_until_roots_agree() -> None:
    w = World("a")
    an = w.person("a", "an")
    w.rogue("r", "a")
    link = w.replicas["a"].links["r"]
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(3, None, 0))]))
    assert list(link.told.differences) == [an.log()]
    w.say("r", "a", Root(w.replicas["a"].tree.count, w.replicas["a"].tree.root, 1))
    assert not link.told.differences
