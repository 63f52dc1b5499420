"""Which accounts are held, without those that the operator dropped.

| `interest.mode` | accounts, the most important first |
|---|---|
| follows | those of here, and those within some follows of them (reach.py) |
| all, while a charter is followed | those that its members host (member_lists.py), those of here, whom they follow |
| all, without a charter | all |

Follows are read once, and again of accounts that were touched since (banyan_storage.views.invalidation): of own
accounts at each look, of others once a minute. So an account that changes its follows all the time costs little, here
and at peers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import structlog
import trio

from banyan_crdt.control import resolve_control
from banyan_crdt.ids import AccountId, Head, LogId, account_to_text, control_log, is_checkpoint, is_control
from banyan_crdt.logs import NOTHING
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.member_lists import ListedAccounts
from banyan_node.hosting.reach import Reach
from banyan_node.moderation import withheld
from banyan_reading.queries import Queries, queries
from banyan_reading.relations import is_followed, numbers_of
from banyan_replica.intake.storage_cost import ENTRY_PRICE, OP_PRICE, PART_PRICE
from banyan_storage.alliance_tables import MEMBERS, ROLES
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import AWAITED, DROPPED, HOSTED, LABELLERS, RESTORING
from banyan_storage.views import invalidation

if TYPE_CHECKING:
    from banyan_node.workers.worker import Worker

LOOK_S = 5.0
"""Seconds between two looks whom the accounts here follow."""
LISTS_LOOK_S, LISTS_PART = 1.0, 20
"""While members' lists decide, a pause of at least so long, and of so many times as long as the look took: a newcomer
hears first of the lists, then of the control logs that they name, and then of the rest."""
FAR_LOOKS = 12
"""At each look of so many, whom others follow is looked at too."""


async def follow(worker: Worker[Context], context: Context) -> None:
    """Tells the replica which accounts it holds, for as long as the node runs."""
    interest, told, pause = AccountChoice(context), None, LOOK_S
    while True:
        await trio.sleep(pause)
        with suppress(ViewBuilding):  # follows are unknown until the view is built
            began = time.monotonic()
            found = await trio.to_thread.run_sync(interest.look)
            if found is not None and found.listed is not None:
                pause = min(LOOK_S, max(LISTS_LOOK_S, LISTS_PART * (time.monotonic() - began)))
            if found != told:
                await worker.call(partial(_hold, found))
                told = found


def hold(ctx: Context, now: float) -> None:
    """Tells the replica which accounts it holds now. Raises ViewBuilding."""
    _hold(None if holds_all(ctx) else AccountChoice(ctx).of(ctx.queries()), ctx, now)


def holds_all(ctx: Context) -> bool:
    """A node that is restoring holds all, because the ids of its accounts are unknown until they arrive."""
    open_ = ctx.settings.config.interest.mode == "all" and ctx.replica.charter.epoch is None
    return open_ or RESTORING.get(ctx.store) is not None


class Choice(NamedTuple):
    """listed: by members of the charter; None: they do not matter here. found: accounts here, and around them, of which
    `near` are here or followed by them (`Reach`)."""

    listed: ListedAccounts | None
    found: tuple[AccountId, ...]
    near: int


def _hold(choice: Choice | None, context: Context, now: float) -> None:
    """choice: None is all. What was dropped or is awaited since it was found counts."""
    context.placed = choice.listed.placed if choice is not None and choice.listed is not None else ()
    if choice is None:
        context.replica.set_interest(None, now)
        return
    gone, (listed, found, near) = set(DROPPED.keys(context.store)), choice
    due = (account for rows in (MEMBERS, ROLES, LABELLERS, AWAITED) for account in rows.keys(context.store))
    kept, placed = ((), frozenset[AccountId]()) if listed is None else (listed.kept, listed.placed)
    first = dict.fromkeys([*due, *kept, *found[:near]])
    controls = placed - first.keys()
    held, beyond = ([one for one in some if one not in gone] for some in ([*first, *sorted(controls)], found[near:]))
    context.replica.set_interest(held, now, beyond, controls, read_to=listed is not None)


class AccountChoice:
    """Of one store. One thread at a time."""

    def __init__(self, ctx: Context) -> None:
        chosen = ctx.settings.config.interest
        self._ctx, self._all = ctx, chosen.mode == "all"
        self._reach = Reach(1 if self._all else chosen.hops, chosen.max_accounts)
        self._at, self._looks = -1, 0
        self._later: set[bytes] | None = None
        """Numbers of the accounts that were touched and are read again once a minute; None: perhaps all."""

    def look(self) -> Choice | None:
        """The accounts, with those that were dropped, as of the last commit. None: all. Any thread. Raises
        ViewBuilding."""
        ctx = self._ctx
        if self._all and ctx.replica.charter.epoch is None:
            return None
        with queries(ctx.engine, ctx.realm, ctx.store.late_ids) as q:
            return None if RESTORING.get(q.reader) is not None else self.of(q)

    def of(self, q: Queries) -> Choice:
        """As `look`, of a node that does not hold all."""
        q.need("relations")
        now = invalidation.touched(q.reader.txn, self._at)
        self._at, far = invalidation.last(q.reader.txn), self._looks % FAR_LOOKS == 0
        self._looks += 1
        self._later = None if now is None or self._later is None else self._later | now
        roots = {*HOSTED.keys(q.reader), *AWAITED.keys(q.reader)}
        # an account of which nothing was known may be new here
        again = [a for a, known in self._reach.known.items() if far or a in roots or not known.accounts]
        changed = self._later if far else now
        if changed is not None:
            again = [account for account in again if q.number(account) in changed]
        if far:
            self._later = set()
        found = self._reach.update(sorted(roots), again, q.follows)
        epoch = self._ctx.replica.charter.epoch if self._all else None
        return Choice(None if epoch is None else self._ctx.member_lists.look(q, epoch), found, self._reach.near)


# Accounts that the operator dropped: they are not fetched again. What is held of one goes in steps (`begin`, `step`),
# since one transaction of 100,000 entries would hold the store for half a minute.
#
# This is policy and not state. Its neighbours are told that it holds the account no longer, so the frontiers that are
# compared stay honest. A node that holds all accounts cannot say "all but these".

AT_ONCE = 128
"""Entries that go in one step, or a run more, and rows of views: some tens of milliseconds."""
DROP, ERASE, LOGS = b"1", b"2", b"3"
"""Why an account leaves: all of it, its control log last; or all but that, as erasure.py does, or because members list
it and it does not name them."""
Look: TypeAlias = Callable[[Sequence[int]], None]


def begin_drop(ctx: Context, account: AccountId, why: bytes = DROP) -> int:
    """Erases what is held of the account from now on, in steps, also after a crash; readers are shown nothing of it.
    Returns how many entries counted. Content that was withheld or erased stays noted as such, in case the account comes
    back."""
    ctx.replica.ingest.flush()
    if account not in ctx.store.leaving():
        ctx.store.note_act("dropped", account)
        ctx.store.set_leaving(account, why)
    return sum(head.length for log, head in ctx.store.heads(account).items() if not is_checkpoint(log))


def drop_step(ctx: Context, account: AccountId, now: float, why: bytes = DROP, look: Look = lambda ns: None) -> bool:
    """One step of what `begin` began for this reason, of some tens of milliseconds. It ends with logs that are whole up
    to their heads. look: gets the arrivals of entries before they go. Returns whether more is left."""
    leaving = ctx.store.leaving().get(account)
    if leaving != why:
        return leaving is not None
    store, left = ctx.store, AT_ONCE
    if store.unshow(account, AT_ONCE):
        return True
    ctx.replica.ingest.flush()
    heads = store.heads(account)
    for log in sorted(heads.keys() | store.loose_logs(account)):
        if not log.log:
            continue
        left -= store.drop_end(log, left, look)
        _moved(ctx, log, heads.get(log, NOTHING))
        if left <= 0:
            ctx.replica.ingest.forget()
            return True
    for log in sorted((log for log in heads if not log.log), key=is_control) if why == DROP else ():
        if is_checkpoint(log):
            store.drop_checkpoint(log)
        else:
            store.put_control(account, resolve_control([]), (), ctx.replica.wall_ms(now) // 1000)
        _moved(ctx, log, heads[log])
    withheld.drop(store, account)
    store.rebuild_views(account, ())
    store.forget(account)
    store.set_leaving(account, None)
    ctx.replica.strangers.release(account)
    ctx.replica.ingest.forget()
    return False


def _moved(ctx: Context, log: LogId, old: Head) -> None:
    if (new := ctx.store.head(log)) != old:
        ctx.replica.ingest.moved(log, old, new)


def stay(ctx: Context, account: AccountId, now: float) -> None:
    """The account is held again before all of it was erased. What is left of it is shown, and what is not is a
    difference to peers."""
    ctx.store.set_leaving(account, None)
    ctx.replica.ingest.flush()
    if ctx.replica.ingest.control_of(account) is not None:
        ctx.replica.ingest.slow.recount(account, set(), ctx.replica.wall_ms(now) // 1000, rebuild=True)


def is_wanted(ctx: Context, account: AccountId) -> bool:
    """Whether the account is held, by what people here follow and what was dropped."""
    wanted = ctx.replica.room.interesting(account) or ctx.around.is_wanted(account)
    return wanted and not DROPPED.has(ctx.store, account)


def go_on(ctx: Context, now: float) -> bool:
    """A step of what a drop or a crash left to be erased, and of what came of a dropped account all the same. Returns
    whether more is left."""
    for account, why in [row for row in ctx.store.leaving().items() if row[1] != ERASE]:
        if is_wanted(ctx, account) and (why == DROP or account not in ctx.replica.room.control_only):
            stay(ctx, account, now)
        else:
            drop_step(ctx, account, now, why)
        return True
    for account in DROPPED.keys(ctx.store):
        if ctx.store.head(control_log(account)) != NOTHING and account not in ctx.store.leaving():
            begin_drop(ctx, account)
            return drop_step(ctx, account, now)
    return False


# Erases what peers brought of accounts that are chosen no longer, so the room that they took comes back. While there is
# room they stay for KEPT_S: who stopped following may think again, and a thief of a device may stop following
# everybody. When room ends all of them go, one after the other.
#
# Such an account counts as a stranger's from then on, which is noted in the store: it is known after a restart, and
# what was imported from an archive stays. Who names an account of this node is held further (sync/notice_exchange.py).

log = structlog.get_logger("banyan")
EVICTION_LOOK_S = 2.0
"""Seconds between two looks whether something is to be erased."""
PAUSE = 1.0
"""The pause after a step, relative to the time that it took."""
KEPT_S = 86_400.0
"""Seconds for which they stay while there is room."""
EVICTED_AT_ONCE = 1_000
"""Accounts that leave and are counted in one step."""


async def run(worker: Worker[Context], context: Context) -> None:
    """For as long as the node runs."""
    evicting = AccountEviction()
    while True:
        await trio.sleep(EVICTION_LOOK_S)
        while await worker.call(evicting.step):
            await trio.sleep(evicting.took_s * PAUSE)


class AccountEviction:
    """On the replica's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._interest: AbstractSet[AccountId] = frozenset()
        self._chosen: AbstractSet[AccountId] = frozenset()
        """Of those that are held, those of the last look that are not held only because they name an account here."""
        self._leaving = list[AccountId]()
        """Those that left and are not counted yet."""
        self._controls: AbstractSet[AccountId] = frozenset()
        self._bare = list[AccountId]()
        """Those of which the control log alone is held from now on, and other logs are here."""
        self._outside: dict[AccountId, float] = {}
        """Those that are counted and not held any longer, and since when."""
        self._all = True
        """Whether other accounts were taken until now too: all are held, or what a peer holds is read to this node."""
        self.took_s = 0.0
        """How long the last step took, seconds."""

    def step(self, ctx: Context, now: float) -> bool:
        """Counts some accounts that left, or erases some of one. Returns whether there is more to do now."""
        began, room = self._clock(), ctx.replica.room
        if room.interest is None:  # all, or not known while the node is being restored
            self._interest, self._all = frozenset(), True
            return False
        if ctx.replica.status.reading:  # only from that it knows which are held
            self._interest, self._all = room.interest, True
            return False
        if room.control_only is not self._controls:
            new, self._controls = room.control_only - self._controls, room.control_only
            self._bare += [account for account in new if any(log.log for log in ctx.store.logs(account))]
        if room.interest is not self._interest:
            chosen = room.chosen
            if self._all and ctx.settings.config.interest.mode == "all":
                self._leaving += [account for account in ctx.store.accounts() if account not in room.interest]
            self._leaving += (self._interest - room.interest) | (self._chosen - chosen)
            self._interest, self._chosen, self._all = room.interest, chosen, False
            self._look(ctx)
        for account in self._leaving[:EVICTED_AT_ONCE]:
            self._count(ctx, account)
        if self._leaving:
            ctx.replica.strangers.note()
        del self._leaving[:EVICTED_AT_ONCE]
        if room.full or ctx.replica.strangers.full:
            self._outside = dict.fromkeys(self._outside, began - KEPT_S)
        due = [account for account, since in self._outside.items() if began - since >= KEPT_S]
        if due and not self._leaving:
            self._erase(ctx, due[0], now)
        if self._bare and not self._leaving:
            self._erase_logs(ctx, self._bare[-1], now)
        self.took_s = self._clock() - began
        return any(account in self._outside for account in due) or bool(self._leaving or self._bare)

    def _look(self, ctx: Context) -> None:
        """Which counted accounts are held no longer."""
        before, now = self._outside, self._clock()
        counted = (account for account, _ in ctx.replica.strangers.accounts())
        self._outside = {account: before.get(account, now) for account in counted if self._is_outside(ctx, account)}

    def _is_outside(self, ctx: Context, account: AccountId) -> bool:
        return not is_wanted(ctx, account)

    def _count(self, ctx: Context, account: AccountId) -> None:
        """Counts an account that left, at the least that its entries cost."""
        heads = ctx.store.heads(account)  # of no account that is not held, of which there are many, is anything cached
        if control_log(account) not in heads or ctx.around.is_wanted(account):
            return
        entries = sum(head.length for log, head in heads.items() if not is_checkpoint(log))
        if not ctx.replica.strangers.of(account):
            ctx.replica.strangers.took(control_log(account), entries * (ENTRY_PRICE + OP_PRICE + PART_PRICE), new=True)
        if self._is_outside(ctx, account):
            self._outside.setdefault(account, self._clock())

    def _erase_logs(self, ctx: Context, account: AccountId, now: float) -> None:
        """One step of erasing all but the control log."""
        if account in self._controls:
            begin_drop(ctx, account, LOGS)
            if drop_step(ctx, account, now, LOGS):
                return
        self._bare.pop()

    def _erase(self, ctx: Context, account: AccountId, now: float) -> None:
        """One step of it."""
        if not self._is_outside(ctx, account):
            del self._outside[account]
            return
        if account not in ctx.store.leaving():
            entries = begin_drop(ctx, account)
            log.info(
                "erasing an account that nobody here follows any more",
                account=account_to_text(account),
                entries=entries,
            )
        if not drop_step(ctx, account, now):
            del self._outside[account]


# Whether somebody here hosts or follows an account.

NUMBERS_S = 5.0
"""How long the numbers of the accounts that are hosted here are kept: another one, or one that says its first words, is
among the followers so much later."""


class LocalDemand:
    """Asked on the store's thread, for every account that strangers name."""

    def __init__(self, ctx: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._ctx, self._clock = ctx, clock
        self._numbers = list[bytes]()
        self._until = clock()

    def __call__(self, account: AccountId) -> bool:
        """While the views are built, nobody is known to follow anybody."""
        store = self._ctx.store
        if hosted.is_hosted(store, account) or AWAITED.has(store, account):
            return True
        named = any(rows.among_few(store, account) for rows in (MEMBERS, ROLES, LABELLERS))
        if named or account in self._ctx.placed:
            return True
        txn, now = self._ctx.engine.write(), self._clock()
        if now >= self._until:
            self._numbers, self._until = numbers_of(txn, hosted.ids(self._ctx)), now + NUMBERS_S
        try:
            return is_followed(txn, account, self._numbers)
        except ViewBuilding:
            return False
