"""Erases all that is held of an account which this node holds no longer."""

from __future__ import annotations

from banyan_crdt.control import resolve_control
from banyan_crdt.ids import AccountId, is_checkpoint, is_control
from banyan_crdt.logs import NOTHING
from banyan_replica.intake.counting import Moved
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.strangers import Strangers


def erase(ingest: Ingest, strangers: Strangers, moved: Moved, account: AccountId, now_s: int) -> int:
    """Its control log goes last. Returns how many entries counted. Content that was withheld or erased stays noted as
    such, in case the account comes back."""
    ingest.flush()
    store, entries = ingest.store, 0
    for log, head in sorted(store.heads(account).items(), key=lambda row: is_control(row[0])):
        if is_checkpoint(log):
            store.drop_checkpoint(log)
        elif is_control(log):
            store.put_control(account, resolve_control([]), (), now_s)
            entries += head.length
        else:
            store.rewrite(log, (), (), NOTHING, now_s)
            entries += head.length
        if head != NOTHING:
            moved(log, head, NOTHING)
    store.rebuild_views(account, ())
    strangers.release(account)
    ingest.forget()
    return entries
