"""Where a cut ends the logs of a writer, what it takes and brings back, and from which control entry an undo goes on.

A cut is for good. Of each log it keeps the entries up to one that it names, so it has to name the owner's last entry:
what a thief wrote above it, deletions too, counts no more. The owner names a post or a time. A time says nothing of a
log that this store wrote itself, because all of that is hers.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, CellKey, EntryId, LogId, Time, WriterKey, account_to_text, control_log
from banyan_crdt.ops import Cut, KeptTip, Put, decode_body
from banyan_node.context import Context
from banyan_node.operator_errors import bad_request, conflict, not_found
from banyan_reading.answers import PostView
from banyan_replica.intake.own_tips import own_tips
from banyan_schema.social import POST, Target, post_from_text
from banyan_storage.reader import StoreReader
from banyan_storage.views.large_accounts import waits

LOOKED_AT = 10_000
"""Posts of an account that are compared before and after a change: the newest."""


class Points(NamedTuple):
    """named: the last entries that stay, of logs of which one was named. until: of other logs, the last time that
    stays; None: all that is held stays."""

    named: Mapping[LogId, KeptTip]
    until: Time | None

    @property
    def given(self) -> bool:
        return bool(self.named) or self.until is not None


EVERYTHING = Points({}, None)


def points_of(store: StoreReader, account: AccountId, after: Sequence[str], after_ms: int | None) -> Points:
    """after: posts and entries, each the last one that stays in its log. Logs of which none is named end at `after_ms`,
    or at the newest of these. Raises CallError."""
    named, newest = dict[LogId, KeptTip](), 0
    for text in after:
        entry = _entry_of(store, account, text)
        header = entry.header
        if not header.log:
            raise bad_request(f"'{text}' is an entry of the control log: name a post, or another entry.")
        named[entry.log_id] = KeptTip(header.log, header.seq, entry.id)
        newest = max(newest, header.time)
    if after_ms is not None:
        newest = (after_ms << 16) | 0xFFFF
    return Points(named, newest or None)


def _entry_of(store: StoreReader, account: AccountId, text: str) -> Entry:
    if len(text) == 64 and set(text.lower()) <= set("0123456789abcdef"):
        entry = store.entry(EntryId(bytes.fromhex(text)))
    else:
        try:
            target = post_from_text(text)
        except ValueError as error:
            raise bad_request(f"{error}.") from None
        entry = first_write(store, target) if target.account == account else None
    if entry is None or entry.account != account:
        raise not_found(f"'{text}' is no entry of {account_to_text(account)} that is held here.")
    return entry


def first_write(store: StoreReader, target: Target) -> Entry | None:
    """The entry that wrote the post first, also if it was deleted, or does not count."""
    found = (
        entry
        for log in store.logs(target.account)
        if log.log
        for part in store.held(log)
        for entry in part
        if any(isinstance(op, Put) and (op.coll, op.key) == (POST, target.key) for op in decode_body(entry.ops).ops)
    )
    return min(found, key=lambda entry: entry.header.time, default=None)


def cut_of(store: StoreReader, account: AccountId, writer: WriterKey, points: Points = EVERYTHING) -> Cut:
    """A cut of the writer at these points. Of a log that was written here all that was written here stays, because a
    thief who forked it may have made it uncounted; of other logs what counts. Raises CallError where it cannot tell."""
    kept = (_kept(store, log, points) for log in store.logs(account) if log.log and log.writer == writer)
    return Cut(writer, tuple(k for k in kept if k is not None))


def _kept(store: StoreReader, log: LogId, points: Points) -> KeptTip | None:
    if log in points.named:
        return points.named[log]
    head, own = store.head(log), own_tips(store, log)
    place = store.place(own[-1]) if own else None
    if place is not None and (head.flag or points.given or place[1] >= head.length):
        return KeptTip(log.log, place[1], own[-1])
    if head.id is None:
        return None
    if points.until is None:
        return KeptTip(log.log, head.length - 1, head.id)

    def time_at(seq: int) -> Time:
        return store.chain(log, seq, seq + 1)[0].header.time

    stays = bisect_right(range(head.length), points.until, key=time_at)
    if stays == head.length and head.flag:
        raise conflict(
            f"Log {log.log} of {log.writer.hex()[:16]} has branches above its entry {head.length}, and a time does not "
            "tell which of them is the owner's: name its last entry too (`banyan account activity` lists them)."
        )
    return KeptTip(log.log, stays - 1, store.chain(log, stays - 1, stays)[0].id) if stays else None


def refuse_to_lose(ctx: Context, account: AccountId, writers: Collection[WriterKey], now: float) -> None:
    """Raises CallError if a linked peer claims more of these writers' logs than is here: a cut keeps what is here. Of a
    log that was written here nobody has more than the thief who forked it."""
    more = dict[LogId, int]()
    for link in ctx.replica.status.view(now).links:
        for log, theirs in link.differences.items():
            if log.account == account and log.writer in writers and log.log and not own_tips(ctx.store, log):
                more[log] = max(more.get(log, 0), theirs.length - ctx.store.head(log).length)
    if missing := sum(more.values()):
        raise conflict(
            f"A peer claims {missing:,} entries more of the account than are here, and a cut keeps only what is here: "
            "wait until `banyan status` has it complete, or say so (--incomplete)."
        )


def path_below(store: StoreReader, account: AccountId, control: Control, undo: int) -> tuple[Entry, ...]:
    """The control entries that an undo goes on from: those below entry `undo`, 0: all. Where others took the place of
    entries that this store wrote above them, or the account is frozen there, those are among them: what the owner
    signed herself stays."""
    path = control.path[:undo] if undo else control.path
    if not undo and not control.frozen:
        return path
    held = {entry.id: entry for entry in store.control(account)}
    at, hers = next(iter(own_tips(store, control_log(account))[-1:]), None), list[Entry]()
    while at in held:
        hers.append(held[at])
        at = held[at].header.prev
    hers.reverse()
    on_path = {entry.id for entry in control.path}
    further = len(hers) > len(path) and [e.id for e in hers[: len(path)]] == [e.id for e in path]
    return tuple(hers) if further and hers[len(path)].id not in on_path else path


def shown_posts(ctx: Context, account: AccountId) -> dict[CellKey, PostView] | None:
    """The newest posts of the account that are shown, by key. None: the account is large and being folded again."""
    q = ctx.queries()
    if waits(ctx.store.txn, account):
        return None
    found: Iterator[PostView] = (view for _, view in q.timeline([account], None) if view is not None)
    return {view.target.key: view for view in islice(found, LOOKED_AT)}
