"""What clients send that nobody should: every endpoint, and the server under them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from banyan_web import params
from banyan_web.app import EVERY, DoorApp
from banyan_web.door_store import SCOPES, DoorStore
from banyan_web.endpoint import Endpoint
from banyan_web.open_streams import OpenStreams
from banyan_web.rate_limits import LocalCounts, RateLimits
from banyan_web.refusals import answer
from tests.needs import NIGHT
from tests.web.door import Door, open_node, open_node_by

HARD = ("", "x", "0", "-1", "9" * 30, "1e9", "null", "true", "\0", "\r\nX: y", "../../etc/passwd", "%00", "💥" * 50,
        "did:banyan:z", "a" * 5_000, "<script>", "' or 1=1 --")  # fmt: skip
NAMES = ("app", "seconds", "posts", "rules",
         "id", "q", "resource", "limit", "max_id", "since_id", "min_id", "offset", "status", "text", "name",
         "title",
         "account_id", "account_ids", "acct", "media_ids", "poll", "uri", "type", "types", "scope", "scopes", "next",
         "lang",
         "client_name", "client_id", "client_secret", "redirect_uri", "redirect_uris", "grant_type", "code", "token",
         "response_type", "state", "csrf", "password", "website", "language", "visibility", "in_reply_to_id",
         "scheduled_at", "choices", "comment", "duration", "expires_in", "context", "keywords_attributes",
         "subscription", "data", "policy", "languages", "reblogs", "exclusive", "replies_policy", "whole_word",
         "home", "notifications", "cursor", "accounts", "fields_attributes",
         "source", "verdict", "posts", "category", "rule_ids", "rules", "why", "order", "days", "after",
         "account")  # fmt: skip
WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "\ud83d",
    "\0",
    [],
    [None],
    [[[]]],
    {},
    {"a": {"b": [{}]}},
)
READERS = 2_000


def _every() -> Iterator[Endpoint]:
    return (endpoint for module in EVERY for endpoint in module.all)


def _path(endpoint: Endpoint, fill: str) -> str:
    parts = [fill if part.startswith("{") else part for part in endpoint.path.split("/")]
    return "/".join(parts)


@pytest.mark.parametrize("signed_in", [True, False])
async def test_no_endpoint_breaks_of_what_it_is_asked(tmp_path: Path, signed_in: bool) -> None:
    async with open_node(tmp_path, http__address_rate="0") as at:
        an, _ = await at.person("an")
        token = at.token(an, *(scope for scope in SCOPES if scope != "admin")) if signed_in else None
        faults: list[str] = []
        line = _Line(at.url, token)
        fine = partial(_fine, line, faults)
        forms = [urlencode([(name, _text(wrong)) for name in NAMES]) for wrong in WRONG]
        bodies = [(_json(dict.fromkeys(NAMES, wrong)), b"application/json") for wrong in WRONG]
        bodies += [(form.encode(), b"application/x-www-form-urlencoded") for form in forms]
        every = 1 if NIGHT else 5  # by day each endpoint is asked a fifth of it, the next one the next fifth
        for n, endpoint in enumerate(_every()):
            if endpoint.scope is not None and not signed_in:  # it is refused before anything is read
                await fine(endpoint, _path(endpoint, "x"))
                continue
            fills = HARD if "{" in endpoint.path else ("x",)
            for fill in fills if len(fills) == 1 else fills[n % every :: every]:
                await fine(endpoint, _path(endpoint, _quoted(fill)))
            path = _path(endpoint, "1")
            if endpoint.verb == "GET":
                for form in forms[n % every :: every]:
                    await fine(endpoint, f"{path}?{form}")
                continue
            broken = BODIES if endpoint.raw or endpoint.files else BODIES[n % every :: every]
            for body, said in (*bodies[n % every :: every], *broken):
                await fine(endpoint, path, said, body)
        await line.close()
        assert not faults, faults[:40]


BODIES = (
    (b"{", b"application/json"),
    (b"[1]", b"application/json"),
    (b'{"a": "\xff"}', b"application/json"),
    (b"[" * 50_000, b"application/json"),
    (b'{"id": "\\ud800"}', b"application/json"),
    (b"%ff=%fe&a[=1", b"application/x-www-form-urlencoded"),
    (b"&".join(b"a%d=1" % n for n in range(1_100)), b"application/x-www-form-urlencoded"),
    (b"a" + b"[b]" * 100 + b"=1", b"application/x-www-form-urlencoded"),
    (b"--x\r\n", b"multipart/form-data; boundary=x"),
    (b"--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"../../b\"\r\n\r\nc\r\n--x--\r\n",
     b"multipart/form-data; boundary=x"),
    (b"junk", b"multipart/form-data"),
    (b"junk", b"text/plain"),
    (b"junk", b"application/x-www-form-urlencoded; charset=nonsense"),
    (b"junk", b"\xff/\xfe"),
)  # fmt: skip


async def test_who_shows_no_token_learns_that_before_the_body_is_read(tmp_path: Path) -> None:
    """And every refusal has a code for programs."""
    async with open_node(tmp_path, http__address_rate="0", http__token_rate="0") as at:
        client, poor = at.client().http, at.client((await at.person("an"))[0], "push").http
        for endpoint in _every():
            path = _path(endpoint, "x")
            kinds = (b"{", "application/json"), (b"x", "text/x")
            for body, kind in kinds if endpoint.verb != "GET" else kinds[:1]:
                headers = {"content-type": kind, "accept": "application/json"}
                answer = await client.request(endpoint.verb, path, content=body, headers=headers)
                if endpoint.scope is not None:
                    assert answer.status_code == 401, (endpoint.verb, path, body, answer.text[:200])
                if answer.status_code >= 400 and answer.headers["content-type"].startswith("application/json"):
                    assert answer.json()["code"], (path, answer.text)
            if endpoint.scope not in (None, "push"):
                answer = await poor.request(endpoint.verb, path, content=b"{", headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (path, answer.text)
        assert (await client.get("/nothing")).json()["code"] == "not_here"


def _quoted(fill: str) -> str:
    from urllib.parse import quote

    return quote(fill, safe="")[:3_000] or "%20"


def _text(wrong: Any) -> str:
    return "" if wrong is None else str(wrong).encode("utf-8", "replace").decode()


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


class _Line:
    """A connection that stays. By hand, because a library's work for 28,000 requests is more than that of the node."""

    def __init__(self, url: str, token: str | None) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._at = host, int(port)
        self._usual = f"host: {host}:{port}\r\n" + (f"authorization: Bearer {token}\r\n" if token else "")
        self._line: trio.SocketStream | None = None

    async def close(self) -> None:
        if self._line is not None:
            await self._line.aclose()
            self._line = None

    async def ask(self, verb: str, path: str, kind: bytes, content: bytes) -> int:
        """The status of the answer. A stream is not read."""
        if self._line is None:
            self._line = await trio.open_tcp_stream(*self._at)
        head = f"{verb} {path} HTTP/1.1\r\n{self._usual}content-length: {len(content)}\r\n".encode()
        await self._line.send_all(head + b"content-type: %s\r\n\r\n" % kind + content)
        found = b""
        while b"\r\n\r\n" not in found:
            more = await self._line.receive_some()
            assert more, f"{verb} {path[:80]} was not answered"
            found += more
        said, _, body = found.partition(b"\r\n\r\n")
        lines = said.lower().split(b"\r\n")
        sizes = [int(one.removeprefix(b"content-length:")) for one in lines if one.startswith(b"content-length:")]
        if not sizes or b"connection: close" in lines:
            await self.close()
            return int(said.split()[1])
        while len(body) < sizes[0] and (more := await self._line.receive_some()):
            body += more
        return int(said.split()[1])


async def _fine(
    line: _Line, faults: list[str], endpoint: Endpoint, path: str, kind: bytes = b"text/plain", content: bytes = b""
) -> None:
    """Notes an answer that begins with 5xx."""
    status = await line.ask(endpoint.verb, path, kind, content)
    if status >= 500:
        faults.append(f"{status} {endpoint.verb} {endpoint.path} {path[:80]} {kind!r} {content[-160:]!r}")


def _raw(url: str, request: bytes, wait: float = 60.0) -> bytes:
    """What the server says until it closes."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with closing(socket.create_connection((host, int(port)), timeout=wait)) as line:
        line.sendall(request)
        found = b""
        try:
            while more := line.recv(65_536):
                found += more
        except (TimeoutError, ConnectionResetError):
            pass
        return found


ONCE = b"Host: x\r\nConnection: close\r\n"


async def test_an_odd_request_is_refused_and_nothing_breaks(tmp_path: Path) -> None:
    """Beside those that no application sees (oddities.py)."""
    login = b"GET /login HTTP/1.1\r\n"
    async with open_node(tmp_path) as at:
        for sent, status in (
            (b"GET /%00%0d%0aX:%20y HTTP/1.1\r\n" + ONCE, b"404"),
            (b"GET /api/v1/instance/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + ONCE, b"404"),
            (b"GET /api/v1/apps/verify_credentials?a=%ff&%fe[=1 HTTP/1.1\r\n" + ONCE, b"400"),
            (b"GET http://evil.example/health HTTP/1.1\r\n" + ONCE, b"404"),
            (login + b"Host: [\r\nConnection: close\r\n", b"200"),
            (b"GET /api/v1/apps HTTP/1.1\r\nHost: [\r\nConnection: close\r\n", b"405"),
            (b"GET /nothing HTTP/1.1\r\nHost: ]/a?b\r\nConnection: close\r\n", b"404"),
            (login + ONCE + b"Cookie: \xff; banyan=\xe9\r\n", b"200"),
            (login + ONCE + b"Authorization: Bearer \xff\r\n", b"401"),
        ):
            found = await trio.to_thread.run_sync(_raw, at.url, sent + b"\r\n")
            assert found.split(b" ", 2)[1] == status, (sent, found[:200])
            assert b"HTTP/1.1 200" in found or b"text/html" in found or b'"error":"' in found
            assert found.count(b"HTTP/1.1 ") == 1, found[:500]
            assert b"Traceback" not in found
        assert (await at.client().http.get("/health")).text == "OK"


async def test_head_has_the_head_of_get_and_a_trailing_slash_changes_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        client = at.client()
        for path in ("/api/v1/instance", "/login", "/health", "/nothing", "/api/v1/preferences"):
            got, head = await client.http.get(path), await client.http.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-type"] == got.headers["content-type"]
            slash = await client.http.get(path + "/")
            assert slash.status_code == got.status_code
            assert got.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in got.headers["content-security-policy"]


async def test_a_person_who_opens_a_page_is_refused_with_a_page(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        client, browser = at.client(), {"accept": "text/html,*/*;q=0.8"}
        for verb, path, status, kind in (
            ("GET", "/<script>", 404, "text/html"),
            ("POST", "/login", 403, "text/html"),
            ("PUT", "/login", 405, "text/html"),
            ("GET", "/api/v1/preferences", 401, "application/json"),
        ):
            found = await client.http.request(verb, path, headers=browser)
            assert (found.status_code, found.headers["content-type"].partition(";")[0]) == (status, kind)
            assert "<script>" not in found.text
            assert (await client.http.request(verb, path)).json()["error"]


async def test_a_slow_body_is_given_up_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "BODY_S", 0.3)
    async with open_node(tmp_path) as at:
        head = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        found = await trio.to_thread.run_sync(_raw, at.url, head)
        assert b" 408 " in found
        assert b"connection: close" in found.lower()
        large = head.replace(b"Length: 50", b"Length: 99999999")
        assert b" 413 " in await trio.to_thread.run_sync(_raw, at.url, large)


async def test_requests_are_counted_by_token_and_by_address(tmp_path: Path) -> None:
    def clock() -> float:
        return 1_800_000_150.0

    async with open_node_by(clock, tmp_path, http__token_rate="5", http__address_rate="3") as at:
        an, own = await at.person("an")
        app, stranger = at.client(an, "read", "write"), at.client()
        for left in (4, 3, 2, 1, 0):
            found = await app.http.get("/api/v1/preferences")
            assert (found.status_code, found.headers["x-ratelimit-remaining"]) == (200, str(left))
        found = await app.http.get("/api/v1/preferences")
        assert (found.status_code, found.headers["x-ratelimit-limit"]) == (429, "5")
        assert found.json() == {"error": "Too many requests", "code": "too_many"}
        assert (found.headers["retry-after"], found.headers["x-ratelimit-reset"]) == ("210", "2027-01-15T08:06:00.000Z")
        for status in (401, 401, 401, 429):  # a wrong token counts as no token
            wrong = await stranger.http.get("/api/v1/preferences", headers={"authorization": "Bearer no"})
            assert wrong.status_code == status
        assert (await stranger.http.get("/api/v1/instance")).status_code == 429
        stopped = (await at.node.backend.call("status", {}))["stopped"]
        assert stopped == [{"gate": "rate", "whom": "127.0.0.1", "times": 3, "seconds": 0.0}]
        host = {"host": "x/media/"}  # which would be the path, if the address were read as one text
        assert (await stranger.http.get("/api/v1/instance", headers=host)).status_code == 429
        other = await stranger.http.get("/api/v1/instance", headers={"x-forwarded-for": "203.0.113.7"})
        assert other.status_code == 200
        assert (await stranger.http.get("/health")).status_code == 200
        for _ in range(8):
            assert (await own.http.get("/api/v1/preferences")).status_code == 200


def test_an_address_is_what_our_own_proxy_says_and_nobody_else() -> None:
    bounds = RateLimits(proxies=("127.0.0.0/8", "10.0.0.0/8", "::1/128"))
    for peer, said, found in (
        ("203.0.113.1", None, "203.0.113.1"),
        ("203.0.113.1", "198.51.100.1", "203.0.113.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.9", "198.51.100.1"),
        ("127.0.0.1", "not an address", "unknown"),
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8::9]:443", "2001:db8::/64"),
        ("127.0.0.1", None, "127.0.0.1"),
        (None, "198.51.100.1", "198.51.100.1"),
        (None, None, "local"),
        ("2001:db8:1:2:3::4", None, "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.1", None, "203.0.113.1"),
    ):
        assert bounds.address(peer, said) == found, (peer, said)


def test_counts_take_no_more_memory_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_web.rate_limits.KEYS", 100)
    now = 1_000.0
    bounds = RateLimits(counts=(counts := LocalCounts()), clock=lambda: now)
    for n in range(1_000):
        bounds.take("address", str(n), 10, 300)
    assert len(counts) == 100
    assert bounds.take("address", "999", 10, 300).left == 8
    now = 1_199.0
    assert bounds.take("address", "999", 10, 300).left == 7
    now = 1_200.0
    assert bounds.take("address", "999", 10, 300).left == 6, "what was just before counts"
    now = 1_499.0
    assert bounds.take("address", "999", 10, 300).left == 7
    now = 2_100.0
    assert bounds.take("address", "999", 10, 300).left == 9


@example([700, 700, 800], 2)
@example([699] * 10 + [700] * 10, 10)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=60), st.integers(1, 12))
def test_nobody_has_twice_as_much_at_the_border_of_two_windows(times: list[int], limit: int) -> None:
    """Within any stretch at most the limit is let through, and its part of the limit; and who comes again when it is
    told to is let through."""
    now, seconds = 0, 100
    bounds, let = RateLimits(clock=lambda: now), list[int]()
    for now in sorted(times):
        found = bounds.take("address", "a", limit, seconds)
        if found.over:
            assert now < found.ends <= now + 2 * seconds
        else:
            let.append(now)
    for at in let:
        for stretch in (1, 10, 50, 100):
            some = sum(at <= other < at + stretch for other in let)
            assert some <= limit + limit * stretch / seconds
    if found.over:
        now = found.ends
        assert not bounds.take("address", "a", limit, seconds).over


async def test_thousands_of_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__connections="1000") as at:
        _, client = await at.person("an")
        assert (await client.http.get("/api/v1/preferences")).status_code == 200
        host, _, port = at.url.removeprefix("http://").rpartition(":")
        lines: list[socket.socket] = []
        try:
            for n in range(READERS):
                lines.append(socket.create_connection((host, int(port)), timeout=60))
                if n % 100 == 0:
                    await trio.sleep(0)
                    assert (await client.http.get("/api/v1/preferences")).status_code == 200
            assert (await at.client().http.get("/health")).text == "OK"
        finally:
            for line in lines:
                line.close()


async def test_a_stream_ends_as_one_that_is_over_when_the_server_stops(tmp_path: Path) -> None:
    async def lines(request: Any) -> StreamingResponse:
        async def forever() -> Any:
            while True:
                yield b"x"
                await trio.sleep(0.01)

        return StreamingResponse(forever())

    routes = [Route("/", lines), Route("/short", lambda request: answer({}))]
    made = DoorApp(Starlette(routes=routes), OpenStreams(DoorStore(tmp_path / "door.db")))
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        await trio.sleep_forever()

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [],
        "query_string": b"",
        "asgi": {"spec_version": "2.4"},
    }
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made, scope, receive, send)
            await trio.sleep(0.1)
            made.end_streams()
    assert said[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert len(said) > 3


async def test_a_node_that_stops_leaves_no_connection_behind(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        host, _, port = at.url.removeprefix("http://").rpartition(":")
        line = socket.create_connection((host, int(port)), timeout=60)
        assert isinstance(at, Door)
    with closing(line):
        assert await trio.to_thread.run_sync(line.recv, 10) == b""
