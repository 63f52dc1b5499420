"""The data of a planted mistake, and how it is put into a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """name: the mistake, in plain words. old: text that is in `file` exactly once; `new` replaces it.

    suites: the test files that must notice it, quick or likely ones first.
    """

    name: str
    file: str
    old: str
    new: str
    suites: tuple[str, ...]

    @property
    def module(self) -> str:
        """The name under which the file is imported."""
        return ".".join(Path(self.file).with_suffix("").parts[1:])


class DoesNotApply(Exception):
    """The text to be replaced is not in the file exactly once: the list is older than the code."""


def mutated(mutant: Mutant, source: str) -> str:
    """The file with the mistake. Raises DoesNotApply."""
    found = source.count(mutant.old)
    if found != 1:
        raise DoesNotApply(f"{mutant.file} has the text to be replaced {found} times, not once: {mutant.old!r}")
    return source.replace(mutant.old, mutant.new)
