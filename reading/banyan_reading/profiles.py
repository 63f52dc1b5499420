"""Profiles, of many accounts at once, and the posts that an account pins to its profile."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from banyan_crdt.ids import AccountId
from banyan_reading.answers import PostView, ProfileView
from banyan_reading.questions import Questions
from banyan_schema.address import Target
from banyan_schema.social import PROFILE, ProfileField
from banyan_schema.social.profile import PINNED_COLLECTION
from banyan_storage.slots import REGISTER, SHOWN, last
from banyan_storage.tables import RowLayout

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

_PLACE = RowLayout("coll 8 | kind 1 | key 16 | place 8").place
"""Of a register, as `SHOWN` has it."""

# What the rows say (questions.py).


def profile(ask: ViewReader, account: AccountId) -> ProfileView:
    return profiles(ask, [account])[account]


def profiles(ask: ViewReader, accounts: Iterable[AccountId]) -> dict[AccountId, ProfileView]:
    ask.need()
    found, fields = {account: ProfileView(account) for account in accounts}, dict[bytes, list[bytes]]()
    numbers = {number: account for account, number in ask.numbers(found).items()}
    for number, _, row in ask.reader.txn.beginning(SHOWN, [(number, PROFILE) for number in sorted(numbers)], None):
        fields.setdefault(number, []).append(row[_PLACE])
    held = ask.contents(PROFILE + REGISTER, [place for places in fields.values() for place in places])
    for number, places in fields.items():
        said = {place: one for place in places if isinstance(one := held.get(place), ProfileField)}
        names = {one.field: place for place, one in said.items()}
        if len(names) < len(said):
            for name in names:
                names[name] = last(ask.reader, [place for place, one in said.items() if one.field == name])
        found[numbers[number]] = ProfileView(numbers[number], tuple([said[names[name]] for name in sorted(names)]))
    return found


# The posts that an account pins to its profile.

MOST_PINS = 16
"""So many are shown, those that were pinned last."""
LOOKED = 200
"""So many are looked at: a pinned post may be deleted, and a liar may pin what there is not."""


def pinned(ask: Questions, account: AccountId) -> list[PostView]:
    """At most MOST_PINS posts, the one that was pinned last first."""
    latest = sorted(islice(ask.items(account, PINNED_COLLECTION), LOOKED), key=lambda item: -item.time_ms)
    targets = [Target(account, item.values[0]) for item in latest]
    views = ask.posts(targets)
    return [views[target] for target in targets if target in views][:MOST_PINS]
