"""Disk: entries of others stop before it is full, own ones go on, and a full disk ends no node and no start."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from banyan_crdt.ids import AccountId, account_to_text, control_log
from banyan_node.context import Context
from banyan_node.home.config import StorageSettings
from banyan_node.links.link_manager import Links
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import derived_data, storage_quota
from banyan_node.upkeep.storage_quota import QuotaWatch, room_of
from banyan_node.upkeep.tasks import AGAIN_S, LONGEST_S, SOUND_S, Tasks
from banyan_replica.intake.untrusted import ACCOUNT_PART
from banyan_storage.errors import StorageError
from tests.needs import on_own_disk
from tests.node.real import converged, make_home, make_node, running
from tests.node.test_node import account, post, settled, texts

SMALL = 24 << 20
"""Bytes of a disk that can be filled: a store needs 1 MB."""


async def post_for_ever(node: Node) -> None:
    while True:
        await post(node, "x" * 3_000)


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "none", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """A file that takes all but `leave` bytes of the disk. Called again, it takes what became free since."""
    filler, block = disk / "filler", bytes(4096)
    with filler.open("ab", buffering=0) as file:
        while leave == 0 or (stat := os.statvfs(disk)).f_bavail * stat.f_bsize > leave:
            try:
                file.write(block)
            except OSError:
                break
    return filler


async def full(node: Node) -> str | None:
    found: str | None = (await node.backend.call("status", {}))["full"]
    return found


async def until_full(node: Node, wanted: bool) -> str | None:
    with trio.fail_after(60):
        while bool(said := await full(node)) != wanted:
            await trio.sleep(0.05)
    return said


async def until_text(node: Node, text: str) -> None:
    with trio.fail_after(60):
        while text not in await texts(node):
            await trio.sleep(0.05)


LIMITS = [("reserve", "1000 TB", "storage.reserve keeps"), ("max_bytes", "1 kB", "storage.max_bytes allows 0.0 MB")]


@pytest.mark.parametrize(("setting", "value", "sentence"), LIMITS)
async def test_without_room_nothing_of_others_is_taken_and_nobody_is_charged(
    tmp_path: Path, setting: str, value: str, sentence: str
) -> None:
    homes = [make_home(tmp_path / name) for name in "ab"]
    none = {f"storage__{setting}": value}
    with capture_logs() as lines:
        async with running(make_node(homes[0])) as a:
            await account(a, "An")
            await post(a, "before")
            async with running(make_node(homes[1], [a.edge.addresses[0]], **none)) as b:
                await account(b, "Bình")
                await settled(a, 1)
                await post(b, "of b")
                await until_text(a, "of b")
                await post(a, "while there is no room")
                with trio.fail_after(60):  # the comparison finds what is not taken
                    while not (status := await b.backend.call("status", {}))["behind"]:
                        await trio.sleep(0.05)
                assert (await texts(b), status["accounts"], status["complete"]) == ({"of b"}, 1, False)
                assert sentence in str(status["full"])
                assert status["doubt"].startswith("nothing of others is taken")
                (peer,) = await b.backend.call("peers", {})
                rows = await b.backend.call("diff", {"peer": peer["peer"]})
                assert {row["account"] for row in rows} == {(await a.backend.call("id", {}))["account"]}
                for node in (a, b):
                    (row,) = await node.backend.call("peers", {})
                    assert (row["points"], row["connected"], row["ban"]) == (0, True, None)
            assert sum(line["event"] == "nothing of others is taken" for line in lines) == 1
            async with running(make_node(homes[1], [a.edge.addresses[0]], storage__reserve="0")) as b:
                assert await full(b) is None
                await converged([a, b])
                assert await texts(b) == {"before", "of b", "while there is no room"}


@on_own_disk
async def test_below_the_reserve_own_posts_go_on_and_all_is_fetched_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        homes = [make_home(tmp_path / "a"), make_home(disk / "b")]
        async with running(make_node(homes[0])) as a:
            await account(a, "An")
            flags = {"storage__reserve": "5 MB"}
            async with running(make_node(homes[1], [a.edge.addresses[0]], **flags)) as b:
                await account(b, "Bình")
                await settled(a, 1)
                await converged([a, b])
                filler = fill(disk, 3_000_000)
                said = await until_full(b, True)
                (disk / "more").write_bytes(bytes(1_000_000))
                with trio.fail_after(60):  # it says how much is free now, not when it became too little
                    while await full(b) == said:
                        await trio.sleep(0.05)
                await post(a, "of a")
                await post(b, "of b")
                await until_text(a, "of b")
                assert await texts(b) == {"of b"}
                filler.unlink()
                await until_full(b, False)
                await converged([a, b])
                assert await texts(b) == {"of a", "of b"}


@on_own_disk
async def test_how_much_room_there_is_is_known_before_a_peer_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[str]()

    async def look(watch: QuotaWatch, real: Any = QuotaWatch.look) -> None:
        await real(watch)
        seen.append("room")

    async def accept(links: Links, real: Any = Links.accept) -> None:
        seen.append("links")
        await real(links)

    monkeypatch.setattr(QuotaWatch, "look", look)
    monkeypatch.setattr(Links, "accept", accept)
    async with running(make_node(make_home(tmp_path / "a"))):
        assert seen.index("room") < seen.index("links")


async def test_what_strangers_took_is_noted_with_whatever_a_command_commits(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:

        def take(c: Context, now: float) -> bytes | None:
            c.replica.strangers.took(control_log(AccountId(bytes(32))), 1_000, False)
            c.replica.commit()
            return c.store.note(b"strangers")

        assert await node.worker.call(take) == (1_000).to_bytes(8, "big")


@pytest.mark.parametrize(("largest", "of"), [("0", "the store and the free disk"), ("40 MB", "storage.max_bytes")])
async def test_the_share_is_said_to_be_of_what_it_is_of(tmp_path: Path, largest: str, of: str) -> None:
    async with running(make_node(make_home(tmp_path / "a"), storage__max_bytes=largest)) as node:
        assert node.context is not None
        watched, here = node.settings.config.storage, (node.context.engine, node.home.search)
        assert f"10 % of {of}" in room_of(*here, watched, False).allowance
        larger = StorageSettings(max_bytes=1 << 60, reserve=watched.reserve)
        assert "10 % of the store and the free disk" in room_of(*here, larger, False).allowance


async def test_status_names_an_account_of_which_only_a_part_is_taken(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        log = control_log(AccountId(bytes(32)))

        def greedy(c: Context, now: float) -> str:
            most = c.replica.strangers.most
            assert most is not None
            c.replica.strangers.took(log, most // ACCOUNT_PART)
            return c.replica.strangers.why_not("a stranger", log.account)

        assert "this account of a stranger takes" in await node.worker.call(greedy)
        with trio.fail_after(60):
            while "is not taken whole" not in (status := await node.backend.call("status", {}))["doubt"]:
                await trio.sleep(0.05)
        assert status["doubt"].startswith(
            f"{account_to_text(log.account)} is not taken whole: this account of a stranger takes"
        )
        assert "storage.strangers allows" in status["doubt"] == status["strangers"]["part"]
        assert status["strangers"]["full"] is None


async def test_a_full_disk_ends_neither_a_node_nor_its_start_nor_its_stop(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        homes = [make_home(tmp_path / "a"), make_home(disk / "b")]
        async with running(make_node(homes[0])) as a:
            await account(a, "An")
            address = [a.edge.addresses[0]]
            async with running(make_node(homes[1], address, storage__reserve="1 MB")) as b:
                await account(b, "Bình")
                await post(b, "one")
                await converged([a, b])
                fill(disk)
                for _ in range(3):
                    with pytest.raises(CallError, match="no room left"):
                        await post_for_ever(b)
                await until_full(b, True)
                kept = await texts(b)
                assert "one" in kept
            fill(disk)  # the room of control.json, which a stopped node removes
            async with running(
                make_node(homes[1], address, storage__reserve="1 MB")
            ) as b:  # stopped and started on a full disk
                assert not homes[1].running.exists()
                await settled(a, 1)
                assert "one" in await texts(b)
                with pytest.raises(CallError, match="no room left"):
                    await post_for_ever(b)
                (disk / "filler").unlink()
                with trio.fail_after(60):
                    while not homes[1].running.exists():
                        await trio.sleep(0.05)
                await post(b, "two")
                await until_text(a, "two")
            assert not homes[1].running.exists()


async def test_a_task_that_fails_is_named_and_made_again_and_others_go_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    tasks, runs, other = Tasks(lambda: False), [0.0], [0]

    async def fails() -> None:
        runs.append(trio.current_time())
        if len(runs) <= 10:
            raise StorageError("no room left for x.")
        await trio.sleep_forever()

    async def mistaken() -> None:
        raise ExceptionGroup("", [ValueError("7")])

    async def sound() -> None:
        while True:
            await trio.sleep(1)
            other[0] += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tasks.keep, "saving", fails)
        nursery.start_soon(tasks.keep, "daily work", mistaken)
        nursery.start_soon(tasks.keep, "sound", sound)
        await trio.sleep(0.5)
        assert tasks.failing() == {"saving": "no room left for x", "daily work": "a mistake in banyan, ValueError: 7"}
        await trio.sleep(2_000)
        assert list(tasks.failing()) == ["daily work"]
        assert len(runs) == 11
        pauses = [round(b - a) for a, b in pairwise(runs[1:])]
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60][: len(pauses)]
        assert pauses[0] == AGAIN_S < LONGEST_S < SOUND_S
        assert other[0] > 1_990
        nursery.cancel_scope.cancel()


async def test_what_fails_while_the_node_stops_is_not_said() -> None:
    tasks = Tasks(lambda: True)

    async def fails() -> None:
        raise StorageError("the node stopped before it answered")

    await tasks.keep("metrics", fails)
    assert tasks.failing() == {}


async def test_strangers_have_a_share_of_the_disk_beyond_which_who_is_followed_and_who_is_named_has_room(
    tmp_path: Path,
) -> None:
    homes = [make_home(tmp_path / name) for name in "ab"]
    flags = {"storage__max_bytes": "40 MB", "storage__strangers": "1"}
    with capture_logs() as lines:
        async with running(make_node(homes[0], **flags)) as a:
            await account(a, "An")
            async with running(make_node(homes[1], [a.edge.addresses[0]])) as b:
                people = []
                for k in range(40):
                    made = await b.backend.call("account.create", {"name": f"p{k}", "hosted": True})
                    people.append(made["account"])
                for who in people:
                    for k in range(6):
                        await b.backend.call("post", {"as": who, "text": f"{k} ".ljust(1_000, "x")})
                with trio.fail_after(60):
                    while not (status := await a.backend.call("status", {}))["strangers"]["full"]:
                        await trio.sleep(0.05)
                room = status["strangers"]
                assert room["most"] == 400_000 <= room["bytes"] < 450_000
                assert "storage.strangers allows 0.4 MB, 1 % of storage.max_bytes" in room["full"]
                with trio.fail_after(60):
                    while not (status := await a.backend.call("status", {}))["doubt"].startswith("not all accounts of"):
                        await trio.sleep(0.05)
                assert not status["complete"]
                rows = await b.backend.call("diff", {"peer": a.edge.peer_id})
                lacking = {row["account"] for row in rows} & set(people)
                assert lacking
                wanted = sorted(lacking)[0]
                await a.backend.call("follow", {"account": wanted})
                await b.backend.call("post", {"as": wanted, "text": "to my follower"})
                with trio.fail_after(60):
                    while "to my follower" not in await texts(a):
                        await trio.sleep(0.05)
                assert (await a.backend.call("status", {}))["strangers"]["bytes"] < 450_000
                for node in (a, b):
                    (row,) = await node.backend.call("peers", {})
                    assert (row["points"], row["connected"], row["ban"]) == (0, True, None)
                await a.backend.call("peers.add", {"addr": b.edge.addresses[0]})
                await converged([a, b])
    said = sum(line["event"] == "nothing more of strangers is taken" for line in lines)
    assert 1 <= said <= 2  # who is followed leaves its room to others if some of it was held


async def test_a_node_to_which_nothing_comes_seldom_looks_at_its_disk_and_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Counter[str]()
    for module, name in ((storage_quota, "room_of"), (derived_data, "unbuilt")):
        monkeypatch.setattr(module, "LOOK_S", 0.01)
        monkeypatch.setattr(module, name, partial(counted, looks, name, getattr(module, name)))
    async with running(make_node(make_home(tmp_path))) as node:
        await account(node, "An")
        await trio.sleep(0.5)
        looks.clear()
        await trio.sleep(0.5)
        assert not looks
        await post(node, "something to look at")
        with trio.fail_after(60):
            while len(looks) < 2:
                await trio.sleep(0.01)


async def test_other_programs_that_fill_the_disk_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_quota, "LOOK_S", 0.01)
    monkeypatch.setattr(storage_quota, "IDLE_LOOK_S", 0.05)
    async with running(make_node(make_home(tmp_path))) as node:
        assert await full(node) is None
        monkeypatch.setattr(storage_quota, "why_full", lambda *_: "another program took it all")
        await until_full(node, True)


def counted(looks: Counter[str], name: str, do: Callable[..., object], *given: object) -> object:
    looks[name] += 1
    return do(*given)
