"""A line between two processes that carries so many bytes a second each way, and may pause: a TCP proxy on loopback."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

QUEUE = 64 << 10
"""Bytes that wait in front of the line, about: what the system's buffers are asked to hold."""
STEP_S = 0.02


class SlowLine:
    """Carries connections to `port`. rate: bytes a second, each way. pauses: (from, to), seconds after its start, in
    which nothing passes. links: connections that came. carried: bytes, both ways. Use it as a context manager."""

    def __init__(self, port: int, rate: int, pauses: tuple[tuple[float, float], ...] = ()) -> None:
        self._port, self._rate, self._pauses = port, rate, pauses
        self._began = time.monotonic()
        self.links = self.carried = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._door]
        self.port: int = self._door.getsockname()[1]

    def __enter__(self) -> SlowLine:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self.links += 1
                self._open += [near, far]
                for end in (near, far):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(max(1, int(self._rate * STEP_S))):
                time.sleep(len(piece) / self._rate + self._pause())
                other.sendall(piece)
                self.carried += len(piece)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pause(self) -> float:
        """How long nothing passes from now on, seconds."""
        at = time.monotonic() - self._began
        return sum(end - at for begin, end in self._pauses if begin <= at < end)
