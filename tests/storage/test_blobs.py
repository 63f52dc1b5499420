"""Blobs on the disk: what is whole is durable and hashed when it is read, and what is half done goes on."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from banyan_crdt.blob import CHUNK, MAX_BLOB, BlobList, BlobRoot, blob_of, check_list
from banyan_crdt.errors import Malformed
from banyan_storage.blobs import BlobStore, DamagedBlob

FILE = os.urandom(3 * CHUNK + 1000)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def put(blobs: BlobStore, raw: bytes) -> BlobList:
    return blobs.put(io.BytesIO(raw).read)


def names(blobs: BlobStore) -> list[str]:
    return sorted(p.name for p in blobs.folder.rglob("*") if p.is_file())


def test_what_is_put_is_read_again_from_any_place(blobs: BlobStore) -> None:
    of = put(blobs, FILE)
    assert of == blob_of(FILE)
    for offset, length in [(0, len(FILE)), (CHUNK - 3, 7), (2 * CHUNK, 1), (len(FILE) - 5, 100), (len(FILE), 10)]:
        assert blobs.read(of.root, offset, length) == FILE[offset : offset + length]
    again = BlobStore(blobs.folder)
    assert again.find(of.root) == blobs.find(of.root)
    assert again.used() == len(FILE)
    assert again.list_of(of.root) == of


def test_a_process_beside_the_owner_sees_what_is_there_now_and_writes_nothing(blobs: BlobStore) -> None:
    beside = BlobStore(blobs.folder, owns=False)
    assert (beside.all(), beside.find(blob_of(FILE).root)) == ([], None)
    of = put(blobs, FILE)
    assert beside.find(of.root) == blobs.find(of.root)
    assert (beside.all(), beside.used()) == (blobs.all(), len(FILE))
    assert beside.read(of.root, 5, 10) == FILE[5:15]
    path, before = blobs.file(of.root), names(blobs)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(DamagedBlob):
        beside.read(of.root, 0, 1)
    assert names(blobs) == before
    blobs.drop(of.root)
    assert beside.find(of.root) is None


def test_the_same_file_is_stored_once(blobs: BlobStore) -> None:
    assert put(blobs, FILE) == put(blobs, FILE)
    assert blobs.used() == len(FILE)
    assert len(names(blobs)) == 2


def test_a_reader_that_gives_a_few_bytes_at_a_time_gives_the_same_blob(blobs: BlobStore) -> None:
    file = io.BytesIO(FILE)
    assert blobs.put(lambda n: file.read(min(n, 1000))) == blob_of(FILE)


@pytest.mark.parametrize("size", [0, -1, MAX_BLOB + 1, 1 << 64])
def test_a_size_that_no_blob_has_is_malformed(size: int) -> None:
    with pytest.raises(Malformed, match="a blob has 1 to"):
        check_list(blob_of(b"x").root, size, bytes(32))


def test_an_empty_file_is_refused_and_leaves_nothing(blobs: BlobStore) -> None:
    with pytest.raises(Malformed, match="this one 0"):
        put(blobs, b"")
    assert names(blobs) == []


def test_a_list_of_another_root_or_number_of_chunks_is_malformed() -> None:
    of, other = blob_of(FILE), blob_of(FILE[:-1])
    assert check_list(of.root, of.size, of.hashes) == of
    for size, hashes in [(of.size, other.hashes), (other.size, of.hashes), (of.size, of.hashes[:-32])]:
        with pytest.raises(Malformed):
            check_list(of.root, size, hashes)


def test_a_wrong_chunk_is_not_written(blobs: BlobStore) -> None:
    of = blob_of(FILE)
    partial = blobs.begin(of)
    for chunk, raw in [(0, FILE[CHUNK : 2 * CHUNK]), (3, FILE[3 * CHUNK :] + b"x"), (4, b""), (-1, FILE[3 * CHUNK :])]:
        with pytest.raises(Malformed):
            partial.write(chunk, raw)
    assert partial.missing() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="4 chunks"):
        blobs.finished(partial)
    partial.close()


def test_an_unfinished_blob_goes_on_after_the_process_ended(blobs: BlobStore) -> None:
    of = blob_of(FILE)
    partial = blobs.begin(of)
    for chunk in (3, 1):
        partial.write(chunk, FILE[chunk * CHUNK : (chunk + 1) * CHUNK])
    assert partial.bytes_held == CHUNK + 1000
    del partial  # killed: nothing is closed
    later = BlobStore(blobs.folder)
    assert later.tidy() == 0
    found = later.find(of.root)
    assert found is not None
    assert not found.whole
    with pytest.raises(FileNotFoundError):
        later.read(of.root, 0, 1)
    partial = later.begin(of)
    assert partial.missing() == [0, 2]
    for chunk in partial.missing():
        partial.write(chunk, FILE[chunk * CHUNK : (chunk + 1) * CHUNK])
    later.finished(partial)
    assert later.read(of.root, 0, len(FILE)) == FILE
    assert names(later) == [of.root.hex(), of.root.hex() + ".list"]


def test_a_chunk_that_a_power_cut_lost_is_fetched_again(blobs: BlobStore) -> None:
    of = blob_of(FILE)
    partial = blobs.begin(of)
    for chunk in range(3):
        partial.write(chunk, FILE[chunk * CHUNK : (chunk + 1) * CHUNK])
    partial.close()
    with (blobs.folder / of.root.hex()[:2] / f"{of.root.hex()}.part").open("r+b") as file:
        file.seek(CHUNK)
        file.write(bytes(4096))  # its bytes had not reached the disk, its mark had
    assert blobs.begin(of).missing() == [1, 3]


def test_a_byte_that_the_disk_changed_is_never_read(blobs: BlobStore) -> None:
    of = put(blobs, FILE)
    with (blobs.folder / of.root.hex()[:2] / of.root.hex()).open("r+b") as file:
        file.seek(CHUNK + 5)
        file.write(bytes([FILE[CHUNK + 5] ^ 1]))
    assert blobs.read(of.root, 0, CHUNK) == FILE[:CHUNK]
    with pytest.raises(DamagedBlob, match="chunk 1"):
        blobs.read(of.root, 0, len(FILE))
    partial = blobs.begin(of)
    assert partial.missing() == [1]
    partial.write(1, FILE[CHUNK : 2 * CHUNK])
    blobs.finished(partial)
    assert blobs.read(of.root, 0, len(FILE)) == FILE


def test_a_damaged_list_is_made_again_and_no_byte_that_may_be_the_only_one_is_removed(blobs: BlobStore) -> None:
    of = put(blobs, FILE)
    (data,) = [p for p in blobs.folder.rglob(of.root.hex()) if p.is_file()]
    listed = data.with_name(data.name + ".list")
    raw = bytearray(listed.read_bytes())
    raw[20] ^= 1
    listed.write_bytes(raw)
    assert BlobStore(blobs.folder).read(of.root, 0, len(FILE)) == FILE
    assert BlobStore(blobs.folder).list_of(of.root) == of
    listed.write_bytes(raw)
    changed = bytearray(FILE)
    changed[5] ^= 1
    data.write_bytes(changed)
    with pytest.raises(DamagedBlob):
        BlobStore(blobs.folder).read(of.root, 0, 1)
    assert (blobs.folder / "damaged" / of.root.hex()).read_bytes() == changed
    assert BlobStore(blobs.folder).find(of.root) is None


def test_what_a_crash_left_is_removed_and_nothing_else(blobs: BlobStore) -> None:
    of, other = put(blobs, FILE), blob_of(FILE[:CHUNK])
    blobs.begin(other).close()
    home = blobs.folder / of.root.hex()[:2]
    (blobs.folder / "new-0123").write_bytes(b"half")
    (home / ("0" * 64)).write_bytes(b"no list")
    (home / ("1" * 64 + ".list")).write_bytes(b"no bytes")
    (home / (of.root.hex() + ".part")).write_bytes(b"whole already")
    (home / (of.root.hex() + ".list.tmp")).write_bytes(b"half")
    assert blobs.tidy() == 5
    assert blobs.tidy() == 0
    assert [(held.root, held.whole) for held in sorted(blobs.all(), key=lambda held: held.size)] == [
        (other.root, False),
        (of.root, True),
    ]


def test_a_dropped_blob_is_gone_and_a_pin_outlives_the_process(blobs: BlobStore) -> None:
    of, other = put(blobs, FILE), put(blobs, b"other")
    blobs.pin(of.root, True)
    again = BlobStore(blobs.folder)
    assert [held.pinned for held in again.all() if held.root == of.root] == [True]
    again.pin(of.root, False)
    assert again.drop(of.root)
    assert not again.drop(of.root)
    assert [held.root for held in BlobStore(blobs.folder).all()] == [other.root]


def test_blobs_are_listed_by_when_they_were_last_wanted(blobs: BlobStore) -> None:
    roots = [put(blobs, bytes([n])).root for n in range(3)]
    for at, n in enumerate((2, 0, 1)):
        blobs.want(roots[n], 1000 + at)
    assert [held.root for held in blobs.all()] == [roots[2], roots[0], roots[1]]
    assert [held.root for held in BlobStore(blobs.folder).all()] == [roots[2], roots[0], roots[1]]


def test_one_file_that_several_threads_put_at_once_is_one_blob(tmp_path: Path) -> None:
    store, raw = BlobStore(tmp_path / "blobs"), bytes(range(256)) * 40
    for n in range(20):
        with ThreadPoolExecutor(4) as pool:
            begun = [pool.submit(put_once, store, raw + bytes([n])) for _ in range(4)]
        (root,) = {one.result() for one in begun}
        assert store.read(root, 0, len(raw) + 1) == raw + bytes([n])
    assert len([path for path in store.folder.rglob("*") if path.is_file()]) == 20 * 3


def put_once(store: BlobStore, raw: bytes) -> BlobRoot:
    file = io.BytesIO(raw)
    return store.put(file.read, lambda of: b"about").root
