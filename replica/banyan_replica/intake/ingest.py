"""The only way into the store: judges entries and stores those that are accepted. Nothing else writes logs.

The verdicts are accept, reject and not yet. What is not accepted is dropped and nothing is remembered against it, so
it stays a difference between two frontiers and comes again. Most runs extend a log at its end and need nothing else of
the account. For any other run, its place among the held entries is checked first (joints.py: its parent, its total, its
skip links). Then there are four cases: the log continues, or it forks, or a pin names an entry of the run
(log_recount.py), or nothing changes and the run is held beside the log. The room for entries that never counted is
limited; it is larger if a proof shows that they are below a pinned entry.

The invariant: after every call the store has exactly the state of the held entries (`account_state`), and can serve
every entry under a signature that was verified here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.control import Control
from banyan_crdt.entry import Entry, Header
from banyan_crdt.errors import Malformed, NotYet
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, Time, is_checkpoint
from banyan_crdt.logs import PathGrant, granted_valid, within_limits
from banyan_crdt.ops import KeptTip, Pin, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.realm import Realm
from banyan_crdt.run import Run
from banyan_replica.host import ALONE, PartItem, ReplicaHost
from banyan_replica.intake.account_cache import AccountCache, AccountRights
from banyan_replica.intake.appends import AppendBatch, loose_parts, of_plain, of_run
from banyan_replica.intake.clock_bounds import is_future
from banyan_replica.intake.control_logs import ControlLogs
from banyan_replica.intake.joints import check_joint, check_place, first_fresh, shown_below
from banyan_replica.intake.log_recount import LogRecount, LoosePart, Moved, parts_size
from banyan_replica.wire.messages import Content, pieces
from banyan_storage.due import Work
from banyan_storage.store import Store
from banyan_storage.tables import BRANCH, VOUCHED, log_of_name

DUE_AT_ONCE, FORGET_AT_ONCE = 200, 20_000
"""The most logs, and entries of them, that one call of `expire_due` handles."""
LONG_RUN = 1_024
"""The most operations of a run that are folded with it: some 30 ms. Runs of posts of one operation have no more."""
COUNTED = 1 << 15
"""Operations of an account of which it is known that they are too many for the next such work of the same peer."""
ENDS_CACHED = 20_000
"""Logs whose last time and total are cached, for the next run."""


def _always(entries: int) -> bool:
    return True


class Ingest:
    """The one writer of a store's logs. Not thread-safe: it lives on the thread that owns the store."""

    def __init__(self, store: Store, realm: Realm, moved: Moved = lambda *_: None, around: ReplicaHost = ALONE) -> None:
        self.store, self.realm, self._told, self._around = store, realm, moved, around
        self._accounts = AccountCache(store)
        self.slow = LogRecount(store, realm, self._accounts, self.moved)
        self._ends: OrderedDict[EntryId, tuple[Time, int]] = OrderedDict()
        """Time and total of the last entries of logs, against which the next run is checked."""
        self.together = AppendBatch(store)
        """What waits to be written."""
        self._controls = ControlLogs(store, realm, self._accounts, self.slow, self.together, self.moved)

    def moved(self, log: LogId, old: Head, new: Head) -> None:
        """A head moved in the store, or waits to."""
        self.slow.pins.stale(log)
        self._told(log, old, new)

    @property
    def arrived(self) -> int:
        """Grows by one with every entry that is stored or waits to be."""
        return self.store.last_arrival + self.together.entries

    def batch(self) -> AbstractContextManager[None]:
        """Runs and new accounts that are judged inside are written together at its end, or earlier if needed.

        Inside, call only `run` and `control`, and read nothing from the store that they may have changed.
        """
        return self.together.batch()

    def id_at(self, log: LogId, seq: int) -> EntryId | None:
        """The id of the counted entry at place `seq`, waiting entries included."""
        return self.together.id_at(log, seq)

    def look_up(self, logs: Sequence[LogId]) -> None:
        """Reads in one pass what `run` needs of these logs and accounts."""
        self._accounts.look_up([log.account for log in logs])
        self.store.look_up(logs)

    def flush(self) -> None:
        """Writes what waits to be written."""
        self.together.flush()

    def control_of(self, account: AccountId) -> Control | None:
        """The account's control state, or None if it is not held."""
        return self._accounts.control(account)

    def head(self, log: LogId) -> Head:
        """The head of the log, waiting entries included."""
        return self.together.head(log)

    def usual(self, log: LogId) -> bool:
        """Whether a run at the end of the log is judged without reading other entries of the account."""
        known = self._accounts.get(log.account)
        return known is not None and not known.loose

    def forget(self) -> None:
        """Empties the caches, which are wrong after a rollback."""
        self._accounts.forget()
        self.slow.forget()
        self._ends.clear()
        self.together.forget()

    def control(
        self,
        account: AccountId,
        entries: Sequence[Entry],
        now_ms: int,
        contents: Sequence[Content] = (),
        may: Callable[[int], bool] = _always,
    ) -> bool:
        """Judges control entries together with the held control log. Returns whether anything changed.

        entries: with verified signatures, in any order. contents, may: see `run`.
        Raises Reject if they are of another account, NotYet if they cannot be linked or come from the future.
        """
        changed = self._controls.judge(account, entries, now_ms, contents, may)
        if not self.together.has(account):  # else it is new, and its content waits with it
            self._put_contents(entries, contents)
        return changed

    def checkpoint(self, made: Checkpoint, now_ms: int, may: Callable[[int], bool] = _always) -> bool:
        """Judges a checkpoint with a verified signature. Returns whether it is stored and was not before.

        Raises NotYet if its writer may not make one by the held control log, or not so many by now. may: see `run`.
        """
        return self._controls.checkpoint(made, now_ms, may)

    def run(
        self,
        run: Run,
        now_ms: int,
        may: Callable[[int], bool] = _always,
        contents: Sequence[Content] = (),
        ours: bool = False,
        proof: Sequence[Header] = (),
    ) -> Sequence[Entry]:
        """Judges a run with a verified signature. Returns the entries that count now and did not before.

        contents: of its entries, already compared with what their operations name; stored if the entry counts.
        may(n): whether n entries may be judged again now; if not, NotYet (busy). ours: made here, so it need not be
        compared with its ancestors. proof: headers from a pinned entry down to the run's last, each linked to by the
        one before. Raises NotYet (account, grant, gap, future, ...), or WrongLink if it contradicts its own parent.
        """
        known, granted, cut = self._granted(run.log)
        if is_future(run.entries[-1].header.time, now_ms):
            raise NotYet("future", "entries dated more than 5 minutes ahead of this node's clock")
        head = self.together.head(run.log)
        usual = run.first == head.length and run.prev == head.id and run.log not in known.loose and not head.flag
        if not usual:
            return self._unusual(known, run, granted, cut, contents, proof, may, now_ms // 1000, ours)
        if not ours and run.prev is not None:
            self._check_joint(run, run.prev)
        count = len(run.entries)
        if not (cut is None and self._all_valid(granted, run)):
            count = self._counting(run.entries, granted, cut)
        if count < len(run.entries) or (known.loose and any(isinstance(o, Pin) for b in run.bodies for o in b.ops)):
            self.flush()
            return self._goes_on(known, run, head, 0, count, contents, granted, cut, may, now_ms // 1000, ours)
        self._extend(run, head, 0, contents, granted, ours)
        return run.entries

    def _granted(self, log: LogId) -> tuple[AccountRights, PathGrant, KeptTip | None]:
        """The account, the log's grant, and where the log is cut. Raises NotYet if nothing of it can count."""
        known = self._accounts.get(log.account)
        if known is None:
            raise NotYet("account", f"nothing is known of account {log.account.hex()[:16]}: ask for its control log")
        granted = known.grants.grant_of(log.writer, log.log)
        if granted is None:
            raise NotYet("grant", f"writer {log.writer.hex()[:16]} has no grant for log {log.log}")
        counts, cut = known.grants.cut_of(log)
        if not counts:
            raise NotYet("cut", f"log {log.log} of writer {log.writer.hex()[:16]} was cut off whole")
        return known, granted, cut

    def _all_valid(self, granted: PathGrant, run: Run) -> bool:
        """Whether every entry is surely within the grant. Its limits grow with time, and `seq` and `total` rise, so the
        last entry at the first entry's time is the worst case."""
        first, last = run.entries[0].header, run.entries[-1].header
        until = granted.grant.until
        within = within_limits(self.realm, granted, last.seq, first.time, last.total)
        return within and (until is None or last.time <= until)

    def _counting(self, entries: Sequence[Entry], granted: PathGrant, cut: KeptTip | None) -> int:
        """How many of the first entries are within the grant and the cut. Raises NotYet if none."""
        for k, e in enumerate(entries):
            if (cut is not None and e.header.seq > cut.seq) or not granted_valid(self.realm, granted, e):
                if not k:
                    self._may_count(e, granted, cut)
                return k
        return len(entries)

    def _unusual(
        self,
        known: AccountRights,
        run: Run,
        granted: PathGrant,
        cut: KeptTip | None,
        contents: Sequence[Content],
        proof: Sequence[Header],
        may: Callable[[int], bool],
        now_s: int,
        ours: bool,
    ) -> Sequence[Entry]:
        """Judges a run that does not simply continue the log."""
        self.flush()
        fresh = first_fresh(self.store, run)
        if fresh == len(run.entries):
            last = run.entries[-1]
            if last.sig is not None:
                self.store.set_signature(last.id, last.sig)
            self._put_contents(run.entries, contents)
            return ()
        self._put_contents(run.entries[:fresh], contents)
        entries, head = run.entries[fresh:], self.store.head(run.log)
        count = self._counting(entries, granted, cut)
        parent = check_place(self.store, run, fresh)
        counts = parent is None or self.store.id_at(run.log, parent.header.seq) == parent.id
        place = 0 if parent is None else parent.header.seq + 1
        if counts and place == head.length and not head.flag:
            return self._goes_on(known, run, head, fresh, count, contents, granted, cut, may, now_s, ours)
        if any(g.grant.stratum != granted.grant.stratum for gs in known.grants.grants.values() for g in gs):
            self._may_work(run.log, len(entries), may)  # pins are searched in all logs of lower strata
        pins = self.slow.pins.of(run.log)
        named = {pin.id for pin in pins}
        if any(e.id in named for e in entries):
            self._may_work(run.log, len(entries), may)
            newly = self.slow.recount(run.log.account, {run.log}, now_s, {run.log: entries})
            self._put_contents(run.entries, contents)
            return newly
        if counts and self.slow.pinned(run.log, pins, cut) <= place < head.length:
            self._may_work(run.log, len(entries), may)
            parts = loose_parts(run, fresh, parent, contents, granted)
            self.slow.fork(run.log, entries, Head(place, parent.id if parent else None, 1), now_s, parts)
            return ()
        shown = shown_below(self.realm, proof, named, entries)
        shown = shown if shown <= count else 0
        self._may_make_room(run.log, entries[shown:] if shown else (), may)
        parts = loose_parts(run, fresh, parent, contents, granted)
        self._beside(run.log, entries, shown, parts, granted, now_s)
        return ()

    def _may_work(self, log: LogId, entries: int, may: Callable[[int], bool]) -> None:
        """Raises NotYet if counting the account again is too much work now. Operations are counted once the entries are
        paid for: that reads some of them."""
        held = self.store.heads(log.account).items()
        length = sum(head.length for other, head in held if not is_checkpoint(other))
        if not may(entries + length) or not may(max(0, self.store.operations(log.account, COUNTED) - length)):
            raise NotYet("busy", "the whole account must be judged again, which this peer has caused often just now")

    def _may_make_room(self, log: LogId, tail: Sequence[Entry], may: Callable[[int], bool]) -> None:
        """The same if branches have to give way to these entries."""
        if tail and not self.slow.room(log).would_take(tail):
            self._may_work(log, len(tail), may)

    def _goes_on(
        self,
        known: AccountRights,
        run: Run,
        head: Head,
        fresh: int,
        count: int,
        contents: Sequence[Content],
        granted: PathGrant,
        cut: KeptTip | None,
        may: Callable[[int], bool],
        now_s: int,
        ours: bool,
    ) -> Sequence[Entry]:
        """Extends the log by `count` of the run's entries from `fresh` on. The rest of the run does not count; it is
        held beside the log, because the run's signature is in its last entry. After a cut this happens once. After a
        limit as much as `takes_tail` says, or nothing is taken."""
        stop = fresh + count
        rest = run.entries[stop:]
        ends_it = cut is not None and stop and run.entries[stop - 1].header.seq == cut.seq
        if rest and not ends_it:
            self._may_make_room(run.log, rest, may)
            if not self.slow.takes_tail(run.log, granted, rest):
                raise NotYet("limit", f"the run exceeds the limit of its log: sign after {stop} of its entries")
        self._extend(run, head, fresh, contents, granted, ours, stop)
        self.flush()
        if rest:
            self.slow.tail(run.log, rest, now_s)
        pins = [o for b in run.bodies[fresh:stop] for o in b.ops if isinstance(o, Pin)] if known.loose else []
        named = {LogId(run.log.account, pin.writer, pin.log) for pin in pins} & known.loose
        if named:
            self.slow.recount(run.log.account, named, now_s)
        return run.entries[fresh:stop]

    def _beside(
        self,
        log: LogId,
        entries: Sequence[Entry],
        shown: int,
        parts: Sequence[LoosePart],
        granted: PathGrant,
        now_s: int,
    ) -> None:
        """Holds entries that change nothing now, if there is room. shown: a proof shows so many of the first to be
        below a pinned one; the others lead to their signature."""
        pinned, tail = entries[:shown], entries[shown:]
        below = [part for part in parts if part[0] in {e.id for e in pinned}]
        content = parts_size(below)
        if (
            pinned
            and self.slow.takes_tail(log, granted, tail)
            and self.slow.vouched_room(log, granted, pinned, content).takes(pinned, content)
        ):
            self.slow.beside(log, pinned, VOUCHED, now_s, below)
            if tail:
                self.slow.tail(log, tail, now_s)
        elif self.slow.room(log).takes(entries, parts_size(parts)):
            self.slow.beside(log, entries, BRANCH, now_s, parts)
        else:
            raise NotYet("branch", f"entry {entries[-1].header.seq} is on a branch that does not count, beside many")

    def lacks(self, log: LogId) -> list[tuple[int, EntryId]]:
        """See `LogRecount.lacks`."""
        known = self._accounts.get(log.account)
        if known is None or log not in known.loose:
            return []
        self.flush()
        return self.slow.lacks(log, known.grants.cut_of(log)[1])

    def pinned(self, log: LogId) -> int:
        """How many of the counted entries are pinned."""
        self.flush()
        known = self._accounts.get(log.account)
        return self.slow.pinned(log, self.slow.pins.of(log), known.grants.cut_of(log)[1]) if known is not None else 0

    def _extend(
        self,
        run: Run,
        old: Head,
        fresh: int,
        contents: Sequence[Content],
        granted: PathGrant,
        ours: bool,
        stop: int | None = None,
    ) -> None:
        """Appends the run's entries from `fresh` up to, but without, `stop` to the log."""
        whole = not fresh and (stop is None or stop == len(run.entries))
        entries = run.entries if whole else run.entries[fresh:stop]
        contents = contents[fresh : fresh + len(entries)]
        last = entries[-1]
        new = Head(last.header.seq + 1, last.id, 0)
        plain = granted.grant.colls is None and (stop is None or stop == len(run.entries))
        append = of_plain(run, entries, contents, new) if plain else None
        if append is None:
            append = of_run(run, fresh, entries, contents, granted, new)
            if not ours and sum(len(body.ops) for body in append.bodies) > LONG_RUN:
                append = append._replace(later=self._around.folds_later(run.log.account))
        self.together.write(append)
        self.moved(run.log, old, new)
        if old.id is not None:
            self._ends.pop(old.id, None)
        if len(self._ends) >= ENDS_CACHED:
            self._ends.popitem(last=False)
        self._ends[last.id] = last.header.time, last.header.total

    def _put_contents(self, entries: Sequence[Entry], contents: Sequence[Content]) -> None:
        """Stores content that was already compared with its entries."""
        items = []
        for e, content in zip(entries, contents, strict=False):
            if content is not None:
                items.extend([PartItem(e.id, at, raw) for at, raw in pieces(content)])
        self._put(items)

    def parts(self, items: Iterable[PartItem]) -> list[PartItem]:
        """Stores content that held operations name and lack. Returns what was stored. Raises Malformed on a lie."""
        taken = []
        for item in items:
            ops = self.store.ops(item.entry)
            if ops is None:
                continue
            part = part_of(ops[item.op]) if item.op < len(ops) else None
            if part is None:
                raise Malformed(f"operation {item.op} of entry {item.entry.hex()[:16]} has no part")
            if self.store.lacks_part(item.entry, item.op):
                open_part(part, item.raw)
                taken.append(item)
        self._put(taken)
        return taken

    def _put(self, items: Sequence[PartItem]) -> None:
        if items:
            self.store.put_parts(items)
            self._around.content_came(items)

    def _check_joint(self, run: Run, prev: EntryId) -> None:
        """Checks what the run states about the log below it: total, time, skip targets. prev: the run's parent."""
        end = self._ends.get(prev)
        if end is None:
            parent = self.store.line(prev)
            if parent is None:
                raise NotYet("gap", f"the parent of entry {run.first} is not held")
            end = parent.time, parent.total
        check_joint(run, end, {seq: self.id_at(run.log, seq) for seq, _ in run.skips})

    def _may_count(self, first: Entry, granted: PathGrant, cut: KeptTip | None) -> None:
        """Raises NotYet if `first` cannot count, so nothing above it can."""
        seq = first.header.seq
        if cut is not None and seq > cut.seq:
            raise NotYet("cut", f"the writer was cut off after entry {cut.seq} of that log; this is entry {seq}")
        if granted_valid(self.realm, granted, first):
            return
        until = granted.grant.until
        if until is not None and first.header.time > until:
            raise NotYet("until", f"entry {seq} is dated after the end of its grant")
        raise NotYet("limit", f"entry {seq} is past what the log may hold at its date; it may write on another day")

    def expire(self, log: LogId, now_ms: int) -> int:
        """See `LogRecount.expire`."""
        self.flush()
        return self.slow.expire(log, now_ms // 1000)

    def expire_due(self, now_ms: int) -> tuple[int, bool]:
        """Expires logs that are due, some at a time: (entries forgotten, whether more wait)."""
        forgotten, due = 0, self.store.due(Work.FORGET, now_ms, DUE_AT_ONCE)
        for _, key in due:
            forgotten += self.expire(log_of_name(key), now_ms)
            if forgotten >= FORGET_AT_ONCE:
                return forgotten, True
        return forgotten, len(due) == DUE_AT_ONCE
