"""What anybody may ask costs the same on a small node and on a large one: rows that are read, counted."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial, wraps
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import open_websocket_url

from banyan_node.api import cost
from banyan_node.api.methods.accounts import account_exit
from banyan_node.api.methods.posts import feeds
from banyan_storage import lmdb_reads
from banyan_web import archive_downloads
from banyan_web.app import EVERY, FREE, SOCKETS
from banyan_web.mastodon.entity_ids import account_id, status_id
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.oauth.logins import Person, open_session
from banyan_web.rate_limiter import KEY_BYTES, SharedCounts, shared_memory
from banyan_web.rate_limits import BEGUN_US, STREAMS, RateLimits
from banyan_web.workers.node_end import NodeEnd
from banyan_web.workers.protocol import MICROSECONDS, Frame, FrameSplitter, WorkerFrameKind, frame_of
from tests.web.door import Door, open_node
from tests.web.test_counted_sockets import handshake
from tests.web.test_platform import open_accounts, platform
from tests.web.test_revoked_streams import OF_NOBODY, OF_SESSIONS
from tests.web.test_workers import LIVE, fresh

FEW, MANY = 120, 420
SLACK = 120
"""Rows that one more may read by chance: less than a row for each account more."""
BOUNDED = ("/api/v1/trends/statuses", "/api/v1/trends/links", "/network")
"""They look at the newest posts and arrivals, so many and no more, once for all who ask."""
ANYBODY = [one for module in EVERY for one in module.all if one.verb == "GET" and one.scope is None]
QUERIES = {
    "/api/v1/timelines/public": ("", "?local=true", "?limit=40"),
    "/api/v1/timelines/tag/{tag}": ("", "?local=true"),
    "/": ("", "?lang=vi"),
}


class Rows:
    """Rows that were read of any store of this process, and those of them that were read for an answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = self.asked = 0
        for name in ("get", "last"):
            monkeypatch.setattr(lmdb_reads.Reader, name, self._one(getattr(lmdb_reads.Reader, name)))
        for name in ("get_many", "scan", "prefix", "dups", "beginning", "ending"):
            monkeypatch.setattr(lmdb_reads.Reader, name, self._each(getattr(lmdb_reads.Reader, name)))

    def _one(self, read: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(read)
        def counted(*given: Any, **more: Any) -> Any:
            self._count()
            return read(*given, **more)

        return counted

    def _each(self, read: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        @wraps(read)
        def counted(*given: Any, **more: Any) -> Iterator[Any]:
            for row in read(*given, **more):
                self._count()
                yield row

        return counted

    def _count(self) -> None:
        self.read += 1
        self.asked += cost.SPENT.get() is not None


def _filled(names: Mapping[str, str], other: str, part: re.Match[str]) -> str:
    return names.get(part[1], other)


async def _still(rows: Rows) -> None:
    """The index follows, and other work of the node."""
    read = -1
    with trio.fail_after(60):
        while read != rows.read:
            read = rows.read
            await trio.sleep(1)


async def _costs(door: Door, rows: Rows, count: int) -> dict[str, int]:
    """The rows that each address reads that anybody may ask for, the first time."""
    lotus = platform(door)
    dids = await open_accounts(lotus, *[f"a{n}" for n in range(count)])
    done = list[str]()
    for n, did in enumerate(dids):  # one by one: a page reads all that is of one millisecond
        done.append((await door.node.backend.call("post", {"text": f"số {n} #tết", "as": did}))["uri"])
        await trio.sleep(0.002)
    row = (await door.node.backend.call("posts.get", {"uris": [done[-1]]}))["posts"][0]
    account, _, key = done[-1].partition("/")
    names = {"account": account, "key": key, "tag": "tết", "name": "a1", "acct": "a1", "user": "a1", "did": account}
    anybody = door.client()
    with trio.fail_after(60):  # a page of an index that is behind looks further
        while (await door.node.backend.call("search", {"question": "số", "limit": 1}))["behind"]:
            await trio.sleep(0.05)
    await _still(rows)
    await anybody.get("/api/v1/timelines/public", limit=1)  # what changed since the last question is read once
    found = dict[str, int]()
    for endpoint in ANYBODY:
        if LIVE.search(endpoint.path) or endpoint.path in BOUNDED:
            continue
        ids = account_id(account) if "/accounts/" in endpoint.path else status_id(done[-1], row["time_ms"])
        path = re.sub(r"\{(\w+)(:path)?\}", partial(_filled, names, ids), endpoint.path)
        for query in QUERIES.get(endpoint.path, ("",)):
            before = rows.asked
            answer = await anybody.http.get(path + query)
            assert answer.status_code < 500, (path, answer.text)
            found[endpoint.path + query] = rows.asked - before
    before = rows.asked
    assert (await lotus.http.get("/v1/counts")).json()["accounts"] == count + 1
    found["/v1/counts"] = rows.asked - before
    return found


class _Charges:
    """What the door charges, with a row that is read for a second of the processor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rows: Rows) -> None:
        self.by_address, spend = Counter[str](), RateLimits.spend_anonymous
        monkeypatch.setattr(cost, "thread_time", lambda: float(rows.read))

        def spent(bounds: RateLimits, address: str, seconds: float) -> None:
            self.by_address[address] += round(seconds)
            spend(bounds, address, seconds)

        monkeypatch.setattr(RateLimits, "spend_anonymous", spent)


async def test_each_answer_is_charged_to_who_asks_for_what_it_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(monkeypatch)
    charges = _Charges(monkeypatch, rows)
    async with open_node(tmp_path, http__anonymous_cpu="100000", http__address_rate="0") as door:
        an, _ = await door.person("an")
        for n in range(260):
            done = await door.node.backend.call("post", {"text": f"số {n} #tết", "as": an})
        row = (await door.node.backend.call("posts.get", {"uris": [done["uri"]]}))["posts"][0]
        key = row["uri"].partition("/")[2]
        names = {"account": an, "key": key, "tag": "tết", "name": "an", "acct": "an", "user": "an", "did": an}
        await _still(rows)
        anybody = door.client()
        asked = list[tuple[str, int, int]]()
        for n, endpoint in enumerate(one for one in ANYBODY if not LIVE.search(one.path)):
            ids = account_id(an) if "/accounts/" in endpoint.path else status_id(row["uri"], row["time_ms"])
            path = re.sub(r"\{(\w+)(:path)?\}", partial(_filled, names, ids), endpoint.path)
            for again in range(5):  # other work of the node reads rows too
                before, address = rows.read, f"9.{n}.{again}.1"
                await anybody.http.get(path, headers={"x-forwarded-for": address})
                read, charged_for = rows.read - before, charges.by_address[address]
                if path.startswith(FREE) or charged_for >= read:
                    break
                await _still(rows)
            else:
                pytest.fail(f"{path} reads {read} rows, of which {charged_for} are charged")
            asked.append((path, read, charged_for))
        assert sum(read > SLACK for _, read, _ in asked) > 3

        async def charged(path: str, address: str) -> int:
            await anybody.http.get(path, headers={"x-forwarded-for": address})
            return charges.by_address[address]

        for page in (f"/api/v1/accounts/{account_id(an)}/statuses", "/api/v1/timelines/public"):
            rare = await charged(f"{page}?only_media=true", "9.9.0.1")
            few = await charged(f"{page}?limit=1", "9.9.0.2")
            assert rare > 10 * few > 0, page


async def test_who_used_up_the_allowance_is_refused_everywhere_and_who_is_logged_in_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_web.rate_limits.CPU_S", 3_600)
    _Charges(monkeypatch, Rows(monkeypatch))
    async with open_node(tmp_path, http__anonymous_cpu="1", http__address_rate="0") as door:
        an, own = await door.person("an")
        anybody, app = door.client().http, door.token(None, "read")
        stranger = {"x-forwarded-for": "9.9.0.1"}
        assert (await anybody.get(f"/@{an}", headers=stranger)).status_code == 200
        assert (await anybody.get(f"/@{an}", headers=stranger)).status_code == 429
        for endpoint in (one for module in EVERY for one in module.all):
            path = endpoint.path.replace("{", "").replace("}", "").replace(":path", "")
            async with anybody.stream(endpoint.verb, path, headers=stranger) as answer:
                assert (answer.status_code == 429) != path.startswith(FREE), (endpoint.verb, path, answer.status_code)
                assert path.startswith(FREE) or 1 <= int(answer.headers["retry-after"]) <= 7_200
        for one in SOCKETS:
            assert (await handshake(door, one.path, app, "9.9.0.1")).status_code == 429, one.path
            assert (await handshake(door, one.path, "wrong", "9.9.0.1")).status_code == 429, one.path
        page = "/api/v1/timelines/public"
        with_app = {**stranger, "authorization": f"Bearer {app}"}
        assert (await anybody.get(page, headers=with_app)).status_code == 429, "anybody may register an app"
        assert (await own.http.get(page, headers=stranger)).status_code == 200
        cookie = open_session(door.store, Person(an, "an"))
        assert (await anybody.get("/", headers={**stranger, "cookie": f"banyan={cookie}"})).status_code == 200
        assert (await anybody.get("/", headers={**stranger, "cookie": f"banyan={'x' * 43}"})).status_code == 429
        assert (await anybody.get("/rules", headers={"x-forwarded-for": "8.8.0.1"})).status_code == 200


async def test_a_message_of_a_socket_is_charged_to_who_has_an_app_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_web.rate_limits.CPU_S", 3_600)
    charges = _Charges(monkeypatch, Rows(monkeypatch))
    async with open_node(tmp_path, http__anonymous_cpu="1") as door:
        await door.person("an")
        made = 0

        async def add(hub: Hub, web: Any, stream: Any, channel: Any) -> None:
            nonlocal made
            made += 1
            await web.call("feed", all=True, by=None)

        monkeypatch.setattr(Hub, "add", add)
        headers = [(b"Authorization", f"Bearer {door.token(None, 'read')}".encode()), (b"X-Forwarded-For", b"9.9.0.1")]
        said = list[Any]()
        async with open_websocket_url(f"ws{door.url[4:]}/api/v1/streaming", extra_headers=headers) as socket:
            for _ in range(20):
                await socket.send_message(json.dumps({"type": "subscribe", "stream": "public"}))
                with trio.move_on_after(0.3):
                    said.append(json.loads(await socket.get_message()))
                    break
        assert charges.by_address["9.9.0.1"] > 4, "an eighth of 36 s"
        assert 1 <= made < 20
        assert said == [{"error": "Too much was asked for without logging in.", "status": 429}]


STREAMS_OF_ANYBODY = [*OF_SESSIONS, *OF_NOBODY]


@pytest.mark.parametrize("path", [*STREAMS_OF_ANYBODY, "/api/v1/streaming/public"])
async def test_who_is_not_logged_in_has_a_few_streams_of_an_address(tmp_path: Path, path: str) -> None:
    async with open_node(tmp_path, http__address_rate="40") as door, AsyncExitStack() as held:
        an, _ = await door.person("an")
        of_app = None if path in STREAMS_OF_ANYBODY else f"Bearer {door.token(None, 'read')}"
        http = await held.enter_async_context(httpx.AsyncClient(base_url=door.url, timeout=60))

        async def status(address: str, within: AsyncExitStack = held, **headers: str) -> int:
            given = {"authorization": of_app, **headers} if of_app else headers
            ask = http.stream("GET", path, headers={"x-forwarded-for": address, **given})
            return (await within.enter_async_context(ask)).status_code

        async with AsyncExitStack() as first:
            assert [await status("9.9.0.1", first) for _ in range(2)] == [200, 200], "a twentieth of the requests"
            for _ in range(2):
                assert await status("9.9.0.1") == 429
            assert await status("9.9.0.2") == 200
            cookie = open_session(door.store, Person(an, "an"))
            assert await status("9.9.0.1", cookie=f"banyan={cookie}") == 200
            own = door.token(an, "read")
            assert await status("9.9.0.1", authorization=f"Bearer {own}") == 200, "as a person"
        with trio.fail_after(60):
            while await status("9.9.0.1") == 429:
                await trio.sleep(0.1)


def test_streams_are_bounded_for_all_who_are_not_logged_in() -> None:
    bounds = RateLimits(processes=2)
    assert sum(bounds.open_stream(f"9.9.{n}.1") for n in range(200)) == STREAMS // 2
    bounds.close("streams", "9.9.1.1")
    assert bounds.open_stream("9.8.0.1")
    assert not bounds.open_stream("9.8.0.2")


def test_an_allowance_is_of_an_address_of_its_network_and_of_all() -> None:
    def over(address: str) -> bool:
        return bounds.anonymous_over(address) is not None

    now = 6_000.0
    bounds = RateLimits(anonymous_cpu=40, clock=lambda: now)
    spend = bounds.spend_anonymous
    # 24 s in a minute: 3 s of an address, 6 s of a /24, and 0.6 s when all is used up
    spend("9.9.9.1", 2.9)
    assert not over("9.9.9.1")
    spend("9.9.9.1", 0.2)
    assert over("9.9.9.1")
    assert not over("9.9.9.2")
    spend("9.9.9.2", 3.0)
    assert over("9.9.9.3"), "of the same network"
    assert not over("9.9.8.3")
    spend("2a01:4f8:1:2::/64", 3.1)
    assert over("2a01:4f8:1:2::/64")
    assert not over("2a01:4f8:1:3::/64")
    spend("127.0.0.1", 14.0)
    assert not over("127.0.0.1")
    spend("8.8.8.8", 1.0)
    assert over("127.0.0.1"), "all is used up"
    assert over("8.8.8.9")
    assert not over("7.7.7.7"), "who took little gets an answer"
    spend("7.7.7.7", 0.7)
    assert over("7.7.7.7")
    now = 6_059.0
    assert over("9.9.9.1")
    now = 6_100.0
    assert not over("9.9.9.1")
    assert not any(RateLimits(anonymous_cpu=0).anonymous_over(one) for one in ("9.9.9.1", "local"))


def test_answers_that_have_not_begun_count_too() -> None:
    bounds = RateLimits(anonymous_cpu=40)
    begun = 0
    while bounds.anonymous_over("9.9.9.1") is None:
        bounds.begin_anonymous("9.9.9.1", 1)
        begun += 1
    assert begun == 3_000_000 // BEGUN_US + 1
    assert bounds.anonymous_over("9.9.8.1") is None
    bounds.begin_anonymous("9.9.9.1", -begun)
    assert bounds.anonymous_over("9.9.9.1") is None


def test_what_one_process_answered_another_counts() -> None:
    memory = shared_memory()
    one, other = (RateLimits(counts=SharedCounts(memory, bytes(KEY_BYTES)), processes=2) for _ in range(2))
    one.spend_anonymous("9.9.9.1", 5_000.0)
    assert other.anonymous_over("9.9.9.1") is not None
    assert other.anonymous_over("9.9.8.1") is None
    os.close(memory)


async def test_the_node_says_what_it_answered_for_a_worker_took(monkeypatch: pytest.MonkeyPatch) -> None:
    used = 0.0

    class Answers:
        async def call(self, name: str, params: Mapping[str, Any], by: object = None, once: object = None) -> Any:
            return await self.answer(name, params)

        async def piece(self, blob: str, offset: int, length: int) -> bytes:
            return b""

        async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
            raise AssertionError("nobody follows")

        async def answer(self, name: str, params: Mapping[str, Any], by: object = None, once: object = None) -> Any:
            nonlocal used
            used += 1.5
            await trio.to_thread.run_sync(cost.timed(self._more))
            return name

        def _more(self) -> None:
            nonlocal used
            used += 0.25

    monkeypatch.setattr(cost, "thread_time", lambda: used)
    here, there = trio.socket.socketpair()
    end, said = NodeEnd(Answers(), trio.SocketStream(here), lambda does: None), FrameSplitter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end.run, frame_of(WorkerFrameKind.OPEN, 0, {}))
        line = trio.SocketStream(there)
        assert await line.receive_some()
        await line.send_all(frame_of(WorkerFrameKind.CALL, 7, ("search", {}, ("host", "", None), None)))
        frames = list[Frame]()
        while len(frames) < 2:
            frames += said.feed(await line.receive_some())
        nursery.cancel_scope.cancel()
    assert [one.kind for one in frames] == [WorkerFrameKind.COST, WorkerFrameKind.ANSWER]
    assert MICROSECONDS.unpack(frames[0].payload)[0] >= 1_750_000
    here.close()
    there.close()


async def test_an_archive_that_is_too_large_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, write = list[Path](), account_exit._written

    def written(at: Any, of: Any, path: Path, ask: Any) -> Any:
        made.append(path)
        return write(at, of, path, ask)

    monkeypatch.setattr(account_exit, "_written", written)
    async with open_node(tmp_path) as door:
        an, person = await door.person("an")
        for n in range(4):
            await door.node.backend.call("post", {"text": str(n) * 9_000})
        anybody = door.client()
        assert len((await anybody.http.get(f"/archives/{an}")).content) > 36_000
        monkeypatch.setattr(archive_downloads, "MOST", 30_000)
        _, other = await door.person("bình")
        for path, who in ((f"/archives/{an}", anybody), (f"/v1/accounts/{an}/archive", other)):
            answer = await who.http.get(path)
            assert answer.status_code == 413
            assert "banyan export" in answer.text
        assert len(made) == 1
        assert len((await person.http.get(f"/v1/accounts/{an}/archive")).content) > 36_000, "it is theirs"


async def test_while_archives_are_written_pages_and_searches_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on, write = list[Path](), threading.Event(), account_exit._written

    def written(at: Any, of: Any, path: Path, ask: Any) -> Any:
        begun.append(path)
        goes_on.wait(60)
        return write(at, of, path, ask)

    monkeypatch.setattr(account_exit, "_written", written)
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        an, own = await door.person("an")
        await door.node.backend.call("post", {"text": "mot"})
        answers = list[tuple[int, int]]()

        async def take(n: int) -> None:
            found = await door.client().http.get(f"/archives/{an}", headers={"x-forwarded-for": f"9.9.{n % 2}.1"})
            answers.append((found.status_code, len(found.content)))

        for n in range(10):
            nursery.start_soon(take, n)
        try:
            with trio.fail_after(60):
                while not begun or len(answers) < 2:
                    await trio.sleep(0.05)
                assert len(await own.get("/api/v1/timelines/home")) == 1
                while not (await own.get("/api/v2/search", q="mot", type="statuses"))["statuses"]:
                    await trio.sleep(0.05)  # the index follows
            assert len(begun) == 1, "one after the other"
            assert answers == [(429, answers[0][1])] * 2, "four of an address are under way"
        finally:
            goes_on.set()
        with trio.fail_after(60):
            while len(answers) < 10:
                await trio.sleep(0.05)
        assert [status for status, _ in answers[2:]] == [200] * 8
        await take(0)
        assert answers[-1] == answers[-2], "their places are free again"
    assert not list(door.node.home.door_files.rglob("archive"))


async def test_no_address_costs_more_where_more_accounts_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MERGED", FEW // 2)
    rows, costs = Rows(monkeypatch), list[dict[str, int]]()
    for count in (FEW, MANY):
        async with open_node(tmp_path / str(count), http__address_rate="0", http__anonymous_cpu="0") as door:
            await door.person("Lotus")
            costs.append(await _costs(door, rows, count))
    few, many = costs
    grown = {path: (few[path], many[path]) for path in few if many[path] > few[path] + SLACK}
    assert not grown, f"rows read with {FEW} and with {MANY} accounts"
    assert few["/api/v1/timelines/public"] > 0


async def test_workers_refuse_who_used_up_the_allowance_of_all(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__workers="2", http__anonymous_cpu="1", http__address_rate="0") as door:
        an, _ = await door.person("an")
        stranger, refused = {"x-forwarded-for": "9.9.0.1"}, 0
        with trio.fail_after(120):
            while refused < 10:
                async with fresh(door, None) as client:
                    status = (await client.http.get("/search?q=an", headers=stranger)).status_code
                assert status in (200, 429)
                refused = refused + 1 if status == 429 else 0
        async with fresh(door, door.token(an, "read")) as client:
            assert (await client.http.get("/api/v1/preferences", headers=stranger)).status_code == 200
