"""What a node refused is compared as if it held it, and asked for again by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from banyan_crdt.errors import Reason
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_node.api.methods.network import network_view
from banyan_node.context import Context
from banyan_replica.frontier.rows import id_words, name_words
from banyan_replica.frontier.sketch import Key, Numbers, P, add_one, decode, empty, key_of, pack, place, submod, weight
from banyan_replica.sync.repeats import UnacceptedLogs
from banyan_replica.wire.messages import AS_IF, Heads, Sketch, SketchCells, SketchNames, Wants
from tests.crdt.make import Person
from tests.model.world_net import Tuning, tuned
from tests.replica.forging import WIDE, Forger, Pair
from tests.replica.stuck import Scene, scene
from tests.replica.test_refusals import refuse

KEY, SALTED = key_of(WIDE.id), key_of(b"a salt")
NOTHING = Head(0, None, 0)


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    with tuned(Tuning(piece=2_000, small=1_000, beside=40)):
        yield


def name(n: int) -> LogId:
    return LogId(AccountId(n.to_bytes(32, "big")), WriterKey(n.to_bytes(32, "little")), 1)


def head(rng: random.Random, length: int) -> Head:
    return Head(length, EntryId(rng.randbytes(32)), 0) if length else NOTHING


def table(key: Key, heads: dict[LogId, Head]) -> Numbers:
    out = empty()
    for log, at in heads.items():
        if at.length:
            add_one(out, place(key, *name_words(log)), weight(key, *id_words(at), at.length, at.flag))
    return out


def differ(refused: UnacceptedLogs, key: Key, mine: dict[LogId, Head], theirs: dict[LogId, Head]) -> dict[int, int]:
    found = decode(submod(refused.shown(table(key, mine), key), table(key, theirs)))
    assert not found.left
    return found.items


@pytest.mark.parametrize("key", [KEY, SALTED])
@pytest.mark.parametrize("seed", range(8))
def test_only_what_was_not_refused_and_what_moved_since_is_found(seed: int, key: Key) -> None:
    rng, refused = random.Random(seed), UnacceptedLogs(KEY)
    names = [name(n + 1) for n in range(60)]
    mine = {log: head(rng, rng.choice((0, 3))) for log in names}
    theirs = dict(mine)
    for log in names[:40]:
        theirs[log] = head(rng, 3 + rng.randrange(1, 4))
        refused.put(log, theirs[log], mine[log], 100)
        if rng.random() < 0.2:
            refused.gone()
            differ(refused, KEY, mine, theirs)
    assert not differ(refused, key, mine, theirs)
    moved = set(rng.sample(names, 10))
    for log in moved:
        theirs[log] = head(rng, 9)
    assert differ(refused, key, mine, theirs).keys() == {place(key, *name_words(log)) for log in moved}
    for h, w in differ(refused, KEY, mine, theirs).items():
        (log,) = (x for x in names if place(KEY, *name_words(x)) == h)
        held = weight(KEY, *id_words(mine[log]), 3, 0) if mine[log].length else 0
        assert refused.real(h, w) == (held - weight(KEY, *id_words(theirs[log]), 9, 0)) % P
        assert refused.theirs(log) is None, "it is compared again"
    for log in names[:40]:
        refused.end(log)
    assert not len(refused)
    assert len(differ(refused, key, mine, theirs)) == sum(mine[log] != theirs[log] for log in names)


def test_what_stood_before_it_was_refused_stays_as_it_is_and_is_held_by_the_peer() -> None:
    refused, theirs = UnacceptedLogs(KEY), head(random.Random(1), 5)
    refused.put(name(1), theirs, NOTHING, 9)
    t = weight(KEY, *id_words(theirs), 5, 0)
    assert refused.real(place(KEY, *name_words(name(1))), t) == 0
    assert refused.theirs(name(1)) == theirs
    assert refused.real(7, t) == t, "another log"


def test_as_many_are_remembered_as_there_is_room_for_and_each_has_its_turn() -> None:
    rng, refused = random.Random(1), UnacceptedLogs(KEY)
    heads = {name(n): head(rng, n) for n in range(1, 8)}
    for log, theirs in heads.items():
        refused.put(log, theirs, NOTHING, 5)
    assert list(refused.next(2)) == [name(3), name(4)], "the oldest went"
    assert list(refused.next(9).items()) == [(name(n), heads[name(n)]) for n in (5, 6, 7, 3, 4)]
    changes = refused.changes
    refused.put(name(5), heads[name(5)], NOTHING, 5)
    assert (len(refused), refused.changes) == (5, changes)


def both(there: Scene) -> list[int]:
    return [len(there.w.replicas[x].sync.asking.refused_by(there.w.replicas[x].links[y])) for x, y in ("ab", "ba")]


@pytest.mark.parametrize("reads", [True, False])
def test_what_one_node_refuses_is_neither_found_nor_told_again(reads: bool) -> None:
    """reads: the holder knows answers that claim nothing; one of the first release does not."""
    there = scene(50)
    w = there.w
    if not reads:
        w.replicas["b"].links["a"].told.reads_as_if = False
    w.said = []
    there.minute()
    assert both(there) == [0, 50]
    states = {m.state for name, m in w.said if name == "b" and isinstance(m, SketchCells)}
    assert (AS_IF in states) == reads
    heads = sum(len(m.heads) for _, m in w.said if isinstance(m, Heads))
    assert heads < (30 if reads else 300)
    w.said.clear()
    assert there.minute()[1] < 20
    assert sum(len(m.heads) for _, m in w.said if isinstance(m, Heads)) < (10 if reads else 300)
    assert not [m for name, m in w.said if name == "b" and isinstance(m, SketchNames)]


def test_what_was_refused_for_a_reason_that_is_gone_comes_by_itself() -> None:
    there = scene(600)
    w = there.w
    w.said = []
    w.run(40)
    assert both(there) == [0, 600]
    asked = sum(len(m.wants) for name, m in w.said if name == "b" and isinstance(m, Wants))
    assert 100 < asked < 550, "within the bytes that may come again"
    for method in ("run", "control", "checkpoint"):
        delattr(w.replicas["b"].ingest, method)
    w.until(lambda: both(there) == [0, 0], 600)
    assert w.same()


def test_a_log_that_grows_while_it_is_refused_is_told_each_time_it_grew() -> None:
    there = scene(3)
    w, log = there.w, LogId(there.who.id, there.who.device, 2)
    w.run(30)
    entries = there.who.write(1, log=2)
    for n in range(2, 6):
        entries = there.who.write(1, entries, log=2)
        assert not w.give("a", entries, n - 1)
        w.run(30)
        refused = w.replicas["b"].sync.asking.refused_by(w.replicas["b"].links["a"])
        assert refused.theirs(log) == w.head("a", log)
    assert both(there) == [0, 3]


def test_what_the_holder_needs_of_ours_is_told_though_its_own_is_refused() -> None:
    w, who = Pair(WIDE), Forger(WIDE)
    for node in "ab":
        w.control(node, who)
        assert not w.give(node, who.write(3))
    w.link("a", "b")
    w.until(w.same, 60)
    w.unlink("a", "b")
    assert not w.give("a", who.write(4, who.write(3), salt=1), 3)
    assert not w.give("b", who.write(1, who.write(3), salt=9), 3)
    refuse(w, "b", who.id, "busy")
    w.link("a", "b")
    w.until(lambda: w.head("a", who.log).flag == 1, 60)
    w.run(10)
    assert w.replicas["b"].sync.asking.refused_by(w.replicas["b"].links["a"]).theirs(who.log) is None


def test_what_has_no_room_is_not_compared_as_if_it_were_held() -> None:
    there = scene(20, "full")
    there.w.run(60)
    assert both(there) == [0, 0]


def test_an_answer_that_claims_nothing_is_not_taken_for_a_claim() -> None:
    """The peer shows a longer log: it is asked which one it is, as it may not hold it."""
    w = Pair(WIDE)
    person: Person = w.person("a", "someone")
    w.post("a", person, 2)
    w.rogue("r", "a")
    w.run(10)
    asked = [m for m in w.heard["r"] if isinstance(m, Sketch)]
    assert asked
    tree = w.replicas["a"].tree
    mine = tree.table(b"")
    assert mine is not None
    cells = mine.cells.copy()
    log, at = person.log(), w.head("a", person.log())
    add_one(cells, place(KEY, *name_words(log)), (5 << 29) % P)
    w.heard["r"].clear()
    w.say("r", "a", SketchCells(asked[-1].salt, 0, AS_IF, 5, pack(cells[:40])))
    w.run(1)
    assert at.length
    assert not [m for m in w.heard["r"] if isinstance(m, Wants)]
    assert [m for m in w.heard["r"] if isinstance(m, SketchNames)]


def test_of_two_logs_that_were_ground_to_have_one_place_the_later_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_replica.sync.repeats.place", lambda *_: 7)
    refused, rng = UnacceptedLogs(KEY), random.Random(1)
    for log in (name(1), name(2), name(1)):
        refused.put(log, head(rng, 3), NOTHING, 9)
        assert len(refused) == 1
        assert refused.theirs(log) is not None
    refused.end(name(2))
    refused.end(name(1))
    assert len(refused) == 0


@pytest.mark.parametrize("reason", ["busy", "full"])
def test_an_operator_who_asks_what_differs_is_told_all_of_it(reason: Reason) -> None:
    """busy: b compares as if it held them. full: they are told a few times, and then stand for a."""
    there = scene(20, reason)
    for _ in range(12):
        there.minute()
    asks = "b" if reason == "busy" else "a"
    replica, peer = there.w.replicas[asks], "ab".replace(asks, "")
    ctx = cast(Context, SimpleNamespace(replica=replica))
    network_view.compare_with(ctx, peer, there.w.now)
    there.w.run(5)
    known = network_view.facts(ctx, peer, there.w.now).differences
    assert sum(log.account == there.who.id and replica.store.head(log) != head for log, head in known.items()) == 20
