"""Episodes: which posts a channel shows, in which order, and the new ones of the channels to which one subscribed."""

from collections.abc import Iterator
from functools import cache, partial
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Put
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, ReaderRequest, Request, Response
from banyan_node.api.methods.places.channels import After, Limit, held, own, titled
from banyan_node.api.methods.posts.post_rows import PostRow, PostRows, reader_of, visibility_of
from banyan_node.api.methods.posts.post_writes import missing
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append, new_target
from banyan_node.hosting.visibility import Visibility, shown, why_gone
from banyan_node.operator_errors import bad_request, forbidden
from banyan_reading import channels as reading
from banyan_reading.answers import CURSOR_BYTES
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.channel import EPISODE, MAX_CHAPTERS, Chapter, Episode, drop_episode, write_episode

METHODS = MethodTable()
MOST_NUMBER = 1_000_000
"""The greatest season and number that are written here."""
GoneWord = Literal["deleted", "withheld", "unknown", "hidden"]
"""Why a post is not shown: by its author, by this node, because it is not held, or because the reader does not see
it."""


class ChapterInput(Request):
    """at_ms: from the beginning of the film."""

    at_ms: js.Milliseconds
    title: str


class EpisodeSet(ActorRequest):
    """episode: the one that changes; without it a new one is made, which needs a channel and a post. What is left out
    does not change. post: whose media is the film or the sound; captions are there too. title: default: the first line
    of the post. season, number: -1 takes it away. published: default: the time of the post; a time to come counts as
    now. chapters: in the place of all that there are."""

    episode: js.EpisodeRef | None = None
    channel: js.ChannelRef | None = None
    post: js.PostRef | None = None
    title: str | None = None
    season: Annotated[int, Meta(ge=-1, le=MOST_NUMBER)] | None = None
    number: Annotated[int, Meta(ge=-1, le=MOST_NUMBER)] | None = None
    published: js.Milliseconds | None = None
    chapters: Annotated[list[ChapterInput], Meta(max_length=MAX_CHAPTERS)] | None = None


class EpisodesRequest(ReaderRequest):
    """order: by season, number and time, or the newest first. as: the account that reads."""

    channel: js.ChannelRef
    order: Literal["number", "newest"] = "number"
    after: After = None
    limit: Limit = 20


class EpisodeRequest(ActorRequest):
    episode: js.EpisodeRef


class SubscriptionsRequest(ActorRequest):
    """as: the account that reads."""

    after: After = None
    limit: Limit = 20


class ChapterRow(Response):
    at_ms: js.Milliseconds
    title: str


class OfChannel(Response):
    uri: js.PostUri
    title: str


class EpisodeRow(Response):
    """post: with the film, its captions and what people say of it; null if it is gone, and `gone` says why: deleted by
    its author, withheld by this node, unknown here, or hidden because the reader blocks, mutes or filters it. season,
    number: null if there is none. published: as the account says, but never after its entry. chapters: the first
    first."""

    uri: js.PostUri
    channel: OfChannel
    title: str
    season: int | None
    number: int | None
    published: js.Milliseconds
    chapters: list[ChapterRow]
    post_uri: js.PostUri
    post: PostRow | None
    gone: GoneWord | None


class Episodes(Response):
    """after: give it to get the next page; null on the last page. A page can be short and have one behind it."""

    episodes: list[EpisodeRow]
    after: js.SeriesPlace | None


class EpisodeWritten(Response):
    uri: js.PostUri
    title: str
    entry: js.EntryHex


def of_channel(q: Queries, channel: Target) -> OfChannel:
    """The title is empty if the channel is not held here."""
    said = reading.channel_of(q, channel)
    return OfChannel(js.uri(channel), said.title if said else "")


def post_or_gone(
    q: Queries, rows: PostRows, visibility: Visibility, target: Target
) -> tuple[PostRow | None, GoneWord | None]:
    """A post as a row, or why it is none."""
    view = q.post(target)
    if view is None:
        word = why_gone(q, target).word
        return None, "deleted" if word == "deleted" else "withheld" if word == "withheld" else "unknown"
    if not visibility.shows(view):
        return None, "hidden"
    return rows.row(view), None


def _row(
    q: Queries, rows: PostRows, visibility: Visibility, view: reading.EpisodeView, channel: OfChannel
) -> EpisodeRow:
    said = view.episode
    post, gone = post_or_gone(q, rows, visibility, said.post)
    return EpisodeRow(
        uri=js.uri(view.target),
        channel=channel,
        title=said.title,
        season=said.season,
        number=said.number,
        published=view.time_ms,
        chapters=[ChapterRow(one.at_ms, one.title) for one in sorted(said.chapters)],
        post_uri=js.uri(said.post),
        post=post,
        gone=gone,
    )


def _page(
    at: CommitView, reader: AccountId | None, limit: int, found: Iterator[tuple[bytes, reading.EpisodeView | None]]
) -> Episodes:
    q, visibility = at.queries(), visibility_of(at, reader)
    rows, channel = PostRows(q, at.blobs, visibility), cache(partial(of_channel, q))
    page, more = js.page_of(((js.series_place(cursor), view) for cursor, view in found), limit)
    return Episodes([_row(q, rows, visibility, view, channel(view.episode.channel)) for view in page], more)


@METHODS.read("episode.list", "not_found", "refused")
def listing(at: CommitView, ask: EpisodesRequest) -> Episodes:
    """The episodes of a channel. What is gone of them is marked."""
    q, target = at.queries(), js.target_of(ask.channel, "a channel")
    held(q, target)
    size = reading.ORDER_BYTES if ask.order == "number" else reading.NEWEST_BYTES
    place = js.place_of(ask.after, size, "among these episodes", "after") or b""
    found = reading.in_order(q, target, place) if ask.order == "number" else reading.newest(q, target, place)
    return _page(at, reader_of(at, ask.by), ask.limit, found)


@METHODS.read("subscriptions", "not_found", "refused")
def feed(at: CommitView, ask: SubscriptionsRequest) -> Episodes:
    """The episodes of the channels to which an account subscribed, newest first, without channels of accounts that it
    blocks or mutes."""
    q, account = at.queries(), hosted.account_of(at, ask.by)
    visibility, place = (
        visibility_of(at, account),
        js.place_of(ask.after, CURSOR_BYTES, "among new episodes", "after"),
    )
    shown = (
        one
        for one in reading.subscriptions(q, account)
        if visibility.sees(one.account) and reading.channel_of(q, one) is not None
    )
    return _page(at, account, ask.limit, reading.newest_of(q, shown, place))


def _chapters(given: list[ChapterInput]) -> tuple[Chapter, ...]:
    found = [Chapter(one.at_ms, titled("chapter", one.title)) for one in given]
    if any(a.at_ms >= b.at_ms for a, b in pairwise(found)):
        raise bad_request("Each chapter begins later than the one before it.")
    return tuple(found)


def _number(given: int | None, was: int | None) -> int | None:
    return was if given is None else None if given < 0 else given


@METHODS.write("episode.set", "not_found", "refused")
def change(ctx: Context, ask: EpisodeSet, now: float) -> EpisodeWritten:
    """Makes a post an episode of a channel of the account, or changes an episode."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    view = None if ask.episode is None else _own(q, account, ask.episode, "changes it")
    was = None if view is None else view.episode
    if was is None and (ask.channel is None or ask.post is None):
        raise bad_request("A new episode needs 'channel' and 'post'.")
    channel = was.channel if was and ask.channel is None else own(q, account, ask.channel or "", "adds to it")[0]
    post, title = was.post if was and ask.post is None else js.target_of(ask.post or ""), ask.title
    published = ask.published if ask.published is not None else was.published_ms if was else None
    if was is None or post != was.post:
        held_post = q.post(post)
        if held_post is None:
            raise missing(q, post)
        if not held_post.post.media:
            raise bad_request(f"The post {js.uri(post)} has no media: an episode is a film or sound.")
        if was is None:
            title = title or next(iter(held_post.post.text.strip().splitlines()), "")
            published = held_post.time_ms if published is None else published
    said = Episode(
        channel,
        post,
        titled("episode", was.title if was and title is None else title or ""),
        _number(ask.season, was.season if was else None),
        _number(ask.number, was.number if was else None),
        published,
        _chapters(ask.chapters) if ask.chapters is not None else was.chapters if was else (),
    )
    target = view.target if view else new_target(ctx, account, now)
    live = q.live(account, Put(EPISODE, target.key, (), None))
    entry = append(ctx, account, [write_episode(target.key, said, live)], now)
    return EpisodeWritten(js.uri(target), said.title, js.entry_hex(entry))


def _own(q: Queries, account: AccountId, text: str, does: str) -> reading.EpisodeView:
    target = js.target_of(text, "an episode")
    found = shown(q, reading.episode_of(q, target), EPISODE, target, "episode", "dropped by its account")
    if target.account != account:
        raise forbidden(f"Only the account of the episode '{found.episode.title}' {does}.")
    return found


@METHODS.write("episode.drop", "not_found", "refused")
def drop(ctx: Context, ask: EpisodeRequest, now: float) -> EpisodeWritten:
    """Takes an episode out of its channel for good. The post stays."""
    account = hosted.account_of(ctx, ask.by)
    view = _own(ctx.queries(), account, ask.episode, "drops it")
    entry = append(ctx, account, [drop_episode(view.target.key)], now)
    return EpisodeWritten(js.uri(view.target), view.episode.title, js.entry_hex(entry))
