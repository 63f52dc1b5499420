"""Answers that go on: their pieces come as long as the client stays.

Each is the last answer on its connection: otherwise the server would not notice that a client has left.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_node.server.blob_files import until_gone

LAST_LINES_S = 0.5
"""How long streams may take to end by themselves when the server stops."""
_log = logging.getLogger(__name__)


class LiveAnswer(Response):
    """first: sent at once. pieces: what follows; the generator may wait, but holds no nursery across a yield."""

    def __init__(self, first: bytes, pieces: AsyncGenerator[bytes, None], content_type: str) -> None:
        super().__init__(
            headers={
                "content-type": content_type,
                "cache-control": "private, no-store",
                "x-accel-buffering": "no",
                "connection": "close",
            }
        )
        del self.headers["content-length"]
        self._first, self._pieces = first, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces), anyio.create_task_group() as tasks:
            tasks.start_soon(until_gone, receive, tasks.cancel_scope)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                if scope["method"] != "HEAD":
                    await _send(send, self._first)
                    async for piece in self._pieces:
                        await _send(send, piece)
            except Exception:
                _log.exception("a stream failed")  # what was sent is whole; the client comes again from its cursor
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()


async def _send(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
