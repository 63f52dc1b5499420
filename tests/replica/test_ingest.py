"""The only way into the store: for any input in any order the store has the right state, and can serve all of it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import zip_longest

import pytest

from banyan_crdt.control import Control
from banyan_crdt.entry import Entry, Header, decode_header
from banyan_crdt.errors import Malformed, NotYet, WrongLink
from banyan_crdt.ids import AccountId, CellKey, EntryId, Head, LogId, Ref, coll, control_log, key_digest
from banyan_crdt.logs import PathGrant, within_limits
from banyan_crdt.ops import Grant, Init, Op, Pin, Put, Slot
from banyan_crdt.realm import TEST, Realm
from banyan_crdt.run import (
    MAX_RUN_ENTRIES,
    Run,
    decode_control,
    decode_run,
    encode_run,
    run_row_bytes,
    skips_below,
    verify_run,
)
from banyan_crdt.state import AccountState, account_state
from banyan_replica.host import PartItem
from banyan_replica.intake import joints, log_recount
from banyan_replica.intake.ingest import Ingest
from banyan_replica.sync.item_builder import control_items, log_items, pin_of
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import MAX_FRAME, DataItems, RunItem
from banyan_schema.social import Post, encode_post
from banyan_storage.check import StoreProblem, verify
from banyan_storage.entry_records import encode_record
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.reader import ArrivedEntry
from banyan_storage.slots import TIMELINE
from banyan_storage.store import Store
from banyan_storage.tables import STORE_TABLES
from banyan_storage.views import SocialViews
from banyan_storage.views.registry import VIEW_TABLES
from tests.crdt.make import NOBODY, Person, add, follow, make_part, run_bytes, signer
from tests.model.concrete import REALM, concrete
from tests.model.scenarios import scenario
from tests.model.store_node import NOW_MS as MODEL_NOW_MS
from tests.replica.helpers import NOW_MS, give, memory_store, new_ingest

DAY_MS = 86_400_000


def known(person: Person) -> Ingest:
    made = new_ingest()
    made.control(person.id, person.control, NOW_MS)
    return made


def problems(ingest: Ingest) -> list[StoreProblem]:
    ingest.store.commit()
    return verify(ingest.store, lambda account, n: None)


def refused(ingest: Ingest, log: Sequence[Entry], first: int = 0, stop: int | None = None) -> str:
    """The reason of the "not yet". Checks that nothing changed."""
    before = ingest.store.digest(), ingest.store.counts()
    with pytest.raises(NotYet) as why:
        give(ingest, log, first, stop)
    assert (ingest.store.digest(), ingest.store.counts()) == before
    assert problems(ingest) == []
    return why.value.reason


def served_to_another(a: Ingest, realm: Realm, now_ms: int) -> Ingest:
    """Serves all that one node holds to an empty one, as over the wire."""
    b = Ingest(memory_store(realm), realm)
    for account in a.store.accounts():
        for item in control_items(a.store, account):
            b.control(account, [decode_control(realm, e) for e in item.entries], now_ms)
        for log in a.store.logs(account):
            if log.log:
                for piece in log_items(a.store, log, 0):
                    run = decode_run(realm, piece.run)
                    verify_run(realm, run)
                    with suppress(NotYet):  # a signed tail that no longer is needed as proof
                        b.run(run, now_ms, contents=piece.contents)
    return b


def assert_served_alike(store: Store, arrivals: Sequence[ArrivedEntry]) -> None:
    """Serving with arrivals that were read before gives the same as without."""
    for log in {row.log for row in arrivals if row.log.log}:
        came = [row for row in arrivals if row.log == log]
        for some in (came, came[len(came) // 2 :], came[-1:]):
            first = min(row.seq for row in some)
            assert served(log_items(store, log, first, came=some)) == served(log_items(store, log, first))


def served(pieces: Iterable[RunItem]) -> list[tuple[EntryId, object]]:
    out = list[tuple[EntryId, object]]()
    for piece in pieces:
        run = decode_run(REALM, piece.run)
        verify_run(REALM, run)
        out += zip_longest([e.id for e in run.entries], piece.contents)
    return out


class Oracle:
    """The slow way: computes the state of all held entries each time."""

    def __init__(self, realm: Realm) -> None:
        self.realm = realm
        self.kept: dict[AccountId, dict[EntryId, Entry]] = {}

    def state(self, account: AccountId, new: Sequence[Entry] = ()) -> AccountState:
        union = dict(self.kept.get(account, {}))
        for e in new:
            if e.id not in union or union[e.id].sig is None:
                union[e.id] = e
        logs: dict[LogId, list[Entry]] = {}
        for e in union.values():
            if e.header.log:
                logs.setdefault(e.log_id, []).append(e)
        return account_state(self.realm, account, [e for e in union.values() if not e.header.log], logs)

    def took(self, account: AccountId, new: Sequence[Entry]) -> None:
        known = self.kept.setdefault(account, {})
        for e in new:
            if e.id not in known or known[e.id].sig is None:
                known[e.id] = e


def as_run(path: Sequence[Entry], below: dict[int, Entry]) -> Run:
    base = below[path[0].header.seq - 1].header.total if below else 0
    skips = [(s, below[s].id) for s in skips_below(path[0].header.seq, len(path))]
    return decode_run(REALM, encode_run(path, base, skips))


def some_run(rng: random.Random, last: Entry, by_id: dict[EntryId, Entry]) -> tuple[Run, list[Entry]]:
    """A run that ends in `last` and begins at a random ancestor."""
    line = [last]
    while line[-1].header.prev is not None:
        line.append(by_id[line[-1].header.prev])
    line.reverse()
    cut = rng.choice([0, len(line) - 1, rng.randrange(len(line))])
    run = as_run(line[cut:], {e.header.seq: e for e in line[:cut]})
    return run, list(run.entries)


@pytest.mark.parametrize("seed", range(4))
def test_after_every_call_the_store_holds_the_state_of_what_it_was_given(seed: int) -> None:
    rng = random.Random(f"ingest/{seed}")
    forked = cut = 0
    for _ in range(36):
        real = concrete(scenario(rng, 24)).real
        by_id = {e.id: e for e in real}
        node, oracle = Ingest(memory_store(REALM), REALM), Oracle(REALM)
        order = [rng.choice(real) for _ in range(2 * len(real))] + rng.sample(real, len(real)) + real
        before = list[ArrivedEntry]()
        for e in order:
            try:
                if e.header.log:
                    run, given = some_run(rng, e, by_id)
                    node.run(run, MODEL_NOW_MS)
                else:
                    given = [e]
                    node.control(e.account, given, MODEL_NOW_MS)
            except NotYet:
                # what is dropped would have changed nothing that counts
                assert oracle.state(e.account, given).heads == oracle.state(e.account).heads
            else:
                oracle.took(e.account, given)
            assert node.store.heads(e.account) == oracle.state(e.account).heads
            held = [x for log in node.store.logs(e.account) for part in node.store.held(log) for x in part]
            assert oracle.state(e.account, held).heads == oracle.state(e.account).heads
            if rng.random() < 0.1:
                before = node.store.arrivals(0, 1_000)
                assert_served_alike(node.store, before)
        assert problems(node) == []
        assert_served_alike(node.store, before)
        other = served_to_another(node, REALM, MODEL_NOW_MS)
        assert other.store.digest() == node.store.digest()
        forked += sum(h.flag for _, h in node.store.all_heads())
        cut += sum(bool(c.cuts) for a in node.store.accounts() if (c := control_of(node, a)))
    assert forked
    assert cut


@pytest.mark.parametrize("seed", range(3))
def test_what_is_judged_together_ends_as_what_is_judged_one_by_one(seed: int) -> None:
    rng = random.Random(f"together/{seed}")

    def give_one(node: Ingest, e: Entry, run: Run | None) -> None:
        with suppress(NotYet):
            if run is None:
                node.control(e.account, [e], MODEL_NOW_MS)
            else:
                node.run(run, MODEL_NOW_MS)

    for _ in range(30):
        real = concrete(scenario(rng, 24)).real
        by_id = {e.id: e for e in real}
        alone, together = (Ingest(memory_store(REALM), REALM) for _ in range(2))
        order = [rng.choice(real) for _ in range(len(real))] + rng.sample(real, len(real)) + real
        given = [(e, some_run(rng, e, by_id)[0] if e.header.log else None) for e in order]
        while given:
            some, given = given[: (n := rng.randint(1, 9))], given[n:]
            with together.batch():
                for e, run in some:
                    give_one(alone, e, run)
                    give_one(together, e, run)
                    assert together.head(e.log_id) == alone.head(e.log_id)
            assert together.store.digest() == alone.store.digest()
            assert together.store.counts() == alone.store.counts()
            for account in alone.store.accounts():
                assert together.store.grants(account) == alone.store.grants(account)
        assert problems(together) == []


@pytest.mark.parametrize("sent", [True, False])
def test_a_new_account_is_written_with_its_content_and_with_what_hangs_on_it(sent: bool) -> None:
    an, node = Person(), new_ingest()
    log, engine_said = an.write(3), node.store.counts()
    with node.batch():
        assert node.control(an.id, an.control, NOW_MS, [an.salt] if sent else [])
        assert node.head(control_log(an.id)).length == len(an.control)
        assert give(node, log) == 3
        assert node.store.counts() == engine_said  # not yet written
    assert node.store.part(an.control[0].id, 0) == (an.salt if sent else None)
    assert node.store.counts().lacking == (0 if sent else 1)
    assert problems(node) == []
    if not sent:
        assert len(node.parts([PartItem(an.control[0].id, 0, an.salt)])) == 1
        assert problems(node) == []
    with node.batch():  # the same again, and the content of it alone
        assert not node.control(an.id, an.control, NOW_MS, [an.salt])
    assert problems(node) == []


def test_a_new_account_that_is_lost_with_its_transaction_may_come_again() -> None:
    an, bo, node = Person(), Person("bo"), new_ingest()
    with node.batch():
        node.control(an.id, an.control, NOW_MS, [an.salt])
    node.store.rollback()
    node.forget()
    assert node.control_of(an.id) is None
    assert refused(node, an.write(1)) == "account"
    with node.batch():
        node.control(an.id, an.control, NOW_MS, [an.salt])
        node.forget()
        node.control(bo.id, bo.control, NOW_MS, [bo.salt])
    assert list(node.store.accounts()) == [bo.id]
    with suppress(ZeroDivisionError), node.batch():
        node.control(an.id, an.control, NOW_MS, [an.salt])
        raise ZeroDivisionError
    assert node.control_of(an.id) is not None
    assert problems(node) == []


def control_of(node: Ingest, account: AccountId) -> Control:
    found = node.control_of(account)
    assert found is not None
    return found


def test_an_overlap_counts_only_what_is_new() -> None:
    an = Person()
    log, node = an.write(10), known(an)
    assert give(node, log, 0, 6) == 6
    assert give(node, log, 3, 9) == 3
    assert give(node, log, 2, 5) == 0
    assert give(node, log) == 1
    assert node.head(an.log()) == Head(10, log[-1].id, 0)


def test_a_gap_is_not_yet_and_leaves_no_trace() -> None:
    an = Person()
    log, node = an.write(10), known(an)
    give(node, log, 0, 3)
    assert refused(node, log, 5, 10) == "gap"
    assert give(node, log, 3, 10) == 7


def test_a_run_that_lies_about_the_log_below_it_is_rejected() -> None:
    an = Person()
    log, node = an.write(45), known(an)
    give(node, log, 0, 40)
    skips = [(q, log[q].id) for q in skips_below(40, 5)]
    wrong = encode_run(log[40:45], log[39].header.total - 1, skips)
    with pytest.raises(WrongLink, match="total"):
        node.run(decode_run(TEST, wrong), NOW_MS)
    assert skips
    elsewhere = [(q, log[q + 1].id) for q, _ in skips]
    with pytest.raises(WrongLink, match="another entry"):
        node.run(decode_run(TEST, encode_run(log[40:45], log[39].header.total, elsewhere)), NOW_MS)
    early = follow(an.full("phone"), an.log(), log[:40], add("early"), time=log[39].header.time)
    with pytest.raises(WrongLink):
        give(node, [*log[:40], early], 40)
    assert node.head(an.log()).length == 40
    assert give(node, log, 40) == 5


def test_a_lie_about_what_lies_far_below_a_fork_is_rejected_too() -> None:
    an = Person()
    log, node = an.write(60), known(an)
    give(node, log)
    first = next(q for q in range(30, 60) if skips_below(q, 1))
    other = an.write(1, below=log[:first], tag="x")
    lie = [(q, log[q + 1].id) for q in skips_below(first, 1)]
    with pytest.raises(WrongLink, match="another entry"):
        node.run(decode_run(TEST, encode_run(other[first:], log[first - 1].header.total, lie)), NOW_MS)
    assert node.head(an.log()) == Head(60, log[-1].id, 0)
    give(node, other, first)
    assert node.head(an.log()) == Head(first, log[first - 1].id, 1)


def test_what_is_dated_ahead_waits_for_its_time() -> None:
    an = Person()
    node = known(an)
    ahead = follow(an.full("phone"), an.log(), [], add("x"), time=NOW_MS + 301_000 << 16)
    assert refused(node, [ahead]) == "future"
    assert give(node, [ahead], now_ms=NOW_MS + 2_000) == 1
    later = an.say(an.grant_op("laptop"), time=NOW_MS + 301_000 << 16)
    with pytest.raises(NotYet, match="ahead of this node's clock"):
        node.control(an.id, [later], NOW_MS)
    assert node.control(an.id, [later], NOW_MS + 2_000)


def test_a_run_is_dated_by_its_last_entry() -> None:
    an = Person()
    node, log = known(an), an.write(1)
    log.append(follow(an.full("phone"), an.log(), log, add("x"), time=NOW_MS + 301_000 << 16))
    assert refused(node, log) == "future"


def test_an_entry_after_the_end_of_its_grant_is_not_kept() -> None:
    an = Person(device=None)
    until = an.control[0].header.time + (3 << 16)
    an.grant("phone", until=until)
    log, node = an.write(8), known(an)
    fits = sum(e.header.time <= until for e in log)
    assert 0 < fits < 6
    assert give(node, log, 0, 6) == fits
    assert node.head(an.log()) == Head(fits, log[fits - 1].id, 0)
    assert refused(node, log, 6, 8) == "until"
    assert served_to_another(node, TEST, NOW_MS).store.digest() == node.store.digest()


def test_a_log_at_its_limit_stops_and_continues_later() -> None:
    tight = Realm("tight", TEST.birth_ms, entry_burst=3, entries_per_day=1)
    root = signer("r", tight)
    born = follow("r", control_log(NOBODY), [], Init((Slot(key_digest(root.key), bytes(32)),), None), realm=tight)
    account = AccountId(born.id)
    granting = Grant(signer("w", tight).key, 1, 1, 8, None, None, None)
    granted = follow("r", control_log(account), [born], granting, realm=tight)
    node = Ingest(memory_store(tight), tight)
    node.control(account, [born, granted], NOW_MS)
    name = LogId(account, signer("w", tight).key, 1)
    log: list[Entry] = []
    for k in range(5):
        log.append(follow("w", name, log, add(str(k)), realm=tight, signed=k != 2))
    entries = [e._replace(sig=None) for e in log[:-1]] + log[-1:]
    run = decode_run(tight, encode_run(entries, 0, []))
    assert len(node.run(run, NOW_MS)) == 3
    assert len(node.store.loose(name)) == 2  # the signed tail that proves the three
    assert served_to_another(node, tight, NOW_MS).head(name) == node.head(name) == Head(3, log[2].id, 0)
    with pytest.raises(NotYet, match="past what the log may hold") as why:
        node.run(
            decode_run(tight, encode_run([follow("w", name, log, add("5"), realm=tight)], log[4].header.total, [])),
            NOW_MS,
        )
    assert why.value.reason in ("gap", "limit")


class Tight:
    """A realm where a log may hold three entries, and one more each day; an account with one writer."""

    def __init__(self, entries: int = 3, size: int = 64 << 20) -> None:
        self.realm = Realm("tight", TEST.birth_ms, entries, 1, size, 1)
        root = signer("r", self.realm)
        self.control = [
            follow("r", control_log(NOBODY), [], Init((Slot(key_digest(root.key), bytes(32)),), None), realm=self.realm)
        ]
        self.account = AccountId(self.control[0].id)
        self.name = LogId(self.account, signer("w", self.realm).key, 1)
        self.say(Grant(self.name.writer, 1, 1, 8, None, None, None))
        self.node = Ingest(memory_store(self.realm), self.realm)

    def say(self, op: Op) -> None:
        self.control.append(follow("r", control_log(self.account), self.control, op, realm=self.realm))

    def write(self, n: int, tag: str = "", below: Sequence[Entry] = (), time: int | None = None) -> list[Entry]:
        log = list(below)
        for k in range(n):
            at = time if k == n - 1 else None
            log.append(follow("w", self.name, log, add(f"{tag}{k}"), realm=self.realm, time=at))
        return log

    def give(self, log: Sequence[Entry], first: int = 0, proof: Sequence[Header] = ()) -> int:
        self.node.control(self.account, self.control, NOW_MS)
        run = decode_run(self.realm, run_bytes(log, first, len(log)))
        return len(self.node.run(run, NOW_MS, proof=proof))


def test_each_entry_of_a_run_must_be_within_the_limit_of_its_own_date() -> None:
    tight = Tight()
    log = tight.write(4)
    log = tight.write(1, below=log, time=log[-1].header.time + (9 * DAY_MS << 16))
    assert tight.give(log) == 3
    assert tight.node.head(tight.name) == Head(3, log[2].id, 0)


def refused_by(tight: Tight, log: Sequence[Entry], first: int) -> str:
    with pytest.raises(NotYet) as why:
        tight.give(log, first)
    return why.value.reason


def test_half_a_run_past_a_limit_is_always_held_and_branches_give_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 2)
    monkeypatch.setattr(log_recount.LogRecount, "_twice", lambda *_: (0, 0))  # no longer one is taken
    tight = Tight()
    log = tight.write(8)
    tight.say(Pin(tight.name.writer, 1, 0, log[0].id))
    for some in (log[:1], *[tight.write(1, tag) for tag in "ab"]):
        tight.give(some)
    assert len(tight.node.store.loose(tight.name)) == 2
    unsigned = [*log[:1], *(e._replace(sig=None) for e in log[1:-1]), log[-1]]
    with monkeypatch.context() as m:
        m.setattr(joints, "MAX_RUN_ENTRIES", 9)
        assert refused_by(tight, unsigned, 1) == "limit"
        assert tight.node.head(tight.name) == Head(1, log[0].id, 0)
    with monkeypatch.context() as m:
        m.setattr(joints, "RUN_ROWS_BYTES", 2 * sum(run_row_bytes(e.ops) for e in log[3:]) - 1)
        assert refused_by(tight, unsigned, 1) == "limit"
        m.setattr(joints, "RUN_ROWS_BYTES", 2 * sum(run_row_bytes(e.ops) for e in log[3:]))
        m.setattr(joints, "MAX_RUN_ENTRIES", 10)
        assert tight.give(unsigned, 1) == 2
    assert [e.id for e in tight.node.store.loose(tight.name)] == [e.id for e in log[3:]]
    assert served_to_another(tight.node, tight.realm, NOW_MS).head(tight.name) == Head(3, log[2].id, 0)


@pytest.mark.parametrize(("entries", "size"), [(3, 64 << 20), (100, 250)])
def test_a_longer_tail_is_held_until_what_cannot_give_way_is_twice_what_the_log_may_hold(
    entries: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 2)
    monkeypatch.setattr(joints, "MAX_RUN_ENTRIES", 2)
    results = set[bool]()
    for n in range(4, 12):
        tight = Tight(entries, size)
        log = [e._replace(sig=None) for e in tight.write(1 + n)]
        whole = tight.write(1, "end", log)
        granted = PathGrant(Grant(tight.name.writer, 1, 1, 8, None, None, None), tight.control[-1].header.time, 0)
        count = sum(within_limits(tight.realm, granted, e.header.seq, e.header.time, e.header.total) for e in whole)
        tail = whole[count:]
        taken = len(tail) <= 2 * entries and sum(len(encode_record(0, e)) for e in tail) <= 2 * size
        first = tight.write(1)
        tight.say(Pin(tight.name.writer, 1, 0, first[0].id))
        for some in (first, *[tight.write(1, tag) for tag in "ab"]):
            tight.give(some)
        assert len(tight.node.store.loose(tight.name)) == 2
        if taken:
            assert tight.give(whole, 1) == count - 1
            other = served_to_another(tight.node, tight.realm, NOW_MS)
            assert other.head(tight.name) == tight.node.head(tight.name) == Head(count, whole[count - 1].id, 0)
        else:
            assert refused_by(tight, whole, 1) == "limit"
            assert tight.node.head(tight.name).length == 1
        results.add(taken)
    assert results == {True, False}


def test_of_tails_that_one_signature_makes_needless_none_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 3)
    tight = Tight(12, 10_000)
    log = [e._replace(sig=None) for e in tight.write(12)]
    for k in range(1, 13):
        large = follow("w", tight.name, log[:k], add("large"), parts=20_000, signed=False, realm=tight.realm)
        assert tight.give(tight.write(1, f"tail {k}", [*log[:k], large]), k - 1) == 1
        assert len(tight.node.store.loose(tight.name)) <= 3 + 2
        other = served_to_another(tight.node, tight.realm, NOW_MS)
        assert other.head(tight.name) == tight.node.head(tight.name) == Head(k, log[k - 1].id, 0)
        assert problems(tight.node) == []


@pytest.mark.parametrize(("entries", "size", "fit"), [(3, 64 << 20, {1, 2, 3}), (100, 400, {1, 2, 3})])
def test_contradictory_pins_give_room_for_twice_what_the_log_may_hold(
    entries: int, size: int, fit: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 1)
    tight = Tight(entries, size)
    branches = [tight.write(3, tag) for tag in "abcdefghij"]
    for branch in branches:
        tight.say(Pin(tight.name.writer, 1, 2, branch[2].id))
    tight.give(tight.write(1, "x"))
    tight.give(tight.write(1, "y"))
    for branch in branches:
        with suppress(NotYet):
            tight.give(branch[:2], proof=[branch[2].header])
    assert sum(tight.node.store.has(branch[1].id) for branch in branches) in fit


def test_above_a_limit_a_pin_gives_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 2)
    tight = Tight()
    honest = tight.write(9)
    tight.say(Pin(tight.name.writer, 1, 8, honest[8].id))
    tight.give(tight.write(1, "x"))
    tight.give(tight.write(1, "y"))  # a fork: nothing counts
    proof = [e.header for e in honest[8:4:-1]]
    assert proof[0].skip is None
    with pytest.raises(NotYet) as why:
        tight.give(honest[:5], proof=proof)
    assert why.value.reason == "branch"


def test_the_run_that_ends_at_a_cut_is_taken_though_no_room_is_left_for_its_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_recount.LogRecount, "takes_tail", lambda *_: False)
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 2)
    an = Person()
    log, node = an.write(10), known(an)
    node.control(an.id, [an.say(an.cut("phone", log[4]))], NOW_MS)
    give(node, log)
    assert node.head(an.log()) == Head(5, log[4].id, 0)


def test_after_a_cut_nothing_later_counts_and_nothing_later_is_kept() -> None:
    an = Person()
    log, node = an.write(10), known(an)
    give(node, log, 0, 8)
    node.control(an.id, [an.say(an.cut("phone", log[4]))], NOW_MS)
    assert node.head(an.log()) == Head(5, log[4].id, 0)
    assert refused(node, log, 5, 10) == "cut"
    other = an.write(3, below=log[:5], tag="thief")
    assert refused(node, other, 5) == "cut"
    assert refused(node, an.write(2, number=2)) == "cut"
    assert served_to_another(node, TEST, NOW_MS).store.digest() == node.store.digest()


def test_a_pin_brings_back_what_a_fork_suspended() -> None:
    an = Person()
    log = an.write(10)
    other = an.write(6, below=log[:4], tag="clone")
    node = known(an)
    give(node, log)
    give(node, other, 4)
    assert node.head(an.log()) == Head(4, log[3].id, 1)
    node.control(an.id, [an.say(an.pin(log[9]))], NOW_MS)
    assert node.head(an.log()) == Head(10, log[9].id, 0)


def test_of_many_branches_all_are_held_in_any_order_and_two_are_served() -> None:
    an = Person()
    log = an.write(4)
    branches = [an.write(3, below=log, tag=t) for t in "abcd"]
    node, late = known(an), known(an)
    for made, order in ((node, branches), (late, branches[::-1])):
        give(made, log)
        for b in order:
            give(made, b, 4)
        assert {e.id for e in made.store.loose(an.log())} == {e.id for b in branches for e in b[4:]}
        assert made.head(an.log()) == Head(4, log[3].id, 1)
        assert problems(made) == []
    other = served_to_another(node, TEST, NOW_MS)
    assert other.head(an.log()) == node.head(an.log())
    assert len(other.store.loose(an.log())) == 2 * 3  # each up to its signature


def test_of_branches_that_never_counted_only_so_much_is_held_unless_a_pin_is_shown_to_stand_above(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 5)
    an = Person()
    honest, forged = an.write(60), [an.write(2, tag=t) for t in "xy"]
    pin = an.pin(honest[50])
    an.say(pin)
    node, holder = known(an), known(an)
    for k in range(60):  # each under its own signature, so that pieces are small
        give(holder, honest, k, k + 1)
    for log in forged:
        give(node, log)
    give(node, honest, 0, 1)
    assert refused(node, honest, 1, 10) == "branch"
    assert node.lacks(an.log()) == [(50, honest[50].id)]
    vouched = pin_of(holder.store, an.log(), node.lacks(an.log()))
    for item in log_items(holder.store, an.log(), 1, lambda: 100, pin=vouched):
        run = decode_run(TEST, item.run)
        proved = [decode_header(h) for h in item.proof]
        assert bool(proved) == (run.entries[-1].header.seq < 50)
        node.run(run, NOW_MS, proof=proved)
    assert node.head(an.log()) == holder.head(an.log()) == Head(60, honest[59].id, 0)
    assert problems(node) == []


def test_entries_below_a_pin_are_held_even_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "BESIDE_ENTRIES", 2)
    an = Person()
    honest = an.write(20)
    an.say(an.pin(honest[12]))
    holder, node = known(an), known(an)
    for k in range(20):  # each under its own signature, so that pieces are small
        give(holder, honest, k, k + 1)
    for tag in "xy":
        give(node, an.write(2, tag=tag))
    vouched = pin_of(holder.store, an.log(), node.lacks(an.log()))
    for item in log_items(holder.store, an.log(), 0, lambda: 100, pin=vouched):
        node.run(decode_run(TEST, item.run), NOW_MS, proof=[decode_header(h) for h in item.proof])
    assert node.head(an.log()) == Head(20, honest[19].id, 0)


def test_of_another_account_an_unknown_one_or_an_ungranted_writer() -> None:
    an, binh = Person("an"), Person("binh")
    node = known(an)
    with pytest.raises(Malformed, match="not of the control log that was offered"):
        node.control(an.id, binh.control, NOW_MS)
    assert refused(node, binh.write(2)) == "account"
    assert refused(node, an.write(2, device="tablet")) == "grant"
    with pytest.raises(NotYet, match="does not reach down to its inception"):
        node.control(binh.id, binh.control[1:], NOW_MS)


def test_a_signature_that_comes_later_is_kept_and_the_log_served_up_to_it() -> None:
    an = Person()
    log, node = an.write(8), known(an)
    give(node, log)

    def signed() -> list[int]:
        return [e.header.seq for e in node.store.chain(an.log()) if e.sig]

    assert signed() == [7]
    assert give(node, log, 2, 5) == 0
    assert signed() == [4, 7]
    assert give(node, log, 0, 5) == 0
    assert signed() == [4, 7]
    assert served_to_another(node, TEST, NOW_MS).store.digest() == node.store.digest()


def test_judging_anew_is_metered_by_operations() -> None:
    """An entry can have 512, and each is read and folded again."""
    an = Person()
    log = list[Entry]()
    for k in range(4):
        log.append(follow(an.full("phone"), an.log(), log, *(add(f"{k} {n}") for n in range(300)), signed=True))
    node, asked = known(an), list[int]()
    give(node, log)

    def may(n: int) -> bool:
        asked.append(n)
        return True

    node.run(decode_run(TEST, run_bytes(an.write(1, below=log[:3], tag="x"), 3, 4)), NOW_MS, may)
    assert 1_200 <= sum(asked) <= 1_210


def test_judging_anew_is_metered_and_refused_without_a_trace() -> None:
    an = Person()
    log, node = an.write(30), known(an)
    give(node, log)
    asked: list[int] = []
    other = an.write(1, below=log[:3], tag="x")
    fork = decode_run(TEST, run_bytes(other, 3, 4))

    def never(entries: int) -> bool:
        asked.append(entries)
        return False

    with pytest.raises(NotYet) as why:
        node.run(fork, NOW_MS, never)
    assert why.value.reason == "busy"
    assert asked[0] >= 30
    assert node.head(an.log()).length == 30
    give(node, an.write(31), 30)  # the usual way needs no leave
    node.run(fork, NOW_MS)
    assert node.head(an.log()) == Head(3, log[2].id, 1)


def test_content_is_taken_once_for_what_names_it_and_a_lie_is_rejected() -> None:
    an = Person()
    part, raw = make_part("x", b"hello")
    log = [follow(an.full("phone"), an.log(), [], add("x", part), parts=part.size)]
    node = known(an)
    give(node, log)
    assert node.store.counts().lacking == 2  # and the account's salt
    other = make_part("y", b"hello")[1]
    with pytest.raises(Malformed):
        node.parts([PartItem(log[0].id, 0, other)])
    with pytest.raises(Malformed, match="has no part"):
        node.parts([PartItem(log[0].id, 7, raw)])
    assert node.parts([PartItem(EntryId(bytes(32)), 0, raw)]) == []
    assert len(node.parts([PartItem(log[0].id, 0, raw)])) == 1
    assert node.parts([PartItem(log[0].id, 0, raw)]) == []
    assert node.store.counts().lacking == 1


def with_content(person: Person, n: int, device: str = "phone") -> tuple[list[Entry], list[bytes]]:
    """Posts, and the content of each."""
    log, contents = list[Entry](), list[bytes]()
    for k in range(n):
        part, raw = make_part(f"content {k}", encode_post(Post(f"post {k}")))
        op = Put(coll("post"), CellKey(k.to_bytes(16, "big")), (), part)
        log.append(follow(person.full(device), person.log(device), log, op, parts=part.size))
        contents.append(raw)
    return log, contents


def test_content_that_comes_with_what_is_held_is_taken() -> None:
    an = Person()
    log, contents = with_content(an, 6)
    node = known(an)
    give(node, log, 0, 4)
    assert node.store.counts().lacking == 4 + 1  # and the account's salt
    node.run(decode_run(TEST, run_bytes(log, 1, 3)), NOW_MS, contents=contents[1:3])
    assert [node.store.part(e.id, 0) for e in log] == [None, *contents[1:3], None, None, None]
    node.run(decode_run(TEST, run_bytes(log, 0, 6)), NOW_MS, contents=contents)
    assert [node.store.part(e.id, 0) for e in log] == contents
    assert problems(node) == []


def test_content_that_comes_with_what_a_pin_chooses_is_taken() -> None:
    an = Person()
    log, contents = with_content(an, 4)
    an.say(an.pin(log[2]))
    node = known(an)
    give(node, an.write(2, tag="thief"))
    give(node, log, 0, 1)
    node.run(decode_run(TEST, run_bytes(log, 0, 4)), NOW_MS, contents=contents)
    assert node.head(an.log()) == Head(4, log[3].id, 0)
    assert [node.store.part(e.id, 0) for e in log] == contents
    assert problems(node) == []


def test_the_salt_of_an_account_is_taken_with_a_control_log_that_grew() -> None:
    an = Person()
    node = known(an)
    an.grant("tablet")
    assert node.control(an.id, an.control, NOW_MS, [an.salt])
    assert node.store.part(an.control[0].id, 0) == an.salt


@pytest.mark.parametrize("plain", [True, False])
def test_where_a_part_of_a_run_is_held_the_rest_gets_its_own_content(plain: bool) -> None:
    an = Person()
    log, contents = with_content(an, 5)
    node, engine = known_and_viewed(an)
    first, whole = (decode_run(TEST, run_bytes(log, 0, stop)) for stop in (2, 5))
    for run in (first, whole):
        node.run(run if plain else run._replace(puts=None), NOW_MS, contents=contents)
    assert [node.store.part(e.id, 0) for e in log] == contents
    assert engine.write().count(TIMELINE) == 5
    assert problems(node) == []


def test_an_entry_that_names_undeclared_content_is_void_also_where_a_part_of_its_run_is_held() -> None:
    an = Person()
    log, _ = with_content(an, 2)
    part, _ = make_part("undeclared", b"x" * 60)
    log.append(follow(an.full("phone"), an.log(), log, add("y", part), parts=part.size - 1))
    node = known(an)
    give(node, log, 0, 2)
    give(node, log)
    assert node.head(an.log()).length == 3
    assert node.store.counts().lacking == 2 + 1
    assert not node.store.lacks_part(log[2].id, 0)


def test_content_of_a_void_entry_is_not_given_to_another() -> None:
    an = Person()
    log, contents = with_content(an, 1)
    part, raw = make_part("undeclared", b"x" * 60)
    void = follow(an.full("phone"), an.log(), log, add("y", part), parts=part.size - 1)
    other, more = make_part("other", b"z" * 60)
    last = follow(an.full("phone"), an.log(), [*log, void], add("z", other), parts=other.size)
    node = known(an)
    node.run(decode_run(TEST, run_bytes([*log, void, last], 0, 3)), NOW_MS, contents=[*contents, raw, more])
    assert [node.store.part(e.id, 0) for e in (*log, void, last)] == [*contents, None, more]
    assert problems(node) == []


def test_a_node_names_the_pins_that_it_lacks_highest_first_where_a_log_has_branches() -> None:
    an = Person()
    honest = an.write(30)
    for seq in (0, 9, 19, 29):
        an.say(an.pin(honest[seq]))
    node = known(an)
    assert node.lacks(an.log()) == []
    give(node, an.write(2, tag="thief"))
    assert node.lacks(an.log()) == []
    node.run(decode_run(TEST, run_bytes(an.write(1, tag="other"), 0, 1)), NOW_MS)
    assert node.lacks(an.log()) == [(seq, honest[seq].id) for seq in (29, 19, 9, 0)]
    give(node, honest, 0, 5)
    assert node.lacks(an.log()) == [(seq, honest[seq].id) for seq in (29, 19, 9)]


def test_no_run_longer_than_a_run_may_be_is_ever_served() -> None:
    """The signature that came with a chain is on one branch; the other has its first one a run's length further up."""
    an = Person()
    fork = MAX_RUN_ENTRIES - 1
    trunk = an.write(fork)
    branches = sorted((an.write(MAX_RUN_ENTRIES, below=trunk, tag=t) for t in "abcd"), key=lambda b: b[fork].id)
    for near, *far in ((0, 1), (1, 0), (2, 0, 1)):
        node = known(an)
        give(node, branches[near], 0, fork + 1)
        for k in far:
            give(node, branches[k], fork)
        assert node.head(an.log()) == Head(fork, trunk[-1].id, 1)
        for piece in log_items(node.store, an.log(), 0):
            verify_run(TEST, decode_run(TEST, piece.run))  # raises where whoever is sent it would charge us
        if node.store.has(branches[near][fork].id):
            assert served_to_another(node, TEST, NOW_MS).store.digest() == node.store.digest()


def test_what_one_signature_vouches_for_is_served_in_a_frame_whatever_content_it_names() -> None:
    an = Person()
    log: list[Entry] = []
    parts = []
    for k in range(100):
        part, raw = make_part(f"large {k}", bytes(60_000))
        log.append(follow(an.full("phone"), an.log(), log, add(str(k), part), parts=part.size, signed=k == 99))
        parts.append(PartItem(log[-1].id, 0, raw))
    node = known(an)
    give(node, log)
    assert len(node.parts(parts)) == 100
    pieces = list(log_items(node.store, an.log(), 0))
    assert len(pieces) == 1
    assert 1 << 20 < len(encode_message(DataItems(list(pieces)))) < MAX_FRAME


@pytest.mark.parametrize("lacks", [(), (2,), (0, 1, 2, 3)])
@pytest.mark.parametrize("scope", [None, ("post",), ("follow",)])
def test_the_short_way_of_plain_runs_ends_where_the_long_way_does(
    lacks: tuple[int, ...], scope: tuple[str, ...] | None
) -> None:
    an = Person()
    colls = None if scope is None else tuple(sorted(map(coll, scope)))
    an.say(an.grant_op("tablet")._replace(colls=colls))
    log, contents = list[Entry](), list[bytes | None]()
    for k in range(4):
        part, raw = make_part(f"plain {k}")
        op = Put(coll("post"), CellKey(k.to_bytes(16, "big")), (), part)
        log.append(follow(an.full("tablet"), an.log("tablet"), log, op, parts=part.size))
        contents.append(None if k in lacks else raw)
    run = decode_run(TEST, run_bytes(log, 0, 4))
    assert run.puts
    rows = []
    for way in (run, run._replace(puts=None)):
        node, engine = known_and_viewed(an)
        node.run(way, NOW_MS, contents=contents)
        node.store.commit()
        assert verify(node.store, lambda account, n: None) == []
        rows.append({table.name: list(engine.write().scan(table)) for table in (*STORE_TABLES, *VIEW_TABLES)})
    assert rows[0] == rows[1]
    assert bool(rows[0]["parts"]) == (len(lacks) < 4 and scope != ("follow",))


def known_and_viewed(person: Person) -> tuple[Ingest, MemoryEngine]:
    engine = MemoryEngine((*STORE_TABLES, *VIEW_TABLES))
    made = Ingest(Store(engine, TEST, new_store_id=bytes(16), views=SocialViews()), TEST)
    made.control(person.id, person.control, NOW_MS)
    return made, engine


def test_what_is_plain_is_one_put_over_nothing_with_as_much_content_as_is_declared() -> None:
    an = Person()
    part, _ = make_part("x")
    put = Put(coll("post"), CellKey(bytes(16)), (), part)

    def is_plain(*ops: Op, parts: int = part.size) -> bool:
        log = [follow(an.full("phone"), an.log(), [], *ops, parts=parts)]
        return decode_run(TEST, run_bytes(log, 0, 1)).puts is not None

    assert is_plain(put)
    assert not is_plain(put, parts=part.size - 1)
    assert not is_plain(put, parts=part.size + 1)
    assert not is_plain(put._replace(refs=(Ref(EntryId(bytes(32)), 0),)))
    assert not is_plain(put._replace(part=None), parts=0)
    assert not is_plain(put, put._replace(key=CellKey(b"k" * 16)), parts=2 * part.size)
    assert not is_plain(add("x", part))
    assert not is_plain(parts=0)
