"""What a person has on paper or in the head: 24 words, commitments to them, passphrases.

The invariant: a secret is never an argument, which a shell would note, and never echoed. It is asked for on a terminal,
else read from a file or from standard input.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from banyan_cli.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

WordsFile = Annotated[
    Path | None,
    typer.Option("--words-file", help="A file with the 24 words; else they are asked for, or read from stdin."),
]


def words_from(file: Path | None, question: str) -> str:
    """24 words as they were given, unchecked. Raises BadInput."""
    if file is not None:
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise BadInput(f"The words cannot be read from {file}: {why}.") from error
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True, err=True))
    return sys.stdin.read()


def checked_commitment(text: str) -> str:
    """The commitment as it was given. Raises BadInput."""
    from banyan_node.recovery import slot_of

    try:
        slot_of(text)
    except ValueError as error:
        raise BadInput(str(error)) from error
    return text


def show_words(console: Console, words: list[str]) -> None:
    for row in range(6):
        console.print("  ".join(f"{n + 1:>2} {words[n]:<10}" for n in range(row, 24, 6)).rstrip())


def new_passphrase() -> str:
    if not sys.stdin.isatty():
        raise BadInput("A passphrase was asked for and there is no terminal; set BANYAN_PASSPHRASE.")
    return str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True))
