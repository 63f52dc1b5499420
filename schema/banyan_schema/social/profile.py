"""A profile: a few fields with any names, each a register of its own (`avatar` and `banner` are pictures), and pinned
posts.

| op | cell | content |
|---|---|---|
| put | field | [field, value], of a picture [field, value, media] |

The value of a picture is its description. So a reader that knows no pictures shows that as a text. A picture is taken
away by another write of its field, with an empty value and without media: the field was set, and imports know it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import CellKey, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.collection import Blobs, Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.fields import KEY, normal, text
from banyan_schema.layout import Layout
from banyan_schema.media import MEDIA, Media, blobs_of
from banyan_schema.social.identity import HANDLE_FIELD, handle_key, is_handle

MAX_FIELD = 64
MAX_VALUE = 4_096
"""The most bytes of UTF-8 of a field's name and of its value."""


PICTURES = ("avatar", "banner")
"""The fields that are pictures."""


@dataclass(frozen=True, slots=True)
class ProfileField:
    """One field of a profile, such as `name` or `bio`. media: of a picture, without a description: that is `value`."""

    field: str
    value: str
    media: Media | None = None

    @property
    def picture(self) -> Media | None:
        """The picture with its description, if the field is one: of the fields `avatar` and `banner` what is an image,
        and never a film."""
        if self.media is None or self.field not in PICTURES or not self.media.is_picture:
            return None
        return self.media._replace(description=self.value or None)

    @property
    def is_text(self) -> bool:
        """Whether the value is shown as a text: neither as a picture nor, of one that was taken away, at all."""
        return self.field not in PICTURES or (self.value != "" and self.picture is None)


LOCKED, LOCKED_VALUE = "locked", "yes"
"""The field by which an account says that follows want an accept, and its value then; any other says nothing."""


def _seed(time: bytes, values: list[Any]) -> bytes:
    """Empty; or 1 byte if it says that the account is locked; or the handle that it claims, behind its length."""
    field, value = values[:2]
    if field == HANDLE_FIELD:
        return handle_key(value) if is_handle(value) else b""
    return b"l" if (field, value) == (LOCKED, LOCKED_VALUE) else b""


def _facts(seed: bytes) -> Facts:
    if not seed:
        return ()
    return (Fact("locked", seed),) if seed == b"l" else (Fact("handle_claims", seed),)


LAYOUT = Layout(
    ProfileField,
    lambda said: (said.field, said.value, said.media),
    (text("a profile field's name", MAX_FIELD), text("a profile field", MAX_VALUE)),
    (MEDIA,),
)
COLLECTION = Collection(
    "profile",
    "register",
    LAYOUT,
    limits={"field": MAX_FIELD, "value": MAX_VALUE},
    seed=_seed,
    seeds=4,
    kinds=frozenset({"locked", "handle_claims"}),
    facts=_facts,
    blobs=Blobs("media", lambda media: blobs_of([media])),
)
"""It tells views only that an account is locked, and which handle it claims: a profile is read from its slots."""
PROFILE = COLLECTION.id


def set_profile(
    salt: bytes, field: str, value: str, replaces: Iterable[Ref] = (), media: Media | None = None
) -> OpDraft:
    """Sets one field. `salt`: the account's, 32 bytes. `replaces`: the live writes of that field. `media`: the picture
    that the field is. Raises ValueError past a limit."""
    name = normal("a profile field's name", field, MAX_FIELD)
    normal(f"the profile field '{field}'", value, MAX_VALUE)  # its error names the field
    op = Put(PROFILE, cell_key(salt, b"profile", name), tuple(replaces), None)
    return OpDraft(op, LAYOUT.encode(ProfileField(field, value, media)))


# A post that an account pins to its profile: an element of its one set of these.
#
# | op | cell | element | content |
# |---|---|---|---|
# | add | one for the account | the post | [key] |
#
# Only a post of the account itself can be named. It is shown while the post is.


@dataclass(frozen=True, slots=True)
class PinnedPost:
    """The post `key` of the same account."""

    key: CellKey


PINNED_LAYOUT = Layout(PinnedPost, lambda said: (said.key,), (KEY,))
PINNED_COLLECTION = Collection("pinned", "set", PINNED_LAYOUT)
"""It tells views nothing: a profile reads it from its slots."""
PINNED = PINNED_COLLECTION.id
PINNED_COLLECTIONS = (PINNED_COLLECTION,)


def pin(salt: bytes, key: CellKey) -> OpDraft:
    """Pins a post. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    op = Add(PINNED, cell_key(salt, b"pinned"), cell_key(salt, b"pinned", key), None)
    return OpDraft(op, PINNED_LAYOUT.encode(PinnedPost(key)))


COLLECTIONS = (COLLECTION, *PINNED_COLLECTIONS)
