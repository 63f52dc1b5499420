"""All streams of this process: one task follows the firehose while an app listens, and gives each what is for it.

A payload is made once for all who see a post alike. One of its own gets who reads with filters and, in the streams of
people, everybody if the post is not new or quotes: they may have favoured, kept or reposted it. An app that takes
nothing for long loses its stream and comes again, as with Mastodon; the timelines have what it missed.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_node.api.firehose import ArrivalPlace
from banyan_reading.visibility import ViewPlace
from banyan_web.endpoint import DoorContext
from banyan_web.firehose.tail import PAGE, Tail, TailEvent, events_of
from banyan_web.mastodon.entity_ids import repost_id, status_id
from banyan_web.mastodon.streaming import listeners
from banyan_web.mastodon.streaming.app_streams import (
    OF_PERSON,
    QUEUED,
    WITHOUT_POSTS,
    AppStream,
    Message,
    PostState,
    StreamCandidate,
    StreamName,
    eyes_of,
    facts_of,
    public_channels,
)
from banyan_web.mastodon.streaming.listeners import LETTING, MOVING, RULING, Listener
from banyan_web.mastodon.streaming.sent_posts import SentPost, SentPosts, ms_in_key, uri_in
from banyan_web.refusals import BUILDING, HttpRefusal

REPOSTERS = 200
"""Of those who reposted a post that was edited, the streams that have it because of one of so many are told."""
LOOK_S = 5.0
JUDGED = 1_000
"""Decisions of moderators that wait to be told."""
_USER = StreamName("user")
_DID = re.compile(rb"did:banyan:z[1-9A-HJ-NP-Za-km-z]+")
_log = logging.getLogger(__name__)


class Hub:
    """Use it in one event loop."""

    def __init__(self) -> None:
        self._streams: dict[AppStream, None] = {}
        self._people: dict[str, Listener] = {}
        self.channels: dict[StreamName, dict[AppStream, None]] = {}
        """The streams that listen to each."""
        self._sent = SentPosts()
        self._later: deque[TailEvent] = deque(maxlen=QUEUED)
        """Posts of long runs, which are shown only once these are folded; of many the last ones."""
        self._needed, self._live = anyio.Event(), anyio.Event()
        """Whether any stream is open; whether what happens is read."""
        self._closed = False

    @property
    def count(self) -> int:
        """Open streams."""
        return len(self._streams)

    async def open(self, web: DoorContext, account: str | None, notices: bool) -> AppStream:
        """A stream of an account without channels. Close it. Raises HttpRefusal."""
        person = None
        if account is not None:
            person = self._people.setdefault(account, Listener(account))
            person.streams += 1
            try:
                await self.refresh(web, person)
            except BaseException:
                self._leave(person)
                raise
        stream = AppStream(person, notices)
        if self._closed:
            stream.end("shutdown")
        self._streams[stream] = None
        self._needed.set()
        try:
            with anyio.move_on_after(LOOK_S):  # what happens after this is answered must not be missed
                await self._live.wait()
        except BaseException:
            self.close(stream)
            raise
        return stream

    async def add(self, web: DoorContext, stream: AppStream, channel: StreamName) -> None:
        """Raises HttpRefusal."""
        if channel.name == "list" and stream.person is not None:
            await stream.person.watch(web, channel.of)
        plain = channel._replace(tag="")
        stream.channels[plain] = channel.said
        self.channels.setdefault(plain, {})[stream] = None

    def remove(self, stream: AppStream, channel: StreamName) -> None:
        plain = channel._replace(tag="")
        stream.channels.pop(plain, None)
        listening = self.channels.get(plain, {})
        listening.pop(stream, None)
        if not listening:
            self.channels.pop(plain, None)

    def close(self, stream: AppStream) -> None:
        for channel in list(stream.channels):
            self.remove(stream, channel)
        self._streams.pop(stream, None)
        if stream.person is not None:
            self._leave(stream.person)
        if not self._streams:
            self._needed = anyio.Event()

    def _leave(self, person: Listener) -> None:
        person.streams -= 1
        if not person.streams:
            self._people.pop(person.did, None)

    def end_all(self) -> None:
        """Every stream ends by itself, soon."""
        self._closed = True
        self._live.set()
        for stream in list(self._streams):
            stream.end("shutdown")

    async def run(self, web: DoorContext) -> None:
        """Until it is cancelled. What moderators decide while no stream is open is told to none that opens later."""
        while not (self._closed or web.firehose.tail.closed):
            await self._needed.wait()
            decided_now, decided = anyio.create_memory_object_stream[Sequence[Mapping[str, Any]]](JUDGED)
            with decided_now, decided, web.firehose.tail.followed():
                web.firehose.tail.judged = decided_now
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._hear_judged, web, decided)
                    await self._follow(web, web.firehose.tail)
                    tasks.cancel_scope.cancel()
                self._live = anyio.Event()

    async def _follow(self, web: DoorContext, tail: Tail) -> None:
        while tail.end is None and not tail.closed:
            await tail.moved(ArrivalPlace(-1), LOOK_S)
        place, cursor, again = tail.end, tail.cursor, 0.0
        self._live.set()
        while self._streams and not tail.closed:
            await tail.moved(ArrivalPlace(-1) if place is None else place, LOOK_S)
            found = None if place is None else tail.after(place)
            since, place, cursor = cursor, tail.end, tail.cursor
            if found is None and place is not None:  # a deletion drops what was kept before it
                found = await _read_again(web, since, place)
            if anyio.current_time() >= again:
                found, again = (*self._later, *(found or ())), anyio.current_time() + LOOK_S
                self._later.clear()
            waiting = {one.account for one in self._later if one.collection == "post"}
            for one in found or ():
                await anyio.lowlevel.checkpoint()  # streams write: a worker reads its store without waiting
                if one.collection == "post" and one.account in waiting:
                    self._later.append(one)  # behind what it said before
                    continue
                try:
                    await self._happened(web, one.account, one.collection, one.line)
                except HttpRefusal as why:  # it is not shown, not any more, or not yet
                    if why.status == BUILDING:
                        self._later.append(one)
                        waiting.update([one.account] if one.collection == "post" else ())
                except Exception:
                    _log.exception("an event could not be shown to streams")

    async def _happened(self, web: DoorContext, author: str, collection: str | None, line: bytes) -> None:
        named = {found.group().decode() for found in _DID.finditer(line)} - {author}
        moved = {author} if collection in MOVING else named if collection == LETTING else set()
        for did, person in list(self._people.items()):
            if did in moved or not person.is_fresh:
                if did in moved:
                    person.moves(msgspec.json.decode(line))
                with suppress(HttpRefusal):  # of one account, which may be gone
                    await self.refresh(web, person)
        if collection in ("post", "repost"):
            event = msgspec.json.decode(line)
            if event["kind"] not in ("create", "update", "delete"):
                return  # what the node itself did to posts comes as `judged`
            if event["kind"] == "delete":
                self._gone(event)
            elif event["content"] is not None and collection == "post":
                await self._said(web, event)
            elif event["content"] is not None:
                await self._reposted(web, event)
        labels = collection == "label" and any(author in person.labellers for person in self._people.values())
        if labels and (content := msgspec.json.decode(line)["content"]):
            await self.changed(web, f"{content['account']}/{content['key']}")
        for one in self._sent.refusable(msgspec.json.decode(line)) if collection in RULING else ():
            if one.by:
                with suppress(HttpRefusal):
                    await self._repost(web, one, again=True)
            else:
                await self.changed(web, one.uri)
        for did in named & self._people.keys():
            if (who := account_from_text(author)) in self._people[did].unseen:
                self._people[did].unheard[who] = msgspec.json.decode(line)["time_ms"]
            else:
                await self._heard(web, self._people[did])

    async def refresh(self, web: DoorContext, person: Listener) -> None:
        """What is known of an account is read again, if it may have changed. Raises HttpRefusal."""
        if await person.refresh(web):
            for stream in self._of(_USER):
                if stream.person is person:
                    stream.put(Message(_USER, "filters_changed", None))
        gone, person.gone = person.gone, frozenset()
        try:
            if gone:
                await self._left(web, person, {*map(account_to_text, gone)})
        except BaseException:  # whoever asked has left: the next one tells the others
            person.gone |= gone
            raise

    async def _left(self, web: DoorContext, person: Listener, dids: Collection[str]) -> None:
        """The streams of a person lose what is of accounts that it follows no more, or does not see any more."""
        channels = [one for one in self.channels if one.name not in WITHOUT_POSTS]
        mine = {(stream, one) for one in channels for stream in self._of(one) if stream.person is person}
        for one in self._sent.of(dids) if mine else ():
            with suppress(HttpRefusal):
                row = await listeners.plain(web, one.uri, one.by or None)
                author, content = account_from_text(row["account"]), listeners.content_of(row)
                if one.by:
                    state = PostState(facts_of(author, content), self._candidates(author, account_from_text(one.by)))
                    id_, had = repost_id(*one), {at for at in mine if at[1].name in OF_PERSON}
                else:
                    (id_, public), had = self._sent.ids[one.uri], mine
                    state = self._state(author, content, public, await self._reposters(web, one.uri))
                limited = await listeners.limited(
                    web, {row["account"], *(account_to_text(to.by) for to in state.to if to.by)}
                )
                for stream, channel in had - state.shown_in(limited, int(time.time() * 1000)).keys():
                    stream.put(Message(channel, "delete", id_))

    async def _reposters(self, web: DoorContext, uri: str) -> list[AccountId]:
        """Those because of whom streams of people may have a post."""
        every = {"limit": REPOSTERS, "every": True}
        found = (await web.call("reposts", uri=uri, **every))["accounts"] if self._people else ()
        return [account_from_text(one["account"]) for one in found]

    def _of(self, channel: StreamName) -> Iterable[AppStream]:
        return list(self.channels.get(channel, ()))

    def _candidates(self, author: AccountId, by: AccountId | None = None) -> list[StreamCandidate]:
        """The streams of people in which posts of an author may be, or what `by` reposted."""
        found = list[StreamCandidate]()
        for stream in self._of(_USER):
            if stream.person and (by or author) in stream.person.home:
                found.append(StreamCandidate(stream, _USER, ViewPlace("home"), by))
        for channel in [one for one in self.channels if one.name == "list"]:
            for stream in self._of(channel):
                rule = None if stream.person is None else stream.person.viewer.lists.get(channel.of)
                if rule is not None and (by or author) in rule.members:
                    found.append(StreamCandidate(stream, channel, ViewPlace("list", channel.of), by))
        return found

    def _state(
        self, author: AccountId, content: Mapping[str, Any], public: Iterable[StreamName], by: Iterable[AccountId]
    ) -> PostState:
        """public: the streams of everybody in which it is. by: who reposted it: a repost stands where the post does
        not."""
        to, tags = self._candidates(author), frozenset(one.of for one in public if one.name == "hashtag")
        for stream in self._of(_USER):
            if tags and stream.person and tags & stream.person.tags:
                to.append(StreamCandidate(stream, _USER, ViewPlace("tag")))
        to += [
            StreamCandidate(stream, channel, ViewPlace("public")) for channel in public for stream in self._of(channel)
        ]
        to += [one for who in by for one in self._candidates(author, who)]
        return PostState(facts_of(author, content), to)

    async def _said(self, web: DoorContext, event: Mapping[str, Any]) -> None:
        """A post. Of an edit counts what it made of it, where the post was before and where it is now: a stream loses
        it and gets it as its page does."""
        author, uri, content = account_from_text(event["account"]), event["uri"], event.get("content") or {}
        new, by, before, id_, refused = event["kind"] == "create", list[AccountId](), None, "", None
        if not new:
            row = await listeners.plain(web, uri)
            content, id_, refused = listeners.content_of(row), status_id(uri, row["time_ms"]), row["refused"]
            by = await self._reposters(web, uri)
        public = frozenset(public_channels(content, event["hosted"]))
        now = self._state(author, content, public, by)
        now = now._replace(facts=now.facts._replace(refused=refused))
        if not new and SentPost(uri) not in self._sent.refused:
            was = content | await listeners.replaced(web, uri, event.get("entry"))
            before = self._state(author, was, frozenset(public_channels(was, event["hosted"])), by)
        quoted = (content.get("quote") or "").partition("/")[0]
        people = await listeners.current(web, filter(None, (event["account"], quoted))) if now.to else {}
        make = partial(listeners.status, web, uri, people)
        made = await self._give(web, now, make, before, id_, new and not quoted, quoted)
        if made is not None:
            self._sent.ids[uri] = made["id"], public
        not_made = new and made is None and now.shown_in((), int(time.time() * 1000))
        self._sent.note(SentPost(uri), (*(content["reply"] or ()), content["quote"]), bool(refused or not_made))

    async def changed(self, web: DoorContext, uri: str) -> None:
        """Tells streams of a post of which something came that no entry tells."""
        if not self._streams:
            return
        with suppress(HttpRefusal):
            row = await listeners.plain(web, uri)
            hosted = (await web.call("profiles", accounts=[row["account"]]))["profiles"][0]["hosted"] is not None
            await self._said(web, {"account": row["account"], "uri": uri, "hosted": hosted, "kind": "update"})

    async def _hear_judged(
        self, web: DoorContext, decided: MemoryObjectReceiveStream[Sequence[Mapping[str, Any]]]
    ) -> None:
        """What moderators decide, which no entry tells, until it is cancelled."""
        async for posts in decided:
            try:
                await self._judged(web, posts)
            except Exception:
                _log.exception("what moderators decided could not be shown to streams")

    async def _judged(self, web: DoorContext, posts: Iterable[Mapping[str, Any]]) -> None:
        """Posts that are shown otherwise are told as edited, and those that are not shown as deleted, to every stream:
        whoever reposted one, all who follow them may have it."""
        for post in posts:
            try:
                await listeners.plain(web, post["uri"])
            except HttpRefusal:
                time_ms = ms_in_key(post["uri"]) if post["time_ms"] is None else post["time_ms"]
                id_, _ = self._sent.ids.pop(post["uri"], (status_id(post["uri"], time_ms), None))
                for channel, streams in list(self.channels.items()):
                    for stream in list(streams) if channel.name not in WITHOUT_POSTS else ():
                        stream.put(Message(channel, "delete", id_))
            else:
                await self.changed(web, post["uri"])

    async def _reposted(self, web: DoorContext, event: Mapping[str, Any]) -> None:
        one = SentPost(uri_in(event["content"]), event["account"], event["time_ms"])
        self._sent.ids[f"{event['entry']}:{event['op']}"] = repost_id(*one), frozenset()
        await self._repost(web, one)

    async def _repost(self, web: DoorContext, one: SentPost, again: bool = False) -> None:
        """again: it was told before. Raises HttpRefusal if nobody sees it."""
        author = account_from_text(one.uri.partition("/")[0])
        to = self._candidates(author, account_from_text(one.by))
        if to:
            row = await listeners.plain(web, one.uri, one.by)
            facts, reposted = facts_of(author, listeners.content_of(row)), {"account": one.by, "time_ms": one.at_ms}
            now, before = PostState(facts._replace(refused=row["refused"]), to), None
            if again and one not in self._sent.refused:
                before = PostState(facts, to)
            people = await listeners.current(web, (account_to_text(author), one.by))
            make = partial(listeners.status, web, one.uri, people, reposted=reposted)
            await self._give(web, now, make, before, repost_id(*one))
            self._sent.note(one, (one.uri, row["reply_to"], row["root"]), row["refused"] is not None)

    async def _give(
        self,
        web: DoorContext,
        now: PostState,
        make: Callable[[listeners.Eyes], Any],
        before: PostState | None = None,
        id_: str = "",
        new: bool = False,
        quoted: str = "",
    ) -> dict[str, Any] | None:
        """Makes what is needed, once for all who see it alike. before: of an edit, with the id of the post. new: nobody
        but the author can have marked it yet. quoted: whose words are in it, too. Raises HttpRefusal if nobody sees
        it."""
        made: dict[listeners.Eyes, tuple[dict[str, Any], str] | None] = {}
        author, to = account_to_text(now.facts.author), [*now.to, *(before.to if before else ())]
        names = {author, quoted, *(account_to_text(one.by) for one in to if one.by is not None)} - {""} if to else ()
        limited = await listeners.limited(web, names)
        now_ms = int(time.time() * 1000)
        showing, had = now.shown_in(limited, now_ms), before.shown_in(limited, now_ms) if before else {}
        for stream, channel in had.keys() - showing.keys():
            stream.put(Message(channel, "delete", id_))
        for (stream, channel), one in showing.items():
            eyes = eyes_of(stream.person, one.place, now.facts.author, new, quoted, limited)
            if eyes not in made:
                made[eyes] = None
                try:
                    entity = await make(eyes)
                    made[eyes] = entity, msgspec.json.encode(entity).decode()
                except HttpRefusal as why:
                    if why.status == BUILDING:
                        raise
            if (found := made[eyes]) is not None:
                stream.put(Message(channel, "status.update" if (stream, channel) in had else "update", found[1]))
            elif (stream, channel) in had:  # a labeller of its reader hides it now
                stream.put(Message(channel, "delete", id_))
        return next((one[0] for one in made.values() if one is not None), None)

    def _gone(self, event: Mapping[str, Any]) -> None:
        """A post that no stream had is named too: by REST the app may have it."""
        removes, found = event["removes"], None
        if event["collection"] == "post":
            every = frozenset(one for one in self.channels if one.name not in OF_PERSON)
            guess = status_id(event["uri"], ms_in_key(event["uri"]))
            found = self._sent.ids.pop(event["uri"], (guess, every))
        elif removes is not None:
            found = self._sent.ids.pop(f"{removes['entry']}:{removes['op']}", None)
        if found is None:
            return
        id_, public = found
        if event["collection"] == "post":  # whoever reposted it, all who follow them may have it
            mine = [one for one in self.channels if one.name in OF_PERSON - WITHOUT_POSTS]
            to = {(stream, channel) for channel in mine for stream in self._of(channel)}
        else:
            to = {(one.stream, one.channel) for one in self._candidates(account_from_text(event["account"]))}
        to |= {(stream, channel) for channel in public for stream in self._of(channel)}
        for stream, channel in to:
            stream.put(Message(channel, "delete", id_))

    async def _heard(self, web: DoorContext, person: Listener) -> None:
        rows = await person.news(web)
        for entity in await listeners.notification_entities(web, rows, person.did) if rows else ():
            payload = msgspec.json.encode(entity).decode()
            for channel in (_USER, StreamName("user:notification")):
                for stream in self._of(channel):
                    if stream.person is person and stream.notices:
                        stream.put(Message(channel, "notification", payload))


async def _read_again(web: DoorContext, since: str, end: ArrivalPlace) -> list[TailEvent]:
    """The events up to a place that are not kept any more."""
    page: Mapping[str, Any] = {"events": (), "more": True}
    with suppress(HttpRefusal):
        page = await web.call("firehose", since=since, limit=PAGE)
    if page["more"]:
        _log.warning("streams of apps missed events: more came at once than are kept")
    return [one for one in events_of(page) if one.place <= end]
