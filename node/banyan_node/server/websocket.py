"""WebSocket on one connection: wsproto reads and writes frames, anycorn's stream connects them with the application.

The differences from anycorn's own stream, and why:

- A message that is too large, and a frame that breaks the protocol, are answered with a close frame, and then the
  connection ends. Otherwise what follows would be collected without end.
- Messages are not compressed: a few bytes can become very many, and wsproto bounds that nowhere.
"""

from typing import Any, cast

import trio
from anycorn.protocol.events import Event, StreamClosed
from anycorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.frame_protocol import CloseReason

from banyan_node.server.servers import name_of

MESSAGE_BYTES = 64 << 10
"""The largest message of a client."""
PING_S, SILENT_S = 30.0, 75.0
"""Seconds between pings, and after which a client that sends nothing, not even an answer to them, is gone."""


class Socket(WSStream):
    """The stream of one WebSocket."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._gone = trio.Event()

    async def handle(self, event: Event) -> None:
        await super().handle(event)
        if self.closed:
            self._gone.set()

    async def _send_pings(self) -> None:
        """Ends with the stream: the connection is not free before."""
        while not self.closed:
            await self._send_wsproto_event(Ping())
            with trio.move_on_after(PING_S):
                await self._gone.wait()

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                try:
                    self.buffer.extend(event)
                except FrameTooLargeError:
                    cast(Any, self.config).stopped("body", name_of(self.client))
                    await self._fail(CloseReason.MESSAGE_TOO_BIG)
                    return
                if event.message_finished and self.app_put is not None:
                    await self.app_put(self._received())
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                self.close_code = event.code
                if self.connection.state == ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                else:  # a frame broke the protocol, or this is the answer to our own close
                    await self._send_wsproto_event(CloseConnection(event.code))
                await self.send(StreamClosed(stream_id=self.stream_id))
                return

    def _received(self) -> Any:
        message = self.buffer.to_message()
        self.buffer.clear()
        return message

    async def _fail(self, code: CloseReason) -> None:
        self.close_code = int(code)
        self.buffer.clear()
        await self._send_wsproto_event(CloseConnection(int(code)))
        await self.send(StreamClosed(stream_id=self.stream_id))


def wants_socket(method: bytes, headers: Any) -> bool:
    """Whether a request asks for a WebSocket. One with a body does not: where its frames begin would not be clear. Nor
    does one whose words for it are no ASCII, which the libraries here cannot read."""
    said = {name: value.lower() for name, value in headers}
    tokens = [token.strip() for token in said.get(b"connection", b"").split(b",")]
    return (
        method == b"GET"
        and b"upgrade" in tokens
        and said.get(b"upgrade", b"").strip() == b"websocket"
        and b"transfer-encoding" not in said
        and said.get(b"content-length", b"0") == b"0"
        and all(value.isascii() for name, value in headers if name.startswith(b"sec-websocket-"))
    )
