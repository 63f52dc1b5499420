"""What the operator decides where a clock was wrong: that it is right now, and that this node begins another log."""

from __future__ import annotations

from banyan_node.api.declare import Declared, Nothing, Response
from banyan_node.context import Context
from banyan_node.upkeep import trusted_clock

METHODS = Declared()


class Trusted(Response, frozen=True):
    """doubted: what was doubted until now; null: nothing was."""

    doubted: str | None


class LogBegun(Response, frozen=True):
    """log: the number of the log that this node writes from now on, in every account. before: of the one so far."""

    log: int
    before: int


@METHODS.write("clock.trust", audited=True)
def trust(ctx: Context, ask: Nothing, now: float) -> Trusted:
    """Says that this machine's clock is right although it jumped: what has lasted for its 30 days may be forgotten."""
    before = trusted_clock.doubted(ctx.store)
    trusted_clock.trust(ctx, trusted_clock.moment(ctx.replica.wall_ms(now)))
    return Trusted(before)


@METHODS.write("log.begin", alone=True, audited=True)
def begin(ctx: Context, ask: Nothing, now: float) -> LogBegun:
    """Begins another log for all that this node writes, because the present one ends in the future: the clock was ahead
    when it was written."""
    before = ctx.logs.number
    ctx.logs.begin()
    return LogBegun(ctx.logs.number, before)
