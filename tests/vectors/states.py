"""Vectors of the states that entries lead to: forks, revocations, cells, text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from banyan_crdt import ops as o
from banyan_crdt.cells import fold
from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.entry import Entry
from banyan_crdt.frontier import frontier_digest
from banyan_crdt.ids import EntryId, LogId, Ref, coll, control_log, key_digest
from banyan_crdt.logs import must_hold
from banyan_crdt.realm import TEST
from banyan_crdt.state import AccountState, account_state
from tests.crdt.make import POSTS, Person, add, b32, follow, key, ref, signer, unsigned
from tests.vectors.shown import AN, entry, log_name


def state(
    name: str, person: Person, control: Sequence[Entry], *logs: Sequence[Entry], checkpoints: Sequence[Checkpoint] = ()
) -> dict[str, Any]:
    """An account: everything that is held, and what it must come to."""
    by_log: dict[LogId, list[Entry]] = {}
    for e in {e.id: e for log in logs for e in log}.values():
        by_log.setdefault(e.log_id, []).append(e)
    s = account_state(TEST, person.id, control, by_log, checkpoints)
    heads = s.heads
    return {
        "name": name,
        "account": person.id.hex(),
        "control": [entry(e) for e in control],
        "logs": [{"log": log_name(log), "entries": [entry(e) for e in held]} for log, held in by_log.items()],
        "checkpoints": [encode_checkpoint(c).hex() for c in checkpoints],
        "frozen": s.control.frozen,
        "path": [e.id.hex() for e in s.control.path],
        "heads": [[*log_name(log), h.length, h.id.hex() if h.id else None, h.flag] for log, h in sorted(heads.items())],
        "rests on": {f"{k.writer.hex()}/{k.log}": sorted(i.hex() for i in besides(s, k, by_log[k])) for k in s.logs},
        "digest": frontier_digest(sorted(heads.items())).hex(),
    }


def besides(s: AccountState, log: LogId, given: Sequence[Entry]) -> set[EntryId]:
    """Of a log's entries those that do not count and must be held all the same."""
    return must_hold(TEST, s.control.grant_of(log.writer, log.log), s.logs[log], given)


def forks() -> list[dict[str, Any]]:
    out = []
    log = AN.write(3)
    a, b = AN.write(2, below=log, tag="a"), AN.write(1, below=log, tag="b")
    out.append(state("a log that forks counts up to the fork", AN, AN.control, a, b))
    pinned = Person("pinned")
    log = pinned.write(3)
    a, b = pinned.write(2, below=log, tag="a"), pinned.write(1, below=log, tag="b")
    pinned.say(pinned.pin(a[3]))
    out.append(state("the chain to a pin counts whatever else turns up", pinned, pinned.control, a, b))
    late = Person("late")
    late.grant("notary", stratum=1)
    log = late.write(2)
    a, b = late.write(2, below=log, tag="a"), late.write(2, below=log, tag="b")
    note = [follow(late.full("notary"), late.log("notary"), [], late.pin(b[2]))]
    out.append(state("a log of a lower stratum pins", late, late.control, a, b, note))
    high = Person("high")
    high.grant("other", stratum=8)
    log = high.write(2)
    a, b = high.write(2, below=log, tag="a"), high.write(2, below=log, tag="b")
    note = [follow(high.full("other"), high.log("other"), [], high.pin(b[2]))]
    out.append(state("a log of the same stratum pins nothing", high, high.control, a, b, note))
    said = Person("said")
    said.grant("notary", stratum=1)
    log = said.write(2)
    a, b = said.write(2, below=log, tag="a"), said.write(2, below=log, tag="b")
    notary, old = said.checkpoint("notary", pins=[said.pin(b[3])]), said.checkpoint("root0", pins=[said.pin(b[2])])
    root, junk = said.checkpoint("root0", n=2, pins=[said.pin(a[2])]), said.checkpoint("nobody")
    name = "the newest checkpoint of the root pins before one of a notary; one of a stranger is not held"
    out.append(state(name, said, said.control, a, b, checkpoints=[notary, old, root, junk]))
    bare = Person("bare")
    log = signed_last(bare.write(3), 0)
    a, b = (signed_last(bare.write(3, below=log, tag=tag), 3) for tag in "ab")
    name = "unsigned entries in both branches of a fork: the evidence goes up to the next signature of each"
    out.append(state(name, bare, bare.control, a, b))
    deep = Person("deep")
    log = signed_last(deep.write(6), 0)
    a, b = (signed_last(deep.write(4, below=log[:2], tag=tag), 2) for tag in "ab")
    name = "a fork among unsigned entries: what counts rests on a signature that does not count"
    out.append(state(name, deep, deep.control, a, b))
    out.append(state("the same, and the run that the branches hang on", deep, deep.control, log, a, b))
    return out


def signed_last(log: Sequence[Entry], first: int) -> list[Entry]:
    """As a run brings them: of the entries from `first` on only the last with its signature."""
    return [*log[:first], *map(unsigned, log[first:-1]), log[-1]]


def revocations() -> list[dict[str, Any]]:
    out = []
    cut = Person("cut")
    cut.grant("notary", stratum=1)
    log = cut.write(5)
    note = [follow(cut.full("notary"), cut.log("notary"), [], cut.pin(log[4]))]
    cut.say(cut.cut("phone", log[1]))
    other = cut.write(2, number=2)
    name = "a cut keeps what it names; a pin above it is inert; a log that it does not name counts nothing"
    out.append(state(name, cut, cut.control, log, note, other))
    frozen = Person("frozen")
    a, b = (frozen.say(frozen.grant_op(n), below=frozen.control) for n in ("tablet", "thief"))
    out.append(state("a tie freezes", frozen, [*frozen.control, a, b], frozen.write(2)))
    back = frozen.say(o.Recover(frozen.digest("new0"), frozen.digest("new1")), by="rec0", below=[*frozen.control, a])
    out.append(state("the recovery key thaws", frozen, [*frozen.control, a, b, back], frozen.write(2)))
    climb = Person("climb")
    fork = list(climb.control)
    climb.say(climb.rotate(0, "root2"), by="root1")
    climb.say(climb.rotate(0, "root3"), by="root2")
    theirs = [follow(climb.full("root1"), control_log(climb.id), fork, o.Rotate(0, key_digest(signer("x0").key)))]
    for k in range(4):
        op = o.Rotate(0, key_digest(signer(f"x{k + 1}").key))
        theirs.append(follow(f"x{k}", control_log(climb.id), [*fork, *theirs], op))
    out.append(state("a thief with a rotated-out key climbs nowhere", climb, [*climb.control, *theirs]))
    out.append(witnessed("one witness: its branch is followed", {"phone": "ours"}))
    out.append(witnessed("two witnesses that agree: their branch is followed", {"phone": "ours", "tablet": "ours"}))
    out.append(witnessed("two witnesses that disagree: frozen", {"phone": "ours", "tablet": "theirs"}))
    out.append(witnessed("a witness that is granted below the vertex is none", {"watch": "ours"}))
    above = climb.say(climb.grant_op("laptop"), by="root2", below=climb.control)
    out.append(state("a rotated-out key above its vertex is nothing", climb, [*climb.control, above]))
    closed = Person("closed")
    closed.say(o.Close())
    out.append(state("a closed account counts nothing", closed, closed.control, closed.write(2)))
    dropped = Person("dropped")
    dropped.say(o.Drop(dropped.key("phone"), 1))
    name = "a dropped log counts nothing"
    out.append(state(name, dropped, dropped.control, dropped.write(2), dropped.write(1, number=2)))
    early = Person("early", device=None)
    early.say(o.Drop(early.key("phone"), 1))
    early.grant("phone")
    name = "a drop before the grant holds all the same"
    out.append(state(name, early, early.control, early.write(2), early.write(1, number=2)))
    inert = Person("inert", device=None)
    log = inert.write(3)
    inert.say(inert.cut("phone", log[0]))
    inert.grant("phone")
    out.append(state("a cut before the grant does nothing", inert, inert.control, log))
    bare = Person("bare cut")
    log = signed_last(bare.write(5), 0)
    bare.say(bare.cut("phone", log[2]))
    name = "a cut at an unsigned entry: what it keeps rests on a signature beyond the cut"
    out.append(state(name, bare, bare.control, log))
    ended = Person("bare until", device=None)
    log = signed_last(ended.write(5), 0)
    ended.say(ended.grant_op("phone", until=log[1].header.time))
    out.append(state("the end of a grant among unsigned entries", ended, ended.control, log))
    until = Person("until", device=None)
    log = until.write(4)
    until.say(until.grant_op("phone", until=log[1].header.time))
    out.append(state("a log counts up to `until`", until, until.control, log))
    return out


def witnessed(name: str, says: dict[str, str]) -> dict[str, Any]:
    """A rotated-out root that the inception had committed to, against checkpoints."""
    a = Person(name, within=("phone", "tablet"))
    a.say(a.rotate(0, "root2"), by="root1")
    a.grant("watch", by="root1")
    theirs = a.say(a.rotate(0, "evil"), by="root1", below=a.control[:1])
    named = {"ours": a.control[-1], "theirs": theirs}
    return state(
        name, a, [*a.control, theirs], checkpoints=[a.checkpoint(by, named[whose]) for by, whose in says.items()]
    )


def cells_of(name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    cells = fold((e, o.decode_body(e.ops)) for e in entries)
    at = {e.id: n for n, e in enumerate(entries)}
    return {
        "name": name,
        "entries": [{"id": e.id.hex(), "time": e.header.time, "ops": e.ops.hex()} for e in entries],
        "registers": {c[1].hex(): [[at[s[1]], s[2]] for s, _ in found] for c, found in sorted(cells.registers.items())},
        "sets": {c[1].hex(): sorted(e.hex() for e in found) for c, found in sorted(cells.sets.items())},
        "counters": {c[1].hex(): n for c, n in sorted(cells.counters.items())},
        "texts": {c[1].hex(): [[at[r.entry], r.op, i] for r, i in found] for c, found in sorted(cells.texts.items())},
        "tombs": sorted(c[1].hex() for c in cells.tombs),
    }


def one(name: str, *made: o.Op, time: int = 0) -> Entry:
    """An entry alone in a log of its own: cells look only at the id, the time and the ops."""
    device = f"device {name}"
    return follow(device, LogId(AN.id, signer(device).key, 1), [], *made, time=time or None)


def merges() -> list[dict[str, Any]]:
    def put(*refs: Ref) -> o.Put:
        return o.Put(POSTS, key("k"), refs, None)

    a, b = one("a", put(), add("u"), add("v")), one("b", put(), add("u"))
    c = one("c", put(ref(a)), o.Del(POSTS, (ref(a, 1),)))
    d = one("d", put(ref(a, 1)), o.Count(POSTS, key("n"), 5), o.Count(POSTS, key("n"), -7))
    e = one("e", o.Del(coll("another"), (ref(b), ref(b, 1))), put(Ref(EntryId(b32("nothing")), 0)))
    f = one("f", o.Tomb(POSTS, key("k")), o.Tomb(POSTS, key("n")))
    tie = [one(n, put(), time=77) for n in ("g", "h", "i")]
    return [
        cells_of("two writes that do not know of one another both live", [a, b]),
        cells_of("a put replaces what it names, a del removes what it names", [a, b, c]),
        cells_of("a put covers puts of its own cell only; counts add up", [a, d]),
        cells_of("a del of another collection and a name of nothing are inert", [b, e]),
        cells_of("a tomb ends a cell of every kind", [a, b, c, d, f]),
        cells_of("equal times are ordered by id", tie),
    ]


def text() -> list[dict[str, Any]]:
    def ins(left: Any, right: Any, n: int) -> o.Text:
        return o.Text(POSTS, key("t"), left, right, n, None)

    def pos(e: Entry, offset: int) -> o.Position:
        return o.Position(e.id, 0, offset)

    base = one("base", ins(None, None, 3))
    a = one("a", ins(pos(base, 0), pos(base, 1), 4))
    b = one("b", ins(pos(base, 0), pos(base, 1), 4))
    a2 = one("a2", ins(pos(a, 3), pos(base, 1), 2))
    gone = one("gone", ins(None, None, 2))
    lost = one("lost", ins(pos(gone, 1), None, 2))
    back = [one("w0", ins(None, None, 1))]
    for k in range(3):
        back.append(one(f"w{k + 1}", ins(None, pos(back[-1], 0), 1)))
    other = [one("v0", ins(None, pos(back[0], 0), 1))]
    for k in range(2):
        other.append(one(f"v{k + 1}", ins(None, pos(other[-1], 0), 1)))
    twin = one("twin", ins(pos(base, 1), pos(base, 1), 2))
    plain = one("plain", ins(pos(base, 1), None, 2))
    inside = one("inside", ins(pos(a, 1), pos(a, 1), 1))
    across = one("across", ins(pos(base, 2), pos(base, 0), 1))
    hide = one("hide", o.TextDel(POSTS, ref(base), 1, 9))
    return [
        cells_of("two insertions at one place do not interleave", [base, a, b, a2]),
        cells_of("nor do two that were typed backwards", [*back, *other]),
        cells_of("text whose left neighbour does not count hangs at the end", [base, lost]),
        cells_of("and goes home when it counts", [base, gone, lost]),
        cells_of("a textdel hides what is there and no more", [base, a, hide]),
        cells_of("right = left: it stands before that character", [base, twin]),
        cells_of("right = left beside an insertion behind that character", [base, twin, plain]),
        cells_of("right = left inside a chain", [base, a, inside]),
        cells_of("a right that is not below left is as none", [base, across]),
    ]
