"""The slow path: what counts of a log after a fork, a pin, a cut or another control path; and what is kept beside.

What does not count is kept beside the log for KEEP_S, out of the frontier: a pin or a stronger key may make it count
again, here and, from here, everywhere. Only the logs that something names are counted again.

The invariant: the store says of each log what `account_state` says of all that is held of it, and every entry that is
held has a signature within one run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeAlias

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.grants import Grants
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, is_control
from banyan_crdt.logs import NOTHING, Counted, count_log, must_hold
from banyan_crdt.ops import Body, Kept, Pin, decode_body
from banyan_crdt.realm import Realm
from banyan_crdt.run import run_row_bytes
from banyan_crdt.state import counted_entries, pins_in, pins_of, turn_of
from banyan_node.accounts import Accounts
from banyan_storage.store import Store
from banyan_storage.tables import BRANCH

KEEP_S = 30 * 86_400
"""How long what does not count is kept, seconds: so long a thief's word can be undone."""
BESIDE_ENTRIES, BESIDE_BYTES = 4_096, 4 << 20
"""What is taken of a log that never counted here: whoever has its key can write branches without end."""
ROOMS = 1_000
"""Logs of which it is at hand how much of that is used."""
Moved: TypeAlias = Callable[[LogId, Head, Head], None]
"""Told of every head that moves: (log, where it stood, where it stands)."""


class Room:
    """What more may be held of a log that never counted."""

    def __init__(self, entries: int = 0, size: int = 0) -> None:
        self.entries, self.size = entries, size

    def takes(self, entries: Iterable[Entry]) -> bool:
        """Whether there is room for all of these; then it is taken."""
        sizes = [run_row_bytes(e.ops) for e in entries]
        if self.entries + len(sizes) > BESIDE_ENTRIES or self.size + sum(sizes) > BESIDE_BYTES:
            return False
        self.entries += len(sizes)
        self.size += sum(sizes)
        return True


class Counting:
    """Counts logs of the store again. It lives on the thread that owns the store."""

    def __init__(self, store: Store, realm: Realm, accounts: Accounts, moved: Moved) -> None:
        self._store, self._realm, self._accounts, self._moved = store, realm, accounts, moved
        self._rooms: OrderedDict[LogId, Room] = OrderedDict()

    def forget(self) -> None:
        """After a rollback the store says something else."""
        self._rooms.clear()

    # -- pins

    def pins(self, log: LogId) -> list[Pin]:
        """What pins the log, in the order in which it speaks: the control log, the root's checkpoint, then of each
        writer of a lower stratum its checkpoint and its counted logs."""
        control = self._accounts.control(log.account)
        granted = control.grant_of(log.writer, log.log) if control else None
        if control is None or granted is None:
            return []
        name, stratum = (log.writer, log.log), granted.grant.stratum
        pins = list(control.pins.get(name, ()))
        checkpoints = self._store.checkpoints(log.account)
        turns: list[tuple[tuple[int, int, int], bytes, Checkpoint | LogId]] = [
            (turn, c.writer, c) for c in checkpoints if (turn := turn_of(control, c)) is not None and turn[0] < stratum
        ]
        if any(g.grant.stratum < stratum for granted in control.grants.values() for g in granted):
            for other in self._store.heads(log.account):
                own = control.grant_of(other.writer, other.log) if other.log else None
                if own is not None and own.grant.stratum < stratum:
                    turns.append((control.order_of(other), other.writer, other))
        for _, _, said in sorted(turns, key=lambda turn: turn[:2]):
            if isinstance(said, LogId):
                found = pins_in(control, said, counted_entries(control, said, self._store.walk(said)))
            else:
                found = pins_of(control, said)
            pins += [pin for target, pin in found if target == name]
        return pins

    def pinned(self, log: LogId, pins: Sequence[Pin], cut: Kept | None) -> int:
        """How many entries of what counts are pinned."""
        biting = (p for p in pins if cut is None or p.seq <= cut.seq)
        return max([p.seq + 1 for p in biting if self._store.id_at(log, p.seq) == p.id], default=0)

    # -- what changes

    def fork(self, log: LogId, head: Head, now_s: int) -> None:
        """Two entries of the log have one parent: it stops counting there."""
        removed = list(self._store.walk(log, head.length))
        self._stop(log, head, now_s)
        account = log.account
        self.recount(account, self._named(account, removed), now_s, rebuild=True)

    def recount(
        self,
        account: AccountId,
        logs: AbstractSet[LogId],
        now_s: int,
        added: Mapping[LogId, Sequence[Entry]] | None = None,
        rebuild: bool = False,
    ) -> list[Entry]:
        """Counts these logs, whole, and those that their pins name; folds views again. Returns what counts newly.

        `added`: entries of theirs that are not held; they are from now on. `rebuild`: fold even if nothing changes.
        """
        control = self._accounts.control(account)
        assert control is not None
        newly: list[Entry] = []
        todo = set(logs)
        while todo:
            log = min(todo, key=lambda x: (control.order_of(x), x))
            todo.remove(log)
            change = self._recount(control, log, now_s, (added or {}).get(log, ()))
            if change is not None:
                gone, came = change
                newly += came
                rebuild = True
                todo |= self._named(account, [*gone, *came]) - {log}
        if rebuild:
            self._store.rebuild_views(account, self._all_counted(account, control))
        return newly

    def _recount(
        self, control: Control, log: LogId, now_s: int, fresh: Sequence[Entry]
    ) -> tuple[list[Entry], list[Entry]] | None:
        """Counts one log. What counts no more and what counts now; None where nothing changed."""
        granted, (counts, cut) = control.grant_of(log.writer, log.log), control.cut_of(log)
        old = self._store.head(log)
        if granted is None or not counts:
            if old == NOTHING:
                return None
            gone = list(self._store.walk(log))
            self._stop(log, NOTHING, now_s)
            return gone, []
        chain, loose = self._store.held(log)
        counted = count_log(self._realm, granted, [*chain, *loose, *fresh], self.pins(log), cut)
        if counted.head == old and not fresh:
            return None
        before, after = {e.id for e in chain}, {e.id for e in counted.chain}
        beside = [e for e in (*chain, *loose, *fresh) if e.id not in after]
        self._store.rewrite(log, counted.chain, beside, counted.head, now_s)
        self._changed(log, old, counted.head, bool(beside))
        return [e for e in chain if e.id not in after], [e for e in counted.chain if e.id not in before]

    def _stop(self, log: LogId, head: Head, now_s: int) -> None:
        """The log counts only so far."""
        old = self._store.head(log)
        self._store.shorten(log, head, now_s)
        self._changed(log, old, head, True)

    def _changed(self, log: LogId, old: Head, new: Head, beside: bool) -> None:
        known = self._accounts.get(log.account)
        assert known is not None
        known.mark(log, beside)
        self._rooms.pop(log, None)
        if old != new:
            self._moved(log, old, new)

    def _named(self, account: AccountId, entries: Iterable[Entry]) -> set[LogId]:
        """The logs that pins in these entries name and in which a pin can choose."""
        known = self._accounts.get(account)
        if known is None or not known.loose:
            return set()
        pins = (o for e in entries for o in decode_body(e.ops).ops if isinstance(o, Pin))
        return {LogId(account, pin.writer, pin.log) for pin in pins} & set(known.loose)

    def named_by(self, account: AccountId, checkpoints: Iterable[Checkpoint]) -> set[LogId]:
        """The same of checkpoints."""
        known = self._accounts.get(account)
        if known is None or not known.loose:
            return set()
        return {LogId(account, pin.writer, pin.log) for c in checkpoints for pin in c.pins} & set(known.loose)

    def _all_counted(self, account: AccountId, grants: Grants) -> Iterator[tuple[Entry, Body]]:
        for log in self._store.heads(account):
            if log.log:
                yield from counted_entries(grants, log, self._store.walk(log))

    # -- beside

    def beside(self, log: LogId, entries: Sequence[Entry], kind: int, now_s: int) -> None:
        """Holds entries that change nothing now."""
        known = self._accounts.get(log.account)
        assert known is not None
        self._store.add_loose(log, entries, kind, now_s)
        known.mark(log, True)

    def room(self, log: LogId) -> Room:
        """What more of the log may be held that never counted."""
        room = self._rooms.get(log)
        if room is None:
            ns = sorted(row.n for row in self._store.loose_rows(log) if row.kind == BRANCH)
            room = Room(len(ns), sum(self._store.sizes(ns)))
            if len(self._rooms) >= ROOMS:
                self._rooms.popitem(last=False)
            self._rooms[log] = room
        return room

    def control_beside(self, held: Collection[EntryId], control: Control) -> list[Entry]:
        """What to hold beside a control path: evidence of a tie, what is held, and of other branches what fits."""
        keep, on_path = {e.id for e in control.keep}, {e.id for e in control.path}
        room = Room()
        room.takes([e for e in control.beside if e.id in held and e.id not in keep])
        out: dict[EntryId, Entry] = {}
        for e in sorted(control.beside, key=lambda e: e.header.seq):
            linked = e.header.prev in on_path or e.header.prev in out
            if linked and (e.id in held or e.id in keep or room.takes([e])):
                out[e.id] = e
        return list(out.values())

    def expire(self, log: LogId, now_s: int) -> int:
        """Forgets what has not counted for KEEP_S, but for what the log's state rests on and what was written here.
        Returns how many entries."""
        due = {row.n for row in self._store.loose_rows(log) if row.since + KEEP_S <= now_s}
        if not due:
            return 0
        old = {e.id for n in due if (e := self._store.at(n)) is not None}
        chain, loose = self._store.held(log)
        own = self._store.note(own_key(log))
        firm = [e.id for e in loose if e.id not in old] + ([EntryId(own)] if own else [])
        control = self._accounts.control(log.account)
        if is_control(log) and control is not None:
            keep = _with_ancestors(loose, [*firm, *(e.id for e in control.keep)])
        else:
            granted = control.grant_of(log.writer, log.log) if control else None
            counted = Counted(tuple(chain), bool(self._store.head(log).flag), 0)
            keep = must_hold(self._realm, granted, counted, loose, firm)
        gone = [e.id for e in loose if e.id in old and e.id not in keep]
        self._store.drop_loose(log, gone)
        self._rooms.pop(log, None)
        self._accounts.trimmed(log, bool(len(loose) > len(gone)))
        return len(gone)


def own_key(log: LogId) -> bytes:
    """Of the note that says which entry of a log this store itself wrote last."""
    return b"own:" + log.account + log.writer + log.log.to_bytes(4, "big")


def _with_ancestors(loose: Iterable[Entry], firm: Iterable[EntryId]) -> set[EntryId]:
    held, keep = {e.id: e for e in loose}, set[EntryId]()
    for entry in firm:
        at = held.get(entry)
        while at is not None and at.id not in keep:
            keep.add(at.id)
            at = None if at.header.prev is None else held.get(at.header.prev)
    return keep
