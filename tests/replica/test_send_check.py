"""Disk damage: what a node does before it would serve damaged data."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from banyan_crdt.ids import EntryId
from banyan_replica.peers.ledger import Offence
from banyan_replica.peers.limits import Limits
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import DataItems, Message, Parts, Root, Want
from banyan_storage import tables as t
from banyan_storage.engine import Table
from banyan_storage.memory_engine import MemoryEngine
from tests.crdt.make import Person, b32
from tests.replica.helpers import World

PEOPLE, POSTS = 4, 6


def rotten(
    change: str, damaged: Sequence[int] = (1,), of: int = PEOPLE, limits: Limits | None = None
) -> tuple[World, list[Person]]:
    """A holder of some logs, in which one byte of each damaged log is wrong."""
    world = World("holder", limits=limits)
    people = [world.person("holder", f"person {k}") for k in range(of)]
    for person in people:
        world.post("holder", person, POSTS)
    world.run(5)
    world.stop("holder")
    engine = world.engines["holder"]
    for k in damaged:
        table, key, raw, at = place(engine, people[k], change)
        engine.write().put(table, key, raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :])
    engine.commit()
    world.start("holder")
    return world, people


def place(engine: MemoryEngine, person: Person, change: str) -> tuple[Table, bytes, bytes, int]:
    """(table, key, value, index of the byte)."""
    txn = engine.write()
    name = t.log_name(person.log())
    head = txn.get(t.HEADS, name) or b""
    lid = t.u32(t.head_of_value(head)[0])
    (chain,) = txn.prefix(t.CHAIN, lid)
    first = int.from_bytes(chain[1][:6], "big")
    record = txn.get(t.ENTRIES, t.u48(first + POSTS - 1)) or b""
    match change:
        case "content":
            key = t.part_key(first + 2, 0)
            return t.PARTS, key, txn.get(t.PARTS, key) or b"", -1 + len(txn.get(t.PARTS, key) or b"")
        case "operations":
            return t.ENTRIES, t.u48(first + POSTS - 1), record, len(record) - 30
        case "signature":
            return t.ENTRIES, t.u48(first + POSTS - 1), record, len(record) - 100
        case "index":
            return t.CHAIN, chain[0], chain[1], 5
        case "head's log":
            return t.HEADS, name, head, 2
        case "head's id":
            return t.HEADS, name, head, len(head) - 25
    raise AssertionError(change)


@pytest.mark.parametrize("change", ["content", "operations", "signature", "index", "head's log", "head's id"])
def test_a_holder_notices_what_rotted_says_what_to_do_and_is_not_banned_for_it(change: str) -> None:
    world, people = rotten(change)
    world.start("newcomer")
    for _ in range(12):  # it is let go now and then, for claiming what it does not serve, and comes back
        world.link("newcomer", "holder")
        world.run(20)
        world.unlink("newcomer", "holder")
    assert not [why for who, _, why in world.cut if who == "newcomer" and "banned" in why]
    assert len(world.rejections("newcomer")) <= 2  # three are a ban
    said = [str(e.fields["error"]) for e in world.events["holder"] if e.name == "storage"]
    assert len(said) == 1
    assert f"the log {people[1].id.hex()[:8]}/" in said[0]
    assert "`banyan store mend`" in said[0]
    for k, person in enumerate(people):
        whole = k != 1 or change in ("content", "head's id")
        assert (world.head("newcomer", person.log()).length == POSTS) == whole
    assert world.replicas["newcomer"].store.counts().lacking == (1 if change == "content" else 0)


@pytest.mark.parametrize("change", ["content", "operations", "signature"])
def test_a_holder_of_much_that_rotted_is_not_banned_for_it_either(change: str) -> None:
    damaged = range(0, 40, 2)
    world, people = rotten(change, damaged, of=40, limits=Limits(piece=4_000))
    world.start("newcomer")
    for _ in range(12):
        world.link("newcomer", "holder")
        world.run(20)
        world.unlink("newcomer", "holder")
    assert not [why for who, _, why in world.cut if who == "newcomer" and "banned" in why]
    assert len(world.rejections("newcomer")) == 1
    for k, person in enumerate(people):
        whole = k not in damaged or change == "content"
        assert (world.head("newcomer", person.log()).length == POSTS) == whole
    said = [str(e.fields["error"]) for e in world.events["holder"] if e.name == "storage"]
    assert len(said) == len(damaged)


def test_a_peer_that_asks_for_the_same_again_is_doubted_and_one_that_asks_for_more_is_not() -> None:
    world = World("holder")
    log = world.person("holder", "an").log()
    sound = world.replicas["holder"].sync.serving.sound
    for length in (1, 2, 3):
        sound.asked("reader", Want(log, [(length, EntryId(b32(f"{length}")))]))
    for _ in range(2):
        sound.asked("again", Want(log, [(2, EntryId(b32("2")))]))
    assert (sound.is_doubted("reader"), sound.is_doubted("again")) == (False, True)


def test_what_cannot_be_read_takes_back_nothing_that_is_pending_for_others() -> None:
    world, people = rotten("index")
    world.start("newcomer")
    world.link("newcomer", "holder")
    world.post("holder", people[0], 3)
    world.run(20)
    assert world.head("newcomer", people[0].log()).length == POSTS + 3
    assert not [e for e in world.events["holder"] if e.name == "storage" and "took back" in str(e.fields["error"])]


def test_whoever_ends_no_link_is_served_without_checks_and_a_sound_node_says_nothing() -> None:
    world = World("holder", "newcomer", "another")
    people = [world.person("holder", f"person {k}") for k in range(PEOPLE)]
    for person in people:
        world.post("holder", person, POSTS)
    sound = world.replicas["holder"].sync.serving.sound
    sound.doubt("newcomer")
    for peer in ("newcomer", "another"):
        world.link(peer, "holder")
    world.until(world.same, 60)
    assert (sound.is_doubted("newcomer"), sound.is_doubted("another")) == (True, False)
    assert [e for e in world.events["holder"] if e.name == "storage"] == []


def test_data_that_is_not_even_readable_ends_the_link_at_once_like_wrong_data() -> None:
    world = World("a")
    kinds: list[Message] = [DataItems([]), Parts([])]
    for k, kind in enumerate(kinds):
        name = f"r{k}"
        world.rogue(name, "a")
        world.say(name, "a", encode_message(kind)[:2] + b"\xff")
        assert [why for who, peer, why in world.cut if peer == name], "the link ends"
        assert world.replicas["a"].ledger.points(name, world.now) == Offence.WRONG.value.points
    world.rogue("other", "a")
    world.say("other", "a", encode_message(Root(0, bytes(32), 0))[:2] + b"\xff")
    assert not [peer for _, peer, _ in world.cut if peer == "other"]
