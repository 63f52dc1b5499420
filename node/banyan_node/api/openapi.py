"""OpenAPI 3.1 documents, made from declarations: that of the control API, from its methods, and the parts of which the
door makes its own from its endpoints (web/banyan_web/describing.py)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from banyan_node.api.declare import Method, Response
from banyan_node.api.errors import ALWAYS, OF_THE_SERVER, by_status
from banyan_node.api.events import AnyEvent
from banyan_node.api.texts import EventCursor
from banyan_node.idempotency import MAX_KEY

_REF = "#/components/schemas/{name}"
JSON, _PLAIN = "application/json", "text/plain"


class Refusal(Response, frozen=True):
    """code: for programs; it does not change between versions. message: a sentence for people."""

    code: str
    message: str


class RefusedBody(Response, frozen=True):
    error: Refusal


class Healthy(Response, frozen=True):
    ok: bool


class Ready(Response, frozen=True):
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
    schemas = Schemas([*types, AnyEvent, EventCursor, RefusedBody, Healthy, Ready])

    def refusals(*codes: str) -> dict[str, Any]:
        said = by_status(codes, attrgetter("control"))
        return {str(one): {"description": why, "content": schemas.json(RefusedBody)} for one, why in said.items()}

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
            "416": {"description": "The blob has no bytes in the range.", "content": schemas.json(RefusedBody)},
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
