"""Times of orders are those of the members' public logs, read over HTTP between two real nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import account_from_text
from banyan_duties.commitment import NO_DIGEST, OrderItem, committed, encode_items
from banyan_node.api.methods.moderation import order_execution
from banyan_node.context import Context
from banyan_node.transparency import member_logs, witnessing
from banyan_schema.social import post_from_text
from banyan_schema.social.order import OrderId, OrderNotice, order_id
from banyan_storage.alliance_tables import LINE_TIMES, ORDER_ITEMS
from tests.node.real import converged
from tests.node.test_orders_on_nodes import until
from tests.web.door import Door
from tests.web.test_transparency import Pair, call, pair


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((witnessing, "REFRESH_S"), (member_logs, "READ_S"), (order_execution, "TERMS_S")):
        monkeypatch.setattr(module, name, 0.5)


async def listed(door: Door) -> dict[str, Any]:
    return {one["order"]: one for one in (await call(door, "order.list"))["orders"]}


async def issued(at: Pair, uri: str, seconds: int, deadline_s: int = 3_600) -> str:
    """For so many seconds: `order.issue` knows days."""

    def write(ctx: Context, now: float) -> str:
        by = account_from_text(at.ministry)
        items = [OrderItem(bytes(16), post_from_text(uri), NO_DIGEST)]
        act = OrderNotice("vn", "", "", deadline_s, seconds, *committed(items), "written", None)
        id: OrderId = order_id(by, act)
        ORDER_ITEMS.put(ctx.store, id, encode_items(items))
        order_execution.write(ctx, by, act, now)
        return id.hex()

    return str(await at.first.node.worker.call(write))


async def times(door: Door) -> dict[bytes, int]:
    return dict(await door.node.worker.call(lambda ctx, now: [*LINE_TIMES.rows(ctx.store)]))


async def test_a_term_ends_at_both_nodes_by_the_times_of_the_authoritys_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, monkeypatch) as at:
        uri = (await call(at.second, "post", text="tin", by=at.writer))["uri"]
        await converged([at.first.node, at.second.node])
        order = await issued(at, uri, 2)

        async def shown() -> list[str]:
            return [post["text"] for post in (await call(at.second, "feed", all=True, limit=9))["posts"]]

        async def withheld() -> bool:
            return await shown() == []

        async def restored() -> bool:
            return await shown() == ["tin"]

        await until(withheld)
        await until(restored)

        async def over() -> bool:
            rows = [(await listed(door))[order] for door in (at.first, at.second)]
            return all((one["standing"], one["why"]) == ("ended", "its term is over") for one in rows)

        await until(over)

        async def same() -> bool:
            (first,), (second,) = [(await listed(door))[order]["answers"] for door in (at.first, at.second)]
            return first == second and first["word"] == "done" and first["after_ms"] is not None

        await until(same)


async def test_a_log_that_cannot_be_reached_or_lies_starts_no_clock_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = member_logs.read
    monkeypatch.setattr("banyan_web.transparency.LOG_S", 0.0)
    async with pair(tmp_path, monkeypatch) as at:
        uri = (await call(at.second, "post", text="tin", by=at.writer))["uri"]
        await converged([at.first.node, at.second.node])
        order = await issued(at, uri, 1)

        async def said() -> bool:
            why = (await listed(at.second)).get(order, {"why": ""})["why"]
            return str(why).endswith("; its clock does not run here: it took longer than 0 s")

        await until(said)
        assert (await listed(at.second))[order]["standing"] == "in force"
        assert await times(at.second) == {}

        def liar(one: member_logs.Wanted, get: Any) -> member_logs.Found:
            def altered(path: str) -> bytes:
                raw = bytearray(get(path))
                raw[-1] ^= "entries" in path
                return bytes(raw)

            return real(one, altered)

        monkeypatch.setattr("banyan_web.transparency.read", liar)
        monkeypatch.setattr("banyan_web.transparency.LOG_S", 20.0)

        async def refused() -> bool:
            return "is not in this log" in str((await listed(at.second))[order]["why"])

        await until(refused)
        assert await times(at.second) == {}
        monkeypatch.setattr("banyan_web.transparency.read", real)

        async def over() -> bool:
            return str((await listed(at.second))[order]["why"]) == "its term is over"

        await until(over)
