"""Many sets on real replicas, and one of them explained, for `nightly --world`.

A million sets take a night or more. With `--kept FILE` the report so far is in that file, and the same command goes on
from there, if the code is still the same.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from pathlib import Path

from tests.model.spec import Checkpoint, Op
from tests.model.world import CHECKS, Outcome, examine
from tests.model.world_sets import WorldSet, world_set
from tests.needs import NIGHT

CHUNK = 10
FIRST = 40
"""Failing sets that are named of each check."""
CI_SETS = 600 if NIGHT else 120
CI_CHUNKS = 20
ROOMS = ("crdt", "schema", "storage", "replica", "tests/model")
Job = tuple[str, int, int, str]


@dataclass
class Report:
    """checks: failing sets by the first check that each failed. every: by each check that they failed."""

    sets: int = 0
    entries: int = 0
    failed: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    every: Counter[str] = field(default_factory=Counter)
    themes: Counter[str] = field(default_factory=Counter)
    failed_themes: Counter[str] = field(default_factory=Counter)
    situations: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(check, seed, theme, what was seen)."""

    @classmethod
    def read(cls, file: Path, of: dict[str, str]) -> Report:
        """The report in a file; empty if there is none. Exits if it is of another run or of other code."""
        if not file.exists():
            return cls()
        try:
            kept = json.loads(file.read_text())
            report = cls(**{f.name: kept[f.name] for f in fields(cls)})
            other = [f"{name} {kept[name]!r}, not {value!r}" for name, value in of.items() if kept[name] != value]
        except (ValueError, KeyError, TypeError):
            sys.exit(f"{file} is no report of sets: name another file")
        if other:
            sys.exit(f"{file} has sets of {other[0]}: name another file, or move this one")
        for f in fields(cls):
            if isinstance(value := getattr(report, f.name), dict):
                setattr(report, f.name, Counter(value))
        report.examples = [(check, seed, theme, seen) for check, seed, theme, seen in report.examples]
        return report

    def write(self, file: Path, of: dict[str, str]) -> None:
        draft = file.with_name(file.name + ".new")
        draft.write_text(json.dumps(vars(self) | of))
        draft.replace(file)

    def add(self, o: Outcome) -> None:
        self.sets += 1
        self.entries += o.entries
        self.themes[o.theme] += 1
        self.situations += o.seen
        if o.failed:
            check, seen = next(iter(o.failed.items()))
            seen += f" [{len(o.failed)} checks; {tuple(o.tuning)}]"
            self.failed += 1
            self.failed_themes[o.theme] += 1
            self.checks[check] += 1
            self.every.update(o.failed.keys())
            if self.checks[check] <= FIRST:
                self.examples.append((check, o.seed, o.theme, seen))


def _chunk(job: Job) -> list[Outcome]:
    seed, first, stop, theme = job
    return [examine(f"{seed}/{n}", theme=theme) for n in range(first, stop)]


def code() -> str:
    """A name of the code that is examined, and of the code that examines it."""
    root, summed = Path(__file__).parents[2], blake2b(digest_size=8)
    for file in sorted(f for room in ROOMS for f in (root / room).rglob("*.py") if not f.name.startswith("test_")):
        summed.update(f"{file.relative_to(root).as_posix()}\n".encode() + file.read_bytes())
    return summed.hexdigest()


def work(seed: str, sets: int, jobs: int, theme: str = "", kept: Path | None = None) -> Report:
    """Examines `sets` sets. They depend only on `seed`. kept: goes on from the report in this file, and writes it."""
    of = {"seed": seed, "theme": theme, "code": code()}
    report = Report.read(kept, of) if kept else Report()
    before, began, said = report.sets, time.monotonic(), 0.0
    todo = [(seed, k, min(sets, k + CHUNK), theme) for k in range(before, sets, CHUNK)]
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=100) as pool:
        for outcomes in pool.imap(_chunk, todo):
            for o in outcomes:
                report.add(o)
            elapsed = time.monotonic() - began
            if elapsed - said > 5:
                said = elapsed
                rate, by_check = (report.sets - before) / elapsed, dict(report.checks.most_common())
                print(
                    f"{report.sets:,} of {sets:,} sets, {rate:.1f}/s, {report.failed} failed: {by_check}",
                    file=sys.stderr,
                )
                if kept:
                    report.write(kept, of)
    if kept:
        report.write(kept, of)
    return report


def main(seed: str, sets: int, jobs: int, theme: str, as_json: bool, kept: Path | None) -> int:
    began = time.monotonic()
    report = work(seed, sets, jobs, theme, kept)
    seconds = time.monotonic() - began
    if as_json:
        print(json.dumps(vars(report) | {"seed": seed, "code": code(), "seconds": round(seconds, 1)}))
    else:
        print(f"{report.sets} sets, unions of {report.entries} entries where all agreed, in {seconds:.0f} s")
        for title, counts in (("themes", report.themes), ("situations", report.situations)):
            print(f"{title}: " + ", ".join(f"{name} {n}" for name, n in counts.most_common()))
        rate = report.failed / max(1, report.sets)
        print(f"failed: {report.failed} ({rate:.2%}); by theme {dict(report.failed_themes)}")
        for check, n in sorted(report.checks.items()):
            print(f"  {check}: {n} first, {report.every[check]} in all ({CHECKS[check]})")
        for check, which, its_theme, seen in sorted(report.examples):
            print(f"    {check}  {which}  {its_theme}: {seen}")
    return 1 if report.failed else 0


def ci_chunk(chunk: int) -> list[str]:
    """One of CI_CHUNKS parts of the sets that the test suite examines: a sentence for each that failed."""
    found = (examine(f"ci/{n}") for n in range(chunk, CI_SETS, CI_CHUNKS))
    return [f"nightly --world --only {o.seed}: {o.failed}" for o in found if o.failed]


def shrink(seed: str, theme: str = "", check: str = "") -> tuple[list[int], Outcome]:
    """Leaves out entries, with all that follow them, while the run still fails the same check."""
    s, best = world_set(random.Random(f"{seed}/set"), theme), examine(seed, theme=theme)
    check = check or next(iter(best.failed), "")
    alive, tried = set(range(len(s.real))), bool(check)
    while tried:
        tried = False
        for i in sorted(alive, reverse=True):
            if i in alive:
                less = {x for x in alive if i not in s.path(x)}
                found = examine(seed, less, theme) if less else best
                if less and check in found.failed:
                    alive, best, tried = less, found, True
    return sorted(alive), best


def explain(seed: str, theme: str, as_json: bool) -> int:
    """Runs one seed, shrinks it if it fails, and shows what is left."""
    whole = examine(seed, theme=theme)
    if not whole.failed:
        print(json.dumps({"seed": seed, "failed": {}}) if as_json else f"{seed} ({whole.theme}): nothing failed")
        return 0
    alive, least = shrink(seed, theme)
    s = world_set(random.Random(f"{seed}/set"), theme)
    lines = [line_of(s, i) for i in alive] + [checkpoint_line(s, said.symbolic) for said in s.said]
    if as_json:
        print(
            json.dumps(
                {"seed": seed, "theme": s.theme, "failed": whole.failed, "shrunk": least.failed, "entries": lines}
            )
        )
    else:
        print(f"{seed} ({s.theme}, {len(s.real)} entries): {whole.failed}")
        print(f"with {len(alive)} entries: {least.failed}")
        print("\n".join(lines))
    return 1


def checkpoint_line(s: WorldSet, c: Checkpoint) -> str:
    index = {x.id: n for n, x in enumerate(s.symbolic)}
    pins = " ".join(f"pins {writer}/{log} #{index.get(i, '-')}" for writer, log, _, i in c.pins)
    return f"  checkpoint {c.n} of {c.signer}: seq {c.seq} #{index.get(c.names, '-')} {pins}"


def line_of(s: WorldSet, i: int) -> str:
    """One entry: number, signer, place, parent, whether it is signed, and what of it matters."""
    index, e = {x.id: n for n, x in enumerate(s.symbolic)}, s.symbolic[i]

    def plain(value: object) -> object:
        if isinstance(value, bytes):
            return f"#{index[value]}" if value in index else value.hex()[:6]
        return tuple(map(plain, value)) if isinstance(value, tuple) else value

    shown: list[Op] = [op for op in e.ops if not e.log or op[0] == "pin"]
    ops = " ".join(str(plain(op)) for op in shown)
    sig = "" if i in s.signed else " unsigned"
    parent = "" if s.prev[i] is None else f" on #{s.prev[i]}"
    return f"  #{i}: {e.signer} {f'log {e.log}' if e.log else 'control'} seq {e.seq}{parent}{sig} {ops}"
