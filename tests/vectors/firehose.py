"""What a consumer of a firehose is sent, as vectors: frames of signed entries, the events that they are, lines, zstd
with a dictionary; and the frontier cursor."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import msgspec
from backports.zstd import ZstdDecompressor, ZstdDict, ZstdError

from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.firehose import (
    ACT,
    BEGIN,
    CHECKPOINT,
    CONTROL,
    END,
    FRONTIER,
    MAGIC,
    PARTS,
    PLACE,
    RUN,
    UNPROVED,
    frame,
)
from banyan_crdt.frontier import PREFIX, CursorRow, encode_frontier_cursor, log_name48
from banyan_crdt.ids import AccountId, CellKey, EntryId, LogId, Ref
from banyan_crdt.ops import Add, Op, Put, Text, Tomb, decode_body
from banyan_crdt.parts import content_of, make_part
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.run import decode_run, encode_control
from banyan_node.api.firehose import EventMaker
from banyan_reading.queries import Queries
from banyan_replica.intake.ingest import Ingest
from banyan_schema.address import Target
from banyan_schema.collection import OpDraft, undo
from banyan_schema.social import Post, react, relate, set_profile, write_post
from banyan_schema.social.post import POST
from banyan_schema.social.relation import FOLLOW
from banyan_web.firehose.encodings import dictionaries, pack
from tests.crdt.make import Person, b32, follow, run_bytes, signer
from tests.replica.helpers import NOW_MS
from tests.storage.social_accounts import social_store
from tests.vectors.shown import log_name

AN = Person("a reader's")
KEY, SALT = CellKey(b32("the post of a firehose")[:16]), b32("account salt a reader's")[:16]
STORE, TIME_MS = "0123456789abcdef", 1_767_225_600_000
ORDER = ["QĐ 12/2026", "Nghị định 147/2024", "VN", "0"]
HERE = Path(__file__).parent
SAME = (
    "kind",
    "id",
    "collection",
    "account",
    "uri",
    "key",
    "element",
    "time_ms",
    "content",
    "removes",
    "entry",
    "op",
    "writer",
    "log",
    "seq",
)
"""The fields of an event that are the same at every node that holds its content."""


def _entry(below: list[Entry], parts: dict[Ref, bytes], *drafts: OpDraft, signed: bool) -> None:
    """Adds an entry that says these. parts: gets its content."""
    ops, raws = list[Op](), list[tuple[int, bytes, int]]()
    for number, draft in enumerate(drafts):
        op = draft.op
        if draft.content is not None:
            assert isinstance(op, Put | Add | Text)
            part, raw = make_part(b32(f"salt of a firehose {len(below)} {number}")[:16], draft.content)
            op, raws = op._replace(part=part), [*raws, (number, raw, part.size)]
        ops.append(op)
    made = follow(AN.full("phone"), AN.log(), below, *ops, parts=sum(size for *_, size in raws), signed=signed)
    below.append(made)
    parts.update({Ref(made.id, number): raw for number, raw, _ in raws})


def _log() -> tuple[list[Entry], dict[Ref, bytes]]:
    """Two runs: a post, its edit, a profile, a follow and a reaction; the follow taken back, the post deleted."""
    log, parts = list[Entry](), dict[Ref, bytes]()
    _entry(log, parts, write_post(KEY, Post("Chúc mừng năm mới", lang="vi")), signed=False)
    _entry(log, parts, write_post(KEY, Post("Chúc mừng năm mới!", lang="vi"), [Ref(log[0].id, 0)]), signed=False)
    somebody = AccountId(b32("somebody"))
    liked = react(SALT, Target(somebody, CellKey(b32("a post")[:16])), "🌸")
    _entry(log, parts, set_profile(SALT, "bio", "phở"), relate(SALT, "follow", somebody), liked, signed=True)
    _entry(log, parts, undo(FOLLOW, [Ref(log[2].id, 1)]), OpDraft(Tomb(POST, KEY), None), signed=True)
    return log, parts


LOG, CONTENT = _log()
CONTROLS = [encode_control(e, encode_header(e.header)) for e in AN.control]


def _cursor(n: int) -> bytes:
    return f"{STORE}-{n}".encode()


def _parts(*entries: Entry) -> list[list[Any]]:
    return [[ref.entry, ref.op, raw] for ref, raw in CONTENT.items() if ref.entry in {e.id for e in entries}]


def _given(*entries: Entry) -> list[list[Any]]:
    """Without the content of the post, which was deleted."""
    return [row for row in _parts(*entries) if row[0] == LOG[2].id]


BEGINS = frame(BEGIN, MAGIC, TEST.id, _cursor(0), TIME_MS)
JUDGES = frame(CONTROL, AN.id, CONTROLS) + frame(CHECKPOINT, AN.id, encode_checkpoint(AN.checkpoint("phone", n=1)))
FIRST = frame(RUN, AN.id, run_bytes(LOG, 0, 3))
SECOND = frame(RUN, AN.id, run_bytes(LOG, 3, 4))
UNSEEN = b32("an entry whose signature is not here")


def _frontier() -> dict[str, Any]:
    """Rows of two logs, one with rows further down, and of a log whose name is that of none."""
    other = LogId(AccountId(b32("another")), signer("another's").key, 2)
    rows = [
        CursorRow(AN.log(), 3, LOG[3].id),
        CursorRow(AN.log(), 2, LOG[2].id),
        CursorRow(AN.log(), 0, LOG[0].id),
        CursorRow(other, 1 << 40, EntryId(b32("far"))),
    ]
    found = sorted((log_name48(log), -seq, id) for log, seq, id in rows)
    raw = b"".join(
        [*(n for n, _, _ in found), *((-s).to_bytes(6, "big") for _, s, _ in found), *(i[:8] for *_, i in found)]
    )
    unknown = LogId(AN.id, signer("nobody's").key, 1)
    return {
        "rows": [[*log_name(log), seq, id.hex()] for log, seq, id in rows],
        "raw": raw.hex(),
        "cursor": _kept("frontier", "cursor", lambda text: zlib.decompress(_unpadded(text)) == raw)
        or encode_frontier_cursor(rows),
        "told": [
            {"log": log_name(log), "rows": [[seq, id[:8].hex()] for one, seq, id in rows if one == log]}
            for log in (AN.log(), other, unknown)
        ],
        "empty": _kept("frontier", "empty", lambda text: zlib.decompress(_unpadded(text)) == b"")
        or encode_frontier_cursor([]),
        "refused": [{"name": name, "cursor": text} for name, text in _no_cursors(raw).items()],
    }


def _no_cursors(raw: bytes) -> dict[str, str]:
    whole = zlib.compress(raw)
    return {
        "another version": "f2." + _text(whole),
        "no prefix": _text(whole),
        "a letter that is none of base64url": PREFIX + _text(whole)[:-1] + "+",
        "not compressed": PREFIX + _text(raw),
        "cut off": PREFIX + _text(whole[:-5]),
        "a wrong checksum": PREFIX + _text(whole[:-1] + bytes([whole[-1] ^ 1])),
        "something follows it": PREFIX + _text(whole + b"more"),
        "a row that is not whole": PREFIX + _text(zlib.compress(raw[:-1])),
        "nothing": PREFIX,
    }


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpadded(text: str) -> bytes:
    body = text.removeprefix(PREFIX)
    return urlsafe_b64decode(body + "=" * (-len(body) % 4))


def _kept(part: str, name: str, fits: Any) -> Any:
    """What stands in the file, if it still fits: another version of zlib or zstd may write the same otherwise."""
    try:
        found = json.loads((HERE / "firehose.json").read_text("utf-8"))[part][name]
        return found if fits(found) else None
    except (OSError, ValueError, KeyError, zlib.error, ZstdError):
        return None


def _stream(frontier: str) -> dict[str, Any]:
    sentence = "This is the end of what is held."
    pieces = [
        BEGINS,
        JUDGES,
        frame(PARTS, AN.id, [[AN.id, 0, AN.salt]]),
        frame(PLACE, _cursor(2), TIME_MS),
        FIRST,
        frame(PARTS, AN.id, _given(*LOG[:3])),
        frame(99, b"of a later version"),
        frame(PLACE, _cursor(5), TIME_MS, b"more of a later version"),
        frame(FRONTIER, _cursor(5), frontier.encode()),
        SECOND,
        frame(UNPROVED, AN.id, UNSEEN, _cursor(7)),
        frame(PLACE, _cursor(7), TIME_MS),
        frame(PLACE, _cursor(9), TIME_MS),
        frame(ACT, AN.id, f"{STORE}-9-1".encode(), 1, b"withheld", KEY, TIME_MS, [one.encode() for one in ORDER]),
        frame(ACT, AN.id, f"{STORE}-9-2".encode(), 2, b"of a later version", b"", TIME_MS, [], b"more of it"),
        frame(PLACE, f"{STORE}-9-2".encode(), TIME_MS),
        frame(END, _cursor(9), b"caught_up", sentence.encode()),
    ]
    acts = [
        [AN.id.hex(), 1, "withheld", KEY.hex(), TIME_MS, ORDER],
        [AN.id.hex(), 2, "of a later version", "", TIME_MS, []],
    ]
    told: list[tuple[str, list[Entry], list[Any], list[str], list[Any]]] = [
        ("2", AN.control, [[AN.id.hex(), 0, SALT.hex()]], [], []),
        ("5", LOG[:3], [[e.hex(), op, content_of(raw).hex()] for e, op, raw in _given(*LOG[:3])], [], []),
        ("7", LOG[3:], [], [UNSEEN.hex()], []),
        ("9", [], [], [], []),
        ("9-2", [], [], [], acts),
    ]
    return {
        "realm": TEST.id.hex(),
        "bytes": b"".join(pieces).hex(),
        "told": [
            {
                "cursor": f"{STORE}-{at}",
                "entries": [e.id.hex() for e in some],
                "contents": said,
                "unproved": lost,
                "acts": did,
            }
            for at, some, said, lost, did in told
        ],
        "frontier": [_cursor(5).decode(), frontier],
        "end": [_cursor(9).decode(), "caught_up", sentence],
    }


def _refused() -> list[dict[str, str]]:
    """Each for one reason."""
    run, parts = run_bytes(LOG, 0, 3), _parts(*LOG[:3])
    place = frame(PLACE, _cursor(5), TIME_MS)
    stranger = follow("a stranger", LogId(AN.id, signer("a stranger").key, 1), [], *decode_body(LOG[0].ops).ops[:0])
    cut = follow(AN.full("root0"), LogId(AN.id, AN.key("root0"), 0), AN.control, AN.cut("phone", LOG[1]))
    cuts = frame(CONTROL, AN.id, [*CONTROLS, encode_control(cut, encode_header(cut.header))])
    bent = bytearray(parts[0][2])
    bent[-1] ^= 1
    begun = BEGINS + JUDGES
    found = {
        "no firehose": frame(BEGIN, b"banyan firehose 2", TEST.id, _cursor(0), TIME_MS),
        "another realm": frame(BEGIN, MAGIC, MAIN.id, _cursor(0), TIME_MS),
        "a frame of more than 4 MiB": BEGINS + bytes.fromhex("00400001"),
        "a frame that is no array": BEGINS + (1).to_bytes(4, "big") + b"\x00",
        "a frame that is not CBOR of the subset": BEGINS + (3).to_bytes(4, "big") + bytes.fromhex("9f11ff"),
        "a place without a time": BEGINS + frame(PLACE, _cursor(5)),
        "a place whose cursor is a number": BEGINS + frame(PLACE, 5, TIME_MS),
        "an act without what was said": BEGINS + frame(ACT, AN.id, _cursor(5), 1, b"hidden", KEY, TIME_MS) + place,
        "a run before the control log of its account": BEGINS + FIRST + place,
        "a run of another account": begun + frame(RUN, b32("another"), run) + place,
        "a signature with a changed bit": begun + frame(RUN, AN.id, run[:-1] + bytes([run[-1] ^ 1])) + place,
        "a writer that was never granted": begun + frame(RUN, AN.id, run_bytes([stranger], 0, 1)) + place,
        "an entry behind a cut of its writer": BEGINS + cuts + FIRST + place,
        "a control entry of another account": BEGINS + frame(CONTROL, b32("another"), CONTROLS) + place,
        "a checkpoint of another account": BEGINS
        + frame(CONTROL, AN.id, CONTROLS)
        + frame(CHECKPOINT, b32("another"), encode_checkpoint(AN.checkpoint("phone", n=1)))
        + place,
        "content of an entry that was not told": begun + frame(PARTS, AN.id, parts) + place,
        "content that its operation does not name": begun
        + FIRST
        + frame(PARTS, AN.id, [[*parts[0][:2], bytes(bent)]])
        + place,
        "content of an operation that has none": begun
        + SECOND
        + frame(PARTS, AN.id, [[LOG[3].id, 1, parts[0][2]]])
        + place,
        "cut off in the middle of a frame": (begun + FIRST)[:-1],
    }
    return [{"name": name, "bytes": raw.hex()} for name, raw in found.items()]


def events() -> list[dict[str, Any]]:
    """The events of the stream above, as `GET /v1/firehose?since=begin` tells them at a node that holds it."""
    ingest = Ingest(social_store()[0], TEST)
    ingest.control(AN.id, AN.control, NOW_MS)
    for first, stop in ((0, 3), (3, 4)):
        said = [[(ref.op, raw) for ref, raw in CONTENT.items() if ref.entry == e.id] for e in LOG[first:stop]]
        ingest.run(decode_run(TEST, run_bytes(LOG, first, stop)), NOW_MS, contents=said)
    ingest.flush()
    reader = ingest.store
    making = EventMaker(Queries(reader.txn, reader, lambda: 0), STORE, False)
    rows = reader.arrivals(0, 100)
    parts = reader.contents([row.n for row in rows])
    return [msgspec.to_builtins(event) for row in rows for event, _ in making.of(row, dict(parts.get(row.n, ())))]


def _lines(told: list[dict[str, Any]], frontier: str) -> dict[str, Any]:
    """A stream of lines, and what is left to a reader where it breaks off."""

    def note(kind: str, cursor: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "cursor": cursor, "time_ms": TIME_MS, **more}

    middle = told[3]["cursor"]
    nothing = dict.fromkeys(("content", "element", "removes", "entry", "op", "writer", "log", "seq", "proof"))
    about = {"collection": "post", "uri": f"{told[0]['account']}/{KEY.hex()}", "key": KEY.hex(), "time_ms": TIME_MS}
    act: dict[str, Any] = {
        **told[0],
        **nothing,
        **about,
        "kind": "withheld",
        "id": f"{STORE}:1",
        "cursor": f"{STORE}-8-1",
        "held": False,
        "said": ORDER,
    }
    rows = [
        note("begin", f"{STORE}-0"),
        *told[:4],
        note("frontier", middle, frontier=frontier),
        {**told[4], "of a later version": 1},
        *told[5:-1],
        act,
        note("heartbeat", act["cursor"]),
    ]
    last = json.dumps(told[-1], ensure_ascii=False)
    whole = [json.dumps(row, ensure_ascii=False) for row in rows]
    return {
        "text": "\n".join([*whole, last[: len(last) // 2]]),
        "ids": [row["id"] for row in rows if "id" in row],
        "cursor": act["cursor"],
        "frontier": frontier,
    }


def _packed(told: list[dict[str, Any]]) -> dict[str, Any]:
    """The lines of two pieces, each a frame of its own."""
    (hash,) = [one.hash for one in dictionaries().values() if one.of == "ndjson"]
    raw, half = dictionaries()[hash].raw, len(told) // 2
    pieces = [
        "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in some) for some in (told[:half], told[half:])
    ]

    def fits(frames: list[str]) -> bool:
        return [
            ZstdDecompressor(zstd_dict=ZstdDict(raw)).decompress(bytes.fromhex(f)).decode() for f in frames
        ] == pieces

    return {
        "dictionary": hash,
        "dictionary_id": int.from_bytes(raw[4:8], "little"),
        "pieces": pieces,
        "frames": _kept("packed", "frames", fits) or [pack(piece.encode(), hash).hex() for piece in pieces],
    }


def firehose() -> dict[str, Any]:
    frontier, told = _frontier(), events()
    return {
        "frontier": frontier,
        "stream": _stream(frontier["cursor"]),
        "refused": _refused(),
        "events": [{name: event[name] for name in SAME} for event in told],
        "lines": _lines(told, frontier["cursor"]),
        "packed": _packed(told),
    }
