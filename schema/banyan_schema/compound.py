"""Types of fields that hold several values: two of one type, a list, a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from banyan_crdt.codec import ARRAY, NULL, Value, array_head
from banyan_schema.fields import Field, Json, NotContent

_NULL = NULL[0]
LONG = 24
LONGER = array_head(LONG)[0]
"""From so many members on, their number is a byte behind this one."""


def pair(field: Field) -> Field:
    """[first, second], both of the type `field`."""

    def take(value: Any) -> tuple[Any, Any]:
        if type(value) is not list or len(value) != 2:
            raise ValueError(f"{value!r:.60} is not a list of two, each {field.json.kind}")
        return field.json.take(value[0]), field.json.take(value[1])

    def show(value: tuple[Any, Any]) -> list[Any]:
        return [field.json.show(value[0]), field.json.show(value[1])]

    def strictly(value: Value) -> tuple[Any, Any]:
        if type(value) is not list or len(value) != 2:
            raise NotContent
        return field.read(value[0]), field.read(value[1])

    return Field(
        lambda value: [field.plain(value[0]), field.plain(value[1])],
        strictly,
        _stepper((field, field), tuple),
        json=Json(f"two, each {field.json.kind}", show, take),
    )


def many(what: str, field: Field, most: int, least: int = 0) -> Field:
    """A list of `least` to `most` (at most 255) values of the type `field`, as a tuple. what: its name in errors."""

    def checked(found: Sequence[Any]) -> Sequence[Any]:
        if not least <= len(found) <= most:
            raise ValueError(f"{what} are {len(found)}; {least} to {most} are possible")
        return found

    def read(value: Value) -> tuple[Any, ...]:
        if type(value) is not list or not least <= len(value) <= most:
            raise NotContent
        return tuple([field.read(one) for one in value])

    def step(raw: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        count, at = raw[at] - ARRAY, at + 1
        if count == LONGER - ARRAY:
            count, at = raw[at] if raw[at] >= LONG else -1, at + 1
        elif count >= LONG:
            raise NotContent
        if not least <= count <= most:
            raise NotContent
        found = []
        for _ in range(count):
            value, at = field.step(raw, at)
            found.append(value)
        return tuple(found), at

    def take(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise ValueError(f"{what} are a list, not {value!r:.60}")
        return tuple([field.json.take(one) for one in checked(value)])

    return Field(
        lambda value: [field.plain(one) for one in checked(value)],
        read,
        step,
        json=Json(f"a list of at most {most}, each {field.json.kind}", lambda v: [*map(field.json.show, v)], take),
    )


def record(what: str, make: type[Any], *fields: Field) -> Field:
    """An array of fields, read as `make`, a NamedTuple whose fields have their names in JSON. Further values at its end
    are of a later version and ignored. what: its name in errors."""
    names: tuple[str, ...] = make._fields
    if len(names) != len(fields):
        raise ValueError(f"{what} has {len(names)} names and {len(fields)} fields")

    def read(value: Value) -> Any:
        if type(value) is not list or len(value) < len(fields):
            raise NotContent
        return make(*[field.read(one) for field, one in zip(fields, value, strict=False)])

    def take(value: Any) -> Any:
        if type(value) is not dict:
            raise ValueError(f"{what} is an object with {', '.join(names)}, not {value!r:.60}")
        if unknown := sorted(value.keys() - {*names}):
            raise ValueError(f"{what} has no '{unknown[0]:.60}': it has {', '.join(names)}")
        if lacking := [n for n, field in zip(names, fields, strict=True) if not field.null and n not in value]:
            raise ValueError(f"{what} lacks '{lacking[0]}'")
        return make(*[field.json.take(value.get(n)) for n, field in zip(names, fields, strict=True)])

    return Field(
        lambda value: [field.plain(one) for field, one in zip(fields, value, strict=True)],
        read,
        _stepper(fields, make._make),
        json=Json(
            f"an object with {', '.join(names)}",
            lambda value: {n: field.json.show(one) for n, field, one in zip(names, fields, value, strict=True)},
            take,
        ),
    )


def _stepper(fields: Sequence[Field], make: Callable[[list[Any]], Any]) -> Callable[[bytes, int], tuple[Any, int]]:
    """Reads an array of exactly these fields by position."""
    head, steps = array_head(len(fields))[0], tuple([(field.step, field.null) for field in fields])

    def step(raw: bytes, at: int) -> tuple[Any, int]:
        if raw[at] != head:
            raise NotContent
        at, found = at + 1, list[Any]()
        for one, null in steps:
            if null and raw[at] == _NULL:
                value, at = None, at + 1
            else:
                value, at = one(raw, at)
            found.append(value)
        return make(found), at

    return step
