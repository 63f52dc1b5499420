"""The end of the firehose, read once for all who follow it: one tail for events, one for runs.

One task reads from the node what arrived, while somebody follows, and keeps the newest events, encoded. A follower that
is not behind them takes its events from here; one that is reads the node's store, from its own cursor. So nothing is
queued for anybody, and a slow follower costs nothing but its own reading.

What is kept says what readers were given when it was read. Where that changes (something was deleted, what counts of an
account changed, a moderator decided), it is dropped, and whoever is behind it reads the store.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeVar

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectSendStream

from banyan_node.api.firehose import ArrivalPlace
from banyan_node.operator_errors import CallError
from banyan_storage.acts import of_kind
from banyan_web.open_streams import StreamEnd

KEPT_EVENTS, KEPT_BYTES = 16_384, 8 << 20
"""The most that is kept of the end."""
PAUSE_S = 0.02
"""Between two readings: what arrives meanwhile is read together."""
AGAIN_S = 1.0
"""After a reading that failed."""
PAGE = 500


T = TypeVar("T")
_log = logging.getLogger(__name__)


class Source(Protocol):
    """A node. Both methods raise CallError."""

    async def call(self, name: str, params: Mapping[str, Any]) -> Any:
        """The answer of a method, as JSON values."""

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        """What happens at the node; here it only tells when to read."""


class TailEvent(NamedTuple):
    """An event, or the entries of a run. place: behind it. collections: what it says something of. line: its JSON, or
    its frames. ends: whether what was told of the account before may not be given out any more."""

    place: ArrivalPlace
    cursor: str
    collections: frozenset[str | None]
    account: str
    line: bytes
    ends: bool
    kind: str = ""

    @property
    def collection(self) -> str | None:
        """Of an event."""
        return next(iter(self.collections), None)


def place_of(cursor: str) -> ArrivalPlace:
    """Of a cursor that the node gave."""
    at, _, a = cursor.partition("-")[2].partition("-")
    n, _, k = at.partition(".")
    return ArrivalPlace(int(n), int(k or 0), int(a or 0))


def store_of(cursor: str) -> str:
    """Of which store it is."""
    return cursor.partition("-")[0]


_names = lru_cache(256)(lambda name: frozenset((name,)))


def events_of(page: Mapping[str, Any]) -> Iterator[TailEvent]:
    """Of a page of `firehose`."""
    for event in page["events"]:
        cursor, names = event["cursor"], _names(event["collection"])
        kind = event["kind"]
        yield TailEvent(
            place_of(cursor), cursor, names, event["account"], msgspec.json.encode(event), _ends(kind), kind
        )


def runs_of(page: Mapping[str, Any]) -> Iterator[TailEvent]:
    """Of a page of `firehose.runs`."""
    for item in page["items"]:
        cursor, names = item["cursor"], frozenset(item["collections"])
        kind = item["act"] or ""
        ends = item["deletes"] or "account" in names or _ends(kind)
        yield TailEvent(place_of(cursor), cursor, names, item["account"], b64decode(item["frames"]), ends, kind)


def _ends(kind: str) -> bool:
    """Whether, after an event of this kind, what was told of the account may not be given out any more."""
    rule = of_kind(kind)
    return kind in ("delete", "account") if rule is None else rule.ends


def in_pieces(items: Sequence[T], sizes: Iterable[int], most: int) -> Iterator[Sequence[T]]:
    """Items in their order, those together that have so much size at most; a larger one is alone."""
    begin, size = 0, 0
    for at, one in enumerate(sizes):
        if size and size + one > most:
            yield items[begin:at]
            begin, size = at, 0
        size += one
    if items:
        yield items[begin:]


class TailKind(NamedTuple):
    """Which method of the node is read, and how its pages are understood."""

    method: str
    of: Callable[[Mapping[str, Any]], Iterator[TailEvent]]


EVENTS, RUNS = TailKind("firehose", events_of), TailKind("firehose.runs", runs_of)


class Tail:
    """Use it in one event loop. closed: whether followers have to end."""

    def __init__(self, source: Source, reading: TailKind = EVENTS) -> None:
        self._source, self._reading = source, reading
        self.followers = 0
        self._changed = anyio.Event()
        self._needed = anyio.Event()
        self.closed = False
        self.end: ArrivalPlace | None = None
        """Up to where it was read; None while nobody follows."""
        self.cursor = ""
        self._known = ArrivalPlace(-1)
        """What had arrived, and which acts of the node were done, when it was read last."""
        self.judged: MemoryObjectSendStream[Sequence[Mapping[str, Any]]] | None = None
        """Gets the posts about which moderators decide, while its other end is open."""
        self._first: ArrivalPlace | None = None
        """Everything behind it is kept."""
        self._kept: list[TailEvent] = []
        self._places: list[ArrivalPlace] = []
        self._bytes = 0

    @contextmanager
    def followed(self) -> Iterator[None]:
        """While somebody follows."""
        self.followers += 1
        self._needed.set()
        try:
            yield
        finally:
            self.followers -= 1
            if not self.followers:
                self._needed = anyio.Event()

    def after(self, place: ArrivalPlace, known: ArrivalPlace = ArrivalPlace(0)) -> Sequence[TailEvent] | None:  # noqa: B008
        """The kept events behind a place; None if some of them are not kept. known: what the reader was answered from:
        None also if that is newer than what is kept, which then may end before the place, or be good no more."""
        if self._first is None or place < self._first or known.n > self._known.n or known.a > self._known.a:
            return None
        return self._kept[bisect_right(self._places, place) :]

    async def moved(self, place: ArrivalPlace, seconds: float, ending: StreamEnd | None = None) -> bool:
        """Waits until something arrived behind a place, or the end, or the store became another. False if nothing did
        in so many seconds."""
        store = store_of(self.cursor)
        with anyio.move_on_after(seconds):
            while not self.closed and store == store_of(self.cursor) and (self.end is None or self.end <= place):
                if ending is not None and ending.revoked:
                    break
                await self._changed.wait()
            return True
        return False

    def close(self) -> None:
        """Followers end soon."""
        self.closed = True
        self._needed.set()
        self.wake()

    def wake(self) -> None:
        """Followers look whether they have to do something."""
        self._changed.set()
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Reads until it is closed or cancelled."""
        while not self.closed:
            await self._needed.wait()
            failed = True
            try:
                await self._read_while_followed()
                failed = False
            except* CallError as why:
                _log.warning("the firehose cannot be read now: %r", why.exceptions)
            except* Exception:
                _log.exception("the firehose could not be read")
            finally:
                self._forget()
            if failed:  # followers that are there read on when it works again: each has its cursor
                await anyio.sleep(AGAIN_S)

    def _forget(self) -> None:
        self._first, self.end, self._known = None, None, ArrivalPlace(-1)
        self._kept, self._places, self._bytes = [], [], 0

    async def _read_while_followed(self) -> None:
        more = anyio.Event()

        async def listen(events: AsyncGenerator[Any, None]) -> None:
            async for event in events:
                if event["event"] in ("entries", "control", "lost", "judged"):
                    more.set()
                if event["event"] == "judged" and self.judged is not None:
                    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                        try:
                            self.judged.send_nowait(event["posts"])
                        except anyio.WouldBlock:
                            _log.warning("streams of apps missed decisions of moderators: more came than may wait")
            more.set()

        # the listener first: what arrives while the store is read must not be missed
        async with aclosing(await self._source.events({})) as events, anyio.create_task_group() as tasks:
            tasks.start_soon(listen, events)
            page = await self._source.call(self._reading.method, {})
            self.cursor, self._known = page["cursor"], place_of(page["end"])
            self._first = self.end = place_of(self.cursor)
            self.wake()
            while self.followers and not self.closed:
                with anyio.move_on_after(AGAIN_S):  # of an act of the node no event may tell
                    await more.wait()
                more = anyio.Event()
                await self._read()
                await anyio.sleep(PAUSE_S)
            tasks.cancel_scope.cancel()

    async def _read(self) -> None:
        """All that arrived since."""
        more = True
        while more and not self.closed:
            page = await self._source.call(self._reading.method, {"since": self.cursor, "limit": PAGE})
            found = list(self._reading.of(page))
            ended = {one.account for one in found if one.ends}
            known = place_of(page["end"])
            stale = max((n for n, one in enumerate(self._kept, 1) if one.account in ended), default=0)
            self._drop(stale)
            for one in found:
                self._kept.append(one)
                self._places.append(one.place)
                self._bytes += len(one.line)
            self.cursor, more = page["cursor"], page["more"]
            self._known = self._known if more else known
            self.end = place_of(self.cursor)
            self._trim()
            self.wake()

    def _trim(self) -> None:
        """Drops the oldest, a half at a time."""
        if len(self._kept) <= KEPT_EVENTS and self._bytes <= KEPT_BYTES:
            return
        self._drop(max(1, len(self._kept) // 2))

    def _drop(self, oldest: int) -> None:
        """Drops so many."""
        if oldest:
            self._first = self._places[oldest - 1]
            self._bytes -= sum(len(one.line) for one in self._kept[:oldest])
            del self._kept[:oldest], self._places[:oldest]
