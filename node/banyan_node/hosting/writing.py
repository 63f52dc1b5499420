"""Writes entries of accounts that this node may write for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from banyan_crdt.ids import AccountId, EntryId
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_replica.intake import author
from banyan_schema.collection import Draft


def append(ctx: Context, account: AccountId, drafts: Iterable[Draft], now: float) -> EntryId:
    """Writes one entry with these operations. It is durable before the call is answered."""
    return append_each(ctx, account, [list(drafts)], now)


def append_each(ctx: Context, account: AccountId, groups: Iterable[Sequence[Draft]], now: float) -> EntryId:
    """As `append`, an entry for each group of operations, all or none. Returns the last one."""
    entries = [author.EntryDraft(tuple(d.op for d in group), tuple(d.content for d in group)) for group in groups]
    log = hosted.writable_log(ctx, account)
    written = ctx.replica.writes.publish(log, ctx.device, entries, now, ctx.pushes)
    return written[-1].entries[-1].id
