"""The program that decoding processes are forked from. It has loaded what they need, so that a file costs a fork (some
2 ms) and no start of Python; each file still has a process of its own.

Standard input is a socket. A question is WORDS bytes, the name of a program and a word for it, with three descriptors:
the file, and what the two results are written to. The answer is what the program said, behind its size in 4 bytes;
nothing if it was ended by a limit or by a fault. One question at a time; this program ends with the socket.

The invariant: what a file does to the process that reads it, the next file does not see. That process has no socket,
and limits of its own (media_child.limit). The deadline is that of who asks: it ends this program and its child.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

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
