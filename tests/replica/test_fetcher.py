"""What peers owe and whether they send it: stalls, false claims, unasked entries. Honest slow peers are not banned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from banyan_crdt.errors import Reject
from banyan_crdt.ids import EntryId, Head, LogId, control_log
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerClaims
from banyan_replica.sync.peer_debt import Later, Pace
from banyan_replica.wire.message_table import decode_message, encode_message
from banyan_replica.wire.messages import (
    CANNOT,
    LAST,
    Answered,
    ControlItem,
    Credit,
    DataItems,
    Heads,
    Message,
    Root,
    RunItem,
    Scan,
    Scanned,
    Sketch,
    Want,
    Wants,
)
from tests.crdt.make import Person, b32
from tests.replica.helpers import World, control_item, data, draft, give, phone_of, run_item

T = TypeVar("T")


def said(w: World, name: str, kind: type[T]) -> list[T]:
    return [m for m in w.heard[name] if isinstance(m, kind)]


def wanted(w: World, name: str) -> list[LogId]:
    return [want.log for m in said(w, name, Wants) for want in m.wants]


def reader(w: World, name: str, to: str = "a", logs: int = 1_000) -> None:
    """A rogue that claims many logs, so that it is asked to read them."""
    w.rogue(name, to, logs=logs, store_id=name.encode().ljust(16, b"."), root=b32(name))


def halves(w: World) -> tuple[Scan, Scan]:
    """Two rogues that each read one half."""
    reader(w, "r1")
    reader(w, "r2")
    w.run(2.5)
    return said(w, "r1", Scan)[-1], said(w, "r2", Scan)[-1]


def reason(w: World, peer: str) -> str:
    return w.replicas["a"].ledger.last_sentence(peer)


# -- stalling


def test_one_that_stalls_while_it_reads_loses_its_range_and_no_points() -> None:
    w = World("a")
    first, second = halves(w)
    assert (first.stop, second.stop) == (second.cursor, LAST)
    for _ in range(20):  # one of them says nothing, the other goes on
        w.say("r2", "a", Root(1_000, b32("r2"), 1))
        w.say("r1", "a", data(*[control_item(Person("an"))] * 30))
        w.run(0.5)
    assert reason(w, "r2").startswith("sent 0 bytes in 10 s while it owed us a range of accounts and had credit for")
    assert w.points("a", "r2") == 0, "others may attack it"
    w.say("r1", "a", Scanned(first.reading, first.cursor, CANNOT))
    reader(w, "r3")
    assert said(w, "r3", Scan) == []
    w.run(0.1)
    assert [(s.cursor, s.stop) for s in said(w, "r3", Scan)] in ([(b"", first.stop)], [(second.cursor, LAST)])


def test_time_without_credit_does_not_count_against_the_one_that_waits_for_it() -> None:
    pace = Pace()
    assert pace.look(True, False, 0, 10.0, 1.0) is None
    assert pace.look(True, True, 0, 10.0, 9.0) is None
    assert pace.look(True, False, 0, 10.0, 12.0) is None, "it could send for three seconds only"
    assert pace.look(True, False, 5_000, 10.0, 19.0) == (5_000, 10.0)


def test_slower_than_a_kilobyte_a_second_is_a_stall_and_faster_is_not() -> None:
    w = World("a")
    halves(w)
    item = control_item(Person("an"))
    size = len(encode_message(data(item)))
    for k in range(60):
        w.say("r2", "a", data(*[item] * (1 + 700 // size)))
        if not k % 5:
            w.say("r1", "a", data(item))
        w.run(0.5)
    assert "while it owed us" in reason(w, "r1")
    assert w.points("a", "r2") == 0


def test_one_that_has_no_credit_or_owes_nothing_is_not_late() -> None:
    w = World("a")
    w.rogue("idle", "a")
    reader(w, "r1")
    w.replicas["a"].links["r1"].flow.window = 0
    w.run(60)
    assert w.points("a", "idle") == w.points("a", "r1") == 0


def test_one_that_stalls_for_ever_is_asked_ever_more_rarely_and_never_banned() -> None:
    w = World("a")
    reader(w, "r1")
    for _ in range(200):
        w.run(5)
        w.say("r1", "a", Root(1_000, b32("r1"), 1))
    assert 5 <= len([s for s in said(w, "r1", Scan) if s.stop == LAST]) <= 12
    assert w.replicas["a"].ledger.bans(w.now) == {}


def test_one_that_never_serves_what_it_claims_is_let_go_and_may_come_back() -> None:
    w = World("a")
    an = w.person("a", "an")
    w.rogue("r", "a")
    for k in range(5):
        w.say("r", "a", claim(an.log(), 5 + k), Answered(k + 1), Root(0, bytes(32), 0))
    assert [(peer, why.split(":")[0]) for _, peer, why in w.cut] == [("r", "claims heads that it does not serve")]
    assert w.replicas["a"].ledger.bans(w.now) == {}
    w.unlink("r", "a")
    w.rogue("r", "a")
    assert "r" in w.replicas["a"].links


# -- claims


def claim(log: LogId, length: int = 5) -> Heads:
    return Heads(b"", 0, [(log, Head(length, EntryId(b32("made up")), 0))])


def claimed_by_two(w: World) -> Person:
    """r1 and r2 claim a log of this person, and r1 is asked for it."""
    an = w.person("a", "an")
    for name in ("r1", "r2"):
        w.rogue(name, "a", store_id=name.encode().ljust(16, b"."))
        w.say(name, "a", claim(an.log()))
    return an


def test_a_head_that_is_claimed_and_not_served_costs_few_points_and_is_asked_of_another() -> None:
    w = World("a")
    an = claimed_by_two(w)
    w.run(0.1)
    assert (wanted(w, "r1"), wanted(w, "r2")) == ([an.log()], []), "it is asked of one at a time"
    w.say("r1", "a", Answered(1))
    assert w.points("a", "r1") == 0, "its head may have moved meanwhile"
    w.say("r1", "a", Root(0, bytes(32), 0))
    assert reason(w, "r1").startswith("claims heads that it does not serve: 1, such as of ")
    assert w.points("a", "r1") == 3
    w.say("r2", "a", claim(an.log()))
    w.run(0.1)
    assert wanted(w, "r2") == [an.log()]


def test_a_claim_is_excused_where_something_came_to_the_peer_meanwhile_but_not_for_ever() -> None:
    w = World("a", limits=Limits(excused=3))
    an = w.person("a", "an")
    w.rogue("r", "a")
    for k in range(4):
        w.say("r", "a", claim(an.log(), 5 + k), Answered(k + 1), Root(0, bytes([k + 1]) * 32, k + 1))
        assert w.points("a", "r") == (0 if k < 3 else 3)


def test_what_was_claimed_long_ago_is_no_lie_when_it_does_not_come_now() -> None:
    w = World("a")
    an = w.person("a", "an")
    whole = an.write(3)
    w.rogue("r", "a")
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(2, whole[1].id, 0))]))
    w.say("r", "a", data(run_item(whole, 0, 2)), Answered(1))
    w.say("r", "a", claim(an.log()), data(run_item(whole, 0, 2)), Answered(2))
    assert w.head("a", an.log()).length == 2
    w.say("r", "a", Root(0, b32("moved"), 1))  # what it claimed may have moved
    w.rogue("s", "a", store_id=b"s".ljust(16, b"."))
    w.say("s", "a", Heads(b"", 0, [(an.log(), Head(3, whole[2].id, 0))]), data(run_item(whole, 2)), Answered(1))
    w.run(3)
    assert w.head("a", an.log()).length == 3
    assert wanted(w, "r") == [an.log()] * 3, "something of the account came, so what came in vain may be taken now"
    w.say("r", "a", Answered(3), Root(0, b32("moved"), 1))
    assert w.points("a", "r") == 0


def test_what_is_owed_by_one_that_stalls_is_asked_of_another() -> None:
    w = World("a")
    an = claimed_by_two(w)
    w.run(12)
    w.say("r2", "a", claim(an.log()))
    w.run(0.1)
    assert wanted(w, "r2") == [an.log()]
    assert wanted(w, "r1") == [an.log()], "the one that owes it is not asked twice"


def _full_line(w: World) -> None:
    w.replicas["a"].links["r1"].flow.sent(1_000)


def _unread_frames(w: World) -> None:
    w.around["a"].unread_of = lambda peer: 8_000 if peer == "r1" else 0


@pytest.mark.parametrize("excuse", [_full_line, _unread_frames])
def test_one_whose_answer_or_our_question_may_be_under_way_is_not_called_slow(excuse: Callable[[World], None]) -> None:
    w = World("a")
    an = claimed_by_two(w)
    excuse(w)
    w.run(12)
    w.say("r2", "a", claim(an.log()))
    w.run(0.1)
    assert wanted(w, "r2") == [an.log()], "others are asked all the same"
    assert reason(w, "r1") == ""


def test_one_that_serves_what_it_claims_is_not_slighted_even_where_we_cannot_take_it_yet() -> None:
    w = World("a")
    an, bo = w.person("a", "an"), w.person("a", "bo")
    whole, rest = an.write(5), bo.write(5)
    w.rogue("r", "a")
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(5, whole[4].id, 0)), (bo.log(), Head(5, rest[4].id, 0))]))
    w.say("r", "a", data(run_item(whole), run_item(rest, 3)), Answered(2))
    assert [note.reason for note in w.replicas["a"].intake.notes.values()] == ["gap"]
    assert w.points("a", "r") == 0
    assert reason(w, "r") == ""


def test_what_was_not_to_be_taken_yet_is_no_empty_claim_whatever_came_after_it() -> None:
    w = World("a")
    an = w.person("a", "an")
    log = an.write(8)
    w.rogue("r", "a")
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(8, log[7].id, 0))]))
    w.say("r", "a", data(run_item(log, 5), run_item(log, 0, 3)), Answered(1), Root(0, bytes(32), 0))
    assert w.head("a", an.log()).length == 3
    assert w.points("a", "r") == 0


def test_a_claim_that_is_served_clears_the_excuses_before_it() -> None:
    w = World("a", limits=Limits(excused=2))
    an = w.person("a", "an")
    log = an.write(1)
    w.rogue("r", "a")

    def fails(n: int) -> None:
        w.say("r", "a", claim(an.log(), 5 + n), Answered(n), Root(0, bytes([n]) * 32, n))

    fails(1)
    fails(2)
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(1, log[0].id, 0))]), data(run_item(log)), Answered(3))
    fails(4)
    fails(5)
    assert w.points("a", "r") == 0
    fails(6)
    assert w.points("a", "r") == 3


def test_a_flagged_head_is_asked_for_though_its_entry_is_held() -> None:
    w = World("a")
    an = w.person("a", "an")
    log = an.write(5)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(log)))
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(3, log[2].id, 0))]))
    w.run(0.1)
    assert wanted(w, "r") == []
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(3, log[2].id, 1))]))
    w.run(0.1)
    assert wanted(w, "r") == [an.log()]


def test_a_question_says_what_is_held_and_which_pins_are_lacked() -> None:
    w = World("a")
    an = Person()
    log, honest = an.write(5, tag="thief"), an.write(9)
    an.say(an.pin(honest[8]))
    w.rogue("r", "a")
    w.say("r", "a", data(control_item(an)), data(run_item(log)), data(run_item(honest, 0, 3)))
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(9, honest[8].id, 0))]))
    w.run(0.1)
    (want,) = [want for m in said(w, "r", Wants) for want in m.wants if want.log == an.log()]
    assert set(want.locator) == {(e.header.seq, e.id) for e in (*log, *honest[:3])}
    assert want.pins == [(8, honest[8].id)]


def test_two_branches_of_one_length_are_asked_for_of_whoever_claims_each() -> None:
    w = World("a")
    an = w.person("a", "an")
    for name in ("r1", "r2"):
        w.rogue(name, "a", store_id=name.encode().ljust(16, b"."))
        w.say(name, "a", Heads(b"", 0, [(an.log(), Head(5, EntryId(b32(name)), 0))]))
    w.run(0.1)
    assert (wanted(w, "r1"), wanted(w, "r2")) == ([an.log()], [an.log()])


def test_what_a_run_hangs_on_is_asked_for_and_the_reason_is_gone_when_it_came() -> None:
    w = World("a")
    an = w.person("a", "an")
    log = an.write(8)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(log, 5)))
    w.run(0.1)
    assert wanted(w, "r") == [an.log()]
    assert [note.reason for note in w.replicas["a"].intake.notes.values()] == ["gap"]
    w.say("r", "a", data(run_item(log)))
    assert w.head("a", an.log()).length == 8
    assert not w.replicas["a"].intake.notes


def test_heads_that_are_told_again_wait_once_for_their_control_log() -> None:
    w = World("a")
    an = Person()
    log, other = an.write(2), an.write(3, number=2)
    heads = [(x[0].log_id, Head(len(x), x[-1].id, 0)) for x in (log, other)]
    w.rogue("r", "a")
    later = w.replicas["a"].links["r"].owed.later
    for _ in range(3):
        w.say("r", "a", Heads(b"", 0, heads))
        assert later.heads == sum(len(one.heads) for one in later.accounts.values()) == 2
    w.say("r", "a", data(control_item(an)))
    w.run(0.1)
    assert (later.heads, set(wanted(w, "r"))) == (0, {an.log(), an.log(number=2), control_log(an.id)})


def test_heads_that_are_told_while_the_control_log_is_under_way_wait_for_it_too() -> None:
    w = World("a")
    an = Person()
    log, other = an.write(2), an.write(3, number=2)
    w.rogue("r", "a")
    for one in (log, other):
        w.say("r", "a", Heads(b"", 0, [(one[0].log_id, Head(len(one), one[-1].id, 0))]))
    w.say("r", "a", data(control_item(an)))
    w.run(0.1)
    assert wanted(w, "r") == [control_log(an.id), an.log(), an.log(number=2)]


def test_of_what_a_peer_claims_the_newest_is_remembered_up_to_a_bound() -> None:
    told, later = PeerClaims(), Later()
    logs = [Person(f"an {k}", device=None).log() for k in range(9)]
    for k, log in enumerate(logs):
        told.differs(log, Head(k, None, 0), 3)
        later.put(log.account, {log: Head(k, None, 0)}, b"", 4)
    assert list(told.differences) == logs[-3:]
    assert list(later.accounts) == [log.account for log in logs[-2:]], "an account and a head each"
    assert later.heads == 2


def test_a_claim_that_waited_for_a_control_log_is_as_old_as_it_is() -> None:
    w = World("a")
    an = Person()
    w.rogue("r", "a")
    w.say("r", "a", Heads(b"", 0, [(an.log(), Head(5, EntryId(b32("made up")), 0))]))
    w.say("r", "a", Root(0, b"1" * 32, 1), data(control_item(an)))
    w.run(0.1)
    assert wanted(w, "r")[-1] == an.log()
    w.say("r", "a", Answered(2), Root(0, b"1" * 32, 1))
    assert w.points("a", "r") == 0, "something came to the peer since it claimed the head"


def test_of_a_claim_of_a_length_alone_whatever_came_is_enough_and_nothing_is_not() -> None:
    w = World("a")
    an = w.person("a", "an")
    log = an.write(5)
    claimed = Heads(b"", 0, [(an.log(), Head(5, None, 0))])
    w.rogue("r", "a")
    w.say("r", "a", claimed, data(run_item(log, 0, 2)), Answered(1), Root(0, bytes(32), 0))
    assert w.points("a", "r") == 0, "what it counts may be forked or cut off here"
    w.say("r", "a", claimed, Answered(2), Root(0, bytes(32), 0))
    assert w.points("a", "r") == 3
    w.say("r", "a", claimed)
    give(w.replicas["a"].ingest, log, 2)
    w.drain("a")
    w.say("r", "a", Answered(3), Root(0, bytes(32), 0))
    assert w.points("a", "r") == 3, "it came by another way"


def test_a_peer_that_answers_more_than_it_was_asked_is_charged() -> None:
    w = World("a")
    w.rogue("r", "a")
    w.say("r", "a", Answered(1))
    assert w.rejections("a") == ["answered 1 questions for logs, and was asked 0"]


# -- strays


def test_unasked_entries_are_accepted_up_to_a_bound_and_then_charged() -> None:
    w = World("a", limits=Limits(strays=10))
    an = w.person("a", "an")
    log = an.write(12)
    w.rogue("r", "a")
    w.say("r", "a", data(run_item(log, 0, 6)))
    assert w.head("a", an.log()).length == 6
    w.say("r", "a", data(run_item(log, 6, 12)))
    assert "nobody asked for" in w.rejections("a")[0]
    w.run(1)
    w.say("r", "a", data(run_item(an.write(13), 12, 13)))
    assert len(w.rejections("a")) == 1


def test_accounts_outside_the_range_that_was_asked_for_are_charged() -> None:
    w = World("a", limits=Limits(strays=10))
    first, second = halves(w)
    people = [Person(f"p{k}", recovery=False) for k in range(20)]
    low = [p for p in people if p.id <= first.stop]
    high = [p for p in people if p.id > first.stop]
    w.say("r2", "a", data(*(control_item(p) for p in high)))
    assert w.rejections("a") == []
    w.say("r2", "a", data(*(control_item(p) for p in low)))
    assert w.events["a"][-1].fields["peer"] == "r2"
    assert f"was asked for accounts {second.cursor.hex()[:8]} .. ffffffff and sent" in w.rejections("a")[0]
    held = w.replicas["a"].store.counts().accounts
    assert held >= len(high)
    w.say("r1", "a", data(*(control_item(p) for p in people)))
    assert len(w.rejections("a")) == 1, "the first was asked for all, before its half was given away"


# -- what is asked of us


def through(w: World, peer: str) -> list[bytes]:
    """The accounts that were read to a rogue, in order."""
    items = [item for m in said(w, peer, DataItems) for item in m.items]
    return [item.account for item in items if isinstance(item, ControlItem)]


def filled(w: World, n: int, posts: int = 1) -> list[Person]:
    people = [w.person("a", f"person {k}") for k in range(n)]
    for p in people:
        w.post("a", p, posts)
    return sorted(people, key=lambda p: p.id)


def test_a_range_is_read_out_from_after_its_cursor_up_to_and_with_its_stop() -> None:
    w = World("a")
    people = filled(w, 20)
    w.rogue("r", "a")
    w.say("r", "a", Scan(7, people[4].id, people[9].id))
    w.run(0.1)
    assert through(w, "r") == [p.id for p in people[5:10]]
    assert said(w, "r", Scanned)[-1] == Scanned(7, people[9].id, 1)


def test_a_nearer_stop_ends_a_reading_and_a_log_asked_for_meanwhile_comes_first() -> None:
    w = World("a", limits=Limits(outbox=2_000, piece=500))
    people = filled(w, 30)
    w.rogue("r", "a")
    w.say("r", "a", Scan(1, b"", LAST))
    w.run(0.1)
    far = through(w, "r")
    assert 0 < len(far) < 10
    w.heard["r"].clear()
    w.say("r", "a", Wants([Want(people[20].log(), [])]), Scan(1, people[25].id, people[12].id))
    for _ in range(30):
        w.say("r", "a", Credit(2_000))
        w.run(0.1)
    first = next(i for m in said(w, "r", DataItems) for i in m.items)
    assert isinstance(first, RunItem)
    assert said(w, "r", Answered) == [Answered(1)]
    assert far + through(w, "r") == [p.id for p in people[:13]]
    assert said(w, "r", Scanned)[-1] == Scanned(1, people[12].id, 1)


def test_a_nearer_stop_that_crosses_the_end_of_a_reading_is_not_read_out_again() -> None:
    w = World("a")
    people = filled(w, 30)
    w.rogue("r", "a")
    w.say("r", "a", Scan(4, b"", LAST))
    w.run(0.1)
    assert said(w, "r", Scanned)[-1] == Scanned(4, people[-1].id, 1)
    w.heard["r"].clear()
    for number, asks in ((4, 0), (5, 1)):
        w.say("r", "a", Scan(number, people[5].id, people[12].id))
        w.run(0.1)
        assert len(said(w, "r", Scanned)) == asks
    assert through(w, "r") == [p.id for p in people[6:13]]


def test_a_node_that_is_read_to_reads_out_nothing_itself() -> None:
    w = World("a")
    filled(w, 3)
    reader(w, "full")
    w.rogue("fresh", "a")
    w.say("fresh", "a", Scan(1, b"", LAST))
    w.run(0.1)
    assert said(w, "fresh", Scanned) == [Scanned(1, b"", CANNOT)]
    assert said(w, "fresh", DataItems) == []


def test_bulk_that_waits_for_one_peer_is_bounded_by_our_own_setting_too() -> None:
    w = World("a", limits=Limits(outbox=20_000, piece=5_000))
    people = filled(w, 40, 10)
    w.rogue("r", "a")
    w.say("r", "a", Wants([Want(p.log(), []) for p in people]), Credit(1 << 40))
    w.run(1)
    assert 20_000 <= sum(len(encode_message(m)) for m in said(w, "r", DataItems)) <= 2 * (20_000 + 10_000)


# -- faults of our own


def test_what_a_failed_commit_took_back_is_read_again() -> None:
    w = World("a")
    reader(w, "r1", logs=40)
    people = sorted((Person(f"p{k}", recovery=False) for k in range(10)), key=lambda p: p.id)
    a = w.replicas["a"]
    w.say("r1", "a", data(*(control_item(p) for p in people[:4])), Scanned(1, people[3].id, 0))
    assert a.sync.asking.catchup.left()[0].cursor == people[3].id
    frame = encode_message(data(*(control_item(p) for p in people[4:8])))
    a.receive("r1", frame, w.now)
    a.receive("r1", encode_message(Scanned(1, people[7].id, 0)), w.now)
    a.store.rollback()
    a.commit_failed("the disk is full")
    w.drain("a")
    assert a.sync.asking.catchup.left()[0].cursor == people[3].id
    w.run(6)
    w.say("r1", "a", Root(40, b32("r1"), 9))
    w.run(0.1)
    assert said(w, "r1", Scan)[-1].cursor == people[3].id


def full_disk(w: World, name: str, full: pytest.MonkeyPatch) -> None:
    """Every commit of this replica fails from now on."""
    replica = w.replicas[name]

    def fail() -> None:
        replica.store.rollback()
        replica.commit_failed("the disk is full")

    full.setattr(replica.store, "commit", fail)


def test_a_full_disk_costs_no_honest_peer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    w.until(w.same, 30)
    with monkeypatch.context() as full:
        full_disk(w, "b", full)
        w.post("a", an, 100)
        w.run(120)
    assert w.points("b", "a") == w.points("a", "b") == 0
    w.until(w.same, 90)


def test_a_full_disk_fetches_the_same_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.link("a", "b")
    w.until(w.same, 30)
    with monkeypatch.context() as full:
        full_disk(w, "b", full)
        w.post("a", an, 100)
        before = w.bytes["a", "b"]
        w.run(10)
        once = w.bytes["a", "b"] - before
        w.run(110)
        before = w.bytes["a", "b"]
        w.run(300)
        assert w.bytes["a", "b"] - before < 6 * once
    w.until(w.same, 90)
    w.post("a", an, 1)
    w.until(w.same, 10)


def test_a_failed_commit_while_we_serve_gives_back_the_credit_and_says_so() -> None:
    w = World("a", limits=Limits(piece=500))
    filled(w, 30)
    w.rogue("r", "a")
    a, link = w.replicas["a"], w.replicas["a"].links["r"]
    had = link.flow.may_send
    an = w.person("a", "an")
    a.writes.publish(an.log(), phone_of(an), [draft("undurable", 1)], w.now)
    a.receive("r", encode_message(Scan(1, b"", LAST)), w.now)
    a.store.rollback()
    a.commit_failed("the disk is full")
    w.drain("a")
    w.run(0.1)
    assert link.flow.may_send == had
    assert said(w, "r", DataItems) == []
    assert said(w, "r", Scanned)[-1].done in (1, CANNOT)


def test_questions_that_a_failed_commit_cuts_short_are_answered_all_the_same() -> None:
    w = World("a", limits=Limits(outbox=2_000, piece=500))
    people = filled(w, 30)
    w.rogue("r", "a")
    a, an = w.replicas["a"], w.person("a", "an")
    w.say("r", "a", Wants([Want(p.log(), []) for p in people]))
    w.run(0.1)
    assert 0 < said(w, "r", Answered)[-1].logs < 30
    a.writes.publish(an.log(), phone_of(an), [draft("undurable", 1)], w.now)
    a.store.rollback()
    a.commit_failed("the disk is full")
    w.drain("a")
    w.run(0.1)
    assert said(w, "r", Answered)[-1] == Answered(30)


def test_no_word_of_a_reading_or_an_answer_makes_more_than_a_charge() -> None:
    w = World("a")
    reader(w, "r1")
    messages: list[Message] = [
        Scanned(1, LAST, 1), Scanned(1, b"", 0), Scanned(99, LAST, 1), Scanned(0, b"x", 2), Answered(0),
        Answered(1 << 40), Scan(1 << 40, b"\x01", bytes(32)), Scan(3, LAST, LAST), Scan(3, b"", bytes(32)),
    ]  # fmt: skip
    for m in messages * 2:
        w.say("r1", "a", m)
        w.run(0.5)
    assert all("answered" in why for why in w.rejections("a"))
    for raw in (b"\x84\x0d\x01\x40\x03", b"\x84\x0c\x01\x40\x40"):
        with pytest.raises(Reject):
            decode_message(raw)


def test_a_node_that_finds_the_other_one_behind_tells_it_so() -> None:
    w = World("a", "b")
    an = w.person("a", "an")
    w.post("a", an, 3)
    w.link("a", "b")
    w.until(w.same, 30)
    w.lost = lambda sender, to, data: sender == "b" and isinstance(decode_message(data), Sketch)
    w.post("a", an, 3)
    w.until(w.same, 30)
