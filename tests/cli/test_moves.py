"""`banyan move` without a running node."""

from __future__ import annotations

from pathlib import Path

from banyan_cli import errors
from tests.cli.shell import Ran, banyan


def test_an_account_goes_on_as_another_one(home: Path) -> None:
    def run(*words: str) -> Ran:
        ran = banyan("--home", home, *words)
        assert ran.code == 0, ran.err + ran.out
        return ran

    for name in ("Minh2", "Lan"):
        run("account", "create", name)
    run("follow", "Minh", "--as", "Lan")
    assert banyan("--home", home, "move", "to", "Minh2").code == errors.FAILED
    assert "Now say `banyan move to` as the old account" in run("move", "from", "Minh", "--as", "Minh2").out
    assert "your followers are told" in run("move", "to", "Minh2").out
    assert "moved to Minh2" in run("profile", "show", "Minh").out
    assert "was Minh" in run("profile", "show", "Minh2").out
    assert "Minh moved, and goes on as Minh2" in run("notifications", "--as", "Lan").out
    assert run("move", "to", "Minh2", "--undo").out == "Taken back.\n"
    assert run("notifications", "--as", "Lan").err == "Nothing yet.\n"
