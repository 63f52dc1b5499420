"""Why a post is not shown: its author deleted it, this node withholds or hides it, or it is not held.

Withheld posts are noted by post, in addition to the store's record of each operation. So the operator can list them,
and a thread shows a mark in their place. Releasing the content deletes the note.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from banyan_crdt.ids import Coll, WriterKey
from banyan_node.operator_errors import CallError
from banyan_reading.queries import Queries
from banyan_schema import dates
from banyan_schema.social import POST, Target, post_to_text
from banyan_storage.local_tables import STATED, WITHHELD

UNKNOWN = "not held here: never heard of, or not arrived yet"


class WithheldBy(NamedTuple):
    """An order that is in force. by: the key of the node that withholds; None: this node. until_ms: 0: no end."""

    by: WriterKey | None
    order: str
    basis: str
    scope: str
    since_ms: int
    until_ms: int

    @property
    def sentence(self) -> str:
        who = "this node" if self.by is None else f"{self.by.hex()[:16]}, its host or a platform named here"
        until = f"until {dates.day(self.until_ms)}" if self.until_ms else ""
        said = "; ".join(text for text in (self.order, self.basis, self.scope, until) if text)
        return f"withheld by {who}: {said or 'no reason given'}"


class Gone(NamedTuple):
    """word: deleted, withheld, hidden or unknown. sentence: says it of "this post", without a full stop. withheld: by
    which order it is."""

    word: str
    sentence: str
    withheld: WithheldBy | None = None


def why_gone(q: Queries, target: Target) -> Gone:
    """The reason for a post that is not shown."""
    if q.is_dead(target.account, POST, target.key):
        return Gone("deleted", "deleted by its author")
    said, now_ms = STATED.get(q.reader, target), time.time_ns() // 1_000_000
    if said is not None and said.until_ms and said.until_ms <= now_ms:
        said = None
    order, withheld = WITHHELD.get(q.reader, target), None
    if order is not None:
        withheld = WithheldBy(None, *order)
    elif said is not None and said.counts:
        withheld = WithheldBy(*said[1:])
    if withheld is not None:
        return Gone("withheld", withheld.sentence, withheld)
    if q.is_hidden(target):
        return Gone("hidden", "hidden by the moderators of this node")
    if said is not None:
        return Gone("unknown", f"{UNKNOWN}; {said.by.hex()[:16]}, whom nobody here named, says: {said.order}")
    return Gone("unknown", UNKNOWN)


def not_shown(q: Queries, coll: Coll, target: Target, what: str, ended: str) -> CallError:
    """For a group, an event, a channel ... that is not shown. what: what it is. ended: what its account did, if it
    did."""
    why = ended if q.is_dead(target.account, coll, target.key) else UNKNOWN
    return CallError("not_found", f"The {what} {post_to_text(target)} is {why}.", 404)
