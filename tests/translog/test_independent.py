"""What this house writes is read by an implementation that others wrote (aics-tlog, aics-witness)."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from banyan_translog.checkpoints import TreeHead
from banyan_translog.merkle import consistency_proof, inclusion_proof, leaf_hash, root_hash
from banyan_translog.notes import SignedNote
from banyan_translog.tiles import WIDTH, Tile, bundle, in_tile, tile_bytes, tile_hash, tiles
from banyan_translog.witness import AddCheckpoint
from tests.translog.test_notes import LOG, WITNESS

PACKAGES = ("--with", "aics-tlog==0.2.1", "--with", "aics-witness==0.1.0")


@functools.cache
def python_with_packages() -> list[str] | None:
    """A command that runs a Python that has them; None if none can be had here."""
    if shutil.which("uv") is None:
        return None
    for version in ("3.12", "3.13"):
        command = ["uv", "run", "--no-project", "--no-python-downloads", "--python", version, *PACKAGES, "python"]
        done = subprocess.run([*command, "-c", "import aics_witness"], capture_output=True, check=False)
        if done.returncode == 0:
            return command
    return None


@pytest.mark.parametrize("size", [1, 255, 256, 257, 70_000])
def test_tiles_proofs_and_notes_are_read_by_others(size: int) -> None:
    python = python_with_packages()
    if python is None:
        pytest.skip("no Python 3.12 with aics-tlog and aics-witness can be had here")
    entries = [b"line %d" % n for n in range(size)]
    rows = [[leaf_hash(one) for one in entries]]
    while len(rows[-1]) >= WIDTH:
        row = b"".join(rows[-1])
        rows.append([tile_hash(row, n * WIDTH, WIDTH) for n in range(len(rows[-1]) // WIDTH)])

    def hashes(level: int, index: int) -> bytes:
        row, at, first, count = in_tile(level, index)
        return tile_hash(b"".join(rows[row][at * WIDTH + first :][:count]), 0, count)

    files = {one.path: tile_bytes(hashes, one) for one in tiles(size)}
    for at in range(0, size, WIDTH):
        part = entries[at : at + WIDTH]
        files[Tile(None, at // WIDTH, len(part)).path] = bundle(part)
    text = TreeHead(LOG.key.name, size, root_hash(hashes, size)).text
    note = SignedNote(text, (LOG.sign(text), WITNESS.sign(text, 1_679_315_147)))
    old = sorted({1, size // 2 or 1, size - 1 or 1, size})

    def shown(raw: bytes) -> str:
        return b64encode(raw).decode()

    given = {
        "entries": list(map(shown, entries)),
        "tiles": {path: shown(raw) for path, raw in files.items()},
        "log": LOG.key.text,
        "witness": WITNESS.key.text,
        "note": shown(note.raw),
        "inclusion": [(n, list(map(shown, inclusion_proof(hashes, n, size)))) for n in {0, size // 3, size - 1}],
        "consistency": [(n, list(map(shown, consistency_proof(hashes, n, size)))) for n in old],
        "request": shown(AddCheckpoint(0, (), note).raw),
    }
    assert b64decode(judged(python, given)["root"]) == root_hash(hashes, size)


def judged(python: list[str], given: dict[str, Any]) -> Any:
    """What independent.py makes of it."""
    script = Path(__file__).with_name("independent.py")
    done = subprocess.run([*python, str(script)], input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout)
