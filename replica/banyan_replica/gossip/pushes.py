"""The payloads of gossip messages: decoding, joining, and reading them back from the store.

Runs of one log that go to a neighbour in one frame are joined to one run, under the signature of its last entry. So the
neighbour, and every node after it, checks one signature and writes once. The hashed bytes do not change, so receivers
compute the same ids. What was asked for by name goes alone.

The invariant: a joined run holds exactly the entries of its pieces, and its id is that of the last piece.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from banyan_crdt.codec import AN_ARRAY, bytes_head, decode, encode, read_value
from banyan_crdt.errors import Malformed, Reject
from banyan_crdt.ids import AccountId, EntryId, LogId
from banyan_crdt.run import MAX_RUN_ENTRIES
from banyan_replica.gossip.frames import DeliverMessage, Push, PushFrame, decode_frame, encode_frame, is_of_the_tree
from banyan_replica.gossip.settings import MAX_PAYLOAD, MID_BYTES
from banyan_replica.sync.item_builder import control_item, run_item
from banyan_replica.wire.data_items import RUN, decode_item, encode_item
from banyan_replica.wire.message_table import decode_message, encode_message, is_gossip
from banyan_replica.wire.messages import CheckpointItem, ControlItem, GossipFrame, Item
from banyan_storage.reader import StoreReader

CHECKPOINTS = 4_096
"""Checkpoints whose ids are remembered."""
SHORT_CONTROL = 8
"""A control log shorter than this is pushed whole."""
JOINED_BYTES = 512 << 10
"""The most bytes of a joined run with its content: as many as an author writes at once."""


def _opening() -> re.Pattern[bytes]:
    mid = bytes(range(MID_BYTES))
    raw = encode_message(GossipFrame(encode_frame(PushFrame((Push(mid, 0, b""),)))))
    at, of_mid = raw.index(mid), len(bytes_head(MID_BYTES))
    push = raw[at - of_mid - 1 : at]
    return re.compile(
        re.escape(raw[: at - len(push) - 1]) + AN_ARRAY + re.escape(push) + b".{%d}" % MID_BYTES + b"\0", re.DOTALL
    )


_OWN = _opening()
"""How a frame begins that pushes messages, of which the first crossed no link before."""


def opens_as_own(raw: bytes) -> bool:
    """Whether a frame, valid or not, begins as one that brings what the sender's people wrote (`is_own`)."""
    return _OWN.match(raw) is not None


def relays(raw: bytes) -> bool:
    """Whether a message, of ours or valid, is of the gossip and says something of messages that others wrote."""
    return is_gossip(raw) and is_of_the_tree(raw[2:4]) and not opens_as_own(raw)


def without_messages(raw: bytes) -> bytes | None:
    """Such a message without what it pushes and announces: what it asks for and wants to be spared. None if there is
    nothing of that. One that no honest peer sends stays as it is."""
    try:
        message = decode_message(raw)
        frame = decode_frame(message.frame) if isinstance(message, GossipFrame) else None
    except Malformed:
        return raw
    if not isinstance(frame, PushFrame):
        return raw
    if not (frame.grafts or frame.prune):
        return None
    return encode_message(GossipFrame(encode_frame(PushFrame((), (), frame.grafts, frame.prune))))


def opened(delivery: DeliverMessage) -> Item | Reject:
    """The item of a pushed message, or the error if it is none."""
    try:
        return decode_item(read_value(delivery.payload))
    except Reject as why:
        return why


@dataclass(slots=True)
class _Joined:
    """Consecutive runs of one log, with the wire fields of the first. ends: the time of the last entry."""

    pieces: list[Push]
    head: list[Any]
    skips: list[Any]
    rows: list[Any]
    sig: bytes
    contents: list[Any]
    ends: int

    def follows(self, item: Push, head: list[Any], rows: list[Any]) -> bool:
        """Whether the run continues this one: its parent is the last entry of the last piece."""
        size = sum(len(p.payload) for p in self.pieces) + len(item.payload)
        prev = head[4]
        return (
            type(prev) is bytes
            and prev[:16] == self.pieces[-1].mid
            and head[3] == self.head[3] + len(self.rows)
            and len(self.rows) + len(rows) <= MAX_RUN_ENTRIES
            and size <= JOINED_BYTES
        )

    def add(self, item: Push, skips: list[Any], rows: list[Any], sig: bytes, contents: list[Any]) -> None:
        self.contents += [None] * (len(self.rows) - len(self.contents)) + contents
        first, ends = rows[0], sum(row[0] for row in rows)
        self.rows += [[first[0] - self.ends, *first[1:]], *rows[1:]]
        self.skips += [s for s in skips if s[0] < self.head[3] and s not in self.skips]
        self.sig, self.ends = sig, ends
        self.pieces.append(item)

    def item(self) -> Push:
        last = self.pieces[-1]
        if len(self.pieces) == 1:
            return last
        run = encode([*self.head, sorted(self.skips), self.rows, self.sig])
        return Push(last.mid, max(p.hop for p in self.pieces), encode([RUN, run, self.contents]))


def joined(items: Sequence[Push]) -> list[Push]:
    """The same entries in fewer runs. The items were accepted here, so their bytes are well-formed."""
    if len(items) < 2:
        return list(items)
    out: list[Push | _Joined] = []
    last: dict[tuple[bytes, bytes, int], _Joined] = {}
    for item in items:
        kind, *fields = decode(item.payload, 8)
        if kind != RUN or len(fields) != 2:  # a run with a proof is not joined, because the proof is of its last entry
            out.append(item)
            continue
        raw, contents = fields
        *head, skips, rows, sig = decode(raw, 3)
        log = (head[0], head[1], head[2])
        before = last.get(log)
        if before is not None and before.follows(item, head, rows):
            before.add(item, skips, rows, sig, contents)
        else:
            last[log] = _Joined([item], head, skips, rows, sig, contents, sum(row[0] for row in rows))
            out.append(last[log])
    return [o.item() if isinstance(o, _Joined) else o for o in out]


class Fetch:
    """Reads durable messages from the store, for late grafts. The store has no index of checkpoints by id, so the ids
    of the last CHECKPOINTS are remembered until a restart."""

    def __init__(self, store: StoreReader) -> None:
        self._store = store
        self._checkpoints: OrderedDict[bytes, LogId] = OrderedDict()

    def remember(self, checkpoint: EntryId, log: LogId) -> None:
        self._checkpoints[checkpoint[:16]] = log
        if len(self._checkpoints) > CHECKPOINTS:
            self._checkpoints.popitem(last=False)

    def __call__(self, mid: bytes) -> bytes | None:
        log = self._checkpoints.get(mid)
        if log is None:
            return fetched(self._store, mid)
        raw = self._store.checkpoint_bytes(log.account, log.writer)
        stands = (self._store.head(log).id or b"")[:16] == mid
        return encode(encode_item(CheckpointItem(raw))) if raw is not None and stands else None


def fetched(store: StoreReader, mid: bytes) -> bytes | None:
    """The durable message `mid`, which is the first half of an entry's id, for a late graft."""
    entry = store.by_half(mid)
    if entry is None or entry.sig is None or not store.is_counted(entry.id):
        return None
    if entry.header.log:
        return encode(encode_item(run_item(store, entry.log_id, [entry])))
    item = control_push(store, entry.account, entry.header.seq)
    payload = b"" if item is None else encode(encode_item(item))
    return payload if 0 < len(payload) <= MAX_PAYLOAD else None


def control_push(store: StoreReader, account: AccountId, seq: int, entries: int = 1) -> ControlItem | None:
    """The last `entries` of a control path up to place `seq`; near its beginning, all. A receiver asks for the rest."""
    return control_item(store, account, 0 if seq < SHORT_CONTROL else max(0, seq + 1 - entries), seq + 1)
