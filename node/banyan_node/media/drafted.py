"""Blobs that drafts name: kept here, and given to those alone who can read the draft.

Nothing that others can see names them. A node notes the blobs of drafts of the accounts for which it writes
(hosting/drafts.py); these notes are what is read here, on any thread.
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.blob import HASH_BYTES, BlobRoot
from banyan_crdt.ids import AccountId
from banyan_replica.wire.blobs import draft_token
from banyan_storage.due import Work, planned
from banyan_storage.engine import ReadTxn

MOST = 4_096
"""Blobs among which one is looked for that a peer asks for: each costs a hash."""


class Drafted(NamedTuple):
    """draft: its id."""

    root: BlobRoot
    account: AccountId
    draft: bytes

    @property
    def key(self) -> bytes:
        """Of the note."""
        return self.root + self.account + self.draft


def drafted(txn: ReadTxn, beginning: bytes = b"", most: int = MOST) -> list[Drafted]:
    """Those whose root begins so, by root."""
    return [drafted_of(key) for key in planned(txn, Work.KEEP, beginning, most)]


def drafted_of(key: bytes) -> Drafted:
    return Drafted(BlobRoot(key[:HASH_BYTES]), AccountId(key[HASH_BYTES : HASH_BYTES + 32]), key[HASH_BYTES + 32 :])


def is_in_draft(txn: ReadTxn, root: BlobRoot) -> bool:
    """Whether a draft names it."""
    return bool(drafted(txn, root, 1))


def root_for(txn: ReadTxn, token: bytes, peer: str) -> BlobRoot | None:
    """The blob that this peer asks for by a token, which says that it can read the draft."""
    return next((one.root for one in drafted(txn) if draft_token(one.root, one.draft, peer) == token), None)
