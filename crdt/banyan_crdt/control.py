"""The control log: whose keys may act for an account. It is a tree of entries, of which one path counts.

Every key slot commits to the digest of its next key; `rotate` is signed by that next key. At a fork the path follows
the child whose subtree was signed by the strongest key. Strength is judged AT THE FORK: a signer has rank (slot, 1) if
it is the next key that the fork's parent committed to, (slot, 0) if it is the current one, and otherwise no rank. If
generations along the branch were counted instead, the holder of one rotated-out key could climb with keys of their own
and rewrite the account.

A tie freezes the account at the parent until a stronger key signs, unless checkpoints break it. The witnesses are the
writers that the path grants up to and including that parent, and has not cut there. If at least one of them names a
tied child or a descendant of one, and all that do name the same child, the path follows that child.

Nothing here depends on a clock, an order of arrival or a receiver. Here "below an entry" means its descendants.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from banyan_crdt.checkpoint import Checkpoint, standing
from banyan_crdt.entry import MAX_CONTROL, MAX_CONTROL_BYTES, MORE_REVOKING_BYTES, Entry, check_link, skip_seq
from banyan_crdt.errors import Reject
from banyan_crdt.ids import AccountId, EntryId, LogId, WriterKey, key_digest
from banyan_crdt.logs import Grants, LogName, PathGrant
from banyan_crdt.ops import (
    CONTROL_OPS,
    Body,
    Close,
    Cut,
    Drop,
    Grant,
    Host,
    Init,
    KeptTip,
    Op,
    Pin,
    Recover,
    Rotate,
    Slot,
    decode_body,
)

REVOKING = (Cut, Rotate, Recover, Drop, Close)
KeyState = tuple[Slot, ...]
Rank = tuple[int, int]
NO_RANK: Rank = (-1, 0)


@dataclass(slots=True, kw_only=True)
class Control(Grants):
    """The state of the control log.

    `path`: the entries that count. `keep`: the path and the evidence of its ties, which others need to compute the
    same path. `beside`: all other authorised entries; a stronger key may make them count again. `keys`: the key state
    at the end of the path. `salt_op`: the `Init` whose part has the account's salt. `pins`: by log, in path order.
    `host`: the account of the platform that the last `Host` names.
    """

    path: tuple[Entry, ...]
    keep: tuple[Entry, ...]
    beside: tuple[Entry, ...]
    frozen: bool
    keys: KeyState
    salt_op: Init | None
    pins: dict[LogName, list[Pin]]
    host: AccountId | None

    def is_root(self, writer: WriterKey) -> bool:
        """Whether this is the root key at the end of the path."""
        return bool(self.keys) and key_digest(writer) == self.keys[0].current

    def entitles(self, writer: WriterKey) -> bool:
        """Whether a node holds this writer's checkpoints: some grant of the path names it, or it is the root."""
        return writer in self.grants or self.is_root(writer)

    def alone(self) -> Grants:
        """The rights alone, by which entries of granted logs are judged."""
        return Grants(self.grants, self.cuts, self.dropped, self.closed)


def control_op(body: Body) -> tuple[Op, ...]:
    """The ops of a control entry. () unless they are exactly one control op, or one or more pins, or `init` followed by
    grants."""
    ops = body.ops
    if len(ops) == 1 and isinstance(ops[0], CONTROL_OPS):
        return ops
    if ops and isinstance(ops[0], Init) and all(isinstance(o, Grant) for o in ops[1:]):
        return ops
    return ops if ops and all(isinstance(o, Pin) for o in ops) else ()


def has_room(op: Op, seq: int, total: int) -> bool:
    """Whether the control log may hold the operation at that `seq` and `total` (bytes). The last places are for
    operations that revoke."""
    if seq < MAX_CONTROL and total <= MAX_CONTROL_BYTES:
        return True
    return isinstance(op, REVOKING) and total <= MAX_CONTROL_BYTES + MORE_REVOKING_BYTES


def _keys_after(keys: KeyState | None, entry: Entry, ops: tuple[Op, ...]) -> KeyState | None:
    """The key state after `entry`, or None if the state before (`keys`) does not authorise it."""
    if not ops or not has_room(ops[0], entry.header.seq, entry.header.total):
        return None
    op, digest = ops[0], key_digest(entry.header.writer)
    if isinstance(op, Init):
        return op.slots if keys is None and entry.header.seq == 0 and op.slots[0].current == digest else None
    if keys is None:
        return None
    if isinstance(op, Rotate):
        if op.slot >= len(keys) or keys[op.slot].next != digest:
            return None
        return (*keys[: op.slot], Slot(digest, op.next), *keys[op.slot + 1 :])
    if isinstance(op, Recover):
        signed = any(s.current == digest for s in keys[1:])
        return (Slot(op.root, op.next), *keys[1:]) if signed else None
    return keys if keys[0].current == digest else None


def _rank(keys: KeyState, digest: bytes) -> Rank:
    best = NO_RANK
    for slot, s in enumerate(keys):
        if s.next == digest:
            best = max(best, (slot, 1))
        elif s.current == digest:
            best = max(best, (slot, 0))
    return best


class _Tree:
    """The authorised entries. Each has one parent, hence one key state.

    In `order` the descendants of an entry follow it as one slice, and `signed` has the sorted places of each signer.
    So a fork needs one look-up per key of its parent, and does not read all descendants.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        by_parent: dict[EntryId | None, list[Entry]] = {}
        for e in entries:
            by_parent.setdefault(e.header.prev, []).append(e)
        self.kids: dict[EntryId | None, list[Entry]] = {}
        self.keys: dict[EntryId, KeyState] = {}
        self.ops: dict[EntryId, tuple[Op, ...]] = {}
        self.held: dict[EntryId, Entry] = {}
        self.order: list[Entry] = []
        todo: list[Entry | None] = [None]
        while todo:
            parent = todo.pop()
            if parent is not None:
                self.order.append(parent)
            above = self.keys[parent.id] if parent else None
            for e in sorted(by_parent.get(parent.id if parent else None, ()), key=lambda e: e.id):
                ops = control_op(decode_body(e.ops))
                after = _keys_after(above, e, ops)
                if after is None or not _linked(e, parent, self.held):
                    continue
                self.kids.setdefault(parent.id if parent else None, []).append(e)
                self.keys[e.id], self.ops[e.id], self.held[e.id] = after, ops, e
                todo.append(e)
        self.place = {e.id: n for n, e in enumerate(self.order)}
        self.size = dict.fromkeys(self.place, 1)
        self.signed: dict[bytes, list[int]] = {}
        for n, e in enumerate(self.order):
            self.signed.setdefault(key_digest(e.header.writer), []).append(n)
        for e in reversed(self.order):
            if e.header.prev is not None:
                self.size[e.header.prev] += self.size[e.id]

    def rank(self, child: Entry, keys: KeyState) -> Rank:
        """The highest rank, by `keys`, among the signers of `child` and its descendants."""
        for slot in reversed(range(len(keys))):
            if self._signs(keys[slot].next, child):
                return (slot, 1)
            if self._signs(keys[slot].current, child):
                return (slot, 0)
        return NO_RANK

    def _signs(self, digest: bytes, child: Entry) -> bool:
        places, first = self.signed.get(digest, ()), self.place[child.id]
        n = bisect_left(places, first)
        return n < len(places) and places[n] < first + self.size[child.id]

    def witness(self, child: Entry, keys: KeyState) -> Entry:
        """The first entry, from `child` on, that shows its rank."""
        best, witness = NO_RANK, child
        todo = [child]
        while todo:
            e = todo.pop()
            rank = _rank(keys, key_digest(e.header.writer))
            if rank > best or (rank == best and e.header.seq < witness.header.seq):
                best, witness = rank, e
            todo.extend(self.kids.get(e.id, ()))
        return witness

    def below(self, child: Entry, entry: Entry) -> bool:
        """Whether `entry` is `child` or a descendant of it."""
        first = self.place[child.id]
        return first <= self.place[entry.id] < first + self.size[child.id]

    def vouched(self, tied: Sequence[Entry], checkpoints: Iterable[Checkpoint]) -> dict[EntryId, Entry]:
        """The tied children that checkpoints vouch for, each with the first entry that a checkpoint names."""
        named = (self.held.get(c.control.id) for c in checkpoints if self._is_there(c))
        out: dict[EntryId, Entry] = {}
        for e in sorted((e for e in named if e is not None), key=lambda e: (e.header.seq, e.id)):
            for child in tied:
                if self.below(child, e):
                    out.setdefault(child.id, e)
        return out

    def _is_there(self, c: Checkpoint) -> bool:
        held = self.held.get(c.control.id)
        return held is not None and held.header.seq == c.control.seq

    def between(self, top: Entry, bottom: Entry) -> list[Entry]:
        """The path from `top` to its descendant `bottom`, both included."""
        out = [bottom]
        while out[-1].id != top.id and (above := out[-1].header.prev) is not None:
            out.append(self.held[above])
        return out[::-1]


def _linked(entry: Entry, parent: Entry | None, held: dict[EntryId, Entry]) -> bool:
    target, skip = skip_seq(entry.header.seq), None
    if target is not None:
        above = parent
        while above is not None and above.header.seq > target:
            far = skip_seq(above.header.seq)  # held entries are linked, so their skip links can be followed
            link = above.header.skip if far is not None and far >= target else above.header.prev
            above = held[link] if link is not None else None
        skip = above.id if above else None
    try:
        check_link(entry, parent, skip)
    except Reject:
        return False
    return True


def resolve_control(entries: Iterable[Entry], checkpoints: Iterable[Checkpoint] = ()) -> Control:
    """The state of authentic control entries of one account, in any order, and its checkpoints. Raises nothing.

    Checkpoints are read only at a tie. Those of writers that the path does not grant have no effect, because the
    witnesses at a vertex are granted by the path up to it. So it does not matter whether a node has dropped them.
    """
    distinct = sorted({e.id: e for e in entries}.values(), key=lambda e: e.header.seq)
    if all(e.header.seq == n for n, e in enumerate(distinct)):
        return _resolve_line(distinct)
    tree = _Tree(distinct)
    path: list[Entry] = []
    keep: list[Entry] = []
    frozen = False
    said: dict[WriterKey, Checkpoint] | None = None
    while True:
        at = path[-1].id if path else None
        kids = tree.kids.get(at, [])
        if not kids:
            break
        if len(kids) == 1:
            path.append(kids[0])
            continue
        keys = tree.keys[path[-1].id] if path else ()
        ranked = [(tree.rank(c, keys), c) for c in kids]
        top = max(rank for rank, _ in ranked)
        tied = [c for rank, c in ranked if rank == top]
        if len(tied) > 1:
            said = standing(checkpoints) if said is None else said
            here = _read([tree.ops[e.id] for e in path], keys, tuple(path), (), (), False)
            vouched = tree.vouched(tied, [c for w, c in said.items() if w in here.grants and w not in here.cuts])
            # Evidence of this decision: a node that holds other branches must see the same ranks, and the same
            # witnesses for and against.
            shown = [c for c in tied if c.id in vouched][:2] or tied[:2]
            for c in shown:
                keep += tree.between(c, tree.witness(c, keys))
                if c.id in vouched:
                    keep += tree.between(c, vouched[c.id])
            if len(vouched) != 1:
                frozen = True
                break
            tied = shown
        path.append(tied[0])
    keys = tree.keys[path[-1].id] if path else ()
    on_path = {e.id for e in path}
    beside = tuple(e for e in tree.order if e.id not in on_path)
    evidence = {e.id: e for e in keep if e.id not in on_path}
    kept = tuple(path) + tuple(evidence.values())
    return _read([tree.ops[e.id] for e in path], keys, tuple(path), kept, beside, frozen)


def _resolve_line(entries: Sequence[Entry]) -> Control:
    """The same for a line: one entry at each seq, so there is no fork. Nearly every control log is one."""
    keys: KeyState | None = None
    path, held, ops = list[Entry](), dict[EntryId, Entry](), list[tuple[Op, ...]]()
    for e in entries:
        said = control_op(decode_body(e.ops))
        after = _keys_after(keys, e, said)
        parent = path[-1] if path else None
        if after is None or e.header.prev != (parent.id if parent else None) or not _linked(e, parent, held):
            break
        keys, held[e.id] = after, e
        path.append(e)
        ops.append(said)
    return _read(ops, keys or (), tuple(path), tuple(path), (), False)


def _read(
    ops: Iterable[tuple[Op, ...]],
    keys: KeyState,
    path: tuple[Entry, ...],
    keep: tuple[Entry, ...],
    beside: tuple[Entry, ...],
    frozen: bool,
) -> Control:
    grants: dict[WriterKey, list[PathGrant]] = {}
    pins: dict[LogName, list[Pin]] = {}
    cuts: dict[WriterKey, dict[int, KeptTip]] = {}
    dropped: set[LogName] = set()
    closed, salt_op, host, order = False, None, None, 0
    for e, said in zip(path, ops, strict=True):
        for op in said:
            if isinstance(op, Init):
                salt_op = op
            elif isinstance(op, Grant):
                if op.writer not in cuts:
                    grants.setdefault(op.writer, []).append(PathGrant(op, e.header.time, order))
                    order += 1
            elif isinstance(op, Pin):
                if op.writer not in cuts and any(g.covers(op.log) for g in grants.get(op.writer, ())):
                    pins.setdefault((op.writer, op.log), []).append(op)
            elif isinstance(op, Cut):
                if op.writer in grants and op.writer not in cuts:
                    cuts[op.writer] = {k.log: k for k in op.kept}
                    for k in op.kept:
                        pins.setdefault((op.writer, k.log), []).append(Pin(op.writer, k.log, k.seq, k.id))
            elif isinstance(op, Drop):
                dropped.add((op.writer, op.log))
            elif isinstance(op, Close):
                closed = True
            elif isinstance(op, Host):
                host = op.platform
    return Control(
        grants={writer: tuple(granted) for writer, granted in grants.items()},
        cuts=cuts,
        dropped=frozenset(dropped),
        closed=closed,
        path=path,
        keep=keep,
        beside=beside,
        frozen=frozen,
        keys=keys,
        salt_op=salt_op,
        pins=pins,
        host=host,
    )


def concerned(was: Control, now: Control, logs: Iterable[LogId]) -> set[LogId]:
    """Those of these logs that may count differently after a change of the control log: their grant, cut or pins have
    changed. This includes a log with a new pin but without a fork, for which nothing changes."""

    def said(control: Control, log: LogId) -> tuple[object, ...]:
        granted = control.grant_of(log.writer, log.log)
        return granted, control.cut_of(log), control.pins.get((log.writer, log.log), ())

    same = was.grants == now.grants and was.cuts == now.cuts and was.dropped == now.dropped
    if same and was.closed == now.closed and was.pins == now.pins:
        return set()
    return {log for log in logs if said(was, log) != said(now, log)}
