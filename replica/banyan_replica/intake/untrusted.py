"""Which accounts are held here, and what strangers may take of the disk. Accounts are free, so without a share of their
own they would take it all.

What comes over the link of a peer that the operator did not name, of an account that nobody here hosts or follows, is
counted against the strangers' share: what it costs on the disk, and not only its own bytes. Once the share is used up,
nothing more of that kind is taken; everything else is. What a named peer brings is not counted, because that peer
limits its strangers itself. An account that people here care about has room, whoever brings it. Those who name accounts
of a node of chosen accounts have a part of the share kept for them, which others cannot fill. What is not taken stays a
difference and costs nobody points.

Nothing is dropped to make room: of two accounts that nobody here asked for, the new one is not the better one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice

from banyan_crdt.ids import AccountId, LogId, account_to_text, is_control
from banyan_replica.host import ReplicaHost
from banyan_replica.intake.storage_cost import ACCOUNT_PRICE, LOG_PRICE
from banyan_storage.local_tables import UNTRUSTED_BYTES, UNTRUSTED_TOTAL
from banyan_storage.store import Store

ACCOUNT_PART = 16
"""One account of strangers gets at most a part in so many of their share."""
HEARD_PART = 4
"""Those who name accounts of this node may take a part in so many of the share once it is used up."""
REVIEWED = 1_000
"""Counted accounts that are looked at again in one step: whether somebody here follows them by now."""


class UntrustedUsage:
    """Counts what strangers take. trusts(peer): whether the operator named it. It lives on the store's thread."""

    def __init__(self, store: Store, trusts: Callable[[str], bool], around: ReplicaHost) -> None:
        self._store, self._trusts, self._around = store, trusts, around
        self.most: int | None = None
        """Bytes that strangers may take; None: no bound, and nothing is counted."""
        self.allowance = ""
        """Where `most` comes from, for people."""
        self._cares: dict[AccountId, bool] = {}
        self._more: dict[AccountId, int] = {}
        """What was counted since the last `note`."""
        self.heard: Collection[AccountId] = ()
        """Accounts that are held because they name accounts of this node."""
        self._of_heard = 0
        """Bytes that they took, while the share is used up; as of the last second."""
        self._part: dict[AccountId, None] = {}
        """Accounts of which not all was taken though there is room for others."""
        self._used = self._noted()
        self._cursor: AccountId | None = None

    def allow(self, most: int | None, allowance: str) -> None:
        """See `most` and `allowance`."""
        self.most, self.allowance = most, allowance

    @property
    def used(self) -> int:
        """Bytes that strangers have taken."""
        return self._used

    @property
    def full(self) -> str:
        """Why nothing more of strangers is taken, a sentence without a full stop; empty while there is room."""
        if self.most is None or self._used < self.most:
            return ""
        return f"accounts of strangers take {self._used / 1e6:.1f} MB, and {self.allowance}"

    @property
    def part(self) -> str:
        """Of which account only a part is taken, though there is room for others, and why; empty if of none lately."""
        account = None if self.full else next(iter(self._part), None)
        return "" if account is None else f"{account_to_text(account)} is not taken whole: {self._beyond(account)}"

    def counts(self, peer: str, account: AccountId) -> bool:
        """Whether what the peer sends of the account is counted."""
        return self.most is not None and not self._trusts(peer) and not self._cared_for(account)

    def why_not(self, peer: str, account: AccountId) -> str:
        """Why nothing of the account is taken from the peer, a sentence without a full stop; empty if it is."""
        if self.most is None or self._trusts(peer):
            return ""
        kept = account in self.heard and self._of_heard < self.most // HEARD_PART
        full = "" if kept else self.full
        beyond = "" if full else self._beyond(account)
        if not (full or beyond) or self._cared_for(account):
            return ""
        if beyond:
            self._part[account] = None
        return full or beyond

    def _beyond(self, account: AccountId) -> str:
        """Why nothing more of this one account is taken, a sentence without a full stop; empty if it is."""
        part = (self.most or 0) // ACCOUNT_PART
        if self.most is None or self._used < part or (mine := self.of(account)) < part:
            return ""
        return (
            f"this account of a stranger takes {mine / 1e6:.1f} MB, and one may take 1/{ACCOUNT_PART} of what all "
            f"strangers may together; {self.allowance}"
        )

    def hold(self, accounts: Container[AccountId]) -> None:
        """Only these accounts are held from now on."""
        self._part = {account: None for account in self._part if account in accounts}

    def closed_to(self, peer: str) -> bool:
        """Whether to ask the peer for nothing but accounts by name, because most of what it has would not be taken."""
        return bool(self.full) and not self._trusts(peer)

    def took(self, log: LogId, cost: int, new: bool = False) -> None:
        """Something of a counted account was stored. cost: see storage_cost.py. new: whether the log was empty."""
        account = log.account
        if new:
            cost += ACCOUNT_PRICE if is_control(log) else LOG_PRICE
        if cost:
            self._more[account] = self._more.get(account, 0) + cost
            self._used += cost
            self._of_heard += cost if account in self.heard else 0

    def of(self, account: AccountId) -> int:
        """Bytes that are counted of the account."""
        return (UNTRUSTED_BYTES.get(self._store, account) or 0) + self._more.get(account, 0)

    def accounts(self) -> Iterator[tuple[AccountId, int]]:
        """The counted accounts, and bytes of each."""
        return UNTRUSTED_BYTES.rows(self._store)

    def note(self) -> None:
        """Writes what was counted. Call it before each commit."""
        if not self._more:
            return
        for account, more in sorted(self._more.items()):
            UNTRUSTED_BYTES.put(self._store, account, (UNTRUSTED_BYTES.get(self._store, account) or 0) + more)
        self._more.clear()
        UNTRUSTED_TOTAL.put(self._store, self._used)

    def release(self, account: AccountId) -> None:
        """The account is counted no longer: it was erased, or somebody here follows it."""
        mine = self.of(account)
        self._part.pop(account, None)
        if mine:
            self._more.pop(account, None)
            self._used -= mine
            UNTRUSTED_BYTES.put(self._store, account, None)
            UNTRUSTED_TOTAL.put(self._store, self._used)

    def review(self) -> None:
        """Once a second: while the share is used up, releases accounts that somebody here follows by now."""
        self._cares.clear()
        self._part = {one: None for one in self._part if self._beyond(one) and not self._cared_for(one)}
        self._of_heard = sum(map(self.of, self.heard)) if self.full else 0
        if not self.full:
            return
        accounts = [*islice(UNTRUSTED_BYTES.keys(self._store, after=self._cursor), REVIEWED)]
        for account in accounts:
            if self._around.is_wanted(account):
                self.release(account)
        self._cursor = accounts[-1] if len(accounts) == REVIEWED else None

    def forget(self) -> None:
        """After a rollback: what was counted since the last commit was not stored."""
        self._more.clear()
        self._used = self._noted()

    def _noted(self) -> int:
        return UNTRUSTED_TOTAL.get(self._store) or 0

    def _cared_for(self, account: AccountId) -> bool:
        found = self._cares.get(account)
        if found is None:
            found = self._cares[account] = self._around.is_wanted(account)
        return found


# Whether entries of an account are taken.


class AccountFilter:
    """again(): there is room again for what was not taken."""

    def __init__(self, strangers: UntrustedUsage, around: ReplicaHost, again: Callable[[], None]) -> None:
        self.strangers, self._around, self._again = strangers, around, again
        self.interest: AbstractSet[AccountId] | None = None
        """The accounts that are held, those that name accounts of this node included; None: all."""
        self.chosen: AbstractSet[AccountId] = frozenset()
        """Those of them that this node was told to hold."""
        self.control_only: AbstractSet[AccountId] = frozenset()
        """Those of them of which no logs but the control log are held."""
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

    def holds(self, log: LogId) -> bool:
        """Whether the log of an account that is held here is held."""
        return not log.log or log.account not in self.control_only

    def reads(self, log: LogId) -> bool:
        """Whether the log is held here, so that it is among what is read to peers."""
        return self.interesting(log.account) and self.holds(log)

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
