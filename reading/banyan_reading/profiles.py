"""Profiles, of many accounts at once; what is shown of each author of a page, the name and the picture, which is taken
from the seed, so that its content is not read; and the posts that an account pins to its profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import Face, PostView, ProfileView
from banyan_reading.questions import Questions
from banyan_schema.address import Target
from banyan_schema.social import PROFILE, ProfileField
from banyan_schema.social.profile import PINNED_COLLECTION, face_in
from banyan_storage.engine import after_prefix
from banyan_storage.slots import REGISTER, SHOWN, last
from banyan_storage.tables import RowLayout

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

_KIND, _END = PROFILE + REGISTER, after_prefix(PROFILE)
_ROW = RowLayout("slot 25 | place 8 | seed")
"""Of a register, as `SHOWN` has it."""

# What the rows say (questions.py).


def profile(ask: ViewReader, account: AccountId) -> ProfileView:
    return profiles(ask, [account])[account]


def profiles(ask: ViewReader, accounts: Iterable[AccountId]) -> dict[AccountId, ProfileView]:
    found = dict[AccountId, ProfileView]()
    for account, fields in _fields(ask, accounts, lambda seed: None):
        said = [one for _, one in sorted(fields.items()) if isinstance(one, ProfileField)]
        found[account] = ProfileView(account, tuple(said))
    return found


def faces(ask: ViewReader, accounts: Iterable[AccountId]) -> dict[AccountId, Face]:
    found = dict[AccountId, Face]()
    for account, fields in _fields(ask, accounts, face_in):
        name, avatar = fields.get("name"), fields.get("avatar")  # no picture if it was taken away, or is a text
        text = name.value if isinstance(name, ProfileField) else ""
        found[account] = Face(text, avatar if isinstance(avatar, bytes) else None)
    return found


def _fields(
    ask: ViewReader, accounts: Iterable[AccountId], avatar_in: Callable[[bytes], bytes | None]
) -> Iterator[tuple[AccountId, dict[str, ProfileField | bytes]]]:
    """Each account with the fields that its profile shows, by name. avatar_in: what in a seed is an avatar, whose
    content is not read then."""
    ask.need()
    wanted, txn = [*accounts], ask.reader.txn
    numbers, rows = ask.numbers(wanted), dict[AccountId, list[tuple[bytes, bytes | None]]]()
    for account, number in numbers.items():
        shown = map(_ROW.unpack, txn.dups(SHOWN, number, PROFILE, _END))
        rows[account] = [(place, avatar_in(seed)) for _, place, seed in shown]
    held = ask.contents(_KIND, [place for of in rows.values() for place, avatar in of if avatar is None])
    for account in wanted:
        found = dict[str, dict[bytes, ProfileField | bytes]]()
        for place, avatar in rows.get(account, ()):
            said = held.get(place) if avatar is None else avatar
            if isinstance(said, bytes):
                found.setdefault("avatar", {})[place] = said
            elif isinstance(said, ProfileField):
                found.setdefault(said.field, {})[place] = said
        yield account, {name: of[last(ask.reader, [*of])] for name, of in found.items()}


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
