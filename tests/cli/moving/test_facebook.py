"""A Facebook archive: its names repaired, its posts with captions and places, and what is not everybody's left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from banyan_cli.importing import facebook
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.facebook import repaired
from banyan_cli.importing.moved import Found, Item, Left, ProfileLine, Tie
from tests.cli.moving import made
from tests.cli.shell import banyan


def found(tmp_path: Path, files: made.Files, comments: bool = False) -> list[Found]:
    with open_archive(made.zipped(tmp_path / "f.zip", files), facebook.wants) as archive:
        return list(facebook.reading(archive, "unlisted", comments).read())


@pytest.mark.parametrize("text", ["Nguyễn Thị Ánh Tuyết", "ước gì 🌸", "plain", "Ђорђе", "日本", "nai\u0308ve"])
def test_every_text_is_repaired_whatever_its_script(text: str) -> None:
    broken = text.encode().decode("latin-1")
    assert repaired({broken: [broken, {"a": broken}], "n": 1}) == {text: [text, {"a": text}], "n": 1}
    assert repaired(text) == text  # what is right already stays


@pytest.mark.parametrize("new", [True, False])
def test_posts_friends_and_profile_are_found_under_new_and_old_names(tmp_path: Path, new: bool) -> None:
    out = found(tmp_path, made.facebook([made.status(1, "Hôm nay trời đẹp")], new))
    (post,) = [f for f in out if isinstance(f, Item)]
    assert (post.id, post.text, post.time_ms) == (f"post:{made.START + 1}", "Hôm nay trời đẹp", (made.START + 1) * 1000)
    assert post.audience == "unlisted"
    assert [f.who for f in out if isinstance(f, Tie)] == [("Trần Văn Bình",), ("Lê Thị Chi",)]
    assert [tuple(f) for f in out if isinstance(f, ProfileLine)] == [
        ("name", "Nguyễn Thị An"),
        ("bio", "Thích đọc sách"),
        ("city", "Hà Nội"),
    ]


def test_captions_links_places_and_events_are_part_of_a_post(tmp_path: Path) -> None:
    posts = [
        made.status(1, "Ở hồ", made.photo("a.jpg", "Ở hồ"), made.photo("b.jpg", "Hoa sữa")),
        made.status(2, None, made.photo("c.jpg", "Chỉ có ảnh")),
        made.status(3, "Đọc đi", {"external_context": {"name": "Báo", "url": "https://example.org/bao"}}),
        made.status(4, None, {"place": {"name": "Nhà hát Lớn", "coordinate": {"latitude": 21.0, "longitude": 105.8}}}),
        made.status(5, None, {"event": {"name": "Hội sách", "start_timestamp": 1}}),
        made.status(6, None),
    ]
    one, two, three, four, five, six = (f for f in found(tmp_path, made.facebook(posts)) if isinstance(f, Item))
    assert [m.description for m in one.media] == ["", "Hoa sữa"]
    assert (two.text, two.media[0].description) == ("", "Chỉ có ảnh")
    assert three.text == "Đọc đi\nhttps://example.org/bao"
    assert (four.text, five.text, six.text) == ("📍 Nhà hát Lớn", "📅 Hội sách", "")


def test_posts_of_one_second_stay_apart_and_keep_their_ids_in_a_newer_archive(tmp_path: Path) -> None:
    def ids(*texts: str) -> list[str]:
        out = found(tmp_path, made.facebook([made.status(1, text) for text in texts]))
        return [f.id for f in out if isinstance(f, Item)]

    assert ids("a", "b") == ids("a, edited since", "b") == [f"post:{made.START + 1}", f"post:{made.START + 1}:2"]


def test_groups_timelines_of_others_events_and_reactions_are_counted_and_stay_out(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "comments_and_reactions/comments.json": {
            "comments_v2": [made.comment(1, "hay quá"), made.comment(2, "kín", group="Lớp 12A")]
        },
        "comments_and_reactions/likes_and_reactions_1.json": [
            {
                "timestamp": 1,
                "data": [{"reaction": {"reaction": "LIKE", "actor": "An"}}],
                "title": "An likes Bình's post.",
            }
        ],
        "groups/group_posts_and_comments.json": {"group_posts_v2": [made.status(1, "trong nhóm")]},
        "groups/your_group_membership_activity.json": {"groups_joined_v2": [{"timestamp": 1, "title": "An joined X."}]},
        "events/your_event_responses.json": {
            "event_responses_v2": {"events_joined": [{"name": "Hội"}, {"name": "Tết"}]}
        },
        "posts/album/0.json": {"name": "Tết", "photos": [{"uri": "posts/media/t/1.jpg", "creation_timestamp": 1}]},
    }
    titles = (
        "Nguyễn Thị An wrote on Bình's timeline.",
        "An posted in Hội kín.",
        "An shared a link to the group: X.",
        "An đã đăng trong nhóm X.",
    )
    posts = [made.status(n, "Chúc mừng", title=title) for n, title in enumerate(titles)]
    out = found(tmp_path, made.facebook(posts, **more))
    assert [f for f in out if isinstance(f, Item)] == []
    assert sorted(f.why for f in out if isinstance(f, Left)) == sorted(
        [
            facebook.TIMELINES,
            facebook.COMMENTS,
            *[facebook.GROUPS] * 5,
            facebook.REACTIONS,
            facebook.MEMBERS,
            facebook.EVENTS,
            facebook.EVENTS,
            facebook.ALBUMS,
        ]
    )
    (said,) = [f for f in found(tmp_path, made.facebook(posts, **more), comments=True) if isinstance(f, Item)]
    assert (said.id, said.text) == (f"comment:{made.START + 1}", "hay quá")


def test_messages_and_addresses_are_never_read(tmp_path: Path) -> None:
    files = made.facebook([made.status(1, "x")])
    assert any("messages" in name for name in files)
    out = repr(found(tmp_path, files))
    assert "bí mật" not in out
    assert "example.org" not in out
    with open_archive(tmp_path / "f.zip", facebook.wants) as archive:
        assert not any("messages" in name for name in archive.files)


def test_who_may_see_the_posts_must_be_said(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = made.zipped(tmp_path / "f.zip", made.facebook([made.status(1, "Chào cả nhà")]))
    ran = banyan("import", "facebook", path, "--home", home)
    assert (ran.code, "does not say who could see each post" in ran.err) == (2, True)
    assert banyan("import", "facebook", path, "--audience", "friends", "--home", home).code == 2
    assert banyan("import", "facebook", path, "--dry-run", "--home", home).code == 0
    assert banyan("feed", "--home", home, "--json").lines == []
    told = banyan("import", "facebook", path, "--audience", "unlisted", "--home", home, "--json").json
    assert told["table"]["posts"]["came"] == 1
    (post,) = banyan("feed", "--home", home, "--json").lines
    assert (post["text"], post["audience"]) == ("Chào cả nhà", "unlisted")


def test_web_pages_of_facebook_are_said_to_be_the_wrong_form(home: Path, tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "f.zip", {"your_facebook_activity/posts/your_posts_1.html": b"<html>"})
    ran = banyan("import", "facebook", path, "--audience", "public", "--home", home)
    assert (ran.code, "ask Facebook for your information again, as JSON" in ran.err) == (2, True)
