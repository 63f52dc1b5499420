"""The profile on the command line: texts and pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_cli import errors
from tests.cli.shell import Ran, banyan
from tests.node.pictures import bomb, photo


def run(home: Path, *words: object) -> Ran:
    return banyan("--home", home, *words)


def ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def test_pictures_are_set_shown_saved_and_taken_away(home: Path, tmp_path: Path) -> None:
    face, wide = photo(tmp_path / "a.jpg"), photo(tmp_path / "b.jpg", 900, 300)
    said = ("bio=mèo", "--avatar", face, "--avatar-alt", "Em\x1b[31m và mèo", "--banner", wide)
    assert ok(run(home, "profile", "set", *said)).out == "The profile says bio, avatar, banner now.\n"
    found = ok(run(home, "profile", "--json")).json
    avatar, banner = (found["pictures"][name] for name in ("avatar", "banner"))
    assert found["fields"]["bio"] == "mèo"
    assert not {"avatar", "banner"} & found["fields"].keys()
    shown = ok(run(home, "profile")).out
    assert "avatar: ▣ picture (jpeg), 960 x 1,280, " in shown
    assert f" và mèo  {avatar['blob'][:12]}\n" in shown
    assert "\x1b[31m" not in shown
    assert f"banner: ▣ picture (jpeg), 300 x 900, {banner['size'] / 1000:.1f} kB  {banner['blob'][:12]}\n" in shown
    ok(run(home, "media", "save", avatar["blob"][:12], tmp_path / "again.jpg"))
    assert (tmp_path / "again.jpg").stat().st_size == avatar["size"]
    assert "avatar" in ok(run(home, "media", "show", avatar["blob"])).out
    assert "nothing names it" not in ok(run(home, "media", "list")).out
    assert ok(run(home, "profile", "set", "x=y", "--no-avatar")).out == (
        "The profile says x now. It has no avatar now.\n"
    )
    assert list(ok(run(home, "profile", "--json")).json["pictures"]) == ["banner"]
    assert "avatar" not in ok(run(home, "profile", "show")).out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Nothing is to be set; write, for example, name='Minh Anh' or --avatar FILE."),
        (("avatar=x",), "'avatar' is a picture; give its file: --avatar FILE."),
        (("--avatar-alt", "x"), "--avatar-alt describes the file of --avatar; give both."),
        (("--banner", "x.jpg", "--no-banner"), "--banner and --no-banner exclude one another; choose one."),
    ],
)
def test_what_cannot_be_set_is_said(home: Path, words: tuple[str, ...], says: str) -> None:
    ran = run(home, "profile", "set", *words)
    assert (ran.code, ran.err) == (errors.USAGE, f"banyan: {says}\n")


def test_nothing_is_set_if_a_picture_is_refused(home: Path, tmp_path: Path) -> None:
    said = ("bio=x", "--banner", photo(tmp_path / "a.jpg", 300, 200), "--avatar", bomb(tmp_path / "b.png"))
    ran = run(home, "profile", "set", *said)
    assert ran.code == errors.USAGE
    assert "at most 100 million are decoded" in ran.err
    found = ok(run(home, "profile", "--json")).json
    assert (found["pictures"], "bio" in found["fields"]) == ({}, False)
