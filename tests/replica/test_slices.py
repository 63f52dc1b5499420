"""The slices of a frame, judged in their order, come to what the frame comes to."""

from itertools import chain
from typing import Any

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.errors import Malformed
from banyan_crdt.realm import TEST
from banyan_replica.gossip.frames import Push, PushFrame, decode_frame, encode_frame
from banyan_replica.gossip.settings import MAX_ITEMS
from banyan_replica.intake.prepare import LARGE, CheckedRun, PreparedFrame, prepare, slices
from banyan_replica.wire.data_items import encode_item, size_of
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import Credit, DataItems, GossipFrame, Message
from tests.crdt.make import Person
from tests.replica.helpers import run_item

MOST = 4_096


def prepared(message: Message) -> PreparedFrame:
    return prepare(TEST, encode_message(message))


def gossip(*sizes: int, **more: Any) -> PushFrame:
    return PushFrame(tuple(Push(bytes([n % 251]) * 16, 1, bytes(size)) for n, size in enumerate(sizes)), **more)


def pushes_of(part: PreparedFrame) -> PushFrame:
    assert isinstance(part.message, GossipFrame)
    found = decode_frame(part.message.frame)
    assert isinstance(found, PushFrame)
    return found


def test_items_of_data_stay_in_order_and_the_last_slice_says_how_large_the_frame_was() -> None:
    items = [run_item(Person(f"p{n}").write(1 + 5 * n)) for n in range(20)]
    whole = prepared(DataItems([*items]))
    parts = slices(whole, MOST)
    assert 2 < len(parts) < len(items)
    assert [p.size for p in parts] == [0] * (len(parts) - 1) + [whole.size]
    assert list(chain.from_iterable(p.items for p in parts)) == whole.items
    for part in parts:
        assert isinstance(part.message, DataItems)
        assert len(part.message.items) == len(part.items)
        assert len(part.items) == 1 or sum(map(size_of, part.message.items)) <= MOST


def test_what_a_gossip_frame_says_beside_its_messages_goes_last() -> None:
    frame = gossip(2_000, 2_000, 50, 9_000, 10, 0, ihaves=(bytes(16),), grafts=(b"\1" * 16,), prune=True)
    parts = [pushes_of(p) for p in slices(prepared(GossipFrame(encode_frame(frame))), MOST)]
    assert [[len(push.payload) for push in p.items] for p in parts] == [[2_000, 2_000, 50], [9_000], [10, 0]]
    assert tuple(chain.from_iterable(p.items for p in parts)) == frame.items
    assert [p[1:] for p in parts[:-1]] == [((), (), False)] * 2
    assert parts[-1][1:] == frame[1:]


@pytest.mark.parametrize(
    "frame",
    [
        [],
        [0],
        [0, 7],
        [0, [], [bytes(16)], [], 0],
        [0, [[b"", 0]] * 9, [], [], 0],
        [0, [[bytes(16), 0, 5]] * 9, [], [], 0],
        [0, [7, [bytes(16), 0, bytes(9_000)]], [], [], 0],
        [0, [[bytes(16), 0, bytes(90)]] * (MAX_ITEMS + 1), [], [], 0],
        [1, [[bytes(16), 0, bytes(9_000)]] * 9],
    ],
)
def test_a_gossip_frame_without_messages_or_with_wrong_ones_stays_whole(frame: list[Any]) -> None:
    whole = prepared(GossipFrame(frame))
    assert slices(whole, MOST) == [whole]


def test_a_frame_that_is_wrong_beside_its_messages_is_wrong_in_its_last_slice() -> None:
    *good, last = slices(prepared(GossipFrame([0, [[bytes(16), 0, bytes(3_000)]] * 3, 7, [], 0])), MOST)
    assert len(good) == 2
    assert all(len(pushes_of(p).items) == 1 for p in good)
    with pytest.raises(Malformed):
        pushes_of(last)


def test_other_frames_and_wrong_ones_stay_whole() -> None:
    for whole in (prepared(Credit(5)), prepare(TEST, b"\xff"), prepared(DataItems([]))):
        assert slices(whole, MOST) == [whole]


def test_a_large_message_of_the_gossip_is_read_ahead_and_goes_with_each_slice() -> None:
    small, large = (encode(encode_item(run_item(Person(f"p{n}").write(n)))) for n in (1, 600))
    assert len(large) >= LARGE
    lie = bytes(LARGE)
    frame = GossipFrame(
        encode_frame(PushFrame(tuple(Push(bytes([n]) * 16, 0, raw) for n, raw in enumerate((small, large, lie)))))
    )
    assert not prepared(frame).pushed
    whole = prepare(TEST, encode_message(frame), pushed=True)
    assert whole.pushed.keys() == {large, lie}
    assert isinstance(whole.pushed[large], CheckedRun)
    assert isinstance(whole.pushed[lie], Malformed)
    assert [part.pushed for part in slices(whole, MOST)] == [whole.pushed] * 3
