"""A Facebook archive: its names repaired, its posts with captions and places, and what is not everybody's left out."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from banyan_cli.importing import facebook
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.facebook import repaired
from banyan_cli.importing.model import BROKEN, Found, Item, Omission, ProfileLine, Tie
from tests.cli.moving import made
from tests.cli.shell import banyan
from tests.node.pictures import photo


def found(tmp_path: Path, files: made.Files, comments: bool = False, with_albums: bool = True) -> list[Found]:
    with open_archive(made.zipped(tmp_path / "f.zip", files), facebook.wants) as archive:
        return list(facebook.reading(archive, "unlisted", comments, with_albums).read())


def of_albums(
    tmp_path: Path, *some: dict[str, Any], posts: tuple[Any, ...] = (), folder: str = "posts/album", **more: Any
) -> list[Item]:
    """The posts that photos of these albums become."""
    files = {f"{folder}/{n}.json": one for n, one in enumerate(some)}
    out = found(tmp_path, made.facebook(list(posts), True, **files, **more))
    return [f for f in out if isinstance(f, Item) and f.id.startswith("photo:")]


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
        "posts/your_videos.json": {"videos_v2": [{"uri": "posts/media/videos/2.mp4", "creation_timestamp": 1}]},
    }
    titles = (
        "Nguyễn Thị An wrote on Bình's timeline.",
        "An posted in Hội kín.",
        "An shared a link to the group: X.",
        "An đã đăng trong nhóm X.",
    )
    posts = [made.status(n, "Chúc mừng", title=title) for n, title in enumerate(titles)]
    out = found(tmp_path, made.facebook(posts, **more), with_albums=False)
    assert [f for f in out if isinstance(f, Item)] == []
    assert sorted(f.why for f in out if isinstance(f, Omission)) == sorted(
        [
            facebook.TIMELINES,
            facebook.COMMENTS,
            *[facebook.GROUPS] * 5,
            facebook.REACTIONS,
            facebook.MEMBERS,
            facebook.EVENTS,
            facebook.EVENTS,
            facebook.ALBUMS,
            facebook.ALBUMS,
        ]
    )
    (said,) = [f for f in found(tmp_path, made.facebook(posts, **more), True, False) if isinstance(f, Item)]
    assert (said.id, said.text) == (f"comment:{made.START + 1}", "hay quá")


@pytest.mark.parametrize(
    ("title", "why"),
    [
        ("An posted to Binh’s timeline.", facebook.TIMELINES),
        ("An added a new photo to Binh Tran's timeline.", facebook.TIMELINES),
        ("An đã viết trên dòng thời gian của Bình.", facebook.TIMELINES),
        ("An shared a link to the group: Nhóm Kín.", facebook.GROUPS),
        ("An đã chia sẻ một liên kết vào nhóm: Nhóm Kín.", facebook.GROUPS),
        ("Nguyễn An ▶ Nhóm Kín", facebook.ELSEWHERE),
        ("An shared a link in Nhóm Kín.", facebook.UNKNOWN),
        ("An shared a photo with Nhóm Kín.", facebook.UNKNOWN),
        ("An shared a link in Nhóm Kín's event.", facebook.UNKNOWN),
        ("An added 3 new photos to the album Tết in Nhóm Kín.", facebook.UNKNOWN),
        ("An đã chia sẻ bài viết của Bo vào Lớp 12A.", facebook.UNKNOWN),
        ("An hat in Bos Chronik geschrieben.", facebook.UNKNOWN),
        ("An hat einen Beitrag in Gruppe gepostet.", facebook.UNKNOWN),
        ("An a publié dans Groupe Secret.", facebook.UNKNOWN),
        ("An a publié dans Life is in Hanoi.", facebook.UNKNOWN),
        ("An escribió en la biografía de Bo.", facebook.UNKNOWN),
        ("An ha scritto sul diario di Bo.", facebook.UNKNOWN),
        ("Anさんが Boさんのタイムラインに投稿しました。", facebook.UNKNOWN),
        ("An 在 Bo 的時間軸上留言。", facebook.UNKNOWN),
        ("An님이 Bo님의 타임라인에 글을 남겼습니다.", facebook.UNKNOWN),
        ("An napisał(a) na osi czasu użytkownika Bo.", facebook.UNKNOWN),
    ],
)
def test_a_title_that_is_not_known_to_be_of_the_own_timeline_keeps_a_post_out(
    tmp_path: Path, title: str, why: str
) -> None:
    posts = made.facebook([made.status(1, "kín", title=title)])
    assert [f for f in found(tmp_path, posts) if isinstance(f, Item | Omission)] == [
        Omission(why, "your_facebook_activity/posts/your_posts__check_ins__photos_and_videos_1.json, item 1", title)
    ]


@pytest.mark.parametrize(
    "title",
    [
        "",
        "Nguyễn Thị An updated her status.",
        "An đã cập nhật trạng thái.",
        "An added a new photo.",
        "An added 3 new photos to the album: Tết 2015 🌸.",
        "An is with Bo in Hanoi.",
        "Maria de la Cruz is feeling happy at Home.",
        "An đang ở Hội An cùng với Bình.",
        "An shared a link.",
        "An shared Bo's post.",
        "An đã chia sẻ một kỷ niệm.",
        "An đã chia sẻ bài viết của Bình.",
        "An đã thêm một ảnh mới vào album Tết.",
        unicodedata.normalize("NFD", "An đã thay đổi ảnh đại diện."),
        "An was live.",
        "An hat einen Link geteilt.",
        "An a partagé une publication.",
    ],
)
def test_titles_of_the_own_timeline_bring_their_posts(tmp_path: Path, title: str) -> None:
    posts = made.facebook([made.status(1, "của tôi", title=title)])
    assert [f.text for f in found(tmp_path, posts) if isinstance(f, Item)] == ["của tôi"]


def test_what_was_saved_is_no_post_and_both_lists_of_one_file_are_read(tmp_path: Path) -> None:
    titles = ("An Nguyễn saved a link.", "An đã lưu một liên kết.", "Bo hat einen Beitrag gespeichert.")
    posts = [made.status(n, "lưu", title=title) for n, title in enumerate(titles)]
    both: dict[str, Any] = {
        "comments_v2": [made.comment(9, "hay quá")],
        "reactions_v2": [{"timestamp": 1, "title": "An likes Bình's post.", "data": []}],
    }
    more: dict[str, Any] = {"comments_and_reactions.json": both}
    out = found(tmp_path, made.facebook(posts, **more), comments=True)
    assert [f.text for f in out if isinstance(f, Item)] == ["hay quá"]
    assert sorted(f.why for f in out if isinstance(f, Omission)) == sorted([facebook.SAVED] * 3 + [facebook.REACTIONS])


def test_files_of_which_nothing_is_made_are_named(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = {"uri": "posts/media/1.png", "creation_timestamp": 1}
    posts = [made.status(1, "một", {"media": shown})]
    more: dict[str, Any] = {f"ads/{n}.json": {} for n in range(3)} | {"quiz.json": {}}
    path = made.zipped(tmp_path / "f.zip", made.facebook(posts, **more) | {"posts/media/1.png": b"png"})
    told = banyan("import", "facebook", path, "--audience", "public", "--home", home, "--json").json
    (note,) = [one for one in told["notes"] if one.startswith("Nothing was made of")]
    assert "ads (3)" in note
    assert "posts/media" not in note


def test_posts_with_unknown_titles_are_counted_and_named_and_come_on_demand(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    titles = ("An a publié dans Groupe Secret.", "An wrote on Bo's timeline.")
    posts = [made.status(n, f"bài {n}", title=title) for n, title in enumerate(titles)]
    path = made.zipped(tmp_path / "f.zip", made.facebook(posts))
    bring = ("import", "facebook", path, "--audience", "public", "--home", home, "--json")
    told = banyan(*bring).json
    assert (told["table"]["posts"]["came"], told["left_out"]) == (0, {facebook.UNKNOWN: 1, facebook.TIMELINES: 1})
    assert titles[0] in Path(told["report"]).read_text()
    told = banyan(*bring, "--unknown-titles").json
    assert (told["table"]["posts"]["came"], told["left_out"]) == (1, {facebook.TIMELINES: 1})
    assert [post["text"] for post in banyan("feed", "--home", home, "--json").lines] == ["bài 0"]


def test_of_a_mention_the_name_comes_alone(tmp_path: Path) -> None:
    said = "Cùng @[100001:2048:Trần Bình] và @[42::Lê Chi], a@[b]"
    more: dict[str, Any] = {"comments_and_reactions/comments.json": {"comments_v2": [made.comment(2, said)]}}
    files = made.facebook([made.status(1, said, made.photo("a.jpg", f"Ảnh {said}"))], **more)
    post, comment = (f for f in found(tmp_path, files, comments=True) if isinstance(f, Item))
    if post.id.startswith("comment"):
        post, comment = comment, post
    assert post.text == comment.text == "Cùng Trần Bình và Lê Chi, a@[b]"
    assert post.media[0].description == f"Ảnh {post.text}"


def numbers(item: Item) -> list[str]:
    return [one.path.rpartition("_")[2].removesuffix(".jpg") for one in item.media]


def test_photos_of_an_album_that_were_uploaded_together_are_one_post_with_its_name(tmp_path: Path) -> None:
    tết = made.album(
        "Tết 2015 🌸",
        made.in_album(1000002, 60, "Bánh chưng"),
        made.in_album(1000001, 0),
        made.in_album(1000003, 8_000, "Về quê ngoại"),
        description="Ở Bắc Ninh",
    )
    together, alone = of_albums(tmp_path, tết)
    assert (together.id, together.time_ms, together.audience) == ("photo:1000001", made.START * 1000, "unlisted")
    assert numbers(together) == ["1000001", "1000002"]
    assert [one.description for one in together.media] == ["", "Bánh chưng"]
    assert (together.text, together.caption) == ("", "Tết 2015 🌸\n\nỞ Bắc Ninh")
    assert (alone.id, alone.text, alone.media[0].description) == ("photo:1000003", "Về quê ngoại", "")


def test_a_photo_that_a_post_has_or_another_album_comes_once(tmp_path: Path) -> None:
    shown = {"media": made.in_album(1000001, 0, folder="Nnhangay_y")}
    hidden = {"media": made.in_album(1000002, 0)}
    posts = (made.status(1, "Ở hồ", shown), made.status(2, "x", hidden, title="An posted in Hội kín."))
    in_group = [made.status(3, "kín", {"media": made.in_album(1000005, 5)})]
    more: dict[str, Any] = {"groups/your_posts_in_groups.json": {"group_posts_v2": in_group}}
    one = made.album("Một", *(made.in_album(number, 5) for number in (1000001, 1000002, 1000003, 1000005)))
    two = made.album("Hai", made.in_album(1000003, 5), made.in_album(1000004, 6))
    assert [numbers(item) for item in of_albums(tmp_path, one, two, posts=posts, **more)] == [["1000003"], ["1000004"]]


def test_a_long_upload_becomes_posts_of_64_with_the_same_ids_in_archives_of_other_forms(tmp_path: Path) -> None:
    photos = [made.in_album(1000000 + n, n) for n in range(150)]
    first = of_albums(tmp_path, made.album("Tất cả", *photos))
    assert [len(item.media) for item in first] == [64, 64, 22]
    before = ("your_facebook_activity/posts/media", "photos_and_videos")
    old = [{**photo, "uri": photo["uri"].replace(*before)} for photo in photos]
    newer = made.album("Tất cả", *old, made.in_album(2000000, 90_000))
    again = of_albums(tmp_path, newer, folder="photos_and_videos/album")
    assert [item.id for item in again] == [*(item.id for item in first), "photo:2000000"]


def test_photos_and_films_in_no_album_are_posts_each_and_what_is_broken_is_named(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "posts/your_uncategorized_photos.json": {
            "other_photos_v2": [made.in_album(1000001, 0), made.in_album(1000002, 1, "Hoa"), {"uri": None}, 7]
        },
        "posts/your_videos.json": {"videos_v2": [{"uri": "posts/media/videos/1000003.mp4", "title": "Biển"}]},
        "posts/album/0.json": {"name": "Trống", "photos": []},
    }
    out = found(tmp_path, made.facebook([], **more))
    assert [(f.id, f.text, f.caption, len(f.media)) for f in out if isinstance(f, Item)] == [
        ("photo:1000001", "", "", 1),
        ("photo:1000002", "Hoa", "", 1),
        ("photo:1000003", "", "", 1),
    ]
    broken = [(f.why, f.place.rpartition(", ")[2]) for f in out if isinstance(f, Omission)]
    assert broken == [(BROKEN, "item 3"), (BROKEN, "item 4")]


def test_albums_are_in_the_dry_run_come_once_and_stay_out_on_demand(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = photo(tmp_path / "p.jpg", 90, 60).read_bytes()
    shown = {"media": made.in_album(1000001, 0)}
    tết = made.album("Tết", *(made.in_album(1000001 + n, n, f"ảnh {n}") for n in range(3)), made.in_album(1000009, 5))
    files = made.facebook([made.status(1, "Ở hồ", shown)], True, **{"posts/album/0.json": tết})
    pictures = {one["uri"]: raw + bytes([n]) for n, one in enumerate(tết["photos"][:3])}
    path = made.zipped(tmp_path / "f.zip", {**files, **pictures})

    def bring(*words: str) -> tuple[int, int, int, int, list[str]]:
        ran = banyan("import", "facebook", path, "--audience", "public", *words, "--home", home, "--json")
        assert ran.code == 0, ran.err
        told = ran.json
        posts, shown = told["table"]["posts"], told["table"]["pictures"]
        return posts["came"], posts["here"], shown["came"], shown["left_out"], told["notes"]

    assert bring("--no-albums")[:4] == (1, 0, 1, 0)
    *counts, notes = bring("--dry-run")
    assert (counts, notes[0]) == ([1, 1, 2, 1], facebook.ALBUM_POSTS)
    assert bring()[:4] == (1, 1, 2, 1)
    of_album, of_post = banyan("feed", "--home", home, "--json").lines
    if of_album["text"] != "Tết":
        of_album, of_post = of_post, of_album
    assert (of_album["text"], [one["description"] for one in of_album["media"]]) == ("Tết", ["ảnh 1", "ảnh 2"])
    assert (of_post["text"], len(of_post["media"])) == ("Ở hồ", 1)
    assert of_album["time_ms"] == (made.START + 1) * 1000
    assert bring()[:4] == (0, 2, 0, 0)


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
