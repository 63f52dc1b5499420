"""A Mastodon account: the archive that its settings make (actor.json, outbox.json, likes.json, bookmarks.json), and the
lists that they export (following_accounts.csv, lists.csv and so on), together in a folder or one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from emoji import purely_emoji

from banyan_cli.importing import streams
from banyan_cli.importing.activitystreams import LIKE, SERVICE, actor_fields, actor_pictures, handles_of, id_of, notes
from banyan_cli.importing.archives import Archive, no_such_files
from banyan_cli.importing.model import BROKEN, MOST_ID, ArchiveContents, Found, Omission, Tie, TieKind, line, plain
from banyan_cli.importing.streams import MOST_ITEM, Broken, items

FILES = ("actor.json", "outbox.json", "likes.json", "bookmarks.json")
PEOPLE: dict[str, TieKind] = {
    "following_accounts.csv": "follow",
    "follows.csv": "follow",
    "following.csv": "follow",
    "blocked_accounts.csv": "block",
    "blocks.csv": "block",
    "muted_accounts.csv": "mute",
    "mutes.csv": "mute",
}
MOST_EMOJI = 32
"""Characters of the emoji of a reaction: the longest of Unicode have some ten."""
LISTS, BOOKMARKS = "lists.csv", "bookmarks.csv"


def wants(name: str) -> bool:
    return name.rpartition("/")[2] in {*FILES, *PEOPLE, LISTS, BOOKMARKS}


def reading(archive: Archive) -> ArchiveContents:
    """Raises BadInput if none of the files is there."""
    if not archive.files:
        raise no_such_files(archive, "mastodon", "outbox.json, or CSV files such as following_accounts.csv")
    actor = _actor(archive)
    host = handles_of(id_of(actor) or "")[0].rpartition("@")[2] if actor else ""

    def read() -> Iterator[Found]:
        yield from actor_fields(actor)
        yield from actor_pictures(actor, "actor.json")
        for name in archive.wanted("outbox.json"):
            yield from notes(archive, name)
        for name in archive.wanted("likes.json"):
            yield from _posts(archive, name, "react", LIKE)
        for name in archive.wanted("bookmarks.json"):
            yield from _posts(archive, name, "bookmark")
        for end, kind in PEOPLE.items():
            for name in archive.wanted(end):
                for where, row in streams.rows(archive, name):
                    if isinstance(row, Omission):
                        yield row
                    elif who := _handle(row[0], host):
                        yield Tie(kind, (who,), place=where)
        for name in archive.wanted(LISTS):
            for where, row in streams.rows(archive, name):
                if isinstance(row, Omission):
                    yield row
                elif len(row) > 1 and line(row[0]) and (who := _handle(row[1], host)):
                    yield Tie("member", (who,), title=line(row[0]), place=where)
        for name in archive.wanted(BOOKMARKS):
            for where, row in streams.rows(archive, name):
                if isinstance(row, Omission):
                    yield row
                elif row[0].startswith("http"):
                    yield Tie("bookmark", handles_of(line(row[0])), line(row[0])[:MOST_ID], place=where)

    return ArchiveContents(SERVICE, read)


def _actor(archive: Archive) -> dict[str, Any]:
    for name in archive.wanted("actor.json"):
        with archive.open(name) as stream:
            try:
                found = json.loads(stream.read(MOST_ITEM).decode("utf-8-sig", "replace"))
            except (ValueError, RecursionError):
                continue
        if isinstance(found, dict):
            return found
    return {}


def _posts(archive: Archive, name: str, kind: TieKind, emoji: str | None = None) -> Iterator[Found]:
    with archive.open(name) as stream:
        for number, one in enumerate(items(stream, "orderedItems", "items"), 1):
            where = f"{name}, item {number}"
            if isinstance(one, Broken):
                yield Omission(BROKEN, where, one.why)
                continue
            said = one if isinstance(one, dict) and "object" in one else {"object": one}  # a Like, as Banyan exports
            if (uri := id_of(said["object"])) is not None:
                given = _one_emoji(said.get("content")) or emoji if emoji else None
                yield Tie(kind, handles_of(uri), uri, emoji=given, place=where)
            else:
                yield Omission(BROKEN, where, "it is no address")


def _one_emoji(text: Any) -> str | None:
    """A text that can be a reaction; None if it is another one."""
    said = plain(text).strip()
    return said if said and len(said) <= MOST_EMOJI and purely_emoji(said) else None


def _handle(text: str, host: str) -> str | None:
    """`name@host`; None for what is no handle, such as the name of the column."""
    name = line(text).removeprefix("@")
    if not name or " " in name:
        return None
    return name if "@" in name or not host else f"{name}@{host}"
