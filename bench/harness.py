"""What all benches share: options, statistics, the description of the machine, and the result.

A bench reports progress on standard error and ends with one JSON object on standard output: `bench`, then its figures
under the keys of FIGURES, then sizes, cases, machine and versions. With --json standard output has that object and
nothing else. Figures of several rounds are medians. Things that are compared are run in turn, so that a slow minute of
the machine affects both.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
FIGURES = (
    "entries_per_second",
    "bytes_per_difference",
    "round_trips",
    "delivered",
    "p50_ms",
    "p99_ms",
    "anon_mb",
    "bytes_per_entry",
    "seconds_to_ready",
    "ratio_to_small",
)
"""The keys that several benches share, in the order in which they are printed."""
LIBRARIES = ("libp2p", "lmdb", "pynacl", "numpy", "trio", "cbor2", "cryptography")


class BenchError(Exception):
    """A bench cannot go on; the sentence says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; --help lists what it takes.\n")


def arguments(
    name: str,
    about: str | None,
    argv: Sequence[str] | None,
    *,
    rounds: int = 3,
    more: Callable[[argparse.ArgumentParser], object] | None = None,
) -> argparse.Namespace:
    """The options of one bench; `more` adds its own. Exits with one sentence if they make no sense."""
    parser = _Parser(
        prog=f"bench {name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="standard output holds the JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, one round; at most 40 s on two busy cores")
    parser.add_argument("--rounds", type=at_least(1), default=None, help=f"default: {rounds}, with --quick 1")
    parser.add_argument(
        "--folder",
        type=Path,
        default=None,
        help="where stores are made and kept for the next run (default: a temporary folder)",
    )
    if more is not None:
        more(parser)
    args = parser.parse_args(argv)
    if args.rounds is None:
        args.rounds = 1 if args.quick else rounds
    if args.folder is not None and args.folder.exists() and not args.folder.is_dir():
        parser.error(f"--folder {args.folder} is a file; name a folder")
    return args


def at_least(least: int) -> Callable[[str], int]:
    """An argparse type: whole numbers from `least` on."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from None
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is less than {least}")
        return number

    return read


@contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    """The folder of --folder, which stays, or a temporary one, which is removed."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="banyan-bench-") as made:
        yield Path(made)


def say(text: str) -> None:
    """Reports progress on standard error."""
    print(f"  {text}", file=sys.stderr, flush=True)


def interleaved(rounds: int, cases: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """What each case returned, round by round; within a round the cases follow one another."""
    out: dict[str, list[T]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            out[name].append(run())
    return out


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0..1) of all do not exceed."""
    if not values:
        raise BenchError("nothing was measured, so there is no percentile")
    return sorted(values)[min(len(values) - 1, max(0, -(-int(share * 10_000) * len(values) // 10_000) - 1))]


def latencies_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50_ms and p99_ms."""
    return {"p50_ms": round(percentile(seconds, 0.5) * 1e3, 3), "p99_ms": round(percentile(seconds, 0.99) * 1e3, 3)}


def anon_mb(pid: int | None = None) -> float:
    """RssAnon in MB (10^6 bytes) of a process (None: this one) and of those that it started: their memory without pages
    of files, which the kernel can take back."""
    return round(sum(_status_kb(member, "RssAnon") for member in _family(pid or os.getpid())) * 1024 / 1e6, 1)


def data_mb(pid: int) -> float:
    """VmData in MB (10^6 bytes) of a process: the memory of its own that it reserved, used or not. `RLIMIT_DATA` bounds
    it."""
    return round(_status_kb(pid, "VmData") * 1024 / 1e6, 1)


def cpu_s(pid: int | None = None) -> float:
    """CPU seconds of a process (None: this one) and of those that it started."""
    first, *others = _family(pid or os.getpid())
    return (_spent(first) if pid else time.process_time()) + sum(map(_spent, others))


def _status_kb(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise BenchError(f"/proc/{pid}/status names no {name}; this needs Linux")


def _spent(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    """The process and its children."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for task in tasks for child in task.read_text("ascii").split())]


def machine() -> dict[str, Any]:
    """The machine. `load_1m`: its load average, for comparing runs."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        model = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), model)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (OSError, ValueError):
        memory = 0.0
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_1m": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "banyan": _commit()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """The version, and the commit of a checkout; '+' where the tree differs from it."""
    version = importlib.metadata.version("banyan-social")
    try:
        where = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{version} {where.stdout.strip()}"


def result_of(args: argparse.Namespace, bench: str, **figures: Any) -> dict[str, Any]:
    """The figures, with what they were measured on."""
    first = {k: figures[k] for k in FIGURES if k in figures}
    rest = {k: v for k, v in figures.items() if k not in first}
    return {
        "bench": bench,
        **first,
        **rest,
        "rounds": args.rounds,
        "quick": args.quick,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
    }


def finish(args: argparse.Namespace, bench: str, **figures: Any) -> dict[str, Any]:
    """Prints the one JSON object; without --json, a line for people before it. Returns the object."""
    result = result_of(args, bench, **figures)
    if not args.json:
        for name in FIGURES:
            if name in figures:
                print(f"{name:24} {_shown(figures[name])}")
        for case, found in result.get("cases", {}).items():
            print(f"{case}: " + ", ".join(f"{k} {_shown(v)}" for k, v in found.items()))
    print(json.dumps(result), flush=True)
    return result


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
