"""What a process did to a folder, call by call, as strace saw it.

strace is a Debian package and needs no compiler and no root. It prints each call with all its bytes, the path of each
file descriptor, and, where two threads are in a call at once, when each call began and when it ended.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CALLS = (
    "open,openat,creat,lseek,pwrite64,pwritev,pwritev2,writev,write,fdatasync,fsync,msync,sync_file_range,ftruncate,"
    "truncate,fallocate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile"
)
_RESULT = re.compile(r"\)\s+= (-?\w+|\?)")
SECONDS = 300
"""A writer that takes longer than this hangs."""


class Call(NamedTuple):
    """A call that worked. It was under way from line `began` to line `ended` of the log."""

    began: int
    ended: int
    name: str
    text: str
    """Its arguments, as strace prints them, but with nothing between the quotation marks of strings."""
    strings: list[bytes]
    """They are read once: there are megabytes of them, and each crash is of the same calls."""
    result: int

    def fd(self) -> tuple[int, str]:
        """The number and the path of the first descriptor."""
        return _fd(self.text)

    def numbers(self) -> list[int]:
        """The arguments after the last string or descriptor."""
        rest = self.text[max(self.text.rfind(mark) for mark in '">]') + 1 :]
        return [_number(word.strip()) for word in rest.split(",") if word.strip()]

    def paths(self) -> list[str]:
        """The paths of the file names, each joined to the folder of the descriptor before it."""
        found, folder = list[str](), ""
        for piece, path in zip(self.text.split('""'), self.strings, strict=False):
            if "<" in piece:
                folder = _plain(piece[piece.rindex("<") + 1 : piece.rindex(">")])
            found.append(os.path.normpath(os.path.join(folder, path.decode())))
        return found


def _number(word: str) -> int:
    return int(word, 8) if word.startswith("0") and word.isdigit() else int(word, 0)


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _plain(escaped: str) -> str:
    return _bytes(escaped).decode()


def _fd(text: str) -> tuple[int, str]:
    at = text.index("<")
    path = text[at + 1 : text.index(">", at)]
    return int(text[:at]), _plain(path) if path.startswith("\\x") else path


def can_trace() -> str | None:
    """Why strace cannot be used here, or None."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    done = subprocess.run(["strace", "-f", "-X", "raw", "-o", os.devnull, "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else f"strace may trace nothing here: {done.stderr.decode().strip()[:200]}"


def traced(command: Sequence[str], log: Path) -> list[Call]:
    """Runs the command to its end. Raises RuntimeError if it fails."""
    strace = ["strace", "-f", "-y", "-X", "raw", "-xx", "-s", "100000000", "--seccomp-bpf", "-e", "signal=none"]
    done = subprocess.run(
        [*strace, "-e", f"trace={CALLS}", "-o", str(log), *command],
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the writer ended with {done.returncode}: {done.stderr.decode()[-3_000:]}")
    with log.open() as lines:
        return sorted(calls(lines))


def calls(lines: Iterator[str]) -> Iterator[Call]:
    """The calls of a log that worked, in the order in which they ended."""
    open_: dict[str, tuple[int, str]] = {}
    for at, line in enumerate(lines):
        pid, _, text = line.rstrip("\n").partition(" ")
        text, began = text.strip(), at
        if text.endswith("<unfinished ...>"):
            open_[pid] = at, text[: -len("<unfinished ...>")].rstrip()
            continue
        if text.startswith("<... "):
            began, head = open_.pop(pid)
            text = head + text[text.index("resumed>") + len("resumed>") :]
        ends = _RESULT.search(text, max(text.rfind('"'), 0))
        if ends is None or "(" not in text:
            continue  # an exit, or a call that the end of the process cut off
        result = ends[1]
        if result.startswith("-") or result == "?":
            continue
        name, _, arguments = text[: ends.start()].partition("(")
        pieces = arguments.split('"')
        yield Call(began, at, name, '""'.join(pieces[::2]), [*map(_bytes, pieces[1::2])], int(result, 0))
