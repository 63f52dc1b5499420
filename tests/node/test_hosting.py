"""Which accounts real nodes keep because members of their charter host them: a flood at one member locks out nobody who
was there before it, and its room comes back when the member drops it."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from functools import partial
from pathlib import Path

import pytest
import trio

from banyan_charter.values import Parameters
from banyan_crdt.ids import AccountId, account_from_text, account_to_text, control_log
from banyan_crdt.ops import Host
from banyan_crdt.realm import REALMS
from banyan_node import policy
from banyan_node.api.dispatch import settle
from banyan_node.context import Context
from banyan_node.home.keystore import ROOT_SLOT
from banyan_node.hosting import hosted, interest
from banyan_node.hosting.interest import AccountEviction
from banyan_node.hosting.list_keeper import ListKeeper
from banyan_node.node import Node
from banyan_storage.local_tables import HOSTED, HostedNumber
from tests.node.real import load_settings, make_home, make_node, running
from tests.node.test_kill import Victim
from tests.node.test_moderation import a_node
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


async def founded(*nodes: Node) -> Members:
    """A charter of the own accounts of these nodes, which follow it."""
    mine = [account_from_text((await n.backend.call("account.create", {"name": "Báo"}))["account"]) for n in nodes]
    made = Members(REALMS[nodes[0].settings.config.node.realm], mine, Parameters(quota=QUOTA))
    for node in nodes:
        await node.worker.call(lambda ctx, now: brought(ctx, made, made.founded))
    return made


def names_host(account: AccountId, host: AccountId, ctx: Context, now: float) -> None:
    root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
    ctx.replica.author.control(account, root, Host(host), ctx.replica.wall_ms(now))
    ctx.replica.writes.publish_control(account, now)


async def until_heads_agree(one: Node, other: Node, accounts: list[AccountId]) -> None:
    def heads(node: Node) -> Awaitable[object]:
        return node.worker.call(
            lambda c, now: {log: head for of in accounts for log, head in c.store.heads(of).items()}
        )

    with trio.fail_after(30):
        while await heads(one) != await heads(other):
            await trio.sleep(0.05)


async def test_a_flood_locks_out_nobody_who_was_there_before_and_the_others_come_when_it_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two platforms, of which one is killed meanwhile, and a node of chosen accounts."""
    monkeypatch.setattr(interest, "KEPT_S", 0.0)
    homes = [make_home(tmp_path / name) for name in "abc"]
    victim = Victim()
    async with running(make_node(homes[0])) as a:
        at = a.edge.addresses[0]
        async with running(make_node(homes[1], [at])) as b:
            await founded(a, b)
            member = (await a.backend.call("id", {}))["account"]
            first = [await opened(a, f"first {n}") for n in range(4)]
            await until_kept(b, first, first)
            bots = [await opened(a, f"bot {n}") for n in range(20)]
            later = [await opened(a, f"later {n}") for n in range(4)]
            there = await opened(b, "there")
            people, flood = [*first, *later], bots[: QUOTA - len(first)]
            await until_kept(b, [*people, *bots], [*first, *flood])
            await until_kept(a, [there], [there])
            with trio.fail_after(30):  # who signs up one by one is listed after a pause
                use = await b.backend.call("alliance.quota", {"member": member, "limit": 1})
                while not use["refused"] or use["refused"][0]["number"] < 16:
                    await trio.sleep(0.1)
                    use = await b.backend.call("alliance.quota", {"member": member, "limit": 1})
            assert (use["quota"], use["hosted"], use["kept"], use["twice"]) == (QUOTA, QUOTA, QUOTA, 0)
            (row,) = use["refused"]
            assert (row["number"], row["accounts"]) == (16, [account_to_text(bots[len(flood)])])
            assert row["why"] == "the quota is used up by those before it"
        try:
            await trio.to_thread.run_sync(victim.lives, f"sync {homes[1].path} {at}", 0.3)
            said = await a.backend.call("alliance.hosted", {"accounts": [account_to_text(bot) for bot in bots]})
            assert said == {"accounts": 20, "batches": 1}
            await trio.to_thread.run_sync(victim.lives, f"sync {homes[1].path} {at}", 0.5)
        finally:
            victim.close()
        chosen = {"node__role": "hobbyist", "interest__mode": "follows"}
        async with running(make_node(homes[1], [at])) as b, running(make_node(homes[2], [at], **chosen)) as c:
            await c.backend.call("account.create", {"name": "Bình"})
            for whom in (later[0], bots[-1]):
                await c.backend.call("follow", {"account": account_to_text(whom)})
            await until_kept(b, [*people, *bots], people)
            await until_heads_agree(a, b, [*people, there])
            await until_kept(c, [*people, *bots, there], [later[0], bots[-1]])
            await until_heads_agree(a, c, [later[0], bots[-1]])
            use = await b.backend.call("alliance.quota", {"member": member})
            assert (use["kept"], use["refused"]) == (len(people), [])
            gone, *stay = people
            await a.worker.call(partial(names_host, gone, there))
            await until_kept(b, people, stay)
            for name in ("first 0", "first 1"):
                await a.backend.call("post", {"as": name, "text": "later"})
            await until_heads_agree(a, b, stay)
            assert await kept(b, people) == {*stay}


def test_listed_by_one_and_named_by_another_only_the_control_log_is_held(tmp_path: Path) -> None:
    """Until they agree; then all of it is."""
    with a_node(tmp_path) as (node, who):
        ctx = node.context
        ctx.settings = load_settings(ctx.home, interest__mode="all")
        an, chi = (account_from_text(who[name]) for name in ("an", "chi"))
        node.call("post", text="bài", by="an")
        others = [AccountId(bytes((k,)) * 32) for k in range(1, 4)]
        made = Members(ctx.realm, [chi, *others], Parameters())
        brought(ctx, made, made.founded)
        settle(ctx)
        HOSTED.put(ctx.store, lost := AccountId(bytes(32)), HostedNumber(99, "lost"))  # its control log is not here
        ctx.salts.clear()
        keeper = ListKeeper()
        while keeper.step(ctx, time.time()):
            settle(ctx)
        settle(ctx)
        epoch = ctx.replica.charter.epoch
        assert epoch is not None
        assert ctx.member_lists.look(ctx.queries(), epoch).kept[an] == chi
        nobody = account_to_text(AccountId(bytes((9,)) * 32))
        node.call("alliance.hosted", accounts=[nobody], standing="vouched")
        root, _ = hosted.slot_signer(ctx, an, ROOT_SLOT)
        names_host(an, others[0], ctx, time.time())
        hosted.end(ctx, an)
        settle(ctx)
        use = node.call("alliance.quota", member=who["chi"])
        why = {row["why"]: {*row["accounts"]} for row in use["refused"]}
        assert why == {"it names another host": {who["an"]}, "it has not come here": {account_to_text(lost), nobody}}
        assert (use["vouched"], use["kept"]) == (0, use["hosted"] - 2), "who vouches for nobody has no account more"
        interest.hold(ctx, time.time())
        assert ctx.replica.room.control_only == {an}
        evicting = AccountEviction()
        while evicting.step(ctx, time.time()):
            settle(ctx)
        settle(ctx)
        assert {log for log in ctx.store.logs(an) if log.log} == set()
        assert ctx.store.head(control_log(an)).length == 3
        ctx.replica.author.control(an, root, Host(chi), int(time.time() * 1000))
        settle(ctx)
        interest.hold(ctx, time.time())
        assert ctx.replica.room.control_only == set()
        assert ctx.replica.room.interesting(an)
