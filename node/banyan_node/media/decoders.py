"""Processes that decode files, kept for the next file while one is likely to come.

Each serves one file at a time. One that passed the deadline is ended with its child, and the next file gets a new one:
so a file that hangs or kills what reads it costs itself alone.
"""

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

# The program that decoding processes are forked from. It has loaded what they need, so that a file costs a fork (some 2
# ms) and no start of Python; each file still has a process of its own.
#
# Standard input is a socket. A question is WORDS bytes, the name of a program and a word for it, with three
# descriptors: the file, and what the two results are written to. The answer is what the program said, behind its size
# in 4 bytes; nothing if it was ended by a limit or by a fault. One question at a time; this program ends with the
# socket.
#
# The invariant: what a file does to the process that reads it, the next file does not see. That process has no socket,
# and limits of its own (media_child.limit). The deadline is that of who asks: it ends this program and its child.

WORDS = 64
"""Bytes of a question: two words, with a space between them and spaces behind."""
MOST_SAID = 1 << 16
"""Bytes of an answer: a child that says more is ended."""
AWAY = 64
"""Descriptors from here on are in the way of nothing."""


def main() -> None:
    from banyan_node.media import media_child, page_child  # with Pillow, which who asks does without

    programs = {"picture": media_child.read_picture, "film": media_child.read_film, "page": page_child.main}
    asked = socket.socket(fileno=0)
    gc.freeze()  # else each child copies what its first collection touches
    with suppress(OSError):  # who asks is gone
        while True:
            words, given, _, _ = socket.recv_fds(asked, WORDS, 3)
            if len(words) < WORDS:
                return
            program, word = words.decode().split()
            said = _forked(programs[program], word, given)
            for descriptor in given:
                os.close(descriptor)
            asked.sendall(len(said).to_bytes(4, "big") + said)


def _forked(program: Callable[[str], None], word: str, given: list[int]) -> bytes:
    """Runs the program in a child; returns what it said."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        _run(program, word, given, writes)
    os.close(writes)
    said = b""
    with os.fdopen(reads, "rb", buffering=0) as pipe:
        while len(said) <= MOST_SAID and (more := pipe.read(MOST_SAID)):
            said += more
    if len(said) > MOST_SAID:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return said if status == 0 else b""


def _run(program: Callable[[str], None], word: str, given: list[int], writes: int) -> None:
    """In the child; does not return."""
    status = 1
    try:
        some = [os.dup2(descriptor, AWAY + n) for n, descriptor in enumerate((*given, writes))]
        for descriptor, becomes in zip(some, (0, 3, 4, 1), strict=True):
            os.dup2(descriptor, becomes)
        os.closerange(5, AWAY + len(some))
        program(word)
        sys.stdout.flush()
        status = 0
    finally:
        os._exit(status)


IDLE_S = 30.0
"""A process that decoded nothing for so long is ended: it takes some 25 MB."""
Program = Literal["picture", "film", "page"]
_CODE = "from banyan_node.media.decoders import main; main()"


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
