"""The pins that choose among the branches of an account's logs, read once and not for each log that is counted again.

A pin of a checkpoint or a log counts for logs of a higher stratum alone. So there is a table for each stratum, in
order of rank, which holds until a head of the account below that stratum moves.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from typing import TypeAlias

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.control import Control
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.logs import LogName
from banyan_crdt.ops import Pin
from banyan_crdt.state import counted_entries, pins_in, pins_of, turn_of
from banyan_replica.intake.account_cache import AccountCache
from banyan_storage.store import Store

ACCOUNTS, PINS = 16, 100_000
"""Accounts whose pins are held, and pins, unless one account has more."""
PinTable: TypeAlias = defaultdict[LogName, list[Pin]]
"""The pins of logs below a stratum, in order of rank."""


class AccountPins:
    """It lives on the thread that owns the store."""

    def __init__(self, store: Store, accounts: AccountCache) -> None:
        self._store, self._accounts = store, accounts
        self._tables: OrderedDict[AccountId, dict[int, PinTable]] = OrderedDict()

    def forget(self) -> None:
        """After a rollback the tables are wrong."""
        self._tables.clear()

    def of(self, log: LogId) -> list[Pin]:
        """The pins of the log in order of rank: of the control log, the root's checkpoint, then of each writer of a
        lower stratum its checkpoint and its counted logs."""
        control = self._accounts.control(log.account)
        granted = control.grant_of(log.writer, log.log) if control else None
        if control is None or granted is None:
            return []
        name, table = (log.writer, log.log), self._below(control, log.account, granted.grant.stratum)
        return [*control.pins.get(name, ()), *table.get(name, ())]

    def _below(self, control: Control, account: AccountId, stratum: int) -> PinTable:
        """The pins that checkpoints and logs below a stratum have of all others. They are read once, not for each log
        that is counted again, and held until a head of the account moves."""
        tables = self._tables.setdefault(account, {})
        if stratum in tables:
            return tables[stratum]
        self._tables.move_to_end(account)
        while len(self._tables) > ACCOUNTS or (len(self._tables) > 1 and sum(map(_size, self._tables.values())) > PINS):
            self._tables.popitem(last=False)
        checkpoints = self._store.checkpoints(account)
        turns: list[tuple[tuple[int, int, int], bytes, Checkpoint | LogId]] = [
            (turn, c.writer, c) for c in checkpoints if (turn := turn_of(control, c)) is not None and turn[0] < stratum
        ]
        if any(g.grant.stratum < stratum for granted in control.grants.values() for g in granted):
            for other in self._store.heads(account):
                own = control.grant_of(other.writer, other.log) if other.log else None
                if own is not None and own.grant.stratum < stratum:
                    turns.append((control.order_of(other), other.writer, other))
        table = tables[stratum] = PinTable(list)
        for _, _, said in sorted(turns, key=lambda turn: turn[:2]):
            if isinstance(said, LogId):
                found = pins_in(control, said, counted_entries(control, said, self._store.walk(said)))
            else:
                found = pins_of(control, said)
            for target, pin in found:
                table[target].append(pin)
        return table

    def stale(self, log: LogId) -> None:
        """The head of the log moved: what was read of pins for the logs above it is out of date."""
        tables = self._tables.get(log.account)
        if tables:
            control = self._accounts.control(log.account) if log.log else None
            own = control.grant_of(log.writer, log.log) if control else None
            for stratum in [x for x in tables if own is None or own.grant.stratum < x]:
                del tables[stratum]


def _size(tables: Mapping[int, PinTable]) -> int:
    return sum(len(pins) for table in tables.values() for pins in table.values())
