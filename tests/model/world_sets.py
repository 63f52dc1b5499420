"""Sets of signed entries for the runs of `world.py`: one account (sometimes two) under attack, told as a story.

A story is a list of random actions; its theme says which of them are likely. Only the last entry of what a writer wrote
at once is signed. `spec.keys_after` follows the keys along every branch of the control log, so most control entries
are authorised. The symbolic entries are kept beside the real ones: the model judges the same sets.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache

from banyan_crdt import ops as o
from banyan_crdt.entry import Entry as RealEntry
from banyan_crdt.entry import Header, encode_header, entry_id, make_entry, skip_seq
from banyan_crdt.ids import AccountId, EntryId, H
from banyan_crdt.parts import make_part
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer
from tests.model.concrete import BIRTH_MS, REALM, SLACK, UNIT, _32, moment, real_op, with_ids
from tests.model.scenarios import Author, scenario
from tests.model.signed import Said, draw
from tests.model.spec import LIMITS, Entry, Id, Keys, Limits, keys_after

WIDE = Realm("world", BIRTH_MS, 10**6, 10**6, 1 << 40, 1 << 40)
WIDE_LIMITS = LIMITS._replace(burst=10**6, units=10**6)
WIDE_UNIT = 100
PLAIN = "model"
"""The theme of the sets that scenarios.py makes."""

# What each theme does more often than others. Every action is a method of `Story`.
USUAL = {"write": 8, "fork": 2, "pin": 1.5, "notary": 1, "cut": 0.4, "drop": 0.1, "close": 0.1, "rotate": 0.6}
USUAL |= {"recover": 0.2, "thief": 1, "answer": 0.5, "grant": 0.3}
THEMES: dict[str, dict[str, float]] = {
    "control": {"thief": 7, "answer": 3, "rotate": 3, "recover": 1.5, "pin": 3, "cut": 1, "write": 5},
    "branches": {"fork": 8, "pin": 3, "notary": 2, "write": 5},
    "signs": {"fork": 4, "pin": 3, "cut": 0.8, "write": 6},
    "quota": {"fork": 2, "pin": 1.5, "grant": 1},
    "text": {"fork": 1, "write": 10},
    "content": {"fork": 2, "write": 10},
    "long": {"write": 14, "fork": 1, "pin": 0.7},
    "notary": {"notary": 6, "fork": 4, "pin": 1, "cut": 0.4},
    "cuts": {"cut": 3, "drop": 0.6, "close": 0.6, "recover": 1, "thief": 3, "answer": 2, "fork": 3},
    "pins": {"pin": 6, "fork": 5, "thief": 1},
    "checkpoints": {"rotate": 4, "thief": 4, "answer": 1, "fork": 3, "notary": 1.5, "cut": 0.7, "write": 5},
    "flood": {"fork": 0.3, "flood": 3, "pin": 1, "thief": 0, "answer": 0, "notary": 0, "close": 0, "cut": 0},
    PLAIN: {},
}
LIKELY = ("control", "control", "branches", "branches", "signs", "signs", "pins", "cuts", *THEMES)


@dataclass
class WorldSet:
    """`real[i]` is `symbolic[i]`; its signature is there although only those in `signed` travel under their own."""

    theme: str
    realm: Realm
    limits: Limits
    symbolic: list[Entry]
    real: list[RealEntry]
    signed: frozenset[int]
    bursts: dict[int, tuple[int, ...]]
    """What was written at once with an entry, in order; the last of it is signed."""
    contents: dict[int, list[tuple[int, bytes]]]
    """Content by entry, as (op index, bytes)."""
    said: list[Said] = field(default_factory=list)
    """Checkpoints, in any order; only the theme "checkpoints" has them."""
    prev: list[int | None] = field(default_factory=list)
    accounts: tuple[Id, ...] = ()

    def __post_init__(self) -> None:
        index = {e.id: i for i, e in enumerate(self.symbolic)}
        self.prev = [None if e.prev is None else index[e.prev] for e in self.symbolic]
        self.accounts = tuple(dict.fromkeys(e.account for e in self.symbolic))

    def of_control(self) -> set[int]:
        return {i for i, e in enumerate(self.symbolic) if not e.log}

    def pinned(self) -> set[int]:
        """What control entries pin, with all that is below it."""
        index = {e.id: i for i, e in enumerate(self.symbolic)}
        named = {op[4] for e in self.symbolic for op in e.ops if not e.log and op[0] == "pin"}
        return {x for i in named if i in index for x in self.path(index[i])}

    def path(self, i: int) -> tuple[int, ...]:
        """From seq 0 to entry i."""
        out: list[int] = []
        at: int | None = i
        while at is not None:
            out.append(at)
            at = self.prev[at]
        return tuple(reversed(out))


class Story(Author):
    """Writes one account. `writers`: name -> stratum."""

    def __init__(self, rng: random.Random, ids: list[int], theme: str) -> None:
        super().__init__(rng, ids)
        self.story = theme
        self.theme = {"quota": "limits", "text": "text"}.get(theme, "any")
        self.longest = {"signs": 7, "long": 8, "quota": 2, "content": 5}.get(theme, 4)
        self.bursts: list[list[Entry]] = []
        self.states: dict[Id, Keys | None] = {}
        self.heads: dict[tuple[str, int], Entry] = {}
        slots = [("K0", "K1"), ("R0", "R1")] + ([("S0", "S1")] if rng.random() < 0.2 else [])
        init = ("init", tuple(slots[: 1 if rng.random() < 0.1 else 3]))
        self.turns = 1
        self.writers = {"w": 2, "v": rng.choice([2, 3]), "n": 1, "m": rng.choice([0, 1])}
        often = 0.8 if theme in ("notary", "checkpoints") else 0.4
        self.live = ["w", *(x for x in "vnm" if rng.random() < often)]
        grants = [self.grant(name, self.writers[name], rng.choice([1, 1, 2])) for name in self.live]
        within = rng.randrange(len(grants) + 1) if theme == "checkpoints" else 0
        self.tip = self.write_control("K0", None, init, *grants[:within])
        for grant in grants[within:]:
            self.tip = self.say("K0", self.tip, *grant)

    def say(self, signer: str, parent: Entry | None, *op: object) -> Entry:
        return self.write_control(signer, parent, tuple(op))

    def write_control(self, signer: str, parent: Entry | None, *ops: tuple[object, ...]) -> Entry:
        e = self.write(signer, 0, parent, ops)
        self.states[e.id] = keys_after(self.states[parent.id] if parent else None, e)
        self.bursts.append([e])
        return e

    def burst(self, writer: str, log: int, parent: Entry | None, n: int, *pins: tuple[object, ...]) -> Entry:
        """n entries written at once: the last is signed."""
        out: list[Entry] = []
        for k in range(n):
            parent = self.post(writer, log, parent, *(pins if k == n - 1 else ()))
            out.append(parent)
        self.bursts.append(out)
        return out[-1]

    def size(self) -> int:
        return self.rng.randrange(1, self.longest + 1)

    # -- the actions

    def act_write(self) -> None:
        name = (self.rng.choice(self.live), self.rng.choice([1, 1, 1, 2]))
        self.heads[name] = self.burst(*name, self.heads.get(name), self.size())

    def act_fork(self, branches: int = 1) -> None:
        rng, mine = self.rng, [e for e in self.logs() if e.signer in "wv"]
        if not mine:
            return
        forks = [e for e in mine if sum(x.prev == e.id and x.log == e.log for x in mine) > 1]
        q = rng.choice(forks) if forks and rng.random() < 0.5 else rng.choice(mine)
        below = q if rng.random() < 0.9 or q.prev is None else next(e for e in mine if e.id == q.prev)
        root = rng.random() < 0.1
        for _ in range(branches):
            end = self.burst(q.signer, q.log, None if root else below, 1 if branches > 2 else self.size())
        if rng.random() < 0.2 and branches == 1:
            self.heads[q.signer, q.log] = end

    def act_flood(self) -> None:
        """More branches beside an honest entry than a node holds of what never counted, where few are held."""
        honest = self.honest()
        if not honest:
            return
        e = self.rng.choice(honest[: len(honest) // 2 + 1])
        parent = next((x for x in honest if x.id == e.prev), None)
        for _ in range(self.rng.randrange(18, 26)):
            end = self.burst(e.signer, e.log, parent, 1)
            if self.rng.random() < 0.1:
                parent = end

    def act_pin_head(self) -> None:
        """Pins an honest log at its end."""
        ends = sorted((e for name, e in self.heads.items() if name[0] in "wv"), key=by_seq)
        if ends:
            e = self.rng.choice(ends)
            self.on_tip("pin", e.signer, e.log, e.seq, e.id)

    def honest(self) -> list[Entry]:
        return sorted({x.id: x for head in self.heads.values() for x in self.below(head)}.values(), key=by_seq)

    def target(self) -> Entry | None:
        """An entry to pin, preferably one beside a fork."""
        if self.story == "flood":  # nobody pins what a flood may have kept out everywhere
            honest = self.honest()
            return self.rng.choice(honest) if honest else None
        logs = self.logs()
        beside = [e for e in logs if any(x.prev == e.prev and x.id != e.id and x.name == e.name for x in logs)]
        if beside and self.rng.random() < 0.6:
            e = self.rng.choice(beside)
            while self.rng.random() < 0.5 and (below := [x for x in logs if x.prev == e.id]):
                e = self.rng.choice(below)
            return e
        return self.rng.choice(logs) if logs else None

    def pin_op(self) -> tuple[object, ...] | None:
        e = self.target()
        return ("pin", e.signer, e.log, e.seq, e.id) if e else None

    def below(self, e: Entry) -> list[Entry]:
        """`e` and its ancestors."""
        by_id, out = {x.id: x for x in self.entries}, [e]
        while out[-1].prev is not None:
            out.append(by_id[out[-1].prev])
        return out

    def kept_logs(self, writer: str) -> tuple[object, ...]:
        return () if self.story == "flood" else self.kept(writer)

    def root_key(self, parent: Entry) -> str:
        keys = self.states[parent.id]
        return keys[0].current if keys else "K0"

    def on_tip(self, *op: object) -> None:
        self.tip = self.say(self.root_key(self.tip), self.tip, *op)

    def act_pin(self) -> None:
        pins = [p for p in (self.pin_op() for _ in range(self.rng.choice([1, 1, 1, 2]))) if p]
        if pins:
            self.tip = self.write_control(self.root_key(self.tip), self.tip, *pins)

    def act_notary(self) -> None:
        names = [x for x in self.live if x in "nm"]
        if names:
            name, pin = (self.rng.choice(names), 1), self.pin_op()
            parent = self.heads.get(name)
            if self.rng.random() < 0.15 and parent is not None:  # the notary's log may be forked as well
                parent = self.rng.choice([e for e in self.logs(name[0]) if e.log == 1])
            self.heads[name] = self.burst(*name, parent, self.rng.choice([1, 1, 2]), *([pin] if pin else []))

    def act_cut(self) -> None:
        writer = self.rng.choice(self.live)
        self.on_tip("cut", writer, self.kept_logs(writer))

    def act_drop(self) -> None:
        self.on_tip("drop", self.rng.choice(self.live), self.rng.choice([1, 1, 2]))

    def act_close(self) -> None:
        if self.rng.random() < 0.3:
            self.on_tip("close")
        else:  # a thief's word, of which the answer is likely to come
            before = self.tip
            self.say(self.root_key(before), before, "close")

    def act_grant(self) -> None:
        name = self.rng.choice(list(self.writers))
        self.on_tip(*self.grant(name, self.writers[name], self.rng.choice([1, 2])))
        self.live.append(name)

    def act_rotate(self) -> None:
        self.tip = self.stronger(self.tip, 0)

    def act_recover(self) -> None:
        self.tip = self.stronger(self.tip, 1)

    def stronger(self, parent: Entry, slot: int) -> Entry:
        """A rotation by the next key of the slot, or (slot 1) half the time a recovery."""
        keys = self.states[parent.id]
        if keys is None or slot >= len(keys):
            return parent
        self.turns += 1
        fresh = f"{'KR'[slot]}{self.turns}"
        if slot and self.rng.random() < 0.6:
            return self.say(keys[slot].current, parent, "recover", fresh, fresh + "'")
        return self.say(keys[slot].next, parent, "rotate", slot, fresh)

    def vertex(self) -> Entry:
        controls = [e for e in self.entries if not e.log and self.states[e.id] is not None]
        return self.tip if self.rng.random() < 0.15 else self.rng.choice(controls)

    def act_thief(self) -> None:
        """A branch of the control log, at any depth, with the keys that somebody could have stolen there."""
        rng, at = self.rng, self.vertex()
        for _ in range(rng.choice([1, 1, 2, 3])):
            keys, r = self.states[at.id], rng.random()
            if keys is None:
                return
            if r < 0.25:
                at = self.say(keys[0].next, at, "rotate", 0, rng.choice(["X0", "X1", "K2", "K3"]))
            elif r < 0.32 and len(keys) > 1:
                at = self.stronger(at, 1)
            else:
                writer, pin = rng.choice(["w", "w", "v", "z"]), self.pin_op()
                ops: list[tuple[object, ...]] = [self.grant(writer, 2, 2), ("drop", "w", 1), ("close",)]
                ops += [("cut", "w", self.kept_logs("w"))] + ([pin, pin, pin] if pin else [])
                signer = keys[0].current if rng.random() < 0.9 else rng.choice(["K0", "K1", "X0"])
                at = self.write_control(signer, at, rng.choice(ops))
        if rng.random() < 0.15:
            self.tip = at if self.states[at.id] is not None else self.tip

    def act_answer(self) -> None:
        """The owner answers with a stronger key, from below a fork."""
        forks = [e for e in self.entries if not e.log and sum(x.prev == e.id for x in self.entries if not x.log) > 1]
        parent = self.rng.choice(forks) if forks else self.tip
        if self.states[parent.id] is not None:
            self.tip = self.stronger(parent, self.rng.choice([0, 0, 1]))


def by_seq(e: Entry) -> tuple[str, int, int, Id]:
    return e.signer, e.log, e.seq, e.id


def story(rng: random.Random, ids: list[int], theme: str) -> Story:
    a = Story(rng, ids, theme)
    if theme == "flood":  # what is pinned in the end comes in several pieces
        for _ in range(rng.randrange(2, 7)):
            a.heads["w", 1] = a.burst("w", 1, a.heads.get(("w", 1)), a.size())
    weights = USUAL | THEMES[theme]
    names, least = list(weights), {"long": 30, "quota": 8, "flood": len(a.entries) + 5}.get(theme, 12)
    most = least + rng.randrange(1, 30 if theme == "long" else 16)
    while len(a.entries) < most:
        getattr(a, "act_" + rng.choices(names, [weights[n] for n in names])[0])()
    if theme == "flood" and rng.random() < 0.8:
        a.act_pin_head()
    return a


@cache
def signer(name: str, realm: Realm) -> Signer:
    return Signer(realm, _32("key " + name))


@cache
def piece(name: str, size: int, unit: int) -> tuple[o.Part, bytes]:
    """Content of so many units; of none it has a few bytes, which every entry declares besides."""
    whole = size * unit
    over = 19 if not whole else 20 if whole < 276 else 21
    return make_part(_32("salt " + name)[:16], bytes(8 if not whole else whole - over))


def make(theme: str, entries: list[Entry], bursts: list[list[Entry]], tight: bool) -> WorldSet:
    """Writes and signs every entry."""
    realm, limits, unit = (REALM, LIMITS, UNIT) if tight else (WIDE, WIDE_LIMITS, WIDE_UNIT)
    ids: dict[Id, EntryId] = {}
    real: list[RealEntry] = []
    place: dict[Id, int] = {}
    symbolic: list[Entry] = []
    contents: dict[int, list[tuple[int, bytes]]] = {}
    for i, e in enumerate(entries):
        named = tuple(with_ids(op, ids) for op in e.ops)
        made, small, held = list[o.Op](), 0, list[tuple[int, bytes]]()
        for n, op in enumerate(named):
            real_one = real_op(op)
            if isinstance(real_one, o.Put | o.Add | o.Text) and real_one.part is not None:
                found, raw = piece(*op[-1], unit)
                real_one = real_one._replace(part=found)
                held.append((n, raw))
                small += 0 if op[-1][1] else found.size
            made.append(real_one)
        raw_ops = o.encode_ops(tuple(made), (EntryId(_32(f"this is entry {e.id}")),))
        if held and not o.decode_body(raw_ops).void:  # of what is ill-formed nobody has content
            contents[i] = held
        parent = real[place[e.prev]] if e.prev is not None else None
        target, above = skip_seq(e.seq), None
        if target is not None:
            at = place[e.prev]
            while real[at].header.seq > target:
                at = place[entries[at].prev]
            above = real[at]
        header = Header(
            account=AccountId(b"" if parent is None and not e.log else ids[e.account]),
            writer=signer(e.signer, realm).key,
            log=e.log,
            seq=e.seq,
            prev=parent.id if parent else None,
            skip=above.id if above else None,
            time=moment(e.time),
            total=(parent.header.total if parent else 0) + len(raw_ops) + small + e.declared * unit,
            ops_hash=H("ops", raw_ops),
        )
        head = encode_header(header)
        made_id = entry_id(realm, head)
        entry = make_entry(realm, head, raw_ops, signer(e.signer, realm).sign(made_id))
        if tight and header.total - e.total * unit > SLACK:
            raise ValueError(f"the ops of log {e.name} weigh more than the slack of {SLACK} bytes: shrink the set")
        ids[e.id], place[e.id] = made_id, i
        real.append(entry)
        prev = None if e.prev is None else ids[e.prev]
        symbolic.append(e._replace(id=made_id, account=ids[e.account], prev=prev, ops=named))
    groups = {place[e.id]: tuple(place[x.id] for x in burst) for burst in bursts for e in burst}
    signed = frozenset(place[burst[-1].id] for burst in bursts)
    return WorldSet(theme, realm, limits, symbolic, real, signed, groups, contents)


def world_set(rng: random.Random, theme: str = "") -> WorldSet:
    """A random set. theme: a certain one."""
    theme = theme or rng.choice(LIKELY)
    ids = list(range(1, 900))
    if rng.random() < 0.5:
        rng.shuffle(ids)
    if theme == PLAIN:
        entries = scenario(rng, 26).entries
        return make(theme, entries, [[e] for e in entries], tight=True)
    told = [story(rng, ids, theme) for _ in range(2 if rng.random() < 0.1 else 1)]
    entries = [e for a in told for e in a.entries]
    made = make(theme, entries, [b for a in told for b in a.bursts], theme == "quota")
    if theme == "checkpoints":
        tips = [entries.index(a.tip) for a in told]
        honest = {made.symbolic[i].id for tip in tips for i in made.path(tip)}
        made.said = draw(rng, made.symbolic, honest, made.realm, lambda name: signer(name, made.realm), 8)
    return made
