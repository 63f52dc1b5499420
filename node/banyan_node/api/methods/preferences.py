"""What somebody wants to see and hear of: tags that they follow, conversations of which they hear nothing, what of an
account is at home, and notifications that they put away.

It is sealed, as all that an account keeps to itself (private.py).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan_node.api.declare import CommitView, MethodTable, NoResult, Request, Response
from banyan_node.api.json_types import (
    AccountRef,
    Did,
    Milliseconds,
    NoticeCursor,
    Own,
    PostRef,
    PostUri,
    did,
    place_of,
    target_of,
    uri,
)
from banyan_node.api.methods.filters import FilterRow, filters
from banyan_node.api.methods.notices import CLEARED, furthest, newest_heard, place_said
from banyan_node.api.methods.post_writes import missing
from banyan_node.api.methods.private import OneReader, Undo, opened, say
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.visibility import read_viewer
from banyan_node.operator_errors import CallError
from banyan_reading import relations
from banyan_schema.private_kinds import Dismissal, FollowedTag, FollowWish, Marker, QuietThread
from banyan_schema.social import tags_in
from banyan_schema.social.post import tag_fold
from banyan_storage.account_references import PLACE_BYTES

METHODS = MethodTable()
MOST_TAGS, MOST_LANGS = 1_000, 50
MOST_DISMISSED = 1_000
"""Single notifications that are put away; all up to a place count as one."""


class TagFollowRequest(Request, frozen=True, forbid_unknown_fields=True):
    """tag: with or without #."""

    tag: Annotated[str, Meta(min_length=1, max_length=200)]
    undo: Undo = False
    by: Own = None


class FollowedTags(Response, frozen=True):
    """As they were typed, in the order of the alphabet."""

    tags: list[str]


class ConversationMuteRequest(Request, frozen=True, forbid_unknown_fields=True):
    """uri: of any post of the conversation."""

    uri: PostRef
    undo: Undo = False
    by: Own = None


class MutedConversation(Response, frozen=True):
    """root: the post that opened it."""

    root: PostUri


class FollowWishRequest(Request, frozen=True, forbid_unknown_fields=True):
    """reposts: whether what the account reposts is at home. langs: only its posts in these languages, and those that
    name none; null: in all."""

    account: AccountRef
    reposts: bool = True
    langs: Annotated[list[Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,10}$")]], Meta(max_length=MOST_LANGS)] | None = (
        None
    )
    by: Own = None


class WishRow(Response, frozen=True):
    """See `follow.wish`."""

    account: Did
    reposts: bool
    langs: list[str] | None


class MutedUntil(Response, frozen=True):
    account: Did
    until: Milliseconds | None


class ViewerShown(Response, frozen=True):
    """apart: the accounts of which nothing is at home, although they are followed: those on exclusive lists, and those
    that are locked and have not accepted it. wishes: what of some accounts is. tags: as in `tags.followed`."""

    blocks: list[Did]
    mutes: list[MutedUntil]
    apart: list[Did]
    wishes: list[WishRow]
    tags: list[str]
    filters: list[FilterRow]


class DismissRequest(Request, frozen=True, forbid_unknown_fields=True):
    """place: `at` of the notification."""

    place: NoticeCursor
    by: Own = None


@METHODS.write("tag.follow", "not_found", "refused")
def tag_follow(ctx: Context, ask: TagFollowRequest, now: float) -> NoResult:
    """Follows a tag: its public posts are found as followed. Only the devices of the account know."""
    account, tag = hosted.account_of(ctx, ask.by), ask.tag.strip().removeprefix("#")
    if (found := tags_in(f"#{tag}")) != (tag,) and len(found) != 1:
        raise CallError("bad_request", f"'{ask.tag[:60]}' is no tag: letters, digits and _.")
    wanted, held = FollowedTag(tag_fold(found[0]), found[0]), sealed_writer.of(ctx, account)
    if ask.undo:
        return say(ctx, account, sealed_writer.taking_back(ctx, account, [wanted]), now)
    if held.get(wanted) is None and sum(1 for _ in held.all(FollowedTag)) >= MOST_TAGS:
        raise CallError("refused", f"An account follows at most {MOST_TAGS:,} tags.", 409)
    return say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)


@METHODS.read("tags.followed", "not_found", "refused")
def tags_followed(at: CommitView, ask: OneReader) -> FollowedTags:
    """The tags that an account follows."""
    held = opened(at, hosted.account_of(at, ask.by))
    return FollowedTags([one.shown for one in sorted(held.all(FollowedTag))])


@METHODS.write("conversation.mute", "not_found", "refused")
def conversation_mute(ctx: Context, ask: ConversationMuteRequest, now: float) -> MutedConversation:
    """Tells nothing more of a conversation."""
    account, target = hosted.account_of(ctx, ask.by), target_of(ask.uri)
    found = ctx.queries().post(target)
    if found is None:
        raise missing(ctx.queries(), target)
    wanted = QuietThread(target if found.post.reply is None else found.post.reply.root)
    drafts = (
        sealed_writer.taking_back(ctx, account, [wanted])
        if ask.undo
        else sealed_writer.drafts(ctx, account, [wanted], now)
    )
    say(ctx, account, drafts, now)
    return MutedConversation(uri(wanted.root))


@METHODS.write("follow.wish", "not_found", "refused")
def follow_wish(ctx: Context, ask: FollowWishRequest, now: float) -> NoResult:
    """Says what of an account is in the home timeline."""
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    langs = None if ask.langs is None else " ".join(sorted(set(ask.langs)))
    wanted = FollowWish(other, None if ask.reposts else "no", langs)
    held = sealed_writer.of(ctx, account).get(wanted)
    if wanted == (held or FollowWish(other)):
        return NoResult()
    if wanted == FollowWish(other):
        return say(ctx, account, sealed_writer.taking_back(ctx, account, [wanted]), now)
    return say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)


@METHODS.read("viewer", "not_found", "refused")
def viewer(at: CommitView, ask: OneReader) -> ViewerShown:
    """What an account wants to see and not to see, beside whom it follows and its lists: at one moment, for who shows
    it posts as they come."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    held, follows = opened(at, account), q.follows(account)
    wants = read_viewer(q, account, held)
    apart = sorted({*follows} - {*relations.followed(q, account, follows)} | {*wants.apart})
    return ViewerShown(
        blocks=[did(one) for one in sorted(wants.blocks)],
        mutes=[MutedUntil(did(one), until) for one, until in sorted(wants.mutes.items())],
        apart=[did(one) for one in apart],
        wishes=[
            WishRow(did(one), wish.reposts != "no", None if wish.langs is None else wish.langs.split())
            for one, wish in sorted(wants.wishes.items())
        ],
        tags=[one.shown for one in sorted(held.all(FollowedTag))],
        filters=filters(at, ask).filters,
    )


@METHODS.write("notification.dismiss", "not_found", "refused")
def dismiss(ctx: Context, ask: DismissRequest, now: float) -> NoResult:
    """Puts a notification away: it is not told any more."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    place = place_of(ask.place, PLACE_BYTES, "among notifications")
    assert place is not None
    wanted, held = Dismissal(place_said(q, place)), sealed_writer.of(ctx, account)
    if held.get(wanted) is not None:
        return NoResult()
    if sum(1 for _ in held.all(Dismissal)) >= MOST_DISMISSED:
        says = f"{MOST_DISMISSED:,} single notifications are put away; put all of them away (notifications.clear)."
        raise CallError("refused", says, 409)
    return say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)


@METHODS.write("notifications.clear", "not_found", "refused")
def clear(ctx: Context, ask: OneReader, now: float) -> NoResult:
    """Puts all notifications away that there are."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    held, place = sealed_writer.of(ctx, account), newest_heard(q, account)
    drafts = sealed_writer.taking_back(ctx, account, list(held.all(Dismissal)))
    if place is not None and place > (furthest(q, held, CLEARED) or b""):
        said = Marker(CLEARED, place_said(q, place), ctx.device.key)
        drafts = [*sealed_writer.drafts(ctx, account, [said], now), *drafts]
    return say(ctx, account, drafts, now)
