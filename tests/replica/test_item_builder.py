"""What is served to a peer: from which entry, up to which signature, with which evidence and proof."""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections.abc import Iterable

import pytest

from banyan_crdt.control import resolve_control
from banyan_crdt.entry import decode_header
from banyan_crdt.ids import EntryId, Head, control_log
from banyan_crdt.realm import TEST
from banyan_crdt.run import Run, decode_control, decode_run, run_row_bytes, verify_run
from banyan_replica.host import ALONE
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.joints import stands_above
from banyan_replica.peers.flow import WINDOW
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.bulk_sender import FEW_ITEMS, FRAME_DECODED, SMALL, WORK_DECODED, BulkSender
from banyan_replica.sync.item_builder import control_items, locator, log_items, pin_of, start_of
from banyan_replica.sync.orders import RangeForPeer, ReplayForPeer
from banyan_replica.sync.send_check import SendCheck
from banyan_replica.wire.messages import (
    LAST,
    MAX_LOCATOR,
    Answered,
    Credit,
    DataItems,
    Message,
    Replay,
    RunItem,
    Scan,
    Want,
    Wants,
)
from banyan_storage.tables import VOUCHED
from tests.crdt.make import TICK, Person, add, follow
from tests.replica.helpers import NOW_MS, World, give
from tests.replica.judging import held, ids, known, sound


def runs(items: Iterable[RunItem]) -> list[Run]:
    """The served runs, each verified as a receiver does."""
    out = [decode_run(TEST, item.run) for item in items]
    for run in out:
        verify_run(TEST, run)
    return out


def served(items: Iterable[RunItem]) -> list[list[EntryId]]:
    return [[e.id for e in run.entries] for run in runs(items)]


def test_serving_begins_right_above_the_newest_entry_of_the_locator_that_counts() -> None:
    an = Person()
    log, node = an.write(10), known(an)
    give(node, log)
    other = an.write(3, below=log[:6], tag="x")
    where = [(8, other[8].id), (5, log[5].id), (0, log[0].id)]
    assert start_of(node.store, Want(an.log(), where, [])) == 6
    assert start_of(node.store, Want(an.log(), where[:1], [])) == 0


def test_a_locator_reaches_from_the_last_entry_down_to_the_first_ever_sparser() -> None:
    an = Person()
    log, node = an.write(300), known(an)
    give(node, log)
    found = locator(node.store, an.log())
    assert found == sorted(found, reverse=True)
    assert all(log[seq].id == entry for seq, entry in found)
    assert [seq for seq, _ in found[:9]] == list(range(299, 290, -1))
    assert found[-1] == (0, log[0].id)
    assert len(found) < 20


def test_a_locator_names_what_is_held_and_does_not_count_and_first_what_a_pin_stands_above() -> None:
    an = Person()
    log, node = an.write(4), known(an)
    branches = [an.write(20, below=log, tag=tag) for tag in "abc"]
    give(node, log)
    for branch in branches:
        give(node, branch, 4)
    low = an.write(2, below=log[:3], tag="low")
    node.store.add_loose(an.log(), low[3:], VOUCHED, NOW_MS // 1000)
    found = locator(node.store, an.log())
    assert len(found) == MAX_LOCATOR
    assert {*ids(log), *ids(low, 3)} <= {entry for _, entry in found}
    assert (23, branches[0][23].id) in found


def test_a_forked_log_is_served_with_two_branches_each_up_to_a_signature() -> None:
    an = Person()
    log = an.write(3)
    branches = sorted((an.write(2, below=log, tag=tag) for tag in "abc"), key=lambda b: b[3].id)
    node = known(an)
    give(node, log)
    for branch in branches:
        give(node, branch, 3)
    evidence = [ids(branch, 3) for branch in branches[:2]]  # each signed at its end alone, as it came
    assert served(log_items(node.store, an.log(), 0)) == [ids(log), *evidence]
    assert served(log_items(node.store, an.log(), 3)) == evidence


def test_what_the_grant_allows_no_more_is_no_evidence_beside_two_branches_that_it_allows() -> None:
    an = Person(device=None)
    born = list(an.control)
    an.grant("phone")
    log = an.write(2)
    late, *branches = sorted((an.write(1, below=log, tag=tag) for tag in "abc"), key=lambda b: b[2].id)
    end = log[1].header.time + TICK
    for k in range(1_000):  # dated later, with an id that is smaller than those of the others
        late = [*log, follow(an.full("phone"), an.log(), log, add(f"late {k}"), time=end + 1)]
        if late[2].id < branches[0][2].id:
            break
    node = known(an)
    for given in (log, late, *branches):
        give(node, given)
    rotated = an.say(an.rotate(0, "root2"), by="root1", below=born)
    granted = an.say(an.grant_op("phone", until=end), by="root1", below=[*born, rotated])
    assert node.control(an.id, [rotated, granted], NOW_MS)
    assert node.head(an.log()) == Head(2, log[1].id, 1)
    assert served(log_items(node.store, an.log(), 2)) == [[branch[2].id] for branch in branches]
    sound(node)


def test_a_frozen_account_is_served_with_both_branches_that_show_it() -> None:
    an = Person()
    trunk = list(an.control)
    mine, thiefs = an.say(an.grant_op("laptop")), an.say(an.grant_op("tablet"), below=trunk)
    node = known(an)
    node.control(an.id, [thiefs], NOW_MS)
    entries = [decode_control(TEST, e) for item in control_items(node.store, an.id) for e in item.entries]
    assert {e.id for e in entries} == {*ids(trunk), mine.id, thiefs.id}
    assert resolve_control(entries).frozen


def test_what_lies_below_a_pin_comes_with_the_proof_from_the_highest_that_counts_here() -> None:
    an = Person()
    log, node = an.write(60), known(an)
    give(node, log)
    for k in range(60):  # every entry signed, so that pieces are small
        give(node, log, k, k + 1)
    other = an.write(1, below=log[:55], tag="x")
    pins = [(55, other[55].id), (50, log[50].id), (10, log[10].id)]
    proved = 0
    for item in log_items(node.store, an.log(), 0, lambda: 100, pin=pin_of(node.store, an.log(), pins)):
        last = decode_run(TEST, item.run).entries[-1]
        headers = [decode_header(raw) for raw in item.proof]
        assert bool(headers) == (last.header.seq < 50)
        if headers:
            assert stands_above(TEST, headers, {log[50].id}, last)
            proved = last.header.seq
    assert proved == 49


def test_where_what_counts_is_signed_too_far_above_a_branch_vouches_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    trunk = an.write(4)
    near, chosen = an.write(1, below=trunk, tag="near"), an.write(6, below=trunk, tag="far")
    an.say(an.pin(chosen[9]))
    node = known(an)
    for module in ("banyan_replica.sync.item_builder", "banyan_crdt.logs"):
        monkeypatch.setattr(f"{module}.RUN_ROWS_BYTES", sum(run_row_bytes(e.ops) for e in chosen[:6]))
    give(node, near)
    give(node, chosen, 4)
    assert held(node, an.log()) == (ids(chosen), {near[4].id})
    assert served(log_items(node.store, an.log(), 0)) == [ids(near), ids(chosen, 4)]


def test_arrivals_at_hand_make_no_run_of_more_entries_than_a_run_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    an = Person()
    log, node = an.write(20), known(an)
    with node.together.batch():  # else each arrival but those of one run names its parent
        for n in range(0, 20, 5):
            give(node, log[: n + 5], n)
    monkeypatch.setattr("banyan_replica.sync.item_builder.MAX_RUN_ENTRIES", 8)
    came = [row for row in node.store.arrivals(0, 99) if row.log == an.log()]
    assert len(came) == 20
    found = served(log_items(node.store, an.log(), 0, came=came))
    assert [entry for run in found for entry in run] == ids(log)
    assert max(map(len, found)) <= 8


def test_arrivals_of_a_branch_are_not_served_as_what_counts() -> None:
    an = Person()
    log = an.write(5)
    branch = an.write(3, below=log[:2], tag="x")
    an.say(an.pin(log[4]))
    node = known(an)
    give(node, log)
    give(node, branch, 2)
    came = [row for row in node.store.arrivals(0, 99) if row.id in ids(branch, 2)]
    assert [row.seq for row in came] == [2, 3, 4]
    assert served(log_items(node.store, an.log(), 2, came=came)) == [ids(log, 2)]


def forked(branches: int, each: int) -> tuple[Person, Ingest]:
    """A forked log with much beside it."""
    an = Person()
    log, node = an.write(3), known(an)
    give(node, log)
    for n in range(branches):
        give(node, an.write(each, below=log, tag=f"{n}-"), 3)
    node.flush()
    return an, node


def test_readers_that_stop_in_the_middle_of_the_evidence_keep_no_branches_in_memory() -> None:
    an, node = forked(20, 60)
    next(log_items(node.store, an.log(), 3))
    tracemalloc.start()
    try:
        readers = [log_items(node.store, an.log(), 3) for _ in range(30)]
        for reader in readers:
            next(reader)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 30 * 10_000  # each of its two items would take more, and the branches together 20 times as much


def test_what_a_reader_got_does_not_stay_in_memory_until_it_takes_more() -> None:
    an, node = forked(2, 60)
    count = 0
    for item in SendCheck(node.store).items("peer", an.log(), log_items(node.store, an.log(), 0, lambda: 100)):
        assert sys.getrefcount(item) <= 2, "this loop has it, and nobody else"
        count += 1
    assert count == 3  # the log, and a branch each


def test_a_reader_gets_two_branches_of_a_fork_though_others_come_while_it_reads() -> None:
    for more in range(1, 6):
        an, node = forked(2, 60)
        log = node.store.chain(an.log())
        reader = log_items(node.store, an.log(), 3)
        first = next(reader)
        for n in range(more):
            give(node, an.write(60, below=log, tag=f"late {n}-"), 3)
        node.flush()
        one, two = served([first, *reader])
        assert one[0] != two[0]


def test_a_question_that_waits_takes_little_memory_whatever_places_it_names() -> None:
    an, node = forked(2, 60)
    serving = BulkSender(node.store, Limits(), {}, ALONE, [], node.pinned, lambda log: True)
    peer = PeerSession("peer", False, 0.0)
    peer.flow.may_send = 0
    rng = random.Random("places")
    tracemalloc.start()
    try:
        for _ in range(20):
            places = [(seq, EntryId(rng.randbytes(32))) for seq in range(MAX_LOCATOR, 0, -1)]
            serving.wants(peer, Wants([Want(an.log(), places, []) for _ in range(50)]))
        del places
        held, _ = tracemalloc.get_traced_memory()
        serving.gone(peer)
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000 * 200  # the names of the log alone take 100 bytes each; 64 places more than 6,000
    assert left < held / 4


def test_what_stands_beside_a_log_is_read_for_many_peers_a_little_at_a_time() -> None:
    an, node = forked(20, 60)
    log = node.store.chain(an.log())
    out: list[tuple[str, Message | bytes]] = []
    serving = BulkSender(node.store, Limits(), {}, ALONE, out, node.pinned, lambda log: True)
    peers = [PeerSession(f"peer {n}", False, 0.0) for n in range(6)]
    for peer in peers:
        peer.flow.room = WINDOW
        serving.wants(peer, Wants([Want(an.log(), [(2, log[2].id)], [])] * 20))
        serving.pump(peer)
    most, calls = 0, 0
    while serving.busy:
        began = node.store.decoded
        serving.work()
        most, calls = max(most, node.store.decoded - began), calls + 1
        assert calls < 10_000
    one = 2 * 1_200  # all that stands beside it, and the children of the fork among it
    assert most <= WORK_DECODED + FRAME_DECODED + one
    last = {peer: said for peer, said in out if isinstance(said, Answered)}
    assert last == {peer.peer: Answered(20) for peer in peers}, "everybody got everything in the end"


@pytest.mark.parametrize("works", [False, True])
def test_while_own_people_work_a_frame_holds_few_small_accounts_and_all_come(works: bool) -> None:
    w = World("a")
    for k in range(60):
        w.person("a", f"person {k}")
    w.around["a"].busy = works
    w.said = []
    w.rogue("r", "a")
    w.say("r", "a", Scan(1, b"", LAST))
    w.run(5)
    counts = [len(m.items) for peer, m in w.said if peer == "a" and isinstance(m, DataItems)]
    assert sum(counts) == 60
    assert (max(counts) <= FEW_ITEMS) == works


def test_a_reading_that_is_begun_anew_leaves_nothing_of_the_one_before() -> None:
    w = World("a")
    for k in range(5):
        w.post("a", w.person("a", f"person {k}"), 3)
    w.rogue("r", "a")
    gc.collect()
    gc.disable()
    try:
        for number in range(1, 50):
            w.say("r", "a", Scan(number, b"", LAST), Replay(0))
        w.unlink("r", "a")
        left = [o for o in gc.get_objects() if isinstance(o, RangeForPeer | ReplayForPeer)]
    finally:
        gc.enable()
    assert len(left) <= 1, len(left)


def test_what_a_peer_names_does_not_wait_for_all_that_is_read_to_it() -> None:
    w = World("a")
    people = [w.person("a", f"person {k}") for k in range(40)]
    for person in people:
        w.post("a", person, 40)
    w.rogue("r", "a")
    flow = w.replicas["a"].links["r"].flow
    flow.room = 20_000
    w.say("r", "a", Scan(1, b"", LAST))
    w.run(5)
    read = flow.transit
    assert 20_000 <= read < 20_000 + SMALL
    w.said = []
    w.say("r", "a", Wants([Want(control_log(people[-1].id), [], [])]))
    w.run(1)
    assert flow.transit > read
    assert ("a", Answered(1)) in w.said
    for person in people:
        w.say("r", "a", Wants([Want(person.log(), [], [])]))
    w.run(5)
    assert flow.transit < 20_000 + 3 * SMALL, "nor does it get round the room"


def test_to_all_peers_together_little_is_under_way_and_each_gets_some() -> None:
    limits = Limits(piece=10_000, outbox_of_all=60_000)
    w = World("a", limits=limits)
    for k in range(60):
        w.post("a", w.person("a", f"person {k}"), 40)
    rogues = [f"r{k}" for k in range(12)]
    for name in rogues:
        w.rogue(name, "a")
        w.say(name, "a", Scan(1, b"", LAST))
    w.run(5)
    links = w.replicas["a"].links
    each = [links[name].flow.transit for name in rogues]
    assert min(each) >= 10_000
    assert sum(each) < 60_000 + len(rogues) * 30_000
    for name in rogues[1:]:
        w.unlink(name, "a")
    w.say(rogues[0], "a", Credit(1))
    w.run(5)
    assert links[rogues[0]].flow.transit > 60_000
