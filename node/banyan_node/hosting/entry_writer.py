"""Writes entries of accounts that this node may write for, with as many operations in each as fit."""

from collections.abc import Iterable, Sequence

from banyan_crdt.entry import MAX_OPS_BYTES, MAX_PART_BYTES
from banyan_crdt.ids import AccountId, EntryId, PartHash
from banyan_crdt.ops import MAX_OPS, Add, Part, Put, Text, encode_ops
from banyan_crdt.parts import make_part
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_replica.intake import author
from banyan_replica.intake.author import EntryDraft
from banyan_schema.collection import OpDraft
from banyan_schema.social import Target, post_key


def append(ctx: Context, account: AccountId, drafts: Iterable[OpDraft], now: float) -> EntryId:
    """Writes one entry with these operations. It is durable before the call is answered."""
    return append_each(ctx, account, [list(drafts)], now)


def append_each(ctx: Context, account: AccountId, groups: Iterable[Sequence[OpDraft]], now: float) -> EntryId:
    """As `append`, an entry for each group of operations, all or none. Returns the last one."""
    entries = [author.EntryDraft(tuple(d.op for d in group), tuple(d.content for d in group)) for group in groups]
    log = hosted.writable_log(ctx, account)
    written = ctx.replica.writes.publish(log, ctx.device, entries, now, ctx.pushes)
    return written[-1].entries[-1].id


def in_place(ctx: Context, account: AccountId, draft: OpDraft) -> OpDraft:
    """The draft of a register, in place of the live writes of its cell."""
    assert isinstance(draft.op, Put)
    return draft._replace(op=draft.op._replace(refs=tuple(ctx.queries().live(account, draft.op))))


def new_target(ctx: Context, account: AccountId, now: float) -> Target:
    """What is to be a new post, group, event ... of the account."""
    key = post_key(hosted.salt_of(ctx, account), ctx.replica.author.random(16), ctx.replica.wall_ms(now))
    return Target(account, key)


# A log may have so many entries a day; an entry carries hundreds of operations.

_BODY = 8
"""Bytes around the operations of an entry, at most."""
_PART = Part(PartHash(bytes(32)), MAX_PART_BYTES)
_PART_MORE = len(make_part(bytes(16), bytes(MAX_PART_BYTES))[1]) - MAX_PART_BYTES
"""Bytes of a part beside its content, at most."""


def packed(drafts: Iterable[OpDraft]) -> list[EntryDraft]:
    """The operations in entries that each keep within the limits of one, in order."""
    out: list[EntryDraft] = []
    some: list[OpDraft] = []
    ops_size = part_size = 0
    for draft in drafts:
        ops_more = _op_size(draft)
        part_more = 0 if draft.content is None else len(draft.content) + _PART_MORE
        full = len(some) == MAX_OPS or ops_size + ops_more > MAX_OPS_BYTES - _BODY
        if some and (full or part_size + part_more > MAX_PART_BYTES):
            out.append(_entry(some))
            some, ops_size, part_size = [], 0, 0
        some.append(draft)
        ops_size += ops_more
        part_size += part_more
    return [*out, _entry(some)] if some else out


def _op_size(draft: OpDraft) -> int:
    """At most the bytes of the operation once its part is named."""
    op = draft.op
    if draft.content is not None:
        assert isinstance(op, Put | Add | Text)
        op = op._replace(part=_PART)
    return len(encode_ops((op,)))


def _entry(some: list[OpDraft]) -> EntryDraft:
    return EntryDraft(tuple(d.op for d in some), tuple(d.content for d in some))
