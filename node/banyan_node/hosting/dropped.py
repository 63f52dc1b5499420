"""Accounts that the operator dropped: what was held of them is gone from this node, and they are not fetched again.
What is held of an account goes in steps, since one transaction of 100,000 entries would hold the store for half a
minute; whoever erases an account does it by `begin` and `step`.

This is policy and not state: it says which accounts a node holds, which a node of chosen accounts (`interest.mode`
follows) may decide as it likes. Its neighbours are told that it holds the account no longer, so nobody compares it with
this node and the frontiers that are compared stay honest. A node that holds all accounts cannot say "all but these".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from banyan_crdt.control import resolve_control
from banyan_crdt.ids import AccountId, Head, LogId, control_log, is_checkpoint, is_control
from banyan_crdt.logs import NOTHING
from banyan_node.context import Context
from banyan_node.moderation import copies
from banyan_storage.local_tables import DROPPED

AT_ONCE = 128
"""Entries that go in one step, or a run more, and rows of views: some tens of milliseconds."""
DROP, ERASE = b"1", b"2"
"""Why an account leaves: all of it, its control log last; or all but that, as erasing.py does."""
Look: TypeAlias = Callable[[Sequence[int]], None]


def begin(ctx: Context, account: AccountId, why: bytes = DROP) -> int:
    """Erases what is held of the account from now on, in steps, also after a crash; readers are shown nothing of it.
    Returns how many entries counted. Content that was withheld or erased stays noted as such, in case the account comes
    back."""
    ctx.replica.ingest.flush()
    if account not in ctx.store.leaving():
        ctx.store.note_act("dropped", account)
        ctx.store.set_leaving(account, why)
    return sum(head.length for log, head in ctx.store.heads(account).items() if not is_checkpoint(log))


def step(ctx: Context, account: AccountId, now: float, why: bytes = DROP, look: Look = lambda ns: None) -> bool:
    """One step of what `begin` began for this reason, of some tens of milliseconds. It ends with logs that are whole up
    to their heads. look: gets the arrivals of entries before they go. Returns whether more is left."""
    leaving = ctx.store.leaving().get(account)
    if leaving != why:
        return leaving is not None
    store, left = ctx.store, AT_ONCE
    if store.unshow(account, AT_ONCE):
        return True
    ctx.replica.ingest.flush()
    heads = store.heads(account)
    for log in sorted(heads.keys() | store.loose_logs(account)):
        if not log.log:
            continue
        left -= store.drop_end(log, left, look)
        _moved(ctx, log, heads.get(log, NOTHING))
        if left <= 0:
            ctx.replica.ingest.forget()
            return True
    for log in sorted((log for log in heads if not log.log), key=is_control) if why == DROP else ():
        if is_checkpoint(log):
            store.drop_checkpoint(log)
        else:
            store.put_control(account, resolve_control([]), (), ctx.replica.wall_ms(now) // 1000)
        _moved(ctx, log, heads[log])
    copies.drop(store, account)
    store.rebuild_views(account, ())
    store.forget(account)
    store.set_leaving(account, None)
    ctx.replica.strangers.release(account)
    ctx.replica.ingest.forget()
    return False


def _moved(ctx: Context, log: LogId, old: Head) -> None:
    if (new := ctx.store.head(log)) != old:
        ctx.replica.ingest.moved(log, old, new)


def stay(ctx: Context, account: AccountId, now: float) -> None:
    """The account is held again before all of it was erased. What is left of it is shown, and what is not is a
    difference to peers."""
    ctx.store.set_leaving(account, None)
    ctx.replica.ingest.flush()
    if ctx.replica.ingest.control_of(account) is not None:
        ctx.replica.ingest.slow.recount(account, set(), ctx.replica.wall_ms(now) // 1000, rebuild=True)


def is_wanted(ctx: Context, account: AccountId) -> bool:
    """Whether the account is held, by what people here follow and what was dropped."""
    wanted = ctx.replica.room.interesting(account) or ctx.around.is_wanted(account)
    return wanted and not DROPPED.has(ctx.store, account)


def go_on(ctx: Context, now: float) -> bool:
    """A step of what a drop or a crash left to be erased, and of what came of a dropped account all the same. Returns
    whether more is left."""
    for account in [account for account, why in ctx.store.leaving().items() if why == DROP]:
        if is_wanted(ctx, account):
            stay(ctx, account, now)
        else:
            step(ctx, account, now)
        return True
    for account in DROPPED.keys(ctx.store):
        if ctx.store.head(control_log(account)) != NOTHING and account not in ctx.store.leaving():
            begin(ctx, account)
            return step(ctx, account, now)
    return False
