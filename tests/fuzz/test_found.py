"""Inputs that once did what no input may do."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from banyan_cli.errors import BadInput
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.html_text import text_of
from banyan_crdt.codec import encode
from banyan_crdt.ids import EntryId, WriterKey
from banyan_crdt.logs import Grants
from banyan_crdt.realm import TEST
from banyan_node.api import decode
from banyan_node.api.dispatch import EVERY
from banyan_node.home.folder import Home
from banyan_node.home.settings import load
from banyan_node.links import peerstore
from banyan_node.operator_errors import CallError, ConfigError
from banyan_storage.archive import MAGIC, ArchiveDamaged
from banyan_storage.entry_records import AFTER, PREV, decode_grants, decode_record, encode_grants
from banyan_storage.errors import CorruptStore
from tests.crdt.make import Person
from tests.fuzz.targets import found

ACCOUNT = b"a" * 32


def _zip(name: bytes, flags: int = 0) -> bytes:
    """A zip of one empty file, whose name is these bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("x" * max(1, len(name)), b"")
    raw = out.getvalue().replace(b"x" * len(name), name) if name else out.getvalue()
    at = raw.index(b"PK\x01\x02")
    if not name:  # the index names nothing
        raw = raw[: at + 28] + b"\0\0" + raw[at + 30 : at + 46] + raw[at + 47 :]
        end = raw.index(b"PK\x05\x06")
        raw = raw[: end + 12] + (end - at).to_bytes(4, "little") + raw[end + 16 :]
    return raw[:6] + flags.to_bytes(2, "little") + raw[8:]


def _read_all(path: Path) -> None:
    with open_archive(path, lambda name: True) as archive:
        for file in archive.files:
            with archive.open(file) as stream:
                stream.read()


@pytest.mark.parametrize(("name", "flags"), [(b"", 0), (b"\xff\xff.json", 0x800)])
def test_a_zip_with_a_name_that_is_none_is_a_sentence(tmp_path: Path, name: bytes, flags: int) -> None:
    (tmp_path / "a.zip").write_bytes(_zip(name, flags))
    with pytest.raises(BadInput):
        _read_all(tmp_path / "a.zip")


def test_lines_without_markup_stand_as_those_with() -> None:
    assert text_of("a\n\n\n\nb") == text_of("<p>a</p>\n<p>b</p>") == "a\n\nb"


START = encode([0, b"", MAGIC, TEST.id])
ARCHIVES = {
    "a number where bytes are meant was as many zeros": [2, ACCOUNT, 1 << 30],
    "and more than there is memory": [2, 1 << 62, b""],
    "bytes where an entry is meant were as many zeros each": [1, ACCOUNT, [b"\xff" * 100_000]],
    "bytes where a number is meant were read as its digits": [3, ACCOUNT, [[b"e" * 32, b"12", b"part"]]],
    "an account may have any size": [4, b"a" * 31],
    "arrays without end took seventy times their bytes": [1, ACCOUNT, [[]] * 100_000],
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_frame_of_an_archive_that_takes_far_more_than_its_bytes_is_refused(name: str) -> None:
    raw, read = encode([START, encode(ARCHIVES[name])]), found()["storage.archive"].read
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveDamaged, match=r"cannot be understood"):
            read(raw)
        assert tracemalloc.get_traced_memory()[1] < 50_000 + 20 * len(raw)
    finally:
        tracemalloc.stop()


def test_a_record_that_breaks_off_in_a_hash_or_a_signature_is_corrupt() -> None:
    an = Person("an")
    target = found()["storage.record"]
    for raw in target.seeds():
        log = an.log() if raw[:1] == b"\1" else an.control[0].log_id
        entry = decode_record(raw[1:], log, EntryId(b"b" * 32))
        target.read(raw[: -len(entry.ops)])
        with pytest.raises(CorruptStore):
            target.read(raw[: -len(entry.ops) - 1])


@pytest.mark.parametrize("more", [AFTER, 0x80])
def test_a_record_with_flags_that_no_record_has_is_corrupt(more: int) -> None:
    target = found()["storage.record"]
    raw = next(raw for raw in target.seeds() if raw[1] & PREV)
    target.read(raw)
    with pytest.raises(CorruptStore):
        target.read(raw[:1] + bytes((raw[1] | more,)) + raw[2:])


def test_a_row_of_grants_in_another_order_or_with_another_mark_is_corrupt() -> None:
    target = found()["storage.grants"]
    for raw in target.seeds():
        target.read(raw)
        with pytest.raises(CorruptStore):
            target.read(b"\2" + raw[1:])
    drops = frozenset((WriterKey(b"w" * 32), log) for log in (1, 2))
    row, size = encode_grants(Grants({}, {}, drops, False)), 37
    assert decode_grants(row).dropped == drops
    with pytest.raises(CorruptStore):
        decode_grants(row[:1] + row[1 + size :] + row[1 : 1 + size])


@pytest.mark.parametrize("text", ["x = " + "[" * 5_000, "x = " + "9" * 5_000])
def test_a_config_that_no_parser_reads_gives_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match="is not TOML"):
        load(Home(tmp_path), env={})


def test_a_call_with_a_text_that_is_not_utf_8_is_a_bad_request() -> None:
    with pytest.raises(CallError, match="not UTF-8"):
        decode.request(EVERY["account.list"], {"limit": "\udcff"})


def test_a_list_of_peers_that_is_nested_too_deeply_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "peers.json").write_text("[" * 100_000)
    assert peerstore.read(tmp_path / "peers.json") == []
