"""Vectors of runs that do not fit, of the sums of ranges, and of archives."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import Entry
from banyan_crdt.errors import NotYet, Reject
from banyan_crdt.frontier import head_bytes
from banyan_crdt.ids import Head, LogId
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_crdt.state import account_state
from banyan_replica.frontier import sketch as sk
from banyan_replica.frontier.index import id_words, name_words
from banyan_replica.frontier.sums import FrontierTable
from banyan_storage.archive import ArchiveDamaged, export_archive, read_archive
from tests.crdt.make import Person, run_bytes, signer
from tests.replica.helpers import NOW_MS, World, new_ingest
from tests.vectors.shown import AN, entry

Fields = list[Any]
ACCOUNT, WRITER, LOG, FIRST, PREV, BASE, SKIPS, ROWS, SIG = range(9)
"""The fields of a run."""


def changed(run: bytes, how: Callable[[Fields], object]) -> bytes:
    fields = decode(run, 3)
    how(fields)
    return encode(fields)


def misshapen_runs(log: Sequence[Entry]) -> dict[str, bytes]:
    """Runs that are malformed whatever is held: no signature must be checked."""
    good, start = run_bytes(log, 8, 20), run_bytes(log, 0, 3)

    def put(at: int, value: Any, run: bytes = good) -> bytes:
        return changed(run, lambda f: f.__setitem__(at, value))

    def row(n: int, at: int, value: Any) -> bytes:
        return changed(good, lambda f: f[ROWS][n].__setitem__(at, value))

    skips = decode(good, 3)[SKIPS]
    assert len(skips) > 1
    return {
        "dt 0 in the second entry": row(1, 0, 0),
        "more part bytes than 65,536": row(1, 1, 65_537),
        "a row of two": changed(good, lambda f: f[ROWS][1].pop()),
        "ops that are no CBOR": row(2, 2, b"\xff"),
        "no entries": put(ROWS, []),
        "a skip target is missing": put(SKIPS, skips[1:]),
        "a skip target too many": put(SKIPS, [[0, bytes(32)], *skips]),
        "skip targets out of order": put(SKIPS, skips[::-1]),
        "a skip target of 31 bytes": put(SKIPS, [[skips[0][0], bytes(31)], *skips[1:]]),
        "log 0": put(LOG, 0),
        "prev null, first 8": put(PREV, None),
        "prev where first is 0": put(PREV, bytes(32), start),
        "base 5 where first is 0": put(BASE, 5, start),
        "base of 54 bits": put(BASE, 1 << 53),
        "first of 49 bits": put(FIRST, 1 << 48),
        "a signature of 63 bytes": put(SIG, bytes(63)),
        "ten fields": changed(good, lambda f: f.append(None)),
    }


def resigned(run: bytes) -> bytes:
    """The same, correctly signed for its new content: only held entries can show that it is wrong."""
    last = decode_run(TEST, run).entries[-1]
    return changed(run, lambda f: f.__setitem__(SIG, signer(AN.full("phone")).sign(last.id)))


def joints() -> list[dict[str, Any]]:
    """Runs against a store that holds entries 0 to 11 of the log: each says something of what is below it."""
    log = AN.write(20)
    good = run_bytes(log, 12, 20)
    skips, base = decode(good, 3)[SKIPS], decode(good, 3)[BASE]
    wrong = [[seq, bytes(31) + b"\1"] for seq, _ in skips]
    early = log[11].header.time
    cases = {
        "it fits": good,
        "its first entries are held": run_bytes(log, 8, 20),
        "all of it is held": run_bytes(log, 3, 12),
        "base is a byte too many": resigned(changed(good, lambda f: f.__setitem__(BASE, base + 1))),
        "base is a byte too few": resigned(changed(good, lambda f: f.__setitem__(BASE, base - 1))),
        "a skip target is another entry": resigned(changed(good, lambda f: f.__setitem__(SKIPS, wrong))),
        "dt is the time of the entry before": resigned(changed(good, lambda f: f[ROWS][0].__setitem__(0, early))),
        "dt is a tick more than that": resigned(changed(good, lambda f: f[ROWS][0].__setitem__(0, early + 1))),
        "prev is the entry before that": resigned(changed(good, lambda f: f.__setitem__(PREV, log[10].id))),
        "prev is not held": resigned(changed(good, lambda f: f.__setitem__(PREV, bytes(31) + b"\1"))),
        "there is a gap": run_bytes(log, 14, 20),
    }
    return [
        {
            "name": name,
            "control": [entry(e) for e in AN.control],
            "held": run_bytes(log, 0, 12).hex(),
            "run": run.hex(),
            **verdict(run_bytes(log, 0, 12), run),
        }
        for name, run in cases.items()
    ]


def verdict(held: bytes, run: bytes) -> dict[str, Any]:
    ingest = new_ingest()
    ingest.control(AN.id, AN.control, NOW_MS)
    ingest.run(decode_run(TEST, held), NOW_MS)
    found = decode_run(TEST, run)
    try:
        ingest.run(found, NOW_MS)
        said = "accept"
    except NotYet as why:
        said = f"not yet: {why.reason}"
    except Reject:
        said = "reject"
    return {"verdict": said, "length": ingest.head(found.log).length}


def heads_of_three() -> list[tuple[LogId, Head]]:
    out: list[tuple[LogId, Head]] = []
    for name, logs in (("an", 3), ("binh", 2), ("chi", 1)):
        person = Person(name)
        held = {person.log(number=n): person.write(n + 1, number=n) for n in range(1, logs + 1)}
        out += account_state(TEST, person.id, person.control, held).heads.items()
    return sorted(out)


def sums() -> dict[str, Any]:
    """What a `sums` message says of nine heads, under the public key and under a salt."""
    heads = heads_of_three()
    found: dict[str, Any] = {"head_bytes": [head_bytes(*h).hex() for h in heads]}
    account = heads[0][0].account
    for name, salt in (("public", TEST.id), ("salted", b"0123456789abcdef")):
        key = sk.key_of(salt)
        table = FrontierTable(key)
        for log, head in heads:
            words = name_words(log)
            h = sk.place(key, *words)
            t = sk.weight(key, *id_words(head), head.length, head.flag)
            table.move_one(words[0], h, t, 1)
        rows = []
        nibbles = bytes(int(digit, 16) for digit in account.hex())
        for prefix in (nibbles[:0], nibbles[:1], nibbles[:3]):
            rows.append({"prefix": prefix.hex(), "children": [[n, s.hex()] for n, s in table.children(prefix)]})
        found[name] = {"salt": salt.hex(), "ranges": rows}
    return found


def archives() -> list[dict[str, Any]]:
    """A whole archive, and how far each damaged one can be read."""
    w = World("a")
    an = w.person("a", "an")
    w.post("a", an, 3)
    w.post("a", an, 1, number=2)
    stream = io.BytesIO()
    export_archive(w.replicas["a"].store, stream, lambda account, size: None)
    whole = stream.getvalue()
    flipped = bytearray(whole)
    flipped[whole.index(an.id, 200) + 40] ^= 1
    cases = {
        "whole": whole,
        "the end is missing": whole[: -(36 + 37)],
        "cut off in the middle of a frame": whole[: len(whole) // 2],
        "cut off in the length of a frame": whole[: -(36 + 37) + 2],
        "a byte of a frame changed": bytes(flipped),
        "bytes behind the end": whole + b"\0",
        "no start": whole[36 + int.from_bytes(whole[:4], "big") :],
        "nothing": b"",
    }
    return [{"name": name, "archive": raw.hex(), **read(raw)} for name, raw in cases.items()]


def read(raw: bytes) -> dict[str, Any]:
    kinds: list[str] = []
    damaged: int | None = None
    digest: str | None = None
    try:
        for frame in read_archive(io.BytesIO(raw)):
            kinds.append(type(frame).__name__.removesuffix("Frame").lower())
            digest = getattr(frame, "digest", b"").hex() or None
    except ArchiveDamaged as why:
        damaged = why.offset
    return {"frames": kinds, "damaged_at": damaged, "digest": digest}
