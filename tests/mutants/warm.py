"""A process that forks for each run of pytest, after it imported what the product and its tests depend on.

Nothing of the product or of its tests is imported before the fork, so what is planted is read. libp2p and its like take
some seconds, which a run that ends at its first test would otherwise spend on them alone.

    {"args": [...], "env": {...}, "said": path, "limit": seconds}  ->  {"status": the exit status, null past the limit}

Lines of JSON, in and out.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

STATUS_LOST = 98
"""Of a run that was ended by a signal."""


def modules_of(args: Sequence[str]) -> list[str]:
    """What pytest imports to collect these tests from elsewhere than this folder; determined in a fork."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found"
        if (child := os.fork()) == 0:
            with suppress(BaseException):
                collect(args, os.devnull)
                found.write_text("\n".join(name for name, one in sys.modules.items() if _from_elsewhere(one)))
            os._exit(0)
        os.waitpid(child, 0)
        return found.read_text().split("\n")


def _from_elsewhere(module: object) -> bool:
    """Whatever is of this folder may import what is planted later."""
    file = getattr(module, "__file__", None)
    return file is not None and not Path(file).resolve().is_relative_to(Path.cwd())


def collect(args: Sequence[str], said: str) -> int:
    """Runs pytest in this process, with its output in a file."""
    import pytest

    to = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to, 1)
    os.dup2(to, 2)
    return int(pytest.main(list(args)))


def run(args: Sequence[str], env: dict[str, str], said: str, limit: float) -> int | None:
    """The exit status of pytest in a separate process; None if it did not end in `limit` seconds."""
    if (child := os.fork()) == 0:
        status = STATUS_LOST
        try:
            os.setsid()
            os.environ.update(env)
            status = collect(args, said)
            sys.stdout.flush()
        except BaseException as why:
            Path(said).write_text(f"pytest broke off: {why!r}")
        os._exit(status)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) % 256
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def serve() -> None:
    out = os.fdopen(os.dup(1), "w")
    for name in modules_of(["--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider", *sys.argv[1:]]):
        with suppress(Exception):
            importlib.import_module(name)
    for line in sys.stdin:
        status = run(**json.loads(line))
        print(json.dumps({"status": status}), file=out, flush=True)


if __name__ == "__main__":
    serve()
