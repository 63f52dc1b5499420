"""Accounts that the operator dropped: what was held of them is gone from this node, and they are not fetched again.

This is policy and not state: it says which accounts a node holds, which a node of chosen accounts (`interest.mode`
follows) may decide as it likes. Its neighbours are told that it holds the account no longer, so nobody compares it with
this node and the frontiers that are compared stay honest. A node that holds all accounts cannot say "all but these".
"""

from __future__ import annotations

from collections.abc import Iterator

from banyan_crdt.ids import AccountId, control_log
from banyan_crdt.logs import NOTHING
from banyan_node.context import Context
from banyan_replica.intake import erasing
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


def erase(ctx: Context, account: AccountId, now: float) -> int:
    """Erases what is held of the account; returns how many entries counted. See banyan_replica.intake.erasing."""
    replica = ctx.replica
    return erasing.erase(replica.ingest, replica.strangers, replica.sync.moved, account, replica.wall_ms(now) // 1000)


def unfinished(ctx: Context) -> list[AccountId]:
    """Dropped accounts of which something is still held, because the node was stopped in between."""
    return [account for account in dropped(ctx.store) if ctx.store.head(control_log(account)) != NOTHING]
