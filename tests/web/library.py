"""A person with Mastodon.py, a client library that nobody here wrote, against a real door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from mastodon import Mastodon

from tests.web.door import Door


class Person:
    """did: of the account. `ask` calls a method of the library, which is synchronous, in a thread."""

    def __init__(self, door: Door, did: str) -> None:
        self.door, self.did = door, did
        known: dict[str, Any] = {"mastodon_version": "4.5.0", "version_check_mode": "created", "request_timeout": 30}
        self.api = Mastodon(access_token=door.token(did), api_base_url=door.url, **known)

    async def ask(self, method: str, *given: Any, **named: Any) -> Any:
        do: Callable[..., Any] = getattr(self.api, method)
        return await trio.to_thread.run_sync(lambda: do(*given, **named))

    async def node(self, method: str, **params: Any) -> Any:
        """A method of the node, as this account."""
        return await self.door.node.backend.call(method, {**params, "as": self.did})

    async def id_of(self, other: Person) -> str:
        """The id by which this person's app knows another."""
        return str((await self.ask("account_lookup", other.did))["id"])


async def person(door: Door, name: str) -> Person:
    """A new account of the node behind the door."""
    did, _ = await door.person(name)
    return Person(door, did)
