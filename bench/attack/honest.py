"""The honest nodes: one posts, one receives, and a newcomer catches up. Each is the role of a process of its own.

The conversation with the bench is one question, one answer; the work goes on meanwhile. Times are of the monotonic
clock, which all processes of a machine share.
"""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from functools import partial
from typing import Any

import trio

from banyan_crdt.ids import AccountId, account_from_text
from banyan_node.api.declare import NodeView
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_storage.errors import StorageError
from bench.rig.child import Line, come_from
from bench.rig.heard import Heard
from bench.rig.people import TEXT_BYTES, social_post

PATIENCE_S = 5.0
"""How long a question to a node may take before the sample goes without the answer."""
ASIDE_S = 4.0
"""How often the victim writes what no gossip carries."""
MEMORY_BYTES = 400 << 20
"""Memory of its own that the victim's process may have, stacks included: beyond it the system refuses. What it has
mapped of its store does not count."""
NEWCOMER = "127.33.0.1"
"""Where it dials from: another network than the neighbour's and the strangers'."""
AGAIN_S = 0.5
"""How long a newcomer waits before it dials again."""


async def victim(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Posts at a steady rate from `post` to `hush`, even if the node is behind (open loop). follows: the accounts that
    its poster follows, by which a node with chosen accounts holds them."""
    node = nodes[0]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    accounts = [
        (await node.backend.call("account.create", {"name": name, "hosted": True}))["account"]
        for name in ("poster", "aside")
    ]
    for account in params["follows"]:
        await node.backend.call("follow", {"as": accounts[0], "account": account})
    written = [await node.look(partial(written_in, account_from_text(account))) for account in accounts]
    line.say({"address": node.edge.addresses[0], "accounts": accounts, "written": written})
    posting = _Posting(node, *accounts)
    async with trio.open_nursery() as nursery:
        async for asked in line:
            match asked:
                case {"post": rate}:
                    nursery.start_soon(posting.post, rate, nursery)
                    nursery.start_soon(posting.write_aside)
                    line.say("posting")
                case "hush":
                    posting.hushed = True
                    line.say("hushed")
                case "look":
                    seen = await _seen(node)
                    line.say({**posting.told(), **seen})
        nursery.cancel_scope.cancel()


async def neighbour(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Links to the victim and notes when what it wrote is durable here."""
    node = nodes[0]
    line.say(node.edge.addresses[0])
    met = await line.hear()
    heard, aside = map(Heard, met["written"])
    async with trio.open_nursery() as nursery:
        for ears, account in zip((heard, aside), met["accounts"], strict=True):
            ready = trio.Event()
            nursery.start_soon(ears.listen, node, account, ready)
            await ready.wait()
        await _link(node, met["address"])
        await _until_held(node, met["held"])
        line.say("linked")
        told = 0
        async for _ in line:
            seen = await _seen(node)
            line.say({"at": heard.at[told:], "aside_at": aside.at, **seen})
            told = len(heard.at)  # nothing came since the line above: there is no await between
        nursery.cancel_scope.cancel()


async def newcomer(nodes: list[Node], line: Line, params: dict[str, Any]) -> None:
    """Knows nothing, and joins through the victim when it is told to."""
    node = nodes[0]
    come_from(NEWCOMER)
    line.say("ready")
    met, begun = await line.hear(), time.monotonic()
    took: list[float] = []

    async def come() -> None:
        await _link(node, met["address"])
        await _until_held(node, met["held"])
        took.append(time.monotonic() - begun)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come)
        line.say("coming")
        async for _ in line:
            line.say(took[0] if took else None)
        nursery.cancel_scope.cancel()


class _Posting:
    """The victim's posts. planned: when each was to be posted. answers: (number, when it was acknowledged). refused:
    the numbers of those that the node did not take."""

    def __init__(self, node: Node, account: str, aside: str) -> None:
        self._node, self._account, self._aside = node, account, aside
        self.planned: list[float] = []
        self.answers: list[tuple[int, float]] = []
        self.asides: list[float] = []
        self.refused: list[int] = []
        self.hushed = False

    async def post(self, rate: float, nursery: trio.Nursery) -> None:
        begun, n = time.monotonic(), 0
        while not self.hushed:
            self.planned.append(begun + n / rate)
            nursery.start_soon(self._post, n)
            n += 1
            await trio.sleep(max(0.0, begun + n / rate - time.monotonic()))

    async def _post(self, n: int) -> None:
        try:
            await self._node.backend.call("post", {"as": self._account, "text": f"post {n}: ".ljust(TEXT_BYTES, "x")})
        except (CallError, StorageError):
            self.refused.append(n)
        else:
            self.answers.append((n, time.monotonic()))

    async def write_aside(self) -> None:
        """Entries that are left to comparing, as an import's are."""
        account = account_from_text(self._aside)

        def write(c: Context, now: float) -> None:
            log = hosted.writable_log(c, account)
            draft = social_post(hosted.salt_of(c, account), b"aside", len(self.asides))
            c.replica.writes.publish(log, c.device, [draft], now, push=False)

        while not self.hushed:
            await trio.sleep(ASIDE_S)
            with suppress(StorageError):
                await self._node.worker.call(write)
                self.asides.append(time.monotonic())

    def told(self) -> dict[str, Any]:
        """What is new since it was told last."""
        answers, self.answers = self.answers, []
        return {"planned": self.planned, "answers": answers, "asides": self.asides, "refused": self.refused}


async def _seen(node: Node) -> dict[str, Any]:
    """What the node says of itself and of its peers; without what it does not say in time."""
    begun, found = time.monotonic(), dict[str, Any]()
    with trio.move_on_after(PATIENCE_S), suppress(CallError, StorageError):
        status = await node.backend.call("status", {})
        found["status"] = {k: status[k] for k in ("complete", "doubt", "fresh_as_of", "accounts", "peers", "behind")}
        found["status"]["clock"] = status["clock"]["wrong"]
        found["status"]["strangers_cpu_s"] = status["throttle"]["cpu_s"]
        found["status"]["strangers_may"] = status["strangers"]["most"]
        rows = await node.backend.call("peers", {})
        found["peers"] = {
            row["peer"]: [row["points"], row["connected"], row["ban"] is not None, row["reason"]] for row in rows
        }
    return {**found, "said_after_s": time.monotonic() - begun}


async def _link(node: Node, address: str) -> None:
    while True:
        try:
            await node.backend.call("peers.add", {"addr": address})
        except CallError:
            await trio.sleep(AGAIN_S)
        else:
            return


async def _until_held(node: Node, held: dict[str, int]) -> None:
    """Returns when the node holds so many entries of each of these accounts (hex)."""
    wanted = {AccountId(bytes.fromhex(account)): length for account, length in held.items()}

    def complete(at: NodeView) -> bool:
        return all(written_in(account, at) >= length for account, length in wanted.items())

    while not await node.look(complete):
        await trio.sleep(0.1)


def written_in(account: AccountId, at: NodeView) -> int:
    """The entries of an account's logs, without control entries and checkpoints."""
    return sum(head.length for log, head in at.store.heads(account).items() if log.log)
