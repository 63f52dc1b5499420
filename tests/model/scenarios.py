"""Random sets of entries as an adversary would make them.

An honest account with a few devices, a notary and a recovery key; and thieves who hold some of an old root key, the
current one, a device's key, the notary's, a recovery key, or several. A thief rotates to keys of his own, climbs on
them, forks, cuts, pins, drops, closes, recovers and writes garbage; and the honest side answers.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.model.spec import LIMITS, Entry, Id, Limits, Op

Message = tuple[int, ...]
"""What travels: consecutive entries of a log of which the last is signed, or entries of a control log."""


@dataclass
class Scenario:
    """A set of entries in the order in which they were written (a parent before its children). `signed`: which of them
    ever travel under their own signature (a mask); `sizes`: bytes of each in a run."""

    entries: list[Entry]
    limits: Limits = LIMITS
    signed: int = 0
    sizes: list[int] = field(default_factory=list)
    accounts: tuple[Id, ...] = ()
    prev: list[int | None] = field(default_factory=list)
    children: list[list[int]] = field(default_factory=list)
    _index: dict[Id, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index = {e.id: i for i, e in enumerate(self.entries)}
        self.accounts = tuple(dict.fromkeys(e.account for e in self.entries))
        self.prev = [None if e.prev is None else self._index[e.prev] for e in self.entries]
        self.children = [[] for _ in self.entries]
        for i, before in enumerate(self.prev):
            if before is not None:
                self.children[before].append(i)
        self.sizes = self.sizes or [1] * len(self.entries)
        self.signed = self.signed or self.everything

    def index(self, e: Entry) -> int:
        return self._index[e.id]

    def members(self, mask: int) -> list[Entry]:
        return [e for i, e in enumerate(self.entries) if mask >> i & 1]

    def of_control(self, mask: int) -> list[int]:
        return [i for i, e in enumerate(self.entries) if mask >> i & 1 and not e.log]

    def mask(self, entries: Iterable[Entry]) -> int:
        return sum(1 << self._index[e.id] for e in entries)

    @property
    def everything(self) -> int:
        return (1 << len(self.entries)) - 1

    def path(self, i: int) -> list[int]:
        """From seq 0 to entry i."""
        out: list[int] = []
        at: int | None = i
        while at is not None:
            out.append(at)
            at = self.prev[at]
        return out[::-1]

    def fits(self, way: Sequence[int]) -> bool:
        return len(way) <= self.limits.run and sum(self.sizes[i] for i in way) <= self.limits.run_bytes

    def way(self, i: int, mask: int, signed: int) -> list[int] | None:
        """The way of the fewest bytes from an entry up to a signature, in one run, among what is held."""
        ways, best, least = [[i]], None, 0
        while ways:
            way = ways.pop()
            size = sum(self.sizes[k] for k in way)
            if not self.fits(way) or (best and size >= least):
                continue
            if signed >> way[-1] & 1:
                best, least = way, size
            else:
                ways += [[*way, c] for c in self.children[way[-1]] if mask >> c & 1]
        return best

    def messages(self, rng: random.Random) -> list[Message]:
        """Every entry at least once: control logs as paths or in parts, logs as runs that are cut anywhere."""
        out: list[Message] = []
        whole = rng.random() < 0.5
        for i, e in enumerate(self.entries):
            if e.log:
                up = [i]
                while not self.signed >> up[-1] & 1:
                    up.append(rng.choice(self.children[up[-1]]))
                if not self.fits(up):
                    up = self.way(i, self.everything, self.signed) or []
                while (before := self.prev[up[0]]) is not None and rng.random() < 0.5 and self.fits([before, *up]):
                    up.insert(0, before)
                out.append(tuple(up))
            else:
                path = self.path(i)
                out.append(tuple(path if whole else path[-rng.choice([1, 1, 2, 3]) :]))
        return list(dict.fromkeys(out))

    def sign(self, rng: random.Random) -> None:
        """Signs a random subset: every control entry, and so many others that each has a way to a signature."""
        self.signed = self.mask(e for e in self.entries if not e.log)
        for i in reversed(range(len(self.entries))):
            if rng.random() < 0.35 or self.way(i, self.everything, self.signed) is None:
                self.signed |= 1 << i

    def gathered(self, messages: Iterable[Message]) -> tuple[int, int]:
        """The entries and signatures of a node that got these messages."""
        mask = signed = 0
        left = list(messages)
        while left:
            late: list[Message] = []
            for m in left:
                before = self.prev[m[0]]
                if before is not None and not mask >> before & 1:
                    late.append(m)
                    continue
                mask |= sum(1 << i for i in m)
                signed |= sum(1 << i for i in m) if not self.entries[m[0]].log else 1 << m[-1]
            if len(late) == len(left):
                break
            left = late
        return mask, signed


COLLS = ("p", "q")
KEYS = ("k", "s")
UNTIL = (None, None, None, 56, 90)
NEVER = 10**6
"""An id of nothing."""


THEMES = ("any", "text", "fork", "climb", "notary", "recovery", "limits", "ties")


class Author:
    """Writes one scenario. Its theme makes one kind of trouble likely, because rare events seldom coincide."""

    def __init__(self, rng: random.Random, ids: list[int], theme: str = "") -> None:
        self.rng, self.ids = rng, ids
        self.theme = theme or rng.choice(THEMES)
        self.entries: list[Entry] = []
        self.account: Id = None
        self.weighs = False
        """Whether some control entries declare units, so that the control log gets full."""

    def write(self, signer: str, log: int, parent: Entry | None, ops: tuple[Op, ...], declared: int = 0) -> Entry:
        rng = self.rng
        steps = [1, 1, 1, 2] if self.theme == "limits" else [1, 1, 1, 2, 16, 33]
        step = rng.choice(steps) if parent else rng.randrange(40, 75)
        if self.weighs and not log and parent:
            declared = rng.choice([0, 0, 1, 2])
        i = self.ids.pop()
        e = Entry(
            i,
            i if self.account is None else self.account,
            signer,
            log,
            parent.seq + 1 if parent else 0,
            parent.id if parent else None,
            parent.time + step if parent else step,
            declared,
            declared + (parent.total if parent else 0),
            ops,
        )
        self.account = e.account
        self.entries.append(e)
        return e

    def control(self, signer: str, parent: Entry | None, *op: Any) -> Entry:
        return self.write(signer, 0, parent, (tuple(op),))

    def logs(self, writer: str | None = None) -> list[Entry]:
        return [e for e in self.entries if e.log and (writer is None or e.signer == writer)]

    def position(self) -> Any:
        texts = [(e.id, n, op) for e in self.logs() for n, op in enumerate(e.ops) if op[0] == "text"]
        if not texts or self.rng.random() < 0.15:
            return None if self.rng.random() < 0.5 else (NEVER, 0, 0)
        i, n, op = self.rng.choice(texts)
        return (i, n, self.rng.randrange(op[5]) if self.rng.random() < 0.95 else op[5])

    def refs(self) -> tuple[Any, ...]:
        targets = [(e.id, n) for e in self.logs() for n, _ in enumerate(e.ops)]
        return tuple(
            self.rng.choice(targets) if targets and self.rng.random() < 0.85 else (NEVER, 0)
            for _ in range(self.rng.randrange(3))
        )

    def cell_op(self) -> Op:
        rng = self.rng
        coll, key = rng.choice(COLLS), rng.choice(KEYS)
        part = (f"x{rng.randrange(99)}", rng.choice([0, 0, 0, 1, 2])) if rng.random() < 0.5 else None
        kind = rng.randrange(11)
        if self.theme == "text" and rng.random() < 0.8:
            coll, key, kind = "p", "k", rng.choice([6, 6, 6, 8])
        match kind:
            case 0 | 1:
                return ("put", coll, key, self.refs(), part)
            case 2 | 3:
                return ("add", coll, key, rng.choice("uv"), part)
            case 4:
                return ("del", coll, self.refs())
            case 5:
                return ("count", coll, key, rng.randrange(-2, 3))
            case 6 | 7:
                return ("text", coll, key, self.position(), self.position(), rng.randrange(1, 4), part)
            case 8:
                ref = (self.refs() or ((NEVER, 0),))[0]
                return ("textdel", coll, ref, rng.randrange(3), rng.randrange(1, 3))
            case 9:
                return ("tomb", coll, key) if rng.random() < 0.4 else ("count", coll, key, 1)
            case _:
                return rng.choice([("future", 1), ("future", 2), ("broken",), ("close",)])

    def post(self, writer: str, log: int, parent: Entry | None, *pins: Op) -> Entry:
        ops = pins + tuple(self.cell_op() for _ in range(self.rng.randrange(3)))
        size = sum(op[-1][1] for op in ops if op[0] in ("put", "add", "text") and op[-1])
        extra = [0, 1, 2] if self.theme == "limits" else [0, 0, 0, 0, 1, -1]
        declared = max(0, min(3, size + self.rng.choice(extra)))
        return self.write(writer, log, parent, ops, declared)

    def grant(self, writer: str, stratum: int, logs: int = 1, first: int = 1) -> Op:
        colls = self.rng.choice([None, None, ("p",), ("p", "q")])
        return ("grant", writer, first, logs, stratum, colls, self.rng.choice(UNTIL))

    def kept(self, writer: str) -> tuple[Any, ...]:
        """For a cut: random entries up to which logs of the writer are kept."""
        out = []
        for log in sorted({e.log for e in self.logs(writer)}):
            if self.rng.random() < 0.85:
                e = self.rng.choice([e for e in self.logs(writer) if e.log == log])
                out.append((log, e.seq, e.id))
        return tuple(out)

    def pin(self, writer: str) -> Op | None:
        found = self.logs(writer)
        e = self.rng.choice(found) if found else None
        return ("pin", e.signer, e.log, e.seq, e.id) if e else None


def honest(a: Author, size: int) -> Entry:
    """Writes the owner's entries. Returns the tip of the control log."""
    rng = a.rng
    init: Op = ("init", (("K0", "K1"), ("R0", "R1")))
    notary = a.theme in ("notary", "ties") or rng.random() < 0.4
    grants = [a.grant("w", 2, rng.choice([1, 1, 2])), *([a.grant("n", 1)] if notary else [])]
    within = rng.choice([0, 0, 1, 2])  # accounts of today grant in the inception
    within = 2 if a.theme == "ties" else within
    tip = a.write("K0", 0, None, (init, *grants[:within]))
    for grant in grants[within:]:
        tip = a.write("K0", 0, tip, (grant,))
    heads: dict[tuple[str, int], Entry | None] = {}
    root, turned = "K0", 0
    if a.theme == "ties":
        root, turned = "K1", 1
        tip = a.control("K1", tip, "rotate", 0, "K2")
    writes = {"text": 0.7, "limits": 0.8, "climb": 0.25, "notary": 0.4}.get(a.theme, 0.5)
    for _ in range(size):
        r = rng.random()
        r = r / 2 / writes if r < writes else 0.5 + (r - writes) / (1 - writes) / 2
        name = ("w", rng.choice([1, 1, 1, 2]) if a.theme != "limits" else 1)
        if r < 0.5:
            heads[name] = a.post(*name, heads.get(name))
        elif r < 0.65 and notary:
            pin = a.pin("w")
            heads["n", 1] = a.post("n", 1, heads.get(("n", 1)), *([pin] if pin else []))
        elif r < 0.78:
            pin, kept = a.pin("w"), a.kept("w")
            if kept and rng.random() < 0.4:
                tip = a.control(root, tip, "cut", "w", kept)
            elif pin:
                tip = a.control(root, tip, *pin)
        elif r < 0.92 and turned < 2:
            turned += 1
            root = f"K{turned}"
            tip = a.control(root, tip, "rotate", 0, f"K{turned + 1}")
        elif r < 0.96:
            tip = a.write(root, 0, tip, (a.grant(rng.choice("vw"), 2),))
        else:
            root, turned = "K5", 2
            tip = a.control("R0", tip, "recover", "K5", "K6")
    return tip


def thief(a: Author, tip: Entry, size: int) -> None:
    """Adds `size` entries with stolen keys and keys of the thief's own."""
    rng = a.rng
    roots = rng.choice([["K0"], ["K1"], ["K0", "K1"], ["K0"], ["K1", "K2"], []])
    recovery = rng.choice([[], [], [], ["R0"], ["R1"]])
    devices = rng.choice([["w"], ["w"], ["n"], ["w", "n"], []])
    if a.theme in ("fork", "text", "notary"):
        devices = ["w", "n"] if a.theme == "notary" else ["w"]
    if a.theme == "climb":
        roots, devices = rng.choice([["K1"], ["K0", "K1"], ["K2"]]), []
    if a.theme == "ties":
        roots = rng.choice([["K1"], ["K1", "K2"]])
    if a.theme == "recovery":
        recovery, roots = rng.choice([["R0"], ["R1"], ["R0", "R1"]]), []
    own = ["X0", "X1", "X2"]
    at: Entry | None = None
    if a.theme == "ties":  # the key was the next one at the inception, and the honest branch has it too
        at = a.control("K1", next(e for e in a.entries if e.id == a.account), "rotate", 0, own[0])
    for _ in range(size):
        controls = [e for e in a.entries if not e.log]
        if at is None or at.log or rng.random() < 0.4:
            at = rng.choice(controls)
        r = rng.random() ** (3 if a.theme in ("fork", "text") else 1)
        if r < 0.4 and devices:
            writer = rng.choice(devices)
            mine = a.logs(writer)
            q = rng.choice([*mine, None])
            pin = a.pin("w") if writer == "n" or rng.random() < 0.1 else None
            a.post(writer, q.log if q else rng.choice([1, 1, 2]), q, *([pin] if pin else []))
        elif r < 0.6 and roots:
            at = a.control(rng.choice(roots), at, "rotate", 0, rng.choice(own[:1] if a.theme == "climb" else own))
            if a.theme == "climb":
                for turn in range(rng.randrange(3)):
                    at = a.control(own[turn], at, "rotate", 0, own[turn + 1])
        elif r < 0.7:
            turn = rng.randrange(2)
            at = a.control(own[turn], at, "rotate", 0, own[turn + 1])
        elif (r < 0.78 or a.theme == "recovery") and recovery:
            recover = rng.random() < 0.6
            op = ("recover", "X0", "X1") if recover else ("rotate", 1, "Y0")
            at = a.control(rng.choice(recovery), at, *op)
        elif roots or rng.random() < 0.3:
            ops: list[Op] = [a.grant("z", 2), a.grant("w", 2, 2), ("drop", "w", 1), ("close",)]
            ops += [("cut", "w", a.kept("w")), ("recover", "X0", "X1")]
            if pin := a.pin("w"):
                ops += [pin, pin]
            at = a.write(rng.choice([*roots, *own[:1], "K0"]), 0, at, (rng.choice(ops),))


def answer(a: Author, tip: Entry) -> None:
    """Writes the owner's answer, in some scenarios."""
    rng = a.rng
    for _ in range(rng.randrange(3)):
        r = rng.random()
        if r < 0.35:
            tip = a.control("R0", tip, "recover", "K5", "K6")
            if rng.random() < 0.5:
                tip = a.control("K5", tip, "cut", "w", a.kept("w"))
        elif r < 0.5:
            tip = a.control("R1", tip, "rotate", 1, "R2")
        elif r < 0.8:
            pin = a.pin("w")
            tip = a.control(rng.choice(["K0", "K1", "K2"]), tip, *(pin or ("close",)))
        else:
            tip = a.control(rng.choice(["K0", "K1"]), tip, "drop", "w", rng.choice([1, 2]))


def tight_limits(rng: random.Random) -> Limits:
    """Gives some sets small control logs and short runs."""
    limits = LIMITS
    if rng.random() < 0.25:
        few = rng.randrange(1, 5)
        limits = limits._replace(control=rng.choice([3, 5, 7, 2_048]), control_units=few, revoking_units=few + 2)
    return limits._replace(run=rng.choice([2, 3, 5])) if rng.random() < 0.4 else limits


def scenario(rng: random.Random, most: int = 14, theme: str = "") -> Scenario:
    """A random adversarial set of at most `most` entries, of one account or two (the same keys on both)."""
    limits = tight_limits(rng)
    while True:
        ids = list(range(1, 500))
        if rng.random() < 0.5:
            rng.shuffle(ids)
        entries: list[Entry] = []
        for _ in range(2 if rng.random() < 0.1 else 1):
            a = Author(rng, ids, theme)
            a.weighs = limits.control_units < NEVER
            tip = honest(a, rng.randrange(2, 7))
            thief(a, tip, rng.randrange(5))
            answer(a, tip)
            entries += a.entries
        if len(entries) <= most:
            made = Scenario(entries, limits)
            made.sign(rng)
            return made
