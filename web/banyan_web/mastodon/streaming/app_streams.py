"""One stream of an app, and whether a post is in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import anyio

from banyan_crdt.ids import AccountId, account_from_text
from banyan_reading.visibility import Place, PostFacts, visible
from banyan_web.mastodon.streaming.channels import StreamName
from banyan_web.mastodon.streaming.people import Listener
from banyan_web.mastodon.streaming.shown import Eyes

QUEUED = 256
"""The most messages that wait for one stream."""


class Message(NamedTuple):
    """payload: a text, which is JSON if it is an entity; None: there is none."""

    channel: StreamName
    event: str
    payload: str | None


class AppStream:
    """One connection. channels: what it asked for, and as what the app knows it. person: whose it is. notices: whether
    its token allows them."""

    __slots__ = ("_more", "_queue", "channels", "ended", "notices", "person")

    def __init__(self, person: Listener | None, notices: bool) -> None:
        self.person, self.notices = person, notices
        self.channels: dict[StreamName, list[str]] = {}
        self.ended: str | None = None
        self._queue: deque[Message] = deque()
        self._more: anyio.Event | None = None

    def listens(self, channel: StreamName) -> bool:
        return channel._replace(tag="") in self.channels

    def put(self, message: Message) -> None:
        if len(self._queue) == QUEUED:
            self.end("slow")
        elif self.ended is None:
            self._queue.append(message)
            self._wake()

    def end(self, why: str) -> None:
        """Its reader gets nothing more."""
        self.ended = self.ended or why
        self._wake()

    async def get(self, seconds: float) -> Message | None:
        """The next message; None if there was none for so long, or at the end."""
        if not self._queue and self.ended is None:
            self._more = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._more.wait()
        return self._queue.popleft() if self._queue and self.ended != "slow" else None

    def _wake(self) -> None:
        if self._more is not None:
            self._more.set()


class Candidate(NamedTuple):
    """A stream in which a post may be, and where its reader would see it. by: because this account reposted it."""

    stream: AppStream
    channel: StreamName
    place: Place
    by: AccountId | None = None


class PostState(NamedTuple):
    """What a post says at one time. to: the streams in which it may be then."""

    facts: PostFacts
    to: Sequence[Candidate]

    def shown_in(self, limited: Collection[AccountId], now_ms: int) -> dict[tuple[AppStream, StreamName], Candidate]:
        """The streams that show it, each with the first place there that does. limited: by moderators."""
        found = dict[tuple[AppStream, StreamName], Candidate]()
        for one in self.to:
            viewer = None if one.stream.person is None else one.stream.person.viewer
            facts = replace(self.facts, limited=limited, reposted_by=one.by)
            if (one.stream, one.channel) not in found and visible(viewer, facts, one.place, now_ms).why is None:
                found[one.stream, one.channel] = one
        return found


def facts_of(author: AccountId, content: Mapping[str, Any]) -> PostFacts:
    """content: of a post, as the firehose has it."""
    return PostFacts(
        author,
        content["text"],
        content["warning"],
        content["tags"] or (),
        content["lang"],
        content["audience"] or "public",
        None if content["reply"] is None else account_from_text(content["reply"][1].partition("/")[0]),
    )


def eyes_of(person: Listener | None, place: Place, author: AccountId, new: bool, quoted: str) -> Eyes:
    """With which a reader sees a post there. new, quoted: see `Hub._give`."""
    if person is None:
        return Eyes()
    if place.kind != "public":
        return person.eyes("home", marks=not new or person.viewer.account == author)
    # all filters count in what is quoted, as on every page
    own = bool(quoted) and (account_from_text(quoted) in person.unseen or bool(person.viewer.filters))
    return person.eyes("public", marks=True if own else None)
