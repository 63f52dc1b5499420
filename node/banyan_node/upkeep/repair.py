"""Repairs a store whose file was damaged: what it can still prove stays, and the rest is asked of peers.

Four steps, each durable before the next, so that a repair that is broken off can begin again:

1. Pages. If one is damaged, LMDB is not trusted with the file. All rows that can be read are copied to a new file,
   which takes the place of the old one in one step; the old one is kept beside it.
2. Content and entries. What does not match its hash or its signature is dropped (log_check.py).
3. What is made of entries is made again: numbers of logs, indexes, wanted content, due work (salvage.py), views.
4. Rows of local state that cannot be read (local_repair.py), and a check of everything, as `banyan store verify`
   makes it.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from banyan_crdt.realm import Realm
from banyan_crdt.signing import verify_all
from banyan_node.context import TABLES, open_store
from banyan_node.home.folder import Home
from banyan_node.upkeep import local_repair
from banyan_node.upkeep.log_check import CheckFindings, mend
from banyan_node.upkeep.view_completion import finish
from banyan_storage import salvage
from banyan_storage.check import StoreProblem, bad_parts, verify
from banyan_storage.errors import CorruptStore, begin_again
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA, Folder, put_data
from banyan_storage.lmdb_pages import Pages
from banyan_storage.local_tables import FRONTIER
from banyan_storage.tables import PARTS, part_key
from banyan_storage.upgrade import Say
from banyan_storage.views.builder import begin
from banyan_storage.views.registry import NAMES

DAMAGED = "data.damaged"
"""The old file of a store whose pages were damaged."""


class RepairResult(NamedTuple):
    """pages: faults of pages that were found. rows: those that were copied to a new file, if there were any.
    local: what came of each row of local state that could not be read, in a sentence. left: what is still wrong."""

    pages: list[str]
    rows: int
    found: CheckFindings
    parts: int
    local: list[str]
    left: list[StoreProblem]


def page_faults(home: Home) -> list[str]:
    """What is wrong with the pages of a store that no process has open. Raises StorageError."""
    if not (home.store / DATA).exists():
        return []
    folder = Folder(home.store, read_only=False)
    try:
        with Pages(home.store / DATA) as pages:
            return pages.check()
    finally:
        folder.release()


def repair(home: Home, realm: Realm, say: Say) -> RepairResult:
    """Repairs the store of `home`, which no process has open. Raises StorageError, also if nothing can be read."""
    faults = page_faults(home)
    rows = 0
    if faults:
        say(f"Faults of pages: {len(faults)}, the first: {faults[0]}. Rows that can be read are copied to a new file.")
        rows = _copy(home.store)
        say(f"{rows:,} rows were copied; the damaged file stays as {home.store / DAMAGED}, for you to delete.")
    with closing(LmdbEngine(home.store, TABLES)) as engine:
        salvage.names(engine.write(), realm)
        engine.commit()
    engine, store = open_store(home, realm, say)
    with closing(engine):
        wrong = [part_key(bad.n, bad.op) for bad in bad_parts(store)]
        for key in wrong:  # before anything is folded that reads them
            engine.write().delete(PARTS, key)
        FRONTIER.put(store, None)
        store.commit()
        found = mend(store, realm, int(time.time()), home.mended, say, verify=verify_all)
        salvage.indexes(engine.write(), realm)
        begin(engine.write(), NAMES)
        engine.commit()
    engine, store = open_store(home, realm, say)
    with closing(engine):
        finish(engine, store, say)
        local = local_repair.repair(store, home.mended)
        return RepairResult(faults, rows, found, len(wrong), local, verify(store, lambda account, n: None))


def _copy(store: Path) -> int:
    """Copies what can be read to a new data file in the place of the old one, which is kept beside it."""
    folder = Folder(store, read_only=False)
    try:
        with TemporaryDirectory(prefix="new-", dir=store) as draft, Pages(store / DATA) as pages:
            with closing(LmdbEngine(Path(draft), TABLES)) as engine:
                rows = salvage.copy_readable(pages, engine)
            if not rows:
                raise CorruptStore(
                    f"{store}: no row can be read, so nothing is repaired, and it stays as it is; {begin_again(store)}"
                )
            (store / DAMAGED).unlink(missing_ok=True)
            os.link(store / DATA, store / DAMAGED)
            put_data(Path(draft) / DATA, store)
        return rows
    finally:
        folder.release()
