"""Archives are not trusted: bombs, names that lead out, links and truncated files end in a sentence."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_cli.errors import BadInput
from banyan_cli.importing import archives, streams
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.streams import REST, Broken, items
from tests.cli.moving import made
from tests.cli.shell import banyan


def read(path: Path, name: str = "a.json") -> bytes:
    with open_archive(path, lambda n: n.endswith(".json")) as archive, archive.open(name) as stream:
        return stream.read()


@pytest.mark.parametrize("make", [made.zipped, made.tarred, made.folder])
def test_the_wanted_files_are_read_from_a_zip_a_tar_and_a_folder(tmp_path: Path, make: Any) -> None:
    path = make(tmp_path / "x", {"d/a.json": b"[1]", "d/b.png": b"no", "c.json": b"{}"})
    with open_archive(path, lambda n: n.endswith(".json")) as archive:
        assert sorted(archive.files) == ["c.json", "d/a.json"]
        assert archive.names == {"c.json", "d/a.json", "d/b.png"}
        assert archive.wanted("a.json") == ["d/a.json"]
        for _ in range(2):  # a reader reads twice
            with archive.open("d/a.json") as stream:
                assert stream.read() == b"[1]"


def test_one_file_alone_is_an_archive_too(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[]")
    assert read(tmp_path / "a.json") == b"[]"


def test_nothing_of_an_archive_is_written_beside_it(tmp_path: Path) -> None:
    path = made.tarred(tmp_path / "x.tar.gz", {"a.json": b"[]", "b.png": b"x"})
    before = sorted(tmp_path.iterdir())
    assert read(path) == b"[]"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["../a.json", "x/../../a.json", "/etc/a.json", "..\\a.json", "C:\\a.json"])
def test_a_name_that_leads_out_is_not_read(tmp_path: Path, name: str) -> None:
    for path in (
        made.zipped(tmp_path / "x.zip", {name: b"[]", "ok.json": b"[]"}),
        made.tarred(tmp_path / "x.tar.gz", {name: b"[]", "ok.json": b"[]"}),
    ):
        with open_archive(path, lambda n: True) as archive:
            assert sorted(archive.files) == ["ok.json"]
            assert set(archive.left_out.values()) == {"its name leads out of the archive"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(b"[]")
    folder = made.folder(tmp_path / "f", {"ok.json": b"[]"})
    (folder / "a.json").symlink_to(secret)
    (folder / "d").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.json")
    link = zipfile.ZipInfo("a.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr(link, str(secret))
        out.writestr("ok.json", "[]")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("a.json")
            info.type, info.linkname = kind, str(secret)
            tar.addfile(info)
        tar.addfile(tarfile.TarInfo("ok.json"), io.BytesIO())
    for path in (folder, tmp_path / "x.zip", tmp_path / "x.tar"):
        with open_archive(path, lambda n: True) as archive:
            assert sorted(archive.files) == ["ok.json"]
            assert "it is a link" in archive.left_out.values() or path.suffix == ".tar"


def test_a_bomb_is_refused_before_or_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED", 1 << 20)
    zeros = bytes(4 << 20)
    for path in (
        made.zipped(tmp_path / "x.zip", {"a.json": zeros}),
        made.tarred(tmp_path / "x.tar.gz", {"a.json": zeros}),
    ):
        with pytest.raises(BadInput, match=r"a\.json: [0-9,]+ bytes unpack to 4,194,304 or more"):
            read(path)


def test_a_file_that_unpacks_to_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "x.zip", {"a.json": bytes(1 << 20)})
    raw = path.read_bytes()
    path.write_bytes(raw.replace((1 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(BadInput, match=r"a\.json"):
        read(path)


@pytest.mark.parametrize("make", [made.zipped, made.tarred])
def test_a_truncated_archive_is_said_to_be_so(tmp_path: Path, make: Any) -> None:
    whole = make(tmp_path / ("x.zip" if make is made.zipped else "x.tar.gz"), {"a.json": os.urandom(100_000)})
    raw = whole.read_bytes()
    for size in (10, 1000, 50_000, len(raw) - 30):
        whole.write_bytes(raw[:size])
        with pytest.raises(BadInput, match=r"damaged or not complete; fetch it again|damaged \(|not complete \("):
            read(whole)


def test_flipped_bytes_of_an_archive_are_a_sentence_or_its_content(tmp_path: Path) -> None:
    for name, make in (("x.zip", made.zipped), ("x.tar.gz", made.tarred)):
        path = make(tmp_path / name, {"a.json": b"[1, 2, 3]" * 50})
        raw = path.read_bytes()
        for at in range(0, len(raw), 3):
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :])
            try:
                with open_archive(path, lambda n: True) as archive:
                    for file in archive.files:
                        with archive.open(file) as stream:
                            stream.read()
            except BadInput:
                pass


def test_an_archive_that_needs_a_password_is_said_to(tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "x.zip", {"a.json": b"[]"})
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(BadInput, match="without a password"):
        read(path)


def test_a_pipe_or_a_device_is_no_archive(home: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for command in (("mastodon",), ("csv", "--text", "t"), ("posts", "--text", "t"), ("graph",), ("archive",)):
        for odd in (pipe, "/dev/zero"):
            ran = banyan("import", *command, odd, "--home", home)
            assert (ran.code, "is no ordinary file" in ran.err) == (2, True), ran.err
    assert banyan("import", "mastodon", tmp_path, "--accounts", pipe, "--home", home).code == 2


def test_what_is_not_there_or_empty_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "empty.zip").touch()
    (tmp_path / "nothing").mkdir()
    for name, says in (("none.zip", "does not exist"), ("empty.zip", "is empty"), ("nothing", "has no files")):
        with pytest.raises(BadInput, match=says):
            read(tmp_path / name)


# --- JSON as a stream -------------------------------------------------------------------------------------------------


class Slow:
    """Gives a few bytes at a time, so that every place is once the end of what was read."""

    def __init__(self, raw: bytes, step: int) -> None:
        self._raw, self._step, self._at = raw, step, 0

    def read(self, size: int = -1) -> bytes:
        self._at += self._step
        return self._raw[self._at - self._step : self._at]


def streamed(raw: bytes, *keys: str, step: int = 1) -> list[Any]:
    return list(items(Slow(raw, step), *keys))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_items_are_the_same_however_the_bytes_arrive(step: int) -> None:
    value = [{"a": 'ế\n"\\', "b": [1, 2.5, True, None]}, "số", 12345, -1, {}, [], "\U0001f600"]
    for raw in (
        made.dumped(value),
        b"\xef\xbb\xbf \n" + made.dumped(value),
        b"window.YTD.x.part0 = " + made.dumped(value),
    ):
        assert streamed(raw, step=step) == value
    around = {"totalItems": 7, "other": [1, [2]], "items": value, "after": {"items": [0]}}
    assert streamed(made.dumped(around), "items", step=step) == value
    assert streamed(b'{"\\u00e1": "\\ud83d\\ude00"}', "\u00e1", step=step) == ["\U0001f600"]


@pytest.mark.parametrize(
    ("raw", "whole", "why"),
    [
        (b'[1, {"a": "2', [1], "it ends in the middle"),
        (b'[1, {"a": 2', [1], "it ends in the middle"),
        (b"[1, 2", [1, 2], "it ends in the middle"),
        (b"[1 2]", [1], "a comma is missing" + REST),
        (b'[1, {"a" 2}, 3]', [1], "expecting ':' delimiter" + REST),
        (b"", [], "it is empty"),
        (b"\x00\x01", [], "it is not JSON"),
        (b"<html>", [], "it is not JSON"),
        (b'{"a": 1, 2', [], "a key is missing" + REST),
        (b"[" * 100_000, [], "it is nested too deeply" + REST),
        (b"[" + b"9" * 10_000 + b"]", [], "it has a number that is too long" + REST),
    ],
)
def test_broken_json_gives_what_is_whole_and_then_why(raw: bytes, whole: list[Any], why: str) -> None:
    assert streamed(raw, step=1000) == [*whole, Broken(why)]


def test_an_item_that_never_ends_is_given_up_before_memory_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_ITEM", 1 << 20)
    monkeypatch.setattr(streams, "MOST_PASSED", 4 << 20)
    read = 0

    class Endless:
        def read(self, size: int = -1) -> bytes:
            nonlocal read
            read += 1 << 18
            assert read < 8 << 20
            return b'["' + b"x" * (1 << 18) if read == 1 << 18 else b"x" * (1 << 18)

    assert list(items(Endless())) == [Broken("it has an item of more than 1 MiB" + REST)]


@pytest.mark.parametrize("step", [1, 7, 50])
@pytest.mark.parametrize(
    "large", [{"a": "x" * 300, "b": [1, {"c": ['"]}', "\\", '\\"', "\n"]}], "": {}}, '\\"' * 200, [["[" * 300], "{"]]
)
def test_an_item_that_is_too_large_is_named_and_those_behind_it_come(
    monkeypatch: pytest.MonkeyPatch, large: Any, step: int
) -> None:
    monkeypatch.setattr(streams, "MOST_ITEM", 256)
    monkeypatch.setattr(streams, "_CHUNK", 64)
    too_large = Broken("it has an item of more than 0 MiB")
    assert streamed(made.dumped([1, large, {"id": 2}, large]), step=step) == [1, too_large, {"id": 2}, too_large]
    around = {"other": large, "items": [large, 3], "after": 1}
    assert streamed(made.dumped(around), "items", step=step) == [too_large, 3]


def test_an_item_that_is_nested_too_deeply_is_named_and_those_behind_it_come() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert streamed(b"[1, " + deep + b", 2]", step=1000) == [1, Broken("it is nested too deeply"), 2]


def test_a_large_array_needs_the_memory_of_one_item() -> None:
    import tracemalloc

    def endless() -> Iterator[bytes]:
        yield b"[0"
        for n in range(60_000):
            yield b', {"id": %d, "text": "%s"}' % (n, b"x" * 500)
        yield b"]"

    class Pieces:
        def __init__(self) -> None:
            self._pieces = endless()

        def read(self, size: int = -1) -> bytes:
            return b"".join(piece for piece, _ in zip(self._pieces, range(400), strict=False))

    tracemalloc.start()
    many = len([None for _ in items(Pieces())])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert many >= 60_000 - 200
    assert peak < 8 << 20
