"""Replaces constants of the product in every module that imported them, and restores them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType


@cache
def places(name: str, modules: int) -> tuple[ModuleType, ...]:
    """The modules of the product that have this name. modules: how many are loaded, because more may be later."""
    return tuple(m for label, m in list(sys.modules.items()) if label.startswith("banyan_") and hasattr(m, name))


@contextmanager
def patched(**wanted: object) -> Iterator[None]:
    """Use it on one thread only."""
    found = [(m, name, getattr(m, name)) for name in wanted for m in places(name, len(sys.modules))]
    for module, name, _ in found:
        setattr(module, name, wanted[name])
    try:
        yield
    finally:
        for module, name, was in found:
            setattr(module, name, was)
