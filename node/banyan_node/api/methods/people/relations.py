"""Whom an account follows, blocks and mutes; its followers, who ask first where it is locked."""

from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Add, Put
from banyan_node.api.declare import CommitView, MethodTable, ReaderRequest, Response, UndoRequest
from banyan_node.api.json_types import AccountRef, Did, EntryHex, Milliseconds, did, entry_hex, page_of
from banyan_node.api.methods.posts.post_rows import AccountName, account_name, reader_of, visibility_of
from banyan_node.api.methods.posts.post_writes import WrittenEntry, add_or_undo
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.hosting.entry_writer import append, append_each
from banyan_node.media.prefetch import look_again_at
from banyan_node.operator_errors import bad_request, conflict, forbidden, not_found
from banyan_reading import relations
from banyan_schema.collection import OpDraft, undo
from banyan_schema.private_kinds import Mute
from banyan_schema.social import Relation, relate, set_profile
from banyan_schema.social.profile import LOCKED, LOCKED_VALUE
from banyan_schema.social.relation import FOLLOW_ANSWER, Answer, FollowAnswer, answer_follow
from banyan_storage.local_tables import DROPPED

METHODS = MethodTable()


class RelationRequest(UndoRequest):
    """account: the account to follow or block."""

    account: AccountRef


class MuteRequest(RelationRequest):
    """until: when it ends; default: never."""

    until: Milliseconds | None = None


class RelationResult(Response):
    """waits: whether the account is locked, and has to accept the follow first. dropped: whether it was dropped
    here (`store.drop`), so that nothing of it is fetched until `store.undrop`."""

    entry: EntryHex
    account: Did
    waits: bool = False
    dropped: bool = False


def _drafts(ctx: Context, ask: RelationRequest, relation: Relation) -> tuple[AccountId, AccountId, OpDraft]:
    """(who says it, of whom, what). Raises CallError."""
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if account == other:
        raise bad_request(f"An account cannot {relation} itself.")
    return account, other, relate(hosted.salt_of(ctx, account), relation, other)


def _relate(
    ctx: Context, ask: RelationRequest, now: float, relation: Relation, method: str, take_back: bool
) -> RelationResult:
    account, other, draft = _drafts(ctx, ask, relation)
    return RelationResult(entry_hex(add_or_undo(ctx, method, account, draft, now, take_back)), did(other))


@METHODS.write("follow", "not_found", "refused")
def follow(ctx: Context, ask: RelationRequest, now: float) -> RelationResult:
    """Follows an account, or asks to if it is locked. Refused with 403 where one of the two blocks the other."""
    if ask.undo:
        return _relate(ctx, ask, now, "follow", "follow", True)
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if (why := why_apart(ctx, account, other)) is not None:
        raise forbidden(why)
    said = _relate(ctx, ask, now, "follow", "follow", False)
    look_again_at(ctx, other)
    waits = relations.waits(ctx.queries(), account, other)
    return RelationResult(said.entry, said.account, waits, DROPPED.has(ctx.store, other))


def why_apart(ctx: Context, account: AccountId, other: AccountId) -> str | None:
    """Why the account cannot follow the other: one of them blocks the other. None: it can."""
    q = ctx.queries()
    if q.relates(account, "block", other):
        return f"This account blocks {account_to_text(other)}: unblock them first."
    if q.relates(other, "block", account):
        return f"{account_to_text(other)} blocks this account; until that ends neither can begin to follow the other."
    return None


@METHODS.write("unfollow", "not_found", "refused")
def unfollow(ctx: Context, ask: RelationRequest, now: float) -> RelationResult:
    """Stops following an account."""
    return _relate(ctx, ask, now, "follow", "unfollow", True)


@METHODS.write("block", "not_found", "refused")
def block(ctx: Context, ask: RelationRequest, now: float) -> RelationResult:
    """Blocks an account, and stops following it. Blocks are public. To take it back does not follow again."""
    if ask.undo:
        return _relate(ctx, ask, now, "block", "block", True)
    account, other, said = _drafts(ctx, ask, "block")
    assert isinstance(said.op, Add)
    there = ctx.queries().live(account, said.op)
    drafts = [said] * (not there) + ending_follow(ctx, account, other)
    return RelationResult(entry_hex(append(ctx, account, drafts, now) if drafts else there[-1].entry), did(other))


def ending_follow(ctx: Context, account: AccountId, other: AccountId) -> list[OpDraft]:
    """What a block says beside it: that the account follows the other no more, if it does."""
    follow = relate(hosted.salt_of(ctx, account), "follow", other).op
    assert isinstance(follow, Add)
    followed = ctx.queries().live(account, follow)
    return [undo(follow.coll, followed)] if followed else []


@METHODS.write("mute", "not_found", "refused")
def mute(ctx: Context, ask: MuteRequest, now: float) -> RelationResult:
    """Mutes an account: nothing of it is shown to the one who mutes. Only the devices of the account can read that."""
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if account == other:
        raise bad_request("An account cannot mute itself.")
    sealed_writer.seal_old_mutes(ctx, account, now)
    wanted = Mute(other, ask.until)
    if ask.undo:
        drafts = sealed_writer.taking_back(ctx, account, [wanted])
        if not drafts:
            raise not_found("There is nothing to undo by mute.")
    else:
        drafts = sealed_writer.drafts(ctx, account, [wanted], now)
    return RelationResult(entry_hex(append(ctx, account, drafts, now)), did(other))


# Followers and locked accounts.

MOST = 1_000
"""The most followers of a page."""
ACCEPTED, OPS = 10_000, 128
"""The most followers that are accepted when an account is locked, and the most of one entry."""


class RequestsRequest(ReaderRequest):
    """account: who is asked; default: the account that reads. as: the account that reads."""

    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    after: Annotated[str | None, Meta(title="a place among accounts", description="`after` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100


class FollowersRequest(RequestsRequest):
    """account: whose followers, or who follows; default: the account that reads. as: the account that reads. mutual:
    only those where each follows the other."""

    mutual: bool = False


class FollowerRequest(UndoRequest):
    """account: the follower."""

    account: AccountRef


class Followers(Response):
    """In the order in which this node met them; of `following` by id. after: give it to get the next page; null on the
    last page. A page can be short or empty, and have one behind it."""

    accounts: list[AccountName]
    after: Did | None


class LockResult(WrittenEntry):
    """accepted: how many present followers the account accepts in the same call."""

    accepted: int


def _page(at: CommitView, ask: RequestsRequest, waiting: bool, mutual: bool = False) -> Followers:
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    account = hosted.account_of(at, ask.account or ask.by)
    after = hosted.account_of(at, ask.after) if ask.after else None
    locked = relations.is_locked(q, account)

    def wanted(one: AccountId, waits: bool) -> bool:
        fits = waits if waiting else not locked or q.follow_answered(account, "accept", one)
        return fits and (not mutual or q.relates(account, "follow", one)) and visibility.sees(one)

    found = relations.requests(q, account, after)
    rows = ((did(one), account_name(q, one) if wanted(one, waits) else None) for one, waits in found)
    return Followers(*page_of(rows, ask.limit))


@METHODS.read("followers", "refused")
def listing(at: CommitView, ask: FollowersRequest) -> Followers:
    """Who follows an account; of a locked one, whom it accepted."""
    return _page(at, ask, False, ask.mutual)


@METHODS.read("following", "refused")
def following(at: CommitView, ask: FollowersRequest) -> Followers:
    """Whom an account follows, by id, those included that are locked and have not accepted it."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    account = hosted.account_of(at, ask.account or ask.by)
    after = hosted.account_of(at, ask.after) if ask.after else None
    found = q.follows(account, after, ask.limit + 1)
    page = [
        account_name(q, one)
        for one in found[: ask.limit]
        if visibility.sees(one) and (not ask.mutual or q.relates(one, "follow", account))
    ]
    return Followers(page, did(found[ask.limit - 1]) if len(found) > ask.limit else None)


@METHODS.read("follow.requests", "refused")
def requests(at: CommitView, ask: RequestsRequest) -> Followers:
    """Who asks to follow a locked account, and was neither accepted nor refused."""
    return _page(at, ask, True)


@METHODS.write("lock", "not_found", "refused")
def lock(ctx: Context, ask: UndoRequest, now: float) -> LockResult:
    """Locks an account: whoever follows it from now on only asks to, until it accepts. Present followers stay: the
    account accepts them in the same call. `undo` unlocks it: who asked follows it then. What it says stays public."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    salt, accepting = hosted.salt_of(ctx, account), list[OpDraft]()
    if not ask.undo and not relations.is_locked(q, account):
        if (many := q.account_totals([account])[account].followers) > ACCEPTED:
            raise conflict(f"The account has {many:,} followers; of at most {ACCEPTED:,} it can accept each one.")
        blocked = {*q.blocks(account)}
        for one in relations.followers(q, account):
            if one not in blocked and not q.follow_answered(account, "accept", one):
                accepting.append(answer_follow(salt, FollowAnswer(one, "accept")))
    value = "" if ask.undo else LOCKED_VALUE
    op = set_profile(salt, LOCKED, value).op
    assert isinstance(op, Put)
    field = set_profile(salt, LOCKED, value, q.live(account, op))
    chunks = [accepting[at : at + OPS] for at in range(0, len(accepting), OPS)]
    entry = append_each(ctx, account, [*chunks, [field]], now)
    return LockResult(entry_hex(entry), len(accepting))


@METHODS.write("follow.accept", "not_found", "refused")
def accept(ctx: Context, ask: FollowerRequest, now: float) -> WrittenEntry:
    """Accepts a follower of a locked account; `undo` ends that. Refused with 403 where one of the two blocks the
    other."""
    account = hosted.account_of(ctx, ask.by)
    if not ask.undo and (why := why_apart(ctx, account, hosted.account_of(ctx, ask.account))) is not None:
        raise forbidden(why)
    return _answer(ctx, ask, now, "accept")


@METHODS.write("follow.refuse", "not_found", "refused")
def refuse(ctx: Context, ask: FollowerRequest, now: float) -> WrittenEntry:
    """Takes a wish to follow off the list. The other one is not told."""
    return _answer(ctx, ask, now, "refuse")


def _answer(ctx: Context, ask: FollowerRequest, now: float, answer: Answer) -> WrittenEntry:
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    follower: AccountId = hosted.account_of(ctx, ask.account)
    draft = answer_follow(hosted.salt_of(ctx, account), FollowAnswer(follower, answer))
    assert isinstance(draft.op, Add)
    live = q.live(account, draft.op)
    if ask.undo:
        if not live or not q.follow_answered(account, answer, follower):
            raise not_found(f"There is nothing to undo by follow.{answer}.")
        return WrittenEntry(entry_hex(append(ctx, account, [undo(FOLLOW_ANSWER, live)], now)))
    if not relations.is_locked(q, account):
        who = account_to_text(account)
        raise conflict(f"{who} is not locked: whoever follows it does. `lock` changes that.")
    if live and q.follow_answered(account, answer, follower):
        return WrittenEntry(entry_hex(live[-1].entry))
    before = [undo(FOLLOW_ANSWER, live)] if live else []
    return WrittenEntry(entry_hex(append(ctx, account, [*before, draft], now)))
