"""A handshake of a WebSocket is a request: it is counted by token and by address, and refused before the upgrade."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.web.door import Door, open_node
from tests.web.test_firehose import write
from tests.web.test_firehose_forms import events, socket

UPGRADE = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}
PATHS = ("/v1/firehose", "/api/v1/streaming")


async def handshake(door: Door, path: str, token: str, address: str = "203.0.113.1") -> httpx.Response:
    """The answer to one, on a connection of its own."""
    headers = {**UPGRADE, "authorization": f"Bearer {token}", "x-forwarded-for": address}
    async with (
        httpx.AsyncClient(base_url=door.url, timeout=60) as http,
        http.stream("GET", path, headers=headers) as answer,
    ):
        if answer.status_code != 101:
            await answer.aread()
        return answer


@pytest.mark.parametrize("workers", ["0", "2"])
async def test_handshakes_count_as_requests(tmp_path: Path, workers: str) -> None:
    flags = {"http__workers": workers, "http__token_rate": "4", "http__address_rate": "2"}
    async with open_node(tmp_path, **flags) as door:
        an, _ = await door.person("an")
        for number, path in enumerate(PATHS):
            token = door.token(an, "read")
            found = [await handshake(door, path, token) for _ in range(6)]
            assert [answer.status_code for answer in found] == [101] * 4 + [429] * 2, path
            assert found[-1].json()["error"] == "Too many requests"
            assert (found[-1].headers["x-ratelimit-limit"], found[-1].headers["x-ratelimit-remaining"]) == ("4", "0")
            assert 1 <= int(found[-1].headers["retry-after"]) <= 600
            headers = {"authorization": f"Bearer {token}"}
            plain = await door.client().http.get("/api/v1/preferences", headers=headers)
            assert plain.status_code == 429, "they are counted together with all else"
            wrong = [await handshake(door, path, "wrong", f"198.51.100.{number}") for _ in range(4)]
            assert [answer.status_code for answer in wrong] == [401, 401, 429, 429], path
        own = door.store.mint(None, "index", ("firehose",))
        assert {(await handshake(door, PATHS[0], own)).status_code for _ in range(8)} == {101}, "it has no limit"


async def test_the_firehose_takes_no_token_in_the_address(tmp_path: Path) -> None:
    """Addresses are written down by proxies. Apps of Mastodon may do it, at their own streams alone."""
    async with open_node(tmp_path) as door:
        token = door.store.mint(None, "index", ("firehose",))
        assert (await handshake(door, PATHS[0], token)).status_code == 101
        for scheme in ("Bearer ", ""):
            headers = {**UPGRADE, **({"authorization": f"{scheme}{token}"} if scheme else {})}
            async with (
                httpx.AsyncClient(base_url=door.url, timeout=60) as http,
                http.stream("GET", f"/v1/firehose?access_token={token}", headers=headers) as answer,
            ):
                assert answer.status_code == (400 if scheme else 401)


async def test_confirmations_over_a_socket_count_too(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__token_rate="5") as door:
        an, _ = await door.person("an")
        await write(door, ["một"], 1)
        reader = door.client(an, "read")
        async with socket(reader, "since=begin&consumer=index&collection=post") as line:
            found = list[dict[str, Any]]()
            with trio.fail_after(60):
                while not found:
                    found += events(await line.get_message())
                told = []
                for _ in range(6):
                    await line.send_message(json.dumps({"ack": found[0]["cursor"]}))
                    told.append(json.loads(await line.get_message()))
        assert [one["kind"] for one in told] == ["ack"] * 4 + ["refused"] * 2
        assert told[-1] == {"kind": "refused", "error": "Too many requests", "status": 429}
