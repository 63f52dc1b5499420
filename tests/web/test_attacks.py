"""What only an attacker sends: requests that two servers would read differently, frames and forms against the rules,
codes that are shown twice at once."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trio

from banyan_node.server import http_connections, websocket
from banyan_node.server.websocket import MESSAGE_BYTES
from banyan_web.oauth import apps
from banyan_web.oauth.apps import AppGrant
from tests.web.door import open_node
from tests.web.frames import BINARY, CONTINUED, ENDED, LAST_PART, PINGED, PONG, Line, closing_with
from tests.web.test_hardening import ONCE, _raw
from tests.web.test_statuses import picture
from tests.web.test_streaming import FRAME_CLOSE, FRAME_TEXT, HANDSHAKE, PING, masked

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request that must not be found behind another one."""
POST = b"POST /oauth/token HTTP/1.1\r\n"
CHUNKED = POST + b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def statuses(said: bytes) -> list[int]:
    """Of the answers on a connection."""
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


REFUSED = (
    POST + b"Host: x\r\nContent-Length: 4\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    POST + b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Host: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    POST + b"Host: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    POST + b"Host: x\r\nContent-Length: 5, 6\r\n\r\nabcde",
    POST + b"Host: x\r\nContent-Length: 0x5\r\n\r\nabcde",
    POST + b"Host: x\r\nContent-Length: -5\r\n\r\nabcde",
    POST + b"Host: x\r\nContent-Length: 5_0\r\n\r\nabcde",
    POST + b"Host: x\r\nContent-Length:\r\n\r\nabcde",
    POST + b"Host: x\r\nContent\rLength: 5\r\n\r\nabcde",
    POST + b"Host: x\r\nA: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Host: x\r\nHost: y\r\n\r\n",
    POST + b"\r\n",
    POST + b" Host: x\r\nHost: x\r\n\r\n",
    CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n",
    CHUNKED + b"-5\r\nabcde\r\n0\r\n\r\n",
    CHUNKED + b"+5\r\nabcde\r\n0\r\n\r\n",
    CHUNKED + b"5_0\r\nabcde\r\n0\r\n\r\n",
    CHUNKED + b"5\r\nabcdeXX0\r\n\r\n",
    CHUNKED + b"5\r\nabcde\n0\r\n\r\n",
    CHUNKED + b"F" * 40 + b"\r\nabcde\r\n0\r\n\r\n",
    CHUNKED + b"5;" + b"x" * 70_000 + b"\r\nabcde\r\n0\r\n\r\n",
    b"POST /oauth/token HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.1 \r\nHost: x\r\n\r\n",
    b"GET\t/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /health\r\nHost: x\r\n\r\n",
    b"G\xc3\x8bT /health HTTP/1.1\r\nHost: x\r\n\r\n",
)


async def test_a_request_that_two_servers_would_read_differently_is_refused(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        for request in REFUSED:
            said = await trio.to_thread.run_sync(_raw, at.url, request + HIDDEN, 3.0)
            assert len(found := statuses(said)) == 1, (request[:120], said[:400])
            assert found[0] in (400, 413, 431, 501), (request[:120], said[:200])


async def test_requests_in_one_piece_are_answered_in_order_and_bodies_belong_to_theirs(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        last = b"GET /api/v1/instance HTTP/1.1\r\n" + ONCE + b"\r\n"
        for first, status in (
            (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, 200),
            (POST + b"Host: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, 415),
            (CHUNKED + b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\nAuthorization: Bearer x\r\nHost: y\r\n\r\n", 415),
            (b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n", 200),
            (b"OPTIONS /api/v1/apps HTTP/1.1\r\nHost: x\r\n\r\n", 204),
        ):
            said = await trio.to_thread.run_sync(_raw, at.url, first + first + last)
            assert statuses(said) == [status, status, 200], (first[:80], said[:600])


async def test_an_upgrade_that_is_refused_hides_no_request(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        _, client = await at.person("an")
        good, wrong = (HANDSHAKE.format(token).encode() for token in (client.token, "wrong"))
        for head, wanted in (
            (wrong, [401]),
            (good.replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), [400]),
            (good.replace(b"Version: 13", b"Version: 13\r\nSec-WebSocket-Version: 8"), [400]),
            (good.replace(b" HTTP/1.1", b" HTTP/1.0"), [400]),
            (good, [101]),
        ):
            said = await trio.to_thread.run_sync(_raw, at.url, head + HIDDEN, 3.0)
            found = statuses(said)
            assert found[:1] == wanted, (head[:300], said[:300])
            assert b"Nothing is here" not in said, (head[:300], said[:300])
            if wanted == [101]:  # a frame with reserved bits, which is not of the protocol
                assert said.rpartition(b"\r\n\r\n")[2].replace(PING, b"").startswith(b"\x88\x02\x03\xea"), said


# -- WebSocket


async def test_every_frame_against_the_rules_ends_the_line_with_its_code(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        _, client = await at.person("an")

        def code_after(*frames: bytes) -> int:
            line = Line(at, client.token or "")
            line.say(*frames)
            first, payload = line.rest()[-1]
            assert first == FRAME_CLOSE, (frames, first, payload)
            return int.from_bytes(payload[:2], "big") if payload else 1005

        def story() -> None:
            for frames, code in (
                ((masked(0x09, b"a"), masked(LAST_PART, b"b")), 1002),  # a ping in two parts
                ((masked(PINGED, b"a" * 126),), 1002),
                ((masked(0x08, b""),), 1002),  # a close in two parts
                ((masked(LAST_PART, b"{}"),), 1002),  # goes on with nothing
                ((masked(0x01, b"{"), masked(FRAME_TEXT, b"{}")), 1002),
                ((masked(0x83, b"{}"),), 1002),  # a kind of frame that there is not
                ((masked(0x8B, b""),), 1002),
                ((masked(BINARY, b"{}"),), 1003),
                ((masked(FRAME_CLOSE, b"a"),), 1002),
                ((closing_with(1005),), 1002),
                ((closing_with(999),), 1002),
                ((closing_with(1000, b"\xff"),), 1007),
                ((closing_with(3_000, b"bye"),), 3_000),
                ((masked(FRAME_CLOSE, b""),), 1005),
                ((masked(0x01, b"a"), *[masked(CONTINUED, b"a")] * MESSAGE_BYTES), 1009),
            ):
                assert code_after(*frames) == code, frames[0]
            line = Line(at, client.token or "")
            line.say(masked(0x01, b'{"type": "subsc'), masked(PINGED, b"still?"), masked(CONTINUED, b""))
            line.say(masked(LAST_PART, b'ribe", "stream": "potato"}'))
            error = b'{"error":"Unknown stream type","status":400}'
            assert [line.frame(), line.frame()] == [(PONG, b"still?"), (FRAME_TEXT, error)]
            line.say(ENDED)
            assert line.rest() == [(FRAME_CLOSE, b"\x03\xe8")]

        with trio.fail_after(60):
            await trio.to_thread.run_sync(story)
            while at.hub.count:
                await trio.sleep(0.01)


async def test_a_thousand_subscriptions_are_a_hundred_and_an_old_one_is_no_new_one(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        _, client = await at.person("an")

        def ask(n: int, kind: str = "subscribe") -> bytes:
            return masked(FRAME_TEXT, b'{"type":"%b","stream":"hashtag","tag":"t%03d"}' % (kind.encode(), n))

        def story() -> None:
            line = Line(at, client.token or "")
            line.say(*(ask(n) for n in range(1_000)), ask(7))
            line.say(*(ask(n, "unsubscribe") for n in range(1_000)), ask(999), ENDED)
            refused = line.rest()
            assert len(refused) == 901
            assert {payload for _, payload in refused[:-1]} == {
                b'{"error":"A connection has at most 100 streams","status":429}'
            }

        with trio.fail_after(60):
            await trio.to_thread.run_sync(story)
            while at.hub.count:
                await trio.sleep(0.01)
        assert not at.hub.channels


# -- forms


def form(*parts: tuple[bytes, bytes], end: bytes = b"--x--\r\n") -> bytes:
    """parts: (what stands behind `form-data`, content)."""
    head = b"--x\r\nContent-Disposition: form-data"
    return b"".join(head + about + b"\r\n\r\n" + content + b"\r\n" for about, content in parts) + end


TEXT = b'; name="a%d"'
SHORT = form((b'; name="description"', b"x"))


async def test_a_form_against_the_rules_is_refused_at_once(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__address_rate="0") as at:
        _, client = await at.person("an")
        kind = "multipart/form-data; boundary=x"

        def post(body: bytes, said: str) -> httpx.Response:
            """On a line of its own: it may be closed before all of the body was read."""
            headers = {"authorization": f"Bearer {client.token}", "content-type": said}
            return httpx.post(f"{at.url}/api/v2/media", content=body, headers=headers)

        for body, said, status in (
            (form((b'; name="a"', b"a" * 900_000)), f"{kind}; charset=punycode", 400),  # decoded in quadratic time
            (form((b'; name="a"', b"a")), f"{kind}; charset=utf-16", 400),
            (form((b'; name="a"', b"a")), f'{kind}; charset="UTF-8"', 422),
            (form(*((TEXT % n, b"") for n in range(1_001))), kind, 400),
            (form(*((TEXT % n, b"x" * 60_000) for n in range(200))), kind, 400),
            (form((b'; name="a"', b"a" * 200_000)), kind, 400),
            (form(*((TEXT % n + b'; filename="f"', b"") for n in range(9))), kind, 400),
            (form((b'; name="a"; x="' + b"y" * 100_000 + b'"', b"a")), kind, 400),
            (form((b'; name="a"' + b"\r\nX: y" * 1_000, b"a")), kind, 400),
            (form((b"", b"a")), kind, 400),
            (form((b'; name="a[b][c][d][e][f][g]"', b"a")), kind, 400),
            (b"x" * 200_000 + SHORT, kind, 400),
            (form((b'; name="a"', b"a"), end=b""), kind, 422),
            (SHORT, "multipart/form-data", 400),
            (SHORT, "multipart/form-data; boundary=", 400),
            (SHORT, "multipart/form-data; boundary=" + "x" * 5_000, 400),
            (SHORT, "multipart/mixed; boundary=x", 415),
            (SHORT, kind, 422),
        ):
            began = time.process_time()
            answer = await trio.to_thread.run_sync(post, body, said)
            assert answer.status_code == status, (body[:80], said, answer.text[:200])
            assert "error" in answer.json()
            assert time.process_time() - began < 3, (body[:80], said)


async def test_a_file_is_where_the_node_puts_it_whatever_it_is_called(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as at:
        _, client = await at.person("an")
        before = {*tmp_path.parent.iterdir()}
        inner = form((b'; name="file"; filename="in.png"', picture())).replace(b"--x", b"--y")
        for name in ("../../../x.png", "/etc/x.png", "C:\\x.png", "a\0b.png", ".", "", "x" * 4_000, "%2e%2e%2fx.png"):
            files = {"file": (name, picture(), "image/png")}
            answer = await client.http.post("/api/v2/media", files=files)
            assert answer.status_code in (200, 400, 422), (name, answer.text)
            assert not list(tmp_path.glob("x.png"))
        nested = b'; name="file"; filename="a"\r\nContent-Type: multipart/mixed; boundary=y'
        answer = await client.http.post(
            "/api/v2/media", content=form((nested, inner)), headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert answer.status_code in (202, 422), "a file in a file is no file"
        assert {*tmp_path.parent.iterdir()} == before


# -- OAuth


async def test_a_code_that_is_shown_eight_times_at_once_gives_nobody_a_token_that_lasts(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        did, _ = await at.person("an")
        back = "https://app.example/back"
        app = await at.client().post("/api/v1/apps", client_name="x", redirect_uris=back, scopes="read")
        grant = AppGrant(app["client_id"], did, back, ("read",), None)
        basic = b64encode(f"{app['client_id']}:{app['client_secret']}".encode()).decode()
        given: list[httpx.Response] = []

        async def show(client: httpx.AsyncClient, **body: Any) -> None:
            whole = {"grant_type": "authorization_code", "redirect_uri": back, **body}
            given.append(await client.post("/oauth/token", data=whole, headers={"authorization": f"Basic {basic}"}))

        code = apps.issue(at.store, grant)
        async with httpx.AsyncClient(base_url=at.url, timeout=60) as client, trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(lambda: show(client, code=code))
        assert sorted(answer.status_code for answer in given) == [200, *[400] * 7]
        (token,) = [answer.json()["access_token"] for answer in given if answer.status_code == 200]
        assert at.store.token(token) is None
        async with httpx.AsyncClient(base_url=at.url) as client:
            for wrong in ([code], ["x", "y"], "", "\0", "x" * 10_000, "é"):
                await show(client, code=wrong)
        assert {answer.status_code for answer in given[8:]} == {400}


async def test_a_connection_that_upgraded_and_left_leaves_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path) as at:
        _, client = await at.person("an")
        address = urlsplit(at.url)

        def leave() -> None:
            for _ in range(20):
                with closing(socket.create_connection((address.hostname, address.port), timeout=60)) as line:
                    line.sendall(HANDSHAKE.format(client.token).encode() + masked(FRAME_TEXT, b"?")[:3])

        await trio.to_thread.run_sync(leave)
        with trio.fail_after(60):
            while at.hub.count:
                await trio.sleep(0.02)
        assert (await client.http.get("/health")).text == "OK"


async def test_a_client_that_answers_no_ping_is_gone_and_one_that_does_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "PING_S", 0.2)
    monkeypatch.setattr(http_connections, "SILENT_S", 4.0)
    async with open_node(tmp_path) as at:
        _, client = await at.person("an")

        def silent() -> float:
            began, line = time.monotonic(), Line(at, client.token or "")
            *pings, end = line.rest(pings=True)
            assert {*pings} == {(PINGED, b"")}
            assert end[0] == FRAME_CLOSE
            return time.monotonic() - began

        def answering() -> None:
            line, until = Line(at, client.token or ""), time.monotonic() + 6
            while time.monotonic() < until:
                assert line.next(2) == PING
                line.say(masked(PONG, b""))
            line.say(ENDED)
            assert line.rest() == [(FRAME_CLOSE, b"\x03\xe8")]

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, answering)
                assert await trio.to_thread.run_sync(silent) > 3.5
            while at.hub.count:
                await trio.sleep(0.01)


async def test_messages_over_a_socket_count_as_requests(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__token_rate="50", http__address_rate="3") as at:
        an, _ = await at.person("an")
        token = at.token(an, "read")
        asked = masked(FRAME_TEXT, b'{"type":"subscribe","stream":"public"}')

        def story() -> None:
            line = Line(at, token)
            line.say(*[asked] * 60, ENDED)
            *refused, _ = line.rest()
            assert {payload for _, payload in refused} == {b'{"error":"Too many requests","status":429}'}
            assert 1 <= len(refused) <= 11
            wrong = HANDSHAKE.format("wrong").encode().replace(b"keep-alive", b"close")
            found = [statuses(_raw(at.url, wrong))[0] for _ in range(5)]
            assert found == [401, 401, 401, 429, 429]

        await trio.to_thread.run_sync(story)
