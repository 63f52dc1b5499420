"""The control API over real sockets: access, answers, and how a node starts and stops serving."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import trio
from prometheus_client import CollectorRegistry, Counter

from banyan_node.home.config import ControlSettings
from banyan_node.home.folder import Home
from banyan_node.idempotency import RecordKey
from banyan_node.operator_errors import CallError, ControlError, NoNode, PortBusy
from banyan_node.server.control_api import control_app
from banyan_node.server.control_client import AsyncControlClient, ControlClient
from banyan_node.server.http_server import Bind, serve_control
from banyan_node.server.servers import Announcement, ServerAddress, find_running, new_token

T = TypeVar("T")


class Node:
    """A simple backend: it answers, refuses, fails, waits, and streams."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.release = trio.Event()
        self.entered = trio.Event()
        self.streams_left = self.asked = 0
        self.slow: trio.Event | None = None
        """Asked for events, it waits for this first."""

    async def answer(self, method: str, params: dict[str, Any], *, once: RecordKey | None = None) -> Any:
        if method == "echo":
            return params
        if method == "break":
            raise RuntimeError("a secret path")
        if method == "wait":
            self.entered.set()
            await self.release.wait()
            return "done"
        raise CallError("no_such_method", f"There is no method {method}.", 404)

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        return b""

    async def events(self, params: dict[str, str]) -> AsyncGenerator[Any, None]:
        if params.get("since") == "gone":
            raise CallError("cursor_gone", "The cursor is older than what is kept.", 410)
        self.asked += 1
        if self.slow is not None:
            await self.slow.wait()
        return self._count_up(int(params.get("to", "3")), params.get("then"))

    async def _count_up(self, to: int, then: str | None) -> AsyncGenerator[Any, None]:
        try:
            for number in range(to):
                yield {"number": number}
            if then == "break":
                raise RuntimeError("a secret path")
            if then == "refuse":
                raise CallError("too_slow", "You were too slow.")
            if then == "wait":
                await trio.sleep_forever()
        finally:
            self.streams_left += 1


class Served:
    """A served node: its home, its endpoint and the switch that stops it."""

    def __init__(self, home: Home, node: Node, endpoint: ServerAddress, token: str, shutdown: trio.Event) -> None:
        self.home, self.node, self.endpoint, self.token, self.shutdown = home, node, endpoint, token, shutdown

    def http(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.endpoint.url,
            headers={"authorization": f"Bearer {self.token}"} | headers,
            trust_env=False,
            transport=httpx.AsyncHTTPTransport(uds=self.endpoint.socket or None),
        )


@asynccontextmanager
async def served(path: Path, bind: Bind | None = None, grace: float = 1.0, **bounds: Any) -> AsyncIterator[Served]:
    home, node, token, shutdown = Home(path), Node(), new_token(), trio.Event()
    registry = CollectorRegistry()
    Counter("banyan_figs", "Figs eaten", registry=registry).inc(3)
    app = control_app(node, token, registry, lambda: node.trouble, **bounds)

    async def run(task_status: Any) -> None:
        await serve_control(
            app, bind or Bind(), home, token, shutdown=shutdown, grace_seconds=grace, task_status=task_status
        )

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            endpoint = await nursery.start(run)
            yield Served(home, node, endpoint, token, shutdown)
            shutdown.set()


ANOTHER = b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
APP = control_app(Node(), "t", CollectorRegistry(), lambda: None)


async def in_thread(work: Callable[[], T]) -> T:
    """Runs it on another thread, as the command line runs outside the node's loop."""
    return await trio.to_thread.run_sync(work)


def ask(home: Home, method: str, **params: Any) -> Any:
    with ControlClient.from_home(home) as client:
        return client.call(method, **params)


async def test_a_call_reaches_the_node_and_its_result_comes_back(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        params = {"text": "é\n", "list": [1, None, True], "nested": {"a": 2**63}}
        assert await in_thread(lambda: ask(it.home, "echo", **params)) == params
        async with AsyncControlClient.from_home(it.home) as client:
            assert await client.call("echo", a=1) == {"a": 1}


async def test_a_refusal_arrives_as_the_error_the_node_raised(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        with pytest.raises(CallError, match=r"There is no method dance\.") as caught:
            await in_thread(lambda: ask(it.home, "dance"))
        assert (caught.value.code, caught.value.status) == ("no_such_method", 404)


async def test_a_failure_inside_the_node_is_told_without_its_details(tmp_path: Path) -> None:
    async with served(tmp_path) as it, it.http() as http:
        answer = await http.post("/v1/break")
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "internal"
        assert "secret path" not in answer.text
        assert (await http.post("/v1/echo", content=b'{"still": "up"}')).json() == {"still": "up"}


@pytest.mark.parametrize("token", [None, "Bearer", "Bearer wrong", "Basic x", "bearer TOKEN", "Bearer TOKENx"])
async def test_no_request_is_answered_without_the_token(tmp_path: Path, token: str | None) -> None:
    async with served(tmp_path) as it, it.http() as http:
        del http.headers["authorization"]
        headers = {} if token is None else {"authorization": token.replace("TOKEN", it.token)}
        for method, path in (("POST", "/v1/echo"), ("GET", "/v1/events"), ("GET", "/metrics"), ("GET", "/nowhere")):
            answer = await http.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "control.token" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost:1@evil", "[::2]"]
)
async def test_a_web_page_that_points_its_name_at_this_machine_gets_nowhere(tmp_path: Path, host: str) -> None:
    async with served(tmp_path) as it, it.http(host=host) as http:
        for path in ("/healthz", "/metrics"):
            assert (await http.get(path)).json()["error"]["code"] == "wrong_host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:81", "127.0.0.1:1", "[::1]:65535"])
async def test_every_name_of_this_machine_is_answered(tmp_path: Path, host: str) -> None:
    async with served(tmp_path) as it, it.http(host=host) as http:
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("body", [b"[]", b"{", b"7", b"\xff", b'{"a": NaN}', b'{"a":' * 2000])
async def test_a_body_that_is_no_json_object_is_refused(tmp_path: Path, body: bytes) -> None:
    async with served(tmp_path) as it, it.http() as http:
        answer = await http.post("/v1/echo", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_a_body_over_the_limit_is_refused_with_or_without_a_length(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * 512

    async with served(tmp_path, body_bytes=1024) as it:
        for body in (b" " * 1025, chunks()):
            async with it.http() as http:
                answer = await http.post("/v1/echo", content=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        async with it.http() as http:
            assert (await http.post("/v1/echo", content=b" " * 1022 + b"{}")).status_code == 200


async def test_an_answer_to_an_unread_body_announces_that_the_connection_closes(tmp_path: Path) -> None:
    async with served(tmp_path, body_bytes=1024) as it, it.http() as http:
        for path, body, closes in (
            ("/v1/echo", b" " * 2000, True),
            ("/nowhere", b"{}", True),
            ("/v1/echo", b"{}", False),
            ("/v1/echo", b"", False),
        ):
            answer = await http.post(path, content=body)
            assert ("connection" in answer.headers) == closes
        del http.headers["authorization"]
        assert (await http.post("/v1/echo", content=b"{}")).headers["connection"] == "close"


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as it:
        line = await trio.open_tcp_stream("127.0.0.1", it.endpoint.port)
        head = f"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {it.token}\r\n"
        await line.send_all(head.encode() + b"Content-Length: 99\r\n\r\n{")
        await trio.sleep(0.1)
        await line.aclose()
        await trio.sleep(0.2)
        async with it.http() as http:
            assert (await http.post("/v1/echo", content=b"{}")).status_code == 200
    assert [r for r in caplog.records if r.levelname == "ERROR"] == []


async def test_a_body_that_comes_too_slowly_is_refused_and_the_connection_closed(tmp_path: Path) -> None:
    async with served(tmp_path, body_seconds=0.3) as it:
        line = await trio.open_tcp_stream("127.0.0.1", it.endpoint.port)
        head = f"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {it.token}\r\n"
        await line.send_all(head.encode() + b"Content-Length: 99\r\n\r\n{")
        answer = b""
        while chunk := await line.receive_some():
            answer += chunk
        await line.aclose()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"too_slow" in answer


async def test_what_is_not_there_is_said_in_json(tmp_path: Path) -> None:
    async with served(tmp_path) as it, it.http() as http:
        for method, path, status in (
            ("GET", "/nowhere", 404),
            ("GET", "/v1/echo", 405),
            ("POST", "/healthz", 405),
            ("POST", "/v1/Echo", 404),
            ("POST", "/v1/echo/", 404),
            ("GET", "/healthz/", 404),
        ):
            answer = await http.request(method, path)
            assert answer.status_code == status
            assert answer.json()["error"]["message"]


async def test_ready_means_that_the_node_serves_and_healthy_that_it_answers(tmp_path: Path) -> None:
    async with served(tmp_path) as it, it.http() as http:
        del http.headers["authorization"]
        it.node.trouble = "The store is being opened."
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["error"]["message"]) == (503, "The store is being opened.")
        assert (await http.get("/healthz")).status_code == 200
        it.node.trouble = None
        assert (await http.get("/readyz")).json() == {"ready": True}


async def test_metrics_are_those_of_the_registry(tmp_path: Path) -> None:
    async with served(tmp_path) as it, it.http() as http:
        answer = await http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        assert "banyan_figs_total 3.0" in answer.text


async def test_events_come_one_a_line_as_they_happen(tmp_path: Path) -> None:
    async with served(tmp_path) as it:

        def read(count: int, **params: str | int) -> list[Any]:
            with ControlClient.from_home(it.home) as client, closing(client.events(**params)) as events:
                return list(islice(events, count))

        three = [{"number": n} for n in range(3)]
        assert await in_thread(lambda: read(9)) == three
        assert await in_thread(lambda: read(3, to=3, then="wait")) == three


async def test_a_stream_that_cannot_start_or_breaks_says_so(tmp_path: Path) -> None:
    async with served(tmp_path) as it:

        def read(**params: str | int) -> tuple[list[Any], CallError]:
            seen: list[Any] = []
            with ControlClient.from_home(it.home) as client:
                try:
                    for event in client.events(**params):
                        seen.append(event)
                except CallError as error:
                    return seen, error
            raise AssertionError(f"the stream ended after {seen} without saying why")

        seen, error = await in_thread(lambda: read(since="gone"))
        assert (seen, error.code, error.status) == ([], "cursor_gone", 410)
        for then, code in (("break", "internal"), ("refuse", "too_slow")):
            seen, error = await in_thread(partial(read, to=1, then=then))
            assert (seen, error.code) == ([{"number": 0}], code)


async def test_a_reader_that_leaves_frees_its_stream(tmp_path: Path) -> None:
    async with served(tmp_path, streams=1) as it, it.http() as http:
        client = await in_thread(lambda: ControlClient.from_home(it.home))
        events = client.events(to=1, then="wait")
        assert await in_thread(lambda: next(events)) == {"number": 0}
        second = await http.get("/v1/events")
        assert (second.status_code, second.json()["error"]["code"]) == (429, "too_many_streams")
        await in_thread(events.close)
        while it.node.streams_left == 0:
            await trio.sleep(0.01)
        third = await http.get("/v1/events")
        assert third.headers["content-type"] == "application/x-ndjson"
        assert third.text.split() == ['{"number":0}', '{"number":1}', '{"number":2}']
        client.close()


@pytest.mark.parametrize("more", [b"", ANOTHER, b"\0"], ids=["nothing", "a request", "no request"])
@pytest.mark.parametrize("upgrade", [b"", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"], ids=["", "upgrade"])
async def test_a_reader_that_leaves_is_noticed_whatever_it_sent_before(
    tmp_path: Path, more: bytes, upgrade: bytes
) -> None:
    """Where the server waited with what came, it did not hear that nothing more would."""
    async with served(tmp_path, streams=1) as it:
        line = await trio.open_tcp_stream("127.0.0.1", it.endpoint.port)
        head = f"GET /v1/events?to=1&then=wait HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {it.token}\r\n"
        await line.send_all(head.encode() + upgrade + b"\r\n" + more)
        found = b""
        while b"number" not in found:
            found += await line.receive_some()
        await line.aclose()
        while it.node.streams_left == 0:
            await trio.sleep(0.01)


async def test_no_more_streams_than_allowed_begin_however_many_ask_at_once(tmp_path: Path) -> None:
    async with served(tmp_path, streams=2) as it, it.http() as http, trio.open_nursery() as nursery:
        answered: list[int] = []

        async def follow() -> None:
            async with http.stream("GET", "/v1/events", params={"to": 1, "then": "wait"}) as response:
                answered.append(response.status_code)
                if response.status_code == 200:
                    await trio.sleep_forever()

        it.node.slow = trio.Event()
        for _ in range(6):
            nursery.start_soon(follow)
        while it.node.asked < 2 or len(answered) < 4:
            await trio.sleep(0.01)
        it.node.slow.set()
        while len(answered) < 6:
            await trio.sleep(0.01)
        assert sorted(answered) == [200] * 2 + [429] * 4
        nursery.cancel_scope.cancel()


async def test_a_stream_is_only_read_with_get(tmp_path: Path) -> None:
    """HEAD would hold a stream open and be told nothing."""
    async with served(tmp_path, streams=1) as it, it.http() as http:
        for _ in range(2):
            head = await http.head("/v1/events")
            assert (head.status_code, head.headers["allow"]) == (405, "GET")
        for method in ("GET", "PUT", "TRACE"):
            refused = await http.request(method, "/v1/echo")
            assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert set((await http.delete("/healthz")).headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_shutdown_lets_a_request_finish_and_takes_no_new_one(tmp_path: Path) -> None:
    answers = []
    async with served(tmp_path, grace=5) as it, trio.open_nursery() as nursery:

        async def slow() -> None:
            async with it.http() as http:
                answers.append((await http.post("/v1/wait")).json())

        nursery.start_soon(slow)
        await it.node.entered.wait()
        it.shutdown.set()
        await trio.sleep(0.1)
        async with it.http() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get("/healthz")
        it.node.release.set()
    assert answers == ["done"]


async def test_shutdown_does_not_wait_for_ever_for_a_reader_that_stays(tmp_path: Path) -> None:
    begun = trio.current_time()
    async with served(tmp_path, grace=0.2) as it:

        def read() -> list[Any]:
            with ControlClient.from_home(it.home) as client, closing(client.events(to=1, then="wait")) as events:
                first = next(events)
                trio.from_thread.run_sync(it.shutdown.set)
                with pytest.raises(NoNode, match="went away"):
                    next(events)
                return [first]

        assert await in_thread(read) == [{"number": 0}]
    assert trio.current_time() - begun < 5
    assert it.node.streams_left == 1


async def test_a_node_can_be_cancelled_at_once(tmp_path: Path) -> None:
    home, node = Home(tmp_path), Node()
    app = control_app(node, "t", CollectorRegistry(), lambda: None)

    async def run(task_status: Any) -> None:
        await serve_control(app, Bind(), home, "t", grace_seconds=60, task_status=task_status)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            assert home.running.exists()
            nursery.cancel_scope.cancel()
    assert not home.running.exists()


async def test_the_files_of_a_run_are_private_and_go_with_it(tmp_path: Path) -> None:
    async with served(tmp_path) as it:
        for file in (it.home.token, it.home.running):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert find_running(it.home)[0].pid == os.getpid()
    assert os.listdir(tmp_path) == []
    with pytest.raises(NoNode, match=r"No node is running in .*; start one with `banyan up`\."):
        ControlClient.from_home(it.home)


async def test_a_token_is_worth_nothing_to_the_next_run(tmp_path: Path) -> None:
    async with served(tmp_path) as first:
        old = first.token
    async with served(tmp_path) as second, second.http(authorization=f"Bearer {old}") as http:
        assert (await http.post("/v1/echo")).status_code == 401


def test_a_stale_control_file_is_explained(tmp_path: Path) -> None:
    home = Home(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    announcement = Announcement(home, ServerAddress("127.0.0.1", port), "t")
    announcement.write()
    try:
        with pytest.raises(NoNode, match=f"127.0.0.1 port {port}, where nobody answers"):
            ask(home, "echo")
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        ended = process.pid
        body = json.loads(home.running.read_bytes())
        home.running.write_text(json.dumps(body | {"pid": ended}))
        with pytest.raises(NoNode, match=f"process {ended}, which has ended"):
            ask(home, "echo")
        home.running.write_text("{")
        with pytest.raises(NoNode, match="cannot be read"):
            ask(home, "echo")
    finally:
        announcement.close()
    assert home.running.exists()  # it is not this run's any more, so this run leaves it


async def test_a_busy_port_gives_one_sentence_and_leaves_no_files(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortBusy, match=f"Port {port} of 127.0.0.1 is taken by another program"):
            await serve_control(APP, Bind(port=port), Home(tmp_path), "t")
    assert os.listdir(tmp_path) == []


async def test_a_unix_socket_serves_is_private_and_is_cleared_away(tmp_path: Path) -> None:
    bind = Bind.of(ControlSettings(socket="control.sock"), Home(tmp_path))
    path = tmp_path / "control.sock"
    async with served(tmp_path, bind) as it:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await in_thread(lambda: ask(it.home, "echo", a=1)) == {"a": 1}
        with pytest.raises(PortBusy, match="Another program answers on"):
            await serve_control(APP, bind, Home(tmp_path / "b"), "t")
        assert await in_thread(lambda: ask(it.home, "echo", a=2)) == {"a": 2}
    assert not path.exists()


async def test_a_socket_left_by_a_crash_is_replaced_and_another_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with served(tmp_path, Bind(socket=str(path))) as it:
        assert await in_thread(lambda: ask(it.home, "echo")) == {}
    path.write_text("mine")
    with pytest.raises(PortBusy, match="no socket"):
        await serve_control(APP, Bind(socket=str(path)), Home(tmp_path), "t")
    assert path.read_text() == "mine"


async def test_an_address_that_cannot_be_used_gives_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="cannot be made"):
        await serve_control(APP, Bind(socket=str(tmp_path / "no" / "folder")), Home(tmp_path), "t")
    with pytest.raises(ControlError, match="cannot be made"):
        await serve_control(APP, Bind(socket=str(tmp_path / ("x" * 120))), Home(tmp_path), "t")
