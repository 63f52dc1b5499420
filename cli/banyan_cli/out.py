"""The output of a command: results go to standard output, everything else to standard error.

The invariant: with --json, standard output has JSON values, one per line, and nothing else. Text of other people is not
trusted: `plain` removes what would move the cursor or change the direction of the line.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

_T = TypeVar("_T")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


class Out:
    """The two streams of one command. json: whether a program reads."""

    def __init__(self, json: bool) -> None:
        self.json = json

    @cached_property
    def console(self) -> Console:
        """Standard output: for what was asked for."""
        from rich.console import Console

        return Console(highlight=False)

    @cached_property
    def notes(self) -> Console:
        """Standard error: for progress, hints, warnings."""
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def answer(self, value: _T, show: Callable[[Console, _T], None]) -> None:
        """The one result of a command."""
        if self.json:
            write_json(value)
        else:
            show(self.console, value)

    def answers(self, values: list[_T], show: Callable[[Console, list[_T]], None], none: str) -> None:
        """Many results: one JSON value a line, or shown together. none: the note where there is no result."""
        if not values:
            self.note(none)
        elif self.json:
            for value in values:
                write_json(value)
        else:
            show(self.console, values)

    def done(self, value: Any, sentence: str) -> None:
        """A result whose whole meaning is one sentence."""
        if self.json:
            write_json(value)
        else:
            _write(sys.stdout, sentence)

    def note(self, sentence: str) -> None:
        """A sentence beside the result."""
        _write(sys.stderr, sentence)


def write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")) + "\n")
    sys.stdout.flush()


def _write(stream: TextIO, sentence: str) -> None:
    """Prints one line without rich, so that a command that prints one sentence need not load it."""
    stream.write(sentence + "\n")
    stream.flush()


def plain(text: str, *, lines: bool = False) -> str:
    """The text without control characters and direction marks. lines: whether it may have several lines."""
    kept = []
    for c in text.replace("\r\n", "\n").replace("\r", "\n"):
        if c == "\n" or c == "\t":
            kept.append(c if lines and c == "\n" else " ")
        elif c in _TURNS:
            continue
        else:
            kept.append("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c)
    return "".join(kept)
