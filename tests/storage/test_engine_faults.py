"""The LMDB engine and real faults: power loss, full disk, permissions, damaged bytes, other processes."""

import fcntl
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from banyan_storage.engine import Table, WriteTxn
from banyan_storage.errors import (
    CorruptStore,
    DiskFull,
    SnapshotHeld,
    StorageError,
    StoreLocked,
    StoreReadOnly,
    StoreVersion,
)
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA
from banyan_storage.lmdb_pages import Pages
from tests.needs import NIGHT, on_own_disk

T, DUPS = Table("t"), Table("dups", dupsort=True)
TABLES = (T, DUPS)
PAGE = 4096


def engine_at(path: Path, map_size: int = 1 << 30) -> LmdbEngine:
    return LmdbEngine(path, TABLES, map_size=map_size)


def rows(count: int, size: int = 100, mark: bytes = b"k") -> list[tuple[bytes, bytes]]:
    return [(mark + b"%08d" % i, bytes([i % 251]) * size) for i in range(count)]


def committed(path: Path, *batches: list[tuple[bytes, bytes]]) -> None:
    engine = engine_at(path)
    for batch in batches:
        engine.write().put_many(T, batch)
        engine.commit()
    engine.close()


def check_pages(path: Path) -> None:
    with Pages(path / DATA) as pages:
        for fault in pages.check():
            raise CorruptStore(fault)


def in_child(work: Callable[[], None]) -> int:
    """Run work in a forked process; returns its exit status: 0 when work returned, 1 when it raised, or -signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


CRASHER = """
import os, signal, sys
from pathlib import Path
from banyan_storage.engine import Table
from banyan_storage.lmdb_engine import LmdbEngine
engine = LmdbEngine(Path(sys.argv[1]), (Table("t"), Table("dups", dupsort=True)), map_size=1 << 18)
for number in range(20):
    engine.write().put_many(Table("t"), [(b"%04d" % key, b"%d" % number * 40) for key in range(400)])
    engine.write().put(Table("dups", dupsort=True), b"seen", b"%03d" % number)
    if number == 12 and sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    engine.commit()
    if number == 12 and sys.argv[2] == "after":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "survives"), [("before", 11), ("after", 12)])
def test_a_killed_process_leaves_exactly_its_last_commit(tmp_path: Path, when: str, survives: int) -> None:
    child = subprocess.run([sys.executable, "-c", CRASHER, str(tmp_path / "s"), when], check=False)
    assert child.returncode == -signal.SIGKILL
    engine = engine_at(tmp_path / "s")
    assert {value for _, value in engine.write().scan(T)} == {b"%d" % survives * 40}
    assert list(engine.write().dups(DUPS, b"seen"))[-1] == b"%03d" % survives
    engine.write().put(T, b"life", b"goes on")
    engine.commit()
    engine.close()


def test_one_huge_transaction_fits_a_tiny_map(tmp_path: Path) -> None:
    engine = engine_at(tmp_path / "s", map_size=1 << 16)
    batch = rows(40_000)
    for at in range(0, len(batch), 5_000):
        engine.write().put_many(T, batch[at : at + 5_000], append=True)
    engine.write().put(T, b"z", b"x" * 3_000_000)
    engine.write().put_many(DUPS, [(b"d", b"%05d" % i) for i in range(5_000)])
    assert engine.write().delete_range(T, b"k00000010", b"k00000020") == 10
    engine.commit()
    assert engine.sizes().map_size > 1 << 22
    wanted = [row for row in batch if not b"k00000010" <= row[0] < b"k00000020"] + [(b"z", b"x" * 3_000_000)]
    with engine.read() as snapshot:
        assert list(snapshot.scan(T)) == wanted
        assert snapshot.count(DUPS) == 5_000
    engine.close()


def test_growth_loses_nothing_whatever_operation_it_interrupts(tmp_path: Path) -> None:
    """Random operations from the smallest map on, compared with a dict; the map grows at any of them."""
    for seed in range(8):
        rng, model = random.Random(seed), dict[bytes, bytes]()
        engine = engine_at(tmp_path / str(seed), map_size=1 << 16)
        for _ in range(1_500):
            key, size = b"%05d" % rng.randrange(3_000), rng.choice([0, 10, 300, 3_000, 30_000])
            match rng.randrange(12):
                case 0:
                    assert engine.write().delete(T, key) == (model.pop(key, None) is not None)
                case 1:
                    stop = b"%05d" % (int(key) + 20)
                    gone = [k for k in model if key <= k < stop]
                    assert engine.write().delete_range(T, key, stop) == len(gone)
                    for k in gone:
                        del model[k]
                case 2:
                    batch = [(b"%05d" % i, b"b" * size) for i in range(int(key), int(key) + 5)]
                    engine.write().put_many(T, batch)
                    model |= dict(batch)
                case 3 if rng.random() < 0.1:
                    engine.commit()
                case _:
                    engine.write().put(T, key, b"v" * size)
                    model[key] = b"v" * size
        assert dict(engine.write().scan(T)) == model
        engine.commit()
        engine.close()
        engine = engine_at(tmp_path / str(seed))
        assert dict(engine.write().scan(T)) == model
        engine.close()
        check_pages(tmp_path / str(seed))


def test_the_map_grows_beside_busy_readers(tmp_path: Path) -> None:
    engine, done, wrong = engine_at(tmp_path / "s", map_size=1 << 16), threading.Event(), list[object]()

    def watch() -> None:
        while not done.is_set():
            try:
                with engine.read() as snapshot:
                    if len({value for _, value in snapshot.scan(T)}) > 1:
                        wrong.append("torn")
            except BaseException as error:
                wrong.append(error)

    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for thread in watchers:
        thread.start()
    try:
        for number in range(1, 30):
            engine.write().put_many(T, [(b"%05d" % i, b"%d" % number * 20) for i in range(100 * number)])
            engine.commit()
    finally:
        done.set()
        for thread in watchers:
            thread.join()
    assert wrong == []
    assert engine.sizes().map_size > 1 << 16
    engine.close()


def test_a_writer_that_holds_a_snapshot_while_the_map_must_grow_is_told(tmp_path: Path) -> None:
    engine = engine_at(tmp_path / "s", map_size=1 << 16)
    with engine.read() as snapshot:
        with pytest.raises(SnapshotHeld, match="the writing thread itself"):
            engine.write().put_many(T, rows(5_000))
        assert not engine.pending
        assert snapshot.count(T) == 0
    engine.write().put_many(T, rows(5_000))
    engine.commit()
    with engine.read() as snapshot:
        assert snapshot.count(T) == 5_000
    engine.close()


def survive_a_full_disk(path: Path, make_room: Callable[[], object]) -> None:
    """Fill the disk under an engine, then make room: nothing committed is lost, and it writes again."""
    engine = engine_at(path)
    engine.write().put_many(T, rows(500))
    engine.commit()

    def fill() -> None:
        for step in range(100):
            engine.write().put_many(T, rows(1_000, 1_000, b"big%d" % step))
            if step % 2:
                engine.commit()

    for _ in range(3):
        with pytest.raises(DiskFull, match="no room left"):
            fill()
        assert not engine.pending
    with engine.read() as snapshot:
        assert list(snapshot.prefix(T, b"k")) == rows(500)
        held = list(snapshot.scan(T))
    make_room()
    engine.write().put_many(T, rows(700, 500, b"later"))
    engine.commit()
    assert list(engine.write().scan(T)) == sorted(held + rows(700, 500, b"later"))
    engine.close()
    engine = engine_at(path)
    assert engine.write().count(T) == len(held) + 700
    engine.close()
    check_pages(path)


def survive_a_file_limit(path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_001, resource.RLIM_INFINITY))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    survive_a_full_disk(path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, unlimited))


def survive_a_full_file_system(path: Path) -> None:
    mount = path / "mount"
    mount.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(mount)], check=True)
    room = ["mount", "--options-mode", "ignore", "-o", "remount,size=16m", str(mount)]
    try:
        survive_a_full_disk(mount / "s", lambda: subprocess.run(room, check=True))
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_full_disk_is_an_error_that_passes(tmp_path: Path) -> None:
    assert in_child(lambda: survive_a_file_limit(tmp_path / "s")) == 0


@on_own_disk
def test_a_full_file_system_is_an_error_that_passes(tmp_path: Path) -> None:
    assert in_child(lambda: survive_a_full_file_system(tmp_path / "s")) == 0


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    engine = engine_at(tmp_path / "s")
    with pytest.raises(StoreLocked, match=f"in use by process {os.getpid()};"):
        engine_at(tmp_path / "s")

    def intrude() -> None:
        with pytest.raises(StoreLocked, match=f"in use by process {os.getppid()};"):
            engine_at(tmp_path / "s")

    assert in_child(intrude) == 0
    engine.close()
    engine_at(tmp_path / "s").close()


def test_a_lock_left_by_a_dead_process_does_not_bind(tmp_path: Path) -> None:
    committed(tmp_path / "s", rows(3))
    (tmp_path / "s" / "LOCK").write_text("1\n")
    engine_at(tmp_path / "s").close()


READER = """
import sys
from pathlib import Path
from banyan_storage.engine import Table
from banyan_storage.errors import StoreReadOnly
from banyan_storage.lmdb_engine import LmdbEngine
engine = LmdbEngine(Path(sys.argv[1]), (Table("t"), Table("dups", dupsort=True)), map_size=1 << 16, read_only=True)
for line in sys.stdin:
    with engine.read() as snapshot:
        print(snapshot.count(Table("t")), flush=True)
try:
    engine.write()
except StoreReadOnly as error:
    print(error, flush=True)
"""


def test_another_process_reads_each_commit_even_as_the_map_grows(tmp_path: Path) -> None:
    engine = engine_at(tmp_path / "s", map_size=1 << 16)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for count in (10, 1_000, 20_000):
            engine.write().put_many(T, rows(count))
            engine.commit()
            reader.stdin.write("count\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == f"{count}\n"
        reader.stdin.close()
        assert "opened for reading only" in reader.stdout.readline()
    engine.close()


HOLDER = READER.replace('print(snapshot.count(Table("t")), flush=True)', "print(1, flush=True); sys.stdin.readline()")


def test_the_snapshot_of_a_killed_process_is_ended(tmp_path: Path) -> None:
    engine = engine_at(tmp_path / "s")
    engine.write().put_many(T, rows(1_000))
    engine.commit()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("hold\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "1\n"
        assert engine.forget_dead_readers() == 0, "it lives"
        holder.kill()
        holder.wait()
        used = []
        for again in range(40):
            engine.write().put_many(T, rows(1_000, mark=b"%c" % again))
            engine.write().delete_range(T, b"%c" % again, b"%c" % (again + 1))
            engine.commit()
            if again == 20:
                assert engine.forget_dead_readers() == 1
            used.append(engine.sizes().used)
    assert used[20] > used[1], "its pages were kept"
    assert used[-1] <= used[22], "and are used again"
    engine.close()


def test_the_folder_is_accessible_to_its_owner_only(tmp_path: Path) -> None:
    committed(tmp_path / "s", rows(3))
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "s").iterdir()} == {0o600}


def test_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s"
    committed(path, rows(300))

    def read_only() -> None:
        engine = engine_at(path)
        assert not engine.writable
        with engine.read() as snapshot:
            assert list(snapshot.scan(T)) == rows(300)
        with pytest.raises(StoreReadOnly, match="reading only"):
            engine.write()
        engine.commit()
        engine.close()
        with pytest.raises(StoreReadOnly, match="choose a folder you own"):
            engine_at(path / "new")

    def as_nobody() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setuid(65534)
        read_only()

    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
        if folder.name.startswith("pytest-of-"):
            break
    for file in path.iterdir():
        file.chmod(0o444)
    path.chmod(0o555)
    try:
        assert in_child(as_nobody) == 0
    finally:
        path.chmod(0o700)


def test_a_newer_store_is_refused_and_an_older_one_migrated_step_by_step(tmp_path: Path) -> None:
    path = tmp_path / "s"
    committed(path, rows(2))

    def second(txn: WriteTxn) -> None:
        txn.put(T, b"second", b"done")

    def third(txn: WriteTxn) -> None:
        assert txn.get(T, b"second") == b"done"
        txn.put(T, b"third", b"done")

    with pytest.raises(StoreVersion, match="has format 1, not 3"):
        LmdbEngine(path, TABLES, version=3, migrations={1: second})
    LmdbEngine(path, TABLES, version=3, migrations={1: second, 2: third}).close()
    with pytest.raises(StoreVersion, match="has format 3, this program knows only 2"):
        LmdbEngine(path, TABLES, version=2)
    engine = LmdbEngine(path, TABLES, version=3)
    assert engine.write().get(T, b"third") == b"done"
    engine.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s"
    committed(path, rows(2))

    def failing(txn: WriteTxn) -> None:
        txn.put(T, b"half", b"done")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        LmdbEngine(path, TABLES, version=2, migrations={1: failing})
    engine = engine_at(path)
    assert list(engine.write().scan(T)) == rows(2)
    engine.close()


def test_a_data_file_cut_short_is_refused_before_it_can_kill_the_process(tmp_path: Path) -> None:
    """Cut at every page, by day at every third: a store that opens nevertheless must still hold all it held."""
    batches = [rows(300), [(b"large", b"x" * 50_000)], rows(300, 200, b"m")]
    wanted = sorted(row for batch in batches for row in batch)
    committed(tmp_path / "s", *batches)
    whole = (tmp_path / "s" / "data.mdb").read_bytes()
    refused = 0

    def look() -> None:
        try:
            engine = engine_at(tmp_path / "s")
        except CorruptStore:
            os._exit(3)
        assert list(engine.write().scan(T)) == wanted
        engine.close()

    cuts = range(0, len(whole), PAGE if NIGHT else 3 * PAGE)
    for size in cuts:
        (tmp_path / "s" / "data.mdb").write_bytes(whole[: size - size // PAGE % 2 * 7])
        status = in_child(look)
        assert status in (0, 3), f"cut to {size} bytes: status {status}"
        refused += status == 3
    assert refused >= len(cuts) // 2


def test_a_data_file_that_lmdb_itself_left_short_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "s"
    engine = engine_at(path)
    for half in (rows(1_000), rows(2_000)):
        engine.write().put_many(T, half)
        engine.commit()  # leaves free pages, so the commit below needs none at the end
    engine.write().put(T, b"z", b"y" * 10_000_000)
    engine.write().delete(T, b"z")
    engine.commit()
    extent = engine.sizes().used
    engine.close()
    assert (path / "data.mdb").stat().st_size < extent
    engine = engine_at(path)
    assert list(engine.write().scan(T)) == rows(2_000)
    engine.close()
    assert (path / "data.mdb").stat().st_size == extent


def test_garbage_and_lost_files_are_sentences(tmp_path: Path) -> None:
    for damage in (b"", b"\x00" * 20_000, b"not a store" * 2_000):
        path = tmp_path / str(len(damage))
        committed(path, rows(10))
        (path / "data.mdb").write_bytes(damage)
        with pytest.raises(CorruptStore, match="restore"):
            engine_at(path)
    (path / "data.mdb").unlink()
    with pytest.raises(CorruptStore, match=f"is gone.*move {path} away"):
        engine_at(path)
    path.rename(tmp_path / "away")
    engine_at(path).close()


def test_damaged_pages_are_errors_or_true_answers_or_found_by_the_check(tmp_path: Path) -> None:
    """Overwrite each page in turn. LMDB 0.9 has no checksums; the page walk finds a page that is not its own."""
    path = tmp_path / "s"
    committed(path, rows(400), [(b"k00000001", b"new")], [(b"k00000002", b"new")])
    whole = (path / "data.mdb").read_bytes()

    def look() -> None:
        try:
            check_pages(path)
        except CorruptStore:
            os._exit(3)
        engine = engine_at(path)
        assert engine.write().count(T) == 400
        assert len(list(engine.write().scan(T))) == 400
        engine.close()

    statuses = []
    for number in range(2, len(whole) // PAGE):
        (path / "data.mdb").write_bytes(whole[: number * PAGE] + b"\x00" * PAGE + whole[(number + 1) * PAGE :])
        statuses.append(in_child(look))
    assert set(statuses) == {0, 3}
    assert issubclass(CorruptStore, StorageError)


def test_the_lock_is_free_again_after_a_failed_open(tmp_path: Path) -> None:
    path = tmp_path / "s"
    committed(path, rows(10))
    (path / "data.mdb").write_bytes(b"garbage" * 1_000)
    with pytest.raises(CorruptStore):
        engine_at(path)
    with (path / "LOCK").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
