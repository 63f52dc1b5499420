"""The firehose over WebSocket: the same parameters and the same pieces as over HTTP, one message each.

JSON that is not compressed comes in text messages of one or more lines, all else in binary ones: whole frames of CBOR,
or a frame of zstd. A consumer confirms on the same connection: `{"ack": CURSOR}`, answered with a line of kind `ack`
once it is on the disk. The handshake counts as a request, and so does each confirmation, as over HTTP.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from starlette.websockets import WebSocketDisconnect

from banyan_web.endpoint import DoorContext, demand
from banyan_web.firehose.asking import SCOPE, Opened, name_of, opened
from banyan_web.firehose.endpoints import confirmed
from banyan_web.open_streams import REVOKED
from banyan_web.params import nested
from banyan_web.refusals import Refused
from banyan_web.sockets import Connection, SocketEndpoint

DONE = 1000
"""The code with which a stream ends that told its last line (RFC 6455, 7.4.1)."""


async def _serve(web: DoorContext, to: Connection) -> None:
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


async def _listen(web: DoorContext, to: Connection, consumer: Any, lock: anyio.Lock, scope: anyio.CancelScope) -> None:
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
                raise Refused(422, 'Say {"ack": CURSOR}, on a stream that was opened with `consumer`.')
            row = await confirmed(web, to.token, name_of(consumer), cursor, False)
            answer = {"kind": "ack", **row}
        except (msgspec.DecodeError, RecursionError):
            answer = {"kind": "refused", "error": "A message is a JSON object.", "status": 400}
        except Refused as why:
            answer = {"kind": "refused", "error": why.message, "status": why.status}
        async with lock:
            await to.say(answer)


async def _tell(to: Connection, stream: Opened, lock: anyio.Lock) -> None:
    """Until the stream ends. The next piece is made when this one was taken."""
    piece: bytes | None = stream.first
    while piece is not None:
        async with lock:
            if stream.is_text:
                await to.socket.send_text(piece.decode())
            else:
                await to.socket.send_bytes(piece)
        piece = await anext(stream.pieces, None)
