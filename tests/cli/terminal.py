"""A command on a terminal of its own, driven as a person would: it reads the screen, types, and presses ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from types import TracebackType

from tests.cli.shell import clean_environment

_ON_TERMINAL = (
    "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""The terminal must be the controlling one: else ctrl-C is no signal. Whoever runs the tests in the background ignores
that signal, and what it starts would too."""
SECONDS = 30.0


class Terminal:
    """Use it as a context manager. screen: all that was shown so far."""

    def __init__(self, *words: object, **env: str) -> None:
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-c", _ON_TERMINAL, sys.executable, "-m", "banyan_cli", *map(str, words)]
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**clean_environment(), "TERM": "xterm", "COLUMNS": "200", **env},
        )
        os.close(theirs)
        self.screen = ""
        self._seen = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def sees(self, text: str) -> None:
        """Waits until the text is shown, behind what was seen before."""
        deadline = time.monotonic() + SECONDS
        while text not in self.screen[self._seen :]:
            assert time.monotonic() < deadline, f"{text!r} is not shown: {self.screen[self._seen :]!r}"
            if not self._read() and text not in self.screen[self._seen :]:
                raise AssertionError(f"it ended, and {text!r} was not shown: {self.screen[self._seen :]!r}")
        self._seen = self.screen.index(text, self._seen) + len(text)

    def types(self, line: str) -> None:
        os.write(self._ours, line.encode(errors="surrogateescape") + b"\n")

    def presses(self, key: str) -> None:
        """key: "c" is ctrl-C, "d" is ctrl-D."""
        os.write(self._ours, bytes([ord(key) - ord("a") + 1]))

    def ends(self) -> int:
        """Its exit code."""
        while self._read():
            pass
        return self._process.wait(SECONDS)

    def _read(self) -> bool:
        """More of what it shows; False once it has ended."""
        ready, _, _ = select.select([self._ours], [], [], 0.1)
        if not ready:
            return True
        try:
            more = os.read(self._ours, 65_536)
        except OSError:  # the other end was closed
            return False
        self.screen += more.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(more)
