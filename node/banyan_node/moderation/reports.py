"""Reports: what people of this node say against an account or its posts, for its moderators.

Open ones are a queue, the oldest first; closed ones are kept, the newest KEPT of them. A report that says what an open
one says is folded into it. The bounds: a reporter makes A_DAY of them, and OPEN are open.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal, TypeAlias

import msgspec

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

Category: TypeAlias = Literal["spam", "legal", "violation", "other"]
A_DAY, OPEN, KEPT = 20, 10_000, 10_000
POSTS, COMMENT, TEXT, ALSO, RULES = 20, 1_000, 2_000, 50, 20
"""Posts of a report, characters of a comment, of the text of a post that is kept as it was; others who said the same
that are named; rules."""
DAY_MS = 86_400_000
_OPEN, _CLOSED, _COUNTS = b"report open:", b"report closed:", b"reports"
_AGAINST, _BY, _TODAY = b"reports against:", b"reports by:", b"reports today:"
_LARGEST = (1 << 64) - 1


class ReportedPost(msgspec.Struct, frozen=True):
    """A post as it was when it was reported. text: at most TEXT characters."""

    uri: str
    text: str
    warning: str | None
    media: int
    time_ms: int


class Reporter(msgspec.Struct, frozen=True):
    """account: a DID."""

    account: str
    at_ms: int
    comment: str


class ReportNote(msgspec.Struct, frozen=True):
    """by: who reported first, and `also`, who said the same; others: how many more. account: a DID. rules: the ids of
    rules of this server. forward: the reporter wants the author's platform to hear of it. decisions: their numbers."""

    id: int
    at_ms: int
    by: Reporter
    account: str
    posts: list[ReportedPost]
    category: Category
    rules: list[str]
    forward: bool
    also: list[Reporter]
    others: int
    closed_ms: int | None
    decisions: list[int]

    @property
    def reporters(self) -> list[str]:
        return [self.by.account, *(one.account for one in self.also)]


class ReportCounts(msgspec.Struct, frozen=True):
    """next: the number of the next one."""

    next: int = 1
    open: int = 0
    closed: int = 0


def counts(reader: StoreReader) -> ReportCounts:
    raw = reader.note(_COUNTS)
    return ReportCounts() if raw is None else msgspec.json.decode(raw, type=ReportCounts)


def find(reader: StoreReader, number: int) -> ReportNote | None:
    if not 0 < number < _LARGEST:
        return None
    raw = reader.note(_OPEN + _up(number)) or reader.note(_CLOSED + _down(number))
    return None if raw is None else _read(raw)


def queue(reader: StoreReader, after: int | None) -> Iterator[ReportNote]:
    """Open ones, the oldest first."""
    start = None if after is None else _OPEN + _up(after)
    return (_read(raw) for _, raw in reader.notes(_OPEN, start))


def closed(reader: StoreReader, after: int | None) -> Iterator[ReportNote]:
    """The newest first."""
    start = None if after is None else _CLOSED + _down(after)
    return (_read(raw) for _, raw in reader.notes(_CLOSED, start))


def of_reporter(reader: StoreReader, account: AccountId, after: int | None) -> Iterator[ReportNote]:
    """Those that the account made or said too, the newest first."""
    start = None if after is None else _BY + account + _down(after)
    for key, _ in reader.notes(_BY + account, start):
        found = find(reader, _LARGEST - int.from_bytes(key[-8:], "big"))
        if found is not None:
            yield found


def against(reader: StoreReader, account: AccountId) -> Iterator[ReportNote]:
    """Open ones, the oldest first."""
    for key, _ in reader.notes(_AGAINST + account):
        found = find(reader, int.from_bytes(key[-8:], "big"))
        if found is not None:
            yield found


def today(reader: StoreReader, account: AccountId, now_ms: int) -> int:
    """How many the account made on this day (UTC)."""
    raw = reader.note(_TODAY + account)
    day, count = msgspec.json.decode(raw, type=tuple[int, int]) if raw is not None else (0, 0)
    return count if day == now_ms // DAY_MS else 0


def count_today(store: Store, account: AccountId, now_ms: int) -> None:
    row = (now_ms // DAY_MS, today(store, account, now_ms) + 1)
    store.put_note(_TODAY + account, msgspec.json.encode(row))


def forget(store: Store, account: AccountId) -> None:
    """Takes out of all reports the texts of the account: its posts as they were, and what it said of others."""
    who = account_to_text(account)
    for kind in (_OPEN, _CLOSED):
        for name, raw in [*store.notes(kind)]:
            one = _read(raw)
            if one.account == who or who in one.reporters:
                posts = [msgspec.structs.replace(p, text="", warning=None) for p in one.posts]
                bare = [msgspec.structs.replace(r, comment="") if r.account == who else r for r in (one.by, *one.also)]
                posts = posts if one.account == who else one.posts
                store.put_note(
                    name, msgspec.json.encode(msgspec.structs.replace(one, posts=posts, by=bare[0], also=bare[1:]))
                )


def put(store: Store, report: ReportNote) -> None:
    """Writes one, new or changed: open or closed, as it says."""
    before, account = find(store, report.id), account_from_text(report.account)
    held = counts(store)
    opens, closes = int(report.closed_ms is None), int(report.closed_ms is not None)
    if before is not None:
        opens -= before.closed_ms is None
        closes -= before.closed_ms is not None
        store.put_note(_place(before), None)
    store.put_note(_place(report), msgspec.json.encode(report))
    store.put_note(_AGAINST + account + _up(report.id), b"" if report.closed_ms is None else None)
    for who in report.reporters:
        store.put_note(_BY + account_from_text(who) + _down(report.id), b"")
    held = ReportCounts(max(held.next, report.id + 1), held.open + opens, held.closed + closes)
    if held.closed > KEPT:
        oldest = [_read(raw) for _, raw in islice(store.notes(_CLOSED), KEPT, None)]
        for old in oldest:
            _remove(store, old)
        held = msgspec.structs.replace(held, closed=held.closed - len(oldest))
    store.put_note(_COUNTS, msgspec.json.encode(held))


def _remove(store: Store, report: ReportNote) -> None:
    store.put_note(_place(report), None)
    for who in report.reporters:
        store.put_note(_BY + account_from_text(who) + _down(report.id), None)


def _place(report: ReportNote) -> bytes:
    return _OPEN + _up(report.id) if report.closed_ms is None else _CLOSED + _down(report.id)


def _up(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _down(number: int) -> bytes:
    """Greater numbers stand before smaller ones."""
    return (_LARGEST - number).to_bytes(8, "big")


def _read(raw: bytes) -> ReportNote:
    return msgspec.json.decode(raw, type=ReportNote)
