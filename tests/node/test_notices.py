"""Notifications as an app asks for them: alike things in one row, page by page, without those who are blocked."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import EVERY
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.node.test_channels import sound
from tests.node.test_polls import asked


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi", "dung"):
            backend.call("account.create", name=name, hosted=True)
        yield backend


def told(node: LocalBackend, **params: Any) -> list[dict[str, Any]]:
    page = node.call("notifications", **params)
    msgspec.convert(page, EVERY["notifications"].answers)
    rows: list[dict[str, Any]] = page["notices"]
    return rows


def names(row: dict[str, Any]) -> list[str]:
    return [account["name"] for account in row["accounts"]]


def test_alike_things_are_one_row_and_answers_are_each_their_own(node: LocalBackend) -> None:
    uri, other = (node.call("post", text=text)["uri"] for text in ("một", "hai"))
    for name, emoji in (("bình", "❤"), ("chi", "🌳"), ("dung", "❤")):
        node.call("react", uri=uri, emoji=emoji, by=name)
        node.call("reply", uri=uri, text=f"{name} đây", by=name)
        node.call("follow", account="an", by=name)
    node.call("react", uri=other, emoji="❤", by="chi")
    rows = told(node)
    assert [(row["kind"], names(row)) for row in rows] == [
        ("reaction", ["chi"]),
        ("follow", ["dung", "chi", "bình"]),
        ("reply", ["dung"]),
        ("reaction", ["dung", "chi", "bình"]),
        ("reply", ["chi"]),
        ("reply", ["bình"]),
    ]
    assert (rows[0]["about"], rows[3]["about"], rows[3]["emojis"]) == (other, uri, ["❤", "🌳"])
    assert rows[2]["post"]["text"] == "dung đây"
    assert len(told(node, each=True)) == 10
    assert [row["kind"] for row in told(node, kinds=["follow"])] == ["follow"]


def test_those_who_are_blocked_or_muted_are_not_heard_and_are_again_afterwards(node: LocalBackend) -> None:
    node.call("post", text="@an", mentions=["an"], by="bình")
    node.call("post", text="@an", mentions=["an"], by="chi")
    node.call("follow", account="an", by="bình")
    node.call("block", account="bình")
    node.call("mute", account="chi")
    assert told(node) == []
    node.call("block", account="bình", undo=True)
    assert [(row["kind"], names(row)) for row in told(node)] == [("follow", ["bình"]), ("mention", ["bình"])]
    assert told(node, by="bình") == []


def test_a_vote_names_the_account_and_is_no_notice(node: LocalBackend) -> None:
    uri = node.call("post", text="Ăn gì?", poll=asked())["uri"]
    node.call("vote", uri=uri, options=[0], by="bình")
    assert told(node) == []
    node.call("react", uri=uri, emoji="❤", by="bình")
    assert [(row["kind"], names(row)) for row in told(node)] == [("reaction", ["bình"])]


def test_pages_join_whatever_is_hidden_in_between(node: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_node.api.methods.people.notices.SCANNED", 3)
    for n in range(12):
        node.call("post", text=f"{n}", mentions=["an"], by="chi" if n % 4 else "bình")
    node.call("mute", account="chi")
    found, page = [], node.call("notifications", limit=2)
    for _ in range(20):
        found += [row["post"]["text"] for row in page["notices"]]
        if page["before"] is None:
            break
        page = node.call("notifications", limit=2, before=page["before"])
    assert found == ["8", "4", "0"]


def test_bad_pages_and_kinds_are_refused_in_a_sentence(node: LocalBackend) -> None:
    with pytest.raises(CallError, match="'xyz' is no place among notifications: give `before` of the page before"):
        node.call("notifications", before="xyz")
    with pytest.raises(CallError, match="'kinds' as a list"):
        node.call("notifications", kinds=["like"])


def test_a_post_says_its_warning_its_tags_and_whom_it_names(node: LocalBackend) -> None:
    said = {"text": "Phim #HàNội #hànội #2024 #phở", "warning": "phim", "audience": "unlisted"}
    uri = node.call("post", mentions=["chi", "chi"], **said)["uri"]
    (row,) = node.call("feed", account="an")["posts"]
    assert node.call("feed", all=True)["posts"] == [], "it is unlisted"
    assert (row["warning"], row["audience"], row["tags"]) == ("phim", "unlisted", ["HàNội", "phở"])
    assert names({"accounts": row["mentions"]}) == ["chi"]
    node.call("edit", uri=uri, text="Sách #sách")
    (row,) = node.call("feed", account="an")["posts"]
    assert (row["text"], row["tags"], row["warning"], row["edited"]) == ("Sách #sách", ["sách"], "phim", True)
    assert names({"accounts": row["mentions"]}) == ["chi"]
    node.call("post", text="#không", tags=[])
    assert node.call("feed", account="an")["posts"][0]["tags"] == []
    for tags, says in ((["a b"], "'a b' is no tag"), ([" "], "'' is no tag"), (["x"] * 33, "a list of at most 32")):
        with pytest.raises(CallError, match=says):
            node.call("post", text="x", tags=tags)
    with pytest.raises(CallError, match="a list of at most 10, each an account"):
        node.call("post", text="x", mentions=["an"] * 11)


def test_a_tag_is_the_same_however_it_is_typed_and_keeps_its_marks(node: LocalBackend) -> None:
    node.call("post", text=unicodedata.normalize("NFD", "#tiếngviệt #हिन्दी #ไทยที่ #x_1!"), warning=" ", tags=None)
    (row,) = node.call("feed", account="an")["posts"]
    assert (row["tags"], row["warning"]) == (["tiếngviệt", "हिन्दी", "ไทยที่", "x_1"], None)
    assert len(node.call("search", question="#TIẾNGVIỆT #हिन्दी")["posts"]) == 1
    node.call("post", text="y", tags=["#một"])
    assert len(node.call("search", question="#một")["posts"]) == 1


def test_each_account_reads_its_own_home(node: LocalBackend) -> None:
    node.call("post", text="một", by="bình")
    node.call("follow", account="bình", by="chi")
    assert [row["text"] for row in node.call("feed", by="chi")["posts"]] == ["một"]
    node.call("block", account="bình", by="chi")
    assert node.call("feed", by="chi")["posts"] == []
    assert node.call("feed", all=True, by="chi")["posts"] == []
    assert len(node.call("feed", all=True)["posts"]) == 1


def test_what_was_read_is_known_to_the_devices_of_the_account_and_what_came_since_is_unread(node: LocalBackend) -> None:
    uri = node.call("post", text="một")["uri"]
    for name in ("bình", "chi"):
        node.call("reply", uri=uri, text=f"{name} đây", by=name)
    assert node.call("notifications.unread")["unread"] == 2
    assert [row["unread"] for row in told(node)] == [True, True]
    older = told(node)[1]["at"]
    node.call("marker.set", timeline="notifications", place=older)
    assert [row["unread"] for row in told(node)] == [True, False]
    node.call("marker.set", timeline="notifications")
    node.call("marker.set", timeline="notifications", place=older)
    assert node.call("notifications.unread")["unread"] == 0, "a marker goes forward only"
    node.call("react", uri=uri, emoji="❤", by="dung")
    assert node.call("notifications.unread")["unread"] == 1
    node.call("mute", account="dung")
    assert node.call("notifications.unread")["unread"] == 0
    found = node.call("markers")
    assert (found["home"], found["notifications"] > older) == (None, True)
    page = node.call("feed", limit=1)
    node.call("marker.set", timeline="home")
    assert node.call("markers")["home"] is not None
    assert node.call("feed", limit=1)["posts"] == page["posts"]
    with pytest.raises(CallError, match="in the future"):
        node.call("marker.set", timeline="home", place="f" * 112)
    for place in ("zz", "f" * 16):
        with pytest.raises(CallError, match=r"no place among|no such place"):
            node.call("marker.set", timeline="notifications", place=place)


async def test_a_marker_of_two_devices_that_were_apart_is_the_further_one(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        me = (await a.backend.call("account.create", {"name": "an"}))["account"]
        other = (await a.backend.call("account.create", {"name": "bình", "hosted": True}))["account"]
        uri = (await a.backend.call("post", {"text": "một"}))["uri"]
        for n in range(3):
            await a.backend.call("reply", {"uri": uri, "text": f"{n}", "as": other})
        home = make_home(tmp_path / "b")
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await a.backend.call("account.grant", {"writer": (await b.backend.call("id", {}))["writer"]})
            await converged([a, b])
        with open_local(home, load_settings(home)) as apart:
            apart.call("marker.set", timeline="notifications", by=me)
        rows = (await a.backend.call("notifications", {}))["notices"]
        await a.backend.call("marker.set", {"timeline": "notifications", "place": rows[-1]["at"]})
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await converged([a, b])
            for node in (a, b):
                assert (await node.backend.call("notifications.unread", {"as": me}))["unread"] == 0


def test_a_poll_that_ended_is_told_to_who_asked_and_who_voted_and_is_unread_until_it_is_read(
    node: LocalBackend,
) -> None:
    closes = int(time.time() * 1000) + 700
    poll = {"options": ["phở", "bún"], "choices": "one", "closes_ms": closes}
    uri = node.call("post", text="Ăn gì?", poll=poll, by="bình")["uri"]
    node.call("vote", uri=uri, options=[1])
    node.call("marker.set", timeline="notifications")
    assert told(node) == []
    time.sleep(max(0.0, closes / 1000 - time.time()) + 0.01)
    for reader in ("an", "bình"):
        (row,) = told(node, by=reader)
        assert (row["kind"], names(row), row["post"]["uri"], row["time_ms"]) == ("poll_ended", ["bình"], uri, closes)
        assert row["post"]["poll"]["closed"]
        assert row["unread"]
        assert node.call("notifications.unread", by=reader) == {"unread": 1}
        node.call("marker.set", timeline="notifications", by=reader)
        assert node.call("notifications.unread", by=reader) == {"unread": 0}
    assert told(node, by="chi") == []
    node.call("block", account="bình")
    assert told(node) == []


def test_what_is_told_to_all_who_follow_is_unread_until_it_is_read(
    node: LocalBackend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    node.call("handle.domain", domain="vn.example")
    node.call("official.verify", account="bình", title="Sở")
    node.call("follow", account="bình", by="chi")
    node.call("post", text="bão", urgency="urgent", by="bình")
    channel = node.call("channel.set", title="Kênh", by="dung")["uri"]
    node.call("channel.subscribe", channel=channel, by="chi")
    blob = node.call("media.put", path=sound(tmp_path_factory.mktemp("sounds"), "phim"))["blob"]
    post = node.call("post", text="phim", media=[{"blob": blob}], by="dung")["uri"]
    node.call("episode.set", channel=channel, post=post, by="dung")
    assert [row["kind"] for row in told(node, by="chi")] == ["episode", "urgent"]
    assert node.call("notifications.unread", by="chi") == {"unread": 2}
    node.call("marker.set", timeline="notifications", by="chi")
    assert node.call("notifications.unread", by="chi") == {"unread": 0}
    assert not any(row["unread"] for row in told(node, by="chi"))
    node.call("delete", uri=post)
    assert [row["kind"] for row in told(node, by="chi")] == ["urgent"], "an episode without its post is not told"
