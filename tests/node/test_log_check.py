"""A store of schema 4, written by the version before, opens in place: wrong entries are dropped, others kept."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from banyan_crdt.entry import Entry
from banyan_crdt.ids import Head, LogId
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run, verify_run
from banyan_crdt.signing import verify_all
from banyan_node.upkeep.log_check import CheckFindings, CheckInterrupt, due, mend
from banyan_replica.host import PartItem
from banyan_replica.intake.ingest import Ingest
from banyan_storage import tables as t
from banyan_storage.check import verify
from banyan_storage.entry_records import encode_record
from banyan_storage.errors import StorageError
from banyan_storage.local_tables import BANNED
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.upgrade import upgrade
from banyan_storage.viewhook import NoViews
from banyan_storage.views import VIEW_TABLES, SocialViews
from tests.crdt.make import Person
from tests.replica.helpers import NOW_MS, World, control_item, data, run_item
from tests.storage.old.load import load
from tests.storage.old.story import NONSENSE, tell, whole

TABLES = (*t.STORE_TABLES, *VIEW_TABLES)
NOW_S = NOW_MS // 1000
STORY = tell()


def silent(sentence: str) -> None:
    return


def opened(engine: MemoryEngine) -> Store:
    return Store(engine, TEST, new_store_id=b"another name....", views=SocialViews())


def old_store() -> MemoryEngine:
    engine = MemoryEngine(TABLES)
    load(engine)
    return engine


def fresh_store() -> Store:
    """The content of a current store that was given all honest entries."""
    store = opened(MemoryEngine(TABLES))
    ingest = Ingest(store, TEST)
    for person in STORY.people:
        ingest.control(person.id, [e for e in person.control if e.header.seq < 2], NOW_MS)
        ingest.parts([PartItem(person.control[0].id, 0, person.salt)])
    for raw in STORY.honest:
        run = decode_run(TEST, raw)
        verify_run(TEST, run)
        ingest.run(run, NOW_MS)
    fork = decode_run(TEST, STORY.lies[-1])  # it is true, and the lie that stood beside it is what it forked from
    ingest.run(fork, NOW_MS)
    ingest.parts([PartItem(*item) for item in STORY.parts])
    for person in STORY.people:
        ingest.control(person.id, person.control, NOW_MS)
    entry, op, reason = STORY.withheld
    store.erase_part(entry, op, reason)
    store.commit()
    return store


def mended(engine: MemoryEngine, report: Path) -> tuple[Store, list[str], CheckFindings]:
    said: list[str] = []
    assert upgrade(engine, NOW_S, said.append)
    store = opened(engine)
    assert due(store)
    found = mend(store, TEST, NOW_S, report, said.append)
    return store, said, found


def problems(store: Store) -> list[str]:
    return [f"{p.where}: {p.sentence}" for p in verify(store, lambda account, n: None)]


def test_an_old_store_is_mended_of_exactly_what_is_wrong(tmp_path: Path) -> None:
    store, said, found = mended(old_store(), tmp_path / "report")
    assert problems(store) == []
    assert [store.has(e.id) for e in STORY.bad] == [False] * len(STORY.bad)
    assert found.gone == len(STORY.bad)
    assert found.wrong_logs == len(STORY.dropped)
    fresh = fresh_store()
    assert store.digest() == fresh.digest()
    assert store.counts() == fresh.counts()
    for person in STORY.people:
        assert store.heads(person.id) == fresh.heads(person.id)
        for log in store.logs(person.id):
            assert store.held(log) == fresh.held(log)
    assert store.store_id == b"a store of old. "
    assert BANNED.get(store, "a note") == "of old"
    assert "The store is of schema 4; bringing it to 10" in said[0]
    assert f"{found.gone:,} entries of {found.wrong_logs} logs were wrong" in said[-1]
    lines = (tmp_path / "report").read_text("utf-8")
    assert all(e.id.hex() in lines for e in STORY.bad if e.header.skip == NONSENSE)
    assert all(log.writer.hex()[:16] in lines for log in STORY.dropped)


def test_what_is_right_keeps_its_content_its_erasures_and_its_view(tmp_path: Path) -> None:
    engine = old_store()
    store, _, _ = mended(engine, tmp_path / "report")
    fresh_engine_store = fresh_store()
    for entry, op, raw in STORY.parts:
        assert store.part(entry, op) == fresh_engine_store.part(entry, op)
        assert store.part(entry, op) in (raw, None)
    entry, op, reason = STORY.withheld
    assert store.withheld(entry, op) == reason
    rows = {table: list(engine.write().scan(table)) for table in VIEW_TABLES}
    for person in STORY.people:  # folded again from nothing they say the same
        Ingest(store, TEST).slow.recount(person.id, set(), NOW_S, rebuild=True)
    assert {table: list(engine.write().scan(table)) for table in VIEW_TABLES} == rows


def test_what_did_not_count_is_a_branch_since_the_upgrade(tmp_path: Path) -> None:
    store, _, _ = mended(old_store(), tmp_path / "report")
    rows = [row for p in STORY.people for log in store.logs(p.id) for row in store.loose_rows(log)]
    assert rows
    assert {(row.kind, row.since) for row in rows} == {(t.BRANCH, NOW_S)}


def test_a_second_start_finds_nothing_to_do_and_a_second_check_changes_nothing(tmp_path: Path) -> None:
    engine = old_store()
    store, _, _ = mended(engine, tmp_path / "report")
    rows = {table: list(engine.write().scan(table)) for table in TABLES}
    again = engine.crash()
    assert not upgrade(again, NOW_S + 9, pytest.fail)
    store = opened(again)
    assert not due(store)
    said: list[str] = []
    for checks in (None, verify_all):
        found = mend(store, TEST, NOW_S + 9, tmp_path / "second", said.append, verify=checks)
        assert (found.gone, found.moved) == (0, 0)
        assert said[-1].endswith("all are sound.")
    assert {table: list(again.write().scan(table)) for table in TABLES} == rows
    assert not (tmp_path / "second").exists()


def test_power_that_goes_at_any_commit_leaves_a_store_that_is_mended_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.upkeep.log_check.COMMIT_CHECKED", 0)
    whole_digest = fresh_store().digest()
    for commits in range(100):
        engine = old_store()
        powered = Powered(engine, commits)
        monkeypatch.setattr(engine, "commit", powered)
        with suppress(StorageError):
            mended(engine, tmp_path / "report")
        after = engine.crash()
        upgrade(after, NOW_S, silent)
        store = opened(after)
        if due(store):
            mend(store, TEST, NOW_S, tmp_path / "report", silent)
        assert store.digest() == whole_digest
        assert problems(store) == []
        if powered.left:
            break
    assert commits > len(STORY.people)


class Powered:
    """An engine whose commits fail once the power is off."""

    def __init__(self, engine: MemoryEngine, commits: int) -> None:
        self._commit, self.left = engine.commit, commits

    def __call__(self) -> None:
        if not self.left:
            raise StorageError("the power is gone")
        self.left -= 1
        self._commit()


def test_a_check_that_is_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    engine = old_store()
    upgrade(engine, NOW_S, silent)
    stops = 0
    while due(store := opened(engine)):
        try:
            found = mend(store, TEST, NOW_S, tmp_path / "report", silent, stopped=lambda: True)
        except CheckInterrupt:
            stops += 1
            engine = engine.crash()
    assert stops == len(STORY.people)
    assert (found.logs, found.gone) == (17, len(STORY.bad))
    assert store.digest() == fresh_store().digest()


def spoiled(change: str) -> tuple[MemoryEngine, Person, list[Entry], Head]:
    """A current store with a log of 40 entries under one signature, in which one thing is wrong."""
    engine = MemoryEngine(TABLES)
    store = opened(engine)
    person, rng = Person("vi"), random.Random(change)
    ingest = Ingest(store, TEST)
    ingest.control(person.id, person.control, NOW_MS)
    log = [e._replace(sig=None) if e.header.seq not in (19, 39) else e for e in person.write(40)]
    for first, stop in ((0, 20), (20, 40)):
        ingest.run(decode_run(TEST, whole(log[:stop], first)), NOW_MS)
    store.commit()
    head = store.head(person.log())
    n = store.number_of(log[rng.randrange(20, 39)].id)
    assert n is not None
    key = t.u48(n)
    raw = engine.write().get(t.ENTRIES, key)
    assert raw is not None
    if change == "cut short":
        engine.write().put(t.ENTRIES, key, raw[:30])
    elif change == "gone":
        engine.write().delete(t.ENTRIES, key)
    elif change == "one bit":
        at = rng.randrange(7, len(raw))
        engine.write().put(t.ENTRIES, key, raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :])
    elif change == "no signature":
        last = store.number_of(log[39].id)
        assert last is not None
        found = store.entry(log[39].id)
        assert found is not None
        lid = t.head_of_value(engine.write().get(t.HEADS, t.log_name(person.log())) or b"")[0]
        engine.write().put(t.ENTRIES, t.u48(last), encode_record(lid, found._replace(sig=None), True))
    elif change == "head":
        name = t.log_name(person.log())
        lid = t.head_of_value(engine.write().get(t.HEADS, name) or b"")[0]
        engine.write().put(t.HEADS, name, t.head_value(lid, Head(7, log[6].id, 0)))
    engine.commit()
    return engine, person, log, head


@pytest.mark.parametrize("change", ["cut short", "gone", "one bit", "no signature", "head"])
def test_what_was_spoiled_on_disk_is_dropped_and_taken_again(change: str, tmp_path: Path) -> None:
    engine, person, log, head = spoiled(change)
    store = opened(engine)
    assert problems(store) != []
    found = mend(store, TEST, NOW_S, tmp_path / "report", silent)
    assert problems(store) == []
    length = store.head(person.log()).length
    assert length == (40 if change == "head" else 20)
    assert found.gone == 40 - length
    ingest = Ingest(store, TEST)
    if length < 40:
        ingest.run(decode_run(TEST, whole(log, 20)), NOW_MS)
    assert store.head(person.log()) == head
    assert problems(store) == []


@pytest.mark.parametrize("at", [0, 3, 9, 15, 24, 29, 50, 61, 90])
def test_one_wrong_bit_in_a_record_costs_only_the_entries_above_it(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_storage.id_index.YOUNG_IDS", 4)
    engine, person, log, head = spoiled("nothing")
    store = opened(engine)
    for k in range(8):  # ids move into their table
        BANNED.put(store, "a peer", str(k))
        Ingest(store, TEST).run(decode_run(TEST, whole(person.write(k + 1, number=2), k)), NOW_MS)
        store.commit()
    assert engine.write().count(t.IDS)
    n = store.number_of(log[30].id)
    assert n is not None
    raw = engine.write().get(t.ENTRIES, t.u48(n)) or b""
    engine.write().put(t.ENTRIES, t.u48(n), raw[:at] + bytes([raw[at] ^ 8]) + raw[at + 1 :])
    engine.commit()
    store = opened(engine)
    assert problems(store) != []
    assert mend(store, TEST, NOW_S, tmp_path / "report", silent).gone == 20
    assert problems(store) == []
    Ingest(store, TEST).run(decode_run(TEST, whole(log, 20)), NOW_MS)
    assert store.head(person.log()) == head
    assert store.head(person.log(number=2)).length == 8
    assert problems(store) == []


def test_a_log_of_which_only_the_head_is_left_is_dropped(tmp_path: Path) -> None:
    engine, person, _, _ = spoiled("nothing")
    engine.write().delete_range(t.CHAIN, b"", None)
    engine.commit()
    store = opened(engine)
    assert any("the head says 40 entries" in problem for problem in problems(store))
    mend(store, TEST, NOW_S, tmp_path / "report", silent)
    assert not any("the head says" in problem for problem in problems(store))
    assert store.head(person.log()) == Head(0, None, 0)


def test_a_stretch_that_leads_to_entries_of_another_log_costs_that_log_nothing(tmp_path: Path) -> None:
    engine, person, _, _ = spoiled("nothing")
    store = opened(engine)
    Ingest(store, TEST).run(decode_run(TEST, whole(person.write(8, number=2), 0)), NOW_MS)
    store.commit()
    other = t.stretch_of(*next(iter(engine.write().prefix(t.CHAIN, lid_of(engine, person.log(number=2))))))
    *_, (key, value) = engine.write().prefix(t.CHAIN, lid_of(engine, person.log()))
    stretch = t.stretch_of(key, value)
    engine.write().put(t.CHAIN, key, t.chain_value(other.n, min(other.size, stretch.size), stretch.signed))
    engine.commit()
    store = opened(engine)
    assert problems(store) != []
    mend(store, TEST, NOW_S, tmp_path / "report", silent)
    assert store.head(person.log(number=2)).length == 8
    assert len(list(store.chain(person.log(number=2)))) == 8


def lid_of(engine: MemoryEngine, log: LogId) -> bytes:
    return (engine.write().get(t.HEADS, t.log_name(log)) or b"")[:4]


def test_a_forged_signature_is_found_where_signatures_are_checked(tmp_path: Path) -> None:
    engine, person, log, _ = spoiled("nothing")
    store = opened(engine)
    n = store.number_of(log[39].id)
    assert n is not None
    raw = engine.write().get(t.ENTRIES, t.u48(n)) or b""
    sig = log[39].sig or b""
    engine.write().put(t.ENTRIES, t.u48(n), raw.replace(sig, bytes(64)))
    engine.commit()
    assert mend(store, TEST, NOW_S, tmp_path / "report", silent).gone == 0
    assert problems(store) != []
    assert mend(store, TEST, NOW_S, tmp_path / "report", silent, verify=verify_all).gone == 20
    assert problems(store) == []
    assert store.head(person.log()).length == 20


def test_what_was_dropped_comes_back_from_an_honest_peer(tmp_path: Path) -> None:
    """The old store held lies where the honest peer holds what people really wrote."""
    world = World("peer")
    engine = old_store()
    store, _, _ = mended(engine, tmp_path / "report")
    store.commit()
    world.rogue("friend", "peer")
    for person in STORY.people:
        world.say("friend", "peer", data(control_item(person)))
        for log, length in STORY.dropped.items():
            if log.account == person.id and person.name != "gus":
                true = person.write(length + 4)
                world.say("friend", "peer", data(run_item(true)))
                assert world.head("peer", log).length == length + 4
    rows = MemoryEngine(t.STORE_TABLES)
    for table in t.STORE_TABLES:
        rows.write().put_many(table, engine.write().scan(table))
    rows.commit()
    world.engines["old"] = rows
    world.start("old")
    world.link("old", "peer")
    world.run(60)
    for log, length in STORY.dropped.items():
        if log.account != STORY.people[5].id:
            assert world.head("old", log).length == length + 4
    assert world.rejections("peer") == world.rejections("old") == []
    assert world.digests("old") == world.digests("peer")
    world.start("newcomer")
    world.link("newcomer", "old")
    world.run(30)
    assert world.rejections("newcomer") == []
    assert len(world.digests("newcomer old peer")) == 1


def test_two_that_agreed_before_agree_again_after_one_of_them_dropped_what_it_could_not_read(tmp_path: Path) -> None:
    world = World("a", "b")
    people = [world.person("a", f"person {k}") for k in range(4)]
    for person in people:
        world.post("a", person, 6)
    world.link("a", "b")
    world.until(world.same, 60)
    world.stop("b")
    engine = world.engines["b"]
    n = world.replicas["a"].store.chain(people[1].log())[2].id
    store = Store(engine, TEST, new_store_id=bytes(16), views=NoViews())
    at = store.number_of(n)
    assert at is not None
    engine.write().delete(t.ENTRIES, t.u48(at))
    engine.commit()
    store = Store(engine, TEST, new_store_id=bytes(16), views=NoViews())
    assert mend(store, TEST, NOW_S, tmp_path / "report", silent).gone == 6
    assert store.head(people[1].log()).length == 0
    world.start("b")
    world.link("a", "b")
    world.until(world.same, 60)
    assert world.head("b", people[1].log()).length == 6
    assert world.rejections("a") == world.rejections("b") == []


def test_content_that_was_spoiled_on_disk_is_asked_for_again_and_no_stranger_penalises_the_node(tmp_path: Path) -> None:
    world = World("a", "b")
    people = [world.person("a", f"person {k}") for k in range(2)]
    for person in people:
        world.post("a", person, 6)
    world.link("a", "b")
    world.until(world.same, 60)
    world.run(10)
    world.stop("b")
    engine = world.engines["b"]
    held = list(engine.write().scan(t.PARTS))
    for key, raw in held:
        engine.write().put(t.PARTS, key, raw[:-1] + bytes([raw[-1] ^ 1]))
    engine.commit()
    store = Store(engine, TEST, new_store_id=bytes(16), views=NoViews())
    assert len(problems(store)) == len(held) > 12
    assert mend(store, TEST, NOW_S, tmp_path / "report", silent).parts == 0  # an upgrade does not read content
    said: list[str] = []
    assert mend(store, TEST, NOW_S, tmp_path / "report", said.append, verify=verify_all).parts == len(held)
    assert f"{len(held)} pieces of content did not match their entries, and were dropped" in said[-1]
    assert problems(store) == []
    world.start("b")
    world.link("a", "b")
    world.run(60)
    assert dict(engine.write().scan(t.PARTS)) == dict(held)
    world.unlink("a", "b")
    world.start("newcomer")
    world.link("newcomer", "b")
    world.run(60)
    assert world.rejections("newcomer") == []
    assert world.engines["newcomer"].write().count(t.PARTS) == len(held)
