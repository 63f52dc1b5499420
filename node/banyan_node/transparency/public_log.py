"""The public log of a node, as files that anybody can mirror (C2SP tlog-tiles), in the folder `transparency`.

    key              the seeds of the log's key and of the witness's, 64 bytes; nobody else reads it
    checkpoint       the last one, with its cosignatures
    tile/...         hashes and lines (banyan_translog.tiles)

The invariants: lines are on the disk before the checkpoint that has them, so after a crash the old checkpoint stands
and the same lines are written again to the same files. A checkpoint is signed only if its tree begins with that of the
last one. The key is in the folder, so a home without it has another log and never a second history of this one.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from banyan_crdt.errors import BanyanError
from banyan_node.home.folder import write_private
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_folder import make_folder, sync_folder
from banyan_translog.checkpoints import TreeHead, signed_checkpoint
from banyan_translog.merkle import EMPTY, Hashes, leaf_hash, root_hash
from banyan_translog.notes import COSIGNER, NOTE, NoteKey, NoteSignature, NoteSigner, SignedNote, merged
from banyan_translog.tiles import HEIGHT, WIDTH, Tile, bundle, entries_of, in_tile, tile_bytes, tile_hash, tiles

TOGETHER = 4_096
"""Lines of one checkpoint, at most."""
_CACHED = 64
"""Tiles."""


class Pause(NamedTuple):
    """Until when a member is not asked, how long that is, and why."""

    until: float
    seconds: float
    why: str = ""


def log_key(public: bytes) -> NoteKey:
    """Of the log with this public key, which is in its name: who knows the name can verify it."""
    return NoteKey(f"banyan-log/{public.hex()}", NOTE, public)


def witness_key(public: bytes) -> NoteKey:
    """Of the witness with this public key."""
    return NoteKey(f"banyan-witness/{public.hex()}", COSIGNER, public)


class PublicLog:
    """One thread at a time appends, of one process; any thread does the rest. Raises StorageError, as its methods do
    that read or write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            make_durable(folder)
            if not (path := folder / "key").exists():
                write_private(path, os.urandom(64), replace=False)
            seeds = path.read_bytes()
            if len(seeds) != 64:
                raise StorageError(f"{path} has {len(seeds)} bytes instead of 64: put back the copy of a backup")
        except OSError as why:
            raise StorageError(f"the public log {folder} cannot be read ({why.strerror})") from why
        log, witness = log_key(_public(seeds[:32])), witness_key(_public(seeds[32:]))
        self.signer, self.witness = (
            NoteSigner(log.name, NOTE, seeds[:32]),
            NoteSigner(witness.name, COSIGNER, seeds[32:]),
        )
        self.checkpoint, self.note = TreeHead(log.name, 0, EMPTY), SignedNote("", ())
        """The last one; it has no note while the log is empty."""
        self.held: dict[bytes, int] = {}
        """By the public key of a witness, how many lines it said that it knows."""
        self.pauses: dict[bytes, Pause] = {}
        """By member."""
        self.reads: dict[bytes, Pause] = {}
        """By the public key of a member's log, until when it is not read."""
        self._lock = threading.Lock()
        self._read()

    def _read(self) -> None:
        path = self.folder / "checkpoint"
        try:
            if path.exists():
                self.checkpoint, self.note = signed_checkpoint(path.read_bytes(), [self.signer.key])
        except (OSError, BanyanError) as why:
            raise StorageError(f"{path} is damaged ({why}): put back the newest copy that a member mirrors") from why

    @property
    def size(self) -> int:
        return self.checkpoint.size

    def hashes(self, size: int) -> Hashes:
        """Of the tree of the first `size` lines."""
        return hashes_of(self._tile, size)

    def _tile(self, tile: Tile) -> bytes:
        """Of a tile that is not full, or of the full one that it has become."""
        path = self.folder / tile.path
        try:
            return (path if path.exists() else self.folder / Tile(tile.level, tile.index).path).read_bytes()
        except OSError as why:
            raise StorageError(
                f"the public log lacks {tile.path} ({why.strerror}); put back a member's mirror"
            ) from why

    def lines(self, index: int) -> list[bytes]:
        """Those of a bundle."""
        try:
            return lines_of(self._tile, self.size, index)
        except BanyanError as why:
            raise StorageError(f"lines of the public log are damaged: {why}") from why

    def line(self, index: int) -> bytes:
        return self.lines(index // WIDTH)[index % WIDTH]

    def append(self, lines: Sequence[bytes]) -> SignedNote:
        """Adds lines, at most TOGETHER, and signs the checkpoint that has them. All of it is on the disk then."""
        known, size = self.size, self.size + len(lines)
        before, leaves = self.hashes(known), list(map(leaf_hash, lines))
        if root_hash(before, known) != self.checkpoint.root:
            raise StorageError(f"the tiles of {self.folder} are damaged: their root is not that of its checkpoint")

        def hashes(level: int, index: int) -> bytes:
            if index < known >> level:
                return before(level, index)
            if level == 0:
                return leaves[index - known]
            return tile_hash(self._tile(Tile(level // HEIGHT - 1, index)), 0, WIDTH)

        try:
            some, full = [*self.lines(known // WIDTH), *lines], list[Path]()
            for at in range(0, len(some), WIDTH):
                part = some[at : at + WIDTH]
                full += self._write(Tile(None, (known + at) // WIDTH, len(part)), bundle(part))
            for tile in tiles(size, known):
                full += self._write(tile, tile_bytes(hashes, tile))
            made = TreeHead(self.checkpoint.origin, size, root_hash(self.hashes(size), size))
            note = SignedNote(made.text, (self.signer.sign(made.text),))
            with self._lock:
                write_private(self.folder / "checkpoint", note.raw)
                self.checkpoint, self.note = made, note
        except OSError as why:
            raise StorageError(f"the public log {self.folder} cannot be written ({why.strerror})") from why
        for path in full:
            shutil.rmtree(path.with_name(f"{path.name}.p"), ignore_errors=True)
        return note

    def cosigned(self, text: str, found: Sequence[NoteSignature]) -> None:
        """Adds cosignatures to the checkpoint of this text, unless another one has come since."""
        with self._lock:
            if text == self.note.text:
                note = merged(self.note, found)
                write_private(self.folder / "checkpoint", note.raw)
                self.note = note

    def _write(self, tile: Tile, raw: bytes) -> list[Path]:
        """The path of a tile that is full now."""
        path = self.folder / tile.path
        make_durable(path.parent)
        write_private(path, raw)
        return [path] if tile.width == WIDTH else []


def hashes_of(read: Callable[[Tile], bytes], size: int) -> Hashes:
    """Of the tree of the first `size` lines, from tiles. read: a tile, or the full one that it has become."""

    @lru_cache(_CACHED)
    def tile(level: int, index: int) -> bytes:
        return read(Tile(level, index, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH)))

    def hash_of(level: int, index: int) -> bytes:
        of, at, first, count = in_tile(level, index)
        return tile_hash(tile(of, at), first, count)

    return hash_of


def lines_of(read: Callable[[Tile], bytes], size: int, index: int) -> list[bytes]:
    """Those of a bundle of a log of this size. Raises Malformed."""
    width = min(WIDTH, size - index * WIDTH)
    return entries_of(read(Tile(None, index, width)), width) if width > 0 else []


def _public(seed: bytes) -> bytes:
    return NoteSigner("key", NOTE, seed).key.key


def make_durable(folder: Path) -> None:
    """Durably, with the folders above it."""
    if not folder.exists():
        make_durable(folder.parent)
        make_folder(folder)
        sync_folder(folder.parent)
