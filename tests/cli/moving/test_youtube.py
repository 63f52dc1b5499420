"""Takeout of YouTube, in English and in Vietnamese."""

from __future__ import annotations

from pathlib import Path

import pytest

from banyan_cli.importing import streams, youtube
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.model import BROKEN, PRIVATE, Found, Item, Omission, ProfileLine, Tie
from banyan_cli.importing.streams import REST
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


HEAD = (
    "Channel ID",
    "Comment Create Timestamp",
    "Price",
    "Comment ID",
    "Parent Comment ID",
    "Video ID",
    "Comment Text",
)
OTHER_HEAD = ("Kênh", "Thời gian", "Giá", "Mã nhận xét", "Nhận xét mẹ", "Video", "Văn bản")
WHEN = "2023-04-14T07:39:35.956042+00:00"
ME, FIRST = "UC" + "a" * 22, "UgytHqobEtqoKm_-pYB4AaABAg"


@pytest.mark.parametrize("head", [HEAD, OTHER_HEAD])
def test_comments_are_found_in_any_order_of_columns(tmp_path: Path, head: tuple[str, ...]) -> None:
    rows = [
        (ME, WHEN, "0", FIRST, "", made.VIDEO, '{"text":"một "},{"text":"\\n"},{"text":"hai"}'),
        (ME, WHEN, "0", FIRST + ".9abcdefghij", FIRST, made.VIDEO, "chữ thường"),
    ]
    for order in ([0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0]):
        turned = [tuple(row[n] for n in order) for row in (head, *rows)]
        files = {**made.youtube(), "Takeout/YouTube/comments/comments(1).csv": made.table(*turned)}
        out = [f for f in found(made.zipped(tmp_path / "t.zip", files)) if isinstance(f, Item) and FIRST in f.id]
        assert [(f.text, f.parent, f.time_ms) for f in out] == [
            ("một \nhai", None, 1_681_457_975_956),
            ("chữ thường", FIRST, 1_681_457_975_956),
        ]
        assert out[0].link == f"https://www.youtube.com/watch?v={made.VIDEO}&lc={FIRST}"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('{"takeoutSegments":[{"text":"coalowl "},{"text":"huyền thoại"}]}', "coalowl huyền thoại"),
        ('{"text":"\\u003e chôn"},{"text":"\\n"},{"text":"xong"}', "> chôn\nxong"),
        ('[{"text":"một"},{"text":" hai"}]', "một hai"),
        ("[sic] 1,2", "[sic] 1,2"),
        ("[1,2]", "[1,2]"),
        ('{"text":7},{"mention":"x"}', None),
        ("", None),
    ],
)
@pytest.mark.parametrize("head", [HEAD, OTHER_HEAD])
def test_a_cell_of_a_comment_becomes_its_text(
    tmp_path: Path, head: tuple[str, ...], cell: str, text: str | None
) -> None:
    path = tmp_path / "comments.csv"
    path.write_bytes(made.table(head, (ME, WHEN, "0", FIRST, "", made.VIDEO, cell)))
    (out,) = found(path)
    assert isinstance(out, Item | Omission)
    assert (out.text if isinstance(out, Item) else out.why) == (text or BROKEN)


def test_comments_that_are_not_understood_are_named(tmp_path: Path) -> None:
    odd = made.table(("When", "What"), (WHEN, "mất"), (WHEN, "hai"))
    files = {**made.youtube(), "Takeout/YouTube/comments/comments(1).csv": odd}
    out = [
        f for f in found(made.zipped(tmp_path / "t.zip", files)) if isinstance(f, Omission) and f.why == youtube.UNREAD
    ]
    assert [(f.place, f.name) for f in out] == [
        (f"Takeout/YouTube/comments/comments(1).csv, line {n}", "its columns: when, what") for n in (2, 3)
    ]


def test_a_table_that_cannot_be_read_to_its_end_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_FIELD", 100)
    rows = [(ME, WHEN, "0", f"{FIRST}{n}", "", made.VIDEO, "x" * 101 if n == 1 else "hay") for n in range(3)]
    path = tmp_path / "comments.csv"
    path.write_bytes(made.table(HEAD, *rows))
    first, rest = found(path)
    assert isinstance(first, Item)
    assert (first.text, rest) == (
        "hay",
        Omission(BROKEN, f"{path.name}, line 3", f"field larger than field limit (100){REST}"),
    )


def test_public_videos_come_and_the_others_and_playlists_are_counted(tmp_path: Path) -> None:
    out = found(made.tarred(tmp_path / "t.tgz", made.youtube()))
    (video,) = [f for f in out if isinstance(f, Item) and f.id.startswith("video:")]
    assert video.text == f"Phở bò\n\nCách nấu phở\n\nhttps://www.youtube.com/watch?v={made.VIDEO}"
    assert sorted(f.why for f in out if isinstance(f, Omission)) == sorted([PRIVATE, PRIVATE, youtube.PLAYLISTS])
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
