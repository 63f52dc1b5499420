"""Control logs and checkpoints: each new one resolves the control state again, and the logs that it concerns are
counted again (log_recount.py).

The invariants: the store holds, of an account's control log, its path and the entries that may still change it; every
held checkpoint is of a writer that may make one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from banyan_crdt.checkpoint import Checkpoint, newer
from banyan_crdt.control import Control, concerned, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.errors import Malformed, NotYet
from banyan_crdt.ids import AccountId, EntryId, LogId, control_log
from banyan_crdt.logs import NOTHING
from banyan_crdt.realm import Realm
from banyan_crdt.state import control_head
from banyan_replica.intake.account_cache import AccountCache
from banyan_replica.intake.appends import AppendBatch, of_account
from banyan_replica.intake.clock_bounds import checkpoints_allowed, is_future
from banyan_replica.intake.log_recount import LogRecount, Moved
from banyan_replica.wire.messages import Content
from banyan_storage.store import Store

SHORT_COUNT = 1_000
"""From so many entries on, counting them again because of a control entry is metered: fewer take some ten ms."""


class ControlLogs:
    """Judges them. It lives on the thread that owns the store."""

    def __init__(
        self, store: Store, realm: Realm, accounts: AccountCache, slow: LogRecount, together: AppendBatch, moved: Moved
    ) -> None:
        self.store, self.realm, self.slow = store, realm, slow
        self._accounts, self._together, self._moved = accounts, together, moved

    def judge(
        self,
        account: AccountId,
        entries: Sequence[Entry],
        now_ms: int,
        contents: Sequence[Content],
        may: Callable[[int], bool],
    ) -> bool:
        """As `Ingest.control`, except that it stores content only for a new account."""
        if self._together.has(account):
            self._together.flush()
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
        self._together.flush()
        logs = self._to_count(account, was, control) if was is not None else set[LogId]()
        folded = was is not None and _regranted(was, control, logs)
        read = {log for log in self.store.logs(account) if log.log} if folded else logs
        rows = self.slow.work(account, read)
        if rows > SHORT_COUNT and not may(rows):
            raise NotYet("busy", f"{rows} entries must be counted again, and this peer had much judged just now")
        self._settle(account, was, control, loose, logs, now_ms // 1000)
        return True

    def _settle(
        self,
        account: AccountId,
        was: Control | None,
        control: Control,
        loose: Sequence[Entry],
        logs: AbstractSet[LogId],
        now_s: int,
    ) -> None:
        """Stores a changed control log, drops checkpoints of writers without rights, counts these logs again."""
        root = control_log(account)
        old = self.store.head(root)
        self._accounts.put(account, control, loose, now_s)
        if loose:
            self.slow.forget_later(root, now_s)
        self._moved(root, old, control_head(control))
        if was is not None:
            for c in list(self.store.checkpoints(account)):
                if not control.entitles(c.writer):
                    self.store.drop_checkpoint(c.log_id)
                    self._moved(c.log_id, c.head, NOTHING)
            self.slow.recount(account, logs, now_s, rebuild=_regranted(was, control, logs))

    def checkpoint(self, made: Checkpoint, now_ms: int, may: Callable[[int], bool]) -> bool:
        """See `Ingest.checkpoint`."""
        self._together.flush()
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
        rows = self.slow.work(account, named) + self.store.head(root).length * judges
        if rows and not may(rows):
            raise NotYet("busy", f"a checkpoint has {rows} entries read, and this peer had much judged just now")
        was = self._accounts.control(account) if judges else None
        if judges and (was is None or not was.entitles(made.writer)):
            raise NotYet("grant", f"writer {made.writer.hex()[:16]} is neither granted nor the root: no checkpoint")
        self.store.put_checkpoint(made)
        self._moved(made.log_id, old.head if old else NOTHING, made.head)
        if was is not None and forked:
            control = resolve_control([*was.path, *was.beside], self.store.checkpoints(account))
            self._settle(account, was, control, control.beside, self._to_count(account, was, control), now_s)
        if named:
            self.slow.recount(account, named, now_s)
        return True

    def _to_count(self, account: AccountId, was: Control, control: Control) -> set[LogId]:
        """The logs that may count otherwise: their grant or cut changed, or they have entries beside them and pins that
        may choose among these changed."""
        known = self._accounts.get(account)
        assert known is not None
        logs = concerned(was, control, [log for log in self.store.logs(account) if log.log])
        if was.alone() == control.alone() and was.keys == control.keys:
            names = {log: (log.writer, log.log) for log in logs & known.loose}
            return {
                log
                for log, name in names.items()
                if self.slow.may_choose(log, was.pins.get(name, []), control.pins.get(name, []))
            }
        logs |= self.slow.named_by(account, self.store.checkpoints(account))  # whose pins count, and in which order

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
        """Raises NotYet if the entries may count later, or with more of the log."""
        if future:
            raise NotYet("future", "control entries dated more than 5 minutes ahead of this node's clock")
        known = {e.id for e in (*control.path, *control.beside)}
        linked = known | {e.id for e in entries}
        if any(e.header.prev is not None and e.header.prev not in linked for e in entries):
            raise NotYet("control", f"entries of the control log of {account.hex()[:16]} follow some that are not held")
        if any(e.id in known and e.id not in held for e in entries):
            raise NotYet("branch", "a branch of the control log that does not count, beside many")

    def _open(self, account: AccountId, control: Control, contents: Mapping[EntryId, Content]) -> None:
        """Writes a new account without branches together with runs."""
        append = of_account(account, control, contents)
        self._accounts.open(account, control)
        self._together.open(account, control, append)
        self._moved(append.log, NOTHING, append.head)


def _regranted(was: Control, control: Control, logs: AbstractSet[LogId]) -> bool:
    """Whether the grant of one of these logs is another. Then ops of entries that count as before may become void, or
    count again, so the whole account is folded."""
    return any(was.grant_of(log.writer, log.log) != control.grant_of(log.writer, log.log) for log in logs)
