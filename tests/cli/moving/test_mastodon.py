"""A Mastodon archive becomes a life here: posts, conversations, profile, people, and a report of what did not come."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from banyan_cli.importing import mastodon
from banyan_cli.importing.activitystreams import OTHERS
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.html_text import text_of
from banyan_cli.importing.model import BROKEN, PRIVATE, Found, Item, Omission, ProfileLine
from tests.cli.moving import made
from tests.cli.shell import Ran, banyan

BO = "https://other.example/users/bo/statuses/9"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(path: Path) -> list[Found]:
    with open_archive(path, mastodon.wants) as archive:
        return list(mastodon.reading(archive).read())


def item(tmp_path: Path, **more: Any) -> Found:
    """What one status becomes."""
    content = more.pop("content", "<p>x</p>")
    files = made.mastodon(0, [made.create(1, content, **more)])
    (one,) = [f for f in found(made.zipped(tmp_path / "one.zip", files)) if not isinstance(f, ProfileLine)]
    return one


def bring(home: Path, *words: object) -> Ran:
    ran = banyan("import", "mastodon", *words, "--home", home, "--json")
    assert ran.code == 0, ran.err
    return ran


def feed(home: Path) -> list[dict[str, Any]]:
    posts: list[dict[str, Any]] = banyan("feed", "--home", home, "--json", "--limit", 500).lines
    return posts


def test_an_archive_comes_with_its_times_and_conversations_and_again_adds_nothing(home: Path, tmp_path: Path) -> None:
    path = made.tarred(tmp_path / "archive.tar.gz", made.mastodon(12, likes=[made.note_uri(0)]))
    dry = bring(home, path, "--dry-run").json
    assert (dry["table"]["posts"]["came"], dry["entries"], feed(home)) == (12, 0, [])
    first = bring(home, path).json
    assert first["table"]["posts"] == {"came": 12, "here": 0, "gone": 0, "left_out": 0}
    assert (first["table"]["reactions"]["came"], first["entries"], first["report"]) == (1, 3, None)
    posts = feed(home)
    assert [p["time_ms"] for p in posts] == [(made.START + n * 60) * 1000 for n in reversed(range(12))]
    assert [p["text"] for p in reversed(posts)] == [f"{made.SENTENCES[n % 6]} #{n}" for n in range(12)]
    assert sum(p["reply_to"] is not None for p in posts) == 4
    assert {p["lang"] for p in posts} == {"vi"}
    again = bring(home, path).json
    assert again["table"]["posts"] == {"came": 0, "here": 12, "gone": 0, "left_out": 0}
    assert again["entries"] == 0
    assert feed(home) == posts


def test_likes_as_banyan_exports_them_come_with_their_emoji(home: Path, tmp_path: Path) -> None:
    likes: list[Any] = [
        {"type": "Like", "actor": "did:banyan:z", "object": made.note_uri(0), "content": "🌸"},
        {"type": "Like", "actor": "did:banyan:z", "object": {"id": made.note_uri(1)}, "content": "!!"},
        {"type": "Like", "actor": "did:banyan:z", "object": 7},
    ]
    told = bring(home, made.zipped(tmp_path / "a.zip", made.mastodon(2, likes=likes))).json
    assert (told["table"]["reactions"]["came"], told["left_out"]) == (2, {BROKEN: 1})
    newer, older = feed(home)
    assert [list(post["reactions"]) for post in (older, newer)] == [["🌸"], ["❤️"]]


def test_a_newer_archive_adds_what_is_new_and_what_was_deleted_here_stays_so(home: Path, tmp_path: Path) -> None:
    bring(home, made.zipped(tmp_path / "a.zip", made.mastodon(6)))
    newest = feed(home)[0]
    assert banyan("delete", newest["uri"], "--home", home).code == 0
    newer = bring(home, made.zipped(tmp_path / "b.zip", made.mastodon(9))).json
    assert newer["table"]["posts"] == {"came": 3, "here": 5, "gone": 1, "left_out": 0}
    assert len(feed(home)) == 8


def test_followers_only_and_direct_posts_never_come_and_unlisted_ones_stay_unlisted(tmp_path: Path) -> None:
    followers = f"{made.ME}/followers"
    public, unlisted, private, direct, silent = (
        item(tmp_path, to=to, cc=cc)
        for to, cc in (
            ([made.PUBLIC], [followers]),
            ([followers], ["as:Public"]),
            ([followers], []),
            (["https://other.example/users/bo"], []),
            ([], []),
        )
    )
    assert isinstance(public, Item)
    assert isinstance(unlisted, Item)
    assert (public.audience, unlisted.audience) == ("public", "unlisted")
    for one in (private, direct, silent):
        assert isinstance(one, Omission)
        assert one.why == PRIVATE


def test_what_others_wrote_is_left_out_and_the_stricter_of_two_audiences_holds(tmp_path: Path) -> None:
    mine, theirs = made.create(1, "<p>x</p>"), made.create(2, "<p>y</p>")
    theirs["object"]["attributedTo"] = "https://evil.example/users/evil"
    narrow = made.create(3, "<p>z</p>")
    narrow["to"], narrow["cc"] = ["https://example.org/users/an/followers"], []
    out = found(made.zipped(tmp_path / "one.zip", made.mastodon(0, [theirs, mine, narrow])))
    assert [f.text for f in out if isinstance(f, Item)] == ["x"]
    assert sorted(f.why for f in out if isinstance(f, Omission)) == sorted([OTHERS, PRIVATE])


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Một</p><p>Hai<br>Ba</p>", "Một\n\nHai\nBa"),
        (
            '<p>Xem <a href="https://example.org/a/very/long" rel="nofollow"><span class="invisible">https://</span>'
            '<span class="ellipsis">example.org/a/very</span><span class="invisible">/long</span></a> nhé</p>',
            "Xem https://example.org/a/very/long nhé",
        ),
        ('<a href="https://example.org/">trang này</a>', "trang này https://example.org/"),
        (
            '<span class="h-card"><a href="https://other.example/@bo" class="u-url mention">@<span>bo</span></a> '
            '<a href="https://mastodon.example/tags/ph%E1%BB%9F" class="mention hashtag">#<span>phở</span></a></span>',
            "@bo #phở",
        ),
        ("<ul><li>phở</li><li>bún</li></ul>", "- phở\n- bún"),
        ("&lt;b&gt; &amp; a &nbsp;b", "<b> & a b"),
        ("<script>alert(1)</script>ok", "ok"),
        ("not html at all", "not html at all"),
        ("one \n\n\n\ntwo", "one\n\ntwo"),
        ("<p>unclosed <a href='https://e.org/'>here", "unclosed here"),
    ],
)
def test_html_becomes_text_with_its_paragraphs_and_whole_links(tmp_path: Path, html: str, text: str) -> None:
    one = item(tmp_path, content=html)
    assert isinstance(one, Item)
    assert one.text == text


@pytest.mark.parametrize("piece", ["<!--", "<a ", "<", "</", "<![", "<a href='", "<script>", "<?", "&#", "<b> ", "\t"])
def test_hostile_html_takes_time_in_proportion_to_its_size(piece: str) -> None:
    began = time.process_time()
    text_of("<b>x" + piece * (300_000 // len(piece)))
    assert time.process_time() - began < 1.5


def test_warnings_tags_polls_pictures_and_what_is_answered_elsewhere_are_kept(home: Path, tmp_path: Path) -> None:
    picture = {"type": "Document", "mediaType": "image/png", "url": "/media_attachments/files/108/1.png"}
    files = made.mastodon(
        0,
        [
            made.create(1, "<p>a</p>", summary="thời sự", tag=[{"type": "Hashtag", "href": "x", "name": "#Việt"}]),
            made.create(2, "<p>Ăn gì?</p>", type="Question", oneOf=[{"name": "Phở"}, {"name": "Bún"}]),
            made.create(3, "", attachment=[{**picture, "name": "Hồ Gươm buổi sáng"}]),
            made.create(4, "", attachment=[picture]),
            made.create(5, "<p>đúng rồi</p>", inReplyTo=BO),
        ],
    )
    told = bring(home, made.folder(tmp_path / "unpacked", files)).json
    posts = {p["time_ms"] // 60_000 - made.START // 60: p for p in feed(home)}
    assert (posts[1]["warning"], posts[1]["tags"]) == ("thời sự", ["Việt"])
    assert posts[2]["text"] == "Ăn gì?\n- Phở\n- Bún"
    assert posts[3]["text"] == "Hồ Gươm buổi sáng"
    assert posts[4]["text"] == f"{made.HOME}/@an/{made.note_uri(4).rpartition('/')[2]}"
    assert posts[5]["text"] == f"đúng rồi\n\n↪ {BO}"
    assert told["table"]["pictures"]["left_out"] == 2


def test_people_come_where_a_file_says_who_is_who_and_the_others_are_named(home: Path, tmp_path: Path) -> None:
    banyan("account", "create", "Bình", "--home", home)
    folder = made.folder(
        tmp_path / "all",
        {
            **made.mastodon(1, [made.announce(9, BO)]),
            "following_accounts.csv": b"Account address,Show boosts\nBo@Other.example,true\nchi@other.example,true\n",
            "muted_accounts.csv": b"Account address,Hide notifications\nbo@other.example,true\n",
            "blocked_accounts.csv": b"dung@other.example\n",
            "lists.csv": "Bạn bè,bo@other.example\nBạn bè,chi@other.example\n".encode(),
        },
    )
    nobody = bring(home, folder).json
    assert nobody["table"]["follows"] == {"came": 0, "here": 0, "gone": 0, "left_out": 2}
    with Path(nobody["report"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["what"] for row in rows if row["why"].startswith("follows")] == [
        "Bo@Other.example",
        "chi@other.example",
    ]
    (tmp_path / "who.csv").write_text("there,account\n@bo@other.example,Bình\n", "utf-8")
    some = bring(home, folder, "--accounts", tmp_path / "who.csv").json["table"]
    assert [some[what]["came"] for what in ("follows", "mutes", "people on lists", "blocks")] == [1, 1, 1, 0]
    assert banyan("mutes", "--home", home, "--json").lines[0]["name"] == "Bình"
    (tmp_path / "who.csv").write_text("@bo@other.example,Bình\nchi@other.example,Nobody\n", "utf-8")
    ran = banyan("import", "mastodon", folder, "--accounts", tmp_path / "who.csv", "--home", home)
    assert (ran.code, "no account hosted here has that name" in ran.err) == (2, True)


def test_the_profile_comes_where_it_is_empty_here(home: Path, tmp_path: Path) -> None:
    bring(home, made.zipped(tmp_path / "a.zip", made.mastodon(1)))
    fields = banyan("profile", "--home", home, "--json").json["fields"]
    assert fields == {
        "name": "Minh",  # said here before
        "bio": "Giáo viên ở Hà Nội.\nThích đọc sách & cà phê.",
        "Trang nhà": "https://an.example/",
    }


def test_a_broken_item_is_named_with_its_place_and_the_others_come(home: Path, tmp_path: Path) -> None:
    odd = [7, {"type": "Create", "object": None}, {"type": "Note", "to": [made.PUBLIC]}, None, {"type": []}]
    told = bring(home, made.zipped(tmp_path / "a.zip", made.mastodon(3, odd))).json
    assert told["table"]["posts"]["came"] == 3
    with Path(told["report"]).open(encoding="utf-8", newline="") as file:
        places = [row["where"] for row in csv.DictReader(file)]
    assert places == [f"outbox.json, item {n}" for n in range(4, 9)]


def test_an_outbox_that_ends_in_the_middle_gives_what_is_whole(home: Path, tmp_path: Path) -> None:
    files = made.mastodon(5)
    files["outbox.json"] = files["outbox.json"][:-900]
    told = bring(home, made.zipped(tmp_path / "a.zip", files)).json
    assert (told["table"]["posts"]["came"], told["left_out"]) == (4, {"items that cannot be read": 1})
    assert bring(home, made.zipped(tmp_path / "b.zip", made.mastodon(5))).json["table"]["posts"]["came"] == 1


def test_circles_answers_to_oneself_and_ids_that_come_twice_are_no_trouble(home: Path, tmp_path: Path) -> None:
    more = [
        made.create(1, "<p>a</p>", inReplyTo=made.note_uri(2)),
        made.create(2, "<p>b</p>", inReplyTo=made.note_uri(3)),
        made.create(3, "<p>c</p>", inReplyTo=made.note_uri(1)),
        made.create(4, "<p>d</p>", inReplyTo=made.note_uri(4)),
        made.create(4, "<p>again</p>"),
    ]
    told = bring(home, made.zipped(tmp_path / "a.zip", made.mastodon(0, more))).json
    assert told["table"]["posts"]["came"] == 4
    assert told["left_out"] == {"items that come twice": 1}
    assert sum(p["reply_to"] is None for p in feed(home)) == 2


def test_an_archive_of_another_service_is_named_with_its_command(home: Path, tmp_path: Path) -> None:
    path = made.zipped(tmp_path / "t.zip", {"data/tweets.js": b"window.YTD.tweets.part0 = []"})
    ran = banyan("import", "mastodon", path, "--home", home)
    assert (ran.code, "is an archive of Twitter: use `banyan import twitter`" in ran.err) == (2, True)
    ran = banyan("import", "mastodon", made.zipped(tmp_path / "e.zip", {}), "--home", home)
    assert (ran.code, "has no files" in ran.err) == (2, True)


def test_ten_thousand_posts_of_one_day_are_no_wall(home: Path, tmp_path: Path) -> None:
    told = bring(home, made.zipped(tmp_path / "a.zip", made.mastodon(10_500))).json
    assert (told["table"]["posts"]["came"], told["entries"] < 200) == (10_500, True)
    assert json.loads(banyan("store", "verify", "--home", home, "--json").out)["problems"] == []
