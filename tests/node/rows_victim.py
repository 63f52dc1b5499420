"""A process that moves heads in a store on disk and keeps its rows, as fast as it can, until it is killed."""

from __future__ import annotations

import os
import random
from pathlib import Path

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.logs import NOTHING
from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_node.upkeep.rows_file import FileRowStore
from banyan_replica.frontier import persistence as frontier_saving
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.persistence import RowPersistence
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.store import Store
from banyan_storage.views import SocialViews

LOGS = 3_000


def opened(folder: Path) -> tuple[Store, FrontierIndex]:
    store = Store(LmdbEngine(folder / "store", TABLES), TEST, new_store_id=os.urandom(16), views=SocialViews())
    keeping = RowPersistence(FileRowStore(folder / "store.rows"), store.moves, store.store_id)
    return store, FrontierIndex(store, TEST.id, keeping)


def move(store: Store, index: FrontierIndex, rng: random.Random) -> None:
    number = rng.randrange(LOGS).to_bytes(4, "little")
    log = LogId(AccountId(number * 8), WriterKey(number * 8), 1)
    lid, old = store._log(log)
    new = NOTHING if rng.random() < 0.1 else Head(old.length + 1, EntryId(rng.randbytes(32)), 0)
    store._set_head(log, lid, new)
    index.moved(log, old, new)


def main(folder: Path, seed: int, ready: Path) -> None:
    """ready: a file that is there from the moment on that it may be killed."""
    frontier_saving.LEAST, frontier_saving.EVERY = 100, 200
    rng = random.Random(seed)
    store, index = opened(folder)
    ready.touch()
    while True:
        for _ in range(rng.randrange(60)):
            move(store, index, rng)
        if rng.random() < 0.1:
            store.rollback()
            index.rolled_back()
        while store.pending:
            index.note()
            store.commit()
        index.durable()
        index.tick()
        for _ in range(8):
            if index.busy:
                index.work()
