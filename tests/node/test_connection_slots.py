"""Who may hold a connection: the policy alone, without a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from banyan_node.admission.arrivals import Pauses, PauseSettings
from banyan_node.admission.connection_slots import (
    NEVER,
    ConnectionSlots,
    PeerActivity,
    Pool,
    Progress,
    Rank,
    SlotHolder,
    SlotSettings,
)

SMALL = SlotSettings(links=16, outbound=4, named=4, arriving=6, per_address=2, per_near=3, per_wide=5, fair_s=1.0)


def greet(
    slots: ConnectionSlots, host: str, peer: str, now: float, standing: dict[str, PeerActivity] | None = None
) -> int:
    """A peer comes and says hello at once. Its slot, or 0 if it was refused."""
    arrived = slots.arrives(host, now)
    assert not arrived.refused
    slots.met(arrived.slot, peer, now)
    slots.spoke(arrived.slot, now)
    return slots.settles(arrived.slot, now, standing or {}).slot


def test_silent_connections_take_no_slot_and_go_when_they_are_late() -> None:
    slots = ConnectionSlots(SMALL)
    came = [slots.arrives(f"8.{i}.0.1", 0.0).slot for i in range(6)]
    slots.met(came[0], "p", 3.0)
    assert slots.filling().inbound == 0
    assert slots.late(4.9) == []
    assert slots.late(5.0) == came[1:]
    assert slots.late(8.0) == came


def test_a_first_message_gives_a_busy_replica_time() -> None:
    slots = ConnectionSlots(SMALL)
    slot = slots.arrives("8.8.8.8", 0.0).slot
    slots.met(slot, "p", 0.0)
    slots.spoke(slot, 1.0)
    assert slots.late(60.0) == []
    assert slots.late(61.0) == [slot]


def test_a_flood_from_one_net_does_not_keep_others_out() -> None:
    slots = ConnectionSlots(SMALL)
    flood = [slots.arrives("8.8.8.8", 0.0).slot for _ in range(6)]
    for slot in flood:
        slots.speaks(slot)
    assert slots.arrives("8.8.8.9", 0.5).refused  # one of the same net must not shorten the time of the others
    other = slots.arrives("9.9.9.9", 0.5)
    assert (other.refused, other.out) == ("", (flood[0],))
    assert slots.arrives("8.8.8.9", 1.0).out == (flood[1],)


def test_the_arrival_that_got_least_far_goes_first() -> None:
    slots = ConnectionSlots(SMALL)
    proven, *speaking = (slots.arrives(f"8.8.8.{n}", n / 10).slot for n in range(5))
    silent = slots.arrives("8.8.8.5", 2.0).slot
    slots.met(proven, "p", 0.5)
    for slot in speaking:
        slots.speaks(slot)
    came = [slots.arrives("8.8.8.6", 3.0 + n) for n in range(3)]
    assert [v.out for v in came] == [(silent,), (came[0].slot,), (came[1].slot,)]
    slots.speaks(came[2].slot)
    assert slots.arrives("8.8.8.6", 5.1).out == (speaking[0],)
    assert proven in slots.held


def test_who_says_nothing_keeps_nobody_out() -> None:
    slots = ConnectionSlots(SMALL)
    silent = [slots.arrives("8.8.8.8", 0.0).slot for _ in range(6)]
    assert slots.arrives("8.8.8.8", 0.09).refused
    newcomers = [slots.arrives("8.8.8.8", 0.1) for _ in range(6)]
    assert [v.out for v in newcomers] == [(slot,) for slot in silent]
    for v in newcomers:
        slots.speaks(v.slot)
    assert slots.arrives("8.8.8.8", 0.3).refused


def test_127_links_of_one_address_take_what_one_address_may() -> None:
    slots = ConnectionSlots(SlotSettings())
    for i in range(127):
        greet(slots, "8.8.8.8", f"p{i}", float(i))
    assert slots.filling().inbound == SlotSettings().per_address
    assert greet(slots, "9.9.9.9", "other", 200.0)
    assert not slots.dials("7.7.7.7", "mine", 200.0, {}).refused


def test_on_loopback_the_newest_useless_link_goes_for_a_newcomer() -> None:
    slots = ConnectionSlots(SMALL)
    came = [greet(slots, "127.0.0.1", f"p{i}", float(i)) for i in range(8)]
    assert greet(slots, "127.0.0.1", "new", 9.0)
    assert came[-1] not in slots.held
    assert set(came[:-1]) < set(slots.held)


def test_neighbours_and_those_who_served_lately_stay() -> None:
    slots = ConnectionSlots(SMALL)
    came = {f"p{i}": greet(slots, f"8.{i}.0.1", f"p{i}", float(i)) for i in range(8)}
    standing = {"p7": PeerActivity(neighbour=True), "p6": PeerActivity(idle_s=599.0), "p5": PeerActivity(idle_s=600.0)}
    assert greet(slots, "9.9.9.9", "new", 9.0, standing)
    assert [p for p, slot in came.items() if slot not in slots.held] == ["p5"]


def test_serving_alone_closes_no_pool_to_newcomers() -> None:
    slots = ConnectionSlots(SMALL)
    came = {f"p{i}": greet(slots, f"8.{i}.0.1", f"p{i}", float(i)) for i in range(8)}
    standing = {peer: PeerActivity(idle_s=0.0) for peer in came}
    assert greet(slots, "9.9.9.9", "new", 9.0, standing)
    assert [p for p, slot in came.items() if slot not in slots.held] == ["p7"]


def test_a_link_of_the_fullest_net_goes() -> None:
    slots = ConnectionSlots(SMALL)
    hosts = ["9.9.1.1", "9.9.2.1", "9.9.3.1", *(f"8.{i}.0.1" for i in range(5))]
    came = [greet(slots, host, host, float(i)) for i, host in enumerate(hosts)]
    assert greet(slots, "7.7.7.7", "new", 9.0)
    assert came[2] not in slots.held


def test_a_full_net_is_refused_if_all_its_links_are_of_use() -> None:
    slots = ConnectionSlots(SMALL)
    standing = {"a": PeerActivity(neighbour=True), "b": PeerActivity(neighbour=True)}
    greet(slots, "8.8.8.8", "a", 0.0)
    greet(slots, "8.8.8.8", "b", 0.0)
    arrived = slots.arrives("8.8.8.8", 1.0)
    slots.met(arrived.slot, "c", 1.0)
    assert "8.8.8.8/32 has 2 links" in slots.settles(arrived.slot, 1.0, standing).refused
    assert arrived.slot not in slots.held


def test_a_dial_under_way_is_not_ended_for_another() -> None:
    slots = ConnectionSlots(SMALL)
    under_way = [slots.dials(None, f"p{i}", 0.0, {}).slot for i in range(4)]
    assert "all 4 slots" in slots.dials(None, "more", 1.0, {}).refused
    slots.met(under_way[0], "p0", 1.0)
    assert slots.dials(None, "more", 1.0, {}).out == (under_way[0],)


def test_a_named_peer_gets_in_and_its_net_does_not_count() -> None:
    slots = ConnectionSlots(SMALL, ["friend"])
    for i in range(8):
        greet(slots, f"8.8.8.{i}", f"p{i}", float(i))
    assert greet(slots, "8.8.8.8", "friend", 9.0)
    assert slots.filling().named == 1


@pytest.mark.parametrize("links", range(1, 40))
def test_few_links_are_shared_too(links: int) -> None:
    s = SlotSettings(links=links)
    assert 1 <= s.dialled <= max(1, links // 2)
    assert s.dialled + s.strangers <= links
    assert links == 1 or s.strangers >= 1


HOSTS = st.sampled_from(["8.8.1.1", "8.8.1.2", "8.8.2.1", "8.9.1.1", "9.9.9.9", "127.0.0.1", "2001:db9::1", None])
PEERS = st.sampled_from([f"p{i}" for i in range(12)] + ["friend", "other friend"])
STEPS = st.one_of(
    st.tuples(st.just("arrive"), HOSTS, PEERS),
    st.tuples(st.just("dial"), HOSTS, PEERS),
    st.tuples(st.just("met"), st.integers(0, 30), st.just("")),
    st.tuples(st.just("settle"), st.integers(0, 30), st.just("")),
    st.tuples(st.just("leave"), st.integers(0, 30), st.just("")),
)
STANDINGS = st.dictionaries(
    PEERS, st.builds(PeerActivity, st.booleans(), st.sampled_from([0.0, 100.0, NEVER])), max_size=8
)


@examples(max_examples=300)
@given(st.lists(st.tuples(STEPS, st.sampled_from([0.0, 0.3, 2.0]), STANDINGS), max_size=80), st.booleans())
def test_no_pool_and_no_net_exceeds_its_share_and_no_useful_link_goes_for_a_useless_one(
    steps: list[tuple[tuple[str, Any, str], float, dict[str, PeerActivity]]], local: bool
) -> None:
    s = replace(SMALL, local_groups=local)
    slots, now = ConnectionSlots(s, ["friend", "other friend"]), 0.0
    coming: dict[int, str] = {}
    for (step, what, peer), later, standing in steps:
        now += later
        before = dict(slots.held)
        ranks = {slot: slots.rank(slot, slots.serving(held.pool, standing), standing) for slot, held in before.items()}
        known = sorted(slots.held)
        slot = known[what % len(known)] if known and isinstance(what, int) else 0
        if step == "arrive":
            verdict = slots.arrives(what, now)
            if not verdict.refused:
                coming[verdict.slot] = peer
            check_arrivals(slots, before, now)
        elif step == "dial":
            verdict = slots.dials(what, peer, now, standing)
            check_newcomer(slots, s, verdict, peer, ranks, Pool.OUTBOUND)
        elif step == "met" and slot in coming:
            slots.met(slot, coming[slot], now)
        elif step == "settle" and slot in coming and proven_arrival(before[slot]):
            verdict = slots.settles(slot, now, standing)
            check_newcomer(slots, s, verdict, coming[slot], ranks, Pool.INBOUND)
        elif step == "leave":
            slots.leaves(slot)
        check_shares(slots, s)


def proven_arrival(held: SlotHolder) -> bool:
    return held.pool is Pool.ARRIVING and held.far is Progress.PROVEN


def check_newcomer(
    slots: ConnectionSlots, s: SlotSettings, verdict: Any, peer: str, ranks: dict[int, Rank], pool: Pool
) -> None:
    named = peer in slots.named
    for gone in verdict.out:
        assert ranks[gone] <= (Rank.NAMED if named else Rank.NO_USE)
        assert ranks[gone] is not Rank.NAMED
    if named and verdict.refused:
        assert sum(held.pool is Pool.NAMED for held in slots.held.values()) == s.links - s.dialled
    if pool is Pool.OUTBOUND and verdict.refused and not named:
        assert sum(held.pool is Pool.OUTBOUND for held in slots.held.values()) == s.dialled


def check_arrivals(slots: ConnectionSlots, before: dict[int, Any], now: float) -> None:
    """An arrival that goes early was of a net that had more of them than the newcomer's."""
    newcomer = [held for slot, held in slots.held.items() if slot not in before]
    near = Counter(held.nets.near for held in before.values() if held.pool is Pool.ARRIVING)
    for slot in before.keys() - slots.held.keys():
        held = before[slot]
        fair_s = slots.s.fair_s if held.far else slots.s.silent_s
        assert now - held.since >= fair_s or near[held.nets.near] > near[newcomer[0].nets.near] + 1


def check_shares(slots: ConnectionSlots, s: SlotSettings) -> None:
    pools = Counter(held.pool for held in slots.held.values())
    assert pools[Pool.INBOUND] <= s.strangers
    assert pools[Pool.OUTBOUND] <= s.dialled
    assert pools[Pool.INBOUND] + pools[Pool.NAMED] <= s.links - s.dialled
    assert pools[Pool.ARRIVING] <= s.arriving
    strangers = [h for h in slots.held.values() if h.pool is Pool.INBOUND and (s.local_groups or not h.nets.local)]
    levels: list[tuple[int, Callable[[Any], str]]] = [
        (s.per_address, lambda n: n.address),
        (s.per_near, lambda n: n.near),
        (s.per_wide, lambda n: n.wide),
    ]
    for most, level in levels:
        assert max(Counter(level(h.nets) for h in strangers if h.nets.near).values(), default=0) <= most


# -- pauses


def test_a_pause_doubles_and_fades() -> None:
    pauses = Pauses(PauseSettings(free=2, first_s=2.0, most_s=10.0, fade_s=60.0))
    got = []
    now = 0.0
    for _ in range(7):
        pauses.count("p", now)
        got.append(pauses.left("p", now))
        now += got[-1]
    assert got == [0, 0, 2, 4, 8, 10, 10]
    assert pauses.left("other", now) == 0
    now += 7 * 60
    pauses.count("p", now)
    assert pauses.left("p", now) == 0


def test_a_peer_that_ends_a_link_a_minute_is_never_paused() -> None:
    pauses = Pauses(PauseSettings())
    for minute in range(100):
        pauses.count("p", 60.0 * minute)
        assert pauses.left("p", 60.0 * minute) == 0


def test_pauses_of_a_bounded_number_of_peers_are_remembered() -> None:
    pauses = Pauses(PauseSettings(peers=3, free=0))
    for i in range(10):
        pauses.count(f"p{i}", 0.0)
    assert [pauses.left(f"p{i}", 0.0) > 0 for i in range(10)] == [False] * 7 + [True] * 3


# -- what people see


def test_people_hear_which_slots_fill_up_from_where_and_what_to_do() -> None:
    slots = ConnectionSlots(SMALL)
    assert slots.filling().crowded is None
    for i in range(8):
        greet(slots, f"{i + 8}.0.0.1", f"p{i}", 0.0)
    assert "8 of 8 slots for peers that dial this node" in (slots.filling().crowded or "")
    assert "raise limits.peers" in (slots.filling().crowded or "")
    for _ in range(6):
        slots.arrives("127.0.0.1", 0.0)
    assert "6 of 6 connections" in (slots.filling().crowded or "")
    assert "look for the program on this machine" in (slots.filling().crowded or "")
    flooded = ConnectionSlots(SMALL)
    for _ in range(6):
        flooded.arrives("8.8.8.8", 0.0)
    assert "network.deny 8.8.8.0/24" in (flooded.filling().crowded or "")


def test_people_hear_that_no_dial_is_left() -> None:
    slots = ConnectionSlots(SMALL)
    for i in range(4):
        slots.dials(None, f"p{i}", 0.0, {})
    assert "raise limits.outbound" in (slots.filling().crowded or "")
