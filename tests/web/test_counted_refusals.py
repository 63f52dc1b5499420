"""What the door refuses while it answers is counted at its gate: streams, lines, messages of a WebSocket, reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from banyan_node.moderation import reports
from banyan_web.mastodon.streaming.endpoints import MOST
from banyan_web.oauth.logins import set_password
from banyan_web.platform.json_lines import LINE_BYTES
from tests.web.door import Door, open_node
from tests.web.login_page import PASSWORD, Browser
from tests.web.test_streaming import socket_of


def counter(door: Door) -> Callable[[str], int]:
    """How many were counted at a gate since the last question."""
    before = dict[str, float]()

    def more(gate: str) -> int:
        registry = door.node.metrics.registry
        now = registry.get_sample_value("banyan_admission_stopped_total", {"gate": gate}) or 0
        before[gate], was = now, before.get(gate, 0)
        return int(now - was)

    return more


async def test_a_stream_too_many_of_an_address_is_counted(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door, AsyncExitStack() as open_streams:
        more, client = counter(door), door.client().http
        statuses = list[int]()
        while 429 not in statuses:
            found = await open_streams.enter_async_context(client.stream("GET", "/live/events"))
            statuses.append(found.status_code)
        assert len(statuses) > 2
        assert more("streams") == 1


async def test_streams_too_many_of_a_websocket_are_counted(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__token_rate="0") as door:
        _, client = await door.person("an")
        more = counter(door)
        with trio.fail_after(60):
            async with socket_of(door, client.token or "") as line:
                for n in range(MOST + 3):
                    await line.send_message(json.dumps({"type": "subscribe", "stream": "hashtag", "tag": f"a{n}"}))
                for _ in range(3):
                    assert json.loads(await line.get_message())["status"] == 429
        assert more("streams") == 3


async def test_lines_that_are_too_long_are_counted(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("an")
        more, platform = counter(door), door.client()
        headers = {"authorization": f"Bearer {door.token(None)}", "content-type": "application/x-ndjson"}
        for path in ("/v1/operations", "/v1/accounts/bulk"):
            raw = b'{"do": "' + b"a" * LINE_BYTES + b'"}\n'
            answer = await platform.http.post(path, content=raw * 2, headers=headers)
            assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [413, 413], answer.text
            assert more("body") == 2


async def test_what_the_node_refuses_as_too_much_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "A_DAY", 1)
    async with open_node(tmp_path) as door:
        _, client = await door.person("an")
        more = counter(door)
        for name, status in (("bình", 200), ("chi", 429)):
            account, _ = await door.person(name)
            await client.ask("POST", "/v1/reports", status, json={"account": account, "category": "spam"})
        assert more("tries") == 1


async def test_a_wrong_password_is_counted(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, _ = await door.person("an")
        set_password(door.store, an, "an", PASSWORD)
        more, browser = counter(door), Browser(door.url)

        def log_in() -> None:
            browser.send(browser.see("/login"), 401, name="an", password="another one")

        await trio.to_thread.run_sync(log_in)
        assert more("token") == 1
