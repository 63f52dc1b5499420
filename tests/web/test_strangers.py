"""What strangers have the node work on: one after the other, a part of the time, and no more than a few wait."""

from __future__ import annotations

import time
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import pytest
import trio
import trio.testing

from banyan_node.local import open_local
from banyan_web import strangers
from banyan_web.refusals import Refused
from banyan_web.strangers import OF_AN_ADDRESS, WAITING, Strangers
from tests.node.real import load_settings, make_home
from tests.web.door import open_node


async def test_they_work_one_after_the_other_for_their_share_of_the_time() -> None:
    all_of_them, at_once, worked = Strangers(0.25), 0, list[tuple[float, float]]()

    async def work(address: str) -> None:
        nonlocal at_once
        async with all_of_them.turn(address):
            at_once += 1
            assert at_once == 1
            began = time.monotonic()
            await trio.sleep(0.1)
            worked.append((began, time.monotonic()))
            at_once -= 1

    async with trio.open_nursery() as nursery:
        for n in range(5):
            nursery.start_soon(work, f"203.0.113.{n}")
    for (began, ended), (then, _) in pairwise(worked):
        assert then - ended >= 2.9 * (ended - began), "three quarters of the time are of others"


async def test_few_wait_fewer_of_one_address_and_none_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them, refused = Strangers(1.0), list[int]()

    async def work(address: str) -> None:
        try:
            async with all_of_them.turn(address):
                await trio.sleep_forever()
        except Refused as why:
            refused.append(why.status if why.headers and int(why.headers["retry-after"]) else 0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, "first")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(OF_AN_ADDRESS + 2):
            nursery.start_soon(work, "203.0.113.1")
        await trio.testing.wait_all_tasks_blocked()
        assert refused == [429, 429]
        for n in range(WAITING + 1):
            nursery.start_soon(work, f"198.51.100.{n}")
        await trio.testing.wait_all_tasks_blocked()
        assert refused[2:] == [503] * (OF_AN_ADDRESS + 1)
        nursery.cancel_scope.cancel()
    monkeypatch.setattr(strangers, "WAIT_S", 0.1)
    refused.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, "first")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(work, "second")
        while not refused:
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert refused == [503]
    with trio.fail_after(5):
        async with all_of_them.turn("third"):
            pass


async def test_a_flood_from_many_addresses_is_refused_and_people_go_on(tmp_path: Path) -> None:
    archives: list[tuple[str, str]] = []
    home = make_home(tmp_path / "other")
    with open_local(home, load_settings(home, node__role="platform")) as other:
        for n in range(30):
            did = other.call("account.create", name=f"khách {n}", hosted=bool(n))["account"]
            for k in range(5):
                other.call("post", text=f"{k} " * 5_000, by=did)
            path = tmp_path / f"{n}.banyan"
            other.call("account.export", account=did, path=str(path))
            archives.append((did, b64encode(path.read_bytes()).decode()))
    flags = {"http__browser_accounts": "true", "http__address_rate": "0"}
    async with open_node(tmp_path / "home", **flags) as door:
        _, client = await door.person("an")
        found: list[int] = []

        async def flood(n: int) -> None:
            did, archive = archives[n]
            headers = {"origin": door.url, "x-forwarded-for": f"203.0.113.{n}"}
            answer = await door.client().http.post(
                "/own/entries", json={"account": did, "archive": archive}, headers=headers
            )
            found.append(answer.status_code)
            assert answer.status_code == 200 or answer.headers["retry-after"], answer.text

        async with trio.open_nursery() as nursery:
            for n in range(len(archives)):
                nursery.start_soon(flood, n)
            for n in range(10):
                await client.ask("POST", "/api/v1/statuses", json={"status": f"bài {n}"})
        assert {*found} == {200, 503}
        assert found.count(503) >= len(archives) - WAITING - 2
