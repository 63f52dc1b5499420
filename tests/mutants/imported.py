"""A pytest plugin: what is tested must be the copy, not the tree that is installed in the virtual environment.

And what is drawn at random is run last, for it takes longer.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

MODULE, FILE = "MUTANT_MODULE", "MUTANT_FILE"
"""Variables: the module that has the mistake, and the file that it must be read from."""
ELSEWHERE = 99
"""The exit status where it would be read from another one."""


def pytest_configure() -> None:
    for module in filter(None, os.environ[MODULE].split()):
        spec = find_spec(module)
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None or not origin.is_relative_to(os.environ[FILE]):
            pytest.exit(f"{module} would be imported from {origin}, not from {os.environ[FILE]}", ELSEWHERE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_drawn)


def _drawn(item: pytest.Item) -> bool:
    test = getattr(item, "obj", None)
    return hasattr(test, "hypothesis") or not {"seed", "number"}.isdisjoint(getattr(item, "fixturenames", ()))
