"""What holds at this node because moderators decided it: posts with a label, hidden posts, limited accounts, and hosted
accounts that are suspended.

It is policy and not state: local notes, of which nothing is sent to peers. Other nodes show what they like. Each note
names the decision, so that a decision can be taken back while another one stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import AccountId
from banyan_reading.queries import HIDDEN
from banyan_schema.address import Target
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

Kind: TypeAlias = Literal["label", "hide", "limit", "suspend"]
_NOTES: dict[Kind, bytes] = {
    "label": b"labelled post:",
    "hide": HIDDEN,
    "limit": b"limited account:",
    "suspend": b"suspended account:",
}


class Holds(NamedTuple):
    """decision: the number of it. text: a label, or what people are told."""

    decision: int
    text: str


def put(store: Store, kind: Kind, about: bytes, holds: Holds | None) -> None:
    """about: account, or account and key of a post. None: it holds no more."""
    raw = None if holds is None else encode([holds.decision, holds.text.encode()])
    store.put_note(_NOTES[kind] + about, raw)


def find(reader: StoreReader, kind: Kind, about: bytes) -> Holds | None:
    raw = reader.note(_NOTES[kind] + about)
    return None if raw is None else _read(raw)


def every(reader: StoreReader, kind: Kind) -> Iterator[tuple[bytes, Holds]]:
    """(account, or account and key; what holds)."""
    name = _NOTES[kind]
    return ((key[len(name) :], _read(raw)) for key, raw in reader.notes(name))


def limited(reader: StoreReader) -> Iterator[AccountId]:
    """The accounts that only those see who follow them."""
    return (AccountId(about) for about, _ in every(reader, "limit"))


def label_of(reader: StoreReader, post: Target) -> str | None:
    found = find(reader, "label", post.account + post.key)
    return None if found is None else found.text


def labels(reader: StoreReader) -> bool:
    """Whether any post has one."""
    return next(every(reader, "label"), None) is not None


def _read(raw: bytes) -> Holds:
    number, text = decode(raw)
    return Holds(number, text.decode())
