"""Channels as apps use them: whose episodes are shown, in which order, and what a subscriber sees of them."""

from __future__ import annotations

import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import account_to_text
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_schema.social import post_from_text
from banyan_schema.social.channel import Episode, write_episode
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.node.test_groups import App

HOUR = 3_600_000


def sound(path: Path, name: str) -> str:
    """A tenth of a second of sound that differs by its name."""
    file = path / f"{name}.wav"
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 1, 8_000, 0, "NONE", ""))
        out.writeframes(name.encode().ljust(800, b"\x80"))
    return str(file)


class Studio(App):
    """An app that posts sounds."""

    path: Path

    def film(self, name: str, **more: Any) -> str:
        blob = self("media.put", path=sound(self.path, name))["blob"]
        uri: str = self("post", text=f"{name}\nmore", media=[{"blob": blob}], **more)["uri"]
        return uri

    def channel(self, title: str, **more: Any) -> str:
        uri: str = self("channel.set", title=title, **more)["uri"]
        return uri

    def episode(self, channel: str, name: str, *, by: str | None = None, **more: Any) -> str:
        uri: str = self("episode.set", channel=channel, post=self.film(name, by=by), by=by, **more)["uri"]
        return uri

    def titles(self, channel: str, **more: Any) -> list[str]:
        return [row["title"] for row in self("episode.list", channel=channel, **more)["episodes"]]

    def new(self, **more: Any) -> list[str]:
        return [row["title"] for row in self("subscriptions", **more)["episodes"]]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Studio]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi"):
            backend.call("account.create", name=name, hosted=True)
        made = Studio(backend)
        made.path = tmp_path
        yield made


def test_episodes_stand_by_season_and_number_or_the_newest_first(app: Studio) -> None:
    channel = app.channel("Chuyện", kind="audio", language="vi", site="https://vn.example")
    app.episode(channel, "phụ", published=1_000)
    app.episode(channel, "hai", season=1, number=2, published=4_000)
    app.episode(channel, "ba", season=2, number=1, published=3_000)
    one = app.episode(channel, "một", season=1, number=1, published=2_000)
    assert app.titles(channel) == ["một", "hai", "ba", "phụ"]
    assert app.titles(channel, order="newest") == ["hai", "ba", "một", "phụ"]
    for order in ("number", "newest"):
        found, page = list[str](), app("episode.list", channel=channel, order=order, limit=1)
        while page["after"]:
            found += [row["title"] for row in page["episodes"]]
            page = app("episode.list", channel=channel, order=order, limit=1, after=page["after"])
        assert [*found, *(row["title"] for row in page["episodes"])] == app.titles(channel, order=order)
    app("episode.set", episode=one, season=-1, number=-1, title="Một", chapters=[{"at_ms": 0, "title": "đầu"}])
    assert app.titles(channel) == ["hai", "ba", "phụ", "Một"]
    row = app("episode.list", channel=channel)["episodes"][3]
    assert (row["season"], row["published"], row["chapters"]) == (None, 2_000, [{"at_ms": 0, "title": "đầu"}])
    shown = app("channel.show", channel=channel)
    assert (shown["episodes"], shown["kind"], shown["language"]) == (4, "audio", "vi")
    app("episode.drop", episode=one)
    assert app("channel.show", channel=channel)["episodes"] == 3


def test_an_episode_of_somebody_else_is_not_shown(app: Studio) -> None:
    channel = app.channel("Chuyện")
    post = app.film("giả", by="bình")
    app.refused("Only the account of the channel 'Chuyện' adds", "episode.set", channel=channel, post=post, by="bình")
    ctx = app.node.context
    liar = hosted.account_of(ctx, "bình")
    draft = write_episode(post_from_text(post).key, Episode(post_from_text(channel), post_from_text(post), "giả"))
    append(ctx, liar, [draft], time.time())
    ctx.store.commit()
    assert len(app("items.list", collection="episode", account="bình")["items"]) == 1, "it is in the store"
    app("channel.subscribe", channel=channel, by="chi")
    assert app.titles(channel) == app.new(by="chi") == []
    assert app("channel.show", channel=channel)["episodes"] == 0
    app.refused("is not held here", "episode.drop", episode=post, by="bình")


def test_a_post_that_is_gone_is_marked(app: Studio) -> None:
    channel = app.channel("Chuyện")
    app.episode(channel, "một", number=1)
    post = app.film("hai", by="bình")
    app("episode.set", channel=channel, post=post, number=2)
    rows = app("episode.list", channel=channel)["episodes"]
    assert [(row["gone"], row["post"]["name"]) for row in rows] == [(None, "an"), (None, "bình")]
    app("content.withhold", uri=rows[0]["post_uri"], order="QĐ 1")
    app("delete", uri=post)
    rows = app("episode.list", channel=channel)["episodes"]
    assert [(row["title"], row["gone"], row["post"]) for row in rows] == [
        ("một", "withheld", None),
        ("hai", "deleted", None),
    ]


def test_who_blocks_the_author_of_a_post_sees_where_it_would_be(app: Studio) -> None:
    channel = app.channel("Chuyện")
    app("episode.set", channel=channel, post=app.film("hai", by="bình"))
    app("block", account="bình", by="chi")
    (row,) = app("episode.list", channel=channel, by="chi")["episodes"]
    assert (row["gone"], row["post"]) == ("hidden", None)


@pytest.mark.parametrize(
    ("says", "method", "given"),
    [
        ("A new episode needs 'channel' and 'post'", "episode.set", {"title": "x"}),
        ("The title of the channel is empty", "channel.set", {"title": " "}),
        ("The title of the channel is empty", "channel.set", {}),
        ("is no page in the web", "channel.set", {"title": "x", "site": "ftp://x"}),
        ("is not here; fetch it first", "channel.set", {"title": "x", "picture": "ab" * 32}),
        ("not a channel", "channel.show", {"channel": "x"}),
    ],
    ids=str,
)
def test_what_is_bad_is_refused_in_a_sentence(app: Studio, says: str, method: str, given: dict[str, Any]) -> None:
    app.refused(says, method, **given)


def test_an_episode_needs_media_and_chapters_that_rise(app: Studio) -> None:
    channel = app.channel("Chuyện")
    text = app("post", text="chữ")["uri"]
    app.refused("has no media", "episode.set", channel=channel, post=text)
    chapters = [{"at_ms": 5, "title": "a"}, {"at_ms": 5, "title": "b"}]
    app.refused("begins later", "episode.set", channel=channel, post=app.film("một"), chapters=chapters)


def test_only_its_account_changes_and_drops_a_channel(app: Studio) -> None:
    channel = app.channel("Chuyện", site="https://vn.example")
    for method in ("channel.set", "channel.drop"):
        app.refused("Only the account of the channel 'Chuyện'", method, channel=channel, by="bình")
    app.episode(channel, "một")
    app("channel.subscribe", channel=channel, by="bình")
    app("channel.set", channel=channel, description="kể", site="")
    row = app("channel.show", channel=channel)
    assert (row["title"], row["description"], row["site"]) == ("Chuyện", "kể", None)
    app("channel.drop", channel=channel)
    app.refused("is dropped by its account", "episode.list", channel=channel)
    assert app.new(by="bình") == []
    app("channel.subscribe", channel=channel, undo=True, by="bình")


def test_subscribers_are_counted_and_see_what_is_new_of_all_their_channels(app: Studio) -> None:
    one, other, third = app.channel("một"), app.channel("hai", by="bình"), app.channel("ba", by="bình")
    for n, (channel, by) in enumerate([(one, None), (other, "bình"), (third, "bình"), (one, None), (other, "bình")]):
        app.episode(channel, f"{n}", by=by, published=n * HOUR)
    for channel in (one, other):
        app("channel.subscribe", channel=channel, by="chi")
        app("channel.subscribe", channel=channel, by="chi")
    assert app.new(by="chi") == ["4", "3", "1", "0"]
    found, page = list[str](), app("subscriptions", by="chi", limit=1)
    while page["after"]:
        found += [row["title"] for row in page["episodes"]]
        page = app("subscriptions", by="chi", limit=1, after=page["after"])
    assert [*found, *(row["title"] for row in page["episodes"])] == ["4", "3", "1", "0"]
    listed = app("channel.list", by="chi", subscribed=True)["channels"]
    assert {(row["title"], row["subscribers"], row["subscribed"]) for row in listed} == {
        ("một", 1, True),
        ("hai", 1, True),
    }
    first = app("channel.list", account="bình", limit=1)
    second = app("channel.list", account="bình", after=first["after"])
    assert sorted(row["title"] for page in (first, second) for row in page["channels"]) == ["ba", "hai"]
    assert len(first["channels"]) == 1
    app("block", account="bình", by="chi")
    assert app.new(by="chi") == ["3", "0"]
    app("channel.subscribe", channel=one, undo=True, by="chi")
    assert app("channel.show", channel=one)["subscribers"] == 0
    assert app.new(by="chi") == []


async def test_two_nodes_show_a_channel_alike(tmp_path: Path) -> None:
    async with (
        running(make_node(make_home(tmp_path / "a"))) as a,
        running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b,
    ):
        await a.backend.call("account.create", {"name": "an"})
        await b.backend.call("account.create", {"name": "bình"})
        blob = (await a.backend.call("media.put", {"path": sound(tmp_path, "một")}))["blob"]
        post = (await a.backend.call("post", {"text": "một", "media": [{"blob": blob}]}))["uri"]
        channel = (await a.backend.call("channel.set", {"title": "Chuyện"}))["uri"]
        await a.backend.call("episode.set", {"channel": channel, "post": post})
        await converged([a, b])
        await b.backend.call("channel.subscribe", {"channel": channel})
        await converged([a, b])
        for node in (a, b):
            row = await node.backend.call("channel.show", {"channel": channel})
            assert (row["episodes"], row["subscribers"]) == (1, 1)
        (row,) = (await b.backend.call("subscriptions", {}))["episodes"]
        assert (row["title"], row["post"]["uri"]) == ("một", post)


def test_a_subscriber_hears_of_a_new_episode_and_a_follower_alone_does_not(app: Studio) -> None:
    channel, other = app.channel("Chuyện"), app.channel("khác")
    app("channel.subscribe", channel=channel, by="bình")
    app("follow", account=hosted_did(app, "an"), by="chi")
    app.episode(other, "khác")
    uri = app.episode(channel, "một")
    rows = app("notifications", by="bình")["notices"]
    assert [(row["kind"], row["channel"]["title"], row["post"]["text"]) for row in rows] == [
        ("episode", "Chuyện", "một\nmore")
    ]
    assert [row["kind"] for row in app("notifications", by="chi")["notices"] if row["kind"] == "episode"] == []
    app("episode.set", episode=uri, title="Một")
    (row,) = app("notifications", by="bình")["notices"]
    assert row["edited"], "as an urgent post that is edited"
    app("channel.subscribe", channel=channel, undo=True, by="bình")
    assert app("notifications", by="bình")["notices"] == []
    app("channel.subscribe", channel=channel, by="bình")
    app("channel.drop", channel=channel)
    assert app("notifications", by="bình")["notices"] == []


def hosted_did(app: Studio, name: str) -> str:
    return account_to_text(hosted.account_of(app.node.context, name))
