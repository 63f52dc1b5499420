"""The targets, by the room that they test. Every module here with a tuple TARGETS is found by itself."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from tests.fuzz.target import Target


def found() -> dict[str, Target]:
    """All targets, by name."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return {target.name: target for module in modules for target in module.TARGETS}
