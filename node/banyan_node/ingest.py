"""One path in: judged entries become stored entries, and nothing else writes logs.

Accept, reject, not yet. What was not accepted is dropped and nothing is remembered against it, so it stays a
difference between two frontiers and comes again. The usual run extends a log at its end and costs no look at what the
account already holds; whatever is not usual (a fork, a pin that bites, a change of the control log) takes the slow
path: the account's state is computed again from everything held, and the store is made to say it.

The invariant: after every call the store holds exactly `account_state` of what it was given, trimmed to what must be
kept, and every entry in it can be served to others under a signature that was verified here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from banyan_crdt.control import Control, recounts, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.errors import Malformed, NotYet, WrongLink
from banyan_crdt.grants import Granted
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, Time, control_log
from banyan_crdt.logs import NOTHING, granted_valid, within_limits
from banyan_crdt.ops import Kept, Pin, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.realm import Realm
from banyan_crdt.run import Run
from banyan_crdt.state import account_state, control_head
from banyan_node.accounts import Accounts, Known
from banyan_node.appending import of_account, of_plain, of_run
from banyan_node.wire import Content
from banyan_storage.store import Store
from banyan_storage.viewhook import Append

FUTURE_MS = 5 * 60_000
"""How far ahead of our clock an entry may be dated; beyond it is not yet, outside validity and state."""
ENDS_CACHED = 20_000
"""Ends of logs of which time and total are kept at hand, for the run that comes next."""

Moved: TypeAlias = Callable[[LogId, Head, Head], None]
"""Told of every head that moves: (log, where it stood, where it stands)."""


def _always(entries: int) -> bool:
    return True


class PartItem(NamedTuple):
    """A piece of content on its way: which operation named it, and its bytes."""

    entry: EntryId
    op: int
    raw: bytes


class Ingest:
    """The one writer of a store's logs. Not thread-safe: it lives on the thread that owns the store."""

    def __init__(self, store: Store, realm: Realm, moved: Moved = lambda *_: None) -> None:
        self.store, self.realm, self._moved = store, realm, moved
        self._accounts = Accounts(store)
        self._ends: OrderedDict[EntryId, tuple[Time, int]] = OrderedDict()
        """Time and total of entries at the end of logs: what the next run must follow."""
        self._batch: list[Append] = []
        self._opened: list[tuple[AccountId, Control]] = []
        """Accounts whose control logs are new and in the batch."""
        self._waiting: dict[AccountId, dict[LogId, list[Append]]] = {}
        self.holding = False
        """Whether runs wait to be written together, until `flush`."""
        self.held = 0
        """Grows with every run that waits to be written."""

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Runs and new accounts judged inside are written together at its end, or as soon as something must read them.

        Only `run` and `control` may be called inside, and of the store nothing be read that they may have changed.
        """
        self.holding = True
        try:
            yield
        finally:
            self.holding = False
            self.flush()

    def id_at(self, log: LogId, seq: int) -> EntryId | None:
        """The id at a place of what counts of a log, also of what waits to be written."""
        waiting = self._waiting.get(log.account, {}).get(log)
        if waiting and seq >= waiting[0].entries[0].header.seq:
            entries = waiting[bisect_right(waiting, seq, key=lambda append: append.entries[0].header.seq) - 1].entries
            at = seq - entries[0].header.seq
            return entries[at].id if at < len(entries) else None
        return self.store.id_at(log, seq)

    def flush(self) -> None:
        """Writes what waits in the batch."""
        if self._batch:
            batch, self._batch = self._batch, []
            opened, self._opened = self._opened, []
            self._waiting.clear()
            self.store.append(batch, opened)

    def control_of(self, account: AccountId) -> Control | None:
        """The account's control state, or None where nothing of it is held."""
        return self._accounts.control(account)

    def head(self, log: LogId) -> Head:
        """Where the log stands, with what waits to be written."""
        waiting = self._waiting.get(log.account)
        if waiting and log in waiting:
            return waiting[log][-1].head
        return self.store.head(log)

    def holds(self, log: LogId, seq: int, entry: EntryId) -> bool:
        """Whether that entry of that log is held, counted or not; also where it waits to be written."""
        if self.id_at(log, seq) == entry:
            return True
        return self.store.any_loose() and self.store.has(entry)

    def usual(self, log: LogId) -> bool:
        """Whether a run at the end of the log is judged without a look at the account's other entries."""
        known = self._accounts.get(log.account)
        return known is not None and not known.loose

    def forget(self) -> None:
        """Drops what is cached; after a rollback the store says something else."""
        self._accounts.forget()
        self._ends.clear()
        self._batch.clear()
        self._opened.clear()
        self._waiting.clear()

    def control(
        self, account: AccountId, entries: Sequence[Entry], now_ms: int, contents: Sequence[Content] = ()
    ) -> bool:
        """Judges a control log whole, with what is held of it. True if anything changed.

        `entries`: authentic (`decode_control` checked each signature), in any order. `contents`: as of `run`.
        Raises Reject where they are of another account, NotYet where they cannot be linked or come from the future.
        """
        changed = self._control(account, entries, now_ms, contents)
        if account not in self._waiting:  # else it is new, and its content waits with it
            self._put_contents(entries, contents)
        return changed

    def _control(self, account: AccountId, entries: Sequence[Entry], now_ms: int, contents: Sequence[Content]) -> bool:
        if account in self._waiting:
            self.flush()
        for e in entries:
            if e.account != account or e.header.log:
                raise Malformed(f"entry {e.id.hex()[:16]} is not of the control log that was offered")
        known = self._accounts.get(account)
        was = self._accounts.control(account) if known else None
        held = was.keep if was else ()
        ids = {e.id for e in held}
        if held and all(e.id in ids for e in entries):
            return False
        present = [e for e in entries if not is_future(e.header.time, now_ms)]
        control = resolve_control([*held, *present])
        if not control.path:
            raise NotYet("control", f"the control log of {account.hex()[:16]} does not reach down to its inception")
        if {e.id for e in control.keep} == ids:
            if len(present) < len(entries):
                raise NotYet("future", "control entries dated more than 5 minutes ahead of this node's clock")
            return False
        if known is None and len(control.path) == len(control.keep):
            self._open(account, control, {e.id: c for e, c in zip(entries, contents, strict=False)})
            return True
        root = control_log(account)
        old = self.store.head(root) if known else NOTHING
        self._accounts.put(account, control)
        self._moved(root, old, control_head(control))
        if known and was and (known.loose or recounts(tuple(e.id for e in was.path), control)):
            self._recompute(account, {})
        return True

    def _open(self, account: AccountId, control: Control, contents: Mapping[EntryId, Content]) -> None:
        """An account that is new, with no branches beside its control log: written together with runs."""
        append = of_account(account, control, contents)
        self._accounts.open(account, control)
        self._opened.append((account, control))
        self._write(append)
        self._moved(append.log, NOTHING, append.head)

    def _write(self, append: Append) -> None:
        """At once, or with what else waits."""
        self._batch.append(append)
        self._waiting.setdefault(append.log.account, {}).setdefault(append.log, []).append(append)
        self.held += 1
        if not self.holding:
            self.flush()

    def run(
        self,
        run: Run,
        now_ms: int,
        may: Callable[[int], bool] = _always,
        contents: Sequence[Content] = (),
        ours: bool = False,
    ) -> Sequence[Entry]:
        """Judges a run whose signature was verified. Returns the entries that count now and did not before.

        `contents`: of its entries, compared with what their operations name; stored where the entry is.
        Raises NotYet (account, grant, gap, future, ...), also where nothing of it is kept, or WrongLink where it
        contradicts its own parent. `may(n)`: whether n entries may be judged again now; if not, NotYet (busy).
        `ours`: made here out of what is held below it, which it need not be compared with.
        """
        known = self._accounts.get(run.log.account)
        if known is None:
            raise NotYet(
                "account", f"nothing is known of account {run.log.account.hex()[:16]}: ask for its control log"
            )
        granted = known.grants.grant_of(run.log.writer, run.log.log)
        if granted is None:
            raise NotYet("grant", f"writer {run.log.writer.hex()[:16]} has no grant for log {run.log.log}")
        counts, cut = known.grants.cut_of(run.log)
        if not counts:
            raise NotYet("cut", f"log {run.log.log} of writer {run.log.writer.hex()[:16]} was cut off whole")
        last = run.entries[-1].header
        if is_future(last.time, now_ms):
            raise NotYet("future", "entries dated more than 5 minutes ahead of this node's clock")
        head = self.head(run.log)
        usual = run.first == head.length and run.prev == head.id and run.log not in known.loose
        if not usual:
            self.flush()
            fresh = self._new_part(run, head, run.log in known.loose)
            return self._overlapping(known, run, head, fresh, contents, granted, cut, may)
        if not (cut is None and self._all_valid(granted, run)):
            self._may_count(run.entries[0], granted, cut)
            all_count = (cut is None or last.seq <= cut.seq) and all(
                granted_valid(self.realm, granted, e) for e in run.entries
            )
            if not all_count:
                return self._again(run, contents, may)
        if not ours:
            self._check_joint(run)
        if known.loose and any(isinstance(o, Pin) for b in run.bodies for o in b.ops):
            return self._again(run, contents, may)
        self._extend(run, head, 0, contents, granted)
        return run.entries

    def _all_valid(self, granted: Granted, run: Run) -> bool:
        """Whether surely every entry is within the grant: its limits only grow, `seq` and `total` only rise."""
        first, last = run.entries[0].header, run.entries[-1].header
        until = granted.grant.until
        within = within_limits(self.realm, granted, last.seq, first.time, last.total)
        return within and (until is None or last.time <= until)

    def _overlapping(
        self,
        known: Known,
        run: Run,
        head: Head,
        fresh: int | None,
        contents: Sequence[Content],
        granted: Granted,
        cut: Kept | None,
        may: Callable[[int], bool],
    ) -> Sequence[Entry]:
        """The run's first `fresh` entries are held; None: it parts from what is held."""
        if fresh is None:
            return self._fork(run, contents, granted, cut, may)
        self._put_contents(run.entries[:fresh], contents)
        if fresh == len(run.entries):
            return ()
        entries = run.entries[fresh:]
        self._may_count(entries[0], granted, cut)
        usual = (
            run.log not in known.loose
            and all(granted_valid(self.realm, granted, e) for e in entries)
            and (cut is None or entries[-1].header.seq <= cut.seq)
            and not (known.loose and any(isinstance(o, Pin) for b in run.bodies[fresh:] for o in b.ops))
        )
        if not usual:
            return self._again(run, contents, may)
        self._extend(run, head, fresh, contents, granted)
        return entries

    def _extend(self, run: Run, old: Head, fresh: int, contents: Sequence[Content], granted: Granted) -> None:
        """Appends the run from entry `fresh` on to the end of what counts."""
        entries, contents = run.entries[fresh:] if fresh else run.entries, contents[fresh : len(run.entries)]
        last = entries[-1]
        new = Head(last.header.seq + 1, last.id, 0)
        append = of_plain(run, entries, contents, new) if granted.grant.colls is None else None
        self._write(append or of_run(run, fresh, entries, contents, granted, new))
        self._moved(run.log, old, new)
        if old.id is not None:
            self._ends.pop(old.id, None)
        if len(self._ends) >= ENDS_CACHED:
            self._ends.popitem(last=False)
        self._ends[last.id] = last.header.time, last.header.total

    def _put_contents(self, entries: Sequence[Entry], contents: Sequence[Content]) -> None:
        """Stores content, compared before, beside those of the entries that are held."""
        items = []
        for e, content in zip(entries, contents, strict=False):
            if content is not None:
                pairs = [(0, content)] if isinstance(content, bytes) else content
                items.extend([PartItem(e.id, at, raw) for at, raw in pairs])
        if items:
            self.store.put_parts(items)

    def parts(self, items: Iterable[PartItem]) -> list[PartItem]:
        """Stores content that operations held here name and lack. Returns what was taken; raises Malformed on a lie."""
        taken = []
        for item in items:
            ops = self.store.ops(item.entry)
            if ops is None or self.store.has_part(item.entry, item.op):
                continue
            part = part_of(ops[item.op]) if item.op < len(ops) else None
            if part is None:
                raise Malformed(f"operation {item.op} of entry {item.entry.hex()[:16]} has no part")
            open_part(part, item.raw)
            taken.append(item)
        if taken:
            self.store.put_parts(taken)
        return taken

    def _new_part(self, run: Run, head: Head, branched: bool) -> int | None:
        """How many of the run's first entries are held already; None where the run parts from what is held."""
        last = run.entries[-1]
        if self.store.has(last.id):
            if last.sig is not None:
                self.store.set_signature(last.id, last.sig)
            return len(run.entries)
        if run.first > head.length and not branched:
            raise NotYet("gap", f"the run begins at entry {run.first}, of that log {head.length} are held")
        if branched or run.first >= head.length:
            return None
        overlap = min(head.length, run.first + len(run.entries)) - 1
        same = self.store.id_at(run.log, overlap) == run.entries[overlap - run.first].id
        if not same or overlap + 1 < head.length:
            return None
        return overlap + 1 - run.first

    def _check_joint(self, run: Run) -> None:
        """What the run says of the log below it must be what is held: total, time, skip targets."""
        if run.prev is None:
            return
        end = self._ends.get(run.prev)
        if end is None:
            parent = self.store.entry(run.prev)
            if parent is None:
                raise NotYet("gap", f"the parent of entry {run.first} is not held")
            end = parent.header.time, parent.header.total
        self._joint(run, end, {seq: self.id_at(run.log, seq) for seq, _ in run.skips})

    def _joint(self, run: Run, end: tuple[Time, int], ids: dict[int, EntryId | None]) -> None:
        """`end`: time and total of the run's parent."""
        time, total = end
        if total != run.base or run.entries[0].header.time <= time:
            raise WrongLink(f"entry {run.first} does not follow its parent: total {run.base}, the parent's {total}")
        for seq, claimed in run.skips:
            if ids.get(seq) != claimed:
                raise WrongLink(f"the run names another entry at {seq} than its own ancestor there")

    def _may_count(self, first: Entry, granted: Granted, cut: Kept | None) -> None:
        """Raises NotYet where `first` cannot count, hence nothing above it can: no look at the account is needed."""
        seq = first.header.seq
        if cut is not None and seq > cut.seq:
            raise NotYet("cut", f"the writer was cut off after entry {cut.seq} of that log; this is entry {seq}")
        if granted_valid(self.realm, granted, first):
            return
        until = granted.grant.until
        if until is not None and first.header.time > until:
            raise NotYet("until", f"entry {seq} is dated after the end of its grant")
        raise NotYet("limit", f"entry {seq} is past what the log may hold at its date; it may write on another day")

    def _again(self, run: Run, contents: Sequence[Content], may: Callable[[int], bool]) -> Sequence[Entry]:
        """The account with the run, judged whole. Raises NotYet where that is too much now, or kept nothing of it."""
        self.flush()
        held = self.store.heads(run.log.account).values()
        if not may(len(run.entries) + sum(head.length for head in held)):
            raise NotYet("busy", "it takes judging the whole account again, which this peer had done often just now")
        fresh = [e.id for e in run.entries if not self.store.has(e.id)]
        added = self._recompute(run.log.account, {run.log: run.entries})
        if not any(map(self.store.has, fresh)):
            raise NotYet("branch", f"entry {run.entries[-1].header.seq} is on no branch that is kept")
        self._put_contents(run.entries, contents)
        return added

    def _fork(
        self,
        run: Run,
        contents: Sequence[Content],
        granted: Granted,
        cut: Kept | None,
        may: Callable[[int], bool],
    ) -> Sequence[Entry]:
        """The run branches off below the end of what is held, or beside a fork: judge everything together."""
        fresh = next((e for e in run.entries if not self.store.has(e.id)), None)
        if fresh is not None:
            self._may_count(fresh, granted, cut)
        if run.prev is not None:
            parent = self.store.entry(run.prev)
            if parent is None:
                raise NotYet("gap", f"the run hangs on an entry at {run.first - 1} that is not held")
            if parent.log_id != run.log or parent.header.seq + 1 != run.first:
                raise WrongLink(
                    f"entry {run.first} does not follow entry {parent.header.seq} of log {parent.header.log}"
                )
            wanted, ids, at = {seq for seq, _ in run.skips}, dict[int, EntryId | None](), parent
            lowest = min(wanted, default=run.first)
            while wanted and at.header.seq > lowest:
                if self.store.id_at(run.log, at.header.seq) == at.id:  # from here down the index knows
                    ids.update((seq, self.store.id_at(run.log, seq)) for seq in wanted if seq <= at.header.seq)
                    break
                if at.header.seq in wanted:
                    ids[at.header.seq] = at.id
                above = self.store.entry(at.header.prev) if at.header.prev is not None else None
                if above is None:
                    break
                at = above
            ids[at.header.seq] = at.id
            self._joint(run, (parent.header.time, parent.header.total), ids)
        return self._again(run, contents, may)

    def _recompute(self, account: AccountId, added: dict[LogId, Sequence[Entry]]) -> Sequence[Entry]:
        """The slow path: everything held and `added`, judged together; the store is rewritten where it differs."""
        known, control = self._accounts.get(account), self._accounts.control(account)
        assert known is not None
        assert control is not None
        heads = self.store.heads(account)
        held = {log: self.store.held(log) for log in heads if log.log}
        union: dict[LogId, dict[EntryId, Entry]] = {}
        for log, (chain, loose) in held.items():
            union[log] = {e.id: e for e in (*chain, *loose)}
        for log, entries in added.items():
            into = union.setdefault(log, {})
            for e in entries:
                if e.id not in into or into[e.id].sig is None:
                    into[e.id] = e
        state = account_state(self.realm, account, control.keep, {k: list(v.values()) for k, v in union.items()})
        before = {e.id for chain, _ in held.values() for e in chain}
        for log in union:
            counted = state.logs.get(log)
            head = counted.head if counted else NOTHING
            beside = counted.loose if counted else ()
            self.store.rewrite(log, counted.chain if counted else (), beside, head)
            self._moved(log, heads.get(log, NOTHING), head)
            known.mark(log, bool(beside))
        self.store.rebuild_views(account, state.counted())
        return tuple(e for c in state.logs.values() for e in c.chain if e.id not in before)


def is_future(time: Time, now_ms: int) -> bool:
    return (time >> 16) > now_ms + FUTURE_MS
