"""Who an account says it is: texts and pictures of its profile, handles, official channels."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from banyan_crdt.ids import AccountId, EntryId, account_to_text
from banyan_crdt.ops import Add
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, ReaderRequest, Response, UndoRequest
from banyan_node.api.json_types import AccountRef, Did, EntryHex, did, entry_hex
from banyan_node.api.methods.posts.post_rows import (
    HandleOf,
    MediaShownRow,
    account_name,
    handle_of,
    name_of,
    reader_of,
    shown_media,
    visibility_of,
)
from banyan_node.api.methods.posts.post_writes import MediaItem, add_or_undo
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append, in_place
from banyan_node.media.intake import picture_of
from banyan_node.operator_errors import bad_request, forbidden, not_found
from banyan_reading import identity
from banyan_reading.identity import field_of, verified
from banyan_schema.collection import undo
from banyan_schema.social import OpDraft, set_profile
from banyan_schema.social import identity as schema
from banyan_schema.social.profile import PICTURES

METHODS = MethodTable()
Pictures = Annotated[
    dict[str, MediaItem | None],
    Meta(description="`avatar` and `banner`, as `media.put` answered them; null takes a picture away."),
]


class ProfileRequest(ActorRequest):
    """fields: texts by name, such as `name` and `bio`. What is not given does not change."""

    fields: dict[str, str] = msgspec.field(default_factory=dict)
    pictures: Pictures = msgspec.field(default_factory=dict)


class ProfileFields(Response):
    """All of the profile as it is now. fields: its texts. pictures: `avatar` and `banner`, those that there are."""

    account: Did
    fields: dict[str, str]
    pictures: dict[str, MediaShownRow]


@METHODS.write("profile.set", "not_found", "refused")
def profile_set(ctx: Context, ask: ProfileRequest, now: float) -> ProfileFields:
    """Sets fields of a profile: texts and pictures. A picture that was replaced or taken away is erased after 30 days,
    here and at the nodes that hear of it."""
    account = hosted.account_of(ctx, ask.by)
    if not ask.fields and not ask.pictures:
        raise bad_request("No field is given; name at least one field or picture of the profile.")
    for name in ask.fields:
        if name in PICTURES:
            raise bad_request(f"'{name}' is a picture; give it in 'pictures', as `media.put` answered it.")
    set_fields(ctx, account, ask.fields, now, ask.pictures)
    found = ctx.queries().profile(account)
    return ProfileFields(
        did(account), found.texts, {name: shown_media(ctx.blobs, picture) for name, picture in found.pictures.items()}
    )


def set_fields(
    ctx: Context,
    account: AccountId,
    fields: Mapping[str, str],
    now: float,
    pictures: Mapping[str, MediaItem | None] = {},
) -> EntryId:
    """Writes them in one entry. Raises CallError."""
    salt = hosted.salt_of(ctx, account)
    given = [set_profile(salt, name, value) for name, value in fields.items()]
    given += [picture_draft(ctx, salt, name, item, now) for name, item in pictures.items()]
    return append(ctx, account, [in_place(ctx, account, draft) for draft in given], now)


def picture_draft(ctx: Context, salt: bytes, name: str, item: MediaItem | None, now: float) -> OpDraft:
    """A write of a picture, which replaces nothing yet; None: of none. Raises CallError."""
    if name not in PICTURES:
        raise bad_request(f"'{name[:60]}' is no picture of a profile; those are {' and '.join(PICTURES)}.")
    if item is None:
        return set_profile(salt, name, "")
    description, picture = picture_of(ctx, item.blob, item.description, now)
    return set_profile(salt, name, description, media=picture)


# Handles: names under the domain of a platform, which the account claims and the platform confirms.


class ClaimRequest(UndoRequest):
    """handle: such as lan@vn.example. `undo`: the account claims none."""

    handle: str = ""


class DomainRequest(UndoRequest):
    """domain: such as vn.example. `undo`: the account is the platform of none. by: the platform's account."""

    domain: str = ""


class ConfirmRequest(UndoRequest):
    """by: the platform's account, which claims the handle's domain."""

    handle: str
    account: AccountRef


class HandleRequest(ReaderRequest):
    """as: the account that reads."""

    handle: str


class HandleRow(HandleOf):
    account: Did
    name: str


class HandlesFound(Response):
    """Who claims it: first those that a platform confirms."""

    accounts: list[HandleRow]


class ClaimResult(Response):
    """handle: null if none is claimed now."""

    account: Did
    entry: EntryHex
    handle: HandleOf | None


class DomainResult(Response):
    account: Did
    entry: EntryHex
    domain: str


class ConfirmResult(Response):
    """claimed: whether the account claims it too; without that it is not shown."""

    account: Did
    entry: EntryHex
    handle: str
    claimed: bool


def _handle(text: str) -> str:
    handle = text.strip().removeprefix("@").lower()
    if not schema.is_handle(handle):
        says = f"'{text[:60]}' is no handle; it is a name of a-z, 0-9, '.', '_' and '-', and a domain: lan@vn.example."
        raise bad_request(says)
    return handle


@METHODS.write("handle.claim", "not_found", "refused")
def claim(ctx: Context, ask: ClaimRequest, now: float) -> ClaimResult:
    """Claims a handle in the account's profile. Until the platform of the domain confirms it, it is shown as claimed
    only."""
    account = hosted.account_of(ctx, ask.by)
    handle = "" if ask.undo else _handle(ask.handle)
    entry = set_fields(ctx, account, {schema.HANDLE_FIELD: handle}, now)
    return ClaimResult(did(account), entry_hex(entry), handle_of(ctx.queries(), account))


@METHODS.write("handle.domain", "not_found", "refused")
def domain(ctx: Context, ask: DomainRequest, now: float) -> DomainResult:
    """Says that the account is the platform of a domain, so that what it confirms counts. Prove it outside: in the
    domain's DNS or on its web server, as docs/social.md says."""
    account = hosted.account_of(ctx, ask.by)
    name = "" if ask.undo else ask.domain.strip().lower()
    if not ask.undo and not schema.is_domain(name):
        raise bad_request(f"'{ask.domain[:60]}' is no domain; write, for example, vn.example.")
    return DomainResult(did(account), entry_hex(set_fields(ctx, account, {schema.DOMAIN_FIELD: name}, now)), name)


@METHODS.write("handle.confirm", "not_found", "refused")
def confirm(ctx: Context, ask: ConfirmRequest, now: float) -> ConfirmResult:
    """Confirms that a handle under the platform's domain is an account's. Another account that had it has it no
    more."""
    platform, account = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    handle, q = _handle(ask.handle), ctx.queries()
    claims = identity.field_of(q, platform, schema.DOMAIN_FIELD)
    if not ask.undo and claims != schema.domain_of(handle):
        who = account_to_text(platform)
        domain = schema.domain_of(handle)
        says = f"{who} is the platform of {claims or 'no domain'}, not of {domain}: `handle.domain` first."
        raise forbidden(says)
    draft = schema.confirm_handle(hosted.salt_of(ctx, platform), schema.HandleConfirmation(handle, account))
    op = draft.op
    assert isinstance(op, Add)
    live, names = q.live(platform, op), identity.names(q, platform, handle)
    if ask.undo and account not in names:
        raise not_found(f"{account_to_text(account)} was not confirmed as {handle}.")
    if ask.undo or names == {account}:
        entry = add_or_undo(ctx, "handle.confirm", platform, draft, now, ask.undo)
    else:
        entry = append(ctx, platform, [*([undo(schema.HANDLE, live)] if live else []), draft], now)
    found = identity.handle_of(ctx.queries(), account)
    return ConfirmResult(did(account), entry_hex(entry), handle, found is not None and found.handle == handle)


@METHODS.read("handle.find", "refused")
def find(at: CommitView, ask: HandleRequest) -> HandlesFound:
    """Whose a handle is: who claims it, and which platforms confirm that."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    rows = [
        HandleRow(
            handle=found.handle,
            platforms=[account_name(q, one) for one in found.platforms],
            account=did(account),
            name=name_of(q, account),
        )
        for account, found in identity.claimants(q, _handle(ask.handle))
        if visibility.sees(account)
    ]
    return HandlesFound(sorted(rows, key=lambda row: (not row.platforms, row.account)))


# Official channels: a platform verifies whose voice an account is.


class VerifyRequest(UndoRequest):
    """title: what the account speaks for. by: the platform's account, which claims a domain (`handle.domain`)."""

    account: AccountRef
    title: str = ""


class VerifiedAs(Response):
    account: Did
    entry: EntryHex


@METHODS.write("official.verify", "not_found", "refused", audited=True)
def verify(ctx: Context, ask: VerifyRequest, now: float) -> VerifiedAs:
    """Says that an account is an official channel. Urgent posts of it are told to its followers at nodes whose own
    account is this platform, or follows it."""
    platform, account = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    q, title = ctx.queries(), ask.title.strip()
    draft = schema.attest(hosted.salt_of(ctx, platform), schema.Official(account, title))
    op = draft.op
    assert isinstance(op, Add)
    if ask.undo:
        return VerifiedAs(did(account), entry_hex(add_or_undo(ctx, "official.verify", platform, draft, now, True)))
    if platform == account:
        raise bad_request("A platform cannot verify itself.")
    if not title:
        raise bad_request("The title is empty; say what the account speaks for.")
    if not schema.is_domain(field_of(q, platform, schema.DOMAIN_FIELD)):
        raise forbidden(f"{account_to_text(platform)} is the platform of no domain: `handle.domain` first.")
    live = q.live(platform, op)
    if live and [one.title for one in verified(q, account, [platform])] == [title]:
        return VerifiedAs(did(account), entry_hex(live[-1].entry))
    before = [undo(schema.OFFICIAL, live)] if live else []
    return VerifiedAs(did(account), entry_hex(append(ctx, platform, [*before, draft], now)))
