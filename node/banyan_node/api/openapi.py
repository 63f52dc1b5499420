"""The API as an OpenAPI 3.1 document, made from the declarations, for GET /openapi.json."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from banyan_node.api.declare import Method, Response
from banyan_node.api.errors import ALWAYS, CODES, OF_THE_SERVER
from banyan_node.api.events import AnyEvent
from banyan_node.api.texts import EventCursor

_REF = "#/components/schemas/{name}"
_PLAIN = "text/plain"


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


def document(methods: Mapping[str, Method]) -> dict[str, Any]:
    """The whole document, as JSON values."""
    types = [t for m in methods.values() for t in (m.asks, m.answers)]
    shapes, components = msgspec.json.schema_components(
        [*types, AnyEvent, EventCursor, RefusedBody, Healthy, Ready], ref_template=_REF
    )
    event, cursor, refused, healthy, ready = shapes[len(types) :]
    paths: dict[str, Any] = {
        f"/v1/{m.name}": {"post": _operation(m, shapes[2 * k], shapes[2 * k + 1], refused)}
        for k, m in enumerate(methods.values())
    }
    since = {"name": "since", "in": "query", "schema": cursor, "description": "Go on behind this cursor."}
    paths["/v1/events"] = _get(
        "Events, one JSON value a line, for as long as the reader stays.",
        {"application/x-ndjson": {"schema": event}},
        _refusals(("bad_request", "cursor_gone", "too_many_streams", "not_allowed", "wrong_host"), refused),
        parameters=[since],
    )
    asked = [
        {"name": "blob", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{8,64}$"}},
        {"name": "range", "in": "header", "schema": {"type": "string"}, "description": "Such as bytes=1000-."},
    ]
    raw = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    paths["/v1/media/{blob}"] = _get(
        "The bytes of a picture or film that is here whole, with its own content type; with a range 206 and these.",
        raw,
        _refusals(("bad_request", "not_found", "not_allowed", "wrong_host"), refused),
        parameters=asked,
    )
    paths["/v1/media/{blob}"]["get"]["responses"] |= {
        "206": {"description": "The bytes of the range.", "content": raw},
        "304": {"description": "If-None-Match names what it is."},
        "416": {"description": "The blob has no bytes in the range.", "content": _json(refused)},
    }
    strangers, elsewhere = _refusals(("not_allowed", "wrong_host"), refused), _refusals(("wrong_host",), refused)
    paths["/metrics"] = _get("Figures for Prometheus.", {_PLAIN: {"schema": {"type": "string"}}}, strangers)
    paths["/openapi.json"] = _get("This document.", _json({"type": "object"}), strangers)
    paths["/healthz"] = _get("Whether the process answers.", _json(healthy), elsewhere, security=[])
    few = {"name": "peers", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 9999}}
    paths["/readyz"] = _get(
        "Whether the node serves, and is linked to so many peers.",
        _json(ready),
        _refusals(("bad_request", "not_ready", "wrong_host"), refused),
        security=[],
        parameters=[few | {"description": "How many peers must be linked; without it none."}],
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Banyan node",
            "version": "1",
            "description": "The control API of a node. It answers this machine only.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {name: _in_one_line(components[name]) for name in sorted(components)},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "control.token in the node's home"}
            },
        },
    }


def _operation(method: Method, asks: Any, answers: Any, refused: Any) -> dict[str, Any]:
    errors = (*method.errors, *ALWAYS, "not_ready", *OF_THE_SERVER)
    return {
        "operationId": method.name,
        "summary": summary(method),
        "x-kind": method.kind,
        "requestBody": {"required": bool(required(method)), "content": _json(asks)},
        "responses": {"200": {"description": "Done.", "content": _json(answers)}, **_refusals(errors, refused)},
    }


def summary(method: Method) -> str:
    """The first paragraph of its description, in one line."""
    return " ".join(method.about.split("\n\n")[0].split())


def required(method: Method) -> list[str]:
    return [f.encode_name for f in msgspec.structs.fields(method.asks) if f.required]


def _get(about: str, content: Any, refusals: Any, **more: Any) -> dict[str, Any]:
    return {
        "get": {
            "summary": about,
            "responses": {"200": {"description": "Done.", "content": content}, **refusals},
            **more,
        }
    }


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _refusals(codes: Iterable[str], refused: Any) -> dict[str, Any]:
    """The possible codes of each status, and when they occur."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        for status in CODES[code][0]:
            by_status.setdefault(status, []).append(f"`{code}`: {CODES[code][1]}")
    return {
        str(status): {"description": " ".join(by_status[status]), "content": _json(refused)}
        for status in sorted(by_status)
    }


def _in_one_line(schema: dict[str, Any]) -> dict[str, Any]:
    """Docstrings are wrapped; descriptions are not."""
    said = schema.get("description")
    return schema if said is None else {**schema, "description": re.sub(r"\s+", " ", said)}
