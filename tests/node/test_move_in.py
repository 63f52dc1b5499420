"""Moving in through the methods, on real stores: keys of items, threads, ties, and what is not brought twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.entry import MAX_PART_BYTES
from banyan_crdt.realm import MAIN, REALMS, TEST
from banyan_node.api import LocalBackend
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.home.settings import load
from banyan_node.hosting.entry_writer import packed
from banyan_node.hosting.move_in import moved_key, split
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_schema.social import MAX_TEXT, Post, post_key, write_post

THEN = 1_600_000_000_000


@contextmanager
def opened(folder: Path) -> Iterator[LocalBackend]:
    home = Home(folder / "home")
    home.prepare()
    Keystore.create(home.keys)
    with open_local(home, load(home)) as found:
        for name in ("an", "binh"):
            found.call("account.create", name=name, hosted=True)
        yield found


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    with opened(tmp_path) as found:
        yield found


def said(number: int, text: str = "", **more: Any) -> dict[str, Any]:
    return {"id": f"n{number}", "text": text or f"Chào số {number}", "time_ms": THEN + number, **more}


def move(backend: LocalBackend, *posts: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = backend.call("move.posts", service="x", by="an", posts=list(posts), **more)
    found: list[dict[str, Any]] = answer["posts"]
    return found


def tie(backend: LocalBackend, *ties: dict[str, Any], **more: Any) -> list[str]:
    found: list[str] = backend.call("move.ties", service="x", by="an", ties=list(ties), **more)["states"]
    return found


def shown(backend: LocalBackend, account: str = "an") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = backend.call("feed", account=account, limit=1000)["posts"]
    return found


def test_posts_keep_their_time_their_words_and_the_conversation(backend: LocalBackend) -> None:
    first, second, third = move(
        backend,
        said(1, "Một #hà_nội", lang="vi", warning="ồn ào", audience="unlisted"),
        said(2, "Hai", parent="n1", root="n1", tags=["#Phở", "no tag at all"]),
        said(3, "Ba", parent="n2", root="n1"),
    )
    assert [row["state"] for row in (first, second, third)] == ["came"] * 3
    thread = backend.call("thread", uri=first["uri"])["posts"]
    assert [(p["text"], p["depth"], p["time_ms"]) for p in thread] == [
        ("Một #hà_nội", 0, THEN + 1),
        ("Hai", 1, THEN + 2),
        ("Ba", 2, THEN + 3),
    ]
    one, two = thread[:2]
    assert (one["lang"], one["warning"], one["audience"], one["tags"]) == ("vi", "ồn ào", "unlisted", ["hà_nội"])
    assert two["tags"] == ["Phở"]
    assert backend.call("store.verify")["problems"] == []


def test_what_comes_again_is_here_already_and_only_what_is_new_is_written(backend: LocalBackend) -> None:
    before = move(backend, said(1), said(2))
    digest = backend.call("digest")
    again = move(backend, said(1, "another text now"), said(2))
    assert [row["state"] for row in again] == ["here", "here"]
    assert [row["uri"] for row in again] == [row["uri"] for row in before]
    assert backend.call("digest") == digest
    assert [row["state"] for row in move(backend, said(2), said(3), said(3))] == ["here", "came", "here"]
    assert len(shown(backend)) == 3


def test_a_post_that_was_deleted_here_stays_deleted(backend: LocalBackend) -> None:
    (row,) = move(backend, said(1))
    backend.call("delete", uri=row["uri"])
    digest = backend.call("digest")
    assert move(backend, said(1))[0]["state"] == "deleted"
    assert backend.call("digest") == digest
    assert shown(backend) == []


def test_two_accounts_and_two_services_have_posts_of_their_own_for_one_id(backend: LocalBackend) -> None:
    uris = {
        backend.call("move.posts", service=service, by=by, posts=[said(1)])["posts"][0]["uri"]
        for service in ("x", "y")
        for by in ("an", "binh")
    }
    assert len(uris) == 4


def test_a_dry_run_answers_the_same_and_writes_nothing(backend: LocalBackend) -> None:
    move(backend, said(1))
    digest = backend.call("digest")
    assert [row["state"] for row in move(backend, said(1), said(2), dry=True)] == ["here", "came"]
    assert tie(backend, {"kind": "follow", "account": "binh"}, dry=True) == ["came"]
    assert tie(backend, {"kind": "follow", "account": "binh"}, dry=True) == ["came"]
    assert backend.call("move.profile", by="an", fields={"bio": "x"}, dry=True)["came"] == ["bio"]
    assert backend.call("digest") == digest


def test_hundreds_of_posts_are_one_entry_and_ten_thousand_are_no_wall(backend: LocalBackend) -> None:
    entries = 0
    for start in range(0, 11_000, 2_000):
        rows = [said(n) for n in range(start, min(start + 2_000, 11_000))]
        entries += backend.call("move.posts", service="x", by="an", posts=rows)["entries"]
    assert backend.call("graph.stats")["posts"] == 11_000 > TEST.entry_burst
    assert entries < 11_000 / 200


def test_a_long_text_becomes_a_thread_in_which_each_part_answers_the_one_before(backend: LocalBackend) -> None:
    text = "\n\n".join(f"Đoạn {n}: " + "trăm năm trong cõi người ta " * 40 for n in range(90))
    assert len(text.encode()) > 3 * MAX_TEXT
    (row,) = move(backend, said(1, text, warning="dài"))
    thread = backend.call("thread", uri=row["uri"])["posts"]
    assert row["parts"] == len(thread) == 4
    assert [p["depth"] for p in thread] == [0, 1, 2, 3]
    assert " ".join(p["text"] for p in thread).split() == text.split()
    assert {p["warning"] for p in thread} == {"dài"}
    assert all(p["text"].startswith("Đoạn") for p in thread)


def test_no_part_begins_with_a_mark_or_is_too_long() -> None:
    text = "e\u0323\u0302" * 5_000
    for most in range(997, 1_003):  # five bytes a letter
        parts = split(text, most)
        assert "".join(parts) == text
        assert all(part[0] == "e" and len(part.encode()) <= most for part in parts)
    assert "".join(split("\u0301" * 5_000, 1_000)) == "\u0301" * 5_000
    assert split("", 10) == split("  ", 1) == []


@pytest.mark.parametrize("time_ms", [None, -1, 1 << 47, -(1 << 80)])
def test_a_date_that_cannot_be_is_left_out(backend: LocalBackend, time_ms: int | None) -> None:
    (row,) = move(backend, {"id": "1", "text": "x", "time_ms": time_ms})
    assert (row["state"], row["dated"]) == ("came", False)
    (post,) = shown(backend)
    assert (
        abs(post["time_ms"] - backend.call("status")["now_ms"]) < 60_000 if "now_ms" in backend.call("status") else True
    )
    assert post["time_ms"] > 1_767_225_600_000


def test_posts_without_a_date_keep_their_order(backend: LocalBackend) -> None:
    move(backend, *({"id": str(n), "text": f"dòng {n}"} for n in range(50)))
    assert [p["text"] for p in shown(backend)] == [f"dòng {n}" for n in reversed(range(50))]


def test_the_key_of_an_item_is_the_same_for_ever() -> None:
    """Another one would bring every archive a second time."""
    assert moved_key(bytes(32), "twitter", "1300000000000000001").hex() == "ffb153e8bd75c68055e8a4ef498f8bd5"
    assert moved_key(bytes(32), "twitter", "1300000000000000001", 1).hex() == "cbd7a8a0961f653ddbf5d8d55f9d5a74"


def test_a_post_that_cannot_come_is_refused_alone(backend: LocalBackend) -> None:
    empty, long, good = move(backend, said(1, " \n"), said(2, "x" * (1 << 20) + "y"), said(3, lang="x" * 99))
    assert (empty["state"], empty["why"]) == ("refused", "it has no text")
    assert (long["state"], long["why"]) == ("refused", "its text has more than 1,048,576 bytes")
    assert good["state"] == "came"


def test_marks_without_end_do_not_hold_the_node_up(backend: LocalBackend) -> None:
    began = time.process_time()
    marks = "e" + "\u0301\u0327" * 100_000
    row, fine = move(backend, said(1, marks), said(2, "e\u0323\u0302 " * 20_000))
    assert (row["state"], row["why"]) == ("refused", "it has more than 64 marks on one letter")
    assert fine["state"] == "came"
    backend.call("move.profile", by="an", fields={"bio": marks})
    assert time.process_time() - began < 5


def test_follows_blocks_mutes_and_lists_come_once_and_what_was_undone_here_stays_so(backend: LocalBackend) -> None:
    backend.call("account.create", name="chi", hosted=True)
    ties: list[dict[str, Any]] = [
        {"kind": "follow", "account": "binh"},
        {"kind": "block", "account": "chi"},
        {"kind": "mute", "account": "binh"},
        {"kind": "member", "account": "binh", "title": "Bạn bè"},
    ]
    assert tie(backend, *ties) == ["came"] * 4
    digest = backend.call("digest")
    assert tie(backend, *ties) == ["here"] * 4
    assert backend.call("digest") == digest
    binh = backend.call("account.show", account="binh")["account"]
    assert [row["account"] for row in backend.call("mutes", by="an")["mutes"]] == [binh]
    (made,) = backend.call("lists", by="an")["lists"]
    assert (made["title"], made["members"]) == ("Bạn bè", 1)
    backend.call("unfollow", account="binh", by="an")
    backend.call("mute", account="binh", undo=True, by="an")
    backend.call("list.delete", id=made["id"], by="an")
    assert tie(backend, *ties) == ["undone", "here", "undone", "undone"]
    assert tie(backend, {"kind": "follow", "account": "an"}) == ["self"]


def test_nobody_is_followed_whom_one_blocks_or_who_blocks_one(backend: LocalBackend) -> None:
    def follow(who: str) -> dict[str, Any]:
        return {"kind": "follow", "account": who}

    def block(who: str) -> dict[str, Any]:
        return {"kind": "block", "account": who}

    def followed() -> int:
        return len(backend.call("following", account="an", by="an")["accounts"])

    backend.call("account.create", name="chi", hosted=True)
    assert tie(backend, follow("binh"), block("binh")) == ["blocked", "came"], "in one archive, in any order"
    assert tie(backend, follow("binh")) == ["blocked"]
    assert tie(backend, follow("chi")) == ["came"]
    assert followed() == 1
    assert tie(backend, block("chi")) == ["came"]
    assert followed() == 0, "a block ends the follow"
    backend.call("block", account="binh", by="an", undo=True)
    backend.call("block", account="an", by="binh")
    assert tie(backend, follow("binh")) == ["blocked"]
    backend.call("block", account="an", by="binh", undo=True)
    assert tie(backend, follow("binh")) == ["came"]


def test_reactions_reposts_and_bookmarks_come_where_the_post_is_here(backend: LocalBackend) -> None:
    (mine,) = move(backend, said(1))
    theirs = backend.call("move.posts", service="x", by="binh", posts=[said(2)])["posts"][0]
    states = tie(
        backend,
        {"kind": "react", "item": "n1", "emoji": "❤️"},
        {"kind": "bookmark", "item": "n2", "account": "binh"},
        {"kind": "repost", "item": "n2", "account": "binh"},
        {"kind": "repost", "item": "n3", "account": "binh"},
    )
    assert states == ["came", "came", "came", "missing"]
    assert [row["uri"] for row in backend.call("bookmarks", by="an")["bookmarks"]] == [theirs["uri"]]
    assert next(p for p in shown(backend) if p["uri"] == mine["uri"])["reactions"] == {"❤️": 1}
    backend.call("move.posts", service="x", by="binh", posts=[said(3)])
    assert tie(backend, {"kind": "repost", "item": "n3", "account": "binh"}) == ["came"]


def test_fields_of_the_profile_that_are_set_here_stay(backend: LocalBackend) -> None:
    backend.call("profile.set", by="an", fields={"bio": "của tôi"})
    fields = {"bio": "theirs", "city": "Huế", "empty": " ", "x" * 65: "long name", "long": "ă" * 3_000}
    assert backend.call("move.profile", by="an", fields=fields)["came"] == ["city", "long"]
    found = backend.call("profile.get", account="an")["fields"]
    assert (found["bio"], found["city"]) == ("của tôi", "Huế")
    assert found["long"].endswith("ă…")
    backend.call("profile.set", by="an", fields={"city": ""})
    assert backend.call("move.profile", by="an", fields={"city": "Huế"})["entries"] == 0


def test_ties_that_lack_their_other_end_are_refused_whole(backend: LocalBackend) -> None:
    for bad in ({"kind": "follow"}, {"kind": "react", "emoji": "x"}, {"kind": "follow", "account": "nobody"}):
        with pytest.raises(CallError):
            tie(backend, {"kind": "follow", "account": "binh"}, bad)
    assert tie(backend, {"kind": "follow", "account": "binh"}) == ["came"]


def test_a_log_that_is_full_is_named_with_the_time_when_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REALMS, "main", replace(MAIN, byte_burst=4 << 20))
    with opened(tmp_path) as backend:
        text, refused = "x" * 250_000, None
        for n in range(0, 20, 4):
            try:
                move(backend, *(said(n + k, text) for k in range(4)))
            except CallError as error:
                refused = error
                break
        assert refused is not None
        an = backend.call("account.show", account="an")["account"]
        assert refused.code == "refused"
        assert f"the log of {an} would hold" in str(refused)
        assert "there is room for them from 20" in str(refused)
        assert backend.call("store.verify")["problems"] == []


@pytest.mark.parametrize("size", [1, 200, 900, 20_000, MAX_TEXT])
def test_packed_entries_keep_within_the_limits_and_are_few(size: int) -> None:
    drafts = [write_post(post_key(bytes(32), bytes([n % 256, n // 256] * 8)), Post("x" * size)) for n in range(600)]
    made = packed(drafts)
    assert [op for entry in made for op in entry.ops] == [draft.op for draft in drafts]
    assert all(sum(len(c or b"") for c in entry.contents) < MAX_PART_BYTES for entry in made)
    assert len(made) <= max(600 * 75 // (16 << 10), 600 * (size + 60) // (64 << 10)) * 1.2 + 2 or size > 30_000
