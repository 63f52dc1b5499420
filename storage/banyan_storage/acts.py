"""The journal of what this node did, and no entry tells: moderators decided, content came late, other entries count.

Acts have dense numbers. A row is written in the transaction of the act, and says after which arrival it was, so acts
and arrivals have one order. Only the newest KEPT rows are kept, some 30 MB at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias, cast

from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import AccountId
from banyan_storage import tables as t
from banyan_storage.engine import ReadTxn, WriteTxn

ActKind: TypeAlias = Literal[
    "withheld",
    "hidden",
    "labelled",
    "returned",
    "limited",
    "suspended",
    "lifted",
    "dropped",
    "late",
    "recounted",
    "erasure",
]
JUDGED: frozenset[ActKind] = frozenset(("withheld", "hidden", "returned"))
"""After these readers are given a post no more, or again."""
KEPT = 1 << 18


class ActRule(NamedTuple):
    """of_account: it is about the account as a whole, and told whatever collections a reader asks for. ends: what was
    told of the account before may not be given out any more. for_read: what a reader hears of it who hears no reasons
    of moderators (scope `read` alone): the act, that the post is gone, or nothing."""

    of_account: bool
    ends: bool
    for_read: Literal["act", "gone", "nothing"]


RULES: dict[ActKind, ActRule] = {
    "withheld": ActRule(False, True, "gone"),
    "hidden": ActRule(False, True, "gone"),
    "labelled": ActRule(False, False, "nothing"),
    "returned": ActRule(False, False, "act"),
    "limited": ActRule(True, False, "nothing"),
    "suspended": ActRule(True, False, "nothing"),
    "lifted": ActRule(True, False, "nothing"),
    "dropped": ActRule(True, True, "act"),
    "late": ActRule(False, False, "act"),
    "recounted": ActRule(True, True, "act"),
    "erasure": ActRule(True, False, "act"),
}


def of_kind(kind: str) -> ActRule | None:
    """None: it is no act."""
    return RULES.get(cast(ActKind, kind))


class Act(NamedTuple):
    """after: the last arrival before it. time_ms: by this machine's clock. about: nothing, the account as a whole; the
    key of a post; of content that came late, entry and operation. said: the moderators' words, or the order, its basis,
    its scope and until when; of what was lifted, which."""

    number: int
    kind: ActKind
    after: int
    time_ms: int
    account: AccountId
    about: bytes = b""
    said: tuple[str, ...] = ()


def last(txn: ReadTxn) -> int:
    """The number of the last act; 0 if there was none."""
    row = txn.last(t.ACTS)
    return 0 if row is None else t.number(row[0])


def first(txn: ReadTxn) -> int:
    """The number of the oldest act that is kept; one beyond the last if none is."""
    row = next(txn.scan(t.ACTS, limit=1), None)
    return 1 if row is None else t.number(row[0])


def note(txn: WriteTxn, act: Act) -> None:
    """Under the next number. An account that is counted anew several times in a row is noted once."""
    number, row = last(txn) + 1, [act.kind.encode(), act.after, act.time_ms, act.account, act.about]
    before = _read(number - 1, txn.get(t.ACTS, t.u64(number - 1)) or b"") if act.kind == "recounted" else None
    if before is not None and (before.kind, before.after, before.account) == (act.kind, act.after, act.account):
        return
    txn.put(t.ACTS, t.u64(number), t.guard(t.u64(number), encode([*row, [one.encode() for one in act.said]])))
    if number % 1_024 == 0 and number > KEPT:
        txn.delete_range(t.ACTS, b"", t.u64(number - KEPT))


def after(txn: ReadTxn, number: int) -> Iterator[Act]:
    """The acts behind this one, in their order. A damaged row tells nothing."""
    for key, raw in txn.scan(t.ACTS, t.u64(number + 1)):
        if (act := _read(t.number(key), raw)) is not None:
            yield act


def _read(number: int, raw: bytes) -> Act | None:
    value = t.guarded(t.u64(number), raw)
    if not value:
        return None
    kind, at, time_ms, account, about, said = decode(value)
    return Act(number, kind.decode(), at, time_ms, AccountId(account), about, tuple(one.decode() for one in said))
