"""What readers of one process made of rows and will need again: names, posts, timelines.

Each thing is kept with what it was made of: accounts and posts. Before a reader takes
anything, all is forgotten that changes touched since (views/invalidation.py). So a thing is as the reader's own
snapshot has it, whoever wrote, here or in another process. There is one state at a time: a reader of an older snapshot,
a second reader at the same time, and readers while views are built keep nothing and get nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from banyan_crdt.ids import AccountId
from banyan_schema.address import Target
from banyan_storage.engine import ReadTxn
from banyan_storage.views import invalidation
from banyan_storage.views.invalidation import post_name

if TYPE_CHECKING:
    from banyan_reading.queries import Queries

T = TypeVar("T")
NAMES = 100_000
"""Of so many accounts and posts it is remembered when they were touched; then what is wrong by that goes."""
BYTES = 96 << 20
"""Memory of all that is kept, about. What was not used for longest goes first."""


_Thing: TypeAlias = tuple[object, list[bytes], int, int]
"""A value, of which accounts and posts it was made, its weight, and up to which change it is known to hold."""


class ReadCache:
    """Any thread."""

    def __init__(self, most_bytes: int = BYTES) -> None:
        self._most, self._turn = most_bytes, threading.Lock()
        self._at = -1
        """The change up to which things are forgotten."""
        self._things: OrderedDict[Hashable, _Thing] = OrderedDict()
        self._touched: dict[bytes, int] = {}
        """By account or post, a change since which what was made of it is wrong."""
        self._changes: deque[frozenset[bytes]] = deque(maxlen=invalidation.HELD)
        """The accounts of the last changes."""
        self.weight = 0

    @contextmanager
    def at(self, q: Queries, whole: bool = True) -> Iterator[CacheAccess]:
        """What is kept, as this snapshot has it, if all its views are built. whole: False: nothing is."""
        mine = whole and q.whole and self._turn.acquire(blocking=False)
        try:
            yield CacheAccess(self if mine and self._advance(q.reader.txn) else None, q.number)
        finally:
            if mine:
                self._turn.release()

    def _advance(self, txn: ReadTxn) -> bool:
        """Forgets what changed up to this snapshot. False if a later one was read already."""
        now = invalidation.last(txn)
        if now <= self._at:
            return now == self._at
        changes = invalidation.changes(txn, self._at) if self._at >= 0 else None
        if changes is None:
            self._things.clear()
            self._changes.clear()
            self.weight = 0
        for change in changes or ():
            self._changes.append(change.accounts)
            self._touched |= dict.fromkeys(change.accounts | change.posts, now)
        if len(self._touched) > NAMES:
            for key in [*self._things]:
                self.get(key)
            self._touched.clear()
        self._at = now
        return True

    # -- for `CacheAccess`

    @property
    def position(self) -> int:
        return self._at

    def get(self, key: Hashable) -> object | None:
        thing = self._things.get(key)
        if thing is None:
            return None
        value, of, _, at = thing
        for name in of:
            if self._touched.get(name, -1) > at:
                self.drop(key)
                return None
        self._things.move_to_end(key)
        return value

    def put(self, key: Hashable, value: object, of: list[bytes], weight: int) -> None:
        if key in self._things:
            self.drop(key)
        self._things[key] = (value, of, weight, self._at)
        self.weight += weight
        while self.weight > self._most and self._things:
            self.drop(next(iter(self._things)))

    def drop(self, key: Hashable) -> None:
        thing = self._things.pop(key, None)
        if thing is not None:
            self.weight -= thing[2]

    def accounts_since(self, position: int) -> set[bytes] | None:
        behind = self._at - position
        if behind > len(self._changes):
            return None
        return set[bytes]().union(*islice(reversed(self._changes), behind))


def _none(_: AccountId) -> None:
    """Nothing is held."""


class CacheAccess:
    """What one reader may take and keep. kept: None if nothing. number: of an account."""

    def __init__(self, kept: ReadCache | None = None, number: Callable[[AccountId], bytes | None] = _none) -> None:
        self._kept, self._number = kept, number

    @property
    def usable(self) -> bool:
        return self._kept is not None

    @property
    def position(self) -> int:
        """The state of the store: see `accounts_since`."""
        return -1 if self._kept is None else self._kept.position

    def get(self, key: Hashable) -> Any:
        """What was kept under this key and holds still, or None."""
        return None if self._kept is None else self._kept.get(key)

    def take(self, key: Hashable) -> Any:
        """The same, and it is not kept any more."""
        found = self.get(key)
        if self._kept is not None:
            self._kept.drop(key)
        return found

    def put(self, key: Hashable, value: object, of: Iterable[AccountId | Target], weight: int) -> None:
        """Keeps a value until something is touched of which it was made: accounts and posts. If nothing is held yet of
        one of these accounts, it is not kept. weight: bytes, about."""
        names = list[bytes]()
        for one in of if self._kept is not None else ():
            name = post_name(one.raw) if isinstance(one, Target) else self._number(one)
            if name is None:
                return
            names.append(name)
        if self._kept is not None:
            self._kept.put(key, value, names, weight)

    def made(self, key: Hashable, of: Iterable[AccountId | Target], weight: int, make: Callable[[], T]) -> T:
        """What was kept, or what `make` makes now, which is kept. It is never None."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found, of, weight)
        return cast("T", found)

    def accounts_since(self, position: int) -> set[bytes] | None:
        """The numbers of the accounts that were touched since that state; None: not known, perhaps all."""
        return None if self._kept is None else self._kept.accounts_since(position)
