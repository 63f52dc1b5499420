"""The data of a planted mistake."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.mutants.anchor import planted


class Edit(NamedTuple):
    """A mistake that can be planted. file: in the tree; text: what stands in it with the mistake."""

    name: str
    file: Path
    text: str
    suites: tuple[str, ...]


class Mutant(NamedTuple):
    """name: the mistake, in plain words. where: a function, class or assigned name of the product, in which `old` is
    found exactly once as syntax (anchor.py); `new` replaces it.

    suites: the test files that must notice it, quick or likely ones first.
    """

    name: str
    where: str
    old: str
    new: str
    suites: tuple[str, ...]

    def edit(self) -> Edit:
        """Raises NoPlace."""
        return Edit(self.name, *planted(self.where, self.old, self.new), self.suites)
