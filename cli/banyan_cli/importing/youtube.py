"""Google's Takeout of YouTube: CSV files of comments, subscriptions, videos, playlists and the channel.

Takeout names its files and columns in the language of the account, so comments and subscriptions are recognised by what
their rows hold. A comment comes with the address of what it was said to. Of the videos the public ones come, as their
title, their description and their address; for YouTube an unlisted video is for those who were given its address.
Their films do not come: Takeout names a film by the title alone, and a private video may have the same title.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from banyan_cli.importing import csv_rows
from banyan_cli.importing.archives import Archive
from banyan_cli.importing.moved import (
    BROKEN,
    PRIVATE,
    Found,
    Item,
    Left,
    ProfileLine,
    Reading,
    Tie,
    iso_ms,
    line,
    plain,
)
from banyan_cli.importing.recognise import no_such_files

SERVICE = "youtube"
PLAYLISTS, CHATS = "videos on playlists", "messages in live chats"
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
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


def wants(name: str) -> bool:
    return name.endswith(".csv")


def reading(archive: Archive) -> Reading:
    """Raises BadInput if there are no CSV files."""
    if not archive.files:
        raise no_such_files(archive, "youtube", "subscriptions.csv or comments.csv")

    def read() -> Iterator[Found]:
        for name in sorted(archive.files):
            columns: list[str] | None = None
            for where, row in csv_rows.rows(archive, name):
                if isinstance(row, Left):
                    yield row
                elif columns is None:
                    columns = [line(column).lower() for column in row]
                    found = _subscription(row, where) or _comment(row, where)
                    if found is not None:  # a file without names of columns
                        yield found
                else:
                    yield from _row(row, columns, name, where)

    films = any("/video" in name.lower() and name.lower().endswith(FILMS) for name in archive.names)
    return Reading(SERVICE, read, (NO_FILMS,) if films else ())


def _row(row: list[str], columns: list[str], name: str, where: str) -> Iterator[Found]:
    at = dict(zip(columns, row, strict=False))
    if "live chat id" in at or "live chat" in name.lower():
        yield Left(CHATS, where)
    elif "video title (original)" in at:
        yield _video(at, where)
    elif "channel title (original)" in at:
        yield ProfileLine("name", line(at["channel title (original)"]))
        yield ProfileLine("bio", plain(at.get("channel description (original)")))
    elif (found := _subscription(row, where) or _comment(row, where)) is not None:
        yield found
    elif len(row) == 2 and _VIDEO.fullmatch(row[0].strip()) and _TIME.match(row[1].strip()):
        yield Left(PLAYLISTS, where, _WATCH + row[0].strip())


def _subscription(row: list[str], where: str) -> Tie | None:
    """Channel id, address and title."""
    if len(row) == 3 and _CHANNEL.fullmatch(row[0].strip()) and "youtube.com/channel/" in row[1]:
        return Tie("follow", (line(row[2]), row[0].strip()), place=where)
    return None


def _comment(row: list[str], where: str) -> Item | Left | None:
    """Its id is first; time, parent, video and text are where they are."""
    cells = [cell.strip() for cell in row]
    if len(cells) < 4 or not _COMMENT.fullmatch(cells[0]):
        return None
    said = next((cell for cell in cells[1:] if cell.startswith('{"')), None)
    rest = [cell for cell in cells[1:] if cell and cell != said]
    if said is None:
        known = (_COMMENT, _CHANNEL, _VIDEO)
        words = [c for c in rest if not _TIME.match(c) and not any(p.fullmatch(c) for p in known)]
        said = max(words, key=len, default="")
        if not said or said.isdigit():
            return Left(BROKEN, where, "a comment without words")
    time = next((cell for cell in rest if _TIME.match(cell)), "")
    parent = next((cell for cell in rest if cell != said and _COMMENT.fullmatch(cell)), None)
    video = next((cell for cell in rest if cell != said and _VIDEO.fullmatch(cell)), None)
    link = None if video is None else f"{_WATCH}{video}&lc={cells[0]}"
    return Item(cells[0], _words(said), iso_ms(time), where, parent, link=link, answers=link)


def _words(cell: str) -> str:
    """The text of `{"text":"a"},{"text":"b"}`."""
    try:
        parts = json.loads(f"[{cell}]")
    except (ValueError, RecursionError):
        return plain(cell)
    return "".join(plain(part.get("text")) for part in parts if isinstance(part, dict)) or plain(cell)


def _video(at: dict[str, str], where: str) -> Item | Left:
    this = line(at.get("video id"))
    title = line(at["video title (original)"])
    if not _VIDEO.fullmatch(this):
        return Left(BROKEN, where, f"a video without an id: {title}"[:200])
    if line(at.get("privacy")).lower() != "public":
        return Left(PRIVATE, where, title)
    link = _WATCH + this
    parts = (title, plain(at.get("video description (original)")).strip(), link)
    stamp = at.get("video publish timestamp") or at.get("video create timestamp")
    text = "\n\n".join(part for part in parts if part)
    return Item(f"video:{this}", text, iso_ms(stamp), where, link=link)
