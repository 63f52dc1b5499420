"""Scenes: recorded once, then crashed at many places."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.crash import disk
from tests.crash.disk import MARK, Disk, Said
from tests.crash.examine import promised, wrong
from tests.crash.trace import Call, traced

MAPPED = ("lock.mdb", "LOCK", "door.db-shm")
"""These files are mapped, so no call shows what is in them: LMDB's readers, SQLite's index of its log. Who opens the
store first makes them anew."""


def room() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: the product syncs much, and here no power is lost but in disk.py."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="crash-", dir=memory if os.access(memory, os.W_OK) else None)


SYNCS = ("fsync", "fdatasync")


class Crashed(NamedTuple):
    scene: str
    crashes: int
    syncs: int
    said: int
    """What was acknowledged, in all."""
    wrong: list[str]


class Recorded(NamedTuple):
    """A scene that ran once, in `folder`."""

    name: str
    folder: Path
    calls: list[Call]
    said: list[Said]


def record(names: Sequence[str], folder: Path) -> list[Recorded]:
    """Runs scenes under strace. Raises RuntimeError if one fails, or if its record does not give the files it left."""
    command = [sys.executable, "-m", "tests.crash.writer"]
    for name in names:
        (folder / name / "base").mkdir(parents=True)
        command += [name, str(folder / name / "base" / "home")]
    calls = traced(command, folder / "log")
    (folder / "log").unlink()
    begins = [k for k, call in enumerate(calls) if call.strings[:1] and call.strings[0].startswith(MARK + b"scene ")]
    ends = [*begins[1:], len(calls)]
    return [_one(name, folder / name, calls[a:b]) for name, a, b in zip(names, begins, ends, strict=True)]


def _one(name: str, folder: Path, calls: list[Call]) -> Recorded:
    whole = Disk(folder / "base", calls)
    whole.until(calls[-1].ended)
    whole.crash(folder / "whole", disk.KEPT, random.Random(0))
    differing = disk.same(folder / "base", folder / "whole", MAPPED)
    if differing:
        raise RuntimeError(f"the record does not say all that was written: {differing[:5]} differ")
    return Recorded(name, folder, calls, whole.said)


def crash(
    of: Recorded, places: int, seed: str, only: int = -1, keep: Path | None = None, deaf: bool = False
) -> Crashed:
    """Crashes it at so many random places.

    only: this one alone. keep: where the last home is copied to. deaf: the disk promises to sync, and does not.
    """
    calls = [call for call in of.calls if call.name not in SYNCS] if deaf else of.calls
    draws, now = random.Random(seed), Disk(of.folder / "base", calls)
    where, found = now.places, list[str]()
    for number, line in enumerate(sorted(draws.choice(where) for _ in range(places))):
        now.until(line)
        if only not in (-1, number):
            continue
        rng, left = random.Random(f"{seed}/{number}"), of.folder / "left"
        loss = disk.losses(rng)
        now.crash(left, loss, rng)
        (left / "home").mkdir(exist_ok=True)
        if keep is not None:
            shutil.copytree(left, keep, dirs_exist_ok=True)
        why = wrong(left, "home", promised(of.said, line))
        if why is not None:
            found.append(f"{of.name}:{number} at line {line} of {where[-1]}, {loss}: {why}")
        shutil.rmtree(left)
    syncs = sum(call.name in SYNCS for call in calls)
    return Crashed(of.name, places if only < 0 else 1, syncs, len(of.said), found)
