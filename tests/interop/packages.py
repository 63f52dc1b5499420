"""The packages of npm that these tests drive: what package-lock.json names, by its hashes, in a folder of the cache.

uv run python -m tests.interop.packages         fetches them, once; needs npm and the network
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from tests.needs import skipped_without

HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PLACE = _CACHE / "banyan-interop" / sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
"""Another lock is another folder."""
MODULES = PLACE / "node_modules"


def _missing() -> str | None:
    if shutil.which("node") is None:
        return "no `node` here: install Node.js 20 or newer"
    return None if MODULES.exists() else "no packages of npm: run `uv run python -m tests.interop.packages`"


needs_packages = skipped_without(_missing())


def fetch() -> None:
    """Nothing is run that a package brings. A fetch that was broken off leaves no folder."""
    if MODULES.exists():
        return
    shutil.rmtree(part := PLACE.with_suffix(".part"), ignore_errors=True)
    part.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(HERE / name, part)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=part, check=True, stdout=sys.stderr)
    shutil.rmtree(PLACE, ignore_errors=True)
    part.rename(PLACE)


if __name__ == "__main__":
    fetch()
