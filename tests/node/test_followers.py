"""Locked accounts as apps use them: who asks, who is let, what is told and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.node.test_groups import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi", "dung"):
            backend.call("account.create", name=name, hosted=True)
        yield App(backend)


def names(app: App, method: str, **params: Any) -> list[str]:
    return [row["name"] for row in app(method, **params)["accounts"]]


def test_a_locked_account_lets_whom_it_accepts_and_present_followers_stay(app: App) -> None:
    app("post", text="một")
    assert not app("follow", account="an", by="bình")["waits"]
    assert app("lock")["accepted"] == 1
    assert app("follow", account="an", by="chi")["waits"]
    assert app("follow", account="an", by="dung")["waits"]
    assert names(app, "followers") == ["bình"]
    assert names(app, "follow.requests") == ["chi", "dung"]
    assert app("profile.get")["followers"] == 1
    assert app("profile.get")["fields"]["locked"] == "yes"
    assert [row["text"] for row in app("feed", by="bình")["posts"]] == ["một"]
    assert app("feed", by="chi")["posts"] == [], "who only asked has it not in the home feed"
    assert app.told("an") == [("follow_request", ["dung", "chi"]), ("follow", ["bình"])]
    app("follow.accept", account="chi")
    app("follow.refuse", account="dung")
    assert names(app, "follow.requests") == []
    assert names(app, "followers") == ["bình", "chi"]
    assert app("profile.get")["followers"] == 2
    assert [row["text"] for row in app("feed", by="chi")["posts"]] == ["một"]
    assert app.told("chi") == [("follow_accept", ["an"])]
    assert app.told("dung") == [], "a refusal is not told"
    assert [kind for kind, _ in app.told("an")] == ["follow_request", "follow"]
    rows = app("notifications", kinds=["follow_request"])["notices"]
    assert [one["name"] for one in rows[0]["accounts"]] == ["dung"]


def test_who_asked_and_is_blocked_is_not_accepted(app: App) -> None:
    app("lock")
    app("follow", account="an", by="bình")
    app("follow", account="an", by="chi")
    app("block", account="bình")
    app("block", account="an", by="chi")
    for who in ("bình", "chi"):
        with pytest.raises(CallError, match="block") as why:
            app("follow.accept", account=who)
        assert why.value.status == 403
    assert names(app, "followers") == []
    app("follow.refuse", account="bình")
    app("block", account="bình", undo=True)
    app("follow.accept", account="bình")
    assert names(app, "followers") == ["bình"]


def test_an_answer_is_changed_and_taken_back_and_unlocking_lets_everybody(app: App) -> None:
    app("lock")
    app("follow", account="an", by="bình")
    entry = app("follow.accept", account="bình")["entry"]
    assert app("follow.accept", account="bình")["entry"] == entry, "nothing is written twice"
    app("follow.refuse", account="bình")
    assert names(app, "followers") == []
    app.refused("nothing to undo by follow.accept", "follow.accept", account="bình", undo=True)
    app("follow.refuse", account="bình", undo=True)
    assert names(app, "follow.requests") == ["bình"]
    app("lock", undo=True)
    assert names(app, "followers") == ["bình"]
    assert app.told("bình") == []
    app.refused("is not locked: whoever follows it does", "follow.accept", account="bình")


def test_an_acceptance_that_nobody_asked_for_is_not_told_and_who_is_blocked_is_not_kept(app: App) -> None:
    app("follow", account="an", by="dung")
    app("block", account="dung")
    assert app("lock")["accepted"] == 0
    app("follow.accept", account="bình")
    assert app.told("bình") == []
    assert names(app, "followers") == []
    app("follow", account="an", by="bình")
    assert names(app, "followers") == ["bình"], "it was accepted before it asked"


async def test_two_nodes_count_followers_alike(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        an = (await a.backend.call("account.create", {"name": "an"}))["account"]
        binh = (await b.backend.call("account.create", {"name": "bình"}))["account"]
        await a.backend.call("lock", {})
        await converged([a, b])
        assert (await b.backend.call("follow", {"account": an}))["waits"]
        await converged([a, b])
        for node in (a, b):
            assert (await node.backend.call("profile.get", {"account": an}))["followers"] == 0
        (asked,) = (await a.backend.call("notifications", {}))["notices"]
        assert asked["kind"] == "follow_request"
        await a.backend.call("follow.accept", {"account": binh})
        await converged([a, b])
        for node in (a, b):
            assert (await node.backend.call("profile.get", {"account": an}))["followers"] == 1
        (told,) = (await b.backend.call("notifications", {}))["notices"]
        assert told["kind"] == "follow_accept"
