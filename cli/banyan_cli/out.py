"""The output of a command: results go to standard output, everything else to standard error.

The invariant: with --json, standard output has JSON values, one per line, and nothing else. Text of other people is not
trusted: whatever a command prints leaves through `plain` or `plain_json`, which stop what would move the cursor or turn
the line. The commands call `plain` too, where a text must stay on its line or the width of it matters.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from banyan_node.terminal_escape import plain, plain_json

if TYPE_CHECKING:
    from rich.console import Console

_T = TypeVar("_T")


class Out:
    """The two streams of one command. json: whether a program reads."""

    def __init__(self, json: bool) -> None:
        self.json = json

    @cached_property
    def console(self) -> Console:
        """Standard output: for what was asked for."""
        from banyan_cli.console import harmless_console

        return harmless_console(stderr=False)

    @cached_property
    def notes(self) -> Console:
        """Standard error: for progress, hints, warnings."""
        from banyan_cli.console import harmless_console

        return harmless_console(stderr=True)

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
    sys.stdout.write(plain_json(json.dumps(value, ensure_ascii=False, separators=(", ", ": "))) + "\n")
    sys.stdout.flush()


def _write(stream: TextIO, sentence: str) -> None:
    """Prints one line without rich, so that a command that prints one sentence need not load it."""
    stream.write(plain(sentence, lines=True) + "\n")
    stream.flush()
