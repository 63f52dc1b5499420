"""OpenAPI 3.1 documents and the reference in Markdown, made from declarations: those of the control API, and parts of
which the door makes its own from its endpoints (web/banyan_web/platform/openapi.py)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, get_args

import msgspec
from msgspec import inspect

from banyan_node.api.declare import Method, Response
from banyan_node.api.decode import words
from banyan_node.api.dispatch import EVERY
from banyan_node.api.errors import ALWAYS, OF_THE_SERVER, REFUSALS, by_status
from banyan_node.api.event_stream import AnyEvent, ApiEvent
from banyan_node.api.json_types import EventCursor
from banyan_node.idempotency import MAX_KEY

_REF = "#/components/schemas/{name}"
JSON, _PLAIN = "application/json", "text/plain"


class Refusal(Response):
    """code: for programs; it does not change between versions. message: a sentence for people."""

    code: str
    message: str


class RefusalBody(Response):
    error: Refusal


class Healthy(Response):
    ok: bool


class Ready(Response):
    """peers: how many are linked, where that was asked."""

    ready: bool
    peers: int | msgspec.UnsetType = msgspec.UNSET


class Schemas:
    """The schemas of types, and what they refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        self._types = list(types)  # held, because a schema is found by the id of its type
        shapes, components = msgspec.json.schema_components(self._types, ref_template=_REF)
        for schema in components.values():
            if about := schema.get("description"):  # a docstring: how it is indented differs between versions of Python
                schema["description"] = " ".join(about.split())
        self.components = dict(sorted(components.items()))
        self._shapes = dict(zip(map(id, self._types), shapes, strict=True))

    def of(self, kind: Any) -> Any:
        return self._shapes[id(kind)]

    def json(self, kind: Any) -> dict[str, Any]:
        """A body of that type."""
        return {JSON: {"schema": self.of(kind)}}


def openapi(title: str, about: str, paths: Mapping[str, Any], components: Mapping[str, Any], **more: Any) -> Any:
    """A whole document, as JSON values."""
    info = {"title": title, "version": "1", "description": about}
    return {"openapi": "3.1.0", "info": info, **more, "paths": paths, "components": components}


def operation(about: str, content: Any, refusals: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """One verb of a path. content: what it answers, by content type."""
    return {"summary": about, "responses": {"200": {"description": "Done.", "content": content}, **refusals}, **more}


def parameter(name: str, place: str, schema: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema, **({"required": True} if place == "path" else {}), **more}


def bearer(about: str) -> dict[str, Any]:
    """How a token is shown."""
    return {"token": {"type": "http", "scheme": "bearer", "description": about}}


def document(methods: Mapping[str, Method]) -> Any:
    """That of the control API."""
    types = [t for m in methods.values() for t in (m.asks, m.answers)]
    schemas = Schemas([*types, AnyEvent, EventCursor, RefusalBody, Healthy, Ready])

    def refusals(*codes: str) -> dict[str, Any]:
        said = by_status(codes, attrgetter("control"))
        return {str(one): {"description": why, "content": schemas.json(RefusalBody)} for one, why in said.items()}

    key = parameter("Idempotency-Key", "header", {"type": "string", "minLength": 1, "maxLength": MAX_KEY})

    def call(method: Method) -> dict[str, Any]:
        return operation(
            summary(method),
            schemas.json(method.answers),
            refusals(*method.errors, *ALWAYS, "not_ready", *OF_THE_SERVER),
            operationId=method.name,
            requestBody={"required": bool(required(method)), "content": schemas.json(method.asks)},
            parameters=[key] if method.kind == "write" else [],
            **{"x-kind": method.kind},
        )

    paths: dict[str, Any] = {f"/v1/{m.name}": {"post": call(m)} for m in methods.values()}
    strangers, elsewhere = refusals("not_allowed", "wrong_host"), refusals("wrong_host")
    paths["/v1/events"] = _get(
        "Events, one JSON value a line, for as long as the reader stays.",
        {"application/x-ndjson": {"schema": schemas.of(AnyEvent)}},
        refusals("bad_request", "cursor_gone", "too_many_streams", "not_allowed", "wrong_host"),
        parameters=[parameter("since", "query", schemas.of(EventCursor), description="Go on behind this cursor.")],
    )
    raw = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    paths["/v1/media/{blob}"] = _get(
        "The bytes of a picture or film that is here whole, with its own content type; with a range 206 and these.",
        raw,
        refusals("bad_request", "not_found", "not_allowed", "wrong_host")
        | {
            "206": {"description": "The bytes of the range.", "content": raw},
            "304": {"description": "If-None-Match names what it is."},
            "416": {"description": "The blob has no bytes in the range.", "content": schemas.json(RefusalBody)},
        },
        parameters=[
            parameter("blob", "path", {"type": "string", "pattern": "^[0-9a-f]{8,64}$"}),
            parameter("range", "header", {"type": "string"}, description="Such as bytes=1000-."),
        ],
    )
    paths["/metrics"] = _get("Figures for Prometheus.", {_PLAIN: {"schema": {"type": "string"}}}, strangers)
    paths["/openapi.json"] = _get("This document.", {JSON: {"schema": {"type": "object"}}}, strangers)
    paths["/healthz"] = _get("Whether the process answers.", schemas.json(Healthy), elsewhere, security=[])
    few = {"type": "integer", "minimum": 0, "maximum": 9999}
    paths["/readyz"] = _get(
        "Whether the node serves, and is linked to so many peers.",
        schemas.json(Ready),
        refusals("bad_request", "not_ready", "wrong_host"),
        security=[],
        parameters=[parameter("peers", "query", few, description="How many peers must be linked; without it none.")],
    )
    components = {
        "schemas": {name: _in_one_line(one) for name, one in schemas.components.items()},
        "securitySchemes": bearer("control.token in the node's home"),
    }
    about = "The control API of a node. It answers this machine only."
    return openapi("Banyan node", about, paths, components, security=[{"token": []}])


def _get(about: str, content: Any, refusals: Any, **more: Any) -> dict[str, Any]:
    return {"get": operation(about, content, refusals, **more)}


def summary(method: Method) -> str:
    """The first paragraph of its description, in one line."""
    return " ".join(method.about.split("\n\n")[0].split())


def required(method: Method) -> list[str]:
    return [f.encode_name for f in msgspec.structs.fields(method.asks) if f.required]


def _in_one_line(schema: dict[str, Any]) -> dict[str, Any]:
    """Docstrings are wrapped; descriptions are not."""
    said = schema.get("description")
    return schema if said is None else {**schema, "description": re.sub(r"\s+", " ", said)}


# The reference, printed by `python -m banyan_node.api.reference`.


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
