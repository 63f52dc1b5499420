"""The keys file, for its owner, for a thief, and for an owner who lost it."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_node.home.keystore import Keys, Keystore, PassphraseCost, keys_from_words, passphrase_from
from banyan_node.operator_errors import (
    BadBackup,
    KeysExist,
    KeysExposed,
    KeysLocked,
    KeystoreError,
    KeysUnreadable,
    NoKeys,
    WrongPassphrase,
)

CHEAP = PassphraseCost(ops=1, memory=8 << 10)
ZERO = Keys(bytes(32))


def test_the_derived_keys_of_a_known_master_never_change() -> None:
    assert ZERO.libp2p_seed().hex() == "e9fc9865a01f42dfece43e9307b25ea53ba49157d55c666012244137e18a3570"
    assert ZERO.device_seed().hex() == "5f64a408ae73160060edbedc303d57102411aa07ac2c87868951d19069ddb8be"
    assert ZERO.slot_seed(0, 0, 0).hex() == "918106b575127ed2be61e79095a117374d3fad33dbc6d2e7d7d3ced4c57cf689"
    assert ZERO.account_salt(0).hex() == "3a2055811e0f9449fe33f02fe81a1d9ec4abab22f255ff3bab968b8278ee1ac3"


def test_no_two_purposes_share_a_key() -> None:
    keys = [ZERO.libp2p_seed(), ZERO.device_seed(), *(ZERO.account_salt(i) for i in range(5))]
    keys += [ZERO.slot_seed(i, slot, generation) for i in range(3) for slot in range(2) for generation in range(3)]
    assert len(set(keys)) == len(keys)
    assert ZERO.derive("a", b"bc") != ZERO.derive("ab", b"c")
    assert ZERO.derive("a", b"b", b"") != ZERO.derive("a", b"b")


def test_a_keystore_opens_to_the_same_keys(tmp_path: Path) -> None:
    made = Keystore.create(tmp_path / "keys")
    opened = Keystore.open(tmp_path / "keys")
    assert not opened.encrypted
    assert opened.keys.libp2p_seed() == made.keys.libp2p_seed()
    assert not opened.locked


def test_the_file_is_private_even_under_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Keystore.create(tmp_path / "keys")
        store.change_passphrase("fig", CHEAP)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["keys"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    Keystore.create(tmp_path / "keys")
    (tmp_path / "keys").chmod(mode)
    with pytest.raises(KeysExposed, match=f"{mode:04o}.*chmod 600"):
        Keystore.open(tmp_path / "keys")


def test_a_passphrase_seals_the_master_and_only_it_opens_the_seal(tmp_path: Path) -> None:
    made = Keystore.create(tmp_path / "keys", "fig tree", CHEAP)
    master_words = made.keys.words()
    store = Keystore.open(tmp_path / "keys")
    assert store.encrypted
    with pytest.raises(KeysLocked, match="BANYAN_PASSPHRASE"):
        _ = store.keys
    with pytest.raises(WrongPassphrase, match="does not open"):
        store.unlock("fig  tree")
    with pytest.raises(KeysLocked):
        store.unlock(None)
    assert store.unlock("fig tree").words() == master_words
    assert not store.locked
    assert made.keys._master not in (tmp_path / "keys").read_bytes()


def test_changing_the_passphrase_keeps_the_keys_and_retires_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    store = Keystore.create(path, "old", CHEAP)
    seed = store.keys.libp2p_seed()
    store.change_passphrase("new", CHEAP)
    again = Keystore.open(path)
    with pytest.raises(WrongPassphrase):
        again.unlock("old")
    assert again.unlock("new").libp2p_seed() == seed
    again.change_passphrase(None)
    assert Keystore.open(path).keys.libp2p_seed() == seed
    Keystore.create(tmp_path / "other", "x", CHEAP)
    locked = Keystore.open(tmp_path / "other")
    with pytest.raises(KeysLocked):
        locked.change_passphrase("y", CHEAP)


def test_an_empty_passphrase_is_not_mistaken_for_none(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="empty"):
        Keystore.create(tmp_path / "keys", "", CHEAP)


def test_twenty_four_words_bring_every_key_back(tmp_path: Path) -> None:
    made = Keystore.create(tmp_path / "keys")
    words = made.keys.words()
    assert len(words.split()) == 24
    back = Keystore.restore(tmp_path / "elsewhere", "  " + words.upper().replace(" ", "\n"), "fig", CHEAP)
    assert back.keys.slot_seed(3, 1, 2) == made.keys.slot_seed(3, 1, 2)
    assert Keystore.open(tmp_path / "elsewhere").unlock("fig").words() == words


@given(st.binary(min_size=32, max_size=32))
def test_words_and_master_are_one_to_one(master: bytes) -> None:
    assert keys_from_words(Keys(master).words())._master == master


def test_a_wrong_backup_says_which_word_is_wrong() -> None:
    words = ZERO.words().split()
    assert words[0] == "abandon"
    with pytest.raises(BadBackup, match="24 words are needed and 23"):
        keys_from_words(" ".join(words[1:]))
    with pytest.raises(BadBackup, match="Word 7 ") as refused:
        keys_from_words(" ".join([*words[:6], "abandn", *words[7:]]))
    assert "abandn" not in str(refused.value)  # nearly a secret, and errors go into logs
    with pytest.raises(BadBackup, match="checksum"):
        keys_from_words(" ".join([*words[:6], "zoo", *words[7:]]))


def test_keys_are_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    words = Keystore.create(path).keys.words()
    with pytest.raises(KeysExist, match="already holds"):
        Keystore.create(path)
    with pytest.raises(KeysExist):
        Keystore.restore(path, ZERO.words())
    assert Keystore.open(path).keys.words() == words
    assert os.listdir(tmp_path) == ["keys"]


def test_a_damaged_file_is_said_to_be_damaged_and_never_becomes_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with pytest.raises(NoKeys, match="banyan init"):
        Keystore.open(path)
    Keystore.create(path)
    raw = path.read_bytes()
    body = msgspec.json.decode(raw)
    flipped = "A" if body["plain"]["master"][5] != "A" else "B"
    damaged = body["plain"]["master"][:5] + flipped + body["plain"]["master"][6:]
    for broken in (
        b"",
        raw[:-10],
        b"[" * 4000,
        b'{"format":1}',
        raw.replace(body["plain"]["master"].encode(), damaged.encode()),
    ):
        path.write_bytes(broken)
        with pytest.raises(KeysUnreadable, match="24 words"):
            Keystore.open(path)
    path.write_bytes(raw.replace(b'"format":1', b'"format":2'))
    with pytest.raises(KeysUnreadable, match="format 2 and this program reads 1"):
        Keystore.open(path)


def test_a_file_cannot_ask_for_more_memory_than_is_sane(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    Keystore.create(path, "fig", CHEAP)
    path.write_bytes(path.read_bytes().replace(b'"memory":8192', b'"memory":1099511627776'))
    with pytest.raises(KeysUnreadable, match="1099511627776"):
        Keystore.open(path).unlock("fig")


def test_the_passphrase_comes_from_file_then_environment_then_prompt(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from file\n")
    env = {"BANYAN_PASSPHRASE": "from env", "BANYAN_PASSPHRASE_FILE": str(file)}
    assert passphrase_from(file, env, lambda: "asked") == "from file"
    assert passphrase_from(None, env, lambda: "asked") == "from env"
    assert passphrase_from(None, {"BANYAN_PASSPHRASE_FILE": str(file)}) == "from file"
    assert passphrase_from(None, {}, lambda: "asked") == "asked"
    assert passphrase_from(None, {}) is None
    with pytest.raises(KeystoreError, match="cannot be read"):
        passphrase_from(tmp_path / "missing", {})
    for env in ({"BANYAN_PASSPHRASE": "p\udce4ss"}, {"BANYAN_PASSPHRASE_FILE": str(tmp_path / "latin")}):
        (tmp_path / "latin").write_bytes(b"p\xe4ss")
        with pytest.raises(KeystoreError, match="it is not UTF-8"):
            passphrase_from(None, env)


def test_secrets_do_not_show_in_a_repr(tmp_path: Path) -> None:
    store = Keystore.create(tmp_path / "keys")
    assert repr(store.keys) == "Keys(...)"
    assert repr(store.keys._master) not in repr(store)
