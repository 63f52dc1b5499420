"""Posts that are not published yet: sealed for the devices of the account, and published when they are due.

The node that wrote a draft publishes it, at its next start if it did not run then. The key of the post is made from
the draft's id, so two devices that publish it at once write one post.

A draft may name blobs. Nothing that others can see names them yet, so each node that writes for the account notes that
it keeps them (`Work.KEEP`), and looks once a day whether the draft is still there: another device may have dropped it.
"""

from __future__ import annotations

from dataclasses import replace

from banyan_crdt.blob import BlobRoot
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, CellKey, EntryId
from banyan_crdt.ops import Put
from banyan_node.context import Context
from banyan_node.hosting import hosted, private
from banyan_node.hosting.writing import append
from banyan_node.media.drafted import Drafted, drafted_of
from banyan_node.operator_errors import CallError
from banyan_schema.privately import Draft
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Post, Target, post_key, write_post
from banyan_schema.social.post import LAYOUT
from banyan_storage.blobs import BlobStore
from banyan_storage.due import Work

AT_ONCE = 50
AGAIN_MS = 3_600_000
LOOK_MS = 24 * 3_600_000


def draft_of(ctx: Context, account: AccountId, name: bytes) -> Draft | None:
    """The draft of this id."""
    return private.of(ctx, account).get(Draft(name, b""))


def post_in(draft: Draft) -> Post | None:
    """What it would say; None if a newer program wrote it."""
    return LAYOUT.decode(draft.post)


def blobs_of(draft: Draft) -> list[BlobRoot]:
    """The blobs that it names, previews first, each once."""
    return [BlobRoot(root) for root in SOCIAL.blobs_in(POST, draft.post)]


def plan(ctx: Context, account: AccountId, draft: Draft, now_ms: int) -> None:
    """Notes when it is due, or that it is not, and which blobs are kept for it."""
    key = account + draft.id
    _keep(ctx, account, draft, now_ms)
    if draft.due_ms is None:
        ctx.store.drop_due(Work.PUBLISH, key)
    else:
        ctx.store.set_due(Work.PUBLISH, key, draft.due_ms)


def _keep(ctx: Context, account: AccountId, draft: Draft, now_ms: int) -> None:
    for root in blobs_of(draft):
        ctx.store.set_due(Work.KEEP, Drafted(root, account, draft.id).key, now_ms + LOOK_MS)


def keep_all(ctx: Context, account: AccountId, now_ms: int) -> None:
    """Notes the blobs of all drafts of an account for which this device writes: another one may have written some."""
    granted = ctx.store.grants(account)
    if granted is None or ctx.device.key not in granted.grants:
        return
    for draft in private.of(ctx, account).all(Draft):
        _keep(ctx, account, draft, now_ms)


def let_go(ctx: Context, account: AccountId, draft: Draft) -> None:
    """Notes that it is not due, and that nothing is kept for it."""
    key = account + draft.id
    ctx.store.drop_due(Work.PUBLISH, key)
    for root in blobs_of(draft):
        ctx.store.drop_due(Work.KEEP, Drafted(root, account, draft.id).key)


def lacking(blobs: BlobStore, draft: Draft) -> int:
    """How many of the blobs that it names are not here whole: another device has them."""
    return sum(held is None or not held.whole for held in map(blobs.find, blobs_of(draft)))


def publish(ctx: Context, account: AccountId, draft: Draft, now: float) -> tuple[Target, EntryId]:
    """Publishes it and takes it back, in one entry. Raises CallError, Refused."""
    said = post_in(draft)
    if said is None:
        raise CallError("refused", "The draft was written by a newer version of this program; update it.", 409)
    key: CellKey = post_key(hosted.salt_of(ctx, account), draft.id)
    gone = private.taking_back(ctx, account, [draft])
    there = ctx.queries().live(account, Put(POST, key, (), None))
    if not there and (missing := lacking(ctx.blobs, draft)):
        raise CallError(
            "refused",
            f"The draft has pictures or films, and {missing} of their files are not on this device yet. They come once "
            "the device that wrote it is linked; or publish it there.",
            409,
        )
    post = write_post(key, replace(said, created_ms=ctx.replica.wall_ms(now)))
    entry = append(ctx, account, gone if there else [post, *gone], now)
    let_go(ctx, account, draft)
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


def look_after(ctx: Context, now: float) -> tuple[int, bool]:
    """Looks whether drafts still name the blobs that are kept for them. Returns how many were let go, and whether there
    are more to look at."""
    now_ms = ctx.replica.wall_ms(now)
    rows, gone = ctx.store.due(Work.KEEP, now_ms, AT_ONCE), 0
    for row in rows:
        one = drafted_of(row.key)
        draft = draft_of(ctx, one.account, one.draft)
        if draft is not None and one.root in blobs_of(draft):
            ctx.store.set_due(Work.KEEP, row.key, now_ms + LOOK_MS)
        else:
            ctx.store.drop_due(Work.KEEP, row.key)
            gone += 1
    return gone, len(rows) == AT_ONCE
