"""The frontier of some accounts of a store."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain, islice

from banyan_crdt.ids import Head, LogId
from banyan_crdt.logs import NOTHING
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.wire import NAME_BYTES
from banyan_storage.engine import after_prefix
from banyan_storage.reader import StoreReader

AT_ONCE = 1_000
"""The most accounts or heads that are added or removed in one step; for more, the share is read again, in slices."""


class _Chosen:
    """The heads of some accounts of a store: a `FrontierSource`. It refers to no index, so an index that is replaced
    is gone at once: each takes megabytes, and a peer may have its share read again at every moment."""

    last_arrival = -1  # no store has this value, so the index reads in slices and not at once

    def __init__(self, store: StoreReader, names: dict[bytes, None]) -> None:
        self.names = names
        self._store = store
        self._sorted: list[bytes] | None = None

    def change(self, come: Collection[bytes], go: Collection[bytes]) -> None:
        self._sorted = None
        for name in go:
            self.names.pop(name, None)
        self.names.update(dict.fromkeys(come))

    def ordered(self) -> list[bytes]:
        if self._sorted is None:
            self._sorted = sorted(self.names)
        return self._sorted

    def some(self, names: Collection[bytes]) -> list[tuple[LogId, Head]] | None:
        """The heads of these accounts; None if they are too many for one step."""
        each = (self._store.all_heads(name, after_prefix(name)) for name in names)
        heads = list(islice(chain.from_iterable(each), AT_ONCE + 1))
        return heads if len(heads) <= AT_ONCE else None

    def head(self, log: LogId) -> Head:
        return self._store.head(log) if log.account[:NAME_BYTES] in self.names else NOTHING

    def all_heads(self, start: bytes | None = None, stop: bytes | None = None) -> Iterator[tuple[LogId, Head]]:
        """Walks the store and skips accounts that are not chosen, and names that the store lacks."""
        names, at = self.ordered(), bisect_left(self.ordered(), (start or b"")[:NAME_BYTES])
        while at < len(names) and (stop is None or names[at] < stop):
            leap: bytes | None = None
            for log, head in self._store.all_heads(max(start or b"", names[at]), stop):
                name = log.account[:NAME_BYTES]
                if name not in self.names:
                    leap = name
                    break
                yield log, head
            if leap is None:
                return
            at = bisect_left(names, leap)

    def note(self, key: bytes) -> bytes | None:
        return None

    def put_note(self, key: bytes, value: bytes | None) -> None:
        return


class PartialFrontier:
    """The frontier of some accounts of the store, and its index."""

    def __init__(
        self, store: StoreReader, public: bytes, names: dict[bytes, None], wakes: Callable[[], None] = lambda: None
    ) -> None:
        """names: may be those of a `Names`, which change at the same time. wakes: see `FrontierIndex`."""
        self.source, self._public, self._wakes = _Chosen(store, names), public, wakes
        self._pending = True
        """Whether the index may contain heads that are not durable."""
        self._read_again()

    @property
    def names(self) -> Mapping[bytes, None]:
        return self.source.names

    def change(self, come: Collection[bytes], go: Collection[bytes]) -> int:
        """Adds and removes accounts. Returns how many names and heads were or must be read. Call it only when no write
        is waiting."""
        if not (come or go):
            return 0
        self._pending = True
        few = len(come) + len(go) <= AT_ONCE
        gone = self.source.some(go) if few else None
        self.source.change(come, go)
        came = self.source.some(come) if few else None
        if gone is None or came is None:
            self._read_again()
            return (AT_ONCE if few else 0) + len(self.names)
        for log, head in gone:
            self.tree.moved(log, head, NOTHING)
        for log, head in came:
            self.tree.moved(log, NOTHING, head)
        return len(come) + len(go) + len(gone) + len(came)

    def durable(self) -> None:
        self._pending = False
        self.tree.durable()

    def rolled_back(self) -> None:
        if self._pending:
            self._read_again()
        else:
            self.tree.rolled_back()

    def below(self, prefix: bytes) -> int:
        """How many names are below a prefix of nibbles; listing the heads there may have to read all of them."""
        names, nibbles = self.source.ordered(), prefix[: 2 * NAME_BYTES]
        first = int.from_bytes(bytes.fromhex(nibbles.hex()[1::2].ljust(2 * NAME_BYTES, "0")), "big")
        after = first + (1 << 128 - 4 * len(nibbles))
        last = len(names) if after >> 128 else bisect_left(names, after.to_bytes(NAME_BYTES, "big"))
        return last - bisect_left(names, first.to_bytes(NAME_BYTES, "big"))

    def _read_again(self) -> None:
        self.tree = FrontierIndex(self.source, self._public, wakes=self._wakes)
