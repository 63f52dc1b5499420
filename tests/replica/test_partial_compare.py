"""Nodes that hold only some accounts: they name them once, comparing costs little, and everything arrives."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from banyan_crdt.frontier import head_item
from banyan_crdt.ids import AccountId
from banyan_crdt.realm import TEST
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_replica.sync import partial_frontier
from banyan_replica.sync.partial_frontier import AGAIN_S, AT_ONCE, Names, PartialFrontier
from banyan_replica.wire.message_table import encode_message, opens_as
from banyan_replica.wire.messages import (
    GossipFrame,
    Heads,
    Interest,
    Message,
    Replay,
    Scan,
    Shared,
    Sketch,
    SketchCells,
    Sums,
    Wants,
)
from banyan_replica.wire.messages import SketchNames as NamesMessage
from banyan_storage.tables import log_name
from tests.crdt.make import Person, b32
from tests.needs import numbers
from tests.replica.helpers import DELAY_S, NOW_MS, World, data, draft, give, phone_of, run_item


def held(r: Replica) -> set[AccountId]:
    return set(r.store.accounts())


def ids(people: Sequence[Person]) -> frozenset[AccountId]:
    return frozenset(p.id for p in people)


def town(w: World, n: int, at: str = "a", posts: int = 2) -> list[Person]:
    people = [w.person(at, f"person {k}") for k in range(n)]
    for p in people:
        w.post(at, p, posts)
    return people


def follow(w: World, name: str, people: Sequence[Person]) -> None:
    w.replicas[name].set_interest([p.id for p in people], w.now)
    w.drain(name)


def agree(w: World, people: Sequence[Person], a: str = "a", h: str = "h") -> bool:
    """Whether both have the same heads of these people, and hold something of them."""
    stores = w.replicas[a].store, w.replicas[h].store
    return all(stores[0].heads(p.id) == stores[1].heads(p.id) != {} for p in people)


def rate(w: World, seconds: float, *ways: tuple[str, str]) -> float:
    """Bytes a second, the most of these ways."""
    before = dict(w.bytes)
    w.run(seconds)
    return max((w.bytes[way] - before.get(way, 0)) / seconds for way in ways)


BOTH = (("a", "h"), ("h", "a"))


def test_accounts_of_interest_come_and_no_others() -> None:
    w = World("a", "h")
    people = town(w, 30)
    follow(w, "h", people[:20])
    w.link("h", "a")
    w.until(lambda: agree(w, people[:20]), 30)
    w.run(60)
    assert held(w.replicas["h"]) == ids(people[:20])


@pytest.mark.parametrize("read_to", [True, False])
def test_who_learns_whom_it_holds_from_what_it_holds_is_read_all_that_a_peer_holds(read_to: bool) -> None:
    """As a newcomer under a charter: it knows the members, not yet whom they list. The other holds more than it names,
    and what is read is no difference afterwards."""
    w = World("a", "h")
    people = town(w, 60)
    kept = ids(people[:50])
    w.replicas["a"].set_interest(kept, w.now, control_only={people[49].id}, read_to=True)
    early = people[1].id  # a list named it before its control log said whose it is
    w.replicas["h"].set_interest([people[0].id], w.now, control_only={early}, read_to=read_to)
    said = w.said = list[tuple[str, Message]]()
    w.run(5)
    w.link("h", "a")
    w.run(10)
    assert (held(w.replicas["h"]) == kept) == read_to
    w.replicas["h"].set_interest(kept, w.now, control_only={people[49].id}, read_to=read_to)
    w.run(30)
    assert agree(w, people[:49])
    assert w.replicas["h"].ingest.head(people[49].log()).length == 0
    asked = [type(m) for who, m in said if who == "h"]
    assert (asked.count(Scan), Wants in asked) == ((1, False) if read_to else (0, True))
    assert w.points("a", "h") == w.points("h", "a") == 0
    w.post("a", people[3], 1, push=True)
    w.until(lambda: agree(w, people[:49]), 2)


def test_many_accounts_of_interest_and_nothing_new_cost_a_few_bytes_a_second() -> None:
    w = World("a", "h")
    people = town(w, 400, posts=1)
    follow(w, "h", people[:380])
    w.link("h", "a")
    w.until(lambda: agree(w, people[:380]), 60)
    w.run(30)
    assert rate(w, 120, *BOTH) < 15
    for k in range(20):  # nor does what strangers write make it say more
        w.post("a", people[380 + k], 1, push=True)
        w.run(1)
    assert rate(w, 60, ("h", "a")) < 15


@pytest.mark.parametrize("number", [3, AT_ONCE + 50])  # more are read in the background, not at once
def test_a_follow_brings_the_account_and_an_unfollow_ends_what_comes(number: int) -> None:
    w = World("a", "h")
    people = town(w, number + 4, posts=1)
    follow(w, "h", people[:2])
    w.link("h", "a")
    w.until(lambda: agree(w, people[:2]), 20)
    w.run(10)
    follow(w, "h", people[: number + 2])
    w.until(lambda: agree(w, people[: number + 2]), 20)
    w.run(20)
    follow(w, "h", people[1 : number + 2])
    w.run(5)
    w.post("a", people[0], 1)
    w.post("a", people[1], 1)
    w.run(20)
    assert w.replicas["h"].ingest.head(people[0].log()).length == 1
    assert agree(w, people[1:2])
    assert rate(w, 30, *BOTH) < 15
    follow(w, "h", people[: number + 2])
    w.until(lambda: agree(w, people[: number + 2]), 20)


def test_a_post_that_the_gossip_lost_is_found_at_a_cost_of_its_own() -> None:
    w = World("a", "h")
    people = town(w, 300, posts=1)
    follow(w, "h", people)
    w.link("h", "a")
    w.until(lambda: agree(w, people), 60)
    w.run(20)
    before = dict(w.bytes)
    w.lost = lambda sender, to, raw: opens_as(raw, GossipFrame)
    w.post("a", people[7], 1, push=True)
    assert w.until(lambda: agree(w, people), 20) <= w.limits.root_s + 1
    assert sum(w.bytes[way] - before[way] for way in BOTH) < 3_000
    w.post("h", people[9], 1, push=True, number=2)
    assert w.until(lambda: agree(w, people), 20) <= w.limits.root_s + 1


@pytest.mark.parametrize("who", ["a", "h"])
def test_after_a_restart_only_what_came_meanwhile_is_told(who: str) -> None:
    w = World("a", "h")
    people = town(w, 300, posts=1)
    follow(w, "h", people)
    w.link("h", "a")
    w.until(lambda: agree(w, people), 60)
    w.run(10)
    w.stop(who)
    w.post("h" if who == "a" else "a", people[3], 2, number=2)
    w.run(10)
    w.start(who)
    if who == "h":
        follow(w, "h", people)
    before = dict(w.bytes)
    w.link("h", "a")
    w.until(lambda: agree(w, people), 20)
    told = 16 * len(people)
    assert sum(w.bytes[way] - before[way] for way in BOTH) < told + 4_000
    w.run(20)
    assert rate(w, 60, *BOTH) < 15


def test_whoever_named_its_accounts_soon_hears_that_nothing_is_missing() -> None:
    """The first root is told before the names come, and the next one was 6 s later."""
    w = World("a", "h")
    people = town(w, 30)
    follow(w, "h", people[:20])
    w.link("h", "a")
    w.until(lambda: agree(w, people[:20]), 30)
    w.unlink("h", "a")
    w.link("h", "a")
    assert w.until(lambda: w.replicas["h"].links["a"].course.live, 30) < 1.2
    assert rate(w, 60, ("a", "h")) < 15, "and after that no more often than before"


def test_a_head_that_is_flagged_reaches_whoever_holds_the_account() -> None:
    w = World("a", "h")
    people = town(w, 20)
    eve = Person("eve")
    log = eve.write(4)
    w.replicas["a"].ingest.control(eve.id, eve.control, NOW_MS)
    give(w.replicas["a"].ingest, log)
    w.drain("a")
    follow(w, "h", [*people, eve])
    w.link("h", "a")
    w.until(lambda: agree(w, [*people, eve]), 20)
    w.run(10)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(eve.write(3, below=log[:2], tag="again"))))
    assert w.head("a", eve.log()).flag
    w.until(lambda: bool(w.head("h", eve.log()).flag), 20)
    assert agree(w, [eve])


def test_two_partial_nodes_exchange_what_both_hold() -> None:
    w = World("g", "h")
    people = [w.person("g", f"person {k}") for k in range(9)]
    for p in people:
        w.post("g", p, 1)
    follow(w, "g", people[:6])
    follow(w, "h", people[3:])
    w.link("g", "h")
    w.until(lambda: agree(w, people[3:6], "g", "h"), 20)
    w.run(30)
    assert held(w.replicas["h"]) == ids(people[3:6])
    assert rate(w, 60, ("g", "h"), ("h", "g")) < 15
    follow(w, "h", people[2:])
    w.until(lambda: agree(w, people[2:6], "g", "h"), 20)
    follow(w, "g", people[:7])
    w.until(lambda: agree(w, people[2:7], "g", "h"), 20)


def test_what_is_written_at_a_partial_node_reaches_a_node_that_holds_all() -> None:
    w = World("a", "h")
    mine = w.person("h", "an")
    follow(w, "h", [mine])
    w.link("h", "a")
    w.post("h", mine, 3)
    w.until(lambda: agree(w, [mine]), 20)


def test_a_node_that_begins_to_choose_says_so_on_links_that_stand() -> None:
    w = World("a", "h")
    people = town(w, 8)
    w.link("h", "a")
    w.until(lambda: agree(w, people), 20)
    follow(w, "h", people[:4])
    w.run(10)
    w.post("a", people[0], 1)
    w.post("a", people[7], 1)
    w.until(lambda: agree(w, people[:4]), 20)
    w.run(20)
    assert not agree(w, people[7:])
    assert rate(w, 30, *BOTH) < 15


def test_accounts_named_again_leave_those_who_agree_in_agreement() -> None:
    w = World("a", "h")
    people = town(w, 8)
    follow(w, "h", people[:4])
    w.link("h", "a")
    course = w.replicas["h"].links["a"].course
    w.until(lambda: agree(w, people[:4]) and course.live, 20)
    assert course.met
    follow(w, "h", people[:4])
    assert course.live, "nothing changed: nothing is to be compared again"
    follow(w, "h", people[:5])
    assert (course.live, course.met) == (False, False), "of the fifth nothing is known yet"
    w.until(lambda: agree(w, people[:5]) and course.live, 20)


def test_names_that_were_lost_are_told_again() -> None:
    w = World("a", "h")
    people = town(w, 40)
    follow(w, "h", people[:30])
    w.lost = lambda sender, to, raw: opens_as(raw, Interest)
    w.link("h", "a")
    w.run(10)
    assert not agree(w, people[:1])
    w.lost = lambda sender, to, raw: False
    w.until(lambda: agree(w, people[:30]), 2 * AGAIN_S)


@pytest.mark.parametrize("kind", [Heads, Sketch, SketchCells, NamesMessage, Interest, Shared])
def test_whatever_is_lost_for_a_while_the_two_agree_in_the_end(kind: type[Message]) -> None:
    w = World("a", "h")
    people = town(w, 60)
    follow(w, "h", people[:30])
    w.link("h", "a")
    w.run(0.3)
    n = iter(range(1, 10**9))
    w.lost = lambda sender, to, raw: opens_as(raw, kind) and next(n) % 2 == 0
    w.run(20)
    follow(w, "h", people[10:50])
    w.post("a", people[20], 1)
    w.run(20)
    w.lost = lambda sender, to, raw: False
    w.until(lambda: agree(w, people[10:50]), 90)


def test_what_was_read_of_a_transaction_that_failed_is_read_again() -> None:
    w = World("a", "h")
    people = town(w, 6)
    follow(w, "h", people[:3])
    w.link("h", "a")
    w.until(lambda: agree(w, people[:3]), 20)
    w.run(10)
    a = w.replicas["a"]
    a.writes.publish(people[4].log(), phone_of(people[4]), [draft("lost", 1)], w.now)
    a.receive("h", encode_message(Interest(1, people[4].id[:16])), w.now)
    a.handle_timer(w.now)
    a.store.rollback()
    a.commit_failed("the disk is full")
    w.drain("a")
    w.run(1)
    pair = a.sync.interests.pair("h")
    assert pair is not None
    heads = {log: h for p in (*people[:3], people[4]) for log, h in a.store.heads(p.id).items()}
    assert pair.share.tree.root == (sum(head_item(*row) for row in heads.items()) % (1 << 256)).to_bytes(32, "big")


def test_after_a_rollback_both_sides_agree_again() -> None:
    w = World("a", "h")
    people = town(w, 20)
    follow(w, "h", people)
    w.link("h", "a")
    w.until(lambda: agree(w, people), 20)
    w.run(10)
    for name in ("a", "h"):
        r = w.replicas[name]
        r.writes.publish(people[3].log(number=2), phone_of(people[3]), [draft("lost", 1)], w.now)
        r.set_interest([p.id for p in people[:19]] if name == "h" else None, w.now)
        r.store.rollback()
        r.commit_failed("the disk is full")
        w.drain(name)
    w.post("a", people[3], 1)
    w.until(lambda: agree(w, people[:19]), 20)
    w.run(10)
    assert rate(w, 60, *BOTH) < 15


@pytest.mark.parametrize("asked", [Replay, Scan])
def test_who_becomes_partial_while_it_is_asked_for_everything_is_charged_with_nothing(asked: type[Message]) -> None:
    w = World("a", "b")
    people = [w.person("a", f"person {k}") for k in range(9)]
    for p in people:
        w.post("a", p, 1)
    if asked is Replay:
        w.link("a", "b")
        w.until(w.same, 20)
        w.run(12)
        w.unlink("a", "b")
        for p in people:
            w.post("a", p, 4)
    w.said = []
    w.link("a", "b")
    w.run(1.5 * DELAY_S)
    assert [who for who, m in w.said if isinstance(m, asked)] == ["b"], "its question is on its way"
    follow(w, "a", people[:4])
    w.until(lambda: agree(w, people[:4], "a", "b"), 60)
    w.run(60)
    assert (w.points("a", "b"), w.points("b", "a")) == (0, 0)
    assert not w.replicas["b"].sync.asking.catchup.readers
    assert [who for who, m in w.said if isinstance(m, asked)] == ["b"]


# -- peers that lie


def names(n: int, salt: str = "") -> bytes:
    return b"".join(b32(f"name {salt} {k}")[:16] for k in range(n))


def test_of_more_names_than_there_is_room_for_the_first_are_kept_and_nobody_is_charged() -> None:
    w = World("a", limits=Limits(interest_kept=100))
    people = town(w, 2)
    w.rogue("r", "a", partial=1)
    w.say("r", "a", Interest(1, people[0].id[:16]))
    for k in range(10):
        w.say("r", "a", Interest(1, names(60, str(k))))
    w.say("r", "a", Interest(1, people[1].id[:16]))
    assert kept(w) == {"r": 100}
    w.heard["r"].clear()
    w.run(6)
    digest = Names(cut(people[0].id[:16] + names(60, "0") + names(39, "1")))
    root = sum(head_item(*row) for row in w.replicas["a"].store.heads(people[0].id).items()) % (1 << 256)
    assert [m for m in w.heard["r"] if isinstance(m, Shared)][-1] == Shared(digest.digest, root.to_bytes(32, "big"))
    assert (w.points("a", "r"), w.rejections("a"), w.cut) == (0, [], [])


def from_net(w: World, peer: str, net: str) -> None:
    """Node a sees the peer at an address of this network."""
    w.replicas["a"].links[peer].address = f"/ip4/{net}.0.1/tcp/1"


def kept(w: World) -> dict[str, int]:
    """How many names of each peer node a keeps."""
    pairs = w.replicas["a"].sync.interests._pairs
    return {peer: len(pair.theirs) for peer, pair in pairs.items() if pair.theirs is not None}


def cut(raw: bytes) -> list[bytes]:
    return [raw[k : k + 16] for k in range(0, len(raw), 16)]


def test_names_of_many_strangers_leave_room_for_those_of_another_network() -> None:
    w = World("a", "h", limits=Limits(interest_of_all=150))
    people = town(w, 60)
    follow(w, "h", people)
    w.link("h", "a")
    from_net(w, "h", "20.1")
    w.run(5)
    for k in range(40):
        w.rogue(f"r{k}", "a", partial=1)
        from_net(w, f"r{k}", "30.1")
        w.say(f"r{k}", "a", Interest(1, names(50, str(k))))
    found = kept(w)
    assert found.pop("h") == 60
    assert sum(found.values()) == 90
    assert max(found.values()) <= 4
    w.post("a", people[0], 3)
    w.until(lambda: agree(w, people), 60)
    assert not w.cut


def test_where_there_is_little_room_the_most_important_accounts_are_compared_and_the_others_once_there_is_more() -> (
    None
):
    w = World("a", "h", limits=Limits(interest_of_all=150))
    people = town(w, 60)
    for k in range(3):
        w.rogue(f"r{k}", "a", partial=1)
        w.say(f"r{k}", "a", Interest(1, names(50, str(k))))
    follow(w, "h", people)
    w.link("h", "a")
    w.until(lambda: agree(w, people[:30]), 30)
    w.post("a", people[0], 3)
    w.until(lambda: agree(w, people[:30]), 10)
    assert kept(w)["h"] < 60
    for k in range(3):
        w.unlink(f"r{k}", "a")
    w.until(lambda: agree(w, people), 120)
    assert kept(w) == {"h": 60}
    w.post("a", people[59], 3)
    w.until(lambda: agree(w, people), 60)
    assert not w.cut


def test_of_accounts_with_very_many_logs_the_first_are_compared() -> None:
    w = World("a", "h", limits=Limits(interest_logs=40))
    friend, *others = town(w, 12)
    for p in others:
        for number in range(2, 9):
            w.post("a", p, 1, number=number)
    follow(w, "h", [friend, *others])
    w.link("h", "a")
    w.run(60)
    assert kept(w) == {"h": 3}
    w.post("a", friend, 2)
    w.until(lambda: agree(w, [friend]), 10)
    assert (w.rejections("a"), w.cut) == ([], [])


def test_the_cost_of_names_is_bounded_however_often_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    w = World("a", limits=Limits(work_burst=1_000, work_per_s=100))
    town(w, 30)
    w.rogue("r", "a", partial=1)
    taken = 0
    told = w.replicas["a"].sync.interests.told

    def counted(*args: Any) -> None:
        nonlocal taken
        taken += 1
        told(*args)

    monkeypatch.setattr(w.replicas["a"].sync.interests, "told", counted)
    for k in range(500):
        w.say("r", "a", Interest(k % 2 + 1, names(84)))
    assert taken <= 11
    assert w.rejections("a") == []


def test_a_root_that_never_agrees_is_compared_ever_more_slowly() -> None:
    w = World("a")
    town(w, 30)
    follow(w, "a", [Person("person 3")])
    w.rogue("r", "a")
    w.run(1)
    told = next(m for m in w.heard["r"] if isinstance(m, Interest) and m.names).names
    digest = Names()
    digest.change([told], [])

    def questions(seconds: float) -> int:
        w.heard["r"].clear()
        for _ in range(int(seconds / 5)):
            w.say("r", "a", Shared(digest.digest, bytes(32)))
            w.run(5)
        return sum(isinstance(m, Sketch) and not m.salt for m in w.heard["r"])

    assert questions(30) >= 2
    assert questions(3_600) <= 14


def test_a_digest_that_is_never_right_has_names_told_ever_more_slowly() -> None:
    w = World("a")
    people = town(w, 30)
    follow(w, "a", people)
    w.rogue("r", "a")
    for _ in range(720):
        w.say("r", "a", Shared(b"no such ", bytes(32)))
        w.run(5)
    assert 3 < sum(isinstance(m, Interest) and not m.how for m in w.heard["r"]) < 10


@pytest.mark.parametrize("seed", numbers(20))
def test_beyond_the_bound_the_most_important_accounts_are_compared(seed: int) -> None:
    """What a friend wrote while a node was away comes within a minute, though more accounts are in reach than may be
    named, and more every few seconds."""
    w = World("a", "h", seed=seed, limits=Limits(interest=20))
    friend, *others = town(w, 6)
    far = [Person(f"far {seed} {k}") for k in range(60)]
    reach = [friend, *others, *far[:40]]
    follow(w, "h", reach)
    w.link("h", "a")
    w.until(lambda: agree(w, reach[:6]), 60)
    for k in range(40, 60):
        follow(w, "h", [*reach, *far[40:k]] if k % 2 else [friend, far[k], *others, *far])
        w.post("a", friend, 1)
        w.until(lambda: agree(w, [friend]), 20)
    assert (w.points("a", "h"), w.cut) == (0, [])


def test_two_that_hold_chosen_accounts_compare_the_first_that_both_have_room_for() -> None:
    w = World("g", "h", limits=Limits(interest_kept=30))
    people = [w.person("g", f"person {k}") for k in range(50)]
    for p in people:
        w.post("g", p, 1)
    follow(w, "g", people[10:])
    follow(w, "h", people[44::-1])
    w.link("g", "h")
    w.until(lambda: agree(w, people[15:40], "g", "h"), 60)
    w.until(lambda: w.replicas["g"].links["h"].course.live, 60)
    assert held(w.replicas["h"]) == ids(people[15:40])
    follow(w, "g", [*people[2:5], *people[10:]])
    follow(w, "h", people[::-1])
    w.until(lambda: agree(w, people[20:37], "g", "h"), 60)
    w.until(lambda: w.replicas["g"].links["h"].course.live, 60)
    w.post("g", people[30], 1)
    w.until(lambda: agree(w, people[20:37], "g", "h"), 10)
    assert (w.points("g", "h"), w.points("h", "g"), w.cut) == (0, 0, [])


# -- the share itself


def test_a_share_is_the_frontier_of_its_accounts_whatever_comes_and_goes() -> None:
    rng = random.Random(5)
    w = World("a")
    r = w.replicas["a"]
    people = [Person(f"person {k}") for k in range(40)]
    for p in people[:30]:  # nothing is held of the others
        r.ingest.control(p.id, p.control, NOW_MS)
    every = [p.id[:16] for p in people] + [names(1, str(k)) for k in range(40)]
    share = PartialFrontier(r.store, TEST.id, dict.fromkeys(rng.sample(every, 20)))
    for _ in range(60):
        pick = set(rng.sample(every, rng.randrange(12)))
        share.change(pick - share.names.keys(), pick & share.names.keys())
        p = rng.choice(people[:30])
        old = r.store.head(p.log())
        give(r.ingest, p.write(old.length + 1), old.length)
        if p.id[:16] in share.names:
            share.tree.moved(p.log(), old, r.store.head(p.log()))
        while share.tree.busy:
            share.tree.work()
        expected = {log: h for log, h in r.store.all_heads() if log.account[:16] in share.names}
        assert dict(share.source.all_heads()) == expected
        assert share.tree.count == len(expected)
        assert share.tree.root == (sum(head_item(*row) for row in expected.items()) % (1 << 256)).to_bytes(32, "big")
        prefix = bytes(rng.choice(people).id[0] >> 4 for _ in range(1)) + bytes(rng.randrange(2))
        below = {log for log in expected if nibbles(log.account).startswith(prefix)}
        assert {log for log, _ in share.tree.heads(prefix)} == below
        assert share.below(prefix) == sum(nibbles(name).startswith(prefix) for name in share.names)
        if expected:
            reached = rng.choice(sorted(expected))
            rest = {log: h for log, h in expected.items() if log >= reached}
            assert dict(share.source.all_heads(log_name(reached))) == rest


def nibbles(raw: bytes) -> bytes:
    return bytes(n for byte in raw for n in (byte >> 4, byte & 15))


def test_names_of_accounts_that_are_not_held_cause_bounded_work() -> None:
    w = World("a", limits=Limits(work_burst=10_000, work_per_s=100))
    people = town(w, 40)
    w.rogue("r", "a", partial=1)
    w.say("r", "a", Interest(0, b"".join(p.id[:16] for p in people[:1]) + names(5_000)))
    w.run(5)
    w.heard["r"].clear()
    for _ in range(300):
        w.say("r", "a", Sums(b"", b"", [(9, bytes(16))] * 16))
    w.run(0.1)
    assert len(w.heard["r"]) <= 8 * 16


def test_shares_are_read_in_turn_and_not_while_their_peers_have_to_wait() -> None:
    w = World("a")
    interests, read = w.replicas["a"].sync.interests, list[str]()
    for peer in ("r", "s"):
        w.rogue(peer, "a", partial=1)
    w.run(1)
    interests.reader()
    w.around["a"].wait = {"r", "s"}
    for peer in ("r", "s"):
        w.say(peer, "a", Interest(0, names(2_000)))  # so many are read in slices
    w.run(1)
    assert not interests.busy
    assert interests.work() == []
    assert interests.reader() == ""
    w.around["a"].wait = {"s"}
    interests.work()
    assert (interests.reader(), interests.reader()) == ("r", "")
    w.around["a"].wait = ()
    while interests.busy:
        interests.work()
        read.append(interests.reader())
    assert read[:3] == ["s", "r", "s"]


def test_accounts_of_many_logs_cost_what_is_read_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    w = World("a")
    an = w.person("a", "an")
    for number in range(1, 9):
        w.post("a", an, 1, number=number)
    heads, name = len(w.replicas["a"].store.heads(an.id)), an.id[:16]
    share = PartialFrontier(w.replicas["a"].store, bytes(32), {})
    assert share.change({name}, ()) == 1 + heads
    assert share.change((), {name}) == 1 + heads
    monkeypatch.setattr(partial_frontier, "AT_ONCE", 4)
    assert share.change({name}, ()) == 4 + 1


def test_what_a_share_was_is_freed_at_once_and_not_when_garbage_is_collected() -> None:
    """An index takes megabytes, and a full collection is rare where a replica works."""
    w = World("a", limits=Limits(work_burst=1_000_000_000))
    w.rogue("r", "a", partial=1)
    w.say("r", "a", Interest(0, names(2_000)))  # more than one step takes, so the index is replaced
    w.run(1)
    pair = w.replicas["a"].sync.interests.shared_with("r")
    for _ in range(20):
        w.person("a", "someone")
    every = {log.account[:16] for log, _ in w.replicas["a"].store.all_heads()}
    gc.collect()
    gc.disable()
    try:
        for steps in (0, 1, 2):  # before its heads are read, while they are sorted, and when it is ready
            pair.share.change(every | {n.to_bytes(16, "big") for n in range(2_000)}, ())
            for _ in range(steps):
                pair.share.tree.work()
            tree = weakref.ref(pair.share.tree)
            pair.share.rolled_back()
            assert tree() is None
        tree = weakref.ref(pair.share.tree)
        del pair
        w.unlink("r", "a")
        assert tree() is None
    finally:
        gc.enable()


def test_what_a_node_holds_takes_memory_once() -> None:
    """A default node can reach 50,000 accounts; each table of their names takes megabytes, and so do the names."""
    w, ids = World("a", "h"), [AccountId(b32(f"account {n}")) for n in range(200)]
    a = w.replicas["a"]
    a.set_interest(ids[:199], w.now)
    w.link("a", "h")
    w.run(10)
    for now in (ids, ids[::-1]):
        a.set_interest(now, w.now)
        w.drain("a")
        w.run(10)
    interests = a.sync.interests
    assert interests._own is not None
    pairs = [pair.ours.names.held for pair in interests._pairs.values() if pair.ours is not None]
    assert pairs
    assert [*interests._mine.held] == [account[:16] for account in ids[::-1]]
    assert interests._own.names is interests._mine.held
    assert len({id(name) for table in (interests._mine.held, *pairs) for name in table}) == 200
    assert a.sync.notices.chosen is not None
    assert {id(account) for account in a.room.interest or ()} == set(map(id, a.sync.notices.chosen))
