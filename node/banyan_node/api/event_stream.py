"""Events of a node, one JSON value per line, from now on or from a cursor.

A cursor is a position in the order in which entries arrived in one store. The store keeps that order, so a cursor stays
valid when the node restarts. A reader that continues with its last cursor gets every entry that arrived after it, in
order, some perhaps twice, and other entries may be told of together then: `length` says what is new. Events that are
not about entries (peers, penalties) are sent once, to current listeners.

A cursor names its store. A cursor of another store, or of a later state than a store that was restored from a backup,
is refused with `cursor_gone`. Then the reader must read again what it needs.
"""

import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, TypeAlias

import msgspec
import trio

from banyan_crdt.ids import EntryId, LogId, is_control
from banyan_node.api import json_types as js
from banyan_node.api.declare import Response
from banyan_node.operator_errors import CallError, bad_request
from banyan_node.workers.inbox import Arrivals
from banyan_storage.reader import ArrivedEntry, StoreReader

AGAIN = 512
"""Arrivals read at a time when events are sent again."""
_CURSOR = re.compile(r"([0-9a-f]{16})-([0-9]{1,15})")


class LogName(Response):
    account: js.Did
    writer: js.WriterHex
    log: int


class ApiEvent(Response, kw_only=True, tag_field="event"):
    """time_ms: when it was sent. cursor: for `since`, to continue after this event."""

    time_ms: js.Milliseconds
    cursor: js.EventCursor


class BeginEvent(ApiEvent, kw_only=True, tag="begin"):
    """The first line of a stream."""


class EntriesEvent(ApiEvent, kw_only=True, tag="entries"):
    """A log grew by `entries` entries to `length`; `head` is the last one. They are durable."""

    log: LogName
    entries: int
    length: int
    head: js.EntryHex


class ControlEvent(ApiEvent, kw_only=True, tag="control"):
    """An account's control log changed."""

    account: js.Did


class PeerUpEvent(ApiEvent, kw_only=True, tag="peer_up"):
    peer: str
    outbound: bool


class PeerDownEvent(ApiEvent, kw_only=True, tag="peer_down"):
    peer: str


class RejectedEvent(ApiEvent, kw_only=True, tag="rejected"):
    """A peer sent wrong data, and got penalty points."""

    peer: str
    reason: str


class SlightedEvent(ApiEvent, kw_only=True, tag="slighted"):
    """A peer did not do what it owed, and got a few penalty points. There is none for a message that it announced and
    did not send, of which there may be hundreds a second: `peers.list` shows those points."""

    peer: str
    reason: str


class StorageEvent(ApiEvent, kw_only=True, tag="storage"):
    """The store could not be written, and pending writes were rolled back (peers send them again); or data in the store
    is damaged. error: which of both, and what to do."""

    error: str


class JudgedPost(Response):
    """time_ms: of the post; null: its content is not here."""

    uri: js.PostUri
    time_ms: js.Milliseconds | None


class JudgedEvent(ApiEvent, kw_only=True, tag="judged"):
    """A moderator hid, labelled or withheld posts, or took that back, or the operator did: read them anew, they are
    shown otherwise now, or not at all. Of released content that has to come from a peer: it came."""

    posts: list[JudgedPost]


class CharterEvent(ApiEvent, kw_only=True, tag="charter"):
    """Acts came of the charter that this node follows. epoch: the last one that stands, or null. digest: of all acts;
    equal where the acts are."""

    epoch: int | None
    digest: js.DigestHex


class LostEvent(ApiEvent, kw_only=True, tag="lost"):
    """This reader was too slow and missed `events` events. Those about entries are sent again after this one."""

    events: int


AnyEvent: TypeAlias = (
    BeginEvent
    | EntriesEvent
    | ControlEvent
    | PeerUpEvent
    | PeerDownEvent
    | RejectedEvent
    | SlightedEvent
    | StorageEvent
    | JudgedEvent
    | CharterEvent
    | LostEvent
)
STORED = "entries", "control"
"""Events that are told from the store too."""
TOLD: dict[str, type[ApiEvent]] = {
    "peer_up": PeerUpEvent,
    "peer_down": PeerDownEvent,
    "rejected": RejectedEvent,
    "slighted": SlightedEvent,
    "storage": StorageEvent,
    "judged": JudgedEvent,
}
"""Events whose fields need no conversion, by name."""
InThread: TypeAlias = Callable[..., Awaitable[Any]]


class Events:
    """All listeners. snapshot: returns one of the store, on any thread."""

    def __init__(self, snapshot: Callable[[], AbstractContextManager[StoreReader]], in_thread: InThread) -> None:
        self._snapshot, self._in_thread = snapshot, in_thread
        with snapshot() as reader:
            self._store = _name(reader.store_id)
        self._listening: list[_Listener] = []

    def tell(self, name: str, fields: dict[str, Any], arrivals: Arrivals) -> None:
        """Sends an event of the replica to all listeners."""
        if name == "another":  # no cursor of before is good: who listens comes again and is told so
            self._store = _name(fields["store"])
            self.close()
            return
        if not self._listening:
            return
        event = _plain(self._event(name, fields, arrivals.before))
        for listener in self._listening:
            listener.put(event, arrivals.last if name in STORED else None)

    def _event(self, name: str, fields: dict[str, Any], reached: int) -> ApiEvent:
        at: dict[str, Any] = {"time_ms": _now_ms(), "cursor": self._cursor(reached)}
        if name == "entries":
            return _entries(fields["log"], fields["entries"], fields["length"], fields["head"], at)
        if name == "control":
            return ControlEvent(account=js.did(fields["account"]), **at)
        if name == "charter":
            return CharterEvent(epoch=fields["epoch"], digest=js.digest_hex(fields["digest"]), **at)
        return TOLD[name](**fields, **at)

    def _cursor(self, n: int) -> js.EventCursorText:
        return _cursor(self._store, n)

    async def follow(self, params: Mapping[str, str], most: int) -> AsyncGenerator[Any, None]:
        """Events from now or from `since`; `most` may wait for a slow reader. Raises CallError."""
        for name in params:
            if name != "since":
                raise bad_request(f"events has no parameter '{name[:60]}'; it takes since.")
        store = self._store
        since = self._since(params["since"]) if "since" in params else None
        if since is not None and since > (reached := await self._in_thread(self._last)):
            raise _gone(params["since"], f"this store has come to {self._cursor(reached)} only: it was restored")
        return self._follow(since, most, store)

    def close(self) -> None:
        """All readers get what waits for them, and then the end."""
        for listener in self._listening:
            listener.end()

    def _since(self, text: str) -> int:
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise bad_request(f"'{text[:60]}' is no cursor: give `cursor` of the last event seen.")
        if found[1] != self._store:
            raise _gone(text, "it is of another store")
        return int(found[2])

    async def _follow(self, since: int | None, most: int, store: str) -> AsyncGenerator[Any, None]:
        if store != self._store:
            return  # it became another since the cursor was looked at
        listener = _Listener(most)
        self._listening.append(listener)  # first: what arrives while the store is asked must not be missed
        try:
            reached, again = (await self._in_thread(self._last), False) if since is None else (since, True)
            yield _plain(BeginEvent(time_ms=_now_ms(), cursor=self._cursor(reached)))
            while True:
                while again:
                    told, reached, again = await self._in_thread(self._arrived, reached)
                    for event in told:
                        yield event
                while (event := await listener.get(reached)) is not None:
                    reached = max(reached, _number(event["cursor"]))
                    yield event
                if listener.ended:
                    return
                lost, again = listener.begin_anew(), True
                yield _plain(LostEvent(time_ms=_now_ms(), cursor=self._cursor(reached), events=lost))
        finally:
            self._listening.remove(listener)

    def _arrived(self, after: int) -> tuple[list[Any], int, bool]:
        """(events, the last arrival that was read, whether there are more). Uncounted entries give no events."""
        with self._snapshot() as reader:
            rows = reader.arrivals(after, AGAIN)
            told = []
            for log, some in groupby(rows, lambda row: row.log):
                counted = [row for row in some if reader.is_counted(row.id)]
                if counted:
                    told.append(_plain(self._told(log, counted)))
        return told, rows[-1].n if rows else after, len(rows) == AGAIN

    def _told(self, log: LogId, rows: Sequence[ArrivedEntry]) -> ApiEvent:
        last = rows[-1]
        at: dict[str, Any] = {"time_ms": _now_ms(), "cursor": self._cursor(last.n)}
        if is_control(log):
            return ControlEvent(account=js.did(log.account), **at)
        return _entries(log, len(rows), last.seq + 1, last.id, at)

    def _last(self) -> int:
        with self._snapshot() as reader:
            return reader.last_arrival


def cursor_of(reader: StoreReader) -> js.EventCursorText:
    """Where a reader of this snapshot continues: the events after it are not in what the snapshot shows."""
    return _cursor(_name(reader.store_id), reader.last_arrival)


def _name(store: bytes) -> str:
    return store.hex()[:16]


def _cursor(store: str, n: int) -> js.EventCursorText:
    return js.EventCursorText(f"{store}-{n}")


class _Listener:
    """Events that wait for one reader, at most `most`. If there are more, all are dropped and counted."""

    def __init__(self, most: int) -> None:
        self.lost = 0
        self.ended = False
        self._most = most
        self._events: deque[tuple[Any, int | None]] = deque()
        self._more = trio.Event()

    def put(self, event: Any, arrival: int | None) -> None:
        """arrival: where the store has come to with it, if the store tells of the same."""
        if self.lost or len(self._events) == self._most:
            self.lost += 1 + len(self._events)
            self._events.clear()
        else:
            self._events.append((event, arrival))
        self._more.set()

    async def get(self, reached: int) -> Any:
        """The next event that tells of more than arrivals up to `reached`; None if some were lost, or at the end."""
        while True:
            while self._events:
                event, arrival = self._events.popleft()
                if arrival is None or arrival > reached:
                    return event
            if self.lost or self.ended:
                return None
            self._more = trio.Event()
            await self._more.wait()

    def end(self) -> None:
        self.ended = True
        self._more.set()

    def begin_anew(self) -> int:
        """Returns how many were lost, and starts again from zero."""
        lost, self.lost = self.lost, 0
        return lost


def _entries(log: LogId, entries: int, length: int, head: EntryId, at: Mapping[str, Any]) -> EntriesEvent:
    name = LogName(js.did(log.account), js.writer_hex(log.writer), log.log)
    return EntriesEvent(log=name, entries=entries, length=length, head=js.entry_hex(head), **at)


def _plain(event: ApiEvent) -> Any:
    return msgspec.to_builtins(event)


def _number(cursor: str) -> int:
    return int(cursor.partition("-")[2])


def _gone(cursor: str, why: str) -> CallError:
    message = f"{cursor[:60]}: {why}. Read what you need anew (feed, thread), then follow the events without `since`."
    return CallError("cursor_gone", message, 410)


def _now_ms() -> int:
    return int(time.time() * 1000)
