"""Posts that are not published yet: sealed for the devices of the account, and published when they are due.

The node that wrote a draft publishes it, at its next start if it did not run then. The key of the post is made from
the draft's id, so two devices that publish it at once write one post.

A draft may name blobs. Nothing that others can see names them yet, so each node that writes for the account notes that
it keeps them (`Work.KEEP`), and looks once a day whether the draft is still there: another device may have dropped it.
"""

from dataclasses import replace

from banyan_crdt.blob import BlobRoot
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, CellKey, EntryId
from banyan_crdt.ops import Put
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.entry_writer import append
from banyan_node.hosting.visibility import why_gone
from banyan_node.media.local_blobs import DraftBlob, drafted_of
from banyan_node.operator_errors import CallError, conflict
from banyan_reading.answers import PostView
from banyan_reading.groups import group_of
from banyan_reading.interaction_rules import InteractionRules
from banyan_reading.queries import Queries
from banyan_schema.private_kinds import PrivateDraft
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Post, Target, post_key, write_post
from banyan_schema.social.post import LAYOUT
from banyan_storage.blobs import BlobStore
from banyan_storage.due import DRAFT, Work, due
from banyan_storage.engine import ReadTxn

AT_ONCE = 50
AGAIN_MS = 3_600_000
LATE_MS = 300_000
"""A post that was due so long ago stands where it is published: at the time when it was due nobody sees it."""
LOOK_MS = 24 * 3_600_000


def draft_of(ctx: Context, account: AccountId, name: bytes) -> PrivateDraft | None:
    """The draft of this id."""
    return sealed_writer.of(ctx, account).get(PrivateDraft(name, b""))


def post_in(draft: PrivateDraft) -> Post | None:
    """What it would say; None if a newer program wrote it."""
    return LAYOUT.decode(draft.post)


def blobs_of(draft: PrivateDraft) -> list[BlobRoot]:
    """The blobs that it names, previews first, each once."""
    return [BlobRoot(root) for root in SOCIAL.blobs_in(POST, draft.post)]


def plan(ctx: Context, account: AccountId, draft: PrivateDraft, now_ms: int) -> None:
    """Notes when it is due, or that it is not, and which blobs are kept for it."""
    key = account + draft.id
    _keep(ctx, account, draft, now_ms)
    if draft.due_ms is None:
        ctx.store.drop_due(Work.PUBLISH, key)
    else:
        ctx.store.set_due(Work.PUBLISH, key, draft.due_ms)


def _keep(ctx: Context, account: AccountId, draft: PrivateDraft, now_ms: int) -> None:
    for root in blobs_of(draft):
        ctx.store.set_due(Work.KEEP, DraftBlob(root, account, draft.id).key, now_ms + LOOK_MS)


def keep_all(ctx: Context, account: AccountId, now_ms: int) -> None:
    """Notes the blobs of all drafts of an account for which this device writes: another one may have written some."""
    granted = ctx.store.grants(account)
    if granted is None or ctx.device.key not in granted.grants:
        return
    for draft in sealed_writer.of(ctx, account).all(PrivateDraft):
        _keep(ctx, account, draft, now_ms)


def let_go(ctx: Context, account: AccountId, draft: PrivateDraft) -> None:
    """Notes that it is not due, and that nothing is kept for it."""
    key = account + draft.id
    ctx.store.drop_due(Work.PUBLISH, key)
    for root in blobs_of(draft):
        ctx.store.drop_due(Work.KEEP, DraftBlob(root, account, draft.id).key)


def lacking(blobs: BlobStore, draft: PrivateDraft) -> int:
    """How many of the blobs that it names are not here whole: another device has them."""
    return sum(held is None or not held.whole for held in map(blobs.find, blobs_of(draft)))


def why_not(q: Queries, account: AccountId, said: Post, now_ms: int) -> str | None:
    """Why such a post is not published now: something changed since it was drafted. A sentence."""
    named = (("answers", said.reply.parent if said.reply else None), ("quotes", said.quote))
    for does, target in named:
        if target is not None and not q.is_shown(target):
            return f"The post that it {does} is {why_gone(q, target).sentence}."
    if why := why_refused(q, account, said):
        return why
    if said.poll is not None and said.poll.closes_ms <= now_ms:
        return "Its poll has ended: give it a later end."
    group = None if said.group is None else group_of(q, said.group)
    if said.group is not None and (group is None or not group.is_member(account)):
        return "The account is no member of the group in which it is said."
    return None


def why_refused(q: Queries, account: AccountId, said: Post) -> str | None:
    """Why an account may not answer or quote what a post answers or quotes. A sentence."""
    rules, quotes = InteractionRules(q), () if said.quote is None else (said.quote,)
    return rules.why_not(account, "answers", rules.below(said.reply)) or rules.why_not(account, "quotes", quotes)


def publish(
    ctx: Context, account: AccountId, draft: PrivateDraft, now: float, at_ms: int | None = None
) -> tuple[Target, EntryId]:
    """Publishes it and takes it back, in one entry. at_ms: the time that it claims; default: now. Raises CallError,
    Refused."""
    said = post_in(draft)
    if said is None:
        raise conflict("The draft was written by a newer version of this program; update it.")
    key: CellKey = post_key(hosted.salt_of(ctx, account), draft.id)
    gone = sealed_writer.taking_back(ctx, account, [draft])
    q, now_ms = ctx.queries(), ctx.replica.wall_ms(now)
    there = q.live(account, Put(POST, key, (), None))
    if there and not _says(q.post(Target(account, key)), said):
        raise conflict(
            "Another device published this draft with other words. Edit that post, or keep this one under a new id "
            "(`draft.set` without `id`)."
        )
    if not there and (why := why_not(q, account, said, now_ms)):
        raise conflict(why)
    if not there and (missing := lacking(ctx.blobs, draft)):
        raise conflict(
            f"The draft has pictures or films, and {missing} of their files are not on this device yet. They come once "
            "the device that wrote it is linked; or publish it there."
        )
    post = write_post(key, replace(said, created_ms=now_ms if at_ms is None else at_ms))
    entry = append(ctx, account, gone if there else [post, *gone], now)
    let_go(ctx, account, draft)
    return Target(account, key), entry


def _says(view: PostView | None, said: Post) -> bool:
    """Whether a post says what a draft says."""
    return view is not None and replace(view.post, created_ms=None) == replace(said, created_ms=None)


def is_any_due(txn: ReadTxn, now_ms: int) -> bool:
    return bool(due(txn, Work.PUBLISH, now_ms, 1))


def publish_due(ctx: Context, now: float) -> tuple[int, bool]:
    """Publishes what is due by now, each with the time at which it was due; if it is late, with the present time, in
    the same order. Returns how many, and whether there are more."""
    now_ms, done = ctx.replica.wall_ms(now), 0
    rows = ctx.store.due(Work.PUBLISH, now_ms, AT_ONCE)
    for number, row in enumerate(rows):
        account, name = AccountId(row.key[DRAFT.account]), row.key[DRAFT.name]
        ctx.store.drop_due(Work.PUBLISH, row.key)
        try:
            draft = draft_of(ctx, account, name)
            if draft is not None and draft.due_ms is not None:
                late = draft.due_ms < now_ms - LATE_MS
                publish(ctx, account, draft, now, now_ms - len(rows) + number if late else draft.due_ms)
                done += 1
        except (CallError, Refused):  # it is no longer allowed, or its log is full: tried again in an hour
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
