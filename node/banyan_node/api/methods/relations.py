"""Whom an account follows, blocks and mutes."""

from __future__ import annotations

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Add
from banyan_node.api.declare import Declared, Request, Response
from banyan_node.api.methods.social import Undo, add_or_undo
from banyan_node.api.texts import AccountRef, Did, EntryHex, Milliseconds, Own, did, entry_hex
from banyan_node.context import Context
from banyan_node.hosting import hosted, private
from banyan_node.hosting.writing import append
from banyan_node.media.following import look_again_at
from banyan_node.operator_errors import CallError
from banyan_reading import locking
from banyan_reading.followed import relates
from banyan_schema.privately import Mute
from banyan_schema.social import Draft, Relation, relate, undo
from banyan_storage.local_tables import DROPPED

METHODS = Declared()


class RelationRequest(Request, frozen=True, forbid_unknown_fields=True):
    """account: the account to follow or block."""

    account: AccountRef
    undo: Undo = False
    by: Own = None


class MuteRequest(RelationRequest, frozen=True, forbid_unknown_fields=True):
    """until: when it ends; default: never."""

    until: Milliseconds | None = None


class Related(Response, frozen=True):
    """waits: whether the account is locked, and has to accept the follow first. dropped: whether it was dropped
    here (`store.drop`), so that nothing of it is fetched until `store.undrop`."""

    entry: EntryHex
    account: Did
    waits: bool = False
    dropped: bool = False


def _drafts(ctx: Context, ask: RelationRequest, relation: Relation) -> tuple[AccountId, AccountId, Draft]:
    """(who says it, of whom, what). Raises CallError."""
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if account == other:
        raise CallError("bad_request", f"An account cannot {relation} itself.")
    return account, other, relate(hosted.salt_of(ctx, account), relation, other)


def _relate(
    ctx: Context, ask: RelationRequest, now: float, relation: Relation, method: str, take_back: bool
) -> Related:
    account, other, draft = _drafts(ctx, ask, relation)
    return Related(entry_hex(add_or_undo(ctx, method, account, draft, now, take_back)), did(other))


@METHODS.write("follow", "not_found", "refused")
def follow(ctx: Context, ask: RelationRequest, now: float) -> Related:
    """Follows an account, or asks to if it is locked. Refused with 403 where one of the two blocks the other."""
    if ask.undo:
        return _relate(ctx, ask, now, "follow", "follow", True)
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if (why := why_apart(ctx, account, other)) is not None:
        raise CallError("refused", why, 403)
    said = _relate(ctx, ask, now, "follow", "follow", False)
    look_again_at(ctx, other)
    waits = locking.waits(ctx.queries(), account, other)
    return Related(said.entry, said.account, waits, DROPPED.has(ctx.store, other))


def why_apart(ctx: Context, account: AccountId, other: AccountId) -> str | None:
    """Why the account cannot follow the other: one of them blocks the other. None: it can."""
    txn = ctx.engine.write()
    if relates(txn, account, "block", other):
        return f"This account blocks {account_to_text(other)}: unblock them first."
    if relates(txn, other, "block", account):
        return f"{account_to_text(other)} blocks this account; until that ends neither can begin to follow the other."
    return None


@METHODS.write("unfollow", "not_found", "refused")
def unfollow(ctx: Context, ask: RelationRequest, now: float) -> Related:
    """Stops following an account."""
    return _relate(ctx, ask, now, "follow", "unfollow", True)


@METHODS.write("block", "not_found", "refused")
def block(ctx: Context, ask: RelationRequest, now: float) -> Related:
    """Blocks an account, and stops following it. Blocks are public. To take it back does not follow again."""
    if ask.undo:
        return _relate(ctx, ask, now, "block", "block", True)
    account, other, said = _drafts(ctx, ask, "block")
    assert isinstance(said.op, Add)
    there = ctx.queries().live(account, said.op)
    drafts = [said] * (not there) + ending_follow(ctx, account, other)
    return Related(entry_hex(append(ctx, account, drafts, now) if drafts else there[-1].entry), did(other))


def ending_follow(ctx: Context, account: AccountId, other: AccountId) -> list[Draft]:
    """What a block says beside it: that the account follows the other no more, if it does."""
    follow = relate(hosted.salt_of(ctx, account), "follow", other).op
    assert isinstance(follow, Add)
    followed = ctx.queries().live(account, follow)
    return [undo(follow.coll, followed)] if followed else []


@METHODS.write("mute", "not_found", "refused")
def mute(ctx: Context, ask: MuteRequest, now: float) -> Related:
    """Mutes an account: nothing of it is shown to the one who mutes. Only the devices of the account can read that."""
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if account == other:
        raise CallError("bad_request", "An account cannot mute itself.")
    private.seal_old_mutes(ctx, account, now)
    wanted = Mute(other, ask.until)
    if ask.undo:
        drafts = private.taking_back(ctx, account, [wanted])
        if not drafts:
            raise CallError("not_found", "There is nothing to undo by mute.", 404)
    else:
        drafts = private.drafts(ctx, account, [wanted], now)
    return Related(entry_hex(append(ctx, account, drafts, now)), did(other))
