"""A WebSocket by hand: frames as they are on the line."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tests.web.door import Door
from tests.web.test_streaming import FRAME_CLOSE, HANDSHAKE, masked

CONTINUED, LAST_PART, BINARY, PINGED, PONG = 0x00, 0x80, 0x82, 0x89, 0x8A
ENDED = masked(FRAME_CLOSE, (1000).to_bytes(2, "big"))


def closing_with(code: int, reason: bytes = b"") -> bytes:
    return masked(FRAME_CLOSE, code.to_bytes(2, "big") + reason)


class Line:
    """A WebSocket by hand."""

    def __init__(self, door: Door, token: str) -> None:
        at = urlsplit(door.url)
        self._line = socket.create_connection((at.hostname, at.port), timeout=60)
        self._line.sendall(HANDSHAKE.format(token).encode())
        while not self._got().endswith(b"\r\n\r\n"):
            pass

    _held = b""

    def _got(self) -> bytes:
        self._held += (more := self._line.recv(65_536))
        assert more, self._held
        head, end, self._held = self._held.partition(b"\r\n\r\n")
        return head + end if end else b""

    def say(self, *frames: bytes) -> None:
        self._line.sendall(b"".join(frames))

    def next(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._held) < size:
            self._held += (more := self._line.recv(65_536))
            assert more, self._held
        found, self._held = self._held[:size], self._held[size:]
        return found

    def frame(self) -> tuple[int, bytes]:
        """The next short one that is no ping of the server."""
        first, size = self.next(2)
        return (first, self.next(size)) if first != PINGED else self.frame()

    def rest(self, pings: bool = False) -> list[tuple[int, bytes]]:
        """(first byte, payload) of all frames until the server closes, with its pings or without."""
        raw, found = self._held, []
        try:
            while more := self._line.recv(65_536):
                raw += more
        except ConnectionResetError:
            pass
        self._line.close()
        while raw:
            size, start = raw[1], 2
            if size == 126:
                size, start = int.from_bytes(raw[2:4], "big"), 4
            found.append((raw[0], raw[start : start + size]))
            raw = raw[start + size :]
        return [frame for frame in found if pings or frame[0] != 0x89]
