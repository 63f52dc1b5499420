"""A name stands for one thing: whoever reads it in one room knows what it is in another."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.rooms import PACKAGES, ROOT

FILES = [file for package in PACKAGES if package.parent.name != "sim" for file in package.rglob("*.py")]
"""The product. An attack of the simulator has the name of what it attacks."""
_MAKERS = {"NewType", "NamedTuple", "TypedDict", "Enum"}


def classes(code: str) -> Iterator[str]:
    """The classes that a module makes, anywhere in it, those without a `class` statement too."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _MAKERS and node.args:
            yield str(ast.literal_eval(node.args[0]))


def more_than_once(places: Iterator[tuple[str, Path]]) -> Mapping[str, list[str]]:
    """The names that stand in more than one place, with the places."""
    found = defaultdict[str, list[str]](list)
    for name, file in places:
        found[name].append(file.relative_to(ROOT).as_posix())
    assert len(found) > 500
    return {name: sorted(where) for name, where in found.items() if len(where) > 1}


def test_the_name_of_a_class_stands_once() -> None:
    assert list(classes("A = NewType('A', int)\ndef f():\n    class B: ...")) == ["A", "B"]
    twice = more_than_once((name, file) for file in FILES for name in classes(file.read_text("utf-8")))
    assert not twice, f"name one of each by what it is: {twice}"
