"""What goes on ends within a second when what it was opened with is good no more, whoever ends that."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import h11
import pytest
import trio
from trio_websocket import open_websocket_url

from banyan_web import open_streams
from banyan_web.app import EVERY, SOCKETS
from banyan_web.firehose import endpoints as firehose_sockets
from banyan_web.mastodon.streaming import endpoints
from banyan_web.mastodon.streaming import endpoints as streaming
from banyan_web.oauth import logins
from banyan_web.open_streams import OpenStreams
from banyan_web.platform import deliveries
from tests.web.door import Door, open_node
from tests.web.lines import LineStream, open_lines
from tests.web.test_firehose_forms import messages
from tests.web.test_platform_webhooks import Backend, until
from tests.web.test_platform_webhooks import backend as service

__all__ = ["service"]
SOCKET = "ws"
PARAMS: dict[str, dict[str, str]] = {"hashtag": {"tag": "a"}, "hashtag/local": {"tag": "a"}}
OF_TOKENS: list[tuple[str, str, dict[str, str]]] = [
    *(
        ("GET", f"/api/v1/streaming/{path}", PARAMS.get(path, {}))
        for path in streaming._PATHS
        if path != "list"  # as `user`, and needs a list
    ),
    *(("GET", "/v1/firehose", {"format": form}) for form in ("ndjson", "sse", "cbor")),
    ("GET", "/v1/firehose", {"compress": "zstd"}),
    ("GET", "/v1/firehose", {"proof": "true"}),
    ("POST", "/v1/firehose", {}),
    ("POST", "/v1/operations", {}),
    ("POST", "/v1/accounts/bulk", {}),
    (SOCKET, endpoints.SOCKET.path, {"stream": "public"}),
    (SOCKET, firehose_sockets.SOCKET.path, {}),
    (SOCKET, firehose_sockets.SOCKET.path, {"format": "cbor"}),
]
OF_SESSIONS = ["/live/events"]
OF_NOBODY = ["/network/events"]
"""They tell everybody the same."""
GOES_ON = ("LiveAnswer(", "EventStream(", "Conversation(")


def test_every_endpoint_that_goes_on_is_tried_here() -> None:
    """Which those are is read in their source: the answers without an end are made by three classes."""
    tried = {path for _, path, _ in OF_TOKENS} | {*OF_SESSIONS, *OF_NOBODY, "/api/v1/streaming/list"}
    for module in {inspect.getmodule(one.do) for every in EVERY for one in every.all}:
        assert module is not None
        if any(name in inspect.getsource(module) for name in GOES_ON):
            paths = {one.path for one in module.ENDPOINTS.all}
            assert paths & tried, f"{module.__name__} has streams: name its paths here"
    assert {one.path for one in SOCKETS} <= {path for verb, path, _ in OF_TOKENS if verb == SOCKET}
    made = [name for name in GOES_ON if f"class {name}" in _source_of_all()]
    assert made == list(GOES_ON)
    assert _source_of_all().count('del self.headers["content-length"]') == len(GOES_ON), "a new kind of answer goes on"


def _source_of_all() -> str:
    root = Path(importlib.import_module("banyan_web").__file__ or "").parent
    return "".join(path.read_text() for path in sorted(root.rglob("*.py")))


class _Bulk:
    """A request of lines that goes on: each line is answered while more may come."""

    def __init__(self, line: trio.SocketStream) -> None:
        self.line, self.http = line, h11.Connection(h11.CLIENT)

    async def say(self, *events: h11.Event) -> None:
        for event in events:
            await self.line.send_all(self.http.send(event) or b"")

    async def ended(self) -> None:
        """Until the answer is over."""
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self.line.receive_some(65_536))
            elif isinstance(event, h11.Response):
                assert event.status_code == 200, event
            elif isinstance(event, h11.EndOfMessage):
                return


async def over(lines: LineStream) -> None:
    """Until an answer is over, and not broken off."""
    while isinstance(await lines._event(), h11.Data):
        pass


@asynccontextmanager
async def opened(door: Door, what: tuple[str, str, dict[str, str]], token: str) -> AsyncIterator[Any]:
    """A stream: what waits for its end, as one that is over or by the code of a WebSocket."""
    verb, path, params = what
    if verb == SOCKET:
        query = "&".join([f"{name}={value}" for name, value in params.items()])
        headers = [(b"Authorization", f"Bearer {token}".encode())]
        async with open_websocket_url(f"ws{door.url[4:]}{path}?{query}", extra_headers=headers) as socket:

            async def closed() -> None:
                async for _ in messages(socket):
                    pass
                assert socket.closed is not None
                assert socket.closed.code == 1008, socket.closed

            try:
                yield closed
            finally:  # where the server closes first, the library leaves it open
                await trio.aclose_forcefully(socket._stream)
    elif verb == "GET":
        async with open_lines(door.url, path, token, params) as lines:
            yield partial(over, lines)
    else:
        host, _, port = door.url.removeprefix("http://").rpartition(":")
        async with await trio.open_tcp_stream(host, int(port)) as line:
            bulk = _Bulk(line)
            kind = "application/json" if path == "/v1/firehose" else "application/x-ndjson"
            given = {"Host": "a", "Authorization": f"Bearer {token}", "Content-Type": kind}
            given["Transfer-Encoding"] = "chunked"
            ask = h11.Request(method="POST", target=path, headers=[*given.items()])
            await bulk.say(ask, h11.Data(data=b"{}\n"))
            if path == "/v1/firehose":
                await bulk.say(h11.EndOfMessage())
            yield bulk.ended


@pytest.mark.parametrize("workers", ["0", "2"])
async def test_every_stream_ends_with_its_token_or_session(tmp_path: Path, workers: str) -> None:
    async with open_node(tmp_path, http__workers=workers, http__token_rate="0") as door:
        an, _ = await door.person("an")

        def by_operator(token: str) -> Any:  # as `banyan token revoke` beside the node
            return trio.to_thread.run_sync(door.store.revoke, token)

        async def by_app(token: str) -> None:
            app = {"client_id": given["client_id"], "client_secret": given["client_secret"]}
            await door.client().post("/oauth/revoke", **app, token=token)

        given = await door.client().post("/api/v1/apps", client_name="a", redirect_uris="urn:ietf:wg:oauth:2.0:oob")
        tokens = dict[str, Callable[[str], Awaitable[None]]]()
        cookies = list[str]()
        async with trio.open_nursery() as streams, trio.open_nursery() as beside:

            async def open_and_wait(what: Any, token: str, task_status: Any = None) -> None:
                async with opened(door, what, token) as end:
                    task_status.started()
                    await end()
                    left.discard(token)

            async def wait_for_session(path: str, cookie: str, task_status: Any = None) -> None:
                async with open_lines(door.url, path, None, cookie=cookie) as lines:
                    task_status.started()
                    await over(lines)
                    left.discard(cookie)

            async def stay(task_status: Any = None) -> None:
                async with open_lines(door.url, "/api/v1/streaming/public", kept) as lines:
                    task_status.started()
                    async for line in lines:
                        heard.append(line)
                raise AssertionError("a stream ended whose token is good")

            async def speak() -> None:
                for n in range(1_000):  # no stream is quiet
                    await door.node.backend.call("post", {"text": f"số {n}"})
                    await trio.sleep(0.1)

            kept, heard = door.token(an, "read"), list[str]()
            for n, (verb, path, params) in enumerate(OF_TOKENS):
                of_platform = path in ("/v1/operations", "/v1/accounts/bulk")
                scopes = ("read", "write", "host", "firehose")
                token = door.store.mint(
                    None if of_platform else an, f"a {n}", scopes, client=None if of_platform else given["client_id"]
                )
                tokens[token] = by_operator if n % 2 or of_platform else by_app
                await streams.start(open_and_wait, (verb, path, params), token)
            for path in OF_SESSIONS:
                cookies.append(logins.open_session(door.store, logins.Person(an, "an")))
                await streams.start(wait_for_session, path, cookies[-1])
            await beside.start(stay)
            beside.start_soon(speak)
            left = {*tokens, *cookies}
            await trio.sleep(1)
            assert left == {*tokens, *cookies}, "none ends by itself"
            for who in (by_app, by_operator):  # the latter last: then no write of the node's own follows it
                mine = {token for token, revoke in tokens.items() if revoke is who}
                for token in mine:
                    await who(token)
                with trio.fail_after(60):
                    while left & mine:
                        await trio.sleep(0.05)
            for cookie in cookies:
                await trio.to_thread.run_sync(logins.end_session, door.store, cookie)
            with trio.fail_after(60):
                while left:
                    await trio.sleep(0.05)
            count = len(heard)
            with trio.fail_after(60):
                while len(heard) < count + 3:
                    await trio.sleep(0.05)
            beside.cancel_scope.cancel()


async def test_a_stream_ends_when_its_token_expires(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        token = door.store.mint(None, "a", ("firehose",), seconds=2)
        async with open_lines(door.url, "/v1/firehose", token) as lines:
            with trio.fail_after(60):
                assert len([line async for line in lines]) >= 1


async def test_a_token_that_was_revoked_before_its_stream_began_opens_none(tmp_path: Path) -> None:
    """Whatever happens between the look-up of a token and the first byte."""
    async with open_node(tmp_path) as door:
        token = door.store.mint(None, "a", ("firehose",))
        streams, scope = OpenStreams(door.store), dict[str, Any]()
        assert open_streams.token_shown(door.store, scope, token) is not None
        door.store.revoke(token)
        with anyio.CancelScope() as until, streams.stream(scope, until) as stream:
            streams._look()
            await trio.sleep(0)
        assert (stream.revoked, until.cancelled_caught) == (True, True)


async def test_a_webhook_waits_while_its_platform_has_no_token(
    tmp_path: Path, service: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "FIRST_S", 0.1)
    async with open_node(tmp_path, http__local_webhooks="true") as door:
        await door.person("an")
        token = door.store.mint(None, "lotus", ("read", "host"))
        headers = {"authorization": f"Bearer {token}"}
        given = {"url": service.url, "events": ["create"], "collections": ["post"]}
        assert (await door.client().http.post("/v1/webhooks", json=given, headers=headers)).status_code == 200
        call = door.node.backend.call
        await call("post", {"text": "một"})
        await until(lambda: len(service.events) == 1)
        door.store.revoke(token)
        await trio.sleep(2 * deliveries.LOOK_S)
        await call("post", {"text": "hai"})
        await trio.sleep(2 * deliveries.LOOK_S)
        assert len(service.events) == 1
        door.store.mint(None, "lotus", ("host",))
        await until(lambda: len(service.events) == 2)
        assert [event["content"]["text"] for event in service.events] == ["một", "hai"]
