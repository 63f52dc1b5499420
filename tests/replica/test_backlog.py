"""Frames that wait for the replica: bulk without credit is not kept."""

from __future__ import annotations

from banyan_crdt.ids import EntryId
from banyan_replica.gossip.frames import Push, PushFrame, encode_frame
from banyan_replica.peers.backlog import FRAME_OVERHEAD, RELAYED, Backlog, BacklogBytes, Lane
from banyan_replica.peers.flow import OVERSHOOT, WINDOW
from banyan_replica.sync.exchange import PROBE_BYTES
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import MAX_FRAME, Bye, DataItems, GossipFrame, Root, Sketch, WantParts
from tests.crdt.make import Person
from tests.replica.helpers import control_item, plain_hello

BULK = encode_message(DataItems([]))[:2]


def bulk(size: int) -> bytes:
    return BULK + bytes(size - 2)


def test_an_honest_peer_may_send_a_window_and_one_last_frame() -> None:
    b = Backlog()
    assert WINDOW + MAX_FRAME <= WINDOW + OVERSHOOT
    for _ in range(63):
        assert b.put(bulk(WINDOW // 64)) is None
    assert b.put(bulk(MAX_FRAME)) is None
    assert b.put(bulk(WINDOW // 64)) is None


def test_bulk_beyond_that_is_not_kept_until_some_was_taken() -> None:
    b = Backlog()
    frame = bulk(1 << 20)
    for _ in range((WINDOW + OVERSHOOT) >> 20):
        assert b.put(frame) is None
    kept = b.waiting
    why = b.put(frame)
    assert why == "sent 1048576 bytes of bulk more than it had credit for: 8388608 wait here already"
    assert b.waiting == kept == 8 * ((1 << 20) + FRAME_OVERHEAD)
    b.took(frame)
    assert b.put(frame) is None


def test_what_is_not_bulk_needs_no_credit() -> None:
    b = Backlog()
    while b.put(bulk(1 << 20)) is None:
        pass
    for m in (Root(1, bytes(32), 1), Bye(b"so long")):
        assert b.put(encode_message(m)) is None
    assert b.put(encode_message(DataItems([control_item(Person("an"))]))) is not None


def test_posts_of_own_people_and_questions_are_first_and_answers_do_not_wait_behind_what_the_peer_relays() -> None:
    b = Backlog()
    own, relayed = (
        encode_message(GossipFrame(encode_frame(PushFrame((Push(bytes(16), hop, b"x"),))))) for hop in (0, 1)
    )
    question = encode_message(WantParts([(EntryId(bytes(32)), 0)]))
    sketch = encode_message(Sketch(b"", 0, 0, 0, bytes(PROBE_BYTES)))
    late, hello = encode_message(Root(1, bytes(32), 1)), encode_message(plain_hello())
    b.put(late)
    b.took(late)
    assert {b.lane(frame) for frame in (own, relayed, question, sketch)} == {Lane.REST}, "nothing goes before a hello"
    b.put(hello)
    b.took(hello)
    assert [b.lane(frame) for frame in (own, question, sketch, relayed, late, bulk(100))] == [
        Lane.FIRST,
        Lane.FIRST,
        Lane.FIRST,
        Lane.GOSSIP,
        Lane.REST,
        Lane.REST,
    ]


def test_only_what_a_peer_relays_and_announces_is_a_flood_and_none_once_it_was_read() -> None:
    b = Backlog()
    own, relayed = (
        encode_message(GossipFrame(encode_frame(PushFrame((Push(bytes(16), hop, bytes(RELAYED // 4)),)))))
        for hop in (0, 1)
    )
    announced = encode_message(GossipFrame(encode_frame(PushFrame((), (bytes(16),) * 4_096))))
    for frame in (own, encode_message(Root(1, bytes(32), 1)), bulk(RELAYED)):
        for _ in range(5):
            b.put(frame)
    assert not b.floods
    for _ in range(3):
        b.put(relayed)
    assert not b.floods
    for _ in range(5):
        b.put(announced)
    assert b.floods
    b.took(relayed)
    assert not b.floods
    for _ in range(5):
        b.took(own)
    b.put(relayed)
    assert b.floods, "what else was read makes no room for it"


def test_many_peers_together_may_not_use_up_the_memory_and_each_may_send_a_frame() -> None:
    waiting = BacklogBytes()
    frame, crowd = bulk(1 << 20), [Backlog(waiting) for _ in range(100)]
    sent = 0
    for b in crowd:
        while not b.is_full(4 << 20, 16 << 20):
            assert b.put(frame) is None
            sent += 1
    assert waiting.bytes == sent * ((1 << 20) + FRAME_OVERHEAD)
    assert crowd[0].waiting > 4 << 20, "the first has its own share"
    assert [b.waiting for b in crowd[-50:]] == [(1 << 20) + FRAME_OVERHEAD] * 50
    for b in crowd:
        while b.waiting:
            assert b is crowd[-1] or waiting.bytes
            b.took(frame)
    assert waiting.bytes == 0
    assert not crowd[0].is_full(4 << 20, 16 << 20)
