"""Whether this machine's clock may decide that 30 days are over.

What is forgotten after its term is gone for good, and a clock that is a month ahead for one look would end every term
at once. So nothing is forgotten while named platforms call the clock wrong, or after it jumped by more than a day:
against the clock that counts from the start of the machine, or, over a restart of it, since the last look. That lasts
until a look a day later finds that the clock went on as it should, or the operator says that it is right. What peers
say that nobody named has no weight here, because strangers could stop all forgetting by it.
"""

import time
from typing import NamedTuple

from banyan_node.context import Context
from banyan_node.own_log import boot_id
from banyan_storage.local_tables import CLOCK, ClockLook
from banyan_storage.reader import StoreReader

DAY_MS = 86_400_000
NOTED_MS = 3_600_000
"""How often a look is noted while all is well: a note costs a commit."""


class Moment(NamedTuple):
    """wall_ms: since 1970. up_ms: since the machine started, sleep counted. boot: which start of the machine."""

    wall_ms: int
    up_ms: int
    boot: str


def moment(wall_ms: int) -> Moment:
    """Now, with the time that the caller takes it for."""
    return Moment(wall_ms, int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000), boot_id())


def doubt(ctx: Context, at: Moment) -> str | None:
    """Why nothing is forgotten now, in a sentence without a full stop; None: the clock is trusted. Notes the look."""
    ahead_ms, platforms = ctx.replica.status.ahead_ms()
    if abs(ahead_ms) > DAY_MS:
        return f"named platforms call this clock {_days(ahead_ms)} wrong"
    before = CLOCK.get(ctx.store)
    jump = 0 if before is None else _jump(before, at)
    if platforms:
        jump = doubted = 0  # they confirm it
    elif abs(jump) > DAY_MS:
        doubted = jump
    else:
        doubted = before.doubted_ms if before is not None and not _settled(before, at) else 0
    if before is None or doubted != before.doubted_ms or (not doubted and _is_due(before, at)):
        _note(ctx, at, doubted)
    return f"this clock jumped by {_days(doubted)}" if doubted else None


def trust(ctx: Context, at: Moment) -> None:
    """The operator says that the clock is right."""
    _note(ctx, at, 0)


def doubted(store: StoreReader) -> str | None:
    """What `doubt` said last of jumps."""
    before = CLOCK.get(store)
    return f"this clock jumped by {_days(before.doubted_ms)}" if before is not None and before.doubted_ms else None


def _jump(before: ClockLook, at: Moment) -> int:
    """How far the clock went beyond what passed; over a restart of the machine nobody knows what passed."""
    went = at.wall_ms - before.wall_ms
    if at.boot == before.boot:
        return went - (at.up_ms - before.up_ms)
    return (
        max(0, went - DAY_MS) if before.doubted_ms and went > 0 else went
    )  # a look a day later may be after a restart


def _settled(before: ClockLook, at: Moment) -> bool:
    """Whether a day has passed since the look that found the jump. (No jump since: that would be noted.)"""
    return at.wall_ms - before.wall_ms >= DAY_MS


def _is_due(before: ClockLook, at: Moment) -> bool:
    return at.boot != before.boot or abs(at.wall_ms - before.wall_ms) >= NOTED_MS


def _note(ctx: Context, at: Moment, doubted_ms: int) -> None:
    CLOCK.put(ctx.store, ClockLook(*at, abs(doubted_ms), doubted_ms < 0))


def _days(ms: int) -> str:
    return f"{abs(ms) / DAY_MS:,.1f} days {'ahead' if ms > 0 else 'back'}"
