"""What must be known of an account while an app of it listens: whose posts it wants, and whose it does not see."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import anyio

from banyan_schema.social.post import tag_fold
from banyan_web.endpoint import Web
from banyan_web.mastodon.ids import thing_of
from banyan_web.mastodon.streaming.shown import Eyes
from banyan_web.refusals import Refused

FRESH_S = 600.0
"""After so long it is read again."""
MOVING = frozenset({"follow", "block", "mute", "private", "keyring"})
"""Collections that change it, if it writes them."""
LETTING = "follow.answer"
"""The collection that changes it, if it is named there."""


class ListenedList(NamedTuple):
    """A list of an account. members: whose posts are in it. answered: those to whom its answers go that are in it;
    None: all."""

    members: frozenset[str]
    answered: frozenset[str] | None

    def takes(self, content: Mapping[str, Any], author: str) -> bool:
        """Whether a post is in it. content: as the firehose has it."""
        if author not in self.members or content["reply"] is None or self.answered is None:
            return author in self.members
        answered = content["reply"][1].partition("/")[0]
        return answered == author or answered in self.answered


class Listener:
    """One account, shared by all streams of it. follows: whom it follows, and itself. home: the accounts whose posts
    are in its home timeline. silent: those of them whose reposts are not. langs: in which languages the posts of some
    are. tags: that it follows, folded. unseen: those whom it does not see. unheard: until when, in milliseconds, it did
    not see others. heard: the place of the newest notification that it was told, or that was there before."""

    def __init__(self, did: str) -> None:
        self.did = did
        self.streams = 0
        self.follows: frozenset[str] = frozenset()
        self.home: frozenset[str] = frozenset()
        self.silent: frozenset[str] = frozenset()
        self.langs: dict[str, list[str]] = {}
        self.tags: frozenset[str] = frozenset()
        self.unseen: frozenset[str] = frozenset()
        self.unheard: dict[str, int] = {}
        self.filters: Any = []
        self.heard = ""
        self.lists: dict[str, ListenedList] = {}
        self.stale = True
        self._until_ms = math.inf
        """When the next of its mutes ends."""
        self._read = 0.0
        self._event: Mapping[str, Any] | None = None
        """By which it changed, and is not read yet."""
        self._turn = anyio.Lock()

    def eyes(self, where: str, marks: bool | None) -> Eyes:
        """Its own if it has filters that count there, or if it may have marked the post: else what it sees is made once
        for all. marks: whether anybody can have marked it; None: what they did with it is not told there."""
        some = [one for one in self.filters if one["contexts"] is None or where in one["contexts"]]
        hiding = frozenset(one["words"] for one in some if one["action"] == "hide")
        return Eyes(self.did, hiding, where) if some or marks else Eyes(unmarked=marks is False)

    def reads(self, author: str, lang: str | None) -> bool:
        """Whether a post of one that it follows, in this language, is at its home."""
        langs = self.langs.get(author)
        return langs is None or lang is None or lang.split("-")[0] in langs or lang in langs

    @property
    def is_fresh(self) -> bool:
        """Whether it cannot have changed."""
        fresh = not self.stale and anyio.current_time() - self._read < FRESH_S
        return fresh and time.time() * 1000 < self._until_ms

    def moves(self, event: Mapping[str, Any]) -> None:
        """By this event of the firehose. Whoever refreshes it next, reads what changed."""
        self.stale, self._event = True, event

    async def refresh(self, web: Web) -> None:
        """Reads it, if it may have changed. Raises Refused."""
        async with self._turn:
            if self.is_fresh:
                return
            self.stale, event, self._event = False, self._event, None
            wishes = await web.call("follow.wishes", by=self.did)
            apart = frozenset(wishes["apart"]) - {self.did}
            self.follows = frozenset([self.did, *await _following(web, self.did)])
            self.home = self.follows - apart
            self.silent = frozenset(one["account"] for one in wishes["wishes"] if not one["reposts"])
            self.langs = {one["account"]: one["langs"] for one in wishes["wishes"] if one["langs"] is not None}
            self.tags = frozenset(map(tag_fold, wishes["tags"]))
            blocked = (await web.call("blocks", by=self.did))["blocks"]
            muted = (await web.call("mutes", by=self.did))["mutes"]
            unseen = frozenset(one["account"] for one in [*blocked, *muted])
            if ended := self.unseen - unseen:
                now_ms = int(min(time.time() * 1000, self._until_ms))
                self.unheard |= dict.fromkeys(ended, now_ms if event is None else await self._moved_ms(web, event))
            self.unseen = unseen
            self._until_ms = min((one["until"] for one in muted if one["until"] is not None), default=math.inf)
            self.filters = (await web.call("filters", by=self.did))["filters"]
            for id_ in list(self.lists):
                self.lists[id_] = await self._list(web, id_)
            if not self._read:
                newest = (await web.call("notifications", by=self.did, limit=1, each=True))["notices"]
                self.heard = newest[0]["at"] if newest else ""
            self._read = anyio.current_time()

    async def _moved_ms(self, web: Web, event: Mapping[str, Any]) -> int:
        """When it changed last, as it was read: by this event, or by one that is told only later."""
        later = {"since": event["cursor"], "accounts": [self.did], "collections": sorted(MOVING)}
        events = (await web.call("firehose", **later))["events"]
        return max(int(one["time_ms"]) for one in (event, *events) if "time_ms" in one)

    async def watch(self, web: Web, id_: str) -> None:
        """A list of it. Raises Refused."""
        if id_ not in self.lists:
            self.lists[id_] = await self._list(web, id_, strict=True)

    async def _list(self, web: Web, id_: str, strict: bool = False) -> ListenedList:
        try:
            found = await web.call("list.show", id=thing_of(id_), by=self.did)
        except Refused:
            if strict:
                raise Refused(404, "Record not found") from None
            return ListenedList(frozenset(), None)
        members = frozenset(one["account"] for one in found["members"])
        shown = {"none": frozenset[str](), "list": members, "followed": self.follows}.get(found["replies"])
        return ListenedList(members, None if shown is None else shown | {self.did})

    async def news(self, web: Web) -> list[dict[str, Any]]:
        """What it heard of since, the oldest first. Raises Refused."""
        async with self._turn:
            rows = (await web.call("notifications", by=self.did, limit=20, each=True))["notices"]
            found = [row for row in reversed(rows) if row["at"] > self.heard]
            if found:
                self.heard = found[-1]["at"]
            return [one for one in found if one["time_ms"] > self.unheard.get(one["accounts"][0]["account"], 0)]


async def _following(web: Web, did: str) -> list[str]:
    found, after = list[str](), None
    while True:
        page = await web.call("following", account=did, by=did, limit=1_000, after=after)
        found += [one["account"] for one in page["accounts"]]
        after = page["after"]
        if after is None:
            return found
