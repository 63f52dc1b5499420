"""A Twitter archive: whole links, long tweets, edits, conversations, people by number, and what stays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from banyan_cli.importing import twitter
from banyan_cli.importing.archives import open_archive
from banyan_cli.importing.model import PRIVATE, REPOSTS, Attachment, Found, Item, Omission, Tie
from tests.cli.moving import made
from tests.cli.shell import banyan


def found(tmp_path: Path, tweets: list[Any], **more: bytes) -> list[Found]:
    path = made.zipped(tmp_path / "t.zip", made.twitter(tweets, **more))
    with open_archive(path, twitter.wants) as archive:
        return list(twitter.reading(archive).read())


def item(tmp_path: Path, *tweets: Any, **more: bytes) -> Item:
    (one,) = [f for f in found(tmp_path, list(tweets), **more) if isinstance(f, Item)]
    return one


def test_a_tweet_has_its_time_its_language_its_tags_and_whole_links(tmp_path: Path) -> None:
    entities = {
        "urls": [
            {"url": "https://t.co/abc", "expanded_url": "https://example.org/long?a=1&b=2", "indices": ["0", "1"]}
        ],
        "hashtags": [{"text": "phở", "indices": ["0", "1"]}],
        "user_mentions": [],
    }
    media = [{"url": "https://t.co/pic", "media_url_https": "https://pbs.twimg.com/media/E1.jpg", "type": "photo"}]
    one = item(
        tmp_path,
        made.tweet(
            5,
            "Xem &lt;đây&gt; https://t.co/abc #phở https://t.co/pic",
            entities=entities,
            extended_entities={"media": media},
        ),
    )
    assert one.text == "Xem <đây> https://example.org/long?a=1&b=2 #phở"
    assert (one.time_ms, one.lang, one.tags) == ((made.START + 300) * 1000, "vi", ("phở",))
    assert one.media == (Attachment(f"data/tweets_media/{made.tweet_id(5)}-E1.jpg"),)
    assert one.link == f"https://x.com/an_hanoi/status/{made.tweet_id(5)}"


def test_of_a_film_the_best_is_named(tmp_path: Path) -> None:
    films = [
        {"bitrate": "832000", "url": "https://video.twimg.com/x/low.mp4?tag=1"},
        {"bitrate": "2176000", "url": "https://video.twimg.com/x/high.mp4?tag=1"},
        {"content_type": "application/x-mpegURL", "url": "https://video.twimg.com/x/pl.m3u8"},
    ]
    media = [
        {"url": "https://t.co/v", "media_url_https": "https://pbs.twimg.com/x.jpg", "video_info": {"variants": films}}
    ]
    one = item(tmp_path, made.tweet(1, "phim", extended_entities={"media": media}))
    assert one.media[0].path.endswith("-high.mp4")


def test_a_long_tweet_has_the_text_of_its_note(tmp_path: Path) -> None:
    text = "Chuyện dài: " + "ngày xửa ngày xưa, " * 30 + "hết &amp; chấm. https://t.co/n"
    core = {"text": text, "urls": [{"shortUrl": "https://t.co/n", "expandedUrl": "https://example.org/"}]}
    note = {"noteTweet": {"noteTweetId": "7", "createdAt": "2020-09-13T12:27:40.000Z", "core": core}}
    lost = {"noteTweet": {"noteTweetId": "8", "createdAt": "2019-09-13T12:27:40.000Z", "core": core}}
    short = made.tweet(1, text[:200] + "… https://t.co/self")
    out = found(tmp_path, [short], note_tweet=made.ytd("note_tweet", [note, lost]))
    (one,) = [f for f in out if isinstance(f, Item)]
    assert one.text.endswith("hết &amp; chấm. https://example.org/")
    assert [f.name for f in out if isinstance(f, Omission)] == ["8"]


def test_of_an_edited_tweet_the_last_text_comes_under_the_first_id(tmp_path: Path) -> None:
    ids = [made.tweet_id(n) for n in (1, 2, 3)]
    edits = {"edit": {"initialTweetId": ids[0], "editControlInitial": {"editTweetIds": ids}}}
    tweets = [made.tweet(n, f"bản {n}", edit_info=edits) for n in (3, 1, 2)]
    answer = made.tweet(9, "trả lời", in_reply_to_status_id_str=ids[1], in_reply_to_screen_name="an_hanoi")
    out = found(tmp_path, [*tweets, answer])
    last, reply = (f for f in out if isinstance(f, Item))
    assert (last.id, last.text) == (ids[0], "bản 3")
    assert reply.parent == ids[0]
    assert sum(isinstance(f, Omission) for f in out) == 2


def test_retweets_and_tweets_of_a_protected_account_do_not_come(tmp_path: Path) -> None:
    out = found(tmp_path, [made.tweet(1, "RT @bo: xin chào")])
    assert [f.why for f in out if isinstance(f, Omission)] == [REPOSTS]
    history = [
        {"protectedHistory": {"protectedAt": "2020-01-01T00:00:00.000Z", "action": "Unprotect"}},
        {"protectedHistory": {"protectedAt": "2021-01-01T00:00:00.000Z", "action": "Protect"}},
    ]
    out = found(tmp_path, [made.tweet(1, "kín")], protected_history=made.ytd("protected_history", history))
    assert [f.why for f in out if isinstance(f, Omission)] == [PRIVATE]
    out = found(tmp_path, [made.tweet(1, "x")], protected_history=made.ytd("protected_history", history[:1]))
    assert any(isinstance(f, Item) for f in out)


def test_followers_are_nothing_that_was_left_out(tmp_path: Path) -> None:
    more = {"follower": made.ytd("follower", [{"follower": {"accountId": "7", "userLink": "https://x.com/7"}}])}
    assert not [f for f in found(tmp_path, [], **more) if isinstance(f, Omission)]
    with open_archive(made.zipped(tmp_path / "t.zip", made.twitter([], **more)), twitter.wants) as archive:
        assert twitter.FOLLOWERS in twitter.reading(archive).notes


def test_people_are_known_by_their_number_and_the_name_by_which_they_were_mentioned(tmp_path: Path) -> None:
    def link(key: str, number: str) -> dict[str, Any]:
        return {key: {"accountId": number, "userLink": f"https://twitter.com/intent/user?user_id={number}"}}

    mention = {"user_mentions": [{"name": "Bình", "screen_name": "binh", "id_str": "7", "id": "7"}]}
    out = found(
        tmp_path,
        [made.tweet(1, "@binh chào", entities=mention)],
        following=made.ytd("following", [link("following", "7"), link("following", "8"), {"following": {}}]),
        block=made.ytd("block", [link("blocking", "9")]),
        mute=made.ytd("mute", [link("muting", "10")]),
        follower=made.ytd("follower", [link("follower", "11")]),
        like=made.ytd("like", [{"like": {"tweetId": made.tweet_id(1), "fullText": "x", "expandedUrl": "y"}}]),
    )
    assert [(f.kind, f.who, f.item) for f in out if isinstance(f, Tie)] == [
        ("follow", ("@binh", "7"), None),
        ("follow", ("8",), None),
        ("block", ("9",), None),
        ("mute", ("10",), None),
        ("react", (), made.tweet_id(1)),
    ]
    assert sum(isinstance(f, Omission) for f in out) == 1  # of another form


@pytest.mark.parametrize("name", ["data/tweet.js", "data/tweets-part1.js", "tweets.js", "twitter-2022/data/tweets.js"])
def test_tweets_are_found_under_old_names_and_in_parts(tmp_path: Path, name: str) -> None:
    path = made.folder(tmp_path / "f", {name: made.ytd("tweet", [made.tweet(1, "a")["tweet"], made.tweet(2, "b")], 1)})
    with open_archive(path, twitter.wants) as archive:
        assert [f.text for f in twitter.reading(archive).read() if isinstance(f, Item)] == ["a", "b"]


def test_an_archive_comes_as_conversations_and_again_adds_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tweets = [
        made.tweet(3, "Ba", in_reply_to_status_id_str=made.tweet_id(2), in_reply_to_screen_name="an_hanoi"),
        made.tweet(2, "Hai", in_reply_to_status_id_str=made.tweet_id(1), in_reply_to_screen_name="an_hanoi"),
        made.tweet(1, "Một"),
        made.tweet(4, "@bo vâng", in_reply_to_status_id_str="99", in_reply_to_screen_name="bo"),
    ]
    path = made.zipped(tmp_path / "t.zip", made.twitter(tweets))
    told = banyan("import", "twitter", path, "--home", home, "--json")
    assert told.json["table"]["posts"]["came"] == 4, told.err
    posts = banyan("feed", "--home", home, "--json").lines
    assert posts[0]["text"] == "@bo vâng\n\n↪ https://x.com/bo/status/99"
    thread = banyan("thread", posts[-1]["uri"], "--home", home, "--json").json["posts"]
    assert [p["text"] for p in thread] == ["Một", "Hai", "Ba"]
    assert banyan("profile", "--home", home, "--json").json["fields"]["location"] == "Hà Nội"
    assert banyan("import", "twitter", path, "--home", home, "--json").json["entries"] == 0
