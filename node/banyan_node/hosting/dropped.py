"""Accounts that the operator dropped: what was held of them is gone from this node, and they are not fetched again.

This is policy and not state: it says which accounts a node holds, which a node of chosen accounts (`interest.mode`
follows) may decide as it likes. Its neighbours are told that it holds the account no longer, so nobody compares it with
this node and the frontiers that are compared stay honest. A node that holds all accounts cannot say "all but these".
"""

from __future__ import annotations

from collections.abc import Iterator

from banyan_crdt.control import resolve_control
from banyan_crdt.ids import AccountId, control_log, is_checkpoint, is_control
from banyan_crdt.logs import NOTHING
from banyan_node.context import Context
from banyan_node.moderation import copies
from banyan_storage.reader import StoreReader

_DROPPED = b"dropped account:"


def dropped(store: StoreReader) -> Iterator[AccountId]:
    """The dropped accounts."""
    return (AccountId(key[len(_DROPPED) :]) for key, _ in store.notes(_DROPPED))


def is_dropped(store: StoreReader, account: AccountId) -> bool:
    return store.note(_DROPPED + account) is not None


def note(ctx: Context, account: AccountId, is_now: bool) -> None:
    """Notes that the account is dropped, or is not any more. Then `set_interest` tells the neighbours."""
    ctx.store.put_note(_DROPPED + account, b"1" if is_now else None)


def erase(ctx: Context, account: AccountId, now: float, keep_control: bool = False) -> int:
    """Erases what is held of the account, its control log last; returns how many entries counted.

    Its content that was withheld or erased stays noted as such, in case the account comes back. keep_control: what says
    whose the account is, and that it is closed, stays.
    """
    store, now_s, entries = ctx.store, ctx.replica.wall_ms(now) // 1000, 0
    ctx.replica.ingest.flush()
    heads = dict.fromkeys(store.loose_logs(account), NOTHING) | dict(store.heads(account))
    for log, head in sorted(heads.items(), key=lambda row: is_control(row[0])):
        if keep_control and not log.log:
            continue
        if is_checkpoint(log):
            store.drop_checkpoint(log)
        elif is_control(log):
            store.put_control(account, resolve_control([]), (), now_s)
            entries += head.length
        else:
            store.rewrite(log, (), (), NOTHING, now_s)
            entries += head.length
        if head != NOTHING:
            ctx.replica.sync.moved(log, head, NOTHING)
    copies.drop(store, account)
    store.rebuild_views(account, ())
    store.forget(account)
    store.note_act("dropped", account)
    ctx.replica.strangers.release(account)
    ctx.replica.ingest.forget()
    return entries


def unfinished(ctx: Context) -> list[AccountId]:
    """Dropped accounts of which something is still held, because the node was stopped in between."""
    return [account for account in dropped(ctx.store) if ctx.store.head(control_log(account)) != NOTHING]
