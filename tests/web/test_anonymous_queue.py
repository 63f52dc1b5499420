"""What strangers have the node work on: one after the other, a part of the time, no more than a few wait, and a flood
takes the turns of its own network or accounts."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path

import pytest
import trio
import trio.testing

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_web import rate_limits
from banyan_web.rate_limits import OF_ONE, WAITING, AnonymousQueue
from banyan_web.refusals import HttpRefusal
from tests.node.real import load_settings, make_home
from tests.web.door import Door, open_node


async def test_they_work_one_after_the_other_for_their_share_of_the_time() -> None:
    all_of_them, at_once, worked = AnonymousQueue(0.25), 0, list[tuple[float, float]]()

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
            nursery.start_soon(work, f"203.{n}.113.1")
    assert len(worked) == 5
    for (began, ended), (then, _) in pairwise(worked):
        assert then - ended >= 2.9 * (ended - began), "three quarters of the time are of others"


class Line:
    """Strangers whose work lasts until it is told to end. done: who had a turn, in order. refused: who was not let in,
    with the status."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.strangers, self._nursery = AnonymousQueue(1.0), nursery
        self.done, self.refused = list[str](), list[tuple[str, int]]()
        self._ends = trio.Event()

    async def comes(self, name: str, address: str, account: str | None = None) -> None:
        """Returns when it waits, works or was refused."""
        self._nursery.start_soon(self._come, name, address, account)
        await trio.testing.wait_all_tasks_blocked()

    async def _come(self, name: str, address: str, account: str | None) -> None:
        try:
            async with self.strangers.turn(address, account):
                self.done.append(name)
                await self._ends.wait()
        except HttpRefusal as why:
            self.refused.append((name, why.status if why.headers and int(why.headers["retry-after"]) else 0))

    async def next(self) -> str:
        """Who has the turn after the one that works now."""
        ends, self._ends = self._ends, trio.Event()
        ends.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        return self.done[-1]


async def test_few_wait_fewer_of_one_network_and_none_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async with trio.open_nursery() as nursery:
        line = Line(nursery)
        await line.comes("first", "192.0.2.1")
        for n in range(OF_ONE + 2):
            await line.comes("near", f"203.0.113.{n}")
        assert line.refused == [("near", 429)] * 2
        for n in range(WAITING + 1):
            await line.comes("near", f"2001:db8:{n}::/64")
        assert line.refused[2:] == [("near", 503)] * (OF_ONE + 1)
        nursery.cancel_scope.cancel()
    monkeypatch.setattr(rate_limits, "WAIT_S", 0.1)
    async with trio.open_nursery() as nursery:
        line = Line(nursery)
        await line.comes("first", "192.0.2.1")
        await line.comes("second", "192.0.3.1")
        while not line.refused:
            await trio.sleep(0.01)
        assert line.refused == [("second", 503)]
        await line.next()
        await line.comes("third", "192.0.4.1")
        assert line.done == ["first", "third"], "who went away, or was sent, keeps no turn"
        nursery.cancel_scope.cancel()


async def test_who_goes_while_it_has_the_turn_gives_it_on() -> None:
    async with trio.open_nursery() as nursery:
        line = Line(nursery)
        line.strangers = AnonymousQueue(0.001)
        async with line.strangers.turn("192.0.2.1"):
            await trio.sleep(0.01)
        async with trio.open_nursery() as gone:
            inner = Line(gone)
            inner.strangers = line.strangers
            await inner.comes("gone", "192.0.3.1")  # called, and waits until the share is kept
            gone.cancel_scope.cancel()
        line.strangers._free_at = 0.0
        await line.comes("next", "192.0.4.1")
        assert line.done == ["next"]
        nursery.cancel_scope.cancel()


async def test_a_flood_takes_the_turns_of_its_own_networks_alone() -> None:
    """A network is as wide as what one provider has, and within it as what one customer has."""
    async with trio.open_nursery() as nursery:
        line, fresh = Line(nursery), count()

        async def flood() -> None:
            """From ever new addresses of one wide network: as many as may wait, and more."""
            for _ in range(WAITING + 4):
                await line.comes("flood", f"2001:db8:{next(fresh):x}::/64")

        await flood()
        for _ in range(4):
            line.refused.clear()
            await line.comes("an", "198.51.100.1")
            assert line.refused == [("flood", 503)], "the last of many makes room"
            turns = [await line.next(), await line.next()]
            assert "an" in turns, "one turn in two is of the other network"
            await flood()
        line.refused.clear()
        await line.comes("bình", "2001:db8:ffff::/64")
        for _ in range(3):
            await line.comes("crowd", "2001:db8:fffe::/64")
        assert ("bình", 503) in line.refused, "who is in the network of the flood shares its turns"
        nursery.cancel_scope.cancel()


async def test_accounts_that_are_known_have_turns_that_newcomers_cannot_take() -> None:
    async with trio.open_nursery() as nursery:
        line = Line(nursery)
        await line.comes("first", "192.0.2.1")
        for n in range(WAITING + 4):
            await line.comes("new", f"198.{n}.100.1")
        line.refused.clear()
        await line.comes("an", "203.0.113.1", "did:an")
        await line.comes("an", "203.0.113.2", "did:an")
        await line.comes("bình", "203.0.113.1", "did:bình")
        assert line.refused == []
        turns = [await line.next() for _ in range(6)]
        assert turns == ["an", "new", "bình", "new", "an", "new"], "nor do the known take those of newcomers"
        for n in range(OF_ONE + 1):
            await line.comes("an", f"203.0.{n}.1", "did:an")
        assert line.refused == [("an", 429)]
        nursery.cancel_scope.cancel()


class Author:
    """Accounts of another node."""

    def __init__(self, node: LocalBackend, folder: Path) -> None:
        self._node, self._path = node, folder / "exported"

    def account(self, name: str) -> str:
        hosted = self._node.call("id")["account"] is not None
        return str(self._node.call("account.create", name=name, hosted=hosted)["account"])

    def brings(self, did: str, text: str) -> str:
        """The archive of an account after one more post, base64."""
        self._node.call("post", text=text, by=did)
        self._path.unlink(missing_ok=True)
        self._node.call("account.export", account=did, path=str(self._path))
        return b64encode(self._path.read_bytes()).decode()


@contextmanager
def elsewhere(folder: Path) -> Iterator[Author]:
    home = make_home(folder)
    with open_local(home, load_settings(home, node__role="platform")) as node:
        yield Author(node, folder)


async def bring(door: Door, address: str, did: str, archive: str) -> int:
    """The status of the answer."""
    headers = {"origin": door.url, "x-forwarded-for": address}
    answer = await door.client().http.post("/own/entries", json={"account": did, "archive": archive}, headers=headers)
    assert answer.status_code == 200 or answer.headers["retry-after"], answer.text
    return answer.status_code


OPEN = {"http__browser_accounts": "true", "http__address_rate": "0"}


async def test_a_flood_from_many_networks_is_refused_and_people_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with elsewhere(tmp_path / "other") as author:
        dids = [author.account(f"khách {n}") for n in range(30)]
        archives = [author.brings(did, "x " * 5_000) for did in dids]
    monkeypatch.setattr(rate_limits, "SHARE", 0.05)
    async with open_node(tmp_path / "home", **OPEN) as door:
        _, client = await door.person("an")
        found: list[int] = []

        async def flood(n: int) -> None:
            found.append(await bring(door, f"203.{n}.113.1", dids[n], archives[n]))

        async with trio.open_nursery() as nursery:
            for n in range(len(archives)):
                nursery.start_soon(flood, n)
            for n in range(10):
                await client.ask("POST", "/api/v1/statuses", json={"status": f"bài {n}"})
        assert {*found} == {200, 503}


async def test_who_signs_something_new_for_an_account_that_is_here_waits_apart_from_newcomers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with elsewhere(tmp_path / "other") as author:
        dids = [author.account(f"khách {n}") for n in range(WAITING + 4)]
        (lan, first), *others = [(did, author.brings(did, "một")) for did in dids]
        second = author.brings(lan, "hai")
    monkeypatch.setattr(rate_limits, "SHARE", 0.003)
    monkeypatch.setattr(rate_limits, "WAIT_S", 600.0)  # what takes long on a busy machine waits long
    async with open_node(tmp_path / "home", **OPEN) as door:
        await door.person("an")

        async def seen(archive: str, account: str = lan) -> tuple[bool, bool]:
            found = await door.node.backend.call("entries.look", {"archive": archive, "account": account})
            return found["held"], found["news"]

        assert await seen(first) == (False, False)
        assert await bring(door, "203.0.113.1", lan, first) == 200
        assert await seen(first) == (True, False), "everybody can bring what is public again"
        assert await seen(second) == (True, True)
        statuses = dict[str, int]()

        async def newcomer(did: str, archive: str, n: int) -> None:
            statuses[did] = await bring(door, f"198.{n}.100.1", did, archive)

        async with trio.open_nursery() as nursery:
            for n, (did, archive) in enumerate(others):
                nursery.start_soon(newcomer, did, archive, n)
            while 503 not in statuses.values():
                await trio.sleep(0.01)
            assert await bring(door, "192.0.2.1", lan, first) == 503
            assert await bring(door, "192.0.2.1", lan, second) == 200
            nursery.cancel_scope.cancel()
