"""Channels: series of films or sound of an account, and who subscribes to them."""

from typing import Annotated

from msgspec import Meta

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Put
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, ReaderRequest, Response, UndoRequest
from banyan_node.api.methods.posts.post_rows import AccountName, account_name, reader_of, visibility_of
from banyan_node.api.methods.posts.post_writes import add_or_undo
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append, new_target
from banyan_node.hosting.visibility import shown
from banyan_node.media.local_blobs import whole
from banyan_node.operator_errors import bad_request, forbidden
from banyan_reading.channels import channel_of, channels_of, episode_count, subscribed, subscriber_count, subscriptions
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social import channel as schema
from banyan_storage.blobs import BlobStore

METHODS = MethodTable()
MOST = 200
"""The most rows of a page."""
Limit = Annotated[int, Meta(ge=1, le=MOST)]
After = Annotated[
    str | None, Meta(title="a place among channels or episodes", description="`after` of the page before.")
]


class ChannelSet(ActorRequest):
    """channel: the one that changes; without it a new one is made, which needs a title. What is left out does not
    change; an empty language, site or picture takes it away. kind: default: video. language: a BCP 47 tag. site: its
    page in the web. picture: as `media.put` answered."""

    channel: js.ChannelRef | None = None
    title: str | None = None
    description: str | None = None
    kind: schema.ChannelKind | None = None
    language: str | None = None
    site: str | None = None
    picture: (
        Annotated[
            str, Meta(title="64 hexadecimal digits", description="A blob, or empty.", pattern="^([0-9a-f]{64})?$")
        ]
        | None
    ) = None


class ChannelsRequest(ReaderRequest):
    """account: whose channels; default: those of the account that reads. subscribed: the channels to which that one
    subscribed, in the place of its own."""

    account: js.Own = None
    subscribed: bool = False
    after: After = None
    limit: Limit = 50


class ChannelRequest(ReaderRequest):
    """as: the account that reads, or that drops its channel."""

    channel: js.ChannelRef


class SubscribeRequest(UndoRequest):
    channel: js.ChannelRef


class ChannelRow(Response):
    """episodes, subscribers: how many, as far as this node knows. subscribed: whether the reader is one. picture_here:
    whether this node has the bytes."""

    uri: js.PostUri
    account: AccountName
    title: str
    description: str
    kind: schema.ChannelKind
    language: str | None
    site: str | None
    picture: js.BlobHex | None
    picture_here: bool
    episodes: int
    subscribers: int
    subscribed: bool


class Channels(Response):
    """Those of an account by their age, if Banyan made them. after: give it to get the next page; null on the last
    page."""

    channels: list[ChannelRow]
    after: js.SeriesPlace | None


class ChannelWritten(Response):
    uri: js.PostUri
    title: str
    entry: js.EntryHex


def held(q: Queries, target: Target) -> schema.Channel:
    """The channel. Raises CallError if it is not shown here."""
    return shown(q, channel_of(q, target), schema.CHANNEL, target, "channel", "dropped by its account")


def own(q: Queries, account: AccountId, text: str, does: str) -> tuple[Target, schema.Channel]:
    """A channel of the account. does: for the sentence, `changes it` say. Raises CallError."""
    target = js.target_of(text, "a channel")
    found = held(q, target)
    if target.account != account:
        raise forbidden(f"Only the account of the channel '{found.title}' {does}.")
    return target, found


def channel_row(
    q: Queries, blobs: BlobStore, reader: AccountId | None, target: Target, said: schema.Channel
) -> ChannelRow:
    picture = None if said.picture is None else blobs.find(BlobRoot(said.picture))
    return ChannelRow(
        uri=js.uri(target),
        account=account_name(q, target.account),
        title=said.title,
        description=said.description,
        kind=said.kind,
        language=said.language,
        site=said.site,
        picture=None if said.picture is None else js.blob_hex(said.picture),
        picture_here=picture is not None and picture.whole,
        episodes=episode_count(q, target),
        subscribers=subscriber_count(q, target),
        subscribed=reader is not None and subscribed(q, reader, target),
    )


@METHODS.read("channel.list", "not_found", "refused")
def listing(at: CommitView, ask: ChannelsRequest) -> Channels:
    """The channels of an account, or those to which it subscribed and that are held here."""
    q, reader = at.queries(), reader_of(at, ask.by)
    account = hosted.account_of(at, ask.account or ask.by)
    visibility = visibility_of(at, reader)

    def row(target: Target, said: schema.Channel | None) -> ChannelRow | None:
        if said is None or not visibility.sees(target.account):
            return None
        return channel_row(q, at.blobs, reader, target, said)

    if ask.subscribed:
        place = js.place_of(ask.after, 48, "among channels", "after")
        start = None if place is None else Target.of(place)
        found = ((one.raw, one, channel_of(q, one)) for one in subscriptions(q, account, start))
    else:
        place = js.place_of(ask.after, 16, "among channels", "after")
        found = ((bytes(one.key), one, said) for one, said in channels_of(q, account, place or b""))
    return Channels(*js.page_of(((js.series_place(cursor), row(one, said)) for cursor, one, said in found), ask.limit))


@METHODS.read("channel.show", "not_found", "refused")
def show(at: CommitView, ask: ChannelRequest) -> ChannelRow:
    """A channel, and how many subscribe to it."""
    q, target = at.queries(), js.target_of(ask.channel, "a channel")
    return channel_row(q, at.blobs, reader_of(at, ask.by), target, held(q, target))


def titled(what: str, title: str) -> str:
    """A title that is not empty. Raises CallError. what: for the sentence."""
    if not title.strip():
        raise bad_request(f"The title of the {what} is empty.")
    return title.strip()


def _site(site: str | None) -> str | None:
    found = (site or "").strip()
    if found and not found.startswith(("https://", "http://")):
        raise bad_request(f"'{found[:60]}' is no page in the web: it begins with https://.")
    return found or None


@METHODS.write("channel.set", "not_found", "refused")
def change(ctx: Context, ask: ChannelSet, now: float) -> ChannelWritten:
    """Makes a channel, or changes one."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    if ask.channel is None:
        target, was = new_target(ctx, account, now), schema.Channel("")
    else:
        target, was = own(q, account, ask.channel, "changes it")
    picture = was.picture
    if ask.picture is not None:
        picture = js.root_of(ask.picture) if ask.picture else None
    if picture is not None and picture != was.picture:
        whole(ctx, BlobRoot(picture))
        ctx.blobs.want(BlobRoot(picture), int(now))
    said = schema.Channel(
        titled("channel", was.title if ask.title is None else ask.title),
        was.description if ask.description is None else ask.description,
        ask.kind or was.kind,
        was.language if ask.language is None else ask.language.strip() or None,
        was.site if ask.site is None else _site(ask.site),
        picture,
    )
    live = q.live(account, Put(schema.CHANNEL, target.key, (), None))
    entry = append(ctx, account, [schema.write_channel(target.key, said, live)], now)
    return ChannelWritten(js.uri(target), said.title, js.entry_hex(entry))


@METHODS.write("channel.drop", "not_found", "refused")
def drop(ctx: Context, ask: ChannelRequest, now: float) -> ChannelWritten:
    """Ends a channel for good. The posts of its episodes stay."""
    account = hosted.account_of(ctx, ask.by)
    target, said = own(ctx.queries(), account, ask.channel, "drops it")
    entry = append(ctx, account, [schema.drop_channel(target.key)], now)
    return ChannelWritten(js.uri(target), said.title, js.entry_hex(entry))


@METHODS.write("channel.subscribe", "not_found", "refused")
def subscribing(ctx: Context, ask: SubscribeRequest, now: float) -> ChannelWritten:
    """Subscribes to a channel. Everybody can see it, as whom one follows."""
    account, target = hosted.account_of(ctx, ask.by), js.target_of(ask.channel, "a channel")
    said = channel_of(ctx.queries(), target) if ask.undo else held(ctx.queries(), target)
    draft = schema.subscribe(hosted.salt_of(ctx, account), schema.Subscription(target))
    entry = add_or_undo(ctx, "channel.subscribe", account, draft, now, ask.undo)
    return ChannelWritten(js.uri(target), said.title if said else "", js.entry_hex(entry))
