"""The firehose: everything that arrived at this store, in the order of arrival, a page at a time.

A page ends at a cursor, and the next one begins there; the store keeps the order, so nothing is queued for a reader,
and a reader that was away misses nothing. Filters look at what is read, so a page may be empty although more follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId, LogId
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.firehose import ArrivalPlace, EventsOf, FirehoseEvent, cursor_text, store_name
from banyan_node.api.texts import AccountRef, FirehoseCursor
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError
from banyan_schema.registry import SOCIAL
from banyan_storage import named

METHODS = Declared()
MOST, LOOKED = 1_000, 4_096
"""Events of a page, and arrivals that are looked at for one."""
STEP = 256
"""Arrivals read at a time."""
PROOF_BYTES = 4 << 20
"""A page with more proof than this ends there: a proof has all entries up to the next signature."""
BEGINNING = "begin"
_CURSOR = re.compile(r"([0-9a-f]{16})-([0-9]{1,15})(?:\.([0-9]{1,6}))?")
CollectionNames = Annotated[
    list[str] | None, Meta(description="Only of these collections; `account` stands for control logs.")
]
Shards = Annotated[
    list[Annotated[str, Meta(title="a hexadecimal digit", pattern="^[0-9a-f]$")]] | None,
    Meta(description="Only accounts whose ids begin with one of these four bits: hexadecimal digits."),
]


class FirehoseRequest(Request, frozen=True, forbid_unknown_fields=True):
    """since: a cursor, or `begin` for all that is held; default: from now on, so the page is empty. collections,
    accounts, shards, platforms: only what fits one of each that is given. platforms: accounts whose handle one of these
    confirms. uncounted: also entries that do not count. proof: with what a third party needs to verify each event."""

    since: Annotated[str | None, Meta(title="a place in the firehose", description="A cursor, or `begin`.")] = None
    collections: CollectionNames = None
    accounts: list[AccountRef] | None = None
    shards: Shards = None
    platforms: list[AccountRef] | None = None
    uncounted: bool = False
    proof: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 500


class FirehosePage(Response, frozen=True):
    """cursor: for `since` of the next page. more: whether more has arrived already."""

    events: list[FirehoseEvent]
    cursor: FirehoseCursor
    more: bool


@METHODS.read("firehose", "cursor_gone", "refused", slow=True)
def firehose(at: CommitView, ask: FirehoseRequest) -> FirehosePage:
    """What arrived at this node after a cursor: each operation of each entry, with its content, in order of arrival.

    An entry that does not count when it is read is left out unless `uncounted` is given. Whether it counts can change
    later only together with an event of kind `account`, or by a fork; then read the account anew."""
    store, reader = store_name(at.store), at.store
    wanted = _Wanted(at, ask)
    last = reader.last_arrival
    if ask.since is None:
        return FirehosePage([], cursor_text(store, last), False)
    place = _place(ask.since, store, last)
    making = EventsOf(reader, store, ask.proof)
    events, looked, weight = list[FirehoseEvent](), 0, 0
    while looked < LOOKED:
        rows = reader.arrivals(place.n, STEP)
        if not rows:
            return FirehosePage(events, cursor_text(store, *place), False)
        looked += len(rows)
        kept = [row for row in rows if wanted.log(row.log)]
        parts = reader.contents([row.n for row in kept]) if kept else {}
        for row in kept:
            skip = place.k if row.n == place.n + 1 else 0
            for number, (event, name) in enumerate(making.of(row, dict(parts.get(row.n, ())))):
                if number < skip or not wanted.event(event, name):
                    continue
                if len(events) == ask.limit or weight > PROOF_BYTES:
                    return FirehosePage(events, cursor_text(store, row.n - 1, number), True)
                events.append(event)
                if event.proof is not None:
                    weight += len(event.proof.run or "")
            place = ArrivalPlace(row.n)
        place = ArrivalPlace(rows[-1].n)
    return FirehosePage(events, cursor_text(store, *place), place.n < last)


class _Wanted:
    """The filters of a request."""

    def __init__(self, at: CommitView, ask: FirehoseRequest) -> None:
        self._at, self._uncounted = at, ask.uncounted
        for name in ask.collections or ():
            if name != "account" and name not in SOCIAL.by_name:
                raise CallError("bad_request", f"There is no collection '{name[:60]}' here; `collections` lists them.")
        self._names = None if ask.collections is None else frozenset(ask.collections)
        self._accounts = None if ask.accounts is None else _ids(at, ask.accounts)
        self._shards = None if ask.shards is None else frozenset(int(digit, 16) for digit in ask.shards)
        self._platforms = None if ask.platforms is None else _ids(at, ask.platforms)
        self._of: dict[AccountId, bool] = {}
        """Whether the platforms confirm the account's handle."""

    def log(self, log: LogId) -> bool:
        """Whether any event of the log may be wanted."""
        if self._names is not None and not log.log and "account" not in self._names:
            return False
        if self._accounts is not None and log.account not in self._accounts:
            return False
        if self._shards is not None and log.account[0] >> 4 not in self._shards:
            return False
        return self._platforms is None or self._confirmed(log.account, self._platforms)

    def event(self, event: FirehoseEvent, name: str | None) -> bool:
        return (event.counts or self._uncounted) and (self._names is None or name in self._names)

    def _confirmed(self, account: AccountId, platforms: frozenset[AccountId]) -> bool:
        if account not in self._of:
            handle = named.handle_of(self._at.queries(), account)
            self._of[account] = handle is not None and not platforms.isdisjoint(handle.platforms)
        return self._of[account]


def _ids(at: CommitView, given: Sequence[str]) -> frozenset[AccountId]:
    return frozenset(hosted.account_of(at, one) for one in given)


def _place(text: str, store: str, last: int) -> ArrivalPlace:
    """Raises CallError."""
    if text == BEGINNING:
        return ArrivalPlace(0)
    found = _CURSOR.fullmatch(text)
    if found is None:
        why = f"'{text[:60]}' is no cursor: give `cursor` of the last event seen, or `{BEGINNING}`."
        raise CallError("bad_request", why)
    if found[1] != store:
        raise _gone(text, "it is of another store")
    place = ArrivalPlace(int(found[2]), int(found[3] or 0))
    if place.n > last:
        raise _gone(text, f"this store has come to {cursor_text(store, last)} only: it was restored")
    return place


def _gone(cursor: str, why: str) -> CallError:
    message = f"{cursor[:60]}: {why}. Read from `{BEGINNING}`; events that you know have the same `id`."
    return CallError("cursor_gone", message, 410)
