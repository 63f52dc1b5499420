"""An account that asks to be erased is erased where its host is named, and shown elsewhere, when 30 days are over."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import trio

from banyan_crdt.ids import account_from_text
from banyan_crdt.state import erasure_dep
from banyan_node.api.methods.accounts.account_exit import _close
from banyan_node.context import Context
from banyan_node.home import recovery
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keys, Keystore
from banyan_node.hosting import erasure, hosted
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance, trusted_clock
from tests.node.real import converged, make_home, make_node, running
from tests.node.test_erasure import found

DAY = 86_400
SAID = "một lời sẽ mất"


async def work(node: Node, days: float) -> None:
    """Its work as it is done after so many days, by a clock that may be trusted."""

    while await part_of_work(node, days):
        pass


async def part_of_work(node: Node, days: float) -> bool:
    def follow(c: Context, now: float) -> None:
        while maintenance.follow(c, now):
            pass
        trusted_clock.trust(c, trusted_clock.moment(c.replica.wall_ms(now + days * DAY)))

    await node.worker.call(follow)
    more: bool = await node.worker.call(lambda c, now: erasure.step(c, now + days * DAY), True)
    return more


async def until(node: Node, **wanted: Any) -> dict[str, Any]:
    """The erasure that it knows, once it says so."""
    with trio.fail_after(60):
        while True:
            await node.worker.call(lambda c, now: maintenance.follow(c, now))
            rows = (await node.backend.call("store.erasures", {}))["erasures"]
            if rows and all(rows[0][name] == value for name, value in wanted.items()):
                return dict(rows[0])
            await trio.sleep(0.05)


async def test_three_nodes_obey_show_and_answer(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "host"))) as host:
        call = host.backend.call
        await call("account.create", {"name": "chủ"})
        an = (await call("account.create", {"name": "ẩn", "hosted": True}))["account"]
        for n in range(5):
            await call("post", {"text": f"{SAID} {n}", "as": an})
        key = await host.worker.call(lambda c, now: c.device.key.hex())
        named, other = make_home(tmp_path / "named"), make_home(tmp_path / "other")
        async with (
            running(make_node(named, host.edge.addresses, node__platforms=key)) as near,
            running(make_node(other, host.edge.addresses)) as far,
        ):
            nodes = {"near": near, "far": far}
            with trio.fail_after(60):
                for node in nodes.values():
                    while not found(node.home.path, f"{SAID} 4"):
                        await trio.sleep(0.05)
            await call("account.erase", {"account": an, "confirm": "ẩn", "reason": "tôi muốn"})
            waits, shown = await until(near, state="waits"), await until(far, state="shown")
            assert waits["until_ms"] - waits["at_ms"] == shown["until_ms"] - shown["at_ms"] == 30 * DAY * 1000
            await answers(host, 0, "waits", "shown")
            assert not found(host.home.path, SAID)
            for node in nodes.values():
                await work(node, 29.5)
                assert found(node.home.path, SAID)
            for node in nodes.values():
                await work(node, 31)
            assert not found(near.home.path, SAID)
            assert found(far.home.path, SAID)
            rows = await answers(host, 1.5, "erased", "shown")
            assert {row["by"] for row in rows} == {
                await node.worker.call(lambda c, now: c.device.key.hex()) for node in nodes.values()
            }
            await far.backend.call("store.erase", {"account": an})
            await work(far, 31)
            assert not found(far.home.path, SAID)
            await answers(host, 3, "erased", "erased")
            for node in (host, *nodes.values()):
                assert (await node.backend.call("store.verify", {}))["problems"] == []


async def answers(host: Node, days: float, *states: str) -> list[dict[str, Any]]:
    """What peers answered to the host, asked on that day, once they say so."""
    with trio.fail_after(60):
        while True:
            await work(host, days)
            (row,) = (await host.backend.call("store.erasures", {}))["erasures"]
            if sorted(peer["state"] for peer in row["peers"]) == sorted(states):
                return list(row["peers"])
            await trio.sleep(0.05)


async def test_a_thief_of_the_root_destroys_nothing_that_an_undo_within_thirty_days_brings_back(tmp_path: Path) -> None:
    home, words = make_home(tmp_path / "an"), Keys(bytes(32)).words()
    async with running(make_node(make_home(tmp_path / "far"))) as far:
        async with running(make_node(home, far.edge.addresses)) as an:
            call, key = an.backend.call, await an.worker.call(lambda c, now: c.device.key.hex())
            asked = {"name": "an", "recovery": recovery.commitment(words)}
            account = (await call("account.create", asked))["account"]
            for n in range(3):
                await call("post", {"text": f"{SAID} {n}"})
            await converged([an, far])
        near = make_node(make_home(tmp_path / "near"), far.edge.addresses, node__platforms=key)
        copytree(home.path, tmp_path / "thief")
        async with running(near):
            async with running(make_node(Home(tmp_path / "thief"), far.edge.addresses)) as thief:

                def order(c: Context, now: float) -> None:
                    """As of years ago: he dates it as he likes."""
                    _close(c, account_from_text(account), erasure_dep(0), now)

                await converged([thief, near, far])
                await thief.worker.call(order)
                await until(near, state="waits")
                await until(far, state="shown")
            await far.backend.call("store.erase", {"account": account})
            for node in (near, far):
                await work(node, 29.9)
                await until(node, state="waits")
            Keystore.open(home.keys).renew(home.old_keys, None)
            async with running(make_node(home, far.edge.addresses)) as an:
                call = an.backend.call
                await until(an, state="shown")
                with pytest.raises(CallError, match="hosted here"):
                    await call("store.erase", {"account": account})
                await work(an, 40)
                slot = await an.worker.call(lambda c, now: hosted.control_of(c, account_from_text(account)).keys[1])
                seed = recovery.seed_for(words, slot.current).hex()
                await call("account.recover", {"seed": seed, "undo": 1})
                await converged([an, near, far])
                for node in (an, near, far):
                    await work(node, 40)
                    assert (await node.backend.call("store.erasures", {}))["erasures"] == []
                    posts = (await node.backend.call("feed", {"account": account}))["posts"]
                    assert sorted(post["text"] for post in posts) == [f"{SAID} {n}" for n in range(3)]
                    assert (await node.backend.call("store.verify", {}))["problems"] == []


async def test_the_wish_is_taken_back_before_it_is_carried_out_and_a_rotation_begins_the_days_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near_home = make_home(tmp_path / "near")
    async with running(make_node(make_home(tmp_path / "host"))) as host:
        call, key = host.backend.call, await host.worker.call(lambda c, now: c.device.key.hex())
        await call("account.create", {"name": "chủ"})
        an = (await call("account.create", {"name": "ẩn", "hosted": True}))["account"]
        await call("post", {"text": SAID, "as": an})
        asked = {"account": an, "confirm": "ẩn", "reason": "tôi muốn", "days": 40}
        async with running(make_node(near_home, host.edge.addresses, node__platforms=key)) as near:
            await converged([host, near])
            assert near.context is not None
            monkeypatch.setattr(near.context.around, "statement", lambda entry, op: None)
            await call("account.erase", asked)
            waits = await until(near, state="waits")
            assert waits["until_ms"] - waits["at_ms"] > 38 * DAY * 1000, "its term is longer than 30 days"
            await answers(host, 0, "unknown")
            assert (await call("account.unerase", {"account": an}))["state"] == "waits"
            with pytest.raises(CallError, match="No erasing"):
                await call("account.erasure", {"account": an})
            await gone(near)
            for node in (host, near):
                await work(node, 60)
                assert found(node.home.path, SAID)
            await call("account.erase", {**asked, "days": 20})
            before = await until(near, state="waits")
            await call("account.rotate", {"account": an})
            after = await until(near, state="waits")
            with trio.fail_after(60):
                while after["at_ms"] == before["at_ms"]:
                    after = await until(near, state="waits")
            assert after["until_ms"] - after["at_ms"] == 30 * DAY * 1000
            # the power goes after the entries went, and before the file is written anew
            await work(near, 29)
            assert found(near_home.path, SAID)
            assert await part_of_work(near, 31)
            assert found(near_home.path, SAID)
        async with running(make_node(near_home, host.edge.addresses, node__platforms=key)) as near:
            with trio.fail_after(60):
                while found(near_home.path, SAID) or (await until(near))["state"] != "erased":
                    await trio.sleep(0.1)
            await work(host, 21)
            with pytest.raises(CallError, match="already"):
                await call("account.unerase", {"account": an})


async def gone(node: Node) -> None:
    with trio.fail_after(60):
        while (await node.backend.call("store.erasures", {}))["erasures"]:
            await node.worker.call(lambda c, now: maintenance.follow(c, now))
            await trio.sleep(0.05)
