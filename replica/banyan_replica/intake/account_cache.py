"""The cache of accounts: the grants by which entries are judged, and which logs have entries beside them.

After a start nothing is cached, even with a million accounts in the store. So loading an account must be cheap: one
look-up, without its control log. The whole control log is resolved only if a caller needs it.

The invariant: the cache agrees with the store, pending writes included. Code that changes an account in the store must
tell the cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from banyan_crdt.control import Control, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.logs import Grants
from banyan_storage.reader import NO_LOGS
from banyan_storage.store import Store

ACCOUNTS_CACHED = 25_000
"""Cached accounts, about 0.8 kB each."""
CONTROLS_CACHED = 1_000
"""Cached whole control logs, 2 kB each or more."""


@dataclass(slots=True)
class AccountRights:
    """An account whose control log is held."""

    grants: Grants
    loose: AbstractSet[LogId]
    """Logs with held entries that do not count. Only in these can a pin change what counts."""

    def mark(self, log: LogId, loose: bool) -> None:
        """Notes whether the log has held entries that do not count."""
        if loose != (log in self.loose):
            self.loose = self.loose | {log} if loose else self.loose - {log}


class AccountCache:
    """The accounts of one store. It lives on the thread that owns the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[AccountId, AccountRights] = OrderedDict()
        self._controls: OrderedDict[AccountId, Control] = OrderedDict()

    def get(self, account: AccountId) -> AccountRights | None:
        """The account, or None if its control log is not held."""
        known = self._known.get(account)
        if known is not None:
            self._known.move_to_end(account)
            return known
        grants = self._store.grants(account)
        return None if grants is None else self._read(account, grants)

    def look_up(self, accounts: Iterable[AccountId]) -> None:
        """Reads all that are not cached in one pass, which is faster than one by one."""
        wanted = {account for account in accounts if account not in self._known}
        for account, grants in self._store.grants_of(wanted):
            self._read(account, grants)

    def control(self, account: AccountId) -> Control | None:
        """The whole control state, or None if the control log is not held."""
        control = self._controls.get(account)
        if control is not None:
            self._controls.move_to_end(account)
            return control
        if self.get(account) is None:
            return None
        entries = self._store.control(account)
        return self._keep(account, resolve_control(entries, self._store.checkpoints(account)))

    def open(self, account: AccountId, control: Control) -> None:
        """Caches a new account; the caller is about to store its control log."""
        self._add(account, AccountRights(control.alone(), NO_LOGS))

    def put(self, account: AccountId, control: Control, loose: Sequence[Entry], now_s: int) -> None:
        """Replaces the control log in cache and store: its path, and the entries beside it (`loose`)."""
        known = self.get(account)
        self._store.put_control(account, control, loose, now_s)
        if known is None:
            self.open(account, control)
        else:
            known.grants = control.alone()
        self._keep(account, replace(control, beside=tuple(loose)))

    def trimmed(self, log: LogId, loose: bool) -> None:
        """Entries beside a log were dropped. loose: whether some are left."""
        if not log.log:
            self._controls.pop(log.account, None)
        elif (known := self._known.get(log.account)) is not None:
            known.mark(log, loose)

    def forget(self) -> None:
        """Empties the cache, which is wrong after a rollback."""
        self._known.clear()
        self._controls.clear()

    def _read(self, account: AccountId, grants: Grants) -> AccountRights:
        return self._add(account, AccountRights(grants, self._store.loose_logs(account)))

    def _add(self, account: AccountId, known: AccountRights) -> AccountRights:
        self._known[account] = known
        if len(self._known) > ACCOUNTS_CACHED:
            self._known.popitem(last=False)
        return known

    def _keep(self, account: AccountId, control: Control) -> Control:
        self._controls[account] = control
        if len(self._controls) > CONTROLS_CACHED:
            self._controls.popitem(last=False)
        return control
