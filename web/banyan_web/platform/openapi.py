"""The OpenAPI document of the door, made from the declarations, and a page for people made from that.

Endpoints of /v1 declare their types (`EndpointShape`). Those of the client API of Mastodon are described by its own
documentation, and are listed here with what they are.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from inspect import cleandoc
from operator import attrgetter
from typing import Any

from starlette.responses import Response

from banyan_node.api.declare import Response as Said
from banyan_node.api.errors import REFUSALS, by_status
from banyan_node.api.reference import Schemas, bearer, openapi, operation, parameter
from banyan_node.idempotency import MAX_KEY
from banyan_web.door_store import SCOPES
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoint, Endpoints, EndpointShape
from banyan_web.page.rendering import templates
from banyan_web.platform.json_lines import NDJSON

_PART = re.compile(r"\{(\w+)(?::\w+)?\}")
_PATH = {
    "account": {"type": "string", "minLength": 1, "description": "A DID, or the name of an account hosted here."},
    "key": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "Of the post: the end of its URI."},
}
_USUAL = {400, 401, 403, 404, 422, 500, 503, 507}
_NEVER = {"bad_http", "wrong_host", "not_here", "too_many_streams"}
"""Reasons that no endpoint has."""
_WHY = by_status([code for code in REFUSALS if code not in _NEVER], attrgetter("statuses"))


class DoorRefusalBody(Said, frozen=True):
    """error: a sentence for people. code: for programs."""

    error: str
    code: str


def describing(every: Iterable[Endpoints]) -> Endpoints:
    """The endpoints that describe these, and themselves."""
    out = Endpoints()
    known = [*every, out]

    @out.get("/openapi.json")
    async def own(web: DoorContext, ask: DoorRequest) -> Any:
        """This document."""
        return document(known, web.url)

    @out.get("/docs", shape=EndpointShape(gives="text/html"))
    async def docs(web: DoorContext, ask: DoorRequest) -> Response:
        """This document for people."""
        style = b64encode(sha256(_STYLE.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'"
        headers = {"content-security-policy": policy, "cache-control": "no-cache"}
        return Response(page(document(known, web.url), web.server.title), 200, headers, "text/html")

    return out


def document(every: Iterable[Endpoints], url: str) -> Any:
    """The document, as JSON values."""
    endpoints = [endpoint for module in every for endpoint in module.all]
    schemas = Schemas([*(kind for e in endpoints if e.shape for kind in e.shape.types), DoorRefusalBody])
    paths: dict[str, Any] = {}
    for endpoint in sorted(endpoints, key=lambda one: (one.path, one.verb)):
        path = _PART.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.verb.lower()] = _operation(endpoint, schemas)
    refused = schemas.json(DoorRefusalBody)
    components = {
        "schemas": schemas.components,
        "responses": {f"Refused{status}": {"description": why, "content": refused} for status, why in _WHY.items()},
        "securitySchemes": bearer(f"A token. Scopes: {', '.join(SCOPES)}."),
    }
    about = "The door of a node: apps, browsers, platforms."
    return openapi("Banyan", about, paths, components, servers=[{"url": url}])


def _operation(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    shape = endpoint.shape or EndpointShape()
    about = [" ".join(one.split()) for one in cleandoc(endpoint.do.__doc__ or endpoint.path).split("\n\n")]
    parameters = [
        parameter(name, "path", _PATH.get(name, {"type": "string", "minLength": 1}))
        for name in _PART.findall(endpoint.path)
    ]
    parameters += [parameter(name, "query", schemas.of(kind)) for name, kind in shape.query.items()]
    if shape.keyed:
        text = {"type": "string", "minLength": 1, "maxLength": MAX_KEY}
        parameters.append(parameter("Idempotency-Key", "header", text))
    if shape.tagged:
        parameters.append(parameter("If-None-Match", "header", {"type": "string"}))
    given = _content(shape, _body(shape, schemas)) | {kind: {} for kind in shape.also}
    unchanged = {"304": {"description": "What If-None-Match names is still so."}} if shape.tagged else {}
    keyed = {409} if shape.keyed else set[int]()  # what was answered under another token stays shut
    refusals = sorted(_WHY if endpoint.shape is None else _USUAL | keyed | {*shape.refuses})
    found = operation(
        about[0],
        given,
        unchanged | {str(status): {"$ref": f"#/components/responses/Refused{status}"} for status in refusals},
        operationId=f"{endpoint.verb.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', endpoint.path).rstrip('_')}",
        security=[{"token": []}] if endpoint.scope is not None else [],
        parameters=parameters,
        **({"description": " ".join(about[1:])} if about[1:] else {}),
        **({} if endpoint.scope is None else {"x-scope": endpoint.scope}),
    )
    if shape.asks is not None:
        content = _content(shape._replace(gives="application/json"), {"schema": schemas.of(shape.asks)})
        found["requestBody"] = {"required": True, "content": content}
    return found


def _body(shape: EndpointShape, schemas: Schemas) -> dict[str, Any]:
    if isinstance(shape.answers, tuple):
        return {"schema": {"anyOf": [schemas.of(one) for one in shape.answers]}}
    return {} if shape.answers is None else {"schema": schemas.of(shape.answers)}


def _content(shape: EndpointShape, body: dict[str, Any]) -> dict[str, Any]:
    """A body by its content type."""
    if not shape.lines:
        return {shape.gives: body}
    many = {"type": "array", "items": body["schema"]}
    return {shape.gives: {"schema": {"anyOf": [body["schema"], many]} if shape.keyed else many}, NDJSON: body}


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a2a20}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f2f5f2;overflow:auto}pre{padding:.75rem}"
    "section{border-top:1px solid #cdd8d0;padding:.5rem 0}table{border-collapse:collapse}"
    "td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}h2 b{color:#1f6b45}"
    "@media(prefers-color-scheme:dark){body{background:#121a15;color:#dfe8e1}code,pre{background:#1d2721}"
    "h2 b{color:#79c79b}a{color:#9bd3b5}}"
)


def page(said: Mapping[str, Any], title: str) -> str:
    """The document as HTML."""
    template = templates().get_template("api.html")
    return template.render(said=said, title=title, style=_STYLE, words=_words, json=partial(json.dumps, indent=2))


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_words(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    said: Sequence[str] = [str(schema.get("type", "anything")), str(schema.get("description", ""))]
    return ", ".join(one for one in said if one)
