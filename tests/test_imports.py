"""No import of the product leads back to where it began, not even one of types alone or inside a function."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.rooms import PACKAGES

_IMPORT = re.compile(r"^ *(?:from +(\.*)([\w.]*) +import +(\([^)]*\)|.*)|import +([\w.]+))", re.MULTILINE)


def modules() -> dict[str, Path]:
    """The files of the product by the names of their modules; a package is named as its `__init__`."""
    files = [(package.parent, file) for package in PACKAGES for file in package.rglob("*.py")]
    return {".".join(file.relative_to(base).with_suffix("").parts): file for base, file in files}


def imported(name: str, code: str, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a module imports, anywhere in its code."""
    for dots, of, what, whole in _IMPORT.findall(code):
        package = whole or ".".join([*name.split(".")[: -len(dots)], *filter(None, [of])] if dots else [of])
        inner = [f"{package}.{one.split()[0]}" for one in re.split(r"[(),\s]*[,(]\s*", what) if one.strip(" )\n")]
        for one in inner or [package]:
            named = (one, f"{one}.__init__", package, f"{package}.__init__")
            yield from [found for found in named if found in known and found != name][:1]


def test_no_module_imports_what_imports_it() -> None:
    known = modules()
    assert len(known) > 500
    graph = {name: set(imported(name, file.read_text("utf-8"), known)) for name, file in known.items()}
    assert sum(map(len, graph.values())) > 3_000
    assert "banyan_web.endpoint" in graph["banyan_web.mastodon.streaming.hub"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as why:
        raise AssertionError(f"a circle of imports: {' -> '.join(why.args[1])}") from None
