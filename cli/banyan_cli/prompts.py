"""Questions on a terminal: each has a default, and an answer that cannot be used is refused in one sentence, at once.

What is asked and what is refused goes to standard error, so that standard output has the result alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import typer

from banyan_cli import errors
from banyan_node.operator_errors import OperatorError
from banyan_node.terminal_escape import plain

T = TypeVar("T")


def on_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str, check: Callable[[str], T]) -> T:
    """The answer, as `check` returns it. check: raises OperatorError, whose sentence is shown before the question comes
    again. Raises typer.Abort at the end of the input, and KeyboardInterrupt."""
    while True:
        _say(f"{question} [{default}]: ")
        try:
            line = sys.stdin.readline()
            if not line:
                _say("\n")
                raise typer.Abort
            line.encode()  # bytes that are no text came through as they were
            return check(line.strip() or default)
        except UnicodeError:
            _say("That is not UTF-8; type it again, in the encoding of your terminal.\n")
        except OperatorError as why:
            _say(f"{errors.sentence(why)}\n")


def confirmed(question: str) -> bool:
    """Yes, unless the answer is no."""
    return ask(question, "yes", _yes_or_no)


def wait_for_enter(question: str) -> None:
    _say(f"{question}: ")
    if not sys.stdin.readline():
        _say("\n")
        raise typer.Abort


def _yes_or_no(text: str) -> bool:
    word = text.lower()
    if word not in ("y", "yes", "n", "no"):
        raise errors.BadInput("Answer yes or no.")
    return word.startswith("y")


def _say(text: str) -> None:
    sys.stderr.write(plain(text, lines=True))
    sys.stderr.flush()
