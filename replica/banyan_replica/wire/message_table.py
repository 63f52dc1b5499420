"""The message table: code, name, fields with their types and bounds, who may send it, and how it is treated.

Codes are defined here and nowhere else. From this table are made the codec; which messages are read before hello; which
count against credit; which may be sent after a rollback of the store; and the grammar and the table in docs/protocol.md
(a test compares). `decode_message` refuses everything that is not in the table, and names the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NamedTuple

from banyan_crdt.codec import encode, read_value
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_replica.wire import messages as m
from banyan_replica.wire.data_items import decode_items, encode_items
from banyan_replica.wire.fields import (
    B8,
    B16,
    B32,
    B64,
    BYTES,
    FLAG,
    U16,
    U32,
    U48,
    U63,
    FieldKind,
    MessageShape,
    ShapeField,
    at_most,
    exactly_or_none,
    nullable,
    pieces,
    read_bytes,
    read_list,
    read_rows,
    reader,
    rows,
    spelled,
    up_to,
    writers,
)
from banyan_replica.wire.messages import (
    AS_IF,
    CARD,
    FANOUT,
    ID_BYTES,
    MAX_LOCATOR,
    MAX_PINS,
    MAX_RANGE,
    MAX_REASON,
    NAME_BYTES,
    PAGE,
    VERSION,
    Message,
)

PROBES = 88
"""The bytes of probes in the first question (sync/exchange.py has the same number)."""
CELL, PLACE = 23, 8
"""The bytes of a cell and of a place."""


class Who(Enum):
    """Who may send a message. From another sender it is ignored, and costs nothing."""

    EITHER = "either side"
    ANSWER = "the side that was asked"
    RECEIVER = "the side that received bulk"
    WHOLE = "either side, if both hold everything"
    CHOSEN = "a node that holds chosen accounts"
    SHARE = "either side, if one holds chosen accounts"


class MessageRule(NamedTuple):
    """A line of the table. `says`: what it means. `before_hello`: it is read before the sender's hello. `bulk`: it
    counts against credit.

    `unstored`: it depends on nothing in the store, so it is sent even after a rollback of what was pending. `ahead`: it
    refers to no frame before it, so it is sent before answers that wait for a slow line. `lasting`: it brings
    something, so it is read even if its sender has gone; who has gone needs no answers.
    """

    shape: MessageShape
    says: str
    who: Who = Who.EITHER
    before_hello: bool = False
    bulk: bool = False
    unstored: bool = False
    ahead: bool = False
    lasting: bool = False


# -- kinds that only messages use


def _prefix(longest: int) -> FieldKind:
    def read(v: Any) -> bytes:
        prefix = read_bytes(v)
        if len(prefix) > longest or any(n >= FANOUT for n in prefix):
            raise Malformed(f"a prefix is up to {longest} nibbles, a byte each")
        return prefix

    return FieldKind("prefix" if longest == 64 else f"prefix{longest}", read)


def _log(row: list[Any]) -> LogId:
    return LogId(AccountId(B32.read(row[0])), WriterKey(B32.read(row[1])), U32.read(row[2]))


def _heads(v: Any) -> list[tuple[LogId, Head]]:
    b32, u48, flag = B32.read, U48.read, FLAG.read
    return [
        (_log(r), Head(u48(r[3]), None if r[4] is None else EntryId(b32(r[4])), flag(r[5]))) for r in read_rows(v, 6)
    ]


def _heads_out(heads: list[tuple[LogId, Head]]) -> list[Any]:
    return [[*log, *head] for log, head in heads]


def _places(v: Any, most: int) -> list[tuple[int, EntryId]]:
    found = read_rows(v, 2)
    if len(found) > most:
        raise Malformed(f"up to {most} entries are named here, not {len(found)}")
    return [(U48.read(s), EntryId(B32.read(i))) for s, i in found]


def _wants(v: Any) -> list[m.Want]:
    return [m.Want(_log(r), _places(r[3], MAX_LOCATOR), _places(r[4], MAX_PINS)) for r in read_rows(v, 5)]


def _wants_out(wants: list[m.Want]) -> list[Any]:
    return [[*w.log, [list(x) for x in w.locator], [list(x) for x in w.pins]] for w in wants]


SALT, PREFIX, REASON = exactly_or_none(16, "salt"), _prefix(64), at_most(MAX_REASON)
HEADS = FieldKind("[* head]", _heads, _heads_out)
WANTS = FieldKind("[* wanted]", _wants, _wants_out)
ITEMS = FieldKind("[* item]", decode_items, encode_items)
CHILDREN = rows(ShapeField("count", U63), ShapeField("sum", B16), least=FANOUT, most=FANOUT)
WANT_PARTS = rows(ShapeField("entry", B32), ShapeField("op", U16))
PARTS = rows(
    ShapeField("entry", B32), ShapeField("op", U16), ShapeField("bytes", nullable(BYTES)), ShapeField("reason", BYTES)
)
DONE = up_to(m.CANNOT)
NAMING = rows(ShapeField("named", B32), ShapeField("author", B32), ShapeField("entry", B32), most=PAGE)

NAMES = pieces("names32", 32)


def _acts(v: Any) -> list[bytes]:
    if type(v) is not list:
        raise Malformed("acts are an array")
    return [read_bytes(act) for act in v]


GRAMMAR = {
    "head": "[account: b32, writer: b32, log: u32, length: u48, id: b32 / null, flag: 0 / 1]",
    "wanted": f"[account: b32, writer: b32, log: u32, locator: [0*{MAX_LOCATOR} place], pins: [0*{MAX_PINS} place]]",
    "place": "[seq: u48, id: b32]",
    "salt": "b16 / h''            ; empty: the id of the realm",
    "prefix": "bstr .size (0..64)   ; nibbles of an account id, each a byte of 0 to 15",
    f"prefix{MAX_RANGE}": f"bstr .size (0..{MAX_RANGE})   ; such nibbles, fewer",
    f"names{NAME_BYTES}": f"bstr                 ; {NAME_BYTES} bytes each",
    "names32": "bstr                 ; 32 bytes each",
    f"accounts{ID_BYTES}": f"bstr                 ; {ID_BYTES} bytes each",
    f"places{PLACE}": f"bstr                 ; {PLACE} bytes each",
    f"cells{CELL}": f"bstr                 ; {CELL} bytes each",
}
"""Rules of the grammar that fields name."""


def _line(
    code: int, made: Callable[..., Message], name: str, says: str, *fields: ShapeField, **more: Any
) -> MessageRule:
    return MessageRule(MessageShape(code, name, made, fields), says, **more)


F = ShapeField
TABLE: tuple[MessageRule, ...] = (
    _line(
        1, m.Hello, "hello", "who I am; the first frame of each side",
        F("version", U63), F("realm", B32), F("store_id", B16), F("logs", U63), F("root", B32), F("arrival", U63),
        F("operator", exactly_or_none(32)), F("partial", FLAG),
        before_hello=True, unstored=True, lasting=True,
    ),
    _line(
        2, m.GossipFrame, "gossip", "pushes and membership", F("frame", FieldKind("gossip-frame", read_list)),
        ahead=True, lasting=True,
    ),
    _line(
        3, m.Root, "root", "my frontier root",
        F("logs", U63), F("root", B32), F("arrival", U63), who=Who.WHOLE,
    ),
    _line(
        4, m.Sums, "sums", "sums of the heads below each nibble that may follow the prefix",
        F("salt", SALT), F("prefix", _prefix(MAX_RANGE)), F("children", CHILDREN),
    ),
    _line(
        5, m.Heads, "heads", "heads below the prefix; answer 1: tell me yours",
        F("prefix", PREFIX), F("answer", FLAG), F("heads", HEADS),
    ),
    _line(
        6, m.Wants, "want", "send me these logs; answered by data and answered", F("wants", WANTS),
        unstored=True, ahead=True,
    ),
    _line(7, m.DataItems, "data", "entries with their content", F("items", ITEMS), bulk=True, lasting=True),
    _line(
        8, m.Credit, "credit", "how many bytes of bulk I have digested since the last credit", F("size", U63),
        who=Who.RECEIVER, unstored=True, ahead=True,
    ),
    _line(9, m.WantParts, "want-parts", "send me this content; answered by parts", F("parts", WANT_PARTS), ahead=True),
    _line(
        10, m.Parts, "parts", "content, or the reason for withholding it", F("parts", PARTS),
        who=Who.ANSWER, lasting=True,
    ),
    _line(
        11, m.Replay, "replay", "send me what came after this arrival; answered by data and replayed",
        F("arrival", U63), unstored=True,
    ),
    _line(
        12, m.Scan, "scan", "read these accounts to me; answered by data and scanned",
        F("reading", U63), F("cursor", at_most(32)), F("stop", B32), unstored=True,
    ),
    _line(
        13, m.Scanned, "scanned", "how far I have read: 0 so far, 1 all, 2 I cannot continue",
        F("reading", U63), F("cursor", at_most(32)), F("done", DONE), who=Who.ANSWER, unstored=True,
    ),
    _line(
        14, m.Witness, "witness", "a platform's root at a time; every node passes it on",
        F("platform", B32), F("time_ms", U63), F("root", B32), F("sig", B64), lasting=True,
    ),
    _line(
        15, m.Bye, "bye", "I end the link, and why", F("reason", REASON),
        before_hello=True, unstored=True, lasting=True,
    ),
    _line(
        16, m.Answered, "answered", "how many of all logs that you asked for on this link are answered",
        F("logs", U63), who=Who.ANSWER, unstored=True,
    ),
    _line(
        17, m.Sketch, "sketch", "send me cells; answered by cells",
        F("salt", SALT), F("start", U16), F("wanted", U16), F("stamp", U32), F("probes", exactly_or_none(PROBES)),
        ahead=True,
    ),
    _line(
        18, m.SketchCells, "cells", "state 0: the cells, 1: busy, 2: too many differences, 3: cells as if",
        F("salt", SALT), F("start", U16), F("state", up_to(AS_IF)), F("stamp", U32),
        F("cells", pieces("cells23", CELL)),
        who=Who.ANSWER,
    ),
    _line(
        19, m.SketchNames, "names", "which logs are at these places; answered by heads",
        F("salt", SALT), F("places", pieces("places8", PLACE)),
    ),
    _line(
        20, m.Replayed, "replayed", "how far I have sent: 0 so far, 1 all",
        F("arrival", U63), F("done", FLAG), who=Who.ANSWER, unstored=True,
    ),
    _line(
        21, m.Interest, "interest", "accounts that I hold: 0 these only, 1 these too, 2 no longer these",
        F("how", up_to(2)), F("names", pieces("names16", NAME_BYTES)), who=Who.CHOSEN, unstored=True,
    ),
    _line(
        22, m.Shared, "shared", "my root over the accounts that we both hold",
        F("told", B8), F("root", B32), who=Who.SHARE,
    ),
    _line(
        23, m.WantNotices, "want-notices", "which entries name these accounts, after the cursor; answered by notices",
        F("cursor", B8), F("accounts", pieces("accounts32", ID_BYTES)), unstored=True, ahead=True,
    ),
    _line(
        24, m.Notices, "notices", "entries that name accounts of yours; more 1: ask again now",
        F("cursor", B8), F("more", FLAG), F("notices", NAMING), who=Who.ANSWER,
    ),
    _line(
        25, m.CharterState, "charter", "the charter that I follow (none: empty), how many acts I hold, their digest",
        F("charter", exactly_or_none(32)), F("acts", U63), F("digest", B32),
    ),
    _line(
        26, m.WantDigests, "want-digests", "what are the digests of its acts from this number on; answered by digests",
        F("charter", B32), F("start", U32), unstored=True, ahead=True,
    ),
    _line(
        27, m.Digests, "digests", "the digests of the acts of each number",
        F("charter", B32), F("start", U32), F("digests", NAMES), who=Who.ANSWER,
    ),
    _line(
        28, m.WantNames, "want-act-names", "which acts of this number do you hold; answered by act-names",
        F("charter", B32), F("number", U32), F("after", exactly_or_none(32)), unstored=True, ahead=True,
    ),
    _line(
        29, m.ActNames, "act-names", "the names of acts of this number, ascending",
        F("charter", B32), F("number", U32), F("names", NAMES), who=Who.ANSWER,
    ),
    _line(
        30, m.WantActs, "want-acts", "send me these acts; answered by acts",
        F("charter", B32), F("number", U32), F("names", NAMES), unstored=True, ahead=True,
    ),
    _line(
        31, m.CharterActs, "acts", "the first of the acts that you asked for; none: I hold none of them",
        F("charter", B32), F("number", U32), F("acts", FieldKind("[* bstr]", _acts)), who=Who.ANSWER, lasting=True,
    ),
    _line(
        32, m.JoinAlliance, "join-alliance", "I was invited to your alliance; answered by joined",
        F("invitation", B32), F("card", at_most(CARD)), F("sig", B64),
    ),
    _line(
        33, m.Joined, "joined", "what became of it", F("state", U16), F("answer", at_most(CARD)), who=Who.ANSWER,
    ),
)  # fmt: skip
_BY_CODE = {line.shape.code: line for line in TABLE}
_READ = {line.shape.code: reader(line.shape) for line in TABLE}
_WRITE = writers(line.shape for line in TABLE)
_BEFORE_HELLO = frozenset(line.shape.made for line in TABLE if line.before_hello)
_WHO = {line.shape.made: line.who for line in TABLE}
_HELLO = next(line.shape for line in TABLE if line.shape.made is m.Hello)
_GOSSIP = encode([_WRITE[m.GossipFrame][0], []])[:2]


def _heads_of(lines: Iterable[MessageRule]) -> frozenset[bytes]:
    """How a frame of these begins: the array's head, and the code."""
    return frozenset(bytes((0x81 + len(line.shape.fields),)) + encode(line.shape.code) for line in lines)


def _head_of(raw: bytes) -> bytes:
    """The same of a frame: codes from 24 on take two bytes."""
    return raw[:3] if raw[1:2] == b"\x18" else raw[:2]


_BULK = _heads_of(line for line in TABLE if line.bulk)
_AHEAD = _heads_of(line for line in TABLE if line.ahead)
_LASTING = _heads_of(line for line in TABLE if line.lasting)


def encode_message(message: Message) -> bytes:
    """The bytes of a message. The caller bounds data, heads and parts, so that they have at most MAX_FRAME bytes."""
    return encode(spelled(message, _WRITE))


def decode_message(raw: bytes) -> Message:
    """Raises Malformed with a sentence that names the message, the field and what is wrong with it."""
    v = read_value(raw)
    if type(v) is not list or not v or type(v[0]) is not int:
        raise Malformed("a frame is [code, field, ...]")
    read = _READ.get(v[0])
    if read is None:
        raise Malformed(f"no message has code {v[0]}")
    if v[0] == _HELLO.code and len(v) > 1 and v[1] != VERSION and type(v[1]) is int and not v[1] >> 63:
        # of another version only the place of its number is known
        return m.Hello(v[1], bytes(32), bytes(16), 0, bytes(32), 0, b"", 0)
    message: Message = read(v)
    return message


def before_hello(message: Message) -> bool:
    """Whether a peer may send it before its hello."""
    return type(message) in _BEFORE_HELLO


def who_says(message: Message) -> Who:
    """Who may send it."""
    return _WHO[type(message)]


def is_bulk(raw: bytes) -> bool:
    """Whether a frame counts against credit."""
    return _head_of(raw) in _BULK


def goes_ahead(raw: bytes) -> bool:
    """Whether a frame of ours may be sent before answers that wait."""
    return _head_of(raw) in _AHEAD


def is_lasting(raw: bytes) -> bool:
    """Whether a frame is to be read although its sender has gone."""
    return _head_of(raw) in _LASTING


def is_gossip(raw: bytes) -> bool:
    """Whether a frame, of ours or valid, is one of the gossip."""
    return raw[:2] == _GOSSIP


def opens_as(raw: bytes, *kinds: type[Message]) -> bool:
    """Whether a frame, valid or not, is meant as one of these messages: an array that begins with its code."""
    begins = _head_of(raw)
    return bool(begins) and 0x80 <= begins[0] < 0xA0 and begins[1:] in [encode(_WRITE[kind][0]) for kind in kinds]


def says_nothing_stored(raw: bytes) -> bool:
    """Whether one of our frames depends on nothing in the store. Such a frame must be sent, or the link is broken."""
    return _BY_CODE[_head_of(raw)[-1]].unstored
