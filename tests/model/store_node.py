"""A node of the model's runs that is the real thing below the wire: `Ingest` over a store in memory.

Entries reach it as runs, encoded and strictly decoded, with the one signature of the last, and what it offers is what
`serve` makes of its store. Signatures were verified when the scenario was made and are not checked again at every hop;
everything else is what a node does. Its clock is its own: `forget` sets it forward.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable

from banyan_crdt.errors import NotYet
from banyan_crdt.ids import AccountId, LogId, WriterKey
from banyan_crdt.run import Run, decode_run, encode_run, read_control, skips_below
from banyan_replica.intake.ingest import Ingest
from banyan_replica.sync.item_builder import control_items, log_items
from banyan_storage.check import verify
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.tables import STORE_TABLES
from banyan_storage.viewhook import NoViews
from tests.model.concrete import BIRTH_MS, REALM, Concrete, log_name, signer
from tests.model.nodes import ROOT, Key, Unservable
from tests.model.scenarios import Message

DAY_MS = 86_400_000
NOW_MS = BIRTH_MS + 10_000 * DAY_MS
"""Later than every entry: the gate against dates in the future is no part of state."""


class StoreNode:
    """Holds what `Ingest` accepted. runs: decoded runs, to share."""

    def __init__(self, c: Concrete, runs: dict[Message, Run]) -> None:
        self.c, self.runs, self.now_ms = c, runs, NOW_MS
        self.ingest = Ingest(Store(MemoryEngine(STORE_TABLES), REALM, new_store_id=bytes(16), views=NoViews()), REALM)
        self.index = {e.id: i for i, e in enumerate(c.real)}

    @classmethod
    def archive(cls, c: Concrete, runs: dict[Message, Run]) -> StoreNode:
        """A node that was given the whole set, repeatedly until it accepts no more."""
        node, rng, before = cls(c, runs), random.Random(0), -1
        while (held := node.held()) != before:
            before = held
            node.put_bundle(c.symbolic.messages(rng))
        return node

    def put(self, message: Message) -> None:
        try:
            if self.c.real[message[0]].header.log:
                self.ingest.run(self._run(message), self.now_ms)
            else:
                entries = [self.c.real[i] for i in message]
                self.ingest.control(AccountId(entries[0].account), entries, self.now_ms)
        except NotYet:
            pass

    def put_bundle(self, messages: Iterable[Message]) -> None:
        real = self.c.real
        for m in sorted(messages, key=lambda m: (real[m[0]].header.log > 0, real[m[0]].header.seq)):
            self.put(m)

    def _run(self, path: tuple[int, ...]) -> Run:
        if path not in self.runs:
            entries = [self.c.real[i] for i in path]
            below: dict[int, int] = {}
            at = self.c.symbolic.prev[path[0]]
            base = self.c.real[at].header.total if at is not None else 0
            while at is not None:
                below[self.c.real[at].header.seq] = at
                at = self.c.symbolic.prev[at]
            skips = [(s, self.c.real[below[s]].id) for s in skips_below(entries[0].header.seq, len(entries))]
            self.runs[path] = decode_run(REALM, encode_run(entries, base, skips))
        return self.runs[path]

    def heads(self) -> dict[Key, Hashable]:
        store = self.ingest.store
        return {
            (account, log_name(log)): head
            for account in self.c.symbolic.accounts
            for log, head in store.heads(AccountId(account)).items()
        }

    def held(self) -> int:
        store = self.ingest.store
        return sum(1 << i for i, e in enumerate(self.c.real) if store.has(e.id))

    def offer(self, keys: Iterable[Key]) -> list[Message]:
        """What the node serves of some logs, as it would send it."""
        store, out = self.ingest.store, list[Message]()
        for account, name in keys:
            if name == ROOT:
                for item in control_items(store, AccountId(account)):
                    out.append(tuple(self.index[read_control(REALM, raw).id] for raw in item.entries))
                continue
            log = LogId(AccountId(account), WriterKey(signer(name[0]).key), name[1])
            length = 0
            for piece in log_items(store, log, 0):
                run = decode_run(REALM, piece.run)
                message = tuple(self.index[e.id] for e in run.entries)
                self.runs.setdefault(message, run)
                out.append(message)
                length = max(length, run.first + len(message))
            if length < store.head(log).length:
                raise Unservable(f"{store.head(log).length} entries of {name} count, {length} are served")
        return out

    def forget(self, rng: random.Random) -> None:
        """Advances the clock by so many days, and forgets what has not counted for 30 days."""
        self.now_ms += rng.choice([5, 16, 31]) * DAY_MS
        store = self.ingest.store
        before = self.heads()
        for account in self.c.symbolic.accounts:
            for log in store.logs(AccountId(account)):
                self.ingest.expire(log, self.now_ms)
        for problem in verify(store, lambda account, n: None):
            raise Unservable(f"{problem.where}: {problem.sentence}")
        if self.heads() != before:
            raise Unservable("heads moved when old entries went")
