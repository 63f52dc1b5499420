"""Playlists as apps use them: their order, what is gone, and who may change them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_schema.social import post_from_text
from banyan_schema.social.channel import MAX_POSTS, Playlist, write_playlist
from tests.node.real import load_settings, make_home
from tests.node.test_groups import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        backend.call("account.create", name="bình", hosted=True)
        yield App(backend)


def said(app: App, playlist: str, **more: str) -> list[str]:
    rows = app("playlist.show", playlist=playlist, **more)["posts"]
    return [row["post"]["text"] if row["post"] else row["gone"] for row in rows]


def posts(app: App, *texts: str, **more: str) -> list[str]:
    return [app("post", text=text, **more)["uri"] for text in texts]


def test_posts_are_in_the_order_that_the_account_says(app: App) -> None:
    a, b, c = [*posts(app, "a", "b"), *posts(app, "c", by="bình")]
    playlist = app("playlist.set", title="Tối nay", posts=[c, a])["uri"]
    assert app("playlist.set", playlist=playlist, add=[b, a], description="nghe")["posts"] == 4
    assert said(app, playlist) == ["c", "a", "b", "a"]
    app("playlist.set", playlist=playlist, take=[a])
    assert said(app, playlist) == ["c", "b"]
    app("playlist.set", playlist=playlist, posts=[b, c])
    assert said(app, playlist) == ["b", "c"]
    row = app("playlist.show", playlist=playlist)
    assert (row["title"], row["description"]) == ("Tối nay", "nghe")


def test_what_is_gone_keeps_its_place(app: App) -> None:
    a, b, c = [*posts(app, "a", "b"), *posts(app, "c", by="bình")]
    playlist = app("playlist.set", title="x", posts=[a, b, c])["uri"]
    app("delete", uri=a)
    app("content.withhold", uri=b, order="QĐ 1")
    app("block", account="bình")
    assert said(app, playlist) == ["deleted", "withheld", "hidden"]
    assert said(app, playlist, by="bình") == ["deleted", "withheld", "c"]
    app("playlist.set", playlist=playlist, posts=[c, b, a])
    assert said(app, playlist) == ["hidden", "withheld", "deleted"], "what is gone can be moved"
    app("playlist.set", playlist=playlist, take=[a])
    app.refused("deleted by its author", "playlist.set", playlist=playlist, add=[a])


def test_only_its_account_changes_and_drops_it(app: App) -> None:
    (a,) = posts(app, "a")
    playlist = app("playlist.set", title="x", posts=[a])["uri"]
    for method in ("playlist.set", "playlist.drop"):
        app.refused("Only the account of the playlist 'x'", method, playlist=playlist, by="bình")
    app.refused("The title of the playlist is empty", "playlist.set", posts=[a])
    app.refused("is not in the playlist", "playlist.set", playlist=playlist, take=[a[:-1] + "0f"[a[-1] == "0"]])
    app.refused(f"at most {MAX_POSTS} posts", "playlist.set", playlist=playlist, add=[a] * MAX_POSTS)
    app("playlist.drop", playlist=playlist)
    app.refused("is dropped by its account", "playlist.show", playlist=playlist)


def test_playlists_of_an_account_are_paged(app: App) -> None:
    for title in ("một", "hai", "ba"):
        app("playlist.set", title=title, by="bình")
    found, page = list[str](), app("playlist.list", account="bình", limit=1)
    while page["after"]:
        found += [row["title"] for row in page["playlists"]]
        page = app("playlist.list", account="bình", limit=1, after=page["after"])
    assert sorted([*found, *(row["title"] for row in page["playlists"])]) == ["ba", "hai", "một"]
    assert app("playlist.list")["playlists"] == []


def test_of_two_devices_that_order_at_once_the_later_is_shown_whole(app: App) -> None:
    a, b = posts(app, "a", "b")
    playlist = app("playlist.set", title="x")["uri"]
    ctx, target = app.node.context, post_from_text(playlist)
    an = hosted.account_of(ctx, "an")
    for order in ([a], [b, a]):  # neither replaces the other, as on two devices
        append(ctx, an, [write_playlist(target.key, Playlist("x", "", tuple(map(post_from_text, order))))], time.time())
    ctx.store.commit()
    assert said(app, playlist) == ["b", "a"]
    app("playlist.set", playlist=playlist, add=[b])
    assert said(app, playlist) == ["b", "a", "b"]
