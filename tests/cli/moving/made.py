"""Makes realistic archives of other services: the files, names and shapes that each one writes, Vietnamese included."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
HOME = "https://mastodon.example"
ME = f"{HOME}/users/an"
START = 1_600_000_000
SENTENCES = (
    "Chào buổi sáng cả nhà, hôm nay Hà Nội trời nắng đẹp.",
    "Mẹ nấu phở bò, ăn xong cả nhà đi dạo quanh Hồ Gươm.",
    "Có ai biết quán cà phê trứng nào yên tĩnh ở phố cổ không?",
    "Đang đọc lại Truyện Kiều: trăm năm trong cõi người ta…",
    "A small computer on a bookshelf is enough.",
    "Vừa về tới Sài Gòn, kẹt xe từ sân bay về tới quận Ba.",
)

Files = Mapping[str, bytes]


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, raw in files.items():
            out.writestr(name, raw)
    return path


def tarred(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as out:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            out.addfile(info, io.BytesIO(raw))
    return path


def folder(path: Path, files: Files) -> Path:
    for name, raw in files.items():
        at = path / name
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(raw)
    return path


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# --- Mastodon ---------------------------------------------------------------------------------------------------------


def note_uri(number: int) -> str:
    return f"{ME}/statuses/{108_000_000_000_000_000 + number}"


def create(number: int, content: str, **more: Any) -> dict[str, Any]:
    """As Mastodon's backup writes a status: the activity, without its context."""
    uri, when = note_uri(number), iso(START + number * 60)
    audience = {"to": [PUBLIC], "cc": [f"{ME}/followers"]}
    note = {
        "id": uri,
        "type": "Note",
        "summary": None,
        "inReplyTo": None,
        "published": when,
        "url": f"{HOME}/@an/{uri.rpartition('/')[2]}",
        "attributedTo": ME,
        **audience,
        "sensitive": False,
        "atomUri": uri,
        "inReplyToAtomUri": None,
        "conversation": f"tag:mastodon.example,2020-09-13:objectId={number}:objectType=Conversation",
        "content": content,
        "contentMap": {"vi": content},
        "attachment": [],
        "tag": [],
        "replies": {"id": f"{uri}/replies", "type": "Collection", "first": {"type": "CollectionPage", "items": []}},
        **more,
    }
    told = {key: note[key] for key in ("to", "cc")}
    return {"id": f"{uri}/activity", "type": "Create", "actor": ME, "published": when, **told, "object": note}


def announce(number: int, uri: str) -> dict[str, Any]:
    audience = {"to": [PUBLIC], "cc": [f"{ME}/followers"]}
    when = iso(START + number * 60)
    return {
        "id": f"{note_uri(number)}/activity",
        "type": "Announce",
        "actor": ME,
        "published": when,
        **audience,
        "object": uri,
    }


def actor() -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/activitystreams"],
        "id": ME,
        "type": "Person",
        "preferredUsername": "an",
        "name": "Nguyễn Thị An",
        "summary": "<p>Giáo viên ở Hà Nội. <br>Thích đọc sách &amp; cà phê.</p>",
        "url": f"{HOME}/@an",
        "outbox": "outbox.json",
        "likes": "likes.json",
        "bookmarks": "bookmarks.json",
        "attachment": [
            {"type": "PropertyValue", "name": "Trang nhà", "value": '<a href="https://an.example/">an.example</a>'}
        ],
    }


def collection(name: str, items: list[Any]) -> bytes:
    found = {"@context": "https://www.w3.org/ns/activitystreams", "id": name, "type": "OrderedCollection"}
    return dumped({**found, "totalItems": len(items), "orderedItems": items})


def paragraphs(text: str) -> str:
    return "".join(f"<p>{part}</p>" for part in text.split("\n\n"))


def mastodon(posts: int = 12, more: list[Any] | None = None, likes: list[Any] | None = None) -> dict[str, bytes]:
    """Posts of one account, every third of which answers the one before; `more` activities after them."""
    said = [
        create(n, paragraphs(f"{SENTENCES[n % 6]} #{n}"), **({"inReplyTo": note_uri(n - 1)} if n % 3 == 2 else {}))
        for n in range(posts)
    ]
    return {
        "actor.json": dumped(actor()),
        "outbox.json": collection("outbox.json", [*said, *(more or [])]),
        "likes.json": collection("likes.json", likes or []),
        "bookmarks.json": collection("bookmarks.json", []),
        "avatar.png": b"\x89PNG",
        "media_attachments/files/108/1.png": b"\x89PNG",
    }


# --- Twitter ----------------------------------------------------------------------------------------------------------


def ytd(name: str, items: list[Any], part: int = 0) -> bytes:
    return f"window.YTD.{name}.part{part} = ".encode() + json.dumps(items, ensure_ascii=False, indent=2).encode()


def tweet(number: int, text: str, **more: Any) -> dict[str, Any]:
    """As tweets.js has it: numbers are texts, and there is more than anybody needs."""
    when = datetime.fromtimestamp(START + number * 60, UTC).strftime("%a %b %d %H:%M:%S +0000 %Y")
    this = str(1_300_000_000_000_000_000 + number)
    return {
        "tweet": {
            "edit_info": {
                "initial": {
                    "editTweetIds": [this],
                    "editableUntil": iso(START + number * 60 + 3600),
                    "editsRemaining": "5",
                    "isEditEligible": True,
                }
            },
            "retweeted": False,
            "source": '<a href="https://mobile.twitter.com" rel="nofollow">Twitter Web App</a>',
            "entities": {"hashtags": [], "symbols": [], "user_mentions": [], "urls": []},
            "display_text_range": ["0", str(len(text))],
            "favorite_count": "3",
            "id_str": this,
            "id": this,
            "truncated": False,
            "retweet_count": "0",
            "created_at": when,
            "favorited": False,
            "full_text": text,
            "lang": "vi",
            **more,
        }
    }


def tweet_id(number: int) -> str:
    return str(1_300_000_000_000_000_000 + number)


def twitter(tweets: list[Any], **more: bytes) -> dict[str, bytes]:
    account = {
        "email": "an@example.org",
        "createdVia": "web",
        "username": "an_hanoi",
        "accountId": "42",
        "createdAt": "2010-01-01T00:00:00.000Z",
        "accountDisplayName": "An ở Hà Nội",
    }
    about = {"bio": "Giáo viên", "website": "https://t.co/x", "location": "Hà Nội"}
    return {
        "Your archive.html": b"<html>",
        "data/manifest.js": b"window.__THAR_CONFIG = {}",
        "data/account.js": ytd("account", [{"account": account}]),
        "data/profile.js": ytd("profile", [{"profile": {"description": about, "avatarMediaUrl": "x"}}]),
        "data/tweets.js": ytd("tweets", tweets),
        "data/direct-messages.js": ytd("direct_messages", [{"dmConversation": {"messages": ["secret"]}}]),
        **{f"data/{name.replace('_', '-')}.js": raw for name, raw in more.items()},
    }


# --- Facebook ---------------------------------------------------------------------------------------------------------


def mojibake(value: Any) -> bytes:
    """As Facebook writes JSON: each byte of UTF-8 as a Latin-1 escape."""
    plain = json.dumps(value, ensure_ascii=False)
    return "".join(c if ord(c) < 128 else "".join(f"\\u00{b:02x}" for b in c.encode()) for c in plain).encode()


def status(second: int, text: str | None, *attachments: dict[str, Any], **more: Any) -> dict[str, Any]:
    data: list[Any] = [{"update_timestamp": START + second}]
    return {
        "timestamp": START + second,
        "data": [{"post": text}, *data] if text is not None else data,
        "title": "Nguyễn Thị An updated her status.",
        **({"attachments": [{"data": list(attachments)}]} if attachments else {}),
        **more,
    }


def photo(name: str, description: str = "") -> dict[str, Any]:
    uri = f"your_facebook_activity/posts/media/Nnhangay_x/{name}"
    about = {"creation_timestamp": START, "title": "Ảnh trên dòng thời gian", "description": description}
    return {"media": {"uri": uri, **about}}


def album(name: str, *photos: dict[str, Any], description: str = "") -> dict[str, Any]:
    """As posts/album/0.json has it; its cover is its first photo."""
    about = {"cover_photo": photos[0], "last_modified_timestamp": START + 9_999, "description": description}
    return {"name": name, "photos": list(photos), **about}


def in_album(number: int, second: int, description: str = "", folder: str = "TimLe_x") -> dict[str, Any]:
    """A photo of an album. number: Facebook's own, at the end of the name of its file."""
    told = {"description": description} if description else {}
    exif = {"photo_metadata": {"exif_data": [{"upload_ip": "203.0.113.7", "taken_timestamp": START}]}}
    uri = f"your_facebook_activity/posts/media/{folder}/120_{number}_9_n_{number}.jpg"
    return {"uri": uri, "creation_timestamp": START + second, "media_metadata": exif, "title": "Album", **told}


def comment(second: int, text: str, **more: Any) -> dict[str, Any]:
    said = {"timestamp": START + second, "comment": text, "author": "Nguyễn Thị An", **more}
    title = "Nguyễn Thị An commented on Bình's post."
    return {"timestamp": START + second, "data": [{"comment": said}], "title": title}


def facebook(posts: list[Any], new: bool = True, **more: Any) -> dict[str, bytes]:
    """new: with the names of folders since 2022."""
    base = "your_facebook_activity/" if new else ""
    name = "your_posts__check_ins__photos_and_videos_1.json" if new else "your_posts_1.json"
    friends = "connections/friends/your_friends.json" if new else "friends/friends.json"
    about = "personal_information/profile_information" if new else "profile_information"
    people = [{"name": "Trần Văn Bình", "timestamp": START}, {"name": "Lê Thị Chi", "timestamp": START}]
    profile = {
        "name": {"full_name": "Nguyễn Thị An", "first_name": "An"},
        "emails": {"emails": ["an@example.org"]},
        "birthday": {"year": 1990, "month": 1, "day": 1},
        "current_city": {"name": "Hà Nội", "timestamp": START},
        "intro_bio": {"name": "Thích đọc sách", "timestamp": START},
    }
    return {
        f"{base}posts/{name}": mojibake(posts),
        friends: mojibake({"friends_v2": people}),
        f"{about}/profile_information.json": mojibake({"profile_v2": profile}),
        f"{base}messages/inbox/binh_1/message_1.json": mojibake({"messages": [{"content": "bí mật"}]}),
        **{f"{base}{path}": mojibake(value) for path, value in more.items()},
    }


# --- YouTube ----------------------------------------------------------------------------------------------------------


def table(*rows: tuple[str, ...]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


CHANNEL, VIDEO = "UC" + "c" * 22, "dQw4w9WgXcQ"


def youtube(vietnamese: bool = False) -> dict[str, bytes]:
    """Takeout of two comments (one answers the other), one subscription, three videos and a playlist."""
    base = "Takeout/YouTube và YouTube Music" if vietnamese else "Takeout/YouTube and YouTube Music"
    names = ("bình luận", "kênh đăng ký") if vietnamese else ("comments", "subscriptions")
    heads = (
        ("Mã nhận xét", "Mã kênh", "Thời gian", "Giá", "Nhận xét mẹ", "Mã bài đăng", "Mã video", "Văn bản", "Cấp một"),
        ("Mã kênh", "URL của kênh", "Tiêu đề kênh"),
    )
    if not vietnamese:
        heads = (
            (
                "Comment ID",
                "Channel ID",
                "Comment Create Timestamp",
                "Price",
                "Parent Comment ID",
                "Post ID",
                "Video ID",
                "Comment Text",
                "Top-Level Comment ID",
            ),
            ("Channel Id", "Channel Url", "Channel Title"),
        )
    one, two = "UgxAAAAAAAAAAAAAAAA4AaABAg", "UgxAAAAAAAAAAAAAAAA4AaABAg.9abcdefghij"
    said = ('{"text":"Bài hát "},{"text":"hay quá!"}', '{"text":"Nghe lại lần nữa"}')
    videos = (
        ("Video ID", "Approx Duration (ms)", "Video Description (Original)", "Video Title (Original)", "Privacy",
         "Video Create Timestamp"),
        (VIDEO, "1000", "Cách nấu phở", "Phở bò", "Public", "2021-01-01T00:00:00+00:00"),
        ("aaaaaaaaaaa", "1000", "", "Cho bạn bè", "Unlisted", "2021-01-02T00:00:00+00:00"),
        ("bbbbbbbbbbb", "1000", "", "Nháp", "Private", "2021-01-03T00:00:00+00:00"),
    )  # fmt: skip
    return {
        f"{base}/{names[0]}/{names[0]}.csv": table(
            heads[0],
            (one, "UC" + "a" * 22, "2021-05-01T10:00:00.123456+00:00", "0", "", "", VIDEO, said[0], ""),
            (two, "UC" + "a" * 22, "2021-05-02T10:00:00+00:00", "0", one, "", VIDEO, said[1], one),
        ),
        f"{base}/{names[1]}/{names[1]}.csv": table(
            heads[1], (CHANNEL, f"http://www.youtube.com/channel/{CHANNEL}", "Kênh của Bình")
        ),
        f"{base}/video metadata/videos.csv": table(*videos),
        f"{base}/channels/channel.csv": table(
            ("Channel ID", "Channel Title (Original)", "Channel Visibility"), ("UC" + "a" * 22, "An nấu ăn", "Public")
        ),
        f"{base}/playlists/Nhạc-videos.csv": table(
            ("Video ID", "Playlist Video Creation Timestamp"), (VIDEO, "2021-01-01T00:00:00+00:00")
        ),
        f"{base}/history/watch-history.html": b"<html>",
    }
