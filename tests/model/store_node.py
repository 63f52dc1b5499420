"""A node of the model's runs that is the real thing below the wire: `Ingest` over a store in memory.

Entries reach it as runs, encoded and strictly decoded, with the one signature of the last. Signatures were verified
when the scenario was made and are not checked again at every hop; everything else is what a node does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from banyan_crdt.errors import NotYet
from banyan_crdt.ids import AccountId
from banyan_crdt.run import Run, decode_run, encode_run, skips_below
from banyan_node.ingest import Ingest
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.tables import STORE_TABLES
from banyan_storage.viewhook import NoViews
from tests.model.concrete import BIRTH_MS, REALM, Concrete, log_name
from tests.model.nodes import Key, Unservable

NOW_MS = BIRTH_MS + 10_000 * 86_400_000
"""Later than every entry: the gate against dates in the future is no part of state."""


class StoreNode:
    """Holds what `Ingest` let in. The entries it offers are checked to be servable. `runs`: decoded runs, to share."""

    def __init__(self, c: Concrete, runs: dict[tuple[int, ...], Run]) -> None:
        self.c, self.runs = c, runs
        self.ingest = Ingest(Store(MemoryEngine(STORE_TABLES), REALM, new_store_id=bytes(16), views=NoViews()), REALM)
        self.index = {e.id: i for i, e in enumerate(c.real)}

    def put(self, i: int) -> None:
        self.put_bundle([i])

    def put_bundle(self, items: Iterable[int]) -> None:
        bundle = sorted(set(items))
        for account in self.c.symbolic.accounts:
            mine = [i for i in bundle if self.c.real[i].account == account]
            control = [self.c.real[i] for i in mine if not self.c.real[i].header.log]
            if control:
                try:
                    self.ingest.control(AccountId(account), control, NOW_MS)
                except NotYet:
                    pass
            for path in self._paths([i for i in mine if self.c.real[i].header.log]):
                try:
                    self.ingest.run(self._run(path), NOW_MS)
                except NotYet:
                    pass

    def _paths(self, items: list[int]) -> Iterator[tuple[int, ...]]:
        """`items` as runs: from each entry without a child among them down to what was sent before."""
        prev, sent = self.c.symbolic.prev, set[int]()
        parents = {prev[i] for i in items}
        for leaf in (i for i in items if i not in parents):
            path: list[int] = []
            at: int | None = leaf
            while at is not None and at in items and at not in sent:
                path.append(at)
                at = prev[at]
            sent.update(path)
            yield tuple(reversed(path))

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

    def offer(self, keys: Iterable[Key]) -> list[int]:
        wanted, store, out = set(keys), self.ingest.store, []
        for account in {a for a, _ in wanted}:
            if (account, ("", 0)) in wanted:
                out += [self.index[e.id] for e in store.control(AccountId(account))]
            for log in store.logs(AccountId(account)):
                if log.log and (account, log_name(log)) in wanted:
                    chain, loose = store.held(log)
                    held = [*chain, *loose]
                    parents = {e.header.prev for e in held}
                    for e in held:
                        if e.id not in parents and e.sig is None:
                            raise Unservable(f"entry {e.header.seq} of {log_name(log)} is held under no signature")
                    out += [self.index[e.id] for e in held]
        return out
