"""Reports: what people of this node say against an account or its posts, for its moderators.

Open ones are a queue, the oldest first; closed ones are kept, the newest KEPT of them. A report that says what an open
one says is folded into it. The bounds: a reporter makes A_DAY of them, and OPEN are open.
"""

from collections.abc import Iterator
from itertools import islice

import msgspec

from banyan_crdt.ids import AccountId, account_from_text, account_to_text
from banyan_storage import local_tables as local
from banyan_storage.local_state import LocalRows
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

A_DAY, OPEN, KEPT = 20, 10_000, 10_000
POSTS, COMMENT, TEXT, ALSO, RULES = 20, 1_000, 2_000, 50, 20
"""Posts of a report, characters of a comment, of the text of a post that is kept as it was; others who said the same
that are named; rules."""
DAY_MS = 86_400_000
_LARGEST = (1 << 64) - 1


def counts(reader: StoreReader) -> local.ReportCounts:
    return local.REPORT_COUNTS.get(reader) or local.ReportCounts()


def find(reader: StoreReader, number: int) -> local.ReportNote | None:
    if not 0 < number < _LARGEST:
        return None
    return local.REPORTS_OPEN.get(reader, number) or local.REPORTS_CLOSED.get(reader, number)


def queue(reader: StoreReader, after: int | None) -> Iterator[local.ReportNote]:
    """Open ones, the oldest first."""
    return (one for _, one in local.REPORTS_OPEN.rows(reader, after=after))


def closed(reader: StoreReader, after: int | None) -> Iterator[local.ReportNote]:
    """The newest first."""
    return (one for _, one in local.REPORTS_CLOSED.rows(reader, after=after))


def of_reporter(reader: StoreReader, account: AccountId, after: int | None) -> Iterator[local.ReportNote]:
    """Those that the account made or said too, the newest first."""
    numbers = local.REPORTS_BY.keys(reader, account, None if after is None else (account, after))
    return (found for _, number in numbers if (found := find(reader, number)) is not None)


def against(reader: StoreReader, account: AccountId) -> Iterator[local.ReportNote]:
    """Open ones, the oldest first."""
    return (found for _, n in local.REPORTS_AGAINST.keys(reader, account) if (found := find(reader, n)) is not None)


def today(reader: StoreReader, account: AccountId, now_ms: int) -> int:
    """How many the account made on this day (UTC)."""
    day, count = local.REPORTS_TODAY.get(reader, account) or (0, 0)
    return count if day == now_ms // DAY_MS else 0


def count_today(store: Store, account: AccountId, now_ms: int) -> None:
    local.REPORTS_TODAY.put(store, account, (now_ms // DAY_MS, today(store, account, now_ms) + 1))


def forget(store: Store, account: AccountId) -> None:
    """Takes out of all reports the texts of the account: its posts as they were, and what it said of others."""
    who = account_to_text(account)
    for kind in (local.REPORTS_OPEN, local.REPORTS_CLOSED):
        for number, one in [*kind.rows(store)]:
            if one.account == who or who in one.reporters:
                posts = [msgspec.structs.replace(p, text="", warning=None) for p in one.posts]
                bare = [msgspec.structs.replace(r, comment="") if r.account == who else r for r in (one.by, *one.also)]
                posts = posts if one.account == who else one.posts
                kind.put(store, number, msgspec.structs.replace(one, posts=posts, by=bare[0], also=bare[1:]))


def put(store: Store, report: local.ReportNote) -> None:
    """Writes one, new or changed: open or closed, as it says."""
    before, account = find(store, report.id), account_from_text(report.account)
    held = counts(store)
    opens, closes = int(report.closed_ms is None), int(report.closed_ms is not None)
    if before is not None:
        opens -= before.closed_ms is None
        closes -= before.closed_ms is not None
        _kind(before).put(store, report.id, None)
    _kind(report).put(store, report.id, report)
    local.REPORTS_AGAINST.put(store, (account, report.id), report.closed_ms is None or None)
    for who in report.reporters:
        local.REPORTS_BY.put(store, (account_from_text(who), report.id), True)
    held = local.ReportCounts(max(held.next, report.id + 1), held.open + opens, held.closed + closes)
    if held.closed > KEPT:
        oldest = [one for _, one in islice(local.REPORTS_CLOSED.rows(store), KEPT, None)]
        for old in oldest:
            _remove(store, old)
        held = msgspec.structs.replace(held, closed=held.closed - len(oldest))
    local.REPORT_COUNTS.put(store, held)


def count_again(store: Store) -> None:
    """After rows were lost."""
    opened, closed = (list(kind.keys(store)) for kind in (local.REPORTS_OPEN, local.REPORTS_CLOSED))
    after = max([counts(store).next, *(number + 1 for number in (*opened, *closed))])
    if after > 1:
        local.REPORT_COUNTS.put(store, local.ReportCounts(after, len(opened), len(closed)))


def _remove(store: Store, report: local.ReportNote) -> None:
    _kind(report).put(store, report.id, None)
    for who in report.reporters:
        local.REPORTS_BY.put(store, (account_from_text(who), report.id), None)


def _kind(report: local.ReportNote) -> LocalRows[int, local.ReportNote]:
    return local.REPORTS_OPEN if report.closed_ms is None else local.REPORTS_CLOSED
