"""Where every log stands, in a form that arithmetic can read: 48 bytes a log in arrays, and sums over all of them.

A log is a row: two words of its name, two of its head's id, its length and flag. From these and a key come its place
and weight (sketch.py) without hashing anything again, so a table under a key that nobody could foresee is one pass of
numpy over the rows. Tables follow heads that move, by differences; the one under the realm's key is always there,
others are built on demand. All that is long is done in slices (`work`): reading the frontier at start, and building.

`count` and `root` are right from the first moment: they are noted in the transaction that moves heads, and the reading
at start proves or replaces the note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from banyan_crdt.frontier import head_item
from banyan_crdt.ids import AccountId, H, Head, LogId
from banyan_node.frontier_table import DEPTH, FrontierTable, Range
from banyan_node.sketch import (
    FEW,
    LENGTH_BITS,
    Indexes,
    Key,
    Numbers,
    P,
    fingerprint,
    key_of,
    place,
    places,
    weight,
    weights,
)

SLICE = 16_384
"""Rows that one call of `work` puts into a table: about 10 ms."""
READ = 4_096
"""Heads that it reads from the store: the same."""
Sizes: TypeAlias = npt.NDArray[np.uint32]
"""Length and flag of a head in 32 bits; 0 for no head."""
TOGETHER = 1_024
"""Heads that move in one go: alone, one costs ten times as much."""
JOURNAL = 65_536
"""Heads that are remembered one by one between commits, or while the frontier is being read."""
_MOD = 1 << 256
_NOTE, _NO_ID = b"frontier", bytes(32)


class FrontierSource(Protocol):
    @property
    def last_arrival(self) -> int: ...

    def head(self, log: LogId) -> Head: ...

    def all_heads(self, start: bytes | None = None, stop: bytes | None = None) -> Iterator[tuple[LogId, Head]]: ...

    def note(self, key: bytes) -> bytes | None: ...

    def put_note(self, key: bytes, value: bytes | None) -> None: ...


class FrontierIndex:
    """Rows, the table under the public key, and tables under other salts while somebody compares by them."""

    def __init__(self, source: FrontierSource, public: bytes) -> None:
        self._source, self._public = source, key_of(public)
        self._since: dict[LogId, Head] = {}
        """Heads that moved and may not be durable; more than JOURNAL of them, and a rollback reads everything anew."""
        self._moves: dict[LogId, Head] = {}
        """Heads whose rows and tables have not followed yet."""
        self._start()
        noted = source.note(_NOTE) or b""
        self._count, self._sum = int.from_bytes(noted[:8], "big"), int.from_bytes(noted[8:40], "big")
        self._noted = int.from_bytes(noted[40:], "big") if len(noted) == 48 else -1
        """The last arrival that the note knows of."""
        if self._noted != source.last_arrival:
            while not self.ready:  # nothing is known of the root: whoever is told one would be told a lie
                self.work()

    def _start(self) -> None:
        self._n = 0
        self._x0, self._x1, self._y0, self._y1 = (np.zeros(0, np.uint64) for _ in range(4))
        self._size = np.zeros(0, np.uint32)
        self._places, self._order = np.zeros(0, np.uint64), np.zeros(0, np.uint32)
        self._later: dict[int, tuple[int, ...]] = {}
        """Rows by place, of those that came after the last sorting."""
        self._tables = {b"": FrontierTable(self._public)}
        self._read: tuple[LogId | None, int, int] | None = (None, 0, 0)
        """While the frontier is being read: (the log reached, heads so far, their sum)."""

    # -- where everything stands

    @property
    def count(self) -> int:
        """How many logs have a head."""
        return self._count

    @property
    def root(self) -> bytes:
        """32 bytes; equal at two nodes exactly when their frontiers are."""
        return self._sum.to_bytes(32, "big")

    @property
    def rows(self) -> int:
        """What a new table costs."""
        return self._n

    @property
    def ready(self) -> bool:
        """Whether the frontier was read; before, there is nothing to compare by."""
        return self._read is None

    def moved(self, log: LogId, old: Head, new: Head) -> None:
        """A head moved; a head of length 0 without flag is no head."""
        if len(self._since) <= JOURNAL:
            self._since[log] = new
        self._moves[log] = new
        there, here = _is_head(old), _is_head(new)
        more = int(here) - int(there)
        delta = (head_item(log, new) if here else 0) - (head_item(log, old) if there else 0)
        self._count += more
        self._sum = (self._sum + delta) % _MOD
        if self._read is not None and self._read[0] is not None and log <= self._read[0]:
            self._read = self._read[0], self._read[1] + more, (self._read[2] + delta) % _MOD
        if len(self._moves) >= TOGETHER:
            while not self.ready and len(self._moves) >= JOURNAL:  # nobody drives the timers of a command
                self.work()
            self._follow()

    def note(self) -> None:
        """Before a commit: what must be right when the next start reads it."""
        arrival = self._source.last_arrival
        if self._since or arrival != self._noted:
            self._noted = arrival
            self._source.put_note(_NOTE, self._count.to_bytes(8, "big") + self.root + arrival.to_bytes(8, "big"))

    def durable(self) -> None:
        """What moved is committed."""
        self._since.clear()

    def rolled_back(self) -> None:
        """What moved since the last commit did not: the store says where it stands. Some of it may be durable."""
        since, self._since = self._since, {}
        if len(since) > JOURNAL:
            self._moves.clear()
            self._start()
            while not self.ready:
                self.work()
            return
        for log, last in since.items():
            self.moved(log, last, self._source.head(log))
        self._since.clear()

    # -- comparing

    def table(self, salt: bytes) -> FrontierTable | None:
        """The table under a salt (empty: the public one) as heads stand now; None while it is not there."""
        made = self._tables.get(salt)
        if made is None or made.built is not None or not self.ready:
            return None
        self._follow()
        return made

    def begin(self, salt: bytes) -> None:
        """Have a table built under this salt by `work`."""
        self._follow()
        if salt not in self._tables:
            self._tables[salt] = FrontierTable(key_of(salt), 0)

    def drop(self, salt: bytes) -> None:
        if salt:
            self._tables.pop(salt, None)

    @property
    def busy(self) -> bool:
        """Whether `work` has something to do."""
        return not self.ready or (len(self._tables) > 1 and any(t.built is not None for t in self._tables.values()))

    def work(self) -> None:
        """One slice of what is to be done in the background."""
        if self._read is not None:
            self._read_on(self._read)
            return
        for table in self._tables.values():
            if table.built is not None:
                rows = slice(table.built, min(table.built + SLICE, self._n))
                if rows.stop - rows.start <= FEW:
                    for row in range(rows.start, rows.stop):
                        t = self._weight(table.key, row)
                        table.move_one(*self._place(table.key, row), t, int(self._size[row] > 0))
                else:
                    table.take(self._x0[rows], *self._items(table.key, rows), _heads_among(self._size[rows]))
                table.built = rows.stop if rows.stop < self._n else None
                return

    def children(self, salt: bytes, prefix: bytes) -> list[Range] | None:
        """(count, sum) below each nibble that may come next; None without the table. Deep ones read all rows."""
        table = self.table(salt)
        if table is None or len(prefix) < DEPTH:
            return None if table is None else table.children(prefix)
        shift = np.uint64(61 - 4 * len(prefix))
        value = np.uint64(int.from_bytes(_packed(prefix), "big") >> 64 - 4 * len(prefix))
        rows = np.flatnonzero(self._x0[: self._n] >> shift == value)
        below = (self._x0[rows] >> shift - np.uint64(4) & np.uint64(15)).astype(np.intp)
        return table.ranges(below, *self._items(table.key, rows), _heads_among(self._size[rows]))

    def heads(self, prefix: bytes) -> Iterator[tuple[LogId, Head]]:
        """The heads below a prefix of nibbles, in order."""
        start = int.from_bytes(_packed(prefix, 32), "big")
        return self._between(start, start + (1 << 256 - 4 * len(prefix)))

    def _between(self, start: int, stop: int) -> Iterator[tuple[LogId, Head]]:
        """The heads of the accounts whose ids are in start .. stop-1, in order."""
        last = None if stop >> 256 else stop.to_bytes(32, "big")
        return self._source.all_heads(start.to_bytes(32, "big"), last)

    def named(self, salt: bytes, asked: Sequence[int], most: int) -> tuple[dict[int, list[tuple[LogId, Head]]], int]:
        """The logs at these places that have a head, and how many heads were looked at: `most` at most.

        Two logs at one place are no accident, and both are named.
        """
        table = self.table(salt)
        if table is None or not asked:
            return {}, 0
        key = table.key
        rows = self._at(asked) if not salt else self._search(key, asked)
        out: dict[int, list[tuple[LogId, Head]]] = {}
        looked = 0
        for start in sorted({int(self._x0[row]) for row in rows}):
            wanted = {int(self._x1[row]) for row in rows if int(self._x0[row]) == start}
            for log, head in self._between(start << 195, start + 1 << 195):
                x1 = name_words(log)[1]
                if looked >= most:
                    break
                looked += 1
                if x1 in wanted:
                    out.setdefault(place(key, start, x1), []).append((log, head))
        return out, looked

    def weigh(self, salt: bytes, head: Head) -> int:
        """The head's weight under a salt; 0 for none."""
        key = self._tables[salt].key
        return weight(key, *id_words(head), head.length, head.flag) if _is_head(head) else 0

    # -- rows

    def _items(self, key: Key, rows: slice | Indexes) -> tuple[Numbers, Numbers]:
        """Places and weights."""
        t = _weights(key, self._y0[rows], self._y1[rows], self._size[rows])
        return places(key, self._x0[rows], self._x1[rows]), t

    def _at(self, asked: Sequence[int]) -> list[int]:
        """Rows at these places under the public key."""
        h = np.array(asked, np.uint64)
        first, last = np.searchsorted(self._places, h), np.searchsorted(self._places, h, "right")
        out = [int(row) for a, b in zip(first, last, strict=True) for row in self._order[a:b]]
        return out + [row for one in asked for row in self._later.get(one, ())]

    def _search(self, key: Key, asked: Sequence[int]) -> list[int]:
        h, out = np.array(asked, np.uint64), list[int]()
        for start in range(0, self._n, SLICE):
            rows = slice(start, min(start + SLICE, self._n))
            out += (np.flatnonzero(np.isin(places(key, self._x0[rows], self._x1[rows]), h)) + start).tolist()
        return out

    def _follow(self) -> None:
        """Rows and tables follow the heads that moved."""
        if not self._moves or not self.ready:
            return
        moves, self._moves = self._moves, {}
        if len(moves) <= FEW:
            for log, head in moves.items():
                self._follow_one(log, head)
            return
        x0, x1, y0, y1 = _words(moves)
        size = np.fromiter(map(_size, moves.values()), np.uint32, len(moves))
        rows = self._rows_of(x0, x1)
        for table in self._tables.values():
            on = slice(None) if table.built is None else np.flatnonzero(rows < table.built)
            at = rows[on]
            h, old = self._items(table.key, at)
            new = weights(
                table.key, y0[on], y1[on], (size[on] >> 1).astype(np.uint64), (size[on] & 1).astype(np.uint64)
            )
            more = _heads_among(size[on]) - _heads_among(self._size[at])
            table.move(x0[on], h, old, new * (size[on] != 0), more)
        self._y0[rows], self._y1[rows], self._size[rows] = y0, y1, size

    def _follow_one(self, log: LogId, head: Head) -> None:
        row, size = self._row_of(*name_words(log)), _size(head)
        followers = [t for t in self._tables.values() if t.built is None or row < t.built]
        old = [self._weight(table.key, row) for table in followers]
        more = int(size > 0) - int(self._size[row] > 0)
        (self._y0[row], self._y1[row]), self._size[row] = id_words(head), size
        for table, less in zip(followers, old, strict=True):
            table.move_one(*self._place(table.key, row), (self._weight(table.key, row) - less) % P, more)

    def _place(self, key: Key, row: int) -> tuple[int, int]:
        """(first word of the name, place)."""
        x0 = int(self._x0[row])
        return x0, place(key, x0, int(self._x1[row]))

    def _weight(self, key: Key, row: int) -> int:
        size = int(self._size[row])
        return weight(key, int(self._y0[row]), int(self._y1[row]), size >> 1, size & 1) if size else 0

    def _row_of(self, x0: int, x1: int) -> int:
        """The row of a name; a new one gets one."""
        h = place(self._public, x0, x1)
        for row in self._at([h]):
            if self._x0[row] == x0 and self._x1[row] == x1:
                return row
        row = self._n
        self._append(*(np.array([word], np.uint64) for word in (x0, x1, 0, 0)))
        self._came(h, row)
        return row

    def _came(self, h: int, row: int) -> None:
        self._later[h] = (*self._later.get(h, ()), row)
        if len(self._later) > max(READ, self._n >> 4):
            self._sort()

    def _rows_of(self, x0: Numbers, x1: Numbers) -> Indexes:
        """The row of each name; new ones get one."""
        h = places(self._public, x0, x1)
        out, taken = np.full(len(h), -1, np.intp), np.zeros(len(h), np.bool_)
        if len(self._places):
            near = np.minimum(np.searchsorted(self._places, h), len(self._places) - 1)
            row = self._order[near].astype(np.intp)
            taken = self._places[near] == h
            same = taken & (self._x0[row] == x0) & (self._x1[row] == x1)
            out[same] = row[same]
        new, found, asked = list[int](), list[int](), h.tolist()
        unknown = np.flatnonzero(out < 0)
        for k in unknown.tolist():
            held = self._at([asked[k]]) if taken[k] else self._later.get(asked[k], ())
            at = next((r for r in held if self._x0[r] == x0[k] and self._x1[r] == x1[k]), -1) if held else -1
            if at < 0:
                at = self._n + len(new)
                new.append(k)
            found.append(at)
        out[unknown] = found
        if new:
            self._append(x0[new], x1[new], np.zeros(len(new), np.uint64), np.zeros(len(new), np.uint64))
            for k, at in zip(new, out[new].tolist(), strict=True):
                self._came(asked[k], at)
        return out

    def _append(self, x0: Numbers, x1: Numbers, y0: Numbers, y1: Numbers) -> None:
        end = self._n + len(x0)
        if end > len(self._x0):
            room = max(end, len(self._x0) * 5 // 4, 1_024)
            for name in ("_x0", "_x1", "_y0", "_y1", "_size"):
                grown = np.zeros(room, getattr(self, name).dtype)
                grown[: self._n] = getattr(self, name)[: self._n]
                setattr(self, name, grown)
        rows = slice(self._n, end)
        self._x0[rows], self._x1[rows], self._y0[rows], self._y1[rows] = x0, x1, y0, y1
        self._n = end

    def _sort(self) -> None:
        h = np.empty(self._n, np.uint64)
        for start in range(0, self._n, SLICE):
            rows = slice(start, min(start + SLICE, self._n))
            h[rows] = places(self._public, self._x0[rows], self._x1[rows])
        self._order = np.argsort(h).astype(np.uint32)
        self._places = h[self._order]
        self._later.clear()

    def _read_on(self, read: tuple[LogId | None, int, int]) -> None:
        """The next heads of the store; at the end the rows stand, and what moved meanwhile is applied to them."""
        reached, count, total = read
        # a scan may begin in the midst of an account: one may have more logs than a slice
        found = self._source.all_heads(_name(reached) if reached else None)
        heads = dict[LogId, Head]()
        for log, head in found:
            if reached is None or log > reached:
                heads[log] = head
                if len(heads) == READ:
                    break
        start = self._n
        self._append(*_words(heads))
        self._size[start : self._n] = np.fromiter(map(_size, heads.values()), np.uint32, len(heads))
        count += len(heads)
        total = (total + sum(head_item(log, head) for log, head in heads.items())) % _MOD
        table, rows = self._tables[b""], slice(start, self._n)
        table.take(self._x0[rows], *self._items(table.key, rows), _heads_among(self._size[rows]))
        self._read = next(reversed(heads), reached), count, total
        if len(heads) < READ:
            self._count, self._sum, self._read = count, total, None
            self._sort()


def name_words(log: LogId) -> tuple[int, int]:
    """61 bits of the account's id, which is a hash, and 61 of a hash over the whole name."""
    return fingerprint(log.account)[0], fingerprint(H("log", _name(log)))[0]


def _name(log: LogId) -> bytes:
    return log.account + log.writer + log.log.to_bytes(4, "big")


def id_words(head: Head) -> tuple[int, int]:
    return fingerprint(head.id or _NO_ID)


def _size(head: Head) -> int:
    return (head.length & (1 << LENGTH_BITS) - 1) << 1 | head.flag


def _weights(key: Key, y0: Numbers, y1: Numbers, size: Sizes) -> Numbers:
    wide = size.astype(np.uint64)
    t: Numbers = weights(key, y0, y1, wide >> np.uint64(1), wide & np.uint64(1)) * np.sign(wide)
    return t


def _words(heads: Mapping[LogId, Head]) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """`name_words` and `id_words` of many."""
    names = [_name(log) for log in heads]
    accounts = b"".join([name[:8] for name in names])
    hashes = b"".join([H("log", name)[:8] for name in names])
    ids = np.frombuffer(b"".join([(head.id or _NO_ID)[:16] for head in heads.values()]), ">u8").reshape(-1, 2)
    x0, x1 = _shortened(np.frombuffer(accounts, ">u8")), _shortened(np.frombuffer(hashes, ">u8"))
    return x0, x1, _shortened(ids[:, 0]), _shortened(ids[:, 1])


def _shortened(words: npt.NDArray[np.uint64]) -> Numbers:
    return words.astype(np.uint64) >> np.uint64(3)


def _heads_among(size: Sizes) -> npt.NDArray[np.int64]:
    return np.sign(size).astype(np.int64)


def by_account(heads: Iterable[tuple[LogId, Head]]) -> dict[AccountId, dict[LogId, Head]]:
    out: dict[AccountId, dict[LogId, Head]] = {}
    for log, head in heads:
        out.setdefault(log.account, {})[log] = head
    return out


def _is_head(head: Head) -> bool:
    return bool(head.length or head.flag)


def _packed(prefix: bytes, size: int = 8) -> bytes:
    """Nibbles as bytes, zeros behind."""
    return bytes(a << 4 | b for a, b in zip(prefix[::2], (prefix[1:] + b"\0")[::2], strict=False)).ljust(size, b"\0")
