"""What two replicas say to each other: one message a frame, in the same strict CBOR as everything signed.

A frame is [code, field, ...]. This table is the whole vocabulary; `decode_message` refuses every other shape.

    1 hello      [version, realm, store id, accounts held, frontier root, last arrival, operator, partial 0|1]
    2 gossip     [frame of banyan_replica.gossip]
    3 root       [accounts held, frontier root, last arrival]
    4 sums       [salt, prefix, [[count, sum] x 16]]        sums of the heads below each next nibble of the account id
    5 heads      [prefix, 0|1 answer, [[account, writer, log, length, id|null, flag], ...]]
                                       answer wanted: 0 none, 1 all below the prefix
    6 want       [[account, writer, log, [[seq, id], ...], [[seq, id], ...]], ...]     what is held; pins that are not
    7 data       [[0, account, [[header, sig, ops], ...], contents] | [1, run, contents(, proof)]
                  | [2, checkpoint], ...]
                                       contents, an element an entry: null | bytes of operation 0 | [[op, bytes], ...]
                                       proof: headers from one of those pins down to the run's last entry
    8 credit     [bytes]                                    the receiver has digested so much of what was bulk
    9 want-parts [[entry, op], ...]
    10 parts     [[entry, op, bytes|null, reason], ...]
    11 replay    [arrival]                                  answered by data of what came since, and replayed
    12 scan      [reading, account cursor, last account]    answered by data in account order, and scanned
    13 scanned   [reading, account cursor, 0|1 done|2 cannot]
    14 witness   [platform, time, root, sig]
    15 bye       [reason]
    16 answered  [logs]                                     so many of the logs that were ever asked for on this link
    17 sketch    [salt, start, wanted, stamp, probes]       asks for cells; probes, in the first question, say how many
    18 cells     [salt, start, state, stamp, cells]         state: 0 here they are, 1 busy, 2 too many differences
    19 names     [salt, places]                             answered by heads of the logs at these places
    20 replayed  [arrival, 0|1 done]                        all that came up to there was sent
    21 interest  [0|1 and|2 not, names]                     the accounts held; 0: none so far, instead of what was named
    22 shared    [digest, root]                             of the names that you told me; of the accounts we both hold
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey

VERSION = 2
MAX_FRAME = 4 << 20
FANOUT = 16
MAX_RANGE = 14
"""Nibbles of the longest prefix that is divided further; below, heads are named."""
MAX_LOCATOR = 64
"""Entries that a locator names: dense at the end, then twice as far apart each time, so 64 reach over any log."""
LAST = b"\xff" * 32
"""No account has a greater name."""
CANNOT = 2
"""What `scanned` says where a range is not read out, or no further."""
MAX_PINS = 4
"""Pins that a question for a log names."""
MAX_PROOF = 128
"""Headers of a proof: twice what leads through a log of 2^48 entries."""
NAME_BYTES = 16
"""An account of interest is named by so many bytes of its id: nobody makes two ids that begin alike."""
MAX_REASON = 512
"""Bytes of a last word."""


class Hello(NamedTuple):
    version: int
    realm: bytes
    store_id: bytes
    logs: int
    root: bytes
    arrival: int
    operator: bytes
    partial: int
    """1: this node holds only accounts that it names by `interest`, so its root equals nobody's."""


class GossipFrame(NamedTuple):
    frame: list[Any]


class Root(NamedTuple):
    logs: int
    root: bytes
    arrival: int


class Sums(NamedTuple):
    salt: bytes
    prefix: bytes
    children: list[tuple[int, bytes]]


class Heads(NamedTuple):
    prefix: bytes
    answer: int
    heads: list[tuple[LogId, Head]]


class Want(NamedTuple):
    """One log asked for: `locator` names entries that the asker holds, newest first, ever sparser towards the start.

    `pins`: pinned entries that the asker lacks. What is sent from below one comes with the proof that it is below it.
    """

    log: LogId
    locator: list[tuple[int, EntryId]]
    pins: Sequence[tuple[int, EntryId]] = ()


class Wants(NamedTuple):
    wants: list[Want]


Content: TypeAlias = bytes | list[tuple[int, bytes]] | None
"""The held content of one entry: that of its first operation, or (op index, bytes) of several; None where there is
none. Beside entries it stands in their order, so that nobody has to name them."""


class ControlItem(NamedTuple):
    account: AccountId
    entries: list[Any]
    contents: list[Content]


class RunItem(NamedTuple):
    run: bytes
    contents: list[Content]
    """Of its entries from the first on; may end early."""
    proof: Sequence[bytes] = ()
    """Headers, from a pinned entry that was asked for down to the one that links to the run's last entry."""


class CheckpointItem(NamedTuple):
    checkpoint: bytes


Item: TypeAlias = ControlItem | RunItem | CheckpointItem


class Data(NamedTuple):
    items: list[Item]


class Credit(NamedTuple):
    size: int


class WantParts(NamedTuple):
    parts: list[tuple[EntryId, int]]


class Parts(NamedTuple):
    parts: list[tuple[EntryId, int, bytes | None, bytes]]


class Replay(NamedTuple):
    arrival: int


class Replayed(NamedTuple):
    arrival: int
    done: int


class Scan(NamedTuple):
    """Read to me the accounts after `cursor` (empty: from the first) up to `stop`, which belongs to it.

    `reading` is the asker's name for it; one of that name under way gets a nearer stop by it, and nothing else.
    """

    reading: int
    cursor: bytes
    stop: bytes


class Scanned(NamedTuple):
    reading: int
    cursor: bytes
    done: int


class Answered(NamedTuple):
    """Of the logs asked for on this link, in the order in which they were, so many are answered."""

    logs: int


class Witness(NamedTuple):
    platform: WriterKey
    time_ms: int
    root: bytes
    sig: bytes


class Bye(NamedTuple):
    reason: bytes


class Sketch(NamedTuple):
    """`salt`: empty for the public key. `stamp`: of the answer that this one continues."""

    salt: bytes
    start: int
    wanted: int
    stamp: int
    probes: bytes


class Cells(NamedTuple):
    salt: bytes
    start: int
    state: int
    stamp: int
    cells: bytes


HERE, BUSY, TOO_MANY = 0, 1, 2
"""States of an answer."""


class Names(NamedTuple):
    salt: bytes
    places: bytes


class Interest(NamedTuple):
    """`how`: 0 instead of all that was named, 1 these too, 2 no longer these. `names`: 16 bytes each."""

    how: int
    names: bytes


class Shared(NamedTuple):
    """Instead of `root` where either side is partial. `told`: 8 bytes, the digest of the names that the receiver told;
    `root`: of the heads of the accounts that both hold."""

    told: bytes
    root: bytes


Message: TypeAlias = (
    Hello | GossipFrame | Root | Sums | Heads | Wants | Data | Credit | WantParts | Parts | Replay | Replayed | Scan
    | Scanned | Witness | Bye | Answered | Sketch | Cells | Names | Interest | Shared
)  # fmt: skip
_CODES: dict[type[Any], int] = {
    Hello: 1, GossipFrame: 2, Root: 3, Sums: 4, Heads: 5, Wants: 6, Data: 7, Credit: 8, WantParts: 9, Parts: 10,
    Replay: 11, Replayed: 20, Scan: 12, Scanned: 13, Witness: 14, Bye: 15,
    Answered: 16, Sketch: 17, Cells: 18, Names: 19, Interest: 21, Shared: 22,
}  # fmt: skip


def encode_message(m: Message) -> bytes:
    """At most MAX_FRAME bytes; what the caller packs into data, heads and parts it bounds itself."""
    fields: list[Any]
    if isinstance(m, Heads):
        rows = [[log.account, log.writer, log.log, h.length, h.id, h.flag] for log, h in m.heads]
        fields = [m.prefix, m.answer, rows]
    elif isinstance(m, Wants):
        fields = [[[*w.log, [list(x) for x in w.locator], [list(x) for x in w.pins]] for w in m.wants]]
    elif isinstance(m, Data):
        fields = [[encode_item(i) for i in m.items]]
    else:
        fields = [_nest(f) for f in m]
    return encode([_CODES[type(m)], *fields])


def _nest(v: Any) -> Any:
    return [_nest(x) for x in v] if isinstance(v, list | tuple) else v


def encode_item(item: Item) -> list[Any]:
    if isinstance(item, RunItem):  # most are
        made = [1, item.run, _plain(item.contents)]
        return [*made, list(item.proof)] if item.proof else made
    if isinstance(item, ControlItem):
        return [0, item.account, [list(e) for e in item.entries], _plain(item.contents)]
    return [2, item.checkpoint]


def _plain(contents: list[Content]) -> list[Any]:
    return [[list(pair) for pair in c] if type(c) is list else c for c in contents]


def size_of(item: Item) -> int:
    """About how many bytes the item takes in a frame; for packing, not for accounting."""
    if isinstance(item, CheckpointItem):
        return len(item.checkpoint) + 8
    size = len(item.run) if isinstance(item, RunItem) else sum([len(x) + 3 for e in item.entries for x in e])
    return 40 + size + sum([content_size(c) for c in item.contents])


def content_size(content: Content) -> int:
    if content is None:
        return 1
    return len(content) + 3 if isinstance(content, bytes) else sum(len(raw) + 8 for _, raw in content)


def decode_item(v: Any) -> Item:
    """Raises Malformed."""
    if type(v) is list and len(v) == 4 and v[0] == 0:
        return ControlItem(AccountId(_b(v[1], 32)), _l(v[2]), _contents(v[3]))
    if type(v) is list and len(v) == 3 and v[0] == 1:
        return RunItem(_b(v[1]), _contents(v[2]))
    if type(v) is list and len(v) == 4 and v[0] == 1:
        if not 0 < len(_l(v[3])) <= MAX_PROOF:
            raise Malformed(f"a proof has 1 to {MAX_PROOF} headers, this one {len(v[3])}")
        return RunItem(_b(v[1]), _contents(v[2]), [_b(h) for h in v[3]])
    if type(v) is list and len(v) == 2 and v[0] == 2:
        return CheckpointItem(_b(v[1]))
    raise Malformed("a data item is [0, account, entries, contents], [1, run, contents(, proof)] or [2, checkpoint]")


def _contents(v: Any) -> list[Content]:
    return [c if c is None or type(c) is bytes else [(_u(p[0], 16), _b(p[1])) for p in _rows(c, 2)] for c in _l(v)]


def is_bulk(raw: bytes) -> bool:
    """Whether a frame opens as data do: [7, items]."""
    return raw[:2] == b"\x82\x07"


def decode_message(raw: bytes) -> Message:
    """Raises Malformed with a sentence that names the message and what is wrong with it."""
    v = decode(raw, 8)
    if type(v) is not list or not v or type(v[0]) is not int:
        raise Malformed("a frame is [code, field, ...]")
    reader = _READERS.get(v[0])
    if reader is None:
        raise Malformed(f"no message has code {v[0]}")
    if v[0] == 1 and len(v) > 1 and v[1] != VERSION:  # of that version only this is known: where it says its number
        return Hello(_u(v[1]), bytes(32), bytes(16), 0, bytes(32), 0, b"", 0)
    name, n, read = reader
    if len(v) != n + 1:
        raise Malformed(f"{name} has {n} fields, this one {len(v) - 1}")
    return read(*v[1:])


def _b(v: Any, n: int | None = None) -> bytes:
    if type(v) is not bytes or (n is not None and len(v) != n):
        raise Malformed(f"expected {'a byte string' if n is None else f'{n} bytes'}")
    return v


def _u(v: Any, bits: int = 63) -> int:
    """Bounded, so that no number of a peer's is too large for what it names here."""
    if type(v) is not int or v >> bits:
        raise Malformed(f"expected an unsigned integer of {bits} bits")
    return v


def _l(v: Any) -> list[Any]:
    if type(v) is not list:
        raise Malformed("expected an array")
    return v


def _rows(v: Any, n: int) -> list[list[Any]]:
    rows = _l(v)
    for r in rows:
        if type(r) is not list or len(r) != n:
            raise Malformed(f"expected an array of rows of {n}")
    return rows


def _prefix(v: Any, longest: int = 64) -> bytes:
    prefix = _b(v)
    if len(prefix) > longest or any(n >= FANOUT for n in prefix):
        raise Malformed(f"a prefix is up to {longest} nibbles, a byte each")
    return prefix


def _short(v: Any, longest: int) -> bytes:
    if len(_b(v)) > longest:
        raise Malformed(f"expected at most {longest} bytes")
    return _b(v)


def _log(r: list[Any]) -> LogId:
    return LogId(AccountId(_b(r[0], 32)), WriterKey(_b(r[1], 32)), _u(r[2], 32))


def _hello(version: Any, realm: Any, store: Any, logs: Any, root: Any, arrival: Any, operator: Any, part: Any) -> Hello:
    return Hello(
        _u(version),
        _b(realm, 32),
        _b(store, 16),
        _u(logs),
        _b(root, 32),
        _u(arrival),
        _short(operator, 64),
        _u(part, 1),
    )


def _salt(v: Any) -> bytes:
    if len(_b(v)) not in (0, 16):
        raise Malformed(f"a salt has 16 bytes or none, this one {len(v)}")
    return bytes(v)


def _sums(salt: Any, prefix: Any, children: Any) -> Sums:
    rows = _rows(children, 2)
    if len(rows) != FANOUT:
        raise Malformed(f"sums have {FANOUT} children, these {len(rows)}")
    return Sums(_salt(salt), _prefix(prefix, MAX_RANGE), [(_u(c), _b(s, 16)) for c, s in rows])


def _state(v: Any) -> int:
    if _u(v) > TOO_MANY:
        raise Malformed(f"an answer has state {HERE}, {BUSY} or {TOO_MANY}, this one {v}")
    return int(v)


def _names(salt: Any, places: Any) -> Names:
    if len(_b(places)) % 8:
        raise Malformed(f"places have 8 bytes each, these {len(places)}")
    return Names(_salt(salt), places)


def _interest(how: Any, names: Any) -> Interest:
    if _u(how) > 2:
        raise Malformed(f"names are told instead (0), too (1) or no longer (2), not {how}")
    if len(_b(names)) % NAME_BYTES:
        raise Malformed(f"names have {NAME_BYTES} bytes each, these {len(names)}")
    return Interest(how, names)


def _heads(prefix: Any, answer: Any, rows: Any) -> Heads:
    heads = [
        (_log(r), Head(_u(r[3], 48), None if r[4] is None else EntryId(_b(r[4], 32)), _u(r[5], 1)))
        for r in _rows(rows, 6)
    ]
    return Heads(_prefix(prefix), _u(answer, 1), heads)


def _wants(rows: Any) -> Wants:
    return Wants([Want(_log(r), _places(r[3], MAX_LOCATOR), _places(r[4], MAX_PINS)) for r in _rows(rows, 5)])


def _places(v: Any, most: int) -> list[tuple[int, EntryId]]:
    rows = _rows(v, 2)
    if len(rows) > most:
        raise Malformed(f"up to {most} entries are named here, not {len(rows)}")
    return [(_u(s, 48), EntryId(_b(i, 32))) for s, i in rows]


def _parts(rows: Any) -> Parts:
    def one(r: list[Any]) -> tuple[EntryId, int, bytes | None, bytes]:
        return EntryId(_b(r[0], 32)), _u(r[1], 16), None if r[2] is None else _b(r[2]), _b(r[3])

    return Parts([one(r) for r in _rows(rows, 4)])


def _done(v: Any) -> int:
    if _u(v) > CANNOT:
        raise Malformed(f"a reading goes on (0), is done (1) or cannot be (2), not {v}")
    return _u(v)


_READERS: dict[int, tuple[str, int, Callable[..., Message]]] = {
    1: ("hello", 8, _hello),
    2: ("gossip", 1, lambda f: GossipFrame(_l(f))),
    3: ("root", 3, lambda c, r, a: Root(_u(c), _b(r, 32), _u(a))),
    4: ("sums", 3, _sums),
    5: ("heads", 3, _heads),
    6: ("want", 1, _wants),
    7: ("data", 1, lambda items: Data([decode_item(i) for i in _l(items)])),
    8: ("credit", 1, lambda n: Credit(_u(n))),
    9: ("want-parts", 1, lambda rows: WantParts([(EntryId(_b(e, 32)), _u(o, 16)) for e, o in _rows(rows, 2)])),
    10: ("parts", 1, _parts),
    11: ("replay", 1, lambda n: Replay(_u(n))),
    20: ("replayed", 2, lambda n, d: Replayed(_u(n), _u(d, 1))),
    12: ("scan", 3, lambda n, c, s: Scan(_u(n), _short(c, 32), _b(s, 32))),
    13: ("scanned", 3, lambda n, c, d: Scanned(_u(n), _short(c, 32), _done(d))),
    14: ("witness", 4, lambda p, t, r, s: Witness(WriterKey(_b(p, 32)), _u(t), _b(r, 32), _b(s, 64))),
    15: ("bye", 1, lambda r: Bye(_short(r, MAX_REASON))),
    16: ("answered", 1, lambda n: Answered(_u(n))),
    17: ("sketch", 5, lambda a, s, n, t, p: Sketch(_salt(a), _u(s, 16), _u(n, 16), _u(t, 32), _short(p, 1_024))),
    18: ("cells", 5, lambda a, s, n, t, c: Cells(_salt(a), _u(s, 16), _state(n), _u(t, 32), _b(c))),
    19: ("names", 2, _names),
    21: ("interest", 2, _interest),
    22: ("shared", 2, lambda d, r: Shared(_b(d, 8), _b(r, 32))),
}
