"""The posts that quote a post: which are listed and counted, and for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from banyan_node.api import LocalBackend
from tests.node.test_moderation import a_node, refused


def _quotes(node: LocalBackend, uri: str, **asked: Any) -> list[str]:
    """Their texts, in the order of the alphabet; read page by page, the newest first."""
    found, place = list[dict[str, Any]](), None
    while True:
        page = node.call("feed", quotes=uri, before=place, limit=2, **asked)
        found, place = [*found, *page["posts"]], page["before"]
        if place is None:
            assert [post["time_ms"] for post in found] == sorted((post["time_ms"] for post in found), reverse=True)
            return sorted(post["text"] for post in found)


def test_what_is_deleted_hidden_or_withheld_is_no_quote_and_comes_back(tmp_path: Path) -> None:
    with a_node(tmp_path) as (node, who):
        uri = node.call("post", text="một", by="an")["uri"]
        made = {
            text: node.call("quote", uri=uri, text=text, by=by)["uri"]
            for text, by in (("hai", "bình"), ("ba", "bình"), ("bốn", "dung"), ("năm", "an"))
        }

        def shown(*texts: str, **asked: Any) -> None:
            assert _quotes(node, uri, **asked) == sorted(texts)
            if not asked:
                rows = {post["uri"]: post["quotes"] for post in node.call("feed", account="an")["posts"]}
                assert rows[uri] == node.call("post.get", uri=uri)["quotes"] == len(texts)

        shown("năm", "bốn", "ba", "hai")
        for verdict in ("hide", "withhold"):
            given = {"order": "QĐ 1"} if verdict == "withhold" else {}
            made_by = {"account": who["bình"], "posts": [made["ba"]], "by": "chi"}
            decided = node.call("decision.add", verdict=verdict, **made_by, **given)
            shown("năm", "bốn", "hai")
            node.call("decision.undo", id=decided["id"], by="chi")
            shown("năm", "bốn", "ba", "hai")
        node.call("edit", uri=made["ba"], text="ba, sửa")
        shown("năm", "bốn", "ba, sửa", "hai")
        node.call("delete", uri=made["hai"])
        shown("năm", "bốn", "ba, sửa")

        node.call("mute", account=who["dung"], by="bình")
        shown("năm", "ba, sửa", by="bình")
        node.call("block", account=who["bình"], by="an")
        shown("năm", "bốn", by="dung")
        assert _quotes(node, uri, by="") == ["bốn", "năm"]
        refused(node, "exclude one another", "feed", quotes=uri, all=True)
        refused(node, "is of the home timeline", "feed", quotes=uri, rank="catch_up", by="an")

        node.call("decision.add", verdict="hide", account=who["an"], posts=[uri], by="chi")
        assert _quotes(node, uri, by="") == ["bốn", "năm"], "they belong to their own authors"
        assert node.call("store.verify")["problems"] == []
