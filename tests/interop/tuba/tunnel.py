"""What stands before a door elsewhere: a proxy with TLS, at an address of loopback. It notes what was asked and how it
was answered. Tuba takes https at its usual port alone; the browser finds the name through a proxy (CONNECT)."""

from __future__ import annotations

import re
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio

NAME, ADDRESS = "social.banyan.test", "127.7.7.1"
_HEAD = re.compile(rb"^(?:(?P<ask>(?:GET|POST|PUT|PATCH|DELETE) \S+) HTTP/1\.1|HTTP/1\.1 (?P<status>\d{3}))")


def certificate(folder: Path) -> tuple[Path, Path]:
    """Of the name, made anew: certificate and key."""
    made, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-nodes",
        "-days",
        "2",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]
    command += ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-out", str(made), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


class Tunnel:
    """port: of the proxy for the browser, once it is open. said: a line for each request and each answer."""

    def __init__(self, door: int, cert: Path, key: Path) -> None:
        self._door = door
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(cert, key)
        self.port = 0
        self.said: list[str] = []

    async def run(self, task_status: Any) -> None:
        """Raises PermissionError if this user may not listen at port 443."""
        listeners = await trio.open_tcp_listeners(443, host=ADDRESS)
        (asked,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = asked.socket.getsockname()[1]
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._take, listeners)
            nursery.start_soon(trio.serve_listeners, self._connect, [asked])

    async def _connect(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                more = await stream.receive_some(1)
                if not more:
                    return
                head += more
            if not head.startswith(f"CONNECT {NAME}:443 ".encode()):
                await stream.send_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
                await stream.aclose()
                return
            await stream.send_all(b"HTTP/1.1 200 Go\r\n\r\n")
            await self._take(stream)

    async def _take(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            outer = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
            inner = await trio.open_tcp_stream("127.0.0.1", self._door)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass, outer, inner)
                nursery.start_soon(self._pass, inner, outer)

    async def _pass(self, one: trio.abc.ReceiveStream, other: trio.abc.SendStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in one:
                if found := _HEAD.match(data):
                    self.said.append((found["ask"] or found["status"]).decode())
                await other.send_all(data)
        with trio.move_on_after(1):
            await other.aclose()
