"""The server of a worker alone: its deadlines and its limits, and what it shares with other processes."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from banyan_node.server.http_connections import PATIENCE, Patience, let_in
from banyan_web.rate_limiter import KEY_BYTES, SharedCounts, shared_memory
from banyan_web.rate_limits import RateLimits
from banyan_web.workers import uvicorn_server
from banyan_web.workers.protocol import Frame, FrameSplitter, WorkerFrameKind, frame
from banyan_web.workers.uvicorn_server import DoorServer, WorkerShare

QUICK = Patience(0.4, 0.4)
Ask = Callable[[], "Client"]


async def echo(request: Request) -> Response:
    if "authorization" in request.headers:
        let_in(request.scope)
    return PlainTextResponse(f"{request.method} {len(await request.body())}")


async def slow(request: Request) -> Response:
    await asyncio.sleep(0.3)
    return PlainTextResponse("slow")


async def much(request: Request) -> Response:
    async def pieces() -> Any:
        for _ in range(2_000):
            yield b"x" * 65_536

    return StreamingResponse(pieces())


async def talk(line: WebSocket) -> None:
    await line.accept()
    while True:
        await line.send_text(await line.receive_text())


APP = Starlette(routes=[Route("/", echo, methods=["GET", "POST"]), Route("/slow", slow), Route("/much", much),
                        WebSocketRoute("/ws", talk)])  # fmt: skip


class Client:
    """A connection that says what it likes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.line = socket.create_connection(address)
        self.line.setblocking(False)

    async def say(self, raw: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.line, raw)

    async def hear(self, until: bytes = b"\0never") -> bytes:
        """What comes until then, or until the connection ends."""
        found = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                while until not in found:
                    more = await asyncio.get_running_loop().sock_recv(self.line, 65_536)
                    if not more:
                        break
                    found += more
        return found

    async def ask(self, raw: bytes, until: bytes = b"\0never") -> bytes:
        await self.say(raw)
        return await self.hear(until)


def served(
    do: Callable[[Ask, DoorServer], Awaitable[None]],
    most: int = 100,
    on: Callable[[Any], None] = asyncio.run,
    app: ASGIApp = APP,
    patience: Patience = QUICK,
    share: WorkerShare | None = None,
) -> None:
    """Runs a test against the server. on: the event loop."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            address, made = listener.getsockname(), list[Client]()
            server = DoorServer(app, listener, most, 1.0, patience, share)

            def client() -> Client:
                made.append(Client(address))
                return made[-1]

            serving = asyncio.create_task(server.serve())
            await server.accepting.wait()
            try:
                await do(client, server)
            finally:
                for one in made:
                    one.line.close()
                server.should_exit = True
                await serving

    on(run())


GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Unread(asyncio.Transport):
    """To a client that reads nothing of the little that waits for it."""

    def get_write_buffer_size(self) -> int:
        return 5

    def abort(self) -> None:
        """Nothing listens."""


def test_who_reads_nothing_while_an_answer_lasts_is_cut_however_little_waits() -> None:
    times = iter((0.0, 1.0, 11.0, 11.5))
    lines = uvicorn_server.WorkerConnections(9, Patience(10.0, 10.0), clock=lambda: next(times))
    one = lines.accepted()
    one.head_since, one.transport = None, Unread()
    gone = []
    for _ in range(3):
        lines.look()
        gone.append(one.gone)
    assert gone == [False, False, True]


def test_one_connection_too_many_replaces_a_stranger_or_waits() -> None:
    async def do(client: Ask, server: DoorServer) -> None:
        known = GET[:-2] + b"authorization: x\r\n\r\n"
        friends = [client(), client()]
        for friend in friends:
            assert await friend.ask(known, b"GET 0")
        stranger = client()
        assert await stranger.ask(GET, b"GET 0")
        third = client()
        assert await third.ask(known, b"GET 0"), "the stranger makes room"
        assert await stranger.hear() == b""
        waiting = client()
        await waiting.say(known)
        await asyncio.sleep(0.1)
        assert len(server.lines) == 3
        friends[0].line.close()
        assert await waiting.hear(b"GET 0"), "there is room again"

    served(do, most=3)


def test_a_connection_is_left_to_a_worker_that_has_fewer_and_taken_if_it_does_not_come(monkeypatch: Any) -> None:
    """The other worker never comes, and has no connection."""
    memory = shared_memory()
    share = WorkerShare(SharedCounts(memory, bytes(KEY_BYTES)), 0, 2)

    async def takes(client: Ask, server: DoorServer) -> None:
        for _ in range(3):
            assert await client().ask(GET, b"GET 0")
        assert share.counts.least_load(1) == len(server.lines) == 3, "the other learns it"

    async def leaves(client: Ask, server: DoorServer) -> None:
        first = client()
        assert await first.ask(GET, b"GET 0"), "it has none either"
        monkeypatch.setattr(uvicorn_server, "GIVE_WAY_S", 3_600.0)
        await asyncio.sleep(0.1)
        second = client()
        await second.say(GET)
        await asyncio.sleep(0.1)
        assert len(server.lines) == 1, "however long after the first it comes"
        first.line.close()
        assert await second.hear(b"GET 0"), "it has none again"

    served(takes, patience=PATIENCE, share=share)
    served(leaves, patience=PATIENCE, share=share)
    os.close(memory)


@pytest.mark.parametrize("let_through", [False, True])
def test_a_broken_handshake_does_not_end_the_requests_of_others_at_a_stop(let_through: bool, monkeypatch: Any) -> None:
    """let_through: the library gets it, and breaks over it, on the event loop that workers have."""
    if let_through:
        monkeypatch.setattr(uvicorn_server, "wants_socket", lambda method, headers: "upgrade" in str(headers))
    answers = list[bytes]()

    async def do(client: Ask, server: DoorServer) -> None:
        broken = (
            b"GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nsec-websocket-protocol: \xff\r\n\r\n"
        )
        answers.append(await client().ask(broken, b"\r\n\r\n"))
        line = client()
        await line.say(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        server.should_exit = True
        answers.append(await line.hear(b"slow"))

    served(do, on=uvloop.run)
    assert answers[0].startswith(b"" if let_through else b"HTTP/1.1 404")
    assert answers[1].startswith(b"HTTP/1.1 200")


COUNTING = """
import sys
from banyan_web.rate_limiter import SharedCounts
counts = SharedCounts(int(sys.argv[1]), bytes(16))
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for _ in range(3_000):
    counts.add("token", "an", 600, 300)
"""


def test_processes_count_together() -> None:
    memory = shared_memory()
    line = [sys.executable, "-c", COUNTING, str(memory)]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(line, pass_fds=(memory,), stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.communicate("go\n", timeout=60)
    counts = SharedCounts(memory, bytes(16))
    assert counts.add("token", "an", 600, 300) == (6_001, 0)
    assert counts.add("token", "an", 900, 300) == (1, 6_001), "of the next window"
    assert counts.add("address", "an", 900, 300) == (1, 0)
    counts.forget("token", "an")
    assert counts.add("token", "an", 900, 300) == (1, 0)
    os.close(memory)


def test_shared_counts_bound_as_own_ones_and_take_no_more_room() -> None:
    memory = shared_memory()
    counts = SharedCounts(memory, bytes(KEY_BYTES))
    shared = [RateLimits(counts=counts, processes=2, clock=lambda: 1_000.0) for _ in range(2)]
    own = RateLimits(clock=lambda: 1_000.0)
    for n in range(40):
        told = own.take("address", "192.0.2.1", 30, 300)
        assert shared[n % 2].take("address", "192.0.2.1", 30, 300) == told
    assert told.over
    kept = 0
    for n in range(3_000):
        shared[0].take("address", f"other {n}", 30, 300)
    for n in range(3_000):
        kept += shared[1].take("address", f"other {n}", 30, 300).left == 28
    assert kept == 3_000
    assert (own.share(5), shared[0].share(5)) == (5, 3)
    os.close(memory)


def test_frames_are_whole_however_their_bytes_come() -> None:
    raw = (
        frame(WorkerFrameKind.CALL, 7, b"abc")
        + frame(WorkerFrameKind.STOP, 0)
        + frame(WorkerFrameKind.EVENT, 1 << 31, b"\0" * 300)
    )
    for size in (1, 2, 5, 9, 10, 1_000):
        frames, found = FrameSplitter(), list[Frame]()
        for at in range(0, len(raw), size):
            found += frames.feed(raw[at : at + size])
        assert found == [
            (WorkerFrameKind.CALL, 7, b"abc"),
            (WorkerFrameKind.STOP, 0, b""),
            (WorkerFrameKind.EVENT, 1 << 31, bytes(300)),
        ]
