"""What a line of a node's public log of withheld content says. The log itself (banyan_translog) takes any bytes.

No line names a subject: an order has a count and a root over a salted hash of each item, and a reason in free words
stays in the act itself, because people write names into it. CBOR in the one form of banyan_crdt.codec, as in all that
is signed in this network: JSON has many spellings of one line.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Literal, TypeAlias

from banyan_crdt.ids import AccountId, H
from banyan_schema.fields import HASH, choice, number, optional, text
from banyan_schema.layout import Layout
from banyan_schema.social.order import MAX_BASIS, MAX_CLASS

LineKind: TypeAlias = Literal["order", "confirmation", "receipt", "appeal", "ruling"]


@dataclass(frozen=True, slots=True)
class PublicLine:
    """at: when this node wrote it, in milliseconds since 1970; how late something is follows from cosigned checkpoints
    and not from this. by: who acted, an authority, a platform, a judge; zeros of an appeal. order: its id. scope,
    category, basis: where it applies, of which class it is, by which law. outcome: of a receipt or a ruling. count,
    root: of its items. deadline, term: in seconds. audit: `audit_commitment` of the node's audit log when it wrote this
    line."""

    kind: LineKind
    at: int
    by: AccountId
    order: bytes | None = None
    scope: str = ""
    category: str = ""
    basis: str = ""
    outcome: str = ""
    count: int = 0
    root: bytes | None = None
    deadline_s: int = 0
    term_s: int = 0
    audit: bytes | None = None


PUBLIC_LINE = Layout(
    PublicLine,
    astuple,
    (
        choice("a line of a public log", "order", "confirmation", "receipt", "appeal", "ruling"),
        number("the time of a line"),
        HASH,
        optional(HASH),
        text("the scope of a line", 64),
        text("the class of a line", MAX_CLASS),
        text("the basis of a line", MAX_BASIS),
        text("the outcome of a line", 64),
        number("the number of items"),
        optional(HASH),
        number("the deadline of an order"),
        number("the term of an order"),
        optional(HASH),
    ),
)


def audit_commitment(salt: bytes, head: str) -> bytes:
    """To the last line of an audit log, 32 bytes. salt: 32 bytes that only the node has, so that nobody finds the line
    by trying. head: the SHA-256 of the line in hexadecimal; the chain fixes all lines before it."""
    return H("transparency/audit", salt, bytes.fromhex(head))
