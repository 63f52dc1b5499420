"""What a person has on paper or in the head: 24 words, commitments to them, passphrases.

The invariant: a secret is never an argument, which a shell would note, and never echoed. It is asked for on a terminal,
else read from a file or from standard input.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


MOST_WORDS = 65_536
"""Bytes that are read of a file of words."""
PASTE_SECONDS = 0.2
"""How long a terminal may be still in the middle of 24 words before the rest is asked for."""


def words_from(file: Path | None, question: str) -> str:
    """24 words as they were given, unchecked, on one line or on several. Raises BadInput."""
    if file is not None:
        try:
            with file.open("rb") as stream:
                return stream.read(MOST_WORDS).decode()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise BadInput(f"The words cannot be read from {file}: {why}.") from error
    if sys.stdin.isatty():
        return _typed(question)
    return sys.stdin.read()


def words_of(file: Path | None, passphrase_file: Path | None, question: str = "The 24 words") -> str:
    """As `words_from`, also from a file that `write_words` sealed. Raises BadInput, KeystoreError."""
    from banyan_node.home.keystore import is_sealed_paper, open_paper

    if file is None:
        return words_from(None, question)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadInput(f"The words cannot be read from {file}: {error.strerror}.") from error
    if not is_sealed_paper(raw):
        return words_from(file, question)
    return open_paper(file, passphrase_for(passphrase_file, new=False))


def write_words(path: Path, words: str, passphrase: str | None) -> None:
    """To a new file, readable by its owner alone, durable before this returns. Raises BadInput."""
    from banyan_node.home.folder import write_private
    from banyan_node.home.keystore import seal_paper

    try:
        if passphrase is None:
            write_private(path, words.encode() + b"\n", replace=False)
        else:
            seal_paper(path, words, passphrase)
    except FileExistsError as error:
        raise BadInput(f"{path} exists; name a file that does not.") from error
    except OSError as error:
        raise BadInput(f"The words cannot be written to {path} ({error.strerror}); nothing was changed.") from error


def passphrase_for(file: Path | None, new: bool = True) -> str:
    """The passphrase of a sealed file of words. Raises BadInput, KeystoreError."""
    from banyan_node.home.keystore import passphrase_from

    if file is not None:
        if (found := passphrase_from(file, env={})) is None:
            raise BadInput(f"{file} has no passphrase in it.")
        return found
    if not sys.stdin.isatty():
        raise BadInput("The passphrase of the words was not given; name a file with --passphrase-file.")
    if new:
        return new_passphrase()
    return str(typer.prompt("Passphrase of the words", hide_input=True, err=True))


def _typed(question: str) -> str:
    """Lines from the terminal until they are 24 words, or one is empty."""
    from banyan_node.home.mnemonic import COUNT, given

    text, so_far = "", 0
    with _no_echo():
        _ask(question)
        while so_far < COUNT:
            line = sys.stdin.readline()
            if not line and not text:
                raise typer.Abort
            text += line
            so_far = len(given(text))
            if not line.strip():
                break
            if so_far < COUNT and not select.select([sys.stdin], [], [], PASTE_SECONDS)[0]:
                _ask(f"{so_far} of {COUNT} so far; the next words")
    sys.stderr.write("\n")
    return text


def _ask(question: str) -> None:
    sys.stderr.write(f"{question}: ")
    sys.stderr.flush()


@contextmanager
def _no_echo() -> Iterator[None]:
    """What is typed is not shown; what was typed beyond is thrown away, so that it answers no other question."""
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


def checked_commitment(text: str) -> str:
    """The commitment as it was given. Raises BadInput."""
    from banyan_node.home.recovery import slot_of

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
