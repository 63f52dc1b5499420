"""The frontier in arrays against a dictionary of heads, after moves, rollbacks and reading again."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from banyan_crdt.frontier import head_item
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.logs import NOTHING
from banyan_replica.frontier import index as frontier_index
from banyan_replica.frontier import sums as frontier_summed
from banyan_replica.frontier.index import FrontierIndex, name_words
from banyan_replica.frontier.sketch import Numbers, add_one, decode, empty, key_of, place, submod

PUBLIC = b"a realm's id"
SALT = b"sixteen of salt."


class Heads:
    """A store of heads and notes, as an index needs it."""

    def __init__(self) -> None:
        self.heads: dict[LogId, Head] = {}
        self.notes: dict[bytes, bytes] = {}
        self.last_arrival = 0

    def all_heads(self, start: bytes | None = None, stop: bytes | None = None) -> Iterator[tuple[LogId, Head]]:
        begin = bytes(start or b"")
        for log in sorted(self.heads):
            name = log.account + log.writer + log.log.to_bytes(4, "big")
            if name >= begin and (stop is None or name < stop):
                yield log, self.heads[log]

    def head(self, log: LogId) -> Head:
        return self.heads.get(log, NOTHING)

    def note(self, key: bytes) -> bytes | None:
        return self.notes.get(key)

    def put_note(self, key: bytes, value: bytes | None) -> None:
        assert value is not None
        self.notes[key] = value


class Frontier:
    """An index and its expected content, changed together."""

    def __init__(self, seed: int = 1, accounts: int = 40) -> None:
        self.rng = random.Random(seed)
        self.store = Heads()
        self.accounts = [self.rng.randbytes(32) for _ in range(accounts)]
        self.accounts += [self.accounts[0][:6] + self.rng.randbytes(26) for _ in range(3)]
        self.index = FrontierIndex(self.store, PUBLIC)

    def move(self, n: int = 1) -> None:
        for _ in range(n):
            account = AccountId(self.rng.choice(self.accounts))
            log = LogId(account, WriterKey(self.rng.choice(self.accounts)), self.rng.randrange(3))
            old = self.store.heads.get(log, NOTHING)
            gone = old.length and self.rng.random() < 0.1
            new = (
                NOTHING if gone else Head(old.length + 1, EntryId(self.rng.randbytes(32)), int(self.rng.random() < 0.1))
            )
            self.put(log, new)

    def put(self, log: LogId, new: Head) -> None:
        old = self.store.heads.pop(log, NOTHING)
        if new != NOTHING:
            self.store.heads[log] = new
        self.store.last_arrival += 1
        self.index.moved(log, old, new)

    def commit(self) -> None:
        self.index.note()
        self.index.durable()

    def check(self, salt: bytes = b"") -> None:
        heads = self.store.heads
        assert self.index.count == len(heads)
        assert int.from_bytes(self.index.root, "big") == sum(head_item(k, h) for k, h in heads.items()) % (1 << 256)
        table = self.index.table(salt)
        assert table is not None
        assert (table.cells == self.cells(salt)).all()
        for prefix in (b"", b"\x03", bytes(n for b in self.accounts[0][:4] for n in (b >> 4, b & 15))):
            self.check_ranges(salt, prefix)

    def cells(self, salt: bytes) -> Numbers:
        cells, key = empty(), key_of(salt or PUBLIC)
        for log, head in self.store.heads.items():
            add_one(cells, place(key, *name_words(log)), self.index.weigh(salt, head))
        return cells

    def check_ranges(self, salt: bytes, prefix: bytes) -> None:
        ranges = self.index.children(salt, prefix)
        assert ranges is not None
        counts = [0] * 16
        for log in self.store.heads:
            nibbles = bytes(n for b in log.account for n in (b >> 4, b & 15))
            if nibbles.startswith(prefix):
                counts[nibbles[len(prefix)]] += 1
        assert [count for count, _ in ranges] == counts
        assert all((total == bytes(16)) == (not count) for count, total in ranges)


@pytest.mark.parametrize(("seed", "summed"), list(enumerate([0, 20, 300, 4_096])))
def test_the_index_follows_heads_that_come_move_and_go(seed: int, summed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier_summed, "SUMMED", summed)
    f = Frontier(seed)
    for batch in (1, 3, 40, 500, 5, 2_000):
        f.move(batch)
        f.check()
    assert f.index.rows >= f.index.count


def test_many_new_logs_are_found_again_before_and_after_they_are_sorted_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier_index, "READ", 50)
    f = Frontier(accounts=200)
    for _ in range(8):
        f.move(120)
        f.check()


def test_ranges_of_equal_frontiers_are_equal_and_others_show_where(monkeypatch: pytest.MonkeyPatch) -> None:
    f = Frontier()
    f.move(300)
    assert f.index.children(b"", b"") is not None
    monkeypatch.setattr(frontier_summed, "SUMMED", 0)  # ranges are read off the rows of one, and of the other kept
    twin = FrontierIndex(f.store, PUBLIC)
    for prefix in (b"", b"\x01"):
        assert twin.children(b"", prefix) == f.index.children(b"", prefix)
    before = f.index.children(b"", b"")
    log, head = next(iter(f.store.heads.items()))
    f.put(log, head._replace(id=EntryId(bytes(32))))
    after = f.index.children(b"", b"")
    assert before is not None
    assert after is not None
    assert [n for n in range(16) if before[n] != after[n]] == [log.account[0] >> 4]


def test_a_table_under_a_salt_is_built_in_slices_while_heads_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier_summed, "SLICE", 64)
    f = Frontier()
    f.move(1_000)
    f.index.begin(SALT)
    assert f.index.table(SALT) is None
    slices = 0
    while f.index.busy:
        f.index.work()
        f.move(7)
        assert f.index.table(b"") is not None  # rows follow in the midst of it
        slices += 1
    assert slices >= f.index.rows // 64
    f.check(SALT)
    f.move(50)
    f.check(SALT)
    f.check()
    f.index.drop(SALT)
    assert f.index.table(SALT) is None


@pytest.mark.parametrize("journal", [10, 10_000])
def test_what_a_rollback_takes_back_is_taken_back_everywhere(journal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier_index, "JOURNAL", journal)
    f = Frontier()
    f.move(200)
    f.commit()
    held, root = dict(f.store.heads), f.index.root
    f.index.begin(SALT)
    f.index.work()
    f.move(100)
    assert f.index.table(b"") is not None
    f.move(100)
    f.store.heads = held
    f.index.rolled_back()
    assert f.index.root == root
    f.check()
    f.index.begin(SALT)
    while f.index.busy:
        f.index.work()
    f.check(SALT)


def test_heads_that_became_durable_unannounced_survive_a_rollback() -> None:
    f = Frontier()
    f.move(100)
    held = dict(f.store.heads)  # durable, and nobody said so
    f.move(100)
    f.store.heads = held
    f.index.rolled_back()
    f.check()


def test_a_command_without_timers_keeps_no_endless_list_of_what_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier_index, "JOURNAL", 100)
    monkeypatch.setattr(frontier_index, "TOGETHER", 20)
    f = Frontier(accounts=200)
    f.move(400)
    f.commit()
    f.index = FrontierIndex(f.store, PUBLIC)
    assert not f.index.ready
    f.move(300)
    assert f.index.ready
    f.check()


def test_a_restart_knows_count_and_root_at_once_and_reads_the_rest_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier_index, "READ", 32)
    f = Frontier()
    f.move(400)
    f.commit()
    said = f.index.count, f.index.root
    f.index = FrontierIndex(f.store, PUBLIC)
    assert (f.index.count, f.index.root) == said
    assert not f.index.ready
    assert f.index.table(b"") is None
    assert f.index.children(b"", b"") is None
    while not f.index.ready:
        f.move(5)
        f.index.work()
    f.check()


def test_a_note_that_is_older_than_the_store_is_not_believed() -> None:
    f = Frontier()
    f.move(50)
    f.commit()
    f.move(50)
    f.index = FrontierIndex(f.store, PUBLIC)
    assert f.index.ready
    f.check()


def test_a_note_that_lies_is_replaced_by_what_was_read() -> None:
    f = Frontier()
    f.move(50)
    f.store.notes[b"frontier"] = bytes(40) + f.store.last_arrival.to_bytes(8, "big")
    f.index = FrontierIndex(f.store, PUBLIC)
    assert f.index.count == 0
    while f.index.busy:
        f.index.work()
    f.check()


@pytest.mark.parametrize("salt", [b"", SALT])
def test_the_difference_of_two_tables_names_the_logs_that_differ_and_the_weights_of_both(salt: bytes) -> None:
    here, there = Frontier(1), Frontier(1)
    here.move(500)
    there.move(500)
    here.move(20)
    there.rng.seed(5)
    there.move(30)
    for f in (here, there):
        f.index.begin(salt)
        while f.index.busy:
            f.index.work()
    a, b = here.index.table(salt), there.index.table(salt)
    assert a is not None
    assert b is not None
    found, left = decode(submod(a.cells, b.cells))
    assert not left
    logs = here.store.heads.keys() | there.store.heads.keys()
    apart = {log for log in logs if here.store.heads.get(log) != there.store.heads.get(log)}
    key = a.key
    weights = {
        place(key, *name_words(log)): here.index.weigh(salt, here.store.heads.get(log, NOTHING))
        - there.index.weigh(salt, there.store.heads.get(log, NOTHING))
        for log in apart
    }
    assert {h: t % ((1 << 61) - 1) for h, t in weights.items()} == found
    named, looked = here.index.named(salt, list(found), 10_000)
    assert {log for rows in named.values() for log, _ in rows} == apart & here.store.heads.keys()
    assert all(place(key, *name_words(log)) == h for h, rows in named.items() for log, _ in rows)
    assert looked >= len(named)


def test_looking_for_names_in_an_account_of_many_logs_ends_where_it_must() -> None:
    f = Frontier(accounts=1)
    account = AccountId(f.accounts[0])
    for n in range(300):
        f.put(LogId(account, WriterKey(bytes(32)), n), Head(1, EntryId(f.rng.randbytes(32)), 0))
    key = key_of(PUBLIC)
    asked = [place(key, *name_words(log)) for log in f.store.heads]
    named, looked = f.index.named(b"", asked, 100)
    assert looked == 100
    assert len(named) == 100
