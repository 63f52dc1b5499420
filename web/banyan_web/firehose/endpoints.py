"""GET /v1/firehose, and what its named consumers have confirmed."""

from __future__ import annotations

import re
from typing import Any

import anyio

from banyan_node.operator_errors import CallError
from banyan_web.door_store import Token
from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.firehose.consumers import Consumer, TooMany, owner_of
from banyan_web.firehose.following import FirehoseFilter, Form, Lines, ServerSentEvents, follow
from banyan_web.params import boolean, text, texts
from banyan_web.refusals import Refused, of_call
from banyan_web.streaming import LiveAnswer

ENDPOINTS = Endpoints()
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
CURSOR = re.compile(r"[0-9a-f]{16}-[0-9]{1,15}(\.[0-9]{1,6})?")
KNOWN = frozenset(
    {"since", "consumer", "format", "collection", "account", "shard", "platform", "proof", "uncounted", "follow"}
)
MOST = 64
"""Streams at a time."""
NOW, BEGINNING = "now", "begin"


@ENDPOINTS.get("/v1/firehose")
async def firehose(web: Web, ask: Ask) -> Any:
    """Everything that arrives at the node, as NDJSON or server-sent events."""
    token, p = _token(ask), ask.params
    if unknown := sorted(p.keys() - KNOWN):
        raise Refused(400, f"firehose has no parameter '{unknown[0][:60]}'; it takes {', '.join(sorted(KNOWN))}.")
    if web.tail.followers >= web.bounds.share(MOST):
        raise Refused(429, f"{MOST} streams of the firehose are open, and no more are allowed.", {"retry-after": "30"})
    form = _form(ask)
    wanted = FirehoseFilter(
        _names(p, "collection"),
        await _accounts(web, p),
        _names(p, "shard"),
        tuple(sorted(_names(p, "platform") or ())) or None,
        boolean(p, "uncounted"),
        boolean(p, "proof"),
        token.allows("firehose"),
    )
    try:
        since = await _since(web, ask, token)
        live = boolean(p, "follow", True)
        pieces = follow(web.backend, web.tail, wanted, since, form, live)
        return LiveAnswer(await anext(pieces), pieces, form.content_type)
    except CallError as why:
        raise _refused(why) from None


def _token(ask: Ask) -> Token:
    if ask.token is None:
        raise Refused(401, "The access token is invalid", {"www-authenticate": "Bearer"})
    if not (ask.token.allows("firehose") or ask.token.allows("read")):
        raise Refused(403, "This action is outside the authorized scopes")
    return ask.token


def _form(ask: Ask) -> Form:
    given = ask.params.get("format")
    if given is None:
        given = "sse" if "text/event-stream" in ask.request.headers.get("accept", "") else "ndjson"
    if given not in ("sse", "ndjson"):
        raise Refused(400, "format is ndjson or sse.")
    return ServerSentEvents() if given == "sse" else Lines()


def _names(params: dict[str, Any], name: str) -> frozenset[str] | None:
    """Of a parameter that is given once with commas, or several times as `name[]`."""
    found = [one.strip() for given in texts(params, name) for one in given.split(",")]
    return frozenset(found) if found else None


async def _accounts(web: Web, params: dict[str, Any]) -> frozenset[str] | None:
    """As DIDs. Raises Refused."""
    given = _names(params, "account")
    if given is None:
        return None
    return frozenset([(await web.call("profile.get", account=one))["account"] for one in sorted(given)])


async def _since(web: Web, ask: Ask, token: Token) -> str:
    """Where the stream begins: at `since`; else where the consumer stands, or behind Last-Event-ID; else now. Raises
    CallError, Refused."""
    named, given = ask.params.get("consumer"), ask.params.get("since")
    if given is None and named is None:
        given = ask.request.headers.get("last-event-id")
    begin = NOW if given is None else text({"since": given}, "since")
    if begin in (NOW, BEGINNING):
        now = str((await web.backend.call("firehose", {}))["cursor"])
        begin = now if begin == NOW else now.partition("-")[0] + "-0"
    if named is None:
        return begin
    name = _name(named)
    try:
        held = await anyio.to_thread.run_sync(web.consumers.begin, owner_of(token), name, begin)
    except TooMany:
        raise Refused(429, "There are too many consumers of this account; delete one.") from None
    return held.cursor if given is None else begin


@ENDPOINTS.get("/v1/firehose/consumers")
async def consumers(web: Web, ask: Ask) -> Any:
    """The consumers of who asks, and where each stands."""
    found = await anyio.to_thread.run_sync(web.consumers.of, owner_of(_token(ask)))
    return {"consumers": [_row(one) for one in found]}


@ENDPOINTS.get("/v1/firehose/consumers/{name}")
async def consumer(web: Web, ask: Ask) -> Any:
    """One of them."""
    found = await anyio.to_thread.run_sync(web.consumers.find, owner_of(_token(ask)), _name(ask.path["name"]))
    return _row(_there(found))


@ENDPOINTS.post("/v1/firehose/consumers/{name}/ack")
async def ack(web: Web, ask: Ask) -> Any:
    """Confirms everything up to a cursor. It is on the disk before this is answered."""
    owner, name = owner_of(_token(ask)), _name(ask.path["name"])
    cursor = text(ask.params, "cursor")
    if not CURSOR.fullmatch(cursor):
        raise Refused(422, f"'{cursor[:60]}' is no cursor: give `cursor` of the last event that is done.")
    try:
        await web.backend.call("firehose", {"since": cursor, "limit": 1})  # of this store, and not of its future
    except CallError as why:
        raise _refused(why) from None
    back = boolean(ask.params, "back")
    return _row(_there(await anyio.to_thread.run_sync(web.consumers.confirm, owner, name, cursor, back)))


@ENDPOINTS.delete("/v1/firehose/consumers/{name}")
async def drop(web: Web, ask: Ask) -> Any:
    """Forgets a consumer."""
    if not await anyio.to_thread.run_sync(web.consumers.drop, owner_of(_token(ask)), _name(ask.path["name"])):
        _there(None)
    return {}


def _name(given: Any) -> str:
    if not isinstance(given, str) or not NAME.fullmatch(given):
        raise Refused(422, "The name of a consumer is 1 to 64 letters, digits, dots, dashes and underscores.")
    return given


def _there(found: Consumer | None) -> Consumer:
    if found is None:
        raise Refused(404, "There is no such consumer: it begins with GET /v1/firehose?consumer=NAME.")
    return found


def _row(one: Consumer) -> dict[str, Any]:
    return {"name": one.name, "cursor": one.cursor, "updated_ms": one.updated * 1000}


def _refused(why: CallError) -> Refused:
    """As the rest of /v1: the status that the node gives."""
    return Refused(why.status, why.message, code=why.code) if why.code != "not_found" else of_call(why)
