"""Writes the list of the member whose account is here (docs/hosting.md).

A node that hosts a member's account lists its other people without being asked, those first that came first, and has
each say whose it is (`host`, by its root key). Who left is taken off the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from banyan_charter.hosting import BATCH, Standing
from banyan_charter.rules import Epoch
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Host
from banyan_node.context import Context
from banyan_node.home.keystore import ROOT_SLOT
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append_each, in_place
from banyan_node.hosting.member_lists import batches
from banyan_node.operator_errors import CallError
from banyan_schema.social.alliance import HostedBatch, list_hosted
from banyan_storage.alliance_tables import LISTED_AS
from banyan_storage.local_tables import RESTORING

SIGNED_AT_ONCE = 16
"""Accounts that say in one step whose they are: some tens of milliseconds."""
WRITTEN_AT_ONCE = 2
"""Batches that are written in one step, of 16 kB each."""
NOT_LISTED = 255
"""Of an account in LISTED_AS."""
LIST_BYTES_S = 256
"""After a write of so many bytes the list is not written for a second: who signs up has its batch written again."""


def own_member(ctx: Context, epoch: Epoch) -> AccountId | None:
    """The member that hosts the people here: this node's own account if it has a seat, else the first one that has."""
    here = [one for one in epoch.seats if hosted.is_hosted(ctx.store, one)]
    mine = hosted.me(ctx)
    return mine if mine in here else next(iter(here), None)


def people_of(ctx: Context, epoch: Epoch) -> list[AccountId]:
    """The accounts here that are no members, those first that came first."""
    return [one.account for one in hosted.all_hosted(ctx) if one.account not in epoch.seats]


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
        if epoch is None or member is None:
            return False
        standing = epoch, hosted.count(ctx), hosted.next_index(ctx)
        if standing == self._done or RESTORING.get(ctx.store) is not None:
            return False
        people = people_of(ctx, epoch)
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
    with suppress(CallError, Refused):  # its control log or root key is not here, or the log has no room
        control = hosted.control_of(ctx, account)
        if control.host == member or control.closed or control.frozen:
            return
        root, _ = hosted.slot_signer(ctx, account, ROOT_SLOT)
        ctx.replica.author.control(account, root, Host(member), ctx.replica.wall_ms(now))
        ctx.replica.writes.publish_control(account, now, push)


def changes(ctx: Context, member: AccountId, people: Iterable[AccountId]) -> list[HostedBatch]:
    """The batches by which the member's list has these people, and others, as the operator said: who is listed so stays
    in its place, and the others come behind. Raises ViewBuilding."""
    wanted = dict.fromkeys(people, int(Standing.HOSTED)) | dict(LISTED_AS.rows(ctx.store))
    held, new = sorted(batches(ctx.queries(), member), key=lambda one: one[:2]), dict[int, Iterator[AccountId]]()
    listed = {account for batch in held for account in batch.accounts if wanted.get(account) == batch.standing}
    for standing in Standing:
        new[standing] = iter([one for one, said in wanted.items() if said == standing and one not in listed])
    last, out = {batch.standing: batch for batch in held}, list[HostedBatch]()
    for batch in held:
        stays = [one for one in batch.accounts if wanted.get(one) == batch.standing]
        if last[batch.standing] is batch:
            stays += islice(new[batch.standing], BATCH - len(stays))
        if stays != [*batch.accounts]:
            out.append(HostedBatch(batch.number, batch.standing, b"".join(stays), batch.hourly))
    number, hourly = (held[-1].number + 1, held[-1].hourly) if held else (0, None)
    for standing in Standing:
        while more := b"".join(islice(new[standing], BATCH)):
            out.append(HostedBatch(number, standing, more, hourly))
            number += 1
    return out


def write(ctx: Context, member: AccountId, some: Sequence[HostedBatch], now: float) -> int:
    """Writes these batches. Returns their bytes; 0 if this node may not write for the member."""
    with suppress(CallError, Refused):
        groups = [[in_place(ctx, member, list_hosted(hosted.salt_of(ctx, member), batch))] for batch in some]
        if groups:
            append_each(ctx, member, groups, now)
            return sum(len(draft.content or b"") for (draft,) in groups)
    return 0
