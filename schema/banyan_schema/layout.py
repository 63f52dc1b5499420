"""Layouts: the content of a collection as a CBOR array of typed fields.

The strict reader (`strictly`) decodes the CBOR and checks every value; it defines what content means. The reader by
position (`by_position`) steps over the bytes field by field, in a fifth of the time. If it is not sure it gives up, and
the strict reader decides. Both are made from the fields, so a new field is one line and makes no reader slower.

A later version of a collection adds fields at the end, each of which may be null. A writer omits those at the end that
are null, so content that does not use them keeps its bytes. A reader ignores fields that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from inspect import signature
from typing import Any, Generic, TypeVar

from banyan_crdt.codec import ARRAY, NULL, decode, encode
from banyan_crdt.errors import BanyanError
from banyan_schema.fields import Field, NotContent, optional

C = TypeVar("C")
D = TypeVar("D")
_NULL = NULL[0]
MAX_DEPTH = 3
"""How deep arrays may nest in content."""
MAX_FIELDS = 23
"""With at most 23 fields the array's head is one byte."""


class Layout(Generic[C]):
    """How content of type C is written and read. `make`: the values of the fields, in order -> content. `split`:
    content -> these values."""

    def __init__(
        self,
        make: Callable[..., C],
        split: Callable[[C], Sequence[Any]],
        fields: Sequence[Field],
        later: Sequence[Field] = (),
    ) -> None:
        """`fields`: those of version 1, always written. `later`: those added since, in that order. Raises ValueError
        unless there are 1 to MAX_FIELDS."""
        self.make, self.split = make, split
        self.least, self._later = len(fields), tuple(later)
        self.fields = (*fields, *map(optional, later))
        if not 0 < self.least <= len(self.fields) <= MAX_FIELDS:
            raise ValueError(f"content has 1 to {MAX_FIELDS} fields; this layout has {len(self.fields)}")
        self._steps = tuple([(field.step, field.null) for field in self.fields])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the fields are called, for people and in JSON: as the parameters of `make`."""
        found = tuple(signature(self.make).parameters)
        if len(found) != len(self.fields):
            raise ValueError(f"`make` of a layout names its {len(self.fields)} fields; it has {', '.join(found)}")
        return found

    def with_field(self, make: Callable[..., D], split: Callable[[D], Sequence[Any]], field: Field) -> Layout[D]:
        """The layout of the next version, with one more field at the end."""
        return Layout(make, split, self.fields[: self.least], (*self._later, field))

    def encode(self, content: C) -> bytes:
        """The bytes of content. Raises ValueError with a sentence past a limit of a field."""
        values = [field.plain(value) for field, value in zip(self.fields, self.split(content), strict=True)]
        while len(values) > self.least and values[-1] is None:
            values.pop()
        return encode(values)

    def decode(self, raw: bytes) -> C | None:
        """The content, or None if these bytes are not content of this layout. Never raises."""
        values = self.values(raw)
        return None if values is None else self.make(*values)

    def values(self, raw: bytes) -> list[Any] | None:
        """The values of all fields of the layout, in order, or None as for `decode`."""
        found = self.by_position(raw)
        return self.strictly(raw) if found is None else found

    def by_position(self, raw: bytes) -> list[Any] | None:
        """The same as `strictly`, or None if this reader is not sure."""
        try:
            count = raw[0] - ARRAY
            if not self.least <= count <= len(self.fields):
                return None
            values: list[Any] = []
            at = 1
            for step, null in self._steps[:count]:
                if null and raw[at] == _NULL:
                    values.append(None)
                    at += 1
                else:
                    value, at = step(raw, at)
                    values.append(value)
        except (IndexError, ValueError):
            return None
        return self._whole(values) if at == len(raw) else None

    def strictly(self, raw: bytes) -> list[Any] | None:
        """The same as `values`, by the strict decoder of CBOR. Accepts any number of further, unknown fields."""
        try:
            found = decode(raw, MAX_DEPTH)
            if type(found) is not list or len(found) < self.least:
                return None
            return self._whole([field.read(value) for field, value in zip(self.fields, found, strict=False)])
        except (BanyanError, NotContent, UnicodeDecodeError):
            return None

    def _whole(self, values: list[Any]) -> list[Any]:
        return values + [None] * (len(self.fields) - len(values))
