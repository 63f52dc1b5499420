"""Bad input sent to a real node over a real link by a peer that means ill: what it gets for each, and that it is all.

Every case ends with the same question: does the node say the same as before, is its store without a fault, and does it
go on serving others?
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.ids import AccountId, coll
from banyan_crdt.ops import Add, Op, Unknown
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.run import MAX_RUN_BYTES, encode_control
from banyan_node.edge import Edge, EdgeConfig, EdgeError, Link, open_edge
from banyan_node.node import Node
from banyan_replica.wire.message_table import decode_message, encode_message
from banyan_replica.wire.messages import (
    MAX_RANGE,
    VERSION,
    Bye,
    ControlItem,
    DataItems,
    Heads,
    Hello,
    Message,
    RunItem,
    Sums,
)
from banyan_storage.check import verify
from tests.crdt.make import START, Person, add, b32, follow, key, run_bytes
from tests.node.real import make_home, make_node, running
from tests.replica.helpers import control_item, run_item


class Held(NamedTuple):
    """The node's answers about itself, to compare before and after."""

    digest: str
    entries: int


class Bench(NamedTuple):
    """One real node of the test realm, which holds five entries of `an`, and a link to it from a rogue."""

    node: Node
    edge: Edge
    link: Link
    an: Person
    log: list[Entry]
    questions: Iterator[int]

    async def say(self, *messages: Message | bytes) -> None:
        await self.link.send([m if isinstance(m, bytes) else encode_message(m) for m in messages])

    async def hear(self, kind: type[Message], within: float = 60.0) -> Any:
        with trio.fail_after(within):
            while not isinstance(m := decode_message(await self.link.receive()), kind):
                pass
        return m

    async def taken_in(self) -> None:
        """Returns once the node has handled all messages before (it answers a question at the end)."""
        asked = next(self.questions)
        prefix = bytes(asked >> 4 * k & 15 for k in range(MAX_RANGE))
        await self.say(Sums(b"", prefix, [(1, b32("x")[:16])] * 16))
        while (await self.hear(Heads)).prefix != prefix + b"\x0f":
            pass

    async def let_go(self) -> Bench:
        """Returns, with a new link, once the node has said why it ended this one."""
        bye = await self.hear(Bye)
        assert bye.reason.startswith(b"what you serve is not what was written, look at your store: ")
        with trio.fail_after(60), pytest.raises(EdgeError):
            await to_its_end(self.link)
        again = self._replace(link=await self.edge.dial(self.node.edge.addresses[0]))
        await again.say(hello())
        return again

    async def held(self) -> Held:
        found = await self.node.backend.call("digest", {})
        return Held(found["digest"], found["entries"])

    async def standing(self) -> tuple[float, str]:
        peer = self.edge.peer_id

        def look(c: Any, now: float) -> tuple[float, str]:
            return c.replica.ledger.points(peer, now), c.replica.ledger.last_sentence(peer)

        found: tuple[float, str] = await self.node.worker.call(look)
        return found

    async def notes(self) -> list[tuple[str, str]]:
        def look(c: Any, now: float) -> list[tuple[str, str]]:
            return [(n.reason, n.sentence) for n in c.replica.intake.notes.values()]

        found: list[tuple[str, str]] = await self.node.worker.call(look)
        return found

    async def serves(self) -> None:
        """Checks that another peer is served, and that the store is sound."""
        async with link_to(self.node, b"\x55" * 32) as (_, link):
            await link.send([encode_message(hello())])
            with trio.fail_after(60):
                while not isinstance(decode_message(await link.receive()), Hello):
                    pass
        assert self.node.context is not None
        with self.node.context.store.snapshot() as reader:
            assert verify(reader, lambda account, n: None) == []
        await self.node.backend.call("status", {})


def hello(**changed: Any) -> Hello:
    return Hello(VERSION, TEST.id, b"a rogue's store.", 0, bytes(32), 0, b"", 0)._replace(**changed)


@asynccontextmanager
async def link_to(node: Node, seed: bytes) -> AsyncIterator[tuple[Edge, Link]]:
    async with open_edge(EdgeConfig(identity_seed=seed, listen=("/ip4/127.0.0.1/tcp/0",))) as edge:
        await edge.wait_up()
        yield edge, await edge.dial(node.edge.addresses[0])


@asynccontextmanager
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    an = Person("an")
    log = an.write(5)
    async with (
        running(make_node(make_home(tmp_path / "node"), node__realm="test")) as node,
        link_to(node, b"\x77" * 32) as (edge, link),
    ):
        b = Bench(node, edge, link, an, log, count())
        await b.say(hello(), DataItems([control_item(an), run_item(log)]))
        await b.taken_in()
        assert (await b.held()).entries == 7
        assert await b.standing() == (0, "")
        yield b


async def to_its_end(link: Link) -> None:
    while True:
        await link.receive()


def changed_run(log: Sequence[Entry], first: int, stop: int, change: Callable[[list[Any]], None]) -> RunItem:
    v = decode(run_bytes(log, first, stop))
    change(v)
    return RunItem(encode(v), [])


def resigned(log: Sequence[Entry], sig: bytes) -> RunItem:
    return changed_run(log, 5, len(log), lambda v: v.__setitem__(8, sig))


def more(b: Bench, n: int = 1) -> list[Entry]:
    return b.an.write(5 + n)


def small_order(b: Bench) -> RunItem:
    """A key of small order, for which one signature is valid for everything; libsodium refuses it."""
    writer = bytes([1]) + bytes(31)

    def forge(v: list[Any]) -> None:
        v[1], v[8] = writer, writer + bytes(32)

    return changed_run(b.an.write(1), 0, 1, forge)


def high_s(b: Bench) -> RunItem:
    """The same signature with S + L: a second form of the same signature, if it were accepted."""
    log = more(b)
    sig = log[5].sig or b""
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(sig[32:], "little") + order
    return resigned(log, sig[:32] + s.to_bytes(32, "little"))


def truncated(b: Bench) -> RunItem:
    return RunItem(run_bytes(more(b), 5, 6)[:-9], [])


def long_form(b: Bench) -> bytes:
    """The log number 1 in two bytes: the same value, but not the shortest form."""
    raw = encode_message(DataItems([run_item(more(b), 5)]))
    at = raw.index(b"\x58\x20" + b.an.key("phone")) + 34
    assert raw[at] == 1
    return raw[:at] + b"\x18\x01" + raw[at + 1 :]


def nested(b: Bench) -> RunItem:
    return changed_run(more(b), 5, 6, lambda v: v[7].__setitem__(0, [1, 0, b"\x81" * 9_000 + b"\x00"]))


def other_realm(b: Bench) -> RunItem:
    mine = follow("an phone", b.an.log(), b.log, add("x"), realm=MAIN)
    return RunItem(run_bytes([*b.log, mine], 5, 6), [])


def out_of_order(b: Bench) -> RunItem:
    return changed_run(more(b, 2), 5, 7, lambda v: v[7].reverse())


def backwards(b: Bench) -> RunItem:
    return RunItem(run_bytes([*b.log, follow("an phone", b.an.log(), b.log, add("x"), time=START)], 5, 6), [])


def heavy_run(b: Bench) -> RunItem:
    return RunItem(bytes(MAX_RUN_BYTES + 1), [])


def heavy_ops(b: Bench) -> RunItem:
    return changed_run(more(b), 5, 6, lambda v: v[7].__setitem__(0, [1, 0, bytes(16_385)]))


def false_content(b: Bench) -> RunItem:
    return run_item(b.log)._replace(contents=[b"content"])


def control_unsigned(b: Bench) -> ControlItem:
    header, _, ops = encode_control(b.an.control[0], encode_header(b.an.control[0].header))
    return ControlItem(b.an.id, [[header, bytes(64), ops]], [])


def control_elsewhere(b: Bench) -> ControlItem:
    return ControlItem(AccountId(b32("somebody else")), control_item(b.an).entries, [])


def control_ops_swapped(b: Bench) -> ControlItem:
    (h0, s0, _), (_, _, o1) = control_item(b.an).entries
    return ControlItem(b.an.id, [[h0, s0, o1]], [])


REJECTED: list[tuple[str, Callable[[Bench], RunItem | ControlItem | bytes], str]] = [
    ("unsigned", lambda b: resigned(more(b), bytes(64)), "signature"),
    ("no signature at all", lambda b: resigned(more(b), b""), "ends in a signature of 64 bytes"),
    ("signed by another key", lambda b: resigned(more(b), b.an.control[0].sig or b""), "signature"),
    ("a key of small order", small_order, "signature|writer"),
    ("an S that is too large", high_s, "signature"),
    ("truncated", truncated, "claims .* bytes and has|breaks off"),
    ("a run too long", heavy_run, "1048577 bytes; 1048576 is the most"),
    ("ops too long", heavy_ops, "16385 bytes; 16384 is the most"),
    ("not the one form", long_form, "deterministic"),
    ("nested too deep", nested, "deep|nest"),
    ("of another realm", other_realm, "signature"),
    ("out of order", out_of_order, "time must rise|signature|total"),
    ("dated before its parent", backwards, "does not follow its parent"),
    ("content that was not named", false_content, "has no part"),
    ("a control entry unsigned", control_unsigned, "signature"),
    ("a control log offered as another's", control_elsewhere, "not of the control log that was offered"),
    ("a control entry with other ops", control_ops_swapped, "ops are not the ones"),
]


@pytest.mark.parametrize(("make", "sentence"), [c[1:] for c in REJECTED], ids=[c[0] for c in REJECTED])
async def test_what_every_node_would_reject_costs_its_sender_and_changes_nothing(
    tmp_path: Path, make: Callable[[Bench], RunItem | ControlItem | bytes], sentence: str
) -> None:
    async with bench(tmp_path) as b:
        before = await b.held()
        made = make(b)
        await b.say(made if isinstance(made, bytes) else DataItems([made]))
        b = await b.let_go()
        points, reason = await b.standing()
        assert points == pytest.approx(10, abs=0.1)
        assert re.search(sentence, reason), reason
        assert await b.held() == before
        assert await b.notes() == []
        await b.say(DataItems([run_item(more(b), 5)]))  # and the same peer may still tell the truth
        await b.taken_in()
        assert (await b.held()).entries == before.entries + 1
        await b.serves()


def future(b: Bench) -> list[Entry]:
    return [*b.log, follow("an phone", b.an.log(), b.log, add("x"), time=1 << 62)]


async def test_what_cannot_be_judged_yet_costs_nothing_and_is_noted(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        before = await b.held()
        stranger, an = Person("stranger"), b.an
        gap = run_item(an.write(9), 7)
        unknown_version = bytearray(encode_header(an.control[1].header))
        unknown_version[1] = 2
        later = encode_control(an.control[1], bytes(unknown_version))
        cases: list[tuple[RunItem | ControlItem, str, str]] = [
            (run_item(future(b), 5), "future", "more than 5 minutes ahead"),
            (gap, "gap", "begins at entry 7; 5 entries are held"),
            (run_item(an.write(1, device="stolen tablet")), "grant", "has no grant for log 1"),
            (run_item(stranger.write(2)), "account", "ask for its control log"),
            (ControlItem(an.id, [later], []), "version", "update"),
        ]
        for item, reason, sentence in cases:
            await b.say(DataItems([item]))
            await b.taken_in()
            assert await b.standing() == (0, "")
            assert await b.held() == before
            noted = await b.notes()
            assert noted[-1][0] == reason
            assert sentence in noted[-1][1]
        await b.serves()


async def test_after_a_cut_nothing_is_kept_and_no_peer_is_charged(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        many = b.an.write(1, number=3)
        await b.say(DataItems([control_item(b.an, [*b.an.control, b.an.say(b.an.cut("phone", b.log[4]))])]))
        await b.taken_in()
        before = await b.held()
        await b.say(DataItems([run_item(more(b), 5), run_item(many)]))
        await b.taken_in()
        assert await b.standing() == (0, "")
        assert await b.held() == before
        assert {reason for reason, _ in await b.notes()} == {"cut"}
        await b.serves()


async def test_a_log_at_its_limit_does_not_grow(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        log: list[Entry] = []
        late = b.an.control[1].header.time
        for _ in range(12):
            for _ in range(1_024):
                log.append(follow("an phone", b.an.log(number=2), log, time=late + len(log) + 1, signed=False))
            log[-1] = follow("an phone", b.an.log(number=2), log[:-1], time=late + len(log))
            await b.say(DataItems([run_item(log, len(log) - 1_024)]))
        await b.taken_in()
        shown = await b.node.worker.call(lambda c, now: c.store.head(b.an.log(number=2)))
        assert shown.length == TEST.entry_burst
        assert {reason for reason, _ in await b.notes()} == {"limit"}
        assert await b.standing() == (0, "")
        await b.serves()


async def test_a_fork_is_kept_as_evidence_and_its_messenger_is_not_charged(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        other = b.an.write(2, below=b.log[:3], tag="x")
        await b.say(DataItems([run_item(other, 3)]))
        await b.taken_in()
        head = await b.node.worker.call(lambda c, now: c.store.head(b.an.log()))
        assert (head.length, head.flag) == (3, 1)
        assert await b.standing() == (0, "")
        await b.serves()


async def test_unknown_operations_and_collections_are_carried_and_touch_no_view(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        before = await b.node.backend.call("digest", {})
        ops: list[Op] = [Unknown(77, (1, b"later")), Add(coll("made.up"), key("k"), key("e"), None)]
        log = [*b.log]
        for op in ops:
            log.append(follow("an phone", b.an.log(), log, op))
        await b.say(DataItems([run_item(log, 5)]))
        await b.taken_in()
        after = await b.node.backend.call("digest", {})
        assert after["entries"] == before["entries"] + 2
        assert after["views"] == before["views"]
        assert await b.standing() == (0, "")
        await b.serves()


async def test_a_lie_beside_honest_items_takes_nothing_of_them_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        before = await b.held()
        await b.say(DataItems([run_item(more(b), 5), resigned(more(b, 2), bytes(64))]))
        b = await b.let_go()
        assert (await b.standing())[0] == pytest.approx(10, abs=0.1)
        assert (await b.held()).entries == before.entries + 1
        await b.serves()


async def test_a_frame_over_the_limit_ends_the_link_and_only_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        before = await b.held()
        await b.link._stream.write((5 << 20).to_bytes(4, "big") + bytes(1000))
        with trio.fail_after(60), pytest.raises(EdgeError):
            await to_its_end(b.link)
        assert await b.held() == before
        await b.serves()


@pytest.mark.parametrize(
    "frame", [b"\x00", b"\xff" * 50, b"\x9f", encode([99, 1]), b"\x81" * 5_000, b"not cbor at all"]
)
async def test_after_three_frames_of_garbage_a_peer_is_told_why_and_banned(tmp_path: Path, frame: bytes) -> None:
    async with bench(tmp_path) as b:
        before = await b.held()
        await b.say(frame, frame, frame, frame)
        bye = await b.hear(Bye)
        assert bye.reason.startswith(b"banned: ")
        with trio.fail_after(60), pytest.raises(EdgeError):
            await to_its_end(b.link)
        (row,) = [p for p in await b.node.backend.call("peers", {}) if p["peer"] == b.edge.peer_id]
        assert row["ban"]
        assert await b.held() == before
        await b.serves()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"realm": MAIN.id}, "realm [0-9a-f]{16} meets realm"),
        ({"version": 7}, f"protocol version 7 meets {VERSION}: update"),
    ],
)
async def test_another_realm_and_another_version_get_one_sentence(
    tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    async with (
        running(make_node(make_home(tmp_path / "node"), node__realm="test")) as node,
        link_to(node, b"\x78" * 32) as (edge, link),
    ):
        await link.send([encode_message(hello(**changed))])
        with trio.fail_after(60):
            while not isinstance(said := decode_message(await link.receive()), Bye):
                pass
        assert re.search(sentence, said.reason.decode())
        rows = [p for p in await node.backend.call("peers", {}) if p["peer"] == edge.peer_id]
        assert all(not row["ban"] for row in rows)
