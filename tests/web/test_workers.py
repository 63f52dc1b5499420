"""The door in processes of its own: it answers as the node itself does, and whoever dies, the others go on."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from banyan_crdt.ids import CellKey, account_from_text
from banyan_node.context import Context
from banyan_node.home.settings import set_in_file
from banyan_node.hosting.entry_writer import append_each
from banyan_node.local import open_local
from banyan_schema.dates import iso
from banyan_schema.social import Post, write_post
from banyan_web.app import EVERY
from banyan_web.door_store import DoorStore
from banyan_web.mastodon.entity_ids import account_id
from banyan_web.mastodon.streaming.app_streams import QUEUED
from banyan_web.startup import serve_by_itself
from banyan_web.workers import supervisor
from tests.node.real import load_settings, make_home
from tests.web.door import Client, Door, as_the_product_starts_them, open_node
from tests.web.lines import open_lines
from tests.web.test_firehose import Consumer
from tests.web.test_platform_kill import Life
from tests.web.test_platform_webhooks import Backend, backend

__all__ = ["backend"]
LIVE = re.compile(
    r"/api/v1/streaming|/v1/firehose$|/live/events|/network/events|/v1/accounts/.account./archive|/login/link|/language"
    r"|/v1/admin/storage"
)
"""Endless, or of a moment: tested by themselves."""
COUNTS = ("followers_count", "following_count", "statuses_count", "last_status_at")


@asynccontextmanager
async def fresh(door: Door, token: str | None) -> AsyncIterator[Client]:
    """A client whose every request has a connection of its own, so it may meet any worker."""
    client = Client(door.url, token)
    client.http.headers["connection"] = "close"
    try:
        yield client
    finally:
        await client.http.aclose()


def pids(door: Door) -> list[int]:
    state = door.node.door
    return [one.pid for one in state.workers if one.pid is not None] if state else []


def in_trouble(door: Door) -> bool:
    """Whether one of the workers does not serve: while none does, a connection that waits too long is answered 503."""
    return door.node.door is not None and door.node.door.trouble is not None


async def together(*asks: Callable[[], Any]) -> list[Any]:
    """What they return, in their order; all at once."""
    found: dict[int, Any] = {}

    async def do(n: int, ask: Callable[[], Any]) -> None:
        found[n] = await ask()

    async with trio.open_nursery() as nursery:
        for n, ask in enumerate(asks):
            nursery.start_soon(do, n, ask)
    return [found[n] for n in sorted(found)]


async def say(client: Client, **body: Any) -> Any:
    """The post."""
    return await client.ask("POST", "/api/v1/statuses", json=body)


# -- equal answers


async def _story(door: Door) -> dict[str, list[str]]:
    """Something of everything. Returns what stands for the braces of a path."""
    an, one = await door.person("an")
    binh, two = await door.person("binh")
    first = await say(one, status="một #tết https://vn.example", visibility="public")
    answer = await say(two, status="@an hai", in_reply_to_id=first["id"], spoiler_text="ý")
    poll = await say(one, status="ba", poll={"options": ["a", "b"], "expires_in": 3_600})
    await two.post(f"/api/v1/polls/{poll['poll']['id']}/votes", choices=[1])
    for verb in ("favourite", "reblog", "bookmark"):
        await two.post(f"/api/v1/statuses/{first['id']}/{verb}")
    await two.post(f"/api/v1/accounts/{account_id(an)}/follow")
    await one.post(f"/api/v1/accounts/{account_id(binh)}/follow")
    await one.post(f"/api/v1/accounts/{account_id(binh)}/note", comment="bạn")
    listed = await one.post("/api/v1/lists", title="bạn")
    await one.post(f"/api/v1/lists/{listed['id']}/accounts", account_ids=[account_id(binh)])
    words = [{"keyword": "một", "whole_word": True}]
    await one.post("/api/v2/filters", title="lọc", context=["home"], filter_action="warn", keywords_attributes=words)
    await say(one, status="mai", scheduled_at=iso(int(time.time() + 30 * 86_400) * 1000))
    await one.ask("PUT", f"/api/v1/statuses/{first['id']}", json={"status": "một, sửa #tết"})
    picture = await one.ask("POST", "/api/v2/media", files={"file": ("a.png", PNG, "image/png")})
    shown = await say(one, status="ảnh", media_ids=[picture["id"]])
    gone = await say(two, status="weg")
    await two.ask("DELETE", f"/api/v1/statuses/{gone['id']}")
    await one.post("/api/v1/markers", home={"last_read_id": first["id"]})
    notices = await one.get("/api/v1/notifications")
    blob = shown["media_attachments"][0]["url"].rpartition("/")[2]
    group = (await door.node.backend.call("group.create", {"name": "nhóm", "as": an}))["uri"]
    key = first["uri"].partition("/")[2]
    ids = [first["id"], answer["id"], listed["id"], notices[0]["id"], poll["poll"]["id"]]
    return {
        "id": [account_id(an), account_id(binh), *ids],
        "name": [an, "an", "tết", binh.removeprefix("did:banyan:")],
        "key": [key, group.partition("/")[2]],
        "tag": ["tết"],
        "account": [an],
        "did": [an],
        "blob": [blob],
        "code": ["vi"],
    }


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def every_path(known: dict[str, list[str]]) -> Iterator[str]:
    """Every path that is read, with everything that may stand in its braces."""
    return itertools.chain.from_iterable(paths_by_endpoint(known))


def paths_by_endpoint(known: dict[str, list[str]]) -> Iterator[list[str]]:
    some = {
        "/api/v1/accounts/lookup": "?acct=an",
        "/api/v1/accounts/search": "?q=an",
        "/api/v2/search": "?q=một&resolve=true",
        "/search": "?q=một",
        "/.well-known/webfinger": f"?resource={known['did'][0]}",
        "/api/v1/accounts/relationships": f"?id[]={known['id'][0]}&id[]={known['id'][1]}",
        "/api/v1/accounts/familiar_followers": f"?id[]={known['id'][1]}",
        "/api/v1/timelines/home": "?limit=3",
        "/api/v1/statuses": f"?id[]={known['id'][2]}",
        "/api/v1/markers": "?timeline[]=home",
    }
    for endpoint in sorted((one for module in EVERY for one in module.all if one.verb == "GET"), key=lambda e: e.path):
        if LIVE.match(endpoint.path):
            continue
        braces, paths = re.findall(r"{(\w+)(?::path)?}", endpoint.path), list[str]()
        for chosen in itertools.product(*(known.get(name, ["x"]) for name in braces)):
            path = endpoint.path
            for name, value in zip(braces, chosen, strict=True):
                path = re.sub(rf"{{{name}(:path)?}}", value, path, count=1)
            paths.append(path + some.get(endpoint.path, ""))
        yield paths


def _plain(answer: httpx.Response) -> Any:
    """What must be equal. Beside posts, numbers of an account may be some seconds old, at either door."""
    kind = answer.headers.get("content-type", "")
    if "json" not in kind:
        return answer.status_code, kind, answer.headers.get("etag"), answer.content

    def without(value: Any, beside: bool) -> Any:
        if isinstance(value, list):
            return [without(one, beside) for one in value]
        if not isinstance(value, dict):
            return value
        kept = {name: one for name, one in value.items() if not beside or name not in COUNTS}
        return {name: without(one, beside or name in ("account", "reblog")) for name, one in kept.items()}

    return answer.status_code, answer.headers.get("link"), without(answer.json(), False)


async def test_a_worker_answers_every_question_as_the_node_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "start_process", as_the_product_starts_them)
    flags = {"http__workers": "1", "http__url": "https://door.example", "http__address_rate": "0"}
    async with open_node(tmp_path, **flags) as door, trio.open_nursery() as nursery:
        known = await _story(door)
        token = door.token(known["did"][0])
        itself = await nursery.start(serve_by_itself, door.node)
        ways = [Client(url, None) for url in (door.url, itself.url)]
        await trio.sleep(0.5)  # the index of posts follows
        asked = good = 0
        for paths in paths_by_endpoint(known):
            for more in ({"authorization": f"Bearer {token}"}, {}):
                headers, refused = {"cookie": f"__Host-banyan={'c' * 43}", **more}, list[str]()
                for path in paths:
                    answers = await together(*(partial(way.http.get, path, headers=headers) for way in ways))
                    assert _plain(answers[0]) == _plain(answers[1]), path
                    asked, good = asked + 1, good + (answers[0].status_code == 200)
                    refused += [path] if answers[0].status_code != 200 else []
                paths = [path for path in paths if path not in refused[1:]]  # to nobody, one that even an is refused
        assert asked > 300, asked
        assert good > 150, good
        for way in ways:
            await way.http.aclose()
        door.node.shutdown.set()


async def test_what_one_worker_wrote_any_worker_reads(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__workers="2") as door:
        an, _ = await door.person("an")
        async with fresh(door, door.token(an)) as client:

            async def seen(id: str, text: str) -> None:
                assert (await client.get(f"/api/v1/statuses/{id}"))["content"] == f"<p>{text}</p>"
                assert (await client.get("/api/v1/timelines/home", limit=1))[0]["id"] == id

            for n in range(6):
                posted = await say(client, status=f"bài {n}")
                await together(*[lambda: seen(posted["id"], f"bài {n}")] * 6)  # noqa: B023
                edited = await client.ask("PUT", f"/api/v1/statuses/{posted['id']}", json={"status": f"sửa {n}"})
                await together(*[lambda: seen(edited["id"], f"sửa {n}")] * 6)  # noqa: B023
            once = partial(client.http.post, "/api/v1/statuses", json={"status": "x"}, headers={"idempotency-key": "k"})
            answers = await together(*[once] * 8)
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.json()["id"] for answer in answers}) == 1, "one key, one post, whoever is asked"
            async with fresh(door, door.store.mint(None, "platform", ("host",))) as host:
                mint = partial(
                    host.http.post,
                    f"/v1/accounts/{an}/tokens",
                    json={"scopes": ["read"], "app": "mới"},
                    headers={"idempotency-key": "k"},
                )
                made = [answer.json() for answer in await together(*[mint] * 8)]
                assert made == [made[0]] * 8
                (kept,) = (one for one in door.store.tokens(an) if one.app == "mới")
                assert door.store.token(made[0]["token"]) == kept, "and no other is left"
            listed = await client.post("/api/v1/lists", title="kín")  # it is sealed, and any worker opens it
            assert await together(*[partial(client.get, "/api/v1/lists")] * 8) == [[listed]] * 8
        used = [0, 0]
        with trio.fail_after(60):
            while min(used) == 0 or sum(used) < 90:
                await trio.sleep(0.1)
                state = (await door.node.backend.call("status", {}))["door"]
                used = [one["requests"] for one in state["workers"]]
        assert state["trouble"] is None


async def test_while_no_worker_serves_each_request_is_answered_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "WAIT_S", 0.3)
    serves = True
    with socket.create_server(("127.0.0.1", 0)) as listener, trio.fail_after(60):
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        async with trio.open_nursery() as nursery, httpx.AsyncClient(trust_env=False, timeout=60) as client:
            nursery.start_soon(supervisor.stand_in, listener, lambda: serves)
            await trio.sleep(0.5)
            with socket.create_connection(listener.getsockname()) as waiting:
                await trio.sleep(0.5)
                waiting.setblocking(False)
                with pytest.raises(BlockingIOError):  # it is the workers'
                    waiting.recv(1)
            serves = False
            for body in (b"", b"x" * 300_000):
                answer = await client.post(url, content=body)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert "try again" in answer.json()["error"]
            nursery.cancel_scope.cancel()


async def test_connections_that_stay_are_shared_evenly(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__workers="2") as door:
        for together_, count in ((False, 16), (True, 32)):
            clients = [door.client() for _ in range(count - len(door._clients))]
            asks = [partial(client.http.get, "/health") for client in clients]
            if together_:
                await together(*asks)
            else:
                for ask in asks:
                    assert (await ask()).status_code == 200
            with trio.fail_after(60):
                held = [0, 0]
                while sum(held) != count:
                    await trio.sleep(0.1)
                    held = [
                        one["connections"] for one in (await door.node.backend.call("status", {}))["door"]["workers"]
                    ]
            assert max(held) - min(held) <= count // 4, held


# -- bounds


async def test_limits_hold_over_all_workers_and_without_any_the_node_answers_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_S", 600.0)
    monkeypatch.setattr(supervisor, "WAIT_S", 0.5)
    async with open_node(tmp_path, http__workers="2", http__token_rate="20") as door:
        while time.time() % 300 > 285:
            await trio.sleep(1)  # a window begins
        an, _ = await door.person("an")
        async with fresh(door, door.token(an, "read")) as client:
            answers = await together(*[lambda: client.http.get("/api/v1/preferences")] * 30)
        assert sorted(answer.status_code for answer in answers) == [200] * 20 + [429] * 10
        left = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in answers if answer.status_code == 200)
        assert left == list(range(20))
        rate = {"gate": "rate", "whom": "127.0.0.1", "times": 10, "seconds": 0.0}
        with trio.fail_after(60):
            while rate not in (await door.node.backend.call("status", {}))["stopped"]:
                await trio.sleep(0.1)
        for pid in pids(door):
            os.kill(pid, signal.SIGKILL)
        async with fresh(door, door.token(an, "read")) as client:
            with trio.fail_after(60), suppress(httpx.HTTPError):  # a worker may have taken it before it died
                await client.http.get("/api/v1/preferences")
            with trio.fail_after(60):
                assert (await client.http.get("/api/v1/preferences")).status_code == 503


async def test_each_event_goes_to_a_webhook_once_and_streams_hear_of_all(tmp_path: Path, backend: Backend) -> None:
    async with open_node(tmp_path, http__workers="2", http__local_webhooks="true") as door:
        _, client = await door.person("an")
        platform = Client(door.url, door.store.mint(None, "platform", ("read", "write", "host")))
        await platform.post("/v1/webhooks", url=backend.url)
        await platform.http.aclose()
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                heard: list[list[str]] = []

                async def listen(task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
                    mine: list[str] = []
                    heard.append(mine)
                    async with open_lines(door.url, "/api/v1/streaming/user", client.token) as lines:
                        assert await anext(lines) == ":)"
                        task_status.started()
                        while len(mine) < 5:
                            line = await anext(lines)
                            if line.startswith("data: {"):
                                mine.append(json.loads(line.removeprefix("data: "))["content"])

                async with trio.open_nursery() as opening:
                    for _ in range(6):
                        opening.start_soon(nursery.start, listen)
                for n in range(5):
                    await say(client, status=f"bài {n}")
            assert heard == [[f"<p>bài {n}</p>" for n in range(5)]] * 6

            def told() -> list[dict[str, Any]]:
                return [event for event in backend.events if event["event"] == "entries"]

            while sum(event["entries"] for event in told()) < 5:
                await trio.sleep(0.05)
        await trio.sleep(1.0)
        assert sum(event["entries"] for event in told()) == 5, "once in the whole, not once a worker"


def written(account: str, posts: Sequence[Any], ctx: Context, now: float) -> None:
    append_each(ctx, account_from_text(account), [[post] for post in posts], now)


async def test_an_app_that_reads_gets_more_posts_at_once_than_may_wait_for_it(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__workers="1") as door:
        an, client = await door.person("an")
        texts = [f"bài {n}" for n in range(3 * QUEUED)]
        posts = [write_post(CellKey(n.to_bytes(16, "big")), Post(text, created_ms=1)) for n, text in enumerate(texts)]
        with trio.fail_after(60):
            async with open_lines(door.url, "/api/v1/streaming/user", client.token) as lines:
                assert await anext(lines) == ":)"
                await door.node.worker.call(partial(written, an, posts))
                heard: list[str] = []
                while len(heard) < len(texts):
                    line = await anext(lines)
                    if line.startswith("data: {"):
                        heard.append(json.loads(line.removeprefix("data: "))["content"])
        assert heard == [f"<p>{text}</p>" for text in texts]


# -- deaths


async def test_a_worker_that_is_killed_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__workers="2") as door:
        an, client = await door.person("an")
        said, failed, stop = list[str](), 0, False
        before = pids(door)
        assert len(before) == 2

        async def write(who: int) -> None:
            nonlocal failed
            async with fresh(door, client.token) as mine:
                for n in itertools.count():
                    if stop:
                        return
                    try:
                        answer = await mine.http.post("/api/v1/statuses", json={"status": f"{who} {n}"})
                    except httpx.HTTPError:
                        failed += 1
                        await trio.sleep(0.02)
                        continue
                    assert answer.status_code == 200, answer.text
                    said.append(answer.json()["id"])
                    texts.add(f"{who} {n}")

        reader, texts = Consumer(1, door.token(an, "firehose")), set[str]()
        with trio.fail_after(60):
            async with trio.open_nursery() as streams:
                streams.start_soon(reader.run, [door.url], "the last")
                async with trio.open_nursery() as nursery:
                    for who in range(4):
                        nursery.start_soon(write, who)
                    for victim in before:
                        await trio.sleep(0.4)
                        os.kill(victim, signal.SIGKILL)
                        held = len(said)
                        while len(said) < held + 10 or victim in pids(door) or in_trouble(door):
                            await trio.sleep(0.02)
                    stop = True
                await door.node.backend.call("post", {"text": "the last"})
            assert len(reader.seen) == len(set(reader.seen)), "the firehose told nothing twice"
            assert texts <= set(reader.seen), "and missed nothing that was acknowledged"
            assert reader.killed
            state = (await door.node.backend.call("status", {}))["door"]
            assert [one["ended"] for one in state["workers"]] == [1, 1]
            assert not {one["pid"] for one in state["workers"]} & {*before, None}
            while (await door.node.backend.call("status", {}))["door"]["trouble"] is not None:
                await trio.sleep(0.05)
            async with fresh(door, client.token) as mine:
                page = await mine.ask("GET", "/api/v1/statuses", params={"id[]": said[:40]})
                assert len(page) == len(said[:40])
                await together(*(partial(mine.get, f"/api/v1/statuses/{id}") for id in said[40:80]))
            assert door.node.context is not None
            assert door.node.context.engine.forget_dead_readers() == 0, "it was done"


def gone(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    return True


def _opened(life: Life, request: str, until: bytes = b"") -> socket.socket:
    """A connection on which so much came."""
    line, found = socket.create_connection(("127.0.0.1", life.port), timeout=60), b""
    line.sendall(request.encode())
    while until not in found:
        found += line.recv(65_536)
    return line


def _rest(line: socket.socket) -> bytes:
    found = b""
    while more := line.recv(65_536):
        found += more
    return found


def _home(path: Path) -> tuple[Any, str, str]:
    home = make_home(path)
    with open_local(home, load_settings(home, node__role="platform")) as store:
        an = store.call("account.create", name="an")["account"]
    door = DoorStore(home.door)
    token = door.mint(an, "test", ("read", "write"))
    door.close()
    return home, an, token


def test_workers_end_with_a_node_that_is_killed_and_leave_its_port(tmp_path: Path) -> None:
    home, _, token = _home(tmp_path / "a")
    set_in_file(home.config, "control.grace_seconds", 300.0)  # a drain in order would wait so long for those below
    life = Life(home, "--http-workers", "2")
    auth = {"authorization": f"Bearer {token}"}
    upload = (
        f"POST /api/v2/media HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 99\r\n"
        "content-type: multipart/form-data; boundary=x\r\nexpect: 100-continue\r\n\r\n"
    )
    with ExitStack() as lines:
        try:
            held = [pid for pid in life.workers() if pid is not None]
            assert len(held) == 2
            assert httpx.post(f"{life.url}/api/v1/statuses", json={"status": "một"}, headers=auth).status_code == 200
            for _ in range(4):
                lines.enter_context(closing(_opened(life, upload, b" 100 ")))
        finally:
            life.kill()
        deadline = time.monotonic() + 60
        while not all(map(gone, held)):
            assert time.monotonic() < deadline, "a worker outlives its node, for clients that send no end of a request"
            time.sleep(0.05)
    assert not [*home.door_files.glob("*")]
    again = Life(home, "--http-workers", "1", port=life.port)
    try:
        (found,) = httpx.get(f"{again.url}/api/v1/timelines/home", headers=auth).json()
        assert found["content"] == "<p>một</p>"
        assert len(again.workers()) == 1
    finally:
        again.kill()


def test_a_node_that_is_told_to_end_lets_requests_finish_and_ends_streams(tmp_path: Path) -> None:
    home, _, token = _home(tmp_path / "a")
    life = Life(home, "--http-workers", "2", loaded_workers=False)
    try:
        held = [pid for pid in life.workers() if pid is not None]
        body = json.dumps({"status": "cuối"}).encode()
        who = f"host: x\r\nauthorization: Bearer {token}\r\n"
        upgrade = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
        key = "sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        posting = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        with (
            closing(_opened(life, f"POST /api/v1/statuses HTTP/1.1\r\n{who}{posting}\r\n")) as line,
            closing(_opened(life, f"GET /api/v1/streaming/user HTTP/1.1\r\n{who}\r\n", b":)\n")) as stream,
            closing(
                _opened(life, f"GET /api/v1/streaming?stream=user HTTP/1.1\r\n{who}{upgrade}{key}\r\n", b"\r\n\r\n")
            ) as told,
        ):
            line.sendall(body[:5])
            time.sleep(0.2)
            life.process.terminate()
            assert _rest(stream).endswith(b"0\r\n\r\n"), "it ends as one that is over"
            assert _rest(told) == b"\x88\x02\x03\xe9", "going away"
            line.sendall(body[5:])
            assert _rest(line).startswith(b"HTTP/1.1 200")
        life.process.join(60)
        assert life.process.exitcode == 0
        assert len(held) == 2
        assert all(map(gone, held))
    finally:
        life.kill()
    with open_local(home, load_settings(home, node__role="platform")) as store:
        assert [post["text"] for post in store.call("feed")["posts"]] == ["cuối"]
