"""The file of the door, where several processes open it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import trio

from banyan_node.home.keystore import Keystore
from banyan_node.node import Node
from banyan_web.door_store import TERMS, DoorStore
from banyan_web.oauth.logins import at_door
from tests.needs import ROOT
from tests.node.real import load_settings, make_home, running

NOBODYS = {"apps", "cards", "webhooks", "sqlite_sequence"}
"""Tables of which no row is of an account: webhooks are of platforms."""
STAYS = {"apps", "logins", "webhooks", "push_subscriptions", "consumers"}
"""Tables with a time of which a row stays until somebody ends it."""


def test_a_row_that_has_a_term_goes_when_nothing_new_comes(tmp_path: Path) -> None:
    door = DoorStore(tmp_path / "door.db")
    times, left = {"expires", "created", "kept", "until", "updated"}, dict[str, int]()
    tables = [str(name) for (name,) in door.rows("select name from sqlite_master where type = 'table'")]
    columns = {table: [column[1:3] for column in door.rows(f"pragma table_info({table})")] for table in tables}
    timed = {table for table in tables if times.intersection(name for name, _ in columns[table])}
    assert timed - STAYS == TERMS.keys()
    now = int(time.time())
    with door.writing() as db:
        for table in TERMS:
            for at in (now - 15 * 86_400, now + 60):
                row = [at if name in times else f"{at}" if kind.lower() in ("text", "blob") else at
                       for name, kind in columns[table]]  # fmt: skip
                db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
    at_door(door.path).end_terms()
    for table in TERMS:
        left[table] = door.rows(f"select count(*) from {table}")[0][0]
    assert left == dict.fromkeys(TERMS, 1)
    door.close()


async def test_a_node_ends_terms_at_its_door_also_without_http(tmp_path: Path) -> None:
    home = make_home(tmp_path / "a")
    door = DoorStore(home.door)
    with door.writing() as db:
        db.execute("insert into cards (url, kept) values ('https://example.org', 1)")

    async with running(Node(home, load_settings(home), Keystore.open(home.keys).keys, at_door=at_door(home.door))):
        with trio.fail_after(30):
            while door.rows("select 1 from cards"):
                await trio.sleep(0.02)
    door.close()


def test_an_erased_account_goes_from_every_table(tmp_path: Path) -> None:
    door = DoorStore(tmp_path / "door.db")
    with door.writing() as db:
        tables = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")} - NOBODYS
        db.execute("pragma defer_foreign_keys = on")
        for whose in ("did:banyan:zAn", "did:banyan:zB"):
            for table in tables:
                columns = list(db.execute(f"pragma table_info({table})"))
                row = [(abs(hash(whose)), whose)[column[2].lower() in ("text", "blob")] for column in columns]
                db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
    door.forget("did:banyan:zAn")
    left = {table: [list(row) for row in door.rows(f"select * from {table}")] for table in tables}
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
