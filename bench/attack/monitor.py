"""Samples of the victim while its processes run, and the figures of each phase made of them.

Memory, CPU and disk are read from outside, so a victim that answers nothing is measured too. A post that was not
acknowledged, or has not arrived, counts with the age that it had when the last sample was taken: a victim that stops
must not look faster than one that is slow.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bench.harness import BenchError, anon_mb, cpu_s, data_mb, latencies_ms
from bench.rig.processes import Child

SILENT_S = 60.0
"""An honest process that says nothing for so long counts as ended."""
PHASES = ("before", "during", "after")


class Sample(NamedTuple):
    """At one moment. data_mb: what it reserved of the memory that it may have. disk_mb: what the victim's home takes.
    points, linked: of the honest neighbour as the victim sees it; of_victim, keeps: of the victim as the neighbour sees
    it; why: the last offence of either. None: the node did not say in time. waiting, away: posts that were not
    acknowledged yet, and that are not at the neighbour yet."""

    phase: str
    at: float
    cpu_s: float
    anon_mb: float
    data_mb: float
    disk_mb: float
    points: float | None
    linked: bool | None
    of_victim: float | None
    keeps: bool | None
    why: str | None
    said_after_s: float
    status: dict[str, Any]
    waiting: int
    away: int

    def __str__(self) -> str:
        held = f"neighbour {_words(self.points, self.linked)}, victim {_words(self.of_victim, self.keeps)}"
        posts = f"{self.waiting} posts wait, {self.away} are not at the peer"
        room = f"{self.anon_mb:5.0f} MB of {self.data_mb:.0f} reserved, {self.disk_mb:.1f} MB on disk"
        return f"{self.phase:6} {room}; {posts}; {held}"


def _words(points: float | None, linked: bool | None) -> str:
    return "not told" if points is None else f"{points:g} points{'' if linked else ', not linked'}"


@dataclass
class Monitor:
    """Watches one victim and its neighbour. home: the victim's folder."""

    victim: Child
    neighbour: Child
    home: Path
    samples: list[Sample] = field(default_factory=list)
    planned: list[float] = field(default_factory=list)
    answered: dict[int, float] = field(default_factory=dict)
    arrived: list[float] = field(default_factory=list)
    asides: list[float] = field(default_factory=list)
    aside_at: list[float] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)

    def sample(self, phase: str, names: tuple[str, str]) -> Sample:
        """Asks both nodes and reads the victim's process. names: peer ids of victim and neighbour. Raises BenchError
        where a process ended."""
        here, there = (child.ask("look", SILENT_S) for child in (self.victim, self.neighbour))
        self.planned, self.asides, self.refused = here["planned"], here["asides"], set(here["refused"])
        self.answered.update(dict(here["answers"]))
        self.arrived += there["at"]
        self.aside_at = there["aside_at"]
        found = Sample(
            phase,
            time.monotonic(),
            cpu_s(self.victim.pid),
            anon_mb(self.victim.pid),
            data_mb(self.victim.pid),
            disk_mb(self.home),
            *_standing(here, names[1]),
            *_standing(there, names[0]),
            _why(here, names[1]) or _why(there, names[0]),
            here["said_after_s"],
            here.get("status", {}),
            len(self.planned) - len(self.answered) - len(self.refused),
            len(self.planned) - len(self.arrived) - len(self.refused),
        )
        self.samples.append(found)
        return found

    def figures(self, phase: str) -> dict[str, Any]:
        """What one phase was like."""
        of = [s for s in self.samples if s.phase == phase]
        if len(of) < 2:
            raise BenchError(f"the phase {phase} has {len(of)} samples, too few to say anything")
        begun, ended, last = of[0].at, of[-1].at, self.samples[-1].at
        posts = [n for n, at in enumerate(self.planned) if begun <= at < ended]
        arrived = dict(zip((n for n in range(len(self.planned)) if n not in self.refused), self.arrived, strict=False))
        said = [self.answered.get(n, last) - self.planned[n] for n in posts]
        came = [arrived.get(n, last) - self.planned[n] for n in posts]
        aside = [
            (self.aside_at[n] if n < len(self.aside_at) else last) - at
            for n, at in enumerate(self.asides)
            if begun <= at < ended
        ]
        return {
            "posts": len(posts),
            "acknowledged": latencies_ms(said),
            "at_peer": latencies_ms(came),
            "never_acknowledged": sum(n not in self.answered for n in posts),
            "never_at_peer": sum(n not in arrived for n in posts),
            "by_comparing_s": round(max(aside), 1) if aside else None,
            "cpu_percent": round(100 * (of[-1].cpu_s - of[0].cpu_s) / (ended - begun)),
            "counted_percent": _counted(of),
            "anon_mb": max(s.anon_mb for s in of),
            "data_mb": max(s.data_mb for s in of),
            "disk_mb": of[-1].disk_mb,
            "points_of_neighbour": _most(s.points for s in of),
            "points_of_victim": _most(s.of_victim for s in of),
            "points_for": sorted({s.why for s in of if s.why}),
            "linked": all(s.linked is not False and s.keeps is not False for s in of),
            "status_after_s": round(max(s.said_after_s for s in of), 2),
            "status": of[-1].status,
        }


def _counted(of: list[Sample]) -> int | None:
    """The share of a core that the victim says strangers took."""
    told: list[tuple[float, float]] = [(s.at, s.status["strangers_cpu_s"]) for s in of if s.status]
    if len(told) < 2:
        return None
    (begun, first), (ended, last) = told[0], told[-1]
    return round(100 * (last - first) / (ended - begun))


def _most(points: Any) -> float | None:
    return max((p for p in points if p is not None), default=None)


def _standing(said: dict[str, Any], peer: str) -> tuple[float | None, bool | None]:
    """(points, whether it is linked and not banned) of a peer."""
    if "peers" not in said:
        return None, None
    points, linked, banned, _ = said["peers"].get(peer, (0.0, False, False, None))
    return points, linked and not banned


def _why(said: dict[str, Any], peer: str) -> str | None:
    """What the peer last lost points for."""
    row = said.get("peers", {}).get(peer)
    return row[3] if row is not None else None


def disk_mb(folder: Path) -> float:
    """MB (10^6 bytes) that files take on the disk, holes left out."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue  # it was removed meanwhile
    return round(total / 1e6, 1)
