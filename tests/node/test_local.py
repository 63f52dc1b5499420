"""The store without a node: who may open it, under which name, and that answered writes are durable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from banyan_node.context import TABLES
from banyan_node.edge import Edge, EdgeConfig
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keys, Keystore, PassphraseCost
from banyan_node.home.settings import load
from banyan_node.local import mend_local, open_local, open_reading, peer_id
from banyan_node.operator_errors import CallError, KeysLocked, NoKeys, NoNode, WrongPassphrase
from banyan_storage.engine import Table
from banyan_storage.errors import StoreLocked, StoreReadOnly, StoreVersion
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.tables import ERASED, SCHEMA
from tests.storage.old.load import old_home

CHEAP = PassphraseCost(ops=1, memory=8 << 10)


def made(path: Path, passphrase: str | None = None) -> Home:
    home = Home(path)
    home.prepare()
    Keystore.create(home.keys, passphrase, CHEAP)
    return home


def test_the_name_of_a_node_is_the_one_that_libp2p_gives_it() -> None:
    for n in range(20):
        keys = Keys(bytes((n,)) * 32)
        assert peer_id(keys) == Edge(EdgeConfig(identity_seed=keys.libp2p_seed())).peer_id


def test_what_was_answered_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    home = made(tmp_path)
    with open_local(home, load(home)) as backend:
        account = backend.call("account.create", name="an", hosted=False)["account"]
        uri = backend.call("post", text="hello")["uri"]
    with open_local(home, load(home)) as backend:
        assert backend.call("account.list", limit=10)["accounts"][0]["account"] == account
        assert backend.call("thread", uri=uri)["posts"][0]["text"] == "hello"


def failing(home: Home) -> None:
    with open_local(home, load(home)):
        raise ZeroDivisionError


def test_two_cannot_have_the_store_at_once_and_it_is_let_go_even_after_an_error(tmp_path: Path) -> None:
    home = made(tmp_path)
    with open_local(home, load(home)), pytest.raises(StoreLocked), open_local(home, load(home)):
        pass
    with pytest.raises(ZeroDivisionError):
        failing(home)
    with open_local(home, load(home)) as backend:
        assert backend.call("store.stats")["entries"] == 0


def test_without_keys_or_with_the_wrong_passphrase_nothing_is_opened(tmp_path: Path) -> None:
    home = Home(tmp_path / "none")
    home.prepare()
    with pytest.raises(NoKeys), open_local(home, load(home)):
        pass
    sealed = made(tmp_path / "sealed", "right")
    with pytest.raises(KeysLocked), open_local(sealed, load(sealed)):
        pass
    with pytest.raises(WrongPassphrase), open_local(sealed, load(sealed), "wrong"):
        pass
    assert not sealed.store.exists()
    with open_local(sealed, load(sealed), "right") as backend:
        assert backend.call("store.stats")["entries"] == 0


def test_what_needs_the_network_says_that_no_node_runs(tmp_path: Path) -> None:
    home = made(tmp_path)
    with open_local(home, load(home)) as backend:
        with pytest.raises(NoNode, match="banyan up"):
            backend.call("peers")
        with pytest.raises(CallError, match="no method 'nonsense'"):
            backend.call("nonsense")


def test_a_store_that_cannot_be_written_still_answers_what_is_read(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    Keystore.create(home.keys)
    found = load(home, env={})
    with open_local(home, found) as node:
        node.call("account.create", name="an", hosted=False)
        uri = node.call("post", text="còn đọc được")["uri"]
        digest = node.call("digest")
    why = StoreReadOnly("the store cannot be written; make it writable")
    with open_reading(home, found, why) as reading:
        assert [p["uri"] for p in reading.call("feed", limit=9)["posts"]] == [uri]
        assert reading.call("thread", uri=uri)["posts"][0]["text"] == "còn đọc được"
        assert reading.call("profile.get")["fields"] == {"name": "an"}
        assert reading.call("digest") == digest
        assert reading.call("store.verify")["problems"] == []
        with pytest.raises(StoreReadOnly, match="make it writable"):
            reading.call("post", text="không")


def test_an_old_store_says_what_is_done_with_it_once(tmp_path: Path) -> None:
    home, said = old_home(tmp_path / "home"), list[str]()
    with open_local(home, load(home, env={}), say=said.append) as node:
        assert node.call("store.verify")["problems"] == []
        node.call("account.create", name="an", hosted=False)
    assert len(said) == 2
    assert "The store is of schema 4; bringing it to 10: 68 entries" in said[0]
    assert "were dropped" in said[1]
    assert str(home.mended) in said[1]
    assert home.mended.stat().st_mode & 0o777 == 0o600
    with open_local(home, load(home, env={}), say=pytest.fail):
        pass


def test_a_check_by_hand_goes_over_everything_and_finds_nothing_after_an_upgrade(tmp_path: Path) -> None:
    home, said = old_home(tmp_path / "home"), list[str]()
    found = mend_local(home, load(home, env={}), said.append)
    assert (found.gone, found.wrong_logs) == (9, 4)
    assert len(said) == 2
    assert mend_local(home, load(home, env={}), said.append).gone == 0
    assert said[2:] == ["The store was checked: 16 logs, 59 entries; all are sound."]


@pytest.mark.parametrize("tables", [TABLES, [table for table in TABLES if table != ERASED]])
def test_a_reader_of_an_old_store_is_told_to_open_it_for_writing(tables: Sequence[Table], tmp_path: Path) -> None:
    home = old_home(tmp_path / "home")
    LmdbEngine(home.store, tables).close()
    before = (home.store / "data.mdb").read_bytes()
    reading = open_reading(home, load(home, env={}), StoreReadOnly("the store cannot be written"))
    with (
        pytest.raises(
            StoreVersion, match=f"has schema 4, this program reads {SCHEMA}; nothing was changed. `banyan up`"
        ),
        reading,
    ):
        pass
    assert (home.store / "data.mdb").read_bytes() == before
