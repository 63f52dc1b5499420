"""The slow path: decides which entries of a log count after a fork, a pin, a cut or another control path.

Entries that do not count are kept beside the log for KEEP_S, outside the frontier. A pin or a stronger key may make
them count again, and from here they spread to all nodes. Only the logs that a change names are counted again.

The invariants: the store's state of each log is that of `account_state` for all held entries, and every held entry has
a signature within one run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import TypeAlias

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log, is_control
from banyan_crdt.logs import NOTHING, CountedLog, Grants, PathGrant, count_log, must_hold
from banyan_crdt.ops import Body, KeptTip, Pin, decode_body
from banyan_crdt.realm import Realm
from banyan_crdt.state import counted_entries
from banyan_replica.intake.account_cache import AccountCache
from banyan_replica.intake.joints import is_tail
from banyan_replica.intake.own_tips import own_tips
from banyan_replica.intake.pin_tables import AccountPins
from banyan_replica.wire.messages import MAX_PINS
from banyan_storage.due import Work
from banyan_storage.entry_records import encode_record
from banyan_storage.store import Store
from banyan_storage.tables import BRANCH, QUARANTINED, VOUCHED, log_name

KEEP_S = 30 * 86_400
"""How long entries that do not count are kept, seconds. Within this time a thief's acts can be undone."""
BESIDE_ENTRIES, BESIDE_BYTES = 4_096, 4 << 20
"""Limits of the entries of a log that never counted here, because the owner of its key can write endless branches."""
FOLDED_AT_ONCE = 8_192
"""Views of accounts of fewer operations are folded again at once: that takes 0.1 to 0.4 s."""
ROOMS = 1_000
"""Logs whose used room is cached."""
COUNTED_ROWS = 20
"""Counting a short log again costs about as much as reading so many rows: its entries are written anew."""
LoosePart: TypeAlias = tuple[EntryId, int, bytes]
"""Content of an operation: (entry, op index, bytes), checked against what the operation names."""
Held: TypeAlias = tuple[Sequence[Entry], Sequence[Entry]]
"""(chain, loose) of a log."""
Moved: TypeAlias = Callable[[LogId, Head, Head], None]
"""Called for every head that moves: (log, old head, new head)."""


def parts_size(parts: Iterable[LoosePart]) -> int:
    """Bytes of content."""
    return sum(len(raw) for _, _, raw in parts)


class LooseEntryLimit:
    """The room for entries of a log that never counted. most: entries and bytes."""

    def __init__(self, entries: int = 0, size: int = 0) -> None:
        self.entries, self.size = entries, size
        self.most = BESIDE_ENTRIES, BESIDE_BYTES

    @property
    def over(self) -> bool:
        return self.entries > self.most[0] or self.size > self.most[1]

    def limited(self, entries: int, size: int) -> LooseEntryLimit:
        """This room, with other limits from now on."""
        self.most = entries, size
        return self

    def add(self, entries: Iterable[Entry], content: int = 0) -> None:
        """Uses room for these, with `content` bytes of content: what they take in the store."""
        sizes = [content, *(len(encode_record(0, e)) for e in entries)]
        self.entries, self.size = self.entries + len(sizes) - 1, self.size + sum(sizes)

    def takes(self, entries: Iterable[Entry], content: int = 0) -> bool:
        """Whether there is room for all of these; if so, it is used."""
        before = self.entries, self.size
        self.add(entries, content)
        if self.over:
            self.entries, self.size = before
        return not self.over and (self.entries, self.size) != before

    def would_take(self, entries: Iterable[Entry], content: int = 0) -> bool:
        """Whether there is room for all of these."""
        return LooseEntryLimit(self.entries, self.size).limited(*self.most).takes(entries, content)


class LogRecount:
    """Counts logs of the store again. It lives on the thread that owns the store."""

    def __init__(self, store: Store, realm: Realm, accounts: AccountCache, moved: Moved) -> None:
        self._store, self._realm, self._accounts, self._moved = store, realm, accounts, moved
        self._rooms: OrderedDict[LogId, dict[int, LooseEntryLimit]] = OrderedDict()
        self.pins = AccountPins(store, accounts)

    def forget(self) -> None:
        """Empties the caches, which are wrong after a rollback."""
        self._rooms.clear()
        self.pins.forget()

    def work(self, account: AccountId, logs: AbstractSet[LogId]) -> int:
        """How many rows it takes at most to count these logs again, and those that their pins name."""
        known = self._accounts.get(account)
        if known is None or not logs:
            return 0
        heads, strata = self._store.heads(account), {g.grant.stratum for gs in known.grants.grants.values() for g in gs}
        if any((own := known.grants.grant_of(x.writer, x.log)) and own.grant.stratum < max(strata) for x in logs):
            logs = logs | known.loose
        return len(heads) + sum(heads.get(log, NOTHING).length + COUNTED_ROWS for log in logs)

    def pinned(self, log: LogId, pins: Sequence[Pin], cut: KeptTip | None) -> int:
        """How many of the counted entries are pinned."""
        biting = sorted({p.seq: p for p in pins if cut is None or p.seq <= cut.seq}, reverse=True)
        by_seq: dict[int, set[EntryId]] = {}
        for p in pins:
            by_seq.setdefault(p.seq, set()).add(p.id)
        return next((seq + 1 for seq in biting if self._store.id_at(log, seq) in by_seq[seq]), 0)

    def may_choose(self, log: LogId, before: Sequence[Pin], after: Sequence[Pin]) -> bool:
        """Whether pins that changed from `before` to `after` can change what counts of the log. One more pin cannot if
        it names an entry that counts, since every other choice stays possible, or one that is not held."""
        if after[: len(before)] != before:
            return True
        more = after[len(before) :]
        return any(self._store.id_at(log, pin.seq) != pin.id and self._store.has(pin.id) for pin in more)

    def lacks(self, log: LogId, cut: KeptTip | None) -> list[tuple[int, EntryId]]:
        """(seq, id) of some pinned entries of a forked log that are not held: those of the control log first, then the
        highest. A peer that serves the log proves that one of them, or another pinned entry, stands above what it
        sends: anybody who may pin can pin more entries that do not exist than are named here."""
        spoken = [p for p in self.pins.of(log) if cut is None or p.seq <= cut.seq]
        control = self._accounts.control(log.account)
        first = set(control.pins.get((log.writer, log.log), ())) if control else set()
        pins = sorted(set(spoken), key=lambda p: (p not in first, -p.seq, p.id))
        return list(islice(((p.seq, p.id) for p in pins if not self._store.has(p.id)), MAX_PINS))

    # -- changes

    def fork(
        self, log: LogId, entries: Sequence[Entry], head: Head, now_s: int, parts: Sequence[LoosePart] = ()
    ) -> None:
        """The first of these entries has the parent of one that counts: entries above that no longer count. Evidence of
        a fork is always taken; other entries are dropped for it."""
        control = self._accounts.control(log.account)
        assert control is not None
        room = self._take(log, entries, now_s, parts)
        below = max(0, head.length - 1)  # the parent says how much content the entry after it declares
        removed = list(counted_entries(control, log, self._store.walk(log, below)))[head.length - below :]
        self._stop(log, head, now_s)
        self._rooms[log] = {BRANCH: room}  # what counted until now takes none of it
        self._give_way(log, room)
        account = log.account
        named = self._named(account, [e for e, _ in removed])
        if named or not self._store.take_out_of_views(account, removed):
            self.recount(account, named, now_s, rebuild=True)

    def takes_tail(self, log: LogId, granted: PathGrant, entries: Sequence[Entry]) -> bool:
        """Whether entries are taken that do not count, but lead from some that do, or that a pin will make count, to
        their signature. Branches give way to them, else what counts would depend on the room for branches. Half a run
        is always taken. A longer one is, until what cannot give way takes twice what the log may hold: who has the
        log's key can write such a tail for every entry."""
        if is_tail(entries) or self.room(log).would_take(entries):
            return True
        self._drop_kind(log, BRANCH)
        used = self.room(log)
        return LooseEntryLimit(used.entries, used.size).limited(*self._twice(granted, entries)).would_take(entries)

    def tail(self, log: LogId, entries: Sequence[Entry], now_s: int) -> None:
        """Holds entries of which `takes_tail` said yes."""
        self._give_way(log, self._take(log, entries, now_s))

    def _take(
        self, log: LogId, entries: Sequence[Entry], now_s: int, parts: Sequence[LoosePart] = ()
    ) -> LooseEntryLimit:
        """Stores entries that never counted, whatever room there is, which is returned."""
        room = self.room(log)
        room.add(entries, parts_size(parts))
        self.beside(log, entries, BRANCH, now_s, parts)
        return room

    def _give_way(self, log: LogId, room: LooseEntryLimit) -> None:
        """Drops branches on which nothing depends, if there are more than there is room for."""
        if room.over:
            self._drop_kind(log, BRANCH)

    def recount(
        self,
        account: AccountId,
        logs: AbstractSet[LogId],
        now_s: int,
        added: Mapping[LogId, Sequence[Entry]] | None = None,
        rebuild: bool = False,
        kept: Mapping[LogId, Held] | None = None,
    ) -> list[Entry]:
        """Counts these logs again, and those that their pins name, and folds views again. Returns what counts newly.

        added: new entries of these logs, which are stored. rebuild: fold views even if all logs count as before. kept:
        for a log that loses held entries, those that remain.
        """
        control = self._accounts.control(account)
        assert control is not None
        newly: list[Entry] = []
        todo = [(control.order_of(log), log) for log in logs]
        heapify(todo)
        waits = set(logs)
        while todo:
            _, log = heappop(todo)
            waits.remove(log)
            change = self._recount(control, log, now_s, (added or {}).get(log, ()), (kept or {}).get(log))
            if change is not None:
                named, came = change
                newly += came
                rebuild = True
                for other in named - waits - {log}:
                    heappush(todo, (control.order_of(other), other))
                waits |= named - {log}
        if rebuild:
            if not self._store.rebuild_views_later(account, FOLDED_AT_ONCE):
                self._store.rebuild_views(account, self._all_counted(account, control))
            for work in (Work.ERASE, Work.REPLACED):  # a deletion may count only since now
                self._store.postpone(work, account, (now_s + KEEP_S) * 1000)
        return newly

    def _recount(
        self, control: Control, log: LogId, now_s: int, fresh: Sequence[Entry], kept: Held | None
    ) -> tuple[set[LogId], list[Entry]] | None:
        """Counts one log: (logs named by entries that count otherwise now, entries that count newly); None if nothing
        changed."""
        granted, (counts, cut) = control.grant_of(log.writer, log.log), control.cut_of(log)
        old, may = self._store.head(log), granted is not None and counts
        if not may and kept is None:
            if old == NOTHING:
                return None
            named = self._named(log.account, self._store.walk(log))
            self._stop(log, NOTHING, now_s)
            return named, []
        chain, loose = kept or self._store.held(log)
        counted = CountedLog((), False, 0)
        if granted is not None and counts:
            counted = count_log(self._realm, granted, [*chain, *loose, *fresh], self.pins.of(log), cut)
        if counted.head == old and not fresh and kept is None:
            return None
        before, after = {e.id for e in chain}, {e.id for e in counted.chain}
        beside = [e for e in (*chain, *loose, *fresh) if e.id not in after]
        self._store.rewrite(log, counted.chain, beside, counted.head, now_s)
        self._changed(log, old, counted.head, bool(beside), now_s)
        came = [e for e in counted.chain if e.id not in before]
        return self._named(log.account, [*(e for e in chain if e.id not in after), *came]), came

    def _stop(self, log: LogId, head: Head, now_s: int) -> None:
        """Ends what counts of the log at `head`."""
        old = self._store.head(log)
        self._store.shorten(log, head, now_s)
        self._changed(log, old, head, True, now_s)

    def _changed(self, log: LogId, old: Head, new: Head, beside: bool, now_s: int) -> None:
        known = self._accounts.get(log.account)
        assert known is not None
        known.mark(log, beside)
        if beside:
            self.forget_later(log, now_s)
        self._rooms.pop(log, None)
        if old != new:
            self._moved(log, old, new)

    def _named(self, account: AccountId, entries: Iterable[Entry]) -> set[LogId]:
        """The logs that pins in these entries name, if a pin can change what counts there."""
        known = self._accounts.get(account)
        if known is None or not known.loose:
            return set()
        pins = (o for e in entries for o in decode_body(e.ops).ops if isinstance(o, Pin))
        return {LogId(account, pin.writer, pin.log) for pin in pins} & set(known.loose)

    def named_by(self, account: AccountId, checkpoints: Iterable[Checkpoint]) -> set[LogId]:
        """The same for pins in checkpoints."""
        known = self._accounts.get(account)
        if known is None or not known.loose:
            return set()
        return {LogId(account, pin.writer, pin.log) for c in checkpoints for pin in c.pins} & set(known.loose)

    def _all_counted(self, account: AccountId, grants: Grants) -> Iterator[tuple[Entry, Body]]:
        for log in self._store.heads(account):
            if log.log:
                yield from counted_entries(grants, log, self._store.walk(log))

    # -- beside

    def beside(
        self, log: LogId, entries: Sequence[Entry], kind: int, now_s: int, parts: Sequence[LoosePart] = ()
    ) -> None:
        """Stores entries that do not count, and the content that came with them."""
        known = self._accounts.get(log.account)
        assert known is not None
        self._store.add_loose(log, entries, kind, now_s)
        if parts:
            self._store.put_loose_parts(parts)
        self.forget_later(log, now_s)
        known.mark(log, True)

    def room(self, log: LogId) -> LooseEntryLimit:
        """The room for entries of the log that never counted."""
        return self._used(log, BRANCH)

    def vouched_room(self, log: LogId, granted: PathGrant, entries: Sequence[Entry], content: int) -> LooseEntryLimit:
        """The room for entries below a pinned one: twice what the log may hold by then. It is bounded because the owner
        of the root key can also make contradictory pins without end. If these do not fit, those below other pins have
        given way: the pinned entry above them may never come."""
        most = self._twice(granted, entries)
        room = self._used(log, VOUCHED).limited(*most)
        if room.would_take(entries, content):
            return room
        loose = self._store.loose(log)
        self._drop_kind(
            log, VOUCHED, _with_ancestors(loose, [e.header.prev for e in entries[:1] if e.header.prev is not None])
        )
        return self._used(log, VOUCHED).limited(*most)

    def _twice(self, granted: PathGrant, entries: Sequence[Entry]) -> tuple[int, int]:
        """Twice what the log may hold by the last of these: entries, bytes."""
        elapsed = (entries[-1].header.time >> 16) - max(granted.since >> 16, self._realm.birth_ms)
        return 2 * self._realm.entries_allowed(elapsed), 2 * self._realm.bytes_allowed(elapsed)

    def _used(self, log: LogId, kind: int) -> LooseEntryLimit:
        """What loose entries of a kind take, counted from the store when it is first asked for."""
        rooms = self._rooms.setdefault(log, {})
        room = rooms.get(kind)
        if room is None:
            ns = sorted(row.n for row in self._store.loose_rows(log) if row.kind == kind)
            content = sum(len(raw) for pairs in self._store.contents(ns).values() for _, raw in pairs)
            room = rooms[kind] = LooseEntryLimit(len(ns), sum(self._store.sizes(ns)) + content)
            if len(self._rooms) > ROOMS:
                self._rooms.popitem(last=False)
        return room

    def control_beside(
        self, account: AccountId, held: Collection[EntryId], control: Control, was: Control | None
    ) -> list[Entry]:
        """The entries to hold beside a control path: evidence of a tie, the path until now (`was`), own entries, and
        of other branches as much as fits."""
        if not control.beside:
            return []
        log = control_log(account)
        kinds = self._store.loose_kinds(log)
        firm = {e.id for e in control.keep} | {e.id for e in control.beside if kinds.get(e.id[:16]) == QUARANTINED}
        firm |= _with_ancestors(control.beside, own_tips(self._store, log) + self._named_by_witnesses(account))
        firm |= {e.id for e in was.path} if was else set()
        room, out = LooseEntryLimit(), dict[EntryId, Entry]()
        on_path = {e.id for e in control.path}
        for e in sorted(control.beside, key=lambda e: (e.id not in held, e.header.seq)):
            linked = e.header.prev in on_path or e.header.prev in out
            if linked and (e.id in firm or room.takes([e])):
                out[e.id] = e
        return list(out.values())

    def forget_later(self, log: LogId, now_s: int) -> None:
        """Notes when the first entries beside the log may be forgotten, unless that is noted already."""
        if self._store.due_at(Work.FORGET, log_name(log)) is None:
            self._store.set_due(Work.FORGET, log_name(log), (now_s + KEEP_S) * 1000)

    def _named_by_witnesses(self, account: AccountId) -> list[EntryId]:
        """The control entries that checkpoints name: they may decide a later tie."""
        return [c.control.id for c in self._store.checkpoints(account)]

    def expire(self, log: LogId, now_s: int) -> int:
        """Forgets entries that have not counted for KEEP_S, except those that the log's state depends on and those
        written here. Returns how many."""
        rows = self._store.loose_rows(log)
        self._store.drop_due(Work.FORGET, log_name(log))
        if rows:  # entries that are still needed then are checked again after the same time
            first = min((row.since for row in rows if row.since + KEEP_S > now_s), default=now_s)
            self.forget_later(log, first)
        due = {row.n for row in rows if row.since + KEEP_S <= now_s}
        if not due:
            return 0
        forgotten = 0
        while gone := self._drop(log, {e.id for n in due if (e := self._store.at(n)) is not None}):
            forgotten += gone  # other entries may have been kept only for these
        return forgotten

    def _drop_kind(self, log: LogId, kind: int, but: AbstractSet[EntryId] = frozenset()) -> None:
        """Forgets entries of this kind on which nothing depends."""
        rows = {row.n for row in self._store.loose_rows(log) if row.kind == kind}
        self._drop(log, {e.id for n in rows if (e := self._store.at(n)) is not None} - but)

    def _drop(self, log: LogId, old: AbstractSet[EntryId]) -> int:
        """Forgets those of `old` that neither the log's state nor a remaining entry needs, and that others wrote."""
        chain, loose = self._store.held(log)
        firm = [e.id for e in loose if e.id not in old] + own_tips(self._store, log)
        control = self._accounts.control(log.account)
        if is_control(log) and control is not None:
            firm += self._named_by_witnesses(log.account)
            keep = _with_ancestors(loose, [*firm, *(e.id for e in control.keep)])
        else:
            granted = control.grant_of(log.writer, log.log) if control else None
            counted = CountedLog(tuple(chain), bool(self._store.head(log).flag), 0)
            keep = must_hold(self._realm, granted, counted, loose, firm)
        gone = [e.id for e in loose if e.id in old and e.id not in keep]
        self._store.drop_loose(log, gone)
        if len(gone) == len(loose):
            self._store.drop_due(Work.FORGET, log_name(log))
        self._rooms.pop(log, None)
        self._accounts.trimmed(log, len(loose) > len(gone))
        return len(gone)


def _with_ancestors(loose: Iterable[Entry], firm: Iterable[EntryId]) -> set[EntryId]:
    held, keep = {e.id: e for e in loose}, set[EntryId]()
    for entry in firm:
        at = held.get(entry)
        while at is not None and at.id not in keep:
            keep.add(at.id)
            at = None if at.header.prev is None else held.get(at.header.prev)
    return keep
