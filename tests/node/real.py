"""Real nodes in folders of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from banyan_node.home import settings
from banyan_node.home.folder import Home, write_private
from banyan_node.home.keystore import Keystore
from banyan_node.node import Node


def make_home(path: Path, passphrase: str | None = None) -> Home:
    home = Home(path)
    home.prepare()
    Keystore.create(home.keys, passphrase)
    return home


def restored(path: Path, words: str) -> Home:
    """A home as `banyan keys restore` leaves it."""
    home = Home(path)
    home.prepare()
    Keystore.restore(home.keys, words)
    write_private(home.restored, b"")
    return home


def load_settings(home: Home, **flags: str) -> settings.Settings:
    """`node__role="platform"` stands for the flag node.role."""
    return settings.load(home, {k.replace("__", "."): v for k, v in flags.items()}, env={})


def make_node(home: Home, bootstrap: Iterable[str] = (), **flags: str) -> Node:
    quick = {"node__role": "platform", "discovery__reconcile_seconds": "0.5", "discovery__redial_seconds": "1"}
    loaded = load_settings(home, **{**quick, "node__bootstrap": ",".join(bootstrap), **flags})
    return Node(home, loaded, Keystore.open(home.keys).keys)


@asynccontextmanager
async def running(node: Node, within: float = 60.0) -> AsyncIterator[Node]:
    """The node from the moment it is ready until it has stopped cleanly."""
    with trio.fail_after(within):
        async with trio.open_nursery() as nursery:
            await nursery.start(node.run)
            yield node
            node.shutdown.set()


async def digest_of(node: Node) -> tuple[str, str]:
    found = await node.backend.call("digest", {})
    return found["digest"], found["views"]


async def converged(nodes: Sequence[Node], within: float = 60.0) -> None:
    """Returns once all nodes have equal heads and views."""
    with trio.fail_after(within):
        while len({await digest_of(n) for n in nodes}) != 1:
            await trio.sleep(0.05)
