"""Yamux as Banyan runs it: bounded buffers, window given back seldom, and writers that may wait for a slow line."""

from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

import trio
from libp2p.abc import IMuxedConn, ISecureConn
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import IOException
from libp2p.peer.id import ID
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream

from banyan_node.edge.config import MAX_WINDOW, EdgeEvent

Tell = Callable[[EdgeEvent], None]
GIVE_BACK = 128 * 1024
"""Window is given back after so many bytes, so that a slow line is not silent for half a megabyte."""
GIVE_BACK_S = 0.1
"""While less than half of the window is used, at most once in so many seconds: each time costs both sides a frame."""
MAX_UNREAD = 2 * MAX_WINDOW


class WindowBuffer(bytearray):
    """The bytes that a yamux stream received and that were not read yet."""

    def __init__(self, siblings: "WindowBuffers") -> None:
        super().__init__()
        self._siblings = siblings

    def extend(self, data: Any) -> None:
        """Raises IOException at the connection's limit; yamux then ends the reading side of this stream."""
        unread = sum(map(len, self._siblings.values())) + len(data)
        if unread > MAX_UNREAD:
            raise IOException(f"a connection may hold {MAX_UNREAD} unread bytes and its peer sent {unread}")
        super().extend(data)


class WindowBuffers(dict[int, bytearray]):
    """Yamux's stream_buffers, which together hold at most twice the largest window."""

    def __setitem__(self, stream_id: int, buffer: bytearray) -> None:
        super().__setitem__(stream_id, WindowBuffer(self))


class QuietStream(YamuxStream):
    """A stream that gives window back in large pieces, and waits for window as long as its writer likes.

    libp2p sends a frame of its own for every frame that is read, however small: half of all frames of a busy node. It
    looks every 10 ms whether there is window again, and ends the stream after 5 s: a line of less than 100 kB/s may
    need longer.
    """

    def __init__(self, stream_id: int, conn: Yamux, is_initiator: bool) -> None:
        self._window, self._opened, self._gave = 0, trio.Event(), -inf
        super().__init__(stream_id, conn, is_initiator)

    @property
    def send_window(self) -> int:
        """Bytes that may be written before the peer gives more."""
        return self._window

    @send_window.setter
    def send_window(self, window: int) -> None:
        self._window = window
        if window > 0:
            self._opened.set()

    def write(self, data: bytes) -> Coroutine[Any, Any, None]:
        """All of data, as the peer gives window for it. One task writes at a time."""
        return super().write(data) if len(data) <= self._window else self._as_it_opens(data)

    async def _as_it_opens(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._window <= 0:
                self._opened = trio.Event()
                await self._opened.wait()
            piece = data[at : at + self._window]
            await super().write(piece)
            at += len(piece)

    def _grow_threshold(self) -> int:
        return min(self.target_recv_window // 2, GIVE_BACK)

    async def _auto_tune_and_send_window_update(self, *, bytes_read: int = 0) -> None:
        self._pending_recv_release += bytes_read
        used = self.target_recv_window - self.recv_window - len(self.conn.stream_buffers.get(self.stream_id, b""))
        if used < self._grow_threshold():
            return
        now = trio.current_time()
        if used >= self.target_recv_window // 2 or now - self._gave > GIVE_BACK_S:
            self._gave = now
            await super()._auto_tune_and_send_window_update()


class GuardedYamux(Yamux):
    """Yamux that keeps its own errors and bounds its buffers."""

    def __init__(self, secured: ISecureConn, peer_id: ID, tell: Tell) -> None:
        super().__init__(secured, peer_id, is_initiator=secured.is_initiator)
        self.stream_buffers = WindowBuffers()
        self._tell = tell

    async def start(self) -> None:
        """Runs the muxer; what it raises ends this connection and not the host."""
        try:
            await super().start()
        except Exception as error:
            self._tell(EdgeEvent("handler-error", str(self.peer_id), f"the muxer failed: {error!r}"))
            await self._cleanup_on_error()
        finally:
            self.event_started.set()


class YamuxNegotiator(MuxerMultistream):
    """Negotiates yamux and runs it as GuardedYamux (libp2p's own makes a plain Yamux whatever class it is given)."""

    def __init__(self, timeout: int, tell: Tell) -> None:
        super().__init__({TProtocol(YAMUX): GuardedYamux}, timeout)
        self._tell = tell

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        """A muxer over a secured connection."""
        protocol, _ = await self._selector.select(conn, conn.is_initiator, self.negotiate_timeout)
        return self._annotate_connection(GuardedYamux(conn, peer_id, self._tell), conn, protocol)
