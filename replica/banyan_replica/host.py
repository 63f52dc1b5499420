"""What a replica asks of the node around it, and what it tells it at once, inside the open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId


class PartItem(NamedTuple):
    """A piece of content: the operation that names it, and its bytes."""

    entry: EntryId
    op: int
    raw: bytes


class ReplicaHost:
    """Called on the replica's thread only. What stands here is a replica alone, as in a simulation: nothing is ours or
    dropped, everybody is a stranger, nothing waits, all is folded at once, and nobody listens."""

    # -- what is ours, and what is wanted

    def hosted(self) -> Iterable[AccountId]:
        """The accounts of this node's own people."""
        return ()

    def is_hosted(self, account: AccountId) -> bool:
        """Whether it is one of them. For these there is always room."""
        return False

    def is_wanted(self, account: AccountId) -> bool:
        """Whether somebody here hosts or follows the account. Others count against the strangers' share."""
        return False

    def is_dropped(self, account: AccountId) -> bool:
        """Whether the operator dropped the account: it is not held for naming an account of this node."""
        return False

    # -- how busy the node is

    def unread(self, peer: str) -> int:
        """Bytes of a peer that came, and that the replica was not given yet."""
        return 0

    def is_held(self, peer: str) -> bool:
        """Whether the node does not read from the peer, or did not until lately: it cannot be called slow then."""
        return False

    def has_to_wait(self, peer: str) -> bool:
        """Whether reading the peer's share has to wait now."""
        return False

    def is_busy(self) -> bool:
        """Whether own people work, so that frames are to be small."""
        return False

    def folds_later(self, account: AccountId) -> bool:
        """A peer sent a long run of the account. Whether the node folds it into the views later, in steps
        (`Store.fold_again`); else that is done now."""
        return False

    # -- what came

    def came(self, account: AccountId, added: Sequence[Entry]) -> bool:
        """Entries came from a peer, and count. Whether content of them is given to nobody."""
        return False

    def content_came(self, items: Sequence[PartItem]) -> None:
        """The store has content that came later than its entries."""

    def stated(self, entry: EntryId, op: int, reason: bytes) -> None:
        """A valid statement came about content that was asked for."""

    def statement(self, entry: EntryId, op: int) -> bytes | None:
        """A statement about an operation without content, for a peer that asks for it."""
        return None

    def join(self, peer: str, invitation: bytes, card: bytes, sig: bytes) -> tuple[int, bytes] | None:
        """A peer says that it was invited to this node's alliance. What it is answered (`Joined`); None: nothing."""
        return None

    def joined(self, peer: str, state: int, answer: bytes) -> None:
        """A peer answered `CharterExchange.join`."""

    def answered(self, peer: str, said: Mapping[tuple[EntryId, int], bytes], now: float) -> None:
        """A peer answered what `ask_about` asked: the statement about each, empty where there was none."""


ALONE = ReplicaHost()
