"""Handles: names under the domain of a platform, which the account claims and the platform confirms."""

from __future__ import annotations

from banyan_crdt.ids import account_to_text
from banyan_crdt.ops import Add
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.methods.profiles import set_fields
from banyan_node.api.methods.reading import HandleOf, Named, handle_of, name_of, reader_of, visibility_of
from banyan_node.api.methods.social import Undo, add_or_undo
from banyan_node.api.texts import AccountRef, Did, EntryHex, Own, Reader, did, entry_hex
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.writing import append
from banyan_node.operator_errors import CallError
from banyan_reading import named
from banyan_schema.collection import undo
from banyan_schema.social.handle import (
    DOMAIN_FIELD,
    HANDLE,
    HANDLE_FIELD,
    Confirmed,
    confirm_handle,
    domain_of,
    is_domain,
    is_handle,
)

METHODS = Declared()


class ClaimRequest(Request, frozen=True, forbid_unknown_fields=True):
    """handle: such as lan@vn.example. `undo`: the account claims none."""

    handle: str = ""
    undo: Undo = False
    by: Own = None


class DomainRequest(Request, frozen=True, forbid_unknown_fields=True):
    """domain: such as vn.example. `undo`: the account is the platform of none. by: the platform's account."""

    domain: str = ""
    undo: Undo = False
    by: Own = None


class ConfirmRequest(Request, frozen=True, forbid_unknown_fields=True):
    """by: the platform's account, which claims the handle's domain."""

    handle: str
    account: AccountRef
    undo: Undo = False
    by: Own = None


class HandleRequest(Request, frozen=True, forbid_unknown_fields=True):
    """as: the account that reads."""

    handle: str
    by: Reader = None


class HandleRow(HandleOf, frozen=True):
    account: Did
    name: str


class HandlesFound(Response, frozen=True):
    """Who claims it: first those that a platform confirms."""

    accounts: list[HandleRow]


class Claimed(Response, frozen=True):
    """handle: null if none is claimed now."""

    account: Did
    entry: EntryHex
    handle: HandleOf | None


class DomainClaimed(Response, frozen=True):
    account: Did
    entry: EntryHex
    domain: str


class HandleConfirmed(Response, frozen=True):
    """claimed: whether the account claims it too; without that it is not shown."""

    account: Did
    entry: EntryHex
    handle: str
    claimed: bool


def _handle(text: str) -> str:
    handle = text.strip().removeprefix("@").lower()
    if not is_handle(handle):
        says = f"'{text[:60]}' is no handle; it is a name of a-z, 0-9, '.', '_' and '-', and a domain: lan@vn.example."
        raise CallError("bad_request", says)
    return handle


@METHODS.write("handle.claim", "not_found", "refused")
def claim(ctx: Context, ask: ClaimRequest, now: float) -> Claimed:
    """Claims a handle in the account's profile. Until the platform of the domain confirms it, it is shown as claimed
    only."""
    account = hosted.account_of(ctx, ask.by)
    handle = "" if ask.undo else _handle(ask.handle)
    entry = set_fields(ctx, account, {HANDLE_FIELD: handle}, now)
    return Claimed(did(account), entry_hex(entry), handle_of(ctx.queries(), account))


@METHODS.write("handle.domain", "not_found", "refused")
def domain(ctx: Context, ask: DomainRequest, now: float) -> DomainClaimed:
    """Says that the account is the platform of a domain, so that what it confirms counts. Prove it outside: in the
    domain's DNS or on its web server, as docs/social.md says."""
    account = hosted.account_of(ctx, ask.by)
    name = "" if ask.undo else ask.domain.strip().lower()
    if not ask.undo and not is_domain(name):
        raise CallError("bad_request", f"'{ask.domain[:60]}' is no domain; write, for example, vn.example.")
    return DomainClaimed(did(account), entry_hex(set_fields(ctx, account, {DOMAIN_FIELD: name}, now)), name)


@METHODS.write("handle.confirm", "not_found", "refused")
def confirm(ctx: Context, ask: ConfirmRequest, now: float) -> HandleConfirmed:
    """Confirms that a handle under the platform's domain is an account's. Another account that had it has it no
    more."""
    platform, account = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    handle, q = _handle(ask.handle), ctx.queries()
    claims = named.field_of(q, platform, DOMAIN_FIELD)
    if not ask.undo and claims != domain_of(handle):
        who = account_to_text(platform)
        says = f"{who} is the platform of {claims or 'no domain'}, not of {domain_of(handle)}: `handle.domain` first."
        raise CallError("refused", says, 403)
    draft = confirm_handle(hosted.salt_of(ctx, platform), Confirmed(handle, account))
    op = draft.op
    assert isinstance(op, Add)
    live, names = q.live(platform, op), named.names(q, platform, handle)
    if ask.undo and account not in names:
        raise CallError("not_found", f"{account_to_text(account)} was not confirmed as {handle}.", 404)
    if ask.undo or names == {account}:
        entry = add_or_undo(ctx, "handle.confirm", platform, draft, now, ask.undo)
    else:
        entry = append(ctx, platform, [*([undo(HANDLE, live)] if live else []), draft], now)
    found = named.handle_of(ctx.queries(), account)
    return HandleConfirmed(did(account), entry_hex(entry), handle, found is not None and found.handle == handle)


@METHODS.read("handle.find", "refused")
def find(at: CommitView, ask: HandleRequest) -> HandlesFound:
    """Whose a handle is: who claims it, and which platforms confirm that."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    rows = [
        HandleRow(
            handle=found.handle,
            platforms=[Named(did(one), name_of(q, one)) for one in found.platforms],
            account=did(account),
            name=name_of(q, account),
        )
        for account, found in named.claimants(q, _handle(ask.handle))
        if visibility.sees(account)
    ]
    return HandlesFound(sorted(rows, key=lambda row: (not row.platforms, row.account)))
