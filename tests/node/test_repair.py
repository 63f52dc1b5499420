"""A bit that changed on the disk is found, and a repaired store becomes what its peer is."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from banyan_crdt.realm import TEST
from banyan_node.context import TABLES, open_store
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.upkeep.repair import DAMAGED_FILE, page_faults, repair
from banyan_storage import tables as t
from banyan_storage.check import verify
from banyan_storage.engine import Item, Table
from banyan_storage.errors import CorruptStore
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_pages import Pages
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.reader import StoreReader
from tests.crash import writer
from tests.needs import few
from tests.node.real import load_settings
from tests.replica.helpers import World
from tests.storage.old.load import old_home

PAGE = 4_096
FLIPS = few(40, 2)
LOCAL = ("note:", "store id")
"""The beginnings of rows of `meta` that are of this node alone: nothing tells what they were."""
Rows = dict[str, list[Item]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return filled(tmp_path_factory.mktemp("source"))


def filled(folder: Path) -> Home:
    """A home with accounts, posts, content, ids in their table, and withheld content."""
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("banyan_storage.id_index.YOUNG_IDS", 60)
        patch.setattr(writer, "say", lambda *words: None)
        writer.new_home(home.path)
        for first, rounds in ((0, 10), (10, 4)):
            with open_local(home, load_settings(home)) as local:
                writer.write(local, rounds, first)
    return home


def rows_of(home: Home) -> Rows:
    with closing(LmdbEngine(home.store, TABLES, read_only=True)) as engine, engine.read() as txn:
        return {table.name: list(txn.scan(table)) for table in TABLES}


def flipped(source: Home, to: Path, page: int, bit: int) -> Home:
    home = Home(shutil.copytree(source.path, to))
    data = home.store / "data.mdb"
    raw = bytearray(data.read_bytes())
    raw[page * PAGE + bit // 8] ^= 1 << bit % 8
    data.write_bytes(raw)
    return home


def found(home: Home) -> bool:
    """Whether `banyan store verify` finds anything."""
    try:
        if page_faults(home):
            return True
    except CorruptStore:
        return True
    engine, store = open_store(home, TEST)
    with closing(engine):
        return bool(verify(store, lambda account, n: None))


def synced(rows: Rows, with_peer: Rows) -> None:
    """Both become one over a link of real replicas, and nobody is charged."""
    world = World()
    world.now = time.time() + 60
    for name, held in (("peer", with_peer), ("repaired", rows)):
        engine = world.engines[name] = MemoryEngine(t.STORE_TABLES)
        for table in t.STORE_TABLES:
            engine.write().put_many(table, held[table.name])
        engine.commit()
        world.start(name)
    world.link("repaired", "peer")
    mine, its = (world.replicas[name].store for name in ("repaired", "peer"))
    world.until(lambda: len(world.digests()) == 1 and named(mine, t.LACKING) <= named(its, t.WITHHELD), 120)
    world.run(20)
    assert world.rejections("peer") == world.rejections("repaired") == []
    assert named(mine, t.PARTS) == named(its, t.PARTS)
    assert named(mine, t.LACKING) == named(its, t.WITHHELD) - named(mine, t.WITHHELD), "what it forgot that it withheld"


def named(store: StoreReader, table: Table) -> set[tuple[bytes, int]]:
    """(entry, operation) of the content in one of the tables by arrival."""
    places = (t.part_place(key) for key, _ in store.txn.scan(table))
    return {(entry.id, op) for n, op in places if (entry := store.at(n)) is not None}


def own(good: Rows, now: Rows) -> bool:
    """Whether only what is of this node alone differs: its notes, and the orders by which it withheld content."""
    differing = {name for name in good if good[name] != now[name]}
    meta = {key.decode("latin-1") for key, _ in set(good["meta"]) ^ set(now["meta"])}
    return differing <= {"meta", "withheld", "erased"} and all(key.startswith(LOCAL) for key in meta)


def test_a_flipped_bit_is_found_or_changes_nothing_and_a_peer_makes_the_store_whole(
    source: Home, tmp_path: Path
) -> None:
    rng, good, what = random.Random(8), rows_of(source), Counter[str]()
    pages = (source.store / "data.mdb").stat().st_size // PAGE
    for k in range(FLIPS):
        page, bit = k * pages // FLIPS, rng.randrange(8 * PAGE)
        home = flipped(source, tmp_path / f"{k}", page, bit)
        if not found(home):
            now = rows_of(home)
            assert now == good or own(good, now), f"bit {bit} of page {page} changed rows, and nothing was said"
            what["nothing changed" if now == good else "of this node alone"] += 1
            continue
        what["found"] += 1
        done = repair(home, TEST, lambda sentence: None)
        assert done.left == [], f"bit {bit} of page {page}"
        assert not found(home)
        if k % 3 == 0:
            synced(rows_of(home), good)
    assert {"found", "nothing changed"} <= {*what}, what


@pytest.mark.parametrize("page", [0, 1])
def test_a_store_with_one_meta_page_left_is_read_by_the_other_and_begins_a_new_log(
    source: Home, tmp_path: Path, page: int
) -> None:
    home = flipped(source, tmp_path / "home", page, 8 * 16)  # the magic number
    assert "is none of LMDB's" in page_faults(home)[0]
    with pytest.raises(CorruptStore), open_local(home, load_settings(home)):
        pass
    with closing(open_store(source, TEST)[0]):
        pass
    assert repair(home, TEST, lambda sentence: None).left == []
    assert (home.store / DAMAGED_FILE).exists()
    with open_local(source, load_settings(source)) as before, open_local(home, load_settings(home)) as after:
        assert after.context.logs.number != before.context.logs.number
        after.call("post", text="goes on")


def test_a_store_without_meta_pages_says_what_to_do(source: Home, tmp_path: Path) -> None:
    home = flipped(flipped(source, tmp_path / "one", 0, 8 * 16), tmp_path / "two", 1, 8 * 16)
    with pytest.raises(CorruptStore, match=r"neither of its meta pages is one; restore a copy, or move .* away"):
        repair(home, TEST, lambda sentence: None)


def test_a_store_of_which_no_row_can_be_read_stays_as_it_is_and_says_what_to_do(source: Home, tmp_path: Path) -> None:
    home = Home(shutil.copytree(source.path, tmp_path / "home"))
    data = home.store / "data.mdb"
    whole = data.read_bytes()
    roots = {int.from_bytes(whole[at + 128 : at + 136], "little") for at in (0, PAGE)}
    for root in roots:
        whole = whole[: root * PAGE] + bytes(PAGE) + whole[(root + 1) * PAGE :]
    data.write_bytes(whole)
    with pytest.raises(CorruptStore, match=r"no row can be read, .* restore a copy, or move .* away"):
        repair(home, TEST, lambda sentence: None)
    assert data.read_bytes() == whole
    assert [p.name for p in home.store.iterdir() if p.name.startswith(("new-", DAMAGED_FILE))] == []


def test_a_list_of_free_pages_that_names_a_page_in_use_is_found_before_it_is_written_over(
    source: Home, tmp_path: Path
) -> None:
    """LMDB believes the list: without this check the next commits write over what is held."""
    home = Home(shutil.copytree(source.path, tmp_path / "home"))
    good, data = rows_of(home), home.store / "data.mdb"
    with Pages(data) as pages:
        assert pages.check() == []
        of = {page: what for page, what in pages.used.items() if page > 1}
    lists, free, entries = (
        [page for page, of_what in of.items() if of_what == what]
        for what in ("of the table of free pages", "a free page", "of table entries")
    )
    whole, wanted = data.read_bytes(), f"page {entries[0]} is a free page, and of table entries too"
    for one, page in product(free, lists):  # the same bytes may also be a count, or the number of a commit
        at = whole.rfind(one.to_bytes(8, "little"), page * PAGE + 16, (page + 1) * PAGE)
        if at > 0:
            data.write_bytes(whole[:at] + entries[0].to_bytes(8, "little") + whole[at + 8 :])
            if wanted in page_faults(home):
                break
    assert wanted in page_faults(home)
    assert repair(home, TEST, lambda sentence: None).left == []
    assert len(rows_of(home)["entries"]) == len(good["entries"])


@pytest.mark.parametrize("table", ["parts", "chain"])
def test_a_repair_says_what_is_lacking_after_it(source: Home, tmp_path: Path, table: str) -> None:
    home, said = Home(shutil.copytree(source.path, tmp_path / "home")), list[str]()
    data = home.store / "data.mdb"
    with Pages(data) as pages:
        assert pages.check() == []
        lost = max(page for page, what in pages.used.items() if what == f"of table {table}")
    raw = data.read_bytes()
    data.write_bytes(raw[: lost * PAGE] + bytes(PAGE) + raw[(lost + 1) * PAGE :])
    assert repair(home, TEST, said.append).left == []
    entries, now = len(rows_of(source)["entries"]), rows_of(home)
    gone, lacking = entries - len(now["entries"]), len(now["lacking"])
    assert lacking > len(rows_of(source)["lacking"]) or gone
    assert f"Lacking are {lacking:,} pieces of content, {gone:,} of the entries that were copied" in said[-1]


def test_a_sound_store_is_left_as_it_is(source: Home, tmp_path: Path) -> None:
    for home in (Home(shutil.copytree(source.path, tmp_path / "home")), old_home(tmp_path / "old")):
        with open_local(home, load_settings(home)):
            pass
        good = rows_of(home)
        done = repair(home, TEST, lambda sentence: None)
        assert (done.pages, done.rows, done.parts, done.found.gone, done.left) == ([], 0, 0, 0, [])
        now = rows_of(home)
        assert [x.name for x in t.STORE_TABLES if good[x.name] != now[x.name] and x not in (t.IDS, t.META)] == []
        assert not (home.store / DAMAGED_FILE).exists()


def test_a_store_that_lost_its_index_of_ids_and_some_entries_is_repaired(source: Home, tmp_path: Path) -> None:
    home = Home(shutil.copytree(source.path, tmp_path / "home"))
    with closing(LmdbEngine(home.store, TABLES)) as engine:
        txn = engine.write()
        for key, _ in list(txn.scan(t.ENTRIES))[7::11]:
            txn.delete(t.ENTRIES, key)
        txn.delete_range(t.IDS, b"", None)
        engine.commit()
    done = repair(home, TEST, lambda sentence: None)
    assert (done.found.gone > 0, done.left) == (True, [])
