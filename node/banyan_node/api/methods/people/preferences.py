"""What somebody wants to see and hear of: tags that they follow, conversations of which they hear nothing, what of an
account is at home, and notifications that they put away.

It is sealed, as all that an account keeps to itself (private.py).
"""

from typing import Annotated, Literal, get_args

from msgspec import Meta

from banyan_crdt.ids import CellKey
from banyan_node.api import json_types as js
from banyan_node.api.declare import (
    ActorRequest,
    CommitView,
    MethodTable,
    NoResult,
    OneThing,
    Request,
    Response,
    UndoRequest,
)
from banyan_node.api.methods.people.notices import CLEARED, furthest, newest_heard, place_said
from banyan_node.api.methods.people.private import opened, say
from banyan_node.api.methods.posts.post_rows import now_ms
from banyan_node.api.methods.posts.post_writes import missing
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.visibility import read_viewer
from banyan_node.operator_errors import bad_request, conflict, not_found
from banyan_reading import relations
from banyan_reading.visibility import FilterContext, lasts
from banyan_schema.private_kinds import Dismissal, Filter, FollowedTag, FollowWish, Marker, QuietThread
from banyan_schema.social import tags_in
from banyan_schema.social.post import tag_fold
from banyan_storage.account_references import PLACE_BYTES

# Filters: posts with some words are hidden from an account, or shown to it behind a warning.
#
# They are sealed, as all that an account keeps to itself (private.py).

METHODS = MethodTable()
TOGETHER = 100
"""The most filters that people see as one."""
Does = Literal["hide", "warn"]
Contexts = Annotated[list[FilterContext], Meta(max_length=len(get_args(FilterContext)))]


class FilterSet(ActorRequest):
    """words: a word, or several one after another, whatever their case. action: hide them, or show them behind a
    warning. until: when it ends; default: never. id: which one is changed; left out, a new one is made."""

    words: Annotated[str, Meta(min_length=1)]
    action: Does = "hide"
    until: js.Milliseconds | None = None
    id: js.ThingRef | None = None


class FilterWords(Request):
    """words: as in `filter.set`. id: of the filter that has them; left out, a new one is made. whole: whether they are
    whole words, or may be parts of words."""

    words: Annotated[str, Meta(min_length=1)]
    id: js.ThingRef | None = None
    whole: bool = True


class FiltersSet(ActorRequest):
    """title: what people call them. words: one filter for each; those that there were and are not named are deleted.
    action, until: of each. contexts: where they count; null: everywhere. of: which ones are changed; left out, new ones
    are made."""

    title: Annotated[str, Meta(min_length=1)]
    words: Annotated[list[FilterWords], Meta(max_length=TOGETHER)]
    action: Does = "hide"
    until: js.Milliseconds | None = None
    contexts: Contexts | None = None
    of: js.ThingRef | None = None


class FilterRow(Response):
    """of: those with the same are shown to people as one, with this title; the words, if there is none. contexts: where
    it counts; null: everywhere. whole: see `filters.set`."""

    id: js.KeyHex
    words: str
    action: str
    until: js.Milliseconds | None
    title: str
    of: js.KeyHex
    contexts: list[str] | None
    whole: bool


class Filters(Response):
    filters: list[FilterRow]


@METHODS.write("filter.set", "not_found", "refused")
def filter_set(ctx: Context, ask: FilterSet, now: float) -> FilterRow:
    """Hides posts with some words, or shows them behind a warning."""
    account = hosted.account_of(ctx, ask.by)
    words, before = _said(ask.words), None
    if ask.id is not None:
        before = sealed_writer.of(ctx, account).get(Filter(js.key_of(ask.id), "", "hide"))
        if before is None:
            raise not_found(f"There is no filter {ask.id}.")
    if before is None:
        wanted = Filter(ctx.replica.author.random(16), words, ask.action, ask.until)
    else:
        wanted = before._replace(words=words, action=ask.action, until_ms=ask.until)
    say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)
    return _row(wanted)


@METHODS.write("filters.set", "not_found", "refused")
def filters_set(ctx: Context, ask: FiltersSet, now: float) -> Filters:
    """Sets filters that people see as one, all or none."""
    account = hosted.account_of(ctx, ask.by)
    of = ctx.replica.author.random(16) if ask.of is None else bytes(js.key_of(ask.of))
    held = {one.id: one for one in sealed_writer.of(ctx, account).all(Filter) if (one.of or one.id) == of}
    if ask.of is not None and not held:
        raise not_found(f"There is no filter {ask.of}.")
    if not ask.title.strip():
        raise bad_request("The title of the filters is empty.")
    wanted: dict[bytes, Filter] = {}
    for one in ask.words:
        name = ctx.replica.author.random(16) if one.id is None else bytes(js.key_of(one.id))
        if one.id is not None and name not in held:
            raise not_found(f"There is no filter {one.id} among these.")
        where = None if ask.contexts is None else " ".join(dict.fromkeys(ask.contexts))
        matches = None if one.whole else "part"
        wanted[name] = Filter(name, _said(one.words), ask.action, ask.until, ask.title.strip(), of, where, matches)
    changed = [one for name, one in wanted.items() if held.get(name) != one]
    gone = [one for name, one in held.items() if name not in wanted]
    drafts = sealed_writer.drafts(ctx, account, changed, now) if changed else []
    say(ctx, account, [*drafts, *sealed_writer.taking_back(ctx, account, gone)], now)
    return Filters([*map(_row, wanted.values())])


@METHODS.write("filter.delete", "not_found", "refused")
def filter_delete(ctx: Context, ask: OneThing, now: float) -> NoResult:
    """Deletes a filter."""
    account = hosted.account_of(ctx, ask.by)
    drafts = sealed_writer.taking_back(ctx, account, [Filter(js.key_of(ask.id), "", "hide")])
    if not drafts:
        raise not_found(f"There is no filter {ask.id}.")
    return say(ctx, account, drafts, now)


@METHODS.read("filters", "not_found", "refused")
def filters(at: CommitView, ask: ActorRequest) -> Filters:
    """The filters of an account, by their words."""
    every = opened(at, hosted.account_of(at, ask.by)).all(Filter)
    found = [one for one in every if lasts(one.until_ms, now_ms())]
    return Filters([_row(one) for one in sorted(found, key=lambda one: (one.words, one.id))])


def _said(words: str) -> str:
    if not words.strip():
        raise bad_request("The words of the filter are empty.")
    return words


def _row(one: Filter) -> FilterRow:
    name, of = CellKey(one.id), CellKey(one.of or one.id)
    where, title = None if one.contexts is None else one.contexts.split(), one.title or one.words
    return FilterRow(
        js.key_hex(name), one.words, one.action, one.until_ms, title, js.key_hex(of), where, one.matches != "part"
    )


MOST_TAGS, MOST_LANGS = 1_000, 50
MOST_DISMISSED = 1_000
"""Single notifications that are put away; all up to a place count as one."""


class TagFollowRequest(UndoRequest):
    """tag: with or without #."""

    tag: Annotated[str, Meta(min_length=1, max_length=200)]


class FollowedTags(Response):
    """As they were typed, in the order of the alphabet."""

    tags: list[str]


class ConversationMuteRequest(UndoRequest):
    """uri: of any post of the conversation."""

    uri: js.PostRef


class MutedConversation(Response):
    """root: the post that opened it."""

    root: js.PostUri


class FollowWishRequest(ActorRequest):
    """reposts: whether what the account reposts is at home. langs: only its posts in these languages, and those that
    name none; null: in all."""

    account: js.AccountRef
    reposts: bool = True
    langs: Annotated[list[Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,10}$")]], Meta(max_length=MOST_LANGS)] | None = (
        None
    )


class WishRow(Response):
    """See `follow.wish`."""

    account: js.Did
    reposts: bool
    langs: list[str] | None


class MutedUntil(Response):
    account: js.Did
    until: js.Milliseconds | None


class ViewerShown(Response):
    """apart: the accounts of which nothing is at home, although they are followed: those on exclusive lists, and those
    that are locked and have not accepted it. wishes: what of some accounts is. tags: as in `tags.followed`. mutes: with
    those whom chosen issuers of labels hide. labellers: these issuers, by whom posts are marked or hidden."""

    blocks: list[js.Did]
    mutes: list[MutedUntil]
    apart: list[js.Did]
    wishes: list[WishRow]
    tags: list[str]
    filters: list[FilterRow]
    labellers: list[js.Did]


class DismissRequest(ActorRequest):
    """place: `at` of the notification."""

    place: js.NoticeCursor


@METHODS.write("tag.follow", "not_found", "refused")
def tag_follow(ctx: Context, ask: TagFollowRequest, now: float) -> NoResult:
    """Follows a tag: its public posts are found as followed. Only the devices of the account know."""
    account, tag = hosted.account_of(ctx, ask.by), ask.tag.strip().removeprefix("#")
    if (found := tags_in(f"#{tag}")) != (tag,) and len(found) != 1:
        raise bad_request(f"'{ask.tag[:60]}' is no tag: letters, digits and _.")
    wanted, held = FollowedTag(tag_fold(found[0]), found[0]), sealed_writer.of(ctx, account)
    if ask.undo:
        return say(ctx, account, sealed_writer.taking_back(ctx, account, [wanted]), now)
    if held.get(wanted) is None and sum(1 for _ in held.all(FollowedTag)) >= MOST_TAGS:
        raise conflict(f"An account follows at most {MOST_TAGS:,} tags.")
    return say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)


@METHODS.read("tags.followed", "not_found", "refused")
def tags_followed(at: CommitView, ask: ActorRequest) -> FollowedTags:
    """The tags that an account follows."""
    held = opened(at, hosted.account_of(at, ask.by))
    return FollowedTags([one.shown for one in sorted(held.all(FollowedTag))])


@METHODS.write("conversation.mute", "not_found", "refused")
def conversation_mute(ctx: Context, ask: ConversationMuteRequest, now: float) -> MutedConversation:
    """Tells nothing more of a conversation."""
    account, target = hosted.account_of(ctx, ask.by), js.target_of(ask.uri)
    found = ctx.queries().post(target)
    if found is None:
        raise missing(ctx.queries(), target)
    wanted = QuietThread(target if found.post.reply is None else found.post.reply.root)
    say(ctx, account, sealed_writer.drafts_or_undo(ctx, account, [wanted], now, ask.undo), now)
    return MutedConversation(js.uri(wanted.root))


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
def viewer(at: CommitView, ask: ActorRequest) -> ViewerShown:
    """What an account wants to see and not to see, beside whom it follows and its lists: at one moment, for who shows
    it posts as they come."""
    account, q = hosted.account_of(at, ask.by), at.queries()
    held, follows = opened(at, account), q.follows(account)
    wants = read_viewer(q, account, held)
    apart = sorted({*follows} - {*relations.followed(q, account, follows)} | {*wants.apart})
    return ViewerShown(
        blocks=[js.did(one) for one in sorted(wants.blocks)],
        mutes=[MutedUntil(js.did(one), until) for one, until in sorted(wants.mutes.items())],
        apart=[js.did(one) for one in apart],
        wishes=[
            WishRow(js.did(one), wish.reposts != "no", None if wish.langs is None else wish.langs.split())
            for one, wish in sorted(wants.wishes.items())
        ],
        tags=[one.shown for one in sorted(held.all(FollowedTag))],
        filters=filters(at, ask).filters,
        labellers=sorted(map(js.did, wants.labellers)),
    )


@METHODS.write("notification.dismiss", "not_found", "refused")
def dismiss(ctx: Context, ask: DismissRequest, now: float) -> NoResult:
    """Puts a notification away: it is not told any more."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    place = js.place_of(ask.place, PLACE_BYTES, "among notifications")
    assert place is not None
    wanted, held = Dismissal(place_said(q, place)), sealed_writer.of(ctx, account)
    if held.get(wanted) is not None:
        return NoResult()
    if sum(1 for _ in held.all(Dismissal)) >= MOST_DISMISSED:
        says = f"{MOST_DISMISSED:,} single notifications are put away; put all of them away (notifications.clear)."
        raise conflict(says)
    return say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)


@METHODS.write("notifications.clear", "not_found", "refused")
def clear(ctx: Context, ask: ActorRequest, now: float) -> NoResult:
    """Puts all notifications away that there are."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    held, place = sealed_writer.of(ctx, account), newest_heard(q, account)
    drafts = sealed_writer.taking_back(ctx, account, list(held.all(Dismissal)))
    if place is not None and place > (furthest(q, held, CLEARED) or b""):
        said = Marker(CLEARED, place_said(q, place), ctx.device.key)
        drafts = [*sealed_writer.drafts(ctx, account, [said], now), *drafts]
    return say(ctx, account, drafts, now)
