"""The file of the door, where several processes open it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from banyan_web.door_store import DoorStore
from banyan_web.firehose.consumers import Consumers
from tests.needs import ROOT

NOBODYS = {"apps", "cards", "webhooks", "sqlite_sequence"}
"""Tables of which no row is of an account: webhooks are of platforms."""


def test_an_erased_account_goes_from_every_table(tmp_path: Path) -> None:
    door = DoorStore(tmp_path / "door.db")
    Consumers(door)
    with door.writing() as db:
        tables = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")} - NOBODYS
        db.execute("pragma defer_foreign_keys = on")
        for whose in ("did:banyan:zAn", "did:banyan:zB"):
            for table in tables:
                columns = list(db.execute(f"pragma table_info({table})"))
                row = [(abs(hash(whose)), whose)[column[2].lower() in ("text", "blob")] for column in columns]
                db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
    door.forget("did:banyan:zAn", "An")
    with door.reading() as db:
        left = {table: [list(row) for row in db.execute(f"select * from {table}")] for table in tables}
    assert {table for table, rows in left.items() if len(rows) != 1 or "did:banyan:zAn" in rows[0]} == set()
    assert b"did:banyan:zAn" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    door.close()


def test_processes_that_open_a_new_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from banyan_web.door_store import DoorStore\n"
        "folder = Path(sys.argv[1]); (folder / f'{sys.argv[2]}.ready').touch()\n"
        "while len(list(folder.glob('*.ready'))) < 4: time.sleep(0.001)\n"
        "for n in range(150): DoorStore(folder / f'{n}.db').close()"
    )
    each = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(n)], cwd=ROOT) for n in range(4)]
    assert [one.wait(120) for one in each] == [0] * 4
    store = DoorStore(tmp_path / "0.db")
    assert store.token(store.mint(None, "test", ("read",))) is not None
    store.close()
