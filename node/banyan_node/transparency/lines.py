"""What goes into the public log: a line for each order, receipt, appeal and ruling that is written here.

    write_act, in the transaction of the act   PUBLIC_LINES, durable before the act is answered
    publish, every second                      the files of the log, then the rows go

The chained audit log is the private side: each line commits to its last line (`audit_commitment`), by which an operator
can show later what was done before, to whom it may be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import trio

from banyan_crdt.ids import AccountId, H
from banyan_node.context import Context
from banyan_node.home.audit import AuditLog
from banyan_node.transparency.public_log import TOGETHER, PublicLog
from banyan_schema.public_line import PUBLIC_LINE, LineKind, PublicLine, audit_commitment
from banyan_schema.social.order import Appeal, Confirmation, OrderAct, OrderNotice, Receipt, Ruling, order_id
from banyan_storage.alliance_tables import NEXT_PUBLIC_LINE, PUBLIC_LINES, PUBLIC_LOG, PUBLIC_PLACES
from banyan_storage.errors import StorageError

if TYPE_CHECKING:
    from banyan_node.workers.worker import Worker

PUBLISH_S = 1.0
NOBODY = AccountId(bytes(32))
"""Of an appeal: a log is for ever, and an account can be erased."""
_KINDS: dict[type[OrderAct], LineKind] = {
    OrderNotice: "order",
    Confirmation: "confirmation",
    Receipt: "receipt",
    Appeal: "appeal",
    Ruling: "ruling",
}


class Waiting(NamedTuple):
    """Lines that are not in the files yet, by their numbers. log, size: see PUBLIC_LOG."""

    log: bytes
    size: int
    lines: list[tuple[int, bytes]]


def line_of(by: AccountId, act: OrderAct, at_ms: int, audit: bytes) -> PublicLine:
    """What the log says of an act. No reason in free words, no leaf, and not who appeals: that is mostly the author."""
    made = PublicLine(_KINDS[type(act)], at_ms, NOBODY if isinstance(act, Appeal) else by, audit=audit)
    if not isinstance(act, OrderNotice):
        made = replace(made, order=act.order)
        if isinstance(act, Receipt):
            return replace(made, outcome=act.outcome, count=act.count)
        return replace(made, outcome=act.outcome) if isinstance(act, Ruling) else made
    made = replace(made, order=order_id(by, act), count=act.count, root=act.root, scope=act.scope, basis=act.basis)
    return replace(made, category=act.category, deadline_s=act.deadline_s, term_s=act.term_s)


def write_act(ctx: Context, by: AccountId, act: OrderAct, now: float) -> None:
    """Notes that an act was written, in its transaction. Raises StorageError."""
    commitment = audit_commitment(ctx.keys.derive("transparency/audit"), AuditLog(ctx.home.audit).head())
    number = NEXT_PUBLIC_LINE.get(ctx.store) or 0
    PUBLIC_LINES.put(ctx.store, number, PUBLIC_LINE.encode(line_of(by, act, ctx.replica.wall_ms(now), commitment)))
    NEXT_PUBLIC_LINE.put(ctx.store, number + 1)


def line_name(kind: LineKind, by: AccountId, order: bytes) -> bytes:
    """By which PUBLIC_PLACES knows it."""
    return H("transparency/line", kind.encode(), by, order)


def waiting(ctx: Context, now: float) -> Waiting:
    log, size = PUBLIC_LOG.get(ctx.store) or (b"", 0)
    return Waiting(log, size, [*islice(PUBLIC_LINES.rows(ctx.store), TOGETHER)])


def take(log: PublicLog, found: Waiting) -> int:
    """Has the log append what it lacks of these lines; where the first one is. Raises StorageError."""
    raws = [raw for _, raw in found.lines]
    first = found.size if found.log == log.signer.key.key else 0
    if log.size < first:
        raise StorageError(
            f"the public log {log.folder} has {log.size} lines, and {first} were written: it was put back to an older "
            "state, and would show two histories. Put back its newest copy, or move it away, and another log begins"
        )
    before = log.size - first  # a crash came between the files and the store
    if before > len(raws) or [log.line(first + n) for n in range(before)] != raws[:before]:
        first, before = log.size, 0  # the store was put back to an older state
    if raws[before:]:
        log.append(raws[before:])
    return first


def taken(log: bytes, first: int, lines: Sequence[tuple[int, bytes]], ctx: Context, now: float) -> None:
    """These lines are in the files, from `first` on."""
    for at, (number, raw) in enumerate(lines, first):
        PUBLIC_LINES.put(ctx.store, number, None)
        line = PUBLIC_LINE.decode(raw)
        if line is not None and line.order is not None:
            name = line_name(line.kind, line.by, line.order)
            if not PUBLIC_PLACES.has(ctx.store, name):
                PUBLIC_PLACES.put(ctx.store, name, at)
    PUBLIC_LOG.put(ctx.store, (log, first + len(lines)))


def opened(ctx: Context, now: float) -> PublicLog:
    """The log of this node, which is made if there is none. Raises StorageError."""
    if ctx.public_log is None:
        ctx.public_log = PublicLog(ctx.home.transparency)
    return ctx.public_log


async def publish(worker: Worker[Context], context: Context) -> None:
    """For as long as the node runs."""
    commits = -1
    while True:
        await trio.sleep(PUBLISH_S)
        if context.engine.commits == commits:
            continue
        commits = context.engine.commits
        while (found := await worker.call(waiting)).lines:
            log = await worker.call(opened)
            first = await trio.to_thread.run_sync(take, log, found)
            await worker.call(partial(taken, log.signer.key.key, first, found.lines))
