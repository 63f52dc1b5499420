"""Search as people use it: on a running node soon after something was said, and without a node at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import derived_data
from banyan_storage.views.journal import JOURNAL
from tests.node.real import converged, load_settings, make_home, make_node, running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi"):
            backend.call("account.create", name=name, hosted=True)
        yield backend


def texts(found: dict[str, Any]) -> list[str]:
    return [row["text"] for row in found["posts"]]


def test_a_command_finds_what_was_said_edited_and_not_what_was_deleted(node: LocalBackend) -> None:
    uri = node.call("post", text="Cô ấy đảm đang", lang="vi")["uri"]
    other = node.call("post", text="đám cưới", by="bình")["uri"]
    assert texts(node.call("search", question="dam dang")) == ["Cô ấy đảm đang"]
    assert texts(node.call("search", question="đam")) == []
    node.call("edit", uri=uri, text="Cô ấy giỏi")
    assert texts(node.call("search", question="đảm")) == []
    assert texts(node.call("search", question="gioi lang:vi")) == ["Cô ấy giỏi"]
    node.call("delete", uri=other)
    assert texts(node.call("search", question="đám")) == []


def test_from_to_and_what_the_reader_does_not_see(node: LocalBackend) -> None:
    uri = node.call("post", text="phở một")["uri"]
    node.call("reply", uri=uri, text="phở hai", by="bình")
    node.call("post", text="phở ba", by="chi", audience="unlisted")
    assert texts(node.call("search", question="phở from:me")) == ["phở một"]
    assert texts(node.call("search", question="from:bình")) == texts(node.call("search", question="phở to:me"))
    assert texts(node.call("search", question="from:bình")) == ["phở hai"]
    assert len(node.call("search", question="phở")["posts"]) == 2
    node.call("mute", account="bình")
    assert texts(node.call("search", question="phở")) == ["phở một"]
    assert len(node.call("search", question="phở", by="chi")["posts"]) == 2


def test_pages_join(node: LocalBackend) -> None:
    for n in range(7):
        node.call("post", text=f"phở {n}")
    found, page = [], node.call("search", question="phở", limit=3)
    for _ in range(9):
        found += texts(page)
        if page["before"] is None:
            break
        page = node.call("search", question="phở", limit=3, before=page["before"])
    assert sorted(found) == [f"phở {n}" for n in range(7)]


@pytest.mark.parametrize(
    ("question", "before", "says"),
    [
        ("", None, "Nothing to look for: give a word, a #tag, or from:ACCOUNT"),
        ("x since:yesterday", None, "Since:yesterday is no day: write it as 2026-01-31."),
        ("from:nobody", None, "no account hosted here has that name"),
        ("x", "zz", "'zz' is no place in a search"),
    ],
)
def test_bad_questions_are_refused_in_a_sentence(
    node: LocalBackend, question: str, before: str | None, says: str
) -> None:
    with pytest.raises(CallError, match=says):
        node.call("search", question=question, before=before)


async def found(node: Node, question: str, number: int) -> None:
    """The index comes to hold so many."""
    with trio.fail_after(120):
        while True:
            answer = await node.backend.call("search", {"question": question})
            if len(answer["posts"]) == number and not answer["behind"]:
                return
            await trio.sleep(0.05)


async def test_a_running_node_finds_what_came_from_a_peer_and_after_a_restart(tmp_path: Path) -> None:
    home = make_home(tmp_path / "b")
    async with running(make_node(make_home(tmp_path / "a"))) as first:
        await first.backend.call("account.create", {"name": "An"})
        uri = (await first.backend.call("post", {"text": "phở bò"}))["uri"]
        async with running(make_node(home, [first.edge.addresses[0]])) as second:
            await converged([first, second])
            await found(second, "pho", 1)
            await first.backend.call("post", {"text": "phở gà"})
            await found(second, "pho", 2)
        await first.backend.call("delete", {"uri": uri})
        async with running(make_node(home, [first.edge.addresses[0]])) as second:
            await converged([first, second])
            await found(second, "pho", 1)


async def test_an_index_that_was_lost_is_made_again_and_the_journal_stays_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.upkeep.derived_data.TRIM_S", 0.0)
    home = make_home(tmp_path / "home")
    async with running(make_node(home)) as node:
        await node.backend.call("account.create", {"name": "An"})
        for n in range(30):
            await node.backend.call("post", {"text": f"phở {n}"})
        await found(node, "phở", 20)
        assert node.context is not None
        with trio.fail_after(120):
            while True:
                with node.context.engine.read() as txn:
                    if txn.count(JOURNAL) == 1:
                        break
                await trio.sleep(0.05)
    home.search.unlink()
    async with running(make_node(home)) as node:
        await found(node, "phở 7", 1)
        await found(node, "phở", 20)


async def test_a_damaged_index_is_made_again_while_the_node_runs(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    async with running(make_node(home)) as node:
        await node.backend.call("account.create", {"name": "An"})
        for n in range(60):
            await node.backend.call("post", {"text": f"phở {n}"})
        await found(node, "phở", 20)
    with closing(sqlite3.connect(home.search)) as index:
        index.execute("pragma wal_checkpoint(truncate)")  # a reader that closes late leaves all of it in the other file
    raw = bytearray(home.search.read_bytes())
    assert len(raw) > 20_000
    for at in range(4_196, len(raw), 512):
        raw[at] ^= 1
    home.search.write_bytes(raw)
    before = home.search.stat().st_ino
    async with running(make_node(home)) as node:
        with trio.fail_after(120):
            while home.search.exists() and home.search.stat().st_ino == before:
                with suppress(CallError):  # a reader that meets the damage says so
                    await node.backend.call("search", {"question": "phở"})
                await node.backend.call("post", {"text": "bún"})
                await trio.sleep(0.15)  # what is written without a pause is read in few steps
        with trio.fail_after(120):
            while (await searched(node, "phở")) != (20, 0):
                await trio.sleep(0.05)
        await found(node, '"phở 7"', 1)


async def test_the_index_gives_way_to_a_replica_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="An")
        for n in range(60):
            backend.call("post", text=f"phở {n}")
    for name, value in (("INDEX_LOOK_S", 1.0), ("STEP", 1), ("INDEX_BUSY", 2_000.0)):
        monkeypatch.setattr(derived_data, name, value)
    async with running(make_node(home)) as node:
        with trio.move_on_after(4):
            while True:
                await node.worker.call(lambda context, now: time.sleep(0.005))
        _, behind = await searched(node, "phở") or (0, 0)
        assert behind > 40, "where it works, one step in seconds is made"


async def searched(node: Node, question: str) -> tuple[int, int] | None:
    """(posts, behind), or None while the index is made again."""
    try:
        answer = await node.backend.call("search", {"question": question})
    except CallError:
        return None
    return len(answer["posts"]), answer["behind"]


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Another process writes. In this one, closing the file would take the locks of the node away."""
    opens, holds = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1])", "c.execute('begin immediate')"
    holds = f"{opens}; {holds}; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", holds, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.kill()


async def test_an_index_that_another_process_held_is_followed_again_at_once(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    async with running(make_node(home)) as node:
        await node.backend.call("account.create", {"name": "An"})
        await node.backend.call("post", {"text": "phở 1"})
        await found(node, "phở", 1)
        with holding(home.search):
            await node.backend.call("post", {"text": "phở 2"})
            await trio.sleep(2)
        await found(node, "phở", 2)
        await node.backend.call("post", {"text": "phở 3"})
        with trio.fail_after(60):
            await found(node, "phở", 3)


async def test_a_word_that_was_deleted_leaves_the_disk_while_the_node_runs(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    async with running(make_node(home)) as node:
        await node.backend.call("account.create", {"name": "An"})
        uri = (await node.backend.call("post", {"text": "secretword"}))["uri"]
        await found(node, "secretword", 1)
        await node.backend.call("delete", {"uri": uri})
        await found(node, "secretword", 0)
        with trio.fail_after(60):
            while any(b"secretword" in file.read_bytes() for file in home.search.parent.glob("search.db*")):
                await trio.sleep(0.1)
