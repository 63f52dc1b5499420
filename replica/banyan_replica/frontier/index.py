"""Where every log stands, in arrays: 48 bytes per log, and sums over all of them.

A log is a row (rows.py). Places and weights (sketch.py) are computed from rows and a key without hashing, so a table
under a new key is one pass of numpy over the rows. Tables are updated by differences when heads move. The table under
the realm's key is always there; others are built on demand. Long work is done in slices (`work`): reading the frontier
at a start, building tables, keeping rows.

`count` and `root` are right from the beginning, because they are noted in the transaction that moves heads. If a driver
keeps files (persistence.py), rows and the public table are kept beside the store; then a start maps them and applies
what moved since. Otherwise, or if they cannot be trusted, a start reads the heads, and confirms or replaces the note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from banyan_crdt.frontier import head_item
from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.frontier.persistence import (
    RowPersistence,
    RowsWriter,
    SavedRows,
    SavedRowsHeader,
    about_of,
    due,
    due_at_end,
    open_rows,
)
from banyan_replica.frontier.rows import Rows, id_words, name_of, name_words
from banyan_replica.frontier.sketch import empty, key_of, place
from banyan_replica.frontier.sums import FrontierTable, Range, RowSums, packed
from banyan_storage.local_tables import FRONTIER

__all__ = ["FrontierIndex", "by_account", "id_words", "name_words"]

READ = 4_096
"""The heads that one call of `work` reads from the store: about 10 ms."""
TOGETHER = 1_024
"""This many moved heads are applied together. One alone costs ten times as much."""
JOURNAL = 65_536
"""The most heads that are remembered one by one between commits, or while the frontier is being read."""
_MOD = 1 << 256
_PLAIN = 48
"""The store's note of `count` and `root`. Code that moves heads without the index must delete it; then all heads are
read."""


class FrontierSource(Protocol):
    """What the index reads from a store."""

    @property
    def last_arrival(self) -> int: ...

    def head(self, log: LogId) -> Head: ...

    def all_heads(self, start: bytes | None = None, stop: bytes | None = None) -> Iterator[tuple[LogId, Head]]: ...

    def note(self, key: bytes) -> bytes | None: ...

    def put_note(self, key: bytes, value: bytes | None) -> None: ...


class FrontierIndex:
    """The rows, the table under the public key, and tables under other salts while they are used for comparing.

    wakes: called when `work` has something to do that it had not before, of an index that is not kept."""

    def __init__(
        self,
        source: FrontierSource,
        public: bytes,
        keeping: RowPersistence | None = None,
        wakes: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._public, self._keeping, self._wakes = source, key_of(public), keeping, wakes
        self._since: dict[LogId, Head] = {}
        """Heads that moved and may not be durable. If there are more than JOURNAL, a rollback reads all heads again."""
        self._moves: dict[LogId, Head] = {}
        """Heads that moved and are not yet applied to rows and tables."""
        self._saving: RowsWriter | None = None
        self._failed = False
        """Whether the row store failed."""
        self._kept_at: bytes | None = None
        """The position for which the kept rows are right; None: no kept rows can be trusted."""
        self._unkept = 0
        """How many heads moved after that position."""
        noted = FRONTIER.get(source) or b""
        self._count, self._sum = int.from_bytes(noted[:8], "big"), int.from_bytes(noted[8:40], "big")
        self._noted = int.from_bytes(noted[40:_PLAIN], "big") if len(noted) >= _PLAIN else -1
        """The last arrival that the note includes."""
        self._proved = keeping is None or noted[_PLAIN:] == keeping.moves.position
        """Whether the durable note is for the position of the store."""
        if len(noted) > _PLAIN and not self._proved:
            self._noted = -1  # heads moved in a commit that noted nothing
        self._start()
        if self._noted != source.last_arrival:
            while not self.ready:  # the root is not known, so a peer would be told a wrong one
                self.work()
        elif keeping is not None and self._proved:
            self._load(keeping)

    def _start(self) -> None:
        """Begins to read all heads."""
        self._wakes()
        rows = Rows(self._public, self._count + (self._count >> 3))
        table = FrontierTable(self._public)
        if self._keeping is None:  # of few accounts, as one of hundreds: sums would be most of its megabytes
            table.sums = empty(0)
        self._summed = RowSums(rows, table)
        self._read: tuple[LogId | None, int, int] | None = (None, 0, 0)
        """While all heads are read: (the log reached, heads so far, their sum)."""
        self._loading: Iterator[bool] | None = None
        """While kept rows are loaded, or rows that were read are sorted."""
        self._kept_at = None
        if self._saving is not None and not self._saving.ended:
            self._saving.draft.drop()
            self._saving = None

    # -- where everything stands

    @property
    def count(self) -> int:
        """How many logs have a head."""
        return self._count

    @property
    def root(self) -> bytes:
        """The frontier root, 32 bytes. Equal frontiers have equal roots."""
        return self._sum.to_bytes(32, "big")

    @property
    def rows(self) -> int:
        """How many rows there are: the cost of a new table."""
        return self._summed.rows.n

    @property
    def ready(self) -> bool:
        """Whether all heads were read or loaded. Before, nothing can be compared."""
        return self._read is None and self._loading is None

    def moved(self, log: LogId, old: Head, new: Head) -> None:
        """A head moved from `old` to `new`. A head of length 0 without a flag is no head."""
        if len(self._since) <= JOURNAL:
            self._since[log] = new
        self._moves[log] = new
        self._unkept += 1
        more = delta = 0
        if new.length or new.flag:
            more, delta = 1, head_item(log, new)
        if old.length or old.flag:
            more, delta = more - 1, delta - head_item(log, old)
        self._count += more
        self._sum = (self._sum + delta) % _MOD
        if self._read is not None and self._read[0] is not None and log <= self._read[0]:
            self._read = self._read[0], self._read[1] + more, (self._read[2] + delta) % _MOD
        if len(self._moves) >= TOGETHER:
            while not self.ready and len(self._moves) >= JOURNAL:  # a command has no timers that call `work`
                self.work()
            self._follow()

    def note(self) -> None:
        """Call before a commit: writes the note that the next start reads."""
        arrival, position = self._source.last_arrival, b""
        if self._keeping is not None:
            moves = self._keeping.moves
            if self._kept_at is None and self._saving is None:
                moves.stop()
            else:
                moves.keep()
            if self._kept_at is not None:
                moves.trim(self._kept_at)
            position = moves.position
        if self._since or arrival != self._noted or not self._proved:
            self._noted, self._proved = arrival, True
            note = self._count.to_bytes(8, "big") + self.root + arrival.to_bytes(8, "big") + position
            FRONTIER.put(self._source, note, differs=True)

    def durable(self) -> None:
        """Call after a commit, while nothing is pending: what moved is durable."""
        self._since.clear()
        saving = self._saving
        if saving is not None and saving.written and not saving.ended and not saving.keeping.moves.pending:
            self._follow()
            saving.finish(self._public, self._summed.rows, self._summed.public, self._count, self.root)
            self._unkept = 0

    def rolled_back(self) -> None:
        """Call after a rollback: the heads that moved since the last commit are read from the store again. Some of them
        may be durable."""
        since, self._since = self._since, {}
        self._proved = self._keeping is None
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
        """The table under a salt (empty: the public one), with all moves applied. None if it is not built."""
        made = self._summed.tables.get(salt)
        if made is None or made.built is not None or not self.ready:
            return None
        self._follow()
        return made

    def begin(self, salt: bytes) -> None:
        """Lets `work` build a table under this salt."""
        self._follow()
        self._wakes()
        self._summed.begin(salt)

    def drop(self, salt: bytes) -> None:
        """Forgets the table under a salt. The public one stays."""
        if salt:
            self._summed.tables.pop(salt, None)

    @property
    def busy(self) -> bool:
        """Whether `work` has something to do."""
        return (
            self._read is not None
            or self._loading is not None
            or self._summed.building
            or (self._saving is not None and self._saving.wants)
        )

    def work(self) -> None:
        """One slice of the background work, about 10 ms."""
        if self._read is not None:
            self._read_on(self._read)
            return
        if self._loading is not None:
            self._load_on(self._loading)
            return
        if not self._summed.build() and self._saving is not None and self._saving.wants:
            self._saving.step()

    def children(self, salt: bytes, prefix: bytes) -> list[Range] | None:
        """(count, sum) below each of the 16 nibbles that may follow the prefix; None without the table. From DEPTH on,
        and of few rows under a salt, this reads all rows."""
        table = self.table(salt)
        return None if table is None else self._summed.children(table, prefix)

    def heads(self, prefix: bytes) -> Iterator[tuple[LogId, Head]]:
        """The heads of the accounts whose ids begin with these nibbles, in order."""
        start = int.from_bytes(packed(prefix, 32), "big")
        return self._between(start, start + (1 << 256 - 4 * len(prefix)))

    def _between(self, start: int, stop: int) -> Iterator[tuple[LogId, Head]]:
        """The heads of the accounts whose ids are in start .. stop-1, in order."""
        last = None if stop >> 256 else stop.to_bytes(32, "big")
        return self._source.all_heads(start.to_bytes(32, "big"), last)

    def named(self, salt: bytes, asked: Sequence[int], most: int) -> tuple[dict[int, list[tuple[LogId, Head]]], int]:
        """The logs with a head at these places, and how many heads were read for it, at most `most`.

        Two logs at one place were made on purpose; both are returned.
        """
        table = self.table(salt)
        if table is None or not asked:
            return {}, 0
        key = table.key
        rows = self._summed.rows.at(asked) if not salt else self._summed.rows.search(key, asked)
        columns, wanted = self._summed.rows.columns, dict[int, set[int]]()
        for row in rows:
            wanted.setdefault(int(columns.x0[row]), set()).add(int(columns.x1[row]))
        out: dict[int, list[tuple[LogId, Head]]] = {}
        looked = 0
        for start, names in sorted(wanted.items()):
            for log, head in self._between(start << 195, start + 1 << 195):
                x1 = name_words(log)[1]
                if looked >= most:
                    break
                looked += 1
                if x1 in names:
                    out.setdefault(place(key, start, x1), []).append((log, head))
        return out, looked

    def weigh(self, salt: bytes, head: Head) -> int:
        """The head's weight under a salt; 0 if it is no head."""
        return self._summed.weigh(salt, head)

    # -- rows

    def _follow(self) -> None:
        """Applies the heads that moved to rows and tables."""
        if self._moves and self.ready:
            moves, self._moves = self._moves, {}
            self._apply(moves)

    def _apply(self, moves: dict[LogId, Head]) -> None:
        rows = self._summed.move(moves)
        self._summed.sum_up()
        if self._saving is not None and not self._saving.ended:
            self._saving.moved += rows

    def _read_on(self, read: tuple[LogId | None, int, int]) -> None:
        """Reads the next heads of the store. At the end the rows are complete, except for heads that moved
        meanwhile."""
        reached, count, total = read
        # a scan may begin in the middle of an account, because an account may have more logs than a slice
        found = self._source.all_heads(name_of(reached) if reached else None)
        heads = dict[LogId, Head]()
        for log, head in found:
            if reached is None or log > reached:
                heads[log] = head
                if len(heads) == READ:
                    break
        if heads:
            self._summed.append(heads)
            self._summed.sum_up()
        count += len(heads)
        total = (total + sum(head_item(log, head) for log, head in heads.items())) % _MOD
        self._read = next(reversed(heads), reached), count, total
        if len(heads) < READ:
            self._count, self._sum, self._read = count, total, None
            self._unkept = self.rows
            self._loading = (True for _ in self._summed.rows.sort())

    # -- keeping

    def _load(self, keeping: RowPersistence) -> None:
        """Begins to load the kept rows, if they can be trusted so far."""
        kept = keeping.row_store.load()
        about = None if kept is None else about_of(kept, keeping.store_id, self._public)
        if kept is None or about is None:
            return
        commits = keeping.moves.after(about.position)
        if commits is None or (not commits and (about.heads, about.root) != (self._count, self.root)):
            return
        self._kept_at = about.position
        self._read, self._loading = None, self._loaded(keeping, kept, about, commits)

    def _loaded(
        self, keeping: RowPersistence, kept: SavedRows, about: SavedRowsHeader, commits: Iterable[int]
    ) -> Iterator[bool]:
        """Loads the kept rows, in steps. Yields False if they cannot be trusted."""
        out: list[tuple[Rows, FrontierTable]] = []
        yield from open_rows(kept, about, self._public, out)
        ((rows, table),) = out
        self._summed = RowSums(rows, table)
        waiting: dict[LogId, Head] = {}
        for n in commits:
            heads = keeping.moves.heads(n)
            if heads is None:
                yield False
                return
            self._unkept += len(heads)
            waiting |= heads
            if len(waiting) >= TOGETHER:
                self._apply(waiting)
                waiting = {}
                yield True
        self._apply(waiting)
        self._loading = None
        self._follow()
        yield int(self._summed.public.sums[:, 0].sum()) == self._count

    def _load_on(self, loading: Iterator[bool]) -> None:
        """One step; none is left where it ends. Of an index that is being sorted nothing may refer to the index, or one
        that is replaced then stays until the garbage collector finds it."""
        match next(loading, None):
            case None:
                self._loading = None
            case False:
                self._start()

    def tick(self) -> None:
        """Call now and then: begins to keep the rows again if many heads moved."""
        if self._saving is not None:
            if self._saving.draft.done:
                self._kept()
        elif due(self.rows, self._unkept):
            self._keep()

    def _keep(self) -> None:
        if self._keeping is not None and self.ready and not self._failed:
            self._saving = RowsWriter(self._keeping, self._summed.rows)

    def _kept(self) -> None:
        """The draft is durable, or has failed."""
        assert self._saving is not None
        if self._saving.draft.fault is None:
            self._kept_at = self._saving.position
            self.note()
        else:
            self._failed = True  # until the next start; otherwise a full disk would be written again and again
        self._saving = None

    def close(self) -> None:
        """Call at the end, when nothing is pending: keeps the rows if the next start would otherwise take long."""
        if self._keeping is None or len(self._since) > JOURNAL:
            return
        self.rolled_back()
        self._follow()
        if self._saving is None and due_at_end(self.rows, self._unkept):
            self._keep()
        if self._saving is not None:
            while not self._saving.written:
                self._saving.step()
            self.durable()
            if not self._saving.ended:  # something is pending after all
                self._saving.draft.drop()
                return
            self._saving.draft.wait()
            self._kept()


def by_account(heads: Iterable[tuple[LogId, Head]]) -> dict[AccountId, dict[LogId, Head]]:
    """Heads grouped by account."""
    out: dict[AccountId, dict[LogId, Head]] = {}
    for log, head in heads:
        out.setdefault(log.account, {})[log] = head
    return out
