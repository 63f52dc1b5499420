"""Checkpoints between nodes: they spread, decide ties, pin, and are dropped when their writer loses its rights."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest

from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.codec import encode
from banyan_crdt.entry import Entry
from banyan_crdt.errors import NotYet, Refused
from banyan_crdt.ids import LogId, checkpoint_log, control_log
from banyan_crdt.ops import Close, Op, Rotate
from banyan_crdt.realm import TEST
from banyan_crdt.state import account_state
from banyan_replica.gossip import frames
from banyan_replica.host import PartItem
from banyan_replica.intake.author import grant_to
from banyan_replica.intake.clock_bounds import checkpoints_allowed
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.log_recount import COUNTED_ROWS
from banyan_replica.replica import Replica
from banyan_replica.wire.messages import (
    Answered,
    CheckpointItem,
    ControlItem,
    DataItems,
    GossipFrame,
    Heads,
    Replay,
    Root,
    Scan,
)
from banyan_storage import check
from banyan_storage.store import Store
from tests.crdt.make import Person, digest, signer
from tests.needs import numbers
from tests.replica.helpers import NOW_MS, World, control_item, data, give, new_ingest
from tests.replica.judging import notes, run_of


def sound(store: Store) -> None:
    assert check.verify(store, lambda account, n: None) == []


def knows(w: World, at: str, person: Person, *entries: Entry) -> None:
    """Gives a node these control entries."""
    r = w.replicas[at]
    r.ingest.control(person.id, entries or person.control, NOW_MS)
    r.ingest.parts([PartItem(person.control[0].id, 0, person.salt)])
    w.drain(at)


def says(w: World, at: str, *checkpoints: Checkpoint) -> None:
    for c in checkpoints:
        w.replicas[at].ingest.checkpoint(c, NOW_MS)
    w.drain(at)


def checkpoint(w: World, at: str, person: Person, by: str) -> Checkpoint:
    made = w.replicas[at].writes.publish_checkpoint(person.id, signer(person.full(by)), w.now)
    w.drain(at)
    return made


def settled(w: World, names: str = "", within: float = 90.0) -> None:
    w.until(lambda: w.same(names), within)
    for name, replica in w.replicas.items():
        sound(replica.store)
        assert not w.rejections(name)
    assert not w.cut


def stolen_root() -> tuple[Person, Entry]:
    """The root was rotated twice; the thief branches off at the inception with root1, which that had committed to."""
    an = Person(within=("phone", "tablet"))
    an.say(an.rotate(0, "root2"), by="root1")
    an.say(an.rotate(0, "root3"), by="root2")
    return an, an.say(Rotate(0, digest("evil")), by="root1", below=an.control[:1])


def stands(replica: Replica | Ingest, person: Person) -> bool:
    """Whether the honest path counts there and is not frozen."""
    ingest = replica.ingest if isinstance(replica, Replica) else replica
    head = ingest.head(control_log(person.id))
    return (head.id, head.flag) == (person.control[-1].id, 0)


# -- on the way


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


def test_a_checkpoint_is_found_by_its_name_as_long_as_it_stands() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    settled(w)
    first = checkpoint(w, "a", an, "phone")
    w.run(1.0)
    for name in "ab":
        found = w.replicas[name]._fetch(first.id[:16])
        assert found == encode([2, encode_checkpoint(first)])
    checkpoint(w, "a", an, "phone")
    assert w.replicas["a"]._fetch(first.id[:16]) is None


def test_who_compares_gets_a_newer_checkpoint_whichever_side_has_it() -> None:
    for newer in ("a", "b"):
        w = World("a", "b")
        an = w.person("a", "an")
        others = [w.person("a", f"p{k}") for k in range(20)]
        w.link("a", "b")
        settled(w)
        checkpoint(w, "a", an, "phone")
        settled(w)
        w.unlink("a", "b")
        last = [checkpoint(w, newer, p, by) for p in (an, *others[:3]) for by in ("phone", "root0", "phone")]
        w.link("a", "b")
        settled(w)
        assert w.head("a", last[-1].log_id) == last[-1].head


def test_who_is_read_to_or_sent_what_came_hears_the_checkpoints_of_an_account_behind_its_control_log() -> None:
    w = World("a")
    an = w.person("a", "an")
    said = CheckpointItem(encode_checkpoint(checkpoint(w, "a", an, "phone")))
    for name, asks in (("r1", Scan(1, b"", an.id)), ("r2", Replay(0))):
        w.rogue(name, "a", store_id=name.encode().ljust(16, b"."))
        w.say(name, "a", asks)
        w.run(0.1)
        items = [item for m in w.heard[name] if isinstance(m, DataItems) for item in m.items]
        assert [type(item) for item in items] == [ControlItem, CheckpointItem]
        assert items[1] == said


def test_who_serves_a_newer_checkpoint_than_it_claimed_is_not_slighted() -> None:
    w = World("a")
    an = w.person("a", "an")
    old, new = an.checkpoint("phone"), an.checkpoint("phone", n=2)
    w.rogue("r", "a")
    w.say("r", "a", Heads(b"", 0, [(old.log_id, old.head)]), data(CheckpointItem(encode_checkpoint(new))))
    w.say("r", "a", Answered(1), Root(0, bytes(32), 0))
    assert w.head("a", new.log_id) == new.head
    assert w.points("a", "r") == 0


def test_one_more_checkpoint_of_an_account_of_a_thousand_control_entries_costs_little(
    capsys: pytest.CaptureFixture[str],
) -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    for _ in range(998):
        an.grant("phone")
    knows(w, "a", an)
    w.link("a", "b")
    settled(w)
    w.run(30.0)

    def cost(by: Callable[[], object], within: float) -> int:
        quiet = dict(w.bytes)
        w.run(within)
        idle = sum(w.bytes.values()) - sum(quiet.values())
        before = sum(w.bytes.values())
        by()
        w.run(within)
        assert w.same()
        return sum(w.bytes.values()) - before - idle

    pushed = cost(lambda: checkpoint(w, "a", an, "phone"), 20.0)
    pushed_again = cost(lambda: checkpoint(w, "a", an, "phone"), 20.0)

    def apart() -> None:
        w.replicas["a"].author.checkpoint(an.id, signer(an.full("phone")), NOW_MS)
        w.replicas["a"]._tell_soon(w.now)
        w.drain("a")

    compared = cost(apart, 20.0)
    with capsys.disabled():
        print(f"one checkpoint: pushed {pushed}, {pushed_again} bytes, found by comparing {compared} bytes")
    assert pushed <= 300
    assert compared <= 1_000


def test_a_checkpoint_that_comes_before_its_control_log_is_not_yet_and_comes_later() -> None:
    w = World("a", "b")
    an = Person(within=("phone",))
    said = an.checkpoint("phone")
    w.rogue("r", "a")
    w.say("r", "a", data(CheckpointItem(encode_checkpoint(said))))
    assert w.head("a", said.log_id).length == 0
    knows(w, "b", an)
    says(w, "b", said)
    w.link("a", "b")
    w.until(lambda: w.head("a", said.log_id) == said.head, 60)
    assert not w.rejections("a")


def test_junk_is_not_kept_and_forged_junk_is_charged() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    w.rogue("r", "a")
    junk = [an.checkpoint(by) for by in ("nobody", "root1", "rec0")]
    before = w.replicas["a"].store.digest()
    w.say("r", "a", data(*(CheckpointItem(encode_checkpoint(c)) for c in junk)))
    assert w.replicas["a"].store.digest() == before
    assert not list(w.replicas["a"].store.checkpoints(an.id))
    assert w.points("a", "r") == 0
    forged = an.checkpoint("phone")._replace(sig=bytes(64))
    w.say("r", "a", data(CheckpointItem(encode_checkpoint(forged))))
    assert w.points("a", "r") > 0


def test_a_pushed_checkpoint_under_another_name_is_a_lie() -> None:
    w = World("a")
    an = w.person("a", "an")
    w.rogue("r", "a")
    item = encode([2, encode_checkpoint(an.checkpoint("phone"))])
    w.say(
        "r", "a", GossipFrame(frames.encode_frame(frames.PushFrame((frames.Push(bytes(16), 0, item),), (), (), False)))
    )
    assert w.rejections("a")


def test_no_more_checkpoints_of_one_writer_are_taken_than_it_may_have_made_by_now() -> None:
    an = Person(within=("phone",))
    a = new_ingest()
    a.control(an.id, an.control, NOW_MS)
    most = checkpoints_allowed(TEST, NOW_MS)
    with pytest.raises(NotYet, match="more than it may"):
        a.checkpoint(an.checkpoint("phone", n=(1 << 48) - 1), NOW_MS)
    with pytest.raises(NotYet, match="more than it may"):
        a.checkpoint(an.checkpoint("phone", n=most + 1), NOW_MS)
    assert a.checkpoint(an.checkpoint("phone", n=most), NOW_MS)
    w = World("a")
    knows(w, "a", an)
    says(w, "a", an.checkpoint("phone", n=most))
    author = w.replicas["a"].author
    with pytest.raises(Refused, match="stolen"):
        author.checkpoint(an.id, signer(an.full("phone")), NOW_MS)
    assert author.checkpoint(an.id, signer(an.full("phone")), NOW_MS + 86_400_000).n == most + 1


def test_a_checkpoint_is_charged_for_what_it_has_read_and_not_taken_from_who_may_have_no_more_judged() -> None:
    an, evil = stolen_root()
    a, asked = new_ingest(), list[int]()
    ours = an.write(8)
    a.control(an.id, [*an.control, evil], NOW_MS)
    give(a, ours)
    give(a, an.write(3, below=ours[:6], tag="thief"), 6)

    def may(rows: int) -> bool:
        asked.append(rows)
        return False

    for pins in ([], [an.pin(ours[7])]):
        with pytest.raises(NotYet, match="entries read"):
            a.checkpoint(an.checkpoint("phone", pins=pins), NOW_MS, may)
    counted = 6 + COUNTED_ROWS + len(a.store.heads(an.id))
    assert asked == [1, 1 + counted], "the control path that is frozen, and the log up to its fork"
    assert not list(a.store.checkpoints(an.id))


def test_judging_an_account_anew_costs_its_entries_and_not_the_numbers_of_its_checkpoints() -> None:
    an, ours, theirs = forked_person()
    a, asked = new_ingest(), list[int]()
    a.control(an.id, an.control, NOW_MS)
    a.checkpoint(an.checkpoint("phone", n=100), NOW_MS)
    give(a, ours)

    def may(rows: int) -> bool:
        asked.append(rows)
        return True

    a.run(run_of(theirs, 2), NOW_MS, may)
    assert asked == [len(theirs[2:]) + len(ours) + len(an.control), 0]


# -- a root key that was rotated out


def test_at_a_node_that_knows_the_account_a_rotated_out_root_changes_nothing() -> None:
    an, evil = stolen_root()
    w = World("a", "b")
    knows(w, "a", an)
    says(w, "a", an.checkpoint("phone"))
    w.link("a", "b")
    settled(w)
    w.rogue("r", "b")
    w.say("r", "b", data(control_item(an, [evil])))
    settled(w)
    assert all(stands(r, an) for r in w.replicas.values())


def test_without_a_checkpoint_it_freezes_and_the_checkpoint_frees_it_everywhere() -> None:
    an, evil = stolen_root()
    w = World("a", "b")
    knows(w, "a", an)
    w.link("a", "b")
    settled(w)
    w.rogue("r", "b")
    w.say("r", "b", data(control_item(an, [evil])))
    settled(w)
    assert w.head("a", control_log(an.id)).flag == 1
    w.start("c")
    says(w, "c")
    knows(w, "c", an)
    says(w, "c", an.checkpoint("phone"))
    w.link("c", "a")
    settled(w)
    assert all(stands(r, an) for r in w.replicas.values())


def test_a_fresh_node_that_met_the_thief_first_comes_to_the_honest_path_and_keeps_it_over_a_restart() -> None:
    an, evil = stolen_root()
    w = World("a", "new")
    knows(w, "a", an)
    says(w, "a", an.checkpoint("phone"), an.checkpoint("root2"))
    knows(w, "new", an, an.control[0], evil)
    assert w.head("new", control_log(an.id)).id == evil.id
    w.link("a", "new")
    settled(w)
    assert stands(w.replicas["new"], an)
    w.stop("new")
    again = w.start("new")
    assert stands(again, an)
    assert again.ingest.control_of(an.id) is not None
    sound(again.store)
    w.rogue("r", "new")
    w.say("r", "new", data(control_item(an, [evil])))
    w.link("a", "new")
    settled(w)
    assert stands(again, an)


def test_a_node_of_which_the_path_was_the_thiefs_lets_go_of_what_only_that_path_granted() -> None:
    an, evil = stolen_root()
    mine = an.say(an.grant_op("car"), by="root1", below=[an.control[0], evil])
    w = World("a", "new")
    knows(w, "a", an)
    says(w, "a", an.checkpoint("phone"))
    knows(w, "new", an, an.control[0], evil, mine)
    says(w, "new", an.checkpoint("car", mine), an.checkpoint("root1", mine))
    assert len(list(w.replicas["new"].store.checkpoints(an.id))) == 2
    w.link("a", "new")
    settled(w)
    assert stands(w.replicas["new"], an)
    assert [c.writer for c in w.replicas["new"].store.checkpoints(an.id)] == [an.key("phone")]


def test_three_nodes_that_hold_different_branches_and_witnesses_agree_that_it_is_frozen() -> None:
    an, evil = stolen_root()
    other = an.say(Rotate(0, digest("worse")), by="root1", below=an.control[:1])
    w = World("a", "b", "c")
    knows(w, "a", an)
    says(w, "a", an.checkpoint("phone"))
    knows(w, "b", an, an.control[0], evil)
    knows(w, "c", an, an.control[0], other)
    says(w, "c", an.checkpoint("tablet", other))
    w.link("a", "b")
    w.link("b", "c")
    settled(w)
    assert w.head("b", control_log(an.id)).flag == 1
    for said in (an.checkpoint("tablet", n=2), an.checkpoint("tablet", an.control[1], n=3)):
        says(w, "c", said)
        w.replicas["c"]._tell_soon(w.now)
        w.drain("c")
        settled(w)
        assert all(stands(r, an) for r in w.replicas.values())


def test_an_entry_beside_the_path_that_a_witness_names_travels_to_who_is_frozen_without_it() -> None:
    an, evil = stolen_root()
    stale = an.say(an.grant_op("watch"), by="root2", below=an.control)
    said = an.checkpoint("phone", stale)
    w = World("a", "b")
    knows(w, "a", an)
    knows(w, "a", an, stale)
    says(w, "a", said)
    an.say(an.rotate(0, "root4"), by="root3")
    knows(w, "a", an)
    knows(w, "a", an, evil)
    assert stands(w.replicas["a"], an)
    knows(w, "b", an)
    knows(w, "b", an, evil)
    w.link("a", "b")
    settled(w)
    assert stands(w.replicas["b"], an)


def test_an_account_of_an_old_store_that_granted_its_device_after_the_inception_is_frozen_as_before() -> None:
    an = Person()
    an.say(an.rotate(0, "root2"), by="root1")
    an.say(an.rotate(0, "root3"), by="root2")
    a = new_ingest()
    a.control(an.id, an.control, NOW_MS)
    a.checkpoint(an.checkpoint("phone"), NOW_MS)
    low = an.say(Rotate(0, digest("evil")), by="root1", below=an.control[:1])
    high = an.say(an.rotate(0, "root9"), by="root1", below=an.control[:2])
    a.control(an.id, [high], NOW_MS)
    assert stands(a, an), "above its grant the phone is a witness"
    a.control(an.id, [low], NOW_MS)
    head = a.head(control_log(an.id))
    assert (head.id, head.flag) == (an.control[0].id, 1), "at the inception nobody is"


def test_a_node_does_not_take_back_its_own_word_while_it_does_not_hold_what_it_named() -> None:
    an, evil = stolen_root()
    w = World("a")
    knows(w, "a", an, an.control[0], evil)
    says(w, "a", an.checkpoint("phone"))
    again = checkpoint(w, "a", an, "phone")
    assert again.control.id == an.control[-1].id, "the device's folder was restored and met the thief first"
    knows(w, "a", an)
    assert stands(w.replicas["a"], an)


def test_after_a_restart_witnesses_are_heard_as_before() -> None:
    an, evil = stolen_root()
    a = new_ingest()
    a.control(an.id, [*an.control, evil], NOW_MS)
    a.checkpoint(an.checkpoint("phone"), NOW_MS)
    a.store.commit()
    a.forget()
    control = a.control_of(an.id)
    assert control is not None
    assert (list(control.path), control.frozen) == (an.control, False)


def test_a_witness_keeps_its_word_while_the_account_is_frozen_at_this_node() -> None:
    an, evil = stolen_root()
    w = World("a")
    knows(w, "a", an, *an.control, evil)
    says(w, "a", an.checkpoint("phone"), an.checkpoint("tablet", evil))
    assert w.head("a", control_log(an.id)).flag == 1
    again = checkpoint(w, "a", an, "phone")
    assert (again.n, again.control.id) == (2, an.control[-1].id)


# -- pins


def forked_person() -> tuple[Person, list[Entry], list[Entry]]:
    an = Person(within=("phone",))
    ours = an.write(8)
    return an, ours, an.write(3, below=ours[:2], tag="thief")


def test_a_checkpoint_undoes_a_fork_and_one_that_no_longer_names_the_log_brings_it_back() -> None:
    an, ours, theirs = forked_person()
    a = new_ingest()
    a.control(an.id, an.control, NOW_MS)
    give(a, ours)
    give(a, theirs, 2)
    assert a.head(an.log()).flag == 1
    a.checkpoint(an.checkpoint("root0", pins=[an.pin(ours[4])]), NOW_MS)
    assert a.head(an.log()).id == ours[-1].id
    a.checkpoint(an.checkpoint("root0", n=2), NOW_MS)
    assert (a.head(an.log()).length, a.head(an.log()).flag) == (2, 1)
    a.checkpoint(an.checkpoint("root0", n=3, pins=[an.pin(theirs[-1])]), NOW_MS)
    assert a.head(an.log()).id == theirs[-1].id
    an.say(an.rotate(0, "root2"), by="root1")
    a.control(an.id, an.control, NOW_MS)
    assert (a.head(an.log()).length, a.head(an.log()).flag) == (2, 1), "the root that said it was rotated out"
    sound(a.store)


def test_in_the_store_a_checkpoint_speaks_after_the_logs_of_lower_strata() -> None:
    an, ours, theirs = forked_person()
    an.grant("first", stratum=1)
    an.grant("second", stratum=2)
    a = new_ingest()
    a.control(an.id, an.control, NOW_MS)
    give(a, ours)
    give(a, theirs, 2)
    a.checkpoint(an.checkpoint("second", pins=[an.pin(ours[4])]), NOW_MS)
    assert a.head(an.log()).id == ours[-1].id
    give(a, notes(an, "first", theirs[-1]))
    assert a.head(an.log()).id == theirs[-1].id
    sound(a.store)


def test_the_next_checkpoint_of_a_forked_log_keeps_its_pin() -> None:
    an, ours, _ = forked_person()
    w = World("a")
    knows(w, "a", an)
    r = w.replicas["a"]
    give(r.ingest, ours, 0, 5)
    root = signer(an.full("root0"))
    assert [p.seq for p in r.author.checkpoint(an.id, root, NOW_MS).pins] == [4]
    give(r.ingest, ours, 5)
    above = an.write(2, below=ours[:6], tag="thief")
    give(r.ingest, above, 6)
    assert r.ingest.head(an.log()).flag == 1
    assert [p.seq for p in r.author.checkpoint(an.id, root, NOW_MS).pins] == [4], (
        "else a fork below would bring it down"
    )


def test_of_more_logs_than_fit_a_checkpoint_pins_those_that_grew_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_replica.intake.own_tips.MAX_PINS", 2)
    an = Person(within=("phone",))
    w = World("a")
    knows(w, "a", an)
    r, root = w.replicas["a"], signer(an.full("root0"))
    logs = [an.write(9, number=k) for k in (1, 2, 3)]

    def pinned() -> list[tuple[int, int]]:
        return [(pin.log, pin.seq) for pin in r.author.checkpoint(an.id, root, NOW_MS).pins]

    for log, n in zip(logs, (2, 5, 4), strict=True):
        give(r.ingest, log, 0, n)
    assert pinned() == [(2, 4), (3, 3)]
    give(r.ingest, logs[1], 5, 7)
    assert pinned() == [(1, 1), (2, 6)]


def test_a_notary_signs_for_logs_of_higher_strata_a_device_for_none_and_a_stranger_is_refused() -> None:
    an = Person(within=("phone",))
    an.grant("notary", stratum=1)
    w = World("a")
    knows(w, "a", an)
    r = w.replicas["a"]
    give(r.ingest, an.write(3))
    give(r.ingest, an.write(2, device="notary"))
    author = r.author

    def pinned(by: str) -> list[LogId]:
        made = author.checkpoint(an.id, signer(an.full(by)), NOW_MS)
        return [LogId(an.id, pin.writer, pin.log) for pin in made.pins]

    assert pinned("phone") == []
    assert pinned("notary") == [an.log()]
    assert set(pinned("root0")) == {an.log(), an.log("notary")}
    with pytest.raises(Refused, match="no checkpoint"):
        author.checkpoint(an.id, signer("stranger"), NOW_MS)


def test_a_new_account_is_one_entry_and_its_device_is_a_witness_from_the_first() -> None:
    w = World("a", "b")
    author = w.replicas["a"].author
    slots = [(signer("mai root0"), digest("mai root1")), (signer("mai rec0"), digest("mai rec1"))]
    account, entries = author.open_account(slots, b"salt of mai", [grant_to(signer("mai phone").key)], NOW_MS)
    w.drain("a")
    assert len(entries) == 1
    control = author.ingest.control_of(account)
    assert control is not None
    assert control.grant_of(signer("mai phone").key, 1) is not None
    assert not author.store.counts().lacking
    author.checkpoint(account, signer("mai phone"), NOW_MS)
    w.drain("a")
    w.link("a", "b")
    settled(w)


# -- the store says what the state says


def offer(a: Ingest, person: Person, items: Sequence[Entry | Checkpoint | list[Entry]]) -> None:
    """Delivers everything repeatedly, as peers do, until nothing changes."""
    before = b""
    while before != a.store.digest():
        before = a.store.digest()
        for item in items:
            try:
                if isinstance(item, Entry):
                    a.control(person.id, [item], NOW_MS)
                elif isinstance(item, Checkpoint):
                    a.checkpoint(item, NOW_MS)
                else:
                    give(a, item)
            except NotYet:
                pass


def random_set(rng: random.Random) -> tuple[Person, list[Entry], list[list[Entry]], list[Checkpoint]]:
    """A small account in trouble: branches of its control log by old and new roots, forks, and checkpoints of all."""
    an = Person(f"p{rng.random()}", within=("phone", "tablet"))
    path = an.control
    roots = 0
    for k in range(rng.randint(1, 3)):
        if rng.random() < 0.7:
            an.say(an.rotate(0, f"root{roots + 2}"), by=f"root{roots + 1}")
            roots += 1
        elif rng.random() < 0.5:
            an.grant("notary", by=f"root{roots}", stratum=2)
        elif rng.random() < 0.5:
            an.say(an.cut("tablet"), by=f"root{roots}")
        else:
            an.grant(f"extra{k}", by=f"root{roots}")
    control = list(path)
    for k in range(rng.randint(0, 3)):
        below = path[: rng.randint(1, len(path))]
        by = rng.choice(["root0", "root1", "root2", "rec0"] if rng.random() < 0.2 else ["root0", "root1", "root2"])
        ops: list[Op] = [an.rotate(0, f"evil{k}"), an.grant_op("evil"), an.cut("phone"), Close()]
        op = rng.choice(ops)
        branch = [*below, an.say(op, by=by, below=below)]
        if rng.random() < 0.5:
            branch.append(an.say(an.grant_op("car"), by=rng.choice(["root1", "root2", by]), below=branch))
        control += branch[len(below) :]
    logs = []
    for device in ("phone", "notary"):
        log = an.write(4, device)
        logs += [log, an.write(2, device, below=log[: rng.randint(0, 3)], tag="thief")]
    entries = [e for log in logs for e in log]
    keys = ["phone", "tablet", "notary", "evil", "car", "root0", "root1", "root2", "root3"]
    said = [
        an.checkpoint(
            rng.choice(keys), rng.choice(control), rng.randint(1, 3), [an.pin(rng.choice(entries))] * rng.randint(0, 1)
        )
        for _ in range(rng.randint(1, 7))
    ]
    return an, control, logs, said


@pytest.mark.parametrize("seed", numbers(150))
def test_every_order_of_entries_and_checkpoints_is_one_state_and_the_stores(seed: int) -> None:
    rng = random.Random(seed)
    an, control, logs, said = random_set(rng)
    by_log: dict[LogId, list[Entry]] = {}
    for log in logs:
        by_log.setdefault(log[0].log_id, []).extend(log)
    state = account_state(TEST, an.id, control, by_log, said)
    items: list[Entry | Checkpoint | list[Entry]] = [*control, *logs, *said]
    for _ in range(4):
        rng.shuffle(items)

        a = new_ingest()
        offer(a, an, items)
        assert a.store.heads(an.id) == state.heads
        sound(a.store)
        a.store.commit()
        a.forget()
        assert a.store.heads(an.id) == state.heads


@pytest.mark.parametrize("seed", numbers(25))
def test_three_nodes_converge_whatever_each_of_them_met_first(seed: int) -> None:
    rng = random.Random(1_000 + seed)
    an, control, logs, said = random_set(rng)
    w = World("a", "b", "c", seed=seed)
    for name in "abc":
        r = w.replicas[name]
        items: list[Entry | Checkpoint | list[Entry]] = [*control, *logs, *said]
        rng.shuffle(items)
        some = [i for i in items if rng.random() < 0.6]
        r.ingest.control(an.id, control[:1], NOW_MS)
        offer(r.ingest, an, some)
        w.drain(name)
    for x, y in itertools.pairwise("abc"):
        w.link(x, y)
    w.until(lambda: len(w.digests()) == 1, 300)
    for name, r in w.replicas.items():
        sound(r.store)
        assert not w.rejections(name)


def test_what_a_witness_names_beside_the_path_is_kept_for_a_tie_that_comes_later() -> None:
    """The device signed below an entry that the next root overruled, and is gone. 31 days later a rotated-out root
    speaks: every node has forgotten what the witness named, and the account is frozen."""
    an = Person(within=("phone",))
    an.say(an.rotate(0, "root2"), by="root1")
    overruled = an.say(an.grant_op("watch"), by="root1", below=an.control)
    evil = an.say(Rotate(0, digest("evil")), by="root1", below=an.control[:1])
    a = new_ingest()
    a.control(an.id, [*an.control, overruled], NOW_MS)
    a.checkpoint(an.checkpoint("phone", overruled), NOW_MS)
    an.say(an.rotate(0, "root3"), by="root2")
    a.control(an.id, an.control, NOW_MS)
    later = NOW_MS + 31 * 86_400_000
    a.expire(control_log(an.id), later)
    a.control(an.id, [evil], later)
    assert stands(a, an)


def test_a_frozen_node_asks_for_what_breaks_the_tie_though_it_holds_the_end_of_the_path() -> None:
    an = Person(within=("phone", "tablet"))
    trunk = list(an.control)
    mine = an.say(an.grant_op("laptop"))
    beside = an.say(an.grant_op("watch"))
    del an.control[-1]
    an.say(an.rotate(0, "root2"), by="root1")
    other = an.say(an.grant_op("evil"), below=trunk)
    evil = an.say(Rotate(0, digest("evil")), by="root1", below=[*trunk, other])
    w = World("a", "b")
    knows(w, "a", an, *an.control, beside, other, evil)
    knows(w, "b", an, *an.control, other, evil)
    said = an.checkpoint("phone", beside)
    for name in "ab":
        says(w, name, said)
    assert stands(w.replicas["a"], an)
    assert not stands(w.replicas["b"], an)
    assert w.replicas["b"].store.has(an.control[-1].id), "it holds what the other node follows"
    assert not w.replicas["b"].store.has(beside.id)
    assert mine in an.control
    w.link("a", "b")
    settled(w)
    assert stands(w.replicas["b"], an)
