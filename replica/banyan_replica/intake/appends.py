"""Turns a judged run or a new account into an `Append` (entries, the operations that count, and their content), and
collects appends that wait to be written together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest

from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log
from banyan_crdt.logs import PathGrant, counted_body
from banyan_crdt.ops import Body, decode_body, part_of
from banyan_crdt.run import Run
from banyan_crdt.state import control_head
from banyan_replica.wire.messages import Content, pieces
from banyan_storage.store import Store
from banyan_storage.viewhook import Append


def of_account(account: AccountId, control: Control, contents: Mapping[EntryId, Content]) -> Append:
    """The whole control log of a new account."""
    bodies = [decode_body(e.ops) for e in control.path]
    parts = [_parts(body, contents.get(e.id)) for e, body in zip(control.path, bodies, strict=True)]
    at_hand = [raw for some in parts for raw in some]
    return Append(control_log(account), control.path, bodies, at_hand, control_head(control))


def of_plain(run: Run, entries: Sequence[Entry], contents: Sequence[Content], head: Head) -> Append | None:
    """The fast way, for a grant of all collections: None unless the run is plain and all its content came."""
    puts = run.puts
    if puts is None:
        return None
    at_hand = [content for content in contents if type(content) is bytes]
    if len(at_hand) < len(entries):
        return None
    if (fresh := len(run.entries) - len(entries)) == 0:
        return Append(run.log, entries, run.bodies, at_hand, head, puts)
    return Append(run.log, entries, run.bodies[fresh:], at_hand, head, puts.since(fresh))


def of_run(
    run: Run, fresh: int, entries: Sequence[Entry], contents: Sequence[Content], granted: PathGrant, head: Head
) -> Append:
    """The counted operations of `entries`, which begin at `fresh` in the run, with the content that came."""
    total = run.entries[fresh - 1].header.total if fresh else run.base
    bodies: list[Body] = []
    parts: list[bytes | None] = []
    content: Content
    for e, body, content in zip_longest(entries, run.bodies[fresh : fresh + len(entries)], contents):
        now = e.header.total
        counted = counted_body(body, granted, now - total - len(e.ops))
        total = now
        bodies.append(counted)
        if isinstance(content, bytes) and len(counted.ops) == 1:
            parts.append(content)
        elif counted.ops:
            parts.extend(_parts(counted, content))
    return Append(run.log, entries, bodies, parts, head)


def loose_parts(
    run: Run, fresh: int, parent: Entry | None, contents: Sequence[Content], granted: PathGrant
) -> list[tuple[EntryId, int, bytes]]:
    """(entry, op, bytes) of the content that came for the entries from `fresh` on, where the operation would count.
    parent: the parent of the first of them."""
    out: list[tuple[EntryId, int, bytes]] = []
    total = parent.header.total if parent else 0
    for e, body, content in zip(run.entries[fresh:], run.bodies[fresh:], contents[fresh:], strict=False):
        now = e.header.total
        counted = counted_body(body, granted, now - total - len(e.ops))
        total = now
        if content is not None and counted.ops:
            out += [(e.id, at, raw) for at, raw in pieces(content) if at < len(counted.ops)]
    return out


def _parts(body: Body, content: Content) -> list[bytes | None]:
    """The content of each operation that names some; None if it did not come."""
    at_hand = {0: content} if isinstance(content, bytes) else dict(content or ())
    return [at_hand.get(i) for i, op in enumerate(body.ops) if part_of(op) is not None]


# The invariant: answers about a log are those that the store will give once all appends are written.


class AppendBatch:
    """Waiting appends. It lives on the thread that owns the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._appends: list[Append] = []
        self._opened: list[tuple[AccountId, Control]] = []
        """New accounts, whose control logs are among the appends."""
        self._waiting: dict[AccountId, dict[LogId, list[Append]]] = {}
        self.holding = False
        """Whether runs wait to be written together, until `flush`."""
        self.held = 0
        """Grows with every run that waits to be written."""
        self.entries = 0
        """Entries that wait to be written."""

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Appends made inside wait until its end, or until `flush`."""
        self.holding = True
        try:
            yield
        finally:
            self.holding = False
            self.flush()

    @property
    def waits(self) -> bool:
        """Whether appends wait to be written."""
        return bool(self._appends)

    def write(self, append: Append) -> None:
        """Writes it now, or with the waiting ones while `holding`."""
        self._appends.append(append)
        self._waiting.setdefault(append.log.account, {}).setdefault(append.log, []).append(append)
        self.held += 1
        self.entries += len(append.entries)
        if not self.holding:
            self.flush()

    def open(self, account: AccountId, control: Control, append: Append) -> None:
        """The same for the control log of a new account."""
        self._opened.append((account, control))
        self.write(append)

    def flush(self) -> None:
        """Writes all waiting appends."""
        if self._appends:
            batch, self._appends = self._appends, []
            opened, self._opened = self._opened, []
            self._waiting.clear()
            self.entries = 0
            self._store.append(batch, opened)

    def forget(self) -> None:
        """Drops all waiting appends, after a rollback."""
        self._appends.clear()
        self._opened.clear()
        self._waiting.clear()
        self.entries = 0

    def has(self, account: AccountId) -> bool:
        """Whether an append of the account waits."""
        return account in self._waiting

    def head(self, log: LogId) -> Head:
        """The head of the log, waiting appends included."""
        waiting = self._waiting.get(log.account)
        if waiting and log in waiting:
            return waiting[log][-1].head
        return self._store.head(log)

    def id_at(self, log: LogId, seq: int) -> EntryId | None:
        """The id of the counted entry at place `seq`, waiting appends included."""
        waiting = self._waiting.get(log.account, {}).get(log)
        if waiting and seq >= waiting[0].entries[0].header.seq:
            entries = waiting[bisect_right(waiting, seq, key=lambda append: append.entries[0].header.seq) - 1].entries
            at = seq - entries[0].header.seq
            return entries[at].id if at < len(entries) else None
        return self._store.id_at(log, seq)
