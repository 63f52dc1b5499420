"""What streams sent and may have to take back: the ids of posts and reposts, and what rules may refuse of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cachetools import FIFOCache

from banyan_reading.timelines import place_ms
from banyan_web.mastodon.streaming.app_streams import StreamName

REMEMBERED = 50_000
"""Posts and reposts whose ids are kept, to say which one was deleted."""
RULED, RULED_POSTS = 5_000, 200
"""So many accounts whose rules may refuse what streams told, and the latest posts and reposts of each that they may."""


class SentPost(NamedTuple):
    """What streams sent: a post, or that an account reposted it at that time."""

    uri: str
    by: str = ""
    at_ms: int = 0

    @property
    def actor(self) -> str:
        return self.by or self.uri.partition("/")[0]


class SentPosts:
    def __init__(self) -> None:
        self.ids: FIFOCache[str, tuple[str, frozenset[StreamName]]] = FIFOCache(REMEMBERED)
        self._ruled: FIFOCache[str, dict[SentPost, Sequence[str]]] = FIFOCache(RULED)
        """By account, what its rules may refuse, with the posts that it answers, quotes or reposts."""
        self.refused: FIFOCache[SentPost, None] = FIFOCache(REMEMBERED)
        """What no stream has, because rules refused it when it was looked at last."""

    def refusable(self, event: Mapping[str, Any]) -> Iterable[SentPost]:
        """What streams may have and the rules of an account may refuse after an event, or not refuse any more. With an
        answer its quotes and reposts."""
        author, collection, content = event["account"], event["collection"], event["content"] or {}
        follower = author if collection == "follow" else content.get("account")
        whose = content.get("account", "") if collection == "follow" else author
        found = list(self._ruled.get(whose, {}).items())
        if collection == "hidden":
            told = [SentPost(uri_in(content))] if content else []
        elif collection == "post":
            told = [one for one, named in found if event["kind"] == "update" and event["uri"] in named]
        elif collection == "profile":
            told = [one for one, _ in found if content.get("field") == "locked"]
        else:
            told = [one for one, _ in found if one.actor == follower]
        of_these = ((one.uri, self._ruled.get(one.uri.partition("/")[0], {})) for one in told)
        return dict.fromkeys([*told, *(one for uri, ruled in of_these for one, named in ruled.items() if uri in named)])

    def note(self, one: SentPost, named: Iterable[str | None], refused: bool) -> None:
        """named: what it answers, quotes or reposts."""
        self.refused.pop(one, None)
        if refused:
            self.refused[one] = None
        names = [uri for uri in named if uri]
        for did in {uri.partition("/")[0] for uri in names}:
            ruled = self._ruled.setdefault(did, {})
            ruled[one] = names
            if len(ruled) > RULED_POSTS:
                del ruled[next(iter(ruled))]

    def of(self, dids: Collection[str]) -> list[SentPost]:
        """The latest posts of these accounts, and reposts by them and of what they said."""
        reposts = dict.fromkeys(one for ruled in self._ruled.values() for one in ruled if one.by)
        found = [SentPost(uri) for uri in self.ids if uri.partition("/")[0] in dids]
        found += [one for one in reposts if one.by in dids or one.uri.partition("/")[0] in dids]
        return found[-RULED_POSTS:]


def ms_in_key(uri: str) -> int:
    """The time that a post's key begins with: that of the post, if it was written by a node."""
    return place_ms(uri.partition("/")[2])


def uri_in(content: Mapping[str, Any]) -> str:
    """The post that an operation names."""
    return f"{content['account']}/{content['key']}"
