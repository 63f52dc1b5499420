"""The bench's side of its processes: starting one, exchanging messages with it, ending it in every case.

The invariant: when the block ends, no process that it started is left. The standard error of a process is shown only
if it failed.
"""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from bench.harness import ROOT, BenchError

USUAL = {"node.realm": "test", "interest.mode": "all", "http.address_rate": "0", "http.anonymous_cpu": "0"}
"""Settings of every node of a bench: one that asks flat out without a token is not to be held up."""
PATIENCE_S = 300.0
"""How long an answer is waited for where the bench names no other time."""


class Started(Protocol):
    """A process and its lines, as `subprocess.Popen` shows one."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


def start(words: Sequence[str], errors: IO[bytes]) -> Started:
    """`bench.rig.child` with these words. Tests put a faster way in this place."""
    line = [sys.executable, "-m", "bench.rig.child", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=errors, bufsize=0)


class Child:
    """One process that plays `role` ("module:function") on nodes in `homes`. Use it as a context manager."""

    def __init__(self, role: str, homes: Sequence[Path], flags: dict[str, str] | None = None, **params: Any) -> None:
        given = {"homes": list(map(str, homes)), "flags": {**USUAL, **(flags or {})}, **params}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self._role = role
        self._process = start([role, json.dumps(given)], self._errors)
        self._read = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def say(self, value: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
        except BrokenPipeError:
            raise self._failed("ended too early") from None

    def hear(self, within: float = PATIENCE_S) -> Any:
        """Its next message. Raises BenchError where it ended or took too long."""
        assert self._process.stdout is not None
        until = time.monotonic() + within
        while b"\n" not in self._read:
            if not select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                raise self._failed(f"said nothing for {within:.0f} s")
            more = self._process.stdout.read(1 << 16)
            if not more:
                raise self._failed("ended too early")
            self._read += more
        line, self._read = self._read.split(b"\n", 1)
        return json.loads(line)

    def ask(self, value: Any, within: float = PATIENCE_S) -> Any:
        self.say(value)
        return self.hear(within)

    def kill(self) -> None:
        """Ends it at once, where what it would still write is thrown away."""
        self._process.kill()

    def _failed(self, how: str) -> BenchError:
        self._errors.seek(0)
        last = self._errors.read()[-3_000:].decode("utf-8", "replace").strip()
        return BenchError(f"the process that plays {self._role} {how}; it said: {last or 'nothing'}")

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        assert self._process.stdout is not None
        self._process.stdout.close()


def new_home(path: Path) -> Path:
    """A node's folder with keys of its own and no store yet. What a run that broke off left there goes."""
    shutil.rmtree(path, ignore_errors=True)
    home = Home(path)
    home.prepare()
    Keystore.create(home.keys)
    return path
