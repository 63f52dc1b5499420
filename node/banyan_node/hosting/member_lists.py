"""What members of the charter list, and what that comes to (docs/hosting.md): read for `interest.mode` all, and written
for the members whose accounts are hosted here.

A node that hosts a member's account lists its other people without being asked, those first that came first, and has
each say whose it is (`host`, by its root key). It drops from the list who left, and whom its operator dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from banyan_charter import hosting
from banyan_charter.hosting import BATCH, Batch, Places, Standing
from banyan_charter.rules import Epoch
from banyan_crdt.control import resolve_control
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, Head, control_log
from banyan_crdt.ops import Host, Put
from banyan_node.context import Context
from banyan_node.home.keystore import ROOT_SLOT
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append_each
from banyan_node.operator_errors import CallError
from banyan_reading.queries import Queries
from banyan_schema.collection import OpDraft
from banyan_schema.social.alliance import HOSTED, HostedBatch, list_hosted
from banyan_storage.local_tables import RESTORING, UNLISTED
from banyan_storage.reader import StoreReader

SIGNED_AT_ONCE = 64
"""Accounts that say in one step whose they are: some tens of milliseconds."""
WRITTEN_AT_ONCE = 8
"""Batches that are written in one step, of 16 kB each."""
LIST_BYTES_S = 256
"""After a write of so many bytes the list is not written for a second: who signs up has its batch written again."""


class ListedAccounts(NamedTuple):
    """kept: and for which member, in the order of members and places. placed: these, and those that have a place."""

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
    """Reads the lists of members, and again what changed. hosts: see `Context`. One thread at a time."""

    def __init__(self, hosts: dict[AccountId, tuple[Head, AccountId | None]]) -> None:
        self._hosts = hosts
        self._lists: dict[AccountId, list[Batch]] = {}
        self._epoch: Epoch | None = None
        self._places: dict[AccountId, Places] = {}
        self._arrived = -1
        self._found = ListedAccounts({}, frozenset())

    def look(self, q: Queries, epoch: Epoch, changed: set[bytes] | None) -> ListedAccounts:
        """The accounts of the epoch's members; the same object while they are the same. changed: the numbers of
        accounts that were touched since the last look; None: perhaps all. Raises ViewBuilding."""
        same = epoch is self._epoch
        for member in epoch.seats:
            if changed is None or member not in self._lists or q.number(member) in changed:
                now = batches(q, member)
                same, self._lists[member] = same and now == self._lists.get(member), now
        if not same:
            self._epoch = epoch
            self._places = hosting.places_by_member(epoch.parameters, epoch.seats.values(), self._lists)
        if same and q.reader.last_arrival == self._arrived:
            return self._found
        self._arrived = q.reader.last_arrival
        kept = hosting.kept(epoch.parameters, self._places, lambda account: self._host(q.reader, account))
        if kept != self._found.kept or not same:
            every = (account for places in self._places.values() for account in places.placed)
            self._found = ListedAccounts(kept, frozenset((*kept, *every)))
        return self._found

    def _host(self, reader: StoreReader, account: AccountId) -> AccountId | None:
        head = reader.head(control_log(account))
        held = self._hosts.get(account)
        if held is None or held[0] != head:
            held = self._hosts[account] = head, host_of(reader, account)
        return held[1]


def own_member(ctx: Context, epoch: Epoch) -> AccountId | None:
    """The member that hosts the people here: this node's own account if it has a seat, else the first one that has."""
    here = [one for one in epoch.seats if hosted.is_hosted(ctx.store, one)]
    mine = hosted.me(ctx)
    return mine if mine in here else next(iter(here), None)


class ListKeeper:
    """Writes the list of the member whose account is here. On the replica's thread."""

    def __init__(self) -> None:
        self._said: set[AccountId] = set()
        """Accounts here that name their host, or cannot, since the start."""
        self._done: object = None
        """Of which accounts all is said and written."""
        self._next_at = 0.0

    def step(self, ctx: Context, now: float) -> bool:
        """Writes some of what the list lacks, and has some accounts say whose they are. Returns whether there is more
        to do. Raises ViewBuilding."""
        epoch = ctx.replica.charter.epoch
        member = None if epoch is None else own_member(ctx, epoch)
        standing = epoch, hosted.count(ctx), hosted.next_index(ctx)
        if epoch is None or member is None or standing == self._done or RESTORING.get(ctx.store) is not None:
            return False
        people = [one.account for one in hosted.all_hosted(ctx) if one.account not in epoch.seats]
        left = [account for account in people if account not in self._said]
        for account in left[:SIGNED_AT_ONCE]:
            self._said.add(account)
            _name_host(ctx, account, member, now, push=len(left) == 1)
        if now < self._next_at:
            return len(left) > SIGNED_AT_ONCE
        changed = changes(ctx, member, people)
        written = write(ctx, member, changed[:WRITTEN_AT_ONCE], now)
        self._next_at = now + written / LIST_BYTES_S
        more = len(left) > SIGNED_AT_ONCE or len(changed) > WRITTEN_AT_ONCE
        self._done = None if more or changed else standing
        return more


def _name_host(ctx: Context, account: AccountId, member: AccountId, now: float, push: bool) -> None:
    control = hosted.control_of(ctx, account)
    if control.host == member or control.closed or control.frozen:
        return
    with suppress(CallError, Refused):  # its root key is elsewhere, or its log has no room
        root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
        ctx.replica.author.control(account, root, Host(member), ctx.replica.wall_ms(now))
        ctx.replica.writes.publish_control(account, now, push)


def changes(ctx: Context, member: AccountId, people: Iterable[AccountId]) -> list[HostedBatch]:
    """The batches by which the member's list has these people and no others, but for whom it vouches: who is listed
    stays in its place, and others come behind. Raises ViewBuilding."""
    wanted = dict.fromkeys(account for account in people if not UNLISTED.has(ctx.store, account))
    held = sorted(batches(ctx.queries(), member), key=lambda one: one[:2])
    listed = {account for batch in held for account in batch.accounts}
    new = iter([account for account in wanted if account not in listed])
    out = list[HostedBatch]()
    for batch in held:
        stays = [one for one in batch.accounts if one in wanted or batch.standing is Standing.VOUCHED]
        if batch is held[-1] and batch.standing is Standing.HOSTED:
            stays += islice(new, BATCH - len(stays))
        if stays != [*batch.accounts]:
            out.append(HostedBatch(batch.number, batch.standing, b"".join(stays), batch.hourly))
    number, hourly = (held[-1].number + 1, held[-1].hourly) if held else (0, None)
    while more := b"".join(islice(new, BATCH)):
        out.append(HostedBatch(number, Standing.HOSTED, more, hourly))
        number += 1
    return out


def write(ctx: Context, member: AccountId, some: Sequence[HostedBatch], now: float) -> int:
    """Writes these batches. Returns their bytes; 0 if this node may not write for the member."""
    groups, salt = list[list[OpDraft]](), hosted.salt_of(ctx, member)
    for batch in some:
        draft = list_hosted(salt, batch)
        assert isinstance(draft.op, Put)
        groups.append([list_hosted(salt, batch, ctx.queries().live(member, draft.op))])
    with suppress(CallError, Refused):
        if groups:
            append_each(ctx, member, groups, now)
            return sum(len(draft.content or b"") for (draft,) in groups)
    return 0
