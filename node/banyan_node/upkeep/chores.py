"""Daily work of a node: checkpoints of the accounts hosted here, content of deleted posts erased after its grace, and
entries that have not counted for 30 days forgotten (counting.py notes when).

A checkpoint of the root pins logs as they stand, so that whoever steals the key that writes one can later harm only
what came after; one of this node's own writer says where the control log stood, so that a root key that was rotated
out cannot freeze the account from below. Deleted content is kept for 30 days, because a cut may undo a thief's
deletion; then this store forgets it, and only it: heads and state are the same before and after.

All follow what changed. `follow` reads each arrival once, in order, and notes what it makes due and when (the store's
table of due work); a chore then reads what is due and nothing else. How far the reading has come is noted with what it
found, so a crash loses nothing, and a store of an older program is read from its beginning once. All of it is done a
little at a time: `Done.more` says that more waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from banyan_crdt.control import Control
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, LogId
from banyan_crdt.ops import Op, Put, Tomb, decode_body, encode_ops, part_of
from banyan_crdt.shapes import ONE_OP, between
from banyan_crdt.state import counted_entries
from banyan_node.context import Context
from banyan_node.hosting import claims, hosted
from banyan_storage.due import Work

DAY_S = 86_400
DAY_MS = DAY_S * 1000
GRACE_MS = 30 * DAY_MS
"""How long the content of a deleted post is kept."""
AT_ONCE = 200
"""Accounts looked at for pins in one go, so that nobody waits for the daily work."""
CELLS = 10_000
"""Ended cells looked at in one go."""
ENTRIES = 20_000
"""No further account is walked in one go after so many entries."""
ARRIVALS = 4_096
"""Arrivals read in one go: some 20 ms."""
_READ = b"chores"
"""The note of how far arrivals were read."""
_RECLAIMED, _ALL = b"names reclaimed", b"all"
"""The note of how far the names of older programs were looked at."""
_SCANNED = b"accounts scanned"
"""The note of how far the accounts of such a store were looked at."""
_OLD_NOTES = (b"pinned:", b"swept:")
"""Of the rounds over all accounts that older programs made."""
_COLL = Coll(b"c" * 8)
_TOMB, _ = between(encode_ops((Tomb(_COLL, CellKey(bytes(16))),)).removeprefix(ONE_OP), _COLL)
"""How a tombstone begins in an entry; what has these bytes by chance is looked at in vain."""


class Done(NamedTuple):
    """How many logs were pinned, parts erased or entries forgotten, and whether more waits."""

    number: int
    more: bool


def follow(ctx: Context, now: float) -> bool:
    """Reads what arrived since the last time, ARRIVALS at most. Whether more waits."""
    raw = ctx.store.note(_READ)
    scanning = _scan(ctx, fresh=raw is None)
    reached = int.from_bytes(raw or b"", "big")
    if raw is not None and reached == ctx.store.last_arrival:
        return scanning
    rows = ctx.store.arrivals(reached, ARRIVALS)
    now_ms, queries = ctx.replica.wall_ms(now), ctx.queries()
    grown = {row.log.account for row in rows if row.log.log}
    claims.take(ctx, {row.log.account for row in rows if not row.log.log})
    for account in {row.log.account for row in rows}:
        if ctx.store.due_at(Work.CHECKPOINT, account) is None and hosted.is_hosted(ctx.store, account):
            ctx.store.set_due(Work.CHECKPOINT, account, now_ms)
    deleting = {account for account in grown if queries.has_tombs(account)}
    for row in rows:
        if row.log.log and (row.log.account in deleting or _TOMB in row.record):
            _note_dead(ctx, row.log.account, row.n, now_ms)
    more = len(rows) == ARRIVALS
    reached = rows[-1].n if more else ctx.store.last_arrival
    ctx.store.put_note(_READ, reached.to_bytes(8, "big"))
    if raw is None:
        for note in _OLD_NOTES:
            ctx.store.put_note(note, None)
    return more or scanning


def _scan(ctx: Context, fresh: bool) -> bool:
    """Once over the accounts of a store of which an older program read the arrivals: those of our keys are found."""
    cursor = ctx.store.note(_SCANNED) or b""
    if cursor == _ALL:
        return False
    some = [] if fresh else list(islice(ctx.store.accounts(AccountId(cursor)), ARRIVALS))
    claims.take(ctx, some)
    more = len(some) == ARRIVALS
    ctx.store.put_note(_SCANNED, some[-1] if more else _ALL)
    return more


def bring_back(ctx: Context, now: float) -> Done:
    """Finds accounts of restored keys in what arrived and names them: how many, and whether more may come soon."""
    more = follow(ctx, now)
    named = claims.give_names(ctx)
    found, ctx.claims.found = ctx.claims.found, 0
    return Done(found, more or named > 0 or (claims.restoring(ctx) and not claims.settle(ctx)))


def _note_dead(ctx: Context, account: AccountId, n: int, now_ms: int) -> None:
    """The entry that arrived as number n: cells that it ends, and what it puts into cells that are ended, are due."""
    entry = ctx.store.at(n)
    if entry is None:
        return
    try:
        ops = decode_body(entry.ops).ops
    except BanyanError:
        return  # it counts as nothing
    for op in ops:
        if isinstance(op, Tomb) or (isinstance(op, Put) and ctx.queries().is_dead(account, op.coll, op.key)):
            cell = account + op.coll + op.key
            at_ms = _day_of(account, _met(ctx, cell, now_ms, isinstance(op, Tomb)) + GRACE_MS)
            # the grace begins anew with another tombstone: the first one may be a thief's that was taken back
            if isinstance(op, Tomb) or ctx.store.due_at(Work.ERASE, cell) is None:
                ctx.store.set_due(Work.ERASE, cell, max(at_ms, ctx.store.due_at(Work.ERASE, cell) or 0))


def _met(ctx: Context, cell: bytes, now_ms: int, tomb: bool) -> int:
    """When the tombstone was first met here: its own date is the word of its writer, perhaps a thief."""
    key = b"tomb:" + cell  # an older program noted it so
    note = ctx.store.note(key)
    if note is None:
        return now_ms
    if tomb:
        ctx.store.put_note(key, None)
    return int.from_bytes(note, "big")


def reclaim_names(ctx: Context, now: float) -> bool:
    """Once over a store of an older program: the names of logs of which nothing is held go. Whether more waits."""
    cursor = ctx.store.note(_RECLAIMED)
    if cursor == _ALL:
        return False
    after = ctx.store.reclaim(cursor or b"", ARRIVALS)
    ctx.store.put_note(_RECLAIMED, after or _ALL)
    return after is not None


def forget_beside(ctx: Context, now: float) -> Done:
    """Forgets what has been held beside logs for 30 days without counting: nobody can bring it back any more."""
    return Done(*ctx.replica.ingest.expire_due(ctx.replica.wall_ms(now)))


def checkpoint_own_accounts(ctx: Context, now: float) -> Done:
    """A checkpoint of each account hosted here of which the control log or a log moved since the last, once a day: by
    its root, if that is at hand, and by this node's own writer."""
    done, behind, now_ms = 0, follow(ctx, now), ctx.replica.wall_ms(now)
    due = ctx.store.due(Work.CHECKPOINT, now_ms, AT_ONCE)
    for _, key in due:
        made = hosted.checkpoint(ctx, AccountId(key), now) if ctx.holds(AccountId(key)) else 0
        done += made
        if made:
            ctx.store.set_due(Work.CHECKPOINT, key, now_ms + DAY_MS)  # and nothing of it before
        else:
            ctx.store.drop_due(Work.CHECKPOINT, key)
    return Done(done, behind or len(due) == AT_ONCE)


def erase_deleted(ctx: Context, now: float) -> Done:
    """Erases the content of what has been deleted for 30 days."""
    erased = walked = 0
    behind, now_ms = follow(ctx, now), ctx.replica.wall_ms(now)
    due = ctx.store.due(Work.ERASE, now_ms, CELLS)
    cells: dict[AccountId, set[tuple[Coll, CellKey]]] = {}
    for _, key in due:
        cells.setdefault(AccountId(key[:32]), set()).add((Coll(key[32:40]), CellKey(key[40:])))
    for account, ended in cells.items():
        if walked >= ENTRIES:
            return Done(erased, True)
        parts, entries = _erase(ctx, account, ended, now_ms)
        erased, walked = erased + parts, walked + entries + 1
    return Done(erased, behind or len(due) == CELLS)


def _erase(ctx: Context, account: AccountId, ended: set[tuple[Coll, CellKey]], now_ms: int) -> tuple[int, int]:
    """Erases what is put into these cells, where they are ended still, in one walk: (parts, entries looked at)."""
    queries, erased, walked = ctx.queries(), 0, 0
    dead = {(coll, key) for coll, key in ended if queries.is_dead(account, coll, key)}
    control = ctx.replica.ingest.control_of(account)
    if control is not None and dead:
        logs = [log for log in ctx.store.heads(account) if log.log]
        for entry, ops in _counted(ctx, control, logs):
            walked += 1
            for at, op in enumerate(ops):
                ended_here = isinstance(op, Put) and (op.coll, op.key) in dead and part_of(op) is not None
                if ended_here and ctx.store.withheld(entry, at) is None:
                    erased += ctx.store.erase_part(entry, at, None)  # also what has not come: it is not asked for again
    branched = bool(ctx.store.loose_logs(account))
    for coll, key in ended:
        cell = account + coll + key
        if branched and (coll, key) not in dead:  # the tombstone does not count; a pin may yet choose its branch
            ctx.store.set_due(Work.ERASE, cell, _day_of(account, now_ms + GRACE_MS))
        else:
            ctx.store.drop_due(Work.ERASE, cell)
    return erased, walked


def _day_of(account: AccountId, at_ms: int) -> int:
    """The end of the account's day, less than a day later: an account is walked once for all that one day makes due,
    and the days of accounts do not end together."""
    phase = int.from_bytes(account[:8], "big") % DAY_MS
    return at_ms + (phase - at_ms) % DAY_MS


def _counted(ctx: Context, control: Control, logs: list[LogId]) -> Iterator[tuple[EntryId, tuple[Op, ...]]]:
    """Each counted entry with its operations."""
    for log in logs:
        for entry, body in counted_entries(control, log, ctx.store.walk(log)):
            yield entry.id, body.ops
