"""A machine that was put back as a whole does not fork the log that it wrote before."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import account_from_text
from banyan_node import own_log
from banyan_node.api.dispatch import EVERY, if_sure
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_storage.local_tables import OWN_LOG, OWN_LOG_BOOT
from tests.forking import Code
from tests.node.real import converged, load_settings, make_home, make_node, running


async def _texts(node: Node, account: str) -> list[str]:
    return sorted(post["text"] for post in (await node.backend.call("feed", {"account": account}))["posts"])


def _snapshot(home: Home, kept: Path) -> None:
    kept.mkdir()
    for file in (home.store / "data.mdb", home.seen):
        shutil.copyfile(file, kept / file.name)


def _put_back(home: Home, kept: Path) -> None:
    """In place, as a snapshot of a disk does: the same files with the bytes of that day."""
    for file in (home.store / "data.mdb", home.seen):
        shutil.copyfile(kept / file.name, file)
    home.rows.unlink(missing_ok=True)


@pytest.mark.parametrize("writes", [True, False])
async def test_the_first_post_after_a_rollback_waits_for_a_named_peer_and_forks_nothing(
    tmp_path: Path, writes: bool
) -> None:
    home, kept = make_home(tmp_path / "b"), tmp_path / "kept"
    async with running(make_node(make_home(tmp_path / "a")), 120) as a:
        named = [a.edge.addresses[0]]
        async with running(make_node(home, named), 60) as b:
            account = (await b.backend.call("account.create", {"name": "Binh"}))["account"]
            await b.backend.call("post", {"text": "một"})
            await converged([a, b])
        _snapshot(home, kept)
        async with running(make_node(home, named), 60) as b:
            await b.backend.call("post", {"text": "hai"})
            await converged([a, b])
            cursor = (await b.backend.call("firehose", {}))["cursor"]
        _put_back(home, kept)
        async with running(make_node(home, named), 60) as b:
            before = (await b.backend.call("id", {}))["store_id"]
            with trio.fail_after(60):
                while not writes and (await b.backend.call("id", {}))["store_id"] == before:
                    await trio.sleep(0.02)  # what it wrote comes back from the peer
            await b.backend.call("post", {"text": "ba"})  # at once, before any peer is linked
            with trio.fail_after(60):
                while await _texts(b, account) != ["ba", "hai", "một"] or await _texts(a, account) != [
                    "ba",
                    "hai",
                    "một",
                ]:
                    await trio.sleep(0.1)
            with pytest.raises(CallError, match="it is of another store"):
                await b.backend.call("firehose", {"since": cursor})
            shown = await a.backend.call("account.show", {"account": account})
            assert [log["flag"] for log in shown["logs"]] == [0, 0, 0], "the control log, and two that are whole"


def _started_since(home: Home, began_s: float) -> None:
    """As if the machine had been started since the last entry."""
    with open_local(home, load_settings(home)) as node:
        node.call("post", text="một")
        OWN_LOG_BOOT.put(node.context.store, (int(began_s), b"another start"))
        node.context.store.commit()


@pytest.mark.parametrize(("began_days_ago", "new"), [(2.0, True), (0.5, False)])
def test_if_nobody_tells_and_the_machine_was_started_a_new_log_begins_at_most_one_a_day(
    tmp_path: Path, began_days_ago: float, new: bool
) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        account = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        node.call("post", text="không")
    _started_since(home, time.time() - began_days_ago * own_log.DAY_S)
    with open_local(home, load_settings(home)) as node:
        before = node.context.logs.number
        for text in ("hai", "ba"):
            node.call("post", text=text)
        assert (node.context.logs.number != before) is new
        logs = [log for log in node.context.store.heads(account) if log.log and log.log < 1 << 16]
        assert len({log.log for log in logs}) == 1 + new


def test_a_log_that_ends_in_the_future_is_said_by_status_and_another_one_goes_on(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="an", hosted=False)
        c = node.context
        method = node.call
        real, ahead = time.time, 7 * 3600.0
        try:
            time.time = lambda: real() + ahead  # a wrong zone
            method("post", text="mai")
            method("account.pin", account="an")
        finally:
            time.time = real
        for stuck, asked in (
            ("post", {"text": "nay"}),
            ("account.pin", {"account": "an"}),
            ("account.rotate", {"account": "an", "slot": 0}),
        ):
            with pytest.raises(Exception, match="account new-log"):
                node.call(stuck, **asked)
        assert node.call("status")["clock"]["log_ahead_ms"] > 6 * 3_600_000
        before = c.logs.number
        assert node.call("log.begin") == {"log": c.logs.number, "before": before}
        node.call("post", text="nay")
        assert node.call("status")["clock"]["log_ahead_ms"] == 0


def test_a_backup_that_is_put_back_is_another_store_so_that_cursors_from_after_it_are_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="an", hosted=False)
        before = node.context.store.store_id
    (tmp_path / "kept").mkdir()
    shutil.copyfile(home.store / "data.mdb", tmp_path / "kept" / "data.mdb")
    with open_local(home, load_settings(home)) as node:
        node.call("post", text="một")
        assert node.context.store.store_id == before
        cursor = node.call("firehose")["cursor"]
    shutil.copyfile(tmp_path / "kept" / "data.mdb", home.store / "data.mdb")
    with open_local(home, load_settings(home)) as node:
        assert node.context.store.store_id != before
        assert node.call("id")["store_id"] == node.context.store.store_id.hex()
        for text in ("hai", "ba", "bốn"):  # the number of the cursor comes again, for other entries
            node.call("post", text=text)
        with pytest.raises(CallError, match="it is of another store") as caught:
            node.call("firehose", since=cursor)
        assert caught.value.status == 410
        node.call("post", text="hai")
        assert node.call("store.verify")["problems"] == []


_PEOPLE = ("an", "binh", "chi", "dung")
_KILLED = """
import os, signal, sys
from contextlib import ExitStack
from pathlib import Path
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from tests.node.real import load_settings
with ExitStack() as nodes:
    for path in sys.argv[1:]:
        home = Home(Path(path))
        node = nodes.enter_context(open_local(home, load_settings(home)))
        for name in ("an", "binh", "chi", "dung"):
            node.call("post", text="before the restore", **{"as": name})
        print(node.call("firehose")["cursor"], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Folders, each with `home`, whose node was killed, and `kept`, a backup of before; and its last cursor."""
    folder = tmp_path_factory.mktemp("killed")
    home = make_home(folder / "made")
    with open_local(home, load_settings(home)) as node:
        for name in _PEOPLE:
            node.call("account.create", name=name, hosted=name != "an")
    names = ("in place", "beside", "with the home", "not at all")
    for name in names:
        shutil.copytree(home.path, folder / name / "home")
        with open_local(Home(folder / name / "home"), load_settings(home)):
            pass  # it is in its place
        shutil.copytree(folder / name / "home", folder / name / "kept")
    homes = [str(folder / name / "home") for name in names]
    status, told = Code(_KILLED, *homes).end()
    assert status == -signal.SIGKILL
    return {name: (folder / name, line) for name, line in zip(names, told.split(), strict=True)}


@pytest.mark.parametrize("file", ["in place", "beside", "with the home"])
def test_a_backup_under_a_killed_node_is_another_store_wherever_its_file_is(
    killed: dict[str, tuple[Path, str]], file: str
) -> None:
    folder, cursor = killed[file]
    home, kept = Home(folder / "home"), folder / "kept"
    if file == "in place":
        shutil.copyfile(kept / "store" / "data.mdb", home.store / "data.mdb")
    elif file == "beside":
        (kept / "store" / "data.mdb").replace(home.store / "data.mdb")
        (kept / home.seen.name).replace(home.seen)
    else:
        shutil.rmtree(home.path)
        kept.replace(home.path)
    with open_local(home, load_settings(home)) as node:
        for name in (*_PEOPLE, *_PEOPLE):  # it grows past the cursor
            node.call("post", text="after it", **{"as": name})
        with pytest.raises(CallError, match="it is of another store"):
            node.call("firehose", since=cursor)


def test_a_store_whose_node_was_killed_or_that_the_program_wrote_anew_stays_the_same(
    killed: dict[str, tuple[Path, str]],
) -> None:
    folder, cursor = killed["not at all"]
    home = Home(folder / "home")
    with open_local(home, load_settings(home)) as node:
        assert node.call("firehose", since=cursor)["events"] == []
        store, logs = node.context.store, node.context.logs
        before = store.store_id, logs.number
        node.context.engine.rewrite()  # as an erasure does
        logs.note_place()
        store.commit()
    with open_local(home, load_settings(home)) as node:
        store = node.context.store
        assert (store.store_id, node.context.logs.number) == before
        place = own_log._place(home.store)
        older = place.rpartition(b":")[0] if place.count(b":") == 2 else place
        OWN_LOG.put(store, (before[1], older))  # as older programs did
        store.commit()
    home.seen.write_text(f"{before[0].hex()} 1\n")
    with open_local(home, load_settings(home)) as node:
        assert (node.context.store.store_id, node.context.logs.number) == before


def test_acts_of_a_later_day_make_a_store_another_too(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        an = account_from_text(node.call("account.create", name="an", hosted=False)["account"])
        before = node.context.store.store_id
    shutil.copyfile(home.store / "data.mdb", tmp_path / "kept")
    with open_local(home, load_settings(home)) as node:
        node.context.store.note_act("limited", an)
        node.context.store.commit()
    shutil.copyfile(tmp_path / "kept", home.store / "data.mdb")
    with open_local(home, load_settings(home)) as node:
        assert node.context.store.store_id != before


def test_what_is_signed_for_good_is_refused_while_named_platforms_say_that_this_clock_is_ahead() -> None:
    wrong = "this clock is 60 min ahead of the only named platform; set it, with NTP if you can"
    with pytest.raises(CallError, match="60 min ahead") as refused:
        if_sure({"account": "an"}, wrong, 3_600_000)
    assert "sure" in refused.value.more
    for given, sentence, ahead in (
        ({"sure": True}, wrong, 3_600_000),
        ({"check": True}, wrong, 3_600_000),
        ({}, None, 200_000),
        ({}, wrong, -3_600_000),
        ({}, wrong, None),
    ):
        assert if_sure(given, sentence, ahead) == {name: True for name in given if name != "sure"}
    with pytest.raises(CallError):
        if_sure({"sure": 1}, wrong, 3_600_000)


def test_every_method_that_changes_the_keys_of_an_account_is_final() -> None:
    others = {"account.create", "account.await", "account.unerase"}  # the last can't wait until a clock is set
    changes = {name for name, m in EVERY.items() if name.startswith("account.") and m.kind == "write"}
    assert {name for name, m in EVERY.items() if m.final} == changes - others
