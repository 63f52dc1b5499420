"""What programs ask for a page of posts: many at once, upwards too, and a writing that can be repeated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import load_settings, make_home


@contextmanager
def local(path: Path) -> Iterator[LocalBackend]:
    home = make_home(path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        backend.call("account.create", name="lan", hosted=True)
        yield backend


def row(node: LocalBackend, uri: str, by: str = "an") -> dict[str, Any]:
    (found,) = node.call("posts.get", uris=[uri], by=by)["posts"]
    assert isinstance(found, dict)
    return found


MARKS = {"bookmarked": False, "pinned": False, "muted": False}
NOTHING: dict[str, Any] = {"reactions": [], "reposted_ms": None, **MARKS, "may_not": []}


def test_a_row_says_what_the_reader_did_until_it_is_taken_back(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        uri = node.call("post", text="một")["uri"]
        assert (row(node, uri, "lan")["mine"], row(node, uri)["edited_ms"]) == (NOTHING, None)
        for emoji in ("❤", "🌸"):
            node.call("react", uri=uri, emoji=emoji, by="lan")
        node.call("react", uri=uri, emoji="👍", by="an")
        node.call("repost", uri=uri, by="lan")
        node.call("bookmark", uri=uri, by="lan")
        node.call("pin", uri=uri, by="an")
        (shared,) = node.call("feed", account="lan", by="lan")["posts"]
        mine = row(node, uri, "lan")["mine"]
        assert sorted(mine.pop("reactions")) == ["❤", "🌸"]
        assert mine == {
            "reposted_ms": shared["reposted"][0]["time_ms"],
            "bookmarked": True,
            "pinned": False,
            "muted": False,
            "may_not": [],
        }
        assert row(node, uri)["mine"] == {**NOTHING, "reactions": ["👍"], "pinned": True}
        assert [one["uri"] for one in node.call("favourites", by="lan")["posts"]] == [uri]
        for method in ("repost", "bookmark"):
            node.call(method, uri=uri, undo=True, by="lan")
        for emoji in ("❤", "🌸"):
            node.call("react", uri=uri, emoji=emoji, undo=True, by="lan")
        assert row(node, uri, "lan")["mine"] == NOTHING
        assert node.call("favourites", by="lan")["posts"] == []
        answer = node.call("reply", uri=uri, text="ừ", by="lan")["uri"]
        assert row(node, answer)["reply_to_ms"] == row(node, uri)["time_ms"]
        node.call("edit", uri=uri, text="hai")
        assert row(node, uri)["edited_ms"] >= row(node, uri)["time_ms"]
        node.call("delete", uri=uri)
        assert node.call("posts.get", uris=[uri, answer])["posts"][0] is None
        assert row(node, answer)["reply_to_ms"] is None


def test_favourites_are_paged_by_the_time_of_the_reaction(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        uris = [node.call("post", text=f"{n}")["uri"] for n in range(7)]
        order = [uris[n] for n in (3, 0, 6, 1, 5, 2, 4)]
        for uri in order:
            node.call("react", uri=uri, emoji="❤", by="lan")
        seen, before = [], None
        while True:
            page = node.call("favourites", by="lan", limit=3, before=before)
            seen += [row["uri"] for row in page["posts"]]
            before = page["before"]
            if before is None:
                break
        assert set(seen) == set(uris)
        assert len(seen) == 7


def test_a_feed_goes_up_as_it_goes_down(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        node.call("follow", account="lan")
        for n in range(9):
            node.call("post", text=f"{n} #{'ab'[n % 2]}", by=("an", "lan")[n % 2])
        node.call("repost", uri=node.call("feed", account="lan")["posts"][-1]["uri"])
        for given in ({}, {"account": "lan"}, {"all": True}, {"all": True, "local": True}):
            down = [row["uri"] for row in node.call("feed", **given)["posts"]]
            up: list[str] = []
            after = "0" * 112
            while after is not None:
                page = node.call("feed", **given, after=after, limit=2)
                up = [row["uri"] for row in page["posts"]] + up
                assert page["before"] is None
                after = page["after"]
            assert sorted(set(up)) == sorted(down)
        assert node.call("feed", all=True, remote=True)["posts"] == []
        assert {row["tags"][0] for row in node.call("feed", all=True, tag="B")["posts"]} == {"b"}
        assert node.call("feed", all=True, media=True)["posts"] == []
        for wrong in (
            {"local": True},
            {"all": True, "local": True, "remote": True},
            {"after": "0" * 112, "before": "0" * 112},
        ):
            with pytest.raises(CallError):
                node.call("feed", **wrong)


def test_an_edit_changes_what_is_given_and_keeps_the_rest(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        uri = node.call("post", text="một", warning="tin", lang="vi", mentions=["lan"])["uri"]
        before = row(node, uri)
        node.call("edit", uri=uri, text="hai")
        after = row(node, uri)
        assert after == {**before, "text": "hai", "edited": True, "edited_ms": after["edited_ms"]}
        node.call("edit", uri=uri, text="hai", warning="", lang="pt-BR", mentions=[])
        after = row(node, uri)
        assert (after["warning"], after["lang"], after["mentions"], after["time_ms"]) == (
            None,
            "pt-BR",
            [],
            before["time_ms"],
        )
        versions = node.call("why", uri=uri)["versions"]
        assert [(one["text"], one["warning"]) for one in versions] == [("một", "tin"), ("hai", "tin"), ("hai", None)]


def test_a_draft_gets_another_time_and_stays_the_same_else(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        now_ms = int(time.time() * 1000)
        poll: dict[str, Any] = {"options": ["a", "b"], "closes_ms": now_ms + 9_000_000}
        id_ = node.call("draft.set", text="mai", due=now_ms + 3_600_000, poll=poll, audience="unlisted")["id"]
        (before,) = node.call("drafts")["drafts"]
        node.call("draft.due", id=id_, due=now_ms + 7_200_000)
        (after,) = node.call("drafts")["drafts"]
        assert after == {**before, "due": now_ms + 7_200_000}
        assert after["audience"] == "unlisted"
        for wrong in ({"id": id_, "due": 1}, {"id": "00" * 16, "due": now_ms + 3_600_000}):
            with pytest.raises(CallError):
                node.call("draft.due", **wrong)
        uri = node.call("draft.publish", id=id_)["uri"]
        assert node.call("posts.get", uris=[uri])["posts"][0]["poll"]["closes_ms"] == poll["closes_ms"]
