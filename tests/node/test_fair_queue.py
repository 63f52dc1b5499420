"""Turns on the replica's thread, by the time that each job takes. Time is virtual here."""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_node.admission import fair_queue
from banyan_node.admission.fair_queue import FairQueue, JobOwner, TurnRights
from banyan_replica.peers.backlog import Lane


class Job(NamedTuple):
    whose: JobOwner
    number: int = 0
    cost: float = 0.001
    size: int = 10
    writes: bool = True
    lane: Lane = Lane.REST


def peers(count: int, group: str) -> list[JobOwner]:
    return [JobOwner(f"{group}-{n}", group) for n in range(count)]


def busy(whose: list[JobOwner], relied_on: set[str], cost: dict[str, float], seconds: float) -> dict[JobOwner, float]:
    """The time that each gets of so many seconds, if all always have a job waiting. cost: of a job of a group."""
    line: FairQueue[Job] = FairQueue(relied_on.__contains__)
    for one in whose:
        for _ in range(2):
            line.put(Job(one, cost=cost.get(one.group, 0.001)), 0.0)
    spent: dict[JobOwner, float] = defaultdict(float)
    now = 0.0
    while now < seconds:
        job = line.next()
        assert job is not None
        now += job.cost
        line.took(job, job.cost, now)
        spent[job.whose] += job.cost
        line.put(job, now)
    return spent


def by_group(spent: dict[JobOwner, float]) -> dict[str, float]:
    out: dict[str, float] = defaultdict(float)
    for whose, seconds in spent.items():
        out[whose.group] += seconds
    return {group: seconds / sum(spent.values()) for group, seconds in out.items()}


def test_two_hundred_strangers_get_the_share_of_strangers_whatever_their_jobs_cost() -> None:
    honest, strangers = peers(1, "known"), peers(200, "strangers")
    for cost in (0.0002, 0.005, 0.1):
        got = by_group(busy([*strangers, *honest], {honest[0].peer}, {"strangers": cost}, 60.0))
        # a job is never cut, and a class owes no more than DEEPEST, so very dear jobs get somewhat more
        assert got["known"] > (0.65 if cost < 0.05 else 0.3)


def test_many_of_one_network_get_the_share_of_one_of_another() -> None:
    got = by_group(busy([*peers(100, "one"), *peers(1, "two"), *peers(3, "three")], set(), {}, 20.0))
    assert all(share == pytest.approx(1 / 3, abs=0.02) for share in got.values())


def test_in_a_group_each_peer_gets_the_same_time_though_one_sends_dearer_frames() -> None:
    line: FairQueue[Job] = FairQueue(lambda peer: False)
    cheap, dear = peers(2, "net")
    spent: dict[JobOwner, float] = defaultdict(float)
    now = 0.0
    for _ in range(2):
        line.put(Job(cheap, cost=0.0005), now)
        line.put(Job(dear, cost=0.05), now)
    while now < 20.0:
        job = line.next()
        assert job is not None
        now += job.cost
        line.took(job, job.cost, now)
        spent[job.whose] += job.cost
        line.put(job, now)
    assert spent[cheap] == pytest.approx(spent[dear], rel=0.05)


def test_one_dear_frame_at_a_time_pays_like_many() -> None:
    """Its debt outlives its queue: it cannot begin anew with each frame."""
    line: FairQueue[Job] = FairQueue(lambda peer: False)
    honest, dear = peers(2, "net")
    now = 0.0
    order: list[JobOwner] = []
    line.put(Job(dear, cost=1.0), now)
    first = line.next()
    assert first is not None
    line.took(first, 1.0, now)
    for n in range(100):
        line.put(Job(honest, n), now)
    line.put(Job(dear, cost=1.0), now)
    while (job := line.next()) is not None:
        now += job.cost
        line.took(job, job.cost, now)
        order.append(job.whose)
    assert order[-1] == dear


def test_a_debt_is_forgiven_with_time_and_only_so_many_are_remembered() -> None:
    line: FairQueue[Job] = FairQueue(lambda peer: False)
    for n in range(fair_queue.DEBTS + 50):
        job = Job(JobOwner(f"peer {n}", f"group {n}"), cost=0.5)
        line.put(job, 0.0)
        line.next()
        line.took(job, 0.5, 0.0)
    assert len(line._debts) <= fair_queue.DEBTS
    number = fair_queue.DEBTS + 49
    last, other = JobOwner(f"peer {number}", f"group {number}"), JobOwner("other", f"group {number}")
    line.put(Job(last), 1e6)
    line.put(Job(other), 1e6)
    first = line.next()
    assert first is not None
    assert first.whose == last  # it came first, and owes nothing any more


def test_answers_of_a_peer_take_turns_by_time_with_a_flood_that_it_relays() -> None:
    line: FairQueue[Job] = FairQueue(lambda peer: False)
    peer = JobOwner("peer", "net")
    for n in range(1_000):
        line.put(Job(peer, n, cost=0.001, lane=Lane.GOSSIP), 0.0)
    for n in range(50):
        line.put(Job(peer, n, cost=0.004), 0.0)
    spent, now = dict.fromkeys(Lane, 0.0), 0.0
    while spent[Lane.REST] < 0.19:
        job = line.next()
        assert job is not None
        now += job.cost
        line.took(job, job.cost, now)
        spent[job.lane] += job.cost
    assert spent[Lane.GOSSIP] == pytest.approx(spent[Lane.REST], rel=0.05)


def test_while_strangers_owe_only_those_have_turns_that_may() -> None:
    line: FairQueue[Job] = FairQueue({"neighbour"}.__contains__)
    neighbour, stranger = JobOwner("neighbour", "10.1"), JobOwner("stranger", "10.2")

    def jobs(may: TurnRights) -> list[tuple[str, Lane]]:
        for whose in (stranger, neighbour):
            for lane in (Lane.FIRST, Lane.GOSSIP):
                line.put(Job(whose, lane=lane), 0.0)
        got = []
        for at in (may, None):
            while (job := line.next(at)) is not None:
                line.took(job, job.cost, 0.0)
                if at is not None:
                    got.append((job.whose.peer, job.lane))
            assert not line.can_run(at)
        assert not line.count
        return sorted(got)

    first, gossip = ("neighbour", Lane.FIRST), ("neighbour", Lane.GOSSIP)
    assert jobs(TurnRights(lambda group: False, lambda peer, own: False)) == []
    assert jobs(TurnRights(lambda group: False, lambda peer, own: True)) == [first, gossip]
    assert jobs(TurnRights(lambda group: False, lambda peer, own: own)) == [first]
    assert jobs(TurnRights(lambda group: False, lambda peer, own: not own)) == [gossip], "it is not behind what may not"
    assert jobs(TurnRights("10.1".__eq__, lambda peer, own: False)) == [first, gossip], (
        "it is a stranger that used little"
    )
    strangers = [("stranger", lane) for lane in (Lane.FIRST, Lane.GOSSIP)]
    assert jobs(TurnRights("10.2".__eq__, lambda peer, own: own)) == [first, *strangers]


def test_a_turn_is_found_though_other_threads_change_who_may_have_one() -> None:
    line: FairQueue[Job] = FairQueue({"neighbour"}.__contains__)
    for n in range(100):
        line.put(Job(JobOwner("neighbour", "10.1"), n), 0.0)
    asked = count()
    may = TurnRights(lambda group: next(asked) % 2 == 0, lambda peer, own: next(asked) % 3 == 0)
    got = 0
    while got < 100:
        if (job := line.next(may)) is not None:
            line.took(job, job.cost, 0.0)
            got += 1
    assert not line.count


def test_a_lane_that_was_empty_has_saved_nothing_up() -> None:
    line: FairQueue[Job] = FairQueue(lambda peer: False)
    peer = JobOwner("peer", "net")
    for n in range(1_000):
        line.put(Job(peer, n, lane=Lane.GOSSIP), 0.0)
    now, order = 0.0, list[Lane]()

    def go(count: int) -> None:
        nonlocal now
        for _ in range(count):
            job = line.next()
            assert job is not None
            now += job.cost
            line.took(job, job.cost, now)
            order.append(job.lane)

    go(500)
    for n in range(100):
        line.put(Job(peer, n), now)
    go(100)
    assert order[500:].count(Lane.REST) == pytest.approx(50, abs=1)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 2),
            st.sampled_from([0.0, 0.0001, 0.01, 3.0]),
            st.sampled_from(Lane),
            st.booleans(),
        ),
        max_size=120,
    ),
    st.sets(st.integers(0, 5)),
)
def test_every_job_has_its_turn_once_and_those_of_one_peer_in_order_by_lanes(
    given: list[tuple[int, int, float, Lane, bool]], relied_on: set[int]
) -> None:
    line: FairQueue[Job] = FairQueue(lambda peer: int(peer) in relied_on)
    wait: dict[JobOwner, list[Job]] = {}
    ended = set[JobOwner]()
    """What comes while the last job waits is one line with it, until all of it had its turn."""
    now = 0.0

    def one() -> None:
        nonlocal now
        job = line.next()
        if job is None:
            assert not any(wait.values())
            return
        mine = wait[job.whose]
        last = next((at for at, other in enumerate(mine) if other.lane is Lane.LAST), len(mine))
        assert mine.index(job) <= last, "it came after what is last"
        assert job.lane is not Lane.LAST or mine[0] == job, "it is last of those before it"
        if job.whose not in ended:
            assert job.lane is Lane.FIRST or Lane.FIRST not in {other.lane for other in mine}
            assert job.lane not in {other.lane for other in mine[: mine.index(job)]}
        mine.remove(job)
        now += job.cost
        line.took(job, job.cost, now)

    for number, (peer, group, cost, lane, serve) in enumerate(given):
        whose = JobOwner(str(peer), f"group {group}")
        ended |= {whose} if lane is Lane.LAST else set()
        wait.setdefault(whose, []).append(Job(whose, number, cost, lane=lane))
        line.put(wait[whose][-1], now)
        if serve:
            one()
        waiting = [job for jobs in wait.values() for job in jobs]
        assert (line.count, line.size, line.writing) == (n := len(waiting), 10 * n, n)
        assert line.first == sum(job.lane is Lane.FIRST for job in waiting)
    while any(wait.values()):
        one()
    assert line.next() is None
    assert not line._paths
    assert not line._groups
    assert not line._whole.inner
