"""Processes that decode files (fork_server.py), kept for the next file while one is likely to come.

Each serves one file at a time. One that passed the deadline is ended with its child, and the next file gets a new one:
so a file that hangs or kills what reads it costs itself alone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from banyan_node.media.fork_server import WORDS

IDLE_S = 30.0
"""A process that decoded nothing for so long is ended: it takes some 25 MB."""
Program = Literal["picture", "film", "page"]
_CODE = "from banyan_node.media.fork_server import main; main()"


class _Gone(Exception):
    """The process does not answer: something ended it."""


class _Decoder:
    """One process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is for who asks; and so its child can be ended with it
            )
        self._ending = threading.Lock()
        self.used = 0.0
        """When it was given back."""

    def ask(self, question: bytes, given: Sequence[int], deadline_s: float) -> bytes:
        """Raises _Gone, TimeoutError."""
        until = time.monotonic() + deadline_s
        try:
            socket.send_fds(self._socket, [question], given)
            size = int.from_bytes(self._read(4, until), "big")
            return self._read(size, until)
        except TimeoutError:
            raise
        except OSError as error:
            raise _Gone from error

    def _read(self, size: int, until: float) -> bytes:
        raw = b""
        while len(raw) < size:
            self._socket.settimeout(max(0.001, until - time.monotonic()))
            more = self._socket.recv(size - len(raw))
            if not more:
                raise _Gone
            raw += more
        return raw

    def kill(self) -> None:
        """Ends it at once, with its child. Any thread."""
        with self._ending:
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):  # it ended by itself
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.kill()
                self._process.wait()

    def end(self) -> None:
        """The same, for whoever has it."""
        self.kill()
        self._socket.close()


class Decoders:
    """Those of one node. Any thread: each file that is decoded at the same time has one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []
        self._busy: set[_Decoder] = set()
        self._timer: threading.Timer | None = None
        self._closed = False

    def run(self, program: Program, word: str, given: Sequence[int], deadline_s: float) -> bytes:
        """What the program said of a file; nothing if it was ended by a limit or a fault. given: descriptors of the
        file and of two files for what is made of it. Raises TimeoutError."""
        question = f"{program} {word}".encode().ljust(WORDS)
        for _ in range(2):  # one that waited may have been ended meanwhile, by a system without memory
            decoder = self._take()
            if decoder is None:
                break
            kept = False
            try:
                said = decoder.ask(question, given, deadline_s)
                kept = True
                return said
            except _Gone:
                continue
            finally:
                self._give_back(decoder, kept)
        return b""

    def close(self) -> None:
        """Ends all of them, those that decode too. Those who wait get nothing."""
        with self._lock:
            self._closed = True
            idle, busy, self._idle = self._idle, list(self._busy), []
            if self._timer is not None:
                self._timer.cancel()
        for decoder in idle:
            decoder.end()
        for decoder in busy:  # whoever asked it finds that it is gone
            decoder.kill()

    def _take(self) -> _Decoder | None:
        """One that is free, or a new one; None after `close`."""
        with self._lock:
            if self._closed:
                return None
            decoder = self._idle.pop() if self._idle else _Decoder()
            self._busy.add(decoder)
            return decoder

    def _give_back(self, decoder: _Decoder, usable: bool) -> None:
        with self._lock:
            self._busy.discard(decoder)
            keep = usable and not self._closed
            if keep:
                decoder.used = time.monotonic()
                self._idle.append(decoder)
                self._look_later()
        if not keep:
            decoder.end()

    def _look_later(self) -> None:
        """With the lock."""
        if self._timer is None and self._idle and not self._closed:
            self._timer = threading.Timer(IDLE_S, self._end_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_idle(self) -> None:
        with self._lock:
            self._timer, now = None, time.monotonic()
            old = [one for one in self._idle if one.used <= now - IDLE_S]
            self._idle = [one for one in self._idle if one not in old]
            self._look_later()
        for decoder in old:
            decoder.end()
