"""Whether entries of an account are taken: which accounts are held here, and whether there is room for others."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from banyan_crdt.ids import AccountId
from banyan_replica.intake.strangers import Strangers
from banyan_replica.surroundings import Surroundings


class Room:
    """again(): there is room again for what was not taken."""

    def __init__(self, strangers: Strangers, around: Surroundings, again: Callable[[], None]) -> None:
        self.strangers, self._around, self._again = strangers, around, again
        self.interest: AbstractSet[AccountId] | None = None
        """The accounts that are held, those that name accounts of this node included; None: all."""
        self.chosen: AbstractSet[AccountId] = frozenset()
        """Those of them that this node was told to hold."""
        self.full = ""
        """Why there is no room for entries of others, a sentence without a full stop; empty while there is."""
        self._shut = False
        """Whether something was not taken for want of room since there was some: room comes back between two looks."""

    def hold(self, interest: AbstractSet[AccountId] | None) -> None:
        """Sets `interest`."""
        self.interest = interest
        if interest is not None:
            self.strangers.hold(interest)

    def interesting(self, account: AccountId) -> bool:
        """Whether the account is held here."""
        return self.interest is None or account in self.interest

    def set_room(self, full: str, strangers: int | None = None, allowance: str = "") -> None:
        """Takes no entries and no content of others while `full` says why, and goes on with the node's own accounts. It
        is not the peers' fault, so it costs them nothing. Empty: there is room again. strangers, allowance: bytes that
        strangers may take, and why so many."""
        self._shut |= bool(self.full or self.strangers.full)
        self.full = full
        self.strangers.allow(strangers, allowance)
        if self._shut and not (full or self.strangers.full):
            self._shut = False
            self._again()

    def why_not(self, peer: str, account: AccountId) -> str:
        """Why no entries of the account are taken from the peer now, a sentence without a full stop; empty if they are.
        What is not taken stays a difference, and is asked for once there is room again; it costs the sender nothing."""
        if self.full:
            return "" if self._around.is_hosted(account) else f"nothing of others is taken: {self.full}"
        why = self.strangers.why_not(self._bringer(peer), account)
        self._shut |= bool(why and self.strangers.full)
        return why

    def wanted(self, peer: str, account: AccountId) -> bool:
        """Whether an entry of the account that the peer pushes is judged."""
        return self.interesting(account) and not self.why_not(peer, account)

    def counted(self, peer: str, account: AccountId) -> bool:
        """Whether what the peer sends of the account is counted as a stranger's."""
        return self.strangers.counts(self._bringer(peer), account)

    def _bringer(self, peer: str) -> str:
        """Who is asked whether strangers' entries are counted: on a node of chosen accounts nobody whom the operator
        named. What it takes of strangers is what those follow whom its people follow, and a named peer, which may have
        a hundred times its disk, bounds it as that disk allows."""
        return peer if self.interest is None else ""

    def closed_to(self, peer: str) -> bool:
        """Whether most of what the peer has would not be taken, so that comparing finds the same again and again. Where
        only chosen accounts are compared, what people here follow is among them."""
        return bool(self.full) or (self.interest is None and self.strangers.closed_to(peer))
