"""How accounts stand to one another, whom one might follow, and what people talk about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_storage.local_tables import Verdict
from tests.node.real import load_settings, make_home

PEOPLE = ("an", "bình", "chi", "dung", "em", "giang")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in PEOPLE[1:]:
            backend.call("account.create", name=name, hosted=True)
        yield backend


def follow(node: LocalBackend, **whom: str) -> None:
    for who, names in whom.items():
        for name in names.split():
            node.call("follow", account=name, by=who)


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_how_two_accounts_stand_to_one_another(node: LocalBackend) -> None:
    follow(node, an="bình chi dung", bình="an em", chi="em", dung="giang")
    node.call("block", account="an", by="em")
    node.call("note.set", account="em", text="hàng xóm")
    said = node.call("relationship", account="em")
    flags = ("following", "followed_by", "blocking", "blocked_by", "muting")
    assert [said[flag] for flag in flags] == [False, False, False, True, False]
    assert (said["note"], said["familiar_count"], sorted(names(said["familiar"]))) == ("hàng xóm", 2, ["bình", "chi"])
    node.call("mute", account="bình")
    said = node.call("relationship", account="bình")
    assert [said[flag] for flag in flags] == [True, True, False, False, True]
    node.call("block", account="bình")
    assert not node.call("relationship", account="bình")["muting"], "it blocks, which is more"


def test_nobody_follows_whom_they_block_or_who_blocks_them(node: LocalBackend) -> None:
    def refused(says: str, whom: str, who: str) -> None:
        with pytest.raises(CallError, match=says) as why:
            node.call("follow", account=whom, by=who)
        assert (why.value.code, why.value.status) == ("refused", 403)

    node.call("block", account="bình", by="an")
    entries = node.call("status")["entries"]
    refused("This account blocks did:banyan:z.*: unblock them first", "bình", "an")
    refused("blocks this account; until that ends neither can begin", "an", "bình")
    assert node.call("status")["entries"] == entries
    node.call("block", account="bình", by="an", undo=True)
    follow(node, an="bình", bình="an")
    node.call("block", account="an", by="bình")
    stands = node.call("relationship", account="bình", by="an")
    assert (stands["following"], stands["followed_by"]) == (True, False), "whoever is blocked goes on following"
    refused("blocks this account", "bình", "an")
    node.call("unfollow", account="bình", by="an")
    refused("blocks this account", "bình", "an")


def test_an_account_is_seen_as_timelines_show_it(node: LocalBackend) -> None:
    def seen(by: str) -> list[bool]:
        found: list[bool] = node.call("accounts.seen", accounts=["an", "bình", "chi", "dung"], by=by)["seen"]
        return found

    node.call("block", account="bình")
    node.call("mute", account="chi")
    node.call("decision.add", account="dung", verdict="limit")
    assert seen("an") == [True, False, False, False]
    assert seen("em") == [True, True, True, False]
    assert seen("") == [True, True, True, False]
    follow(node, em="dung")
    node.call("mute", account="chi", undo=True)
    assert seen("em") == [True] * 4
    assert seen("an") == [True, False, True, False]


def test_suggestions_are_of_those_whom_those_follow_that_one_follows_and_say_why(node: LocalBackend) -> None:
    follow(node, an="bình chi", bình="an em giang", chi="em bình", dung="giang")
    found = node.call("suggestions")["suggestions"]
    assert [(row["name"], row["followed_by"], row["followers"]) for row in found] == [("em", 2, 2), ("giang", 1, 2)]
    assert sorted(names(found[0]["because"])) == ["bình", "chi"]
    node.call("mute", account="em")
    assert names(node.call("suggestions")["suggestions"]) == ["giang"]
    assert node.call("suggestions", by="em")["suggestions"] == []


def test_trends_count_accounts_by_hour_and_follow_edits(node: LocalBackend) -> None:
    for _ in range(5):
        node.call("post", text="#một_mình")
    uris = [node.call("post", text="#Phở ngon", by=name)["uri"] for name in ("bình", "chi")]
    node.call("post", text="#phở", by="dung", audience="unlisted")
    found = node.call("trends", hours=2)["trends"]
    assert [(row["tag"], row["accounts"], sum(row["posts"]), len(row["posts"])) for row in found] == [
        ("phở", 2, 2, 2),
        ("một_mình", 1, 5, 2),
    ]
    node.call("edit", uri=uris[0], text="#bún")
    node.call("delete", uri=uris[1])
    assert [row["tag"] for row in node.call("trends")["trends"]] == ["một_mình", "bún"]
    later = (time.time() + 3 * 3_600) * 1000
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("banyan_node.api.methods.people.relationships.now_ms", lambda: int(later))
        assert node.call("trends", hours=2)["trends"] == []


SHOWN: dict[Verdict, set[str]] = {
    "nothing": {"feed", "search", "trends", "suggestions"},
    "label": {"feed", "search", "trends", "suggestions"},
    "hide": {"suggestions"},
    "withhold": {"suggestions"},
    "limit": set(),
    "suspend": {"feed", "search", "trends", "suggestions"},
    "pass_on": {"feed", "search", "trends", "suggestions"},
}
"""Where each verdict leaves a post, or its author, for who does not follow him."""


def test_each_verdict_takes_out_of_lists_what_it_says(node: LocalBackend) -> None:
    assert set(get_args(Verdict)) == SHOWN.keys()
    uri = node.call("post", text="#bậy đây", by="bình")["uri"]
    others = [node.call("post", text="#bậy", by="chi")["uri"] for _ in range(2)]
    node.call("follow", account="chi")
    node.call("follow", account="bình", by="chi")

    def shown() -> set[str]:
        (trend,) = node.call("trends", hours=2)["trends"]
        return {
            name
            for name, is_there in {
                "feed": uri in [post["uri"] for post in node.call("feed", all=True, by="")["posts"]],
                "search": uri in [post["uri"] for post in node.call("search", question="đây", by="")["posts"]],
                "trends": (trend["accounts"], sum(trend["posts"])) == (2, 3),
                "suggestions": "bình" in names(node.call("suggestions")["suggestions"]),
            }.items()
            if is_there
        }

    everywhere = shown()
    assert everywhere == SHOWN["nothing"]
    for verdict, left in SHOWN.items():
        said = {"text": "ý", "order": "QĐ 12", "to": "sen"}
        made = node.call("decision.add", verdict=verdict, account="bình", posts=[uri], **said)
        assert shown() == left, verdict
        if "trends" not in left:
            (trend,) = node.call("trends", hours=2)["trends"]
            assert (trend["accounts"], sum(trend["posts"])) == (1, len(others))
        node.call("decision.undo", id=made["id"])
        assert shown() == everywhere, verdict


def test_no_trend_has_the_tag_of_a_hidden_or_withheld_post_until_it_is_back(node: LocalBackend) -> None:
    uri, author = node.call("post", text="#bậy", by="bình")["uri"], "bình"
    made = node.call("decision.add", verdict="hide", account=author, posts=[uri])
    assert node.call("trends")["trends"] == []
    node.call("decision.undo", id=made["id"])
    assert [row["tag"] for row in node.call("trends")["trends"]] == ["bậy"]
    node.call("content.withhold", uri=uri, order="QĐ 12")
    assert node.call("trends")["trends"] == []
    node.call("content.release", uri=uri)
    assert [row["tag"] for row in node.call("trends")["trends"]] == ["bậy"]


def test_many_accounts_are_read_in_one_call_each_once(node: LocalBackend) -> None:
    follow(node, an="bình", chi="bình")
    post = node.call("post", text="một", by="bình")["uri"]
    node.call("profile.set", fields={"bio": "x"}, by="bình")
    far = "did:banyan:z8cvJLQqC7kyuPRuvkwmDi4WfkbwwnMPH4iwoD25dEYcH"
    rows = node.call("profiles", accounts=["bình", "an", far, "bình"])["profiles"]
    assert [(row["name"], row["hosted"], row["held"]) for row in rows] == [
        ("bình", "bình", True),
        ("an", "an", True),
        ("", None, False),
    ]
    first, second, unknown = rows
    assert (first["followers"], first["posts"], first["fields"]["bio"], first["locked"]) == (2, 1, "x", False)
    assert abs(first["born_ms"] - time.time() * 1_000) < 60_000
    assert first["last_post_ms"] == node.call("thread", uri=post)["posts"][0]["time_ms"]
    assert (second["last_post_ms"], unknown["born_ms"], unknown["account"]) == (None, None, far)
    node.call("lock", by="bình")
    assert node.call("profiles", accounts=["bình"])["profiles"][0]["locked"]
    with pytest.raises(CallError, match="profiles takes"):
        node.call("profiles", accounts=[])


def test_a_handle_is_confirmed_by_a_platform_that_the_own_account_follows(node: LocalBackend) -> None:
    node.call("handle.domain", domain="chi.example", by="chi")
    node.call("handle.claim", handle="dung@chi.example", by="dung")
    node.call("handle.confirm", handle="dung@chi.example", account="dung", by="chi")
    (row,) = node.call("profiles", accounts=["dung"])["profiles"]
    assert (row["handle"]["handle"], len(row["handle"]["platforms"]), row["confirmed"]) == (
        "dung@chi.example",
        1,
        False,
    )
    follow(node, an="chi")
    assert node.call("profiles", accounts=["dung"])["profiles"][0]["confirmed"]


def test_how_many_accounts_stand_to_one_another_is_read_in_one_call(node: LocalBackend) -> None:
    node.call("lock", by="chi")
    follow(node, an="bình chi", chi="an")
    node.call("lock")
    follow(node, dung="an")
    node.call("mute", account="em", until=1 << 50)
    node.call("block", account="an", by="em")
    node.call("note.set", account="em", text="hàng xóm")
    rows = node.call("relationships", accounts=["bình", "chi", "dung", "em"])["relationships"]
    assert [(row["following"], row["requested"]) for row in rows[:2]] == [(True, False), (False, True)]
    assert [row["followed_by"] for row in rows[:2]] == [False, True], "who followed when it was locked stays"
    assert (rows[2]["followed_by"], rows[2]["requested_by"]) == (False, True)
    em = rows[3]
    assert (em["muting"], em["muting_until"], em["blocked_by"], em["note"]) == (True, 1 << 50, True, "hàng xóm")
    node.call("follow.refuse", account="dung")
    node.call("follow.accept", account="an", by="chi")
    rows = node.call("relationships", accounts=["chi", "dung"])["relationships"]
    assert (rows[0]["following"], rows[0]["requested"], rows[1]["requested_by"]) == (True, False, False)


def test_accounts_are_found_by_the_beginnings_of_the_words_of_their_names(node: LocalBackend) -> None:
    node.call("profile.set", fields={"name": "Bình Minh", "handle": "sun@chi.example"}, by="bình")
    node.call("profile.set", fields={"name": "An Bính"}, by="dung")

    def found(text: str, **given: Any) -> list[str]:
        return names(node.call("accounts.search", text=text, **given)["accounts"])

    assert sorted(found("binh")) == ["An Bính", "Bình Minh"]
    assert found("bình") == ["Bình Minh"], "marks are meant"
    assert found("min bin") == ["Bình Minh"]
    assert found("inh") == []
    assert found("sun") == ["Bình Minh"]
    assert found("@giang") == ["giang"]
    follow(node, an="dung", chi="bình", em="bình")
    assert found("binh") == ["An Bính", "Bình Minh"]
    assert found("binh", by="chi") == ["Bình Minh", "An Bính"]
    assert found("binh", following=True) == ["An Bính"]
    assert found("binh", limit=1, skip=1) == ["Bình Minh"]
    node.call("mute", account="dung")
    assert found("binh") == ["Bình Minh"]
    node.call("mute", account="dung", undo=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("banyan_node.api.methods.posts.search.SCANNED", 0)
        assert found("bìn") == ["Bình Minh"], "what it is hosted as is found without looking at each"
        assert found("minh") == []
    with pytest.raises(CallError, match="a word of a name"):
        found("@ -")


def test_notifications_of_one_account_are_told_apart(node: LocalBackend) -> None:
    follow(node, bình="an", chi="an")
    assert node.call("notifications", of="chi")["notices"][0]["accounts"][0]["name"] == "chi"
    assert len(node.call("notifications", of="chi", each=True)["notices"]) == 1
    assert node.call("notifications", of="dung")["notices"] == []
