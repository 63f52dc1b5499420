"""The state of one account, a pure function of the set of its authentic entries; and its wish to be erased.

The control log comes first, with the ties that checkpoints decide. Then come the logs that it grants, lowest stratum
first. A log or a checkpoint may pin only logs of a higher stratum than its own, so the definition is not circular.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from banyan_crdt.checkpoint import Checkpoint, standing
from banyan_crdt.control import REVOKING, Control, control_op, resolve_control
from banyan_crdt.entry import Entry, part_bytes
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey, control_log
from banyan_crdt.logs import CountedLog, Grants, LogName, count_log, counted_body
from banyan_crdt.ops import Body, Close, Pin, decode_body
from banyan_crdt.realm import Realm


@dataclass(slots=True)
class AccountState:
    """The control state, the counted logs and the frontier of one account."""

    account: AccountId
    control: Control
    logs: dict[LogId, CountedLog]
    checkpoints: dict[WriterKey, Checkpoint] = field(default_factory=dict)
    """The checkpoints that stand, of writers that the control log entitles."""

    @property
    def heads(self) -> dict[LogId, Head]:
        """The frontier of the account. Logs of length 0 without a flag are left out."""
        out = {control_log(self.account): control_head(self.control)}
        out.update({c.log_id: c.head for c in self.checkpoints.values()})
        out.update({log: c.head for log, c in self.logs.items()})
        return {log: head for log, head in out.items() if head.length or head.flag}

    def counted(self) -> Iterator[tuple[Entry, Body]]:
        """Every counted entry of the granted logs, with the ops of it that count."""
        for log, c in self.logs.items():
            yield from counted_entries(self.control, log, c.chain)


def control_head(control: Control) -> Head:
    """The head of the control log: length and end of the path, flag 1 if it is frozen."""
    path = control.path
    return Head(len(path), path[-1].id if path else None, int(control.frozen))


def counted_entries(
    grants: Grants, log: LogId, chain: Iterable[Entry], parent: Entry | None = None
) -> Iterator[tuple[Entry, Body]]:
    """The entries of a chain, which begins at seq 0 or after `parent`, each with the ops that count under its grant."""
    granted = grants.grant_of(log.writer, log.log)
    for e in chain:
        if granted is not None:
            yield e, counted_body(decode_body(e.ops), granted, part_bytes(e, parent))
        parent = e


def pins_in(grants: Grants, log: LogId, counted: Iterable[tuple[Entry, Body]]) -> Iterator[tuple[LogName, Pin]]:
    """The pins in a counted log that apply: those of logs of a higher stratum. `counted`: as `counted_entries`."""
    own = grants.grant_of(log.writer, log.log)
    for _, body in counted:
        for op in body.ops:
            if isinstance(op, Pin):
                target = grants.grant_of(op.writer, op.log)
                if own is not None and target is not None and target.grant.stratum > own.grant.stratum:
                    yield (op.writer, op.log), op


def turn_of(control: Control, checkpoint: Checkpoint) -> tuple[int, int, int] | None:
    """The place of a checkpoint's pins among the logs in `Grants.order_of`. The root's are before all logs, a writer's
    before the logs of its grant. None if the pins do not apply."""
    if control.is_root(checkpoint.writer):
        return (-1, 0, 0)
    own = control.voice_of(checkpoint.writer)
    return (own.grant.stratum, own.order, 0) if own is not None else None


def pins_of(control: Control, checkpoint: Checkpoint) -> Iterator[tuple[LogName, Pin]]:
    """The pins of a checkpoint that apply: of the root for every granted log, of a writer for logs of a higher stratum.
    Its `control` entry does not matter here; only ties use it."""
    turn = turn_of(control, checkpoint)
    for pin in checkpoint.pins if turn is not None else ():
        target = control.grant_of(pin.writer, pin.log)
        if turn is not None and target is not None and target.grant.stratum > turn[0]:
            yield (pin.writer, pin.log), pin


def account_state(
    realm: Realm,
    account: AccountId,
    control: Iterable[Entry],
    logs: Mapping[LogId, Iterable[Entry]],
    checkpoints: Iterable[Checkpoint] = (),
) -> AccountState:
    """`control` and `logs`: authentic, linked entries in any order. Logs that are not granted are left out.

    `checkpoints`: authentic ones of the account, in any order, including older ones. Raises nothing.
    """
    said = standing(checkpoints)
    c = resolve_control(control, said.values())
    said = {writer: s for writer, s in said.items() if c.entitles(writer)}
    pins = {name: list(p) for name, p in c.pins.items()}
    out: dict[LogId, CountedLog] = {}
    turns = sorted([(turn, s.writer) for s in said.values() if (turn := turn_of(c, s)) is not None], reverse=True)
    for log in sorted(logs, key=lambda log: (c.order_of(log), log)):
        while turns and turns[-1][0] < c.order_of(log):
            for target, pin in pins_of(c, said[turns.pop()[1]]):
                pins.setdefault(target, []).append(pin)
        granted = c.grant_of(log.writer, log.log)
        counts, cut = c.cut_of(log)
        if granted is None or not counts:
            continue
        name: LogName = (WriterKey(log.writer), log.log)
        out[log] = count_log(realm, granted, list(logs[log]), pins.get(name, ()), cut)
        for target, pin in pins_in(c, log, counted_entries(c, log, out[log].chain)):
            pins.setdefault(target, []).append(pin)
    return AccountState(account, c, out, said)


# The wish of an account to be erased, and when a node that obeys it may do so.
#
# The wish is one of the `deps` of the entry that closes the account: 24 fixed bytes and a time. So it is signed by the
# root, has the place of the control log everywhere, and a node that does not know it sees an account that is closed.
# The last `close` of the path decides: without a wish it takes one back.
#
# Nobody obeys within 30 days of the day on which *that node* first saw the account as it stands: closed, wished for,
# and with its last rotation, recovery or cut. Dates of entries have no say, because a thief of the root writes them. So
# whoever can undo what a thief did has those 30 days at every node, as for all that stopped counting.

DAY_MS = 86_400_000
GRACE_MS, MOST_MS = 30 * DAY_MS, 90 * DAY_MS
"""How long nobody obeys, and how long the wish may put it off."""
MARK = b"banyan/1/erase".ljust(24, b"\0")
"""How such a dep begins."""


class ErasureWish(NamedTuple):
    """entry: the `close` that says it. from_ms: not before, Unix time in milliseconds. stands: the last entry of the
    path that revokes anything."""

    entry: EntryId
    from_ms: int
    stands: EntryId


class KnownWish(NamedTuple):
    """A wish at one node, which may be obeyed from `until_ms` on. at_ms: when it was first seen as it stands."""

    wish: ErasureWish
    at_ms: int

    @property
    def until_ms(self) -> int:
        """From when on it may be obeyed, Unix time in milliseconds."""
        return max(self.at_ms + GRACE_MS, min(self.wish.from_ms, self.at_ms + MOST_MS))


def erasure_dep(from_ms: int) -> EntryId:
    """What the entry with the `close` has among its deps."""
    return EntryId(MARK + from_ms.to_bytes(8, "big"))


def wish_of(control: Control) -> ErasureWish | None:
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
    return None if wish is None or stands is None else ErasureWish(*wish, stands)


def look(before: KnownWish | None, control: Control, now_ms: int) -> KnownWish | None:
    """What a node knows after it looked at the account's control log. Anything that is new begins the days anew."""
    wish = wish_of(control)
    if wish is None or (before is not None and before.wish == wish):
        return None if wish is None else before
    return KnownWish(wish, now_ms)
