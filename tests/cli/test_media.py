"""Pictures and films on the command line, without a node and with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from banyan_cli import errors
from tests.cli.shell import Ran, banyan
from tests.node.pictures import bomb, film, photo


def _ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def test_a_post_with_pictures_is_shown_with_a_line_for_each_and_saved_again(home: Path, tmp_path: Path) -> None:
    cat, sea = photo(tmp_path / "cat.jpg"), film(tmp_path / "sea.mp4", 300_000)
    said = ("post", "nghỉ hè", "--media", cat, "--alt", "a cat\x1b[31m", "--media", sea)
    posted = _ok(banyan("--home", home, *said))
    assert "sea.mp4: It is posted as it is, with all that was written into it, such as the place." in posted.err
    shown = _ok(banyan("--home", home, "feed")).out
    assert "▣ picture (jpeg), 960 x 1,280, " in shown
    assert "a cat" in shown
    assert "\x1b[31m" not in shown
    assert "▣ film (mp4), 300.0 kB" in shown
    (row,) = _ok(banyan("--home", home, "feed", "--json")).lines
    picture, clip = row["media"]
    saved = tmp_path / "again.mp4"
    _ok(banyan("--home", home, "media", "save", clip["blob"][:8], saved))
    assert saved.read_bytes() == sea.read_bytes()
    ran = banyan("--home", home, "media", "save", clip["blob"], saved)
    assert (ran.code, ran.err) == (
        errors.USAGE,
        f"banyan: {saved} exists; name another file, or write over it with --force.\n",
    )
    rows = _ok(banyan("--home", home, "media", "list", "--json")).lines
    assert {r["blob"] for r in rows} == {picture["blob"], picture["preview"], clip["blob"]}
    found = _ok(banyan("--home", home, "media", "show", picture["blob"], "--json")).json
    assert (found["posts"], found["description"]) == ([row["uri"]], picture["description"])
    assert "all of it" in _ok(banyan("--home", home, "media", "show", picture["blob"])).out
    stats = _ok(banyan("--home", home, "store", "stats", "--json")).json
    assert (stats["media"], stats["media_bytes"]) == (3, sum(r["size"] for r in rows))
    assert "3 pictures and films take" in banyan("--home", home, "doctor").out


def test_a_picture_may_be_all_that_a_post_says_and_stands_behind_a_warning(home: Path, tmp_path: Path) -> None:
    cat = photo(tmp_path / "cat.jpg", 300, 200)
    uri = _ok(banyan("--home", home, "post", "", "--media", cat, "--warning", "teeth", "--json")).json["uri"]
    shown = _ok(banyan("--home", home, "feed")).out
    assert "teeth" in shown
    assert "▣" not in shown
    assert "▣ picture" in _ok(banyan("--home", home, "thread", uri)).out


def test_a_draft_takes_pictures_as_a_post_does_and_keeps_them_when_its_text_changes(home: Path, tmp_path: Path) -> None:
    cat = photo(tmp_path / "cat.jpg", 300, 200)
    draft = _ok(banyan("--home", home, "draft", "add", "", "--media", cat, "--alt", "a cat", "--json")).json["id"]
    shown = _ok(banyan("--home", home, "draft", "ls")).out
    assert "▣ picture (jpeg), 200 x 300, " in shown
    assert "a cat" in shown
    _ok(banyan("--home", home, "draft", "add", "mèo", "--replace", draft[:8]))
    (row,) = _ok(banyan("--home", home, "draft", "ls", "--json")).lines
    assert (row["text"], [item["description"] for item in row["media"]]) == ("mèo", ["a cat"])
    assert banyan("--home", home, "draft", "add", "").code == errors.USAGE
    assert _ok(banyan("--home", home, "feed", "--json")).lines == []
    _ok(banyan("--home", home, "draft", "publish", draft))
    (post,) = _ok(banyan("--home", home, "feed", "--json")).lines
    assert (post["text"], post["media"]) == ("mèo", row["media"])


def test_nothing_is_posted_if_one_of_the_files_is_refused(home: Path, tmp_path: Path) -> None:
    said = ("post", "two", "--media", photo(tmp_path / "cat.jpg"), "--media", bomb(tmp_path / "b.png"))
    ran = banyan("--home", home, *said)
    assert ran.code == errors.USAGE
    assert ran.err.endswith("The file 'b.png' has 50,000 x 50,000 pixels; at most 100 million are decoded.\n")
    assert _ok(banyan("--home", home, "feed", "--json")).lines == []
    ran = banyan("--home", home, "post", "x", "--alt", "nothing")
    assert ran.err == "banyan: There are 1 --alt and 0 --media; give each file before its description.\n"
    assert banyan("--home", home, "post", "").code == errors.USAGE


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "no"), "'no' is no blob: give at least 8 of its hexadecimal digits, as a post shows them."),
        (("show", "0" * 8), "No blob that is here, or that held content names, begins with 00000000."),
        (("fetch", "ab" * 32), "The blob abababababababab... is not here, and nothing that is held names it."),
        (("drop", "ab" * 32), "The blob abababababababab... is not here, and nothing that is held names it."),
    ],
)
def test_what_is_no_blob_is_said(home: Path, words: tuple[str, str], says: str) -> None:
    ran = banyan("--home", home, "media", *words)
    assert ran.code != 0
    assert ran.err == f"banyan: {says}\n"


def test_what_was_added_is_pinned_dropped_and_posted_by_a_program(home: Path, tmp_path: Path) -> None:
    added = _ok(banyan("--home", home, "media", "add", film(tmp_path / "a.mp4", 5_000), "--json")).json
    assert "nothing names it" in _ok(banyan("--home", home, "media", "list")).out
    _ok(banyan("--home", home, "media", "pin", added["blob"][:9]))
    assert "pinned" in _ok(banyan("--home", home, "media", "list")).out
    _ok(banyan("--home", home, "media", "pin", added["blob"], "--undo"))
    dropped = _ok(banyan("--home", home, "media", "drop", added["blob"])).out
    assert dropped == f"Dropped {added['blob'][:16]}: 5.0 kB are free again.\n"
    assert _ok(banyan("--home", home, "media", "list")).err == "No pictures or films are here.\n"
    assert json.dumps(added)
