"""Frames prepared on another thread give the same verdicts, and the replica does not wait for unstarted frames."""

import sys
import threading
from collections.abc import Callable

import pytest
import trio

from banyan_crdt.errors import Reject
from banyan_crdt.realm import TEST
from banyan_node.workers.frame_preparer import AHEAD_BYTES, GIVE_WAY_S, NETWORKS, SLICE, THREADS, WORTH, FramePreparer
from banyan_replica.intake.prepare import CheckedRun, PreparedFrame, prepare, slices
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import ControlItem, Credit, DataItems, RunItem
from tests.crdt.make import Person
from tests.replica.helpers import run_item


def nobody(seconds: float) -> None:
    """Nobody pays."""


def bulk(entries: int) -> bytes:
    return encode_message(DataItems([run_item(Person().write(entries))]))


def test_what_was_prepared_elsewhere_is_what_would_be_prepared_here() -> None:
    ahead = FramePreparer(TEST)
    frame = bulk(600)
    assert len(frame) >= WORTH
    cost = list[float]()
    begun = ahead.begin(frame, cost.append)
    assert begun is not None
    begun.result()
    assert len(cost) == 1
    assert cost[0] > 0
    found = ahead.taken(begun, frame)
    assert found == prepare(TEST, frame)
    assert found is not None
    assert isinstance(found.items[0], CheckedRun)
    ahead.close()


def test_a_forged_signature_is_found_out_there_too() -> None:
    ahead = FramePreparer(TEST)
    item = run_item(Person().write(600))
    frame = encode_message(DataItems([RunItem(item.run[:-1] + bytes((item.run[-1] ^ 1,)), [])]))
    begun = ahead.begin(frame, nobody)
    assert begun is not None
    assert isinstance(begun.result().items[0], Reject)
    ahead.close()


def test_only_large_frames_of_bulk_hop() -> None:
    ahead = FramePreparer(TEST)
    assert ahead.begin(bulk(2), nobody) is None
    assert ahead.begin(encode_message(Credit(5)).ljust(WORTH, b"\0"), nobody) is None
    ahead.close()


def test_what_was_not_begun_is_left_to_the_replica_and_a_closed_one_begins_nothing() -> None:
    ahead = FramePreparer(TEST)
    gate = threading.Event()
    for _ in range(THREADS):
        ahead._pool.submit(gate.wait)
    begun = ahead.begin(bulk(600), nobody)
    assert begun is not None
    assert ahead.taken(begun, bulk(600)) is None
    assert ahead.taken(None, bulk(600)) is None
    gate.set()
    ahead.close()
    assert ahead.begin(bulk(600), nobody) is None


def test_only_so_much_is_prepared_ahead_because_it_takes_more_memory_then() -> None:
    ahead, frame = FramePreparer(TEST), bulk(600).ljust(AHEAD_BYTES // 4, b"\0")
    begun = [ahead.begin(frame, nobody) for _ in range(7)]
    assert [one is not None for one in begun] == [True] * 5 + [False] * 2
    for one in begun:
        ahead.taken(one, frame)
    assert ahead.begin(frame, nobody) is not None
    ahead.close()


def test_what_cannot_be_read_is_kept_without_what_was_read_of_it() -> None:
    """A traceback holds the values of every frame that an error passed: megabytes of each bad message."""
    bad = [
        encode_message(DataItems([RunItem(b"\x85" + bytes(300), [])])),
        encode_message(DataItems([ControlItem(Person().id, [[b"", None, b""]], [])])),
        b"\x82\x07" + b"\x99\x27\x10" + b"\x80" * 10_000,
        b"\x82",
    ]
    for frame in bad:
        found = prepare(TEST, frame)
        (why,) = [found.message] if isinstance(found.message, Reject) else found.items
        assert isinstance(why, Reject)
        assert (why.__traceback__, why.__context__) == (None, None)


async def test_a_strangers_frame_comes_in_slices_once_there_is_room() -> None:
    ahead = FramePreparer(TEST)
    frame, cost = encode_message(DataItems([run_item(Person(f"p{n}").write(30)) for n in range(9)])), list[float]()
    parts = await ahead.in_slices(frame, cost.append)
    assert parts == slices(prepare(TEST, frame), SLICE)
    assert len(parts) > 2
    assert cost[0] > 0
    ahead.judged(frame)
    full = bytes(AHEAD_BYTES)
    with trio.fail_after(60):
        await ahead.in_slices(full, nobody)
    with trio.move_on_after(0.1) as scope:
        await ahead.in_slices(frame, nobody)
    assert scope.cancelled_caught
    ahead.judged(full)
    with trio.fail_after(60):
        assert await ahead.in_slices(frame, nobody) == parts
    ahead.close()
    assert await ahead.in_slices(frame, nobody) == []


async def test_one_network_leaves_half_of_the_room_and_peers_that_are_relied_on_have_their_own() -> None:
    ahead, piece = FramePreparer(TEST), bytes(AHEAD_BYTES // 4)
    with trio.fail_after(60):
        for _ in range(2):
            await ahead.in_slices(piece, nobody, "one")
        assert not ahead.has_room(piece, "one", False)
        assert ahead.has_room(piece, "two", False)
        await ahead.in_slices(bytes(AHEAD_BYTES), nobody, "two")
        assert not ahead.has_room(piece, "three", False)
        assert ahead.has_room(piece, "three", True)
        assert ahead.has_room(piece, "one", True)
        ahead.judged(bytes(AHEAD_BYTES), "two")
        ahead.judged(piece, "one")
        assert ahead.has_room(piece, "one", False)
        ahead.judged(piece, "one")
        assert ahead.has_room(bytes(AHEAD_BYTES), "one", False), "a frame of any size has its turn"
    for n in range(2 * NETWORKS):
        await ahead.in_slices(b"x", nobody, f"network {n}")
        ahead.judged(b"x", f"network {n}")
    assert len(ahead._sliced) <= NETWORKS + 2
    assert len(ahead._judged) <= NETWORKS + 2
    ahead.close()


async def test_who_waits_for_room_keeps_no_other_out() -> None:
    ahead, piece = FramePreparer(TEST), bytes(AHEAD_BYTES // 4)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(3):  # the last waits
                nursery.start_soon(ahead.in_slices, piece, nobody, "one")
            await trio.sleep(0.1)
            await ahead.in_slices(piece, nobody, "two")
            nursery.cancel_scope.cancel()
    ahead.close()


async def test_threads_give_way_while_a_strangers_frame_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, found = sys.getswitchinterval(), list[float]()
    here, there = FramePreparer(TEST), FramePreparer(TEST)
    do, both = here._prepare, threading.Barrier(2, timeout=60)

    def prepared(frame: bytes, spent: Callable[[float], None]) -> PreparedFrame:
        both.wait()
        found.append(sys.getswitchinterval())
        both.wait()
        return do(frame, spent)

    for ahead in (here, there):
        monkeypatch.setattr(ahead, "_prepare", prepared)
    async with trio.open_nursery() as nursery:
        for ahead in (here, there):
            nursery.start_soon(ahead.in_slices, b"", nobody)
    assert found == pytest.approx([GIVE_WAY_S] * 2)
    assert sys.getswitchinterval() == pytest.approx(usual)
    here.close()
    there.close()


async def test_a_mistake_while_a_strangers_frame_is_prepared_keeps_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, usual = FramePreparer(TEST), sys.getswitchinterval()

    def mistaken(frame: bytes, spent: Callable[[float], None]) -> PreparedFrame:
        raise MemoryError

    monkeypatch.setattr(ahead, "_prepare", mistaken)
    for _ in range(3):
        with trio.fail_after(60), pytest.raises(MemoryError):
            await ahead.in_slices(bytes(AHEAD_BYTES + 1), nobody)
    assert sys.getswitchinterval() == pytest.approx(usual)
    ahead.close()
