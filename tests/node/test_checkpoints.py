"""Checkpoints between nodes: they travel, break ties, pin, and go where their writer may not speak any more."""

from __future__ import annotations

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.ids import checkpoint_log
from tests.crdt.make import Person, signer
from tests.node.helpers import World


def settled(w: World, names: str = "", within: float = 60.0) -> None:
    w.until(lambda: w.same(names), within)


def checkpoint(w: World, at: str, person: Person, by: str) -> Checkpoint:
    made = w.replicas[at].publish_checkpoint(person.id, signer(person.full(by)), w.now)
    w.drain(at)
    return made


def test_a_checkpoint_reaches_a_linked_node_at_once_and_one_that_comes_later_by_comparing() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    settled(w)
    first = checkpoint(w, "a", an, "phone")
    w.run(1.0)
    log = checkpoint_log(an.id, an.key("phone"))
    assert w.head("b", log) == first.head
    w.unlink("a", "b")
    second = checkpoint(w, "b", an, "phone")
    assert second.n == 2
    w.start("c")
    w.link("a", "b")
    w.link("b", "c")
    settled(w)
    assert {w.head(x, log) for x in "abc"} == {second.head}
    assert not w.cut
    assert not any(w.rejections(x) for x in "abc")
