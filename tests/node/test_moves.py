"""Moves as apps use them: both must say so, followers are told, and a liar moves nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_schema.social.identity import move_to
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.node.test_groups import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("mới", "chi", "dung"):
            backend.call("account.create", name=name, hosted=True)
        yield App(backend)


def test_both_say_so_and_followers_are_told(app: App) -> None:
    app("follow", account="an", by="chi")
    app.refused("does not say that it was .*: let it say so first, by `move.from`", "move.to", account="mới")
    assert not app("move.from", account="an", by="mới")["agreed"]
    assert app("profile.get", account="mới")["also_was"] == [], "the old one has not said so"
    assert app("move.to", account="mới")["agreed"]
    assert app("profile.get", account="an")["moved_to"]["name"] == "mới"
    assert [one["name"] for one in app("profile.get", account="mới")["also_was"]] == ["an"]
    (told,) = app("notifications", by="chi")["notices"]
    assert (told["kind"], told["accounts"][0]["name"], told["to"]["name"]) == ("move", "an", "mới")
    assert app.told("dung") == [], "who does not follow is not told"
    assert [kind for kind, _ in app.told("an")] == ["follow"]
    entry = app("move.to", account="mới")["entry"]
    assert app("move.to", account="mới")["entry"] == entry, "nothing is written twice"
    app("move.from", account="an", undo=True, by="mới")
    assert app("profile.get", account="an")["moved_to"] is None
    assert app.told("chi") == []
    app("move.to", account="mới", undo=True)
    app.refused("nothing to undo by move.to", "move.to", account="mới", undo=True)
    app.refused("An account cannot move to itself", "move.to", account="an")


def test_an_account_that_is_named_against_its_will_is_not_where_somebody_went(app: App) -> None:
    app("follow", account="dung", by="chi")
    ctx = app.node.context
    dung, an = (hosted.account_of(ctx, name) for name in ("dung", "an"))
    append(ctx, dung, [move_to(hosted.salt_of(ctx, dung), an)], time.time())
    ctx.store.commit()
    assert len(app("items.list", collection="moved.to", account="dung")["items"]) == 1
    assert app("profile.get", account="dung")["moved_to"] is None
    assert app("profile.get", account="an")["also_was"] == []
    assert app.told("chi") == []


def test_of_an_account_that_is_closed_nothing_is_shown_or_told(app: App) -> None:
    app("follow", account="an", by="chi")
    app("post", text="@an", mentions=["an"], by="chi")
    app("move.from", account="chi", by="mới")
    app("follow", account="chi", by="dung")
    app("move.to", account="mới", by="chi")
    group = app.group()
    app("group.join", group=group, by="chi")
    assert [kind for kind, _ in app.told("dung")] == ["move"]
    assert len(app.told("an")) == 2
    app("account.close", account="chi")
    assert app.told("an") == []
    assert app.told("dung") == []
    assert app("profile.get", account="an")["followers"] == 0
    assert app("profile.get", account="mới")["also_was"] == []
    assert app.names(group) == ["an"]
    assert app("group.show", group=group)["members"] == 1


async def test_a_move_to_another_node_is_told_to_a_follower_there(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        old = (await a.backend.call("account.create", {"name": "an"}))["account"]
        new = (await b.backend.call("account.create", {"name": "an mới"}))["account"]
        await b.backend.call("account.create", {"name": "chi", "hosted": True})
        await b.backend.call("follow", {"account": old, "as": "chi"})
        await b.backend.call("move.from", {"account": old})
        await converged([a, b])
        assert (await a.backend.call("move.to", {"account": new}))["agreed"]
        await converged([a, b])
        (told,) = (await b.backend.call("notifications", {"as": "chi"}))["notices"]
        assert (told["kind"], told["to"]["account"]) == ("move", new)
