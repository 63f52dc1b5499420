"""What must be known of an account while an app of it listens (whose posts it wants, and whose it does not see), and
the entities that it is sent."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import anyio

from banyan_crdt.ids import AccountId, account_from_text
from banyan_reading.visibility import FilterContext, ListRule, Viewer, word_filters
from banyan_schema.private_kinds import Filter, FollowWish
from banyan_schema.social.post import tag_fold
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon import notifications
from banyan_web.mastodon.endpoints.reports import is_limited
from banyan_web.mastodon.entities.accounts import accounts
from banyan_web.mastodon.entities.statuses import row_of, statuses, unmarked
from banyan_web.mastodon.entity_ids import thing_of
from banyan_web.refusals import HttpRefusal, gone

# Entities are those of the rest of the API.


class Eyes(NamedTuple):
    """Who sees it. reader: None: anybody. where: whose filters there warn. unmarked: it is one of many people, none of
    whom can have done anything with the post yet."""

    reader: str | None = None
    where: FilterContext | None = None
    unmarked: bool = False


async def status(
    web: DoorContext, uri: str, people: Mapping[str, Any], eyes: Eyes, reposted: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A post. people: of `current`. reposted: as one account reposted it: `account` and `time_ms`. Raises HttpRefusal
    if it is not shown in timelines."""
    row = await row_of(web, uri, eyes.reader, eyes.where)
    if row["refused"] is not None:
        raise gone()
    if reposted is not None:
        row["reposted"] = [reposted]
    found = (await statuses(web, [row], eyes.reader, people))[0]
    return unmarked(found) if eyes.unmarked else found


async def current(web: DoorContext, dids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Account entities whose counts have what happened. Pages show the same from now on. Raises HttpRefusal."""
    found = await accounts(web, dids)
    for did, entity in found.items():
        web.caches.put_person(did, entity)
    return found


async def plain(web: DoorContext, uri: str, reposter: str | None = None) -> dict[str, Any]:
    """The post as the node has it. Raises HttpRefusal if it is not shown."""
    return await row_of(web, uri, None, reposter=reposter)


async def notification_entities(
    web: DoorContext, rows: Sequence[Mapping[str, Any]], reader: str
) -> list[dict[str, Any]]:
    """What the reader hears of, without that for which apps have no word. Raises HttpRefusal."""
    found = [notifications.told_of(row) for row in rows if row["kind"] in notifications.SHOWN_AS]
    known = await notifications.entities(web, reader, found)
    return [notifications.notification(one, known) for one in notifications.shown_of(found, known)]


FRESH_S = 600.0
"""After so long it is read again."""
MOVING = frozenset({"follow", "block", "mute", "private", "keyring"})
"""Collections that change it, if it writes them."""
LETTING = "follow.answer"
"""The collection that changes it, if it is named there."""

RULING = frozenset({"post", "hidden", "follow", "follow.answer", "profile"})
"""Collections that change what the rules of an account refuse below its posts."""


class Listener:
    """One account, shared by all streams of it. viewer: what it wants to see. home: the accounts whose posts may be in
    its home timeline. tags: that it follows, folded. filters: as the node has them. unseen: those whom it does not see.
    unheard: until when, in milliseconds, it did not see others. heard: the place of the newest notification that it was
    told, or that was there before."""

    def __init__(self, did: str) -> None:
        self.did = did
        self.streams = 0
        self.viewer = Viewer(account_from_text(did))
        self.home: frozenset[AccountId] = frozenset()
        self.tags: frozenset[str] = frozenset()
        self.filters: list[Mapping[str, Any]] = []
        self.labellers: frozenset[str] = frozenset()
        """Issuers of labels that it chose: they may put words before a post, or hide it."""
        self.unseen: frozenset[AccountId] = frozenset()
        self.gone: frozenset[AccountId] = frozenset()
        """Whom it left or does not see any more, and its streams were not told so."""
        self.unheard: dict[AccountId, int] = {}
        self.heard = ""
        self.stale = True
        self._until_ms = math.inf
        """When the next of its mutes ends."""
        self._read = 0.0
        self._event: Mapping[str, Any] | None = None
        """By which it changed, and is not read yet."""
        self._turn = anyio.Lock()

    def eyes(self, where: FilterContext, marks: bool | None) -> Eyes:
        """Its own if it has filters that count there, or if it may have marked the post: else what it sees is made once
        for all. marks: whether anybody can have marked it; None: what they did with it is not told there."""
        filtered = any(one.contexts is None or where in one.contexts for one in self.viewer.filters)
        return Eyes(self.did, where) if filtered or marks or self.labellers else Eyes(unmarked=marks is False)

    @property
    def is_fresh(self) -> bool:
        """Whether it cannot have changed."""
        fresh = not self.stale and anyio.current_time() - self._read < FRESH_S
        return fresh and time.time() * 1000 < self._until_ms

    def moves(self, event: Mapping[str, Any]) -> None:
        """By this event of the firehose. Whoever refreshes it next, reads what changed."""
        self.stale, self._event = True, event

    async def refresh(self, web: DoorContext) -> bool:
        """Reads it, if it may have changed. Whether its filters are others now. Raises HttpRefusal."""
        async with self._turn:
            if self.is_fresh:
                return False
            before, event, self.stale, self._event = self.filters, self._event, False, None
            home, unseen = (
                self.home,
                self.unseen,
            )  # read in turn: each change is seen by one who refreshes, and no other
            try:
                await self._read_anew(web, event)
            except BaseException:  # also whoever asked has left: what changed is still not known
                self.stale, self._event = True, event or self._event
                raise
            finally:
                self.gone |= (home - self.home) | (self.unseen - unseen)
            return self.filters != before

    async def _read_anew(self, web: DoorContext, event: Mapping[str, Any] | None) -> None:
        wants, follows = await web.call("viewer", by=self.did), await _following(web, self.did)
        me, mutes = self.viewer.account, {account_from_text(one["account"]): one["until"] for one in wants["mutes"]}
        apart = frozenset(map(account_from_text, wants["apart"])) - {me}
        self.home, self.tags = frozenset([me, *follows]) - apart, frozenset(map(tag_fold, wants["tags"]))
        self.viewer = Viewer(
            me,
            follows=frozenset(follows),
            blocks=frozenset(map(account_from_text, wants["blocks"])),
            mutes=mutes,
            apart=apart,
            wishes={account_from_text(one["account"]): _wish(one) for one in wants["wishes"]},
            filters=word_filters(map(_filter, wants["filters"])),
            lists={id_: await self._list(web, id_, follows) for id_ in self.viewer.lists},
        )
        ended_ms, now_ms = self._until_ms, int(time.time() * 1000)
        unseen = self.viewer.hidden(now_ms)
        if ended := self.unseen - unseen:
            since_ms = int(min(now_ms, ended_ms)) if event is None else await self._moved_ms(web, event)
            self.unheard |= dict.fromkeys(ended, since_ms)
        self.unseen = unseen
        self._until_ms = self.viewer.until_ms(now_ms) or math.inf
        if not self._read:
            newest = (await web.call("notifications", by=self.did, limit=1, each=True))["notices"]
            self.heard = newest[0]["at"] if newest else ""
        self.filters, self.labellers = wants["filters"], frozenset(wants["labellers"])
        self._read = anyio.current_time()

    async def _moved_ms(self, web: DoorContext, event: Mapping[str, Any]) -> int:
        """When it changed last, as it was read: by this event, or by one that is told only later."""
        later = {"since": event["cursor"], "accounts": [self.did], "collections": sorted(MOVING)}
        events = (await web.call("firehose", **later))["events"]
        return max(int(one["time_ms"]) for one in (event, *events) if "time_ms" in one)

    async def watch(self, web: DoorContext, id_: str) -> None:
        """A list of it. Raises HttpRefusal."""
        if id_ not in self.viewer.lists:
            rule = await self._list(web, id_, self.viewer.follows, strict=True)
            self.viewer = replace(self.viewer, lists={**self.viewer.lists, id_: rule})

    async def _list(self, web: DoorContext, id_: str, follows: Collection[AccountId], strict: bool = False) -> ListRule:
        try:
            found = await web.call("list.show", id=thing_of(id_), by=self.did)
        except HttpRefusal:
            if strict:
                raise gone() from None
            return ListRule((), None)
        members = frozenset(account_from_text(one["account"]) for one in found["members"])
        return ListRule.of(self.viewer.account, members, found["replies"], follows)

    async def news(self, web: DoorContext) -> list[dict[str, Any]]:
        """What it heard of since, the oldest first. Raises HttpRefusal."""
        async with self._turn:
            rows = (await web.call("notifications", by=self.did, limit=20, each=True))["notices"]
            found = [row for row in reversed(rows) if row["at"] > self.heard]
            if found:
                self.heard = found[-1]["at"]
            return [one for one in found if one["time_ms"] > self.unheard.get(_who(one), 0)]


def _who(notice: Mapping[str, Any]) -> AccountId:
    return account_from_text(notice["accounts"][0]["account"])


def _wish(row: Mapping[str, Any]) -> FollowWish:
    langs = None if row["langs"] is None else " ".join(row["langs"])
    return FollowWish(account_from_text(row["account"]), None if row["reposts"] else "no", langs)


def _filter(row: Mapping[str, Any]) -> Filter:
    contexts = None if row["contexts"] is None else " ".join(row["contexts"])
    matches = None if row["whole"] else "part"
    return Filter(b"", row["words"], row["action"], row["until"], contexts=contexts, matches=matches)


async def _following(web: DoorContext, did: str) -> list[AccountId]:
    found, after = list[AccountId](), None
    while True:
        page = await web.call("following", account=did, by=did, limit=1_000, after=after)
        found += [account_from_text(one["account"]) for one in page["accounts"]]
        after = page["after"]
        if after is None:
            return found


def content_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a post as it is shown, what the firehose has of its content."""
    content = {name: row[name] for name in ("text", "warning", "audience", "tags", "media", "lang")}
    content["quote"] = row["quote"] and row["quote"]["uri"]
    return content | {"reply": None if row["reply_to"] is None else (row["root"], row["reply_to"])}


async def replaced(web: DoorContext, uri: str, entry: str | None) -> dict[str, Any]:
    """What a post said before this entry edited it, as far as it is held. Raises HttpRefusal."""
    versions = (await web.call("why", uri=uri))["versions"] if entry is not None else ()
    found: dict[str, Any] = next((old for old, one in pairwise(versions) if one["entry"] == entry), {})
    return found if found.get("text") is not None else {}


async def limited(web: DoorContext, dids: Iterable[str]) -> list[AccountId]:
    """Those of these accounts that moderators limit."""
    return [account_from_text(did) for did in dids if await is_limited(web, did)]
