"""Both engines do what engine.py says: one suite runs on each and compares it with a plain dict."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from banyan_storage.engine import Engine, Item, Sizes, Table, after_prefix
from banyan_storage.errors import StorageError, StoreClosed, WrongThread
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.memory_engine import MemoryEngine

PLAIN, OTHER, DUPS = Table("plain"), Table("other"), Table("dups", dupsort=True)
FIXED = Table("fixed", dupsort=True, size=2)
TABLES = (PLAIN, OTHER, DUPS, FIXED)
SEVERAL = pytest.mark.parametrize("several", [DUPS, FIXED], ids=lambda table: table.name)
ROWS: list[Item] = [(b"a", b"1"), (b"a\x00", b"2"), (b"ab", b"3"), (b"b", b""), (b"\xff", b"5"), (b"\xff\xff", b"6")]
PAIRS: list[Item] = [(b"k", b"1"), (b"k", b"10"), (b"k", b"2"), (b"l", b"\x00"), (b"m", b"9")]


@pytest.fixture(params=["memory", "lmdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    makers: dict[str, Callable[[], Engine]] = {
        "memory": lambda: MemoryEngine(TABLES),
        "lmdb": lambda: LmdbEngine(tmp_path / "store", TABLES),
    }
    opened = makers[request.param]()
    yield opened
    opened.close()


def fill(engine: Engine) -> None:
    engine.write().put_many(PLAIN, ROWS)
    engine.write().put_many(DUPS, PAIRS)


def test_a_scan_is_half_open_and_runs_both_ways(engine: Engine) -> None:
    fill(engine)
    txn = engine.write()
    assert list(txn.scan(PLAIN)) == ROWS
    assert list(txn.scan(PLAIN, reverse=True)) == ROWS[::-1]
    bounds = [b"", b"a", b"a\x00", b"aa", b"ab", b"b", b"c", b"\xff", b"\xff\xff", b"\xff\xff\xff"]
    for start in bounds:
        for stop in [*bounds, None]:
            wanted = [row for row in ROWS if row[0] >= start and (stop is None or row[0] < stop)]
            assert list(txn.scan(PLAIN, start, stop)) == wanted
            assert list(txn.scan(PLAIN, start, stop, reverse=True)) == wanted[::-1]
            assert list(txn.scan(PLAIN, start, stop, limit=2)) == wanted[:2]
            assert list(txn.scan(PLAIN, start, stop, reverse=True, limit=2)) == wanted[::-1][:2]


def test_a_scan_of_a_dupsort_table_gives_every_value_in_order(engine: Engine) -> None:
    fill(engine)
    txn = engine.write()
    for start in (b"", b"k", b"kk", b"l", b"m", b"z"):
        for stop in (b"", b"k", b"kk", b"l", b"m", b"z", None):
            wanted = [row for row in PAIRS if row[0] >= start and (stop is None or row[0] < stop)]
            assert list(txn.scan(DUPS, start, stop)) == wanted
            assert list(txn.scan(DUPS, start, stop, reverse=True)) == wanted[::-1]


def test_a_prefix_finds_what_begins_with_it_and_nothing_else(engine: Engine) -> None:
    fill(engine)
    txn = engine.write()
    for prefix in (b"", b"a", b"ab", b"b", b"c", b"\xff", b"\xff\xff"):
        wanted = [row for row in ROWS if row[0].startswith(prefix)]
        assert list(txn.prefix(PLAIN, prefix)) == wanted
        assert list(txn.prefix(PLAIN, prefix, reverse=True, limit=1)) == wanted[::-1][:1]
    assert after_prefix(b"a\xff\xff") == b"b"
    assert after_prefix(b"\xff") is None
    assert after_prefix(b"") is None


def test_many_prefixes_are_read_at_once_each_up_to_a_number(engine: Engine) -> None:
    fill(engine)
    txn = engine.write()
    asked = [b"", b"a", b"ab", b"b", b"c", b"\xff", b"\xff\xff"]
    for some in (asked, asked[1:2], [], asked[::-1]):
        for each in (None, 1, 2):
            wanted = [(p, *row) for p in some for row in [row for row in ROWS if row[0].startswith(p)][:each]]
            assert list(txn.prefixes(PLAIN, some, each)) == wanted
    assert list(txn.prefixes(OTHER, asked)) == []


def test_single_reads_find_what_is_there_and_only_that(engine: Engine) -> None:
    assert engine.write().last(PLAIN) is None
    assert engine.write().last(DUPS) is None
    fill(engine)
    txn = engine.write()
    assert [txn.get(PLAIN, key) for key in (b"a", b"b", b"c", b"", b"x" * 600)] == [b"1", b"", None, None, None]
    assert txn.get(DUPS, b"k") == b"1"
    assert txn.last(PLAIN) == (b"\xff\xff", b"6")
    assert txn.last(DUPS) == (b"m", b"9")
    assert (txn.count(PLAIN), txn.count(DUPS), txn.count(OTHER)) == (6, 5, 0)
    assert list(txn.dups(DUPS, b"k")) == [b"1", b"10", b"2"]
    assert list(txn.dups(DUPS, b"kk")) == []
    assert list(txn.dups(PLAIN, b"a")) == [b"1"]
    assert list(txn.get_many(PLAIN, [b"", b"a", b"aa", b"b"])) == [(b"a", b"1"), (b"b", b"")]
    assert list(txn.get_many(DUPS, [b"k", b"m"])) == [(b"k", b"1"), (b"m", b"9")]


@SEVERAL
def test_the_values_of_a_key_are_read_by_range_and_by_what_they_begin_with(engine: Engine, several: Table) -> None:
    txn = engine.write()
    values = [bytes((a, b)) for a in range(1, 9) for b in range(0, 250, 7)]
    txn.put_many(several, [(key, value) for key in (b"k", b"m") for value in values])
    txn.put(several, b"one", b"\x03\x03")
    for start in (b"", b"\x01", b"\x03\x07", b"\x03\x08", b"\x09"):
        for stop in (b"", b"\x01\x01", b"\x03\x07", b"\x05", b"\xff", None):
            wanted = [v for v in values if v >= start and (stop is None or v < stop)]
            assert list(txn.dups(several, b"k", start, stop)) == wanted
            assert list(txn.dups(several, b"k", start, stop, reverse=True)) == wanted[::-1]
            one = [v for v in [b"\x03\x03"] if v >= start and (stop is None or v < stop)]
            assert list(txn.dups(several, b"one", start, stop)) == one
            assert list(txn.dups(several, b"one", start, stop, reverse=True)) == one
    asked = [(b"k", b"\x03"), (b"k", b"\x09"), (b"l", b"\x01"), (b"m", b"\x04\x07"), (b"one", b"\x03"), (b"z", b"\1")]
    assert list(txn.beginning(several, asked)) == [
        (b"k", b"\x03", b"\x03\x00"),
        (b"m", b"\x04\x07", b"\x04\x07"),
        (b"one", b"\x03", b"\x03\x03"),
    ]
    assert list(txn.dups(several, b"none", b"\x01", None, reverse=True)) == []
    for stop in (b"", values[0], b"\x01\x01", b"\x03\x07", b"\x05", b"\xff", None):
        below = [v for v in values if stop is None or v < stop]
        assert list(txn.ending(several, [(b"a", stop), (b"k", stop), (b"zz", stop)])) == [
            (b"k", below[-1]) for _ in below[-1:]
        ]
    assert list(txn.ending(several, [(b"k", None), (b"l", None), (b"one", b"\x03\x04"), (b"one", None)])) == [
        (b"k", values[-1]),
        *((b"l", v) for v in list(txn.dups(several, b"l"))[-1:]),
        (b"one", b"\x03\x03"),
        (b"one", b"\x03\x03"),
    ]
    assert [txn.dup_count(several, key) for key in (b"k", b"one", b"none", b"")] == [len(values), 1, 0, 0]


def test_a_table_that_is_emptied_whole_is_empty_and_takes_rows_again(engine: Engine) -> None:
    for table in (PLAIN, DUPS, FIXED):
        engine.write().put_many(table, [(n.to_bytes(2, "big"), b"vv") for n in range(3_000)])
        engine.commit()
        assert engine.write().delete_range(table, b"", None) == 3_000
        assert list(engine.write().scan(table)) == []
        engine.rollback()
        assert engine.write().count(table) == 3_000
        engine.write().delete_range(table, b"", None)
        engine.write().put(table, b"k", b"vv")
        engine.commit()
        with engine.read() as txn:
            assert list(txn.scan(table)) == [(b"k", b"vv")]


@SEVERAL
@pytest.mark.parametrize("rising", [True, False])
def test_many_values_of_one_key_are_all_there_in_whatever_order_they_come(
    engine: Engine, rising: bool, several: Table
) -> None:
    values = [n.to_bytes(2, "big") for n in range(5_000)]
    blocks = [values[k : k + 50] for k in range(0, 5_000, 50)]
    for block in blocks if rising else blocks[::-1]:
        engine.write().put_many(several, [(key, value) for key in (b"a", b"b") for value in block])
    engine.write().put_many(several, [(b"a", value) for value in values[100:140]])
    engine.commit()
    assert not engine.write().faults()
    assert [list(engine.write().dups(several, key)) for key in (b"a", b"b")] == [values, values]


@pytest.mark.parametrize("items", [[(b"k", b"1")], [(b"k", b"12"), (b"k", b"123")]], ids=["one", "many"])
def test_a_value_of_another_size_is_refused(engine: Engine, items: list[Item]) -> None:
    with pytest.raises(ValueError, match="2 bytes"):
        engine.write().put_many(FIXED, items)
    with pytest.raises(ValueError, match="2 bytes"):
        engine.write().put(FIXED, *items[-1])
    assert engine.write().count(FIXED) == 0


def test_values_of_one_size_are_taken_out_and_given_in_any_order(engine: Engine) -> None:
    txn, values = engine.write(), [n.to_bytes(2, "big") for n in range(3_000)]
    txn.put_many(FIXED, [(key, value) for value in reversed(values) for key in (b"b", b"a")])
    assert [txn.delete(FIXED, b"a", value) for value in values[::3]] == [True] * 1_000
    assert not txn.delete(FIXED, b"a", values[0])
    assert not txn.delete(FIXED, b"a", values[1] + b"\0")
    engine.commit()
    with engine.read() as read:
        assert list(read.dups(FIXED, b"a")) == [value for n, value in enumerate(values) if n % 3]
        assert (read.dup_count(FIXED, b"a"), read.count(FIXED)) == (2_000, 5_000)
        assert list(read.scan(FIXED, b"b")) == [(b"b", value) for value in values]
        assert read.last(FIXED) == (b"b", values[-1])


def test_a_put_replaces_and_in_a_dupsort_table_adds(engine: Engine) -> None:
    fill(engine)
    txn = engine.write()
    txn.put(PLAIN, b"a", b"new")
    txn.put(DUPS, b"l", b"x")
    txn.put(DUPS, b"l", b"x")
    assert txn.get(PLAIN, b"a") == b"new"
    assert list(txn.dups(DUPS, b"l")) == [b"\x00", b"x"]
    assert (txn.count(PLAIN), txn.count(DUPS)) == (6, 6)


def test_a_delete_takes_what_it_names_and_says_whether_it_was_there(engine: Engine) -> None:
    fill(engine)
    txn = engine.write()
    assert [txn.delete(PLAIN, b"a", b"other"), txn.delete(PLAIN, b"a", b"1"), txn.delete(PLAIN, b"a")] == [
        False,
        True,
        False,
    ]
    assert txn.delete(PLAIN, b"b", b"")
    assert [txn.delete(DUPS, b"k", b"10"), txn.delete(DUPS, b"k", b"10"), txn.delete(DUPS, b"k", b"")] == [
        True,
        False,
        False,
    ]
    assert list(txn.dups(DUPS, b"k")) == [b"1", b"2"]
    assert txn.delete(DUPS, b"k")
    assert list(txn.dups(DUPS, b"k")) == []
    assert not txn.delete(DUPS, b"")
    assert (txn.count(PLAIN), txn.count(DUPS)) == (4, 2)


@pytest.mark.parametrize(
    ("start", "stop", "gone"), [(b"", None, 6), (b"a\x00", b"b", 2), (b"c", b"c", 0), (b"\xff", None, 2)]
)
def test_delete_range_takes_the_half_open_range(engine: Engine, start: bytes, stop: bytes | None, gone: int) -> None:
    fill(engine)
    assert engine.write().delete_range(PLAIN, start, stop) == gone
    assert list(engine.write().scan(PLAIN)) == [r for r in ROWS if r[0] < start or (stop is not None and r[0] >= stop)]


def test_delete_range_takes_every_value_of_a_dupsort_key(engine: Engine) -> None:
    fill(engine)
    assert engine.write().delete_range(DUPS, b"k", b"m") == 4
    assert list(engine.write().scan(DUPS)) == [(b"m", b"9")]


@pytest.mark.parametrize("key", [b"", b"x" * 512])
def test_a_key_out_of_bounds_changes_nothing(engine: Engine, key: bytes) -> None:
    with pytest.raises(ValueError, match=r"1\.\.511"):
        engine.write().put(PLAIN, key, b"v")
    with pytest.raises(ValueError, match=r"1\.\.511"):
        engine.write().put_many(DUPS, [(b"k", b"v"), (b"k", key)])
    engine.write().put(PLAIN, b"x" * 511, b"v")
    assert (engine.write().count(PLAIN), engine.write().count(DUPS)) == (1, 0)


def test_append_takes_ascending_items_and_refuses_others_whole(engine: Engine) -> None:
    txn = engine.write()
    txn.put_many(PLAIN, [(bytes([i]), b"v") for i in range(100)], append=True)
    txn.put_many(DUPS, [(b"k", b"1"), (b"k", b"2")], append=True)
    for table, items in [
        (PLAIN, [(b"\x80", b""), (b"\x80", b"")]),
        (PLAIN, [(b"\x63", b"")]),
        (DUPS, [(b"k", b"2")]),
        (DUPS, [(b"l", b"2"), (b"k", b"3")]),
    ]:
        with pytest.raises(ValueError, match="ascending"):
            txn.put_many(table, items, append=True)
    txn.put_many(DUPS, [(b"k", b"3"), (b"l", b"1")], append=True)
    assert (txn.count(PLAIN), txn.count(DUPS)) == (100, 4)


def test_only_the_owner_sees_what_is_pending_until_it_is_committed(engine: Engine) -> None:
    fill(engine)
    assert engine.pending
    with engine.read() as before:
        assert list(before.scan(PLAIN)) == []
        engine.commit()
        assert not engine.pending
        assert list(before.scan(PLAIN)) == []
        assert before.count(DUPS) == 0
        with engine.read() as after:
            assert list(after.scan(PLAIN)) == ROWS
            engine.write().delete_range(PLAIN, b"", None)
            engine.write().put(PLAIN, b"a", b"changed")
            assert list(after.scan(PLAIN, reverse=True)) == ROWS[::-1]
            assert list(after.dups(DUPS, b"k")) == [b"1", b"10", b"2"]
            assert list(engine.write().scan(PLAIN)) == [(b"a", b"changed")]


def test_a_rollback_forgets_what_is_pending_and_nothing_else(engine: Engine) -> None:
    fill(engine)
    engine.commit()
    txn = engine.write()
    txn.put(PLAIN, b"a", b"changed")
    txn.delete(PLAIN, b"b")
    txn.put(DUPS, b"z", b"z")
    txn.delete_range(DUPS, b"k", b"l")
    engine.rollback()
    assert not engine.pending
    assert list(engine.write().scan(PLAIN)) == ROWS
    assert list(engine.write().scan(DUPS)) == PAIRS
    engine.commit()
    engine.rollback()
    assert list(engine.write().scan(PLAIN)) == ROWS


def test_reading_alone_leaves_nothing_pending(engine: Engine) -> None:
    assert engine.write().get(PLAIN, b"a") is None
    assert not engine.pending
    engine.commit()
    engine.commit()


def test_snapshots_are_whole_while_the_owner_commits(engine: Engine) -> None:
    """Each commit writes one number under every key; a snapshot that saw two numbers would be torn."""
    torn: list[set[bytes]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            with engine.read() as snapshot:
                seen = {value for way in (False, True) for _, value in snapshot.scan(PLAIN, reverse=way)}
            if len(seen) > 1:
                torn.append(seen)

    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for thread in watchers:
        thread.start()
    for number in range(60):
        engine.write().put_many(PLAIN, [(b"%04d" % key, b"%d" % number * 50) for key in range(200)])
        engine.commit()
    done.set()
    for thread in watchers:
        thread.join()
    assert torn == []


def test_another_thread_may_not_join_in_a_pending_transaction(engine: Engine) -> None:
    fill(engine)
    caught: list[Exception] = []

    def intrude() -> None:
        try:
            engine.write().put(PLAIN, b"mine", b"")
        except WrongThread as error:
            caught.append(error)

    thread = threading.Thread(target=intrude)
    thread.start()
    thread.join()
    assert len(caught) == 1
    engine.commit()
    assert engine.write().get(PLAIN, b"mine") is None


def test_a_snapshot_or_store_that_was_closed_says_so(engine: Engine) -> None:
    fill(engine)
    engine.commit()
    with engine.read() as snapshot:
        unfinished = snapshot.scan(PLAIN)
        next(unfinished)
    with pytest.raises(StoreClosed):
        snapshot.get(PLAIN, b"a")
    with pytest.raises(StoreClosed):
        list(snapshot.scan(PLAIN))
    engine.close()
    engine.close()
    with pytest.raises(StoreClosed):
        engine.write().put(PLAIN, b"a", b"")
    with pytest.raises(StoreClosed), engine.read():
        pass


def test_sizes_count_what_is_committed(engine: Engine) -> None:
    empty = engine.sizes()
    engine.write().put(PLAIN, b"large", b"x" * 1_000_000)
    assert engine.sizes() == empty
    engine.commit()
    sizes = engine.sizes()
    assert isinstance(sizes, Sizes)
    assert empty.used + 1_000_000 <= sizes.used <= sizes.map_size
    engine.close()
    with pytest.raises(StoreClosed):
        engine.sizes()


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
def test_a_compacted_copy_holds_the_committed_store(kind: str, tmp_path: Path) -> None:
    engine: Engine = MemoryEngine(TABLES) if kind == "memory" else LmdbEngine(tmp_path / "store", TABLES)
    fill(engine)
    engine.commit()
    engine.write().put(PLAIN, b"pending", b"")
    engine.compact(tmp_path / "copy")
    with pytest.raises(StorageError, match="not empty"):
        engine.compact(tmp_path / "copy")
    engine.close()
    copy: Engine = (
        MemoryEngine.restore(tmp_path / "copy", TABLES) if kind == "memory" else LmdbEngine(tmp_path / "copy", TABLES)
    )
    with copy.read() as snapshot:
        assert list(snapshot.scan(PLAIN)) == ROWS
        assert list(snapshot.scan(DUPS)) == PAIRS
    copy.close()


KEYS = st.binary(min_size=1, max_size=3).map(lambda raw: bytes(byte % 3 for byte in raw)) | st.binary(
    min_size=1, max_size=511
)
VALUES = st.binary(max_size=5) | st.integers(0, 20_000).map(lambda size: b"v" * size)
SMALL = st.binary(min_size=1, max_size=3)
State = dict[Table, set[Item]]


def put_in_model(state: State, table: Table, key: bytes, value: bytes) -> None:
    if not table.dupsort:
        state[table] = {row for row in state[table] if row[0] != key}
    state[table].add((key, value))


def fitting(items: list[Item], table: Table) -> list[Item]:
    """With values of the table's size."""
    return [(key, value.ljust(table.size, b"v")[: table.size or None]) for key, value in items]


class EnginesAgree(RuleBasedStateMachine):
    """Both engines, compared with two sets of rows: pending and durable. The LMDB map starts tiny."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryEngine(TABLES)
        self.lmdb = self.open_lmdb()
        self.pending: State = {table: set() for table in TABLES}
        self.durable: State = {table: set() for table in TABLES}

    def open_lmdb(self) -> LmdbEngine:
        return LmdbEngine(Path(self.folder.name) / "store", TABLES, map_size=1 << 16)

    def both(self) -> tuple[Engine, Engine]:
        return self.memory, self.lmdb

    @rule(key=KEYS, value=VALUES)
    def put(self, key: bytes, value: bytes) -> None:
        for engine in self.both():
            engine.write().put(PLAIN, key, value)
        put_in_model(self.pending, PLAIN, key, value)

    @rule(key=KEYS, value=SMALL)
    def put_dup(self, key: bytes, value: bytes) -> None:
        for engine in self.both():
            engine.write().put(DUPS, key, value)
        put_in_model(self.pending, DUPS, key, value)

    @rule(items=st.lists(st.tuples(KEYS, SMALL), max_size=8).map(sorted), table=st.sampled_from(TABLES))
    def put_many(self, items: list[Item], table: Table) -> None:
        items = fitting(items, table)
        for engine in self.both():
            engine.write().put_many(table, items)
        for key, value in items:
            put_in_model(self.pending, table, key, value)

    @rule(
        items=st.lists(st.tuples(KEYS, SMALL), max_size=24).map(sorted),
        start=SMALL,
        stop=SMALL,
        reverse=st.booleans(),
        table=st.sampled_from((DUPS, FIXED)),
    )
    def put_values_and_read_a_range(
        self, items: list[Item], start: bytes, stop: bytes, reverse: bool, table: Table
    ) -> None:
        items = fitting(items, table)
        for engine in self.both():
            engine.write().put_many(table, items)
        for key, value in items:
            put_in_model(self.pending, table, key, value)
        for key in {key for key, _ in items}:
            wanted = sorted(v for k, v in self.pending[table] if k == key and start <= v < stop)
            for engine in self.both():
                found = list(engine.write().dups(table, key, start, stop, reverse))
                assert found == (wanted[::-1] if reverse else wanted)

    @rule(items=st.lists(st.tuples(KEYS, SMALL), max_size=4), table=st.sampled_from(TABLES))
    def append(self, items: list[Item], table: Table) -> None:
        """Both engines judge the promise of `append` alike, and a broken one changes nothing."""
        refused, items = [], fitting(items, table)
        for engine in self.both():
            try:
                engine.write().put_many(table, items, append=True)
                refused.append(False)
            except ValueError:
                refused.append(True)
        assert refused[0] == refused[1]
        for key, value in [] if refused[0] else items:
            put_in_model(self.pending, table, key, value)

    @rule(key=KEYS, value=st.none() | SMALL, table=st.sampled_from(TABLES))
    def delete(self, key: bytes, value: bytes | None, table: Table) -> None:
        gone = {row for row in self.pending[table] if row[0] == key and (value is None or row[1] == value)}
        for engine in self.both():
            assert engine.write().delete(table, key, value) == bool(gone)
        self.pending[table] -= gone

    @rule(start=KEYS | st.just(b""), stop=st.none() | KEYS, table=st.sampled_from(TABLES))
    def delete_range(self, start: bytes, stop: bytes | None, table: Table) -> None:
        gone = {row for row in self.pending[table] if start <= row[0] and (stop is None or row[0] < stop)}
        for engine in self.both():
            assert engine.write().delete_range(table, start, stop) == len(gone)
        self.pending[table] -= gone

    @rule(
        start=KEYS | st.just(b""),
        stop=st.none() | KEYS,
        reverse=st.booleans(),
        limit=st.none() | st.integers(0, 4),
        table=st.sampled_from(TABLES),
    )
    def scan(self, start: bytes, stop: bytes | None, reverse: bool, limit: int | None, table: Table) -> None:
        rows = [row for row in sorted(self.pending[table]) if start <= row[0] and (stop is None or row[0] < stop)]
        for engine in self.both():
            assert (
                list(engine.write().scan(table, start, stop, reverse, limit))
                == (rows[::-1] if reverse else rows)[:limit]
            )

    @rule(keys=st.lists(KEYS, max_size=4).map(sorted), table=st.sampled_from(TABLES))
    def look_up(self, keys: list[bytes], table: Table) -> None:
        first = dict(sorted(self.pending[table], reverse=True))
        for engine in self.both():
            assert list(engine.write().get_many(table, keys)) == [(key, first[key]) for key in keys if key in first]
            for key in keys:
                assert engine.write().get(table, key) == first.get(key)
                assert list(engine.write().dups(table, key)) == sorted(v for k, v in self.pending[table] if k == key)
                prefixed = sorted(row for row in self.pending[table] if row[0].startswith(key[:2]))
                assert list(engine.write().prefix(table, key[:2])) == prefixed

    @rule()
    def commit(self) -> None:
        for engine in self.both():
            engine.commit()
        self.durable = {table: set(rows) for table, rows in self.pending.items()}

    @rule()
    def rollback(self) -> None:
        for engine in self.both():
            engine.rollback()
        self.pending = {table: set(rows) for table, rows in self.durable.items()}

    @rule()
    def lose_power(self) -> None:
        self.memory = self.memory.crash()
        self.lmdb.close()
        self.lmdb = self.open_lmdb()
        self.pending = {table: set(rows) for table, rows in self.durable.items()}

    @invariant()
    def owner_sees_pending_and_snapshots_see_durable(self) -> None:
        for engine in self.both():
            for table in TABLES:
                rows = sorted(self.pending[table])
                assert list(engine.write().scan(table)) == rows
                assert engine.write().last(table) == (rows[-1] if rows else None)
                assert engine.write().count(table) == len(rows)
            with engine.read() as snapshot:
                for table in TABLES:
                    assert list(snapshot.scan(table)) == sorted(self.durable[table])
                    assert snapshot.count(table) == len(self.durable[table])

    def teardown(self) -> None:
        self.lmdb.close()
        self.folder.cleanup()


TestEnginesAgree = EnginesAgree.TestCase
TestEnginesAgree.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
