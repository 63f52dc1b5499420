"""Erasing what this node holds of a closed account, from every file.

The account is closed first, so nothing of it counts or is shown any more. When the erasure is due, its entries and
their content go, with the pictures that nothing else names, reports' copies of its posts, and its name here. Its
control log stays: it says that the account is closed, and whose key may undo that. Then the data file is written anew
(`LmdbEngine.rewrite`), because a database leaves what was deleted in its file. The door and the answers under keys
(idempotency.py) forget the account before its name is free, and once more at the end, for what was on its way.

Each part is one commit, and what is left to do is noted in it, so a crash only delays the rest. The entries go in steps
(dropped.py), from the first of which on the account has no name here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
import structlog

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId, EntryId, account_to_text
from banyan_node import idempotency
from banyan_node.context import Context
from banyan_node.hosting import dropped, hosted, wishes
from banyan_node.moderation import reports, telling
from banyan_node.upkeep import trusted_clock
from banyan_storage import tables as t
from banyan_storage.blob_names import is_named, split
from banyan_storage.due import Work, planned
from banyan_storage.errors import StorageError
from banyan_storage.local_tables import BLOBS_TO_ERASE, ERASURES, MODERATORS, TO_REWRITE, Erasure

log = structlog.get_logger("banyan")
DAY_MS = 86_400_000
MOST_DAYS = 90


def plan(ctx: Context, account: AccountId, reason: str, days: int, now_ms: int, entry: EntryId | None) -> Erasure:
    """Notes an erasure, which begins a day before the term ends, so that it is done by then. entry: says it to
    peers."""
    made = Erasure(now_ms, now_ms + max(1, days) * DAY_MS, reason, entry="" if entry is None else entry.hex())
    ctx.store.set_due(Work.ERASE_ACCOUNT, account, begins(days, now_ms))
    trusted_clock.doubt(ctx, trusted_clock.moment(now_ms))  # a look, by which a jump before the end is noticed
    return wishes.put(ctx, account, made, now_ms)


def begins(days: int, now_ms: int) -> int:
    return now_ms + max(0, days - 1) * DAY_MS


def step(ctx: Context, now: float) -> bool:
    """Does the next part of what is due. Returns whether more is waiting. It commits, so nothing may be pending."""
    now_ms = ctx.replica.wall_ms(now)
    for account in [account for account, why in ctx.store.leaving().items() if why == dropped.ERASE]:
        if not dropped.step(ctx, account, now, dropped.ERASE, partial(_note_blobs, ctx)):
            _forget(ctx, account)
            TO_REWRITE.put(ctx.store, True)
        ctx.store.commit()
        return True
    for _, key in ctx.store.due(Work.ERASE_ACCOUNT, now_ms, 1):
        account = AccountId(key)
        if (again_ms := _waits(ctx, account, now_ms)) is not None:
            ctx.store.set_due(Work.ERASE_ACCOUNT, account, again_ms)
        elif ERASURES.get(ctx.store, account) is not None:
            if not _forgotten_at_door(ctx, [account]):  # before another account may get the name
                return False
            ctx.store.drop_due(Work.ERASE_ACCOUNT, key)
            _begin(ctx, account)
        ctx.store.commit()
        return True
    wishes.ask(ctx, now)
    for root in [*BLOBS_TO_ERASE.keys(ctx.store)]:
        if not is_named(ctx.store.txn, root):
            ctx.blobs.drop(root)
        BLOBS_TO_ERASE.put(ctx.store, root, None)
    if TO_REWRITE.get(ctx.store):
        done = [
            account
            for account, erasure in ERASURES.rows(ctx.store)
            if erasure.erased_ms is None and ctx.store.due_at(Work.ERASE_ACCOUNT, account) is None
        ]
        idempotency.forget(ctx.store, *map(account_to_text, done))
        ctx.store.commit()
        if not _forgotten_at_door(ctx, done):
            return False
        try:
            ctx.engine.rewrite()
        except StorageError as why:
            log.warning("the store is written anew later", why=str(why))
            return False
        ctx.logs.note_place()
        TO_REWRITE.put(ctx.store, None)
        for account in done:
            if (erasure := ERASURES.get(ctx.store, account)) is not None:
                wishes.put(ctx, account, msgspec.structs.replace(erasure, erased_ms=now_ms), now_ms)
    ctx.store.commit()
    return False


def _waits(ctx: Context, account: AccountId, now_ms: int) -> int | None:
    """When to look again whether it is erased. None: it is to be erased now, or was taken back."""
    known, control = ERASURES.get(ctx.store, account), ctx.replica.ingest.control_of(account)
    doubt = trusted_clock.doubt(ctx, trusted_clock.moment(now_ms))
    if known is not None and known.here:
        if wishes.undone(known, control):
            wishes.take_back(ctx, account)
            return None
        return now_ms + DAY_MS if doubt and known.until_ms - known.at_ms > DAY_MS else None  # at once has no term
    known = wishes.look_again(ctx, account, now_ms)
    if known is None:
        return None
    known = wishes.put(ctx, account, known, now_ms)
    if known.until_ms > now_ms:
        return known.until_ms
    return now_ms + DAY_MS if doubt or known.word == "shown" else None


def _forgotten_at_door(ctx: Context, accounts: Sequence[AccountId]) -> bool:
    try:
        for account in accounts:
            ctx.at_door.forget(account_to_text(account))
    except StorageError as why:
        log.warning("the door forgets an account later", why=str(why))
        return False
    return True


def _note_blobs(ctx: Context, ns: Sequence[int]) -> None:
    """Notes which pictures the content of these arrivals names."""
    for n in ns:
        for _, roots in ctx.store.txn.scan(t.MEDIA, t.part_key(n, 0), t.part_key(n + 1, 0)):
            for root in split(roots):
                BLOBS_TO_ERASE.put(ctx.store, BlobRoot(root), True)


def _begin(ctx: Context, account: AccountId) -> None:
    home = hosted.hosted(ctx, account)
    idempotency.forget(ctx.store, account_to_text(account), *([] if home is None else [home.name]))
    dropped.begin(ctx, account, dropped.ERASE)
    hosted.end(ctx, account, forget_name=True)
    MODERATORS.put(ctx.store, account, None)
    reports.forget(ctx.store, account)
    telling.forget(ctx.store, account)


def _forget(ctx: Context, account: AccountId) -> None:
    """What a step may have left in memory, and what was to be done for the account."""
    ctx.replica.forget_content(b"")
    for work in {*Work} - {Work.FORGET}:  # of the control log, too
        for key in planned(ctx.store.txn, work, account, 1 << 30):
            ctx.store.drop_due(work, key)
