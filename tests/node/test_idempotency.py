"""Under one key a call of the control API is done once, however it is repeated."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import trio

from banyan_crdt.codec import encode
from banyan_node import idempotency
from banyan_node.home.folder import Home
from banyan_node.server.servers import find_running
from tests.node.real import make_home, make_node, running
from tests.node.test_bulk import local, post


async def call(home: Home, method: str, key: str | None = None, /, **params: Any) -> httpx.Response:
    found, token = find_running(home)
    headers = {"authorization": f"Bearer {token}"} | ({} if key is None else {"idempotency-key": key})
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        return await http.post(f"http://127.0.0.1:{found.endpoint.port}/v1/{method}", json=params)


async def at_once(times: int, home: Home, *given: Any, **params: Any) -> list[Any]:
    answers = list[Any]()

    async def one() -> None:
        answer = await call(home, *given, **params)
        assert answer.status_code == 200, answer.text
        answers.append(answer.json())

    async with trio.open_nursery() as nursery:
        for _ in range(times):
            nursery.start_soon(one)
    return answers


async def test_a_call_with_a_key_is_done_once_also_at_once_and_after_a_restart(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    async with running(make_node(home)):
        await call(home, "account.create", name="An")
        answers = await at_once(6, home, "post", "k 1", text="một")
        assert answers == [answers[0]] * 6
        other = await call(home, "post", "k 1", text="hai")
        assert (other.status_code, other.json()["error"]["code"]) == (422, "refused")
        assert "use a new one" in other.json()["error"]["message"]
        assert (await call(home, "post", "k 2", text=" ")).status_code == 400, "nothing was done"
        assert (await call(home, "post", "k 2", text="hai")).status_code == 200
        assert (await call(home, "post", "", text="x")).status_code == 400
        assert (await call(home, "post", "k" * 201, text="x")).status_code == 400
        assert (await call(home, "feed", "k 1")).status_code == 200, "of a read nothing is kept"
        due = {"text": "mai", "due": 4_000_000_000_000 - 1}
        assert (await call(home, "draft.set", "k 3", **due)).status_code == 400
        drafts = await at_once(2, home, "draft.set", "k 3", text="mai")
        assert drafts[0] == drafts[1]
    async with running(make_node(home)):
        assert (await call(home, "post", "k 1", text="một")).json() == answers[0]
        assert [row["text"] for row in (await call(home, "feed")).json()["posts"]] == ["hai", "một"]
        assert len((await call(home, "drafts")).json()["drafts"]) == 1
        assert (await call(home, "store.verify")).json()["problems"] == []


async def test_an_act_outside_the_store_is_done_once_and_written_down_once(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    async with running(make_node(home)) as node:
        bans = {"network": "192.0.2.0/24", "reason": "spam", "days": 3}
        answers = await at_once(4, home, "networks.ban", "b", **bans)
        assert answers == [answers[0]] * 4
        acts = (await call(home, "audit.list")).json()["acts"]
        assert [act["do"] for act in acts] == ["networks.ban"]
        await node.backend.call("networks.pardon", {"network": "192.0.2.0/24"})
        assert (await call(home, "networks.ban", "b", **bans)).json() == answers[0]
        assert (await call(home, "bans")).json()["networks"] == [], "it is not done again"


def test_a_record_of_an_earlier_version_is_answered_again(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        store, key = node.context.store, idempotency.key_of("", "1", post("1"))
        day = int(time.time() * 1000) // idempotency.WINDOW_MS
        store.put_note(b"once:" + day.to_bytes(4, "big") + key.name, encode([key.said, b'{"uri": "of then"}']))
        (row,) = node.call("bulk.write", operations=[post("1")])["rows"]
        assert (row["state"], row["answer"]) == ("before", {"uri": "of then"})
