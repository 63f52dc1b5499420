"""The fixture, as rows of an engine and as the store of a home."""

from __future__ import annotations

import lzma
from contextlib import closing
from pathlib import Path

from banyan_crdt.codec import decode
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore, PassphraseCost
from banyan_node.home.settings import set_in_file
from banyan_storage import tables as t
from banyan_storage.engine import Engine
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.local_tables import BANNED
from banyan_storage.views.registry import BUILDING, COUNT_TABLES, VERSIONS

FOUR, FIVE = (Path(__file__).parent / f"schema-{n}.cbor.xz" for n in (4, 5))


def load(engine: Engine, fixture: Path = FOUR) -> None:
    """Makes these the rows of an empty engine, committed."""
    tables = {table.name: table for table in engine.tables}
    for name, rows in decode(lzma.decompress(fixture.read_bytes())):
        engine.write().put_many(tables[name.decode()], [(key, value) for key, value in rows])
    if (of_old := engine.write().get(t.META, t.NOTE + b"a note")) is not None:  # as a program of then wrote one
        engine.write().delete(t.META, t.NOTE + b"a note")
        engine.write().put(t.META, t.NOTE + BANNED.prefix + b"a note", of_old)
    engine.commit()


def old_home(path: Path, fixture: Path = FOUR) -> Home:
    """A home of the realm test whose store is of an older schema, without the tables that came later."""
    home = Home(path)
    home.prepare()
    Keystore.create(home.keys, None, PassphraseCost(ops=1, memory=8 << 10))
    set_in_file(home.config, "node.realm", "test")
    later = {VERSIONS, BUILDING, *COUNT_TABLES} | ({t.ERASED} if fixture == FOUR else set())
    with closing(LmdbEngine(home.store, [x for x in TABLES if x not in later], map_size=1 << 22)) as engine:
        load(engine, fixture)
    return home
