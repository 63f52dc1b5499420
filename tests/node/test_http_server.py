"""The server of the control API, with bytes on real sockets: no packet, slow client or greedy client stops it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio
from starlette.types import Receive, Scope, Send

from banyan_node.home.folder import Home
from banyan_node.server.http_connections import Patience, let_in
from banyan_node.server.http_server import Bind, serve_control
from banyan_node.server.servers import find_running
from tests.cli.shell import banyan, node_up

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ANSWERS = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def says(port: int, data: bytes, seconds: float = 2.0) -> bytes:
    """The bytes that come back until the other side closes, or until the time is over."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), seconds) as line:
        line.settimeout(seconds)
        try:
            line.sendall(data)
            while chunk := line.recv(65_536):
                found += chunk
        except OSError:
            pass
    return found


def test_a_packet_of_one_byte_too_many_does_not_end_a_node(tmp_path: Path) -> None:
    """A WebSocket upgrade and one more byte, which needs no token."""
    home = tmp_path / "home"
    assert banyan("--home", home, "init", "--name", "an", "--realm", "test").code == 0
    with node_up(home) as node:
        port = find_running(Home(home))[0].endpoint.port
        for packet in (
            UPGRADE + b"x",
            UPGRADE + b"\x88\x00",
            PREFACE + b"x" * 40,
            UPGRADE.replace(b"websocket", b"h2c") + PREFACE,
        ):
            says(port, packet, 0.3)
            assert says(port, ANSWERS, 0.3).startswith(b"HTTP/1.1 200")
        assert node.call("status")["ready"]


async def plain_app(scope: Scope, receive: Receive, send: Send) -> None:
    """/big: more than a socket holds; /wrong breaks HTTP; /token is let in; /waits a second, /soon a moment."""
    body = b"x" * (64 << 20) if scope["path"] == "/big" else b"fine"
    if scope["path"] == "/token":
        let_in(scope)
    if scope["path"] == "/waits":
        await trio.sleep(1)
    if scope["path"] == "/soon":
        await trio.sleep(0.05)  # what follows the request has come by then
    length = 1 if scope["path"] == "/wrong" else len(body)
    headers = [(b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Served:
    """Connections to a server, closed at the end of the test."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lines: list[trio.SocketStream] = []

    async def connect(self) -> trio.SocketStream:
        self.lines.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self.lines[-1]


@asynccontextmanager
async def serving(path: Path, grace: float = 0.3, **bounds: Any) -> AsyncIterator[Served]:
    shutdown = trio.Event()

    async def run(task_status: Any) -> None:
        await serve_control(
            plain_app,
            Bind(),
            Home(path),
            "t",
            shutdown=shutdown,
            grace_seconds=grace,
            task_status=task_status,
            **bounds,
        )

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            endpoint = await nursery.start(run)
            it = Served(endpoint.port)
            yield it
            shutdown.set()
    for line in it.lines:
        await line.aclose()


async def rest(line: trio.SocketStream) -> bytes:
    """All that comes until the server closes."""
    found = b""
    with suppress(trio.BrokenResourceError):
        while chunk := await line.receive_some():
            found += chunk
    return found


async def answer(line: trio.SocketStream, path: str = "/") -> bytes:
    await line.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    found = b""
    while not found.endswith(b"fine") and (chunk := await line.receive_some()):
        found += chunk
    return found


async def test_http_2_however_broken_ends_no_more_than_its_connection(tmp_path: Path) -> None:
    """An upgrade is passed over, and what comes then is HTTP/1.1 or nothing."""
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    async with serving(tmp_path) as it:
        other = await it.connect()
        assert b"fine" in await answer(other)
        for packet, upgrade in (
            (head + b"HTTP2-Settings: AAMAAABk\r\n\r\n" + PREFACE, True),
            (PREFACE + b"\0\0\0\4\0\0\0\0\0", False),
            (head + b"HTTP2-Settings: A\r\n\r\n" + PREFACE, True),
            (head + b"HTTP2-Settings: \xff\r\n\r\n" + PREFACE, True),
            (PREFACE + b"\0\0\x01\0\0\0\0\0\0x", False),
            (PREFACE + b"\xff" * 99, False),
        ):
            line = await it.connect()
            await line.send_all(packet)
            found = await rest(line)
            assert found.startswith(b"HTTP/1.1 200" if upgrade else b"HTTP/1.1 505")
            assert (b"fine" in found) == upgrade
            assert b"fine" in await answer(other)
            assert b"fine" in await answer(await it.connect())


async def test_an_idle_connection_is_closed_also_after_an_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, patience=Patience(head=0.3)) as it:
        silent, once = await it.connect(), await it.connect()
        assert b"fine" in await answer(once)
        for line in (silent, once):
            assert await line.receive_some() == b""


async def test_a_client_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path, patience=Patience(send=0.3)) as it:
        line = await it.connect()
        await line.send_all(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await trio.sleep(1.5)
        got = 0
        with suppress(trio.BrokenResourceError):
            while chunk := await line.receive_some():
                got += len(chunk)
        assert got < 64 << 20


async def test_a_client_that_does_not_read_holds_up_no_shutdown(tmp_path: Path) -> None:
    async with serving(tmp_path, grace=0.2) as it:
        line = await it.connect()
        await line.send_all(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await trio.sleep(0.3)
        begun = trio.current_time()
    assert trio.current_time() - begun < 3


async def test_an_answer_leaves_whole_in_one_write(tmp_path: Path) -> None:
    """An answer in two writes would sometimes arrive in two reads."""
    async with serving(tmp_path) as it:
        line = await it.connect()
        for _ in range(200):
            await line.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await line.receive_some()).endswith(b"\r\n\r\nfine")


async def test_an_upgrade_to_a_websocket_is_passed_over(tmp_path: Path) -> None:
    async with serving(tmp_path) as it:
        line = await it.connect()
        await line.send_all(UPGRADE)
        assert b"fine" in await answer(line)


async def test_of_too_many_connections_those_go_that_never_showed_the_token(tmp_path: Path) -> None:
    async with serving(tmp_path, connections=4) as it:
        known = [await it.connect() for _ in range(2)]
        for line in known:
            assert b"fine" in await answer(line, "/token")
        strangers = [await it.connect() for _ in range(8)]
        for line in strangers[:6]:
            assert await line.receive_some() == b""
        for line in (*known, *strangers[6:]):
            assert b"fine" in await answer(line)
        known += strangers[6:]
        for line in strangers[6:]:
            assert b"fine" in await answer(line, "/token")
        late = await it.connect()
        assert await late.receive_some() == b""
        assert b"fine" in await answer(known[0])


async def test_a_client_that_leaves_frees_its_place_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, connections=4) as it:
        for path in ("/token", "/token", "", "/token"):
            for line in [await it.connect() for _ in range(4)]:
                if path:
                    assert b"fine" in await answer(line, path)
                else:
                    await line.send_all(b"GET /tok")
                await line.aclose()
            await trio.sleep(0.2)
        assert b"fine" in await answer(await it.connect())


async def test_an_error_of_the_server_ends_one_connection(tmp_path: Path) -> None:
    async with serving(tmp_path) as it:
        line = await it.connect()
        other = await it.connect()
        assert b"fine" in await answer(other)
        assert b"fine" not in await answer(line, "/wrong")
        assert b"fine" in await answer(other)
        assert b"fine" in await answer(await it.connect())
