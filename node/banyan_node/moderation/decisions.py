"""Decisions of moderators: what was decided, by whom, why, and whether it was taken back. They are kept for good, as
the audit log is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from banyan_crdt.ids import AccountId, account_from_text
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

Verdict: TypeAlias = Literal["nothing", "label", "hide", "withhold", "limit", "suspend", "pass_on"]
OF_POSTS: frozenset[Verdict] = frozenset({"label", "hide", "withhold"})
OF_ACCOUNTS: frozenset[Verdict] = frozenset({"limit", "suspend"})
_DECISION, _ABOUT = b"decision:", b"decisions about:"
_LARGEST = (1 << 64) - 1


class TakenBack(msgspec.Struct, frozen=True):
    """by: the DID of a moderator; None: the operator."""

    at_ms: int
    by: str | None
    why: str


class DecisionNote(msgspec.Struct, frozen=True):
    """by: the DID of a moderator; None: the operator. verdict: nothing is done; label: the posts are shown with `text`
    before them; hide: they are not shown here; withhold: their content is given to nobody here, by an order; limit:
    only followers see the account here; suspend: this node writes nothing for the hosted account; pass_on: the
    platform `to` was told. why: for the other moderators. text: for the author, and of a label for all."""

    id: int
    at_ms: int
    by: str | None
    verdict: Verdict
    account: str
    posts: list[str]
    report: int | None
    why: str
    text: str
    order: str
    basis: str
    scope: str
    days: int
    to: str
    undone: TakenBack | None


def next_number(reader: StoreReader) -> int:
    newest = next(reader.notes(_DECISION), None)
    return 1 if newest is None else _LARGEST - int.from_bytes(newest[0][-8:], "big") + 1


def find(reader: StoreReader, number: int) -> DecisionNote | None:
    raw = reader.note(_DECISION + _down(number)) if 0 < number < _LARGEST else None
    return None if raw is None else _read(raw)


def every(reader: StoreReader, after: int | None) -> Iterator[DecisionNote]:
    """The newest first."""
    return (_read(raw) for _, raw in reader.notes(_DECISION, None if after is None else _DECISION + _down(after)))


def about(reader: StoreReader, account: AccountId, after: int | None) -> Iterator[DecisionNote]:
    """Those about an account and its posts, the newest first."""
    start = None if after is None else _ABOUT + account + _down(after)
    for key, _ in reader.notes(_ABOUT + account, start):
        found = find(reader, _LARGEST - int.from_bytes(key[-8:], "big"))
        if found is not None:
            yield found


def put(store: Store, decision: DecisionNote) -> None:
    store.put_note(_DECISION + _down(decision.id), msgspec.json.encode(decision))
    store.put_note(_ABOUT + account_from_text(decision.account) + _down(decision.id), b"")


def _down(number: int) -> bytes:
    """Greater numbers stand before smaller ones."""
    return (_LARGEST - number).to_bytes(8, "big")


def _read(raw: bytes) -> DecisionNote:
    return msgspec.json.decode(raw, type=DecisionNote)
