"""The streams of an app, by their names, and which of them a post is in."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import anyio

from banyan_crdt.ids import AccountId, account_from_text
from banyan_reading.visibility import PostFacts, ViewPlace, visible
from banyan_schema.social.post import tag_fold
from banyan_web.door_store import Token
from banyan_web.mastodon.streaming.listeners import Eyes, Listener
from banyan_web.refusals import HttpRefusal

# Those that an app can ask for.

OF_PERSON = frozenset({"user", "user:notification", "direct", "list"})
"""Streams of whose account the token is."""
WITHOUT_POSTS = frozenset({"user:notification", "direct"})
_PUBLIC = frozenset(("public" + place + media) for place in ("", ":local", ":remote") for media in ("", ":media"))
_TAGS = frozenset({"hashtag", "hashtag:local"})
NAMES = OF_PERSON | _PUBLIC | _TAGS


class StreamName(NamedTuple):
    """One stream. of: the folded tag, or the id of the list. tag: as it was asked for."""

    name: str
    of: str = ""
    tag: str = ""

    @property
    def said(self) -> list[str]:
        """As messages over WebSocket name it."""
        return [self.name, self.tag or self.of] if self.of else [self.name]


def channel(params: Mapping[str, Any], name: object) -> StreamName:
    """The stream that is asked for. Raises HttpRefusal."""
    if not isinstance(name, str) or name not in NAMES:
        raise HttpRefusal(400, "Unknown stream type")
    if name in _TAGS:
        tag = params.get("tag")
        if not isinstance(tag, str) or not tag.strip("# "):
            raise HttpRefusal(400, "Missing tag name parameter")
        tag = tag.strip("# ")[:128]
        return StreamName(name, tag_fold(tag), tag)
    if name == "list":
        id_ = params.get("list")
        if not isinstance(id_, str) or not id_:
            raise HttpRefusal(400, "Missing list name parameter")
        return StreamName(name, id_)
    if name in _PUBLIC and params.get("only_media") in ("1", "true", True) and not name.endswith(":media"):
        return StreamName(name + ":media")
    return StreamName(name)


def check(token: Token | None, asked: StreamName) -> Token:
    """Raises HttpRefusal if the token does not allow the stream."""
    if token is None:
        raise HttpRefusal(401, "Missing access token")
    if not token.allows("read:notifications" if asked.name == "user:notification" else "read:statuses"):
        raise HttpRefusal(401, "Access token does not have the required scopes")
    if asked.name in OF_PERSON and token.account is None:
        raise HttpRefusal(401, "This stream needs a person who is logged in: use a token of theirs.")
    return token


def public_channels(content: Mapping[str, Any], hosted: bool) -> Iterator[StreamName]:
    """The streams of everybody in which a post is. content: as the firehose has it."""
    if content["audience"] not in (None, "public"):
        return
    for tag in content["tags"] or ():
        yield StreamName("hashtag", tag_fold(tag))
        if hosted:
            yield StreamName("hashtag:local", tag_fold(tag))
    if content["reply"] is not None:
        return  # answers are no news for everybody
    for place in ("", ":local" if hosted else ":remote"):
        yield StreamName("public" + place)
        if content["media"]:
            yield StreamName("public" + place + ":media")


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


class StreamCandidate(NamedTuple):
    """A stream in which a post may be, and where its reader would see it. by: because this account reposted it."""

    stream: AppStream
    channel: StreamName
    place: ViewPlace
    by: AccountId | None = None


class PostState(NamedTuple):
    """What a post says at one time. to: the streams in which it may be then."""

    facts: PostFacts
    to: Sequence[StreamCandidate]

    def shown_in(
        self, limited: Collection[AccountId], now_ms: int
    ) -> dict[tuple[AppStream, StreamName], StreamCandidate]:
        """The streams that show it, each with the first place there that does. limited: by moderators."""
        found = dict[tuple[AppStream, StreamName], StreamCandidate]()
        for one in self.to:
            viewer = None if one.stream.person is None else one.stream.person.viewer
            facts = self.facts._replace(limited=limited, reposted_by=one.by)
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


def eyes_of(
    person: Listener | None, place: ViewPlace, author: AccountId, new: bool, quoted: str, limited: Collection[AccountId]
) -> Eyes:
    """With which a reader sees a post there. new, quoted: see `Hub._give`. limited: by moderators: not all readers see
    what is quoted of them."""
    if person is None:
        return Eyes()
    if place.kind != "public":
        return person.eyes("home", marks=not new or person.viewer.account == author)
    # all filters count in what is quoted, as on every page
    own = bool(quoted) and (account_from_text(quoted) in {*person.unseen, *limited} or bool(person.viewer.filters))
    return person.eyes("public", marks=True if own else None)
