"""Throws what no honest program sends at a real node's control port, and watches that it goes on answering rightly.

    python -m tests.node.hostile HOME --seconds 120 --seed 1

Random and mangled JSON, methods, headers, bodies, cursors and tokens, over HTTP and as raw bytes. Every answer that
comes is judged: its code has to be declared for that method, nothing may be a 500, and what is right still has to be
answered. It prints one line of JSON: how much was sent, and what was wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from banyan_node.api.declare import Method
from banyan_node.api.dispatch import EVERY
from banyan_node.api.errors import ALWAYS, OF_THE_SERVER, REFUSALS
from banyan_node.home.folder import Home
from banyan_node.operator_errors import NoNode
from banyan_node.server.servers import find_running

LEFT_OUT = {
    "shutdown",
    "account.close",
    "account.export",
    "archive.export",
    "archive.import",
    "store.compact",
    "store.rebuild",
    "diff",
}
"""They end the node or the account, write files wherever they are told, make reads wait, or wait themselves."""
_TEXTS = (
    "",
    " ",
    "a",
    "an",
    "did:banyan:z",
    "did:banyan:z" + "1" * 44,
    "../../etc/passwd",
    "\0",
    "\u202e",
    "é\u0301",
    "🌸" * 99,
    "x" * 5_000,
    "-1",
    "0" * 64,
    "f" * 64,
    "F" * 63 + "g",
    "ff" * 56,
    "00" * 55,
    "null",
    "'; drop",
    "%s%n",
    "{}",
    "\ud7ff",
)
_NUMBERS = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 1.5, -0.0, 1e308)
_PATHS = (
    "/",
    "/v1",
    "/v1/",
    "/v1/../healthz",
    "/v1/%70ost",
    "//v1/post",
    "/v1/post/",
    "/metrics",
    "/openapi.json",
    "/%00",
)
_VERBS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW")


class Hostile:
    """One attacker with a seed."""

    def __init__(self, home: Home, seed: int) -> None:
        running, self.token = find_running(home)
        self.port = running.endpoint.port
        self.rng = random.Random(seed)
        self.sent: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.known = [*_TEXTS]

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        ways = (self.call, self.call, self.call, self.body, self.headers, self.cursor, self.raw, self.raw)
        url, headers = f"http://127.0.0.1:{self.port}", {"authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as self.http:
            self._learn()
            while time.monotonic() < until:
                way = self.rng.choice(ways)
                self.sent[way.__name__] += 1
                try:
                    way()
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.LocalProtocolError):
                    self.sent["closed"] += 1
                if sum(self.sent.values()) % 50 == 0:
                    self.still_right()
            self.still_right()

    def _learn(self) -> None:
        """Collects valid names, so that requests pass the first checks."""
        made = self.http.post("/v1/account.create", json={"name": "an"})
        own = made.json().get("account") or self.http.post("/v1/id", json={}).json()["account"]
        posted = self.http.post("/v1/post", json={"text": "một"}).json()
        self.doomed = self.http.post("/v1/post", json={"text": "hai"}).json()["uri"]
        self.own, self.uri = own, posted["uri"]
        ask = {"kind": "posts", "source": "hostile", "batches": 1 << 40}
        self.id = self.http.post("/v1/import.begin", json=ask).json()["id"]
        self.next = 0
        self.known += [own, posted["uri"], posted["entry"], own[:-1], posted["uri"][:-1], "z" + own] * 2

    def still_right(self) -> None:
        """Checks valid requests on a new connection, because hostile ones may have broken the others."""
        url = f"http://127.0.0.1:{self.port}/v1/thread"
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.post(url, json={"uri": self.uri}, headers=headers, trust_env=False, timeout=60)
        if answer.status_code != 200 or self.uri not in [p["uri"] for p in answer.json()["posts"]]:
            self.wrong.append(f"thread answers {answer.status_code} {answer.text[:200]}")

    # -- values

    def value(self, deep: int = 0) -> Any:
        kind = self.rng.randrange(8 if deep < 3 else 5)
        match kind:
            case 0 | 1:
                return self.rng.choice(self.known)
            case 2:
                return self.rng.choice(_NUMBERS)
            case 3:
                return self.rng.choice((None, True, False))
            case 4:
                return self.mangled(self.rng.choice(self.known))
            case 5:
                return [self.value(deep + 1) for _ in range(self.rng.randrange(4))]
            case 6:
                return {self.rng.choice(self.known)[:99]: self.value(deep + 1) for _ in range(self.rng.randrange(4))}
        return self.right(deep)

    def right(self, deep: int) -> Any:
        """Valid rows of an import."""
        return self.rng.choice(
            (
                {"accounts": ["an", "bình"]},
                ["an", ["bình"]],
                {"row": self.rng.randrange(9), "author": "an", "text": "x", "time_ms": self.value(deep + 1)},
                {"article": "x", "by": "an", "text": self.value(deep + 1)},
            )
        )

    def mangled(self, text: str) -> str:
        letters = list(text)
        for _ in range(1 + self.rng.randrange(3)):
            at = self.rng.randrange(len(letters) + 1)
            letters[at : at + self.rng.randrange(2)] = [chr(self.rng.choice((0, 9, 32, 47, 97, 0x301, 0x1F338)))]
        return "".join(letters)

    def params(self, method: Method) -> dict[str, Any]:
        """Parameters that are mostly valid, so that the method itself is reached."""
        found = {}
        for f in msgspec.structs.fields(method.asks):
            if f.required or self.rng.random() < 0.4:
                found[f.name] = self.fit(f.name) if self.rng.random() < 0.8 else self.value()
        if self.rng.random() < 0.1:
            found[self.rng.choice(self.known)[:40]] = self.value()
        return found

    def fit(self, name: str) -> Any:
        match name:
            case "limit" | "days" | "log" | "slot" | "stratum" | "until" | "undo" | "batches" | "number" | "wait_ms":
                return self.rng.choice((0, 1, 2, 7, 20))
            case "all" | "hosted" | "resume" | "own":
                return self.rng.random() < 0.5
            case "uri":
                return self.uri if self.rng.random() < 0.7 else self.value()
            case "account" | "as" | "after":
                return self.own if self.rng.random() < 0.7 else self.value()
            case "fields":
                return {self.rng.choice(("name", "bio", "")): self.rng.choice(self.known)}
            case "id":
                return self.id
            case "rows":
                return [self.right(0) for _ in range(self.rng.randrange(4))]
            case "kind":
                return self.rng.choice(("graph", "posts"))
        return self.rng.choice(self.known)

    # -- ways

    def call(self) -> None:
        method = self.rng.choice([m for m in EVERY.values() if m.name not in LEFT_OUT])
        params = self.params(method)
        if method.name in ("delete", "content.withhold", "edit") and params.get("uri") == self.uri:
            params["uri"] = self.doomed
        if method.name == "import.batch" and self.rng.random() < 0.9:
            params["number"] = self.next
        answer = self.http.post(f"/v1/{method.name}", json=params)
        self.judge(answer, method, params)
        if method.name == "import.batch" and answer.is_success:
            self.next = answer.json()["next"]

    def body(self) -> None:
        """JSON that is cut, mangled, nested or missing."""
        raw = bytearray(json.dumps({"text": self.value(), "x": self.value()}).encode())
        match self.rng.randrange(5):
            case 0:
                del raw[self.rng.randrange(len(raw)) :]
            case 1:
                for _ in range(3):
                    raw[self.rng.randrange(len(raw))] = self.rng.randrange(256)
            case 2:
                raw = bytearray(b'{"text":' + self.rng.choice((b"[", b'{"a":')) * self.rng.choice((9, 999, 99_999)))
            case 3:
                raw = bytearray(self.rng.randbytes(self.rng.randrange(99)))
            case 4:
                raw = bytearray(b'{"text":"\\ud800","text":"b"}')
        chunked = self.rng.random() < 0.3
        content: Any = self.chunks(bytes(raw)) if chunked else bytes(raw)
        self.judge(self.http.post("/v1/post", content=content), EVERY["post"], {})

    def chunks(self, raw: bytes) -> Iterator[bytes]:
        for at in range(0, len(raw), 40):
            yield raw[at : at + 40]

    def headers(self) -> None:
        token = self.rng.choice((self.token, self.token[:-1], "", "x" * 9_000, "é", self.token.upper()))
        headers = {
            "authorization": self.rng.choice(("Bearer ", "bearer ", "Basic ", "")) + token,
            "host": self.rng.choice(("localhost", "127.0.0.1:1", "evil.example", "[::1]", "localhost:" + "9" * 9, "")),
            "content-type": self.rng.choice(("application/json", "text/html", "multipart/form-data")),
            self.rng.choice(("x", "expect", "transfer-encoding", "upgrade", "te")): self.rng.choice(
                ("x", "100-continue", "chunked", "websocket", "trailers", "h2c")
            ),
        }
        raw = [(k.encode(), v.encode("latin-1", "replace")) for k, v in headers.items()]
        path = self.rng.choice((*_PATHS, "/v1/status"))
        self.judge(self.http.request(self.rng.choice(_VERBS), path, headers=raw, content=b"{}"), None, {})

    def cursor(self) -> None:
        since = self.rng.choice((*self.known, "0" * 16 + "-1", "f" * 16 + "-" + "9" * 15, "0" * 16 + "-" + "9" * 99))
        params: dict[str, Any]
        if self.rng.random() < 0.5:
            params = {"since": since} if self.rng.random() < 0.8 else {self.mangled("since"): since}
            with self.http.stream("GET", "/v1/events", params=params) as answer:
                if answer.is_error:
                    answer.read()
                    self.judge(answer, None, params)
        else:
            params = {"before": since, "limit": 1, "all": True}
            self.judge(self.http.post("/v1/feed", json=params), EVERY["feed"], params)

    def raw(self) -> None:
        """Bytes that are nearly HTTP, or HTTP/2, or a WebSocket."""
        head = f"Host: localhost\r\nAuthorization: Bearer {self.token}\r\n".encode()
        upgrade = (
            b"Connection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            + b"A" * 22
            + b"==\r\n"
        )
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        settings = b"\0\0\0\4\0\0\0\0\0"
        packets = (
            b"GET / HTTP/1.1\r\n"
            + head
            + upgrade % b"websocket"
            + b"\r\n"
            + self.rng.randbytes(self.rng.randrange(40)),
            b"GET /v1/status HTTP/1.1\r\n" + head + upgrade % b"h2c" + b"HTTP2-Settings: AAMAAABk\r\n\r\n" + preface,
            preface + settings + self.frame(),
            preface + settings + b"".join(self.frame() for _ in range(20)),
            preface[: self.rng.randrange(len(preface))],
            b"POST /v1/post HTTP/1.1\r\n" + head + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            b"POST /v1/post HTTP/1.1\r\n" + head + b"Content-Length: -1\r\n\r\n{}",
            b"POST /v1/post HTTP/1.1\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
            b"POST /v1/post HTTP/1.1\r\n" + head + b"Content-Length: 99\r\n\r\n{",
            (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") * 50,
            b"GET /" + b"a" * 70_000,
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 9_000 + b"\r\n",
            b"GET " + self.rng.randbytes(20) + b" HTTP/1.1\r\n" + head + b"\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self.rng.randbytes(60),
            self.rng.randbytes(self.rng.randrange(400)),
        )
        packet = bytearray(self.rng.choice(packets))
        if packet and self.rng.random() < 0.3:
            packet[self.rng.randrange(len(packet))] = self.rng.randrange(256)
        with socket.create_connection(("127.0.0.1", self.port), 5) as line:
            line.settimeout(0.02)
            try:
                line.sendall(packet)
                line.recv(4_096)
            except OSError:
                pass
            if self.rng.random() < 0.3:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes with a reset

    def frame(self) -> bytes:
        """An HTTP/2 frame of any kind."""
        body = self.rng.randbytes(self.rng.randrange(40))
        size, kind, flags = len(body).to_bytes(3, "big"), self.rng.randrange(11), self.rng.randrange(256)
        return size + bytes((kind, flags)) + self.rng.randrange(4).to_bytes(4, "big") + body

    # -- judging

    def judge(self, answer: httpx.Response, method: Method | None, params: Any) -> None:
        if answer.is_success:
            if method is not None:
                try:
                    msgspec.json.decode(answer.content, type=method.answers)
                except msgspec.DecodeError as error:
                    self.wrong.append(f"{method.name} {params!r:.200} answers what is not declared: {error}")
            return
        try:
            code = answer.json()["error"]["code"]
            message = answer.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            if answer.request.method == "HEAD" and not answer.content:
                return
            if answer.status_code not in (400, 404, 405, 413, 431) or method is not None:
                self.wrong.append(f"{answer.request.method} {answer.url} {answer.status_code} {answer.content[:80]!r}")
            return
        allowed = {*REFUSALS} if method is None else {*method.errors, *ALWAYS, *OF_THE_SERVER}
        if code == "internal" or code not in allowed or answer.status_code not in REFUSALS[code].control:
            name = method.name if method else str(answer.url)
            self.wrong.append(f"{name} {params!r:.300}: {answer.status_code} {code} {message}")
        if self.token in answer.text:
            self.wrong.append(f"the token is in an answer: {message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    hostile = Hostile(Home(args.home), args.seed)
    try:
        hostile.run(args.seconds)
        find_running(Home(args.home))
    except (NoNode, httpx.ConnectError) as error:
        hostile.wrong.append(f"the node is gone: {error}")
    print(json.dumps({"sent": hostile.sent, "wrong": hostile.wrong[:200]}, ensure_ascii=False))


if __name__ == "__main__":
    main()
