"""Who reacted to a post and who reposted it; whom an account follows, and who follows it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api.methods.posts import posts
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import load_settings, make_home
from tests.node.test_groups import App

PEOPLE = ("bình", "chi", "dung", "hà")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in PEOPLE:
            backend.call("account.create", name=name, hosted=True)
        yield App(backend)


def pages(app: App, method: str, field: str, **params: Any) -> list[Any]:
    """All rows, by pages of two."""
    found, after = list[Any](), None
    while True:
        page = app(method, limit=2, after=after, **params)
        found += page[field]
        after = page["after"]
        if after is None:
            return found


def test_who_reacted_is_listed_by_emoji_page_by_page_without_whom_the_reader_blocks(app: App) -> None:
    uri = app("post", text="một")["uri"]
    for name, emoji in (("bình", "🌳"), ("chi", "❤️"), ("dung", "🌳"), ("hà", "🌳"), ("bình", "❤️"), ("an", "👍🏽👍🏽")):
        app("react", uri=uri, emoji=emoji, by=name)
    told = [(row["emoji"], row["name"]) for row in pages(app, "reactions", "reactions", uri=uri)]
    assert told == [*(("🌳", name) for name in ("bình", "dung", "hà")), ("❤️", "bình"), ("❤️", "chi"), ("👍🏽👍🏽", "an")]
    only = pages(app, "reactions", "reactions", uri=uri, emoji="❤️")
    assert [row["name"] for row in only] == ["bình", "chi"]
    assert app("reactions", uri=uri, emoji="x" * 100)["reactions"] == []
    app("block", account="bình")
    app("react", uri=uri, emoji="🌳", by="hà", undo=True)
    assert [row["name"] for row in pages(app, "reactions", "reactions", uri=uri)] == ["dung", "chi", "an"]
    for after in ("zz", "0011"):
        with pytest.raises(CallError, match="no place among responses"):
            app("reactions", uri=uri, after=after)
    assert posts.RESPONSES_MOST == 1_000


def test_who_reposted_is_listed_page_by_page(app: App) -> None:
    uri, other = (app("post", text=text)["uri"] for text in ("một", "hai"))
    for name in PEOPLE:
        app("repost", uri=uri, by=name)
    app("repost", uri=other, by="hà")
    assert [row["name"] for row in pages(app, "reposts", "accounts", uri=uri)] == [*PEOPLE]
    app("mute", account="chi")
    assert [row["name"] for row in pages(app, "reposts", "accounts", uri=uri)] == ["bình", "dung", "hà"]


def test_whom_an_account_follows_and_who_follows_it_back(app: App) -> None:
    for name in PEOPLE:
        app("follow", account=name)
    for name in ("bình", "hà"):
        app("follow", account="an", by=name)
    app("follow", account="chi", by="hà")

    def names(method: str, **params: Any) -> list[str]:
        return sorted(row["name"] for row in pages(app, method, "accounts", **params))

    assert names("following") == [*PEOPLE]
    assert names("following", mutual=True) == names("followers", mutual=True) == ["bình", "hà"]
    assert names("following", account="hà", by="an") == ["an", "chi"]
    assert names("followers", account="chi") == ["an", "hà"]
    app("block", account="hà")
    assert names("following") == ["bình", "chi", "dung"]
