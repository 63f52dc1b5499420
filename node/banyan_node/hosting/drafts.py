"""Posts that are not published yet: sealed for the devices of the account, and published when they are due.

The node that wrote a draft publishes it, at its next start if it did not run then. The key of the post is made from
the draft's id, so two devices that publish it at once write one post.
"""

from __future__ import annotations

from dataclasses import replace

from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, CellKey, EntryId
from banyan_crdt.ops import Put
from banyan_node.context import Context
from banyan_node.hosting import hosted, private
from banyan_node.hosting.writing import append
from banyan_node.operator_errors import CallError
from banyan_schema.privately import Draft
from banyan_schema.social import POST, Post, Target, post_key, write_post
from banyan_schema.social.post import LAYOUT
from banyan_storage.due import Work

AT_ONCE = 50
AGAIN_MS = 3_600_000


def draft_of(ctx: Context, account: AccountId, name: bytes) -> Draft | None:
    """The draft of this id."""
    return private.of(ctx, account).get(Draft(name, b""))


def post_in(draft: Draft) -> Post | None:
    """What it would say; None if a newer program wrote it."""
    return LAYOUT.decode(draft.post)


def plan(ctx: Context, account: AccountId, draft: Draft) -> None:
    """Notes when it is due, or that it is not."""
    key = account + draft.id
    if draft.due_ms is None:
        ctx.store.drop_due(Work.PUBLISH, key)
    else:
        ctx.store.set_due(Work.PUBLISH, key, draft.due_ms)


def publish(ctx: Context, account: AccountId, draft: Draft, now: float) -> tuple[Target, EntryId]:
    """Publishes it and takes it back, in one entry. Raises CallError, Refused."""
    said = post_in(draft)
    if said is None:
        raise CallError("refused", "The draft was written by a newer version of this program; update it.", 409)
    key: CellKey = post_key(hosted.salt_of(ctx, account), draft.id)
    gone = private.taking_back(ctx, account, [draft])
    there = ctx.queries().live(account, Put(POST, key, (), None))
    post = write_post(key, replace(said, created_ms=ctx.replica.wall_ms(now)))
    entry = append(ctx, account, gone if there else [post, *gone], now)
    ctx.store.drop_due(Work.PUBLISH, account + draft.id)
    return Target(account, key), entry


def publish_due(ctx: Context, now: float) -> tuple[int, bool]:
    """Publishes what is due by now. Returns how many, and whether there are more."""
    rows = ctx.store.due(Work.PUBLISH, ctx.replica.wall_ms(now), AT_ONCE)
    done = 0
    for row in rows:
        account, name = AccountId(row.key[:32]), row.key[32:]
        ctx.store.drop_due(Work.PUBLISH, row.key)
        try:
            draft = draft_of(ctx, account, name)
            if draft is not None and draft.due_ms is not None:
                publish(ctx, account, draft, now)
                done += 1
        except (CallError, Refused):  # the account is closed or cut, or its log is full: tried again in an hour
            ctx.store.set_due(Work.PUBLISH, row.key, ctx.replica.wall_ms(now) + AGAIN_MS)
    return done, len(rows) == AT_ONCE
