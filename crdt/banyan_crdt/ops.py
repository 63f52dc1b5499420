"""Operations: the structure of an entry. They are always sent with the header; only content (`parts`) may be erased.

State and validity depend on headers and ops, never on parts, so that a lawful deletion changes no frontier. A code that
this software does not know is accepted and hashed, without effect. A known code with wrong arguments makes its whole
entry void: it has no operations and stays in the log. So a log does not depend on the version of a parser.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, get_args

from banyan_crdt.codec import decode, encode, uint
from banyan_crdt.entry import MAX_OPS_BYTES, MAX_PART_BYTES
from banyan_crdt.errors import Malformed, Oversized
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, PartHash, Ref, WriterKey
from banyan_crdt.shapes import (
    ADD,
    NO_ELEM,
    ONE_OP,
    PUT,
    Void,
    array,
    need,
    plain_body,
    plain_op,
    read_single,
    sized,
    unsigned,
    write_single,
)

MAX_OPS = 512
MAX_DEPS = 16
MAX_SLOTS = 8
CONTROL, LAST_CONTROL = 16, 23  # the codes of control operations, the first and the last


class Part(NamedTuple):
    """The name of a part: its hash, and its size in bytes (salt and framing included)."""

    hash: PartHash
    size: int


class Position(NamedTuple):
    """A character of a text: the operation that inserted it, and its index in that insertion (32 bits)."""

    entry: EntryId
    op: int
    offset: int


class Put(NamedTuple):
    """A write to a register. `refs`: the writes that it replaces. `part`: its content."""

    coll: Coll
    key: CellKey
    refs: tuple[Ref, ...]
    part: Part | None


class Add(NamedTuple):
    """Adds an element to a set. The element is in the set while no `Del` covers one of its adds."""

    coll: Coll
    key: CellKey
    elem: CellKey
    part: Part | None


class Del(NamedTuple):
    """Covers the puts, adds and texts of its collection that it names. It cannot cover what its writer did not see."""

    coll: Coll
    refs: tuple[Ref, ...]


class Count(NamedTuple):
    """Adds `delta` (from -2^63 to 2^63 - 1) to a counter."""

    coll: Coll
    key: CellKey
    delta: int


class Text(NamedTuple):
    """Inserts `n` characters (1 to 65,535) between two that the writer saw; None: the beginning or the end. After
    Fugue (Weidner and Kleppmann 2023). `part`: the characters."""

    coll: Coll
    key: CellKey
    left: Position | None
    right: Position | None
    n: int
    part: Part | None


class TextDel(NamedTuple):
    """Hides characters start .. start+n-1 of one insertion."""

    coll: Coll
    ref: Ref
    start: int
    n: int


class Tomb(NamedTuple):
    """Makes a cell empty for good."""

    coll: Coll
    key: CellKey


class Pin(NamedTuple):
    """The chain of that log up to `id`, which is entry `seq`, counts, whatever other entries arrive."""

    writer: WriterKey
    log: int
    seq: int
    id: EntryId


class Slot(NamedTuple):
    """A key slot: the digests (32 bytes) of the current key and of the next one, which may replace it."""

    current: bytes
    next: bytes


class Init(NamedTuple):
    """Opens an account. 1 to 8 slots: slot 0 is the root, the others are recovery keys, each stronger than the one
    before. `salt`: the part with the account's salt of 32 bytes."""

    slots: tuple[Slot, ...]
    salt: Part | None


class Grant(NamedTuple):
    """Lets `writer` write logs first .. first+logs-1.

    `stratum`: 0 to 255; a log may pin logs of a higher stratum. `colls`: the collections allowed, None: all. `until`:
    the last time allowed, as in a header, None: no end. `x25519`: a key for private content, without effect here.
    """

    writer: WriterKey
    first: int
    logs: int
    stratum: int
    colls: tuple[Coll, ...] | None
    until: int | None
    x25519: bytes | None


class KeptTip(NamedTuple):
    """The last entry of a log that a cut keeps."""

    log: int
    seq: int
    id: EntryId


class Cut(NamedTuple):
    """Closes a writer: its logs count up to the named entries, and nothing counts of logs that are not named."""

    writer: WriterKey
    kept: tuple[KeptTip, ...]


class Rotate(NamedTuple):
    """Signed by the slot's next key, which becomes current. `next`: the digest of the key after it."""

    slot: int
    next: bytes


class Recover(NamedTuple):
    """Signed by a recovery key: installs a new root. `root`, `next`: digests of its current and next key."""

    root: bytes
    next: bytes


class Drop(NamedTuple):
    """Nothing of that log counts, whatever is granted before or later."""

    writer: WriterKey
    log: int


class Close(NamedTuple):
    """Closes the account: nothing of any granted log counts."""


class Host(NamedTuple):
    """The platform, an account itself, that hosts the account (docs/hosting.md)."""

    platform: AccountId


class Unknown(NamedTuple):
    """An operation of a code that this software does not know. It has no effect."""

    code: int
    fields: tuple[Any, ...]


CellOp: TypeAlias = Put | Add | Del | Count | Text | TextDel | Tomb
ControlOp: TypeAlias = Init | Grant | Cut | Rotate | Recover | Drop | Close | Host
Op: TypeAlias = CellOp | Pin | ControlOp | Unknown
CELL_OPS = get_args(CellOp)
CONTROL_OPS = get_args(ControlOp)


class Body(NamedTuple):
    """The decoded ops of one entry. `deps`: at most 16 entry ids. A void body has no `ops`."""

    deps: tuple[EntryId, ...]
    ops: tuple[Op, ...]
    void: bool
    part_bytes: int
    """Sum of the sizes of the parts of known operations."""


def _part(v: Any) -> Part | None:
    if v is None:
        return None
    if type(v) is list and len(v) == 2:
        h, size = v
        if type(h) is bytes and len(h) == 32 and type(size) is int and size <= MAX_PART_BYTES:
            return Part(PartHash(h), size)
    raise Void


def _ref(v: Any) -> Ref:
    entry, op = array(v, 2)
    return Ref(sized(entry, 32), unsigned(op, 16))


def _position(v: Any) -> Position | None:
    if v is None:
        return None
    entry, op, offset = array(v, 3)
    return Position(sized(entry, 32), unsigned(op, 16), unsigned(offset, 32))


def _parse(o: list[Any]) -> Op:
    code, f = o[0], o[1:]
    n = len(f)
    if code == PUT:
        need(n == 4)
        return Put(sized(f[0], 8), sized(f[1], 16), tuple([_ref(r) for r in array(f[2])]), _part(f[3]))
    if code == ADD:
        need(n == 4)
        return Add(sized(f[0], 8), sized(f[1], 16), sized(f[2], 16), _part(f[3]))
    if code == 3:
        need(n == 2)
        return Del(sized(f[0], 8), tuple([_ref(r) for r in array(f[1])]))
    if code == 4:
        need(n == 3)
        z = unsigned(f[2], 64)
        return Count(sized(f[0], 8), sized(f[1], 16), (z >> 1) ^ -(z & 1))
    if code == 5:
        need(n == 6)
        size = unsigned(f[4], 16)
        need(size > 0)
        left, right = _position(f[2]), _position(f[3])
        return Text(sized(f[0], 8), sized(f[1], 16), left, right, size, _part(f[5]))
    if code == 6:
        need(n == 4)
        return TextDel(sized(f[0], 8), _ref(f[1]), unsigned(f[2], 16), unsigned(f[3], 16))
    if code == 7:
        need(n == 2)
        return Tomb(sized(f[0], 8), sized(f[1], 16))
    if code == 8:
        need(n == 4)
        return Pin(sized(f[0], 32), unsigned(f[1], 32), unsigned(f[2], 48), sized(f[3], 32))
    if CONTROL <= code <= LAST_CONTROL:
        return _parse_control(code, f)
    return Unknown(code, tuple(f))


def _parse_control(code: int, f: list[Any]) -> Op:
    n = len(f)
    if code == 16:
        need(n == 2)
        slots = tuple(Slot(sized(s[0], 32), sized(s[1], 32)) for s in (array(s, 2) for s in array(f[0])))
        need(1 <= len(slots) <= MAX_SLOTS)
        return Init(slots, _part(f[1]))
    if code == 17:
        need(n == 7)
        colls = None if f[4] is None else tuple(sized(c, 8) for c in array(f[4]))
        until = None if f[5] is None else unsigned(f[5], 64)
        box = None if f[6] is None else sized(f[6], 32)
        first, logs = unsigned(f[1], 32), unsigned(f[2], 32)
        need(first >= 1 and logs >= 1)
        return Grant(sized(f[0], 32), first, logs, unsigned(f[3], 8), colls, until, box)
    if code == 18:
        need(n == 2)
        kept = [array(k, 3) for k in array(f[1])]
        names = tuple(KeptTip(unsigned(k[0], 32), unsigned(k[1], 48), sized(k[2], 32)) for k in kept)
        need(len({k.log for k in names}) == len(names))
        return Cut(sized(f[0], 32), names)
    if code == 19:
        need(n == 2)
        return Rotate(unsigned(f[0], 8), sized(f[1], 32))
    if code == 20:
        need(n == 2)
        return Recover(sized(f[0], 32), sized(f[1], 32))
    if code == 21:
        need(n == 2)
        return Drop(sized(f[0], 32), unsigned(f[1], 32))
    if code == 22:
        need(n == 0)
        return Close()
    need(n == 1)
    return Host(sized(f[0], 32))


_CONTROL_STARTS, _AT_CODE = uint(CONTROL), slice(len(ONE_OP) + 1, len(ONE_OP) + 2)
_LAST_STARTS, _OPENS = uint(LAST_CONTROL), ONE_OP[:-1]
REMEMBERED = 8_192
"""Bodies of control operations that are cached, about 2 kB each at most. One is read when it arrives, when its account
is resolved, when it is stored, and when its content is stored."""
SHORT = 256
"""The longest such body that is cached, bytes: an inception with a grant has 156 to 230."""


def decode_body(raw: bytes) -> Body:
    """Raises Malformed or Oversized if every node refuses the ops. Returns a void body if a known op is ill-formed.

    Most bodies are one new put or one add, with content. These are read by position, in a sixth of the time.
    """
    one = read_single(raw)
    if one is not None:
        code, coll, key, elem, digest, size = one
        new = tuple.__new__
        part = new(Part, (digest, size))
        op = new(Put, (coll, key, (), part)) if code == PUT else new(Add, (coll, key, elem, part))
        return new(Body, ((), (op,), False, size))
    control = len(raw) <= SHORT and raw.startswith(_OPENS) and _CONTROL_STARTS <= raw[_AT_CODE] <= _LAST_STARTS
    return _remembered(raw) if control else decode_any_body(raw)


def decode_any_body(raw: bytes) -> Body:
    """The same as `decode_body`, without the fast path."""
    if len(raw) > MAX_OPS_BYTES:
        raise Oversized(f"ops have {len(raw)} bytes; {MAX_OPS_BYTES} is the most")
    v = decode(raw)
    if type(v) is not list or len(v) != 2 or type(v[0]) is not list or type(v[1]) is not list:
        raise Malformed("ops are [deps, [op, ...]]")
    deps, ops = v
    if len(deps) > MAX_DEPS or len(ops) > MAX_OPS:
        raise Oversized(f"{len(deps)} deps and {len(ops)} ops; {MAX_DEPS} and {MAX_OPS} are the most")
    for d in deps:
        if type(d) is not bytes or len(d) != 32:
            raise Malformed("deps are entry ids of 32 bytes")
    for o in ops:
        if type(o) is not list or not o or type(o[0]) is not int:
            raise Malformed("an op is an array that opens with its code")
    try:
        parsed = tuple([_parse(o) for o in ops])
    except Void:
        return Body(tuple(deps), (), True, 0)
    return Body(tuple(deps), parsed, False, sum([p.size for o in parsed if (p := part_of(o)) is not None]))


def part_of(op: Op) -> Part | None:
    """The part that an operation names, or None."""
    if isinstance(op, _WITH_PART):
        return op.part
    return op.salt if isinstance(op, Init) else None


_WITH_PART = (Put, Add, Text)
"""A tuple, because a union would be built for every operation."""


def _plain(op: Op) -> Any:
    if isinstance(op, Count):
        return plain_op(4, (op.coll, op.key, op.delta << 1 if op.delta >= 0 else (-op.delta << 1) - 1))
    if isinstance(op, Unknown):
        return plain_op(op.code, op.fields)
    return plain_op(_CODES[type(op)], op)


_CODES: dict[type, int] = {Put: PUT, Add: ADD, Del: 3, Text: 5, TextDel: 6, Tomb: 7, Pin: 8}
_CODES |= {Init: 16, Grant: 17, Cut: 18, Rotate: 19, Recover: 20, Drop: 21, Close: 22, Host: 23}


_remembered = lru_cache(REMEMBERED)(decode_any_body)


def encode_ops(ops: tuple[Op, ...], deps: tuple[EntryId, ...] = ()) -> bytes:
    """The bytes of an entry's ops. Raises Oversized past the limits that every receiver applies."""
    if len(ops) == 1 and not deps and (usual := _usual(ops[0])) is not None:
        return usual
    raw = encode(plain_body(deps, map(_plain, ops)))
    if len(raw) > MAX_OPS_BYTES or len(ops) > MAX_OPS:
        raise Oversized(f"{len(ops)} ops in {len(raw)} bytes; {MAX_OPS} ops and {MAX_OPS_BYTES} bytes are the most")
    if len(deps) > MAX_DEPS:
        raise Oversized(f"{len(deps)} deps; {MAX_DEPS} are the most")
    return raw


def _usual(op: Op) -> bytes | None:
    """The body, if it is one new put or one add with content; otherwise None."""
    if isinstance(op, Put) and op.part is not None and not op.refs:
        return write_single((PUT, op.coll, op.key, NO_ELEM, *op.part))
    if isinstance(op, Add) and op.part is not None:
        return write_single((ADD, op.coll, op.key, op.elem, *op.part))
    return None
