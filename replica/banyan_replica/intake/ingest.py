"""One path in: judged entries become stored entries, and nothing else writes logs.

Accept, reject, not yet. What was not accepted is dropped and nothing is remembered against it, so it stays a
difference between two frontiers and comes again. The usual run extends a log at its end and costs no look at what the
account already holds. Any other run is first put in its place below what is held (joints.py: its parent, its total, its
skip links). Then it is told what it changes: the log goes on, or forks, or a pin in it chooses (counting.py), or
nothing changes and it is held beside. Of what never counted only so much is held, unless a pin is shown to stand above.

The invariant: after every call the store says exactly the state of what it holds (`account_state`), and every entry in
it can be served to others under a signature that was verified here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from banyan_crdt.checkpoint import Checkpoint, newer
from banyan_crdt.control import Control, concerned, resolve_control
from banyan_crdt.entry import Entry, Header
from banyan_crdt.errors import Malformed, NotYet
from banyan_crdt.grants import Granted
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, Time, control_log, is_checkpoint
from banyan_crdt.logs import NOTHING, granted_valid, within_limits
from banyan_crdt.ops import Kept, Pin, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.realm import Realm
from banyan_crdt.run import Run, run_row_bytes
from banyan_crdt.state import control_head
from banyan_replica.intake.accounts import Accounts, Known
from banyan_replica.intake.appending import loose_parts, of_account, of_plain, of_run
from banyan_replica.intake.counting import Counting, LoosePart, Moved
from banyan_replica.intake.joints import check_joint, check_place, first_fresh, stands_above
from banyan_replica.wire import MAX_PINS, Content
from banyan_storage.due import Work
from banyan_storage.store import Store
from banyan_storage.tables import BRANCH, VOUCHED, log_of_name
from banyan_storage.viewhook import Append

FUTURE_MS = 5 * 60_000
"""How far ahead of our clock an entry may be dated; beyond it is not yet, outside validity and state."""
TAIL_BYTES = 16 << 10
"""What may always follow, in a run, the last entry that counts: a log grows by so many such tails as by entries."""
PINS_LOOKED_AT = 64
"""Pins of a log, the highest, among which those that are lacked are looked for."""
DUE_AT_ONCE, FORGET_AT_ONCE = 200, 20_000
"""Logs, and entries of them, that are looked at in one go for what can be forgotten."""
ENDS_CACHED = 20_000
"""Ends of logs of which time and total are kept at hand, for the run that comes next."""


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
        self.slow = Counting(store, realm, self._accounts, moved)
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

    def look_up(self, logs: Sequence[LogId]) -> None:
        """Reads in one pass what `run` must know of these logs and of their accounts."""
        self._accounts.look_up([log.account for log in logs])
        self.store.look_up(logs)

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

    def usual(self, log: LogId) -> bool:
        """Whether a run at the end of the log is judged without a look at the account's other entries."""
        known = self._accounts.get(log.account)
        return known is not None and not known.loose

    def forget(self) -> None:
        """Drops what is cached; after a rollback the store says something else."""
        self._accounts.forget()
        self.slow.forget()
        self._ends.clear()
        self._batch.clear()
        self._opened.clear()
        self._waiting.clear()

    def control(
        self, account: AccountId, entries: Sequence[Entry], now_ms: int, contents: Sequence[Content] = ()
    ) -> bool:
        """Judges control entries, with what is held of the control log. True if anything changed.

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
        was = self._accounts.control(account)
        held = {e.id: e for e in (*was.path, *was.beside)} if was else {}
        if held and all(e.id in held for e in entries):
            return False
        present = [e for e in entries if not is_future(e.header.time, now_ms)]
        control = resolve_control([*held.values(), *present], self.store.checkpoints(account))
        if not control.path:
            raise NotYet("control", f"the control log of {account.hex()[:16]} does not reach down to its inception")
        loose = self.slow.control_beside(account, held, control, was)
        if all(e.id in held for e in (*control.path, *loose)):
            self._why_no_control(account, held, control, entries, len(present) < len(entries))
            return False
        if was is None and not loose:
            self._open(account, control, {e.id: c for e, c in zip(entries, contents, strict=False)})
            return True
        if was is None:
            self.flush()
        self._settle(account, was, control, loose, now_ms // 1000)
        return True

    def _settle(
        self, account: AccountId, was: Control | None, control: Control, loose: Sequence[Entry], now_s: int
    ) -> None:
        """The control log says something else now: what it entitles stays, and what it concerns is counted again."""
        root = control_log(account)
        old = self.store.head(root)
        self._accounts.put(account, control, loose, now_s)
        if loose:
            self.slow.forget_later(root, now_s)
        self._moved(root, old, control_head(control))
        if was is not None:
            self.flush()
            logs = concerned(was, control, [log for log in self.store.logs(account) if log.log])
            held = list(self.store.checkpoints(account))
            for c in held:
                if not control.entitles(c.writer):
                    self.store.drop_checkpoint(c.log_id)
                    self._moved(c.log_id, c.head, NOTHING)
            logs |= self.slow.named_by(account, held)  # who speaks, and in which order, may be another now
            self.slow.recount(account, self._to_count(account, was, control, logs), now_s)

    def checkpoint(self, made: Checkpoint, now_ms: int, may: Callable[[int], bool] = _always) -> bool:
        """Judges a checkpoint whose signature was verified. True if it stands now and did not before.

        Raises NotYet where its writer may not make one as far as the control log is held here, or not so many by now;
        nothing of it is kept.
        """
        self.flush()
        account, now_s = made.account, now_ms // 1000
        known = self._accounts.get(account)
        if known is None:
            raise NotYet("account", f"nothing is known of account {account.hex()[:16]}: ask for its control log")
        old = self.store.checkpoint(account, made.writer)
        if not newer(old, made):
            return False
        if made.n > checkpoints_allowed(self.realm, now_ms):
            raise NotYet("limit", f"checkpoint {made.n} of one writer is more than it may have made by now")
        root = control_log(account)
        forked = bool(self.store.loose_rows(root, limit=1))
        judges = forked or made.writer not in known.grants.grants
        named = self.slow.named_by(account, [made] if old is None else [old, made])
        rows = sum(self.store.head(log).length for log in [root] * judges + sorted(named))
        if rows and not may(rows):
            raise NotYet("busy", f"a checkpoint has {rows} entries read, and this peer had much judged just now")
        was = self._accounts.control(account) if judges else None
        if judges and (was is None or not was.entitles(made.writer)):
            raise NotYet("grant", f"writer {made.writer.hex()[:16]} is neither granted nor the root: no checkpoint")
        self.store.put_checkpoint(made)
        self._moved(made.log_id, old.head if old else NOTHING, made.head)
        if was is not None and forked:
            control = resolve_control([*was.path, *was.beside], self.store.checkpoints(account))
            self._settle(account, was, control, control.beside, now_s)
        if named:
            self.slow.recount(account, named, now_s)
        return True

    def _to_count(self, account: AccountId, was: Control, control: Control, logs: Iterable[LogId]) -> set[LogId]:
        """Those of the logs that may count otherwise now: a new pin chooses only where there is something beside."""
        known = self._accounts.get(account)
        assert known is not None

        def granted(c: Control, log: LogId) -> tuple[object, object]:
            return c.grant_of(log.writer, log.log), c.cut_of(log)

        return {
            log
            for log in logs
            if log in known.loose or (self.store.head(log).length and granted(was, log) != granted(control, log))
        }

    def _why_no_control(
        self,
        account: AccountId,
        held: Mapping[EntryId, Entry],
        control: Control,
        entries: Sequence[Entry],
        future: bool,
    ) -> None:
        """Raises NotYet where another time or more of the log may show that the entries count."""
        if future:
            raise NotYet("future", "control entries dated more than 5 minutes ahead of this node's clock")
        known = {e.id for e in (*control.path, *control.beside)}
        linked = known | {e.id for e in entries}
        if any(e.header.prev is not None and e.header.prev not in linked for e in entries):
            raise NotYet(
                "control", f"entries of the control log of {account.hex()[:16]} hang on some that are not held"
            )
        if any(e.id in known and e.id not in held for e in entries):
            raise NotYet("branch", "a branch of the control log that does not count, beside many")

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
        proof: Sequence[Header] = (),
    ) -> Sequence[Entry]:
        """Judges a run whose signature was verified. Returns the entries that count now and did not before.

        `contents`: of its entries, compared with what their operations name; stored where the entry counts.
        Raises NotYet (account, grant, gap, future, ...), also where nothing of it is kept, or WrongLink where it
        contradicts its own parent. `may(n)`: whether n entries may be judged again now; if not, NotYet (busy).
        `ours`: made here out of what is held below it, which it need not be compared with. `proof`: headers from a
        pinned entry down to the run's last, each linked to by the one before.
        """
        known, granted, cut = self._granted(run.log)
        if is_future(run.entries[-1].header.time, now_ms):
            raise NotYet("future", "entries dated more than 5 minutes ahead of this node's clock")
        head = self.head(run.log)
        usual = run.first == head.length and run.prev == head.id and run.log not in known.loose and not head.flag
        if not usual:
            return self._unusual(known, run, granted, cut, contents, proof, may, now_ms // 1000)
        if not ours and run.prev is not None:
            self._check_joint(run, run.prev)
        count = len(run.entries)
        if not (cut is None and self._all_valid(granted, run)):
            count = self._counting(run.entries, granted, cut)
        if count < len(run.entries) or (known.loose and any(isinstance(o, Pin) for b in run.bodies for o in b.ops)):
            self.flush()
            return self._goes_on(known, run, head, 0, count, contents, granted, cut, now_ms // 1000)
        self._extend(run, head, 0, contents, granted)
        return run.entries

    def _granted(self, log: LogId) -> tuple[Known, Granted, Kept | None]:
        """What is known of the account, the log's grant, and where it is cut. Raises NotYet where it cannot count."""
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

    def _all_valid(self, granted: Granted, run: Run) -> bool:
        """Whether surely every entry is within the grant: its limits only grow, `seq` and `total` only rise."""
        first, last = run.entries[0].header, run.entries[-1].header
        until = granted.grant.until
        within = within_limits(self.realm, granted, last.seq, first.time, last.total)
        return within and (until is None or last.time <= until)

    def _counting(self, entries: Sequence[Entry], granted: Granted, cut: Kept | None) -> int:
        """How many of the entries, from the first on, are within the grant and below the cut. Raises NotYet if none."""
        for k, e in enumerate(entries):
            if (cut is not None and e.header.seq > cut.seq) or not granted_valid(self.realm, granted, e):
                if not k:
                    self._may_count(e, granted, cut)
                return k
        return len(entries)

    def _unusual(
        self,
        known: Known,
        run: Run,
        granted: Granted,
        cut: Kept | None,
        contents: Sequence[Content],
        proof: Sequence[Header],
        may: Callable[[int], bool],
        now_s: int,
    ) -> Sequence[Entry]:
        """A run that does not simply go on where the log ends, put in its place."""
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
            return self._goes_on(known, run, head, fresh, count, contents, granted, cut, now_s)
        if any(g.grant.stratum != granted.grant.stratum for gs in known.grants.grants.values() for g in gs):
            self._may_work(run.log, len(entries), may)  # pins are looked for in all logs of lower strata
        pins = self.slow.pins(run.log)
        named = {pin.id for pin in pins}
        if any(e.id in named for e in entries):
            self._may_work(run.log, len(entries), may)
            newly = self.slow.recount(run.log.account, {run.log}, now_s, {run.log: entries})
            self._put_contents(run.entries, contents)
            return newly
        if counts and self.slow.pinned(run.log, pins, cut) <= place < head.length:
            self._may_work(run.log, len(entries), may)
            self.slow.beside(run.log, entries, BRANCH, now_s, loose_parts(run, fresh, parent, contents, granted))
            self.slow.fork(run.log, Head(place, parent.id if parent else None, 1), now_s)
            return ()
        vouched = count == len(entries) and stands_above(self.realm, proof, named, entries[-1])
        parts = loose_parts(run, fresh, parent, contents, granted)
        self._beside(run.log, entries, parts, granted if vouched else None, now_s)
        return ()

    def _may_work(self, log: LogId, entries: int, may: Callable[[int], bool]) -> None:
        """Raises NotYet where counting the account again is too much now."""
        held = self.store.heads(log.account).items()
        if not may(entries + sum(head.length for other, head in held if not is_checkpoint(other))):
            raise NotYet("busy", "it takes judging the whole account again, which this peer had done often just now")

    def _goes_on(
        self,
        known: Known,
        run: Run,
        head: Head,
        fresh: int,
        count: int,
        contents: Sequence[Content],
        granted: Granted,
        cut: Kept | None,
        now_s: int,
    ) -> Sequence[Entry]:
        """The log goes on by `count` of the run's entries from `fresh` on. What follows them in the run does not count,
        and is held beside for the signature of its last entry. Beyond a cut that happens once. Beyond a limit it may
        take TAIL_BYTES, so that room does not decide what counts where a writer signs near; more needs room."""
        stop = fresh + count
        rest = run.entries[stop:]
        ends_it = cut is not None and stop and run.entries[stop - 1].header.seq == cut.seq
        short = sum(run_row_bytes(e.ops) for e in rest) <= TAIL_BYTES
        if rest and not ends_it and not short and not self.slow.room(run.log).takes(rest):
            raise NotYet("limit", f"the run goes on past the limit of its log: sign after {stop} of its entries")
        self._extend(run, head, fresh, contents, granted, stop)
        self.flush()
        if rest:
            self.slow.beside(run.log, rest, BRANCH, now_s)
        pins = [o for b in run.bodies[fresh:stop] for o in b.ops if isinstance(o, Pin)] if known.loose else []
        named = {LogId(run.log.account, pin.writer, pin.log) for pin in pins} & known.loose
        if named:
            self.slow.recount(run.log.account, named, now_s)
        return run.entries[fresh:stop]

    def _beside(
        self, log: LogId, entries: Sequence[Entry], parts: Sequence[LoosePart], vouched: Granted | None, now_s: int
    ) -> None:
        """Holds entries that change nothing now, as many as there is room for. `vouched`: the grant, where a pin was
        shown to stand above them."""
        content = sum(len(raw) for _, _, raw in parts)
        if vouched is not None and self.slow.vouched_room(log, vouched, entries[-1]).takes(entries, content):
            self.slow.beside(log, entries, VOUCHED, now_s, parts)
        elif self.slow.room(log).takes(entries, content):
            self.slow.beside(log, entries, BRANCH, now_s, parts)
        else:
            raise NotYet("branch", f"entry {entries[-1].header.seq} is on a branch that does not count, beside many")

    def lacks(self, log: LogId) -> list[tuple[int, EntryId]]:
        """(seq, id) of pins of a forked log that are not held, those of the control log and the highest first: what a
        peer that serves the log may show to stand above what it sends."""
        known = self._accounts.get(log.account)
        if known is None or log not in known.loose:
            return []
        cut = known.grants.cut_of(log)[1]
        spoken = [p for p in self.slow.pins(log) if cut is None or p.seq <= cut.seq]
        control = self._accounts.control(log.account)
        first = set(control.pins.get((log.writer, log.log), ())) if control else set()
        pins = sorted(set(spoken), key=lambda p: (p not in first, -p.seq, p.id))[:PINS_LOOKED_AT]
        return [(p.seq, p.id) for p in pins if not self.store.has(p.id)][:MAX_PINS]

    def _extend(
        self, run: Run, old: Head, fresh: int, contents: Sequence[Content], granted: Granted, stop: int | None = None
    ) -> None:
        """Appends the run from entry `fresh` up to before `stop` to the end of what counts."""
        whole = not fresh and (stop is None or stop == len(run.entries))
        entries = run.entries if whole else run.entries[fresh:stop]
        contents = contents[fresh : fresh + len(entries)]
        last = entries[-1]
        new = Head(last.header.seq + 1, last.id, 0)
        plain = granted.grant.colls is None and (stop is None or stop == len(run.entries))
        append = of_plain(run, entries, contents, new) if plain else None
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
            if ops is None:
                continue
            part = part_of(ops[item.op]) if item.op < len(ops) else None
            if part is None:
                raise Malformed(f"operation {item.op} of entry {item.entry.hex()[:16]} has no part")
            if self.store.lacks_part(item.entry, item.op):
                open_part(part, item.raw)
                taken.append(item)
        if taken:
            self.store.put_parts(taken)
        return taken

    def _check_joint(self, run: Run, prev: EntryId) -> None:
        """What the run says of the log below it must be what is held: total, time, skip targets. `prev`: its own."""
        end = self._ends.get(prev)
        if end is None:
            parent = self.store.entry(prev)
            if parent is None:
                raise NotYet("gap", f"the parent of entry {run.first} is not held")
            end = parent.header.time, parent.header.total
        check_joint(run, end, {seq: self.id_at(run.log, seq) for seq, _ in run.skips})

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

    def expire(self, log: LogId, now_ms: int) -> int:
        """Forgets what has not counted for 30 days (counting.py); returns how many entries."""
        self.flush()
        return self.slow.expire(log, now_ms // 1000)

    def expire_due(self, now_ms: int) -> tuple[int, bool]:
        """The same of the logs of which it is due, not of all in one go: how many entries, and whether more wait."""
        forgotten, due = 0, self.store.due(Work.FORGET, now_ms, DUE_AT_ONCE)
        for _, key in due:
            forgotten += self.expire(log_of_name(key), now_ms)
            if forgotten >= FORGET_AT_ONCE:
                return forgotten, True
        return forgotten, len(due) == DUE_AT_ONCE


def checkpoints_allowed(realm: Realm, now_ms: int) -> int:
    """How far a writer's checkpoints may be numbered by now. So a stolen key neither floods others with them nor uses
    up the numbers: the next day its owner has new ones. Like the future, it is outside state."""
    return realm.entries_allowed(max(0, now_ms + FUTURE_MS - realm.birth_ms))


def is_future(time: Time, now_ms: int) -> bool:
    return (time >> 16) > now_ms + FUTURE_MS
