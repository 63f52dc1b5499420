"""One node of the gossip: verdicts, repair, bounds, and who may be a neighbour."""

from __future__ import annotations

import itertools
import random
from collections.abc import Container

import pytest

from banyan_crdt.ids import WriterKey
from banyan_replica.gossip.frames import (
    AnyFrame,
    DeliverMessage,
    DialPeer,
    DropPeer,
    ForwardJoin,
    GossipEffect,
    Join,
    Neighbour,
    NeighbourAnswer,
    NoNeighbour,
    PeerInfo,
    Push,
    PushFrame,
    SendFrame,
    Shuffled,
    encode_frame,
    is_own,
)
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.message_cache import LATELY_S, News
from banyan_replica.gossip.plumtree import STALE
from banyan_replica.gossip.pushes import opens_as_own
from banyan_replica.gossip.settings import GossipSettings
from banyan_replica.peers.ledger import Charge, Ledger, Offence
from banyan_replica.peers.operator_trust import OperatorTrust
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import GossipFrame

A, B, C, D = (letter * 16 for letter in (b"a", b"b", b"c", b"d"))


def drain(node: Gossip) -> list[GossipEffect]:
    out = []
    while (effect := node.next_effect()) is not None:
        out.append(effect)
    return out


def sent(node: Gossip, peer: str) -> list[AnyFrame]:
    return [e.frame for e in drain(node) if isinstance(e, SendFrame) and e.peer == peer]


def up(node: Gossip, peer: str, now: float = 0.0, group: str = "") -> None:
    node.peer_up(peer, group=group or peer, outbound=False, addrs=(f"/dns/{peer}.x{peer}/tcp/1",), now=now)
    node.receive(peer, Join(), now)


def node_with(
    *peers: str,
    settings: GossipSettings | None = None,
    fetch: dict[bytes, bytes] | None = None,
    ledger: Ledger | None = None,
    named: Container[str] = (),
) -> Gossip:
    addrs, rng = ("/dns/me.org/tcp/1",), random.Random(1)
    node = Gossip("me", settings or GossipSettings(), rng, (fetch or {}).get, addrs, ledger=ledger, named=named)
    for peer in peers:
        up(node, peer)
    drain(node)
    return node


def push(*items: tuple[bytes, bytes]) -> PushFrame:
    return PushFrame(tuple(Push(mid, 0, payload) for mid, payload in items))


def run_to(node: Gossip, until: float) -> list[GossipEffect]:
    out = drain(node)
    while (due := node.get_timer()) is not None and due <= until:
        node.handle_timer(due)
        out += drain(node)
    return out


# -- verdicts


def test_nothing_is_forwarded_before_it_is_accepted() -> None:
    node = node_with("p", "q")
    (delivery,) = node.receive("p", push((A, b"x")), 1.0)
    assert delivery == DeliverMessage(A, b"x", 1, "p")
    assert drain(node) == []
    assert not node.knows(A)
    node.accepted(delivery, 1.1)
    assert drain(node) == [SendFrame("q", PushFrame((Push(A, 1, b"x"),)))]
    assert node.knows(A)


def test_a_copy_that_waits_for_its_verdict_is_not_handed_out_twice() -> None:
    node = node_with("p", "q")
    node.receive("p", push((A, b"x")), 1.0)
    assert node.receive("q", push((A, b"x")), 1.0) == ()
    assert node.stats()["duplicates"] == 1


def test_who_sent_a_copy_meanwhile_is_not_sent_one_back() -> None:
    node = node_with("p", "q")
    (delivery,) = node.receive("p", push((A, b"x")), 1.0)
    node.receive("q", push((A, b"x")), 1.0)
    node.accepted(delivery, 1.1)
    assert drain(node) == []


def test_a_poisoned_payload_cannot_hide_the_honest_one() -> None:
    node = node_with("p", "q", "r")
    (bad,) = node.receive("p", push((A, b"poison")), 1.0)
    (good,) = node.receive("q", push((A, b"x")), 1.0)
    node.rejected(bad.mid, "p", 1.1)
    node.accepted(good, 1.1)
    assert node.knows(A)
    assert sent(node, "r") == [PushFrame((Push(A, 1, b"x"),))]


def test_after_a_rejection_the_other_announcers_are_asked_at_once() -> None:
    node = node_with("p", "q")
    node.receive("q", PushFrame(ihaves=(A,)), 1.0)
    (bad,) = node.receive("p", push((A, b"poison")), 1.1)
    node.rejected(bad.mid, "p", 1.2)
    node.handle_timer(1.2)
    assert sent(node, "q") == [PushFrame(grafts=(A,))]


def test_not_yet_leaves_no_trace() -> None:
    node = node_with("p")
    node.receive("p", push((A, b"x")), 1.0)
    node.ignored(A, "p", 1.1)
    assert len(node.receive("p", push((A, b"x")), 1.2)) == 1


def test_a_verdict_that_never_comes_is_taken_for_not_yet() -> None:
    node = node_with("p", "q")
    node.receive("p", push((A, b"x")), 1.0)
    assert len(node.receive("q", push((A, b"x")), 20.0)) == 1


def test_who_is_expelled_is_no_neighbour_and_no_candidate() -> None:
    node = node_with("p", "q")
    node.expel("p", 1.0)
    assert node.neighbours() == ("q",)
    node.peer_down("p", 1.1)
    assert "p" not in {info.peer for info in node.passive()}


def test_who_lost_too_many_points_becomes_no_neighbour() -> None:
    ledger = Ledger()
    node = Gossip("me", GossipSettings(), random.Random(1), ledger=ledger)
    ledger.charge("p", Charge(Offence.PUSHED, "x"), 1.0)
    ledger.charge("p", Charge(Offence.PUSHED, "x"), 1.0)
    up(node, "p", 1.2)
    assert node.neighbours() == ()
    up(node, "p", 400.0)
    assert node.neighbours() == ("p",)


# -- repair


def test_an_announced_message_is_asked_for_then_of_two_others_at_once() -> None:
    node, s = node_with("p", "q", "r"), GossipSettings()
    for peer in ("p", "q", "r"):
        node.receive(peer, PushFrame(ihaves=(A,)), 1.0)

    def asked(until: float) -> list[str]:
        wanted = PushFrame(grafts=(A,))
        return [e.peer for e in run_to(node, until) if isinstance(e, SendFrame) and e.frame == wanted]

    assert asked(0.99 + s.graft_s) == []
    assert asked(1.0 + s.graft_s) == ["p"]
    assert asked(1.01 + s.graft_s + s.retry_graft_s) == ["q", "r"]


def test_what_a_neighbour_is_seen_to_have_is_not_announced_to_it() -> None:
    """Two neighbours that got messages from others announce them to each other at about the same time: one frame, and
    not two."""
    node = node_with("p", "q", "r", fetch={A: b"x", B: b"y", C: b"z"})
    for peer in ("q", "r"):
        node.receive(peer, PushFrame(prune=True), 1.0)
    for mid in (A, B, C):
        node.publish(mid, b"x", 1.0)
    drain(node)
    node.receive("q", PushFrame(ihaves=(A,)), 1.1)  # announced
    node.receive("q", push((B, b"x")), 1.1)  # or pushed
    told = [(e.peer, e.frame) for e in run_to(node, 3.0) if isinstance(e, SendFrame)]
    assert told == [("q", PushFrame(ihaves=(C,))), ("r", PushFrame(ihaves=(A, B, C)))]
    for mid in (A, B, C):  # nor is an empty frame sent
        node.publish(bytes(8) + mid[8:], b"x", 4.0)
    drain(node)
    for peer in ("q", "r"):
        node.receive(peer, PushFrame(ihaves=tuple(bytes(8) + mid[8:] for mid in (A, B, C))), 4.1)
    assert [e for e in run_to(node, 6.0) if isinstance(e, SendFrame)] == []


def test_an_announcement_not_honoured_costs_points_even_if_another_honours_it() -> None:
    ledger = Ledger()
    node = node_with("p", "q", ledger=ledger)
    node.receive("p", PushFrame(ihaves=(A,)), 1.0)
    node.receive("q", PushFrame(ihaves=(A,)), 1.0)
    run_to(node, 2.5)
    (delivery,) = node.receive("q", push((A, b"x")), 2.5)
    node.accepted(delivery, 2.5)
    run_to(node, 33.0)
    assert ledger.points("q", 33.0) == 0 < ledger.points("p", 33.0)


def test_a_peer_whose_frames_wait_here_unread_is_charged_only_after_much_patience() -> None:
    ledger, unread = Ledger(), {"p": 100}
    node = Gossip("me", GossipSettings(), random.Random(1), ledger=ledger, unread=lambda peer: unread.get(peer, 0))
    node.peer_up("p", group="g", outbound=False, addrs=(), now=0.0)
    node.receive("p", Join(), 0.0)
    node.receive("p", PushFrame(ihaves=(A, B)), 1.0)
    run_to(node, 40.0)  # both are asked for at 2
    assert ledger.points("p", 40.0) == 0
    (delivery,) = node.receive("p", push((A, b"x")), 40.0)
    node.accepted(delivery, 40.0)
    run_to(node, 145.0)
    assert ledger.points("p", 145.0) == 0
    run_to(node, 200.0)
    assert ledger.last_sentence("p") == "announced messages and did not send them when asked"


def test_a_peer_of_which_messages_were_dropped_is_not_charged_for_them_and_may_be_asked_again() -> None:
    ledger = Ledger()
    node = node_with("p", ledger=ledger)
    node.receive("p", PushFrame(ihaves=(A,)), 1.0)
    asked = [e for e in run_to(node, 1.8) if isinstance(e, SendFrame) and A in getattr(e.frame, "grafts", ())]
    node.lost("p")
    node.lost("nobody")
    again = [e for e in run_to(node, 2.5) if isinstance(e, SendFrame) and A in getattr(e.frame, "grafts", ())]
    assert len(asked) == len(again) == 1
    node.lost("p")
    node.learned(A, 2.5)
    run_to(node, 200.0)
    assert ledger.points("p", 200.0) == 0


def test_what_came_by_reconciliation_is_not_asked_for() -> None:
    ledger = Ledger()
    node = node_with("p", ledger=ledger)
    node.receive("p", PushFrame(ihaves=(A,)), 1.0)
    node.learned(A, 1.5)
    assert not [e for e in run_to(node, 8.0) if isinstance(e, SendFrame) and e.frame == PushFrame(grafts=(A,))]
    assert node.receive("p", push((A, b"x")), 8.0) == ()
    assert ledger.points("p", 8.0) == 0


def test_what_was_awaited_and_learned_is_announced_once_it_is_durable_and_only_if_it_can_be_sent() -> None:
    node = node_with("p", "q", fetch={A: b"stored"})
    node.receive("p", PushFrame(ihaves=(A, B)), 1.0)
    for mid in (A, B):  # B is held and does not count, or its account is not held here
        node.learned(mid, 1.5)
    assert [e for e in run_to(node, 1.9) if isinstance(e, SendFrame)] == []
    node.durable()
    told = [(e.peer, e.frame) for e in run_to(node, 3.0) if isinstance(e, SendFrame)]
    assert told == [("q", PushFrame(ihaves=(A,)))]


def test_what_was_learned_and_rolled_back_is_not_announced() -> None:
    node = node_with("p", "q", fetch={A: b"stored"})
    node.receive("p", PushFrame(ihaves=(A,)), 1.0)
    node.learned(A, 1.5)
    node.forget_messages()
    node.durable()
    assert [e for e in run_to(node, 3.0) if isinstance(e, SendFrame)] == []


def test_a_graft_is_answered_from_memory_or_from_the_store() -> None:
    node = node_with("p", fetch={B: b"stored"})
    node.publish(A, b"fresh", 1.0)
    drain(node)
    node.receive("p", PushFrame(grafts=(A, B, b"c" * 16)), 2.0)
    assert sent(node, "p") == [PushFrame((Push(A, 0, b"fresh"),)), PushFrame((Push(B, 1, b"stored"),))]
    assert node.stats()["grafts_refused"] == 1


def test_sixteen_bytes_do_not_buy_a_megabyte_without_end() -> None:
    node = node_with("p", settings=GossipSettings(grafts_per_s=10))
    node.publish(A, b"x", 1.0)
    drain(node)
    node.receive("p", PushFrame(grafts=(A,) * 100), 2.0)
    assert node.stats()["grafts_answered"] == 10


def test_a_neighbour_that_answers_as_much_as_it_promises_owes_nothing() -> None:
    """One that announces more at once than it answers in a second is no liar."""
    ledger = Ledger()
    publisher, asker = node_with("asker", "other"), node_with("publisher", ledger=ledger)
    publisher.receive("asker", PushFrame(prune=True), 1.0)
    mids = [n.to_bytes(16, "big") for n in range(3_000)]
    for mid in mids:
        publisher.publish(mid, b"x", 1.0)
    now, asked, held = 1.0, 0, set[bytes]()
    while now < 30.0:
        for frame in [e.frame for e in run_to(publisher, now) if isinstance(e, SendFrame) and e.peer == "asker"]:
            for delivery in asker.receive("publisher", frame, now):
                asker.accepted(delivery, now)
                held.add(delivery.mid)
        for frame in [e.frame for e in run_to(asker, now) if isinstance(e, SendFrame)]:
            asked += len(frame.grafts) if isinstance(frame, PushFrame) else 0
            publisher.receive("asker", frame, now)
        now += 0.05
    assert held == set(mids)
    assert asked == len(mids)
    assert publisher.stats()["grafts_refused"] == 0
    assert ledger.points("publisher", now) == 0


def test_who_owes_a_message_is_not_asked_for_it_again() -> None:
    node = node_with("p")
    node.receive("p", PushFrame(ihaves=(A,)), 1.0)
    grafts = [e for e in run_to(node, 5.0) if isinstance(e, SendFrame) and e.frame == PushFrame(grafts=(A,))]
    assert len(grafts) == 1


def test_a_batch_of_calls_makes_one_frame() -> None:
    node = node_with("p")
    for i in range(50):
        node.publish(i.to_bytes(16, "big"), b"x", 1.0)
    frames = sent(node, "p")
    assert len(frames) == 1
    assert isinstance(frames[0], PushFrame)
    assert len(frames[0].items) == 50


def test_what_our_people_wrote_leaves_before_a_flood_that_is_relayed() -> None:
    node = node_with("p", "q", settings=GossipSettings(frame_bytes=1000, queue=50))
    for i in range(60):
        (delivery,) = node.receive("q", push((i.to_bytes(16, "big"), bytes(100))), 1.0)
        node.accepted(delivery, 1.0)
    node.publish(A, b"ours", 1.0)
    first, second = [f for f in sent(node, "p") if isinstance(f, PushFrame)]
    assert [item.mid for item in first.items] == [A]
    assert len(second.items) == 10
    assert (is_own(first), is_own(second)) == (True, False)


def test_whose_a_frame_is_can_be_told_from_its_first_bytes() -> None:
    ours = [Push(bytes([n]) * 16, 0, b"x" * n) for n in range(3)]
    others = [Push(bytes([n]) * 16, n, b"x") for n in range(1, 256)]
    frames = [
        PushFrame(tuple(ours)),
        PushFrame((*ours, *others)),
        PushFrame((*others, *ours)),
        PushFrame((ours[0],) * 512),
    ]
    frames += [PushFrame(tuple(others[:n])) for n in range(256)] + [PushFrame(tuple(ours * n)) for n in range(1, 90)]
    frames += [PushFrame((), (A,), (B,), True), PushFrame((ours[1],), (A,), (B,), True)]
    for frame in frames:
        assert opens_as_own(encode_message(GossipFrame(encode_frame(frame)))) == is_own(frame)
    for other in (Join(("/ip4/127.0.0.1/tcp/1",)), NoNeighbour()):
        assert not opens_as_own(encode_message(GossipFrame(encode_frame(other))))
    assert not opens_as_own(b"")


def test_a_large_backlog_leaves_in_frames_of_bounded_size() -> None:
    node = node_with("p", settings=GossipSettings(frame_bytes=1000))
    for i in range(50):
        node.publish(i.to_bytes(16, "big"), bytes(100), 1.0)
    frames = [e.frame for e in run_to(node, 1.9) if isinstance(e, SendFrame)]
    sizes = [sum(len(item.payload) for item in f.items) for f in frames if isinstance(f, PushFrame)]
    assert sizes == [1000] * 5


# -- bounds


def test_every_memory_is_bounded_under_a_flood() -> None:
    small = GossipSettings(
        seen=100, recent=50, recent_bytes=1000, pending=20, notes=60, notes_per_peer=30, queue=10, ihave_queue=40
    )
    node = node_with("p", "q", settings=small)
    node.hold("q", True, 0.5)
    for i in range(1000):
        mid = i.to_bytes(16, "big")
        node.publish(mid, bytes(30), 1.0)
        node.receive("p", push((b"x" * 8 + mid[8:], b"y")), 1.0)
        node.receive("p", PushFrame(ihaves=(b"z" * 8 + mid[8:],)), 1.0)
    stats = node.stats()
    assert stats["seen"] <= 200
    assert stats["recent_bytes"] <= 1000
    assert stats["pending"] <= 20
    assert stats["missing"] <= 30
    assert stats["overflowed"] > 0
    node.hold("q", False, 1.0)
    waiting = [f for f in sent(node, "q") if isinstance(f, PushFrame)]
    assert sum(len(f.items) for f in waiting) <= 10
    assert sum(len(f.ihaves) for f in waiting) <= 40


# -- neighbours


def test_one_neighbour_per_group() -> None:
    node = node_with()
    up(node, "p", group="203.1")
    up(node, "q", group="203.1")
    up(node, "s", group="203.3")
    assert node.neighbours() == ("p", "s")


def test_machines_of_one_lan_may_all_be_neighbours() -> None:
    node = node_with()
    for peer in ("p", "q", "r"):
        up(node, peer, group="local:10.0.0.0/16")
    assert node.neighbours() == ("p", "q", "r")
    strict = node_with(settings=GossipSettings(local_exempt=False))
    for peer in ("p", "q"):
        up(strict, peer, group="local:10.0.0.0/16")
    assert strict.neighbours() == ("p",)


def test_links_of_our_own_choice_are_not_evicted_by_requests_from_outside() -> None:
    node = node_with()
    for peer in ("c1", "c2"):
        node.join(peer, (f"/dns/{peer}.org/tcp/1",), 0.0)
        assert drain(node)[-1] == DialPeer(peer, (f"/dns/{peer}.org/tcp/1",))
        node.peer_up(peer, group=peer, outbound=True, addrs=(), now=0.1)
        assert sent(node, peer) == [Join(("/dns/me.org/tcp/1",))]
        node.receive(peer, NeighbourAnswer(True), 0.2)
    for i in range(50):
        up(node, f"s{i}", 1.0 + i)
        drain(node)
    assert node.chosen() == ("c1", "c2")
    assert len(node.neighbours()) == 6


def test_the_oldest_links_others_chose_are_not_evicted_either() -> None:
    node = node_with("old1", "old2")
    for i in range(50):
        up(node, f"s{i}", 0.01 * i)
        drain(node)
    assert {"old1", "old2"} <= set(node.neighbours())


def test_a_peer_that_asks_to_join_again_and_again_is_forwarded_once_in_a_while() -> None:
    node = node_with("p", "q")
    for n in range(100):
        node.receive("p", Join(), 1.0 + 0.1 * n)
    told = [frame for frame in sent(node, "q") if isinstance(frame, ForwardJoin)]
    assert told == []
    gap = GossipSettings().join_gap_s
    for n in range(3):
        node.receive("p", Join(), 0.5 + (1 + n) * gap)
    assert sum(isinstance(frame, ForwardJoin) for frame in sent(node, "q")) == 3


@pytest.mark.parametrize("brings", ["more than all neighbours", "less", "nothing"])
def test_a_link_that_brings_more_than_all_neighbours_is_kept(brings: str) -> None:
    """Who takes all places of neighbours and passes nothing on must not keep the node from the one that does."""
    s = GossipSettings()
    node = node_with("p", "q")
    node.join("c", ("/dns/c.org/tcp/1",), 0.0)
    drain(node)
    node.peer_up("c", group="c", outbound=True, addrs=(), now=0.1)
    node.receive("c", NeighbourAnswer(False), 0.2)
    drain(node)
    counts = {"more than all neighbours": (10, 4), "less": (10, 20), "nothing": (0, 0)}
    for peer, count in zip("cp", counts[brings], strict=True):
        for _ in range(count):
            node.brought(peer, s.spare_s - 1.0)
    ends = s.spare_s + 2 * s.tick_s
    dropped = {e.peer for e in run_to(node, ends) if isinstance(e, DropPeer)}
    kept = brings == "more than all neighbours"
    assert dropped == (set() if kept else {"c"})
    if kept:
        later = {e.peer for e in run_to(node, ends + s.useful_s) if isinstance(e, DropPeer)}
        assert later == {"c"}, "it brought nothing lately"


def test_what_a_peer_brought_is_forgotten_within_minutes_and_at_the_end_of_its_link() -> None:
    news = News()
    for _ in range(3):
        news.brought("p", 1_000.0)
    assert news.of(["p", "q"], 1_000.0 + LATELY_S) == 3
    news.brought("q", 1_000.0 + LATELY_S)
    assert news.of(["p"], 1_000.0 + 2 * LATELY_S) == 0
    assert news.of(["q"], 1_000.0 + 2 * LATELY_S) == 1
    news.forget("q")
    assert news.of(["q"], 1_000.0 + 2 * LATELY_S) == 0
    news.brought("p", 5_000.0)
    assert news.of(["p"], 5_000.0 + 3 * LATELY_S) == 0


def test_a_neighbour_that_had_to_ask_for_own_posts_gets_them_pushed() -> None:
    """Strangers made the honest neighbour look superfluous, and pass nothing on."""
    node = node_with("p", "q", "r", fetch={A: b"x", B: b"y", C: b"z"})

    def told(until: float) -> list[bool]:
        frames = [e.frame for e in run_to(node, until) if isinstance(e, SendFrame) and e.peer == "p"]
        return [bool(frame.items) for frame in frames if isinstance(frame, PushFrame)]

    node.receive("p", PushFrame(prune=True), 1.0)
    node.publish(A, b"x", 1.1)
    assert told(3.0) == [False]
    node.receive("p", PushFrame(grafts=(A,)), 3.0)
    node.receive("p", PushFrame(prune=True), 3.1)
    assert told(3.2) == [True]
    node.publish(B, b"y", 4.0)
    assert told(6.0) == [True]
    node.receive("q", push((C, b"z")), 6.1)
    node.accepted(DeliverMessage(C, b"z", 1, "q"), 6.1)
    assert told(8.0) == [False], "what is relayed is not"
    later = 3.0 + GossipSettings().own_s
    node.publish(D, b"w", later)
    assert told(later + 2.0) == [False]


def test_a_node_relies_on_links_that_it_chose_and_on_the_oldest_of_those_that_others_chose() -> None:
    node = node_with("q", "r", "s", settings=GossipSettings(active=5, chosen=2, elders=2))
    assert [node.relies_on(peer) for peer in ("q", "r", "s", "nobody")] == [True, True, False, False]
    node.peer_down("q", 1.0)
    assert node.relies_on("s")


def test_where_a_joiner_may_be_dialled_is_passed_on_as_it_says() -> None:
    """The peer that accepted its connection sees a port that nothing listens on."""
    node = node_with("p")
    node.peer_up("new", group="new", outbound=False, addrs=(), now=1.0)
    node.receive("new", Join(("/dns/new.org/tcp/1",)), 1.0)
    (walk,) = sent(node, "p")
    assert walk == ForwardJoin(PeerInfo("new", ("/dns/new.org/tcp/1",)), 6)


def test_a_peer_nobody_asked_cannot_make_itself_a_neighbour_by_an_answer() -> None:
    node = node_with()
    node.peer_up("p", group="g", outbound=False, addrs=(), now=0.0)
    node.receive("p", NeighbourAnswer(True), 0.1)
    assert node.neighbours() == ()
    assert sent(node, "p") == [NoNeighbour()]


def test_peers_nobody_asked_for_are_not_remembered() -> None:
    node = node_with("p")
    node.receive("p", Shuffled("me", (PeerInfo("evil", ("/dns/evil.org/tcp/1",)),)), 0.5)
    assert node.passive() == ()


def test_a_lost_neighbour_is_replaced_and_a_dead_candidate_forgotten() -> None:
    node = node_with("p", "q")
    node.receive("q", ForwardJoin(PeerInfo("r", ("/dns/r.org/tcp/1",)), GossipSettings().join_spare_ttl), 0.5)
    drain(node)
    node.receive("p", NoNeighbour(), 1.0)
    assert drain(node) == [DialPeer("r", ("/dns/r.org/tcp/1",))]  # and not the one that let it go
    node.dial_failed("r", 1.05)
    assert "r" not in {info.peer for info in node.passive()}
    request = SendFrame("p", Neighbour(True, ("/dns/me.org/tcp/1",)))
    assert request not in drain(node)
    assert request in run_to(node, 2.5)
    node.receive("p", NeighbourAnswer(False), 2.6)
    node.peer_down("p", 2.7)
    effects = run_to(node, 5.0)
    assert any(isinstance(e, DialPeer) and e.peer == "p" for e in effects)
    node.dial_failed("p", 5.0)
    assert "p" not in {info.peer for info in node.passive()}


def test_an_announced_message_is_not_asked_for_while_a_copy_is_being_judged() -> None:
    node, s = node_with("p", "q"), GossipSettings()

    def asked(until: float) -> int:
        frames = [e.frame for e in run_to(node, until) if isinstance(e, SendFrame) and e.peer == "q"]
        return sum(len(frame.grafts) for frame in frames if isinstance(frame, PushFrame))

    node.receive("q", PushFrame((), (A,)), 1.0)
    node.receive("p", push((A, b"x")), 1.5)
    assert asked(1.4 + s.pending_s) == 0
    assert asked(1.6 + s.pending_s) == 1


def test_what_was_announced_and_has_come_leaves_nothing_behind() -> None:
    node = node_with("p")
    for n in range(10_000):
        mid = b"%016d" % n
        node.receive("p", PushFrame((), (mid,)), 1.0)
        node.learned(mid, 1.0)
    node.durable()
    assert len(node._tree.due) <= STALE + 1
    node.receive("p", PushFrame((), (A,)), 1.0)
    frames = [e.frame for e in run_to(node, 2.5) if isinstance(e, SendFrame)]
    assert sum(len(frame.grafts) for frame in frames if isinstance(frame, PushFrame)) == 1


def test_one_of_many_missing_messages_is_asked_for_at_once_so_that_the_tree_is_whole_again() -> None:
    hurry = GossipSettings().hurry

    def asked(missing: int) -> int:
        node = node_with("p")
        node.receive("p", PushFrame((), tuple(b"%016d" % n for n in range(missing))), 1.0)
        frames = [e.frame for e in run_to(node, 1.5) if isinstance(e, SendFrame) and e.peer == "p"]
        return sum(len(frame.grafts) for frame in frames if isinstance(frame, PushFrame))

    assert [asked(missing) for missing in (hurry - 1, hurry, 10 * hurry)] == [0, 1, 1]


def soon_and_then_seldom(asked: list[float]) -> bool:
    """Whether the next request comes with the next look, and later ones after the longest wait."""
    s, waits = GossipSettings(), [later - earlier for earlier, later in itertools.pairwise(asked)]
    return waits[0] < 1.1 * s.tick_s and s.refused_max_s < waits[-1] + 0.1 < s.refused_max_s + 1.2 * s.tick_s


def test_a_peer_that_refuses_is_not_asked_as_fast_as_it_answers() -> None:
    """A node that has few neighbours and knows one peer, which is full."""
    node = node_with("p", "q")
    node.receive("p", NoNeighbour(), 1.0)
    asked = []
    for beat in range(1000):
        now = 1.0 + beat / 50
        asked += [now for e in run_to(node, now) if isinstance(e, SendFrame) and isinstance(e.frame, Neighbour)]
        if asked and asked[-1] == now:
            node.receive("p", NeighbourAnswer(False), now)
    assert soon_and_then_seldom(asked)


def test_a_linked_peer_that_does_not_answer_holds_up_the_next_question_for_the_time_of_an_answer_only() -> None:
    node, s = node_with("p", "q"), GossipSettings()
    node.receive("p", NoNeighbour(), 1.0)
    node.receive("q", NoNeighbour(), 1.0)
    asked = []
    for beat in range(1000):
        now = 1.0 + beat / 50
        frames = [e for e in run_to(node, now) if isinstance(e, SendFrame) and isinstance(e.frame, Neighbour)]
        asked += [(now, e.peer) for e in frames]
    (first, one), (second, other) = asked[:2]
    assert one != other
    assert s.ask_s <= second - first < s.ask_s + 1.2 * s.tick_s


def test_a_node_that_is_let_go_does_not_take_the_slot_back_at_once() -> None:
    """Another one wants it too, and would be let go for this one."""
    node = node_with("p", "q")
    asked = []
    for beat in range(1000):
        now = 1.0 + beat / 50
        node.receive("p", NoNeighbour(), now)
        asked += [now for e in run_to(node, now) if isinstance(e, SendFrame) and isinstance(e.frame, Neighbour)]
        if asked and asked[-1] == now:
            node.receive("p", NeighbourAnswer(True), now)
    assert soon_and_then_seldom(asked)


def test_a_peer_that_hangs_up_on_every_dial_is_dialled_with_patience() -> None:
    node = node_with("p")
    node.peer_down("p", 1.0)
    dials = 0
    for tenth in range(10, 1200):
        for effect in run_to(node, tenth / 10):
            if isinstance(effect, DialPeer):
                dials += 1
                node.peer_up("p", group="p", outbound=True, addrs=effect.addrs, now=tenth / 10)
                node.peer_down("p", tenth / 10 + 0.05)
    assert 1 <= dials <= 12


def test_a_node_alone_dials_its_anchors_and_contacts_again_with_patience() -> None:
    node = node_with()
    node.join("c", ("/dns/c.org/tcp/1",), 0.0)
    dials = []
    for second in range(200):
        for effect in run_to(node, float(second)):
            if isinstance(effect, DialPeer):
                dials.append(second)
                node.dial_failed(effect.peer, float(second))
    assert 4 <= len(dials) <= 12


def test_a_node_with_a_full_view_dials_a_contact_that_was_not_linked_for_long() -> None:
    s = GossipSettings(audit_s=1e9)  # an audit would dial it by chance
    node = node_with(*"pqrstu", settings=s)
    node.join("c", ("/dns/c.org/tcp/1",), 1.0)
    node.dial_failed("c", 2.0)
    drain(node)
    assert len(node.neighbours()) == s.active
    dialled_at = [second for second in range(3, 400) for e in run_to(node, float(second)) if isinstance(e, DialPeer)]
    assert s.trust_s <= dialled_at[0] <= s.trust_s + 3


def test_anchors_of_the_last_run_are_dialled_first() -> None:
    first = node_with()
    first.join("c", ("/dns/c.org/tcp/1",), 0.0)
    first.peer_up("c", group="c", outbound=True, addrs=("/dns/c.org/tcp/1",), now=0.1)
    first.receive("c", NeighbourAnswer(True), 0.2)
    again = node_with()
    again.remember(first.anchors(), 0.0)
    assert drain(again) == [DialPeer("c", ("/dns/c.org/tcp/1",))]


def test_a_connection_dialled_for_nothing_is_released_without_fault() -> None:
    node = node_with("p")
    node.join("c", ("/dns/c.org/tcp/1",), 0.0)
    node.peer_up("c", group="c", outbound=True, addrs=(), now=0.1)
    node.receive("c", NeighbourAnswer(False), 0.2)
    released = [e for e in run_to(node, 60.0) if isinstance(e, DropPeer)]
    assert [(e.peer, e.fault) for e in released] == [("c", False)]


def test_who_is_named_stays_linked_without_a_place_among_the_neighbours() -> None:
    s = GossipSettings()
    node = node_with(*"pqrstu", named={"c"})
    node.join("c", ("/dns/c.org/tcp/1",), 0.0)
    node.peer_up("c", group="c", outbound=True, addrs=(), now=0.1)
    node.receive("c", NeighbourAnswer(False), 0.2)
    assert not [e for e in run_to(node, 3 * s.spare_s) if isinstance(e, DropPeer)]
    assert sorted(node.neighbours()) == sorted("pqrstu")


def test_every_named_contact_is_dialled_again_and_of_the_others_one_is_enough() -> None:
    s = GossipSettings(audit_s=1e9)  # an audit would dial it by chance
    for named in ({"c"}, set[str]()):
        node = node_with(*"pqrstu", settings=s, named=named)
        for contact in ("c", "d"):
            node.join(contact, (f"/dns/{contact}.org/tcp/1",), 1.0)
            node.peer_up(contact, group=contact, outbound=True, addrs=(), now=1.1)
        drain(node)
        node.peer_down("c", 2.0)
        dialled = {e.peer for e in run_to(node, 2 * s.trust_s) if isinstance(e, DialPeer)}
        assert dialled == named


def test_a_named_peer_that_dialled_and_hangs_up_is_dialled_at_once() -> None:
    """At its end the link was a spare one. One that we dial is none."""
    s = GossipSettings(audit_s=1e9)
    node = node_with(*"pqrstu", settings=s, named={"c"})
    node.join("c", ("/dns/c.org/tcp/1",), 1.0)
    node.dial_failed("c", 1.5)
    node.peer_up("c", group="c", outbound=False, addrs=(), now=2.0)
    node.receive("c", Neighbour(False), 2.1)
    drain(node)
    node.peer_down("c", 32.0)
    assert [e.peer for e in run_to(node, 32.0 + 2 * s.tick_s) if isinstance(e, DialPeer)] == ["c"]


def test_a_named_contact_is_not_forgotten_for_others() -> None:
    s = GossipSettings()
    node = node_with("p", named={"c"})
    node.join("c", ("/dns/c.org/tcp/1",), 1.0)
    node.dial_failed("c", 1.5)
    for i in range(3 * s.anchors):
        node.join(f"d{i}", (f"/dns/d{i}.org/tcp/1",), 2.0)
        node.dial_failed(f"d{i}", 2.0)
    drain(node)
    node.peer_down("p", 3.0)
    dialled = set[str]()
    for second in range(4, 4_000):
        for effect in run_to(node, float(second)):
            if isinstance(effect, DialPeer):
                dialled.add(effect.peer)
                node.dial_failed(effect.peer, float(second))
    assert "c" in dialled


def test_one_peer_that_calls_itself_a_platform_of_accounts_here_stays_linked() -> None:
    host, other = WriterKey(b"h" * 32), WriterKey(b"o" * 32)
    named = OperatorTrust({"c"}, is_host={host}.__contains__)
    for peer, platform in (("p", host), ("q", host), ("r", other), ("s", b"")):
        named.said(peer, platform)
    assert [peer for peer in "cpqrs" if peer in named] == ["c", "q"]
    assert not named.has(host)  # nothing proves whose key it is
