"""What people, programs and files give a node: calls, HTTP, addresses, settings, words, lists of peers, imports."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import AsyncGenerator
from functools import cache
from pathlib import Path
from typing import Any, cast

import trio
import trio.testing
from anycorn.events import Closed, Event, RawData
from anycorn.typing import ConnectionState
from prometheus_client import CollectorRegistry

from banyan_cli.errors import BadInput
from banyan_cli.importing.csv_posts import CommentColumns, survey
from banyan_cli.importing.edges import read_edges
from banyan_node.api import decode
from banyan_node.api.dispatch import EVERY
from banyan_node.edge import DialFailed
from banyan_node.edge.dial import host_of, split
from banyan_node.home.config import Config
from banyan_node.home.folder import Home
from banyan_node.home.mnemonic import Paper, read, spell
from banyan_node.home.settings import load, set_in_file
from banyan_node.idempotency import RecordKey
from banyan_node.links import peerstore
from banyan_node.operator_errors import BadBackup, CallError, ConfigError
from banyan_node.server.control_api import control_app
from banyan_node.server.http_protocol import Http, RequestTasks, ServerContext, ServerSettings
from tests.fuzz.mutate import json_value, text
from tests.fuzz.target import Bound, Target

TOKEN = "t" * 20


@cache
def folder() -> Path:
    """A folder for the files that are read. It goes with the process."""
    made = tempfile.TemporaryDirectory(prefix="fuzz")
    _kept.append(made)
    return Path(made.name)


_kept: list[Any] = []


def written(name: str, raw: bytes) -> Path:
    """A file with this content."""
    path = folder() / name
    path.write_bytes(raw)
    return path


# -- calls


def _call(raw: bytes) -> None:
    """[method, parameters], as the control API decodes them."""
    try:
        name, params = json.loads(raw)
    except (ValueError, TypeError, RecursionError):
        return
    method = EVERY.get(name) if isinstance(name, str) else None
    if method is None or not isinstance(params, dict):
        if isinstance(name, str):
            raise decode.no_such_method(name, EVERY)
        return
    ask = decode.request(method, params)
    assert type(ask) is method.asks


def _calls() -> list[bytes]:
    kinds: list[Any] = ["x", 1, True, ["x"], {}, "did:banyan:z1", "0" * 64, [{}], 1.5]
    out = []
    for name, method in EVERY.items():
        fields = method.asks.__struct_fields__
        out += [json.dumps([name, dict.fromkeys(fields, kind)]).encode() for kind in kinds[: 1 + 8 * bool(fields)]]
    return out


class _Backend:
    """Answers every call with its parameters."""

    async def answer(self, method: str, params: dict[str, Any], *, once: RecordKey | None = None) -> Any:
        return params

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        return b""

    async def events(self, params: dict[str, str]) -> AsyncGenerator[Any, None]:
        async def none() -> AsyncGenerator[Any, None]:
            for event in ({"event": 1}, {"event": 2}):
                yield event

        return none()


def _http(raw: bytes) -> None:
    """Bytes of a client, in two pieces. A connection may end at them, and must always end."""
    trio.run(_connection, raw, clock=trio.testing.MockClock(autojump_threshold=0))


async def _connection(raw: bytes) -> None:
    said: list[bytes] = []
    settings, context = ServerSettings(), ServerContext(None)
    app = control_app(_Backend(), TOKEN, CollectorRegistry(), lambda: None)

    async def told(event: Event) -> None:
        if isinstance(event, RawData):
            said.append(event.data)
        elif isinstance(event, Closed):
            await http.handle(event)

    async def write(data: bytes) -> None:
        said.append(data)

    with trio.move_on_after(100):
        async with trio.open_nursery() as nursery:
            http = Http(settings, context, RequestTasks(app, nursery), ConnectionState(cast(Any, {})), told, write)
            half = raw[0] * len(raw) // 256 if raw else 0
            for piece in filter(None, (raw[1 : 1 + half], raw[1 + half :])):
                with trio.move_on_after(30):  # a request that is not whole waits for the rest
                    await http.handle(RawData(piece))
            await http.handle(Closed())
    assert not said or b"".join(said).startswith(b"HTTP/1.1 ")
    assert b" 500 " not in b"".join(said)[:20]


def _requests() -> list[bytes]:
    head = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    post = f"POST /v1/feed HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
    made = [
        f"GET /healthz HTTP/1.1\r\n{head}\r\n",
        f"GET /metrics HTTP/1.1\r\n{head}\r\nGET /openapi.json HTTP/1.1\r\n{head}\r\n",
        f"GET /v1/events?since=1 HTTP/1.1\r\n{head}\r\n",
        f'{post}Content-Length: 9\r\n\r\n{{"a": 12}}',
        f'{post}Transfer-Encoding: chunked\r\n\r\n4\r\n{{"a"\r\n5\r\n: 12}}\r\n0\r\nx: y\r\n\r\n',
        f"{post}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}",
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    return [b"\x80" + m.encode() for m in made]


# -- files and words


def _address(raw: bytes) -> None:
    host_of(split(raw.decode("utf-8", "surrogateescape"))[1])


def _addresses() -> list[bytes]:
    peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
    places = (
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/::1/tcp/0",
        "/dns4/a.example/tcp/1",
        "/ip4/1.2.3.4/udp/1/quic-v1",
        "/unix/a",
    )
    return [f"{place}/p2p/{peer}".encode() for place in places]


def _config(raw: bytes) -> None:
    home = Home(folder())
    written("config.toml", raw)
    assert isinstance(load(home, env={}).config, Config)
    set_in_file(home.config, "limits.peers", 9)
    assert load(home, env={}).config.limits.peers == 9


def _configs() -> list[bytes]:
    return [
        b'# mine\n[node] # who\nname = "fig"\nlisten = [\n  "/ip4/127.0.0.1/tcp/1", # a\n]\n\n[limits]\npeers = 8\n',
        b"[node]\nrole = 'platform'\nmdns = true\n\n[storage]\nmax_bytes = \"2 GiB\"\n[control]\ngrace_seconds = 0.5\n",
        b"limits = { peers = 3 }\nnode.name = '''x'''\n",
        b"[[node]]\n[node.x]\n1979-05-27T07:32:00Z = inf\n",
    ]


def _words(raw: bytes) -> None:
    said = raw[1:].decode("utf-8", "surrogateescape")
    paper = Paper.BACKUP if raw[:1] == b"b" else Paper.RECOVERY
    secret = read(said, paper)
    assert read(spell(secret, paper), paper) == secret


def _papers() -> list[bytes]:
    out = []
    for paper, first in ((Paper.BACKUP, "b"), (Paper.RECOVERY, "r")):
        words = spell(bytes(range(32)), paper).split()
        out += [first + " ".join(words), first + "\n".join(f"{n}. {w.upper()}," for n, w in enumerate(words, 1))]
    return [p.encode() for p in out]


def _anchors(raw: bytes) -> None:
    for anchor in peerstore.read(written("peers.json", raw)):
        assert anchor.addr


def _edges(raw: bytes) -> None:
    graph = read_edges(written("edges", raw))
    assert graph.count <= graph.edges


def _edge_lists() -> list[bytes]:
    plain = b"# a\n1 2\n2\t3\n3 3\n1 2\n"
    return [plain, gzip.compress(plain * 9, mtime=0)]


def _comments(raw: bytes) -> None:
    found = survey(written("posts.csv", raw), CommentColumns("text", "author", "thread", "time", 3, "press"))
    assert found.comments >= 0


TARGETS = (
    Target("node.call", _call, (CallError,), _calls, ("banyan_node.api.decode",), json_value, share=25),
    Target(
        "node.http",
        _http,
        (),
        _requests,
        ("banyan_node.server.http_protocol", "banyan_node.server.control_api"),
        text,
        share=3,
        work=Bound(10_000, 100),
        memory=Bound(4 << 20, 500),
    ),
    Target(
        "node.address", _address, (DialFailed,), _addresses, ("banyan_node.edge.dial",), text, share=10, largest=2_000
    ),
    Target("node.config", _config, (ConfigError,), _configs, ("banyan_node.home.settings",), text, share=8),
    Target("node.words", _words, (BadBackup,), _papers, ("banyan_node.home.mnemonic",), text, share=8),
    Target(
        "node.anchors",
        _anchors,
        (),
        lambda: [b'[{"peer": "x", "addrs": ["/ip4/1.2.3.4/tcp/1"], "called": true}]'],
        ("banyan_node.links.peerstore",),
        json_value,
        share=5,
    ),
    Target("cli.edges", _edges, (BadInput,), _edge_lists, ("banyan_cli.importing.edges",), text, share=6),
    Target(
        "cli.comments",
        _comments,
        (BadInput,),
        lambda: [b'text,author,thread,time\n"a, b",x,t,1700000000\nc,,,2024-01-02T03:04:05\n'],
        ("banyan_cli.importing.csv_posts",),
        text,
        share=6,
    ),
)
