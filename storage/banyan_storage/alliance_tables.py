"""Kinds of local state of a node in an alliance: the members and roles of its charter, what orders withhold, and the
public logs. As local_tables.py has the others.
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_storage.local_state import (
    ACCOUNT,
    BYTES,
    MARK,
    POST,
    TEXT,
    U32,
    U64,
    LocalRows,
    LocalValue,
    both,
    cbor,
    fixed,
)


class Member(NamedTuple):
    """Of the charter that this node follows: what it is (banyan_charter.values.Kind), and its DNS name."""

    kind: int
    domain: str


MEMBERS = LocalRows(b"member:", "banyan_node.policy", ACCOUNT, cbor(Member))
ROLES = LocalRows(b"charter role:", "banyan_node.policy", ACCOUNT, MARK)
"""Other accounts that the charter names: authorities, judges of appeals and label issuers."""
LISTED_AS = LocalRows(b"listed as:", "banyan_node.hosting.list_keeper", ACCOUNT, U32)
"""What the operator said of accounts, for the list of the member that is here: a `banyan_charter.hosting.Standing`, or
that they are not listed (`list_keeper.NOT_LISTED`)."""

# -- what orders withhold


class OrderedPost(NamedTuple):
    """By which order of the alliance a post is withheld, and the number of the decision that does it."""

    order: bytes
    decision: int


ORDER_ITEMS = LocalRows(
    b"order items:", "banyan_node.api.methods.moderation.order_execution", fixed(32, bytes), BYTES, twice=True
)
"""What an order names, as far as this node may know."""
ACCEPTED_ORDERS = LocalRows(
    b"accepted order:", "banyan_node.api.methods.moderation.order_execution", fixed(32, bytes), MARK, twice=True
)
"""Somebody here said that they are to be carried out, where that is asked for."""
ORDERED = LocalRows(
    b"ordered post:", "banyan_node.api.methods.moderation.order_execution", POST, cbor(OrderedPost), twice=True
)


class OrderedContent(NamedTuple):
    """post: account and key of one that an order withholds. exactly: what has this digest is withheld too; else
    somebody judges it."""

    post: bytes
    exactly: bool


ORDERED_CONTENT = LocalRows(
    b"ordered content:", "banyan_node.moderation.copies", fixed(32, bytes), cbor(OrderedContent), twice=True
)
"""By digests of content."""
COPIES = LocalRows(b"copy of ordered:", "banyan_node.moderation.copies", POST, fixed(48, bytes), twice=True)
"""Of which post that an order withholds it is an exact copy."""
LOCKED = LocalRows(
    b"locked account:", "banyan_node.api.methods.moderation.order_execution", ACCOUNT, both(U64, U64), twice=True
)
"""For violations: the decision that does it, and until when."""

# -- the public log of what was withheld

PUBLIC_LINES = LocalRows(b"public line:", "banyan_node.transparency.lines", U64, BYTES, twice=True)
"""Lines that are not in the files of the log yet, in their order."""
NEXT_PUBLIC_LINE = LocalValue(b"next public line", "banyan_node.transparency.lines", U64, twice=True)
PUBLIC_LOG = LocalValue(b"public log", "banyan_node.transparency.lines", both(fixed(32, bytes), U64), twice=True)
"""The public key of the log, and how many lines it had when the last ones were taken from PUBLIC_LINES."""
PUBLIC_PLACES = LocalRows(b"place of public line:", "banyan_node.transparency.lines", fixed(32, bytes), U64)
"""Where the first line of a kind by an account about an order is (`lines.line_name`)."""
PUBLIC_COSIGNED = LocalRows(b"cosigned public log:", "banyan_node.transparency.witnessing", U64, U64)
"""By how many lines a checkpoint had, when enough witnesses had cosigned it."""
PUBLIC_LOGGED = LocalValue(b"last cosigned public log", "banyan_node.transparency.witnessing", U64)
"""The last of these times, of all logs that are known."""
COSIGNED_NOTES = LocalRows(b"note of cosigned log:", "banyan_node.transparency.witnessing", U64, BYTES)
"""These checkpoints as they were then."""
MEMBER_LOGS = LocalRows(
    b"read log:", "banyan_node.transparency.member_logs", fixed(32, bytes), both(U64, fixed(32, bytes))
)
"""By the public key of a member's log, how many lines were read, for which accounts (`Wanted.mark`)."""
LINE_TIMES = LocalRows(b"time of line:", "banyan_node.transparency.member_logs", fixed(32, bytes), U64)
"""Of the first cosigned checkpoint that has a line of a member's log (`lines.line_name`)."""
WITNESSED = LocalRows(b"witnessed log:", "banyan_node.transparency.witnessing", TEXT, BYTES, twice=True)
"""By the origin of a log, its last checkpoint that was cosigned here."""


class TwoNotes(NamedTuple):
    """Two checkpoints of one size that a log signed, with two roots: that proves two histories to anybody."""

    held: bytes
    shown: bytes


TWO_HISTORIES = LocalRows(
    b"two histories of log:", "banyan_node.transparency.witnessing", TEXT, cbor(TwoNotes), twice=True
)
