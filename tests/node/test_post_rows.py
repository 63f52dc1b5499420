"""What people read: reposts among the posts of those that one follows, and conversations of any size, page by page."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_reading.read_cache import ReadCache
from tests.node.pictures import photo
from tests.node.real import load_settings, make_home

PEOPLE = ("an", "bình", "chi", "dung")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in PEOPLE[1:]:
            backend.call("account.create", name=name, hosted=True)
        yield backend


def texts(page: dict[str, Any]) -> list[str]:
    return [row["text"] for row in page["posts"]]


def shared(page: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(row["text"], [who["name"] for who in row["reposted"]]) for row in page["posts"]]


def test_what_those_that_one_follows_repost_is_in_the_home_timeline(node: LocalBackend) -> None:
    for name in ("bình", "chi"):
        node.call("follow", account=name)
    uri = node.call("post", text="của dung", by="dung")["uri"]
    node.call("post", text="của bình", by="bình")
    node.call("repost", uri=uri, by="bình")
    assert shared(node.call("feed")) == [("của dung", ["bình"]), ("của bình", [])]
    node.call("repost", uri=uri, by="chi")
    first, second = shared(node.call("feed"))
    assert (first[0], sorted(first[1]), second) == ("của dung", ["bình", "chi"], ("của bình", [])), "one row of a page"
    assert shared(node.call("feed", account="bình")) == [("của dung", ["bình"]), ("của bình", [])]
    assert texts(node.call("feed", reposts=False)) == ["của bình"]
    assert sorted(shared(node.call("feed", all=True))) == [("của bình", []), ("của dung", [])]
    node.call("block", account="chi")
    assert shared(node.call("feed")) == [("của dung", ["bình"]), ("của bình", [])]
    node.call("mute", account="dung")
    assert texts(node.call("feed")) == ["của bình"]
    assert texts(node.call("feed", account="bình")) == ["của bình"], "also on the page of who reposted it"
    node.call("mute", account="dung", undo=True)
    node.call("repost", uri=uri, by="bình", undo=True)
    assert texts(node.call("feed")) == ["của bình"]
    node.call("repost", uri=uri, by="bình")
    node.call("delete", uri=uri)
    assert texts(node.call("feed")) == ["của bình"]


def test_a_row_is_read_as_it_is_now_whatever_it_names(node: LocalBackend) -> None:
    def row() -> Any:
        return node.call("feed", account="an")["posts"][0]

    uri = node.call("post", text="một", by="bình")["uri"]
    node.call("quote", uri=uri, text="xem")
    assert row()["quote"]["text"] == "một"
    node.call("edit", uri=uri, text="hai")
    assert row()["quote"]["text"] == "hai"
    node.call("mute", account="bình")
    assert row()["quote"]["text"] is None
    node.call("mute", account="bình", undo=True)
    node.call("post", text="chọn", poll={"options": ["a", "b"], "closes_ms": int(time.time() * 1000) + 3_600_000})
    assert row()["poll"]["voters"] == 0
    node.call("vote", uri=row()["uri"], options=[1], by="chi")
    assert row()["poll"]["voters"] == 1


def test_a_page_after_any_change_is_that_of_a_reader_who_kept_nothing(node: LocalBackend, tmp_path: Path) -> None:
    """And so are the profiles of its people."""
    picture = tmp_path / "a.jpg"
    photo(picture, 40, 30)
    for name in ("bình", "chi"):
        node.call("follow", account=name)
    uri = node.call("post", text="của dung @bình", by="dung", mentions=["bình"])["uri"]
    answer = node.call("reply", text="đáp", by="bình", uri=uri)["uri"]
    node.call("repost", uri=uri, by="chi")

    def page() -> Any:
        asked = [(who, node.call("feed", **{"as": who, "explain": True})) for who in ("an", "bình")]
        for _, found in asked:
            del found["cursor"]
        return asked, node.call("profiles", accounts=list(PEOPLE)), node.call("posts.get", uris=[uri, answer])

    def fresh() -> Any:
        kept, node.context.kept = node.context.kept, ReadCache()
        try:
            return page()
        finally:
            node.context.kept = kept

    seen = page()
    avatar = node.call("media.put", path=str(picture))["blob"]
    changes: list[tuple[str, dict[str, Any]]] = [
        ("profile.set", {"by": "bình", "fields": {"name": "Bình Minh"}}),
        ("profile.set", {"by": "chi", "fields": {"name": "Chi"}}),
        ("profile.set", {"by": "dung", "pictures": {"avatar": {"blob": avatar}}}),
        ("profile.set", {"by": "dung", "pictures": {"avatar": None}}),
        ("react", {"by": "chi", "uri": answer, "emoji": "❤"}),
        ("react", {"by": "an", "uri": uri, "emoji": "👍"}),
        ("react", {"by": "an", "uri": uri, "emoji": "👍", "undo": True}),
        ("bookmark", {"by": "an", "uri": uri}),
        ("follow", {"by": "dung", "account": "bình"}),
        ("lock", {"by": "bình"}),
        ("repost", {"by": "bình", "uri": uri}),
        ("repost", {"by": "an", "uri": answer}),
        ("reply", {"by": "chi", "text": "mới", "uri": answer}),
        ("edit", {"uri": uri, "text": "đã sửa"}),
        ("block", {"by": "an", "account": "chi"}),
        ("mute", {"by": "an", "account": "dung"}),
        ("mute", {"by": "an", "account": "dung", "undo": True}),
        ("filter.set", {"by": "an", "words": "sửa", "action": "warn"}),
        ("delete", {"uri": uri}),
    ]
    for name, given in changes:
        node.call(name, **given)
        before, seen = seen, page()
        assert seen == fresh(), (name, given)
        assert seen != before, (name, given)


def test_a_read_leaves_nothing_to_the_garbage_collector(node: LocalBackend) -> None:
    """What only the collector frees it finds later, by the hundred thousand, and meanwhile no thread runs."""
    for name in PEOPLE[1:]:
        node.call("follow", account=name)
    uri = node.call("post", text="một #thẻ @bình", by="dung", mentions=["bình"])["uri"]
    answer = node.call("reply", text="đáp", by="bình", uri=uri)["uri"]
    node.call("repost", uri=uri, by="chi")
    node.call("react", uri=uri, emoji="👍", by="chi")
    node.call("quote", uri=answer, text="xem", by="chi")
    node.call("edit", uri=uri, policy={"answers": "followers"})
    reads: list[tuple[str, dict[str, Any]]] = [
        ("feed", {}),
        ("feed", {"as": "bình", "explain": True}),
        ("feed", {"rank": "catch_up"}),
        ("feed", {"all": True, "as": ""}),
        ("feed", {"account": "chi"}),
        ("feed", {"quotes": answer}),
        ("thread", {"uri": answer}),
        ("posts.get", {"uris": [uri, answer]}),
        ("profiles", {"accounts": list(PEOPLE)}),
        ("profile.get", {"account": "chi"}),
        ("notifications", {"as": "bình"}),
        ("search", {"question": "một"}),
        ("accounts.search", {"text": "bì"}),
    ]

    def left(name: str, params: dict[str, Any]) -> list[str]:
        node.context.kept = ReadCache()
        node.call(name, **params)
        gc.collect()
        return [repr(type(one)) for one in gc.garbage if type(one).__module__.startswith("banyan_")]

    for name, params in reads:
        node.call(name, **params)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        assert [(name, left(name, params)) for name, params in reads] == [(name, []) for name, _ in reads]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_pages_of_a_home_timeline_join_while_people_write(node: LocalBackend) -> None:
    rng = random.Random(7)
    for name in PEOPLE[1:]:
        node.call("follow", account=name)
    uris = [node.call("post", text=f"{n}", by=rng.choice(PEOPLE))["uri"] for n in range(40)]
    for uri in rng.sample(uris, 12):
        node.call("repost", uri=uri, by=rng.choice(PEOPLE))
    whole = node.call("feed", limit=1000)["posts"]
    found, page = list[Any](), node.call("feed", limit=3)
    while True:
        found += page["posts"]
        if page["before"] is None:
            break
        node.call("post", text="new", by=rng.choice(PEOPLE))
        node.call("repost", uri=rng.choice(uris), by=rng.choice(PEOPLE))
        page = node.call("feed", limit=3, before=page["before"])
    rows = [(row["uri"], row["reposted"][0]["time_ms"] if row["reposted"] else None) for row in found]
    assert len(rows) == len(set(rows)), "no row is there twice"
    assert {row["uri"] for row in whole} == {uri for uri, _ in rows}


def test_a_conversation_is_read_in_pages_while_people_answer(node: LocalBackend) -> None:
    rng = random.Random(3)
    root = node.call("post", text="gốc")["uri"]
    uris = [root]
    for n in range(60):
        uris.append(node.call("reply", uri=rng.choice(uris[-12:]), text=f"{n}", by=rng.choice(PEOPLE))["uri"])
    whole = [(row["uri"], row["depth"]) for row in node.call("thread", uri=root)["posts"]]
    assert len(whole) == 61
    found, page = list[tuple[str, int]](), node.call("thread", uri=root, limit=7)
    while True:
        found += [(row["uri"], row["depth"]) for row in page["posts"]]
        if page["after"] is None:
            break
        node.call("reply", uri=rng.choice(uris), text="new", by=rng.choice(PEOPLE))
        page = node.call("thread", uri=root, limit=7, after=page["after"])
    assert len(found) == len(set(found))
    assert [row for row in found if row in whole] == whole


def test_the_place_of_an_answer_that_is_not_shown_is_marked(node: LocalBackend) -> None:
    root = node.call("post", text="gốc", by="bình")["uri"]
    muted = node.call("reply", uri=root, text="xấu", by="chi")["uri"]
    node.call("reply", uri=muted, text="dưới", by="dung")
    time.sleep(0.002)  # a place in a conversation is a time, then an account
    filtered = node.call("reply", uri=root, text="phim", by="dung")["uri"]
    deleted = node.call("reply", uri=root, text="xoá", by="dung")["uri"]
    node.call("reply", uri=deleted, text="còn", by="dung")
    node.call("delete", uri=deleted)
    node.call("mute", account="chi")
    node.call("filter.set", words="phim")
    page = node.call("thread", uri=root)
    assert [(row["text"], row["depth"]) for row in page["posts"]] == [("gốc", 0), ("dưới", 2), ("còn", 2)]
    said = [(gap["at"], gap["depth"], gap["uri"], gap["gone"]["word"]) for gap in page["gaps"]]
    assert said == [(1, 1, muted, "hidden"), (2, 1, filtered, "hidden"), (2, 1, deleted, "deleted")]
    node.call("delete", uri=root)
    page = node.call("thread", uri=root)
    assert (texts(page), page["missing"], page["gone"]["word"]) == (["dưới", "còn"], root, "deleted")


def test_a_conversation_that_is_too_long_above_says_so(node: LocalBackend) -> None:
    uris = [node.call("post", text="0")["uri"]]
    for n in range(1, 70):
        uris.append(node.call("reply", uri=uris[-1], text=f"{n}")["uri"])
    page = node.call("thread", uri=uris[-1])
    assert texts(page) == [f"{n}" for n in range(5, 70)]
    assert (page["missing"], page["gone"]["word"], page["after"]) == (uris[4], "further", None)


def test_who_is_blocked_by_the_author_of_the_first_post_is_not_above_either(node: LocalBackend) -> None:
    root = node.call("post", text="gốc")["uri"]
    bad = node.call("reply", uri=root, text="xấu", by="bình")["uri"]
    below = node.call("reply", uri=bad, text="dưới", by="chi")["uri"]
    node.call("block", account="bình")
    for reader in PEOPLE:
        page = node.call("thread", uri=below, by=reader)
        assert (texts(page), page["missing"], page["gone"]["word"]) == (["dưới"], bad, "hidden")


def test_a_place_that_is_none_is_refused_in_one_sentence(node: LocalBackend) -> None:
    root = node.call("post", text="gốc")["uri"]
    other = node.call("post", text="khác")["uri"]
    for n in range(2):
        node.call("reply", uri=other, text=f"{n}")
    elsewhere = node.call("thread", uri=other, limit=1)["after"]
    with pytest.raises(Exception, match="in another conversation: give `after` of a page of this one"):
        node.call("thread", uri=root, after=elsewhere)
    for after in ("0", "zz", "00" * 172):
        with pytest.raises(Exception, match="no place in a conversation: give `after`"):
            node.call("thread", uri=root, after=after)
    named = elsewhere[:16]
    assert node.call("thread", uri=other, after=named + "ff" * 165)["posts"] == []
