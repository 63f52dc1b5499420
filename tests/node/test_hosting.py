"""Which accounts real nodes keep because members of their charter host them: a flood at one member locks out nobody who
was there before it, and its room comes back when the member drops it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from banyan_charter.values import Parameters
from banyan_crdt.ids import AccountId, account_from_text
from banyan_crdt.realm import REALMS
from banyan_node import policy
from banyan_node.hosting import interest
from banyan_node.node import Node
from tests.node.real import make_home, make_node, running
from tests.node.test_policy import Members, brought

QUOTA = 12


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interest, "LOOK_S", 0.2)
    monkeypatch.setattr(policy, "LOOK_S", 0.2)


async def opened(node: Node, name: str) -> AccountId:
    """An account that wrote something."""
    made = await node.backend.call("account.create", {"name": name, "hosted": True})
    await node.backend.call("post", {"as": name, "text": f"of {name}"})
    return account_from_text(made["account"])


async def kept(node: Node, accounts: list[AccountId]) -> set[AccountId]:
    """Those of which it holds posts."""
    found: set[AccountId] = await node.worker.call(
        lambda c, now: {one for one in accounts if any(log.log for log in c.store.heads(one))}
    )
    return found


async def until_kept(node: Node, accounts: list[AccountId], wanted: list[AccountId]) -> None:
    with trio.fail_after(30):
        while await kept(node, accounts) != {*wanted}:
            await trio.sleep(0.05)


async def test_a_flood_at_a_member_locks_out_nobody_who_was_there_before_it(tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in "abc"]
    async with running(make_node(homes[0])) as a, running(make_node(homes[1], [a.edge.addresses[0]])) as b:
        mine = [
            account_from_text((await node.backend.call("account.create", {"name": name}))["account"])
            for node, name in ((a, "Báo A"), (b, "Báo B"))
        ]
        made = Members(REALMS[a.settings.config.node.realm], mine, Parameters(quota=QUOTA))
        for node in (a, b):
            await node.worker.call(lambda ctx, now: brought(ctx, made, made.founded))
        first = [await opened(a, f"first {n}") for n in range(4)]
        with trio.fail_after(30):
            while not await b.worker.call(lambda c, now: first[-1] in c.placed):
                await trio.sleep(0.05)
        bots = [await opened(a, f"bot {n}") for n in range(20)]
        later = [await opened(a, f"later {n}") for n in range(4)]
        everybody = [*first, *bots, *later]
        there = await opened(b, "there")
        await until_kept(b, everybody, [*first, *bots[: QUOTA - len(first)]])
        await until_kept(a, [there], [there])
