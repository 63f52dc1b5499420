"""A damaged `door.db`: one sentence says so, a running node goes on, and `banyan store repair` sets the file aside."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionRejected

from banyan_cli import checks
from banyan_cli.errors import OK, STORAGE
from banyan_storage.errors import CorruptStore, StoreVersion
from banyan_web import door_store
from banyan_web.door_store import DoorStore
from tests.cli.shell import banyan, process
from tests.web.door import Door, open_node
from tests.web.test_streaming import socket_of

PAGE = 4_096
ROOTS = 60
"""The first pages, in which every table begins: a file in which they are whole can be opened."""


def fill(door: DoorStore) -> None:
    """Makes a file of many pages, with nothing beside it."""
    for n in range(300):
        door.mint(None, f"platform {n}", ("host",))
        door.write("insert into cards values (?, null, null, null, ?, 4000000000)", f"https://a.org/{n}", bytes(3_000))
    door.rows("pragma wal_checkpoint(truncate)")


def damage(path: Path, first: int) -> None:
    """The page, and all behind it if it is not the first."""
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write(os.urandom(path.stat().st_size - first * PAGE if first else PAGE))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_damaged_file_ends_a_command_with_what_to_do_until_a_repair_sets_it_aside(home: Path, workers: str) -> None:
    path = home / "door.db"
    door = DoorStore(path)
    fill(door)
    door.close()
    damage(path, 0)
    assert banyan("--home", home, "config", "set", "http.workers", workers).code == OK
    for command in (("up", "--http", "127.0.0.1:0"), ("token", "list"), ("login", "list"), ("store", "verify")):
        ran = process("--home", home, *command)
        assert ran.code == STORAGE, (command, ran)
        assert f"{path} is damaged (file is not a database); stop the node and put a copy back" in ran.out + ran.err
    was = path.read_bytes()
    ran = banyan("--home", home, "store", "repair")
    assert ran.code == OK
    assert f"{path} was damaged and is now {path}-damaged, for you to delete. Lost are passwords, tokens" in ran.err
    assert (home / "door.db-damaged").read_bytes() == was
    assert not path.exists()
    assert banyan("--home", home, "token", "add", "--scopes", "read", "--label", "again").code == OK
    assert banyan("--home", home, "store", "verify").code == OK
    assert banyan("--home", home, "store", "repair").code == OK
    assert path.exists()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another(path: Path) -> None:
    path.unlink()
    sqlite3.connect(path).execute("create table x (a)")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (a_folder, "it is a folder"),
        (lambda path: os.truncate(path, 0), "it is empty"),
        (of_another, "its tables are not those of a door"),
        (lambda path: sqlite3.connect(path).execute("drop table logins"), "its tables are not those of a door"),
    ],
)
def test_a_file_in_which_something_else_is_counts_as_damaged(
    home: Path, spoil: Callable[[Path], object], why: str
) -> None:
    path = home / "door.db"
    with closing(DoorStore(path)) as door:
        door.mint(None, "platform", ("host",))
    spoil(path)
    path.chmod(0o700 if path.is_dir() else 0o600)
    for command in (("up", "--http", "127.0.0.1:0"), ("token", "list"), ("login", "list"), ("store", "verify")):
        ran = process("--home", home, *command)
        assert ran.code == STORAGE, (command, ran)
        assert f"{path} is damaged ({why}); stop the node and put a copy back" in ran.out + ran.err
    with pytest.raises(CorruptStore, match=why):
        checks.door_remembers(path)
    assert banyan("--home", home, "store", "repair").code == OK
    assert (home / "door.db-damaged").exists()
    assert not path.exists()
    assert banyan("--home", home, "token", "add", "--scopes", "read", "--label", "again").code == OK
    assert banyan("--home", home, "store", "verify").code == OK


def test_a_file_of_a_newer_version_is_not_sound_and_not_set_aside(home: Path) -> None:
    path = home / "door.db"
    DoorStore(path).close()
    sqlite3.connect(path).execute("pragma user_version = 999")
    for command in (("up", "--http", "127.0.0.1:0"), ("token", "list"), ("store", "verify"), ("store", "repair")):
        ran = process("--home", home, *command)
        assert ran.code == STORAGE, (command, ran)
        assert f"{path} is of version 999, and this banyan reads" in ran.err
    with pytest.raises(StoreVersion, match="start the newer one"):
        checks.door_remembers(path)
    assert path.exists()


def test_a_file_that_another_process_holds_is_not_set_aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_store, "BUSY_S", 0)
    door = DoorStore(home / "door.db")
    for statement in ("pragma journal_mode = delete", "pragma locking_mode = exclusive", "begin exclusive"):
        door.rows(statement)
    ran = banyan("--home", home, "store", "repair")
    assert ran.code == STORAGE
    assert "is used by another process" in ran.err
    assert (home / "door.db").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_damage_that_a_running_node_meets_is_an_error_of_the_request_and_the_node_goes_on(
    tmp_path: Path, workers: str
) -> None:
    async def story() -> None:
        async with open_node(tmp_path / "home", http__workers=workers) as door:
            an, client = await door.person("an")
            fill(door.store)
            damage(door.store.path, ROOTS)
            beside = Door(door.node, door.url, door.hub)  # with no page in memory
            for n in range(20):  # a worker may have a page in memory: these are on others
                token = {"Authorization": f"Bearer {hashlib.sha256(bytes([n])).hexdigest()}"}
                answer = await client.http.get("/api/v1/accounts/verify_credentials", headers=token)
                if answer.status_code != 401:
                    break
            assert (answer.status_code, answer.json().get("code")) == (507, "storage"), answer.text
            assert "log says which" in answer.json()["error"]
            with pytest.raises(ConnectionRejected) as refused:
                async with socket_of(door, client.token or ""):
                    pass
            assert refused.value.status_code == 507
            with pytest.raises(CorruptStore, match=r"is damaged \("):
                beside.store.tokens()
            with pytest.raises(CorruptStore, match=r"or let `banyan store repair` set it aside"):
                checks.door_remembers(door.store.path)
            await beside.close()
            assert (await door.client().http.get("/health")).status_code == 200
            assert (await door.node.backend.call("post", {"text": "it goes on", "as": an}))["uri"]
        with trio.fail_after(60):
            async with open_node(tmp_path / "home", http__workers=workers) as door:
                while not (failing := (await door.node.backend.call("status", {}))["failing"]):
                    await trio.sleep(0.05)
                assert f"{door.store.path} is damaged" in failing["terms at the door"]
                assert (await door.client().http.get("/health")).status_code == 200

    trio.run(story)
