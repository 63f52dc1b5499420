"""The frontier of some accounts of a store, and which accounts a node names to another."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from banyan_crdt.ids import Head, LogId
from banyan_crdt.logs import NOTHING
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.wire.messages import NAME_BYTES, Interest
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


# The accounts that one node names to another, in order, and how many of them the other keeps.
#
# A receiver keeps as many of the first names as it has room for; the others count as forgotten. It answers with the
# digest of those that it keeps. The sender finds their number, because each number of first names has its own digest.
#
# A receiver may lose any frame without a word, and older nodes charge points for more than `Limits.interest` names at a
# time. So a change is sent once the digest has shown what the receiver keeps of the last one, removals go first, and a
# name is added only if the receiver could have room for it whichever frames were lost.

FRAME = 16_384
"""Names in one frame: 256 kB."""
AGAIN_S = 15.0
"""A receiver with a wrong digest gets all names again after so long, one that keeps fewer gets more; the pause doubles
up to AGAIN_MOST_S. The first pause is long enough for the first frames to arrive."""
AGAIN_MOST_S = 3_600.0
LEAST = 1_024
"""A receiver that kept fewer names is sent so many the next time, and then twice as many each time."""
REPLACE, ADD, REMOVE = 0, 1, 2
"""What an `interest` frame does with the names before it."""


class Names:
    """Accounts in the order in which they were named, each by the first 16 bytes of its id."""

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        self.held: dict[bytes, None] = dict.fromkeys(names)
        self._sum = _summed(self.held)
        self._sums: npt.NDArray[np.uint64] | None = None
        """The sums of the first one, the first two and so on, once they are needed."""

    def __len__(self) -> int:
        return len(self.held)

    @property
    def digest(self) -> bytes:
        """8 bytes, the sum of the first halves. It detects losses; forging it gains nothing."""
        return self._sum.to_bytes(8, "big")

    def change(self, come: Collection[bytes], go: Collection[bytes]) -> None:
        """Removes `go`, of which all are held, and adds `come`, of which none is held."""
        for name in go:
            del self.held[name]
        self.held.update(dict.fromkeys(come))
        self._sum, self._sums = (self._sum + _summed(come) - _summed(go)) % (1 << 64), None

    def become(self, names: Names) -> None:
        """Holds the same names as another, in its order. `held` stays the object that it is, and so do names that stay:
        others have them too, and all together take megabytes."""
        same = {name: name for name in self.held}
        self.held.clear()
        self.held.update((same.get(name, name), None) for name in names.held)
        self._sum, self._sums = names._sum, None

    def receive(self, frame: Interest, room: int) -> tuple[list[bytes], list[bytes]]:
        """Does what a frame says, as far as `room` names go. Returns those that came and those that went."""
        named = dict.fromkeys(np.frombuffer(frame.names, f"V{NAME_BYTES}").tolist())
        if frame.how == REPLACE:
            named = dict.fromkeys(islice(named, room))
            go = [name for name in self.held if name not in named]
        else:
            go = [name for name in named if name in self.held] if frame.how == REMOVE else []
        come = [] if frame.how == REMOVE else [name for name in named if name not in self.held]
        come = come[: max(0, room - len(self) + len(go))]
        self.change(come, go)
        if frame.how == REPLACE:  # in its order
            self.held.clear()
            self.held.update(named)
        return come, go

    def cut(self, number: int) -> list[bytes]:
        """Forgets all but the first so many. Returns the others."""
        gone = list(islice(self.held, number, None))
        self.change((), gone)
        return gone

    def first(self, digest: bytes) -> int | None:
        """How many of the first names have this digest; None: no number of them."""
        if digest == self.digest:
            return len(self)
        if not any(digest):
            return 0
        if self._sums is None:
            self._sums = _halves(self.held).cumsum(dtype=np.uint64)
        found = np.flatnonzero(self._sums == np.uint64(int.from_bytes(digest, "big")))
        return int(found[0]) + 1 if len(found) else None


def _halves(names: Collection[bytes]) -> npt.NDArray[np.uint64]:
    return np.frombuffer(b"".join(names), ">u8")[::2].astype(np.uint64)


def _summed(names: Collection[bytes]) -> int:
    """The sum of their first halves. A frame may name 65,536, and posts wait for it."""
    return int(_halves(names).sum(dtype=np.uint64))


@dataclass(slots=True)
class SentNames:
    """What was named to one receiver. limit: no receiver may be made to hold more."""

    limit: int
    names: Names = field(default_factory=Names)
    """What the receiver holds once all frames have arrived, if it has room."""
    kept: int = 0
    """How many of the first of them it keeps, by its last digest."""
    known: bool = True
    """Whether its last digest showed that, and nothing was sent since that could change it."""
    others: set[bytes] = field(default_factory=set)
    """Names that it may hold besides, if frames were lost."""
    most: int = 1 << 32
    """It is named no more."""
    short: bool = False
    """Whether it had no room for what was sent last."""
    since: float = 0.0
    """When names were last sent, or it turned out to be short of room."""
    pause_s: float = AGAIN_S

    @property
    def keeps(self) -> Collection[bytes]:
        """The names that it keeps."""
        held = self.names.held
        return held if self.kept == len(held) else dict.fromkeys(islice(held, self.kept))

    def answered(self, digest: bytes, now: float) -> None:
        """The digest of what it keeps has come. Fewer names than were sent count once all had time to arrive."""
        kept = self.names.first(digest)
        whole, same = kept == len(self.names), self.short and kept == self.kept
        self.known = kept is not None and (whole or same or now >= self.since + AGAIN_S)
        if kept is None or not self.known:
            return
        self.kept = kept
        if whole:
            self.short = False
            self.others.clear()
        else:
            self.most, self.short, self.since = kept, True, self.since if same else now

    def again(self, ordered: Names, now: float, unique: bytes) -> list[Interest]:
        """The frames to send now that it answered. ordered: all that are to be named, the most important first; unique:
        a name that nobody has, by whose digest it is known that all names before it went."""
        if now >= self.since + self.pause_s:
            enough = self.known and self.kept >= len(ordered)
            self.pause_s = AGAIN_S if enough else min(2 * self.pause_s, AGAIN_MOST_S)
            if not self.known:
                return self._replace(unique, now)
            self.most, self.short = (1 << 32, False) if enough else (max(2 * self.kept, LEAST), True)
        return self.frames(ordered, now, unique)

    def frames(self, ordered: Names, now: float, unique: bytes) -> list[Interest]:
        """The frames after which it holds the first of these; none while it is not known what it keeps."""
        if not self.known:
            return []
        keeps, wanted = self.keeps, ordered.held
        if self.most < len(wanted):
            wanted = dict.fromkeys(islice(wanted, self.most))
        go = [name for name in keeps if name not in wanted]
        come = [name for name in wanted if name not in keeps]
        if not (go or come):
            return []
        self.others.update(self.names.cut(self.kept), go)
        if len(self.names) - len(go) + len(self.others.union(come)) > self.limit:
            if len(self.others) > len(go):
                return self._replace(unique, now)
            come = []  # once it is known that the others went
        self.others.difference_update(come)
        self.names.change(come, go)
        return self._sent(now, self.short and not go, *_frames(REMOVE, go), *_frames(ADD, come))

    def _replace(self, unique: bytes, now: float) -> list[Interest]:
        self.others.update(self.names.held)
        self.names, self.kept, self.most = Names([unique]), 0, max(self.most, LEAST)
        return self._sent(now, False, Interest(REPLACE, unique))

    def _sent(self, now: float, short: bool, *frames: Interest) -> list[Interest]:
        self.known, self.short, self.since = False, short, now
        return list(frames)


def _frames(how: int, names: list[bytes]) -> list[Interest]:
    return [Interest(how, b"".join(names[k : k + FRAME])) for k in range(0, len(names), FRAME)]
