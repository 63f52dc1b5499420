"""uvicorn as a worker runs it: on a socket that it shares with the other workers, with the limits that it lacks.

The differences from uvicorn's own, and why:

- Connections are accepted here, some at a time: one that is too many stays for another worker.
- What is refused, and with which status, is decided as by the embedded server (`HttpConversation` of http_protocol.py).
- Bytes after the last request of a connection are dropped: uvicorn would answer 400 instead of the request's answer.
- What is no HTTP while a request is answered ends the connection, without a second answer; before that it is refused.
- A WebSocket whose handshake broke does not end the requests of others when the worker ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState
from wsproto.events import BytesMessage, TextMessage
from wsproto.utilities import ProtocolError

from banyan_node.server import http_protocol
from banyan_node.server.http_connections import PATIENCE, STATE, Patience, TokenProof
from banyan_node.server.http_protocol import HttpConversation, Stopped, uncounted
from banyan_node.server.servers import name_of
from banyan_node.server.websocket import MESSAGE_BYTES, PING_S, SILENT_S, wants_socket
from banyan_web.rate_limiter import SharedCounts

# The limits of connections are those of the embedded server (http_connections.py); uvicorn has no deadline for heads,
# and none for answers that nobody reads:
#
# - The head of a request must come within `Patience.head` of the connection's start or of the answer before.
# - A client must go on reading: what waits for it must get less within `Patience.send`.
# - There are never more than `most` connections. A further one replaces the oldest that never showed a token; if all
#   have shown one, it waits to be accepted, here or by another worker.

LOOK_S = 1.0
"""Seconds between two looks at all connections."""


@dataclass(slots=True, eq=False)
class WorkerConnection:
    """A connection. head_since: since when the head of a request is waited for; None while one is answered. full_since:
    since when so much waits to be sent that the application is held up. size, size_since: the bytes that waited at the
    last look, and since when they are as many. gone: it was cut."""

    shown: TokenProof = field(default_factory=TokenProof)
    conversation: HttpConversation = field(default_factory=HttpConversation)
    transport: asyncio.Transport | None = None
    head_since: float | None = None
    full_since: float | None = None
    size: int = 0
    size_since: float = 0.0
    gone: bool = False

    def cut(self) -> None:
        """Ends it now."""
        self.gone = True
        if self.transport is not None:
            self.transport.abort()


class WorkerConnections:
    """All connections of a process. fewer: called when there is one less. stopped: see `ServerSettings`."""

    def __init__(
        self,
        most: int,
        patience: Patience,
        fewer: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
        stopped: Stopped = uncounted,
    ) -> None:
        self._most, self._patience, self._fewer, self.clock = most, patience, fewer, clock
        self._held: dict[WorkerConnection, None] = {}
        self.stopped = stopped

    def __len__(self) -> int:
        return len(self._held)

    @property
    def has_room(self) -> bool:
        """Whether one more may be accepted."""
        return not self._full or self._stranger is not None

    def accepted(self) -> WorkerConnection:
        """One more, in the place of a stranger if need be."""
        if self._full and (stranger := self._stranger) is not None:
            del self._held[stranger]
            self.stopped("lines", "connections without a token")
            stranger.cut()
        held = WorkerConnection(head_since=self.clock())
        self._held[held] = None
        return held

    def remove(self, held: WorkerConnection) -> None:
        self._held.pop(held, None)
        self._fewer()

    @property
    def _full(self) -> bool:
        return len(self._held) >= self._most

    @property
    def _stranger(self) -> WorkerConnection | None:
        return next((held for held in self._held if not held.shown.let_in), None)

    async def watch(self) -> None:
        """Cuts those that break a limit, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        now, (head, send) = self.clock(), self._patience
        for held in list(self._held):
            waits = held.transport.get_write_buffer_size() if held.transport is not None else 0
            if waits != held.size:
                held.size, held.size_since = waits, now
            stuck = waits and now - held.size_since > send
            full = held.full_since is not None and now - held.full_since > send
            late = held.head_since is not None and now - held.head_since > head
            if stuck or full or late:
                (held.conversation.late if late else held.conversation.unread)()
                held.cut()


ACCEPT, ACCEPT_AGAIN_S = 8, 0.2
"""Connections that are accepted in one turn; the pause after one that could not be."""
GIVE_WAY_S = 0.005
"""How long a worker leaves a connection to those that have fewer. One that hangs holds nobody up for longer."""
_HELD, _LINES = "banyan.held", "banyan.lines"
_log = logging.getLogger(__name__)


class WorkerShare(NamedTuple):
    """Which of so many workers this one is, and what they count together."""

    counts: SharedCounts
    number: int
    workers: int


class DoorServer(uvicorn.Server):
    """listener: listens already, and does not block. most: connections. grace_seconds: how long requests may still take
    when it ends. share: of the workers that listen there; None: this one does alone.

    Connections last, so they are shared out as they come: a worker takes none while another has fewer."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        most: int,
        grace_seconds: float,
        patience: Patience = PATIENCE,
        share: WorkerShare | None = None,
        stopped: Stopped = uncounted,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=DoorProtocol,
            ws=DoorSocket,
            ws_max_size=MESSAGE_BYTES,
            ws_ping_interval=PING_S,
            ws_ping_timeout=SILENT_S - PING_S,
            ws_per_message_deflate=False,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the application decides whom it believes
            server_header=False,
            timeout_keep_alive=math.ceil(patience.head),
            timeout_graceful_shutdown=math.ceil(grace_seconds),
        )
        super().__init__(config)
        self.lines = WorkerConnections(most, patience, self._fewer, stopped=stopped)
        self._share, self._takes_until = share, 0.0
        self._note_load()
        self.accepting = asyncio.Event()
        self._listener, self._listening, self._closed = listener, False, False
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for the process (child.py)."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self.servers = []
        self._tasks.add(asyncio.create_task(self.lines.watch()))
        self._listen()
        self.started = True
        self.accepting.set()

    def stop_accepting(self) -> None:
        """The listener is left to the others."""
        self._pause()
        self._closed = True
        self._listener.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stop_accepting()
        await super().shutdown(sockets)
        for task in list(self._tasks):
            task.cancel()

    def _listen(self) -> None:
        """Accepts while there is room."""
        if not self._listening and not self._closed and self.lines.has_room:
            self._listening = True
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def _fewer(self) -> None:
        self._note_load()
        self._listen()

    def _note_load(self) -> None:
        if self._share is not None:
            self._share.counts.note_load(self._share.number, len(self.lines))

    def _gives_way(self) -> bool:
        """Whether another worker has fewer connections, and had no time yet to take the next one."""
        share = self._share
        if share is None or self.lines.clock() < self._takes_until:
            return False
        return share.counts.least_load(share.workers) < len(self.lines)

    def _take_next(self) -> None:
        """Nobody else took it."""
        self._takes_until = self.lines.clock() + GIVE_WAY_S
        self._listen()

    def _pause(self) -> None:
        if self._listening:
            self._listening = False
            asyncio.get_running_loop().remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        """Some of those that wait. Each takes a few turns of the loop to begin, so they begin together: while long
        answers are made, they would come one every few answers."""
        for n in range(ACCEPT):
            if not self.lines.has_room:
                self._pause()
                return
            if self._gives_way():
                if n:
                    return  # perhaps none waits
                self._pause()
                asyncio.get_running_loop().call_later(GIVE_WAY_S, self._take_next)
                return
            self._takes_until = 0.0
            try:
                line, _ = self._listener.accept()
            except BlockingIOError:
                return  # another worker has it
            except OSError as error:  # out of file descriptors, perhaps
                _log.warning("a worker of the door cannot take a connection: %s", error)
                self._pause()
                asyncio.get_running_loop().call_later(ACCEPT_AGAIN_S, self._listen)
                return
            task = asyncio.create_task(self._begin(line, self.lines.accepted()))
            self._note_load()
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _begin(self, line: socket.socket, held: WorkerConnection) -> None:
        line.setblocking(False)
        state = {_LINES: self.lines, _HELD: held}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: DoorProtocol(self.config, self.server_state, state), line
            )
        except OSError:  # the client has left
            self.lines.remove(held)
            line.close()


class _HeldProtocol(asyncio.Protocol):
    """Tells the connection's record what becomes of it."""

    _held: WorkerConnection
    _lines: WorkerConnections

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.remove(self._held)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._held.full_since = self._lines.clock()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._held.full_since = None
        super().resume_writing()


class DoorProtocol(_HeldProtocol, H11Protocol):
    """HTTP/1.1 on one connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._held, self._lines = app_state[_HELD], app_state[_LINES]
        super().__init__(config, server_state, {**app_state, STATE: self._held.shown}, _loop)
        self.conn: HttpConversation = HttpConversation(self._lines.stopped)
        self._held.conversation = self.conn
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast("asyncio.Transport", transport)  # as uvicorn takes it
        super().connection_made(made)
        self._held.transport, self.conn.whom = made, name_of(self.client)
        if self._held.gone:
            made.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._note()

    def on_response_complete(self) -> None:
        self._held.head_since = self._lines.clock()
        super().on_response_complete()
        self._note()

    def _note(self) -> None:
        """Whether a request is answered now."""
        if self._upgraded or (self.cycle is not None and not self.cycle.response_complete):
            self._held.head_since = None

    def _should_upgrade(self) -> bool:
        return wants_socket(self.scope["method"].encode("ascii"), self.headers)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        answered = self.conn.our_state is h11.DONE  # what came behind the last answer is no request
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected, answered = True, self.cycle.response_started
            self.cycle.message_event.set()
        if answered:
            self.transport.close()
        else:
            self._refuse()

    def _refuse(self) -> None:
        body = http_protocol.said(self.conn.refused, http_protocol.flat)
        answer = h11.Response(status_code=self.conn.refused, headers=http_protocol.headers(body))
        events = answer, h11.Data(data=body), h11.EndOfMessage()
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()


class DoorSocket(_HeldProtocol, WSProtocol):
    """A WebSocket, on a connection that was a DoorProtocol's."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._held, self._lines = app_state[_HELD], app_state[_LINES]
        super().__init__(config, server_state, app_state, _loop)

    def shutdown(self) -> None:
        try:
            super().shutdown()
        except (RuntimeError, ProtocolError):  # a broken handshake must not end the requests of others
            self.transport.abort()

    def handle_message(self, event: TextMessage | BytesMessage) -> None:
        before = self.close_sent
        super().handle_message(event)
        if self.close_sent and not before:  # it was too large
            self._lines.stopped("body", self._held.conversation.whom)
