"""Prints the reference of the control API as Markdown, from the declarations, so that it is always correct.

python -m banyan_node.api.page
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec
from msgspec import inspect

from banyan_node.api.declare import Method, Response
from banyan_node.api.decode import words
from banyan_node.api.errors import ALWAYS, REFUSALS
from banyan_node.api.events import AnyEvent, ApiEvent
from banyan_node.api.openapi import summary
from banyan_node.api.registry import EVERY


def reference() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Reference of the control API\n",
            *_overview(),
            *_methods(),
            *_objects(),
            *_answers(),
            *_events(),
            *_errors(),
        ]
    )


def _overview() -> Iterator[str]:
    yield "## Methods\n"
    yield "| method | kind | what it does |\n|---|---|---|"
    for m in EVERY.values():
        yield f"| [`{m.name}`](#{m.name.replace('.', '')}) | {kind(m)} | {summary(m)} |"
    yield ""


def kind(method: Method) -> str:
    """read or write, with "node" if it needs a running node."""
    return f"{method.kind}, node" if method.runs == "node" else method.kind


def _methods() -> Iterator[str]:
    for m in EVERY.values():
        yield f"### {m.name}\n"
        yield " ".join(m.about.split()) + "\n"
        fields = msgspec.structs.fields(m.asks)
        if fields:
            said = _said(m.asks)
            yield (said + "\n\n" if said else "") + "| parameter | what | default |\n|---|---|---|"
            shown = _fields(m.asks)
            for f in fields:
                default = "needed" if f.required else _shown(f.default)
                yield f"| `{f.encode_name}` | {shown[f.encode_name]} | {default} |"
            yield ""
        yield f"Answers {_link(inspect.type_info(m.answers))}. Refusals: {_codes((*m.errors, *ALWAYS))}.\n"


def _objects() -> Iterator[str]:
    """The objects in parameters."""
    asks = {m.asks for m in EVERY.values()}
    inside = [c for c in _structs(inspect.type_info(m.asks) for m in EVERY.values()) if c not in asks]
    if inside:
        yield "## Objects in parameters\n"
    for cls in inside:
        yield from _shape(cls)


def _answers() -> Iterator[str]:
    yield "## Answers\n"
    for cls in _structs(inspect.type_info(m.answers) for m in EVERY.values()):
        if issubclass(cls, Response):
            yield from _shape(cls)


def _events() -> Iterator[str]:
    yield "## Events\n"
    yield "Each has `event`, its name; `time_ms`, when it was sent; and `cursor`.\n"
    common = set(ApiEvent.__struct_fields__)
    for cls in get_args(AnyEvent):
        info, shown = _struct(cls), _fields(cls)
        own = ", ".join(f"`{name}` ({shown[name]})" for name in cls.__struct_fields__ if name not in common)
        said = _said(cls)
        yield f"- `{info.tag}`: {said}{' ' if said and own else ''}{own}{'.' if own else ''}"
    yield ""
    for cls in _structs(inspect.type_info(cls) for cls in get_args(AnyEvent)):
        if issubclass(cls, Response) and not issubclass(cls, ApiEvent):
            yield from _shape(cls)


def _errors() -> Iterator[str]:
    yield "## Refusals\n"
    yield "| code | status | when |\n|---|---|---|"
    for code, reason in REFUSALS.items():
        yield f"| `{code}` | {', '.join(map(str, sorted(reason.control)))} | {reason.when} |"
    yield ""


def _shape(cls: type) -> Iterator[str]:
    yield f"### {cls.__name__}\n"
    said = _said(cls)
    if said:
        yield said + "\n"
    fields = _fields(cls)
    if fields:
        yield "| field | what |\n|---|---|"
        for name, what in fields.items():
            yield f"| `{name}` | {what} |"
        yield ""


def _said(cls: type) -> str:
    """The class's own docstring, in one line."""
    return " ".join((cls.__dict__.get("__doc__") or "").split()).replace("|", "\\|")


def _fields(cls: type) -> dict[str, str]:
    return {f.encode_name: _what(f.type) for f in _struct(cls).fields}


def _struct(cls: type) -> inspect.StructType:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return info


def _what(kind: inspect.Type) -> str:
    said = kind.extra_json_schema or {} if isinstance(kind, inspect.Metadata) else {}
    more = said.get("description", "")
    return f"{_link(kind)}. {more}" if more and "title" not in said else more or _link(kind)


def _link(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            return str(extra["title"]) if extra and "title" in extra else _link(inner)
        case inspect.StructType(cls=cls):
            return f"[{cls.__name__}](#{cls.__name__.lower()})"
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return f"a list of {_link(item)}"
        case inspect.UnionType(types=types):
            return " or ".join("null" if isinstance(t, inspect.NoneType) else _link(t) for t in types)
        case inspect.DictType(key_type=key, value_type=value):
            return f"an object: {_link(key)} to {_link(value)}"
    return words(kind)


def _structs(kinds: Iterable[inspect.Type]) -> list[type]:
    """All structs in these types, each once."""
    found: dict[type, None] = {}

    def visit(kind: inspect.Type) -> None:
        match kind:
            case inspect.Metadata(type=inner):
                visit(inner)
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                visit(item)
            case inspect.UnionType(types=types):
                for t in types:
                    visit(t)
            case inspect.StructType(cls=cls, fields=fields) if cls not in found:
                found[cls] = None
                for f in fields:
                    visit(f.type)

    for kind in kinds:
        visit(kind)
    return [*found]


def _shown(default: Any) -> str:
    if default is None or default == ():
        return "none"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`" if default != "" else "none"


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


if __name__ == "__main__":
    print(reference(), end="")
