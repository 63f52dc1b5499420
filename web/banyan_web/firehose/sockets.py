"""The firehose over WebSocket: the same parameters and the same pieces as over HTTP, one message each.

JSON that is not compressed comes in text messages of one or more lines, all else in binary ones: whole frames of CBOR,
or a frame of zstd. A consumer confirms on the same connection: `{"ack": CURSOR}`, answered with a line of kind `ack`
once it is on the disk. The handshake counts as a request, and so does each confirmation, as over HTTP.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from banyan_node.server.http_connections import let_in
from banyan_web.counting import counted
from banyan_web.door_store import Token
from banyan_web.endpoint import Web
from banyan_web.firehose.asking import Opened, name_of, opened, token_for
from banyan_web.firehose.endpoints import confirmed
from banyan_web.mastodon.streaming.sockets import shown
from banyan_web.open_streams import REVOKED, token_shown
from banyan_web.params import nested
from banyan_web.refusals import Refused, refusal

PATH = "/v1/firehose"
DONE = 1000
"""The code with which a stream ends that told its last line (RFC 6455, 7.4.1)."""


class FirehoseSockets:
    """The ASGI application at PATH."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        try:
            raw, protocol = shown(socket, in_query=False)
            given = token_shown(self._web.door, scope, raw)
            counted(self._web.bounds, given, self._web.bounds.address_of(socket))
            token = token_for(given)
            params = nested(socket.query_params.multi_items())
            stream = await opened(self._web, token, params, socket)
        except Refused as why:
            await socket.send_denial_response(refusal(why))
            return
        let_in(scope)
        try:
            await socket.accept(protocol)
            async with anyio.create_task_group() as tasks:
                lock = anyio.Lock()
                tasks.start_soon(self._listen, socket, token, params.get("consumer"), lock, tasks.cancel_scope)
                await _tell(socket, stream, lock)
                tasks.cancel_scope.cancel()
            await socket.close(REVOKED if stream.ending.revoked else DONE)
        except* (WebSocketDisconnect, RuntimeError):
            pass  # the client has left
        finally:
            await stream.pieces.aclose()

    async def _listen(
        self, socket: WebSocket, token: Token, consumer: Any, lock: anyio.Lock, scope: anyio.CancelScope
    ) -> None:
        """Until the client leaves."""
        while True:
            try:
                said = await socket.receive_text()
            except (WebSocketDisconnect, KeyError):  # a message of bytes has no text
                scope.cancel()
                return
            try:
                value = msgspec.json.decode(said)
                cursor = value.get("ack") if isinstance(value, dict) else None
                if not isinstance(cursor, str) or consumer is None:
                    raise Refused(422, 'Say {"ack": CURSOR}, on a stream that was opened with `consumer`.')
                counted(self._web.bounds, token, "")
                row = await confirmed(self._web, token, name_of(consumer), cursor, False)
                answer = {"kind": "ack", **row}
            except (msgspec.DecodeError, RecursionError):
                answer = {"kind": "refused", "error": "A message is a JSON object.", "status": 400}
            except Refused as why:
                answer = {"kind": "refused", "error": why.message, "status": why.status}
            async with lock:
                await socket.send_text(msgspec.json.encode(answer).decode())


async def _tell(socket: WebSocket, stream: Opened, lock: anyio.Lock) -> None:
    """Until the stream ends. The next piece is made when this one was taken."""
    piece: bytes | None = stream.first
    while piece is not None:
        async with lock:
            if stream.is_text:
                await socket.send_text(piece.decode())
            else:
                await socket.send_bytes(piece)
        piece = await anext(stream.pieces, None)
