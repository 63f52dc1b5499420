"""`banyan lock` and `banyan followers` without a running node."""

from __future__ import annotations

from pathlib import Path

from tests.cli.shell import Ran, banyan


def test_a_locked_account_is_asked_first(home: Path) -> None:
    def run(*words: str) -> Ran:
        ran = banyan("--home", home, *words)
        assert ran.code == 0, ran.err + ran.out
        return ran

    run("account", "create", "Lan")
    assert run("lock").out.startswith("Locked: `banyan followers requests` shows who asks.")
    assert run("follow", "Minh", "--as", "Lan").out.startswith("Asked to follow did:banyan:z")
    assert "Lan asked to follow you" in run("notifications").out
    assert [row["name"] for row in run("followers", "requests", "--json").lines] == ["Lan"]
    assert run("followers", "ls").err == "No followers yet.\n"
    assert run("followers", "accept", "Lan").out == "Accepted.\n"
    assert "accepted you as a follower" in run("notifications", "--as", "Lan").out
    assert "Lan" in run("followers", "ls").out
    run("followers", "refuse", "Lan")
    assert run("followers", "requests").err == "Nobody waits.\n"
    assert run("lock", "--undo").out == "Unlocked: whoever follows you does.\n"
