"""When entries of one account became durable at a node: taken from the node's own events."""

from __future__ import annotations

import time

import trio

from banyan_node.node import Node


class Heard:
    """The time at which each entry of an account's one log was committed at a node. first: entries that do not count;
    None: those that were there before the first event."""

    def __init__(self, first: int | None = None) -> None:
        self.at: list[float] = []
        self.first = first

    async def listen(self, node: Node, account: str, ready: trio.Event) -> None:
        events = await node.backend.events({})
        ready.set()
        async for event in events:
            if event["event"] == "entries" and event["log"]["account"] == account:
                now = time.monotonic()
                if self.first is None:
                    self.first = event["length"] - event["entries"]
                self.at.extend([now] * (event["length"] - self.first - len(self.at)))
