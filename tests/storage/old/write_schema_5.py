"""Writes the fixture of schema 5. It runs on the code of the version whose store it makes; the README says how."""

from __future__ import annotations

import lzma
import sys
from pathlib import Path

from banyan_crdt.codec import encode
from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_replica.intake.ingest import Ingest
from banyan_storage import tables
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.views import SocialViews
from tests.storage.old.social_story import tell


def main(path: Path) -> None:
    assert tables.SCHEMA == 5, f"this version writes schema {tables.SCHEMA}, so it is not the one to write the fixture"
    engine = MemoryEngine(TABLES)
    store = Store(engine, TEST, new_store_id=b"a store of five.", views=SocialViews())
    tell(Ingest(store, TEST))
    store.put_note(b"a note", b"of old")
    store.commit()
    rows = [[table.name.encode(), [list(item) for item in engine.write().scan(table)]] for table in engine.tables]
    path.write_bytes(lzma.compress(encode(rows), preset=9))
    print(store.counts(), path.stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
