"""Whether `complete` may be said: nothing is known to lack, and somebody was there to know it.

A node without peers lacks nothing that it knows of. Neither does one whose clock is wrong: others take what it says for
the future, or it takes what they say for that. So completeness is said only once a peer was compared with, and the
sentence of `doubt` says why not.
"""

from __future__ import annotations

from typing import Any

from banyan_crdt.ids import Head, LogId, control_log, is_control
from banyan_node import claims
from banyan_node.context import Context
from banyan_replica.intake.future import FUTURE_MS
from banyan_replica.peers.session import PeerSession

_NEVER = -1e8
"""Before any `now`: a link that was never compared to its end says so."""


def is_compared(ctx: Context) -> bool:
    """Whether a peer that is linked now was found equal, or was once since it came."""
    return any(
        link.hello is not None and (link.course.live or link.course.settled_at > _NEVER)
        for link in ctx.replica.links.values()
    )


def doubt(ctx: Context) -> str | None:
    """Why completeness cannot be said whatever is held, in a sentence without its full stop; None where it can."""
    if claims.restoring(ctx):
        return "the accounts of restored keys are still looked for"
    if (wrong := wrong_clock(ctx)) is not None:
        return wrong
    if not any(link.hello is not None for link in ctx.replica.links.values()):
        named = len(ctx.settings.config.node.bootstrap)
        tried = f"; {named} to dial first (node.bootstrap), and none is reached" if named else ""
        return f"no peer is connected, so nobody says what may be missing{tried}"
    if not is_compared(ctx):
        return "no peer was compared with to the end yet"
    return None


def wrong_clock(ctx: Context) -> str | None:
    """What peers say about this machine's clock, where it matters."""
    found = ctx.replica.witnesses.ahead_ms()
    if found is not None and abs(found[0]) > FUTURE_MS:
        ahead, platforms = found
        way = "ahead of" if ahead > 0 else "behind"
        others = "the platform that was heard" if platforms == 1 else f"{platforms} platforms"
        return f"this clock is {abs(ahead) // 60_000:,} min {way} {others}; set it, with NTP if you can"
    notes = {log for (_, log), note in ctx.replica.intake.notes.items() if note.reason == "future"}
    if notes:
        what = f"what peers have of {len(notes):,} logs is dated in the future"
        return f"{what}; if that lasts, this clock is behind: set it"
    return None


def clock(ctx: Context) -> dict[str, Any]:
    """wrong: as `wrong_clock`. ahead_ms: of the median of so many platforms, None where none was heard twice."""
    ahead_ms, platforms = ctx.replica.witnesses.ahead_ms() or (None, 0)
    return {"wrong": wrong_clock(ctx), "ahead_ms": ahead_ms, "platforms": platforms}


def control_blame(ctx: Context, link: PeerSession, log: LogId, mine: Head, theirs: Head) -> tuple[str, str] | None:
    """(word, sentence) where a log differs because the control log of its account does; None where it does not."""
    if is_control(log):
        return None
    control = control_log(log.account)
    here, there = ctx.replica.ingest.head(control), link.told.differences.get(control)
    if there is None or here == there:
        return None
    lengths = f"the account's control log has length {here.length} here and {there.length} at the peer"
    if there.length > here.length and theirs.length > mine.length:
        return "control", f"{lengths}: this log waits until it has come"
    if there.length < here.length and theirs.length < mine.length:
        return "control", f"{lengths}: the peer cannot take this log before it has that"
    return None
