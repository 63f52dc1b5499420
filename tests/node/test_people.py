"""How accounts stand to one another, whom one might follow, and what people talk about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
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
        patched.setattr("banyan_node.api.methods.people.now_ms", lambda: int(later))
        assert node.call("trends", hours=2)["trends"] == []
