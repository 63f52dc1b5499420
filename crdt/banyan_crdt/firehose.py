"""The firehose as bytes: the signed entries themselves, for readers that trust no node.

    stream = frame*               the first is `begin`
    frame  = length u32 | body    big-endian; body = CBOR [kind, ...], at most 4 MiB
    control, run, parts, checkpoint   as in an archive (docs/protocol.md, section 12): kinds 1, 2, 3, 6
    begin    = [16, magic, realm id, cursor, time]      cursor: text as bytes; time: milliseconds since 1970
    place    = [17, cursor, time]                       everything before was told; also sent while nothing happens
    end      = [18, cursor, why, sentence]              the stream ends: why is a word for programs
    frontier = [19, cursor, frontier cursor]            up to here, for any node
    unproved = [20, account, entry id, cursor]          an entry whose signature this node cannot show
    act      = [21, account, cursor, number, kind, about, time, said]   what the node itself did; nobody signs it

A run is told whole; a reader that begins in the middle of one is told the rest of it. Readers skip kinds that they do
not know, and elements behind those that they know.

`RunsVerifier` is the reader: what it returns was signed by a key that the account's control log lets write. Like a
proof of one post, that does not say that nothing was kept back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from banyan_crdt.checkpoint import Checkpoint, decode_checkpoint
from banyan_crdt.codec import encode, read_value
from banyan_crdt.control import Control, resolve_control
from banyan_crdt.entry import Entry
from banyan_crdt.errors import Malformed, NotYet
from banyan_crdt.ids import AccountId, EntryId, WriterKey
from banyan_crdt.logs import granted_valid
from banyan_crdt.ops import decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.realm import Realm
from banyan_crdt.run import decode_control, decode_run, verify_run

MAGIC = b"banyan firehose 1"
MAX_FRAME = 4 << 20
CONTROL, RUN, PARTS, CHECKPOINT, BEGIN, PLACE, END, FRONTIER, UNPROVED, ACT = 1, 2, 3, 6, 16, 17, 18, 19, 20, 21
_TYPES: dict[int, tuple[type, ...]] = {
    CONTROL: (bytes, list),
    RUN: (bytes, bytes),
    PARTS: (bytes, list),
    CHECKPOINT: (bytes, bytes),
    BEGIN: (bytes, bytes, bytes, int),
    PLACE: (bytes, int),
    END: (bytes, bytes, bytes),
    FRONTIER: (bytes, bytes),
    UNPROVED: (bytes, bytes, bytes),
    ACT: (bytes, bytes, int, bytes, bytes, int, list),
}
"""Of what stands behind the kind."""


def frame(*value: Any) -> bytes:
    """One frame. value: its kind and what follows."""
    body = encode(list(value))
    return len(body).to_bytes(4, "big") + body


class StreamFrame(NamedTuple):
    """kind: one of those above. values: what stands behind it, of the right types."""

    kind: int
    values: tuple[Any, ...]


class FrameReader:
    """Frames of a stream whose bytes come in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[StreamFrame]:
        """The frames that are whole now. Raises Malformed."""
        raw, at = self._rest + piece, 0
        while len(raw) - at >= 4:
            size = int.from_bytes(raw[at : at + 4], "big")
            if size > MAX_FRAME:
                raise Malformed(f"a frame says that it has {size} bytes; {MAX_FRAME} is the most")
            if len(raw) - at - 4 < size:
                break
            found = read_frame(raw[at + 4 : at + 4 + size])
            at += 4 + size
            if found is not None:
                yield found
        self._rest = raw[at:]

    @property
    def is_whole(self) -> bool:
        """Whether the stream may end here."""
        return not self._rest


def read_frame(body: bytes) -> StreamFrame | None:
    """None: of a kind that is not known here. Raises Malformed."""
    value = read_value(body)
    if type(value) is not list or not value or type(value[0]) is not int:
        raise Malformed("a frame is an array that begins with its kind")
    types = _TYPES.get(value[0])
    if types is None:
        return None
    values = value[1 : 1 + len(types)]
    if tuple(map(type, values)) != types:
        raise Malformed(f"a frame of kind {value[0]} lacks something, or has it of another type")
    return StreamFrame(value[0], tuple(values))


class VerifiedEntry(NamedTuple):
    """An entry that was verified. contents: of its operations, as far as they came, by their index."""

    account: AccountId
    entry: Entry
    contents: dict[int, bytes]


class NodeAct(NamedTuple):
    """What the node says that it did itself: its word alone. number: dense. kind, said: as docs/firehose.md has them.
    about: nothing, the account as a whole; the key of a post; of content that came late the entry and, in two bytes,
    the operation."""

    account: AccountId
    number: int
    kind: str
    about: bytes
    time_ms: int
    said: Sequence[str]


class VerifiedBatch(NamedTuple):
    """What was verified up to a place. unproved: entries that the node could not prove. acts: not verified."""

    cursor: str
    entries: Sequence[VerifiedEntry]
    unproved: Sequence[EntryId] = ()
    acts: Sequence[NodeAct] = ()


class RunsVerifier:
    """Verifies a stream. It holds the control logs of all accounts that it was told of, and nothing else."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._control: dict[AccountId, dict[EntryId, Entry]] = {}
        self._checkpoints: dict[AccountId, dict[WriterKey, Checkpoint]] = {}
        self._resolved: dict[AccountId, Control] = {}
        self._waiting: dict[EntryId, VerifiedEntry] = {}
        self._unproved: list[EntryId] = []
        self._acts: list[NodeAct] = []

    def take(self, one: StreamFrame) -> VerifiedBatch | None:
        """What a frame completes: everything since the last place. Raises Reject for what no honest node sends, NotYet
        for an entry of a key that may not write it by what was told before."""
        kind, values = one
        if kind == BEGIN and (values[0] != MAGIC or values[1] != self._realm.id):
            raise Malformed("this is the firehose of another realm, or none")
        if kind == CONTROL:
            self._take_control(AccountId(values[0]), values[1])
        elif kind == CHECKPOINT:
            self._take_checkpoint(AccountId(values[0]), values[1])
        elif kind == RUN:
            self._take_run(AccountId(values[0]), values[1])
        elif kind == PARTS:
            self._take_parts(values[1])
        elif kind == UNPROVED:
            self._unproved.append(EntryId(values[1]))
        elif kind == ACT:
            account, _, number, name, about, time_ms, said = values
            words = [_text(one) for one in said if type(one) is bytes]
            self._acts.append(NodeAct(AccountId(account), number, _text(name), about, time_ms, words))
        elif kind == PLACE:
            told = VerifiedBatch(_text(values[0]), list(self._waiting.values()), self._unproved, self._acts)
            self._waiting, self._unproved, self._acts = {}, [], []
            return told
        return None

    def _take_control(self, account: AccountId, entries: list[Any]) -> None:
        held = self._control.setdefault(account, {})
        for value in entries:
            entry = decode_control(self._realm, value)
            if (entry.header.account or AccountId(entry.id)) != account:
                raise Malformed("a control entry of another account")
            self._waiting[entry.id] = VerifiedEntry(account, entry, {})
            held[entry.id] = entry
        self._resolved.pop(account, None)

    def _take_checkpoint(self, account: AccountId, raw: bytes) -> None:
        checkpoint = decode_checkpoint(self._realm, raw)
        if checkpoint.account != account:
            raise Malformed("a checkpoint of another account")
        held = self._checkpoints.setdefault(account, {})
        before = held.get(checkpoint.writer)
        if before is None or (checkpoint.n, checkpoint.id) > (before.n, before.id):
            held[checkpoint.writer] = checkpoint
        self._resolved.pop(account, None)

    def _take_run(self, account: AccountId, raw: bytes) -> None:
        run = decode_run(self._realm, raw)
        if run.log.account != account:
            raise Malformed("a run of another account")
        verify_run(self._realm, run)
        control = self._rights(account)
        granted = control.grant_of(run.log.writer, run.log.log)
        counts, kept = control.cut_of(run.log)
        for entry in run.entries:
            seq = entry.header.seq
            if granted is None or not counts or (kept is not None and seq > kept.seq):
                raise NotYet("grant", f"{run.log.writer.hex()} may not write entry {seq} of log {run.log.log} here")
            if not granted_valid(self._realm, granted, entry):
                raise NotYet("limit", f"entry {seq} of log {run.log.log} is beyond what its grant allows")
            self._waiting[entry.id] = VerifiedEntry(account, entry, {})

    def _rights(self, account: AccountId) -> Control:
        control = self._resolved.get(account)
        if control is None:
            entries = self._control.get(account, {}).values()
            control = resolve_control(entries, self._checkpoints.get(account, {}).values())
            self._resolved[account] = control
        return control

    def _take_parts(self, parts: list[Any]) -> None:
        for item in parts:
            if type(item) is not list or tuple(map(type, item[:3])) != (bytes, int, bytes):
                raise Malformed("a part is [entry, operation, bytes]")
            told = self._waiting.get(EntryId(item[0]))
            ops = () if told is None else decode_body(told.entry.ops).ops
            part = part_of(ops[item[1]]) if item[1] < len(ops) else None
            if told is None or part is None:
                raise Malformed("content of an entry that was not told before it")
            told.contents[item[1]] = open_part(part, item[2])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
