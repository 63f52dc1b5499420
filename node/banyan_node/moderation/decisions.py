"""Decisions of moderators: what was decided, by whom, why, and whether it was taken back, kept for good, as the audit
log is not; and what accounts are told of it."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal, TypeAlias

from banyan_crdt.ids import AccountId, account_from_text
from banyan_storage import local_tables as local
from banyan_storage.errors import CorruptStore
from banyan_storage.local_state import LocalRows
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store
from banyan_storage.tables import part_key

OF_POSTS: frozenset[local.Verdict] = frozenset({"label", "hide", "withhold"})
_LARGEST = (1 << 64) - 1
Kind: TypeAlias = Literal["label", "hide", "limit", "suspend"]
HOLDS: dict[Kind, LocalRows[Any, local.Holds]] = {
    "label": local.LABELLED,
    "hide": local.HIDDEN,
    "limit": local.LIMITED,
    "suspend": local.SUSPENDED,
}
"""What holds here because of a decision: of a post (Target) or of an account. It is policy and not state, so other
nodes show what they like. Each row names the decision, so that one can be taken back while another one stands."""


def next_number(reader: StoreReader) -> int:
    return 1 + next(local.DECISIONS.keys(reader), 0)


def find(reader: StoreReader, number: int) -> local.DecisionNote | None:
    return local.DECISIONS.get(reader, number) if 0 < number < _LARGEST else None


def every(reader: StoreReader, after: int | None, damaged: list[int] | None = None) -> Iterator[local.DecisionNote]:
    """The newest first. damaged: gets the numbers of those that cannot be read, which are passed over."""
    return (one for _, one in local.DECISIONS.rows(reader, after=after, damaged=damaged))


def about(
    reader: StoreReader, account: AccountId, after: int | None, damaged: list[int] | None = None
) -> Iterator[local.DecisionNote]:
    """Those about an account and its posts, the newest first. damaged: as for `every`."""
    keys = local.DECISIONS_ABOUT.keys(reader, account, None if after is None else (account, after))
    return among(reader, (number for _, number in keys), damaged)


def among(
    reader: StoreReader, numbers: Iterable[int], damaged: list[int] | None = None
) -> Iterator[local.DecisionNote]:
    """Those of these numbers that are kept. damaged: as for `every`."""
    for number in numbers:
        try:
            found = find(reader, number)
        except CorruptStore:
            if damaged is not None:
                damaged.append(number)
            continue
        if found is not None:
            yield found


def put(store: Store, decision: local.DecisionNote) -> None:
    local.DECISIONS.put(store, decision.id, decision)
    local.DECISIONS_ABOUT.put(store, (account_from_text(decision.account), decision.id), True)


# What moderation tells accounts of this node: a report to its moderators, a decision to the author, the outcome to who
# reported. No entry says it. Each has a place among the notifications of the account, behind what arrived before it,
# where no operation is: an entry has at most 512 operations, and these places begin at OWN_PLACES.

OWN_PLACES, MOST_PLACES = 0x8000, 0xFFFF
KEPT = 200
"""Of one account; the oldest go."""


def tell(store: Store, account: AccountId, told: local.ModerationNotice) -> None:
    at = OWN_PLACES
    while at < MOST_PLACES and local.MODERATION_TOLD.has(store, (account, part_key(store.last_arrival, at))):
        at += 1
    local.MODERATION_TOLD.put(store, (account, part_key(store.last_arrival, at)), told)
    kept = [*islice(local.MODERATION_TOLD.keys(store, account), 2 * KEPT)]
    for key in kept[: max(0, len(kept) - KEPT)]:
        local.MODERATION_TOLD.put(store, key, None)


def forget(store: Store, account: AccountId) -> None:
    for key in [*local.MODERATION_TOLD.keys(store, account)]:
        local.MODERATION_TOLD.put(store, key, None)


def told(
    reader: StoreReader, account: AccountId, before: bytes | None
) -> Iterator[tuple[bytes, local.ModerationNotice]]:
    """(place, what), the newest first."""
    for (_, place), one in reversed([*local.MODERATION_TOLD.rows(reader, account)]):
        if before is None or place < before:
            yield place, one
