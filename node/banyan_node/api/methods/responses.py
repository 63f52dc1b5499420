"""Who reacted to a post, and who reposted it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.reading import LOOKED, Named, name_of, reader_of, visibility_of
from banyan_node.api.texts import (
    AccountRef,
    PostRef,
    PostUri,
    Reader,
    ResponsePlace,
    did,
    response_place,
    target_of,
    uri,
)
from banyan_node.hosting import hosted
from banyan_node.operator_errors import CallError
from banyan_reading.responding import NUMBER_BYTES, reacted, reposted, reposted_at
from banyan_schema.address import short

METHODS = Declared()
MOST = 1_000
"""The most rows of a page."""
After = Annotated[str | None, Meta(title="a place among responses", description="`after` of the page before.")]


class RepostersRequest(Request, frozen=True, forbid_unknown_fields=True):
    """as: the account that reads. every: also those that it does not see, or that are limited here."""

    uri: PostRef
    every: bool = False
    by: Reader = None
    after: After = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100


class ReactionsRequest(Request, frozen=True, forbid_unknown_fields=True):
    """emoji: only those who reacted with it. as: the account that reads."""

    uri: PostRef
    emoji: Annotated[str, Meta(max_length=100)] | None = None
    by: Reader = None
    after: After = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100


class FindRepost(Request, frozen=True, forbid_unknown_fields=True):
    """account: who reposted. time_ms: when. short: the first 16 bytes of the SHA-256 of account and key of the post."""

    account: AccountRef
    time_ms: Annotated[int, Meta(ge=0, lt=1 << 48, description="Milliseconds since 1970.")]
    short: Annotated[str, Meta(title="a post in short", description="32 digits.", pattern="^[0-9a-f]{32}$")]


class Reacted(Named, frozen=True):
    emoji: str


class Reactions(Response, frozen=True):
    """By emoji, then in the order in which this node met the accounts, without those that the reader does not see.
    after: give it to get the next page; null on the last one. A page can be short or empty, and have one behind it."""

    reactions: list[Reacted]
    after: ResponsePlace | None


class Reposters(Response, frozen=True):
    """The same of those who reposted."""

    accounts: list[Named]
    after: ResponsePlace | None


class FoundRepost(Response, frozen=True):
    """uri: of the post; null: there is no such repost here."""

    uri: PostUri | None


@METHODS.read("reactions", "refused")
def reactions(at: CommitView, ask: ReactionsRequest) -> Reactions:
    """Who reacted to a post, and with what."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    page, last, more = list[Reacted](), None, None
    found = reacted(q, target_of(ask.uri), (ask.emoji or "").strip(), _place(ask.after))
    for n, (cursor, account, emoji) in enumerate(found):
        if len(page) == ask.limit or n == LOOKED * ask.limit:
            more = last
            break
        last = response_place(cursor)
        if visibility.sees(account):
            page.append(Reacted(did(account), name_of(q, account), emoji))
    return Reactions(page, more)


@METHODS.read("reposts", "refused")
def reposters(at: CommitView, ask: RepostersRequest) -> Reposters:
    """Who reposted a post."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    page, last, more = list[Named](), None, None
    target = target_of(ask.uri)
    for n, (cursor, account) in enumerate(reposted(q, target, _place(ask.after))):
        if len(page) == ask.limit or n == LOOKED * ask.limit:
            more = last
            break
        last = response_place(cursor)
        refused = visibility.rules.refuses("reposts", account, [target])
        if not refused and (ask.every or visibility.sees(account)):
            page.append(Named(did(account), name_of(q, account)))
    return Reposters(page, more)


@METHODS.read("repost.find", "refused")
def find_repost(at: CommitView, ask: FindRepost) -> FoundRepost:
    """Which post an account reposted at a time, for programs that keep a repost under a short name."""
    wanted = bytes.fromhex(ask.short)
    found = reposted_at(at.queries(), hosted.account_of(at, ask.account), ask.time_ms)
    return FoundRepost(next((uri(target) for target in found if short(target) == wanted), None))


def _place(given: str | None) -> bytes:
    """Raises CallError."""
    try:
        place = bytes.fromhex(given or "")
    except ValueError:
        place = b"?"
    if given and len(place) < NUMBER_BYTES:
        raise CallError("bad_request", f"'{given[:60]}' is no place among responses: give `after` of the page before.")
    return place
