"""Runs that leave together: the same entries under one signature, and no receiver of a joined run asks again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import encode_header
from banyan_crdt.errors import Malformed
from banyan_crdt.realm import TEST
from banyan_crdt.run import encode_run
from banyan_replica.gossip.frames import AnyFrame, DeliverMessage, Join, Push, PushFrame, encode_frame
from banyan_replica.gossip.pushes import joined, opened, relays, without_messages
from banyan_replica.intake.intake import account_of
from banyan_replica.intake.prepare import CheckedRun, check_items
from banyan_replica.replica import Replica
from banyan_replica.wire.data_items import encode_item
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import GossipFrame, Root, RunItem
from tests.replica.helpers import World, draft, phone_of


def singles(world: World, n: int, name: str = "An") -> list[Push]:
    """A person's n posts, each published and signed alone, as gossip carries them."""
    person, replica = world.person("a", name), world.replicas["a"]
    items = []
    for k in range(n):
        (w,) = replica.writes.publish(person.log(), phone_of(person), [draft(f"{name} {k}", k)], world.now)
        world.drain("a")
        item = RunItem(encode_run(w.entries, w.base, w.skips), list(w.contents))
        items.append(Push(w.entries[-1].id[:16], k, encode(encode_item(item))))
    return items


def checked(item: Push) -> CheckedRun:
    found = opened(DeliverMessage(item.mid, item.payload, item.hop, "p"))
    assert isinstance(found, RunItem)
    (run,) = check_items(TEST, [found])
    assert isinstance(run, CheckedRun)
    return run


def ids(items: Sequence[Push]) -> list[bytes]:
    return [e.id for item in items for e in checked(item).run.entries]


def test_consecutive_runs_become_one_with_the_same_entries_and_content() -> None:
    items = singles(World("a"), 40)
    (whole,) = joined(items)
    run = checked(whole)
    assert [e.id for e in run.run.entries] == ids(items)
    assert list(run.contents) == [c for item in items for c in checked(item).contents]
    assert whole.mid == items[-1].mid == run.run.entries[-1].id[:16]
    assert whole.hop == 39
    assert len(whole.payload) < sum(len(i.payload) for i in items) * 0.6


def test_runs_are_joined_from_any_place_on_and_over_no_gap() -> None:
    items = singles(World("a"), 30)
    for first in range(0, 25, 3):
        (whole,) = joined(items[first:])
        assert ids([whole]) == ids(items[first:])
    parted = joined([*items[:5], *items[6:]])
    assert [len(checked(i).run.entries) for i in parted] == [5, 24]
    assert joined(items[:1]) == items[:1]
    assert joined(items[::-1]) == items[::-1]
    assert ids(joined([*joined(items[:7]), *joined(items[7:])])) == ids(items)


def test_runs_of_several_logs_are_joined_each_for_itself() -> None:
    world = World("a")
    mixed, more = singles(world, 4), singles(world, 4, "Bình")
    both = [item for pair in zip(mixed, more, strict=True) for item in pair]
    assert [len(checked(i).run.entries) for i in joined(both)] == [4, 4]


def test_whoever_has_a_joined_run_asks_for_none_of_its_messages() -> None:
    items = singles(World("a"), 6)
    world = World("b")
    world.person("b", "An")
    world.rogue("r", "b")
    b = world.replicas["b"]
    (whole,) = joined(items)
    say(b, world, [0, [list(whole)], [], [], 0])
    assert all(b.gossip.knows(item.mid) for item in items)
    say(b, world, [0, [], [item.mid for item in items], [], 0])
    world.run(5.0)
    assert b.gossip.stats()["grafts"] == 0
    assert b.store.counts().entries == 2 + 6


def test_messages_that_were_asked_for_by_name_come_by_name() -> None:
    """Inside a joined run they would look as if they had never been sent, and the asker would charge an honest peer."""
    world = World("a")
    mids = [item.mid for item in singles(world, 6)]
    world.rogue("r", "a")
    world.say("r", "a", encode_message(GossipFrame([1, []])))
    world.run(6.0)
    world.heard["r"].clear()
    world.say("r", "a", encode_message(GossipFrame([0, [], [], mids[1:5], 0])))
    world.run(1.0)
    pushed = [m.frame[1] for m in world.heard["r"] if isinstance(m, GossipFrame) and m.frame[0] == 0]
    assert [bytes(push[0]) for items in pushed for push in items] == mids[1:5]


def test_what_comes_twice_in_longer_runs_tires_the_link_that_brings_it() -> None:
    items = singles(World("a"), 12)
    world = World("b")
    world.person("b", "An")
    for peer in ("r", "s", "t", "u"):
        world.rogue(peer, "b")
        world.say(peer, "b", encode_message(GossipFrame([1, []])))
    b = world.replicas["b"]
    assert set(b.gossip.eager()) == {"r", "s", "t", "u"}
    for k in range(12):
        say(b, world, [0, [list(joined(items[: k + 1])[0])], [], [], 0])
    assert "r" not in b.gossip.eager()
    assert b.store.counts().entries == 2 + 12


def test_a_run_that_came_with_a_proof_goes_on_as_it_came() -> None:
    """The grammar allows a proof in a push, though nobody needs one there."""
    items = singles(World("a"), 3)
    raw = decode(items[1].payload, 8)
    proved = items[1]._replace(payload=encode([*raw, [encode_header(checked(items[0]).run.entries[0].header)]]))
    world = World("b")
    world.person("b", "An")
    for peer in ("r", "s"):
        world.rogue(peer, "b")
        world.say(peer, "b", encode_message(GossipFrame([1, []])))
    say(world.replicas["b"], world, [0, [list(items[0]), list(proved), list(items[2])], [], [], 0])
    world.run(1.0)
    gossip = [m.frame for m in world.heard["s"] if isinstance(m, GossipFrame)]
    pushed = [bytes(push[0]) for frame in gossip if frame[0] == 0 for push in frame[1]]
    assert pushed == [item.mid for item in items]


def say(b: Replica, world: World, frame: list[object]) -> None:
    b.receive("r", encode_message(GossipFrame(frame)), world.now)
    world.drain("b")


def test_whose_a_run_is_can_be_told_without_decoding_it() -> None:
    """So runs of no interest are not decoded, and others only once."""
    for item in singles(World("a"), 2):
        found = opened(DeliverMessage(item.mid, item.payload, item.hop, "p"))
        assert isinstance(found, RunItem)
        account = account_of(found)
        assert account == checked(item).run.log.account
        assert account_of(RunItem(found.run[:35] + b"whatever", [])) == account
        for other in (b"", found.run[:34], found.run[1:], b"\x89\x58\x1f" + found.run[3:]):
            with pytest.raises(Malformed):
                account_of(RunItem(other, []))


def test_an_item_that_is_none_is_a_verdict_and_no_fault() -> None:
    for payload in (b"", b"\xff", encode([7]), encode([1, b"x", []])[:-1]):
        assert isinstance(opened(DeliverMessage(bytes(16), payload, 0, "p")), Exception)
    item = RunItem(b"run", [])
    assert opened(DeliverMessage(bytes(16), encode(encode_item(item)), 0, "p")) == item


def gossip(frame: AnyFrame) -> bytes:
    return encode_message(GossipFrame(encode_frame(frame)))


def test_what_others_wrote_is_told_from_all_else_that_a_peer_says() -> None:
    own, others = Push(b"a" * 16, 0, b"x"), Push(b"b" * 16, 1, b"x")
    assert relays(gossip(PushFrame((others, own))))
    assert relays(gossip(PushFrame((), (b"a" * 16,))))
    assert not relays(gossip(PushFrame((own, others))))
    assert not relays(gossip(Join()))
    assert not relays(encode_message(Root(1, bytes(32), 1)))
    assert not relays(b"")


def test_without_messages_a_peer_still_asks_and_wants_to_be_spared() -> None:
    ids, push = (b"a" * 16, b"b" * 16), Push(b"c" * 16, 1, b"x")
    assert without_messages(gossip(PushFrame((push,), ids))) is None
    assert without_messages(gossip(PushFrame((push,), ids, ids))) == gossip(PushFrame((), (), ids))
    assert without_messages(gossip(PushFrame((push,), (), (), True))) == gossip(PushFrame((), (), (), True))
    for raw in (gossip(PushFrame((push,)))[:-1], gossip(PushFrame((Push(b"short", 1, b"x"),))), gossip(Join()), b""):
        assert without_messages(raw) == raw, "it is judged as it is"
