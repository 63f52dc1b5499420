"""Decisions of moderators: what was decided, by whom, why, and whether it was taken back. They are kept for good, as
the audit log is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from banyan_crdt.ids import AccountId, account_from_text
from banyan_storage.local_state import LocalRows
from banyan_storage.local_tables import (
    DECISIONS,
    DECISIONS_ABOUT,
    HIDDEN,
    LABELLED,
    LIMITED,
    SUSPENDED,
    DecisionNote,
    Holds,
    Verdict,
)
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

OF_POSTS: frozenset[Verdict] = frozenset({"label", "hide", "withhold"})
OF_ACCOUNTS: frozenset[Verdict] = frozenset({"limit", "suspend"})
_LARGEST = (1 << 64) - 1
Kind: TypeAlias = Literal["label", "hide", "limit", "suspend"]
HOLDS: dict[Kind, LocalRows[Any, Holds]] = {
    "label": LABELLED,
    "hide": HIDDEN,
    "limit": LIMITED,
    "suspend": SUSPENDED,
}
"""What holds here because of a decision: of a post (Target) or of an account. It is policy and not state, so other
nodes show what they like. Each row names the decision, so that one can be taken back while another one stands."""


def next_number(reader: StoreReader) -> int:
    return 1 + next(DECISIONS.keys(reader), 0)


def find(reader: StoreReader, number: int) -> DecisionNote | None:
    return DECISIONS.get(reader, number) if 0 < number < _LARGEST else None


def every(reader: StoreReader, after: int | None) -> Iterator[DecisionNote]:
    """The newest first."""
    return (one for _, one in DECISIONS.rows(reader, after=after))


def about(reader: StoreReader, account: AccountId, after: int | None) -> Iterator[DecisionNote]:
    """Those about an account and its posts, the newest first."""
    for _, number in DECISIONS_ABOUT.keys(reader, account, None if after is None else (account, after)):
        if (found := find(reader, number)) is not None:
            yield found


def put(store: Store, decision: DecisionNote) -> None:
    DECISIONS.put(store, decision.id, decision)
    DECISIONS_ABOUT.put(store, (account_from_text(decision.account), decision.id), True)
