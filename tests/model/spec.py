"""The rules of Banyan, written as slowly and as plainly as we can: the model that the implementation must agree with.

An entry is symbolic: its signer is the name of a key, its id anything that can be compared (a number here, a hash where
real entries are judged). Every answer is a pure function of a SET of entries; nothing looks at a clock, at an order of
arrival or at who asks. Nothing here imports the implementation.

    control(E, C) -> which control entries count (the path), whether the account is frozen, the evidence of ties
    state(E, C)   -> for every granted log the chain that counts, the head of each, the evidence of a fork

C are checkpoints: what keys have signed about the account beside its logs.

Entries in a set are structurally sound (hash, link, signature); what is judged here is authority, forks and limits.
What does not count is kept for 30 days. What a node may forget then is said in keeping.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Id = Any
"""Comparable and hashable; None where there is no entry."""
Op = tuple[Any, ...]
"""A tag and its arguments; the list is in OPS below."""
LogName = tuple[str, int]
Rank = tuple[int, int]

OPS = """
put coll key refs part | add coll key elem part | del coll refs | count coll key delta | tomb coll key
text coll key left right n part | textdel coll ref start n | pin writer log seq id
init slots | grant writer first logs stratum colls until | cut writer kept | rotate slot next | recover root next
drop writer log | close | host platform | future ... (a code of tomorrow) | broken ... (a known code, wrong arguments)
"""
CELL = frozenset({"put", "add", "del", "count", "text", "textdel", "tomb"})
CONTROL = frozenset({"init", "grant", "cut", "rotate", "recover", "drop", "close", "host"})
REVOKING = frozenset({"cut", "rotate", "recover", "drop", "close"})


class Entry(NamedTuple):
    """`account` is the id of the inception (its own id there); `signer` the key that signed, which is the log's writer
    where log > 0. `total` sums `declared` (part bytes, in units) from the log's beginning."""

    id: Id
    account: Id
    signer: str
    log: int
    seq: int
    prev: Id
    time: int
    declared: int
    total: int
    ops: tuple[Op, ...]

    @property
    def name(self) -> LogName:
        return (self.signer, self.log) if self.log else ("", 0)


class Checkpoint(NamedTuple):
    """`signer` says that the control log stood at the entry `names`, which is number `seq`. `pins`: (writer, log, seq,
    id)."""

    id: Id
    account: Id
    signer: str
    n: int
    seq: int
    names: Id
    pins: tuple[tuple[str, int, int, Id], ...] = ()


class Limits(NamedTuple):
    """A log may hold `burst + rate * days` entries and `units + unit_rate * days` units of parts, `days` after its
    grant or the realm's birth, whichever is later. `day` is how many ticks a day has.

    A control log takes any operation up to `control` entries and `control_units` units, and what revokes up to
    `revoking_units` units. A run holds at most `run` entries, whose rows take at most `run_bytes` bytes."""

    birth: int
    day: int
    burst: int
    rate: int
    units: int
    unit_rate: int
    control: int = 2_048
    control_units: int = 10**9
    revoking_units: int = 10**9
    run: int = 1_024
    run_bytes: int = (1 << 20) - 1_024


LIMITS = Limits(birth=48, day=16, burst=3, rate=1, units=3, unit_rate=1)


class Rules(NamedTuple):
    """The rules in force, and switches to show what each is for. Only RULES is the protocol."""

    rank_at_fork: bool = True
    """False: strength is (slot, generation) of the signer, counted along its own branch."""
    inert_above_cut: bool = True
    """False: a pin above a cut extends the chain."""
    evidence: int = 2
    """How many children of a fork are evidence of it: shown to others, and kept."""


RULES = Rules()


# ------------------------------------------------------------------------------------------------- operations


def part_size(op: Op) -> int:
    part = op[-1] if op[0] in ("put", "add", "text") else None
    return part[1] if part else 0


def effective(e: Entry) -> tuple[Op, ...]:
    """The operations of an entry, none where one of them is ill-formed or out of its place."""
    for op in e.ops:
        if op[0] == "broken" or (op[0] in CONTROL and e.log > 0) or (op[0] in CELL and e.log == 0):
            return ()
    if sum(part_size(op) for op in e.ops) > e.declared:
        return ()
    return e.ops


# ------------------------------------------------------------------------------------------------- control log


class Slot(NamedTuple):
    """A key slot: who speaks, who may replace it, and (for the rule that failed) how often it was replaced."""

    current: str
    next: str
    generation: int = 0


Keys = tuple[Slot, ...]


def has_room(op: Op, e: Entry, limits: Limits) -> bool:
    """The last places of a control log are for what revokes."""
    if e.seq < limits.control and e.total <= limits.control_units:
        return True
    return op[0] in REVOKING and e.total <= limits.revoking_units


def keys_after(keys: Keys | None, e: Entry, limits: Limits = LIMITS) -> Keys | None:
    """The key state after a control entry on top of `keys`; None where it is not authorised there."""
    ops = effective(e)
    pins_only = bool(ops) and all(op[0] == "pin" for op in ops)
    opening = bool(ops) and ops[0][0] == "init" and all(op[0] == "grant" for op in ops[1:])
    if not pins_only and not opening and not (len(ops) == 1 and ops[0][0] in CONTROL):
        return None
    op = ops[0]
    if not has_room(op, e, limits):
        return None
    if op[0] == "init":
        slots = tuple(Slot(current, following) for current, following in op[1])
        return slots if keys is None and e.seq == 0 and slots[0].current == e.signer else None
    if keys is None:
        return None
    if op[0] == "rotate":
        if op[1] >= len(keys) or keys[op[1]].next != e.signer:
            return None
        turned = Slot(e.signer, op[2], keys[op[1]].generation + 1)
        return (*keys[: op[1]], turned, *keys[op[1] + 1 :])
    if op[0] == "recover":
        if all(slot.current != e.signer for slot in keys[1:]):
            return None
        return (Slot(op[1], op[2]), *keys[1:])
    return keys if keys[0].current == e.signer else None


def rank(keys: Keys, signer: str) -> Rank:
    """How strong a key is in the eyes of a fork: only what was committed there has a rank. Keys that come into being
    above the fork have none, or a thief would climb with keys of his own."""
    best = (-1, 0)
    for number, slot in enumerate(keys):
        if signer == slot.current:
            best = max(best, (number, 0))
        if signer == slot.next:
            best = max(best, (number, 1))
    return best


class Control(NamedTuple):
    path: tuple[Entry, ...]
    keys: tuple[Keys, ...]
    """The key state after each entry of the path."""
    frozen: bool
    evidence: tuple[Entry, ...]
    """Of each tie: of two children the shortest way to an entry that shows the strength, and to one that a witness
    names. Of children that witnesses name these two, or the one that is followed."""
    shown: int
    """How many ways that is."""
    authorised: frozenset[Entry]
    """All that some key on their own branch authorised: what a node holds of a control log."""


def standing(checkpoints: Iterable[Checkpoint], account: Id) -> dict[str, Checkpoint]:
    """Of each key the checkpoint with the greatest (n, id); all others are as if they had not been."""
    own = sorted((c for c in checkpoints if c.account == account), key=lambda c: (c.n, c.id))
    return {c.signer: c for c in own}


def granted_by(path: Iterable[Entry]) -> set[str]:
    """Whoever some grant of the path names: cut off since or not, closed or not."""
    return {op[1] for e in path for op in effective(e) if op[0] == "grant"}


def witnesses(path: Iterable[Entry]) -> set[str]:
    """Who breaks a tie below the end of this path: those granted on it and not cut off on it. A grant after the cut
    changes nothing, nor does a cut before the grant."""
    granted, gone = set[str](), set[str]()
    for e in path:
        for op in effective(e):
            if op[0] == "grant":
                granted.add(op[1])
            elif op[0] == "cut" and op[1] in granted:
                gone.add(op[1])
    return granted - gone


def control(
    entries: Iterable[Entry],
    account: Id,
    rules: Rules = RULES,
    limits: Limits = LIMITS,
    checkpoints: Iterable[Checkpoint] = (),
) -> Control:
    said = standing(checkpoints, account)
    tree = [e for e in entries if e.account == account and e.log == 0]

    def children(e: Entry | None, keys: Keys | None) -> list[tuple[Entry, Keys]]:
        out = []
        for c in sorted((c for c in tree if c.prev == (e.id if e else None)), key=lambda c: c.id):
            after = keys_after(keys, c, limits) if c.seq == (e.seq + 1 if e else 0) else None
            if after is not None and (e is not None or c.id == account):
                out.append((c, after))
        return out

    def branch(e: Entry, before: Keys | None, after: Keys) -> list[tuple[Rank, tuple[Entry, ...]]]:
        """e and its authorised descendants: the naive strength of each, and the way to it."""
        op = effective(e)[0][0]
        slots = after if op == "rotate" else before or after
        naive = max((n, slot.generation) for n, slot in enumerate(slots) if slot.current == e.signer)
        out: list[tuple[Rank, tuple[Entry, ...]]] = [(naive, (e,))]
        for c, keys in children(e, after):
            out += [(r, (e, *way)) for r, way in branch(c, after, keys)]
        return out

    def weight(e: Entry, before: Keys | None, after: Keys) -> tuple[Rank, tuple[Entry, ...]]:
        """The strongest signer on e's branch as the fork below sees it, and the shortest way to one."""
        ways = branch(e, before, after)
        if rules.rank_at_fork:
            ways = [(rank(before or after, way[-1].signer), way) for _, way in ways]
        top = max(r for r, _ in ways)
        return top, min((way for r, way in ways if r == top), key=lambda way: (len(way), [x.id for x in way]))

    def first(way: tuple[Entry, ...]) -> tuple[int, Id]:
        return len(way), way[-1].id

    authorised: set[Entry] = set()
    for root, keys_there in children(None, None):
        authorised |= {x for _, way in branch(root, None, keys_there) for x in way}
    path: list[Entry] = []
    states: list[Keys] = []
    evidence: dict[Entry, None] = {}
    keys: Keys | None = None
    frozen, ways_shown = False, 0
    while found := children(path[-1] if path else None, keys):
        weighed = [(*weight(c, keys, after), c, after) for c, after in found]
        top = max(w[0] for w in weighed)
        tied = [w for w in weighed if w[0] == top]
        if len(tied) > 1:
            words = [said[name] for name in witnesses(path) if name in said]
            named: dict[Id, list[tuple[Entry, ...]]] = {}
            for _, _, child, after in tied:
                for _, way in branch(child, keys, after):
                    if any((c.names, c.seq) == (way[-1].id, way[-1].seq) for c in words):
                        named.setdefault(child.id, []).append(way)
            vouched = [w for w in tied if w[2].id in named]
            for _, way, child, _ in (vouched or tied)[:2]:
                evidence |= dict.fromkeys(way)
                ways_shown += 1
                if child.id in named:
                    shortest = min(named[child.id], key=first)
                    evidence |= dict.fromkeys(shortest)
                    ways_shown += 1
            if len(vouched) != 1:
                frozen = True
                break
            tied = vouched
        _, _, child, keys = tied[0]
        path.append(child)
        states.append(keys)
    return Control(tuple(path), tuple(states), frozen, tuple(evidence), ways_shown, frozenset(authorised))


# ------------------------------------------------------------------------------------------------- grants


class Grant(NamedTuple):
    writer: str
    first: int
    logs: int
    stratum: int
    colls: tuple[str, ...] | None
    until: int | None
    time: int
    order: int


class Rights(NamedTuple):
    """What the path grants. `pins` in path order, a cut being a pin; `cuts[writer]` names the logs it keeps."""

    grants: tuple[Grant, ...]
    pins: dict[LogName, list[tuple[int, Id]]]
    cuts: dict[str, dict[int, tuple[int, Id]]]
    dropped: frozenset[LogName]

    def of(self, name: LogName) -> Grant | None:
        """The grant under which a log counts: the first that covers it; none if it is dropped or cut off whole."""
        writer, log = name
        if name in self.dropped or (writer in self.cuts and log not in self.cuts[writer]):
            return None
        return next((g for g in self.grants if covers(g, name)), None)

    def cut_of(self, name: LogName) -> tuple[int, Id] | None:
        return self.cuts.get(name[0], {}).get(name[1])

    def may_count(self, e: Entry, limits: Limits = LIMITS) -> bool:
        """Whether an entry of a log is within its grant and not above a cut: if not, it is not taken."""
        g, cut = self.of(e.name), self.cut_of(e.name)
        return g is not None and (cut is None or e.seq <= cut[0]) and within(e, g, limits)


def covers(g: Grant, name: LogName) -> bool:
    return g.writer == name[0] and g.first <= name[1] < g.first + g.logs


def rights(path: Iterable[Entry]) -> Rights:
    grants: list[Grant] = []
    pins: dict[LogName, list[tuple[int, Id]]] = {}
    cuts: dict[str, dict[int, tuple[int, Id]]] = {}
    dropped: set[LogName] = set()
    for e in path:
        for op in effective(e):
            if op[0] == "close":
                return Rights((), {}, {}, frozenset())
            if op[0] == "grant" and op[1] not in cuts:
                _, writer, first, logs, stratum, colls, until = op
                grants.append(Grant(writer, first, logs, stratum, colls, until, e.time, len(grants)))
            if op[0] == "drop":
                dropped.add((op[1], op[2]))
            if op[0] == "pin" and op[1] not in cuts and any(covers(g, (op[1], op[2])) for g in grants):
                pins.setdefault((op[1], op[2]), []).append((op[3], op[4]))
            if op[0] == "cut" and op[1] not in cuts and any(g.writer == op[1] for g in grants):
                cuts[op[1]] = {log: (seq, i) for log, seq, i in op[2]}
                for log, seq, i in op[2]:
                    pins.setdefault((op[1], log), []).append((seq, i))
    return Rights(tuple(grants), pins, cuts, frozenset(dropped))


def within(e: Entry, g: Grant, limits: Limits = LIMITS) -> bool:
    """The limits of one entry under its grant: a function of its header alone."""
    days = max(0, e.time // limits.day - max(g.time // limits.day, limits.birth // limits.day))
    if g.until is not None and e.time > g.until:
        return False
    return e.seq + 1 <= limits.burst + limits.rate * days and e.total <= limits.units + limits.unit_rate * days


# ------------------------------------------------------------------------------------------------- logs


class Chain(NamedTuple):
    entries: tuple[Entry, ...]
    forked: bool
    children: tuple[Entry, ...]
    """Where it is forked: the valid entries that hang on the last one that counts, in the order of their ids."""


def chain(
    held: Iterable[Entry], pins: Iterable[tuple[int, Id]], cut: tuple[int, Id] | None, rules: Rules = RULES
) -> Chain:
    """`held`: the entries of one log that are within its grant. The first pin whose chain is held wins, a later one
    must extend it; above the last pin the log counts up to its first vertex with two children."""
    ents = {e.id: e for e in held}

    def down_to_zero(i: Id) -> list[Entry] | None:
        out: list[Entry] = []
        while i is not None:
            if i not in ents:
                return None
            out.append(ents[i])
            i = ents[i].prev
        out.reverse()
        return out

    def children(parent: Entry | None) -> list[Entry]:
        return sorted((e for e in ents.values() if e.prev == (parent.id if parent else None)), key=lambda e: e.id)

    counted: list[Entry] = []
    for seq, i in pins:
        if cut is not None and seq > cut[0] and rules.inert_above_cut:
            continue
        way = down_to_zero(i)
        if way is not None and len(way) == seq + 1 and way[: len(counted)] == counted:
            counted = way
    while cut is None or len(counted) <= cut[0]:
        ch = children(counted[-1] if counted else None)
        if len(ch) != 1:
            return Chain(tuple(counted), len(ch) > 1, tuple(ch) if len(ch) > 1 else ())
        counted.append(ch[0])
    return Chain(tuple(counted), False, ())


# ------------------------------------------------------------------------------------------------- state


class Head(NamedTuple):
    length: int
    id: Id
    flag: int


class State(NamedTuple):
    control: Control
    rights: Rights
    heads: dict[LogName, Head]
    """("", 0) is the control log. A log of which nothing is known has no head."""
    chains: dict[LogName, Chain]
    """Of every granted log."""
    counted: tuple[tuple[Entry, tuple[Op, ...]], ...]
    """Every entry that counts, with its operations: none where one was void or out of its grant's scope."""

    @property
    def path(self) -> tuple[Entry, ...]:
        return self.control.path

    @property
    def frozen(self) -> bool:
        return self.control.frozen

    def digest(self) -> tuple[tuple[LogName, Head], ...]:
        return tuple(sorted(self.heads.items(), key=lambda item: item[0]))


def in_scope(ops: tuple[Op, ...], g: Grant) -> bool:
    return g.colls is None or all(op[1] in g.colls for op in ops if op[0] in CELL)


def voices(c: Control, r: Rights, checkpoints: Iterable[Checkpoint]) -> list[tuple[tuple[int, int], Checkpoint]]:
    """Whose pins speak, each before the logs of that (stratum, order): the root before all, a writer at its lowest
    grant, unless it was cut off or the account is closed."""
    root = c.keys[-1][0].current if c.keys else None
    out: list[tuple[tuple[int, int], Checkpoint]] = []
    for said in checkpoints:
        own = [(g.stratum, g.order) for g in r.grants if g.writer == said.signer]
        if said.signer == root:
            out.append(((-1, 0), said))
        elif own and said.signer not in r.cuts:
            out.append((min(own), said))
    return out


def state(
    entries: Iterable[Entry],
    account: Id,
    limits: Limits = LIMITS,
    rules: Rules = RULES,
    checkpoints: Iterable[Checkpoint] = (),
) -> State:
    own = [e for e in entries if e.account == account]
    said = standing(checkpoints, account)
    c = control(own, account, rules, limits, said.values())
    r = rights(c.path)
    heads = {("", 0): Head(len(c.path), c.path[-1].id, int(c.frozen))} if c.path else {}
    may = granted_by(c.path) | ({c.keys[-1][0].current} if c.keys else set())
    heads |= {(name, 0): Head(s.n, s.id, 0) for name, s in said.items() if name in may}
    chains: dict[LogName, Chain] = {}
    counted: list[tuple[Entry, tuple[Op, ...]]] = []
    pins = {name: list(p) for name, p in r.pins.items()}
    granted = [(g, name) for name in {e.name for e in own if e.log} if (g := r.of(name)) is not None]
    speak = voices(c, r, [s for name, s in said.items() if name in may])
    turns: list[tuple[tuple[int, int, int], Checkpoint | tuple[Grant, LogName]]] = [((*at, 0), s) for at, s in speak]
    turns += [((g.stratum, g.order, name[1]), (g, name)) for g, name in granted]
    for (stratum, _, _), turn in sorted(turns, key=lambda x: x[0]):
        if isinstance(turn, Checkpoint):
            for writer, log, seq, i in turn.pins:
                other = r.of((writer, log))
                if other is not None and other.stratum > stratum:
                    pins.setdefault((writer, log), []).append((seq, i))
            continue
        g, name = turn
        held = [e for e in own if e.name == name and within(e, g, limits)]
        got = chains[name] = chain(held, pins.get(name, []), r.cut_of(name), rules)
        if got.entries or got.forked:
            heads[name] = Head(len(got.entries), got.entries[-1].id if got.entries else None, int(got.forked))
        for e in got.entries:
            ops = effective(e)
            ops = ops if in_scope(ops, g) else ()
            counted.append((e, ops))
            for op in ops:
                other = r.of((op[1], op[2])) if op[0] == "pin" else None
                if other is not None and other.stratum > g.stratum:
                    pins.setdefault((op[1], op[2]), []).append((op[3], op[4]))
    return State(c, r, heads, chains, tuple(counted))
