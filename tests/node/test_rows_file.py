"""Keepers of rows, on disk and in memory, and files that a disk has damaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from banyan_node.upkeep import rows_file
from banyan_node.upkeep.rows_file import FileRowStore
from banyan_replica.frontier.persistence import MemoryRowStore, RowStore, Size

Make = Callable[[], RowStore]
COLUMNS = [b"some bytes" * 1_000, b"", b"x" * 4_096]
ROOM = 100


@pytest.fixture(params=["file", "memory"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> RowStore:
    return FileRowStore(tmp_path / "rows") if request.param == "file" else MemoryRowStore()


def keep(keeper: RowStore, about: bytes = b"about", tail: bytes = b"a tail") -> None:
    draft = keeper.draft([Size(len(c), len(c) + ROOM) for c in COLUMNS])
    for n, column in enumerate(COLUMNS):
        for start in range(0, len(column), 999):
            draft.put(n, column[start : start + 999])
    draft.finish(about, tail)
    draft.wait()
    assert draft.done
    assert draft.fault is None


def read(keeper: RowStore) -> tuple[bytes, list[bytes], bytes] | None:
    kept = keeper.load()
    if kept is None or not all(kept.check()):
        return None
    return bytes(kept.about), [c.tobytes() for c in kept.columns], bytes(kept.tail)


WHOLE = [column + bytes(ROOM) for column in COLUMNS]


def test_what_was_finished_is_loaded_with_room_behind_each_column(keeper: RowStore) -> None:
    assert read(keeper) is None
    keep(keeper)
    assert read(keeper) == (b"about", WHOLE, b"a tail")
    keep(keeper, b"another", b"")
    assert read(keeper) == (b"another", WHOLE, b"")


def test_a_draft_that_is_dropped_or_left_leaves_what_was_kept_before(keeper: RowStore) -> None:
    keep(keeper)
    for dropped in (True, False):
        draft = keeper.draft([Size(10, 10)])
        draft.put(0, b"12345")
        if dropped:
            draft.drop()
        assert read(keeper) == (b"about", WHOLE, b"a tail")
    draft.drop()
    keep(keeper, b"after them")
    assert read(keeper) == (b"after them", WHOLE, b"a tail")


def test_what_is_written_to_loaded_columns_is_not_kept(keeper: RowStore) -> None:
    keep(keeper)
    kept = keeper.load()
    assert kept is not None
    kept.columns[0].view(np.uint16)[0] = 7
    kept.columns[0][-1] = 7  # in the room behind
    assert read(keeper) == (b"about", WHOLE, b"a tail")


def test_a_file_that_was_cut_or_changed_anywhere_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    keep(FileRowStore(path))
    raw, rng = path.read_bytes(), random.Random(1)
    for size in [0, 1, len(raw) - 1, *(rng.randrange(len(raw)) for _ in range(50))]:
        path.write_bytes(raw[:size])
        assert read(FileRowStore(path)) is None
    path.write_bytes(raw + b"\0")
    assert read(FileRowStore(path)) is None
    used = [*range(100), *range(4_096, 4_196), 4_096 + 9_999, len(raw) - 1]
    for at in used:
        path.write_bytes(raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :])
        assert read(FileRowStore(path)) is None, at


def test_a_folder_that_cannot_be_written_is_reported_and_the_node_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_file, "WAITING", 2)
    draft = FileRowStore(tmp_path / "nowhere" / "rows").draft([Size(100, 100)])
    for _ in range(100):
        draft.put(0, b"x")
    draft.finish(b"", b"")
    draft.wait()
    assert draft.done
    assert draft.fault is not None
    assert "nowhere" in draft.fault


def test_a_full_disk_is_reported_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = FileRowStore(tmp_path / "rows")
    keep(keeper)
    real, left = rows_file._write_at, 3

    def full(handle: int, data: bytes, offset: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        real(handle, data, offset)

    monkeypatch.setattr(rows_file, "_write_at", full)
    draft = keeper.draft([Size(100, 100)])
    for _ in range(100):
        draft.put(0, b"x")
    draft.finish(b"", b"")
    draft.wait()
    assert draft.fault is not None
    assert "No space left" in draft.fault
    assert read(keeper) == (b"about", WHOLE, b"a tail")
    assert [p.name for p in tmp_path.iterdir()] == ["rows"]
