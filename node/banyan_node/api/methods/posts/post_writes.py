"""What people do: posts, reactions, reposts."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Literal

from emoji import purely_emoji
from msgspec import Meta, to_builtins

from banyan_crdt.ids import AccountId, EntryId
from banyan_crdt.ops import Add, Put
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, MethodTable, PostOf, Request, Response, UndoPostRequest, UndoRequest
from banyan_node.api.policy_rows import PolicyInput, policy_after
from banyan_node.context import Context
from banyan_node.hosting import groups, hosted
from banyan_node.hosting.drafts import why_refused
from banyan_node.hosting.entry_writer import append, new_target
from banyan_node.hosting.visibility import PostAbsence, why_gone
from banyan_node.media.intake import item_of
from banyan_node.operator_errors import CallError, bad_request, conflict, forbidden, not_found
from banyan_node.workers.publisher import wrong_by_platforms
from banyan_reading.answers import PostView
from banyan_reading.groups import group_of
from banyan_reading.interaction_rules import InteractionRules
from banyan_reading.profiles import MOST_PINS, pinned
from banyan_reading.queries import Queries
from banyan_schema import social
from banyan_schema.media import Media
from banyan_schema.social.post import MAX_MEDIA, MAX_MENTIONS, MAX_OPTIONS, MAX_TAGS, OPEN, Urgency
from banyan_schema.social.profile import pin
from banyan_storage.views.large_accounts import has_steps

METHODS = MethodTable()
SKINS = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
LONGEST_POLL_MS = 366 * 24 * 3_600_000


class PollInput(Request):
    """A poll. choices: how many options an account may vote for."""

    options: Annotated[list[str], Meta(description=f"2 to {MAX_OPTIONS}.")]
    closes_ms: js.Milliseconds
    choices: Literal["one", "several"] = "one"


class MediaItem(Request):
    """blob: as `media.put` answered. description: what it shows, for those who do not see it; of captions, their
    language."""

    blob: js.BlobRef
    description: str | None = None


class PostRequest(ActorRequest, kw_only=True):
    """warning: shown instead of the post until the reader asks for it. audience: an unlisted post is in no public
    timeline, under no tag and in no search, but in those of followers. mentions: who is to notice it. tags:
    default: those that the text names with #. poll: which one the post asks. media: what `media.put` stored, in
    the order in which it is shown; captions follow their film. With media, the text may be empty.
    group: in which it is said; only members may. urgency: an urgent post of an official channel is told to those who
    follow it."""

    text: str
    lang: Annotated[str | None, Meta(description="A BCP 47 tag: vi, pt-BR.")] = None
    warning: str | None = None
    audience: social.Audience = "public"
    mentions: Annotated[list[js.AccountRef], Meta(max_length=MAX_MENTIONS)] | None = None
    tags: Annotated[list[str], Meta(max_length=MAX_TAGS)] | None = None
    poll: PollInput | None = None
    media: Annotated[list[MediaItem], Meta(max_length=MAX_MEDIA)] | None = None
    group: js.GroupRef | None = None
    urgency: Urgency = "normal"
    policy: PolicyInput | None = None


class ReplyRequest(PostRequest, kw_only=True):
    """uri: the post that is answered or quoted. The others as in `post`."""

    uri: js.PostRef


class EditRequest(Request):
    """warning, lang: empty takes it away. mentions, media: all of them; what the post shows already needs not be put
    here again. What is left out stays."""

    uri: js.PostRef
    text: str | None = None
    warning: str | None = None
    lang: str | None = None
    mentions: Annotated[list[js.AccountRef], Meta(max_length=MAX_MENTIONS)] | None = None
    media: Annotated[list[MediaItem], Meta(max_length=MAX_MEDIA)] | None = None
    policy: PolicyInput | None = None


class ReactRequest(UndoRequest):
    uri: js.PostRef
    emoji: str


class PostResult(Response):
    """clock: why others may take it later only, or see a wrong date; null if this machine's clock seems right."""

    uri: js.PostUri
    entry: js.EntryHex
    clock: str | None


class DeleteResult(Response):
    """answers: how many replies it has; those stay."""

    uri: js.PostUri
    answers: int
    entry: js.EntryHex


class WrittenEntry(Response):
    entry: js.EntryHex


def _write(
    ctx: Context,
    ask: PostRequest | ReplyRequest,
    now: float,
    reply: social.ReplyTo | None = None,
    quote: social.Target | None = None,
) -> PostResult:
    account = hosted.account_of(ctx, ask.by)
    target = new_target(ctx, account, now)
    post = post_of(ctx, ask, now, reply, quote)
    if why := why_refused(ctx.queries(), account, post):
        raise forbidden(why)
    entry = append(ctx, account, [social.write_post(target.key, post)], now)
    return PostResult(js.uri(target), js.entry_hex(entry), wrong_by_platforms(*ctx.replica.status.ahead_ms()))


def post_of(
    ctx: Context,
    ask: PostRequest,
    now: float,
    reply: social.ReplyTo | None,
    quote: social.Target | None,
    known: Mapping[str, Media] = MappingProxyType({}),
) -> social.Post:
    """What a request says. known: items of media by their blob, which need not have been put here. Raises CallError."""
    wall_ms, account = ctx.replica.wall_ms(now), hosted.account_of(ctx, ask.by)
    return social.Post(
        ask.text if ask.media else _said(ask.text),
        reply,
        quote,
        ask.lang,
        wall_ms,
        (ask.warning or "").strip() or None,
        ask.audience,
        social.tags_in(ask.text) if ask.tags is None else _tags(ask.tags),
        tuple(dict.fromkeys(hosted.account_of(ctx, who) for who in ask.mentions or ())),
        _media(ctx, ask.media or (), known, now),
        poll=None if ask.poll is None else _poll(ask.poll, wall_ms),
        group=_group(ctx, account, ask.group, reply),
        urgency=ask.urgency,
        policy=policy_after(OPEN, ask.policy),
    )


def _media(ctx: Context, asked: Iterable[MediaItem], known: Mapping[str, Media], now: float) -> tuple[Media, ...]:
    return tuple(
        known[item.blob]._replace(description=(item.description or "").strip() or None)
        if item.blob in known
        else item_of(ctx, item.blob, item.description, now)
        for item in asked
    )


def answered(parent: PostView) -> social.ReplyTo:
    """What an answer to this post says that it answers."""
    return social.ReplyTo(parent.post.reply.root if parent.post.reply else parent.target, parent.target)


def _group(ctx: Context, account: AccountId, asked: str | None, reply: social.ReplyTo | None) -> social.Target | None:
    """The group in which a post is said: an answer is said where the post is that it answers, if the account may."""
    if asked is not None:
        return groups.open_to(ctx, account, js.target_of(asked, "a group")).target
    parent = None if reply is None else ctx.queries().post(reply.parent)
    if parent is None or parent.post.group is None:
        return None
    group = group_of(ctx.queries(), parent.post.group)
    return group.target if group is not None and group.is_member(account) else None


def _tags(given: list[str]) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag.strip().removeprefix("#") for tag in given))
    if bad := [tag for tag in tags if social.tags_in(f"#{tag}") != (unicodedata.normalize("NFC", tag),)]:
        raise bad_request(f"'{bad[0][:60]}' is no tag: it has letters, digits and _, and at most 128 bytes.")
    return tags


def _poll(asked: PollInput, now_ms: int) -> social.Poll:
    options = tuple(unicodedata.normalize("NFC", option).strip() for option in asked.options)
    if not 2 <= len(options) <= MAX_OPTIONS:
        raise bad_request(f"A poll has 2 to {MAX_OPTIONS} options, not {len(options)}.")
    if "" in options or len({*options}) < len(options):
        raise bad_request("The options of a poll differ from one another, and none is empty.")
    if not now_ms < asked.closes_ms <= now_ms + LONGEST_POLL_MS:
        raise bad_request("A poll closes later than now, and within a year.")
    return social.Poll(options, asked.choices, asked.closes_ms)


def _said(text: str) -> str:
    if not text.strip():
        raise bad_request("The text of the post is empty.")
    return text


def held(ctx: Context, post: str, hidden: bool = False) -> PostView:
    """The post that is shown under this address. hidden: or that moderators hid. Raises CallError."""
    target, q = js.target_of(post), ctx.queries()
    found = q.post(target, hidden)
    if found is None:
        raise missing(q, target)
    return found


def missing(q: Queries, target: social.Target) -> CallError:
    gone = why_gone(q, target)
    if gone.word == "unknown" and has_steps(q.reader.txn, target.account):
        return CallError(
            "building", f"{social.post_to_text(target)} may be in what is being read: ask again later.", 503
        )
    says = f"The post {social.post_to_text(target)} is {gone.sentence}."
    if (order := withheld_row(gone)) is None:
        return not_found(says)
    return CallError("not_found", says, 451, {"withheld": to_builtins(order)})


class WithheldOrder(Response):
    """An order by which a post is withheld. by: the key of the node that withholds it, 64 hexadecimal digits; null: of
    this node. until_ms: null for one without an end."""

    by: js.WriterHex | None
    order: str
    basis: str
    scope: str
    since_ms: js.Milliseconds
    until_ms: js.Milliseconds | None


def withheld_row(gone: PostAbsence) -> WithheldOrder | None:
    found = gone.withheld
    if found is None:
        return None
    by = None if found.by is None else js.writer_hex(found.by)
    return WithheldOrder(by, found.order, found.basis, found.scope, found.since_ms, found.until_ms or None)


@METHODS.write("post", "not_found", "refused", together=True)
def post(ctx: Context, ask: PostRequest, now: float) -> PostResult:
    """Publishes a post."""
    return _write(ctx, ask, now)


@METHODS.write("reply", "not_found", "refused")
def reply(ctx: Context, ask: ReplyRequest, now: float) -> PostResult:
    """Publishes a reply to a post that is held here: in the group of that post, if it has one and the account may."""
    return _write(ctx, ask, now, reply=answered(held(ctx, ask.uri)))


@METHODS.write("quote", "not_found", "refused")
def quote(ctx: Context, ask: ReplyRequest, now: float) -> PostResult:
    """Publishes a post that quotes another one, which must be held here."""
    return _write(ctx, ask, now, quote=held(ctx, ask.uri).target)


@METHODS.write("edit", "not_found", "refused")
def edit(ctx: Context, ask: EditRequest, now: float) -> PostResult:
    """Replaces the text of a post, and the tags that it names, or something else of it. What is not given stays the
    same."""
    view = held(ctx, ask.uri)
    post = view.post
    op = Put(social.POST, view.target.key, (), None)
    text = post.text if ask.text is None else ask.text
    tags = view.post.tags
    if tags == social.tags_in(view.post.text):
        tags = social.tags_in(text)
    media = post.media
    if ask.media is not None:
        media = _media(ctx, ask.media, {item.blob.hex(): item for item in media}, now)
    changed = replace(
        post,
        text=text if media else _said(text),
        tags=tags,
        media=media,
        warning=post.warning if ask.warning is None else ask.warning.strip() or None,
        lang=post.lang if ask.lang is None else ask.lang or None,
        mentions=post.mentions
        if ask.mentions is None
        else tuple(dict.fromkeys(hosted.account_of(ctx, who) for who in ask.mentions)),
        policy=policy_after(post.policy, ask.policy),
    )
    live = ctx.queries().live(view.target.account, op)
    entry = append(ctx, view.target.account, [social.write_post(view.target.key, changed, live)], now)
    return PostResult(js.uri(view.target), js.entry_hex(entry), wrong_by_platforms(*ctx.replica.status.ahead_ms()))


@METHODS.write("delete", "not_found", "refused")
def delete(ctx: Context, ask: PostOf, now: float) -> DeleteResult:
    """Deletes a post for ever. Nodes that hear of it no longer show it, and erase its content after 30 days."""
    post = js.target_of(ask.uri)
    if why_gone(ctx.queries(), post).word != "withheld":  # of that the content is not here, and not needed
        held(ctx, ask.uri, hidden=True)
    answers = ctx.queries().totals([post])[post].replies
    entry = append(ctx, post.account, [social.delete_post(post.key)], now)
    return DeleteResult(js.uri(post), answers, js.entry_hex(entry))


def _is_emoji(text: str) -> bool:
    """One or several, and not a mark or a skin tone alone."""
    whole = text.strip("\ufe0f\u200d")
    return bool(whole) and not set(whole) <= SKINS and not text.endswith("\u200d") and purely_emoji(text)


def add_or_undo(
    ctx: Context, method: str, account: AccountId, draft: social.OpDraft, now: float, take_back: bool
) -> EntryId:
    op = draft.op
    assert isinstance(op, Add)
    live = ctx.queries().live(account, op)
    if take_back:
        if not live:
            raise not_found(f"There is nothing to undo by {method}.")
        return append(ctx, account, [social.undo(op.coll, live)], now)
    return live[-1].entry if live else append(ctx, account, [draft], now)


@METHODS.write("react", "not_found", "refused")
def reaction(ctx: Context, ask: ReactRequest, now: float) -> WrittenEntry:
    """Reacts to a post with an emoji. If the reaction exists already, nothing is written."""
    account = hosted.account_of(ctx, ask.by)
    target = js.target_of(ask.uri) if ask.undo else held(ctx, ask.uri).target
    emoji = ask.emoji.strip()
    if not ask.undo and not _is_emoji(emoji):
        raise bad_request(f"'{emoji[:60]}' is no emoji; give one or several, such as 👍.")
    draft = social.react(hosted.salt_of(ctx, account), target, emoji)
    return WrittenEntry(js.entry_hex(add_or_undo(ctx, "react", account, draft, now, ask.undo)))


@METHODS.write("repost", "not_found", "refused")
def reposting(ctx: Context, ask: UndoPostRequest, now: float) -> WrittenEntry:
    """Reposts a post to one's own followers. If it was reposted already, nothing is written."""
    account = hosted.account_of(ctx, ask.by)
    target = js.target_of(ask.uri) if ask.undo else held(ctx, ask.uri).target
    if not ask.undo and (why := InteractionRules(ctx.queries()).why_not(account, "reposts", [target])):
        raise forbidden(why)
    draft = social.repost(hosted.salt_of(ctx, account), target)
    return WrittenEntry(js.entry_hex(add_or_undo(ctx, "repost", account, draft, now, ask.undo)))


@METHODS.write("pin", "not_found", "refused")
def pinning(ctx: Context, ask: UndoPostRequest, now: float) -> WrittenEntry:
    """Pins a post to the profile of its author. If it is pinned already, nothing is written."""
    account = hosted.account_of(ctx, ask.by)
    target = js.target_of(ask.uri) if ask.undo else held(ctx, ask.uri).target
    if target.account != account:
        raise forbidden("Only posts of one's own are pinned to a profile.")
    draft, there = pin(hosted.salt_of(ctx, account), target.key), pinned(ctx.queries(), account)
    if not ask.undo and len(there) >= MOST_PINS and all(view.target != target for view in there):
        raise conflict(f"{MOST_PINS} posts are pinned, and no more are shown: take one off first.")
    return WrittenEntry(js.entry_hex(add_or_undo(ctx, "pin", account, draft, now, ask.undo)))
