"""What LMDB itself writes is no damage to whoever reads its pages."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from banyan_storage.engine import Table
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import DATA
from banyan_storage.lmdb_pages import Pages

DUPS = Table("dups", dupsort=True)


@pytest.mark.parametrize("one_by_one", [False, True], ids=["as a range", "one by one"])
def test_a_key_whose_many_values_all_went_is_no_damage(tmp_path: Path, one_by_one: bool) -> None:
    """LMDB then counts one page too many of the table; the rows are still counted."""
    values = [b"%032d" % i for i in range(1_000)]
    with closing(LmdbEngine(tmp_path, (DUPS,))) as engine:
        engine.write().put_many(DUPS, [(key, value) for key in (b"a", b"b") for value in values])
        engine.commit()
        if one_by_one:
            for value in values:
                engine.write().delete(DUPS, b"a", value)
        else:
            engine.write().delete_range(DUPS, b"a", b"b")
        engine.commit()
    with Pages(tmp_path / DATA) as pages:
        table = pages.tables()[DUPS.name]
        assert [value for _, value in pages.rows(DUPS.name, table)] == values
        assert pages.faults == []
    with Pages(tmp_path / DATA) as pages:
        list(pages.rows(DUPS.name, table._replace(entries=table.entries - 1)))
        assert len(pages.faults) == 1
