"""Drafts, and posts that are published later. Only the devices of the account can read them."""

from typing import Literal

from banyan_crdt.ids import CellKey
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, NoResult, OneThing, Response
from banyan_node.api.methods.people.private import opened
from banyan_node.api.methods.posts.post_rows import MediaShownRow, now_ms, shown_media
from banyan_node.api.methods.posts.post_writes import PostRequest, PostResult, answered, held, post_of
from banyan_node.api.policy_rows import InteractionPolicyRow
from banyan_node.context import Context
from banyan_node.hosting import drafts as kept
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.entry_writer import append_each
from banyan_node.operator_errors import bad_request, not_found
from banyan_node.workers.publisher import wrong_by_platforms
from banyan_schema.media import Media
from banyan_schema.private_kinds import MAX_DRAFT, PrivateDraft
from banyan_schema.social import Audience, encode_post

METHODS = MethodTable()
LONGEST_MS = 366 * 24 * 3_600_000


class DraftRequest(PostRequest, kw_only=True):
    """id: of a draft that this replaces; default: a new one. reply, quote: the post that is answered or quoted, which
    is held here. due: when it is to be published; default: never by itself. The others as in `post`; of the draft that
    this replaces, blobs may be named again wherever it was written. The blobs are kept on this node while the draft
    stands."""

    id: js.ThingRef | None = None
    reply: js.PostRef | None = None
    quote: js.PostRef | None = None
    due: js.Milliseconds | None = None


class DueRequest(ActorRequest):
    id: js.ThingRef
    due: js.Milliseconds


class DraftPoll(Response):
    """As it is asked for in `post`."""

    options: list[str]
    closes_ms: js.Milliseconds
    choices: Literal["one", "several"]


class DraftRow(Response):
    """due: when it is to be published; null: never by itself. lacking: how many files of its pictures and films,
    previews too, are not on this device, so that only the one that wrote it can publish it. refused: why it would not
    be published now, a sentence, or null."""

    id: js.KeyHex
    text: str
    warning: str | None
    lang: str | None
    reply: js.PostUri | None
    quote: js.PostUri | None
    audience: Audience
    policy: InteractionPolicyRow
    due: js.Milliseconds | None
    media: list[MediaShownRow]
    poll: DraftPoll | None
    mentions: list[js.Did]
    group: js.PostUri | None
    lacking: int
    refused: str | None


class Drafts(Response):
    """Those that are due first, then the others by their text."""

    drafts: list[DraftRow]


class DraftKept(Response):
    id: js.KeyHex


@METHODS.write("draft.set", "not_found", "refused")
def keep(ctx: Context, ask: DraftRequest, now: float) -> DraftKept:
    """Keeps a post that is not published yet, or changes one."""
    account, now_ms = hosted.account_of(ctx, ask.by), ctx.replica.wall_ms(now)
    if ask.due is not None and not now_ms < ask.due <= now_ms + LONGEST_MS:
        raise bad_request("A post is published later than now, and within a year.")
    name = CellKey(ctx.replica.author.random(16)) if ask.id is None else js.key_of(ask.id)
    before = kept.draft_of(ctx, account, name)
    if ask.id is not None and before is None:
        raise not_found(f"There is no draft {ask.id}.")
    reply = None if ask.reply is None else answered(held(ctx, ask.reply))
    quote = None if ask.quote is None else held(ctx, ask.quote).target
    content = encode_post(post_of(ctx, ask, now, reply, quote, _media_in(before)))
    if len(content) > MAX_DRAFT:
        raise bad_request(f"The draft has {len(content):,} bytes; {MAX_DRAFT:,} is the most: shorten it.")
    draft = PrivateDraft(name, content, ask.due)
    append_each(ctx, account, sealed_writer.entries(sealed_writer.drafts(ctx, account, [draft], now)), now)
    if before is not None:
        kept.let_go(ctx, account, before)
    kept.plan(ctx, account, draft, now_ms)
    return DraftKept(js.key_hex(name))


@METHODS.write("draft.due", "not_found", "refused")
def due(ctx: Context, ask: DueRequest, now: float) -> DraftKept:
    """Changes when a draft is published, and nothing else of it."""
    account, now_ms = hosted.account_of(ctx, ask.by), ctx.replica.wall_ms(now)
    if not now_ms < ask.due <= now_ms + LONGEST_MS:
        raise bad_request("A post is published later than now, and within a year.")
    before = kept.draft_of(ctx, account, js.key_of(ask.id))
    if before is None:
        raise not_found(f"There is no draft {ask.id}.")
    draft = before._replace(due_ms=ask.due)
    append_each(ctx, account, sealed_writer.entries(sealed_writer.drafts(ctx, account, [draft], now)), now)
    kept.plan(ctx, account, draft, now_ms)
    return DraftKept(js.key_hex(CellKey(draft.id)))


@METHODS.read("drafts", "not_found", "refused")
def drafts(at: CommitView, ask: ActorRequest) -> Drafts:
    """The posts of an account that are not published yet."""
    account, q, rows = hosted.account_of(at, ask.by), at.queries(), list[DraftRow]()
    for draft in opened(at, account).all(PrivateDraft):
        said = kept.post_in(draft)
        if said is not None:
            reply = None if said.reply is None else js.uri(said.reply.parent)
            quote = None if said.quote is None else js.uri(said.quote)
            row = DraftRow(
                js.key_hex(CellKey(draft.id)),
                said.text,
                said.warning,
                said.lang,
                reply,
                quote,
                said.audience,
                InteractionPolicyRow(*said.policy),
                draft.due_ms,
                [shown_media(at.blobs, item) for item in said.media],
                None if said.poll is None else DraftPoll([*said.poll.options], said.poll.closes_ms, said.poll.choices),
                [js.did(who) for who in said.mentions],
                None if said.group is None else js.uri(said.group),
                kept.lacking(at.blobs, draft),
                kept.why_not(q, account, said, now_ms()),
            )
            rows.append(row)
    return Drafts(sorted(rows, key=lambda row: (row.due is None, row.due or 0, row.text)))


@METHODS.write("draft.publish", "not_found", "refused")
def publish(ctx: Context, ask: OneThing, now: float) -> PostResult:
    """Publishes a draft now."""
    account, draft = hosted.account_of(ctx, ask.by), _draft(ctx, ask)
    target, entry = kept.publish(ctx, account, draft, now)
    return PostResult(js.uri(target), js.entry_hex(entry), wrong_by_platforms(*ctx.replica.status.ahead_ms()))


@METHODS.write("draft.drop", "not_found", "refused")
def drop(ctx: Context, ask: OneThing, now: float) -> NoResult:
    """Drops a draft; it is not published."""
    account, draft = hosted.account_of(ctx, ask.by), _draft(ctx, ask)
    append_each(ctx, account, sealed_writer.entries(sealed_writer.taking_back(ctx, account, [draft])), now)
    kept.let_go(ctx, account, draft)
    return NoResult()


def _media_in(draft: PrivateDraft | None) -> dict[str, Media]:
    """The items of media of a draft, by their blob."""
    said = None if draft is None else kept.post_in(draft)
    return {} if said is None else {item.blob.hex(): item for item in said.media}


def _draft(ctx: Context, ask: OneThing) -> PrivateDraft:
    found = kept.draft_of(ctx, hosted.account_of(ctx, ask.by), js.key_of(ask.id))
    if found is None:
        raise not_found(f"There is no draft {ask.id}.")
    return found
