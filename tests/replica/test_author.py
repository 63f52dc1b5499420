"""Runs published together are written at once, each under its own signature, as if each had come alone."""

from __future__ import annotations

import pytest

from banyan_crdt.errors import Refused
from banyan_crdt.ids import CellKey
from banyan_crdt.ops import Put
from banyan_crdt.realm import TEST
from banyan_crdt.signing import verify
from banyan_replica.intake.author import EntryDraft
from tests.crdt.make import signer
from tests.replica.helpers import POSTS, World, draft, phone_of


def test_many_posts_of_a_log_wait_and_are_written_each_under_its_own_signature() -> None:
    world = World("a", "b")
    world.link("a", "b")
    an, binh = world.person("a", "An"), world.person("a", "Bình")
    a = world.replicas["a"]
    before = a.store.counts().entries
    a.writes.hold()
    for k in range(150):  # far enough that entries link to others that wait too
        for person in (an, binh):
            a.writes.publish(person.log(), phone_of(person), [draft(f"{person.name} {k}", k)], world.now)
    assert a.store.counts().entries == before
    world.drain("a")
    assert a.store.counts().entries == before + 300
    for person in (an, binh):
        for e in a.store.chain(person.log(), 0, 150):
            assert e.sig is not None
            verify(TEST, e.header.writer, e.id, e.sig)
    world.until(lambda: world.same("a b"), 10.0)


def test_a_post_that_is_refused_changes_nothing_and_those_beside_it_are_written() -> None:
    world = World("a")
    an = world.person("a", "An")
    a, log, phone = world.replicas["a"], an.log(), phone_of(an)
    a.writes.hold()
    a.writes.publish(log, phone, [draft("one", 1)], world.now)
    changes = a.writes.changes
    too_large = EntryDraft((Put(POSTS, CellKey(bytes(16)), (), None),), (b"x" * 70_000,))
    with pytest.raises(Refused, match="split it"):
        a.writes.publish(log, phone, [draft("two", 2), too_large], world.now)
    assert a.writes.changes == changes
    a.writes.publish(log, phone, [draft("three", 3)], world.now)
    assert a.writes.changes > changes
    changes = a.writes.changes
    a.writes.settle()
    assert a.writes.changes == changes  # writing what waited is no change
    world.drain("a")
    assert a.store.head(log).length == 2


def test_what_waited_when_the_disk_failed_is_gone_and_the_log_goes_on_below_it() -> None:
    world = World("a")
    an = world.person("a", "An")
    world.post("a", an, 3)
    a, log = world.replicas["a"], an.log()
    a.writes.hold()
    a.writes.publish(log, phone_of(an), [draft("lost", 9)], world.now)
    a.store.rollback()
    a.commit_failed("the disk failed")
    world.post("a", an, 2)
    assert a.store.head(log).length == 5
    assert [e.header.seq for e in a.store.chain(log, 0, 9)] == [0, 1, 2, 3, 4]


def test_a_grant_that_ended_is_not_called_a_log_that_is_full() -> None:
    world = World("a")
    an = world.person("a", "An")
    a = world.replicas["a"]
    tablet = signer(an.full("tablet"))
    a.ingest.control(an.id, [an.grant("tablet", until=a.wall_ms(world.now) - 1 << 16)], a.wall_ms(world.now))
    with pytest.raises(Refused, match="has ended"):
        a.writes.publish(an.log("tablet"), tablet, [draft("late", 1)], world.now)
