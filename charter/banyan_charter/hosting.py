"""Which accounts are kept because members of a charter host them.

A member lists its accounts in batches, in its own log. An account counts for it if the list has it **and** the
account's control log names the member (`host`). Either alone would be taken: by the list alone a member speaks for
people who never came, by the control log alone strangers use up its quota.

The first places of a list are the member's, `quota` of them; **age is the place**, not a claimed time, so a flood never
locks out those who came before it. A place is taken whether or not its account agrees: so a member that lists others'
accounts spends its own places, and nobody reads more control logs than it has. People whom the member attests have as
many places apart, and few are for accounts elsewhere that it vouches for.

    placed  the control log is held, by everybody: else nodes that lack a newer one would never hear of it
    kept    all logs are

Both are functions of parameters, seats, lists and control logs. What an hour may bring is a pace of the one who takes
(`HostingPace`), by its own clock: a member claims the times of its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from banyan_charter.values import Parameters, Seat
from banyan_crdt.ids import AccountId

BATCH = 512
"""The most accounts of a batch."""
VOUCHED_PART = 100
"""A member vouches for one account for so many that it may host, and for one at least."""
HOUR_S = 3_600.0


class Standing(IntEnum):
    """What a member says of the accounts of a batch."""

    HOSTED = 0
    ATTESTED = 1
    """Hosted, and the member knows the person."""
    VOUCHED = 2
    """Hosted elsewhere; the member wishes that others keep it."""


class Batch(NamedTuple):
    """A part of a member's list. number: its place among the batches; of equal ones the key decides."""

    number: int
    key: bytes
    standing: Standing
    accounts: tuple[AccountId, ...]
    hourly: int | None = None
    """New accounts an hour, if the member wants less than the charter lets it have; the last batch says it."""


class Places(NamedTuple):
    """What a member's list comes to. placed: the accounts that have a place. waiting: those beyond the quota, in their
    order. twice: how many places of the list name an account again, which count for nothing."""

    placed: dict[AccountId, Standing]
    waiting: tuple[AccountId, ...]
    twice: int
    hourly: int


def places(parameters: Parameters, batches: Iterable[Batch]) -> Places:
    """The places of one member. The first place of an account is its place."""
    room = {
        Standing.HOSTED: parameters.quota,
        Standing.ATTESTED: parameters.quota,
        Standing.VOUCHED: max(1, parameters.quota // VOUCHED_PART),
    }
    placed, waiting, twice, hourly = dict[AccountId, Standing](), dict[AccountId, None](), 0, parameters.hourly
    for batch in sorted(batches, key=lambda one: one[:2]):
        for account in batch.accounts:
            if account in placed or account in waiting:
                twice += 1
            elif room[batch.standing]:
                room[batch.standing] -= 1
                placed[account] = batch.standing
            else:
                waiting[account] = None
        hourly = parameters.hourly if batch.hourly is None else min(batch.hourly, parameters.hourly)
    return Places(placed, tuple(waiting), twice, hourly)


def counts_for(member: AccountId, standing: Standing, host: AccountId | None) -> bool:
    """Whether an account with a place in the member's list is kept for it. host: whom its control log names."""
    return standing is Standing.VOUCHED or host == member


HostOf = Callable[[AccountId], AccountId | None]
"""Whom the control log of an account names; None: nobody, or the log is not held."""


def places_by_member(
    parameters: Parameters, seats: Iterable[Seat], lists: Mapping[AccountId, Iterable[Batch]]
) -> dict[AccountId, Places]:
    """In the order of members. The list of who has no seat says nothing: the accounts of an expelled member count again
    once they have moved."""
    return {member: places(parameters, lists.get(member, ())) for member in sorted(seat.member for seat in seats)}


def kept(parameters: Parameters, listed: Mapping[AccountId, Places], host_of: HostOf) -> dict[AccountId, AccountId]:
    """The accounts that are kept, and for which member. listed: see `places_by_member`. Members and
    roles are kept for themselves."""
    out = {account: account for account in (*listed, *sorted(parameters.roles))}
    for member, found in listed.items():
        for account, standing in found.placed.items():
            if counts_for(member, standing, host_of(account)):
                out.setdefault(account, member)
    return out


class HostingPace:
    """How fast one node takes new accounts of one member: `quota` at once, so that a newcomer need not wait, and then
    `hourly` an hour. So who lists, drops and lists others again costs the others no more than that."""

    def __init__(self, quota: int, now: float) -> None:
        self._left, self._at, self._most = float(quota), now, quota

    def takes(self, hourly: int, now: float) -> bool:
        """Whether one more is taken now (seconds of any clock that does not go back), and counts it."""
        self._left = min(self._most, self._left + max(0.0, now - self._at) * hourly / HOUR_S)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
