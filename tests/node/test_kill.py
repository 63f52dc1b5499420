"""kill -9 at random moments of a bulk write and of a sync: acknowledged data is there, and the node starts."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import EntryId, LogId, WriterKey, account_from_text
from banyan_node.context import Context
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_storage.check import verify
from banyan_storage.views import VIEW_TABLES
from banyan_storage.views.invalidation import TOUCHED
from banyan_storage.views.journal import JOURNAL
from tests.forking import Code
from tests.needs import NIGHT
from tests.node.real import converged, load_settings, make_home, make_node, running
from tests.replica.helpers import draft
from tests.storage.old.load import old_home

KILLS = 50 if NIGHT else 6
LIVES_PER_HOME = 10


class Victim:
    """The process that forks lives, one at a time."""

    def __init__(self) -> None:
        self.life = 0
        self.process = Code("from tests.node.victim import main; main()")

    def lives(self, order: str, seconds: float) -> list[str]:
        """One life, killed so long after it was ready. Returns what it acknowledged."""
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        pid = self.life = int(self.process.stdout.readline().split()[1])
        ready = self.process.stdout.readline().strip()
        assert ready == "ready", ready
        time.sleep(seconds)
        with suppress(ProcessLookupError):  # it ended by itself, and says why
            os.kill(pid, signal.SIGKILL)
        acknowledged = []
        for line in self.process.stdout:
            if line == "dead\n":
                self.life = 0
                break
            assert line.startswith("ack "), line
            acknowledged.append(line.strip())
        return acknowledged

    def close(self) -> None:
        if self.life:
            with suppress(ProcessLookupError):
                os.kill(self.life, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    made = Victim()
    yield made
    made.close()


def sound(context: Context) -> None:
    with context.store.snapshot() as reader:
        assert verify(reader, lambda account, n: None) == []


def test_after_a_kill_amid_a_bulk_write_every_acknowledged_batch_is_there(victim: Victim, tmp_path: Path) -> None:
    rng = random.Random(1)
    batches = 0
    for life in range(KILLS):
        if life % LIVES_PER_HOME == 0:
            home = make_home(tmp_path / f"home {life}".replace(" ", "-"))
            known: list[EntryId] = []
        known += [
            EntryId(bytes.fromhex(line.split()[1])) for line in victim.lives(f"write {home.path}", rng.random() * 0.15)
        ]
        batches += len(known)
        with open_local(home, load_settings(home)) as local:
            store = local.context.store
            lost = [entry.hex() for entry in known if not store.is_counted(entry)]
            assert lost == [], f"life {life}: of {len(known)} acknowledged batches {len(lost)} are gone"
            sound(local.context)
            assert all(not head.flag for _, head in store.all_heads())
    assert batches > KILLS


async def test_after_the_kills_a_node_starts_on_that_folder_and_writes(victim: Victim, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    for _ in range(2):
        await trio.to_thread.run_sync(victim.lives, f"write {home.path}", 0.05)
    async with running(make_node(home)) as node:
        before = (await node.backend.call("digest", {}))["entries"]
        await node.backend.call("post", {"text": "alive"})
        assert (await node.backend.call("digest", {}))["entries"] == before + 1


def test_after_a_kill_amid_an_upgrade_the_store_is_the_old_one_or_goes_on(victim: Victim, tmp_path: Path) -> None:
    rng, killed = random.Random(3), 0
    source = old_home(tmp_path / "old")
    with open_local(Home(shutil.copytree(source.path, tmp_path / "whole")), load_settings(source)) as local:
        whole = local.context.store.digest()
    for life in range(KILLS // 5):
        home, seconds = Home(shutil.copytree(source.path, tmp_path / f"home-{life}")), 0.01
        while not victim.lives(f"mend {home.path}", rng.random() * seconds):
            killed, seconds = killed + 1, seconds + 0.01
        with open_local(home, load_settings(home), say=pytest.fail) as local:
            assert local.context.store.digest() == whole
            sound(local.context)
    assert killed > KILLS // 5


def fill(home: Home) -> None:
    with open_local(home, load_settings(home)) as local:
        c = local.context
        for k in range(40):
            local.call("account.create", name=f"person {k}", hosted=True)
        for account in list(c.store.accounts()):
            for part in range(3):
                drafts = [draft(f"{account.hex()} {part} {n}", part * 25 + n) for n in range(25)]
                c.replica.writes.publish(c.own_log(account), c.device, drafts, time.time(), push=False)
        c.store.commit()


def test_after_a_kill_amid_the_building_of_views_it_goes_on_where_it_was(victim: Victim, tmp_path: Path) -> None:
    rng, home, killed, finished = random.Random(4), make_home(tmp_path / "home"), 0, 0
    fill(home)
    with open_local(home, load_settings(home)) as local:
        digest = local.call("digest")["views"]
        rows = table_rows(local.context)

    def live(seconds: float, reached: float) -> float:
        for line in victim.lives(f"views {home.path}", seconds):
            done = float(line.split()[1])
            assert done >= reached or "anew" in line, "a life begins where the one before was killed"
            reached = done
        return reached

    reached = 0.0
    while finished < 3:
        reached = live(rng.random() * 0.08, reached)
        if reached == 1:
            finished += 1
        else:
            killed += 1
    assert killed > 3
    while reached == 1:  # and once more, to be left in the middle
        reached = live(rng.random() * 0.04, reached)
    with open_local(home, load_settings(home)) as local:
        assert local.call("digest")["views"] == digest
        assert table_rows(local.context) == rows
        sound(local.context)


def table_rows(context: Context) -> dict[str, int]:
    with context.engine.read() as txn:
        return {table.name: txn.count(table) for table in VIEW_TABLES if table not in (JOURNAL, TOUCHED)}


async def kill_syncs(victim: Victim, source: Node, tmp_path: Path) -> tuple[int, int]:
    """(lines acknowledged, homes that were filled)."""
    rng, address = random.Random(2), source.edge.addresses[0]
    said = filled = 0
    longest = 0.4
    home: Home | None = None
    known: dict[LogId, int] = {}
    for life in range(KILLS):
        if home is None:
            home, known = make_home(tmp_path / f"copy-{life}"), {}
        lines = await trio.to_thread.run_sync(victim.lives, f"sync {home.path} {address}", rng.random() * longest)
        if not lines:
            longest *= 1.5  # a slow machine's lives must be long enough to acknowledge something
        for line in lines:
            _, account, writer, number, length = line.split()
            log = LogId(account_from_text(account), WriterKey(bytes.fromhex(writer)), int(number))
            known[log] = max(known.get(log, 0), int(length))
            said += 1
        with open_local(home, load_settings(home)) as local:
            for log, told in known.items():
                assert local.context.store.head(log).length >= told, f"life {life}: an acknowledged entry is gone"
            sound(local.context)
            held = local.context.store.counts().entries
        if held >= 40 * 77:
            filled += 1
            home = None
    return said, filled


async def test_after_a_kill_amid_a_sync_every_acknowledged_entry_is_there(victim: Victim, tmp_path: Path) -> None:
    origin = make_home(tmp_path / "origin")
    fill(origin)
    async with running(make_node(origin), within=120) as source:
        said, filled = await kill_syncs(victim, source, tmp_path)
        assert said > KILLS
        last = make_home(tmp_path / "last")
        await trio.to_thread.run_sync(victim.lives, f"sync {last.path} {source.edge.addresses[0]}", 0.2)
        async with running(make_node(last, [source.edge.addresses[0]])) as node:
            await converged([source, node])
    print(f"{said} acknowledgements, {filled} folders filled")
