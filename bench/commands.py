"""What one command costs: CPU seconds of a process of its own beside a running node, and what its imports cost.

Each case is a command line as a person types it. `cpu_s` is user and system time of the whole process; `python_s` of it
is the interpreter alone. The imports are those of a run with -X importtime, summed by package (its own files, not what
they import), the most expensive first, in milliseconds. Under load all are larger: compare rounds of one run.

python -m bench commands --json
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.harness import ROOT, BenchError, arguments, finish, interleaved, say, workplace

CASES: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "post": ("post", "hello"),
    "feed": ("feed",),
    "status": ("status",),
    "id_json": ("id", "--json"),
}
SHOWN = 8
"""Packages that are named for a case."""
START_S = 60.0


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments("commands", __doc__, argv, rounds=7)
    with workplace(args.folder) as folder, _node(folder / "node") as home:
        say(f"{len(CASES)} commands beside a running node, {args.rounds} rounds in turn")
        runs = {"python": [sys.executable, "-c", "pass"]}
        runs |= {name: _line(home, words) for name, words in CASES.items()}
        spent = interleaved(args.rounds, {name: partial(_cpu, line) for name, line in runs.items()})
        cases = {name: {"cpu_s": min(spent[name]), **_imports(home, words)} for name, words in CASES.items()}
    finish(args, "commands", python_s=min(spent["python"]), cases=cases)


def _line(home: Path, words: Sequence[str], *before: str) -> list[str]:
    return [sys.executable, *before, "-m", "banyan_cli", "--home", str(home), *words]


def _run(line: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(line, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"`{' '.join(line[-3:])}` ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return done


def _cpu(line: Sequence[str]) -> float:
    """CPU seconds of a process from exec to exit."""
    before = os.times()
    _run(line)
    after = os.times()
    return round(after.children_user + after.children_system - before.children_user - before.children_system, 3)


def _imports(home: Path, words: Sequence[str]) -> dict[str, Any]:
    """(milliseconds by package, the most expensive first; number of modules)."""
    said = _run(_line(home, words, "-X", "importtime")).stderr
    own: dict[str, int] = defaultdict(int)
    modules = 0
    for row in said.splitlines():
        parts = row.removeprefix("import time:").split("|")
        if row.startswith("import time:") and parts[0].strip().isdigit():
            own[parts[2].strip().split(".")[0]] += int(parts[0])
            modules += 1
    dearest = sorted(own.items(), key=lambda item: -item[1])[:SHOWN]
    return {"modules": modules, "imports_ms": {name: round(us / 1000, 1) for name, us in dearest}}


@contextmanager
def _node(home: Path) -> Iterator[Path]:
    """A node with an account and a few posts, answering."""
    if not home.exists():
        _run(_line(home, ("init", "--name", "An", "--realm", "test")))
    node = subprocess.Popen(
        _line(home, ("up",)), cwd=ROOT, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_S
        while not (home / "control.json").exists():
            if node.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the node in {home} did not start")
            time.sleep(0.1)
        _run(_line(home, ("post", "hello")))
        yield home
    finally:
        node.terminate()
        node.wait(30)


def _environment() -> dict[str, str]:
    """People's Python keeps what it compiled."""
    return {k: v for k, v in os.environ.items() if not k.startswith("BANYAN_") and k != "PYTHONDONTWRITEBYTECODE"}


if __name__ == "__main__":
    main()
