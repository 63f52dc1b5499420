"""Official channels: a platform verifies whose voice an account is."""

from __future__ import annotations

from banyan_crdt.ids import account_to_text
from banyan_crdt.ops import Add
from banyan_node.api.declare import Declared, Request, Response
from banyan_node.api.methods.social import Undo, add_or_undo
from banyan_node.api.texts import AccountRef, Did, EntryHex, Own, did, entry_hex
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.writing import append
from banyan_node.operator_errors import CallError
from banyan_reading.named import field_of
from banyan_reading.verified import verified
from banyan_schema.collection import undo
from banyan_schema.social.handle import DOMAIN_FIELD, is_domain
from banyan_schema.social.official import OFFICIAL, Official, attest

METHODS = Declared()


class VerifyRequest(Request, frozen=True, forbid_unknown_fields=True):
    """title: what the account speaks for. by: the platform's account, which claims a domain (`handle.domain`)."""

    account: AccountRef
    title: str = ""
    undo: Undo = False
    by: Own = None


class VerifiedAs(Response, frozen=True):
    account: Did
    entry: EntryHex


@METHODS.write("official.verify", "not_found", "refused", audited=True)
def verify(ctx: Context, ask: VerifyRequest, now: float) -> VerifiedAs:
    """Says that an account is an official channel. Urgent posts of it are told to its followers at nodes whose own
    account is this platform, or follows it."""
    platform, account = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    q, title = ctx.queries(), ask.title.strip()
    draft = attest(hosted.salt_of(ctx, platform), Official(account, title))
    op = draft.op
    assert isinstance(op, Add)
    if ask.undo:
        return VerifiedAs(did(account), entry_hex(add_or_undo(ctx, "official.verify", platform, draft, now, True)))
    if platform == account:
        raise CallError("bad_request", "A platform cannot verify itself.")
    if not title:
        raise CallError("bad_request", "The title is empty; say what the account speaks for.")
    if not is_domain(field_of(q, platform, DOMAIN_FIELD)):
        says = f"{account_to_text(platform)} is the platform of no domain: `handle.domain` first."
        raise CallError("refused", says, 403)
    live = q.live(platform, op)
    if live and [one.title for one in verified(q, account, [platform])] == [title]:
        return VerifiedAs(did(account), entry_hex(live[-1].entry))
    before = [undo(OFFICIAL, live)] if live else []
    return VerifiedAs(did(account), entry_hex(append(ctx, platform, [*before, draft], now)))
