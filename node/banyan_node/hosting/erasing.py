"""Erasing what this node holds of a closed account, from every file.

The account is closed first, so nothing of it counts or is shown any more. When the erasure is due, its entries and
their content go, with the pictures that nothing else names, reports' copies of its posts, and its name here. Its
control log stays: it says that the account is closed, and whose key may undo that. Then the data file is written anew
(`LmdbEngine.rewrite`), because a database leaves what was deleted in its file.

Each part is one commit, and what is left to do is noted in it, so a crash only delays the rest.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import structlog

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_node.context import Context
from banyan_node.hosting import dropped, hosted
from banyan_node.moderation import moderators, reports, telling
from banyan_storage import tables as t
from banyan_storage.blob_names import is_named, split
from banyan_storage.due import Work, planned
from banyan_storage.errors import StorageError
from banyan_storage.reader import StoreReader

log = structlog.get_logger("banyan")
DAY_MS = 86_400_000
MOST_DAYS = 90
_ERASURE, _BLOB, _REWRITE = b"erasure:", b"blob to erase:", b"store to be written anew"


class Erasure(msgspec.Struct, frozen=True):
    """until_ms: by when all is gone here. erased_ms: when it was; None: not yet."""

    at_ms: int
    until_ms: int
    reason: str
    erased_ms: int | None = None


def plan(ctx: Context, account: AccountId, reason: str, days: int, now_ms: int) -> Erasure:
    """Notes an erasure, which begins a day before the term ends, so that it is done by then."""
    made = Erasure(now_ms, now_ms + max(1, days) * DAY_MS, reason)
    ctx.store.set_due(Work.ERASE_ACCOUNT, account, now_ms + max(0, days - 1) * DAY_MS)
    _put(ctx, account, made)
    return made


def find(reader: StoreReader, account: AccountId) -> Erasure | None:
    raw = reader.note(_ERASURE + account)
    return None if raw is None else msgspec.json.decode(raw, type=Erasure)


def every(reader: StoreReader) -> Iterator[tuple[AccountId, Erasure]]:
    for key, raw in reader.notes(_ERASURE):
        yield AccountId(key[len(_ERASURE) :]), msgspec.json.decode(raw, type=Erasure)


def _put(ctx: Context, account: AccountId, erasure: Erasure) -> None:
    ctx.store.put_note(_ERASURE + account, msgspec.json.encode(erasure))


def step(ctx: Context, now: float) -> bool:
    """Does the next part of what is due. Returns whether more is waiting. It commits, so nothing may be pending."""
    now_ms = ctx.replica.wall_ms(now)
    for _, key in ctx.store.due(Work.ERASE_ACCOUNT, now_ms, 1):
        account, control = AccountId(key), ctx.replica.ingest.control_of(AccountId(key))
        ctx.store.drop_due(Work.ERASE_ACCOUNT, key)
        if control is not None and control.closed and not control.frozen:
            _erase(ctx, account, now)
            ctx.store.put_note(_REWRITE, b"1")
        else:  # its recovery key undid the closing
            ctx.store.put_note(_ERASURE + account, None)
        ctx.store.commit()
        return True
    for name, _ in [*ctx.store.notes(_BLOB)]:
        root = BlobRoot(name[len(_BLOB) :])
        if not is_named(ctx.store.txn, root):
            ctx.blobs.drop(root)
        ctx.store.put_note(name, None)
    if ctx.store.note(_REWRITE) is not None:
        ctx.store.commit()
        try:
            ctx.engine.rewrite()
        except StorageError as why:
            log.warning("the store is written anew later", why=str(why))
            return False
        ctx.logs.note_place()
        ctx.store.put_note(_REWRITE, None)
        for account, erasure in [*every(ctx.store)]:
            if erasure.erased_ms is None and ctx.store.due_at(Work.ERASE_ACCOUNT, account) is None:
                _put(ctx, account, msgspec.structs.replace(erasure, erased_ms=now_ms))
    ctx.store.commit()
    return False


def _erase(ctx: Context, account: AccountId, now: float) -> None:
    store = ctx.store
    for n in [row.n for log in store.loose_logs(account) for row in store.loose_rows(log)]:
        for _, roots in store.txn.scan(t.MEDIA, t.part_key(n, 0), t.part_key(n + 1, 0)):
            for root in split(roots):
                store.put_note(_BLOB + root, b"")
    ctx.replica.gossip.forget_content(b"")
    dropped.erase(ctx, account, now, keep_control=True)
    hosted.end(ctx, account, forget_name=True)
    moderators.note(store, account, None)
    reports.forget(store, account)
    telling.forget(store, account)
    for work in (Work.PUBLISH, Work.ERASE, Work.REPLACED, Work.CHECKPOINT, Work.WITHHELD):
        for key in planned(store.txn, work, account, 1 << 30):
            store.drop_due(work, key)
