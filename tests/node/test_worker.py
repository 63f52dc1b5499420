"""The replica's thread: what a call was told is done, whatever else happens."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from banyan_crdt.errors import Refused
from banyan_node.admission.fair_queue import JobOwner
from banyan_node.links.queues import FOLD_BYTES
from banyan_node.server.servers import find_running
from banyan_node.workers import inbox, process_memory, worker
from banyan_replica.peers.backlog import Lane
from banyan_storage.errors import DiskFull
from bench.harness import anon_mb
from tests.node.real import make_home, make_node, running


async def test_a_frame_that_fails_takes_back_no_call_that_was_answered(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        made = await node.backend.call("account.create", {"name": "An", "hosted": False})
        told: list[str] = []

        def broken(c: Any, now: float) -> None:
            c.store.put_note(b"half", b"done")
            raise IndexError("a bug that a frame found")

        def full(c: Any, now: float) -> None:
            raise DiskFull("no room")

        async def post(k: int) -> None:
            told.append((await node.backend.call("post", {"text": f"post {k}"}))["uri"])

        async with trio.open_nursery() as nursery:
            for k in range(40):
                nursery.start_soon(post, k)
                node.worker.post(broken if k % 2 else full)
        assert len(told) == 40
        found = await node.backend.call("feed", {"account": made["account"], "limit": 100})
        assert {p["uri"] for p in found["posts"]} == set(told)
        assert await node.worker.call(lambda c, now: c.store.note(b"half")) is None


async def test_a_call_refused_after_it_wrote_leaves_nothing_and_spoils_no_other(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        await node.backend.call("account.create", {"name": "An", "hosted": False})

        def refused(c: Any, now: float) -> None:
            c.store.put_note(b"half", b"done")
            raise Refused("no")

        async def refusal() -> None:
            with pytest.raises(Refused):
                await node.worker.call(refused)

        async def post(k: int) -> None:
            await node.backend.call("post", {"text": f"post {k}"})

        heard: list[int] = []
        async with trio.open_nursery() as nursery:
            for k in range(20):
                nursery.start_soon(post, k)
                nursery.start_soon(refusal)
                node.worker.post(lambda c, now: heard.append(1))
        with trio.fail_after(60):  # frames come after calls
            while len(heard) < 20:
                await trio.sleep(0.01)
        digest = await node.backend.call("digest", {})
        assert digest["entries"] == 1 + 1 + 20
        assert await node.worker.call(lambda c, now: c.store.note(b"half")) is None
        assert len(heard) == 20  # each once, and none was dropped


async def test_a_full_disk_is_the_answer_of_every_call_that_it_took_back(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        await node.backend.call("account.create", {"name": "An", "hosted": False})
        answers: list[bool] = []

        def full(c: Any, now: float) -> None:
            raise DiskFull("no room")

        async def write(k: int) -> None:
            try:
                await node.worker.call(lambda c, now: c.store.put_note(b"note %d" % k, b"x"))
                answers.append(await node.worker.call(lambda c, now: c.store.note(b"note %d" % k)) == b"x")
            except DiskFull:
                answers.append(await node.worker.call(lambda c, now: c.store.note(b"note %d" % k)) is None)

        async def fail() -> None:
            with pytest.raises(DiskFull):
                await node.worker.call(full)

        async with trio.open_nursery() as nursery:
            for k in range(20):
                nursery.start_soon(write, k)
            nursery.start_soon(fail)
        assert answers == [True] * 20


async def test_only_little_that_must_be_committed_waits_for_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question is answered at once, and a frame of bulk is large enough by itself."""
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        naps: list[float] = []
        real = time.sleep

        def nap(seconds: float) -> None:
            naps.append(seconds)
            real(seconds)

        def wait(gate: threading.Event) -> None:
            gate.wait()

        async def together(count: int, size: int, writes: bool) -> int:
            """How often the thread waited for more if so many jobs came at once."""
            await node.worker.call(lambda c, now: None)
            await node.worker.call(lambda c, now: None)
            gate = threading.Event()
            node.worker.post(lambda c, now: wait(gate))
            real(0.05)
            naps.clear()
            for _ in range(count):
                node.worker.post(lambda c, now: None, size, writes=writes)
            gate.set()
            await node.worker.call(lambda c, now: None, alone=True)
            return len(naps)

        monkeypatch.setattr(time, "sleep", nap)
        assert await together(5, 100, writes=False) == 0
        assert await together(5, 300, writes=True) > 0
        assert await together(5, inbox.ENOUGH_BYTES, writes=True) == 0


async def test_what_a_batch_brought_is_told_before_timers_do_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        told: list[str] = []

        def due(now: float) -> None:
            told.append("timer")

        def work(c: Any, now: float) -> None:
            told.clear()  # the node's chores may have been told of something before
            c.replica.get_timer = lambda: None if told[-1:] == ["timer"] else 0.0
            c.replica.handle_timer = due

        tell = node.worker._tell

        def telling(do: Callable[[], None]) -> None:
            told.append("told")
            tell(do)

        monkeypatch.setattr(node.worker, "_tell", telling)
        await node.worker.call(work)
        await node.worker.call(lambda c, now: None)
        assert told[:2] == ["told", "timer"]


async def test_a_call_waits_for_no_more_than_the_frame_that_is_being_handled(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        order: list[str] = []
        gate = threading.Event()

        def frame(c: Any, now: float) -> None:
            gate.wait()
            time.sleep(0.006)
            order.append("frame")

        for _ in range(300):
            node.worker.post(frame, whose=JobOwner("stranger", "net"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.worker.call, lambda c, now: order.append("call"))
            await trio.sleep(0.05)
            gate.set()
        assert order.index("call") <= 2
        await node.worker.call(lambda c, now: None)


async def test_no_two_steps_of_a_fold_share_a_commit(tmp_path: Path) -> None:
    """A post that comes waits for what is written, and a process that once had many pages keeps their memory."""
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        gate, commits = threading.Event(), list[int]()

        def step(c: Any, now: float) -> None:
            gate.wait()
            commits.append(c.engine.commits)
            c.store.put_note(b"n", len(commits).to_bytes())

        for _ in range(3):
            node.worker.post(step, FOLD_BYTES, writes=True, whose=JobOwner("stranger", "net"))
        gate.set()
        await node.worker.call(lambda c, now: None)
        while len(commits) < 3:
            await trio.sleep(0.01)
        assert len(set(commits)) == 3


async def test_frames_have_their_share_while_calls_never_end(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        done = trio.Event()

        def frame(c: Any, now: float) -> None:
            heard.append(1)
            if len(heard) == 50:
                node.worker._tell(done.set)

        async def calls() -> None:
            while True:
                await node.worker.call(lambda c, now: None)

        heard: list[int] = []
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(calls)
                for _ in range(50):
                    node.worker.post(frame, whose=JobOwner("peer", "net"))
                await done.wait()
                nursery.cancel_scope.cancel()


async def test_what_a_peers_own_people_wrote_is_durable_before_the_flood_that_it_relays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        order: list[str] = []
        gate, all_done = threading.Event(), trio.Event()

        def note(word: str) -> Callable[[Any, float], None]:
            def do(c: Any, now: float) -> None:
                gate.wait()
                order.append(word)
                c.store.put_note(word.encode(), b"x")
                if len(order) >= 50:
                    node.worker._tell(all_done.set)

            return do

        def commits(c: Any, now: float) -> None:
            commit = c.store.commit

            def committing() -> None:
                order.append("commit")
                commit()

            c.store.commit = committing

        monkeypatch.setattr(worker, "OWN_S", (0.0, 0.0))
        node.worker._own_s = 0.0
        await node.worker.call(commits)
        peer = JobOwner("peer", "net")
        for n in range(50):
            node.worker.post(note(f"relayed {n}"), whose=peer, writes=True)
        node.worker.post(note("own"), whose=peer, writes=True, lane=Lane.FIRST)
        await trio.sleep(0.1)
        gate.set()
        with trio.fail_after(60):
            await all_done.wait()
        at = order.index("own")
        assert at <= 3, "some relayed ones may have begun"
        assert order[at + 1] == "commit"


async def test_where_a_commit_takes_long_more_frames_share_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        store = await node.worker.call(lambda c, now: c.store)
        commit, takes = store.commit, [0.0]

        def slow() -> None:
            time.sleep(takes[0])
            commit()

        monkeypatch.setattr(store, "commit", slow)
        least, most = worker.OWN_S

        async def waits(takes_s: float) -> float:
            takes[0] = takes_s
            await node.worker.call(lambda c, now: c.store.put_note(b"n", b"x"))
            return node.worker._own_s

        assert least <= min([await waits(0.0) for _ in range(20)]) <= most / 2  # a busy machine may hold up some
        assert 0.03 <= await waits(0.015) <= most
        assert await waits(0.1) == most


async def test_what_is_on_its_way_to_the_links_is_bounded_and_calls_go_on_meanwhile(tmp_path: Path) -> None:
    """A short question can be answered with megabytes, and hundreds of them come at once."""
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        done = list[int]()

        def answer(k: int, c: Any, now: float) -> None:
            c.replica._receiving.out.send("nobody", bytes(1 << 20))
            done.append(k)

        for k in range(100):
            node.worker.post(partial(answer, k), whose=JobOwner(f"peer {k}", "10.1.0.0/16"))
        end = time.monotonic() + 60
        while len(done) < worker.HANDED_BYTES >> 20 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.5)  # the event loop takes nothing meanwhile
        assert len(done) == worker.HANDED_BYTES >> 20
        assert await node.worker.call(lambda c, now: len(done)) <= 2 * (worker.HANDED_BYTES >> 20)
        with trio.fail_after(60):
            while len(done) < 100:
                await trio.sleep(0.01)


async def test_large_answers_leave_one_after_the_other(tmp_path: Path) -> None:
    """The links send the first while the next is read from the store."""
    size = 2 * worker.ANSWERS_BYTES
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        left, gate = list[int](), threading.Event()

        def answer(c: Any, now: float) -> None:
            assert gate.wait(60)
            end = time.monotonic() + 2
            while node.worker._taken < len(left) * size and time.monotonic() < end:
                time.sleep(0.001)
            left.append(node.worker._taken // size)
            c.replica._receiving.out.send("nobody", bytes(size))

        for _ in range(5):
            node.worker.post(answer, whose=JobOwner("peer", "10.1.0.0/16"))
        gate.set()
        with trio.fail_after(60):
            while len(left) < 5:
                await trio.sleep(0.01)
        assert left == [0, 1, 2, 3, 4]


async def test_a_node_that_one_thing_holds_up_says_so_where_its_readiness_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.node.HELD_UP_S", 0.2)
    go = threading.Event()
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        at = f"{find_running(node.home)[0].endpoint.url}/readyz"
        async with httpx.AsyncClient() as http:
            assert (await http.get(at)).status_code == 200
            node.worker.post(lambda c, now: hold(go))
            with trio.fail_after(60):
                while (answer := await http.get(at)).status_code == 200:
                    await trio.sleep(0.02)
            assert "one thing has held up all others for 0 s" in answer.json()["error"]["message"]
            go.set()
            with trio.fail_after(60):
                while (await http.get(at)).status_code != 200:
                    await trio.sleep(0.02)


def hold(go: threading.Event) -> None:
    assert go.wait(60)


async def test_work_counts_while_it_goes_on(tmp_path: Path) -> None:
    """What gives way to the replica's thread must see that it works, also in the middle of a long batch."""
    begun, go = threading.Event(), threading.Event()

    def long(c: Any, now: float) -> None:
        begun.set()
        hold(go)

    async with running(make_node(make_home(tmp_path / "a"))) as node:
        node.worker.post(long)
        with trio.fail_after(60):
            while not begun.is_set():
                await trio.sleep(0.01)
        before = node.worker.worked_s
        await trio.sleep(0.01)
        during = node.worker.worked_s
        go.set()
        assert during > before


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
async def test_what_was_freed_between_blocks_that_stay_goes_back_to_the_system() -> None:
    pairs = [(b"x" * 100_000, b"y" * 2_000) for _ in range(400)]
    stays, held = [small for _, small in pairs], anon_mb()
    del pairs
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process_memory.give_back, 0.01)
        with trio.fail_after(60):
            while anon_mb() > held - 20:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert len(stays) == 400
