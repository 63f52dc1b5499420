"""A data file that is written anew has no byte of what was deleted, whatever LMDB left between rows."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from banyan_storage import lmdb_engine
from banyan_storage import tables as t
from banyan_storage.engine import Table
from banyan_storage.errors import SnapshotHeld
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA, DRAFT

SEVERAL = Table("several", dupsort=True)
TABLES = (*t.STORE_TABLES, SEVERAL)


def said(n: int) -> bytes:
    return b"SECRET%06d" % n


def in_bytes(file: Path) -> set[bytes]:
    """What was said and stands somewhere in the file."""
    return set(re.findall(rb"SECRET\d{6}", file.read_bytes()))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[LmdbEngine, set[int], set[int]]]:
    """Values of many sizes, written in no order and some deleted again: (engine, what is there, what was deleted)."""
    rng, engine = random.Random(7), LmdbEngine(tmp_path / "store", TABLES)
    numbers = list(range(1, 3_000))
    for at, n in enumerate(rng.sample(numbers, len(numbers))):
        engine.write().put(t.PARTS, t.part_key(n, 0), said(n) * rng.randrange(5, 420))
        engine.write().put(SEVERAL, t.u32(n % 9), t.u32(n))
        if at % 50 == 0:
            engine.commit()
    gone = set[int]()
    for _ in range(200):
        first = rng.randrange(1, 2_990)
        gone |= set(range(first, first + 5))
        engine.write().delete_range(t.PARTS, t.part_key(first, 0), t.part_key(first + 5, 0))
    engine.commit()
    yield engine, set(numbers) - gone, gone
    engine.close()


def test_no_byte_of_what_was_deleted_is_left_and_all_else_is(store: tuple[LmdbEngine, set[int], set[int]]) -> None:
    engine, kept, gone = store
    file, secrets = engine.path / DATA, {said(n) for n in gone}
    before = {table: list(engine.write().scan(table)) for table in engine.tables}
    assert secrets & in_bytes(file), "LMDB leaves it"
    engine.rewrite()
    assert not secrets & in_bytes(file)
    assert {table: list(engine.write().scan(table)) for table in engine.tables} == before
    assert len(before[t.PARTS]) == len(kept)
    engine.write().put(t.META, b"a", b"b")
    engine.commit()
    engine.close()
    with LmdbEngine(engine.path, TABLES).read() as again:
        assert again.get(t.META, b"a") == b"b"
        assert {table: list(again.scan(table)) for table in engine.tables if table != t.META} == {
            table: rows for table, rows in before.items() if table != t.META
        }


def test_it_waits_for_the_snapshots_of_its_process(
    store: tuple[LmdbEngine, set[int], set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, kept, _ = store
    monkeypatch.setattr(lmdb_engine, "REWRITE_PATIENCE", 0.1)
    with engine.read() as snapshot:
        with pytest.raises(SnapshotHeld):
            engine.rewrite()
        assert snapshot.count(t.PARTS) == len(kept)
    engine.write().put(t.META, b"a", b"b")
    with pytest.raises(ValueError, match="commit what is pending"):
        engine.rewrite()
    engine.commit()
    engine.rewrite()
    with engine.read() as snapshot:
        assert snapshot.count(t.PARTS) == len(kept)
    assert not (engine.path / DRAFT).exists()


READS = """
import sys
from contextlib import ExitStack
from pathlib import Path
from banyan_storage import tables as t
from banyan_storage.lmdb_engine import LmdbEngine
from tests.storage.test_rewrite import TABLES
engine, open_now = LmdbEngine(Path(sys.argv[1]), TABLES, read_only=True), ExitStack()
for line in map(str.strip, sys.stdin):
    if line == "hold":
        held = open_now.enter_context(engine.read())
    with engine.read() as found:
        print((held if line != "read" else found).get(t.META, b"a"), flush=True)
    if line == "let go":
        open_now.close()
"""


def test_another_process_takes_the_new_file_at_its_next_read_and_lets_go_of_the_old_one(
    store: tuple[LmdbEngine, set[int], set[int]],
) -> None:
    engine, _, _ = store
    root = Path(__file__).parents[2]
    given = [sys.executable, "-c", READS, str(engine.path)]
    with subprocess.Popen(given, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def ask(what: str) -> str:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write(what + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        def mapped() -> set[str]:
            lines = Path(f"/proc/{other.pid}/maps").read_text().splitlines()
            return {line.partition("/")[2] for line in lines if str(engine.path) in line}

        assert ask("read") == ask("hold") == "None"
        for n in range(3):
            engine.write().put(t.META, b"a", b"%d" % n)
            engine.commit()
            engine.rewrite()
            assert ask("read") == f"b'{n}'"
        assert ask("let go") == "None", "a snapshot is of one commit"
        assert ask("read") == "b'2'"
        assert not {name for name in mapped() if "deleted" in name}
        other.stdin.close()


def test_a_read_that_ends_in_an_error_takes_no_place_while_the_error_is_kept(
    store: tuple[LmdbEngine, set[int], set[int]],
) -> None:
    """LMDB has 1,022 places for readers; also after the file was written anew."""
    engine, _, _ = store
    engine.rewrite()
    kept = list[Exception]()
    for _ in range(1_100):
        try:
            with engine.read() as snapshot:
                snapshot.get(t.META, b"a")
                list(snapshot.scan(t.PARTS, limit=2))
                raise ValueError
        except ValueError as error:
            kept.append(error)
    with ExitStack() as open_now:
        for _ in range(1_000):
            open_now.enter_context(engine.read()).get(t.META, b"a")


KILLED = """
import os, signal, sys
from pathlib import Path
from banyan_storage import lmdb_engine
from tests.storage.test_rewrite import TABLES
engine, at = lmdb_engine.LmdbEngine(Path(sys.argv[1]), TABLES), sys.argv[2]
real = getattr(lmdb_engine, at)
def then_killed(*given):
    real(*given)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(lmdb_engine, at, then_killed)
engine.rewrite()
"""


@pytest.mark.parametrize("at", ["copy_rows", "put_data"])
def test_a_kill_leaves_the_old_file_or_the_new_one_and_no_copy(
    store: tuple[LmdbEngine, set[int], set[int]], at: str
) -> None:
    engine, kept, _ = store
    engine.close()
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", KILLED, engine.path, at], cwd=root, env={**os.environ}, check=False)
    assert ran.returncode == -signal.SIGKILL
    again = LmdbEngine(engine.path, TABLES)
    assert not (engine.path / DRAFT).exists()
    assert again.write().count(t.PARTS) == len(kept)
    again.write().put(t.META, b"a", b"b")
    again.commit()
    again.close()
