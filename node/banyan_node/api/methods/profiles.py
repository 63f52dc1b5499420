"""Profiles: their texts and their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from banyan_crdt.ids import AccountId, EntryId
from banyan_crdt.ops import Put
from banyan_node.api.declare import Declared, Request, Response
from banyan_node.api.methods.reading import MediaShownRow, shown_media
from banyan_node.api.methods.social import MediaItem
from banyan_node.api.texts import Did, Own, did
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.writing import append
from banyan_node.media.posting import picture_of
from banyan_node.operator_errors import CallError
from banyan_schema.social import Draft, set_profile
from banyan_schema.social.profile import PICTURES

METHODS = Declared()
Pictures = Annotated[
    dict[str, MediaItem | None],
    Meta(description="`avatar` and `banner`, as `media.put` answered them; null takes a picture away."),
]


class ProfileRequest(Request, frozen=True, forbid_unknown_fields=True):
    """fields: texts by name, such as `name` and `bio`. What is not given does not change."""

    fields: dict[str, str] = msgspec.field(default_factory=dict)
    pictures: Pictures = msgspec.field(default_factory=dict)
    by: Own = None


class ProfileFields(Response, frozen=True):
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
        raise CallError("bad_request", "No field is given; name at least one field or picture of the profile.")
    for name in ask.fields:
        if name in PICTURES:
            raise CallError("bad_request", f"'{name}' is a picture; give it in 'pictures', as `media.put` answered it.")
    set_fields(ctx, account, ask.fields, now, ask.pictures)
    found = ctx.queries().profile(account)
    return ProfileFields(
        did(account),
        found.texts,
        {name: shown_media(ctx.blobs, picture) for name, picture in found.pictures.items()},
    )


def set_fields(
    ctx: Context,
    account: AccountId,
    fields: Mapping[str, str],
    now: float,
    pictures: Mapping[str, MediaItem | None] = {},
) -> EntryId:
    """Writes them in one entry. Raises CallError."""
    salt, q, drafts = hosted.salt_of(ctx, account), ctx.queries(), list[Draft]()
    given = [set_profile(salt, name, value) for name, value in fields.items()]
    given += [picture_draft(ctx, salt, name, item, now) for name, item in pictures.items()]
    for draft in given:
        assert isinstance(draft.op, Put)
        drafts.append(draft._replace(op=draft.op._replace(refs=tuple(q.live(account, draft.op)))))
    return append(ctx, account, drafts, now)


def picture_draft(ctx: Context, salt: bytes, name: str, item: MediaItem | None, now: float) -> Draft:
    """A write of a picture, which replaces nothing yet; None: of none. Raises CallError."""
    if name not in PICTURES:
        raise CallError("bad_request", f"'{name[:60]}' is no picture of a profile; those are {' and '.join(PICTURES)}.")
    if item is None:
        return set_profile(salt, name, "")
    description, picture = picture_of(ctx, item.blob, item.description, now)
    return set_profile(salt, name, description, media=picture)
