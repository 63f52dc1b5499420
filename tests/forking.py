"""Processes for tests, forked from one that has loaded the program: loading is most of the work of a short life.

They differ in nothing else from those that `banyan` is: a home of their own, no setting from outside, and SIGKILL ends
them. (A test of how the program is started, or of signals while it loads, starts it with `COMMAND`.) So do the workers
of a door, with `starting.start_process`, and the processes of a bench, with `processes.start`.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, reduction
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import IO, Any

import pytest
import trio

from banyan_cli.main import main
from banyan_web.workers import child, supervisor
from bench.rig import child as bench_child

COMMAND = [sys.executable, "-W", "error::DeprecationWarning:banyan_cli", "-m", "banyan_cli"]
CLI = "import sys; from banyan_cli.main import main; sys.exit(main(sys.argv[1:]))"
"""`banyan`, for `Code`."""
LOADED = multiprocessing.get_context("forkserver")
get_temp_dir()  # for its socket: chosen now, because tests put another folder in this place
LOADED.set_forkserver_preload(
    ["banyan_cli.main", "banyan_node.process", "banyan_web.startup", "banyan_web.workers.child", __name__]
)


def forked(log: Path, *words: object, loaded_workers: bool = True) -> BaseProcess:
    """`banyan` with these words. What it says goes into the log."""
    does = run_with_loaded_workers if loaded_workers else run
    return started(does, log, log, clean_environment(), list(map(str, words)))


def started(runs: Callable[..., None], *given: object) -> BaseProcess:
    """A function of a module, in a process of its own."""
    child = LOADED.Process(target=runs, args=given)
    child.start()
    return child


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("BANYAN_")}


def run(out: Path, err: Path, environment: dict[str, str], words: Sequence[str], said: Path | None = None) -> None:
    """said: what it reads."""
    with out.open("ab") as first, err.open("ab") as second:
        os.dup2(first.fileno(), 1)
        os.dup2(second.fileno(), 2)
    if said is not None:
        sys.stdin = said.open(encoding="utf-8")
    _as_started(environment)
    sys.exit(main(words))


class Code:
    """Python code in a process of its own, as `subprocess.Popen` shows one, with pipes of text."""

    def __init__(self, code: str, *words: object, **env: str) -> None:
        (theirs_in, mine_in), (mine_out, theirs_out) = os.pipe(), os.pipe()
        sent, environment = [Descriptor(theirs_in), Descriptor(theirs_out)], {**clean_environment(), **env}
        self._made = started(_code, sent, code, list(map(str, words)), environment)
        os.close(theirs_in)
        os.close(theirs_out)
        self.stdin, self.stdout = os.fdopen(mine_in, "w", encoding="utf-8"), os.fdopen(mine_out, encoding="utf-8")
        assert self._made.pid is not None
        self.pid, self.kill, self.terminate = self._made.pid, self._made.kill, self._made.terminate

    def __enter__(self) -> Code:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit status, as `Popen.returncode` has it."""
        self.stdin.close()
        self._made.join(timeout)
        self.stdout.close()
        assert self._made.exitcode is not None, "it goes on"
        return self._made.exitcode

    def end(self) -> tuple[int, str]:
        """Its exit status, and what it said until its end."""
        self.stdin.close()
        said = self.stdout.read()
        return self.wait(), said


def _code(came: Sequence[tuple[int, int]], code: str, words: list[str], environment: dict[str, str]) -> None:
    for number, (_, here) in enumerate(came):
        os.dup2(here, number)
        os.close(here)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    _as_started(environment)
    sys.argv = ["-c", *words]
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})


def _as_started(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
    warnings.filterwarnings("error", category=DeprecationWarning, module="banyan_cli")


def run_with_loaded_workers(*given: Any) -> None:
    """They are forked by whom forked this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forkserver._forkserver, "ensure_running", lambda: None)  # else this process starts one of its own
        patch.setattr(supervisor, "start_process", loaded_worker)
        run(*given)


class Descriptor:
    """number: of a file that is open here, and that is open under the same number where this is sent to."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _received, (self.number, reduction.DupFd(self.number))


def _received(number: int, sent: Any) -> tuple[int, int]:
    """The number, and the one under which it came, which is none of those that are wanted."""
    return number, fcntl.fcntl(sent.detach(), fcntl.F_DUPFD_CLOEXEC, 500)


class WorkerProcess:
    """A worker of a door, as `trio.Process` shows one."""

    def __init__(self, made: BaseProcess) -> None:
        assert made.pid is not None
        self._made, self.pid, self.kill = made, made.pid, made.kill

    @property
    def returncode(self) -> int | None:
        return self._made.exitcode

    async def wait(self) -> int:
        await trio.lowlevel.wait_readable(self._made.sentinel)
        self._made.join()
        assert self._made.exitcode is not None
        return self._made.exitcode


async def loaded_worker(line: socket.socket, given: Sequence[int]) -> WorkerProcess:
    """What `starting.start_process` starts."""
    sent = [Descriptor(number) for number in (line.fileno(), 2, *given)]
    return WorkerProcess(await trio.to_thread.run_sync(started, _work, sent))


def _work(came: Sequence[tuple[int, int]]) -> None:
    for number, here in ((0, came[0][1]), *came[1:]):
        os.dup2(here, number)
        os.close(here)
    os.setsid()
    child.main()


class BenchProcess:
    """A process of a bench and its lines, as `subprocess.Popen` shows one."""

    def __init__(self, made: BaseProcess, writes: int, reads: int) -> None:
        assert made.pid is not None
        self._made, self.pid, self.kill = made, made.pid, made.kill
        self.stdin: IO[bytes] | None = open(writes, "wb", 0)  # noqa: SIM115 (`Child` closes both)
        self.stdout: IO[bytes] | None = open(reads, "rb", 0)  # noqa: SIM115

    def poll(self) -> int | None:
        return self._made.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._made.join(timeout)
        if self._made.exitcode is None:
            raise subprocess.TimeoutExpired("bench.rig.child", timeout or 0.0)
        return self._made.exitcode


def loaded_bench(words: Sequence[str], errors: IO[bytes]) -> BenchProcess:
    """What `processes.start` starts."""
    (asked, asks), (told, tells) = os.pipe(), os.pipe()
    made = started(_play, words, [Descriptor(number) for number in (asked, tells, errors.fileno())])
    os.close(asked)
    os.close(tells)
    return BenchProcess(made, asks, told)


def _play(words: Sequence[str], came: Sequence[tuple[int, int]]) -> None:
    for number, (_, here) in enumerate(came):
        os.dup2(here, number)
        os.close(here)
    sys.argv[1:] = words
    bench_child.main()
