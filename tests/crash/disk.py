"""A disk that loses power: what may be in a folder afterwards, by the promises of POSIX and no more.

- What a file was given is on the disk when an fsync or fdatasync of it that began later has ended. Until then each of
  its sectors holds any of the states that it had since, whatever the others hold: writes are dropped, reordered and
  torn. A write through a descriptor with O_DSYNC is on the disk when it has ended.
- A sector (512 bytes) is written whole or not. Disks promise this, and LMDB needs it for its meta page.
- A file is as long as it was at any moment since its last sync. Where nothing was written it holds zeros.
- A name is on the disk when its folder was synced. Until then either a beginning of all changes of names is there, as
  journals have it (ext4, xfs, btrfs), or any choice of them. A rename is one change: both its names, or neither.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.crash.trace import Call

SECTOR, PAGE = 512, 4_096
O_CREAT, O_TRUNC, O_APPEND, O_DSYNC = 0o100, 0o1000, 0o2000, 0o10000
ROOT = 0
MARK = b"crash: "
"""How a line begins that a writer says."""


class Unknown(Exception):
    """A call of the record of which the disk cannot tell what it leaves: a run on a guess would prove nothing."""


class Said(NamedTuple):
    """The writer began to say it at this place of the log."""

    at: int
    words: list[str]


@dataclass(slots=True)
class _Change:
    """Of a file: bytes at an offset, or (data is None) a size."""

    ended: int
    offset: int
    data: bytes | None

    @property
    def end(self) -> int:
        return self.offset + len(self.data or b"")


@dataclass(slots=True)
class _File:
    disk: bytearray = field(default_factory=bytearray)
    now: int = 0
    """Its size, as processes see it."""
    waiting: list[_Change] = field(default_factory=list)


@dataclass(slots=True)
class _Rename:
    """Names that change together: (folder, name) -> what it leads to, or None."""

    ended: int
    names: dict[tuple[int, str], int | None]


class Loss(NamedTuple):
    """What a loss of power does, drawn once for each crash.

    kept: the share of changes that reached the disk though nothing made them. whole: a write is not torn.
    unit: bytes that are torn apart. journal: changes of names have an order.
    """

    kept: float
    whole: bool
    unit: int
    journal: bool


KEPT = Loss(1.0, True, SECTOR, True)
"""Nothing is lost."""


def losses(rng: random.Random) -> Loss:
    return Loss(
        rng.choice((0.0, 0.05, 0.5, 0.5, 0.95, 1.0)), rng.random() < 0.3, rng.choice((SECTOR, PAGE)), rng.random() < 0.5
    )


class Disk:
    """The folder `base` while a process writes to it. `until` moves on in time, `crash` makes what a crash leaves."""

    def __init__(self, base: Path, calls: Sequence[Call]) -> None:
        """base: a folder that was empty, and durable, before the calls."""
        self.base = str(base)
        self.files: dict[int, _File] = {}
        self.folders: dict[int, dict[str, int]] = {ROOT: {}}
        """As they are on the disk."""
        self._now: dict[tuple[int, str], int] = {}
        """Names, as processes see them."""
        self._renames: list[_Rename] = []
        self._at: dict[tuple[int, str], int] = {}
        """Where the next write of a descriptor goes."""
        self._flags: dict[tuple[int, str], int] = {}
        self._next = 1
        self.said: list[Said] = []
        self._steps = sorted(self._timeline(calls), key=lambda step: step[:2])
        self._done = 0

    # -- time

    def _timeline(self, calls: Sequence[Call]) -> Iterator[tuple[int, int, Callable[[], None]]]:
        """What happens at which line: a write from the moment it begins, a sync when it has ended."""
        for k, call in enumerate(calls):
            if call.name in ("fsync", "fdatasync"):
                yield call.ended, k, partial(self._sync, call)
            else:
                yield call.began, k, partial(self._begin, call)
                if call.name in ("pwrite64", "pwritev", "write", "writev"):
                    yield call.ended, k, partial(self._written, call)

    @property
    def places(self) -> list[int]:
        """The lines at which anything happens."""
        return sorted({at for at, _, do in self._steps if not _idle(do)})

    def until(self, line: int) -> None:
        """Moves on until just after this line."""
        while self._done < len(self._steps) and self._steps[self._done][0] <= line:
            self._steps[self._done][2]()
            self._done += 1

    # -- calls

    def _inode(self, path: str) -> int | None:
        """What a path leads to; None outside of the folder, and for a file that has no name any more."""
        if path == self.base:
            return ROOT
        found = self._where(path)
        return None if found is None else self._now.get(found)

    def _where(self, path: str) -> tuple[int, str] | None:
        """The folder and the name of a path, or None if it is not in here."""
        if not path.startswith(self.base + "/"):
            return None
        at, *names = ROOT, *path[len(self.base) + 1 :].split("/")
        for name in names[:-1]:
            if (at, name) not in self._now:
                return None
            at = self._now[at, name]
        return at, names[-1]

    def _begin(self, call: Call) -> None:
        match call.name:
            case "open" | "openat" | "creat":
                self._open(call)
            case "lseek":
                self._at[call.fd()] = call.result
            case "pwrite64" | "pwritev" | "write" | "writev":
                self._write(call)
            case "ftruncate" | "truncate" | "fallocate":
                self._resize(call)
            case "mkdir" | "mkdirat":
                self._made(call, call.paths()[-1], folder=True)
            case "link" | "linkat" | "rename" | "renameat" | "renameat2":
                self._named(call)
            case "unlink" | "unlinkat" | "rmdir":
                where = self._where(call.paths()[-1])
                if where is not None:
                    self._change_names(call, {where: None})
            case _:
                if self._inode(call.fd()[1]) is not None:
                    raise Unknown(f"{call.name} changed {call.fd()[1]}, and nothing says what it does to a disk")

    def _open(self, call: Call) -> None:
        path, flags = call.paths()[-1], call.numbers()[0]
        if not path.startswith(self.base + "/"):
            return
        opened = call.result, path
        self._at[opened], self._flags[opened] = 0, flags
        inode = self._inode(path)
        if inode is None:
            if flags & O_CREAT:
                self._made(call, path, folder=False)
        elif flags & O_TRUNC and self.files[inode].now:
            self._change(inode, _Change(call.ended, 0, None))

    def _made(self, call: Call, path: str, folder: bool) -> None:
        where = self._where(path)
        if where is None:
            return
        inode, self._next = self._next, self._next + 1
        if folder:
            self.folders[inode] = {}
        else:
            self.files[inode] = _File()
        self._change_names(call, {where: inode})

    def _named(self, call: Call) -> None:
        old, new = (self._where(path) for path in call.paths())
        if old is None and new is not None:
            raise Unknown(f"{call.paths()[1]} came from outside of the folder, where nothing was recorded")
        names: dict[tuple[int, str], int | None] = {}
        if old is not None and new is not None:
            names[new] = self._now[old]
        if old is not None and call.name.startswith("rename"):
            names[old] = None
        if names:
            self._change_names(call, names)

    def _change_names(self, call: Call, names: dict[tuple[int, str], int | None]) -> None:
        self._renames.append(_Rename(call.ended, names))
        for where, inode in names.items():
            if inode is None:
                self._now.pop(where, None)
            else:
                self._now[where] = inode

    def _write(self, call: Call) -> None:
        fd, path = call.fd()
        data = b"".join(call.strings)[: call.result]
        if fd == 1 and data.startswith(MARK):
            self.said += [Said(call.began, line.split()) for line in data[len(MARK) :].decode().splitlines()]
            return
        inode = self._inode(path)
        if inode is None:
            return
        if call.name.startswith("p"):
            at = call.numbers()[-1]
        else:
            append = self._flags.get((fd, path), 0) & O_APPEND
            at = self.files[inode].now if append else self._at.get((fd, path), 0)
            self._at[fd, path] = at + len(data)
        self._change(inode, _Change(call.ended, at, data))

    def _written(self, call: Call) -> None:
        """A write with O_DSYNC is on the disk when it has ended, and what waited below it with it."""
        fd, path = call.fd()
        inode = self._inode(path)
        if inode is None or not self._flags.get((fd, path), 0) & O_DSYNC:
            return
        file = self.files[inode]
        own = next(change for change in file.waiting if change.ended == call.ended)
        below = [c for c in file.waiting if c.data is not None and c.offset < own.end and own.offset < c.end]
        for change in below:
            _apply(file.disk, change)
        file.waiting = [c for c in file.waiting if c not in below]

    def _resize(self, call: Call) -> None:
        inode = self._inode(call.paths()[0] if call.name == "truncate" else call.fd()[1])
        if inode is None:
            return
        numbers = call.numbers()
        size = max(self.files[inode].now, sum(numbers[1:])) if call.name == "fallocate" else numbers[0]
        self._change(inode, _Change(call.ended, size, None))

    def _change(self, inode: int, change: _Change) -> None:
        file = self.files[inode]
        file.waiting.append(change)
        file.now = change.offset if change.data is None else max(file.now, change.end)

    def _sync(self, call: Call) -> None:
        inode = self._inode(call.fd()[1])
        if inode is None:
            return
        if inode in self.folders:
            synced = [r for r in self._renames if r.ended < call.began and any(at == inode for at, _ in r.names)]
            for names in synced:
                self._put(self.folders, names)
            self._renames = [r for r in self._renames if r not in synced]
            return
        file = self.files[inode]
        for change in file.waiting:
            if change.ended < call.began:
                _apply(file.disk, change)
        file.waiting = [change for change in file.waiting if change.ended >= call.began]

    @staticmethod
    def _put(folders: dict[int, dict[str, int]], change: _Rename) -> None:
        for (folder, name), inode in change.names.items():
            if inode is None:
                folders[folder].pop(name, None)
            else:
                folders[folder][name] = inode

    # -- the crash

    def crash(self, to: Path, loss: Loss, rng: random.Random) -> None:
        """Makes the folder `to` as it is after the power was lost now and came back."""
        folders = {inode: dict(names) for inode, names in self.folders.items()}
        reached = rng.randrange(len(self._renames) + 1) if loss.kept < 1 else len(self._renames)
        for k, change in enumerate(self._renames):
            if k < reached if loss.journal else rng.random() < loss.kept:
                self._put(folders, change)
        self._lay(to, ROOT, folders, loss, rng)

    def _lay(self, to: Path, inode: int, folders: dict[int, dict[str, int]], loss: Loss, rng: random.Random) -> None:
        to.mkdir(mode=0o700)
        for name, below in sorted(folders[inode].items()):
            if below in folders:
                self._lay(to / name, below, folders, loss, rng)
                continue
            handle = os.open(to / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(_left(self.files[below], loss, rng))


def _idle(do: Callable[[], None]) -> bool:
    """Whether nothing of it can be on the disk."""
    return isinstance(do, partial) and do.args[0].name in ("lseek", "open", "openat")


def _apply(raw: bytearray, change: _Change) -> None:
    if change.data is None:
        del raw[change.offset :]
        raw.extend(bytes(change.offset - len(raw)))
        return
    raw.extend(bytes(max(0, change.end - len(raw))))
    raw[change.offset : change.end] = change.data


def _left(file: _File, loss: Loss, rng: random.Random) -> bytes:
    """What a crash leaves of a file."""
    raw, sizes = bytearray(file.disk), [len(file.disk)]
    if loss.whole:
        for change in file.waiting:
            if rng.random() < loss.kept:
                _apply(raw, change)
        return bytes(raw)
    sectors: dict[int, list[bytes]] = {}
    now = bytearray(file.disk)
    for change in file.waiting:
        _apply(now, change)
        sizes.append(len(now))
        if change.data is not None:
            for at in range(change.offset // loss.unit * loss.unit, change.end, loss.unit):
                sectors.setdefault(at, []).append(bytes(now[at : at + loss.unit]))
    for at, states in sectors.items():
        kept = states[-1] if rng.random() < loss.kept else rng.choice([bytes(raw[at : at + loss.unit]), *states])
        if kept:
            _apply(raw, _Change(0, at, kept))
    _apply(raw, _Change(0, sizes[-1] if rng.random() < loss.kept else rng.choice(sizes), None))
    return bytes(raw)


def same(left: Path, right: Path, but: Sequence[str] = ()) -> list[str]:
    """The names below two folders whose files differ, except those in `but`."""
    names = {p.relative_to(top) for top in (left, right) for p in top.rglob("*") if p.name not in but}
    return sorted(str(name) for name in names if _look(left / name) != _look(right / name))


def _look(path: Path) -> bytes | None:
    if not path.exists():
        return None
    return b"a folder" if stat.S_ISDIR(path.stat().st_mode) else path.read_bytes()
