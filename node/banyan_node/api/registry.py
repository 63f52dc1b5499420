"""All methods: those of the folder methods/, where they are found, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from itertools import pairwise
from pkgutil import iter_modules

from banyan_node.api import methods
from banyan_node.api.declare import Method


def by_name(found: Iterable[Method]) -> dict[str, Method]:
    """In the order of their names. Raises ValueError where two have the same."""
    known = sorted(found, key=lambda method: method.name)
    for one, other in pairwise(known):
        if one.name == other.name:
            raise ValueError(f"two methods have the name '{one.name}': rename one")
    return {method.name: method for method in known}


def _found() -> dict[str, Method]:
    """The methods of the modules of methods/."""
    modules = [import_module(f"{methods.__name__}.{module.name}") for module in iter_modules(methods.__path__)]
    return by_name(method for module in modules for method in module.METHODS)


EVERY = _found()
