"""Checks data before it is sent, if there is reason: disks fail, and a peer would take damaged data for a lie of ours.

Normally data is not checked again when it is served, because that costs as much as accepting it. But if a peer asks for
the same again, or ended its link to us, the data may be the reason. From then on, what that peer is sent is checked
first. The invariants:

- A damaged entry, and all entries above it, are not sent. An entry with damaged content is sent without it, so that the
  peer asks others for it.
- Unreadable data stops one log only, and does not touch the store's pending transaction.
- Each damaged log is reported once, with what to do.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from banyan_crdt.checkpoint import decode_checkpoint
from banyan_crdt.errors import BanyanError, Malformed
from banyan_crdt.ids import EntryId, LogId, is_checkpoint
from banyan_crdt.ops import decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.run import decode_control, decode_run, verify_run
from banyan_crdt.signing import verify
from banyan_replica.sync.item_builder import content_of, pin_of, start_of
from banyan_replica.wire.messages import CheckpointItem, Content, ControlItem, RunItem, Want, pieces
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader

DOUBTED = 256
"""Peers remembered whose data is checked."""
ASKED = 4_096
"""Questions for logs that are remembered, to notice when one is repeated."""
NOTED = 10_000
"""Damaged logs remembered, so that each is reported once."""
_UNREADABLE = (BanyanError, CorruptStore, ValueError, LookupError, TypeError, AssertionError, struct.error)
"""What the decoders raise on damaged bytes."""
_T = TypeVar("_T", ControlItem, RunItem, CheckpointItem, ControlItem | RunItem | CheckpointItem)


class SendCheck:
    """found: sentences about damage that are not reported yet."""

    def __init__(self, store: StoreReader) -> None:
        self._store = store
        self._doubted: dict[str, None] = {}
        self._asked: dict[tuple[str, LogId], int] = {}
        self._noted: set[LogId] = set()
        self.found: list[str] = []

    def asked(self, peer: str, want: Want) -> None:
        """The peer asks for a log. If its question is the same as before, it could not use what it got."""
        key, places = (peer, want.log), hash(tuple(want.locator))
        if self._asked.pop(key, None) == places and peer not in self._doubted:
            self.doubt(peer)
        self._asked[key] = places
        if len(self._asked) > ASKED:
            self._asked.pop(next(iter(self._asked)))

    def places(self, want: Want, pinned: Callable[[LogId], int]) -> tuple[int, int]:
        """Where to start answering, and the highest pinned entry that the peer named and that counts here, or -1. If it
        named only others, the highest one that counts. pinned: how many entries of a log are pinned."""
        try:
            pin = pin_of(self._store, want.log, want.pins)
            return start_of(self._store, want), pinned(want.log) - 1 if want.pins and pin < 0 else pin
        except _UNREADABLE as why:
            self._note(want.log, str(why) or type(why).__name__)
            return 0, -1

    def doubt(self, peer: str) -> None:
        """Checks from now on what this peer is sent: it ended its link, or repeated a question."""
        self._doubted[peer] = self._doubted.pop(peer, None)
        if len(self._doubted) > DOUBTED:
            self._doubted.pop(next(iter(self._doubted)))

    def is_doubted(self, peer: str) -> bool:
        return peer in self._doubted

    def items(self, peer: str, log: LogId, items: Iterator[_T]) -> Iterator[_T]:
        """The items of a log, up to the first damaged one."""
        try:
            if peer in self._doubted and not is_checkpoint(log):
                self._compare_head(log)
            yield from map(partial(self._checked, peer, log), items)  # unlike a loop, it keeps none that was sent
        except _UNREADABLE as why:
            self._note(log, str(why) or type(why).__name__)

    def parts(
        self, answer: Sequence[tuple[EntryId, int, bytes | None, bytes]]
    ) -> list[tuple[EntryId, int, bytes | None, bytes]]:
        """Those pieces of content that match their entries."""
        return [row for row in answer if row[2] is None or self._is_part(row[0], row[1], row[2])]

    def _is_part(self, entry: EntryId, op: int, raw: bytes) -> bool:
        place = self._store.place(entry)
        try:
            found = self._store.entry(entry)
            part = None if found is None else part_of(decode_body(found.ops).ops[op])
            if part is not None:
                open_part(part, raw)
        except _UNREADABLE as why:
            if place is not None:
                self._note(place[0], str(why))
            return False
        return True

    def _compare_head(self, log: LogId) -> None:
        """Raises Malformed if the head is not the last entry of the log."""
        head = self._store.head(log)
        last = self._store.chain(log, head.length - 1) if head.length else []
        if head.length and [e.id for e in last] != [head.id]:
            raise Malformed("its head is not its last entry")

    def _checked(self, peer: str, log: LogId, item: _T) -> _T:
        if peer not in self._doubted:
            return item
        realm = self._store.realm
        if isinstance(item, CheckpointItem):
            verify(realm, *decode_checkpoint(realm, item.checkpoint).signed)
            return item
        if isinstance(item, RunItem):
            run = decode_run(realm, item.run)
            if run.log != log:
                raise Malformed("it is stored under the name of another log")
            verify_run(realm, run)
            return item._replace(contents=self._contents(log, item.contents, [e.ops for e in run.entries]))
        entries = [decode_control(realm, entry) for entry in item.entries]
        return item._replace(contents=self._contents(log, item.contents, [e.ops for e in entries]))

    def _contents(self, log: LogId, contents: Sequence[Content], bodies: Sequence[bytes]) -> list[Content]:
        return [self._content(log, content, ops) for content, ops in zip(contents, bodies, strict=False)]

    def _content(self, log: LogId, content: Content, body: bytes) -> Content:
        """The content of one entry, without damaged pieces."""
        if content is None:
            return None
        pairs, ops = pieces(content), decode_body(body).ops
        good = []
        for op, raw in pairs:
            part = part_of(ops[op]) if op < len(ops) else None
            try:
                if part is not None:
                    open_part(part, raw)
                    good.append((op, raw))
            except Malformed as why:
                self._note(log, str(why))
        return content_of(good)

    def _note(self, log: LogId, why: str) -> None:
        if log in self._noted or len(self._noted) >= NOTED:
            return
        self._noted.add(log)
        name = f"{log.account.hex()[:8]}/{log.writer.hex()[:8]}/{log.log}"
        self.found.append(
            f"the log {name} is not as it was written, and is not served whole ({why}); stop the node and run `banyan "
            "store mend`, which drops damaged entries, so that peers are asked for them"
        )
