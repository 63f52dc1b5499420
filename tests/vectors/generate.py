"""`uv run python -m tests.vectors.generate [--check]`: the vectors, and the hex in docs/protocol.md and docs/social.md,
from the code.

Everything is made from fixed seeds (`tests/crdt/make.py`), so a second run changes nothing unless the format changed.
A block of the document between `<!-- vector NAME -->` and `<!-- end -->` is replaced by the example of that name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from banyan_crdt import ops as o
from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.codec import encode
from banyan_crdt.entry import encode_header, skip_seq
from banyan_crdt.frontier import frontier_digest, head_bytes, head_item
from banyan_crdt.ids import (
    AccountId,
    CellKey,
    EntryId,
    H,
    PartHash,
    Ref,
    account_to_text,
    coll,
    control_log,
    key_digest,
)
from banyan_crdt.realm import REALMS, TEST
from banyan_crdt.state import account_state, erasure_dep
from banyan_replica.frontier import sketch as sk
from banyan_replica.frontier.index import id_words, name_words
from banyan_replica.gossip import frames as g
from banyan_replica.peers.statements import Withheld, sign_withheld
from banyan_replica.sync.exchange import PLACES, PROBE_BYTES, cells_for, probes
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import (
    ABILITIES,
    BUSY,
    LAST,
    NOTICES,
    VERSION,
    ActNames,
    Answered,
    Bye,
    CharterActs,
    CharterState,
    CheckpointItem,
    ControlItem,
    Credit,
    DataItems,
    Digests,
    GossipFrame,
    Heads,
    Hello,
    Interest,
    JoinAlliance,
    Joined,
    Message,
    Notices,
    Parts,
    Replay,
    Replayed,
    Root,
    RunItem,
    Scan,
    Scanned,
    Shared,
    Sketch,
    SketchCells,
    SketchNames,
    Sums,
    Want,
    WantActs,
    WantDigests,
    WantNames,
    WantNotices,
    WantParts,
    Wants,
    Witness,
)
from banyan_schema.social import Poll, Target, write_vote
from banyan_schema.social.vote import ballot_of, vote_key
from tests.crdt.make import POSTS, add, b32, follow, key, make_part, run_bytes, signer
from tests.vectors import borders, grammar, joints, social, states
from tests.vectors.blobs import blobs
from tests.vectors.charter import charter
from tests.vectors.firehose import firehose
from tests.vectors.pages import block, filled
from tests.vectors.private import private
from tests.vectors.shown import AN, SIX, entry, log_name, plain

HERE = Path(__file__).parent
SHIPPED = (
    *("profile", "post", "reaction", "repost", "follow", "block", "mute", "vote", "keyring", "private"),
    *("group", "group.join", "group.act", "event", "event.reply", "event.invite"),
    *("channel", "episode", "playlist", "subscription", "pinned", "hidden"),
    *("follow.answer", "handle", "moved.to", "moved.from", "official"),
    *("order", "order.confirmation", "order.receipt", "order.appeal", "order.ruling"),
    *("letter", "letter.reader"),
)
DOCUMENT, SOCIAL = (HERE.parents[1] / "docs" / name for name in ("protocol.md", "social.md"))


def _vote() -> dict[str, Any]:
    poll = Poll(("phở", "bún"), "one", 1_800_000_000_000)
    post = Target(AN.id, CellKey(b32("poll")[:16]))
    said = write_vote(post, poll, [1])
    assert said.content is not None
    return {
        "poll": {**poll._asdict(), "options": [*poll.options]},
        "post": post.raw.hex(),
        "key": vote_key(post).hex(),
        "ballot": ballot_of(poll).hex(),
        "content": said.content.hex(),
    }


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
            for t in ("entry", "ops", "checkpoint", "withheld")
            for x in (b"", b"x")
        ],
        "collections": {n: coll(n).hex() for n in SHIPPED},
        "vote": _vote(),
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
        "cut": o.Cut(k, (o.KeptTip(1, 7, other),)),
        "rotate": o.Rotate(0, b32("next")),
        "recover": o.Recover(b32("root"), b32("next")),
        "drop": o.Drop(k, 2),
        "close": o.Close(),
        "host": o.Host(AccountId(k)),
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
        "wish": {
            "from_ms": 1_800_000_000_000,
            "close": o.encode_ops((o.Close(),), (erasure_dep(1_800_000_000_000),)).hex(),
        },
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
        **joints.misshapen_runs(signed),
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


def withheld() -> bytes:
    said = Withheld(signer("platform").key, 1_767_225_600_000, SIX[1].id, 0, "court order 7", "law 1", "VN", None)
    return sign_withheld(signer("platform"), said)


def messages() -> list[dict[str, Any]]:
    log, head = AN.log(), account_state(TEST, AN.id, AN.control, {AN.log(): SIX}).heads[AN.log()]
    part, raw = make_part("part", b"xin ch\xc3\xa0o")
    said = AN.checkpoint("phone", n=1)
    item = ControlItem(AN.id, [[encode_header(e.header), e.sig, e.ops] for e in AN.control], [])
    run = RunItem(run_bytes(SIX, 0, 6), [raw, None, [(1, raw)]])
    root = b32("root")
    found: list[Message] = [
        Hello(VERSION, TEST.id, b"0123456789abcdef", 2, root, 7, b"", 0),
        GossipFrame(
            list(g.encode_frame(g.PushFrame((g.Push(SIX[0].id[:16], 1, b"\0"),), (SIX[1].id[:16],), (), True)))
        ),
        GossipFrame(list(g.encode_frame(g.Shuffle(g.PeerInfo("an", ("/ip4/127.0.0.1/tcp/1",)), 6, ())))),
        Root(2, root, 7),
        Sums(b"", b"\x0a\x0f", [(0, bytes(16))] * 15 + [(1, root[:16])]),
        Heads(b"", 1, [(log, head)]),
        Wants([Want(control_log(AN.id), [], []), Want(log, [(1, SIX[1].id), (0, SIX[0].id)], [(5, SIX[5].id)])]),
        DataItems([item, run]),
        DataItems([run._replace(proof=[encode_header(SIX[5].header)])]),
        DataItems([CheckpointItem(encode_checkpoint(said))]),
        Credit(1 << 20),
        WantParts([(SIX[0].id, 0)]),
        Parts([(SIX[0].id, 0, raw, b""), (SIX[1].id, 0, None, withheld()), (SIX[2].id, 0, None, b"")]),
        Replay(7),
        Replayed(9, 0),
        Scan(1, b"", LAST),
        Scanned(1, AN.id, 0),
        Witness(signer("platform").key, 1_767_225_600_000, root, bytes(64)),
        Bye(b"realm meets realm"),
        Answered(2),
        Sketch(b"", 0, 0, 0, bytes(range(PROBE_BYTES))),
        SketchCells(b"0123456789abcdef", 0, 0, 7, bytes(range(23))),
        SketchNames(b"", bytes(range(8))),
        Interest(1, AN.id[:16]),
        Shared(AN.id[:8], root),
        SketchCells(ABILITIES, NOTICES, BUSY, 0, b""),
        WantNotices(bytes(8), AN.id),
        Notices(bytes(5) + b"\x07\0\0", 0, [(AN.id, AccountId(b32("an author")), SIX[0].id)]),
        CharterState(b32("a charter"), 7, b32("a digest")),
        WantDigests(b32("a charter"), 1),
        Digests(b32("a charter"), 1, b32("a digest")),
        WantNames(b32("a charter"), 1, b""),
        ActNames(b32("a charter"), 1, b32("an act")),
        WantActs(b32("a charter"), 1, b32("an act")),
        CharterActs(b32("a charter"), 1, [b"an act of docs/charter.md"]),
        JoinAlliance(b32("an invitation"), b"a card", bytes(64)),
        Joined(0, b"an answer"),
    ]
    assert part.size == len(raw)
    return [{"name": label(m), "frame": encode_message(m).hex()} for m in found]


LABELS: dict[type[Message], str] = {DataItems: "Data", SketchCells: "Cells", SketchNames: "Names"}


def label(message: Message) -> str:
    """What the vectors call a message: pinned with them, whatever the class is called here."""
    return LABELS.get(type(message), type(message).__name__)


def vectors() -> dict[str, Any]:
    others = [follow(AN.full("phone"), AN.log(), SIX[:5], add("with content", make_part("x")[0]), parts=25)]
    return {
        "ids": ids(),
        "private": private(),
        "charter": charter(),
        "social": social.social(),
        "blobs": blobs(),
        "entries": [entry(e) for e in (*AN.control, *SIX, *others)],
        "ops": ops(),
        "runs": runs(),
        "checkpoints": checkpoints(),
        "joints": joints.joints(),
        "forks": states.forks(),
        "revocations": states.revocations(),
        "merges": states.merges(),
        "text": states.text(),
        "digests": digests(),
        "sketch": sketch(),
        "sums": joints.sums(),
        "messages": messages(),
        "refused": borders.refused(),
        "signatures": borders.signatures(),
        "cbor": borders.cbor(),
        "limits": borders.limits(),
        "archives": joints.archives(),
        "firehose": firehose(),
    }


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
        "collections": "\n".join(f"{n:13} {c}" for n, c in made["ids"]["collections"].items()),
        "inception": f"header\n{block(first['header'])}\nops\n{block(first['ops'])}\nid = account\n{first['id']}\n"
        f"{made['ids']['account']['text']}\nsignature\n{block(first['sig'])}",
        "grant": f"header\n{block(grant['header'])}\nops\n{block(grant['ops'])}\nid\n{grant['id']}",
        "entry": f"header\n{block(plain['header'])}\nops\n{block(plain['ops'])}\nid\n{plain['id']}",
        "run": block(made["runs"]["runs"][1]["run"]),
        "checkpoint": f"{block(made['checkpoints'][1]['checkpoint'])}\nid\n{made['checkpoints'][1]['id']}",
        "part": block(made["ids"]["part"]["raw"]) + "\nhash\n" + made["ids"]["part"]["hash"],
        "ops": "\n".join(ops),
        "wish": f"{made['ops']['wish']['from_ms']}\n{block(made['ops']['wish']['close'])}",
        "private": _private(made["private"]),
        "blob": _blob(made["blobs"]),
        "skips": " ".join("-" if s is None else str(s) for s in made["ids"]["skips"][:40]),
        "head": block(made["digests"]["head_bytes"][1]),
        "sketch": shown_item(made["sketch"]["public"]),
        "digest": made["digests"]["frontier_digest"],
        "messages": "\n".join(frames),
        "grammar": f"```cddl\n{grammar.messages()}\n```",
        "gossip": f"```cddl\n{grammar.gossip()}\n```",
        "who": grammar.who(),
    }


def _private(v: dict[str, Any]) -> str:
    mute = v["things"][0]
    shown = {"box": v["wrapped"]["box"], "[mute, ...]": mute["plain"], "key": mute["key"], "content": mute["content"]}
    return "\n".join(f"{name}\n{block(raw)}" for name, raw in shown.items())


def _blob(v: dict[str, Any]) -> str:
    return "\n".join([f"root\n{v['small']['root']}", *(f"{m['name']}\n{block(m['frame'])}" for m in v["messages"])])


def files() -> dict[Path, str]:
    """What every generated file must hold."""
    made = vectors()
    out = {HERE / f"{name}.json": json.dumps(plain(v), indent=1, ensure_ascii=False) + "\n" for name, v in made.items()}
    out[DOCUMENT] = filled(DOCUMENT, examples(made))
    out[SOCIAL] = filled(SOCIAL, social.examples(made["social"]))
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
