"""`uv run python -m tests.vectors.generate [--check]`: the vectors, and the hex in docs/protocol.md, from the code.

Everything is made from fixed seeds (`tests/crdt/make.py`), so a second run changes nothing unless the format changed.
A block of the document between `<!-- vector NAME -->` and `<!-- end -->` is replaced by the example of that name.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from banyan_crdt import ops as o
from banyan_crdt.cells import fold
from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.codec import encode
from banyan_crdt.entry import Entry, encode_header, skip_seq
from banyan_crdt.frontier import frontier_digest, head_bytes, head_item
from banyan_crdt.ids import EntryId, H, LogId, PartHash, Ref, account_to_text, coll, control_log, key_digest
from banyan_crdt.logs import must_hold
from banyan_crdt.realm import REALMS, TEST
from banyan_crdt.state import AccountState, account_state
from banyan_replica.frontier import sketch as sk
from banyan_replica.frontier.index import id_words, name_words
from banyan_replica.frontier.probes import PLACES, PROBE_BYTES, cells_for, probes
from banyan_replica.gossip import frames as g
from banyan_replica.wire import (
    LAST,
    VERSION,
    Answered,
    Bye,
    Cells,
    CheckpointItem,
    ControlItem,
    Credit,
    Data,
    GossipFrame,
    Heads,
    Hello,
    Interest,
    Message,
    Names,
    Parts,
    Replay,
    Replayed,
    Root,
    RunItem,
    Scan,
    Scanned,
    Shared,
    Sketch,
    Sums,
    Want,
    WantParts,
    Wants,
    Witness,
    encode_message,
    grammar,
)
from tests.crdt.make import POSTS, Person, add, b32, follow, key, make_part, ref, run_bytes, signer

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "protocol.md"

AN = Person()
SIX = AN.write(6, signed=False)
SIX[-1] = SIX[-1]._replace(sig=signer(AN.full("phone")).sign(SIX[-1].id))


def entry(e: Entry) -> dict[str, Any]:
    h = e.header
    return {
        "header": encode_header(h).hex(),
        "ops": e.ops.hex(),
        "sig": e.sig.hex() if e.sig else None,
        "id": e.id.hex(),
        "fields": {
            "account": h.account.hex(),
            "writer": h.writer.hex(),
            "log": h.log,
            "seq": h.seq,
            "prev": h.prev.hex() if h.prev else None,
            "skip": h.skip.hex() if h.skip else None,
            "time": h.time,
            "total": h.total,
            "ops_hash": h.ops_hash.hex(),
        },
    }


def log_name(log: LogId) -> list[Any]:
    return [log.account.hex(), log.writer.hex(), log.log]


def ids() -> dict[str, Any]:
    control = AN.control[0]
    part, raw = make_part("part", b"xin ch\xc3\xa0o")
    return {
        "realms": [
            {
                "name": r.name,
                "birth_ms": r.birth_ms,
                "entry_burst": r.entry_burst,
                "entries_per_day": r.entries_per_day,
                "byte_burst": r.byte_burst,
                "bytes_per_day": r.bytes_per_day,
                "id": r.id.hex(),
            }
            for r in REALMS.values()
        ],
        "hashes": [
            {"tag": t, "input": x.hex(), "output": H(t, x).hex()}
            for t in ("entry", "ops", "checkpoint")
            for x in (b"", b"x")
        ],
        "collections": {n: coll(n).hex() for n in ("profile", "post", "reaction", "repost", "follow", "block", "mute")},
        "key_digest": {"key": signer("a").key.hex(), "digest": key_digest(signer("a").key).hex()},
        "account": {"id": control.id.hex(), "text": account_to_text(AN.id)},
        "part": {"salt": b32("salt part")[:16].hex(), "raw": raw.hex(), "hash": part.hash.hex(), "size": part.size},
        "skips": [skip_seq(q) for q in range(100)],
        "signature": {
            "seed": b32("seed a").hex(),
            "key": signer("a").key.hex(),
            "realm": TEST.id.hex(),
            "entry": b32("entry").hex(),
            "sig": signer("a").sign(EntryId(b32("entry"))).hex(),
        },
    }


def every_op() -> dict[str, o.Op]:
    part = o.Part(PartHash(b32("part")), 220)
    at, r = o.Position(EntryId(b32("entry")), 3, 4), Ref(EntryId(b32("entry")), 3)
    k, other = signer("phone").key, EntryId(b32("pinned"))
    return {
        "put": o.Put(POSTS, key("k"), (r,), part),
        "put without content": o.Put(POSTS, key("k"), (), None),
        "add": o.Add(POSTS, key("k"), key("elem"), part),
        "del": o.Del(POSTS, (r, r._replace(op=4))),
        "count +3": o.Count(POSTS, key("k"), 3),
        "count -3": o.Count(POSTS, key("k"), -3),
        "text": o.Text(POSTS, key("k"), at, None, 5, part),
        "textdel": o.TextDel(POSTS, r, 1, 2),
        "tomb": o.Tomb(POSTS, key("k")),
        "pin": o.Pin(k, 1, 7, other),
        "init": o.Init((o.Slot(b32("now"), b32("next")), o.Slot(b32("rec"), b32("rec next"))), part),
        "grant": o.Grant(k, 1, 8, 2, (POSTS,), 99, b32("box")),
        "grant of everything": o.Grant(k, 1, 65_535, 8, None, None, None),
        "cut": o.Cut(k, (o.Kept(1, 7, other),)),
        "rotate": o.Rotate(0, b32("next")),
        "recover": o.Recover(b32("root"), b32("next")),
        "drop": o.Drop(k, 2),
        "close": o.Close(),
        "host": o.Host(k),
        "unknown": o.Unknown(42, (1, b"x", ())),
    }


BAD_BODIES = {
    "not an array": ("reject", "00"),
    "three fields": ("reject", encode([[], [], []]).hex()),
    "a dep that is no id": ("reject", encode([[b"x"], []]).hex()),
    "17 deps": ("reject", encode([[bytes(32)] * 17, []]).hex()),
    "513 ops": ("reject", encode([[], [[42]] * 513]).hex()),
    "an op without a code": ("reject", encode([[], [[]]]).hex()),
    "an op whose code is bytes": ("reject", encode([[], [[b"1"]]]).hex()),
    "an op that is no array": ("reject", encode([[], [1]]).hex()),
    "trailing bytes": ("reject", encode([[], []]).hex() + "00"),
    "a put with a short key": ("void", encode([[], [[1, bytes(8), bytes(15), [], None]]]).hex()),
    "a put with a field too many": ("void", encode([[], [[1, bytes(8), bytes(16), [], None, 0]]]).hex()),
    "a part above 64 KiB": ("void", encode([[], [[1, bytes(8), bytes(16), [], [bytes(32), 65_537]]]]).hex()),
    "a text of no characters": ("void", encode([[], [[5, bytes(8), bytes(16), None, None, 0, None]]]).hex()),
    "a good op beside a bad one": ("void", encode([[], [[7, bytes(8), bytes(16)], [7]]]).hex()),
    "a grant of log 0": ("void", encode([[], [[17, bytes(32), 0, 1, 0, None, None, None]]]).hex()),
    "a cut that names a log twice": ("void", encode([[], [[18, bytes(32), [[1, 0, bytes(32)]] * 2]]]).hex()),
    "nine slots": ("void", encode([[], [[16, [[bytes(32), bytes(32)]] * 9, None]]]).hex()),
    "an unknown code": ("accept", encode([[], [[9, b"x"]]]).hex()),
    "nothing": ("accept", encode([[], []]).hex()),
}


def ops() -> dict[str, Any]:
    return {
        "ops": [{"name": n, "body": o.encode_ops((op,)).hex()} for n, op in every_op().items()],
        "with deps": o.encode_ops((add("x"),), (EntryId(b32("dep")),)).hex(),
        "verdicts": [{"name": n, "verdict": v, "body": raw} for n, (v, raw) in BAD_BODIES.items()],
    }


def runs() -> dict[str, Any]:
    rows = []
    signed = AN.write(20)
    for first, stop in ((0, 1), (0, 6), (5, 6), (12, 20)):
        log = signed if stop > 6 else [*SIX[: stop - 1], signed[stop - 1]]
        rows.append(
            {
                "realm": TEST.id.hex(),
                "log": log_name(AN.log()),
                "first": first,
                "run": run_bytes(log, first, stop).hex(),
                "ids": [e.id.hex() for e in log[first:stop]],
            }
        )
    good = run_bytes(signed, 12, 20)
    bad = {
        "last byte of the signature changed": good[:-1] + bytes([good[-1] ^ 1]),
        "cut off": good[:-1],
        "trailing byte": good + b"\0",
    }
    return {"runs": rows, "rejected": [{"name": n, "run": raw.hex()} for n, raw in bad.items()]}


def checkpoints() -> list[dict[str, Any]]:
    plain = AN.checkpoint("phone", n=1)
    pinning = AN.checkpoint("root0", n=7, pins=[AN.pin(SIX[5])])
    return [
        {
            "checkpoint": encode_checkpoint(c).hex(),
            "id": c.id.hex(),
            "account": c.account.hex(),
            "writer": c.writer.hex(),
            "n": c.n,
            "control": [c.control.seq, c.control.id.hex()],
            "pins": [[p.writer.hex(), p.log, p.seq, p.id.hex()] for p in c.pins],
            "head_bytes": head_bytes(c.log_id, c.head).hex(),
        }
        for c in (plain, pinning)
    ]


def state(
    name: str,
    person: Person,
    control: Sequence[Entry],
    *logs: Sequence[Entry],
    checkpoints: Sequence[Checkpoint] = (),
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
    return out


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
    hide = one("hide", o.TextDel(POSTS, ref(base), 1, 9))
    return [
        cells_of("two insertions at one place do not interleave", [base, a, b, a2]),
        cells_of("nor do two that were typed backwards", [*back, *other]),
        cells_of("text whose left neighbour does not count hangs at the end", [base, lost]),
        cells_of("and goes home when it counts", [base, gone, lost]),
        cells_of("a textdel hides what is there and no more", [base, a, hide]),
    ]


def digests() -> dict[str, Any]:
    s = account_state(TEST, AN.id, AN.control, {AN.log(): SIX})
    heads = sorted(s.heads.items())
    items = [head_item(log, h) for log, h in heads]
    return {
        "heads": [[*log_name(log), h.length, h.id.hex() if h.id else None, h.flag] for log, h in heads],
        "head_bytes": [head_bytes(log, h).hex() for log, h in heads],
        "head_items": [i.to_bytes(32, "big").hex() for i in items],
        "frontier_digest": frontier_digest(heads).hex(),
        "frontier_root": (sum(items) % (1 << 256)).to_bytes(32, "big").hex(),
        "empty_digest": frontier_digest([]).hex(),
    }


def sketch() -> dict[str, Any]:
    """Every number as 8 bytes in hex."""
    found: dict[str, Any] = {"probed": PLACES.tolist(), "cells_for": {str(d): cells_for(d) for d in (0, 1, 10, 1_000)}}
    heads = account_state(TEST, AN.id, AN.control, {AN.log(): SIX}).heads
    for name, salt in (("public", TEST.id), ("salted", b"0123456789abcdef")):
        key, table, items = sk.key_of(salt), sk.empty(), []
        for log, head in sorted(heads.items()):
            h = sk.place(key, *name_words(log))
            t = sk.weight(key, *id_words(head), head.length, head.flag)
            sk.add_one(table, h, t)
            raw = head_bytes(log, head)
            walk = list(sk.walk(h, sk.CELLS))
            items.append(
                {
                    "head_bytes": raw.hex(),
                    "h": h.to_bytes(8, "big").hex(),
                    "t": t.to_bytes(8, "big").hex(),
                    "walk": walk,
                }
            )
        found[name] = {
            "salt": salt.hex(),
            "key": [n.to_bytes(8, "big").hex() for n in key],
            "items": items,
            "cells": sk.pack(table[:40]).hex(),
            "probes": probes(table).hex(),
        }
    return found


def messages() -> list[dict[str, Any]]:
    log, head = AN.log(), account_state(TEST, AN.id, AN.control, {AN.log(): SIX}).heads[AN.log()]
    part, raw = make_part("part", b"xin ch\xc3\xa0o")
    said = AN.checkpoint("phone", n=1)
    item = ControlItem(AN.id, [[encode_header(e.header), e.sig, e.ops] for e in AN.control], [])
    run = RunItem(run_bytes(SIX, 0, 6), [raw, None, [(1, raw)]])
    root = b32("root")
    found: list[Message] = [
        Hello(VERSION, TEST.id, b"0123456789abcdef", 2, root, 7, b"", 0),
        GossipFrame(list(g.encode_frame(g.Data((g.Item(SIX[0].id[:16], 1, b"\0"),), (SIX[1].id[:16],), (), True)))),
        GossipFrame(list(g.encode_frame(g.Shuffle(g.PeerInfo("an", ("/ip4/127.0.0.1/tcp/1",)), 6, ())))),
        Root(2, root, 7),
        Sums(b"", b"\x0a\x0f", [(0, bytes(16))] * 15 + [(1, root[:16])]),
        Heads(b"", 1, [(log, head)]),
        Wants([Want(control_log(AN.id), [], []), Want(log, [(1, SIX[1].id), (0, SIX[0].id)], [(5, SIX[5].id)])]),
        Data([item, run]),
        Data([run._replace(proof=[encode_header(SIX[5].header)])]),
        Data([CheckpointItem(encode_checkpoint(said))]),
        Credit(1 << 20),
        WantParts([(SIX[0].id, 0)]),
        Parts([(SIX[0].id, 0, raw, b""), (SIX[1].id, 0, None, b"erased")]),
        Replay(7),
        Replayed(9, 0),
        Scan(1, b"", LAST),
        Scanned(1, AN.id, 0),
        Witness(signer("platform").key, 1_767_225_600_000, root, bytes(64)),
        Bye(b"realm meets realm"),
        Answered(2),
        Sketch(b"", 0, 0, 0, bytes(range(PROBE_BYTES))),
        Cells(b"0123456789abcdef", 0, 0, 7, bytes(range(23))),
        Names(b"", bytes(range(8))),
        Interest(1, AN.id[:16]),
        Shared(AN.id[:8], root),
    ]
    assert part.size == len(raw)
    return [{"name": type(m).__name__, "frame": encode_message(m).hex()} for m in found]


def vectors() -> dict[str, Any]:
    others = [follow(AN.full("phone"), AN.log(), SIX[:5], add("with content", make_part("x")[0]), parts=25)]
    return {
        "ids": ids(),
        "entries": [entry(e) for e in (*AN.control, *SIX, *others)],
        "ops": ops(),
        "runs": runs(),
        "checkpoints": checkpoints(),
        "forks": forks(),
        "revocations": revocations(),
        "merges": merges(),
        "text": text(),
        "digests": digests(),
        "sketch": sketch(),
        "messages": messages(),
    }


def block(hexed: str, width: int = 96) -> str:
    return "\n".join(hexed[i : i + width] for i in range(0, len(hexed), width))


def shown_item(v: dict[str, Any]) -> str:
    item = v["items"][1]
    lines = [f"{name} {number}" for name, number in zip("abcdefg", v["key"], strict=True)]
    lines += [f"h {item['h']}", f"t {item['t']}", "walk " + " ".join(map(str, item["walk"]))]
    return "\n".join(
        ["the head above, in the realm `test`", *lines, f"cells 0 and 1, of two heads\n{block(v['cells'][:92])}"]
    )


def examples(made: dict[str, Any]) -> dict[str, str]:
    first, grant, plain = made["entries"][0], made["entries"][1], made["entries"][2]
    ops = [f"{x['name']}\n  {block(x['body'], 92)}".replace("\n", "\n  ") for x in made["ops"]["ops"]]
    frames = [f"{m['name']}\n    {m['frame'][:88]}{'...' if len(m['frame']) > 88 else ''}" for m in made["messages"]]
    return {
        "realm": "\n".join(f"{r['name']:5} {r['id']}" for r in made["ids"]["realms"]),
        "collections": "\n".join(f"{n:9} {c}" for n, c in made["ids"]["collections"].items()),
        "inception": f"header\n{block(first['header'])}\nops\n{block(first['ops'])}\nid = account\n{first['id']}\n"
        f"{made['ids']['account']['text']}\nsignature\n{block(first['sig'])}",
        "grant": f"header\n{block(grant['header'])}\nops\n{block(grant['ops'])}\nid\n{grant['id']}",
        "entry": f"header\n{block(plain['header'])}\nops\n{block(plain['ops'])}\nid\n{plain['id']}",
        "run": block(made["runs"]["runs"][1]["run"]),
        "checkpoint": f"{block(made['checkpoints'][1]['checkpoint'])}\nid\n{made['checkpoints'][1]['id']}",
        "part": block(made["ids"]["part"]["raw"]) + "\nhash\n" + made["ids"]["part"]["hash"],
        "ops": "\n".join(ops),
        "skips": " ".join("-" if s is None else str(s) for s in made["ids"]["skips"][:40]),
        "head": block(made["digests"]["head_bytes"][1]),
        "sketch": shown_item(made["sketch"]["public"]),
        "digest": made["digests"]["frontier_digest"],
        "messages": "\n".join(frames),
        "grammar": f"```cddl\n{grammar.messages()}\n```",
        "gossip": f"```cddl\n{grammar.gossip()}\n```",
        "who": grammar.who(),
    }


def files() -> dict[Path, str]:
    """What every generated file must hold."""
    made = vectors()
    out = {HERE / f"{name}.json": json.dumps(v, indent=1, ensure_ascii=False) + "\n" for name, v in made.items()}
    shown = examples(made)

    def fill(m: re.Match[str]) -> str:
        text = shown.pop(m[1])
        fenced = text if text.startswith(("```", "|")) else f"```\n{text}\n```"
        return f"<!-- vector {m[1]} -->\n{fenced}\n<!-- end -->"

    document = DOCUMENT.read_text()
    out[DOCUMENT] = re.sub(r"<!-- vector (\w+) -->\n.*?<!-- end -->", fill, document, flags=re.DOTALL)
    if shown:
        raise SystemExit(f"{DOCUMENT.name} has no block for {', '.join(shown)}: add <!-- vector NAME --> <!-- end -->")
    return out


def main() -> None:
    stale = [path for path, want in files().items() if not path.exists() or path.read_text() != want]
    if "--check" in sys.argv:
        raise SystemExit(f"stale: {', '.join(p.name for p in stale)}: run generate without --check" if stale else 0)
    for path, want in files().items():
        path.write_text(want)
    print(f"{len(stale)} files changed")


if __name__ == "__main__":
    main()
