"""One scene: recorded once, then crashed at many places."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from . import disk
from .disk import Disk
from .examine import promised, wrong
from .trace import traced

MAPPED = ("lock.mdb", "LOCK")
"""LMDB's readers are in a file that is mapped, so no call shows what is in it, and LMDB makes it anew."""


def room() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where there is one: the product syncs much, and here no power is lost but in disk.py."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="crash-", dir=memory if os.access(memory, os.W_OK) else None)


class Crashed(NamedTuple):
    scene: str
    crashes: int
    syncs: int
    said: int
    """What was acknowledged, in all."""
    wrong: list[str]


def scene(name: str, folder: Path, places: int, seed: str, only: int = -1, keep: Path | None = None) -> Crashed:
    """Crashes the scene at so many random places. only: this one alone. keep: where the last home is copied to."""
    base = folder / "base"
    base.mkdir(parents=True)
    calls = traced([sys.executable, "-m", "tests.crash.writer", name, str(base / "home")], folder / "log")
    (folder / "log").unlink()
    whole = Disk(base, calls)
    whole.until(len(calls) and calls[-1].ended)
    whole.crash(folder / "whole", disk.KEPT, random.Random(0))
    differing = disk.same(base, folder / "whole", MAPPED)
    if differing:
        raise RuntimeError(f"the record does not say all that was written: {differing[:5]} differ")
    draws, now = random.Random(seed), Disk(base, calls)
    where, found = now.places, list[str]()
    for number, line in enumerate(sorted(draws.choice(where) for _ in range(places))):
        now.until(line)
        if only not in (-1, number):
            continue
        rng, left = random.Random(f"{seed}/{number}"), folder / "left"
        loss = disk.losses(rng)
        now.crash(left, loss, rng)
        (left / "home").mkdir(exist_ok=True)
        if keep is not None:
            shutil.copytree(left, keep, dirs_exist_ok=True)
        why = wrong(left, "home", promised(whole.said, line))
        if why is not None:
            found.append(f"{name}:{number} at line {line} of {where[-1]}, {loss}: {why}")
        shutil.rmtree(left)
    syncs = sum(call.name in ("fsync", "fdatasync") for call in calls)
    return Crashed(name, places if only < 0 else 1, syncs, len(whole.said), found)
