"""The open streams of this process, what each was opened with (a token, or the session of a browser), and their
answers.

The invariant: a stream ends within a second of the moment at which what it was opened with is good no more, whoever
ended that: the person, the app, the operator beside the node, or the clock. Tokens and sessions are looked up in
requests by `token_shown` and `person_shown` alone, which note them, so no stream can be forgotten.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_node.server.blob_files import until_gone
from banyan_web.door_store import DoorStore, Token, hashed
from banyan_web.oauth.logins import Person, session
from banyan_web.refusals import failure

LOOK_S, FAILED_S = 0.25, 5.0
"""Between two looks at whether anything was revoked: some microseconds where nothing was written."""
REVOKED = 1008
"""The code of a WebSocket that ends because its token does (RFC 6455, 7.4.1)."""
LAST_S = 0.5
"""How long a stream may take to say that it ends. Then it is cut."""
_SHOWN, _ENDING = "banyan.credentials", "banyan.ending"
_log = logging.getLogger(__name__)


def token_shown(door: DoorStore, scope: Scope, raw: str) -> Token | None:
    """What the token of a request allows. Its streams end with it."""
    found = door.token(raw)
    if found is not None:
        scope.setdefault(_SHOWN, set()).add(hashed(raw))
    return found


def person_shown(door: DoorStore, scope: Scope, raw: str) -> Person | None:
    """Whose browser has this cookie. The streams that it opens end with its session."""
    found = session(door, raw)
    if found is not None:
        scope.setdefault(_SHOWN, set()).add(hashed(raw))
    return found


@dataclass(slots=True, eq=False)
class StreamEnd:
    """Of a stream that says itself that it ends. wake: called when it has to. revoked: whether it has to."""

    wake: Callable[[], None]
    revoked: bool = False


def says_its_end(scope: Scope, wake: Callable[[], None]) -> StreamEnd:
    """The stream that answers a request looks at this, and ends by itself. wake: it looks now."""
    made: StreamEnd = scope.setdefault(_ENDING, StreamEnd(wake))
    return made


@dataclass(slots=True, eq=False)
class OpenStream:
    """scope: of its request. until: its end. shown: hashes of what it was opened with. checked: the version of the
    store with which that was good. ends: when it is good no more, seconds since 1970. revoked: it ended for that."""

    scope: Scope
    until: anyio.CancelScope
    shown: set[bytes]
    checked: object = None
    ends: float | None = None
    revoked: bool = field(default=False)

    def revoke(self) -> None:
        """It ends: at once, or in LAST_S if it wants to say so first."""
        self.revoked = True
        ending: StreamEnd | None = self.scope.get(_ENDING)
        if ending is None:
            self.until.cancel()
        else:
            ending.revoked = True
            ending.wake()
            self.until.deadline = min(self.until.deadline, anyio.current_time() + LAST_S)


class OpenStreams:
    """Use it in one event loop."""

    def __init__(self, door: DoorStore) -> None:
        self._door = door
        self._open: dict[OpenStream, None] = {}

    @contextmanager
    def stream(self, scope: Scope, until: anyio.CancelScope) -> Iterator[OpenStream]:
        """While a request is answered by a stream. scope: of the request. until: is cancelled when it has to end."""
        made = OpenStream(scope, until, scope.setdefault(_SHOWN, set()))
        self._open[made] = None
        try:
            yield made
        finally:
            del self._open[made]

    def end_all(self) -> None:
        """The server stops."""
        for stream in list(self._open):
            stream.until.cancel()

    async def run(self) -> None:
        """Ends the streams of what was revoked, until it is cancelled."""
        while True:
            await anyio.sleep(LOOK_S)
            try:
                self._look()
            except Exception as why:  # the disk fails, perhaps
                failure(why, "looking for revoked tokens")
                await anyio.sleep(FAILED_S)

    def _look(self) -> None:
        shown = [stream for stream in self._open if stream.shown]
        if not shown:
            return
        version, now = self._door.version, time.time()
        for stream in shown:
            if stream.checked != version:
                ends = [self._door.good_until(one) for one in stream.shown]
                stream.ends, stream.checked = min((end for end in ends if end is not None), default=None), version
            if stream.ends is not None and stream.ends <= now:
                stream.revoke()


# Pieces come as long as the client stays. Each is the last answer on its connection: otherwise the server would not
# notice that a client has left.

LAST_LINES_S = 0.5
"""How long streams may take to end by themselves when the server stops."""


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
