"""What is shown of an account beside what it says: its name, its picture and its pinned posts. Name and picture are
read for each author of a page, so the picture is taken from the seed, and its content is not read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import Face, PostView
from banyan_reading.questions import Questions
from banyan_schema.address import Target
from banyan_schema.social import PROFILE, ProfileField
from banyan_schema.social.profile import PINNED_COLLECTION, face_in
from banyan_storage.engine import after_prefix
from banyan_storage.slots import all_shown, last

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader


def face(ask: ViewReader, account: AccountId) -> Face:
    """As its profile has them: if two cells are of one field, the later write is shown. Raises ViewBuilding."""
    ask.need()
    number, names, avatars = ask.number(account), dict[bytes, str](), dict[bytes, bytes | None]()
    for slot, place, seed in all_shown(ask.reader.txn, number, PROFILE, after_prefix(PROFILE)) if number else ():
        avatar = face_in(seed)
        if avatar is not None:
            avatars[place] = avatar
            continue
        said = ask.content(slot, place)
        if isinstance(said, ProfileField) and said.field == "name":
            names[place] = said.value
        elif isinstance(said, ProfileField) and said.field == "avatar":
            avatars[place] = None  # it was taken away, or is a text
    return Face(
        names[last(ask.reader, [*names])] if names else "", avatars[last(ask.reader, [*avatars])] if avatars else None
    )


# The posts that an account pins to its profile.

MOST_PINS = 16
"""So many are shown, those that were pinned last."""
LOOKED = 200
"""So many are looked at: a pinned post may be deleted, and a liar may pin what there is not."""


def pinned(ask: Questions, account: AccountId) -> list[PostView]:
    """At most SHOWN posts, the one that was pinned last first."""
    latest = sorted(islice(ask.items(account, PINNED_COLLECTION), LOOKED), key=lambda item: -item.time_ms)
    return list(islice(_shown(ask, account, [item.values[0] for item in latest]), MOST_PINS))


def _shown(ask: Questions, account: AccountId, keys: list[CellKey]) -> Iterator[PostView]:
    for key in keys:
        view = ask.post(Target(account, key))
        if view is not None:
            yield view
