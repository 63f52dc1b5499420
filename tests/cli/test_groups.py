"""`banyan group` without a running node: what a person types, and what is shown."""

from __future__ import annotations

from pathlib import Path

from banyan_cli import errors
from tests.cli.shell import Ran, banyan


def _ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def test_a_group_from_its_opening_to_its_end(home: Path) -> None:
    def run(*words: str) -> Ran:
        return _ok(banyan("--home", home, *words))

    for name in ("Bình", "Chi"):
        run("account", "create", name)
    uri = run("group", "create", "Vườn rau", "--kind", "request", "--rules", "Vui vẻ", "--json").json["uri"]
    digits = uri[-8:]
    assert run("group", "join", "Vườn rau", "--as", "Bình").out.startswith("Asked to join Vườn rau: its owner")
    assert "asked to join your group Vườn rau" in run("notifications").out
    assert [row["name"] for row in run("group", "requests", digits, "--json").lines] == ["Bình"]
    run("group", "accept", digits, "Bình")
    assert "accepted you into the group Vườn rau" in run("notifications", "--as", "Bình").out
    post = run("post", "Xin chào", "--group", "Vườn rau", "--as", "Bình", "--json").json["uri"]
    assert "in Vườn rau\nXin chào" in run("group", "feed", uri).out
    run("group", "pin", post)
    shown = run("group", "show", digits).out
    for word in ("Vườn rau", "request · 2 members · you own it", "rules: Vui vẻ", "pinned", "Xin chào"):
        assert word in shown
    run("group", "invite", digits, "Chi")
    assert "invited you to the group Vườn rau" in run("notifications", "--as", "Chi").out
    assert run("group", "join", digits, "--as", "Chi").out == "Joined Vườn rau.\n"
    run("group", "moderator", digits, "Chi")
    run("group", "remove", post, "--as", "Chi")
    assert run("group", "feed", digits).err == "No posts here yet: `banyan post --group`.\n"
    assert "You say now what it said: 1." in run("group", "moderator", digits, "Chi", "--undo").out
    run("group", "remove", post, "--undo")
    run("group", "ban", digits, "Chi")
    assert [row["name"] for row in run("group", "members", digits, "--json").lines] == ["Minh", "Bình"]
    run("group", "set", digits, "--name", "Vườn")
    assert [row["name"] for row in run("group", "ls", "Bình", "--json").lines] == ["Vườn"]
    assert "member" in run("group", "ls", "Bình").out
    assert run("group", "leave", digits, "--as", "Bình").out == "Left.\n"
    assert banyan("--home", home, "group", "delete", digits).code == errors.USAGE
    run("group", "delete", digits, "--yes")
    gone = banyan("--home", home, "group", "feed", uri)
    assert (gone.code, "deleted by its owner" in gone.err) == (errors.FAILED, True)


def test_what_is_no_group_or_no_kind_is_refused_in_a_sentence(home: Path) -> None:
    for words, says in (
        (("group", "show", "đâu đó"), "'đâu đó' is no group of yours or shown lately"),
        (("group", "create", "x", "--kind", "secret"), "'secret' is no kind of group; there are open, request, closed"),
        (("group", "create", " "), "The name of the group is empty"),
        (("group", "set", "x"), "Nothing is to be changed"),
        (("group", "moderator", "x", "Minh", "--drop"), "--drop goes with --undo"),
    ):
        ran = banyan("--home", home, *words)
        assert ran.code in (errors.USAGE, errors.FAILED), words
        assert says in ran.err
    for _ in range(2):
        _ok(banyan("--home", home, "group", "create", "đôi"))
    assert "'đôi' fits" in banyan("--home", home, "group", "show", "đôi").err
