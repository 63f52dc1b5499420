"""What an attacker can make two honest nodes send each other again and again is bounded, whatever the reason is for
which one of them does not take it; and they become equal where the rules allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest

from banyan_crdt.errors import NotYet, Reason
from banyan_crdt.ids import AccountId, EntryId, Head, LogId
from banyan_replica.frontier.sketch import key_of
from banyan_replica.intake.intake import REASONS
from banyan_replica.sync.repeats import DAY_S, MOST_S, REPEATED, Repeats
from tests.crdt.make import run_bytes, signer
from tests.model.world_net import Tuning, tuned
from tests.needs import NIGHT
from tests.replica.forging import NARROW, WIDE, Forger, Pair, proof

NAMES = [LogId(AccountId(bytes([k]) * 32), signer("device").key, 1) for k in range(8)]


HOURS = 0.5 if NIGHT else 0.2
ALLOWED = 1_000_000
"""Bytes that may go over a link in an hour beside what is news."""


def refuse(w: Pair, name: str, account: AccountId, reason: Reason) -> None:
    """The node takes nothing more of an account, for this reason."""
    ingest = w.replicas[name].ingest
    run, control, checkpoint = ingest.run, ingest.control, ingest.checkpoint

    def refusing(take: Callable[..., Any], of: Callable[[Any], AccountId]) -> Callable[..., Any]:
        def judge(item: Any, *rest: Any, **named: Any) -> Any:
            if of(item) == account:
                raise NotYet(reason, "for the test")
            return take(item, *rest, **named)

        return judge

    for method, take, of in (
        ("run", run, lambda x: x.log.account),
        ("control", control, lambda x: x),
        ("checkpoint", checkpoint, lambda x: x.account),
    ):
        setattr(ingest, method, refusing(take, of))


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Little room beside a log, and small pieces."""
    with tuned(Tuning(piece=2_000, small=1_000, beside=40)):
        yield


def test_what_came_in_vain_waits_its_time_and_its_bytes() -> None:
    repeats, an, other = Repeats(key_of(WIDE.id)), NAMES[0], NAMES[1]
    head, later = Head(5, None, 0), Head(6, None, 0)
    assert repeats.may_ask(an, head, 0)
    repeats.answered(an, head, 1_000, False, 9, 0)
    assert repeats.may_ask(an, head, 0), "once more: something may have been in the way"
    for now, pause in ((10, 4), (20, 8), (40, 16), (80, 32)):
        repeats.answered(an, head, 1_000, False, 9, now)
        assert not repeats.may_ask(an, head, now + pause - 1)
        assert repeats.may_ask(an, head, now + pause)
        assert repeats.may_ask(an, later, now), "the peer has more by now"
        assert repeats.may_ask(other, head, now)
    repeats.moved(other)
    assert not repeats.may_ask(an, head, 81)
    repeats.moved(an)
    assert repeats.may_ask(an, head, 81)
    repeats.answered(an, head, 0, True, 9, 81)
    assert repeats.logs == 0


def test_all_that_comes_again_stays_within_its_bytes_and_news_takes_none_of_them() -> None:
    repeats, hour = Repeats(key_of(WIDE.id)), 3_600.0
    for log in NAMES[:4]:
        repeats.answered(log, None, REPEATED // 4, False, 9, 0)
    for k, log in enumerate(NAMES[:4]):
        repeats.moved(log)
        assert repeats.may_ask(log, None, 0) == (k < 2), "what came the first time was news"
        if k < 2:
            repeats.asked(log)
    assert not repeats.may_ask(NAMES[2], None, 0)
    repeats.answered(NAMES[1], None, 0, True, 9, 0)
    assert repeats.may_ask(NAMES[2], None, 0), "an answer that brought news gives back what was reserved for it"
    repeats.answered(NAMES[1], None, REPEATED // 4, False, 9, 0)
    repeats.asked(NAMES[1])
    for log in NAMES[:2]:
        repeats.answered(log, None, REPEATED * 9, False, 9, 0)
    assert not repeats.may_ask(NAMES[2], None, hour / 4 - 1)
    assert repeats.may_ask(NAMES[2], None, hour / 4 + 1)
    assert not repeats.may_ask(NAMES[0], Head(1, None, 0), hour / 4 + 1)
    assert repeats.may_ask(NAMES[0], Head(1, None, 0), hour / 2 + 1), (
        "it costs more than an hour has, and nothing else came"
    )


def test_a_log_that_there_is_no_room_to_remember_waits_a_day_unless_it_grows() -> None:
    repeats, head = Repeats(key_of(WIDE.id)), Head(5, None, 0)
    for log in 2 * NAMES:
        repeats.answered(log, head, 100, False, 4, 0)
    assert repeats.logs == 4
    assert [repeats.knows(log) for log in NAMES] == 4 * [True] + 4 * [False]
    assert not any(repeats.may_ask(log, head, MOST_S) for log in NAMES[4:])
    assert all(repeats.may_ask(log, Head(6, None, 0), 1) for log in NAMES)
    assert all(repeats.may_ask(log, head, DAY_S) for log in NAMES)
    assert repeats.answered(NAMES[7], head, 100, False, 4, 0) == 100, "it may have come before, and is not remembered"
    repeats.answered(NAMES[7], head, 201, False, 4, 0)
    assert (repeats.logs, repeats.knows(NAMES[7])) == (4, True), "it costs much more than one that is forgotten for it"


def test_a_tail_past_a_limit_is_taken_where_branches_fill_the_room() -> None:
    w, who = Pair(NARROW), Forger(NARROW)
    trunk = who.write(10)
    who.say(who.pin(9, trunk[9].id))
    long = who.write(2, who.write(10, trunk)[:-1] + [who.write(10, trunk)[-1]._replace(sig=None)], pad=10_000)
    for name in "ab":
        w.control(name, who)
        assert not w.give(name, trunk)
    for k in range(60):
        w.give("b", who.write(1, trunk[:3], salt=1_000 + k), 3)
    assert not w.give("a", long, 10)
    assert w.pass_time(600) < 300_000
    assert w.same()


def test_pins_to_nothing_do_not_hide_the_pinned_chain() -> None:
    w, who = Pair(WIDE), Forger(WIDE)
    honest = who.write(300, pad=40, every=20)
    for k in range(70):
        who.say(who.pin(1_000 + k, EntryId(k.to_bytes(32, "big"))))
    who.say(who.pin(299, honest[-1].id))
    for name in "ab":
        w.control(name, who)
    for k in range(0, 300, 20):
        assert not w.give("a", honest, k, k + 20)
    for k in range(60):
        w.give("b", who.write(1, salt=1_000 + k))
    assert w.pass_time(600) < 300_000
    assert w.same()


def test_a_pinned_chain_whose_signatures_are_beside_it_is_taken_where_branches_fill_the_room() -> None:
    with tuned(Tuning(piece=2_000, small=1_000, run=8, beside=40)):
        w, who = Pair(NARROW), Forger(NARROW)
        chain = [e._replace(sig=None) for e in who.write(17)]
        chain += who.write(1, chain)[-1:]
        who.say(who.pin(17, chain[-1].id))
        for name in "ab":
            w.control(name, who)
        for k in (0, 4, 8):
            assert not w.give("a", who.write(1, chain[: k + 4], salt=100), k)
        assert not w.give("a", chain, 12)
        assert w.head("a", who.log) == Head(18, chain[-1].id, 0)
        for k in range(60):
            w.give("b", who.write(1, salt=1_000 + k))
        w.pass_time(60)
        assert w.same(), w.heads(who.log)


def test_a_tail_of_more_than_half_a_run_past_a_limit_is_taken_where_branches_fill_the_room() -> None:
    with tuned(Tuning(piece=2_000, small=1_000, run=12, beside=40)):
        w, who = Pair(NARROW), Forger(NARROW)
        trunk = who.write(18, every=6)
        who.say(who.pin(17, trunk[17].id))
        for name in "ab":
            w.control(name, who)
            for k in range(0, 18, 6):
                assert not w.give(name, trunk, k, k + 6)
        for k in range(60):
            w.give("b", who.write(1, trunk[:3], salt=1_000 + k), 3)
        assert not w.give("a", who.write(9, trunk), 18)
        w.pass_time(60)
        assert w.same(), w.heads(who.log)


def test_a_pinned_chain_whose_signature_is_more_than_half_a_run_beside_it_is_taken_where_branches_fill_the_room() -> (
    None
):
    with tuned(Tuning(piece=2_000, small=1_000, run=12, beside=40)):
        w, who = Pair(WIDE), Forger(WIDE)
        chain = [e._replace(sig=None) for e in who.write(13)]
        chain += who.write(1, chain)[-1:]
        for name in "ab":
            w.control(name, who)
        assert not w.give("a", who.write(8, chain[:3], salt=100))
        assert not w.give("a", who.write(1, chain[:12], salt=200), 3)
        assert not w.give("a", chain, 12)
        for k in range(60):
            w.give("b", who.write(1, salt=1_000 + k))
        who.say(who.pin(13, chain[-1].id))
        for name in "ab":
            w.control(name, who)
        assert w.head("a", who.log) == Head(14, chain[-1].id, 0)
        w.pass_time(60)
        assert w.same(), w.heads(who.log)


def test_pinned_chains_that_never_come_whole_give_way_to_one_that_does() -> None:
    w, who = Pair(NARROW), Forger(NARROW)
    honest, bait = who.write(18, every=3), [who.write(19, salt=100 * k, every=3) for k in range(1, 6)]
    for chain in bait:
        who.say(who.pin(18, chain[-1].id))
    who.say(who.pin(17, honest[-1].id))
    for name in "ab":
        w.control(name, who)
    for k in range(0, 18, 3):
        assert not w.give("a", honest, k, k + 3)
    for k in range(60):
        w.give("b", who.write(1, salt=1_000 + k))
    for chain in bait:
        for k in range(0, 18, 3):
            assert w.give("b", chain, k, k + 3, proof(chain, k + 2)) == "", "there is room for every chain"
    assert not w.head("b", who.log).length
    w.pass_time(60)
    assert w.same(), w.heads(who.log)


@pytest.mark.parametrize("reason", REASONS)
def test_what_is_refused_for_whatever_reason_is_not_sent_again_and_again(reason: Reason) -> None:
    """Six logs that cost 60 kB each, one of which moves each minute, their control log, and an honest log beside."""
    w, who = Pair(WIDE), Forger(WIDE)
    honest = w.person("a", "honest")
    logs = {n: who.write(100, pad=500, every=20, log=n) for n in range(1, 7)}
    for name in "ab":
        w.control(name, who)
        for log in logs.values():
            assert not w.give(name, log, 0, 20)
    w.link("a", "b")
    w.until(w.same, 60)
    refuse(w, "b", who.id, reason)
    for log in logs.values():
        assert not w.give("a", log, 20)
    w.pass_time(60)
    spent, news = 0, 0
    for minute in range(int(HOURS * 60)):
        for n, log in logs.items():
            if minute % 6 == n - 1:
                log[:] = who.write(1, log, log=n)
                news += len(run_bytes(log, len(log) - 1, len(log)))
                assert not w.give("a", log, len(log) - 1)
        if minute % 10 == 0:
            who.say(who.pin(5, logs[1][5].id))
            news += 300
            w.control("a", who)
        spent += w.pass_time(60)
    assert len(get_args(Reason)) == len(REASONS)
    assert spent <= ALLOWED * HOURS + news
    w.post("a", honest, 3)
    w.until(lambda: w.head("b", honest.log()) == w.head("a", honest.log()), 120)


def test_what_stays_as_it_is_and_cannot_be_taken_is_asked_for_ever_more_seldom() -> None:
    """Six logs that stay as they are, while an honest one beside them grows each minute, so that much is compared."""
    w, who = Pair(WIDE), Forger(WIDE)
    honest = w.person("a", "honest")
    for name in "ab":
        w.control(name, who)
    w.link("a", "b")
    refuse(w, "b", who.id, "busy")
    for n in range(1, 7):
        assert not w.give("a", who.write(100, pad=500, every=20, log=n))
    spent = 0
    for minute in range(20):
        w.post("a", honest, 1)
        over = w.pass_time(60)
        spent += over if minute >= 10 else 0
    assert spent <= ALLOWED / 4, "eight megabytes if they are asked for after each comparison"
