"""Ending an account with all that this node holds of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Close
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods import keys
from banyan_node.api.texts import AccountRef, Did, Milliseconds, did
from banyan_node.context import Context
from banyan_node.home.keystore import ROOT_SLOT
from banyan_node.hosting import erasing, hosted
from banyan_node.hosting.erasing import Erasure
from banyan_node.operator_errors import CallError

METHODS = Declared()


class EraseRequest(Request, frozen=True, forbid_unknown_fields=True):
    """confirm: the name under which the account is hosted here, or its DID, typed again. reason: why, such as the
    request of its owner. days: within how many days all is gone here; it begins a day before that."""

    account: AccountRef
    confirm: str
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    days: Annotated[int, Meta(ge=0, le=erasing.MOST_DAYS)] = 0


class ErasureOf(Request, frozen=True, forbid_unknown_fields=True):
    account: AccountRef


class ErasureReceipt(Response, frozen=True):
    """until_ms: by when all is gone here. erased_ms: when it was gone from every file of this node; null: not yet."""

    account: Did
    reason: str
    at_ms: Milliseconds
    until_ms: Milliseconds
    erased_ms: Milliseconds | None


@METHODS.write("account.erase", "not_found", "refused", audited=True, final=True)
def erase(ctx: Context, ask: EraseRequest, now: float) -> ErasureReceipt:
    """Closes a hosted account, unless it is closed, and erases all that this node holds of it but its control log.
    Until the erasing begins, the recovery key undoes both (`account.recover`)."""
    account = hosted.account_of(ctx, ask.account)
    home = hosted.hosted(ctx, account)
    if home is None:
        raise CallError("refused", f"{account_to_text(account)} is not hosted here; `banyan store drop` drops it.", 409)
    if account == hosted.me(ctx):
        raise CallError("refused", "This is the node's own account: close it, and delete the home.", 409)
    keys.demand_name(home, ask.confirm)
    control = hosted.control_of(ctx, account)
    if control.frozen:
        raise CallError("refused", "The account is frozen: a key of a higher slot has to decide first.", 409)
    if not control.closed:
        root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
        keys.change(ctx, account, root, Close(), now)
    return _receipt(account, erasing.plan(ctx, account, ask.reason, ask.days, ctx.replica.wall_ms(now)))


@METHODS.read("account.erasure", "not_found", "refused")
def receipt(at: CommitView, ask: ErasureOf) -> ErasureReceipt:
    """How far the erasing of an account is."""
    account = hosted.account_of(at, ask.account)
    found = erasing.find(at.store, account)
    if found is None:
        raise CallError("not_found", f"No erasing of {account_to_text(account)} was asked for here.", 404)
    return _receipt(account, found)


def _receipt(account: AccountId, made: Erasure) -> ErasureReceipt:
    return ErasureReceipt(did(account), made.reason, made.at_ms, made.until_ms, made.erased_ms)
