"""Checks every log of a store, and drops wrong entries with all entries after them.

This is due once after an upgrade: the version before accepted entries that this one refuses, and a peer that got them
from us would penalise us. Heads, the state of accounts and views are computed again by the usual rules
(log_recount.py). What was dropped is a difference between frontiers again, so peers are asked for it.

The invariants: the transaction that drops entries also notes the progress, so a stopped check continues; and the report
has a durable line about each dropped entry before it is dropped.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import islice
from pathlib import Path

from banyan_crdt.codec import decode, encode
from banyan_crdt.control import Control, resolve_control
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, Head, LogId, account_to_text, control_log
from banyan_crdt.realm import Realm
from banyan_crdt.state import control_head
from banyan_replica.intake.account_cache import AccountCache
from banyan_replica.intake.log_recount import LogRecount
from banyan_schema import dates
from banyan_storage import tables
from banyan_storage.check import bad_parts
from banyan_storage.entry_records import encode_grants
from banyan_storage.errors import DiskFailed
from banyan_storage.local_tables import FRONTIER, MEND
from banyan_storage.soundness import JudgedLog, Verify, judge, sound_chain
from banyan_storage.store import Store
from banyan_storage.upgrade import Say

ACCOUNTS_READ = 256
COMMIT_CHECKED, COMMIT_GONE = 50_000, 2_000
"""Entries checked, or dropped, between two commits."""
SAY_S = 10.0
"""Seconds between two progress messages."""
NAMED = 3
"""Logs that the last message names."""


class CheckInterrupt(Exception):
    """The node was stopped while its store was checked; the next start continues the check."""


@dataclass(slots=True)
class CheckFindings:
    """The results so far; all except `lines` are in the note."""

    logs: int = 0
    entries: int = 0
    wrong_logs: int = 0
    gone: int = 0
    moved: int = 0
    """Heads that changed."""
    parts: int = 0
    """Pieces of content that did not match their entries."""
    lines: list[str] = field(default_factory=list)
    """The first NAMED lines of the report."""


def due(store: Store) -> bool:
    """Whether the store must be checked."""
    return MEND.get(store) is not None


def mend(
    store: Store,
    realm: Realm,
    now_s: int,
    report: Path,
    say: Say,
    stopped: Callable[[], bool] = lambda: False,
    verify: Verify | None = None,
) -> CheckFindings:
    """Checks every log, starting where an earlier call was stopped. report: the file that lines are appended to.

    verify: if given, signatures and content are checked too. Raises CheckInterrupt, StorageError.
    """
    return _Mending(store, realm, now_s, report, verify).run(say, stopped)


class _Mending:
    def __init__(self, store: Store, realm: Realm, now_s: int, report: Path, verify: Verify | None) -> None:
        self._store, self._now_s, self._report, self._verify = store, now_s, report, verify
        self._accounts = AccountCache(store)
        self._counting = LogRecount(store, realm, self._accounts, self._moved)
        self._found = CheckFindings()
        self._lines: list[str] = []
        """Report lines about entries that the pending transaction drops."""
        self._heads_moved = False

    def run(self, say: Say, stopped: Callable[[], bool]) -> CheckFindings:
        at, found = self._begin(), self._found
        total, after = self._store.counts().entries, time.monotonic() + SAY_S
        committed = found.entries, found.gone
        while block := list(islice(self._store.accounts(at), ACCOUNTS_READ)):
            for account in block:
                self._account(account)
                at = AccountId(account + b"\0")
                late = stopped()
                if late or found.entries - committed[0] > COMMIT_CHECKED or found.gone - committed[1] > COMMIT_GONE:
                    self._commit(_note(at, found))
                    committed = found.entries, found.gone
                if late:
                    raise CheckInterrupt(
                        f"{found.entries:,} of {total:,} entries of the store are checked; the next start continues"
                    )
                if time.monotonic() > after:
                    after = time.monotonic() + SAY_S
                    say(f"{found.entries:,} of {total:,} entries of the store are checked, {found.gone:,} are wrong.")
        self._store.mend_ids()
        if self._verify is not None:
            self._parts()
        self._commit(None)
        say(_summary(found, self._report))
        return found

    def _begin(self) -> AccountId:
        """The account to start with."""
        note = MEND.get(self._store)
        if note is None:  # started by hand; if it is stopped, the next start continues it
            MEND.put(self._store, b"")
            self._store.commit()
            return AccountId(b"")
        try:
            at, *counts = decode(note) if note else [b""]
            self._found = CheckFindings(*counts)
        except (Malformed, TypeError, ValueError):  # start again, which drops nothing twice
            return AccountId(b"")
        return AccountId(at)

    def _commit(self, note: bytes | None) -> None:
        if self._lines:
            try:
                append_report(self._report, self._lines)
            except DiskFailed:
                self._store.rollback()
                raise
            self._lines = []
        if self._heads_moved:
            FRONTIER.put(self._store, None)
            self._heads_moved = False
        MEND.put(self._store, note)
        self._store.commit()

    def _moved(self, log: LogId, old: Head, new: Head) -> None:
        self._heads_moved = True
        self._found.moved += 1

    # -- one account

    def _account(self, account: AccountId) -> None:
        judged = {log: judge(self._store, log, self._verify) for log in self._store.logs(account)}
        for log, j in judged.items():
            self._found.logs += 1
            self._found.entries += j.checked
            if j.gone:
                self._say_wrong(log, j)
            if j.unreadable:
                self._store.forget_arrivals(log, j.unreadable)
        root = control_log(account)
        control, regranted = self._control(account, judged.get(root))
        logs = {log for log, j in judged.items() if log.log and (regranted or j.loose or j.head.flag or not j.sound)}
        kept = {
            log: (sound_chain(self._store, judged[log]), judged[log].loose) for log in logs if not judged[log].sound
        }
        if control.path and (logs or regranted):
            self._counting.recount(account, logs, self._now_s, rebuild=regranted or bool(kept), kept=kept)
        elif not control.path:
            self._empty(account, judged)

    def _control(self, account: AccountId, j: JudgedLog | None) -> tuple[Control, bool]:
        """The control log made of its sound entries, and whether its grants have changed."""
        chain = sound_chain(self._store, j) if j else []
        loose = j.loose if j else []
        control = resolve_control([*chain, *loose])
        row = encode_grants(control) if control.path else b""
        regranted = self._store.txn.get(tables.ACCOUNTS, account) != row
        if j is None:
            return control, regranted
        held = {e.id for e in (*chain, *loose)}
        beside = self._counting.control_beside(account, held, control, None)
        same = control_head(control) == j.head and {e.id for e in beside} == {e.id for e in loose}
        if not same or regranted or not j.sound:
            if control.path:
                self._accounts.put(account, control, beside, self._now_s)
            else:
                self._store.put_control(account, control, (), self._now_s)
            self._moved_if(control_log(account), j.head, control_head(control))
            over = len(held) - len(control.path) - len(beside)
            if over:
                self._found.gone += over
                self._line(f"{_name(control_log(account))}: {over:,} entries that no key of the account authorises")
        return control, regranted

    def _empty(self, account: AccountId, judged: Mapping[LogId, JudgedLog]) -> None:
        """Drops all of an account without a control log: nothing of it can be judged, so peers are asked again."""
        for log, j in judged.items():
            if not log.log or not (j.length or j.loose or j.gone or j.head != Head(0, None, 0)):
                continue
            over = j.length + len(j.loose)
            if over:
                self._found.gone += over
                self._line(f"{_name(log)}: {over:,} entries of an account without a control log")
            self._store.rewrite(log, (), (), Head(0, None, 0), self._now_s)
            self._moved_if(log, j.head, Head(0, None, 0))
        if any(j.checked for j in judged.values()):
            self._store.rebuild_views(account, ())

    def _moved_if(self, log: LogId, old: Head, new: Head) -> None:
        if old != new:
            self._moved(log, old, new)

    # -- content

    def _parts(self) -> None:
        """Drops content that does not match its entry, because a peer that received it would ban us."""
        touched: set[AccountId] = set()
        for entry, _, op, sentence in list(bad_parts(self._store)):
            if entry is None:
                continue  # such content is never sent
            self._store.drop_part(entry.id, op)
            self._found.parts += 1
            touched.add(entry.account)
            where = f"operation {op} of entry {entry.header.seq} ({entry.id.hex()[:16]})"
            self._line(f"{_name(entry.log_id)}: {where}: {sentence.partition(': ')[2]}")
        for account in touched:
            self._counting.recount(account, set(), self._now_s, rebuild=True)

    # -- the report

    def _say_wrong(self, log: LogId, j: JudgedLog) -> None:
        self._found.gone += j.gone
        self._found.wrong_logs += 1
        first = j.wrong[0]
        entry = "" if first.entry is None else f" ({first.entry.hex()[:16]})"
        self._line(f"{_name(log)}: {j.gone:,} entries from entry {first.seq}{entry} on: {first.why}")
        self._lines += [f"    entry {w.seq} ({w.entry.hex() if w.entry else 'unreadable'}): {w.why}" for w in j.wrong]

    def _line(self, line: str) -> None:
        self._lines.append(line)
        if len(self._found.lines) < NAMED:
            self._found.lines.append(line)


def _note(at: AccountId, found: CheckFindings) -> bytes:
    return encode([at, *astuple(found)[:-1]])


def _name(log: LogId) -> str:
    what = f"log {log.log} of writer {log.writer.hex()[:16]}" if log.log else "the control log"
    return f"{what} of account {account_to_text(log.account)}"


def _summary(found: CheckFindings, report: Path) -> str:
    said = f"The store was checked: {found.logs:,} logs, {found.entries:,} entries"
    what: list[str] = []
    if found.gone:
        what.append(
            f"{found.gone:,} entries of {found.wrong_logs:,} logs were wrong, or follow wrong ones, and were dropped"
        )
    if found.parts:
        what.append(f"{found.parts:,} pieces of content did not match their entries, and were dropped")
    if not what:
        rest = f"the heads of {found.moved:,} logs were computed again" if found.moved else "all are sound"
        return f"{said}; {rest}."
    if found.moved or found.gone:
        what.append(f"the heads of {found.moved:,} logs were computed again")
    named = "; ".join(found.lines)
    more = f"; the first: {named}" if named else ""
    return f"{said}; {'; '.join(what)}. Peers are asked for what is missing. {report} lists them all{more}."


def append_report(path: Path, lines: Sequence[str]) -> None:
    """Appends the lines durably, because what they name is dropped afterwards. Raises DiskFailed."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            date = dates.second(int(time.time() * 1000))
            file.writelines(f"{line if line.startswith(' ') else f'{date} {line}'}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DiskFailed(f"{path} cannot be written ({error.strerror}); nothing was dropped") from error
