"""Whether `complete` may be said: nothing is known to lack, and somebody was there to know it.

A node without peers lacks nothing that it knows of. Neither does one whose clock is wrong: others take what it says for
the future, or it takes what they say for that. So completeness is said only once a peer was compared with, and the
sentence of `doubt` says why not.
"""

from __future__ import annotations

from collections.abc import Mapping

from banyan_crdt.ids import Head, LogId, control_log, is_control
from banyan_node.hosting import claims
from banyan_node.hosting.hosted import Reads
from banyan_node.workers.published import Here, Published


def is_compared(seen: Published) -> bool:
    """Whether a peer that is linked now was found equal, or was once since it came."""
    return any(link.greeted and link.compared for link in seen.links)


def doubt(at: Reads, here: Here, seen: Published) -> str | None:
    """Why completeness cannot be said whatever is held, in a sentence without its full stop; None where it can."""
    if claims.restoring(at):
        return "the accounts of restored keys are still looked for"
    if seen.wrong_clock is not None:
        return seen.wrong_clock
    if not any(link.greeted for link in seen.links):
        named = len(here.settings.config.node.bootstrap)
        tried = f"; {named} to dial first (node.bootstrap), and none is reached" if named else ""
        return f"no peer is connected, so nobody says what may be missing{tried}"
    if not is_compared(seen):
        return "no peer was compared with to the end yet"
    return None


def control_blame(
    at: Reads, differences: Mapping[LogId, Head], log: LogId, mine: Head, theirs: Head
) -> tuple[str, str] | None:
    """(word, sentence) where a log differs because the control log of its account does; None where it does not."""
    if is_control(log):
        return None
    control = control_log(log.account)
    here, there = at.store.head(control), differences.get(control)
    if there is None or here == there:
        return None
    lengths = f"the account's control log has length {here.length} here and {there.length} at the peer"
    if there.length > here.length and theirs.length > mine.length:
        return "control", f"{lengths}: this log waits until it has come"
    if there.length < here.length and theirs.length < mine.length:
        return "control", f"{lengths}: the peer cannot take this log before it has that"
    return None
