"""A client by the page alone talks to a real node: every sentence of section 11 that can be seen from outside.

The client is `client.py`. Of the product only the node under test is used, and its edge, for TCP, noise and yamux.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.edge import DialFailed, Edge, EdgeConfig, Link, LinkClosed, open_edge
from banyan_node.node import Node
from tests.node.real import make_home, make_node, running
from tests.vectors import client as c
from tests.vectors.cddl import Grammar

GRAMMAR = Grammar((Path(__file__).parents[2] / "docs" / "protocol.md").read_text())
NOW_MS = int(time.time() * 1000)
YESTERDAY = NOW_MS - 86_400_000
STORE = b"a second client."


class Talk:
    """A link to the node. `heads`: what the client holds, for its hello."""

    def __init__(self, node: Node, link: Link, peer: str) -> None:
        self.node, self.link, self.peer = node, link, peer
        self.heard: list[list[Any]] = []
        self.bulk = 0
        """Bytes of data frames that were sent."""

    async def say(self, name: str, *fields: Any) -> None:
        frame = c.write([c.CODE[name], *fields])
        self.bulk += len(frame) if name == "data" else 0
        await self.link.send([frame])

    async def hear(self, name: str, right: Callable[[list[Any]], bool] = lambda m: True, within: float = 60.0) -> Any:
        """The fields of the next message of that name for which `right` holds; others are kept in `heard`."""
        with trio.fail_after(within):
            while True:
                m = c.read(await self.link.receive())
                assert GRAMMAR.matches(m, "message"), m
                self.heard.append(m)
                if m[0] == c.CODE[name] and right(m[1:]):
                    return m[1:]

    async def silent_of(self, name: str, seconds: float) -> None:
        """Fails if a message of that name comes."""
        with trio.move_on_after(seconds):
            found = await self.hear(name, within=seconds + 5)
            raise AssertionError(f"{name} {found}")

    def all(self, name: str) -> list[list[Any]]:
        return [m[1:] for m in self.heard if m[0] == c.CODE[name]]

    async def taken_in(self) -> None:
        """Returns once the node has handled all messages before: the answer to a question comes after them."""
        place = hashlib.sha256(str(len(self.heard)).encode()).digest()[:8]
        await self.say("sketch", b"", 0, 0, 0, place.ljust(88, b"\0"))
        await self.hear("cells", lambda m: m[0] == b"")

    async def hello(self, heads: list[Any] | None = None, **changed: Any) -> None:
        held = heads or []
        fields = {
            "version": 2, "realm": c.REALM, "store_id": STORE, "logs": len(held), "root": c.root_of(held),
            "arrival": 0, "operator": b"", "partial": 0,
        }  # fmt: skip
        await self.say("hello", *{**fields, **changed}.values())

    async def points(self) -> float:
        def look(context: Any, now: float) -> float:
            return float(context.replica.ledger.points(self.peer, now))

        found: float = await self.node.worker.call(look)
        return found

    async def stands_at(self, heads: list[Any]) -> None:
        """Returns once the node tells the root of exactly these heads."""
        await self.hear("root", lambda m: m[0] == len(heads) and m[1] == c.root_of(heads))


async def _dialled(edge: Edge, node: Node) -> Link:
    """Dials again if the node is still closing the earlier connection of the same peer id."""
    for _ in range(3):
        with suppress(DialFailed):
            return await edge.dial(node.edge.addresses[0])
        await trio.sleep(1.0)
    return await edge.dial(node.edge.addresses[0])


@asynccontextmanager
async def talk(node: Node, seed: bytes = b"\x61" * 32) -> AsyncIterator[Talk]:
    async with open_edge(EdgeConfig(identity_seed=seed, listen=())) as edge:
        await edge.wait_up()
        yield Talk(node, await _dialled(edge, node), edge.peer_id)


@asynccontextmanager
async def a_node(tmp_path: Path) -> AsyncIterator[Node]:
    async with running(make_node(make_home(tmp_path / "node"), node__realm="test")) as node:
        yield node


def written(account: c.Account, posts: int, number: int = 1) -> tuple[c.Log, list[bytes]]:
    """A log of posts, and the content of each."""
    log, contents = account.log(number), []
    for n in range(posts):
        op, raw, size = c.post(f"{account.id.hex()} {number} {n}", f"post {n}".encode())
        log.add([op], parts=size)
        contents.append(raw)
    return log, contents


async def test_entries_made_by_the_page_are_taken_and_the_node_stands_where_the_page_says(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node, talk(node) as t:
        version, realm, store_id, logs, root, _, operator, partial = await t.hear("hello")
        assert (version, realm, logs, root, operator, partial) == (2, c.REALM, 0, bytes(32), operator, 0)
        assert (len(store_id), len(operator)) == (16, 32)
        await t.hello()
        an = c.Account("an", YESTERDAY)
        log, contents = written(an, 30)
        await t.say("data", [an.item(), [1, log.run(0, 13), contents[:13]], [1, log.run(13, 30), contents[13:]]])
        await t.stands_at([an.control.head, log.head])
        with trio.fail_after(60):  # whole frames are credited, and nothing else
            while sum(m[0] for m in t.all("credit")) < t.bulk:
                await t.hear("credit")
        assert sum(m[0] for m in t.all("credit")) == t.bulk
        assert await t.points() == 0


async def test_contents_that_end_early_are_asked_for_and_reasons_by_the_page_cost_nothing(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node, talk(node) as t:
        await t.hello()
        an = c.Account("an", YESTERDAY)
        log, contents = written(an, 4)
        await t.say("data", [an.item(), [1, log.run(0, 4), contents[:1]]])
        (wanted,) = await t.hear("want-parts", lambda m: len(m[0]) == 3)
        assert sorted(wanted) == sorted([i, 0] for i in log.ids[1:])
        platform = c.Key("platform")
        said = c.withholding(platform, NOW_MS, log.ids[2], 0, b"court order 7")
        answer = [[log.ids[1], 0, contents[1], b""], [log.ids[2], 0, None, said], [log.ids[3], 0, None, b""]]
        await t.say("parts", answer)
        (wanted,) = await t.hear("want-parts")
        assert sorted(wanted) == sorted([i, 0] for i in log.ids[2:])
        assert await t.points() == 0

        def look(context: Any, now: float) -> set[tuple[bytes, int]]:
            return set(context.replica.missing.withheld)

        assert await node.worker.call(look) == {(log.ids[2], 0), (log.ids[3], 0)}
        await t.say("parts", [[log.ids[2], 0, None, said[:-1] + b"x"]])
        await t.hear("bye")
        assert await t.points() == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize("wrong", ["too many contents", "content without a part", "content of another hash"])
async def test_contents_that_cannot_be_are_malformed(tmp_path: Path, wrong: str) -> None:
    async with a_node(tmp_path) as node, talk(node) as t:
        await t.hello()
        an = c.Account("an", YESTERDAY)
        log, contents = written(an, 2)
        given: dict[str, list[Any]] = {
            "too many contents": [*contents, None],
            "content without a part": [[[1, contents[0]]]],
            "content of another hash": [contents[1]],
        }
        await t.say("data", [an.item(), [1, log.run(0, 2), given[wrong]]])
        await t.hear("bye")
        assert await t.points() == pytest.approx(10, abs=0.5)


WRONG_HELLOS = {
    "partial": [1, 2, c.REALM, STORE, 0, bytes(32), 0, b""],
    "realm": [1, 2, b"short", STORE, 0, bytes(32), 0, b"", 0],
    "operator": [1, 2, c.REALM, STORE, 0, bytes(32), 0, b"Lotus", 0],
    "text": b"\x82\x01\x61x",
}


async def test_a_wrong_first_hello_is_answered_by_a_bye_that_names_the_field_and_never_by_a_ban(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        for name, wrong in WRONG_HELLOS.items():
            async with talk(node) as t:
                await t.link.send([wrong if isinstance(wrong, bytes) else c.write(wrong)])
                (reason,) = await t.hear("bye")
                assert name in reason.decode()
                with pytest.raises((LinkClosed, trio.TooSlowError)):
                    await t.hear("root", within=3)
                assert await t.points() == 0
        for changed, said in (({"version": 3}, "version 3 meets 2"), ({"realm": bytes(32)}, "realm 0000")):
            async with talk(node) as t:
                await t.hello(**changed)
                (reason,) = await t.hear("bye")
                assert said in reason.decode()
        async with talk(node) as t:
            await t.hello()
            await t.taken_in()
            assert await t.points() == 0


async def test_before_the_hello_nothing_is_heard_and_a_second_hello_is_that_of_the_same_store(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node, talk(node) as t:
        await t.say("sketch", b"", 0, 0, 0, bytes(88))
        await t.say("root", 5, bytes(32), 9)
        await t.silent_of("cells", 1.0)
        await t.hello()
        await t.taken_in()
        await t.hello()
        await t.taken_in()
        assert await t.points() == 0
        await t.hello(store_id=b"another store 16")
        await t.taken_in()
        assert await t.points() == pytest.approx(10, abs=0.5)


@asynccontextmanager
async def filled(tmp_path: Path, accounts: int, posts: int = 2) -> AsyncIterator[tuple[Talk, list[list[Any]], c.Log]]:
    """A node that holds so many accounts, the first with a log; all heads; that log."""
    async with a_node(tmp_path) as node, talk(node) as t:
        await t.hello()
        people = [c.Account(f"person {n}", YESTERDAY) for n in range(accounts)]
        log, contents = written(people[0], posts)
        await t.say("data", [p.item() for p in people])
        await t.say("data", [[1, log.run(0, posts), contents]])
        heads = [*(p.control.head for p in people), log.head]
        await t.stands_at(heads)
        yield t, heads, log


def answers(salt: bytes) -> Callable[[list[Any]], bool]:
    """Cells under this salt, and not the answer that the node is busy."""
    return lambda m: m[0] == salt and m[2] != 1


async def test_cells_decode_into_what_differs_and_names_name_it(tmp_path: Path) -> None:
    async with filled(tmp_path, 30) as (t, heads, _):
        for salt in (b"", b"0123456789abcdef"):
            mine, theirs = c.Table(heads[:-3], salt), c.Table(heads, salt)
            await t.say("sketch", salt, 0, 0, 0, mine.probes())
            said, start, state, stamp, cells = await t.hear("cells", answers(salt))
            assert (said, start, state) == (salt, 0, 0)
            assert stamp == int.from_bytes(c.root_of(heads)[:4], "big")
            there = c.unpack(cells)
            assert there == theirs.cells[: len(there)]
            assert c.pack(there) == cells
            found, left = c.peel(mine.cells, there)
            while left:  # more, where these ended, under the stamp
                await t.say("sketch", salt, len(there), 8, stamp, b"")
                _, start, _, _, cells = await t.hear("cells", answers(salt))
                assert start == len(there)
                there += c.unpack(cells)
                found, left = c.peel(mine.cells, there)
            assert found == {theirs.place(h): -theirs.weight(h) % c.P for h in heads[-3:]}
            places = b"".join(h.to_bytes(8, "big") for h in sorted(found))
            await t.say("names", salt, places)
            _, answer, named = await t.hear("heads", lambda m: len(m[2]) == 3)
            assert answer == 0
            assert sorted(named) == sorted(heads[-3:])
        equal = c.Table(heads)
        await t.say("sketch", b"", 0, 0, 0, equal.probes())
        assert len((await t.hear("cells"))[4]) == 23, "one cell shows that nothing differs"
        assert await t.points() == 0


async def test_sums_are_answered_by_heads_of_what_differs_and_heads_by_those_not_as_told(tmp_path: Path) -> None:
    async with filled(tmp_path, 30) as (t, heads, log):
        table = c.Table(heads)
        children = table.children(b"")
        nibble = log.account[0] >> 4
        children[nibble] = [children[nibble][0] + 1, bytes(16)]
        await t.say("sums", b"", b"", children)
        prefix, answer, told = await t.hear("heads", lambda m: m[1] == 1)
        assert (prefix, answer) == (bytes((nibble,)), 1)
        assert sorted(told) == sorted(h for h in heads if h[0][0] >> 4 == nibble)
        t.heard.clear()
        await t.taken_in()
        assert not t.all("heads"), "what agrees is not answered"
        old = [*log.head[:3], 1, log.ids[0], 0]
        alike = [h for h in heads if h[0] == log.account and h[2] == 0]
        await t.say("heads", bytes(n for b in log.account for n in (b >> 4, b & 15)), 1, [*alike, old])
        _, answer, told = await t.hear("heads", lambda m: len(m[0]) == 64)
        assert (answer, told) == (0, [log.head])
        assert await t.points() == 0


async def test_heads_of_a_crowded_prefix_are_answered_by_sums_and_too_many_sums_cost_points(tmp_path: Path) -> None:
    async with filled(tmp_path, 300) as (t, heads, _):
        table = c.Table(heads)
        await t.say("heads", b"", 1, [])
        salt, prefix, children = await t.hear("sums")
        assert (salt, prefix, children) == (b"", b"", table.children(b""))
        crowded = c.write([c.CODE["sums"], b"", b"", [[9, bytes(16)], *children[1:]]])
        most = 256 + len(heads) // 4
        for _ in range(most // 10 - 1):
            await t.link.send([crowded] * 10)
            await t.taken_in()
        assert await t.points() == 0
        await t.link.send([crowded] * most)
        (reason,) = await t.hear("bye")
        assert f"asks for sums more than {most} times a minute" in reason.decode()
        assert await t.points() == pytest.approx(30, abs=0.5)


async def test_logs_that_are_wanted_come_and_every_question_ends_with_a_word(tmp_path: Path) -> None:
    async with filled(tmp_path, 3, posts=40) as (t, heads, log):
        control, checkpoint = [log.account, bytes(32), 0], [log.account, b"k" * 32, 0]
        await t.say("want", [[*control, [], []], [*log.name, [[11, log.ids[11]]], []], [*checkpoint, [], []]])
        await t.hear("answered", lambda m: m[0] == 3)
        items = [i for m in t.all("data") for i in m[0]]
        assert [i[1] for i in items if i[0] == 0] == [log.account]
        assert [e for i in items if i[0] == 1 for e in c.read_run(i[1])] == log.ids[12:]
        t.heard.clear()
        await t.say("scan", 7, b"", b"\xff" * 32)
        await t.hear("scanned", lambda m: m[0] == 7 and m[2] == 1)
        items = [i for m in t.all("data") for i in m[0]]
        assert [i[1] for i in items if i[0] == 0] == sorted(h[0] for h in heads if h[2] == 0)
        assert [e for i in items if i[0] == 1 for e in c.read_run(i[1])] == log.ids
        t.heard.clear()
        await t.say("replay", 0)
        await t.hear("replayed", lambda m: m[1] == 1)
        assert {i[1] for m in t.all("data") for i in m[0] if i[0] == 0} == {h[0] for h in heads}
        assert await t.points() == 0


async def test_a_claim_that_is_not_served_costs_points_where_the_root_is_as_it_was(tmp_path: Path) -> None:
    async with filled(tmp_path, 3) as (t, heads, log):
        lie = [log.account, log.by.key, 2, 1, hashlib.sha256(b"nothing").digest(), 0]
        for root_moves, points in ((True, 0.0), (False, 3.0)):
            mine = [*heads, lie]
            await t.say("root", len(mine), c.root_of(mine), 1)
            await t.say("heads", b"", 0, [lie])
            await t.hear("want", lambda m: m[0][0][:3] == lie[:3])
            asked = sum(len(m[0]) for m in t.all("want"))
            await t.say("answered", asked)
            await t.say("root", len(mine), bytes(32) if root_moves else c.root_of(mine), 1)
            await t.taken_in()
            await trio.sleep(0.2)
            assert await t.points() == pytest.approx(points, abs=0.3)


async def test_gossip_joins_pushes_and_refuses_a_wrong_name(tmp_path: Path) -> None:
    async with filled(tmp_path, 1) as (t, heads, log):
        await t.say("gossip", [1, []])
        assert await t.hear("gossip", lambda m: m[0][0] == 4) == [[4, 1]]
        op, raw, size = c.post("pushed", b"by gossip")
        log.add([op], parts=size)
        payload = c.write([1, log.run(2, 3), [raw]])
        await t.say("gossip", [0, [[log.ids[-1][:16], 0, payload]], [], [], 0])
        await t.stands_at([*heads[:-1], log.head])
        op, raw, size = c.post("wrong", b"by gossip")
        log.add([op], parts=size)
        await t.say("gossip", [0, [[bytes(16), 0, c.write([1, log.run(3, 4), [raw]])]], [], [], 0])
        await t.taken_in()
        assert await t.points() == pytest.approx(10, abs=0.5)


async def test_an_answer_to_no_question_is_answered_by_disconnect(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node, talk(node) as t:
        await t.hello()
        await t.say("gossip", [4, 1])
        assert await t.hear("gossip", lambda m: m[0][0] == 5) == [[5]]
        assert await t.points() == 0


async def test_of_chosen_accounts_the_share_is_told(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        people = [c.Account(f"person {n}", YESTERDAY) for n in range(3)]
        async with talk(node) as t:
            await t.hello()
            await t.say("data", [p.item() for p in people])
            await t.stands_at([p.control.head for p in people])
        async with talk(node, b"\x62" * 32) as t:
            await t.hello(partial=1)
            names = [p.id[:16] for p in people[:2]]
            await t.say("interest", 0, b"")
            await t.say("interest", 1, b"".join(names))
            digest = sum(int.from_bytes(n[:8], "big") for n in names) % (1 << 64)
            _, root = await t.hear("shared", lambda m: m[0] == digest.to_bytes(8, "big"))
            assert root == c.root_of([p.control.head for p in people[:2]])
            assert not t.all("root")


def test_the_client_imports_nothing_of_the_product() -> None:
    for name in ("client.py", "cddl.py"):
        assert "import banyan" not in (Path(__file__).parent / name).read_text()
        assert "from banyan" not in (Path(__file__).parent / name).read_text()
