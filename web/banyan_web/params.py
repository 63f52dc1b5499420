"""Query, form, JSON and files of a request as one dictionary, by the rules of Rails, which clients of Mastodon write:

    a[]=1&a[]=2          {"a": ["1", "2"]}
    a[b]=1&a[c][]=2      {"a": {"b": "1", "c": ["2"]}}
    a[][b]=1&a[][b]=2    {"a": [{"b": "1"}, {"b": "2"}]}

JSON keeps its types; all else is text, or a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from banyan_web.refusals import Refused

_PART = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")
LARGEST = 10**20
DEEP = 5
"""Levels of brackets."""


def nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The dictionary of flat names. Raises Refused if two names contradict each other."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if not _NAME.fullmatch(name):
            raise Refused(400, f"{name[:40]!r} is no name of a parameter.")
        head, _, _ = name.partition("[")
        parts = _PART.findall(name[len(head) :])
        if len(parts) > DEEP:
            raise Refused(400, f"{name[:40]!r} has more than {DEEP} levels of brackets.")
        try:
            _put(found, [head, *parts], value)
        except (TypeError, AttributeError):
            raise Refused(400, f"{name[:40]!r} contradicts another parameter of the request.") from None
    return found


def _put(into: dict[str, Any], path: list[str], value: Any) -> None:
    key, rest = path[0], path[1:]
    if not rest:
        into[key] = value
    elif rest[0] != "":
        held = into.setdefault(key, {})
        if not isinstance(held, dict):
            raise TypeError
        _put(held, rest, value)
    else:
        held = into.setdefault(key, [])
        if not isinstance(held, list):
            raise TypeError
        if len(rest) == 1:
            held.append(value)
        else:  # a[][b]: the next item begins where a name comes again
            if not held or rest[1] in held[-1]:
                held.append({})
            _put(held[-1], rest[1:], value)


TRUE, FALSE = (
    frozenset({True, "true", "True", "1", "on", "t", "yes"}),
    frozenset({False, "false", "False", "FALSE", "0", "off", "OFF", "f", "F", "no", ""}),
)


def boolean(params: dict[str, Any], name: str, default: bool = False) -> bool:
    """Raises Refused."""
    value = params.get(name)
    if value is None:
        return default
    if isinstance(value, str | int) and value in TRUE:
        return True
    if isinstance(value, str | int) and value in FALSE:
        return False
    raise Refused(422, f"{name} is true or false.")


def truthy(params: dict[str, Any], name: str, default: bool = False) -> bool:
    """As Mastodon reads it, on which apps rely: whatever does not say no is yes. Raises Refused for a list."""
    value = params.get(name)
    return True if isinstance(value, str | int) and value not in FALSE else boolean(params, name, default)


def number(params: dict[str, Any], name: str, default: int, most: int, least: int = 1) -> int:
    """A whole number; one that is too large is the largest, as with Mastodon. Raises Refused."""
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        found = int(value) if isinstance(value, str | int) and len(str(value)) < 20 else None
    except ValueError:
        found = None
    if found is None:
        raise Refused(422, f"{name} is a whole number.")
    return max(least, min(most, found))


def whole(params: dict[str, Any], name: str, default: int, most: int, least: int = 1, status: int = 422) -> int:
    """As `number`, but one that is too large or too small is refused, as the OpenAPI document says. Raises Refused."""
    found = number(params, name, default, LARGEST, -LARGEST)
    if not least <= found <= most:
        raise Refused(status, f"{name} is a whole number from {least:,} to {most:,}.", code="bad_request")
    return found


def text(params: dict[str, Any], name: str, default: str | None = None) -> str:
    """`default` if it is missing or null, as many apps send it. Raises Refused if there is none, or it is no text."""
    value = params.get(name)
    if value is None:
        value = default
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str):
        raise Refused(422, f"{name} is missing." if value is None else f"{name} is a text.")
    if "\0" in value:
        raise Refused(422, f"{name} has a null character.")
    return value


def texts(params: dict[str, Any], name: str) -> list[str]:
    """A list of texts; none if it is missing; one text alone is a list of one. Raises Refused."""
    value = params.get(name)
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int) for item in items):
        raise Refused(422, f"{name} is a list of texts.")
    return [str(item) for item in items]
