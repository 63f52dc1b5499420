"""A node of chosen accounts: whom its people follow cannot fill its disk by whom *they* follow, and to stop following
gives room back while the node runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.ids import AccountId, LogId, account_from_text
from banyan_node.context import Context
from banyan_node.hosting import interest
from banyan_node.hosting.interest import AccountEviction
from banyan_node.node import Node
from banyan_node.upkeep.storage_quota import why_full
from tests.node.real import make_home, make_node, running
from tests.node.test_node import account, no_problems, post, texts

CHOSEN = {"node__role": "hobbyist", "interest__mode": "follows", "storage__strangers": "1"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interest, "LOOK_S", 0.2)
    monkeypatch.setattr(interest, "EVICTION_LOOK_S", 0.2)
    monkeypatch.setattr(interest, "AT_ONCE", 4)


async def until_told(node: Node, text: str) -> None:
    with trio.fail_after(60):
        while text not in await texts(node):
            await trio.sleep(0.05)


async def held(node: Node) -> int:
    """Of how many accounts something is held."""
    found: int = await node.worker.call(lambda c, now: sum(map(c.holds, c.store.accounts())))
    return found


async def status(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = await node.backend.call("status", {})
    return found


@asynccontextmanager
async def crowd(tmp_path: Path, **flags: str) -> AsyncIterator[tuple[Node, Node, str, list[str]]]:
    """(friend, hobbyist, account, whom it follows): the hobbyist follows the friend and the account, and named the node
    of both. The account follows many who write much."""
    homes = [make_home(tmp_path / name) for name in "ab"]
    async with running(make_node(homes[0])) as a:
        await account(a, "An")
        busy = (await a.backend.call("account.create", {"name": "busy", "hosted": True}))["account"]
        people = []
        for k in range(20):
            made = (await a.backend.call("account.create", {"name": f"p{k}", "hosted": True}))["account"]
            people.append(made)
            for n in range(10):
                await a.backend.call("post", {"as": made, "text": f"{k} {n} ".ljust(3_000, "x")})
            await a.backend.call("follow", {"account": made, "as": busy})
        await a.backend.call("post", {"as": busy, "text": "of busy"})
        async with running(make_node(homes[1], [a.edge.addresses[0]], **{**CHOSEN, **flags})) as b:
            await account(b, "Bình")
            for whom in ((await a.backend.call("id", {}))["account"], busy):
                await b.backend.call("follow", {"account": whom})
            await until_told(b, "of busy")
            yield a, b, busy, people
    no_problems(homes[1])


async def test_who_is_followed_cannot_fill_the_disk_by_whom_it_follows_and_unfollowing_gives_the_room_back(
    tmp_path: Path,
) -> None:
    async with crowd(tmp_path, storage__max_bytes="40 MB") as (a, b, busy, people):
        with trio.fail_after(60):
            while not (await status(b))["strangers"]["full"]:
                await trio.sleep(0.05)
        for n in range(3):
            await post(a, f"of a friend {n}")
            await until_told(b, f"of a friend {n}")
        await trio.sleep(2)
        seen = await status(b)
        assert seen["strangers"]["most"] == 400_000 <= seen["strangers"]["bytes"] < 500_000
        assert seen["doubt"].startswith("not all accounts of strangers are taken")
        assert "stop following who follows too many" in seen["doubt"]
        assert len(await texts(b)) < 150
        await b.backend.call("unfollow", {"account": busy})
        with trio.fail_after(60):
            while await held(b) > 2 or (seen := await status(b))["strangers"]["bytes"]:
                await trio.sleep(0.05)
        assert (seen["strangers"]["bytes"], seen["strangers"]["full"]) == (0, None)
        assert "of busy" not in await texts(b)
        await post(a, "later")
        await until_told(b, "later")
        await b.backend.call("follow", {"account": people[0]})
        await until_told(b, "0 9 ".ljust(3_000, "x"))
        for node in (a, b):
            (row,) = await node.backend.call("peers", {})
            assert (row["points"], row["connected"]) == (0, True)


async def test_with_room_what_is_not_followed_any_more_stays_for_a_day(tmp_path: Path) -> None:
    async with crowd(tmp_path, storage__strangers="100") as (a, b, busy, people):
        with trio.fail_after(60):
            while await held(b) < 23:
                await trio.sleep(0.05)
        await b.backend.call("follow", {"account": people[0]})
        named = {"as": busy, "account": (await b.backend.call("id", {}))["account"]}
        await a.backend.call("follow", named)
        with trio.fail_after(60):
            while not (await b.backend.call("followers", {}))["accounts"]:
                await trio.sleep(0.05)
        await b.backend.call("unfollow", {"account": busy})
        with trio.fail_after(60):
            while not await b.worker.call(lambda c, now: c.replica.strangers.of(account_from_text(busy))):
                await trio.sleep(0.05)
        day, clock = interest.KEPT_S, [1.0]
        again = AccountEviction(lambda: clock[0])  # as after a restart: what left is counted, and known by that

        async def steps() -> int:
            while await b.worker.call(again.step):
                pass
            return await held(b)

        assert await steps() == 23
        clock[0] += day - 1
        assert await steps() == 23
        clock[0] += 1
        assert await steps() == 4, "who follows an account here stays"


async def test_what_was_erased_leaves_room_in_the_store(tmp_path: Path) -> None:
    node = make_node(make_home(tmp_path / "a"))
    async with running(node):
        await account(node, "An")
        other = (await node.backend.call("account.create", {"name": "other", "hosted": True}))["account"]
        for n in range(30):
            await node.backend.call("post", {"as": other, "text": f"{n} ".ljust(30_000, "x")})

        def erase(c: Context, now: float) -> None:
            interest.begin_drop(c, account_from_text(other))
            while interest.drop_step(c, account_from_text(other), now):
                pass

        assert node.context is not None
        engine = node.context.engine
        before = engine.sizes()
        await node.worker.call(erase)
        after = engine.sizes()
        assert after.used >= before.used
        assert after.live < before.live - 900_000
        storage = node.settings.config.storage
        for most, full in ((after.live, True), (before.live, False)):
            bound = storage.__class__(max_bytes=most, reserve=0)
            assert bool(why_full(engine, tmp_path / "none", bound, False)) == full


async def test_of_accounts_that_leave_and_were_never_held_nothing_is_cached(tmp_path: Path) -> None:
    """Who follows 300,000 accounts has thousands of them come and go."""
    reached = [AccountId(n.to_bytes(32)) for n in range(1, 300)]

    def steps(ctx: Context, now: float) -> list[LogId]:
        looking = AccountEviction()
        for accounts in (reached, reached[:1]):
            ctx.replica.set_interest(accounts, now)
            while looking.step(ctx, now):
                pass
        return [log for log in ctx.store._logs if log.account in reached]

    async with running(make_node(make_home(tmp_path / "a"), **CHOSEN)) as node:
        assert await node.worker.call(steps) == []
