"""Counts how often each block of the product's code runs.

`install` puts a counter at the beginning of every block (a function, a branch, a loop, a handler) of the product's
modules that are imported afterwards. So a mutation that reaches new code is noticed, and the work of an input is a
number that no clock and no other process changes. It rewrites syntax trees, which are alike in Python 3.11 to 3.13;
tracing would take ten times as long, and does not count.

The bytecode of these modules is not cached, and the product itself is not changed.
"""

from __future__ import annotations

import ast
import sys
from array import array
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tests.rooms import PACKAGES

ROOMS = frozenset(package.name for package in PACKAGES if package.name != "banyan_sim")
MOST = 1 << 16
"""Blocks that can be counted. The product has about a third of it."""
NAME = "__hits__"


class Block(NamedTuple):
    """Where a counted block begins."""

    module: str
    line: int


BLOCKS: list[Block] = []
COUNTERS = array("I", bytes(4 * MOST))
"""One for each block. An array, because Python counts in it faster than in numpy's."""
_VIEW: npt.NDArray[np.uint32] = np.frombuffer(COUNTERS, np.uint32)


def counts() -> npt.NDArray[np.uint32]:
    """How often each block ran since `clear`, in the order of BLOCKS. It is a view, and goes on counting."""
    return _VIEW[: len(BLOCKS)]


def clear() -> None:
    """Counts from 0."""
    counts()[:] = 0


def counted(source: bytes, path: str, module: str) -> CodeType:
    """The code of a module with counters. It finds COUNTERS under NAME among its globals."""
    tree = ast.parse(source, path)
    _Counting(module).body(tree.body)
    return compile(tree, path, "exec", dont_inherit=True)


def install() -> None:
    """Counts in all modules of the product that are imported from now on. Raises RuntimeError if one already is."""
    early = sorted(name for name in sys.modules if name.partition(".")[0] in ROOMS)
    if early:
        raise RuntimeError(f"{early[0]} was imported before its blocks could be counted")
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in ROOMS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        return counted(self.get_data(self.path), self.path, fullname)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__[NAME] = COUNTERS
        super().exec_module(module)


class _Counting:
    """Adds the counters. What runs once, at import, has none. Only statements are walked: there is no block in an
    expression."""

    def __init__(self, module: str) -> None:
        self._module, self._depth = module, 0

    def body(self, body: list[ast.stmt]) -> None:
        """Counts in these statements."""
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._depth += 1
                    self.body(node.body)
                    self._depth -= 1
                    said = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
                    node.body.insert(int(said), self._counter(node))
                case ast.If():
                    self._branch(node.body)
                    self._branch(node.orelse, node)
                case ast.While() | ast.For() | ast.AsyncFor():
                    self._branch(node.body)
                    self.body(node.orelse)
                case ast.Try() | ast.TryStar():
                    self.body(node.body)
                    for handler in node.handlers:
                        self._branch(handler.body)
                    self.body(node.orelse)
                    self.body(node.finalbody)
                case ast.Match():
                    for case in node.cases:
                        self._branch(case.body)
                case ast.ClassDef() | ast.With() | ast.AsyncWith():
                    self.body(node.body)

    def _branch(self, body: list[ast.stmt], of: ast.stmt | None = None) -> None:
        """of: what the branch belongs to, if it may be empty."""
        at = body[0] if body else of
        self.body(body)
        if self._depth and at is not None:
            body.insert(0, self._counter(at))

    def _counter(self, at: ast.stmt) -> ast.stmt:
        if len(BLOCKS) == MOST:
            raise RuntimeError(f"more than {MOST} blocks: raise MOST")
        BLOCKS.append(Block(self._module, at.lineno))
        place = {"lineno": at.lineno, "col_offset": at.col_offset}
        name, number = ast.Name(NAME, _LOAD, **place), ast.Constant(len(BLOCKS) - 1, None, **place)
        return ast.AugAssign(
            ast.Subscript(name, number, _STORE, **place), _ADD, ast.Constant(1, None, **place), **place
        )


_LOAD, _STORE, _ADD = ast.Load(), ast.Store(), ast.Add()
