"""A conversation stays when its first post is deleted, and operators see what they withhold."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from banyan_cli.commands import stores
from tests.cli.shell import banyan


def test_deleting_the_first_post_of_a_thread_leaves_others_answers_and_says_so(home: Path) -> None:
    assert banyan("--home", home, "account", "create", "Lan").code == 0
    first = banyan("--home", home, "--json", "post", "một").json["uri"]
    answer = banyan("--home", home, "--json", "reply", first, "hai", "--as", "Lan").json["uri"]
    below = banyan("--home", home, "--json", "reply", answer, "ba").json["uri"]
    ran = banyan("--home", home, "delete", first)
    assert "1 answer to it stays, and the thread says that you deleted the post above." in ran.out
    for asked in (first, answer, below):
        page = banyan("--home", home, "--json", "thread", asked).json
        assert [p["text"] for p in page["posts"]] == ["hai", "ba"]
        assert (page["missing"], page["gone"]["word"]) == (first, "deleted")
        assert "a post that is deleted by its author" in banyan("--home", home, "thread", asked).out
    assert banyan("--home", home, "delete", first).err.endswith("is deleted by its author.\n")
    lone = banyan("--home", home, "--json", "post", "bốn").json["uri"]
    assert banyan("--home", home, "delete", lone).out == f"Deleted {lone[-8:]}.\n"
    ran = banyan("--home", home, "thread", lone)
    assert (ran.code, "is deleted by its author" in ran.err) == (1, True)


def test_what_is_withheld_is_listed_and_marked_until_it_is_released(home: Path) -> None:
    assert banyan("--home", home, "account", "create", "Lan").code == 0
    first = banyan("--home", home, "--json", "post", "một").json["uri"]
    answer = banyan("--home", home, "--json", "reply", first, "hai", "--as", "Lan").json["uri"]
    order = ("--order", "court 7/2027", "--basis", "law 12", "--days", "9")
    assert banyan("--home", home, "store", "withhold", first, *order).code == 0
    (row,) = banyan("--home", home, "--json", "store", "withheld").lines
    assert (row["uri"], row["order"], row["basis"], row["name"]) == (first, "court 7/2027", "law 12", "Minh")
    assert row["expires_ms"] > row["since_ms"] > 0
    assert first[-8:] in banyan("--home", home, "store", "withheld").out
    shown = banyan("--home", home, "thread", answer).out
    assert "a post that is withheld by this node: court 7/2027" in shown
    assert "hai" in shown
    assert "is withheld by this node: court 7/2027" in banyan("--home", home, "react", first, "👍").err
    assert banyan("--home", home, "store", "release", first[-8:]).code == 0
    assert banyan("--home", home, "--json", "store", "withheld").lines == []


def test_a_hosted_account_is_erased_by_who_types_its_name_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert banyan("--home", home, "account", "create", "Lan").code == 0
    assert banyan("--home", home, "post", "một", "--as", "Lan").code == 0
    ran = banyan("--home", home, "account", "erase", "Lan", "--reason", "her wish")
    assert (ran.code, "--confirm" in ran.err) == (2, True)
    erase = ("account", "erase", "Lan", "--reason", "her wish", "--confirm")
    assert "type it again" in banyan("--home", home, *erase, "lan").err
    ran = banyan("--home", home, *erase, "Lan")
    assert (ran.code, "The account is closed" in ran.out) == (0, True)
    assert "still here" in banyan("--home", home, "account", "erasure", "Lan").out
    monkeypatch.setattr(stores, "time", SimpleNamespace(time=lambda: time.time() + 3 * 86_400))
    assert "a running node erases it now" in banyan("--home", home, "store", "erasures").out
    doctor = {one["check"]: one["sentence"] for one in banyan("--home", home, "doctor", "--json").json["checks"]}
    assert doctor["erasures"] == "1 account will be erased here: `banyan store erasures` says when."
    (row,) = banyan("--home", home, "--json", "store", "erasures").lines
    assert (row["state"], row["reason"], row["peers"]) == ("waits", "her wish", [])
    assert "hosted here" in banyan("--home", home, "store", "erase", "Lan").err
    assert "not to be erased" in banyan("--home", home, "account", "erasure", "Lan", "--undo").out
    assert "No account asks" in banyan("--home", home, "store", "erasures").err
