"""Orders of an alliance between real nodes: carried out at once, late, and never outside of their scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from banyan_charter.acts import Act, SetParameters
from banyan_charter.values import Parameters, Scope
from banyan_crdt.ids import AccountId, account_from_text
from banyan_crdt.realm import Realm
from banyan_duties.commitment import OrderItem
from banyan_node.context import Context
from banyan_node.hosting import letters
from banyan_node.hosting.member_lists import host_of
from banyan_node.moderation import known_orders
from banyan_node.node import Node
from banyan_schema.social.order import OrderId
from tests.node.real import converged, make_home, make_node, running
from tests.node.test_orders import LONG, OTHERS, parameters
from tests.node.test_policy import Members, brought


def following(made: Members, acts: list[Act], ctx: Context, now: float) -> None:
    brought(ctx, made, acts)


def realm_of(ctx: Context, now: float) -> Realm:
    return ctx.realm


async def until(ask: Callable[[], Awaitable[bool]], within: float = 40.0) -> None:
    with trio.fail_after(within):
        while not await ask():
            await trio.sleep(0.1)


async def call(node: Node, method: str, **params: Any) -> Any:
    return await node.backend.call(method, {"as" if name == "by" else name: v for name, v in params.items()})


async def created(node: Node, name: str) -> str:
    return str((await call(node, "account.create", name=name, hosted=True))["account"])


async def shown(node: Node) -> list[str]:
    return [post["text"] for post in (await call(node, "feed", all=True, limit=9))["posts"]]


async def answers(node: Node) -> list[tuple[str, int]]:
    return [(a["word"], a["posts"]) for one in (await call(node, "order.list"))["orders"] for a in one["answers"]]


async def allied(members: list[str], p: Parameters, *nodes: Node) -> Members:
    """All follow one charter of these members."""
    made = Members(await nodes[0].worker.call(realm_of), [*map(account_from_text, members), *OTHERS], p)
    for node in nodes:
        await node.worker.call(partial(following, made, made.founded))
    return made


async def test_an_order_goes_from_one_node_to_another_and_back(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "ministry")), within=150) as first:
        ministry, judge = await created(first, "ministry"), await created(first, "judge")
        async with running(make_node(make_home(tmp_path / "b"), [first.edge.addresses[0]]), within=140) as second:
            member, an = await created(second, "member"), await created(second, "an")
            await allied([member], parameters([ministry], member, judge), first, second)
            uri = (await call(second, "post", text="tin", by=an))["uri"]
            await converged([first, second])
            order = (await call(first, "order.issue", by=ministry, scope="vn", posts=[uri]))["order"]

            async def answered() -> bool:
                return await answers(first) == [("done", 1)]

            await until(answered)
            assert await shown(second) == []
            assert await shown(first) == ["tin"], "it is in no scope"
            await call(second, "order.appeal", post=uri, why="châm biếm", by=an)

            async def appealed() -> bool:
                return bool((await call(first, "order.list"))["orders"][0]["appeals"])

            await until(appealed)
            await call(first, "order.rule", order=order, outcome="suspends", post=uri, by=judge)

            async def restored() -> bool:
                return await shown(second) == ["tin"]

            await until(restored)


async def test_a_cut_that_does_not_keep_an_order_ends_it_at_every_node(tmp_path: Path) -> None:
    """What a thief of the authority's key ordered is shown again, unless another authority orders it too."""
    async with running(make_node(make_home(tmp_path / "ministry")), within=150) as first:
        ministry, police = await created(first, "ministry"), await created(first, "police")
        to_first = [first.edge.addresses[0]]
        async with (
            running(make_node(make_home(tmp_path / "b"), to_first), within=140) as second,
            running(make_node(make_home(tmp_path / "c"), to_first), within=140) as third,
        ):
            members = [await created(node, "member") for node in (second, third)]
            p = parameters([ministry, police], members[0], police, cap=9)
            both = Scope(b"vn", tuple(sorted(map(account_from_text, members))), p.scopes[0].judges)
            await allied(members, p._replace(scopes=(both,)), first, second, third)
            before, thief, several = [
                (await call(second, "post", text=text, by=members[0]))["uri"] for text in ("trước", "trộm", "hai")
            ]
            await converged([first, second, third])

            async def all_show(*posts: str) -> None:
                async def they_do() -> bool:
                    return all([sorted(await shown(node)) == sorted(posts) for node in (second, third)])

                await until(they_do)

            for by, post in ((ministry, before), (police, several)):
                await call(first, "order.issue", by=by, scope="vn", posts=[post])
            last = await call(first, "post", text="mốc", by=ministry)
            for post in (thief, several):
                await call(first, "order.issue", by=ministry, scope="vn", posts=[post])
            await all_show("mốc")
            here = (await call(first, "id"))["writer"]
            await call(first, "account.cut", account=ministry, writer=here, after=[last["uri"]])
            await all_show("mốc", "trộm")
            assert len((await call(third, "order.list"))["orders"]) == 2


def read(issuer: str, order: str, ctx: Context, now: float) -> bytes | None:
    """What a node can read of the items, from the log of their issuer."""
    name = known_orders.letter_name(OrderId(bytes.fromhex(order)), 0)
    return letters.read(ctx, ctx.queries(), account_from_text(issuer), name)


def items(order: str, ctx: Context, now: float) -> tuple[OrderItem, ...]:
    return known_orders.items_of(ctx, known_orders.find(known_orders.known_orders(ctx), order))


async def test_a_platform_that_was_away_gets_the_items_and_one_outside_of_the_scope_never_does(tmp_path: Path) -> None:
    homes = {name: make_home(tmp_path / name) for name in ("ministry", "b", "listener")}
    async with running(make_node(homes["ministry"]), within=200) as first:
        ministry, judge = await created(first, "ministry"), await created(first, "judge")
        to_first = [first.edge.addresses[0]]
        async with running(make_node(homes["listener"], to_first), within=190) as listener:
            mallory = await created(listener, "mallory")
            async with running(make_node(homes["b"], to_first), within=60) as second:
                member = await created(second, "member")
                p = parameters([ministry], member, judge, cap=600)
                made = await allied([member, mallory], p, first, second, listener)
                uri = (await call(second, "post", text=LONG, by=member))["uri"]
                await converged([first, second, listener])
            unknown = [f"{uri[:-32]}{n:032x}" for n in range(501)]
            order = (await call(first, "order.issue", by=ministry, scope="vn", posts=[uri, *unknown]))["order"]
            await converged([first, listener])
            assert await answers(listener) == [("waiting", 0)]
            assert await listener.worker.call(partial(read, ministry, order)) is None
            assert await listener.worker.call(partial(items, order)) == ()
            salts = [item.salt for item in await first.worker.call(partial(items, order))]
            assert len(salts) == 502
            kept = b"".join(file.read_bytes() for file in homes["listener"].path.rglob("*.mdb"))
            assert kept
            assert not any(salt in kept for salt in salts)
            async with running(make_node(homes["b"], to_first), within=60) as second:

                async def answered() -> bool:
                    return await answers(first) == [("done", 1)]

                await until(answered)
                await call(listener, "post", text=LONG, by=mallory)
                await converged([first, listener])

                async def withholds_the_copy() -> bool:
                    return len((await call(second, "decision.list"))["decisions"]) == 2 and await shown(second) == []

                await until(withholds_the_copy)
            assert await shown(listener) == await shown(first) == [LONG, LONG]
            wider = Scope(b"vn", tuple(sorted(map(account_from_text, (member, mallory)))), p.scopes[0].judges)
            acts = made.decided(SetParameters(p._replace(scopes=(wider,))))
            await first.worker.call(partial(following, made, acts))

            async def withheld() -> bool:
                return await shown(listener) == []

            await until(withheld)
            assert set(salts) == {i.salt for i in await listener.worker.call(partial(items, order))}


async def test_a_report_goes_to_the_platform_of_the_author_and_its_outcome_comes_back(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a")), within=90) as first:
        home, reader = await created(first, "home"), await created(first, "reader")
        async with running(make_node(make_home(tmp_path / "b"), [first.edge.addresses[0]]), within=80) as second:
            member, an = await created(second, "member"), await created(second, "an")
            await allied([home, member], parameters([home], member, home), first, second)
            uri = (await call(second, "post", text="mua ngay", by=an))["uri"]

            async def named() -> bool:
                found: AccountId | None = await first.worker.call(partial(host_named, an))
                return found == account_from_text(member)

            await until(named)
            await converged([first, second])
            said = {"comment": "rác", "category": "spam", "forward": True, "by": reader}
            await call(first, "report.add", account=an, posts=[uri], **said)

            async def queued() -> bool:
                return bool((await call(second, "report.list"))["reports"])

            await until(queued)
            (there,) = (await call(second, "report.list"))["reports"]
            assert (there["by"]["account"], there["by"]["comment"], there["category"]) == (home, "rác", "spam")
            assert [post["text"] for post in there["posts"]] == ["mua ngay"]
            made = await call(second, "decision.add", verdict="hide", report=there["id"])

            async def outcome() -> list[tuple[str, str, bool]]:
                (mine,) = (await call(first, "report.mine", by=reader))["reports"]
                return [(one["platform"], one["verdict"], one["undone"]) for one in mine["outcome"]]

            async def told() -> bool:
                return await outcome() == [(member, "hide", False)]

            await until(told)
            await call(second, "decision.undo", id=made["id"])

            async def told_again() -> bool:
                return await outcome() == [(member, "hide", True)]

            await until(told_again)
            assert await shown(first) == await shown(second) == ["mua ngay"]
            assert not (await call(first, "report.list"))["reports"][0]["decisions"], (
                "its own moderators decide for themselves"
            )


def host_named(account: str, ctx: Context, now: float) -> AccountId | None:
    return host_of(ctx.store, account_from_text(account))
