"""Polls: a post may ask one, and each account has one vote in it until it closes."""

from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Put
from banyan_node.api.declare import MethodTable, Response, UndoRequest
from banyan_node.api.json_types import EntryHex, Milliseconds, PostRef, entry_hex
from banyan_node.api.methods.posts.post_writes import held
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.operator_errors import bad_request, conflict, not_found
from banyan_reading.queries import Queries
from banyan_schema.social import VOTE, Poll, Target, undo, write_vote
from banyan_schema.social.post import MAX_OPTIONS
from banyan_schema.social.vote import vote_key

METHODS = MethodTable()


class VoteRequest(UndoRequest):
    """options: their numbers, from 0. A vote replaces the one before."""

    uri: PostRef
    options: Annotated[list[Annotated[int, Meta(ge=0, lt=MAX_OPTIONS)]], Meta(max_length=MAX_OPTIONS)] | None = None


class PollOption(Response):
    text: str
    votes: int


class PollRow(Response):
    """votes: how many accounts, as far as is known here. voters: how many for any option. mine: what the reader votes
    for, by numbers from 0."""

    options: list[PollOption]
    choices: Literal["one", "several"]
    closes_ms: Milliseconds
    closed: bool
    voters: int
    mine: list[int]


class VoteResult(Response):
    entry: EntryHex
    poll: PollRow


def poll_row(q: Queries, post: Target, poll: Poll, reader: AccountId | None, now_ms: int) -> PollRow:
    """The poll of a post as it stands."""
    found = q.tally(post, poll)
    return PollRow(
        options=[PollOption(text, votes) for text, votes in zip(poll.options, found.options, strict=True)],
        choices=poll.choices,
        closes_ms=poll.closes_ms,
        closed=now_ms > poll.closes_ms,
        voters=found.voters,
        mine=[] if reader is None else q.vote_of(reader, post, poll),
    )


@METHODS.write("vote", "not_found", "refused")
def vote(ctx: Context, ask: VoteRequest, now: float) -> VoteResult:
    """Votes in the poll of a post. A vote is public, and counts if it is written before the poll closes."""
    account, view, now_ms = hosted.account_of(ctx, ask.by), held(ctx, ask.uri), ctx.replica.wall_ms(now)
    poll, target = view.post.poll, view.target
    if poll is None:
        raise bad_request("The post asks nothing: it has no poll.")
    if now_ms > poll.closes_ms:
        raise conflict("The poll is closed.")
    live = ctx.queries().live(account, Put(VOTE, vote_key(target), (), None))
    if ask.undo:
        if not live:
            raise not_found("There is nothing to undo by vote.")
        draft = undo(VOTE, live)
    elif account == target.account:
        raise conflict("This is your own poll: others vote in it.")
    else:
        draft = write_vote(target, poll, _options(poll, ask.options or []), live)
    entry = append(ctx, account, [draft], now)
    return VoteResult(entry_hex(entry), poll_row(ctx.queries(), target, poll, account, now_ms))


def _options(poll: Poll, asked: list[int]) -> set[int]:
    options = {*asked}
    if not options:
        raise bad_request("No option is given; name one by its number, from 0.")
    if max(options) >= len(poll.options):
        raise bad_request(f"The poll has {len(poll.options)} options, and no such one.")
    if poll.choices == "one" and len(options) > 1:
        raise bad_request(f"The poll wants one option, not {len(options)}.")
    return options
