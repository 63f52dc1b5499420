"""Dropping whole accounts from this node, and taking them again."""

from __future__ import annotations

from banyan_node.api.declare import CommitView, Declared, Nothing, Request, Response
from banyan_node.api.texts import AccountRef, Did, did
from banyan_node.context import Context
from banyan_node.hosting import dropped, hosted, interest
from banyan_node.operator_errors import CallError
from banyan_storage.local_tables import DROPPED

METHODS = Declared()


class DropAccountRequest(Request, frozen=True, forbid_unknown_fields=True):
    account: AccountRef


class DroppedAnswer(Response, frozen=True):
    """entries: how many were held and counted."""

    account: Did
    entries: int


class UndroppedAnswer(Response, frozen=True):
    account: Did


class DroppedAccounts(Response, frozen=True):
    accounts: list[Did]


@METHODS.write("store.drop", "refused", "not_found", alone=True, audited=True)
def drop(ctx: Context, ask: DropAccountRequest, now: float) -> DroppedAnswer:
    """Erases an account from this node, which does not fetch it again. Readers are shown nothing of it any more; a
    large one is erased in steps after the answer. Other nodes decide for themselves."""
    account = hosted.account_of(ctx, ask.account)
    if ctx.settings.config.interest.mode == "all":
        raise CallError(
            "refused",
            "This node holds all accounts (interest.mode) and cannot tell its neighbours that it lacks one, so they "
            "would offer it for ever. Drop it on a node of chosen accounts, or withhold its posts (`store withhold`).",
            409,
        )
    if hosted.is_hosted(ctx.store, account):
        raise CallError(
            "refused", "This node signs for that account; `banyan account close` ends it for everybody.", 409
        )
    DROPPED.put(ctx.store, account, True)
    ctx.replica.commit()
    interest.hold(ctx, now)
    entries = dropped.begin(ctx, account)
    dropped.step(ctx, account, now)
    return DroppedAnswer(did(account), entries)


@METHODS.write("store.undrop", "not_found", alone=True, audited=True)
def undrop(ctx: Context, ask: DropAccountRequest, now: float) -> UndroppedAnswer:
    """Lets a dropped account in again. It is fetched if somebody here follows it closely enough."""
    account = hosted.account_of(ctx, ask.account)
    if not DROPPED.has(ctx.store, account):
        raise CallError(
            "not_found", "That account is not dropped here; `banyan store dropped` lists those that are.", 404
        )
    DROPPED.put(ctx.store, account, None)
    ctx.replica.commit()
    interest.hold(ctx, now)
    if account in ctx.store.leaving() and dropped.is_wanted(ctx, account):
        dropped.stay(ctx, account, now)
    return UndroppedAnswer(did(account))


@METHODS.read("store.dropped", slow=True)
def listed(at: CommitView, ask: Nothing) -> DroppedAccounts:
    """The accounts that were dropped from this node."""
    return DroppedAccounts([did(account) for account in DROPPED.keys(at.store)])
