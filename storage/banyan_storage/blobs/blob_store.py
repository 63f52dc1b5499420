"""The blobs of one node: one file each, in a folder beside the store. Which posts name a blob is in the store itself
(blob_names.py).

The invariants: a blob that `find` calls whole has been on the disk, synced, under its name; every byte that `read`
gives was hashed in this read; what a crash leaves half done has no name, or is an unfinished blob that can go on.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from banyan_crdt.blob import CHUNK, MAX_BLOB, BlobList, BlobRoot, check_list, chunk_hash, chunks_of
from banyan_crdt.errors import Malformed
from banyan_storage.blobs.files import (
    DRAFT,
    ENDINGS,
    SIZE_BYTES,
    BlobPaths,
    DamagedBlob,
    HeldBlob,
    PartialBlob,
    hash_in,
    list_bytes,
    list_size,
    on_disk,
    read_all,
    write_all,
    write_durably,
)
from banyan_storage.lmdb_folder import make_folder, sync_folder

_ROOT_DIGITS = 64
ASIDE = "damaged"
"""The folder of files of which nobody can say what is right in them."""


class BlobStore:
    """Any thread. One process owns the folder, the one that has the store open, and alone writes there. owns: whether
    it is this one; another looks at the files each time."""

    def __init__(self, folder: Path, owns: bool = True) -> None:
        self.folder, self._owns = folder, owns
        self._lock = threading.RLock()
        self._index: dict[BlobRoot, HeldBlob] | None = None

    # -- what is held

    def _held(self) -> dict[BlobRoot, HeldBlob]:
        """The index, read from the folder when it is first needed."""
        with self._lock:
            if self._index is None or not self._owns:
                self._index = {}
                for home in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
                    for name in {entry.name.partition(".")[0] for entry in os.scandir(home)}:
                        with suppress(ValueError):
                            self._look(BlobRoot(bytes.fromhex(name)))
            return self._index

    def _look(self, root: BlobRoot) -> None:
        """Reads one blob's files again."""
        with self._lock:
            index = self._held() if self._index is None else self._index
            found = self._seen(root)
            if found is None:
                index.pop(root, None)
            else:
                index[root] = found

    def _seen(self, root: BlobRoot) -> HeldBlob | None:
        """What the files say of a blob."""
        paths = self._paths(root)
        try:
            wanted = int(paths.at(".list").stat().st_mtime)
            whole = paths.at().exists()
            if not whole and not paths.at(".part").exists():
                return None
            size = paths.at().stat().st_size if whole else list_size(paths.at(".list"))
        except OSError:
            return None
        return HeldBlob(root, size, whole, paths.at(".pin").exists(), wanted)

    def find(self, root: BlobRoot) -> HeldBlob | None:
        """What is held of a blob, or None."""
        return self._held().get(root) if self._owns else self._seen(root)

    def all(self) -> list[HeldBlob]:
        """All blobs, those first that were wanted longest ago."""
        with self._lock:
            return sorted(self._held().values(), key=lambda held: (held.wanted_s, held.root))

    def used(self) -> int:
        """Bytes that blobs take; an unfinished one counts whole, because it will take that."""
        with self._lock:
            return sum(held.size for held in self._held().values())

    def bytes_of(self, held: HeldBlob) -> int:
        """How many bytes of a blob are here, by its marks."""
        if held.whole:
            return held.size
        try:
            marks = self._paths(held.root).at(".held").read_bytes()
        except OSError:
            return 0
        return sum(min(CHUNK, held.size - chunk * CHUNK) for chunk, mark in enumerate(marks) if mark == 1)

    def file(self, root: BlobRoot) -> Path:
        """The file of a whole blob."""
        return self._paths(root).at()

    def list_of(self, root: BlobRoot) -> BlobList | None:
        """The list of a blob that is held, whole or in part. None also if its file is damaged."""
        try:
            raw = self._paths(root).at(".list").read_bytes()
            return check_list(root, int.from_bytes(raw[:SIZE_BYTES], "big"), raw[SIZE_BYTES:])
        except (OSError, Malformed):
            return None

    def about(self, root: BlobRoot) -> bytes | None:
        """What was noted of a blob when it was put here."""
        try:
            return self._paths(root).at(".about").read_bytes()
        except OSError:
            return None

    def put_ms(self, root: BlobRoot) -> int:
        """When it was last put here, milliseconds since 1970; 0 if it came from elsewhere."""
        try:
            return self._paths(root).at(".about").stat().st_mtime_ns // 1_000_000
        except OSError:
            return 0

    # -- putting

    def put(self, read: Callable[[int], bytes], about: Callable[[BlobList], bytes] | None = None) -> BlobList:
        """Stores what `read(n)` gives, at most n bytes at a time and none at the end. Durable when this returns. about:
        what to note of it. Raises Malformed if it is empty or too large, StorageError."""
        with on_disk(self.folder):
            make_folder(self.folder)
            draft = self.folder / (DRAFT + secrets.token_hex(8))
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            hashes, size = list[bytes](), 0
            while chunk := _exactly(read, CHUNK):
                with on_disk(self.folder):
                    write_all(handle, chunk, size)
                hashes.append(chunk_hash(chunk))
                size += len(chunk)
                if size > MAX_BLOB:
                    break
            chunks_of(size)
            of = BlobList(size, b"".join(hashes))
            with on_disk(self.folder):
                os.fsync(handle)
                self._begin(of)
                if about is not None:
                    write_durably(self._paths(of.root).at(".about"), about(of))
                self._take(draft, of.root)
                os.utime(self._paths(of.root).at(".list"))  # of one that was here already, too
        finally:
            os.close(handle)
            draft.unlink(missing_ok=True)
        self._look(of.root)
        return of

    def _take(self, draft: Path, root: BlobRoot) -> None:
        """Gives a whole, synced file its name. A blob that is there already stays."""
        paths = self._paths(root)
        if not paths.at().exists():
            draft.replace(paths.at())
            sync_folder(paths.home)
        for ending in (".part", ".held"):  # a fetch of it that was under way
            paths.at(ending).unlink(missing_ok=True)

    def _begin(self, of: BlobList) -> None:
        """Writes the list of a blob, before anything else of it."""
        paths = self._paths(of.root)
        if self.list_of(of.root) is None:
            make_folder(paths.home)
            write_durably(paths.at(".list"), list_bytes(of))

    def begin(self, of: BlobList) -> PartialBlob:
        """Begins to fetch a blob, or goes on. Close what this returns, or finish it and call `finished`. Raises
        StorageError."""
        with on_disk(self.folder), self._lock:
            self._begin(of)
            partial = PartialBlob(self._paths(of.root), of)
        self._look(of.root)
        return partial

    def keep(self, held: HeldBlob, chunk: int, raw: bytes) -> None:
        """Keeps one chunk of a blob that was begun, on the disk when this returns. Raises Malformed, and writes
        nothing, if it is another; StorageError."""
        paths, of = self._paths(held.root), self.list_of(held.root)
        if of is None or not 0 <= chunk < of.chunks or not of.is_chunk(chunk, raw):
            raise Malformed(f"{len(raw)} bytes with another hash came")
        if held.whole:
            return
        with on_disk(self.folder):
            for ending, data, at in ((".part", raw, chunk * CHUNK), (".held", b"\1", chunk)):
                handle = os.open(paths.at(ending), os.O_WRONLY | os.O_CLOEXEC)
                try:
                    write_all(handle, data, at)
                    os.fsync(handle)
                finally:
                    os.close(handle)

    def finished(self, partial: PartialBlob) -> None:
        """Gives a fetched blob its name. Raises StorageError; ValueError while chunks are missing."""
        partial.finish()
        self._look(partial.list.root)

    # -- reading

    def read(self, root: BlobRoot, offset: int, length: int) -> bytes:
        """Bytes of a whole blob, each chunk of them hashed first; fewer at its end. Raises DamagedBlob, after which the
        chunk is missing; FileNotFoundError."""
        held = self.find(root)
        if held is None or not held.whole:
            raise FileNotFoundError(f"blob {root.hex()[:16]} is not held whole")
        end = min(offset + length, held.size)
        first, pieces = offset // CHUNK, list[bytes]()
        for chunk in range(first, (end + CHUNK - 1) // CHUNK):
            pieces.append(self.chunk(held, chunk))
        return b"".join(pieces)[offset - first * CHUNK :][: max(0, end - offset)]

    def chunk(self, held: HeldBlob, chunk: int) -> bytes:
        """One chunk of a whole blob. Raises as `read`."""
        paths = self._paths(held.root)
        with on_disk(self.folder):
            data = os.open(paths.at(), os.O_RDONLY | os.O_CLOEXEC)
            try:
                hashes = os.open(paths.at(".list"), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    raw = read_all(data, CHUNK, chunk * CHUNK)
                    right = hash_in(hashes, chunk)
                finally:
                    os.close(hashes)
            finally:
                os.close(data)
        if chunk_hash(raw) != right and not (self._owns and self._unhold(held.root, chunk)):
            raise DamagedBlob(
                f"chunk {chunk} of blob {held.root.hex()[:16]} is not what was written: the disk changed it; "
                "`banyan media fetch` asks peers for it"
            )
        return raw

    def _unhold(self, root: BlobRoot, chunk: int) -> bool:
        """A damaged chunk: the blob is unfinished again, with all other chunks. Returns whether it was the list alone
        that was damaged; then it is written again."""
        paths, of = self._paths(root), self.list_of(root)
        with on_disk(self.folder), self._lock:
            if of is None:
                return self._list_again(root)
            write_durably(paths.at(".held"), b"\1" * chunk + b"\0" + b"\1" * (of.chunks - chunk - 1))
            paths.at().replace(paths.at(".part"))
            sync_folder(paths.home)
        self._look(root)
        return False

    def _list_again(self, root: BlobRoot) -> bool:
        """Makes a damaged list from the bytes. If these are damaged too, nobody knows which of them are right: they
        are moved aside, because they may be the only ones."""
        paths, hashes, size = self._paths(root), list[bytes](), 0
        with paths.at().open("rb") as file:
            while raw := file.read(CHUNK):
                hashes.append(chunk_hash(raw))
                size += len(raw)
        try:
            of = check_list(root, size, b"".join(hashes))
        except Malformed:
            make_folder(self.folder / ASIDE)
            paths.at().replace(self.folder / ASIDE / root.hex())
            self.drop(root)
            return False
        write_durably(paths.at(".list"), list_bytes(of))
        self._look(root)
        return True

    # -- keeping and dropping

    def want(self, root: BlobRoot, now_s: int) -> None:
        """Somebody wants it now."""
        with suppress(OSError):
            os.utime(self._paths(root).at(".list"), (now_s, now_s))
            self._look(root)

    def pin(self, root: BlobRoot, keep: bool) -> None:
        """Keeps a blob whatever happens, or no longer. Durable when this returns."""
        paths = self._paths(root)
        with on_disk(self.folder):
            if keep:
                write_durably(paths.at(".pin"), b"")
            else:
                paths.at(".pin").unlink(missing_ok=True)
                sync_folder(paths.home)
        self._look(root)

    def drop(self, root: BlobRoot) -> bool:
        """Removes all files of a blob. Returns whether there were any."""
        paths, found = self._paths(root), False
        with on_disk(self.folder), self._lock:
            for ending in ENDINGS:  # the bytes first: without them the rest is an orphan, which the next start removes
                with suppress(FileNotFoundError):
                    paths.at(ending).unlink()
                    found = True
            if found:
                sync_folder(paths.home)
            self._held().pop(root, None)
        return found

    def tidy(self) -> int:
        """Removes what a crash left: drafts, and files of blobs that are not begun. Call it before anything is put.
        Returns how many files."""
        gone = 0
        with on_disk(self.folder), self._lock:
            for draft in self.folder.glob(DRAFT + "*"):
                draft.unlink()
                gone += 1
            for home in self.folder.glob("[0-9a-f][0-9a-f]"):
                there = {entry.name for entry in os.scandir(home)}
                for name in [name for name in there if not _belongs(name, there)]:
                    (home / name).unlink()
                    gone += 1
            self._index = None
        return gone

    def _paths(self, root: BlobRoot) -> BlobPaths:
        return BlobPaths(self.folder, root)


def _belongs(name: str, there: set[str]) -> bool:
    """Whether a file is one of a blob that has a list and bytes. there: the names in the folder."""
    root, dot, ending = name.partition(".")
    if len(root) != _ROOT_DIGITS or dot + ending not in ENDINGS or f"{root}.list" not in there:
        return False
    return ending not in ("part", "held") if root in there else f"{root}.part" in there


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """So many bytes; fewer only at the end."""
    found = read(size)
    while found and len(found) < size and (more := read(size - len(found))):
        found += more
    return found
