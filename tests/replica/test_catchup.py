"""The catch-up as a state machine: who reads what, and that nothing is forgotten if a peer stalls, lies or leaves."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from banyan_crdt.ids import AccountId, LogId, WriterKey
from banyan_replica.sync.catchup import AGAIN_S, REST_S, WHOLE, Catchup, Span, SpanRequest
from banyan_replica.wire.messages import CANNOT, LAST, Scan, Scanned
from tests.needs import numbers

MIDDLE = b"\x7f" + b"\xff" * 31


def at(share: float) -> bytes:
    """The name at this fraction of the line of accounts."""
    return int(share * ((1 << 256) - 1)).to_bytes(32, "big")


def log(account: bytes) -> LogId:
    return LogId(AccountId(account), WriterKey(bytes(32)), 1)


def begun(*peers: str, logs: int = 1_000, now: float = 0.0) -> tuple[Catchup, list[SpanRequest]]:
    c = Catchup()
    asks = []
    for peer in peers:
        assert c.join(peer, logs, 0, now)
        asks += c.assign(now)
    return c, asks


def read(c: Catchup, peer: str, logs: int) -> None:
    for k in range(logs):
        c.came(peer, log(k.to_bytes(32, "big")))


def test_one_peer_reads_everything_as_one_stream() -> None:
    c, asks = begun("a")
    assert asks == [SpanRequest("a", Scan(1, b"", LAST))]
    read(c, "a", 1_000)
    assert c.scanned("a", Scanned(1, at(0.5), 0), 1.0) is None
    assert c.left() == [Span(at(0.5), LAST)]
    assert c.assign(50.0) == []
    assert c.scanned("a", Scanned(1, at(0.99), 1), 2.0) is None
    assert not c.active
    assert c.note() is None


def test_a_second_peer_takes_the_later_half_once_the_first_has_work_for_long() -> None:
    c, _ = begun("a", "b")
    assert c.assign(0.5) == []  # it may be over in a moment
    assert c.assign(1.0) == [SpanRequest("a", Scan(1, b"", MIDDLE)), SpanRequest("b", Scan(2, MIDDLE, LAST))]
    assert c.left() == [WHOLE]
    read(c, "a", 500)
    read(c, "b", 500)
    assert c.scanned("a", Scanned(1, at(0.49), 1), 2.0) is None
    assert c.left() == [Span(MIDDLE, LAST)]
    assert c.scanned("b", Scanned(2, at(0.6), 0), 2.0) is None
    (told, stolen) = c.assign(3.0)
    assert told.peer == "b"
    assert stolen.peer == "a"
    assert told.scan.stop == stolen.scan.cursor
    assert stolen.scan.stop == LAST


def test_nobody_helps_with_what_is_nearly_over() -> None:
    c, _ = begun("a", "b")
    read(c, "a", 900)
    c.scanned("a", Scanned(1, at(0.9), 0), 9.0)
    assert c.assign(9.0) == []  # about a second more


def test_what_a_peer_had_sent_beyond_its_nearer_stop_is_the_end_of_its_span() -> None:
    c, _ = begun("a", "b")
    c.assign(1.0)
    read(c, "a", 600)
    assert c.scanned("a", Scanned(1, at(0.6), 0), 1.1) is None
    assert not c.reads("a")
    assert c.left() == [Span(MIDDLE, LAST)]


def test_a_restarted_catch_up_continues_with_any_peer() -> None:
    c, _ = begun("a", "b")
    c.assign(1.0)
    read(c, "a", 200)
    c.scanned("a", Scanned(1, at(0.25), 0), 2.0)
    again = Catchup(c.note())
    assert again.left() == [Span(at(0.25), LAST)]
    assert again.join("z", 1_000, 250, 0.0)
    assert again.assign(0.0) == [SpanRequest("z", Scan(1, at(0.25), LAST))]


def test_a_note_that_cannot_be_read_means_everything() -> None:
    for note in (b"", b"\x80", b"\x82\x00\x01", b"\x82\x00\x81\x81\x40", b"nonsense"):
        assert Catchup(note).left() == [WHOLE]


def test_a_peer_that_goes_leaves_its_span_to_another_at_once() -> None:
    c, _ = begun("a", "b")
    read(c, "a", 100)
    c.scanned("a", Scanned(1, at(0.1), 0), 0.5)
    c.leave("a")
    assert c.assign(0.5) == [SpanRequest("b", Scan(2, at(0.1), LAST))]


def test_a_reader_that_failed_is_passed_over_ever_longer() -> None:
    c, _ = begun("a")
    now = 0.0
    for k in range(4):
        c.rest("a", now)
        assert c.assign(now + REST_S * 2**k - 0.1) == []
        now += REST_S * 2**k
        assert c.assign(now) == [SpanRequest("a", Scan(k + 2, b"", LAST))]


def test_a_reader_that_only_paused_goes_on() -> None:
    c, _ = begun("a")
    read(c, "a", 300)
    c.scanned("a", Scanned(1, at(0.3), 0), 1.0)
    c.rest("a", 12.0)
    assert not c.reads("a")
    read(c, "a", 1)
    assert c.reads("a")
    assert c.scanned("a", Scanned(1, at(0.31), 0), 14.0) is None
    assert c.assign(40.0) == []
    assert c.left() == [Span(at(0.31), LAST)]


def test_a_reader_whose_span_another_took_is_told_to_stop_and_does_not_go_on() -> None:
    c, _ = begun("a")
    c.join("b", 1_000, 0, 1.0)
    read(c, "a", 300)
    c.scanned("a", Scanned(1, at(0.3), 0), 1.0)
    c.rest("a", 2.0)
    stop, anew = c.assign(2.0)
    assert stop == SpanRequest("a", Scan(1, at(0.3), at(0.3)))
    assert (anew.peer, anew.scan.cursor) == ("b", at(0.3))
    read(c, "a", 10)
    c.scanned("a", Scanned(1, at(0.31), 1), 3.0)
    assert not c.reads("a")
    assert c.left() == [Span(at(0.3), LAST)]


def test_a_catch_up_that_ends_stops_a_reader_that_may_go_on() -> None:
    c, _ = begun("a")
    c.rest("a", 1.0)
    assert c.close() == [SpanRequest("a", Scan(1, b"", bytes(32)))]


def test_a_reader_that_is_itself_read_to_is_no_reader() -> None:
    c, _ = begun("a", "b")
    assert c.scanned("a", Scanned(1, b"", CANNOT), 0.1) is None
    assert c.assign(0.1) == [SpanRequest("b", Scan(2, b"", LAST))]


@pytest.mark.parametrize("cursor", [b"", at(0.2), at(0.8)])
def test_a_reader_that_is_where_it_cannot_be_loses_its_span(cursor: bytes) -> None:
    c = Catchup()
    c.join("a", 1_000, 0, 0.0)
    c.assign(0.0)
    c.join("b", 1_000, 0, 0.0)
    c.assign(1.0)
    c.leave("a")
    c.join("c", 1_000, 0, 1.0)
    c.assign(1.0)  # of the first half
    read(c, "c", 300)
    assert c.scanned("c", Scanned(3, at(0.3), 0), 2.0) is None
    why = c.scanned("c", Scanned(3, cursor, 0), 2.0)
    assert why is not None
    assert "was asked for accounts" in why
    assert c.left()[0].cursor == at(0.3)


def test_a_word_without_logs_is_doubted_and_a_second_peer_that_says_the_same_believed() -> None:
    c, _ = begun("a", "b")
    why = c.scanned("a", Scanned(1, LAST, 1), 0.1)
    assert why == "claimed 1000 logs; about 1000 of them were expected and 0 came"
    assert c.left() == [WHOLE]
    (ask,) = c.assign(0.1)
    assert ask == SpanRequest("b", Scan(2, b"", LAST))
    assert c.scanned("b", Scanned(2, LAST, 1), 0.2) is None
    assert not c.active


def test_a_reader_that_got_many_logs_since_it_was_asked_is_not_doubted() -> None:
    c = Catchup()
    c.join("a", 1_000, 0, 0.0)
    c.assign(0.0)
    read(c, "a", 100)
    c.join("a", 100_000, 100, 1.0)  # strangers minted accounts there
    assert c.scanned("a", Scanned(1, at(0.1), 0), 1.0) is None
    c.join("a", 1_000, 100, 1.0)
    assert c.scanned("a", Scanned(1, at(0.95), 0), 2.0) is None
    assert c.scanned("a", Scanned(1, LAST, 1), 2.0) is None
    assert not c.active


def test_a_reader_that_dropped_many_logs_since_it_was_asked_is_not_doubted() -> None:
    c = Catchup()
    c.join("a", 100_000, 0, 0.0)
    c.assign(0.0)
    read(c, "a", 100)
    c.join("a", 1_000, 100, 1.0)
    assert c.scanned("a", Scanned(1, at(0.1), 0), 1.0) is None


def test_a_peer_alone_is_not_believed_for_saying_it_twice() -> None:
    c, _ = begun("a")
    for n in (1, 2):
        assert c.scanned("a", Scanned(n, LAST, 1), 50.0 * n)
        assert [ask.peer for ask in c.assign(50.0 * n + 40.0)] == ["a"]


def test_a_boast_does_not_drag_honest_peers_into_reading_everything_again() -> None:
    c = Catchup()
    assert c.join("boaster", 10_000_000, 1_000_000, 0.0)
    assert not c.join("honest", 1_000_010, 1_000_000, 1.0)


def test_who_read_everything_and_still_claims_far_more_is_not_asked_again_soon() -> None:
    c, _ = begun("a", logs=1_000)
    read(c, "a", 100)
    c.scanned("a", Scanned(1, at(0.9), 1), 5.0)
    assert not c.join("a", 1_000, 100, 6.0)
    assert c.join("b", 1_000, 100, 6.0)
    c.close()
    assert c.join("a", 1_000, 100, 6.0 + AGAIN_S)


@dataclass
class Model:
    """Peers: honest ones deliver in order what they were asked for, and a liar only says so."""

    rng: random.Random
    accounts: list[bytes]
    got: set[bytes] = field(default_factory=set)
    orders: dict[str, Scan] = field(default_factory=dict)

    def hear(self, asks: list[SpanRequest]) -> None:
        for peer, scan in asks:
            now = self.orders.get(peer)
            if now is not None and now.reading == scan.reading:
                scan = now._replace(stop=min(now.stop, scan.stop))
            self.orders[peer] = scan

    def serve(self, c: Catchup, peer: str, now: float) -> None:
        scan = self.orders.get(peer)
        if scan is None:
            return
        if peer == "liar":
            reached = max(scan.cursor, scan.stop if self.rng.random() < 0.5 else at(self.rng.random()))
            c.scanned(peer, Scanned(scan.reading, reached, self.rng.randrange(2)), now)
            return
        rest = [a for a in self.accounts if scan.cursor < a <= scan.stop]
        sent = rest[: self.rng.randint(0, 40)]
        for account in sent:
            self.got.add(account)
            c.came(peer, log(account))
        done = len(sent) == len(rest)
        cursor = sent[-1] if sent else scan.cursor
        self.orders[peer] = scan._replace(cursor=cursor)
        if done:
            del self.orders[peer]
        c.scanned(peer, Scanned(scan.reading, cursor, int(done)), now)


@pytest.mark.parametrize("seed", numbers(60))
def test_every_account_is_read_to_us_whoever_stalls_lies_or_goes_away_and_whenever_we_restart(seed: int) -> None:
    rng = random.Random(seed)
    m = Model(rng, sorted(rng.randbytes(32) for _ in range(1_000)))
    claims = {"a": 2_000, "b": 2_000, "c": 2_000, "liar": 1_000_000}
    c, now = Catchup(), 0.0
    assert c.join("a", 2_000, 0, now)
    while c.active:
        now += rng.choice([0.1, 1.0, 3.0])
        assert now < 10_000
        for peer, logs in claims.items():
            c.join(peer, logs, 0, now)
        m.hear(c.assign(now))
        peer = rng.choice(list(claims))
        match rng.random():
            case x if x < 0.04:
                c.leave(peer)
                m.orders.pop(peer, None)
            case x if x < 0.08:
                c.rest(peer, now)
            case x if x < 0.10:
                c, m.orders = Catchup(c.note()), {}
            case _:
                for each in claims:
                    m.serve(c, each, now)
        spans = c.left()
        assert all(a.stop < b.cursor for a, b in pairwise(spans))
        missing = [x for x in m.accounts if x not in m.got and not any(s.cursor < x <= s.stop for s in spans)]
        assert not missing
    assert m.got == set(m.accounts)
