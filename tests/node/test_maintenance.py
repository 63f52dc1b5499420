"""Daily work: checkpoints of hosted accounts, and erasing deleted content after 30 days."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from banyan_crdt.control import Control
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, CellKey, account_from_text, control_log
from banyan_crdt.ops import Close, Put
from banyan_node.api import LocalBackend
from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.hosting import claims, hosted
from banyan_node.local import open_local
from banyan_node.upkeep import maintenance
from banyan_replica.intake.author import EntryDraft
from banyan_schema.social import POST
from banyan_storage.due import Work
from banyan_storage.local_tables import OWN_TIPS

DAY = maintenance.DAY_S


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
        assert maintenance.checkpoint_own_accounts(node.context, now).number == 2, "the root's and the device's"
        node.call("post", text="hai")
        assert maintenance.checkpoint_own_accounts(node.context, now + 60).number == 0
        assert maintenance.checkpoint_own_accounts(node.context, now + DAY + 1).number == 1, (
            "a device says nothing of logs"
        )
        assert maintenance.checkpoint_own_accounts(node.context, now + 2 * DAY + 2).number == 0
        assert node.context.replica.ingest.head(control_log(account)).length == 1
        node.context.store.commit()
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
        maintenance.checkpoint_own_accounts(node.context, time.time())
        node.context.store.commit()
        before = node.call("account.show")
        for change, length in (("account.rotate", 2), ("account.recover", 3)):
            node.call(change)
            shown = node.call("account.show")
            assert shown["pins"] == before["pins"]
            assert [c["seq"] for c in shown["checkpoints"]] == [length - 1] * 2
            assert sum(c["root"] for c in shown["checkpoints"]) == 1, "the old root's is gone"
            assert node.context.replica.ingest.head(control_log(account)).length == length
        assert node.call("store.verify")["problems"] == []


def test_nothing_is_signed_of_an_account_that_is_frozen_or_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        control = hosted.control_of(node.context, account)
        for state in (replace(control, frozen=True), replace(control, closed=True)):
            monkeypatch.setattr(hosted, "control_of", lambda *_, state=state: state)
            assert hosted.checkpoint(node.context, account, time.time()) == 0
        monkeypatch.undo()
        assert hosted.checkpoint(node.context, account, time.time()) == 2


def test_an_archive_carries_checkpoints_to_another_node(tmp_path: Path) -> None:
    home, there = _home(tmp_path), Home(tmp_path / "there")
    there.prepare()
    Keystore.create(there.keys)
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="an", hosted=False)
        node.call("post", text="một")
        maintenance.checkpoint_own_accounts(node.context, time.time())
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
        assert maintenance.erase_deleted(node.context, now).number == 0
        assert maintenance.erase_deleted(node.context, now + 29 * DAY).number == 0
        assert maintenance.erase_deleted(node.context, now + 31 * DAY).number == 2
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


def test_the_30_days_begin_when_the_deletion_arrives_not_at_its_own_date(tmp_path: Path) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="an", hosted=False)
        node.call("delete", uri=node.call("post", text="một tin")["uri"])
        later = time.time() + 40 * DAY  # by its own date the deletion is 40 days old when this store first looks
        assert maintenance.erase_deleted(node.context, later).number == 0
        assert maintenance.erase_deleted(node.context, later + 29 * DAY).number == 0
        assert maintenance.erase_deleted(node.context, later + 31 * DAY).number == 1


def _days(node: LocalBackend, first: int, last: int) -> int:
    """Erases once a day. Returns how many parts."""
    return sum(
        maintenance.erase_deleted(node.context, time.time() + day * DAY).number for day in range(first, last + 1)
    )


def test_a_write_that_comes_to_a_deleted_post_later_is_erased_too(tmp_path: Path) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        uri = node.call("post", text="một tin")["uri"]
        node.call("delete", uri=uri)
        assert _days(node, 0, 31) == 1
        key, parts = CellKey(bytes.fromhex(uri.split("/")[1])), node.context.store.counts().parts
        log = node.context.own_log(account)
        put = EntryDraft((Put(POST, key, (), None),), (b"again",))
        node.context.replica.writes.publish(log, node.context.device, [put], time.time())
        assert node.context.store.counts().parts == parts + 1
        assert _days(node, 32, 70) == 1
        assert node.call("store.verify")["problems"] == []


def test_a_daily_round_reads_only_accounts_of_which_something_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        people = [node.call("account.create", name=f"person {k}", hosted=True)["account"] for k in range(9)]
        for who in people:
            node.call("delete", uri=node.call("post", by=who, text="một")["uri"])
        now = time.time()
        assert maintenance.checkpoint_own_accounts(node.context, now).number == 2 * 9
        assert maintenance.erase_deleted(node.context, now + 31 * DAY).number == 9
        maintenance.checkpoint_own_accounts(node.context, now + 32 * DAY)
        node.call("post", by=people[4], text="hai")
        looked = list[AccountId]()
        known = node.context.replica.ingest.control_of

        def seen(account: AccountId) -> Control | None:
            looked.append(account)
            return known(account)

        monkeypatch.setattr(node.context.replica.ingest, "control_of", seen)
        for day in range(33, 80):
            maintenance.checkpoint_own_accounts(node.context, now + day * DAY)
            maintenance.erase_deleted(node.context, now + day * DAY)
        assert set(looked) == {account_from_text(people[4])}


def test_a_store_of_an_older_program_is_read_from_its_beginning_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "ARRIVALS", 3)
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        uri = node.call("post", text="một")["uri"]
        node.call("delete", uri=uri)
        for k in range(9):
            node.call("post", text=f"tin {k}")
        store, now = node.context.store, time.time()
        store.drop_due(Work.CHECKPOINT, account)
        goes = 1
        while maintenance.follow(node.context, now):
            goes += 1
        assert goes > 3
        assert not maintenance.follow(node.context, now)
        assert maintenance.checkpoint_own_accounts(node.context, now).number == 2
        assert maintenance.erase_deleted(node.context, now).number == 0
        assert maintenance.erase_deleted(node.context, now + 31 * DAY).number == 1


def test_what_is_due_survives_a_crash_exactly_as_far_as_what_made_it_due(tmp_path: Path) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        node.call("account.create", name="an", hosted=False)
        node.call("delete", uri=node.call("post", text="một")["uri"])
        store, now = node.context.store, time.time()
        for _ in range(2):
            maintenance.follow(node.context, now)
            assert len(store.due(Work.ERASE, int((now + 31 * DAY) * 1000), 9)) == 1
            store.rollback()
            node.context.replica.commit_failed(None)
            assert store.due(Work.ERASE, int((now + 31 * DAY) * 1000), 9) == []
        maintenance.follow(node.context, now)
        store.commit()
    with open_local(home, settings.load(home, env={})) as node:
        assert maintenance.erase_deleted(node.context, now + 31 * DAY).number == 1


def test_a_restored_account_is_pinned_though_it_grew_before_it_was_known_to_be_ours(tmp_path: Path) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        node.call("post", text="một")
        store, now = node.context.store, time.time()
        maintenance.follow(node.context, now)
        store.put_note(b"hosted:" + account, None)
        store.put_note(b"next account", None)
        store.drop_due(Work.CHECKPOINT, account)
        assert maintenance.checkpoint_own_accounts(node.context, now).number == 0
        assert [h.account for h in claims.take(node.context, [account])] == [account]
        assert maintenance.checkpoint_own_accounts(node.context, now).number == 2


@pytest.mark.parametrize("own", [True, False])
def test_the_logs_of_a_closed_account_are_held_for_30_days_then_only_where_they_were_written(
    tmp_path: Path, own: bool
) -> None:
    home = _home(tmp_path)
    with open_local(home, settings.load(home, env={})) as node:
        account, now = account_from_text(node.call("account.create", name="an", hosted=False)["account"]), time.time()
        node.call("post", text="một")
        (log,) = (log for log in node.context.store.logs(account) if log.log)
        if not own:
            OWN_TIPS.put(node.context.store, log, None)
        root, _ = hosted.slot_signer(node.context, account, 0)
        node.context.replica.author.control(account, root, Close(), int(now * 1000))
        assert node.context.store.head(log).length == 0
        for days, forgotten in ((29, 0), (31, 0 if own else 2), (62, 0)):
            assert maintenance.forget_beside(node.context, now + days * DAY) == (forgotten, False)
            assert len(node.context.store.loose(log)) == (2 if own or days < 30 else 0)
        assert (log in node.context.store.logs(account)) == own
        while maintenance.reclaim_names(node.context, time.time()):
            pass
        assert not maintenance.reclaim_names(node.context, time.time())
        assert node.call("store.verify")["problems"] == []
