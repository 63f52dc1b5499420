"""Daily work: pins for hosted accounts, and deleted content forgotten after its grace."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from banyan_crdt.errors import Refused
from banyan_crdt.ids import account_from_text, control_log
from banyan_node import chores, settings
from banyan_node.home import Home
from banyan_node.keystore import Keystore
from banyan_node.local import open_local

DAY = chores.DAY_S


def _home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    Keystore.create(home.keys)
    return home


def test_an_account_that_moved_gets_its_checkpoints_once_a_day_and_its_control_log_does_not_grow(
    tmp_path: Path,
) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        node.call("post", text="một")
        now = time.time()
        assert chores.checkpoint_own_accounts(node.context, now) == 2, "the root's and the device's"
        assert chores.checkpoint_own_accounts(node.context, now + 60) == 0
        assert chores.checkpoint_own_accounts(node.context, now + DAY + 1) == 0
        node.call("post", text="hai")
        assert chores.checkpoint_own_accounts(node.context, now + 2 * DAY + 2) == 1, "a device says nothing of logs"
        assert node.context.replica.ingest.head(control_log(account)).length == 1
        shown = node.call("account.show")
        assert [(pin["seq"], pin["writer"]) for pin in shown["pins"]] == [
            (log["length"] - 1, log["writer"]) for log in shown["logs"] if log["log"]
        ]
        assert sorted((c["n"], c["root"]) for c in shown["checkpoints"]) == [(1, False), (2, True)]
        assert len(node.call("feed", limit=9)["posts"]) == 2
        assert node.call("store.verify")["problems"] == []


def test_a_key_that_takes_another_ones_place_makes_its_checkpoint_at_once_with_the_pins_of_the_other(
    tmp_path: Path,
) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        node.call("post", text="một")
        chores.checkpoint_own_accounts(node.context, time.time())
        before = node.call("account.show")
        for change, length in (("account.rotate", 2), ("account.recover", 3)):
            node.call(change)
            shown = node.call("account.show")
            assert shown["pins"] == before["pins"]
            assert [c["seq"] for c in shown["checkpoints"]] == [length - 1] * 2
            assert sum(c["root"] for c in shown["checkpoints"]) == 1, "the old root's is gone"
            assert node.context.replica.ingest.head(control_log(account)).length == length
        assert node.call("store.verify")["problems"] == []


def test_an_archive_carries_checkpoints_to_another_node(tmp_path: Path) -> None:
    home, there = _home(tmp_path), Home(tmp_path / "there")
    there.prepare()
    Keystore.create(there.keys)
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="an", hosted=False)
        node.call("post", text="một")
        chores.checkpoint_own_accounts(node.context, time.time())
        node.context.store.commit()
        node.call("archive.export", path=str(tmp_path / "all.banyan"))
    with open_local(there, settings.load(there, env={})) as node:
        taken = node.call("archive.import", path=str(tmp_path / "all.banyan"))
        assert taken["same"]
        assert (taken["rejected"], taken["not_yet"]) == (0, 0)
        assert node.call("store.verify")["problems"] == []


def test_deleted_content_is_kept_for_its_grace_and_then_forgotten_without_moving_a_head(tmp_path: Path) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="an", hosted=False)
        gone = node.call("post", text="bí mật")["uri"]
        node.call("edit", uri=gone, text="bí mật hơn")
        kept = node.call("post", text="ở lại")["uri"]
        node.call("delete", uri=gone)
        before = node.call("digest")
        now = time.time()
        assert chores.erase_deleted(node.context, now) == 0
        assert chores.erase_deleted(node.context, now + 29 * DAY) == 0
        assert chores.erase_deleted(node.context, now + 31 * DAY) == 2
        assert node.call("digest") == before
        assert node.call("store.verify")["problems"] == []
        assert [p["uri"] for p in node.call("feed", limit=9)["posts"]] == [kept]


def test_a_device_of_which_all_logs_are_written_elsewhere_is_refused_and_its_node_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        monkeypatch.setattr(node.context.replica.author, "continues", lambda log: False)
        with pytest.raises(Refused):
            node.context.own_log(account)
        assert node.context.store.pending, "a number drawn among others' writes is not committed before them"


def test_the_grace_begins_when_the_deletion_is_met_and_not_when_it_says_it_was_made(tmp_path: Path) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="an", hosted=False)
        node.call("delete", uri=node.call("post", text="một tin")["uri"])
        later = time.time() + 40 * DAY  # by its own date the deletion is 40 days old when this store first looks
        assert chores.erase_deleted(node.context, later) == 0
        assert chores.erase_deleted(node.context, later + 29 * DAY) == 0
        assert chores.erase_deleted(node.context, later + 31 * DAY) == 1
