"""What readers of one process made of rows and will need again: names, posts, timelines.

Each thing is kept with what it was made of: accounts and posts. It is not given out after a change touched one of them
(views/invalidation.py). So a thing is as the reader's own snapshot has it, whoever wrote, here or in another process.
There is one state at a time: a reader of an older snapshot, a second reader at the same time, and readers while views
are built have an empty cache of their own.
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
        self._number: Callable[[AccountId], bytes | None] = _none

    @contextmanager
    def at(self, q: Queries, whole: bool = True) -> Iterator[ReadCache]:
        """What is kept, as this snapshot has it, if all its views are built; else, and if not `whole`, an empty one."""
        mine = whole and q.whole and self._turn.acquire(blocking=False)
        found = self
        try:
            found = self if mine and self._advance(q.reader.txn) else ReadCache()
            found._number = q.number
            yield found
        finally:
            found._number = _none  # it refers to the snapshot
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

    # -- for the reader of a snapshot

    @property
    def position(self) -> int:
        """The state of the store: see `accounts_since`."""
        return self._at

    def get(self, key: Hashable) -> Any:
        """What was kept under this key and holds still, or None."""
        thing = self._things.get(key)
        if thing is None:
            return None
        value, of, _, at = thing
        for name in of:
            if self._touched.get(name, -1) > at:
                return self._drop(key)
        self._things.move_to_end(key)
        return value

    def take(self, key: Hashable) -> Any:
        """The same, and it is not kept any more."""
        found = self.get(key)
        self._drop(key)
        return found

    def put(self, key: Hashable, value: object, of: Iterable[AccountId | Target], weight: int) -> None:
        """Keeps a value until something is touched of which it was made: accounts and posts. If nothing is held yet of
        one of these accounts, it is not kept. weight: bytes, about."""
        names = list[bytes]()
        for one in of:
            name = post_name(one.raw) if isinstance(one, Target) else self._number(one)
            if name is None:
                return
            names.append(name)
        if key in self._things:
            self._drop(key)
        self._things[key] = (value, names, weight, self._at)
        self.weight += weight
        while self.weight > self._most and self._things:
            self._drop(next(iter(self._things)))

    def made(self, key: Hashable, of: Iterable[AccountId | Target], weight: int, make: Callable[[], T]) -> T:
        """What was kept, or what `make` makes now, which is kept. It is never None."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found, of, weight)
        return cast("T", found)

    def accounts_since(self, position: int) -> set[bytes] | None:
        """The numbers of the accounts that were touched since that state; None: not known, perhaps all."""
        behind = self._at - position
        if behind > len(self._changes):
            return None
        return set[bytes]().union(*islice(reversed(self._changes), behind))

    def _drop(self, key: Hashable) -> None:
        thing = self._things.pop(key, None)
        if thing is not None:
            self.weight -= thing[2]


def _none(_: AccountId) -> None:
    """Nothing is held."""
