"""Groups as apps use them: who may do what, what others see of it, and two nodes that say the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import EVERY
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_schema.social import post_from_text
from banyan_schema.social.group import GroupAct, act
from tests.node.real import converged, load_settings, make_home, make_node, running


class App:
    """Calls methods, and checks that each answer is what is declared for it."""

    def __init__(self, node: LocalBackend) -> None:
        self.node = node

    def __call__(self, method: str, **params: Any) -> Any:
        time.sleep(0.001)  # what two say in one millisecond has an order that a test does not know
        answer = self.node.call(method, **params)
        msgspec.convert(answer, EVERY[method].answers)
        return answer

    def group(self, kind: str = "open", **more: Any) -> str:
        uri: str = self("group.create", name="Vườn", kind=kind, **more)["uri"]
        return uri

    def texts(self, group: str, **more: Any) -> list[str]:
        return [row["text"] for row in self("group.feed", group=group, **more)["posts"]]

    def names(self, group: str, what: str = "members", **more: Any) -> list[str]:
        return [row["name"] for row in self(f"group.{what}", group=group, **more)["members"]]

    def told(self, by: str) -> list[tuple[str, list[str]]]:
        rows = self("notifications", by=by)["notices"]
        return [(row["kind"], [one["name"] for one in row["accounts"]]) for row in rows]

    def refused(self, says: str, method: str, **params: Any) -> None:
        before = self.node.call("digest")["digest"]
        with pytest.raises(CallError, match=says):
            self(method, **params)
        assert self.node.call("digest")["digest"] == before, "nothing is written"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi", "dung"):
            backend.call("account.create", name=name, hosted=True)
        yield App(backend)


def test_an_open_group_shows_what_its_members_say_until_they_leave(app: App) -> None:
    group = app.group(description="Trồng rau", rules="Vui vẻ")
    app("group.join", group=group, by="bình")
    app("post", text="một", group=group)
    uri = app("post", text="hai", group=group, by="bình")["uri"]
    app.refused("chi.*|cannot post in 'Vườn': it is no member: join first", "post", text="x", group=group, by="chi")
    assert app.texts(group) == ["hai", "một"]
    assert app.names(group) == ["an", "bình"]
    shown = app("group.show", group=group, by="bình")
    assert (shown["members"], shown["exact"], shown["standing"]) == (2, True, "member")
    assert (shown["description"], shown["rules"], shown["owner"]["name"]) == ("Trồng rau", "Vui vẻ", "an")
    (row,) = app("feed", account="bình")["posts"]
    assert row["group"] == {"uri": group, "name": "Vườn"}
    app("edit", uri=uri, text="ba")
    assert app.texts(group) == ["ba", "một"], "an edit stays in the group"
    app("group.join", group=group, undo=True, by="bình")
    assert app.texts(group) == ["một"]
    app("group.join", group=group, by="bình")
    assert app.texts(group) == ["ba", "một"]
    assert app.names(group, by="bình") == ["an", "bình"]


def test_who_asks_is_a_member_once_one_who_may_accepts_it(app: App) -> None:
    group = app.group("request")
    assert app("group.join", group=group, by="bình")["waits"]
    app("group.join", group=group, by="chi")
    assert app.names(group, "requests") == ["bình", "chi"]
    assert app.told("an") == [("group_request", ["chi", "bình"])]
    app.refused("it waits to be accepted", "post", text="x", group=group, by="bình")
    app.refused(
        "Only the owner or a moderator of 'Vườn' accepts", "group.accept", group=group, account="bình", by="chi"
    )
    app.refused("has not asked to join 'Vườn': invite it", "group.accept", group=group, account="dung")
    app("group.accept", group=group, account="bình")
    app("group.refuse", group=group, account="chi")
    assert app.names(group, "requests") == []
    assert app.names(group) == ["an", "bình"]
    assert app.told("bình") == [("group_accept", ["an"])]
    app("group.accept", group=group, account="chi")
    assert app.names(group) == ["an", "bình", "chi"], "who accepts takes the refusal back"
    app("group.accept", group=group, account="chi", undo=True)
    assert app.names(group, "requests") == ["chi"]
    app("group.invite", group=group, account="dung")
    assert app.told("dung") == [("group_invite", ["an"])]
    assert app("group.show", group=group, by="dung")["standing"] == "invited"
    assert not app("group.join", group=group, by="dung")["waits"]
    assert app.names(group) == ["an", "bình", "dung"]


def test_into_a_closed_group_an_invitation_leads(app: App) -> None:
    group = app.group("closed")
    app.refused("is closed: somebody who moderates it must invite", "group.join", group=group, by="bình")
    app("group.invite", group=group, account="bình")
    app("group.join", group=group, by="bình")
    assert app("group.show", group=group)["members"] == 2
    app("group.invite", group=group, account="bình", undo=True)
    assert app("group.show", group=group)["members"] == 1


def test_what_a_stranger_says_as_if_he_ruled_the_group_is_not_heard(app: App) -> None:
    """He writes it with another program, which asks nobody."""
    group, mine = app.group("request"), app.group("request", by="chi")
    app("group.join", group=group, by="bình")
    app("group.invite", group=mine, account="bình", by="chi")
    ctx = app.node.context
    chi, target = hosted.account_of(ctx, "chi"), post_from_text(group)
    whom, owner = (hosted.account_of(ctx, name) for name in ("bình", "an"))
    for what in ("accept", "invite", "moderator"):
        append(ctx, chi, [act(hosted.salt_of(ctx, chi), GroupAct(target, what, whom))], time.time())
    append(ctx, chi, [act(hosted.salt_of(ctx, chi), GroupAct(target, "ban", owner))], time.time())
    ctx.store.commit()
    said = app("items.list", collection="group.act", account="chi")["items"]
    assert len(said) == 5, "all of it is in the store"
    assert app.names(group) == ["an"]
    assert app.names(group, "requests") == ["bình"]
    assert app("group.show", group=group)["moderators"] == []
    assert app.told("bình") == [("group_invite", ["chi"])], "the one that chi may say"


def test_a_moderator_bans_and_removes_and_is_heard_while_the_owner_names_it(app: App) -> None:
    group = app.group()
    for name in ("bình", "chi", "dung"):
        app("group.join", group=group, by=name)
    bad = app("post", text="xấu", group=group, by="chi")["uri"]
    app("post", text="tốt", group=group, by="dung")
    app.refused("Only the owner or a moderator of 'Vườn' removes", "group.remove", uri=bad, by="bình")
    app.refused("Only the owner of 'Vườn' names", "group.moderator", group=group, account="bình", by="bình")
    app("group.moderator", group=group, account="bình")
    app("group.remove", uri=bad, by="bình")
    assert app.texts(group) == ["tốt"]
    assert [row["text"] for row in app("feed", account="chi")["posts"]] == ["xấu"], "it stays with its author"
    app("group.ban", group=group, account="dung", by="bình")
    assert app.texts(group) == []
    assert app.names(group) == ["an", "bình", "chi"]
    app.refused("is banned from 'Vườn'", "group.join", group=group, by="dung")
    app.refused("cannot be banned", "group.ban", group=group, account="an", by="bình")
    kept = app("group.moderator", group=group, account="bình", undo=True)["kept"]
    assert kept == 2
    assert app.texts(group) == [], "the owner says now what the moderator said"
    app("group.ban", group=group, account="dung", undo=True)
    assert app.texts(group) == ["tốt"]
    app("group.moderator", group=group, account="bình")
    assert app.texts(group) == [], "who is named again is heard again, with all that it said"
    app("group.ban", group=group, account="dung", undo=True, by="bình")
    app("group.ban", group=group, account="chi", by="bình")
    assert app.names(group) == ["an", "bình", "dung"]
    assert app("group.moderator", group=group, account="bình", undo=True, drop=True)["kept"] == 0
    assert app.names(group) == ["an", "bình", "chi", "dung"], "what it said ended with it"
    app.refused("is no moderator of 'Vườn'", "group.moderator", group=group, account="bình", undo=True)


def test_moderators_hear_who_asks_and_the_owners_posts_are_out_of_their_reach(app: App) -> None:
    group = app.group("request")
    app("group.moderator", group=group, account="bình")
    app("group.join", group=group, by="bình")
    app("group.join", group=group, by="chi")
    assert app.told("bình") == [("group_request", ["chi"])]
    uri = app("post", text="một", group=group)["uri"]
    app.refused("only the owner removes", "group.remove", uri=uri, by="bình")
    app("group.pin", uri=uri, by="bình")
    assert [row["uri"] for row in app("group.show", group=group)["pinned"]] == [uri]
    app("group.pin", uri=uri, undo=True, by="bình")
    assert app("group.show", group=group)["pinned"] == []
    app("group.moderator", group=group, account="bình", undo=True)
    assert app.told("bình") == [], "it moderates no more"


def test_members_stay_when_a_group_is_open_no_more(app: App) -> None:
    group = app.group()
    app("group.join", group=group, by="bình")
    app("group.set", group=group, kind="request", name=" Vườn rau ")
    app("group.join", group=group, by="chi")
    assert app.names(group) == ["an", "bình"]
    assert app.names(group, "requests") == ["chi"]
    assert app("group.show", group=group)["name"] == "Vườn rau"
    app.refused("Only the owner of 'Vườn rau' changes", "group.set", group=group, name="x", by="bình")
    app("group.set", group=group, kind="open")
    assert app.names(group) == ["an", "bình", "chi"]


def test_whom_the_owner_or_the_reader_blocks_is_not_shown(app: App) -> None:
    group = app.group()
    for name in ("bình", "chi"):
        app("group.join", group=group, by=name)
        app("post", text=name, group=group, by=name)
    app("block", account="bình", by="chi")
    assert app.texts(group, by="chi") == ["chi"]
    assert app.names(group, by="chi") == ["an", "chi"]
    assert app.texts(group) == ["chi", "bình"]
    app("block", account="chi")
    assert app.texts(group, by="dung") == ["bình"]
    assert app.names(group, by="dung") == ["an", "bình"]
    assert app("group.show", group=group)["members"] == 3, "it is a member nevertheless"


def test_a_group_that_was_deleted_or_whose_owner_closed_is_gone_and_can_be_left(app: App) -> None:
    group = app.group()
    app("group.join", group=group, by="bình")
    app("post", text="một", group=group, by="bình")
    assert [row["uri"] for row in app("groups", account="bình")["groups"]] == [group]
    app.refused("Only the owner of 'Vườn' deletes", "group.delete", group=group, by="bình")
    app("group.delete", group=group)
    for method in ("group.show", "group.feed", "group.members", "group.requests"):
        with pytest.raises(CallError, match="is deleted by its owner"):
            app(method, group=group)
    assert app("groups", account="bình")["groups"] == []
    (row,) = app("feed", account="bình")["posts"]
    assert row["group"] == {"uri": group, "name": ""}
    app("group.join", group=group, undo=True, by="bình")
    app.refused("nothing to undo by group.join", "group.join", group=group, undo=True, by="bình")
    other = app.group(by="chi")
    app("group.join", group=other, by="bình")
    app("account.close", account="chi")
    with pytest.raises(CallError, match="not held here"):
        app("group.feed", group=other)
    with pytest.raises(CallError, match="'xyz' is not a group"):
        app("group.feed", group="xyz")


def test_pages_of_a_group_neither_repeat_nor_skip_though_most_is_not_shown(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.api.json_types.LOOKED", 2)
    group = app.group()
    for name in ("bình", "chi", "dung"):
        app("group.join", group=group, by=name)
    for n in range(24):
        app("post", text=f"{n}", group=group, by="bình" if n % 6 else "chi")
    app("group.ban", group=group, account="bình")
    found, page = list[str](), app("group.feed", group=group, limit=1)
    for _ in range(40):
        found += [row["text"] for row in page["posts"]]
        if page["before"] is None:
            break
        app("post", text="mới", group=group, by="dung")
        page = app("group.feed", group=group, limit=1, before=page["before"])
    assert found == ["18", "12", "6", "0"]
    for limit in (1, 2, 3):
        members, rows = app("group.members", group=group, limit=limit), list[str]()
        while True:
            rows += [row["name"] for row in members["members"]]
            if members["after"] is None:
                break
            members = app("group.members", group=group, limit=limit, after=members["after"])
        assert (rows[0], sorted(rows)) == ("an", ["an", "chi", "dung"])


async def test_two_nodes_show_a_group_alike(tmp_path: Path) -> None:
    """The owner is at one node, a member and a stranger at the other."""
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        await a.backend.call("account.create", {"name": "an"})
        binh = (await b.backend.call("account.create", {"name": "bình"}))["account"]
        await b.backend.call("account.create", {"name": "chi", "hosted": True})
        group = (await a.backend.call("group.create", {"name": "Vườn", "kind": "request"}))["uri"]
        await converged([a, b])
        for name in ("bình", "chi"):
            await b.backend.call("group.join", {"group": group, "as": name})
        await converged([a, b])
        (asked,) = (await a.backend.call("notifications", {}))["notices"]
        assert (asked["kind"], len(asked["accounts"])) == ("group_request", 2)
        await a.backend.call("group.accept", {"group": group, "account": binh})
        await converged([a, b])
        await b.backend.call("post", {"text": "một", "group": group})
        await converged([a, b])
        for node in (a, b):
            feed = (await node.backend.call("group.feed", {"group": group}))["posts"]
            assert [row["text"] for row in feed] == ["một"]
            shown = await node.backend.call("group.show", {"group": group})
            assert shown["members"] == 2
            waiting = (await node.backend.call("group.requests", {"group": group}))["members"]
            assert [row["name"] for row in waiting] == ["chi"]
        told = (await b.backend.call("notifications", {}))["notices"]
        assert [row["kind"] for row in told] == ["group_accept"]


def test_an_answer_is_said_in_the_group_of_what_it_answers_by_who_is_a_member(app: App) -> None:
    group = app.group()
    app("group.join", group=group, by="bình")
    post = app("post", text="một", group=group)["uri"]
    answer = app("reply", uri=post, text="hai", by="bình")["uri"]
    app("reply", uri=answer, text="ba", by="chi")  # no member: said to all, as any answer
    app("reply", uri=answer, text="bốn")
    assert app.texts(group) == ["bốn", "hai", "một"]
    rows = app("thread", uri=post)["posts"]
    assert [(row["text"], row["group"] is not None) for row in rows] == [
        *(("một", True), ("hai", True), ("ba", False), ("bốn", True))
    ]
