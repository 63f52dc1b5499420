"""What must count in the end: the union of all that honest nodes were given and could have taken when it was given.

An entry is taken at a node when its parent was taken there (or is held), and, in a granted log, when the control log
known there grants it, its limits and its date allow it, and no cut excludes it. Nothing is taken back: a later cut or a
close may be undone, and then the entries count again. What a node had no room for (`refused`) was never held by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from banyan_crdt.checkpoint import Checkpoint
from banyan_crdt.control import Control, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.frontier import frontier_digest
from banyan_crdt.ids import AccountId, EntryId, Head, LogId
from banyan_crdt.logs import granted_valid
from banyan_crdt.state import AccountState, account_state
from tests.model.spec import RULES, State, effective, keys_after, state
from tests.model.world_sets import WorldSet


class Union:
    """given: everything. taken: what counts as part of the union. at: what each node took."""

    def __init__(self, s: WorldSet) -> None:
        self.s = s
        self.given: set[int] = set()
        self.taken: set[int] = set()
        self.at: dict[str, set[int]] = {}
        self.refused: set[int] = set()
        """Branches that some node did not take because it held many; unless another took them, they do not count."""
        self.words: set[int] = set()
        """The checkpoints that were given."""
        self._controls: dict[tuple[frozenset[int], frozenset[int]], Control] = {}
        self.index = {e.id: i for i, e in enumerate(s.real)}
        self._of = {a: frozenset(i for i, e in enumerate(s.real) if e.account == a) for a in s.accounts}
        self._control_log = frozenset(i for i, e in enumerate(s.real) if not e.header.log)

    def control(self, account: bytes, entries: Iterable[int]) -> Control:
        """The control log of an account by these entries and all checkpoints that were delivered."""
        key = self._of[account] & self._control_log & frozenset(entries), frozenset(self.words)
        if key not in self._controls:
            self._controls[key] = resolve_control([self.s.real[i] for i in key[0]], self.checkpoints(account))
        return self._controls[key]

    def checkpoints(self, account: bytes) -> list[Checkpoint]:
        found = (self.s.said[k].real for k in sorted(self.words))
        return [c for c in found if c.account == account]

    def may_count(self, control: Control, e: Entry) -> bool:
        granted = control.grant_of(e.header.writer, e.header.log)
        counts, cut = control.cut_of(e.log_id)
        within = granted is not None and counts and (cut is None or e.header.seq <= cut.seq)
        return within and granted is not None and granted_valid(self.s.realm, granted, e)

    def give(
        self,
        node: str,
        items: Sequence[int],
        holds: Callable[[EntryId], bool] | None = None,
        known: Control | None = None,
        room: Callable[[EntryId], bool] = lambda entry: True,
    ) -> None:
        """A node is given entries of one log, in order. While it has heard nothing of other nodes, its control log is
        what it took; later `known` is its own, and `holds` says what it has from others. `room`: whether there was room
        for an entry."""
        mine = self.at.setdefault(node, set())
        self.given |= set(items)
        for i in items:
            e, prev = self.s.real[i], self.s.prev[i]
            if prev is not None and prev not in mine and not (holds and holds(self.s.real[prev].id)):
                continue
            if e.header.log:
                control = known if holds else self.control(e.account, mine)
                if control is None or not control.path or not self.may_count(control, e):
                    continue
            if not room(e.id):
                self.refused.add(i)
                continue
            mine.add(i)
            self.taken.add(i)

    def late(self) -> set[int]:
        """What was given, was not to be taken then, and is to be taken by what all know now: first of control logs, and
        of others only when there is no such."""
        found = set[int]()
        for logs in (False, True):
            for i in sorted(self.given - self.taken - self.refused):  # a parent stands before its children
                e, prev = self.s.real[i], self.s.prev[i]
                if (prev is None or prev in self.taken or prev in found) and bool(e.header.log) == logs:
                    control = self.control(e.account, self.taken)
                    if not logs or (bool(control.path) and self.may_count(control, e)):
                        found.add(i)
            if found:
                break
        return found

    def states(self, entries: Iterable[int] | None = None) -> list[AccountState]:
        """The implementation's state of a set (default: the union), by account."""
        kept = self.taken if entries is None else set(entries)
        out = []
        for account in sorted(self.s.accounts):
            control, logs = list[Entry](), dict[LogId, list[Entry]]()
            for i in sorted(kept & self._of[account]):
                e = self.s.real[i]
                (logs.setdefault(e.log_id, []) if e.header.log else control).append(e)
            if control:
                out.append(account_state(self.s.realm, AccountId(account), control, logs, self.checkpoints(account)))
        return out

    def heads(self) -> dict[LogId, Head]:
        return {log: head for found in self.states() for log, head in sorted(found.heads.items())}

    def digest(self) -> bytes:
        return frontier_digest(self.heads().items())

    @cached_property
    def _keys(self) -> dict[str, bytes]:
        wrote: dict[str, bytes] = {e.signer: r.header.writer for e, r in zip(self.s.symbolic, self.s.real, strict=True)}
        return wrote | {w.symbolic.signer: w.real.writer for w in self.s.said}

    def model(self) -> list[State]:
        members = [self.s.symbolic[i] for i in sorted(self.taken)]
        words = [self.s.said[k].symbolic for k in sorted(self.words)]
        return [state(members, a, self.s.limits, RULES, words) for a in sorted(self.s.accounts)]

    def model_agrees(self, models: Sequence[State]) -> bool:
        """Whether the model says the same of the union as the implementation."""
        said = {
            (m.path[0].account, self._keys[name[0]] if name[0] else bytes(32), name[1]): tuple(head)
            for m in models
            for name, head in m.heads.items()
        }
        return said == {(log.account, log.writer, log.log): tuple(head) for log, head in self.heads().items()}

    def situations(self, models: Sequence[State]) -> Counter[str]:
        """The situations that occur in the union."""
        out = Counter[str]()
        for m in models:
            mine = [i for i in sorted(self.taken) if self.s.symbolic[i].account == (m.path and m.path[0].account)]
            kids: dict[tuple[object, object], list[int]] = {}
            for i in mine:
                e = self.s.symbolic[i]
                kids.setdefault((e.name, e.prev), []).append(i)
            chain = {e.id for e, _ in m.counted}
            path = {e.id for e in m.path}
            out["frozen"] += m.frozen
            out["a witness decides a tie"] += m.control.shown > 2 * m.frozen and not m.frozen
            out["witnesses disagree"] += m.frozen and m.control.shown > 2
            out["checkpoint stands"] += any(name[0] and not name[1] for name in m.heads)
            out["closed"] += any(op[0] == "close" for e in m.path for op in effective(e))
            out["cut"] += any(name[0] in m.rights.cuts and h.length > 0 for name, h in m.heads.items())
            out["dropped"] += bool(m.rights.dropped)
            out["logs"] += len(m.heads)
            out["forked"] += any(head.flag for name, head in m.heads.items() if name[1])
            for (name, prev), below in kids.items():
                control = name == ("", 0)
                if len(below) < 2:
                    continue
                out["fork"] += 1
                out["control fork"] += control and prev in path
                out["fork of authorised control"] += control and prev in path and self._authorised(m, below) > 1
                out["pinned branch"] += not control and any(self.s.symbolic[i].id in chain for i in below)
                out["third branch"] += not control and len(below) > 2
                order = sorted(self.s.symbolic[i].id for i in below)
                out["third branch pinned"] += not control and any(x in chain for x in order[2:])
                at = next((self.s.prev[i] for i in below), None)
                out["fork below an unsigned entry"] += not control and at is not None and at not in self.s.signed
            lost = [e for i in mine if (e := self.s.symbolic[i]).log and e.id not in chain]
            out["does not count"] += bool(lost)
        out["late"] += bool(self.given - self.taken)
        out["refused for want of room"] += bool(self.refused - self.taken)
        return Counter({k: int(v > 0) for k, v in out.items() if k != "logs"})

    def _authorised(self, m: State, below: Sequence[int]) -> int:
        prev = self.s.symbolic[below[0]].prev
        keys = None
        for e in m.path:
            keys = keys_after(keys, e)
            if e.id == prev:
                break
        return sum(keys_after(keys, self.s.symbolic[i]) is not None for i in below)
