"""Writes the fixture. It runs on the code of the version whose store it makes; the README beside it says how."""

from __future__ import annotations

import lzma
import sys
from pathlib import Path

from banyan_crdt.codec import encode
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run, verify_run
from banyan_replica.host import PartItem
from banyan_replica.intake.ingest import Ingest
from banyan_storage import tables
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.views import VIEW_TABLES, SocialViews
from tests.replica.helpers import NOW_MS
from tests.storage.old.story import tell


def main(path: Path) -> None:
    story = tell()
    engine = MemoryEngine((*tables.STORE_TABLES, *VIEW_TABLES))
    store = Store(engine, TEST, new_store_id=b"a store of old. ", views=SocialViews())
    ingest = Ingest(store, TEST)
    for person in story.people:
        # chi's cut comes later: what it cuts was taken before
        ingest.control(person.id, [e for e in person.control if e.header.seq < 2], NOW_MS)
        ingest.parts([PartItem(person.control[0].id, 0, person.salt)])
    for raw in (*story.honest, *story.lies):
        run = decode_run(TEST, raw)
        verify_run(TEST, run)
        ingest.run(run, NOW_MS)
    ingest.parts([PartItem(*item) for item in story.parts])
    for person in story.people:
        ingest.control(person.id, person.control, NOW_MS)
    entry, op, reason = story.withheld
    store.erase_part(entry, op, reason)
    store.put_note(b"a note", b"of old")
    store.commit()
    missing = [e.header.seq for e in story.bad if not store.has(e.id)]
    assert not missing, f"this version refuses the entries {missing}, so it is not the one to write the fixture"
    rows = [[table.name.encode(), [list(item) for item in engine.write().scan(table)]] for table in engine.tables]
    path.write_bytes(lzma.compress(encode(rows), preset=9))
    print(store.counts(), path.stat().st_size, "bytes")


main(Path(sys.argv[1]))
