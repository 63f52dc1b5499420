"""What this node itself writes: entries are appended to its own logs, and spread once they are durable.

A run is pushed by gossip, or, if it is one of thousands that come at once, left to reconciliation. Between `hold` and
`settle` runs are collected, so that people who post at the same moment share a write and a round of signing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, LogId, control_log
from banyan_crdt.signing import Signer
from banyan_replica.gossip.pushes import Fetch, control_push
from banyan_replica.gossip.settings import MAX_PAYLOAD
from banyan_replica.gossip.store_bridge import StoreBridge
from banyan_replica.intake.author import Author, EntryDraft, Written
from banyan_replica.intake.ingest import Ingest
from banyan_replica.outbox import Outbox
from banyan_replica.sync.item_builder import run_item
from banyan_replica.wire.data_items import size_of
from banyan_replica.wire.messages import CheckpointItem


@dataclass(frozen=True, slots=True)
class WriteSession:
    """clock: called before what is timed. moved: heads differ from what peers know. soon: the same, and gossip does not
    tell them, so reconciliation does. All times are the driver's `now`, seconds."""

    author: Author
    ingest: Ingest
    fetch: Fetch
    spreading: StoreBridge
    out: Outbox
    clock: Callable[[float], None]
    wall_ms: Callable[[float], int]
    moved: Callable[[], None]
    soon: Callable[[float], None]

    def hold(self) -> None:
        """Collects what is published from now on; `settle` writes it together. Until then the store lacks it."""
        self.ingest.together.holding = True

    def settle(self) -> None:
        """Ends `hold` and writes what was collected. `Replica.next_effect` does so too."""
        self.ingest.together.holding = False
        self._hand(self.author.flush())

    @property
    def changes(self) -> int:
        """Grows with every publication and every other write, but not when `settle` writes what was collected."""
        return self.ingest.store.changes + self.ingest.together.held - self.author.settled + self.author.held

    def publish(
        self, log: LogId, signer: Signer, drafts: Sequence[EntryDraft], now: float, push: bool = True
    ) -> list[Written]:
        """Appends to a log of ours. Once durable, gossip pushes it; with `push` False, reconciliation spreads it."""
        self.clock(now)
        written = self.author.append(log, signer, drafts, self.wall_ms(now))
        for w in written:
            self.out.counted(w.log, w.entries)
            if push:
                self.spreading.waits(w, now)
        if not push:
            self.soon(now)
        if not self.ingest.together.holding:
            self._hand(written)
        return written

    def _hand(self, written: Sequence[Written]) -> None:
        if self.spreading.hand(written):
            self.moved()

    def publish_control(self, account: AccountId, now: float, push: bool = True, entries: int = 1) -> None:
        """Spreads the last `entries` of a control log of ours."""
        self.clock(now)
        head = self.ingest.head(control_log(account))
        item = control_push(self.ingest.store, account, head.length - 1, entries)
        if item is not None and head.id is not None and push and size_of(item) < MAX_PAYLOAD // 2:
            self.spreading.push(head.id, account, item, now)
            self.moved()
        else:
            self.soon(now)

    def publish_checkpoint(
        self, account: AccountId, signer: Signer, now: float, before: Checkpoint | None = None
    ) -> Checkpoint:
        """Signs where the account stands here, and spreads it. before: see `Author.checkpoint`."""
        self.clock(now)
        made = self.author.checkpoint(account, signer, self.wall_ms(now), before)
        self.fetch.remember(made.id, made.log_id)
        self.spreading.push(made.id, account, CheckpointItem(encode_checkpoint(made)), now)
        self.moved()
        return made

    def carried(self, log: LogId, added: Sequence[Entry], now: float) -> None:
        """Entries of others that came by hand, and count: once durable, gossip pushes them."""
        self.clock(now)
        self.out.counted(log, added)
        if added[-1].sig is None:
            self.soon(now)
            return
        self.spreading.push(added[-1].id, log.account, run_item(self.ingest.store, log, added), now)
        self.moved()
