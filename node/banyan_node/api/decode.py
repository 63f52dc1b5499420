"""Strict decoding of requests: every refusal is one sentence that names the field, and the nearest known one.

Nothing is converted: a text of digits is no number. An unknown field is an error, because a misspelt one would
otherwise be ignored silently.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import inspect

from banyan_node.api.declare import Method, Request
from banyan_node.operator_errors import CallError, bad_request

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_REGEX = re.compile(r" matching regex .*$", re.DOTALL)
_MISSING = re.compile(r"required field `([^`]*)`")
_SHOWN = 60


def request(method: Method, params: Mapping[str, Any]) -> Request:
    """The method's request. Raises CallError("bad_request")."""
    names = method.asks.__struct_encode_fields__
    for name in params:
        if name not in names:
            raise bad_request(_unknown(method.name, name, names))
    try:
        return msgspec.convert(params, method.asks)
    except msgspec.ValidationError as error:
        raise bad_request(wrong(method.name, method.asks, params, str(error))) from None
    except UnicodeEncodeError:  # of a command line, whose bytes may be any
        raise bad_request(f"{method.name}: a text of the request is not UTF-8.") from None
    except RecursionError:
        raise bad_request(f"{method.name}: the request is nested too deeply.") from None


def written_down(method: Method, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters without secrets, for the audit log."""
    return {name: "secret" if is_secret(method.asks, name) else value for name, value in params.items()}


def why_of(params: Mapping[str, Any]) -> str | None:
    """The reason that a request gives."""
    said = next((params[name] for name in ("why", "reason", "order") if params.get(name)), None)
    return said if isinstance(said, str) else None


def no_such_method(name: str, known: Mapping[str, Any]) -> CallError:
    near = get_close_matches(name, known, 1)
    listed = "`python -m banyan_node.api.reference` and GET /openapi.json list them."
    meant = f"; did you mean '{near[0]}'?" if near else f"; {listed}"
    return CallError("no_such_method", f"There is no method '{name[:_SHOWN]}'{meant}", 404)


def _unknown(method: str, name: str, names: tuple[str, ...]) -> str:
    near = get_close_matches(name, names, 1)
    if near:
        return f"{method} has no parameter '{name[:_SHOWN]}'; did you mean '{near[0]}'?"
    takes = f"it takes {', '.join(names)}" if names else "it takes none"
    return f"{method} has no parameter '{name[:_SHOWN]}'; {takes}."


def wrong(name: str, asks: type[msgspec.Struct], params: Mapping[str, Any], error: str) -> str:
    """Why the parameters of `name` are none, in a sentence without msgspec's patterns. error: what it says."""
    place = _PLACE.search(error)
    field, _, inside = (place[1] if place else "").partition("[")
    field, _, deeper = field.partition(".")
    if not field and (missing := _MISSING.search(error)):
        return f"{name} needs '{missing[1]}', {takes(asks, missing[1])}; it got nothing."
    if inside or deeper:
        what = _REGEX.sub(" of that form", _PLACE.sub("", error))
        return f"{name} takes '{field}' as {takes(asks, field)}; {what[:1].lower()}{what[1:]} inside it."
    secret = is_secret(asks, field)
    shown = "something else" if secret else _shown(params.get(field))
    return f"{name} takes '{field}' as {takes(asks, field)}; it got {shown}."


def _shown(value: Any) -> str:
    said = "nothing" if value is None else repr(value)
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"


def takes(asks: type[msgspec.Struct], field: str) -> str:
    """The type of a field, in words."""
    return words(_type_of(asks, field))


def is_secret(asks: type[msgspec.Struct], field: str) -> bool:
    return any(
        isinstance(t, inspect.Metadata) and (t.extra or {}).get("secret") for t in _layers(_type_of(asks, field))
    )


def _type_of(asks: type[msgspec.Struct], field: str) -> inspect.Type:
    info = inspect.type_info(asks)
    assert isinstance(info, inspect.StructType)
    return next((f.type for f in info.fields if f.encode_name == field), inspect.AnyType())


def _layers(kind: inspect.Type) -> list[inspect.Type]:
    """The type itself, those inside its annotations, and the members of a union."""
    found = [kind]
    if isinstance(kind, inspect.Metadata):
        found += _layers(kind.type)
    elif isinstance(kind, inspect.UnionType):
        found += [layer for member in kind.types for layer in _layers(member)]
    return found


def words(kind: inspect.Type) -> str:
    """A type in words, without None."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=extra) if extra and "title" in extra:
            return str(extra["title"])
        case inspect.Metadata(type=inner):
            return words(inner)
        case inspect.UnionType(types=types):
            return " or ".join(words(t) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.IntType(ge=least, le=most):
            bounds = f" from {least or 0} to {most}" if most is not None else f" from {least}" if least else ""
            return f"a whole number{bounds}"
        case inspect.StrType(min_length=least, max_length=most):
            bounds = "" if most is None else f" of at most {most:,} characters"
            return f"a text{bounds} that is not empty" if least else f"a text{bounds}"
        case inspect.BoolType():
            return "true or false"
        case inspect.FloatType():
            return "a number"
        case inspect.LiteralType(values=values):
            return " or ".join(map(str, values))
        case inspect.ListType(item_type=item, max_length=most) | inspect.VarTupleType(item_type=item, max_length=most):
            inner_words, bounds = words(item), "" if most is None else f" of at most {most:,}"
            return f"a list{bounds}" if inner_words == "anything" else f"a list{bounds}, each {inner_words}"
        case inspect.DictType():
            return "an object"
        case inspect.StructType(cls=cls):
            return f"an object ({cls.__name__})"
    return "anything"
