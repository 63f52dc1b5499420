"""The door is served by the node itself or by workers: each conversation here goes the same way with both servers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from banyan_node.server.http_connections import PATIENCE, Patience, let_in
from banyan_node.server.http_protocol import HEAD_BYTES, Stopped, uncounted
from banyan_node.server.http_server import Bind, serve_app
from banyan_node.server.websocket import MESSAGE_BYTES
from banyan_web.workers import uvicorn_server
from banyan_web.workers.uvicorn_server import DoorServer
from tests.web.oddities import ODDITIES

QUICK = Patience(0.4, 0.4)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
HELLO = (
    b"GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
)
MUCH = 2_000 << 16


async def echo(request: Request) -> Response:
    """All that an application is told of a request."""
    if "authorization" in request.headers:
        let_in(request.scope)
    scope = request.scope
    told = [scope[name] for name in ("method", "path", "raw_path", "query_string", "http_version")]
    with suppress(ClientDisconnect):
        told += [request.headers.items(), await request.body()]
    return PlainTextResponse(repr(told))


async def slow(request: Request) -> Response:
    await anyio.sleep(0.2)  # what follows the request has come by then
    return PlainTextResponse("slow")


async def much(request: Request) -> Response:
    async def pieces() -> Any:
        for _ in range(2_000):
            yield b"x" * 65_536

    return StreamingResponse(pieces())


async def talk(line: WebSocket) -> None:
    await line.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await line.send_text(await line.receive_text())


APP = Starlette(
    routes=[
        Route("/", echo, methods=["GET", "POST"]),
        Route("/slow", slow, methods=["GET", "POST"]),
        Route("/much", much),
        WebSocketRoute("/ws", talk),
    ]
)


class Line:
    """A connection that says what it likes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, 10)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def hear(self, until: bytes = b"\0never") -> bytes:
        """What comes until then, or until the connection ends."""
        found = b""
        with suppress(ConnectionError):
            while until not in found and (more := self.socket.recv(65_536)):
                found += more
        return found

    def ask(self, raw: bytes, until: bytes = b"\0never") -> bytes:
        with suppress(ConnectionError):
            self.socket.sendall(raw)
        return self.hear(until)


Dial = Callable[[], Line]
Serve = Callable[..., None]


def by_worker(
    talk: Callable[[Dial], None], patience: Patience = PATIENCE, most: int = 100, stopped: Stopped = uncounted
) -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            server = DoorServer(APP, listener, most, 1.0, patience, stopped=stopped)
            serving = asyncio.create_task(server.serve())
            await server.accepting.wait()
            try:
                await asyncio.to_thread(talk, partial(Line, listener.getsockname()))
            finally:
                server.should_exit = True
                await serving

    asyncio.run(run())


def by_node(
    talk: Callable[[Dial], None], patience: Patience = PATIENCE, most: int = 100, stopped: Stopped = uncounted
) -> None:
    async def run() -> None:
        shutdown = trio.Event()
        serve = partial(
            serve_app,
            lambda url: APP,
            Bind(),
            shutdown=shutdown,
            grace_seconds=1.0,
            connections=most,
            patience=patience,
            sockets=True,
            stopped=stopped,
        )
        async with trio.open_nursery() as nursery:
            endpoint = await nursery.start(serve)
            try:
                await trio.to_thread.run_sync(talk, partial(Line, ("127.0.0.1", endpoint.port)))
            finally:
                shutdown.set()

    trio.run(run)


@pytest.fixture(params=[by_worker, by_node])
def serve(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Serve:
    monkeypatch.setattr(uvicorn_server, "LOOK_S", 0.05)
    found: Serve = request.param
    return found


def test_slow_clients_are_cut(serve: Serve) -> None:
    def do(dial: Dial) -> None:
        with dial() as silent, dial() as trickling, dial() as idle, dial() as deaf:
            assert idle.ask(GET, b"]").startswith(b"HTTP/1.1 200")
            deaf.socket.sendall(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n")
            with suppress(ConnectionError):
                for byte in GET[:-2] * 3:
                    trickling.socket.sendall(bytes([byte]))
                    time.sleep(0.02)
            assert silent.hear() == trickling.hear() == b""
            assert b"HTTP/1.1" not in idle.hear()
            assert len(deaf.hear()) < MUCH
        with dial() as line:
            assert line.ask(GET, b"\r\n\r\n").startswith(b"HTTP/1.1 200")

    serve(do, QUICK)


def test_each_refusal_of_a_connection_is_counted_once_at_its_gate(serve: Serve) -> None:
    counted = list[tuple[str, str]]()

    def stops(gate: str, times: int = 1) -> bool:
        found, expected = [*counted], [(gate, "127.0.0.1")] * times
        counted.clear()
        return found == expected

    def do(dial: Dial) -> None:
        for raw, status in (
            (b"GET / HTTP/2.0\r\n\r\n", b"505"),
            (b"no HTTP at all\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: odd\r\n\r\n", b"501"),
            (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * HEAD_BYTES + b"\r\n\r\n", b"431"),
        ):
            with dial() as line:
                assert line.ask(raw)[9:12] == status
            assert stops("head"), raw[:30]
        with dial() as line:
            assert line.ask(GET[:-2]) == b""
        assert stops("head"), "a head that does not end"
        with dial() as silent, dial() as idle:
            assert idle.ask(GET, b"]").startswith(b"HTTP/1.1 200")
            assert silent.hear() == b""
            idle.hear()
        assert stops("head", 0), "no word, and a connection that waits for a next request"
        with dial() as deaf:
            deaf.socket.sendall(b"GET /much HTTP/1.1\r\nhost: x\r\n\r\n")
            time.sleep(1)
            deaf.hear()
        assert stops("unread")

    serve(do, QUICK, stopped=lambda gate, whom: counted.append((gate, whom)))


def test_requests_that_come_at_once_are_answered_in_their_order(serve: Serve) -> None:
    def do(dial: Dial) -> None:
        with dial() as line:
            asked = b"".join(b"GET /?n=%d HTTP/1.1\r\nhost: x\r\n\r\n" % n for n in range(20))
            found = line.ask(asked + b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert found.count(b"HTTP/1.1 200") == 21
            places = [found.index(b"b'n=%d'" % n) for n in range(20)]
            assert places == sorted(places)
            assert found.endswith(b"\r\n\r\n"), "the last asked for no body"

    serve(do)


def test_what_follows_the_last_request_changes_no_answer(serve: Serve) -> None:
    """The request is done. Told that it was wrong, its sender would send it again."""

    def do(dial: Dial) -> None:
        for close in (b"HTTP/1.1\r\nconnection: close\r\n", b"HTTP/1.0\r\n"):
            for more in (b"and more", GET, b"\0" * (1 << 20)):
                with dial() as line:
                    said = line.ask(b"GET /slow " + close + b"host: x\r\n\r\n" + more)
                    assert said.startswith(b"HTTP/1.1 200"), said
                    assert said.endswith(b"slow")
                    assert b"server:" not in said.lower()
        with dial() as line:
            assert line.ask(GET + b"\r\n\x16\x03junk\r\n\r\n").count(b"HTTP/1.1 2") == 1

    serve(do)


def test_a_body_is_waited_for_and_not_read_beyond_what_is_taken(serve: Serve) -> None:
    def do(dial: Dial) -> None:
        with dial() as line:
            head = b"POST / HTTP/1.1\r\nhost: x\r\n"
            assert line.ask(head + b"content-length: 4\r\nexpect: 100-continue\r\n\r\n", b"\r\n\r\n").startswith(
                b"HTTP/1.1 100"
            )
            assert b"b'pho!'" in line.ask(b"pho!", b"b'pho!'")
            line.socket.sendall(head + b"transfer-encoding: chunked\r\n\r\n2\r\nph")
            time.sleep(0.05)
            assert b"b'pho'" in line.ask(b"\r\n1\r\no\r\n0\r\n\r\n", b"b'pho'")
        with dial() as line:
            line.socket.sendall(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
            line.socket.settimeout(0.1)
            sent = 0
            with suppress(OSError):
                while True:
                    sent += line.socket.send(b"x" * 65_536)
            assert sent < 32 << 20
            line.socket.settimeout(10)
            assert line.hear(b"slow").startswith(b"HTTP/1.1 200")

    serve(do)


def test_a_websocket_has_its_limits(serve: Serve) -> None:
    counted = list[tuple[str, str]]()

    def do(dial: Dial) -> None:
        big = b"\x81\xff" + (MESSAGE_BYTES + 1).to_bytes(8, "big") + bytes(4) + b"x" * (MESSAGE_BYTES + 1)
        for last, code in ((big, 1009), (b"\x88\x82\0\0\0\0\x03\xe8", 1000)):
            with dial() as line:
                said = line.ask(HELLO, b"\r\n\r\n")
                assert said.startswith(b"HTTP/1.1 101")
                assert b"deflate" not in said
                assert line.ask(b"\x81\x82\0\0\0\0hi", b"hi").endswith(b"\x81\x02hi")
                assert line.ask(b"\x89\x82\0\0\0\0hi", b"hi") == b"\x8a\x02hi", "a ping is answered"
                assert line.ask(last)[2:4] == code.to_bytes(2, "big")
            assert counted == [("body", "127.0.0.1")], "the message that is too large"
        for other in (HELLO.replace(b"GET /ws", b"POST /ws"), HELLO.replace(b"permessage", b"\xff")):
            with dial() as line:
                assert b" 101 " not in line.ask(other, b"\r\n\r\n")

    serve(do, stopped=lambda gate, whom: counted.append((gate, whom)))


def test_one_connection_too_many_replaces_a_stranger(serve: Serve) -> None:
    def do(dial: Dial) -> None:
        known = GET[:-2] + b"authorization: x\r\n\r\n"
        with dial() as one, dial() as two:
            assert one.ask(known, b"]")
            assert two.ask(known, b"]")
            with dial() as stranger:
                assert stranger.ask(GET, b"]")
                with dial() as third:
                    assert third.ask(known, b"]"), "the stranger makes room"
                assert stranger.hear() == b""
                assert one.ask(known, b"]")
        for _ in range(3):  # who leaves frees the place at once
            with dial() as line:
                assert line.ask(known, b"]")

    serve(do, most=3)


def test_odd_requests_are_answered_in_the_same_way() -> None:
    found = list[list[tuple[int, bytes]]]()

    def do(dial: Dial) -> None:
        found.append([])
        for sent, _ in ODDITIES:
            with dial() as line:
                said = line.ask(sent)
            head, _, body = said.partition(b"\r\n\r\n")
            assert said.count(b"HTTP/1.1 ") == 1, (sent[:80], said[:200])
            found[-1].append((int(head.split(b" ")[1]), body))

    by_worker(do)
    by_node(do)
    for (sent, status), worker, node in zip(ODDITIES, *found, strict=True):
        assert worker == node, sent[:200]
        assert node[0] == status, (sent[:200], node)
        assert (b'"code":"bad_http"' in node[1]) == (status in (400, 431, 501, 505)), sent[:200]
