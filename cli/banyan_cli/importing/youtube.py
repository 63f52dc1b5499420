"""Google's Takeout of YouTube: CSV files of comments, subscriptions, videos, playlists and the channel.

Takeout names its files and columns in the language of the account, so comments and subscriptions are recognised by what
their rows hold. A comment comes with the address of what it was said to. Of the videos the public ones come, as their
title, their description and their address; for YouTube an unlisted video is for those who were given its address.
Their films do not come: Takeout names a film by the title alone, and a private video may have the same title.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator

from banyan_cli.importing import streams
from banyan_cli.importing.archives import Archive, no_such_files
from banyan_cli.importing.model import (
    BROKEN,
    PRIVATE,
    ArchiveContents,
    Found,
    Item,
    Omission,
    ProfileLine,
    Tie,
    dicts,
    iso_ms,
    line,
    plain,
)

SERVICE = "youtube"
PLAYLISTS, CHATS = "videos on playlists", "messages in live chats"
UNREAD = "comments in a form that is not read here"
FILMS = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".mpg", ".3gp")
NO_FILMS = (
    "The films themselves do not come, because Takeout names them by title, and a private video may have the same; "
    "`banyan post --media FILE` posts one."
)
_WATCH = "https://www.youtube.com/watch?v="
_VIDEO, _CHANNEL, _COMMENT = (
    re.compile(r"[\w-]{11}"),
    re.compile(r"UC[\w-]{22}"),
    re.compile(r"Ug[\w-]{6,100}(\.[\w-]{1,100})?"),
)
_OF_COMMENTS = re.compile(r"(?:^|/)(?:comments|bình luận)[^/]*\.csv$", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


def wants(name: str) -> bool:
    return name.endswith(".csv")


def reading(archive: Archive) -> ArchiveContents:
    """Raises BadInput if there are no CSV files."""
    if not archive.files:
        raise no_such_files(archive, "youtube", "subscriptions.csv or comments.csv")

    def read() -> Iterator[Found]:
        for name in sorted(archive.files):
            columns: list[str] | None = None
            comments = _OF_COMMENTS.search(unicodedata.normalize("NFC", name)) is not None
            for where, row in streams.rows(archive, name):
                if isinstance(row, Omission):
                    yield row
                elif columns is None:
                    columns = [line(column).lower() for column in row]
                    found = _subscription(row, where) or _comment(row, where)
                    if found is not None:  # a file without names of columns
                        yield found
                else:
                    some = list(_row(row, columns, name, where))
                    if not some and comments:
                        some = [Omission(UNREAD, where, f"its columns: {', '.join(columns)}"[:500])]
                    yield from some

    films = any("/video" in name.lower() and name.lower().endswith(FILMS) for name in archive.names)
    return ArchiveContents(SERVICE, read, (NO_FILMS,) if films else ())


def _row(row: list[str], columns: list[str], name: str, where: str) -> Iterator[Found]:
    at = dict(zip(columns, row, strict=False))
    if "live chat id" in at or "live chat" in name.lower():
        yield Omission(CHATS, where)
    elif "comment id" in at and "comment text" in at:
        yield _named_comment(at, where)
    elif "video title (original)" in at:
        yield _video(at, where)
    elif "channel title (original)" in at:
        yield ProfileLine("name", line(at["channel title (original)"]))
        yield ProfileLine("bio", plain(at.get("channel description (original)")))
    elif (found := _subscription(row, where) or _comment(row, where)) is not None:
        yield found
    elif len(row) == 2 and _VIDEO.fullmatch(row[0].strip()) and _TIME.match(row[1].strip()):
        yield Omission(PLAYLISTS, where, _WATCH + row[0].strip())


def _subscription(row: list[str], where: str) -> Tie | None:
    """Channel id, address and title."""
    if len(row) == 3 and _CHANNEL.fullmatch(row[0].strip()) and "youtube.com/channel/" in row[1]:
        return Tie("follow", (line(row[2]), row[0].strip()), place=where)
    return None


def _named_comment(at: dict[str, str], where: str) -> Item | Omission:
    this, video = line(at["comment id"]), line(at.get("video id"))
    if not _COMMENT.fullmatch(this):
        return Omission(BROKEN, where, "a comment without an id")
    stamp = at.get("comment create timestamp")
    return _said(this, at["comment text"], stamp, line(at.get("parent comment id")) or None, video or None, where)


def _comment(row: list[str], where: str) -> Item | Omission | None:
    """Its id is the first one, unless another goes on from that, as the id of an answer does; time, parent, video and
    text are where they are."""
    cells = [cell.strip() for cell in row]
    ids = [cell for cell in cells if _COMMENT.fullmatch(cell)]
    this = next((one for one in ids if one.startswith(f"{ids[0]}.")), ids[0] if ids else None)
    time = next((cell for cell in cells if _TIME.match(cell)), "")
    if len(cells) < 4 or this is None or not (time or this == cells[0]):
        return None
    rest = list(filter(None, cells))
    rest.remove(this)
    said = next((cell for cell in rest if cell.startswith(('{"', '[{"'))), None)
    if said is None:
        known = (_COMMENT, _CHANNEL, _VIDEO)
        words = [c for c in rest if not _TIME.match(c) and not any(p.fullmatch(c) for p in known)]
        said = max(words, key=len, default="")
        if said.isdigit():
            said = ""
    if said:
        rest.remove(said)
    parent = next((cell for cell in rest if _COMMENT.fullmatch(cell)), None)
    video = next((cell for cell in rest if _VIDEO.fullmatch(cell)), None)
    return _said(this, said, time, parent, video, where)


def _said(
    this: str, cell: str, stamp: str | None, parent: str | None, video: str | None, where: str
) -> Item | Omission:
    words = _words(cell)
    if not words.strip():
        return Omission(BROKEN, where, "a comment without words")
    link = None if video is None else f"{_WATCH}{video}&lc={this}"
    return Item(this, words, iso_ms(stamp), where, parent, link=link, answers=link)


def _words(cell: str) -> str:
    """The text of a cell: plain, or as JSON `{"text":"a"},{"text":"b"}`, a list of these, or
    `{"takeoutSegments":[{"text":"a"}]}`."""
    try:
        parts = json.loads(f"[{cell}]")
    except (ValueError, RecursionError):
        return plain(cell)
    if len(parts) == 1 and isinstance(parts[0], list):
        parts = parts[0]
    if not any(isinstance(part, dict) for part in parts):
        return plain(cell)
    inner = (one for part in dicts(parts) for one in dicts(part.get("takeoutSegments", part)))
    return "".join(plain(one.get("text")) for one in inner)


def _video(at: dict[str, str], where: str) -> Item | Omission:
    this = line(at.get("video id"))
    title = line(at["video title (original)"])
    if not _VIDEO.fullmatch(this):
        return Omission(BROKEN, where, f"a video without an id: {title}"[:200])
    if line(at.get("privacy")).lower() != "public":
        return Omission(PRIVATE, where, title)
    link = _WATCH + this
    parts = (title, plain(at.get("video description (original)")).strip(), link)
    stamp = at.get("video publish timestamp") or at.get("video create timestamp")
    text = "\n\n".join(part for part in parts if part)
    return Item(f"video:{this}", text, iso_ms(stamp), where, link=link)
