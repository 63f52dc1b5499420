"""A process of a bench: it runs real nodes, performs one role on them, and exchanges lines of JSON with the bench.

python -m bench.rig.child MODULE:ROLE '{"homes": [...], "flags": {...}, ...}'

The nodes are those of `banyan up` (the Node class on a home), with the settings that the bench names and defaults
for the rest. Standard output is the conversation and nothing else; what nodes log goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import trio

from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.home.sections import LogSettings
from banyan_node.logging import set_up_logging
from banyan_node.node import Node


class Line:
    """The conversation with the bench. `hear` raises trio.EndOfChannel when the bench has hung up; a loop ends then."""

    def __init__(self, reads: int, writes: int) -> None:
        self._in, self._out = trio.lowlevel.FdStream(reads), writes
        self._read = b""

    def say(self, value: Any) -> None:
        os.write(self._out, json.dumps(value).encode() + b"\n")

    async def hear(self) -> Any:
        while b"\n" not in self._read:
            more = await self._in.receive_some()
            if not more:
                raise trio.EndOfChannel
            self._read += more
        line, self._read = self._read.split(b"\n", 1)
        return json.loads(line)

    def __aiter__(self) -> Line:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.hear()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


def come_from(address: str) -> None:
    """This process dials from another address of loopback: networks of addresses have shares of their own."""
    setattr(trio, "open_tcp_stream", partial(trio.open_tcp_stream, local_address=address))  # noqa: B010


class Role(Protocol):
    """What a bench has a process do with its nodes, which are ready."""

    async def __call__(self, nodes: list[Node], line: Line, params: dict[str, Any]) -> None: ...


async def play(role: Role, line: Line, params: dict[str, Any]) -> None:
    """Starts the nodes one after the other, plays, stops them cleanly."""
    async with trio.open_nursery() as nursery:
        nodes = []
        for path in params["homes"]:
            home = Home(Path(path))
            node = Node(home, settings.load(home, params["flags"], env={}), Keystore.open(home.keys).keys)
            await nursery.start(node.run)
            nodes.append(node)
        try:
            await role(nodes, line, params)
        except trio.EndOfChannel:
            pass  # the bench is done with us
        for node in nodes:
            node.shutdown.set()


def main() -> None:
    where, params = sys.argv[1], json.loads(sys.argv[2])
    module, name = where.split(":")
    talk = os.dup(1)
    os.dup2(2, 1)
    set_up_logging(LogSettings(level="warning"))
    role = getattr(importlib.import_module(module), name)

    async def run() -> None:
        await play(role, Line(os.dup(0), talk), params)

    trio.run(run)


if __name__ == "__main__":
    main()
