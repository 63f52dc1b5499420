"""Daily work of a node: it signs checkpoints of the accounts hosted here, erases the content of deleted posts and the
pictures that profiles show no more, and forgets entries that have not counted for 30 days (log_recount.py notes when).

The root's checkpoint pins logs where they stand, so a thief of a writer's key can only change what came later. The
checkpoint of this node's writer says where the control log stood, so a root key that was rotated out cannot freeze the
account by a fork below. Deleted content is kept for 30 days, because a cut may undo a thief's deletion. Then only the
content is erased: heads and state do not change. What an edit of a post replaced is kept, but a picture of a profile
that was replaced or taken away is gone for whoever looks, so it goes as a deleted post does.

`follow` reads each arrival once, in order, and notes in the store's table of due work what it makes due and when. A
chore reads only what is due. The position of the reading is noted in the same transaction, so a crash loses nothing. A
store of an older program is read once from its beginning. All work is done in small steps; `ChoreResult.more` says
whether more is waiting.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import NamedTuple

import structlog
import trio

from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.errors import BanyanError, Refused
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, LogId, Ref, account_to_text
from banyan_crdt.ops import Add, Del, Op, Put, Tomb, decode_body, encode_ops, part_of
from banyan_crdt.shapes import ONE_OP, between
from banyan_crdt.state import counted_entries
from banyan_node.context import Context
from banyan_node.hosting import claims, drafts, erasure, hosted, interest, sealed_writer
from banyan_node.moderation import withheld
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import trusted_clock
from banyan_node.workers.worker import Worker
from banyan_schema.social import POST, PROFILE
from banyan_schema.social.private import KEYRING, PRIVATE
from banyan_storage import tables as t
from banyan_storage.blob_names import look_again
from banyan_storage.due import CELL, REPLACED, Work
from banyan_storage.engine import Engine
from banyan_storage.errors import StorageError, ViewBuilding
from banyan_storage.local_tables import ACCOUNTS_SCANNED, CHORES_READ, NAMES_RECLAIMED
from banyan_storage.slots import ref_bytes
from banyan_storage.tables import ref_of
from banyan_storage.views.large_accounts import waits

log = structlog.get_logger("banyan")
DAY_S = 86_400
DAY_MS = DAY_S * 1000
GRACE_MS = 30 * DAY_MS
"""How long the content of a deleted post is kept."""
LOOK_S = 60.0
"""Seconds between two looks whether work is due."""
BUSY_S = 0.5
"""The same while more is waiting: about 16,000 arrivals a second are read, in a tenth of the replica's time."""
AT_ONCE = 200
"""Accounts that one step checks for a checkpoint, so that other work does not wait for long."""
CELLS = 10_000
"""Deleted cells that one step reads."""
ENTRIES = 20_000
"""A step that has read so many entries starts no further account."""
DUE_S = 0.5
"""How often it is looked whether a draft is due."""
ARRIVALS = 4_096
"""Arrivals that one step reads: about 20 ms."""
_ALL = b"all"
_COLL = Coll(b"c" * 8)
_TOMB, _ = between(encode_ops((Tomb(_COLL, CellKey(bytes(16))),)).removeprefix(ONE_OP), _COLL)
"""The first bytes of a tombstone in an entry. An entry that contains them by chance is decoded needlessly."""
_SEALED = (bytes(PRIVATE), bytes(KEYRING))
"""The same of an entry in which an account says something to itself, or hands over what opens it."""
_OF_PROFILES: bytes = PROFILE
"""The same of a write of a profile: the id of the collection."""


async def run(worker: Worker[Context]) -> None:
    """All daily work of a node, for ever."""
    more = await worker.call(lambda c, now: claims.restoring(c))
    while True:
        await trio.sleep(BUSY_S if more else LOOK_S)
        try:
            back = await worker.call(bring_back)
            if back.number:
                held, own = await worker.call(lambda c, now: (len(hosted.all_hosted(c)), hosted.me(c) is not None))
                log.info("accounts of these keys came back", now=back.number, in_all=held, own_account=own)
            await worker.call(sign_out_closed)
            done = await worker.call(checkpoint_own_accounts)
            erased, replaced, forgotten = [await worker.call(partial(forget, do)) for do in FORGETTING]
            kept = await worker.call(keep_for_drafts)
        except ViewBuilding:  # names and deletions are unknown until the view is built
            continue
        all_done = (back, done, erased, replaced, forgotten, kept)
        more = await worker.call(reclaim_names) or any(d.more for d in all_done)
        if done.number or erased.number or replaced.number or forgotten.number:
            log.info(
                "daily work",
                checkpoints=done.number,
                erased_parts=erased.number + replaced.number,
                forgotten_entries=forgotten.number,
            )


async def each_minute(worker: Worker[Context], step: Callable[[Context, float], bool], alone: bool = False) -> None:
    """Does a step each minute, for ever, and sooner while it says that more is waiting. alone: it commits by itself."""
    while True:
        with suppress(ViewBuilding):
            while await worker.call(step, alone):
                await trio.sleep(BUSY_S)
        await trio.sleep(LOOK_S)


class ChoreResult(NamedTuple):
    """number: checkpoints signed, parts erased, entries forgotten or accounts found. more: whether more is waiting."""

    number: int
    more: bool


async def publish_on_time(worker: Worker[Context], engine: Engine) -> None:
    """Publishes drafts when they are due, for ever."""

    def any_due(now_ms: int) -> bool:
        with engine.read() as txn:
            return drafts.is_any_due(txn, now_ms)

    while True:
        await trio.sleep(DUE_S)
        with suppress(ViewBuilding):
            if await trio.to_thread.run_sync(any_due, time.time_ns() // 1_000_000):
                await worker.call(publish_scheduled)


def publish_scheduled(ctx: Context, now: float) -> ChoreResult:
    """Publishes drafts that are due."""
    return ChoreResult(*drafts.publish_due(ctx, now))


def sign_out_closed(ctx: Context, now: float) -> None:
    """Nobody stays logged in as an account that was closed, whoever closed it, on whatever node."""
    for _, key in ctx.store.due(Work.SIGN_OUT, ctx.replica.wall_ms(now), AT_ONCE):
        try:
            ctx.at_door.sign_out(account_to_text(AccountId(key)))
        except StorageError as why:
            log.warning("the door signs out a closed account later", why=str(why))
            return
        ctx.store.drop_due(Work.SIGN_OUT, key)


def keep_for_drafts(ctx: Context, now: float) -> ChoreResult:
    """Lets go blobs of drafts that are no more."""
    return ChoreResult(*drafts.look_after(ctx, now))


def follow(ctx: Context, now: float) -> bool:
    """Reads at most ARRIVALS new arrivals. Returns whether more is waiting."""
    read = CHORES_READ.get(ctx.store)
    scanning = _scan(ctx, fresh=read is None)
    reached = read or 0
    if read is not None and reached == ctx.store.last_arrival:
        return scanning
    rows = ctx.store.arrivals(reached, ARRIVALS)
    now_ms, queries = ctx.replica.wall_ms(now), ctx.queries()
    grown = {row.log.account for row in rows if row.log.log}
    claims.take(ctx, {row.log.account for row in rows if not row.log.log})
    for row in rows:
        if not row.log.log:
            erasure.heard(ctx, row.log.account, row.record, now_ms)
    for account in {row.log.account for row in rows if not row.log.log}:
        control = ctx.replica.ingest.control_of(account) if hosted.is_hosted(ctx.store, account) else None
        if control is not None and control.closed:
            ctx.store.set_due(Work.SIGN_OUT, account, now_ms)
    for account in {row.log.account for row in rows}:
        if ctx.store.due_at(Work.CHECKPOINT, account) is None and hosted.is_hosted(ctx.store, account):
            ctx.store.set_due(Work.CHECKPOINT, account, now_ms)
    for account in {row.log.account for row in rows if row.log.log and any(coll in row.record for coll in _SEALED)}:
        drafts.keep_all(ctx, account, now_ms)
    deleting = {account for account in grown if queries.has_tombs(account)}
    for row in rows:
        if row.log.log and (row.log.account in deleting or _TOMB in row.record):
            _note_dead(ctx, row.log.account, row.n, now_ms)
        if row.log.log and _OF_PROFILES in row.record:
            _note_replaced(ctx, row.log.account, row.n, now_ms)
    more = len(rows) == ARRIVALS
    reached = rows[-1].n if more else ctx.store.last_arrival
    CHORES_READ.put(ctx.store, reached)
    return more or scanning


def _scan(ctx: Context, fresh: bool) -> bool:
    """Searches all accounts for those of our keys, once, in a store whose arrivals an older program has read."""
    cursor = ACCOUNTS_SCANNED.get(ctx.store) or b""
    if cursor == _ALL:
        return False
    some = [] if fresh else list(islice(ctx.store.accounts(AccountId(cursor)), ARRIVALS))
    claims.take(ctx, some)
    more = len(some) == ARRIVALS
    ACCOUNTS_SCANNED.put(ctx.store, some[-1] if more else _ALL)
    return more


def bring_back(ctx: Context, now: float) -> ChoreResult:
    """Finds accounts of restored keys among the arrivals and names them. Returns how many were found. Also goes on
    with the erasing of dropped accounts."""
    more = interest.go_on(ctx, now) | follow(ctx, now)
    named = claims.give_names(ctx)
    found, ctx.claims.found = ctx.claims.found, 0
    return ChoreResult(found, more or named > 0 or (claims.restoring(ctx) and not claims.settle(ctx, now)))


def _note_dead(ctx: Context, account: AccountId, n: int, now_ms: int) -> None:
    """Notes when to erase cells that arrival n deletes, and content that it puts into deleted cells."""
    entry = ctx.store.at(n)
    for op in () if entry is None else _ops(entry):
        if isinstance(op, Tomb) or (isinstance(op, Put) and ctx.queries().is_dead(account, op.coll, op.key)):
            cell = account + op.coll + op.key
            at_ms = _day_of(account, now_ms + GRACE_MS)
            # another tombstone restarts the 30 days, because the first may be a thief's that was undone
            if isinstance(op, Tomb) or ctx.store.due_at(Work.ERASE, cell) is None:
                ctx.store.set_due(Work.ERASE, cell, max(at_ms, ctx.store.due_at(Work.ERASE, cell) or 0))


def _note_replaced(ctx: Context, account: AccountId, n: int, now_ms: int) -> None:
    """Notes when to look at the writes of a profile that arrival n replaces, and at its own, if what replaces it came
    before it."""
    entry = ctx.store.at(n)
    if entry is None:
        return
    ops = _ops(entry)
    replaced = [ref for op in ops if isinstance(op, Put | Del) and op.coll == PROFILE for ref in op.refs]
    for at, op in enumerate(ops):
        own = Ref(entry.id, at)
        if isinstance(op, Put) and op.coll == PROFILE and own not in ctx.queries().live(account, op):
            replaced.append(own)
    for ref in replaced:
        number = ctx.store.number_of(ref.entry)
        if number is not None and _write_of_profile(ctx, account, ref) is not None:
            look_again(ctx.engine.write(), [t.part_key(number, ref.op)])  # its preview goes at once
            ctx.store.set_due(Work.REPLACED, account + ref_bytes(ref), _day_of(account, now_ms + GRACE_MS))


def _write_of_profile(ctx: Context, account: AccountId, ref: Ref) -> Put | None:
    """A held write of a field of the account's profile, with content. Whoever replaces names what he likes: a write of
    another account is none."""
    entry = ctx.store.entry(ref.entry)
    ops = () if entry is None or entry.account != account else _ops(entry)
    op = ops[ref.op] if ref.op < len(ops) else None
    return op if isinstance(op, Put) and op.coll == PROFILE and op.part is not None else None


def _ops(entry: Entry) -> tuple[Op, ...]:
    """None of an entry whose operations cannot be read: they do not count."""
    try:
        return decode_body(entry.ops).ops
    except BanyanError:
        return ()


def reclaim_names(ctx: Context, now: float) -> bool:
    """Deletes the names of empty logs, once, from a store of an older program. Returns whether more is waiting."""
    cursor = NAMES_RECLAIMED.get(ctx.store)
    if cursor == _ALL:
        return False
    after = ctx.store.reclaim(cursor or b"", ARRIVALS)
    NAMES_RECLAIMED.put(ctx.store, after or _ALL)
    return after is not None


def forget(do: Callable[[Context, float], ChoreResult], ctx: Context, now: float) -> ChoreResult:
    """Does one of FORGETTING, if the clock may say that a term is over."""
    if (why := trusted_clock.doubt(ctx, trusted_clock.moment(ctx.replica.wall_ms(now)))) is not None:
        log.warning("nothing is forgotten", reason=why)
        return ChoreResult(0, False)
    return do(ctx, now)


def forget_beside(ctx: Context, now: float) -> ChoreResult:
    """Forgets entries held beside logs that have not counted for 30 days. Afterwards only a peer or an archive that
    still has them can bring them back."""
    return ChoreResult(*ctx.replica.ingest.expire_due(ctx.replica.wall_ms(now)))


def checkpoint_own_accounts(ctx: Context, now: float) -> ChoreResult:
    """Signs, at most once a day, checkpoints of each account hosted here that changed since its last checkpoint: by
    its root, if that key is here, and by this node's writer."""
    done, behind, now_ms = 0, follow(ctx, now), ctx.replica.wall_ms(now)
    due = ctx.store.due(Work.CHECKPOINT, now_ms, AT_ONCE)
    for _, key in due:
        if ctx.holds(AccountId(key)):
            _keep_private(ctx, AccountId(key), now)
        made = hosted.checkpoint(ctx, AccountId(key), now) if ctx.holds(AccountId(key)) else 0
        done += made
        if made:
            ctx.store.set_due(Work.CHECKPOINT, key, now_ms + DAY_MS)
        else:
            ctx.store.drop_due(Work.CHECKPOINT, key)
    return ChoreResult(done, behind or len(due) == AT_ONCE)


def _keep_private(ctx: Context, account: AccountId, now: float) -> None:
    """Seals what older programs wrote for all to read, and hands secrets to new writers. Not where this node may not
    write: another one does it."""
    try:
        sealed_writer.seal_old_mutes(ctx, account, now)
        sealed_writer.hand_over_all(ctx, account, now)
    except (CallError, Refused):
        return


def erase_deleted(ctx: Context, now: float) -> ChoreResult:
    """Erases content that has been deleted for 30 days."""
    erased = walked = 0
    behind, now_ms = follow(ctx, now), ctx.replica.wall_ms(now)
    due = ctx.store.due(Work.ERASE, now_ms, CELLS)
    cells: dict[AccountId, set[tuple[Coll, CellKey]]] = {}
    for _, key in due:
        owner, coll, cell = CELL.unpack(key)
        cells.setdefault(AccountId(owner), set()).add((Coll(coll), CellKey(cell)))
    for account, ended in cells.items():
        if walked >= ENTRIES:
            return ChoreResult(erased, True)
        parts, entries = _erase(ctx, account, ended, now_ms)
        erased, walked = erased + parts, walked + entries + 1
    return ChoreResult(erased, behind or len(due) == CELLS)


def _erase(ctx: Context, account: AccountId, ended: set[tuple[Coll, CellKey]], now_ms: int) -> tuple[int, int]:
    """Erases the content of these cells if they are still deleted, in one walk: (parts erased, entries read)."""
    queries, erased, walked = ctx.queries(), 0, 0
    dead = {(coll, key) for coll, key in ended if queries.is_dead(account, coll, key)}
    control = ctx.replica.ingest.control_of(account)
    if control is not None and dead:
        logs = [log for log in ctx.store.heads(account) if log.log]
        for entry, ops in _counted(ctx, control, logs):
            walked += 1
            for at, op in enumerate(ops):
                ended_here = isinstance(op, Put | Add) and (op.coll, op.key) in dead and part_of(op) is not None
                if ended_here and ctx.store.withheld(entry, at) is None:
                    erased += ctx.store.erase_part(entry, at, None)  # also missing content, so that it is not fetched
    for coll, key in dead:
        if coll == POST:
            withheld.drop(ctx.store, account, key)
    branched = bool(ctx.store.loose_logs(account))
    for coll, key in ended:
        cell = account + coll + key
        if branched and (coll, key) not in dead:  # the tombstone does not count yet; a pin may choose its branch
            ctx.store.set_due(Work.ERASE, cell, _day_of(account, now_ms + GRACE_MS))
        else:
            ctx.store.drop_due(Work.ERASE, cell)
    return erased, walked


def erase_replaced(ctx: Context, now: float) -> ChoreResult:
    """Erases pictures that no profile has shown for 30 days."""
    erased, behind, now_ms = 0, follow(ctx, now), ctx.replica.wall_ms(now)
    due = ctx.store.due(Work.REPLACED, now_ms, AT_ONCE)
    for _, key in due:
        account, ref = AccountId(key[REPLACED.account]), ref_of(key[REPLACED.ref])
        again, gone = _erase_replaced(ctx, account, ref)
        erased += gone
        if again:
            ctx.store.set_due(Work.REPLACED, key, _day_of(account, now_ms + GRACE_MS))
        else:
            ctx.store.drop_due(Work.REPLACED, key)
    return ChoreResult(erased, behind or len(due) == AT_ONCE)


def _erase_replaced(ctx: Context, account: AccountId, ref: Ref) -> tuple[bool, bool]:
    """(Whether to look again, whether it was erased). A write that is live again stays: what replaced it was a thief's
    and counts no more. Of one that does not count, or whose content did not come, more may be known later; also of an
    account that is folded anew, of which only a part is live now."""
    op, n = _write_of_profile(ctx, account, ref), ctx.store.number_of(ref.entry)
    if op is None or n is None or ctx.store.withheld(ref.entry, ref.op) is not None:
        return False, False
    if not ctx.store.is_counted(ref.entry):
        return bool(ctx.store.loose_logs(account)), False
    if waits(ctx.store.txn, account):
        return True, False
    if ref in ctx.queries().live(account, op):
        return False, False
    key = t.part_key(n, ref.op)
    if ctx.store.txn.get(t.PARTS, key) is None:
        return True, False
    names_blobs = ctx.store.txn.get(t.MEDIA, key) is not None
    return False, names_blobs and ctx.store.erase_part(ref.entry, ref.op, None)


FORGETTING = (erase_deleted, erase_replaced, forget_beside)
"""What ends a term of 30 days for good."""


def _day_of(account: AccountId, at_ms: int) -> int:
    """The end of the account's day after `at_ms`. So an account is walked once for all work of a day, and the days of
    accounts end at different times."""
    phase = int.from_bytes(account[:8], "big") % DAY_MS
    return at_ms + (phase - at_ms) % DAY_MS


def _counted(ctx: Context, control: Control, logs: list[LogId]) -> Iterator[tuple[EntryId, tuple[Op, ...]]]:
    """Each counted entry with its operations."""
    for log in logs:
        for entry, body in counted_entries(control, log, ctx.store.walk(log)):
            yield entry.id, body.ops
