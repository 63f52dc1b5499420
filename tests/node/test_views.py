"""A node builds views while it serves, syncs and writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import account_to_text
from banyan_node.context import Context
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import derived_data
from banyan_node.workers.worker import Worker
from banyan_schema import registry
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.views import builder
from banyan_storage.views.registry import NAMES
from tests.node.real import converged, make_home, make_node, running
from tests.node.test_node import account, no_problems, post
from tests.schema.poll import POLL
from tests.storage.old.load import FIVE, old_home
from tests.storage.test_views_upgraded import ACCOUNTS


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> trio.Event:
    """Delays the building of views until it is set."""
    gate, build = trio.Event(), derived_data.build

    async def later(worker: Worker[Context], engine: LmdbEngine) -> None:
        await gate.wait()
        await build(worker, engine)

    monkeypatch.setattr(derived_data, "build", later)
    return gate


async def built(node: Node) -> None:
    with trio.fail_after(60):
        while not all(v["built"] for v in (await node.backend.call("store.views", {}))["views"]):
            await trio.sleep(0.02)


async def test_an_upgraded_node_serves_at_once_syncs_and_says_how_far_its_views_are(
    tmp_path: Path, held_up: trio.Event
) -> None:
    home, other = old_home(tmp_path / "old", FIVE), make_home(tmp_path / "new")
    async with running(make_node(home)) as old, running(make_node(other, node__realm="test")) as new:
        who = account_to_text(ACCOUNTS[0])
        with pytest.raises(CallError, match=r"^view shown is being built, 0 %; ask again later\.$") as refused:
            await old.backend.call("profile.get", {"account": who})
        assert (refused.value.code, refused.value.status) == ("building", 503)
        await account(old, "An")
        await post(old, "written meanwhile")
        await new.backend.call("peers.add", {"addr": old.edge.addresses[0]})
        held_up.set()
        await built(old)
        await converged([old, new])
        found = [await node.backend.call("profile.get", {"account": who}) for node in (old, new)]
        assert found[0] == found[1]
        assert found[0]["followers"]
    no_problems(home)


async def test_a_new_item_like_a_post_is_written_before_the_views_are_built(
    tmp_path: Path, held_up: trio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "SOCIAL", registry.SOCIAL.adding(POLL))
    home = make_home(tmp_path / "home")
    lunch = {"collection": POLL.name, "fields": {"question": "Lunch?", "options": ["phở"]}}
    async with running(make_node(home)) as node:
        await account(node, "An")
        await node.backend.call("store.rebuild", {})
        made = await node.backend.call("items.put", lunch)
        with pytest.raises(CallError, match=r"^view shown is being built, 0 %; ask again later\.$"):
            await node.backend.call("items.put", {**lunch, "key": made["key"]})  # what does it replace?
        held_up.set()
        await built(node)
    no_problems(home)


async def test_views_that_are_built_again_on_request_lose_nothing_that_is_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = builder.step
    monkeypatch.setattr(builder, "step", lambda txn, store, size: steps(txn, store, 8))
    home = old_home(tmp_path / "home", FIVE)
    async with running(make_node(home)) as node:
        await account(node, "An")
        await built(node)
        uri = await post(node, "before")
        begun = await node.backend.call("store.rebuild", {})
        assert begun["rebuilding"] == list(NAMES)
        written = 0
        while not all(v["built"] for v in (await node.backend.call("store.views", {}))["views"]):
            await post(node, f"meanwhile {written}")
            await node.backend.call("status", {})
            written += 1
        thread = await node.backend.call("thread", {"uri": uri})
        assert thread["posts"][0]["text"] == "before"
        assert (await node.backend.call("profile.get", {}))["posts"] == written + 1
        assert written > 1
    no_problems(home)


async def test_daily_work_and_what_the_node_looks_up_wait_for_the_views_that_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_up: trio.Event
) -> None:
    for name in ("node.LOOK_S", "upkeep.maintenance.LOOK_S", "upkeep.maintenance.BUSY_S"):
        monkeypatch.setattr(f"banyan_node.{name}", 0.02)
    async with running(make_node(make_home(tmp_path / "home"), interest__mode="follows")) as node:
        await account(node, "An")
        uri = await post(node, "one")
        await node.backend.call("store.rebuild", {})
        await post(node, "two")
        for _ in range(10):
            await trio.sleep(0.05)
            assert not (await node.backend.call("status", {}))["complete"]
            with pytest.raises(CallError, match="view shown is being built"):
                await node.backend.call("delete", {"uri": uri})
        held_up.set()
        await built(node)
        await node.backend.call("delete", {"uri": uri})
        await trio.sleep(0.2)
        feed = await node.backend.call("feed", {})
        assert [p["text"] for p in feed["posts"]] == ["two"]


async def test_there_is_no_rebuilding_a_view_that_there_is_not(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "home"))) as node:
        with pytest.raises(CallError, match="There is no view 'nosuch'; there are shown, ballots, "):
            await node.backend.call("store.rebuild", {"view": "nosuch"})


async def test_a_node_that_holds_followed_accounts_knows_them_before_it_links(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    flags = {"interest__mode": "follows"}
    async with running(make_node(home, **flags)) as node:
        await account(node, "An")
        await node.backend.call("follow", {"account": account_to_text(ACCOUNTS[0])})
        await node.backend.call("store.rebuild", {})
    async with running(make_node(home, **flags)) as node:
        assert node.context is not None
        assert ACCOUNTS[0] in (node.context.replica.sync.interest or ())
