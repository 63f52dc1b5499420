"""What some tests need of the machine: a file system of their own, or strace; and a night.

Where a machine has it not, they are skipped and say what is missing; with `CI` in the environment they run and fail.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
"""Runs a command as the root of a user namespace, whose mounts nobody else sees."""


NIGHT = "BANYAN_NIGHT" in os.environ
"""More random worlds and examples than `.ci/run` has time for."""


def few(by_night: int, share: int = 3) -> int:
    """How many random worlds or examples there are: by day a third of those of a night, or a smaller share."""
    return by_night if NIGHT else by_night // share


def numbers(by_night: int, share: int = 3) -> range:
    """The numbers of random worlds: by day the first ones of them."""
    return range(few(by_night, share))


def skipped_without(missing: str | None) -> pytest.MarkDecorator:
    """missing: a sentence, or None if nothing is."""
    return pytest.mark.skipif(missing is not None and "CI" not in os.environ, reason=str(missing))


@functools.cache
def can_mount(*around: str) -> bool:
    """Whether a command may mount a file system. around: a command that runs it."""
    with tempfile.TemporaryDirectory() as folder:
        script = f"mount -t tmpfs none {folder} && umount {folder}"
        try:
            return subprocess.run([*around, "sh", "-c", script], check=False, capture_output=True).returncode == 0
        except OSError:
            return False


def on_own_disk(test: Callable[..., Any]) -> Callable[..., Any]:
    """Of a test that mounts file systems. It runs here if this process may do so, else in a user namespace."""
    if can_mount():
        return test

    def elsewhere(tmp_path: Path) -> None:
        place = f"{sys.modules[test.__module__].__file__}::{test.__name__}"
        command = [*OWN_MOUNTS, sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider"]
        command += ["--basetemp", str(tmp_path / "inside"), place]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-1_000:]

    elsewhere.__name__, elsewhere.__module__ = test.__name__, test.__module__
    missing = None if can_mount(*OWN_MOUNTS) else "no file system can be mounted, neither here nor with `unshare`"
    return skipped_without(missing)(elsewhere)
