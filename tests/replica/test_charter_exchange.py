"""Acts of a charter on disk and between replicas: whoever follows it holds the same of it."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from banyan_charter.acts import MOST_BYTES, Act, CharterId, Content, ContentId, Remark, decode_act, encode_act, name_of
from banyan_charter.seat_signer import SeatSigner
from banyan_crdt.errors import Oversized, Refused
from banyan_crdt.realm import TEST
from banyan_replica.sync.followed_charter import WAITING, FollowedCharter
from banyan_replica.wire.messages import (
    ABILITIES,
    BUSY,
    CHARTER,
    NOTICES,
    READS_AS_IF,
    ActNames,
    CharterActs,
    CharterState,
    Digests,
    JoinAlliance,
    SketchCells,
    WantActs,
    WantDigests,
    WantNames,
)
from banyan_storage import tables as t
from banyan_storage.check import verify
from tests.charter.alliance import Alliance
from tests.charter.bridge import account, tree
from tests.replica.helpers import World


class CharterView(NamedTuple):
    """waiting: acts that were refused for now."""

    charter: CharterId
    epoch: int | None
    acts: int
    digest: bytes
    waiting: int


def seen(followed: FollowedCharter) -> CharterView | None:
    """Where the charter stands there; None: it follows none."""
    held, epoch = followed.ledger, followed.epoch
    if held is None:
        return None
    return CharterView(held.charter, epoch and epoch.number, len(held), held.digest, len(followed.waiting))


def follows(w: World, name: str, alliance: Alliance, *acts: list[Act]) -> FollowedCharter:
    """The replica follows the charter, and its owner brings these acts."""
    charter = w.replicas[name].charter
    charter.follow(encode_act(alliance.founding))
    for act in [*alliance.founded, *(act for some in acts for act in some)]:
        assert charter.offer(encode_act(act)) is None
    w.drain(name)
    return charter


def test_what_an_owner_brings_is_durable_and_a_start_finds_it() -> None:
    w, made = World("a"), Alliance(3)
    assert w.replicas["a"].charter.offer(encode_act(made.founded[0])) == "this node follows no charter"
    acts = [made.adopt() for _ in range(3)]
    charter = follows(w, "a", made, *acts)
    assert charter.ledger is not None
    assert charter.ledger.digest == made.ledger.digest
    assert [e.fields["epoch"] for e in w.events["a"] if e.name == "charter"][-1] == 3
    again = w.start("a").charter
    assert again.ledger is not None
    assert again.ledger.epochs == made.ledger.epochs
    assert seen(again) == seen(charter)
    assert not w.replicas["a"].store.pending


def test_acts_in_any_order_come_to_the_same_and_what_is_refused_for_now_waits() -> None:
    made = Alliance(3)
    acts = [a for some in (made.founded, made.adopt(), made.adopt()) for a in some]
    w = World("a")
    charter = follows(w, "a", made)
    later = [a for a in acts if a.number == 1]
    for act in random.Random(3).sample(later, len(later)):
        charter.offer(encode_act(act))
    view = seen(charter)
    assert view is not None
    assert (view.epoch, view.waiting) == (1, 0)
    reason = charter.offer(encode_act(made.adopt()[0]))
    assert reason == "epoch 2 does not stand here yet"


def test_what_is_taken_back_by_a_failed_commit_is_no_longer_in_the_ledger() -> None:
    w, made = World("a"), Alliance(3)
    charter = follows(w, "a", made)
    assert charter.offer(encode_act(made.adopt()[0])) is None
    w.replicas["a"].store.rollback()
    w.replicas["a"].commit_failed("the disk is full")
    view = seen(charter)
    assert view is not None
    assert view.acts == 3


def test_one_charter_is_followed_at_a_time_and_acts_of_the_other_are_kept() -> None:
    w, one, two = World("a"), Alliance(3), Alliance(3, b"Another")
    charter = follows(w, "a", one, one.adopt())
    follows(w, "a", two)
    assert charter.ledger is not None
    assert charter.ledger.charter == two.charter
    charter.leave()
    assert seen(charter) is None
    charter.follow(encode_act(one.founding))
    assert charter.ledger is not None
    assert charter.ledger.digest == one.ledger.digest
    with pytest.raises(Refused, match="followed by its founding"):
        charter.follow(encode_act(one.founded[0]))


def test_a_check_finds_a_damaged_act_and_a_start_leaves_it_out() -> None:
    w, made = World("a"), Alliance(3)
    content = made.adopt()[0]
    assert isinstance(content, Content)
    follows(w, "a", made, [content])
    engine = w.engines["a"]

    def found() -> list[str]:
        return [p.sentence for p in verify(w.replicas["a"].store, lambda a, n: None)]

    rows = list(engine.write().prefix(t.CHARTER, made.charter + t.u32(1)))
    assert not found()
    key, raw = rows[0]
    engine.write().put(t.CHARTER, key, raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:])
    assert "checksum" in found()[0]
    engine.write().put(t.CHARTER, key, t.guard(key, raw[:-5] + bytes([raw[-5] ^ 1])))
    assert "signature" in found()[0]
    engine.write().put(t.CHARTER, key[:-1] + b"x", t.guard(key[:-1] + b"x", raw[:-4]))
    assert "is another" in " ".join(found())
    engine.write().put(t.CHARTER, key, raw[:9])
    engine.write().delete(t.CHARTER, key[:-1] + b"x")
    engine.commit()
    view = seen(w.start("a").charter)
    assert view is not None
    assert view.acts == 3


# -- between replicas


def equal(w: World, made: Alliance, *names: str) -> bool:
    views = [seen(w.replicas[name].charter) for name in names]
    return all(view is not None and view.digest == made.ledger.digest for view in views)


def test_whoever_follows_gets_all_acts_and_whoever_does_not_is_asked_and_told_nothing_more() -> None:
    w, made, other = World("a", "b", "none", "another"), Alliance(4), Alliance(3, b"Another")
    acts = [made.adopt() for _ in range(5)]
    follows(w, "a", made, *acts)
    w.replicas["b"].charter.follow(encode_act(made.founding))
    follows(w, "another", other, other.adopt())
    w.said = []
    for x, y in (("a", "none"), ("none", "b"), ("a", "another"), ("another", "b")):
        w.link(x, y)
    w.run(30)
    kinds = {type(m) for who, m in w.said if who in ("none", "another")}
    assert not kinds & {WantDigests, WantNames, WantActs, Digests, ActNames, CharterActs}
    assert not equal(w, made, "b")
    w.link("a", "b")
    w.until(lambda: equal(w, made, "a", "b"), 30)
    view = seen(w.replicas["b"].charter)
    assert view is not None
    assert view.epoch == 5
    w.run(3)
    w.said = []
    w.run(300)
    assert not any(isinstance(m, WantDigests) for _, m in w.said), "who holds the same asks nothing"


def test_acts_spread_over_a_line_of_nodes_and_two_halves_meet() -> None:
    w, made = World("a", "b", "c", "d"), Alliance(4)
    for name in "abcd":
        w.replicas[name].charter.follow(encode_act(made.founding))
    for x, y in (("a", "b"), ("c", "d")):
        w.link(x, y)
    acts = [*made.founded, *made.adopt(), *made.adopt()]
    for k, act in enumerate(acts):
        at = "ad"[k % 2]
        w.replicas[at].charter.offer(encode_act(act))
        w.drain(at)
    w.run(10)
    assert not equal(w, made, "a")
    w.link("b", "c")
    w.until(lambda: equal(w, made, *"abcd"), 60)


def test_a_peer_of_an_older_version_is_sent_no_message_about_charters() -> None:
    w, made = World("a"), Alliance(3)
    follows(w, "a", made)
    w.rogue("old", "a")
    w.run(30)
    assert not any(isinstance(m, CharterState) for m in w.heard["old"])
    w.say("old", "a", SketchCells(ABILITIES, NOTICES | READS_AS_IF, BUSY, 0, b""))
    w.run(30)
    assert not any(isinstance(m, CharterState) for m in w.heard["old"])
    w.say("old", "a", SketchCells(ABILITIES, CHARTER, BUSY, 0, b""))
    w.run(3)
    assert [m.acts for m in w.heard["old"] if isinstance(m, CharterState)] == [3]


class Rogue:
    """A peer that stands elsewhere, and answers what it likes."""

    def __init__(self, w: World, made: Alliance) -> None:
        self.w, self.made = w, made
        w.rogue("r", "a")
        w.say("r", "a", CharterState(made.charter, 9, bytes(32)))

    def lies(self, number: int, *acts: bytes, names: list[bytes] | None = None) -> None:
        """It claims acts of a number under their names, and sends these bytes."""
        w, charter = self.w, self.made.charter
        named = [name_of(decode_act(TEST, act)) for act in acts] if names is None else names
        digests = b"".join(self.made.ledger.digest_of(k) for k in range(number)) + bytes(32)
        w.say("r", "a", Digests(charter, 0, digests))
        w.say("r", "a", ActNames(charter, number, b"".join(sorted(named))))
        w.say("r", "a", CharterActs(charter, number, [*acts]))


def test_a_wrong_signature_costs_points_and_nothing_of_it_is_held() -> None:
    w, made = World("a"), Alliance(3)
    follows(w, "a", made)
    good = encode_act(made.adopt()[1])
    name = name_of(decode_act(TEST, good))
    Rogue(w, made).lies(1, good[:-1] + bytes([good[-1] ^ 1]), names=[name])
    assert w.points("a", "r") == 10
    view = seen(w.replicas["a"].charter)
    assert view is not None
    assert (view.acts, view.waiting) == (3, 0)


def test_an_act_that_nobody_asked_for_costs_points() -> None:
    w, made = World("a"), Alliance(3)
    follows(w, "a", made)
    content, *rest = made.adopt()
    Rogue(w, made).lies(1, encode_act(content), names=[name_of(rest[0])])
    assert w.points("a", "r") == 10
    w.say("r", "a", CharterActs(made.charter, 1, [encode_act(content)]))
    assert w.points("a", "r") == 10, "an answer to no question is ignored"


def test_a_flood_of_acts_by_strangers_is_bounded_and_its_sender_is_left_alone() -> None:
    """Each is well signed, by keys that have no seat."""
    w, made = World("a"), Alliance(3)
    follows(w, "a", made)
    stranger = SeatSigner(TEST, made.charter, account(9), tree(9, 0))
    flood = [encode_act(stranger.vote(1, ballot, ContentId(bytes(32)))) for ballot in range(1, 900)]
    rogue = Rogue(w, made)
    for _ in range(3):
        rogue.lies(1, *flood)
        w.run(1)
        w.say("r", "a", CharterState(made.charter, 9, w.replicas["a"].tree.root))
    view = seen(w.replicas["a"].charter)
    assert view is not None
    assert view.acts == 3
    assert view.waiting <= WAITING
    asked = [m for m in w.heard["r"] if isinstance(m, WantActs)]
    assert sum(len(m.names) // 32 for m in asked) <= len(flood), "what was refused is not asked for again at once"
    w.run(100)
    assert len([m for m in w.heard["r"] if isinstance(m, WantDigests)]) <= 5, "a peer that does not answer rests"


def test_strangers_that_claim_acts_keep_no_member_waiting() -> None:
    """Each says that it stands elsewhere, and answers nothing or late."""
    w, made = World("a", "b"), Alliance(3)
    for name in "ab":
        follows(w, name, made)
    w.replicas["a"].peers.set_members({"b"}, ())
    for n in range(12):
        w.rogue(f"R{n}", "a")
        w.say(f"R{n}", "a", SketchCells(ABILITIES, CHARTER, BUSY, 0, b""))
        w.say(f"R{n}", "a", CharterState(made.charter, 9, bytes((n,)) * 32))
    w.link("a", "b")
    for act in made.adopt():
        w.replicas["b"].charter.offer(encode_act(act))
    w.drain("b")
    w.until(lambda: equal(w, made, "a", "b"), 20)
    w.run(600)
    asked = [sum(isinstance(m, WantDigests) for m in w.heard[f"R{n}"]) for n in range(12)]
    assert max(asked) <= 6, "who never has anything is asked less and less"


def test_acts_of_future_numbers_are_not_asked_for() -> None:
    w, made = World("a"), Alliance(3)
    follows(w, "a", made)
    one, two = made.adopt(), made.adopt()
    rogue = Rogue(w, made)
    w.say("r", "a", Digests(made.charter, 0, b"".join(made.ledger.digest_of(k) for k in (0, 1, 2)) * 300))
    assert w.points("a", "r") == 0
    w.say("r", "a", ActNames(made.charter, 1, b"".join(sorted(map(name_of, one)))))
    w.say("r", "a", CharterActs(made.charter, 1, []))
    w.run(1)
    assert rogue.made is made
    assert {m.number for m in w.heard["r"] if isinstance(m, WantNames)} == {1}
    assert two[0].number == 2


def test_a_huge_act_travels_and_a_larger_one_is_refused() -> None:
    w, made = World("a", "b"), Alliance(2)
    for name in "ab":
        follows(w, name, made)
    notes = [Remark(bytes(1_000))] * 4_000
    content = made.signers[0].content(made.ledger.epochs[-1], notes)[0]
    assert w.replicas["a"].charter.offer(encode_act(content)) is None
    w.drain("a")
    made.took([content])
    w.link("a", "b")
    w.until(lambda: equal(w, made, "a", "b"), 30)
    with pytest.raises(Oversized):
        decode_act(TEST, bytes(MOST_BYTES + 1))


def test_thousands_of_joins_are_a_lie_and_the_owner_sees_few() -> None:
    w, seen = World("a"), list[str]()

    def answer(peer: str, card: bytes) -> tuple[int, bytes]:
        seen.append(peer)
        return 1, b"no such invitation"

    w.around["a"].invites = answer
    w.rogue("r", "a")
    for _ in range(2_000):
        w.say("r", "a", JoinAlliance(bytes(32), b"card", bytes(64)))
    assert len(seen) == 16
    assert w.replicas["a"].ledger.banned("r", w.now)


def test_an_answer_to_an_invitation_comes_back() -> None:
    w = World("a", "b")
    w.around["a"].invites = lambda peer, card: (2, card)
    w.link("a", "b")
    w.run(3)
    assert w.replicas["b"].charters.join("a", bytes(32), b"card", bytes(64))
    assert not w.replicas["b"].charters.join("nobody", bytes(32), b"card", bytes(64))
    w.drain("b")
    w.run(3)
    assert w.around["b"].answers == [(2, b"card")]


@pytest.mark.parametrize("chosen", [False, True], ids=["holds everything", "holds what it follows"])
def test_a_newcomer_and_a_node_that_was_away_get_the_whole_history(chosen: bool) -> None:
    w, made = World("a", "b", "away", "new"), Alliance(12)
    for name in ("away", "new"):
        if chosen:
            w.replicas[name].set_interest([], w.now)
        w.replicas[name].charter.follow(encode_act(made.founding))
    acts = [made.adopt() for _ in range(10)]
    follows(w, "a", made, *acts)
    follows(w, "away", made, acts[0], acts[1][:9])
    follows(w, "b", made, acts[0], *acts[1:4])
    for other in ("b", "away", "new"):
        w.link("a", other)
    w.link("b", "new")
    w.until(lambda: equal(w, made, "a", "b", "away", "new"), 60)
    brought = [e for name in ("b", "away", "new") for e in w.events[name] if e.name == "charter"]
    assert all(e.fields["digest"] for e in brought)


def test_members_that_vote_in_two_halves_come_to_one_epoch_when_these_meet() -> None:
    """Each half votes for another content in ballot 1; neither is locked. They meet, and agree in ballot 2."""
    w, made = World(*"abcdef"), Alliance(6)
    for name in "abcdef":
        follows(w, name, made)
    for x, y in ("ab", "bc", "de", "ef"):
        w.link(x, y)
    epoch = made.ledger.epochs[-1]
    one, two = (made.signers[k].content(epoch, [Remark(b"half %d" % k)])[0] for k in (0, 3))
    first = [*made.votes(one)[:3], *made.votes(two)[3:]]
    for k, vote in enumerate(first):
        charter = w.replicas["abcdef"[k]].charter
        assert charter.offer(encode_act(one if k < 3 else two)) is None
        assert charter.offer(encode_act(vote)) is None
        w.drain("abcdef"[k])
    w.run(20)
    views = [seen(w.replicas[name].charter) for name in "abcdef"]
    assert len({view.digest for view in views if view is not None}) == 2
    w.link("c", "d")
    for kind in (made.votes, made.commits):
        for k, act in enumerate(kind(one, 2)):
            assert w.replicas["abcdef"[k]].charter.offer(encode_act(act)) is None or kind == made.commits
            w.drain("abcdef"[k])
        w.run(20)
    made.took([one, two, *first, *made.votes(one, 2), *made.commits(one, 2)])
    assert made.ledger.epochs[-1].id == one.id
    w.until(lambda: equal(w, made, *"abcdef"), 60)


def test_a_peer_that_holds_up_its_turn_costs_the_others_only_that_turn() -> None:
    w, made = World("a", "b"), Alliance(3)
    follows(w, "b", made, made.adopt())
    w.replicas["a"].charter.follow(encode_act(made.founding))
    for k in range(5):
        w.rogue(f"r{k}", "a")
        w.say(f"r{k}", "a", CharterState(made.charter, 9, bytes([k]) * 32))
    w.link("a", "b")
    w.until(lambda: equal(w, made, "a"), 80)
    asked = [sum(isinstance(m, WantDigests) for m in w.heard[f"r{k}"]) for k in range(5)]
    assert max(asked) <= 2
