"""Copies an LMDB environment row by row, for `LmdbEngine.rewrite`. A copy of its pages would have what was deleted
between their rows. The copy is not durable before `lmdb_folder.put_data`.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from banyan_storage.engine import Table

COPIED = 10_000
"""Rows of a transaction of the copy."""


def copy_rows(env: lmdb.Environment, tables: Mapping[Table, Any], copy: Path, map_size: int) -> None:
    """Writes what the last commit holds to the new file `copy`. Raises lmdb.Error."""
    how: dict[str, Any] = {"subdir": False, "lock": False, "sync": False, "mode": 0o600}
    how |= {"map_size": map_size, "max_dbs": len(tables)}
    with lmdb.Environment(str(copy), **how) as to, env.begin() as now:
        for table, rows in tables.items():
            into = to.open_db(table.name.encode(), dupsort=table.dupsort)
            with now.cursor(rows) as cursor:
                found = cursor.iternext(keys=True, values=True)
                while batch := list(islice(found, COPIED)):
                    with to.begin(db=into, write=True) as txn, txn.cursor() as end:
                        end.putmulti(batch, append=not table.dupsort)
