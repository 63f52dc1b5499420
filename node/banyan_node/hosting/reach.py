"""Who is within so many follows of the accounts here, the nearest first. It knows no store and no clock.

The accounts here come first, then whom they follow, always. Of accounts that are more follows away as many are held as
`interest.max_accounts` leaves room for, one of each account that follows them in turn: who follows 300,000 accounts
takes no room from what others follow, and no more of their follows are read than are held.
"""

from collections.abc import Callable, Iterator

from banyan_crdt.ids import AccountId

PAGE = 32
"""How many follows of an account are read at first; then as many as were read before."""


class _Follows:
    """The first follows of an account. whole: there are no more."""

    __slots__ = ("accounts", "whole")

    def __init__(self) -> None:
        self.accounts: list[AccountId] = []
        self.whole = False

    def add(self, more: list[AccountId], asked: int) -> None:
        self.accounts += more
        self.whole = len(more) < asked


class Reach:
    """Who is within so many follows of some accounts, of those beyond the first follow `most` accounts in all."""

    def __init__(self, hops: int, most: int) -> None:
        self._hops, self._most = hops, most
        self.known: dict[AccountId, _Follows] = {}
        """By account, those of which follows are needed."""
        self._roots: list[AccountId] | None = None
        self._found: tuple[AccountId, ...] = ()
        self.near = 0
        """How many of the first ones of those that were found are accounts here, or followed by them."""

    def update(
        self,
        roots: list[AccountId],
        again: list[AccountId],
        follows_of: Callable[[AccountId, AccountId | None, int], list[AccountId]],
    ) -> tuple[AccountId, ...]:
        """The accounts, the nearest first; the same object while they are the same. again: accounts that may follow
        others now. follows_of: what an account follows, by id: those after one, and how many at most."""
        if roots == self._roots and not again:
            return self._found
        for account in again:
            del self.known[account]
        before, self.known, self._roots = self.known, {}, roots
        found, edge, near = dict.fromkeys(roots), roots, len(roots)
        for hop in range(self._hops):
            inner = len(found)
            for account in edge if hop == 0 or inner < self._most else ():
                self.known[account] = before.get(account) or _Follows()
            for account in _in_turn([self._each(account, follows_of) for account in edge if account in self.known]):
                if hop > 0 and len(found) >= self._most:
                    break
                found[account] = None
            edge = [*found][inner:]
            near = len(found) if hop == 0 else near
        if ((whole := tuple(found)), near) != (self._found, self.near):
            self._found, self.near = whole, near
        return self._found

    def _each(
        self, account: AccountId, follows_of: Callable[[AccountId, AccountId | None, int], list[AccountId]]
    ) -> Iterator[AccountId]:
        """Whom the account follows, read as far as they are asked for."""
        known, n = self.known[account], 0
        while True:
            yield from known.accounts[n:]
            n = len(known.accounts)
            if known.whole:
                return
            number = max(PAGE, n)
            known.add(follows_of(account, known.accounts[-1] if n else None, number), number)


def _in_turn(each: list[Iterator[AccountId]]) -> Iterator[AccountId]:
    """One of each in turn."""
    while each:
        left = list[Iterator[AccountId]]()
        for one in each:
            account = next(one, None)
            if account is not None:
                yield account
                left.append(one)
        each = left
