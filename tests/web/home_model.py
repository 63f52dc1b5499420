"""What a home timeline is, as simply as possible: by docs/api.md and docs/social.md alone.

A home timeline has a line for each post of the reader and of those whom the reader follows, and one for each repost of
theirs, by time. An account that is locked is not among them until it accepts the reader. Whoever is muted or blocked is
not seen, neither as author nor as who reposts. Posts that a filter hides are left out, but for one's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass
class Said:
    author: str
    text: str
    time_ms: int
    reply_to: str | None = None
    quotes: str | None = None
    edited: bool = False


class Line(NamedTuple):
    """by: who reposted it; None: it stands there as a post."""

    time_ms: int
    uri: str
    by: str | None


class Row(NamedTuple):
    uri: str
    by: tuple[str, ...]
    """Who reposted it, the latest first."""


@dataclass
class Network:
    """What everybody said that holds. Accounts are DIDs, posts URIs."""

    names: dict[str, str] = field(default_factory=dict)
    posts: dict[str, Said] = field(default_factory=dict)
    reposts: dict[tuple[str, str], int] = field(default_factory=dict)
    """(by, uri) -> when"""
    reactions: set[tuple[str, str, str]] = field(default_factory=set)
    """(by, uri, emoji)"""
    follows: set[tuple[str, str]] = field(default_factory=set)
    locked: set[str] = field(default_factory=set)
    accepted: set[tuple[str, str]] = field(default_factory=set)
    """(who is locked, who follows)"""
    unseen: set[tuple[str, str]] = field(default_factory=set)
    """(reader, whom it mutes or blocks)"""
    words: dict[str, str] = field(default_factory=dict)
    """Of the filter of a reader."""
    bookmarks: set[tuple[str, str]] = field(default_factory=set)

    def lock(self, who: str) -> None:
        """Present followers stay: they are accepted in the same call."""
        if who not in self.locked:
            self.accepted |= {(who, one) for one, whom in self.follows if whom == who}
        self.locked.add(who)

    def waits(self, follower: str, whom: str) -> bool:
        return whom in self.locked and (whom, follower) not in self.accepted

    def authors(self, reader: str) -> set[str]:
        followed = {whom for who, whom in self.follows if who == reader and not self.waits(reader, whom)}
        return {one for one in followed | {reader} if (reader, one) not in self.unseen}

    def lines(self, reader: str) -> list[Line]:
        """Those that the timeline has, the newest first, also those that are not seen."""
        of = self.authors(reader)
        found = [Line(said.time_ms, uri, None) for uri, said in self.posts.items() if said.author in of]
        found += [Line(at, uri, by) for (by, uri), at in self.reposts.items() if by in of]
        return sorted(found, reverse=True)

    def sees(self, reader: str, line: Line) -> bool:
        said = self.posts.get(line.uri)
        if said is None:  # it was deleted
            return False
        if said.author == reader:
            return True
        words = self.words.get(reader)
        filtered = words is not None and re.search(rf"\b{words}\b", said.text) is not None
        return (reader, said.author) not in self.unseen and not filtered

    def page(self, reader: str, below_ms: int | None, limit: int) -> tuple[list[Row], int | None]:
        """A page of rows, and the time of the line at which it ends; None on the last one. Of a page a post is one row,
        where its latest line stands."""
        rows: dict[str, list[str]] = {}
        plain, last = set[str](), None
        for line in self.lines(reader):
            if below_ms is not None and line.time_ms >= below_ms:
                continue
            if len(rows) == limit:
                return [Row(uri, tuple(by)) for uri, by in rows.items()], last
            last = line.time_ms
            if not self.sees(reader, line):
                continue
            if line.uri not in rows and line.by is None:
                plain.add(line.uri)
            by = rows.setdefault(line.uri, [])
            if line.by is not None and line.uri not in plain:
                by.append(line.by)
        return [Row(uri, tuple(by)) for uri, by in rows.items()], None

    def seen(self, reader: str) -> set[str]:
        """The posts of all pages."""
        return {line.uri for line in self.lines(reader) if self.sees(reader, line)}

    # -- what stands in a row

    def quoted(self, reader: str, uri: str) -> str | None:
        """The text of what a post quotes; None if it is gone, or of one that the reader does not see."""
        said = self.posts.get(self.posts[uri].quotes or "")
        return None if said is None or (reader, said.author) in self.unseen else said.text

    def replies(self, uri: str) -> int:
        return sum(said.reply_to == uri for said in self.posts.values())

    def reacted(self, uri: str) -> dict[str, int]:
        emojis = [emoji for _, to, emoji in self.reactions if to == uri]
        return {emoji: emojis.count(emoji) for emoji in emojis}

    def reposted(self, uri: str) -> int:
        return sum(of == uri for _, of in self.reposts)

    def mine(self, reader: str, uri: str) -> tuple[set[str], bool, bool]:
        """(with what the reader reacted, whether it reposted, whether it bookmarked)."""
        emojis = {emoji for by, to, emoji in self.reactions if (by, to) == (reader, uri)}
        return emojis, (reader, uri) in self.reposts, (reader, uri) in self.bookmarks

    def forget(self, uri: str) -> None:
        """A post is deleted for ever."""
        del self.posts[uri]

    def alive(self) -> Iterator[str]:
        yield from self.posts
