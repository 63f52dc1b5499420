"""The wish of an account to be erased, and when a node that obeys it may do so.

The wish is one of the `deps` of the entry that closes the account: 24 fixed bytes and a time. So it is signed by the
root, has the place of the control log everywhere, and a node that does not know it sees an account that is closed. The
last `close` of the path decides: without a wish it takes one back.

Nobody obeys within 30 days of the day on which *that node* first saw the account as it stands: closed, wished for, and
with its last rotation, recovery or cut. Dates of entries have no say, because a thief of the root writes them. So
whoever can undo what a thief did has those 30 days at every node, as for all that stopped counting.
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.control import REVOKING, Control, control_op
from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Close, decode_body

DAY_MS = 86_400_000
GRACE_MS, MOST_MS = 30 * DAY_MS, 90 * DAY_MS
"""How long nobody obeys, and how long the wish may put it off."""
MARK = b"banyan/1/erase".ljust(24, b"\0")
"""How such a dep begins."""


class Wish(NamedTuple):
    """entry: the `close` that says it. from_ms: not before, Unix time in milliseconds. stands: the last entry of the
    path that revokes anything."""

    entry: EntryId
    from_ms: int
    stands: EntryId


class Seen(NamedTuple):
    """A wish at one node, which may be obeyed from `until_ms` on. at_ms: when it was first seen as it stands."""

    wish: Wish
    at_ms: int

    @property
    def until_ms(self) -> int:
        """From when on it may be obeyed, Unix time in milliseconds."""
        return max(self.at_ms + GRACE_MS, min(self.wish.from_ms, self.at_ms + MOST_MS))


def erasure_dep(from_ms: int) -> EntryId:
    """What the entry with the `close` has among its deps."""
    return EntryId(MARK + from_ms.to_bytes(8, "big"))


def wish_of(control: Control) -> Wish | None:
    """The wish that stands. Of a frozen account none does: which branch counts is not known."""
    if not control.closed or control.frozen:
        return None
    wish, stands = None, None
    for entry in control.path:
        body = decode_body(entry.ops)
        ops = control_op(body)
        if ops and isinstance(ops[0], REVOKING):
            stands = entry.id
        if ops and isinstance(ops[0], Close):
            times = [int.from_bytes(dep[24:], "big") for dep in body.deps if dep[:24] == MARK]
            wish = (entry.id, max(times)) if times else None
    return None if wish is None or stands is None else Wish(*wish, stands)


def look(before: Seen | None, control: Control, now_ms: int) -> Seen | None:
    """What a node knows after it looked at the account's control log. Anything that is new begins the days anew."""
    wish = wish_of(control)
    if wish is None or (before is not None and before.wish == wish):
        return None if wish is None else before
    return Seen(wish, now_ms)
