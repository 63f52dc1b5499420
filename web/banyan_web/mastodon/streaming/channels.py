"""The streams that an app can ask for, by their names, and which of them a post is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from banyan_schema.social.post import tag_fold
from banyan_web.door_store import Token
from banyan_web.refusals import Refused

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
    """The stream that is asked for. Raises Refused."""
    if not isinstance(name, str) or name not in NAMES:
        raise Refused(400, "Unknown stream type")
    if name in _TAGS:
        tag = params.get("tag")
        if not isinstance(tag, str) or not tag.strip("# "):
            raise Refused(400, "Missing tag name parameter")
        tag = tag.strip("# ")[:128]
        return StreamName(name, tag_fold(tag), tag)
    if name == "list":
        id_ = params.get("list")
        if not isinstance(id_, str) or not id_:
            raise Refused(400, "Missing list name parameter")
        return StreamName(name, id_)
    if name in _PUBLIC and params.get("only_media") in ("1", "true", True) and not name.endswith(":media"):
        return StreamName(name + ":media")
    return StreamName(name)


def check(token: Token | None, asked: StreamName) -> Token:
    """Raises Refused if the token does not allow the stream."""
    if token is None:
        raise Refused(401, "Missing access token")
    if not token.allows("read:notifications" if asked.name == "user:notification" else "read:statuses"):
        raise Refused(401, "Access token does not have the required scopes")
    if asked.name in OF_PERSON and token.account is None:
        raise Refused(401, "This stream needs a person who is logged in: use a token of theirs.")
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
