"""One scale of points and one list of offences: what each costs, and its consequences."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from banyan_crdt.errors import BadSignature, Malformed
from banyan_replica.gossip.frames import DeliverMessage, DropPeer, Join, PushFrame
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.settings import GossipSettings
from banyan_replica.peers.ledger import NEWS, Breach, Charge, Ledger, Offence, Scale, charge_of
from banyan_replica.wire.messages import GossipFrame
from tests.replica.helpers import World

LIES = [r for r in Offence if r.value.lie]
SLIGHTS = [r for r in Offence if not r.value.lie]


def done(offence: Offence, sentence: str = "it did") -> Charge:
    return Charge(offence, sentence)


@pytest.mark.parametrize("offence", LIES, ids=lambda r: r.name)
def test_three_lies_of_any_kind_ban(offence: Offence) -> None:
    ledger = Ledger()
    verdicts = [ledger.charge("p", done(offence, f"lie {k}"), 5.0 * k) for k in range(3)]
    assert verdicts[0] == "stays"
    assert verdicts[2] == "banned"
    assert ledger.banned("p", 11.0) == "lie 2"


@pytest.mark.parametrize("offence", SLIGHTS, ids=lambda r: r.name)
def test_slights_of_any_kind_end_the_link_and_never_ban(offence: Offence) -> None:
    ledger = Ledger()
    verdicts = [ledger.charge("p", done(offence), 0.0) for _ in range(1_000)]
    assert "banned" not in verdicts
    if offence is Offence.STALLED:  # who is attacked is slow, too
        assert set(verdicts) == {"stays"}
        assert ledger.points("p", 0.0) == 0
        assert ledger.last_sentence("p")
        return
    assert verdicts.index("let go") in (4, 48)
    assert ledger.points("p", 0.0) == ledger.scale.let_go_at
    assert ledger.trusted("p", 0.0)


def test_two_pushed_lies_end_the_link_and_two_of_another_kind_do_not() -> None:
    for offence in LIES:
        ledger = Ledger()
        assert ledger.charge("p", done(offence), 0.0) == "stays"
        assert ledger.charge("p", done(offence), 0.0) == ("let go" if offence is Offence.PUSHED else "stays")
        assert not ledger.trusted("p", 0.0)
        assert ledger.trusted("p", 301.0)


def test_slights_add_up_to_less_than_a_ban_and_lies_count_beside_them() -> None:
    ledger = Ledger()
    for _ in range(50):
        ledger.charge("p", done(Offence.UNSERVED), 0.0)
    assert ledger.charge("p", done(Offence.WRONG), 0.0) == "stays"
    assert ledger.charge("p", done(Offence.WRONG), 0.0) == "banned"
    assert ledger.charge("p", done(Offence.UNSERVED), 0.0) == "let go"
    assert ledger.points("p", 0.0) == 35


def test_points_heal_and_what_cost_them_is_remembered() -> None:
    ledger = Ledger()
    ledger.charge("p", done(Offence.UNSERVED, "was slow"), 0.0)
    assert ledger.points("p", 60.0) == 2
    assert ledger.points("p", 1e6) == 0
    assert ledger.last_sentence("p") == "was slow"
    assert (ledger.points("stranger", 0.0), ledger.last_sentence("stranger")) == (0, "")


def test_news_pays_for_announcements_not_honoured_and_for_nothing_else() -> None:
    ledger = Ledger()
    for _ in range(1_000):
        ledger.news("p", 0.0)
    paid = 0
    while ledger.charge("p", done(Offence.UNHONOURED), 0.0) == "stays" and not ledger.points("p", 0.0):
        paid += 1
    assert paid == round(Scale().credit / Offence.UNHONOURED.value.points)
    for _ in range(1_000):
        ledger.news("q", 0.0)
    ledger.charge("q", done(Offence.UNSERVED), 0.0)
    assert ledger.points("q", 0.0) == 3
    ledger.charge("q", done(Offence.WRONG), 0.0)
    ledger.news("q", 0.0)
    assert ledger.points("q", 0.0) == 13
    assert pytest.approx(Scale().credit / NEWS) == 50


def test_an_operators_ban_outlives_every_other_and_a_pardon_forgets_all() -> None:
    ledger = Ledger(Scale(bans=4))
    ledger.ban("known", "by the operator")
    for _ in range(3):
        ledger.charge("worst", done(Offence.WRONG, "lies"), 5.0)
    for k in range(20):
        for _ in range(3):
            ledger.charge(f"throw-away {k}", done(Offence.WRONG, "lies"), 1.0 + k / 100)
    assert ledger.banned("known", 9.0) == "by the operator"
    assert ledger.banned("worst", 9.0) == "lies"
    assert len(ledger.bans(9.0)) == 5
    ledger.pardon("worst")
    assert ledger.banned("worst", 9.0) is None
    assert ledger.points("worst", 9.0) == 0


def test_no_number_of_bans_by_the_operator_ends_one_or_keeps_a_liar_from_being_banned() -> None:
    ledger = Ledger(Scale(bans=4))
    for k in range(10):
        ledger.ban(f"known {k}", "by the operator")
    for _ in range(3):
        ledger.charge("liar", done(Offence.WRONG, "lies"), 1.0)
    assert ledger.banned("liar", 2.0) == "lies"
    assert len(ledger.bans(2.0)) == 11


def test_throw_away_peers_do_not_wash_out_the_points_of_another() -> None:
    ledger = Ledger(Scale(peers=64))
    ledger.charge("liar", done(Offence.WRONG), 0.0)
    for k in range(1_000):
        ledger.charge(f"slow {k}", done(Offence.UNSERVED), 0.0)
        ledger.news(f"good {k}", 0.0)
    assert ledger.points("liar", 0.0) == 10


def test_a_rejection_is_wrong_unless_it_names_another_reason() -> None:
    assert charge_of(BadSignature("x")) == Charge(Offence.WRONG, "x")
    assert charge_of(Malformed("x"), Offence.PUSHED) == Charge(Offence.PUSHED, "x")
    assert charge_of(Breach(Offence.TOO_OFTEN, "x")) == Charge(Offence.TOO_OFTEN, "x")


# -- the gossip and the sync charge one ledger


def test_lies_told_by_gossip_and_by_sync_add_up() -> None:
    w = World("a")
    w.rogue("r", "a")
    w.say("r", "a", GossipFrame([99]))
    assert w.points("a", "r") == pytest.approx(10, abs=0.1)
    w.say("r", "a", b"\xff")
    assert w.points("a", "r") == pytest.approx(20, abs=0.1)
    assert w.cut == []
    w.say("r", "a", GossipFrame([99]))
    assert [(at, peer, why.startswith("banned: gossip frame")) for at, peer, why in w.cut] == [("a", "r", True)]


def test_two_lies_by_gossip_end_the_link_and_the_peer_is_no_neighbour() -> None:
    w = World("a")
    w.rogue("r", "a")
    assert w.replicas["a"].gossip.neighbours() == ()
    w.say("r", "a", GossipFrame([1, []]))
    assert w.replicas["a"].gossip.neighbours() == ("r",)
    w.say("r", "a", GossipFrame([99]), GossipFrame([99]))
    assert [(at, peer) for at, peer, _ in w.cut] == [("a", "r")]
    assert w.replicas["a"].gossip.neighbours() == ()
    assert w.replicas["a"].ledger.banned("r", w.now) is None
    w.unlink("r", "a")
    w.rogue("r", "a")
    w.say("r", "a", GossipFrame([1, []]))
    assert w.replicas["a"].gossip.neighbours() == ()


def test_a_peer_that_does_not_honour_what_it_announces_is_let_go() -> None:
    ledger = Ledger()
    node = Gossip("me", GossipSettings(), random.Random(1), ledger=ledger)
    node.peer_up("p", group="g", outbound=False, addrs=("/dns/p.org/tcp/1",), now=0.0)
    node.receive("p", Join(), 0.0)
    node.receive("p", PushFrame(ihaves=tuple(k.to_bytes(16, "big") for k in range(60))), 1.0)
    dropped = []
    for tenth in range(10, 400):
        node.handle_timer(tenth / 10)
        while (effect := node.next_effect()) is not None:
            dropped += [effect] if isinstance(effect, DropPeer) else []
    assert [(d.peer, d.fault) for d in dropped] == [("p", True)]
    assert node.neighbours() == ()
    assert ledger.banned("p", 40.0) is None


def test_news_by_gossip_is_credit_in_the_ledger() -> None:
    ledger = Ledger()
    node = Gossip("me", GossipSettings(), random.Random(1), ledger=ledger)
    node.peer_up("p", group="g", outbound=False, addrs=(), now=0.0)
    for k in range(2):
        node.accepted(DeliverMessage(k.to_bytes(16, "big"), b"x", 1, "p"), 0.0)
    assert ledger.charge("p", done(Offence.UNHONOURED), 0.0) == "stays"
    assert ledger.points("p", 0.0) == 0
    ledger.charge("p", done(Offence.UNHONOURED), 0.0)
    assert ledger.points("p", 0.0) == pytest.approx(Offence.UNHONOURED.value.points)


def test_the_page_for_operators_has_the_offences_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
    head = "| a peer that | points | is a | and the link ends at |\n|---|---|---|---|\n"
    rows = page.split(head)[1].split("\n\n")[0].splitlines()
    scale = Scale()
    for price, row in zip((r.value for r in Offence), rows, strict=True):
        end = ("never" if not price.points else scale.ban_at) if price.patient else scale.let_go_at
        assert row == f"| {price.sentence} | {price.points} | {'lie' if price.lie else 'slight'} | {end} |"
