"""Moves: an account goes on as another one, and both say so."""

from __future__ import annotations

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Put
from banyan_node.api.declare import Declared, Request, Response
from banyan_node.api.methods.social import Undo, add_or_undo
from banyan_node.api.texts import AccountRef, Did, EntryHex, Own, did, entry_hex
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.writing import append
from banyan_node.operator_errors import CallError
from banyan_reading import moving
from banyan_schema.collection import undo
from banyan_schema.social.moved import MOVED_TO, move_to, moved_from

METHODS = Declared()


class MoveRequest(Request, frozen=True, forbid_unknown_fields=True):
    """account: the other one. by: the account that speaks."""

    account: AccountRef
    undo: Undo = False
    by: Own = None


class MoveSaid(Response, frozen=True):
    """agreed: whether the other account says the same, so that others see the move."""

    account: Did
    entry: EntryHex
    agreed: bool


def _both(ctx: Context, ask: MoveRequest) -> tuple[AccountId, AccountId]:
    account, other = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    if account == other:
        raise CallError("bad_request", "An account cannot move to itself.")
    return account, other


@METHODS.write("move.from", "not_found", "refused")
def was(ctx: Context, ask: MoveRequest, now: float) -> MoveSaid:
    """Says that the account also was another one: the first step of a move, at the new account."""
    account, other = _both(ctx, ask)
    draft = moved_from(hosted.salt_of(ctx, account), other)
    entry = add_or_undo(ctx, "move.from", account, draft, now, ask.undo)
    return MoveSaid(did(other), entry_hex(entry), moving.moved_to(ctx.queries(), other) == account)


@METHODS.write("move.to", "not_found", "refused")
def goes(ctx: Context, ask: MoveRequest, now: float) -> MoveSaid:
    """Says that the account goes on as another one, which must say first that it was this account. Followers are told;
    nobody follows the new one by itself."""
    account, other = _both(ctx, ask)
    q, salt = ctx.queries(), hosted.salt_of(ctx, account)
    op = move_to(salt, other).op
    assert isinstance(op, Put)
    live = q.live(account, op)
    if ask.undo:
        if other not in moving.says_to(q, account):
            raise CallError("not_found", "There is nothing to undo by move.to.", 404)
        entry = append(ctx, account, [undo(MOVED_TO, live)], now)
        return MoveSaid(did(other), entry_hex(entry), False)
    if account not in moving.says_from(q, other):
        who = account_to_text(other)
        says = f"{who} does not say that it was {account_to_text(account)}: let it say so first, by `move.from`."
        raise CallError("refused", says, 409)
    if moving.says_to(q, account) == [other]:
        return MoveSaid(did(other), entry_hex(live[-1].entry), moving.moved_to(q, account) == other)
    entry = append(ctx, account, [move_to(salt, other, live)], now)
    return MoveSaid(did(other), entry_hex(entry), moving.moved_to(ctx.queries(), account) == other)
