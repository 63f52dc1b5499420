"""What LMDB itself writes is no damage to whoever reads its pages."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from banyan_storage.engine import Table
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA
from banyan_storage.lmdb_pages import Pages

DUPS, FIXED = Table("dups", dupsort=True), Table("fixed", dupsort=True, size=32)


@pytest.mark.parametrize("table", [DUPS, FIXED], ids=lambda table: table.name)
@pytest.mark.parametrize("one_by_one", [False, True], ids=["as a range", "one by one"])
def test_a_key_whose_many_values_all_went_is_no_damage(tmp_path: Path, one_by_one: bool, table: Table) -> None:
    """LMDB then counts one page too many of the table; the rows are still counted."""
    values = [b"%032d" % i for i in range(1_000)]
    with closing(LmdbEngine(tmp_path, (table,))) as engine:
        engine.write().put_many(table, [(key, value) for key in (b"a", b"b") for value in values])
        engine.commit()
        if one_by_one:
            for value in values:
                engine.write().delete(table, b"a", value)
        else:
            engine.write().delete_range(table, b"a", b"b")
        engine.commit()
    with Pages(tmp_path / DATA) as pages:
        db = pages.tables()[table.name]
        assert [value for _, value in pages.rows(table.name, db)] == values
        assert pages.faults == []
    with Pages(tmp_path / DATA) as pages:
        list(pages.rows(table.name, db._replace(entries=db.entries - 1)))
        assert len(pages.faults) == 1


def test_a_page_of_values_of_one_size_that_says_something_else_of_itself_is_found(tmp_path: Path) -> None:
    """Each byte of the heads of such pages in turn, and of the page within a page that few values have."""
    values = [b"%032d" % i for i in range(600)]
    with closing(LmdbEngine(tmp_path, (FIXED,))) as engine:
        engine.write().put_many(FIXED, [(b"few", value) for value in values[:9]])
        engine.write().put_many(FIXED, [(b"many", value) for value in values])
        engine.commit()
    path = tmp_path / DATA
    whole = path.read_bytes()
    with Pages(path) as pages:
        assert [value for _, value in pages.rows(FIXED.name, pages.tables()[FIXED.name])] == values[:9] + values
        assert pages.faults == []
        used = [number * 4096 for number in pages.used if number > 1]
    leaves = [page for page in used if whole[page + 10] & 0x20]  # of values of one size
    assert len(leaves) > 4
    (few,) = (
        page + int.from_bytes(whole[page + 16 : page + 18], "little") for page in used if b"few" in whole[page:][:4096]
    )
    starts = [page + at for page in (*leaves, few + 8 + len(b"few")) for at in (8, 9, 10, 12, 13, 14, 15)]
    for at in starts:
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x35,)) + whole[at + 1 :])
        with Pages(path) as pages:
            list(pages.rows(FIXED.name, pages.tables()[FIXED.name]))
            assert pages.faults, at
