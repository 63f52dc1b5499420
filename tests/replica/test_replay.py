"""Coming back after an absence: what came since is sent once, without being asked for by name, and is checked."""

import pytest

from banyan_replica.peers.limits import Limits
from banyan_replica.sync import bulk_sender
from banyan_replica.sync.bulk_sender import BLOCK, SMALL
from banyan_replica.wire.message_table import decode_message, encode_message, is_bulk
from banyan_replica.wire.messages import (
    DataItems,
    GossipFrame,
    Hello,
    Message,
    Replay,
    Replayed,
    Root,
    RunItem,
    Scan,
    Sketch,
    Wants,
)
from tests.replica.helpers import World
from tests.replica.test_replica import filled, messages


def met(w: World, a: str, b: str) -> None:
    """Linked until both hold the same and have noted it, then separated."""
    w.link(a, b)
    w.until(lambda: w.same(f"{a} {b}"), 10)
    w.run(12)
    w.unlink(a, b)
    w.said = []


def heard(w: World) -> list[tuple[str, Message]]:
    return w.said or []


def runs(w: World, sender: str) -> int:
    items = (i for who, m in heard(w) if who == sender and isinstance(m, DataItems) for i in m.items)
    return sum(isinstance(i, RunItem) for i in items)


def said(w: World, sender: str, kind: type[Message]) -> int:
    return sum(isinstance(m, kind) for who, m in heard(w) if who == sender)


def test_who_was_away_is_sent_what_came_and_asks_for_nothing_by_name() -> None:
    w = World("a", "b")
    people = filled(w, "a", 8, 5)
    met(w, "a", "b")
    for person in people[:3]:
        w.post("a", person, 4)
    w.person("a", "somebody new")
    w.link("a", "b")
    w.until(w.same, 5)
    assert said(w, "b", Replay) == 1
    assert said(w, "b", Scan) == said(w, "b", Wants) == 0
    assert runs(w, "a") == 3
    assert w.replicas["b"].store.counts().lacking == 0


@pytest.mark.parametrize("block", [BLOCK, 7])
def test_a_log_that_was_touched_often_is_sent_once(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_sender, "BLOCK", block)
    w = World("a", "b")
    people = filled(w, "a", 3, 2)
    met(w, "a", "b")
    for _ in range(20):
        for person in people:
            w.post("a", person, 1)
    w.link("a", "b")
    w.until(w.same, 5)
    assert said(w, "b", Replay) == 1
    assert runs(w, "a") == 3


def test_who_got_it_from_others_meanwhile_compares_instead() -> None:
    w = World("a", "b", "c")
    people = filled(w, "a", 4, 3)
    met(w, "a", "b")
    for person in people:
        w.post("a", person, 10)
    w.link("a", "c")
    w.until(lambda: w.same("a c"), 10)
    w.unlink("a", "c")
    w.link("c", "b")
    w.until(lambda: w.same("b c"), 10)
    w.unlink("c", "b")
    w.post("a", people[0], 1)
    w.said = []
    w.link("a", "b")
    w.until(lambda: w.same("a b"), 5)
    assert said(w, "b", Replay) == 0
    assert said(w, "b", Sketch) >= 1


def test_a_replay_that_breaks_off_goes_on_where_it_was() -> None:
    w = World("a", "b")
    people = filled(w, "a", 30, 1)
    met(w, "a", "b")
    for person in people:  # more than one block of arrivals
        w.post("a", person, 100)
    dead = False

    def dies(sender: str, to: str, frame: bytes) -> bool:
        """The link dies after the first progress report."""
        nonlocal dead
        gone, dead = dead and sender == "a", dead or isinstance(decode_message(frame), Replayed)
        return gone

    w.lost = dies
    w.link("a", "b")
    w.run(1)
    first = next(m for who, m in heard(w) if who == "b" and isinstance(m, Replay))
    reached = next(m for who, m in heard(w) if who == "a" and isinstance(m, Replayed))
    assert first.arrival < reached.arrival < w.replicas["a"].store.last_arrival
    w.unlink("a", "b")
    w.lost = lambda sender, to, frame: False
    w.said = []
    w.link("a", "b")
    w.until(w.same, 20)
    assert [m for who, m in heard(w) if who == "b" and isinstance(m, Replay)] == [Replay(reached.arrival)]
    assert w.rejections("b") == w.rejections("a") == []


def test_a_peer_that_says_it_sent_all_and_sent_nothing_is_compared_with() -> None:
    w = World("a", "b")
    people = filled(w, "a", 3, 3)
    met(w, "a", "b")
    w.post("a", people[0], 3)

    def eaten(sender: str, to: str, frame: bytes) -> bool:
        return sender == "a" and said(w, "a", Replayed) == 0 and is_bulk(frame)

    w.lost = eaten
    w.link("a", "b")
    w.until(w.same, 20)
    assert said(w, "b", Replay) >= 1
    assert said(w, "b", Sketch) >= 1


def test_who_claims_ever_more_arrivals_and_sends_nothing_keeps_nobody_from_comparing() -> None:
    """While a replay comes, comparisons with others wait; but not for ever, for three liars in turn at each node."""
    w = World("a", "b")
    people = filled(w, "a", 3, 3)
    w.said = []
    w.link("a", "b")
    w.until(w.same, 10)
    w.run(12)
    arrival = 0

    def lie(k: int) -> None:
        """A liar comes anew and agrees, which is noted; then it claims that much came since, and sends nothing."""
        nonlocal arrival
        for name in "ab":
            tree = w.replicas[name].tree
            w.unlink(f"{k}{name}", name)
            w.rogue(f"{k}{name}", name, store_id=bytes([k + 1]) * 16)
            w.say(f"{k}{name}", name, Root(tree.count, tree.root, arrival))
            w.say(f"{k}{name}", name, Root(tree.count + 1, bytes([1]) * 32, arrival + 1_000))
        arrival += 1_000

    for second in range(20):
        lie(second % 3)
        w.run(1)
    w.lost = lambda sender, to, frame: isinstance(decode_message(frame), GossipFrame)
    w.post("a", people[0], 2)
    for second in range(60):
        lie(second % 3)
        w.run(1)
        if w.same("a b"):
            break
    assert said(w, "b", Replay) > 3, "nobody believed the liars, so this shows nothing"
    assert w.same("a b")


def test_an_unasked_replayed_message_changes_nothing() -> None:
    w = World("a", limits=Limits())
    filled(w, "a", 1, 1)
    w.rogue("r", "a")
    w.run(0.1)
    before = dict(w.replicas["a"].store.notes())
    w.say("r", "a", Replayed(1 << 60, 1), Replayed(0, 0))
    w.run(1)
    assert dict(w.replicas["a"].store.notes()) == before
    assert w.rejections("a") == []


def test_an_arrival_from_the_future_is_answered_by_the_end() -> None:
    w = World("a")
    filled(w, "a", 1, 3)
    w.rogue("r", "a")
    w.run(0.1)
    w.heard["r"].clear()
    w.say("r", "a", Replay(1 << 62))
    w.run(0.1)
    assert messages(w, "r", Replayed) == [Replayed(1 << 62, 1)]
    assert messages(w, "r", DataItems) == []
    assert messages(w, "r", Hello) == []
    assert len(encode_message(Replayed(1 << 62, 1))) < 16


def test_frames_begin_small_and_grow_so_that_the_other_side_has_something_to_do() -> None:
    w = World("a", "b")
    filled(w, "a", 12, 500)
    w.said = []
    w.link("a", "b")
    w.until(w.same, 10)
    sizes = [len(encode_message(m)) for who, m in heard(w) if who == "a" and isinstance(m, DataItems)]
    assert sizes[0] < 2 * SMALL
    for k, size in enumerate(sizes[:-1]):
        assert size < SMALL + sum(sizes[:k]) + SMALL
    assert max(sizes) > 3 * SMALL
