"""`banyan playlist` without a running node."""

from __future__ import annotations

from pathlib import Path

from banyan_cli import errors
from tests.cli.shell import Ran, banyan


def test_a_playlist_from_its_beginning_to_its_end(home: Path) -> None:
    def run(*words: str) -> Ran:
        ran = banyan("--home", home, *words)
        assert ran.code == 0, ran.err + ran.out
        return ran

    run("account", "create", "Lan")
    a, b = (run("post", text, "--json").json["uri"] for text in ("một", "hai"))
    uri = run("playlist", "create", "Tối nay", a, "--json").json["uri"]
    assert run("playlist", "add", "Tối nay", b).out == "Tối nay has 2 posts.\n"
    run("playlist", "order", uri, b, a)
    assert [one["post"]["text"] for one in run("playlist", "show", uri, "--json").json["posts"]] == ["hai", "một"]
    run("delete", a)
    assert "(deleted)" in run("playlist", "show", "Tối nay").out
    run("playlist", "remove", uri, a)
    run("playlist", "set", uri, "--title", "Mai")
    assert [(row["title"], row["posts"]) for row in run("playlist", "ls", "--json").lines] == [("Mai", 1)]
    assert "Mai" in run("playlist", "ls").out
    assert banyan("--home", home, "playlist", "drop", uri).code == errors.USAGE
    run("playlist", "drop", uri, "--yes")
    assert run("playlist", "ls").err.startswith("No playlists")
