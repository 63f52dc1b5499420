"""What commands declare fits what the methods that they call declare."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from banyan_cli import main
from banyan_cli.declare import Command, Parser, Resolver, root
from banyan_node.api.declare import named
from banyan_node.api.dispatch import method_of
from tests.cli.shell import banyan

assert main
DECLARED = {words: command for words, command in root.every() if command.method}
KINDS = {
    msgspec.inspect.BoolType: bool,
    msgspec.inspect.IntType: int,
    msgspec.inspect.StrType: str,
    msgspec.inspect.LiteralType: str,
    msgspec.inspect.ListType: list,
    msgspec.inspect.VarTupleType: list,
}


def _fields(command: Command) -> dict[str, msgspec.inspect.Field]:
    info = msgspec.inspect.type_info(method_of(command.method).asks)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.encode_name: field for field in info.fields}


def _taken(kind: msgspec.inspect.Type) -> set[Any]:
    """The types of Python that a field takes."""
    if isinstance(kind, msgspec.inspect.Metadata):
        return _taken(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return {one for inside in kind.types for one in _taken(inside)}
    return {KINDS.get(type(kind))}


def _given(kind: Any) -> Iterator[Any]:
    """The types of Python that the command line gives."""
    if hasattr(kind, "__metadata__"):
        yield from _given(get_args(kind)[0])
    elif get_origin(kind) in (list, Literal):
        yield list if get_origin(kind) is list else str
    elif inside := get_args(kind):
        for one in inside:
            yield from _given(one)
    elif kind is not NoneType:
        yield kind


def _beside(param: inspect.Parameter) -> list[Any]:
    return [one for one in getattr(param.annotation, "__metadata__", ()) if isinstance(one, Parser | Resolver)]


@pytest.mark.parametrize("words", DECLARED)
def test_a_declared_command_has_the_parameters_of_its_method(words: str) -> None:
    command = DECLARED[words]
    fields, fixed = _fields(command), named(command.fixed)
    params = named({param.name: param for param in command.params() if param.name != "yes"})
    assert set(params) | set(fixed) <= set(fields)
    assert {name for name, field in fields.items() if field.required} <= set(params) | set(fixed)
    for name, param in params.items():
        if not _beside(param):
            assert set(_given(param.annotation)) <= _taken(fields[name].type), name
            assert param.default in (inspect.Parameter.empty, None, fields[name].default) or name == "limit", name


@pytest.mark.parametrize("words", [words for words in DECLARED if "limit" in _fields(DECLARED[words])])
def test_a_page_is_no_larger_than_the_method_allows(words: str) -> None:
    command = DECLARED[words]
    asks = method_of(command.method).asks
    given: list[Any] = [command.fixed["limit"]] if "limit" in command.fixed else []
    for param in command.params():
        if param.name == "limit":
            given = [param.default, next(each.max for each in param.annotation.__metadata__ if hasattr(each, "max"))]
    assert given
    hint = next(field.type for field in msgspec.structs.fields(asks) if field.name == "limit")
    assert [msgspec.convert(limit, hint) for limit in given if limit is not None]


def test_square_brackets_in_a_table_are_text_and_not_markup(home: Path) -> None:
    assert banyan("--home", home, "group", "create", "[/b] nhóm [red]").code == 0
    ran = banyan("--home", home, "group", "ls")
    assert (ran.code, "[/b] nhóm [red]" in ran.out) == (0, True)
