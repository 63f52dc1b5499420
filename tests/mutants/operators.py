"""Mistakes that nobody wrote down: small changes of operators in functions that changed since a commit.

    x < y  ->  x <= y      a and b  ->  a or b      not a  ->  a          if a: ...  ->  if False: ...
    x == y ->  x != y      a + b    ->  a - b       3  ->  4              min(...)   ->  max(...)
    a call that stands alone, `raise`, `return VALUE`, `break`, `continue`  ->  left out

The suites that are to notice them are the test files that import the module; if there is none, those of its room.
"""

from __future__ import annotations

import ast
import copy
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.mutants.anchor import Scope, expressions, replaced, scopes
from tests.mutants.mutant import Edit
from tests.mutants.runner import module_of
from tests.rooms import ROOMS, ROOT

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_RECKONED: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv}
_OTHER_CALL = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changed_since(commit: str) -> Iterator[tuple[Path, str, Scope]]:
    """Functions of the product in which a line differs from the commit: (file, name, function)."""
    asked = ["git", "diff", "--unified=0", commit, "--", *(f"{room}/banyan_{room}" for room in ROOMS)]
    said = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines: dict[Path, set[int]] = {}
    file = ROOT
    for line in said.split("\n"):
        if line.startswith("+++ "):
            file = ROOT / line.removeprefix("+++ b/")
        elif (found := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)) is not None:
            first, count = int(found[1]), int(found[2] or 1)
            lines.setdefault(file, set()).update(range(first, first + max(1, count)))
    for file, numbers in lines.items():
        if file.suffix == ".py" and file.is_file():
            for name, scope in scopes(ast.parse(file.read_text())):
                end = scope.end_lineno or scope.lineno
                function = isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef)
                if function and not numbers.isdisjoint(range(scope.lineno, end + 1)):
                    yield file, name, scope


def edits(file: Path, name: str, scope: Scope, suites: tuple[str, ...]) -> Iterator[Edit]:
    """All mistakes in one function, each alone."""
    text = file.read_text()
    for node, mistaken in _mistakes(scope):
        old, new = ast.unparse(node), ast.unparse(mistaken)
        where = f"{name}, line {node.lineno}: {old[:60]} -> {new[:60]}".replace("\n", " ")
        yield Edit(where, file, replaced(text, [node], new), suites)


def _mistakes(scope: Scope) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST]]:
    for statement in scope.body if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef) else ():
        for node in ast.walk(statement):
            match node:
                case ast.Return(value=ast.expr()):
                    yield node, ast.Return(ast.Constant(None))
                case ast.Raise() | ast.Break() | ast.Continue() | ast.Expr(ast.Call() | ast.Await()):
                    yield node, ast.Pass()
        for node in expressions(statement):
            yield from ((node, other) for other in _others(node))


def _others(node: ast.expr) -> Iterator[ast.expr]:
    other = copy.deepcopy(node)
    match node, other:
        case ast.Compare(ops=[op, *_]), ast.Compare() if type(op) in _COMPARED:
            other.ops[0] = _COMPARED[type(op)]()
            yield other
        case ast.BoolOp(op=op), ast.BoolOp():
            other.op = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield other
        case ast.UnaryOp(op=ast.Not(), operand=operand), _:
            yield operand
        case ast.BinOp(op=op), ast.BinOp() if type(op) in _RECKONED:
            other.op = _RECKONED[type(op)]()
            yield other
        case ast.Constant(value=bool(value)), ast.Constant():
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)), ast.Constant():
            yield ast.Constant(value + 1)
        case ast.Call(func=ast.Name(id=called)), ast.Call() if called in _OTHER_CALL:
            other.func = ast.Name(_OTHER_CALL[called])
            yield other
        case ast.IfExp(body=body, orelse=orelse), _:
            yield body
            yield orelse


@cache
def _imports() -> dict[Path, str]:
    return {file: file.read_text() for file in sorted((ROOT / "tests").rglob("test_*.py"))}


def suites_of(file: Path) -> tuple[str, ...]:
    """The smallest first."""
    module = module_of(file)
    package, _, last = module.rpartition(".")
    words = re.compile(
        rf"from {re.escape(module)} import|from {re.escape(package)} import .*\b{last}\b|import {module}\b"
    )
    found = [test for test, text in _imports().items() if words.search(text)]
    if not found:
        found = [test for test in _imports() if test.relative_to(ROOT).parts[1] == file.relative_to(ROOT).parts[0]]
    return tuple(str(test.relative_to(ROOT)) for test in sorted(found, key=lambda test: test.stat().st_size))
