"""What members of the charter list, and what that comes to here (docs/hosting.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple

from banyan_charter import hosting
from banyan_charter.hosting import Batch, HostingPace, Places, Standing
from banyan_charter.rules import Epoch
from banyan_crdt.control import resolve_control
from banyan_crdt.ids import AccountId, Head, control_log
from banyan_reading.queries import Queries
from banyan_schema.social.alliance import HOSTED
from banyan_storage.reader import StoreReader
from banyan_storage.views import invalidation


class ListedAccounts(NamedTuple):
    """kept: and for which member, in the order of members and places. placed: these, those that have a place, and those
    that the pace of their member keeps waiting."""

    kept: Mapping[AccountId, AccountId]
    placed: frozenset[AccountId]


def batches(q: Queries, member: AccountId) -> list[Batch]:
    """What it lists, in no order. A standing that this software does not know lists nobody. Raises ViewBuilding."""
    assert HOSTED.layout is not None
    known, out = {int(one) for one in Standing}, list[Batch]()
    for item in q.items(member, HOSTED):
        said = HOSTED.layout.make(*item.values)
        if said.standing in known:
            out.append(Batch(said.number, item.key, Standing(said.standing), said.ids(), said.hourly))
    return out


def host_of(reader: StoreReader, account: AccountId) -> AccountId | None:
    """Whom the account names as its host; None: nobody, or its control log is not held."""
    entries = reader.control(account)
    return resolve_control(entries, reader.checkpoints(account)).host if entries else None


class MemberLists:
    """Reads the lists of members, and again what changed. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._lists: dict[AccountId, list[Batch]] = {}
        self._hosts: dict[AccountId, tuple[Head, AccountId | None]] = {}
        """Of accounts with a place: where their control logs stand, and whom those name."""
        self._paces: dict[AccountId, HostingPace] = {}
        self._epoch: Epoch | None = None
        self._places: dict[AccountId, Places] = {}
        self._change = self._arrived = -1
        self._waiting = False
        """Whether the pace of a member keeps accounts waiting."""
        self._found = ListedAccounts({}, frozenset())

    def look(self, q: Queries, epoch: Epoch) -> ListedAccounts:
        """The accounts of the epoch's members; the same object while they are the same. Raises ViewBuilding."""
        with self._lock:
            same = self._read(q, epoch)
            if same and q.reader.last_arrival == self._arrived and not self._waiting:
                return self._found
            self._arrived = q.reader.last_arrival
            hosts = {x: self._host(q.reader, x) for places in self._places.values() for x in places.placed}
            self._hosts = {x: self._hosts[x] for x in hosts}
            kept = self._paced(q.reader, hosting.kept(epoch.parameters, self._places, hosts.get))
            if kept != self._found.kept or not same:
                self._found = ListedAccounts(kept, frozenset((*kept, *hosts)))
            return self._found

    def _read(self, q: Queries, epoch: Epoch) -> bool:
        """Reads the lists that changed. Returns whether all are as before."""
        touched = invalidation.touched(q.reader.txn, self._change)
        same, self._change = epoch is self._epoch, invalidation.last(q.reader.txn)
        for member in epoch.seats:
            if touched is None or member not in self._lists or q.number(member) in touched:
                before, self._lists[member] = self._lists.get(member), batches(q, member)
                same = same and before == self._lists[member]
        if not same:
            self._epoch = epoch
            self._places = hosting.places_by_member(epoch.parameters, epoch.seats.values(), self._lists)
        return same

    def _host(self, reader: StoreReader, account: AccountId) -> AccountId | None:
        head, held = reader.head(control_log(account)), self._hosts.get(account)
        if held is None or held[0] != head:
            held = self._hosts[account] = head, host_of(reader, account)
        return held[1]

    def _paced(self, reader: StoreReader, kept: dict[AccountId, AccountId]) -> dict[AccountId, AccountId]:
        """Those that were kept before, or of which this store has posts, and of the others as many as the pace of their
        member lets in."""
        out, now = dict[AccountId, AccountId](), self._clock()
        for account, member in kept.items():
            if account == member or account in self._found.kept or any(log.log for log in reader.logs(account)):
                out[account] = member
                continue
            pace = self._paces.get(member)
            if pace is None:
                assert self._epoch is not None
                pace = self._paces[member] = HostingPace(self._epoch.parameters.quota, now)
            if pace.takes(self._places[member].hourly, now):
                out[account] = member
        self._waiting = len(out) < len(kept)
        return out
