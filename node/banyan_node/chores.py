"""Daily work of a node: checkpoints of the accounts hosted here, and content of deleted posts erased after its grace.

A checkpoint of the root pins logs as they stand, so that whoever steals the key that writes one can later harm only
what came after; one of this node's own writer says where the control log stood, so that a root key that was rotated
out cannot freeze the account from below. Deleted content is kept for 30 days, because a cut may undo a thief's
deletion; then this store forgets it, and only it: heads and state are the same before and after.
"""

from __future__ import annotations

from collections.abc import Iterator

from banyan_crdt.control import Control
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, LogId
from banyan_crdt.ops import Op, Put, Tomb
from banyan_crdt.state import counted_entries
from banyan_node.backend import hosted
from banyan_node.context import Context

DAY_S = 86_400
GRACE_MS = 30 * DAY_S * 1000
"""How long the content of a deleted post is kept."""
AT_ONCE = 200
"""Accounts looked at in one go, so that nobody waits for the daily work."""


def checkpoint_own_accounts(ctx: Context, now: float) -> int:
    """A checkpoint of each account hosted here of which the control log or a log moved since the last, once a day: by
    its root, if that is at hand, and by this node's own writer. Returns how many were signed."""
    accounts = _due(ctx, b"checkpoint:", [h.account for h in hosted.all_hosted(ctx)], now)
    return sum(hosted.checkpoint(ctx, account, now) for account in accounts if ctx.holds(account))


def erase_deleted(ctx: Context, now: float) -> int:
    """Erases the content of what has been deleted for 30 days, account by account. Returns how many parts."""
    erased = 0
    for account in _due(ctx, b"swept:", list(ctx.store.accounts()), now):
        if ctx.queries().has_tombs(account):
            erased += _sweep(ctx, account, ctx.replica.wall_ms(now))
    return erased


def _sweep(ctx: Context, account: AccountId, now_ms: int) -> int:
    control = ctx.replica.ingest.control_of(account)
    if control is None:
        return 0
    dead: set[tuple[Coll, CellKey]] = set()
    logs = [log for log in ctx.store.heads(account) if log.log]
    for _, ops in _counted(ctx, control, logs):
        for op in ops:
            if isinstance(op, Tomb) and _first_seen(ctx, account, op, now_ms) <= now_ms - GRACE_MS:
                dead.add((op.coll, op.key))
    erased = 0
    for entry, ops in _counted(ctx, control, logs):
        for at, op in enumerate(ops):
            if isinstance(op, Put) and (op.coll, op.key) in dead and ctx.store.part(entry, at) is not None:
                erased += ctx.store.erase_part(entry, at, None)
    return erased


def _first_seen(ctx: Context, account: AccountId, tomb: Tomb, now_ms: int) -> int:
    """When a sweep here first met the tomb, milliseconds: its own date is the word of its writer, perhaps a thief."""
    key = b"tomb:" + account + tomb.coll + tomb.key
    note = ctx.store.note(key)
    if note is None:
        ctx.store.put_note(key, now_ms.to_bytes(8, "big"))
        return now_ms
    return int.from_bytes(note, "big")


def _counted(ctx: Context, control: Control, logs: list[LogId]) -> Iterator[tuple[EntryId, tuple[Op, ...]]]:
    """Each counted entry with its operations."""
    for log in logs:
        for entry, body in counted_entries(control, log, ctx.store.walk(log)):
            yield entry.id, body.ops


def _due(ctx: Context, note: bytes, accounts: list[AccountId], now: float) -> list[AccountId]:
    """The next accounts of today's round, AT_ONCE at most; the note says how far the round has come, and since when."""
    raw = ctx.store.note(note) or bytes(8)
    began, cursor = int.from_bytes(raw[:8], "big"), raw[8:]
    if not cursor:
        if now - began < DAY_S:
            return []
        began = int(now)
    found = sorted(a for a in accounts if a > cursor)[:AT_ONCE]
    last = found[-1] if len(found) == AT_ONCE else b""
    ctx.store.put_note(note, began.to_bytes(8, "big") + last)
    return found
