"""Power that is lost at a random place of what a node writes takes nothing that was acknowledged. The nightly is
`python -m tests.crash`, with a thousand places; here are some of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import crashes
from tests.crash.disk import KEPT, Disk, Loss, Unknown
from tests.crash.trace import Call, calls, can_trace
from tests.needs import NIGHT, skipped_without

traces = skipped_without(can_trace())


SCENES = ("posts", "compact", "files", "media", "door")


@pytest.fixture(scope="module")
def scenes() -> Iterator[dict[str, crashes.Recorded]]:
    with crashes.room() as folder:
        yield {recorded.name: recorded for recorded in crashes.record(SCENES, Path(folder))}


@traces
@pytest.mark.parametrize("scene", SCENES)
def test_after_a_crash_what_was_acknowledged_is_there_and_nothing_is_half_done(
    scene: str, scenes: dict[str, crashes.Recorded]
) -> None:
    found = crashes.crash(scenes[scene], 14 if NIGHT else 6, f"suite/{scene}")
    assert found.wrong == []
    assert found.syncs > 20
    assert found.said > 20
    assert crashes.crash(scenes[scene], 4, f"suite/{scene}/deaf", deaf=True).wrong, "a disk that never syncs is noticed"


LINES = r"""
1 mkdir("HOME", 0700) = 0
1 openat(-100<ROOT>, "HOME/a", 0x41, 0600) = 3<HOME/a>
1 write(3<HOME/a>, "\x31\x32", 2) = 2
1 fsync(3<HOME/a>) = 0
1 openat(-100<ROOT>, "HOME", 0x90000) = 4<HOME>
1 fsync(4<HOME>) = 0
1 openat(-100<ROOT>, "ROOT", 0x90000) = 4<ROOT>
1 fsync(4<ROOT>) = 0
1 pwrite64(3<HOME/a>, "\x33", 1, 0 <unfinished ...>
2 rename("HOME/a", "HOME/b") = 0
1 <... pwrite64 resumed>)   = 1
1 fsync(3<HOME/b>) = 0
""".strip()


def recorded(base: Path, more: str = "") -> list[Call]:
    def escaped(text: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in text.encode())

    lines = f"{LINES}\n{more}".strip().replace("OUTSIDE", escaped(f"{base.parent}/elsewhere"))
    lines = lines.replace("HOME/a", escaped(f"{base}/home/a")).replace("HOME/b", escaped(f"{base}/home/b"))
    lines = lines.replace("HOME", escaped(f"{base}/home")).replace("ROOT", escaped(str(base)))
    return sorted(calls(iter(lines.splitlines())))


def left(base: Path, line: int, loss: Loss, seed: int) -> dict[str, bytes]:
    disk = Disk(base, recorded(base))
    disk.until(line)
    to = base / f"{line} {loss} {seed}"
    disk.crash(to, loss, random.Random(seed))
    return {str(path.relative_to(to)): path.read_bytes() for path in to.rglob("*") if path.is_file()}


def test_the_disk_keeps_what_was_synced_and_no_more(tmp_path: Path) -> None:
    nothing = Loss(0.0, True, 512, True)
    assert left(tmp_path, 5, KEPT, 0) == {"home/a": b"12"}
    assert left(tmp_path, 5, nothing._replace(journal=False), 0) == {}, "nothing made the name of the folder safe"
    assert left(tmp_path, 7, nothing, 0) == {"home/a": b"12"}
    some = [left(tmp_path, 10, Loss(0.5, False, 512, True), seed) for seed in range(60)]
    assert {tuple(names) for names in some} == {("home/a",), ("home/b",)}
    assert {content for names in some for content in names.values()} == {b"12", b"32"}
    synced = [left(tmp_path, 11, Loss(0.5, False, 512, True), seed) for seed in range(60)]
    assert {content for names in synced for content in names.values()} == {b"32"}
    assert {tuple(names) for names in synced} == {("home/a",), ("home/b",)}, "its new name was not synced"


def test_a_file_that_is_moved_out_of_the_folder_is_gone_once_that_was_synced(tmp_path: Path) -> None:
    moved = Disk(tmp_path, recorded(tmp_path, '1 rename("HOME/b", "OUTSIDE") = 0'))
    moved.until(100)
    moved.crash(tmp_path / "left", KEPT, random.Random(0))
    assert [path.name for path in (tmp_path / "left").rglob("*")] == ["home"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('1 rename("OUTSIDE", "HOME/b") = 0', "came from outside of the folder"),
        ("1 copy_file_range(3<HOME/b>, NULL, 4<HOME>, NULL, 9, 0) = 9", "copy_file_range changed"),
    ],
)
def test_a_call_of_which_nobody_knows_what_it_leaves_ends_the_run(tmp_path: Path, line: str, why: str) -> None:
    disk = Disk(tmp_path, recorded(tmp_path, line))
    with pytest.raises(Unknown, match=why):
        disk.until(100)
