"""What two nodes cannot make equal is left out of their comparisons, all of it is compared again within a budget."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Grant
from banyan_replica.frontier.sketch import CELLS, Numbers, P, add_one, decode, empty, submod
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync import exchange
from banyan_replica.sync.known_differences import COMPARED, FEW, FORCED_S, MOST, MOVED, WHOLE_S, KnownDifferences
from banyan_replica.sync.repeats import UnacceptedLogs
from banyan_replica.wire.message_table import decode_message
from banyan_replica.wire.messages import Heads, SketchCells, SketchNames
from tests.replica.flips import WAYS, Flips, Way
from tests.replica.flips import measure as measure_flips
from tests.replica.forging import WIDE, Forger, Pair
from tests.replica.stuck import Scene, measure, scene
from tests.replica.test_refusals import ALLOWED, refuse

NOW = 1e9


def table(items: dict[int, int]) -> Numbers:
    out = empty()
    for h, w in items.items():
        add_one(out, h, w)
    return out


def spend(standing: KnownDifferences) -> None:
    standing.again(COMPARED)


def found(
    standing: KnownDifferences, mine: dict[int, int], theirs: dict[int, int], under_way: int = 0
) -> dict[int, int]:
    """One comparison of these items. Returns what was told because of it."""
    shown = submod(standing.shown(table(mine)), table(theirs))
    return standing.found(decode(shown).items, under_way, NOW)


def test_what_is_found_twice_stands_and_what_moves_is_found_beside_it() -> None:
    rng = random.Random(1)
    mine = {rng.randrange(P): rng.randrange(1, P) for _ in range(50)}
    theirs = {rng.randrange(P): rng.randrange(1, P) for _ in range(50)}
    standing = KnownDifferences(NOW)
    assert len(found(standing, mine, theirs)) == 100
    assert len(found(standing, mine, theirs)) == 100, "once more: a frame may have been lost"
    assert found(standing, mine, theirs) == {}
    some, other = next(iter(mine)), next(iter(theirs))
    mine[some], theirs[other], mine[7] = 3, 4, 5
    assert set(found(standing, mine, theirs)) == {some, other, 7}
    assert set(found(standing, mine, theirs)) == {some, other, 7}
    assert found(standing, mine, theirs) == {}
    theirs[7] = 5
    assert set(found(standing, mine, theirs)) == {7}
    standing.equal()
    assert standing.cells is None
    assert len(found(standing, mine, theirs)) == 100


def test_what_is_under_way_does_not_stand_unless_there_is_more() -> None:
    standing, mine = KnownDifferences(NOW), dict.fromkeys(range(1, 6), 1)
    for _ in range(3):
        assert len(found(standing, mine, {}, under_way=5)) == 5
    assert len(found(standing, mine, {}, under_way=4)) == 5
    assert found(standing, mine, {}, under_way=4) == {}


def test_what_was_found_before_is_told_once_if_the_budget_is_spent() -> None:
    standing, mine = KnownDifferences(NOW), dict.fromkeys(range(1, 6), 1)
    spend(standing)
    assert len(found(standing, mine, {}, under_way=9)) == 5
    assert found(standing, mine, {}, under_way=9) == {}
    assert standing.cells is not None


def test_everything_is_compared_now_and_then_within_its_bytes() -> None:
    standing = KnownDifferences(NOW)
    assert standing.whole(NOW)
    assert not standing.whole(NOW + WHOLE_S - 1)
    assert standing.whole(NOW + WHOLE_S)
    spend(standing)
    assert not standing.whole(NOW + 1_700)
    assert standing.whole(NOW + 1_900), "half of the bytes are for one time"
    standing.passed(Heads(b"", 0, []), COMPARED)
    standing.passed(SketchNames(b"", b""), COMPARED)
    assert standing.spent(NOW + 1_900 + 3_600)
    standing.news(2 * COMPARED)
    assert not standing.spent(NOW + 1_900 + 3_600), "news pays"


def test_where_there_is_a_reason_everything_is_compared_once_an_hour_all_the_same() -> None:
    standing = KnownDifferences(NOW)
    for _ in range(100):
        spend(standing)
    assert not standing.whole(NOW)
    standing.want()
    assert standing.whole(NOW)
    standing.want()
    assert not standing.whole(NOW + FORCED_S - 1)
    assert standing.whole(NOW + FORCED_S)
    assert not standing.whole(NOW + FORCED_S + 1)
    assert standing.whole(NOW + FORCED_S + MOST / COMPARED * 3_600), "a day is the longest"


def test_what_differed_before_sums_were_compared_stands_once_the_budget_is_spent() -> None:
    standing, mine = KnownDifferences(NOW), table({5: 6})
    assert standing.beyond(0, NOW)
    standing.differed(mine)
    assert standing.beyond(0, NOW), "news has paid"
    spend(standing)
    assert not standing.beyond(FEW, NOW)
    assert standing.cells is None, "much is under way"
    assert not standing.beyond(0, NOW)
    assert not standing.shown(mine).any()
    assert not standing.whole(NOW + FORCED_S / 2 - 60), "that was the reason"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons find what is refused, as if each side had something that the other needs (repeats.py)."""
    monkeypatch.setattr(UnacceptedLogs, "put", lambda *_: None)


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("by_sums", [False, True])
def test_many_logs_that_one_node_refuses_cost_little_and_make_no_post_late(
    monkeypatch: pytest.MonkeyPatch, by_sums: bool
) -> None:
    if by_sums:
        monkeypatch.setattr(exchange, "MOST", 100)
    stuck = measure(250, 12)
    assert stuck.late < 20
    assert stuck.minutes[0] < 10 * stuck.wrote, "told and asked for twice"
    assert max(stuck.minutes[1:]) < 30_000, "with two posts, and what is asked for again"


def settled(logs: int = 250, minutes: int = 2) -> Scene:
    there = scene(logs)
    for _ in range(minutes):
        there.minute()
    assert all(link.course.stuck.cells is not None for link in links(there))
    return there


def links(there: Scene) -> list[PeerSession]:
    return [there.w.replicas["a"].links["b"], there.w.replicas["b"].links["a"]]


@pytest.mark.usefixtures("told")
def test_a_link_that_ends_again_and_again_costs_no_more() -> None:
    there = settled()
    before = sum(there.w.bytes.values())
    for _ in range(10):
        there.w.unlink("a", "b")
        there.w.link("a", "b")
        there.minute()
    assert sum(there.w.bytes.values()) - before < 350_000, "a megabyte if all is told each time"


@pytest.mark.usefixtures("told")
def test_much_news_beside_what_stands_comes_though_the_budget_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MOST", 100)
    there = settled()
    assert all(link.course.stuck.spent(there.w.now) for link in links(there))
    people = [there.w.person("a", f"{k}") for k in range(100)]
    for person in people:
        there.w.post("a", person, 1)
    there.w.until(lambda: all(there.w.head("b", person.log()).length for person in people), 30)


def test_what_is_read_in_vain_uses_the_budget() -> None:
    w, who = Pair(WIDE), Forger(WIDE)
    who.say(Grant(who.device, 1, 100_000, 8, None, None, None))
    for name in "ab":
        w.control(name, who)
    refuse(w, "b", who.id, "busy")
    for k in range(1, 300):
        assert not w.give("a", who.write(1, log=k))
    w.link("a", "b")
    w.run(2)
    assert w.replicas["b"].links["a"].course.stuck.spent(w.now)


@pytest.mark.usefixtures("told")
def test_what_could_not_be_taken_is_asked_for_once_something_of_the_account_was() -> None:
    there = settled(3, 5)
    w, ingest = there.w, there.w.replicas["b"].ingest
    for method in ("run", "control", "checkpoint"):
        delattr(ingest, method)  # it refuses no longer
    w.run(22)
    there.who.say(there.who.pin(9, EntryId(bytes(32))))
    for name in "ab":
        w.control(name, there.who)
    w.run(2)
    assert w.head("b", there.who.log).length


@pytest.mark.usefixtures("told")
def test_what_moves_pays_for_comparing_since_comparisons_find_it_under_way() -> None:
    there = settled()
    replica = there.w.replicas["b"]
    for stored in 1_000 * [1] + [-1_000]:  # as if an entry were stored each time
        replica.ingest.together.entries += stored
        replica.sync.asking.moved(there.who.log)
    there.w.run(2)
    assert [link.course.stuck.spent(there.w.now) for link in links(there)] == [True, False]


def test_heads_that_move_and_nothing_was_stored_are_not_shown_beyond_some_an_hour() -> None:
    standing, cells, some = KnownDifferences(NOW), empty(), COMPARED // 2 // MOVED + 1
    for at in range(1, 1_000):
        standing.recounted(at, 5, NOW)
        add_one(cells, at, 5)
    shown = decode(standing.steady(cells)).items
    assert set(shown) == set(range(1, some + 1))
    add_one(cells, 5_000, 7)
    assert 5_000 in decode(standing.steady(cells)).items, "what else moves is shown at once"
    standing.equal()
    assert standing.whole(NOW)
    standing.show(NOW)
    assert decode(standing.steady(cells)).items.keys() == {*shown, 5_000}, "no reason shows more at once"
    for hour in range(1, 6):
        standing.show(NOW + hour * 3_600)
        assert len(decode(standing.steady(cells)).items) <= some + 1 + hour * COMPARED // MOVED
    for n in range(40):
        standing.show(NOW + (6 + n) * 3_600)
    assert (standing.steady(cells) == cells).all()


def test_more_heads_than_cells_tell_are_shown_at_once_when_the_budget_has_that() -> None:
    standing, cells = KnownDifferences(NOW), empty()
    for at in range(1, CELLS + 1_000):
        standing.recounted(at, 5, NOW)
        add_one(cells, at, 5)
    standing.again(MOST)
    standing.show(NOW + 3_600)
    assert standing.unshown is not None
    standing.show(NOW + MOST / COMPARED * 3_600)
    assert (standing.steady(cells) == cells).all()


@pytest.mark.parametrize("way", WAYS)
def test_heads_that_move_to_and_fro_are_told_within_their_bytes_whichever_way_they_are_moved(way: Way) -> None:
    """The minutes in which all bursts are."""
    [flips] = measure_flips(120, 10, [2], way)
    assert flips.again < ALLOWED * 0.45, "all of an hour if they are told each time"
    assert flips.late <= 20


def test_heads_that_move_to_and_fro_are_not_told_each_time_and_posts_beside_them_are() -> None:
    there, compared = Flips(25), list[int]()

    def lost(sender: str, to: str, raw: bytes) -> bool:
        if "x" not in (sender, to) and isinstance(decode_message(raw), Heads | SketchCells | SketchNames):
            compared.append(len(raw))
        return False

    there.w.lost = lost
    for a, b in ("ab", "ba"):
        for k in range(COMPARED // MOVED):
            there.w.replicas[a].links[b].course.stuck.recounted(k, 0, there.w.now)
    there.flip(5)
    compared.clear()
    there.post()
    for _ in range(3):
        there.flip(5)
    assert there.told()
    assert sum(compared) < 5_000, "22,000 if they are"


def test_a_peer_whose_bytes_are_spent_reads_nothing_though_another_opens_a_catch_up() -> None:
    w = scene(5).w
    w.rogue("y", "b", realm=WIDE.id, logs=10_000)
    w.run(1)
    asking, link = w.replicas["b"].sync.asking, w.replicas["b"].links["a"]
    assert asking.catchup.readers == ["y"]
    link.course.stuck.again(COMPARED)
    assert not asking.readers.read_through(link, 10_000, 3, w.now)
    link.course.stuck.news(COMPARED)
    assert asking.readers.read_through(link, 10_000, 3, w.now)
