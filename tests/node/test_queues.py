"""What waits to be sent on one link: hello first, then what our people wrote, then news and questions, then answers."""

from __future__ import annotations

from banyan_node.links.queues import HOLD_BYTES, WRITE_BYTES, SendQueue
from banyan_replica.gossip.frames import Join, NeighbourAnswer, NoNeighbour, Push, PushFrame, encode_frame
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import Answered, Credit, DataItems, GossipFrame, RunItem, Scanned, Wants


def relayed(size: int) -> bytes:
    return encode_message(GossipFrame(encode_frame(PushFrame((Push(bytes(16), 1, bytes(size)),)))))


async def test_our_posts_overtake_all_but_the_hello() -> None:
    box, flood = SendQueue(), relayed(100_000)
    box.put(b"hello", own=False)
    box.put(b"early post", own=True)
    box.put(encode_message(Credit(0)), own=False)
    frames, _ = await box.take()
    assert frames == [b"hello", b"early post", encode_message(Credit(0))]
    assert box.size == 18, "what is being written takes memory too"
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
    while box.size:
        box.sent((await box.take())[0])
    assert (box.size, box.relayed) == (0, 0)


async def test_news_overtakes_answers_and_answers_still_go_on() -> None:
    box = SendQueue()
    box.put(b"hello", own=False)
    await box.take()
    answers = [encode_message(DataItems([RunItem(bytes([n]) * 20_000, [])])) for n in range(4)]
    ahead = [relayed(20_000), relayed(20_001), relayed(20_002)]
    for frame in (*answers, *ahead):
        box.put(frame, own=False)
    batches = [(await box.take())[0] for _ in range(4)]
    assert batches == [[ahead[0], answers[0]], [ahead[1], answers[1]], [ahead[2], answers[2]], [answers[3]]]
    assert box.relayed == 0


async def test_a_question_overtakes_what_is_relayed_and_keeps_its_place_behind_our_posts() -> None:
    box = SendQueue()
    box.put(b"hello", own=False)
    await box.take()
    post, question, flood = b"post", encode_message(Wants([])), relayed(20_000)
    for frame in (flood, post, question):
        box.put(frame, own=frame is post)
    assert (await box.take())[0] == [post, question, flood]
    assert box.relayed == 0


async def test_a_link_is_held_while_too_much_waits() -> None:
    box = SendQueue()
    box.put(b"hello", own=False)
    await box.take()
    box.put(relayed(HOLD_BYTES), own=False)
    assert (box.hold(), box.held) == (True, True)
    assert (box.hold(), box.held) == (False, True)
    await box.take()
    assert (box.hold(), box.held) == (True, False)


async def test_what_ends_an_answer_stays_behind_it() -> None:
    box = SendQueue()
    box.put(b"hello", own=False)
    await box.take()
    answer = [encode_message(DataItems([])), encode_message(Answered(1)), encode_message(Scanned(1, b"", 1))]
    for frame in (*answer, encode_message(Credit(1))):
        box.put(frame, own=False)
    assert (await box.take())[0] == [encode_message(Credit(1)), *answer]


async def test_gossip_does_not_wait_where_there_is_nothing_else() -> None:
    box = SendQueue()
    box.put(b"hello", own=False)
    await box.take()
    for _ in range(3):
        box.put(relayed(WRITE_BYTES // 3), own=False)
    assert len((await box.take())[0]) == 3


async def test_only_what_is_relayed_counts_against_the_hold() -> None:
    box = SendQueue()
    box.put(b"hello", own=False)
    await box.take()
    box.put(relayed(HOLD_BYTES), own=True)
    box.put(encode_message(Credit(0)) * HOLD_BYTES, own=False)
    assert box.relayed == 0
    box.put(relayed(10), own=False)
    assert box.relayed == len(relayed(10))


async def test_nothing_waits_for_a_peer_that_is_let_go() -> None:
    box = SendQueue()
    box.put(relayed(100), own=False)
    frames, _ = await box.take()
    box.put(relayed(100), own=False)
    box.end()
    box.sent(frames)
    assert (box.size, box.relayed, list(box.frames)) == (0, 0, [])


async def test_gossip_of_our_people_too_is_sent_for_those_who_wrote_it_and_an_answer_for_the_peer() -> None:
    box = SendQueue()
    box.put(b"hello", own=False)
    assert (await box.take())[1] is False
    for own in (True, False):
        box.put(relayed(1_000), own=own)
        assert (await box.take())[1] is True
    box.put(relayed(1_000), own=False)
    box.put(encode_message(Credit(0)) * 2_000, own=False)
    assert (await box.take())[1] is False


async def test_only_messages_are_sent_for_others_than_the_peer() -> None:
    """What the gossip says of who is a neighbour answers the peer, or is about it: it costs the peer's time."""
    box = SendQueue()
    box.put(encode_message(GossipFrame(encode_frame(PushFrame((Push(bytes(16), 1, bytes(99)),))))), False)
    assert (await box.take())[1]
    for frame in (NeighbourAnswer(True), NoNeighbour(), Join(("/dns/p.org/tcp/1",))):
        box.put(encode_message(GossipFrame(encode_frame(frame))), False)
        assert not (await box.take())[1]
