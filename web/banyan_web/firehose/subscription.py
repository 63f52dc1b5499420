"""One follower of the firehose: what it wants, and the pieces that it is sent.

Every event is told once and in order, from the follower's own cursor; with every event it has the cursor behind it.
What a frontier cursor covers, which it was told at another node, is left out. A follower that reads slowly is slowed,
because the next events are read only when it took the last. One whose reading of a piece takes longer than SLOW_S is
told its cursor and ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import anyio
import msgspec

from banyan_crdt.ids import account_from_text
from banyan_node.api.firehose import ArrivalPlace
from banyan_node.operator_errors import CallError
from banyan_storage.acts import of_kind
from banyan_web.firehose.encodings import Form
from banyan_web.firehose.tail import Source, Tail, TailEvent, in_pieces, place_of, store_of
from banyan_web.open_streams import StreamEnd

HEARTBEAT_S = 15.0
"""At the latest after so long something is sent."""
SLOW_S = 10.0
"""The most time to read a piece. The server cuts whoever reads nothing for 20 s."""
PIECE_BYTES = 64 << 10
"""Events that are sent at once."""
PAGE = 500
SEEN_S = 60.0
"""So long, and until it has caught up, what a follower was told elsewhere is left out: this node may get it later."""
SEALED = frozenset(("private", "keyring"))
"""The collections of what accounts say to themselves, sealed, and of the keys to it, wrapped for their devices."""


class FirehoseFilter(NamedTuple):
    """None: no limit. kinds of limits add up. platforms, labels, uncounted and proof only the node can judge."""

    collections: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    shards: frozenset[str] | None = None
    platforms: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    uncounted: bool = False
    proof: bool = False
    sealed: bool = False
    """Whether it is told that accounts wrote something to themselves: a token of the firehose copies all."""
    moderation: bool = False
    """Whether it is told what moderators did: tokens of the firehose and of admins."""

    @property
    def by_node_alone(self) -> bool:
        return self.platforms is not None or self.labels is not None or self.uncounted or self.proof

    def may_see(self, one: TailEvent) -> bool:
        if not self.moderation and (rule := of_kind(one.kind)) is not None and rule.for_read == "nothing":
            return False
        return self.sealed or not one.collections or not one.collections <= SEALED

    def told(self, one: TailEvent) -> TailEvent:
        """As this reader is told it."""
        if self.moderation or (rule := of_kind(one.kind)) is None or rule.for_read == "act":
            return one
        return one._replace(line=msgspec.json.encode(without_reason(msgspec.json.decode(one.line))))

    def takes(self, one: TailEvent) -> bool:
        if not self.may_see(one):
            return False
        rule = of_kind(one.kind)
        always = rule is not None and rule.of_account
        if self.collections is not None and not always and self.collections.isdisjoint(one.collections):
            return False
        if self.accounts is not None and one.account not in self.accounts:
            return False
        return self.shards is None or _shard(one.account) in self.shards

    def params(self, *names: str) -> dict[str, Any]:
        """Of the node's method. names: only these."""
        given: dict[str, Any] = {
            name: sorted(some)
            for name in ("collections", "accounts", "shards", "platforms", "labels")
            if (some := getattr(self, name)) is not None
        }
        given |= {name: True for name in ("uncounted", "proof") if getattr(self, name)}
        return {name: value for name, value in given.items() if not names or name in names}


def without_reason(event: dict[str, Any]) -> dict[str, Any]:
    """What a moderator did, as it is told to who hears no more of it."""
    return {name: value for name, value in event.items() if name != "said"} | {"kind": "gone"}


@lru_cache(65_536)
def _shard(account: str) -> str:
    return f"{account_from_text(account)[0] >> 4:x}"


class Elsewhere(NamedTuple):
    """For followers that may change the node. seen: a frontier cursor, of what was told at another one. every_s: the
    seconds between frontier cursors that are told; None: none is."""

    seen: str | None = None
    every_s: float | None = None


async def follow(
    source: Source,
    tail: Tail,
    wanted: FirehoseFilter,
    since: str,
    form: Form,
    ending: StreamEnd,
    live: bool = True,
    elsewhere: Elsewhere = Elsewhere(),  # noqa: B008
) -> AsyncGenerator[bytes, None]:
    """Pieces of the stream. since: a cursor. live: whether it goes on at the end of what is held. Raises CallError at
    the first piece for a cursor that the node refuses."""
    seen, every_s = elsewhere
    page = await _page(source, wanted, since, form, seen)
    place, cursor, said = ArrivalPlace(0), since, anyio.current_time()
    opened = named_at = said
    known = place_of(page["end"])
    named = ""  # the place of the last frontier cursor
    with tail.followed():
        yield form.note("begin", since)
        if every_s is not None and place_of(since).n:
            if note := await _frontier(source, wanted, since, form):
                yield note
            named = since
        while True:
            found: Sequence[TailEvent] | None = None
            if page is None and seen is None and not wanted.by_node_alone and store_of(tail.cursor) == store_of(cursor):
                found = tail.after(place, known)
            if found is not None:
                some, end = [wanted.told(one) for one in found if wanted.takes(one)], tail.cursor
            else:
                try:
                    page = page or await _page(source, wanted, cursor, form, seen)
                except CallError as why:
                    if why.code != "cursor_gone":
                        raise
                    yield form.note("end", cursor, why="restored", message=why.message)
                    return
                known = place_of(page["end"])
                some, end = [wanted.told(one) for one in form.reading.of(page) if wanted.may_see(one)], page["cursor"]
            for piece in in_pieces(some, [len(one.line) for one in some], PIECE_BYTES):
                began = anyio.current_time()
                yield await form.before(source, piece) + form.events(piece)
                cursor, said = piece[-1].cursor, anyio.current_time()
                if anyio.current_time() - began > SLOW_S:
                    yield form.note("end", cursor, why="slow", message=_SLOW)
                    return
            cursor, more = end, page is not None and page["more"]
            place, page = place_of(cursor), None
            if not more and anyio.current_time() - opened > SEEN_S:
                seen = None
            if tail.closed:
                yield form.note("end", cursor, why="shutdown", message=_SHUTDOWN)
                return
            if ending.revoked:
                yield form.note("end", cursor, why="revoked", message=_REVOKED)
                return
            arrived = not more and (not live or not named)
            if every_s is not None and cursor != named and (arrived or anyio.current_time() - named_at > every_s):
                if note := await _frontier(source, wanted, cursor, form):
                    yield note
                named, named_at = cursor, anyio.current_time()
            if more:  # of much that is not wanted nothing is told for long
                if anyio.current_time() - said > HEARTBEAT_S:
                    yield form.note("heartbeat", cursor)
                    said = anyio.current_time()
                continue
            if not live:
                yield form.note("end", cursor, why="caught_up", message=_ENDED)
                return
            if not await tail.moved(place, HEARTBEAT_S if every_s is None else min(HEARTBEAT_S, every_s), ending):
                yield form.note("heartbeat", cursor)


_SLOW = f"A piece of the stream took longer than {SLOW_S:.0f} s to read. Connect again with `since`."
_SHUTDOWN = "The node stops. Connect again with `since`."
_REVOKED = "The token of this stream is good no more. Connect again with another one, and with `since`."
_ENDED = "This is the end of what is held."


async def _page(source: Source, wanted: FirehoseFilter, since: str, form: Form, seen: str | None) -> Any:
    given = {"since": since, "limit": PAGE, **wanted.params()}
    return await source.call(form.reading.method, given if seen is None else {**given, "seen": seen})


async def _frontier(source: Source, wanted: FirehoseFilter, cursor: str, form: Form) -> bytes:
    """A frontier cursor; nothing while the follower is far behind, where it would cost too much."""
    try:
        found = await source.call("firehose.frontier", {"since": cursor, **wanted.params("accounts", "shards")})
    except CallError as why:
        if why.code not in ("refused", "cursor_gone"):  # the next page says that the cursor is gone
            raise
        return b""
    return form.note("frontier", cursor, frontier=found["frontier"])
