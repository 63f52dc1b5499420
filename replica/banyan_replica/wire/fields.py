"""The types of fields: each reads a decoded CBOR value strictly, writes it back, and has its grammar.

A `FieldKind` is the only definition of a type, so the codec and the grammar in docs/protocol.md cannot differ. A
`MessageShape` is an array that begins with a code, with named fields. Errors name the shape and the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from banyan_crdt.errors import Malformed


def as_it_is(v: Any) -> Any:
    """The `write` of a kind whose values CBOR takes unchanged."""
    return v


class FieldKind(NamedTuple):
    """A type. `grammar`: CDDL (RFC 8610). `read`: decoded CBOR -> value, raises Malformed. `write`: the inverse."""

    grammar: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = as_it_is


class ShapeField(NamedTuple):
    """A field of a shape."""

    name: str
    kind: FieldKind


class MessageShape(NamedTuple):
    """An array [code, field, ...]. `made`: values of the fields -> the message."""

    code: int
    name: str
    made: Callable[..., Any]
    fields: tuple[ShapeField, ...]

    @property
    def grammar(self) -> str:
        """Its CDDL."""
        fields = "".join(f", {f.name}: {f.kind.grammar}" for f in self.fields)
        return f"[{self.code}{fields}]"


def reader(shape: MessageShape) -> Callable[[list[Any]], Any]:
    """A function from an array with the shape's code to the message. It raises Malformed with the name of the field."""
    reads, size = [f.kind.read for f in shape.fields], len(shape.fields) + 1
    build = compiled("v", f"made({', '.join(f'r{n}(v[{n + 1}])' for n in range(size - 1))})", reads, shape.made)

    def read(v: list[Any]) -> Any:
        if len(v) != size:
            raise Malformed(_count(shape, len(v) - 1))
        try:
            return build(v)
        except Malformed:
            raise _at_its_field(shape, v) from None

    return read


Writers = dict[Any, tuple[int, list[tuple[int, Callable[[Any], Any]]]]]
"""By type of message: the code, and the index and `write` of each field that CBOR does not take unchanged."""


def writers(shapes: Iterable[MessageShape]) -> Writers:
    """What `spelled` needs to write messages of these shapes."""
    return {
        s.made: (s.code, [(n, f.kind.write) for n, f in enumerate(s.fields) if f.kind.write is not as_it_is])
        for s in shapes
    }


def spelled(made: tuple[Any, ...], by: Writers) -> list[Any]:
    """The array [code, field, ...] of a message."""
    code, writes = by[type(made)]
    fields = list(made)
    for at, write in writes:
        fields[at] = write(fields[at])
    return [code, *fields]


def compiled(argument: str, text: str, reads: Sequence[Callable[[Any], Any]], made: Any = None) -> Callable[[Any], Any]:
    """A function with this text, made by `eval`, as NamedTuple makes its constructor. A loop over the fields would take
    half as long again.

    `text` names the readers r0, r1, ... and `made`. It is never made from a peer's bytes.
    """
    names = {f"r{n}": read for n, read in enumerate(reads)}
    made_of: Callable[[Any], Any] = eval(f"lambda {argument}: {text}", {**names, "made": made})
    return made_of


def _count(shape: MessageShape, here: int) -> str:
    names = ", ".join(f.name for f in shape.fields)
    return f"{shape.name} has {len(shape.fields)} fields{f' ({names})' if names else ''}, this one {here}"


def _at_its_field(shape: MessageShape, v: list[Any]) -> Malformed:
    for field, x in zip(shape.fields, v[1:], strict=True):
        try:
            field.kind.read(x)
        except Malformed as why:
            return Malformed(f"{shape.name}, field {field.name}: {why}")
    return Malformed(f"{shape.name} is not in form")


# -- what fields hold


def read_bytes(v: Any) -> bytes:
    """Raises Malformed unless `v` is a byte string."""
    if type(v) is not bytes:
        raise Malformed("expected a byte string")
    return v


def read_list(v: Any) -> list[Any]:
    """Raises Malformed unless `v` is an array."""
    if type(v) is not list:
        raise Malformed("expected an array")
    return v


def exactly(n: int) -> FieldKind:
    """A byte string of n bytes."""

    def read(v: Any) -> bytes:
        if type(v) is not bytes or len(v) != n:
            raise Malformed(f"expected {n} bytes")
        return v

    return FieldKind(f"b{n}", read)


def exactly_or_none(n: int, name: str = "") -> FieldKind:
    """A byte string of n bytes, or an empty one. `name`: the rule of the grammar that says so."""

    def read(v: Any) -> bytes:
        if type(v) is not bytes or len(v) not in (0, n):
            raise Malformed(f"expected {n} bytes or none")
        return v

    return FieldKind(name or f"b{n} / h''", read)


def at_most(n: int, least: int = 0) -> FieldKind:
    """A byte string of `least` to n bytes."""

    def read(v: Any) -> bytes:
        if type(v) is not bytes or not least <= len(v) <= n:
            raise Malformed(f"expected {least} to {n} bytes")
        return v

    return FieldKind(f"bstr .size ({least}..{n})", read)


def unsigned(bits: int) -> FieldKind:
    """An unsigned integer of at most so many bits, so that a peer's number fits its use here."""

    def read(v: Any) -> int:
        if type(v) is not int or v >> bits:
            raise Malformed(f"expected an unsigned integer of {bits} bits")
        return v

    return FieldKind(f"u{bits}", read)


def up_to(most: int) -> FieldKind:
    """An integer from 0 to `most`."""

    def read(v: Any) -> int:
        if type(v) is not int or not 0 <= v <= most:
            raise Malformed(f"expected a number from 0 to {most}")
        return v

    return FieldKind(" / ".join(map(str, range(most + 1))) if most < 4 else f"0..{most}", read)


def pieces(name: str, size: int) -> FieldKind:
    """A byte string of pieces of `size` bytes. `name`: the rule of the grammar, because CDDL cannot express this."""

    def read(v: Any) -> bytes:
        if type(v) is not bytes or len(v) % size:
            raise Malformed(f"expected pieces of {size} bytes each")
        return v

    return FieldKind(name, read)


def nullable(kind: FieldKind) -> FieldKind:
    """The same kind, or null."""
    read = kind.read
    return FieldKind(f"{kind.grammar} / null", lambda v: None if v is None else read(v))


def rows(*fields: ShapeField, most: int | None = None, least: int = 0) -> FieldKind:
    """An array of `least` to `most` arrays of these fields, read as tuples."""
    reads, size = [f.kind.read for f in fields], len(fields)
    cells = [f"x{n}" for n in range(size)]
    called = ", ".join(f"r{n}(x{n})" for n in range(size))
    build = compiled("rows", f"[({called}) for {', '.join(cells)} in rows]", reads)
    inner = ", ".join(f"{f.name}: {f.kind.grammar}" for f in fields)

    def read(v: Any) -> list[Any]:
        found = read_rows(v, size)
        bounded(found, least, most)
        out: list[Any] = build(found)
        return out

    return FieldKind(f"[{occurs(least, most)} [{inner}]]", read, lambda v: [list(row) for row in v])


def several(kind: FieldKind, most: int) -> FieldKind:
    """An array of at most `most` values of a kind, read as a tuple."""
    one, write = kind.read, kind.write

    def read(v: Any) -> tuple[Any, ...]:
        bounded(read_list(v), 0, most)
        return tuple([one(x) for x in v])

    return FieldKind(f"[0*{most} {kind.grammar}]", read, lambda v: [write(x) for x in v])


def occurs(least: int, most: int | None) -> str:
    """The occurrence of CDDL for so many elements."""
    return "*" if most is None and not least else f"{least}*{'' if most is None else most}"


def bounded(v: Sequence[Any], least: int, most: int | None) -> None:
    """Raises Malformed unless there are `least` to `most` elements."""
    if len(v) < least or (most is not None and len(v) > most):
        raise Malformed(f"expected {least} to {most} elements, not {len(v)}")


def read_rows(v: Any, n: int) -> list[list[Any]]:
    """Raises Malformed unless `v` is an array of arrays of `n` elements."""
    if type(v) is not list:
        raise Malformed("expected an array")
    for row in v:
        if type(row) is not list or len(row) != n:
            raise Malformed(f"expected an array of rows of {n}")
    return v


B8, B16, B32, B64 = exactly(8), exactly(16), exactly(32), exactly(64)
U16, U32, U48, U63 = unsigned(16), unsigned(32), unsigned(48), unsigned(63)
BYTES = FieldKind("bstr", read_bytes)
FLAG = up_to(1)
