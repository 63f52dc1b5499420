"""A real node with a real door on loopback, for tests of the web room. Its workers are forked from a process that has
loaded what they need (tests/forking.py), and passwords are hashed for less than a millisecond. Tests of these two take
`as_the_product_starts_them` and `as_the_product_keeps_them`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.node import Node
from banyan_web.door_store import SCOPES, DoorStore
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.oauth import logins
from banyan_web.oauth.logins import at_door
from banyan_web.startup import open_door
from banyan_web.workers import supervisor
from tests.forking import loaded_worker
from tests.node.real import load_settings, make_home

as_the_product_starts_them, as_the_product_keeps_them = supervisor.start_process, logins.stretched
_always = pytest.MonkeyPatch()
_always.setattr(supervisor, "start_process", loaded_worker)
_always.setattr(logins, "stretched", partial(logins.stretched, opslimit=1, memlimit=8_192))


class Client:
    """Asks the door as one account. `get`, `post` and the others return the JSON of the answer, whose status must be
    `status`."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url, self.token = url, token
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=60, verify=False)

    async def ask(self, verb: str, path: str, status: int = 200, **given: Any) -> Any:
        answer = await self.http.request(verb, path, **given)
        assert answer.status_code == status, (answer.status_code, answer.text[:300])
        return answer.json() if answer.content else None

    async def get(self, path: str, status: int = 200, **params: Any) -> Any:
        return await self.ask("GET", path, status, params=params)

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        return await self.ask("POST", path, status, json=body)


class Door:
    """url: of the door. store: what it remembers, opened beside the node's own connection. hub: the streams of apps."""

    def __init__(self, node: Node, url: str, hub: Hub) -> None:
        self.node, self.url, self.hub = node, url, hub
        self.store = DoorStore(node.home.door)
        self._clients: list[Client] = []

    def token(self, account: str | None, *scopes: str) -> str:
        return self.store.mint(account, "test", scopes or SCOPES)

    def client(self, account: str | None = None, *scopes: str) -> Client:
        """As the account, a DID; None: without a token."""
        made = Client(self.url, None if account is None else self.token(account, *scopes))
        self._clients.append(made)
        return made

    async def person(self, name: str) -> tuple[str, Client]:
        """A new hosted account, and a client of it."""
        given = {"name": name, "hosted": True} if await self._any() else {"name": name}
        did = (await self.node.backend.call("account.create", given))["account"]
        return did, self.client(did)

    async def _any(self) -> bool:
        return bool((await self.node.backend.call("id", {}))["account"])

    async def close(self) -> None:
        for client in self._clients:
            await client.http.aclose()
        self.store.close()


def open_node(folder: Path, bootstrap: Iterable[str] = (), **flags: str) -> AbstractAsyncContextManager[Door]:
    """A running node with a door on a free port. folder: a home, which is made if there is none."""
    return open_node_by(time.time, folder, bootstrap, **flags)


@asynccontextmanager
async def open_node_by(
    clock: Callable[[], float], folder: Path, bootstrap: Iterable[str] = (), **flags: str
) -> AsyncIterator[Door]:
    """The same; requests are counted by this clock."""
    quick = {"node__role": "platform", "discovery__reconcile_seconds": "0.5", "discovery__redial_seconds": "1"}
    home = Home(folder) if Home(folder).keys.exists() else make_home(folder)
    quick["http__cards"] = "off"  # tests ask nobody outside
    given = {**quick, "http__address": "127.0.0.1:0", "node__bootstrap": ",".join(bootstrap), **flags}
    found: list[str] = []
    hub = Hub()

    async def opening(node: Node, task_status: Any) -> None:
        async with trio.open_nursery() as nursery:
            endpoint = await nursery.start(open_door, node, hub, clock)
            found.append(endpoint.url)
            task_status.started(endpoint)

    node = Node(
        home, load_settings(home, **given), Keystore.open(home.keys).keys, doors=[opening], at_door=at_door(home.door)
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(node.run)
        door = Door(node, found[0], hub)
        try:
            yield door
        finally:
            await door.close()
            node.shutdown.set()
