"""Archives whose values are of other types, missing, huge or hostile: readers skip and name them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from banyan_cli.errors import BadInput
from banyan_cli.importing import activitystreams, facebook, mastodon, twitter, youtube
from banyan_cli.importing.archives import Archive, open_archive
from banyan_cli.importing.identities import IdentityMap, Report
from banyan_cli.importing.model import ArchiveContents
from banyan_cli.importing.transfer import Move, survey
from banyan_node.api.decode import request
from banyan_node.api.dispatch import EVERY
from banyan_node.operator_errors import CallError
from tests.cli.moving import made
from tests.needs import few, numbers

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    10**30,
    "",
    " ",
    "\ud800",
    "\x00\x1b[2J",
    "ế" * 400,
    "x" * 2_000,
    "<p>" * 500,
    "&#1114112;&#xD800;&bogus;",
    "http://[",
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00Z",
    [],
    {},
    [None, 1, "x", [], {}],
    {"id": 7, "type": [], "name": {}},
)


class Judge:
    """Answers as a node does, and checks each request as one does."""

    def call(self, method: str, **params: Any) -> Any:
        asked = json.loads(json.dumps(params))
        assert len(json.dumps(asked, ensure_ascii=False).encode()) < 8 << 20
        request(EVERY[method], asked)
        if method == "move.profile":
            return {"came": [], "without": ["avatar", "banner"], "entries": 0}
        if method == "move.ties":
            return {"states": ["came"] * len(params["ties"]), "entries": 1}
        row = {"uri": "x", "state": "came", "parts": 1, "dated": True, "why": None}
        return {"posts": [{"id": post["id"], **row} for post in params["posts"]], "entries": 1}

    def begin(self, method: str, **params: Any) -> Callable[[], Any]:
        answer = self.call(method, **params)
        return lambda: answer


def whole(service: str) -> dict[str, bytes]:
    if service in ("mastodon", "activitystreams"):
        tag = [{"type": "Hashtag", "href": "x", "name": "#phở"}]
        picture = [{"type": "Document", "mediaType": "image/png", "url": "/media/1.png", "name": "Hồ"}]
        more = [
            made.create(20, "<p>a</p>", tag=tag, attachment=picture, summary="cẩn thận", inReplyTo=made.note_uri(1)),
            made.announce(21, made.note_uri(2)),
        ]
        files = made.mastodon(2, more, [made.note_uri(1)])
        face = {"icon": {"type": "Image", "url": "a.png", "name": "Em"}, "image": [{"url": [{"href": "b.png"}]}]}
        files["actor.json"] = made.dumped({**made.actor(), **face})
        lists = {"following_accounts.csv": b"bo@other.example\n", "lists.csv": b"a,bo@other.example\n"}
        return {**files, **lists} if service == "mastodon" else {"outbox.json": files["outbox.json"]}
    if service == "twitter":
        urls = {
            "urls": [{"url": "https://t.co/a", "expanded_url": "https://example.org"}],
            "user_mentions": [{"id_str": "7"}],
        }
        media = {
            "media": [{"url": "u", "media_url_https": "https://p/x.jpg", "video_info": {"variants": [{"url": "v"}]}}]
        }
        faces = {"avatarMediaUrl": "https://p/a.jpg", "headerMediaUrl": "https://p/42/7/1500x500"}
        profile = made.ytd("profile", [{"profile": {"description": {"bio": "x"}, **faces}}])
        core = {"text": "Một", "urls": [{"shortUrl": "a", "expandedUrl": "b"}]}
        found = made.twitter(
            [made.tweet(1, "Một", entities=urls, extended_entities=media, in_reply_to_status_id_str=made.tweet_id(1))],
            note_tweet=made.ytd("note_tweet", [{"noteTweet": {"createdAt": made.iso(made.START + 60), "core": core}}]),
            following=made.ytd("following", [{"following": {"accountId": "7"}}]),
            like=made.ytd("like", [{"like": {"tweetId": made.tweet_id(1)}}]),
        )
        return {**found, "data/profile.js": profile}
    if service == "facebook":
        place, link = {"place": {"name": "Hồ"}}, {"external_context": {"url": "example.org", "name": "n"}}
        others: dict[str, Any] = {
            "comments_and_reactions/comments.json": {"comments_v2": [made.comment(2, "hay")]},
            "events/your_event_responses.json": {"event_responses_v2": {"events_joined": [{"name": "Hội"}]}},
            "posts/album/0.json": {"photos": [{"uri": "x"}]},
            "posts/album/1.json": {
                "name": "Cover photos",
                "photos": [{"uri": "y", "creation_timestamp": 5, "description": "Hồ"}, {"uri": "z"}],
            },
        }
        return made.facebook([made.status(1, "a", made.photo("a.jpg", "b"), place, link)], **others)
    return made.youtube()


READERS: dict[str, tuple[Callable[[str], bool], Callable[[Archive], ArchiveContents]]] = {
    "mastodon": (mastodon.wants, mastodon.reading),
    "activitystreams": (activitystreams.wants, activitystreams.reading),
    "twitter": (twitter.wants, twitter.reading),
    "facebook": (facebook.wants, lambda archive: facebook.reading(archive, "public", True)),
    "youtube": (youtube.wants, youtube.reading),
}


def changed(value: Any, draw: random.Random) -> Any:
    """The value with one place of it replaced, or left out."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        if draw.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: changed(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        at = draw.randrange(len(value))
        return [*value[:at], changed(value[at], draw), *value[at + 1 :]]
    return draw.choice(ODD)


def mutated(raw: bytes, draw: random.Random) -> bytes:
    head, mark, body = raw.partition(b" = ")
    prefix, body = (head + mark, body) if head.startswith(b"window") else (b"", raw)
    try:
        value = json.loads(body)
    except ValueError:  # CSV, pictures, pages
        at = draw.randrange(max(1, len(raw)))
        return (
            raw[:at]
            + draw.choice([b"", b'"', b"\n", b",", b"\x00", b"\xff", b"x" * 3_000])
            + raw[at + draw.randrange(3) :]
        )
    return prefix + json.dumps(changed(value, draw)).encode()


@pytest.mark.parametrize("service", READERS)
def test_whatever_one_value_is_the_others_come_and_the_node_takes_what_is_sent(service: str, tmp_path: Path) -> None:
    wants, reading_of = READERS[service]
    files, draw = whole(service), random.Random(service)
    came = 0
    for _ in numbers(200, 2):
        name = draw.choice([name for name in files if wants(name)])
        path = made.zipped(tmp_path / "a.zip", {**files, name: mutated(files[name], draw)})
        with open_archive(path, wants) as archive:
            try:
                reading = reading_of(archive)
                found = survey(reading)
                people = IdentityMap([("bo@other.example", "bo"), ("7", "seven"), ("Trần Văn Bình", "binh")])
                totals = Move(Judge(), reading, found, people, Report(None)).run(lambda n: None)
            except BadInput:
                continue
            except CallError as error:
                raise AssertionError(f"{error}: {path.read_bytes()!r}") from error
        came += totals.posts["came"] > 0
    assert came > few(75, 2)


def test_names_of_hundreds_of_characters_and_texts_of_megabytes_are_no_trouble(tmp_path: Path) -> None:
    long = "Nguyễn " * 50
    note = made.create(1, "<p>" + "ế" * 4_000_000 + "</p>", summary=long * 100)
    files = made.mastodon(1, [note, made.create(2, "x" * (5 << 20))])
    files["actor.json"] = made.dumped({**made.actor(), "name": long, "summary": long * 1_000})
    files["lists.csv"] = f"{long},{long.replace(' ', '')}@other.example\n".encode()
    with open_archive(made.zipped(tmp_path / "a.zip", files), mastodon.wants) as archive:
        reading = mastodon.reading(archive)
        people = IdentityMap([(f"{long.replace(' ', '')}@other.example", "bo")])
        totals = Move(Judge(), reading, survey(reading), people, Report(None)).run(lambda n: None)
    assert (totals.posts["came"], sum(totals.left.values())) == (1, 2)
    assert totals.ties["member"]["came"] == 1


def test_a_report_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("of the last time")
    report = Report(path)
    report.add("too long", "Phở", "posts.json")
    assert path.read_text() == "of the last time"
    report.close()
    assert path.read_text("utf-8").splitlines() == ["why,what,where", "too long,Phở,posts.json"]
    assert [*tmp_path.iterdir()] == [path]
