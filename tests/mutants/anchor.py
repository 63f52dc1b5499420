"""Finds the place of a mistake by a name and a pattern of syntax, so that code can move, be wrapped otherwise and get
comments while its mistakes still fit.

A place is a function, a class or an assigned name, as `Class.method`, `function` or `NAME`; where several have it, the
module goes before it (`module.function`). A pattern is an expression, or statements in a row. It fits where the syntax
is the same; a block that is only `...` fits any block, and stands for it in what replaces it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.rooms import ROOMS, ROOT

Scope: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
Blocks: TypeAlias = dict[str, list[ast.stmt]]
_BLOCKS = ("body", "orelse", "finalbody", "handlers")


class NoPlace(Exception):
    """There is no such place, or the pattern is not in it exactly once."""


class Place(NamedTuple):
    file: Path
    text: str
    scope: Scope


@cache
def places() -> dict[str, list[tuple[str, Place]]]:
    """By its last name: (the whole name, with the modules; the place)."""
    found: dict[str, list[tuple[str, Place]]] = {}
    for room in ROOMS:
        for file in sorted((ROOT / room).glob("banyan_*/**/*.py")):
            text = file.read_text()
            module = ".".join(file.relative_to(ROOT / room).with_suffix("").parts)
            for name, scope in scopes(ast.parse(text)):
                found.setdefault(name.rpartition(".")[2], []).append((f".{module}.{name}", Place(file, text, scope)))
    return found


def place(where: str) -> Place:
    """Raises NoPlace."""
    found = [at for name, at in places().get(where.rpartition(".")[2], ()) if name.endswith(f".{where}")]
    if len(found) != 1:
        files = ", ".join(str(at.file.relative_to(ROOT)) for at in found[:5])
        raise NoPlace(f"{where} is in the product {len(found)} times, not once: {files}")
    return found[0]


def scopes(tree: ast.AST, before: str = "") -> Iterator[tuple[str, Scope]]:
    """Functions, classes and assigned names, with those that they are in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield before + node.name, node
            yield from scopes(node, f"{before}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(tree, ast.Module | ast.ClassDef):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        yield before + name.id, node
        elif isinstance(node, ast.If | ast.Try):
            yield from scopes(node, before)


def planted(where: str, old: str, new: str) -> tuple[Path, str]:
    """(the file, its text with `new` in place of what `old` fits). Raises NoPlace."""
    at = place(where)
    found = list(fits(at.scope, ast.parse(old).body, both_expressions(old, new)))
    if len(found) != 1:
        raise NoPlace(f"{where} has {len(found)} times what is to be replaced, not once: {old!r}")
    nodes, blocks = found[0]
    return at.file, replaced(at.text, nodes, ast.unparse(_filled(ast.parse(new), blocks)))


def replaced(text: str, nodes: Sequence[ast.expr | ast.stmt], new: str) -> str:
    """The text with these expressions or statements in a row replaced."""
    first, last = nodes[0], nodes[-1]
    lines = [line + "\n" for line in text.split("\n")]
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    begin = _offset(lines, _first_line(first), first.col_offset)
    end = _offset(lines, last.end_lineno, last.end_col_offset)
    lone = isinstance(first, ast.expr)
    made = f"({new})" if lone else new.replace("\n", "\n" + " " * first.col_offset)
    return text[:begin] + made + text[end:]


def both_expressions(old: str, new: str) -> bool:
    return all(len(body) == 1 and isinstance(body[0], ast.Expr) for body in (ast.parse(old).body, ast.parse(new).body))


def fits(
    scope: ast.AST, pattern: Sequence[ast.stmt], expression: bool
) -> Iterator[tuple[list[ast.expr] | list[ast.stmt], Blocks]]:
    """Where a pattern fits, and what `...` in it stands for there."""
    if expression:
        only = pattern[0]
        assert isinstance(only, ast.Expr)
        yield from (([node], {}) for node in expressions(scope) if _same(node, only.value, {}))
        return
    for node in [ast.Module([scope], []) if isinstance(scope, ast.stmt) else scope, *ast.walk(scope)]:
        for name in _BLOCKS:
            block: Sequence[ast.stmt] = getattr(node, name, ())
            for k in range(len(block) - len(pattern) + 1) if isinstance(block, list) else ():
                part, blocks = [*block[k : k + len(pattern)]], Blocks()
                if all(_same(a, b, blocks) for a, b in zip(part, pattern, strict=True)):
                    yield part, blocks


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Those in it that have a value; without what is inside an f-string, whose places Python does not tell before
    3.12."""
    if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", None), ast.Load | type(None)):
        yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from expressions(child)


def _same(node: object, pattern: object, blocks: Blocks) -> bool:
    if isinstance(pattern, ast.AST):
        return type(node) is type(pattern) and all(
            _same_field(name, getattr(node, name, None), getattr(pattern, name, None), blocks)
            for name in pattern._fields
            if name not in ("ctx", "type_comment", "kind")
        )
    if isinstance(pattern, list):
        return (
            isinstance(node, list)
            and len(node) == len(pattern)
            and all(_same(a, b, blocks) for a, b in zip(node, pattern, strict=True))
        )
    return type(node) is type(pattern) and node == pattern


def _same_field(name: str, node: object, pattern: object, blocks: Blocks) -> bool:
    if name in _BLOCKS and isinstance(node, list) and is_any(pattern):
        if not node:
            return False
        blocks[f"{name}{len(blocks)}"] = node
        return True
    return _same(node, pattern, blocks)


def is_any(block: object) -> bool:
    """Whether it is only `...`."""
    match block:
        case [ast.Expr(ast.Constant(value))]:
            return value is ...
    return False


def _filled(tree: ast.Module, blocks: Blocks) -> ast.Module:
    """With what `...` stands for, in order."""
    left = list(blocks.values())
    for node in ast.walk(tree):
        for name in _BLOCKS:
            if left and is_any(getattr(node, name, None)):
                setattr(node, name, left.pop(0))
    return tree


def _first_line(node: ast.expr | ast.stmt) -> int:
    decorators: Sequence[ast.expr] = getattr(node, "decorator_list", ())
    return min([node.lineno, *(one.lineno for one in decorators)])


def _offset(lines: Sequence[str], line: int, column: int) -> int:
    """In characters; `column` is in bytes of UTF-8."""
    before = lines[line - 1].encode()[:column].decode()
    return sum(map(len, lines[: line - 1])) + len(before)
