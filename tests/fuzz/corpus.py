"""The kept inputs: one file, a line for each input, so that a change of it can be read.

The file is small, because the suite replays it: of all inputs that a run kept, `chosen` takes the smallest that
together reach every block that all of them reach.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fuzz.engine import Engine
from tests.fuzz.target import Target

KEPT = Path(__file__).parent / "corpus.json"
MOST_BYTES = 500_000
"""The largest size of the file."""


def load(path: Path = KEPT) -> dict[str, list[bytes]]:
    """The inputs by target; none without the file."""
    if not path.exists():
        return {}
    return {name: [b64decode(line) for line in lines] for name, lines in json.loads(path.read_text()).items()}


def save(kept: Mapping[str, Sequence[bytes]], path: Path = KEPT) -> None:
    """Writes the file; it is whole or as before."""
    text = {name: [b64encode(raw).decode() for raw in sorted(raws)] for name, raws in sorted(kept.items())}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(text, indent=0) + "\n")
    new.replace(path)


def chosen(target: Target, raws: Sequence[bytes], most: int) -> list[bytes]:
    """The smallest inputs that reach all blocks, at most `most` bytes together. What the seeds reach is left out."""
    engine, out, size = Engine(target), [], 0
    for raw in target.seeds():
        engine.feed(raw)
    reached = len(engine.reached)
    for raw in sorted(set(raws), key=len):
        if size + len(raw) <= most:
            engine.feed(raw)
            if len(engine.reached) > reached:
                reached, size = len(engine.reached), size + len(raw)
                out.append(raw)
    return out
