"""Takeout of YouTube, in English and in Vietnamese."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_cli.importing import youtube
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.moved import PRIVATE, Found, Item, Left, ProfileLine, Tie
from tests.cli.moving import made
from tests.cli.shell import banyan


def found(path: Path) -> list[Found]:
    with open_archive(path, youtube.wants) as archive:
        return list(youtube.reading(archive).read())


@pytest.mark.parametrize("vietnamese", [False, True])
def test_comments_and_subscriptions_are_found_in_any_language(tmp_path: Path, vietnamese: bool) -> None:
    out = found(made.zipped(tmp_path / "t.zip", made.youtube(vietnamese)))
    first, second = (f for f in out if isinstance(f, Item) and not f.id.startswith("video:"))
    assert (first.text, second.text) == ("Bài hát hay quá!", "Nghe lại lần nữa")
    assert second.parent == first.id
    assert first.answers == f"https://www.youtube.com/watch?v={made.VIDEO}&lc={first.id}"
    assert first.time_ms == 1_619_863_200_123
    assert [f.who for f in out if isinstance(f, Tie)] == [("Kênh của Bình", made.CHANNEL)]


def test_public_videos_come_and_the_others_and_playlists_are_counted(tmp_path: Path) -> None:
    out = found(made.tarred(tmp_path / "t.tgz", made.youtube()))
    (video,) = [f for f in out if isinstance(f, Item) and f.id.startswith("video:")]
    assert video.text == f"Phở bò\n\nCách nấu phở\n\nhttps://www.youtube.com/watch?v={made.VIDEO}"
    assert sorted(f.why for f in out if isinstance(f, Left)) == sorted([PRIVATE, PRIVATE, youtube.PLAYLISTS])
    assert ProfileLine("name", "An nấu ăn") in out


def test_takeout_comes_with_the_conversation_and_the_place_of_a_comment(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = made.zipped(tmp_path / "t.zip", made.youtube())
    told = banyan("import", "youtube", path, "--home", home, "--json").json
    assert told["table"]["posts"]["came"] == 3
    newest = banyan("feed", "--home", home, "--json").lines[0]
    assert newest["text"] == "Nghe lại lần nữa"  # what it answers is here
    thread = banyan("thread", newest["uri"], "--home", home, "--json").json["posts"]
    assert "↪ https://www.youtube.com/watch" in thread[0]["text"]
