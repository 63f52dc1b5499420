"""What waits to be sent on one link: hello first, then what our people wrote, then the rest in order."""

from __future__ import annotations

from banyan_node.links.linking import HOLD_BYTES, WRITE_BYTES, _Outbox
from banyan_replica.gossip.frames import Push, Pushes, encode_frame
from banyan_replica.wire import Credit, GossipFrame, encode_message


def relayed(size: int) -> bytes:
    return encode_message(GossipFrame(encode_frame(Pushes((Push(bytes(16), 1, bytes(size)),)))))


async def test_our_posts_overtake_all_but_the_hello() -> None:
    box, flood = _Outbox(), relayed(100_000)
    box.put(b"hello", own=False)
    box.put(b"early post", own=True)
    frames, _ = await box.take()
    assert frames == [b"hello", b"early post"]
    assert box.size == 15, "what is being written takes memory too"
    box.sent(frames)
    for _ in range(10):
        box.put(flood, own=False)
    frames, _ = await box.take()
    assert len(frames) == 1 + WRITE_BYTES // len(flood)
    box.sent(frames)
    box.put(b"post", own=True)
    box.put(b"another", own=True)
    frames, _ = await box.take()
    assert frames[:2] == [b"post", b"another"]
    box.sent(frames)
    while box.frames:
        box.sent((await box.take())[0])
    assert (box.size, box.relayed) == (0, 0)


async def test_only_what_is_relayed_counts_against_the_hold() -> None:
    box = _Outbox()
    box.put(b"hello", own=False)
    await box.take()
    box.put(relayed(HOLD_BYTES), own=True)
    box.put(encode_message(Credit(0)) * HOLD_BYTES, own=False)
    assert box.relayed == 0
    box.put(relayed(10), own=False)
    assert box.relayed == len(relayed(10))


async def test_nothing_waits_for_a_peer_that_is_let_go() -> None:
    box = _Outbox()
    box.put(relayed(100), own=False)
    frames, _ = await box.take()
    box.put(relayed(100), own=False)
    box.end()
    box.sent(frames)
    assert (box.size, box.relayed, list(box.frames)) == (0, 0, [])


async def test_gossip_of_our_people_too_is_sent_for_those_who_wrote_it_and_an_answer_for_the_peer() -> None:
    box = _Outbox()
    box.put(b"hello", own=False)
    assert (await box.take())[1] is False
    for own in (True, False):
        box.put(relayed(1_000), own=own)
        assert (await box.take())[1] is True
    box.put(relayed(1_000), own=False)
    box.put(encode_message(Credit(0)) * 2_000, own=False)
    assert (await box.take())[1] is False
