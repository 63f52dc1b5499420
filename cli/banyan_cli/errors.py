"""The errors that end a command, and their exit codes.

Every error that a person can correct is one sentence. Each kind has one exit code; `banyan --help` prints the table
EXIT_CODES. The invariant: the code alone tells a program whether to fix its input (2), wait for the network (3), check
the machine (4) or find a passphrase (5).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection
from typing import Any

from banyan_node.operator_errors import (
    CallError,
    ConfigError,
    HomeError,
    KeystoreError,
    NoNode,
    OperatorError,
    PortBusy,
)
from banyan_node.terminal_escape import plain

OK, FAILED, USAGE, UNREACHABLE, STORAGE, KEYS, BUG, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130

EXIT_CODES = {
    OK: "done",
    FAILED: "it was tried and refused, or did not come out as promised; the sentence says why",
    USAGE: "bad input: an argument, a setting or a file that cannot be used as it is",
    UNREACHABLE: "no node or no peer answers, or a port is taken",
    STORAGE: "the disk, the home folder or the store: full, locked, damaged or not yours",
    KEYS: "the keys file or its passphrase: missing, wrong or readable by others",
    BUG: "a mistake in banyan itself; --debug shows where",
    INTERRUPTED: "interrupted with ctrl-C",
}

_CALL_CODES = {
    "bad_request": USAGE,
    "ambiguous": USAGE,
    "no_node": UNREACHABLE,
    "no_peer": UNREACHABLE,
    "storage": STORAGE,
    "keys": KEYS,
}


class BadInput(OperatorError):
    """An argument, or a file that it names, cannot be used as it is."""


class Failed(OperatorError):
    """The command did its work, and the result is not what was promised."""


def exit_code(error: Exception) -> int | None:
    """The code of an error that a person can correct; None for a mistake of this program."""
    if isinstance(error, CallError):
        return _CALL_CODES.get(error.code, FAILED)
    for kinds, code in _BY_KIND:
        if isinstance(error, kinds):
            return code
    for module, kind, code in _IF_LOADED:
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], kind)):
            return code
    return None


def error_word(error: Exception) -> str:
    """The word that programs compare: `no_node`, `wrong_passphrase`, ..."""
    if isinstance(error, CallError):
        return error.code
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


def as_json(error: Exception, code: int, said: str) -> dict[str, Any]:
    """said: its sentence."""
    return {"error": {"code": error_word(error), "message": said, "exit": code}}


def sentence(
    error: Exception, typed: Collection[str] = (), command: Callable[[str], str | None] = lambda method: None
) -> str:
    """The error's text as a sentence. It begins with a capital, unless that would change a name.

    typed: the words of the command line, which may be names of files. command: the words of the one that calls a
    method, which stand in its place.
    """

    def named(found: re.Match[str]) -> str:
        words = command(found[2])
        return found[0] if words is None else f"`banyan {words}`" + found[3].removeprefix("`")

    text = _METHOD.sub(named, plain(str(error)).strip() or type(error).__name__)
    first = text.split(maxsplit=1)[0].rstrip(",:;")
    if text[0].islower():
        if first.startswith("did:"):
            text = f"The {'post' if '/' in first else 'account'} {text}"
        elif _KEY.fullmatch(first):
            text = f"The key {text}"
        elif isinstance(error, ConfigError) and _SETTING.fullmatch(first):
            text = f"The setting {text}"
        elif "/" in first or (first in map(os.path.normpath, typed) and not _OF_A_METHOD.match(text)):
            text = f"The file {text}"
        elif _WORD.fullmatch(first):  # else the name of a method or a setting
            text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else text + "."


_METHOD = re.compile(r"(`|^)([a-z_]+\.[a-z_.]*[a-z_])(`| takes | needs | has no parameter )")
_KEY = re.compile("[0-9a-f]{16,}")
_OF_A_METHOD = re.compile(r"[a-z.]+ (takes|needs|has no parameter) ")
_SETTING = re.compile(r"[a-z]+\.[a-z_]+")
_WORD = re.compile(r"[a-z]+([-'’`][a-z]+)*")


_BY_KIND: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((BadInput, ConfigError), USAGE),
    ((NoNode, PortBusy), UNREACHABLE),
    ((HomeError,), STORAGE),
    ((KeystoreError,), KEYS),
    ((OperatorError,), FAILED),
)
_IF_LOADED = (
    ("banyan_node.edge", "EdgeError", UNREACHABLE),
    ("banyan_node.alliance.papers", "BadPaper", USAGE),
    ("banyan_storage.errors", "StorageError", STORAGE),
    ("banyan_crdt.errors", "BanyanError", FAILED),
)
"""Kinds whose modules take long to load, and are loaded where one is raised."""
