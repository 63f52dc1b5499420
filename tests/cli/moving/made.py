"""Makes realistic archives of other services: the files, names and shapes that each one writes, Vietnamese included."""

from __future__ import annotations

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
    with tarfile.open(path, "w:gz") as out:
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


def mastodon(posts: int = 12, more: list[Any] | None = None, likes: list[str] | None = None) -> dict[str, bytes]:
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
