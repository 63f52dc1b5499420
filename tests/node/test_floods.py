"""What a peer relays, and others can flood, does not fill its link: what its own people write and ask is still read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import EntryId
from banyan_crdt.realm import MAIN
from banyan_node.edge import open_edge
from banyan_replica.gossip.frames import AnyFrame, Join, Push, PushFrame, encode_frame
from banyan_replica.intake.prepare import PreparedFrame
from banyan_replica.peers.backlog import RELAYED
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import VERSION, GossipFrame, Hello, WantParts
from tests.node.real import make_home, make_node, running
from tests.node.test_edge import config

SIZE = 4_000
MANY = (5 << 20) // SIZE
"""Frames of this size that are more than waits of a peer here."""


def gossip(frame: AnyFrame) -> bytes:
    return encode_message(GossipFrame(encode_frame(frame)))


def relayed(n: int, asked: tuple[bytes, ...] = ()) -> bytes:
    return gossip(PushFrame((Push(n.to_bytes(16, "big"), 1, bytes(SIZE)),), (), asked))


@pytest.mark.parametrize("at_work", [True, False], ids=["at work", "at rest"])
async def test_while_own_people_work_a_relayed_flood_is_dropped_beyond_what_may_wait_and_its_peer_is_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_work: bool
) -> None:
    monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
    node = make_node(make_home(tmp_path / "a"), limits__ingest_queue_bytes=str(4 << 20), limits__strangers_cpu="1000")
    async with running(node), open_edge(config(1)) as edge, trio.open_nursery() as nursery:
        replica = await node.worker.call(lambda c, now: c.replica)
        receive, read = replica.receive, list[bytes]()

        def noted(peer: str, data: bytes, now: float, ahead: PreparedFrame | None = None) -> None:
            read.append(data)
            if len(data) < SIZE:  # the others are no entries
                receive(peer, data, now, ahead)

        monkeypatch.setattr(replica, "receive", noted)
        link = await edge.dial(node.edge.addresses[0])
        await link.send([encode_message(Hello(VERSION, MAIN.id, bytes(16), 0, bytes(32), 0, b"", 0)), gossip(Join())])
        with trio.fail_after(60):
            while not await node.worker.call(lambda c, now: c.replica.gossip.neighbours()):
                await trio.sleep(0.01)
        (here,), (backlog,) = node.edge.links.values(), [served.backlog for served in node.links._served.values()]
        debts = replica.gossip._tree.links[here.peer_id].debts
        debts[b"o" * 16] = float("inf")
        if at_work:
            node.throttle.works()
        go_on, question = threading.Event(), encode_message(WantParts([(EntryId(bytes(32)), 0)]))
        node.worker.post(lambda c, now: _wait(go_on))
        read.clear()
        put, kept = backlog.put, list[bytes]()

        def keeps(frame: bytes) -> str | None:
            kept.append(frame)
            return put(frame)

        monkeypatch.setattr(backlog, "put", keeps)

        async def flood() -> None:
            for n in range(MANY):
                await link.send([relayed(n)])
            await link.send([relayed(MANY, asked=(b"g" * 16,)), question])

        nursery.start_soon(flood)
        try:
            with trio.fail_after(60):
                while question not in kept if at_work else backlog.waiting <= 4 << 20:
                    await trio.sleep(0.01)
        finally:
            go_on.set()
        last = relayed(MANY, asked=(b"g" * 16,)) if not at_work else gossip(PushFrame((), (), (b"g" * 16,)))
        with trio.fail_after(60):
            while not (question in read and last in read):  # what it asks for is heard, whatever is dropped
                await trio.sleep(0.01)
        came = [frame for frame in read if len(frame) > SIZE]
        if at_work:
            assert RELAYED < sum(map(len, came)) < 3 << 20, "the link would be full, and the question behind it"
            assert not debts, "what it owes may have been dropped"
        else:
            assert came == [*(relayed(n) for n in range(MANY)), last]
            assert debts


def _wait(event: threading.Event) -> None:
    assert event.wait(60)
