"""A reader of the firehose misses nothing whoever is killed, and whichever node of the network it goes on at."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import h11
import httpx
import pytest
import trio

from banyan_cli.node_setup import make_node
from banyan_node.client import AsyncClient, CallError, Client, v1
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.home.settings import load
from banyan_node.local import open_local, peer_id
from banyan_web.door_store import DoorStore
from tests.forking import forked
from tests.needs import NIGHT
from tests.web.door import Door, open_node
from tests.web.lines import open_lines

SEEDS, EACH, EACH_SAYS = 12 if NIGHT else 4, 5, 100
"""Readers; accounts of a platform, and what they say."""
NOTES = ("begin", "heartbeat", "frontier", "end")
HOLDS_ALL = 2
"""So many nodes, the first ones, hold all accounts; the last holds those that its account follows."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Place(NamedTuple):
    """A node of the network, as its readers and writers know it. accounts: hosted there."""

    name: str
    url: str
    token: str
    accounts: list[str]


class Lotus:
    """A node as a process, which is killed and started again."""

    def __init__(self, path: Path) -> None:
        self._home, self._port = Home(path), free_port()
        self._process: BaseProcess | None = None
        url = f"http://127.0.0.1:{free_port()}"
        settings: dict[str, Any] = {"node.name": path.name, "node.role": "platform", "interest.mode": "all"}
        settings |= {"discovery.reconcile_seconds": 0.5, "discovery.redial_seconds": 0.5, "http.address": url[7:]}
        make_node(self._home, settings | {"node.listen": [f"/ip4/127.0.0.1/tcp/{self._port}"]}, None)
        with open_local(self._home, load(self._home, {})) as node:
            made = [node.call("account.create", name=f"lotus {n}", hosted=True)["account"] for n in range(EACH)]
        store = DoorStore(self._home.door)
        self.place = Place("lotus", url, store.mint(None, "lotus", ("read", "write", "host")), made)
        store.close()

    @property
    def address(self) -> str:
        keys = Keystore.open(self._home.keys).unlock(None)
        return f"/ip4/127.0.0.1/tcp/{self._port}/p2p/{peer_id(keys)}"

    def start(self) -> None:
        self._process = forked(self._home.path.with_suffix(".log"), "--home", self._home.path, "up")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join(60)
            self._process = None


async def place_of(door: Door, name: str) -> Place:
    """Of a node in this process, whose accounts are opened now."""
    await door.person(name)
    made = [(await door.person(f"{name} {n}"))[0] for n in range(EACH)]
    return Place(name, door.url, door.store.mint(None, "lotus", ("read", "write", "host")), made)


@asynccontextmanager
async def network(folder: Path) -> AsyncIterator[tuple[Lotus, list[Place]]]:
    """Three nodes: two that hold all accounts, one of them a process, and one that holds what its account follows."""
    lotus = Lotus(folder / "lotus")
    known = [lotus.address]
    try:
        async with open_node(folder / "bamboo", known) as bamboo:
            few = {"interest__mode": "follows", "interest__hops": "1"}
            async with open_node(folder / "reed", known, **few) as reed:
                places = [lotus.place, await place_of(bamboo, "bamboo"), await place_of(reed, "reed")]
                await reed.node.backend.call("follow", {"account": lotus.place.accounts[0]})
                lotus.start()
                yield lotus, places
    finally:
        lotus.kill()


async def publish(place: Place, count: int, said: set[str]) -> None:
    """Posts, until each is durable at its node. said: gets the text of each then."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {place.token}"}, timeout=60) as http:
        for n in range(count):
            text = f"{place.name} {n}"
            operation = {"id": text, "as": place.accounts[n % EACH], "do": "post", "text": text}
            while True:
                with suppress(httpx.HTTPError):
                    answer = await http.post(place.url + "/v1/operations", json=operation)
                    if answer.status_code == 200:
                        break
                await trio.sleep(0.05)
            said.add(text)
            await trio.sleep(0.01)


class Reader:
    """Knows HTTP and JSON alone. It breaks off when it likes, and goes on here or elsewhere. lines: all it was told."""

    def __init__(self, seed: int, places: Sequence[Place]) -> None:
        self.random, self.places = random.Random(seed), places
        self.at = self.random.randrange(len(places))
        self.cursors: dict[int, str] = {}
        self.frontier: str | None = None
        self.of: int | None = None
        self.lines: list[dict[str, Any]] = []
        self.texts: set[str] = set()
        self.moved = self.broken = 0

    async def run(self, said: set[str], ended: trio.Event) -> None:
        """Until it was told all that was said, once nothing more is."""
        while not (ended.is_set() and said <= self.texts):
            if self.random.random() < 0.3:
                self._move(HOLDS_ALL if ended.is_set() else len(self.places))
            with suppress(OSError, h11.RemoteProtocolError, trio.BrokenResourceError, AssertionError):
                await self._read(self.random.randrange(1, 60))
            self.broken += 1
            await trio.sleep(0.02)

    def _move(self, among: int) -> None:
        before, self.at = self.at, self.random.randrange(among)
        if self.at != before:
            self.cursors.clear()  # only the frontier goes with it
            self.moved += 1

    async def _read(self, most: int) -> None:
        place = self.places[self.at]
        params = {"collection": "post", "frontier": 1}
        if self.at in self.cursors:
            params["since"] = self.cursors[self.at]
            if self.frontier is not None and self.of != self.at:
                params["seen"] = self.frontier
        else:
            params["since"] = self.frontier or "begin"
        with trio.move_on_after(1):
            async with open_lines(place.url, "/v1/firehose", place.token, params) as lines:
                async for text in lines:
                    line = json.loads(text)
                    if line["kind"] == "frontier":
                        self.frontier, self.of = line["frontier"], self.at
                    self.cursors[self.at] = line["cursor"]
                    if line["kind"] not in NOTES:
                        self.lines.append(line)
                        self.texts.add(line["content"]["text"])
                        most -= 1
                        if not most:
                            return


async def follow_by_client(places: Sequence[Place], said: set[str], ended: trio.Event, told: list[Any]) -> None:
    """The same by the product's own client, which changes the node by itself when its node is killed."""

    async def until_all_is_told(scope: trio.CancelScope) -> None:
        await ended.wait()
        while not said <= {one.content["text"] for one in told}:
            await trio.sleep(0.05)
        scope.cancel()

    async with trio.open_nursery() as nursery, AsyncClient(places[0].url, places[0].token) as client:
        nursery.start_soon(until_all_is_told, nursery.cancel_scope)
        others = {places[1].url: places[1].token}
        async with client.follow(since="begin", others=others, collection="post", frontier_s=1) as stream:
            async for event in stream:
                told.append(event)


async def test_nothing_is_missed_whoever_is_killed_and_at_whichever_node_a_reader_goes_on(tmp_path: Path) -> None:
    said, told, ended = set[str](), list[Any](), trio.Event()
    async with network(tmp_path) as (lotus, places):
        readers = [Reader(seed, places) for seed in range(SEEDS)]
        rng = random.Random(7)
        with trio.fail_after(300):
            async with trio.open_nursery() as nursery:
                for reader in readers:
                    nursery.start_soon(reader.run, said, ended)
                nursery.start_soon(follow_by_client, places, said, ended, told)
                async with trio.open_nursery() as writing:
                    for place in places[:2]:
                        writing.start_soon(publish, place, EACH_SAYS, said)
                    for posts in (EACH_SAYS // 3, EACH_SAYS):  # kill -9, amid writing and reading
                        while len(said) < posts or not any(text.startswith("lotus") for text in said):
                            await trio.sleep(0.02)
                        await trio.to_thread.run_sync(lotus.kill)
                        await trio.sleep(rng.random() / 2)
                        lotus.start()
                ended.set()
    assert len(said) == 2 * EACH_SAYS
    for reader in readers:
        assert said <= reader.texts
        ids = {line["id"]: line["uri"] for line in reader.lines}
        assert len(ids) == len(reader.texts), "what comes twice has one name"
        assert all(ids[line["id"]] == line["uri"] for line in reader.lines)
        assert reader.broken > 5
    assert sum(reader.moved for reader in readers) > 2 * SEEDS
    twice = sum(len(reader.lines) - len(reader.texts) for reader in readers)
    assert twice < 4 * SEEDS * len(said), "much is left out that was told elsewhere"
    assert {event.content["text"] for event in told} == said


def test_a_client_says_what_is_wrong() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "x") as client, pytest.raises(CallError, match="Nobody") as caught:
        client.ask(v1.counts())
    assert (caught.value.code, caught.value.status) == ("no_answer", 503)
    with pytest.raises(ValueError, match="no address of a node"):
        Client("ftp://x", "x")
