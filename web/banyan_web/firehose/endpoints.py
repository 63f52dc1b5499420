"""/v1/firehose over HTTP and WebSocket, the dictionaries of its compressed form, and what its named consumers have
confirmed."""

from __future__ import annotations

import re
from typing import Annotated, Any

import anyio
import msgspec
from msgspec import Meta
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from banyan_node.api.declare import NoResult
from banyan_node.api.firehose import FirehoseEvent
from banyan_node.api.methods.network.firehose import FirehoseFrontier
from banyan_node.client.v1 import ConsumerRow, ConsumerRows, FirehoseDictionaries, FirehoseNote
from banyan_node.operator_errors import CallError
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape, demand
from banyan_web.firehose.encodings import ZSTD, accepts_zstd, dictionaries, encoded
from banyan_web.firehose.requests import (
    LONGEST_S,
    SCOPE,
    Consumer,
    FirehoseBody,
    Format,
    StreamStart,
    confirm,
    consumers_of,
    drop_consumer,
    find_consumer,
    name_of,
    opened,
    owner_of,
    refused,
)
from banyan_web.open_streams import REVOKED, LiveAnswer
from banyan_web.params import boolean, bounded, json_object, media_type, nested, text, texts
from banyan_web.platform.requests import only
from banyan_web.rate_limits import BODY_S
from banyan_web.refusals import HttpRefusal
from banyan_web.websocket import SocketEndpoint, WebSocketConnection

ENDPOINTS = Endpoints()
CURSOR = re.compile(r"[0-9a-f]{16}-[0-9]{1,15}(\.[0-9]{1,6})?(-[0-9]{1,15})?")
FRONTIER_BYTES = 16 << 20
"""The largest request for a stream: a frontier cursor has some 20 bytes for each log."""
_COMMAS = Annotated[str, Meta(description="One, or several with commas.")]
_QUERY: dict[str, Any] = {
    "since": Annotated[str, Meta(description="`now`, `begin`, a cursor of this node, or a frontier cursor of any.")],
    "seen": Annotated[str, Meta(description="A frontier cursor: what it covers is left out.")],
    "consumer": Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,64}$")],
    "format": Format,
    "compress": Annotated[str, Meta(description="`zstd`, or the hash of a dictionary.")],
    **dict.fromkeys(("collection", "account", "shard", "platform", "label"), _COMMAS),
    **dict.fromkeys(("proof", "uncounted", "follow"), bool),
    "frontier": Annotated[int, Meta(ge=1, le=LONGEST_S, description="Seconds between frontier cursors.")],
}


class ConfirmBody(msgspec.Struct, frozen=True):
    """cursor: of the last event that is done. back: it may go back."""

    cursor: str
    back: bool = False


_LINES = EndpointShape(
    None,
    (FirehoseEvent, FirehoseNote),
    gives="application/x-ndjson",
    also=("text/event-stream", "application/vnd.banyan.firehose", "application/zstd"),
    query=_QUERY,
    refuses=(410, 429),
)
_OWN: dict[str, Any] = {"refuses": (400, 408, 413, 415)}


@ENDPOINTS.get("/v1/firehose", SCOPE, shape=_LINES)
async def firehose(web: DoorContext, ask: DoorRequest) -> Response:
    """Everything that arrives at the node, as NDJSON, server-sent events, or the signed entries themselves (CBOR).

    The same address takes a WebSocket. Text of a line: an event or a note."""
    return await _stream(web, ask, ask.params)


@ENDPOINTS.post(
    "/v1/firehose",
    SCOPE,
    raw=True,
    shape=_LINES._replace(asks=FirehoseBody, query={}, refuses=(408, 410, 413, 415, 429)),
)
async def firehose_from(web: DoorContext, ask: DoorRequest) -> Response:
    """The same, for parameters that are too long for an address."""
    return await _stream(web, ask, await _asked(ask))


async def _stream(web: DoorContext, ask: DoorRequest, params: dict[str, Any]) -> Response:
    found = await opened(web, demand(ask.token, SCOPE), params, ask.request)
    first, pieces, headers = found.first, found.pieces, {"vary": "accept-encoding"}
    if found.packed is None and accepts_zstd(ask.request.headers.get("accept-encoding", "")):
        headers["content-encoding"] = ZSTD
        if ask.request.method != "HEAD":  # nothing is read then, and what is not begun cannot be closed
            first, pieces = encoded(first, pieces)
    elif found.packed not in (None, ZSTD):
        headers["dictionary"] = found.packed
    answer = LiveAnswer(first, pieces, found.content_type if found.packed is None else "application/zstd")
    answer.headers.update(headers)
    return answer


async def _asked(ask: DoorRequest) -> dict[str, Any]:
    """The parameters of a body. Raises HttpRefusal."""
    with bounded(ask.request, FRONTIER_BYTES, BODY_S):
        raw = await ask.request.body()
    if media_type(ask.request) != "application/json":
        raise HttpRefusal(415, "Send JSON, and say so in Content-Type.")
    return ask.params | {name: one for name, one in json_object(raw).items() if one is not None}


@ENDPOINTS.get(
    "/v1/firehose/frontier",
    SCOPE,
    shape=EndpointShape(
        None, FirehoseFrontier, query={name: _QUERY[name] for name in ("since", "account", "shard")}, refuses=(409, 410)
    ),
)
async def frontier(web: DoorContext, ask: DoorRequest) -> Any:
    """How far a reader has come who was told everything up to a cursor, in a form that every node understands."""
    only(ask.params, "since", "account", "shard")
    given: dict[str, Any] = {} if "since" not in ask.params else {"since": text(ask.params, "since")}
    for name in ("account", "shard"):
        if found := [one.strip() for said in texts(ask.params, name) for one in said.split(",")]:
            given[f"{name}s"] = found
    try:
        return await web.backend.call("firehose.frontier", given)
    except CallError as why:
        raise refused(why) from None


@ENDPOINTS.get("/v1/firehose/dictionaries", shape=EndpointShape(None, FirehoseDictionaries))
async def listed(web: DoorContext, ask: DoorRequest) -> Any:
    """The dictionaries of the compressed firehose."""
    only(ask.params)
    rows = [
        {"format": one.of, "hash": one.hash, "id": int.from_bytes(one.raw[4:8], "little"), "bytes": len(one.raw)}
        for one in dictionaries().values()
    ]
    return {"dictionaries": rows}


@ENDPOINTS.get("/v1/firehose/dictionaries/{hash}", shape=EndpointShape(gives="application/octet-stream"))
async def dictionary(web: DoorContext, ask: DoorRequest) -> Response:
    """One of them. What is under a hash never changes."""
    only(ask.params)
    found = dictionaries().get(ask.path["hash"])
    if found is None:
        raise HttpRefusal(404, "There is no such dictionary: GET /v1/firehose/dictionaries lists them.")
    headers = {"content-type": "application/octet-stream", "cache-control": "public, max-age=31536000, immutable"}
    return Response(found.raw, 200, headers)


@ENDPOINTS.get("/v1/firehose/consumers", SCOPE, shape=EndpointShape(None, ConsumerRows))
async def consumers(web: DoorContext, ask: DoorRequest) -> Any:
    """The consumers of who asks, and where each stands."""
    found = await anyio.to_thread.run_sync(consumers_of, web.door, owner_of(demand(ask.token, SCOPE)))
    return {"consumers": [_row(one) for one in found]}


@ENDPOINTS.get("/v1/firehose/consumers/{name}", SCOPE, shape=EndpointShape(None, ConsumerRow))
async def consumer(web: DoorContext, ask: DoorRequest) -> Any:
    """One of them."""
    found = await anyio.to_thread.run_sync(
        find_consumer, web.door, owner_of(demand(ask.token, SCOPE)), name_of(ask.path["name"])
    )
    return _row(_there(found))


@ENDPOINTS.post(
    "/v1/firehose/consumers/{name}/ack",
    SCOPE,
    shape=EndpointShape(ConfirmBody, ConsumerRow, **_OWN | {"refuses": (400, 408, 410, 413, 415)}),
)
async def ack(web: DoorContext, ask: DoorRequest) -> Any:
    """Confirms everything up to a cursor. It is on the disk before this is answered."""
    cursor, back = text(ask.params, "cursor"), boolean(ask.params, "back")
    return await confirmed(web, demand(ask.token, SCOPE), name_of(ask.path["name"]), cursor, back)


async def confirmed(web: DoorContext, token: Token, name: str, cursor: str, back: bool) -> dict[str, Any]:
    """The consumer, once it is on the disk. Raises HttpRefusal."""
    if not CURSOR.fullmatch(cursor):
        raise HttpRefusal(422, f"'{cursor[:60]}' is no cursor: give `cursor` of the last event that is done.")
    try:
        await web.backend.call("firehose", {"since": cursor, "limit": 1})  # of this store, and not of its future
    except CallError as why:
        raise refused(why) from None
    return _row(_there(await anyio.to_thread.run_sync(confirm, web.door, owner_of(token), name, cursor, back)))


@ENDPOINTS.delete("/v1/firehose/consumers/{name}", SCOPE, shape=EndpointShape(None, NoResult, **_OWN))
async def drop(web: DoorContext, ask: DoorRequest) -> Any:
    """Forgets a consumer."""
    owner = owner_of(demand(ask.token, SCOPE))
    if not await anyio.to_thread.run_sync(drop_consumer, web.door, owner, name_of(ask.path["name"])):
        _there(None)
    return {}


def _there(found: Consumer | None) -> Consumer:
    if found is None:
        raise HttpRefusal(404, "There is no such consumer: it begins with GET /v1/firehose?consumer=NAME.")
    return found


def _row(one: Consumer) -> dict[str, Any]:
    return {"name": one.name, "cursor": one.cursor, "updated_ms": one.updated * 1000}


# Over WebSocket: the same parameters and the same pieces as over HTTP, one message each. JSON that is not compressed
# comes in text messages of one or more lines, all else in binary ones. A consumer confirms on the same connection:
# `{"ack": CURSOR}`, answered with a line of kind `ack` once it is on the disk. The handshake counts as a request, and
# so does each confirmation.

DONE = 1000
"""The code with which a stream ends that told its last line (RFC 6455, 7.4.1)."""


async def _serve(web: DoorContext, to: WebSocketConnection) -> None:
    params = nested(to.socket.query_params.multi_items())
    stream = await opened(web, demand(to.token, SCOPE), params, to.socket)
    try:
        await to.accept()
        async with anyio.create_task_group() as tasks:
            lock = anyio.Lock()
            tasks.start_soon(to.meter.beside, _listen, web, to, params.get("consumer"), lock, tasks.cancel_scope)
            await _tell(to, stream, lock)
            tasks.cancel_scope.cancel()
        await to.socket.close(REVOKED if stream.ending.revoked else DONE)
    except* (WebSocketDisconnect, RuntimeError):
        pass  # the client has left
    finally:
        await stream.pieces.aclose()


SOCKET = SocketEndpoint("/v1/firehose", False, _serve)


async def _listen(
    web: DoorContext, to: WebSocketConnection, consumer: Any, lock: anyio.Lock, scope: anyio.CancelScope
) -> None:
    """Until the client leaves."""
    while True:
        try:
            said = await to.socket.receive_text()
        except (WebSocketDisconnect, KeyError):  # a message of bytes has no text
            scope.cancel()
            return
        try:
            to.count()
            value = msgspec.json.decode(said)
            cursor = value.get("ack") if isinstance(value, dict) else None
            if not isinstance(cursor, str) or consumer is None:
                raise HttpRefusal(422, 'Say {"ack": CURSOR}, on a stream that was opened with `consumer`.')
            row = await confirmed(web, to.token, name_of(consumer), cursor, False)
            answer = {"kind": "ack", **row}
        except (msgspec.DecodeError, RecursionError):
            answer = {"kind": "refused", "error": "A message is a JSON object.", "status": 400}
        except HttpRefusal as why:
            web.bounds.refused(why, to.socket)
            answer = {"kind": "refused", "error": why.message, "status": why.status}
        async with lock:
            await to.say(answer)


async def _tell(to: WebSocketConnection, stream: StreamStart, lock: anyio.Lock) -> None:
    """Until the stream ends. The next piece is made when this one was taken."""
    piece: bytes | None = stream.first
    while piece is not None:
        async with lock:
            if stream.is_text:
                await to.socket.send_text(piece.decode())
            else:
                await to.socket.send_bytes(piece)
        piece = await anext(stream.pieces, None)
