"""One follower of the firehose: what it wants, and the lines that it is sent.

Every event is told once and in order, from the follower's own cursor; the line of every event has the cursor behind it.
A follower that reads slowly is slowed, because the next events are read only when it took the last. One whose reading
of a piece takes longer than SLOW_S is told its cursor and ends.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import anyio
import msgspec

from banyan_crdt.ids import account_from_text
from banyan_node.api.firehose import ArrivalPlace
from banyan_web.firehose.tail import Source, Tail, TailEvent, place_of, told

HEARTBEAT_S = 15.0
"""At the latest after so long something is sent."""
SLOW_S = 10.0
"""The most time to read a piece. The server cuts whoever reads nothing for 20 s."""
PIECE_BYTES = 64 << 10
"""Lines that are sent at once."""
PAGE = 500
SEALED = "private"
"""The collection of what accounts say to themselves."""


class FirehoseFilter(NamedTuple):
    """None: no limit. kinds of limits add up. platforms, uncounted and proof only the node can judge."""

    collections: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    shards: frozenset[str] | None = None
    platforms: tuple[str, ...] | None = None
    uncounted: bool = False
    proof: bool = False
    sealed: bool = False
    """Whether it is told that accounts wrote something to themselves: a token of the firehose copies all."""

    @property
    def by_node_alone(self) -> bool:
        return self.platforms is not None or self.uncounted or self.proof

    def takes(self, one: TailEvent) -> bool:
        if one.collection == SEALED and not self.sealed:
            return False
        if self.collections is not None and one.collection not in self.collections:
            return False
        if self.accounts is not None and one.account not in self.accounts:
            return False
        return self.shards is None or _shard(one.account) in self.shards

    def params(self) -> dict[str, Any]:
        """Of the node's method."""
        given: dict[str, Any] = {
            name: sorted(some)
            for name in ("collections", "accounts", "shards", "platforms")
            if (some := getattr(self, name)) is not None
        }
        return given | {name: True for name in ("uncounted", "proof") if getattr(self, name)}


@lru_cache(65_536)
def _shard(account: str) -> str:
    return f"{account_from_text(account)[0] >> 4:x}"


class Form(Protocol):
    """How lines are written."""

    content_type: str

    def events(self, some: Iterable[TailEvent]) -> bytes: ...

    def note(self, kind: str, cursor: str, **more: Any) -> bytes:
        """begin, heartbeat, end: what is no event."""


class Lines:
    """One JSON value a line."""

    content_type = "application/x-ndjson"

    def events(self, some: Iterable[TailEvent]) -> bytes:
        return b"".join([one.line + b"\n" for one in some])

    def note(self, kind: str, cursor: str, **more: Any) -> bytes:
        return _note(kind, cursor, more) + b"\n"


class ServerSentEvents:
    """As browsers read it: the id is the cursor, so that an EventSource continues by itself. Notes have a name, so
    that `onmessage` gets events alone."""

    content_type = "text/event-stream"

    def events(self, some: Iterable[TailEvent]) -> bytes:
        return b"".join([b"id: %b\ndata: %b\n\n" % (one.cursor.encode(), one.line) for one in some])

    def note(self, kind: str, cursor: str, **more: Any) -> bytes:
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor.encode(), kind.encode(), _note(kind, cursor, more))


def _note(kind: str, cursor: str, more: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({"kind": kind, "cursor": cursor, "time_ms": time.time_ns() // 1_000_000, **more})


async def follow(
    source: Source, tail: Tail, wanted: FirehoseFilter, since: str, form: Form, live: bool = True
) -> AsyncGenerator[bytes, None]:
    """Pieces of the stream. since: a cursor, or `begin`. live: whether it goes on at the end of what is held. Raises
    CallError at the first piece for a cursor that the node refuses."""
    page = await _page(source, wanted, since)
    place, cursor, said = ArrivalPlace(0), since, anyio.current_time()
    with tail.followed():
        yield form.note("begin", since)
        while True:
            found: Sequence[TailEvent] | None = None
            if page is None and not wanted.by_node_alone:
                found = tail.after(place)
            if found is not None:
                some = [one for one in found if wanted.takes(one)]
                end = tail.cursor if tail.end is not None and tail.end > place else cursor  # it may be behind this one
            else:
                page = page or await _page(source, wanted, cursor)
                events = page["events"]
                some = [told(event) for event in events if wanted.sealed or event["collection"] != SEALED]
                end = page["cursor"]
            for piece in _pieces(some):
                began = anyio.current_time()
                yield form.events(piece)
                cursor, said = piece[-1].cursor, anyio.current_time()
                if anyio.current_time() - began > SLOW_S:
                    yield form.note("end", cursor, why="slow", message=_SLOW)
                    return
            cursor, more = end, page is not None and page["more"]
            place, page = place_of(cursor), None
            if tail.closed:
                yield form.note("end", cursor, why="shutdown", message=_SHUTDOWN)
                return
            if more:  # of much that is not wanted nothing is told for long
                if anyio.current_time() - said > HEARTBEAT_S:
                    yield form.note("heartbeat", cursor)
                    said = anyio.current_time()
                continue
            if not live:
                yield form.note("end", cursor, why="caught_up", message=_ENDED)
                return
            if not await tail.moved(place, HEARTBEAT_S):
                yield form.note("heartbeat", cursor)


_SLOW = f"A piece of the stream took longer than {SLOW_S:.0f} s to read. Connect again with `since`."
_SHUTDOWN = "The node stops. Connect again with `since`."
_ENDED = "This is the end of what is held."


async def _page(source: Source, wanted: FirehoseFilter, since: str) -> Any:
    return await source.call("firehose", {"since": since, "limit": PAGE, **wanted.params()})


def _pieces(some: Sequence[TailEvent]) -> Iterable[Sequence[TailEvent]]:
    begin, size = 0, 0
    for at, one in enumerate(some):
        if size and size + len(one.line) > PIECE_BYTES:
            yield some[begin:at]
            begin, size = at, 0
        size += len(one.line)
    if some:
        yield some[begin:]
