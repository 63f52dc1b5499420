"""Whom this node trusts, in one place: what its operator named, and the members of the charter that it follows.

| what is asked | without a charter | besides, while one is followed |
|---|---|---|
| who stays linked, and has a kept slot | `node.bootstrap`, `peers.add` | nodes that members name |
| whose word on withheld and erased content counts | `node.platforms`, the host of the account | platforms of members |
| who says which channels are official | the own account, and whom it follows | members, but observers |
| whose accounts are held in any case | those of here, and whom they follow | members, and accounts with a role |
| whose labels are followed | `labeller.set` | the charter's label issuers, which warn |
| who is dialled first | `node.bootstrap`, peers of the last run | some nodes of members |

A member is trusted no further: its frames wait as those of others do, and it can be banned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import trio

from banyan_charter.rules import Epoch
from banyan_charter.values import Kind
from banyan_crdt.ids import AccountId, WriterKey
from banyan_node.context import Context
from banyan_node.hosting import hosted, interest, list_keeper
from banyan_node.hosting.entry_writer import append, in_place
from banyan_node.hosting.hosted import Reads
from banyan_node.hosting.member_lists import host_of
from banyan_node.transparency import lines
from banyan_schema.social.alliance import COLLECTION, AllianceMembership, MemberLog, be_member
from banyan_storage.alliance_tables import MEMBERS, ROLES, Member
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import LABELLERS, ChosenLabeller
from banyan_storage.reader import StoreReader

if TYPE_CHECKING:
    from banyan_node.workers.worker import Worker

LOOK_S, NODES_S = 2.0, 15.0
"""How often it is looked whether another epoch stands, and where the members' nodes are."""
LIST_PAUSE_S = 0.1
"""Between two steps of writing which accounts are hosted here."""
SAY_S = 3_600.0
"""How often a member says how far it is, if its epoch stays the same."""
DIALLED = 8
"""Nodes of members that are dialled until any peer is linked."""


class MemberNodes(NamedTuple):
    """peers: ids of the nodes that members name. addresses: where some of them are, those to dial first."""

    peers: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()


def vouching(reader: StoreReader) -> Iterator[AccountId]:
    """Members whose word on official channels counts."""
    return (account for account, member in MEMBERS.rows(reader) if member.kind != Kind.OBSERVER)


def step(ctx: Context, now: float) -> MemberNodes:
    """Takes over the members of the last epoch that stands. Raises ViewBuilding."""
    epoch = ctx.replica.charter.epoch
    if _take_over(ctx, epoch) and not interest.holds_all(ctx):
        interest.hold(ctx, now)
    ctx.member_logs = {}
    found = MemberNodes() if epoch is None else _nodes(ctx, epoch)
    platforms = {key for account in MEMBERS.keys(ctx.store) for key in _writers(ctx, account)}
    ctx.replica.peers.set_members(found.peers, platforms)
    return found


def _take_over(ctx: Context, epoch: Epoch | None) -> bool:
    """Whether anything changed."""
    seats = {} if epoch is None else epoch.seats
    wanted = {m: Member(int(seat.kind), seat.domain.decode()) for m, seat in seats.items()}
    held = dict(MEMBERS.rows(ctx.store))
    for account in held.keys() | wanted.keys():
        if held.get(account) != wanted.get(account):
            MEMBERS.put(ctx.store, account, wanted.get(account))
    issuers = () if epoch is None else epoch.parameters.labellers
    named = set() if epoch is None else epoch.parameters.roles - seats.keys()
    for account in (had := {*ROLES.keys(ctx.store)}) ^ named:
        ROLES.put(ctx.store, account, True if account in named else None)
    for account, chosen in [*LABELLERS.rows(ctx.store)]:
        if chosen.charter and account not in issuers and chosen.does:
            LABELLERS.put(ctx.store, account, ChosenLabeller("", accepted=True))
    for account in issuers:
        if not LABELLERS.has(ctx.store, account):
            LABELLERS.put(ctx.store, account, ChosenLabeller("warn", accepted=True, charter=True))
    return (held, had) != (wanted, named)


def _writers(ctx: Context, account: AccountId) -> list[WriterKey]:
    """Whose statements a platform's are: the writers that its account grants."""
    grants = ctx.store.grants(account)
    return [] if grants is None else [key for key in grants.grants if key not in grants.cuts]


def said_by(at: Reads, account: AccountId) -> AllianceMembership | None:
    """What the account says of its seat. Raises ViewBuilding."""
    assert COLLECTION.layout is not None
    found = [COLLECTION.layout.make(*one.values) for one in at.queries().items(account, COLLECTION)]
    return found[0] if found else None


def _nodes(ctx: Context, epoch: Epoch) -> MemberNodes:
    own, addresses = ctx.replica.me.peer, set[str]()
    for account in epoch.seats:
        said = said_by(ctx, account)
        if said is not None and said.charter == epoch.charter:
            addresses |= {addr for addr in said.nodes if "/p2p/" in addr}
            if said.log is not None:
                ctx.member_logs[account] = said.log

    for role in epoch.parameters.authorities:  # its node logs its orders
        host = host_of(ctx.store, role.account) if role.account not in epoch.seats else None
        if host in ctx.member_logs:
            ctx.member_logs[role.account] = ctx.member_logs[host]

    def rank(addr: str) -> bytes:  # each node dials others first
        return hashlib.sha256((own + addr).encode()).digest()

    peers = frozenset(addr.rsplit("/p2p/", 1)[-1] for addr in addresses) - {own}
    return MemberNodes(peers, tuple(sorted((a for a in addresses if not a.endswith(own)), key=rank)[:DIALLED]))


def say(addresses: tuple[str, ...], url: str, ctx: Context, now: float) -> None:
    """The accounts here that have a seat say so, how far they are, and where this node is. url: of its door, or
    empty."""
    ledger, epoch, log = ctx.replica.charter.ledger, ctx.replica.charter.epoch, None
    if ledger is None or epoch is None:
        return
    for account in [one for one in epoch.seats if hosted.is_hosted(ctx.store, one)]:
        if url:
            keys = lines.opened(ctx, now)
            log = MemberLog(f"{url}/transparency", keys.signer.key.key, keys.witness.key.key)
        said = AllianceMembership(epoch.charter, epoch.number, ledger.digest, addresses, log)
        if said_by(ctx, account) != said:
            append(ctx, account, [in_place(ctx, account, be_member(hosted.salt_of(ctx, account), said))], now)


async def follow(
    worker: Worker[Context],
    reach: Callable[[], tuple[tuple[str, ...], str]],
    keep_slots: Callable[[Collection[str]], None],
    dial: Callable[[str], None],
) -> None:
    """For as long as the node runs. reach: where this node can be dialled, and its door. keep_slots: for these peers.
    dial: begins to dial an address until a peer is linked."""
    told, looked_at, said_at, said = MemberNodes(), -NODES_S, -SAY_S, None
    keeper = list_keeper.ListKeeper()
    while True:
        await trio.sleep(LOOK_S)
        with suppress(ViewBuilding):
            while await worker.call(keeper.step):
                await trio.sleep(LIST_PAUSE_S)
        epoch, now = await worker.call(_standing), trio.current_time()
        if epoch == said and now - looked_at < NODES_S:
            continue
        try:
            found = await worker.call(step)
            if epoch is not None and (epoch != said or now - said_at >= SAY_S):
                await worker.call(partial(say, *reach()))
                said_at = now
        except ViewBuilding:
            continue
        looked_at, said = now, epoch
        if found != told:
            keep_slots(found.peers)
            for addr in found.addresses:
                dial(addr)
            told = found


def _standing(ctx: Context, now: float) -> bytes | None:
    epoch = ctx.replica.charter.epoch
    return None if epoch is None else epoch.id
