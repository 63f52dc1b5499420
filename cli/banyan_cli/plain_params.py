"""Parameters of the plain types, read without pydantic, and numbers below zero, which are no options.

Typer makes a pydantic adapter for each parameter on a command line, and importing pydantic costs as much as all the
rest of a command. A text, a whole number, a list of texts and a path that is not checked need no adapter. All other
types keep Typer's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer
from typer._coercion import RuntimeParam
from typer.core import TyperArgument, TyperOption

HELP = ["-h", "--help"]
_TEXTS = list[str]
_BELOW_ZERO = re.compile(r"-\.?[0-9]")
"""How a number below zero begins. No option is called so."""
_SHOWN = {str: "<text>", int: "<number>", Path: "<path>", _TEXTS: "<text>"}
"""What `--help` calls the value of an option."""


@dataclass(frozen=True)
class _Plain(RuntimeParam):
    """Values are texts from the command line, or defaults of the type that the command says."""

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        if self.annotation == _TEXTS:
            return list(map(str, value))
        if self.annotation is int:
            return self._number(value, param, ctx)
        if self.annotation is bool:  # a flag: no value is typed
            return bool(value)
        return Path(value) if self.annotation is Path else str(value)

    def _number(self, value: Any, param: Any, ctx: Any) -> int:
        try:
            number = int(value)
        except ValueError:
            raise typer.BadParameter(f"'{value}' is not a whole number.", ctx=ctx, param=param) from None
        least, most = self.parameter_info.min, self.parameter_info.max
        if (least is not None and number < least) or (most is not None and number > most):
            bounds = f"at least {least:,}" if most is None else f"{least or 0:,} to {most:,}"
            raise typer.BadParameter(f"{number:,} is out of range; give {bounds}.", ctx=ctx, param=param)
        return number


def _is_plain(param: TyperOption | TyperArgument) -> bool:
    annotation, info = param.type_descriptor.annotation, param.type_descriptor.parameter_info
    if info.parser is not None or info.clamp:
        return False
    if annotation is Path:
        return not (info.exists or info.writable or info.resolve_path or not info.dir_okay or not info.file_okay)
    return annotation in (str, int, bool, _TEXTS)


def _name(param: Any) -> None:
    """How `--help` and errors call the value of a parameter: people read it."""
    if isinstance(param, TyperArgument):
        param.metavar = param.metavar or str(param.name).upper()
    elif isinstance(param, TyperOption) and not param.is_flag:
        param.metavar = param.metavar or _SHOWN.get(param.type_descriptor.annotation)


def use_plain_params(command: Any) -> Any:
    """The same command. It and all its subcommands read these types without pydantic."""
    help_option = command.get_help_option(typer.Context(command, help_option_names=HELP))  # made here, kept there
    for param in (*command.params, *([help_option] if help_option else [])):
        _name(param)
        if isinstance(param, TyperOption | TyperArgument) and _is_plain(param):
            param._runtime_param = _Plain(param.type_descriptor.parameter_info, param.type_descriptor.annotation)
    groups = getattr(command, "commands", None)
    for below in (groups or {}).values():
        use_plain_params(below)
    if groups is None:
        command.make_parser = partial(_parser, command.make_parser)
    return command


def _parser(make: Callable[[Any], Any], ctx: Any) -> Any:
    """The parser of a command, to which `-1` is an argument and no option."""
    parser = make(ctx)
    options = parser._process_opts

    def read(word: str, state: Any) -> None:
        if _BELOW_ZERO.match(word):
            state.largs.append(word)
        else:
            options(word, state)

    parser._process_opts = read
    return parser
