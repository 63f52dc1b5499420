"""A run over all targets, in slices: what is done is on disk after each, and the next slice goes on from there."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz import corpus
from tests.fuzz.engine import Engine, name_of
from tests.fuzz.target import Target
from tests.fuzz.targets import found

KEPT_BYTES = 340_000
"""Bytes of inputs in tests/fuzz/corpus.json: written as text they take a third more."""


def plan(inputs: int, only: str = "") -> dict[str, int]:
    """How many inputs each target reads. Raises SystemExit if no target has such a name."""
    targets = [t for t in found().values() if t.name.startswith(only)]
    if not targets:
        raise SystemExit(f"no target begins with '{only}'; there are {', '.join(found())}")
    shares = sum(t.share for t in targets)
    return {t.name: -(-inputs * t.share // shares) for t in targets}


def advance(state: Path, name: str, until: int, seed: str) -> int:
    """Runs a target until it has read so many inputs, this run and those before; tells how it went on stderr. Returns
    how many it has read."""
    target, before = found()[name], _read(state, name)
    if before["inputs"] >= until:
        return int(before["inputs"])
    engine, began = Engine(target), time.monotonic()
    path = state / f"{name}.corpus.json"
    engine.begin([*corpus.load().get(name, []), *corpus.load(path).get(name, [])])
    run = engine.go(until - before["inputs"], f"{seed}/{before['inputs']}")
    seconds = time.monotonic() - began
    corpus.save({name: run.kept}, path)
    for fault in run.faults:
        where = state / "faults"
        where.mkdir(exist_ok=True)
        (where / f"{name}-{name_of(fault.raw)}").write_bytes(fault.raw)
        (where / f"{name}-{name_of(fault.raw)}.txt").write_text(f"{fault.kind}\n\n{fault.what}")
    reached, blocks = engine.coverage()
    now = {
        "inputs": before["inputs"] + run.inputs,
        "refused": before["refused"] + run.refused,
        "seconds": round(before["seconds"] + seconds, 1),
        "kept": len(run.kept),
        "reached": reached,
        "blocks": blocks,
        "everywhere": len(engine.reached),
        "work": round(max(before["work"], run.most_work), 3),
        "memory": round(max(before["memory"], run.most_memory), 3),
        "faults": sorted({*before["faults"], *(fault.kind for fault in run.faults)}),
    }
    (state / f"{name}.json").write_text(json.dumps(now))
    print(
        f"{name}: {now['inputs']:,} inputs, {run.inputs / seconds:,.0f}/s, {reached} of {blocks} blocks, "
        f"{len(run.kept)} kept, {len(now['faults'])} faults",
        file=sys.stderr,
        flush=True,
    )
    return int(now["inputs"])


def _read(state: Path, name: str) -> dict[str, Any]:
    path = state / f"{name}.json"
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text())
        return known
    return {"inputs": 0, "refused": 0, "seconds": 0.0, "kept": 0, "reached": 0, "blocks": 0, "everywhere": 0} | {
        "work": 0.0,
        "memory": 0.0,
        "faults": [],
    }


def report(state: Path, names: dict[str, int], seconds: float) -> dict[str, Any]:
    """What all slices together found. work, memory: the largest share of the bound that an input used."""
    rows = {name: _read(state, name) for name in names}
    return {
        "inputs": sum(row["inputs"] for row in rows.values()),
        "faults": sum(len(row["faults"]) for row in rows.values()),
        "seconds": round(seconds, 1),
        "targets": rows,
    }


def table(told: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{told['inputs']:,} inputs, {told['faults']} faults, {told['seconds']} s"]
    for name, row in told["targets"].items():
        rate = row["inputs"] / row["seconds"] if row["seconds"] else 0
        lines.append(
            f"{name:22} {row['inputs']:9,} {rate:7,.0f}/s  {row['reached']:4} of {row['blocks']:4} blocks  "
            f"work {row['work']:.0%}  memory {row['memory']:.0%}  {', '.join(row['faults'])}"
        )
    return "\n".join(lines)


def show(name: str, raw: bytes) -> int:
    """Reads one input, and prints what happens. Returns 1 if it must not be possible."""
    target = found()[name]
    engine = Engine(target)
    engine.feed(raw, True)
    for fault in engine.run.faults:
        print(f"{fault.what}\n{name_of(fault.raw)}: {fault.raw.hex()}")
    if not engine.run.faults:
        print(f"{len(raw)} bytes, {'refused' if engine.run.refused else 'read'}, {len(engine.reached)} blocks")
    return 1 if engine.run.faults else 0


def keep(state: Path, only: str = "") -> int:
    """Chooses of the inputs of a run and of those kept before, and writes them into the tree."""
    known, targets = corpus.load(), found()
    shares = sum(_weight(t) for t in targets.values())
    for name, target in targets.items():
        if name.startswith(only):
            raws = [*known.get(name, []), *corpus.load(state / f"{name}.corpus.json").get(name, [])]
            known[name] = corpus.chosen(target, raws, KEPT_BYTES * _weight(target) // shares)
            print(f"{name}: {len(known[name])} of {len(raws)} inputs, {sum(map(len, known[name])):,} bytes")
    corpus.save({name: raws for name, raws in known.items() if name in targets})
    return 0


def _weight(target: Target) -> int:
    """The target's part of the kept bytes: large inputs need more of them."""
    return target.largest
