"""An operator drops an account: it is gone from this node, is not fetched again, and costs nobody anything."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import account_from_text, control_log
from banyan_node.hosting import interest
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance
from banyan_storage.check import verify
from banyan_storage.local_tables import DROPPED
from tests.node.real import load_settings, make_home, make_node, running
from tests.node.test_node import account, no_problems, post, settled, texts

CHOSEN = {"node__role": "hobbyist", "interest__mode": "follows"}


async def test_a_dropped_account_is_gone_and_not_fetched_until_it_is_let_in_again(tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in "ab"]
    async with running(make_node(homes[0])) as a:
        await account(a, "An")
        other = (await a.backend.call("account.create", {"name": "other", "hosted": True}))["account"]
        for n in range(5):
            uri = await a.backend.call("post", {"text": f"of other {n}", "as": other})
        await post(a, "of An")
        mine = (await a.backend.call("id", {}))["account"]
        address = [a.edge.addresses[0]]
        async with running(make_node(homes[1], address, **CHOSEN)) as b:
            await account(b, "Bình")
            for whom in (mine, other):
                await b.backend.call("follow", {"account": whom})
            with trio.fail_after(60):
                while len(await texts(b)) < 6:
                    await trio.sleep(0.05)
            await b.backend.call("react", {"uri": uri["uri"], "emoji": "👍"})
            answer = await b.backend.call("store.drop", {"account": other})
            assert answer == {"account": other, "entries": 7}
            assert await texts(b) == {"of An"}
            assert (await b.backend.call("follow", {"account": other}))["dropped"]
            with trio.fail_after(60):
                while not (said := await b.backend.call("status", {}))["complete"]:
                    await trio.sleep(0.05)
            assert {row["account"]: row["dropped"] for row in said["following"]} == {mine: False, other: True}
            await a.backend.call("post", {"text": "pushed", "as": other})
            await post(a, "later")
            with trio.fail_after(60):
                while "later" not in await texts(b):
                    await trio.sleep(0.05)
            await trio.sleep(2)  # comparisons every half second find nothing to fetch
            assert await texts(b) == {"of An", "later"}
            assert (await b.backend.call("store.dropped", {}))["accounts"] == [other]
            for node in (a, b):
                (row,) = await node.backend.call("peers", {})
                assert (row["points"], row["connected"]) == (0, True)
        no_problems(homes[1])
        async with running(make_node(homes[1], address, **CHOSEN)) as b:
            await settled(b, 1)
            await trio.sleep(2)
            assert await texts(b) == {"of An", "later"}
            await b.backend.call("store.undrop", {"account": other})
            with trio.fail_after(60):
                while len(await texts(b)) < 8:
                    await trio.sleep(0.05)
            assert (await b.backend.call("store.dropped", {}))["accounts"] == []
        no_problems(homes[1])


def test_a_drop_that_was_broken_off_is_finished_and_what_comes_all_the_same_is_erased_again(tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in "ab"]
    with open_local(homes[0], load_settings(homes[0], **CHOSEN)) as node:
        other = account_from_text(node.call("account.create", name="An")["account"])
        node.call("post", text="of An")
        node.call("archive.export", path=str(tmp_path / "archive"))
    with open_local(homes[1], load_settings(homes[1], **CHOSEN)) as node:
        ctx = node.context
        node.call("archive.import", path=str(tmp_path / "archive"))
        DROPPED.put(ctx.store, other, True)
        for _ in range(2):
            assert ctx.store.head(control_log(other)).length
            assert node.call("feed", all=True)["posts"]
            maintenance.bring_back(ctx, time.time())
            ctx.replica.commit()
            assert list(ctx.store.all_heads()) == []
            assert ctx.store.counts()[:3] == (0, 0, 0), "accounts, logs and entries"
            assert not node.call("feed", all=True)["posts"]
            node.call("archive.import", path=str(tmp_path / "archive"))
        with ctx.store.snapshot() as reader:
            assert verify(reader, lambda account, n: None) == []


def test_a_large_account_goes_in_steps_and_is_shown_to_nobody_from_the_first_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interest, "AT_ONCE", 4)
    home, left = make_home(tmp_path), list[int]()
    with open_local(home, load_settings(home, **CHOSEN)) as node:
        an = account_from_text(node.call("account.create", name="An")["account"])
        uris = [node.call("post", text=f"of An {n}")["uri"] for n in range(12)]
        node.call("profile.set", fields={"name": "An"})
        DROPPED.put(node.context.store, an, True)
        assert interest.begin_drop(node.context, an) == node.context.store.counts().counted
        node.context.replica.commit()
    for stop in (0, 1, 3, 99):
        with open_local(home, load_settings(home, **CHOSEN)) as node:
            ctx = node.context
            for _ in range(stop):
                more = interest.go_on(ctx, time.time())
                ctx.replica.commit()
                left.append(ctx.store.counts().entries)
                with ctx.store.snapshot() as reader:
                    assert verify(reader, lambda account, n: None) == []
                if not more:
                    break
            assert not node.call("feed", all=True)["posts"]
            assert not ctx.queries().profile(an).fields
            with pytest.raises(CallError):
                node.call("post.get", uri=uris[0])
            if stop < 99:
                interest.go_on(ctx, time.time())
                ctx.store.rollback()  # a crash costs one step
                ctx.replica.commit_failed(None)
    assert left == sorted(left, reverse=True)
    assert max(a - b for a, b in pairwise(left)) <= 4
    assert left[-1] == 0


def test_who_is_let_in_again_before_all_is_gone_is_shown_as_far_as_it_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interest, "AT_ONCE", 4)
    home = make_home(tmp_path / "a")
    with open_local(home, load_settings(home, **CHOSEN)) as node:
        ctx, said = node.context, node.call("account.create", name="An")["account"]
        for n in range(12):
            node.call("post", text=f"of An {n}")
        node.call("archive.export", path=str(tmp_path / "archive"))
        DROPPED.put(ctx.store, account_from_text(said), True)
        interest.begin_drop(ctx, account_from_text(said))
        while ctx.store.counts().entries > 9:
            interest.go_on(ctx, time.time())
            ctx.replica.commit()
        assert not node.call("feed", account=said)["posts"]
        node.call("store.undrop", account=said)
        shown = [post["text"] for post in node.call("feed", account=said)["posts"]]
        assert 0 < len(shown) < 12
        assert {*shown} == {f"of An {n}" for n in range(len(shown))}, "posts of one millisecond stand in any order"
        with ctx.store.snapshot() as reader:
            assert verify(reader, lambda account, n: None) == []
        node.call("archive.import", path=str(tmp_path / "archive"))
        assert len(node.call("feed", account=said)["posts"]) == 12


def test_what_cannot_be_dropped_is_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path / "a")
    with open_local(home, load_settings(home, **CHOSEN)) as node:
        own = node.call("account.create", name="An")["account"]
        with pytest.raises(CallError, match="signs for that account"):
            node.call("store.drop", account=own)
        with pytest.raises(CallError, match="not dropped here"):
            node.call("store.undrop", account=own)
    with (
        open_local(home, load_settings(home, interest__mode="all")) as node,
        pytest.raises(CallError, match=r"holds all accounts \(interest.mode\)"),
    ):
        node.call("store.drop", account=own)
