"""Pictures and films between real nodes: posted here, shown there, and gone when their post is."""

from __future__ import annotations

import os
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.blob import CHUNK, BlobRoot, blob_of
from banyan_node.api.declare import named
from banyan_node.context import Context
from banyan_node.edge.blob_streams import ANSWER_S, serve_blobs
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance, storage_quota
from banyan_replica.wire.blob_messages import encode_chunk_answer, encode_list_answer
from banyan_schema.media import Media
from banyan_schema.social import Post, post_key, write_post
from banyan_storage.check import verify
from tests.node.pictures import film, photo
from tests.node.real import converged, make_home, make_node, running

DAY_S = 86_400


async def call(node: Node, method: str, **params: Any) -> Any:
    return await node.backend.call(method, named(params))


async def account(node: Node, name: str = "An") -> str:
    return str((await call(node, "account.create", name=name, hosted=False))["account"])


async def posted(node: Node, *files: Path, text: str = "look") -> dict[str, Any]:
    """The row of a new post with these files."""
    media = [{"blob": (await call(node, "media.put", path=str(file)))["blob"]} for file in files]
    uri = (await call(node, "post", text=text, media=media))["uri"]
    return dict((await call(node, "thread", uri=uri))["posts"][0])


async def here(node: Node, blob: str, within: float = 60.0) -> None:
    with trio.fail_after(within):
        while not (await held(node, blob)):
            await trio.sleep(0.05)


async def held(node: Node, blob: str) -> bool:
    try:
        return bool((await call(node, "media.show", blob=blob))["whole"])
    except CallError:
        return False


async def fetched(node: Node, blob: str) -> dict[str, Any]:
    """The state of a fetch at its end."""
    with trio.fail_after(60):
        while True:
            state = await call(node, "media.fetch", blob=blob, wait_s=5)
            if state["whole"] or state["failed"]:
                return dict(state)


async def read(node: Node, blob: str, offset: int = 0, length: int = 4 << 20) -> bytes:
    return b64decode((await call(node, "media.read", blob=blob, offset=offset, length=length))["data"])


@asynccontextmanager
async def pair(tmp_path: Path, **flags: str) -> AsyncIterator[tuple[Node, Node]]:
    """A node, and one that follows the account of the first."""
    async with running(make_node(make_home(tmp_path / "one"))) as one:
        who = await account(one)
        async with running(make_node(make_home(tmp_path / "two"), [one.edge.addresses[0]], **flags)) as two:
            await account(two, "Binh")
            await converged([one, two])
            await call(two, "follow", account=who)
            await converged([one, two])
            yield one, two


async def test_a_picture_that_is_posted_here_is_shown_there_by_itself(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        row = await posted(one, photo(tmp_path / "cat.jpg"))
        (item,) = row["media"]
        assert (item["type"], item["width"], item["height"], item["here"]) == ("image/jpeg", 960, 1280, True)
        await here(two, item["blob"])
        await here(two, item["preview"])
        (shown,) = (await call(two, "thread", uri=row["uri"]))["posts"][0]["media"]
        assert shown == item
        assert await read(two, item["blob"]) == await read(one, item["blob"])


async def test_a_film_is_fetched_when_asked_for_and_any_place_of_it_is_read(tmp_path: Path) -> None:
    file = film(tmp_path / "sea.mp4", 40 * CHUNK + 123)
    async with pair(tmp_path) as (one, two):
        (item,) = (await posted(one, file))["media"]
        assert (item["type"], item["size"], item["preview"]) == ("video/mp4", 40 * CHUNK + 123, None)
        await converged([one, two])
        await trio.sleep(1.5)  # longer than a look for what is fetched by itself
        assert not await held(two, item["blob"])
        with pytest.raises(CallError, match="fetch it first"):
            await read(two, item["blob"])
        assert (await fetched(two, item["blob"]))["whole"]
        raw = file.read_bytes()
        for offset, length in [(0, 10), (7 * CHUNK - 5, 10), (40 * CHUNK, 1000)]:
            assert await read(two, item["blob"], offset, length) == raw[offset : offset + length]


async def test_a_film_comes_from_two_peers_and_goes_on_after_its_peer_left(tmp_path: Path) -> None:
    file = film(tmp_path / "sea.mp4", 80 * CHUNK)
    async with pair(tmp_path, media__strangers_rate="4 MB") as (one, two):
        (item,) = (await posted(one, file))["media"]
        await converged([one, two])
        assert (await fetched(two, item["blob"]))["whole"]
        third = make_node(make_home(tmp_path / "three"), [one.edge.addresses[0], two.edge.addresses[0]])
        async with running(third):
            await converged([one, third])
            with trio.fail_after(60):
                while len(third.edge.links) < 2:
                    await trio.sleep(0.05)
            most = 0
            with trio.fail_after(60):
                while not (state := await call(third, "media.fetch", blob=item["blob"], wait_s=0.02))["whole"]:
                    most = max(most, state["peers"])
                    if most == 2 and state["held"] > 8 * CHUNK and not one.shutdown.is_set():
                        for link in one.edge.links.values():
                            link.close("the test parts them")
            assert most == 2
            assert await read(third, item["blob"], 70 * CHUNK, 8) == file.read_bytes()[70 * CHUNK :][:8]


class Liar:
    """Answers as a peer that holds the blob would, but for what `lie` changes."""

    def __init__(self, raw: bytes, kind: str) -> None:
        self.raw, self.of, self.kind = raw, blob_of(raw), kind

    async def answer(self, peer: str, question: bytes) -> bytes:
        if question[0] == 1:
            of = self.of
            if self.kind == "list":
                of = of._replace(hashes=bytes(len(of.hashes)))
            if self.kind == "size":
                of = of._replace(size=1 << 60)
            return encode_list_answer(of)
        if self.kind == "long":
            return bytes(2 + CHUNK)
        chunk = int.from_bytes(question[-4:], "big")
        raw = self.raw[chunk * CHUNK : (chunk + 1) * CHUNK]
        return encode_chunk_answer(bytes(len(raw)) if self.kind == "chunk" and chunk else raw)


@pytest.mark.parametrize("kind", ["chunk", "list", "size", "long"])
async def test_a_peer_that_lies_is_charged_and_nothing_of_its_lie_is_kept(tmp_path: Path, kind: str) -> None:
    file = film(tmp_path / "sea.mp4", 3 * CHUNK)
    async with pair(tmp_path) as (one, two):
        (item,) = (await posted(one, file))["media"]
        await converged([one, two])
        liar = Liar(file.read_bytes(), kind)
        one.edge.blobs = liar.answer
        state = await fetched(two, item["blob"])
        assert state["failed"] == "the linked peer does not give it now"
        assert state["held"] == (CHUNK if kind == "chunk" else 0)
        with trio.fail_after(60):
            while not (points := [row["points"] for row in await peers(two)])[0]:
                await trio.sleep(0.05)
        assert 9 < points[0] <= 10
        liar.kind = ""
        assert (await fetched(two, item["blob"]))["whole"]
        assert await read(two, item["blob"]) == file.read_bytes()


@pytest.mark.parametrize("kind", ["silent", "dripping"])
async def test_a_peer_that_sends_no_list_does_not_delay_the_one_of_another(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time another of the peers is asked first; over six films both were."""
    async with pair(tmp_path) as (one, two):
        files = [film(tmp_path / f"{n}.mp4", CHUNK + n) for n in range(6)]
        blobs = [(await posted(one, file))["media"][0]["blob"] for file in files]
        await converged([one, two])
        third = make_node(make_home(tmp_path / "three"), [one.edge.addresses[0], two.edge.addresses[0]])
        async with running(third):
            await converged([one, third])
            with trio.fail_after(60):
                while len(third.edge.links) < 2:
                    await trio.sleep(0.05)
            asked = stalls(two, kind, monkeypatch)
            for blob in blobs:
                began = trio.current_time()
                assert (await fetched(third, blob))["whole"]
                assert trio.current_time() - began < ANSWER_S / 2
                if asked:
                    break
            assert asked, "it was asked, and the film came all the same"


def stalls(node: Node, kind: str, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Makes a node answer no question about a blob, or with a byte every half second. Returns what it is asked."""
    asked = list[bytes]()
    if kind == "silent":

        async def never(peer: str, question: bytes) -> bytes:
            asked.append(question)
            await trio.sleep_forever()
            raise AssertionError

        node.edge.blobs = never
        return asked
    answers = node.edge.blobs

    async def drip(stream: Any, peer: str, given: Any) -> None:
        if given is not answers:
            await serve_blobs(stream, peer, given)
            return
        asked.append(await stream.read(1000))
        for byte in b"\0\0\1\0" + bytes(256):
            await stream.write(bytes((byte,)))
            await trio.sleep(0.5)

    monkeypatch.setattr("banyan_node.edge.edge.serve_blobs", drip)
    return asked


class Crowd:
    """Peers that are silent, but for `honest`, which answers. listing: whether the silent ones send lists."""

    def __init__(self, honest: Liar, silent: int, listing: bool) -> None:
        self._honest, self._listing = honest, listing
        self._all = ["honest", *(f"silent {n}" for n in range(silent))]
        self.asked = list[str]()

    def linked(self) -> list[str]:
        return self._all

    async def ask(self, peer: str, question: bytes, most: int) -> bytes:
        self.asked.append(peer)
        if peer != "honest" and not (self._listing and question[0] == 1):
            await trio.sleep_forever()
        return await self._honest.answer(peer, question)


async def test_one_honest_peer_among_many_that_are_silent_is_enough(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        files = [film(tmp_path / f"{n}.mp4", 3 * CHUNK + n) for n in range(3)]
        blobs = [(await posted(one, file))["media"][0]["blob"] for file in files]
        await converged([one, two])
        crowd = Crowd(Liar(files[0].read_bytes(), ""), 3, listing=True)
        two.media._peers = crowd
        assert (await fetched(two, blobs[0]))["whole"]
        crowd = two.media._peers = Crowd(Liar(files[1].read_bytes(), ""), 7, listing=False)
        assert (await fetched(two, blobs[1]))["whole"]
        two.media._slow = {f"silent {n}" for n in range(7)}
        crowd = two.media._peers = Crowd(Liar(files[2].read_bytes(), ""), 7, listing=False)
        assert (await fetched(two, blobs[2]))["whole"]
        assert crowd.asked[0] == "honest", "those that were too slow are asked last"


async def peers(node: Node) -> list[dict[str, Any]]:
    return list(await call(node, "peers"))


async def test_a_deleted_post_takes_its_blobs_with_it_and_a_shared_one_stays(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        kept = await posted(one, photo(tmp_path / "kept.jpg"))
        gone = await posted(one, photo(tmp_path / "kept.jpg"), photo(tmp_path / "gone.jpg", 700, 500))
        blobs, (shared, alone) = [item["blob"] for item in gone["media"]], [item["preview"] for item in gone["media"]]
        for blob in (*blobs, shared, alone):
            await here(two, blob)
        await call(one, "delete", uri=gone["uri"])
        await converged([one, two])
        for node in (one, two):
            with trio.fail_after(60):
                while await held(node, alone):
                    await trio.sleep(0.05)
            assert await held(node, shared), "a post that is shown has it"
            later = time.time() + 32 * DAY_S

            await node.worker.call(maintenance.erase_deleted)  # it notes when the deletion was first seen
            assert await node.worker.call(partial(erase, later)) == 1
            await node.worker.call(partial(collect, time.time()))
            assert await held(node, blobs[1]), "it was wanted today"
            await node.worker.call(partial(collect, later))
            assert [await held(node, blob) for blob in blobs] == [True, False]
            (item,) = kept["media"]
            assert item["blob"] == blobs[0]
            assert await held(node, item["preview"])
            await node.worker.call(check)


def erase(later: float, c: Context, now: float) -> int:
    """As the node does it, at a later time."""
    return maintenance.erase_deleted(c, later).number


def collect(later: float, c: Context, now: float) -> None:
    """As the node does it, at a later time."""
    storage_quota.collect(storage_quota.old(c.blobs, later), c, later)


def check(c: Context, now: float) -> None:
    assert verify(c.store, lambda account, n: None) == []


async def test_what_no_post_names_is_not_given_to_peers(tmp_path: Path) -> None:
    file = film(tmp_path / "sea.mp4", CHUNK)
    async with pair(tmp_path) as (one, two):
        blob = (await call(one, "media.put", path=str(file)))["blob"]
        with pytest.raises(CallError, match="nothing that is held names it"):
            await call(two, "media.fetch", blob=blob)
        answer = await two.media._peers.ask(one.edge.peer_id, b"\1" + bytes.fromhex(blob), 1000)
        assert answer == b"\0not here"


async def test_blobs_of_strangers_go_first_when_there_is_no_room(tmp_path: Path) -> None:
    async with pair(tmp_path, media__max_bytes="3 MB") as (one, two):
        stranger = str((await call(one, "account.create", name="Chi", hosted=True))["account"])
        big = film(tmp_path / "a.mp4", 1_000_000)
        blob = (await call(one, "media.put", path=str(big)))["blob"]
        uri = (await call(one, "post", text="by a stranger", media=[{"blob": blob}], by=stranger))["uri"]
        mine = await posted(two, film(tmp_path / "b.mp4", 1_200_000))
        await converged([one, two])
        assert (await call(two, "thread", uri=uri))["posts"][0]["media"][0]["blob"] == blob
        assert (await fetched(two, blob))["whole"]
        more = await posted(two, film(tmp_path / "c.mp4", 1_300_000))
        assert not await held(two, blob), "nobody at the second node follows Chi"
        with pytest.raises(CallError, match=r"media\.max_bytes allows 3\.0 MB"):
            await call(two, "media.put", path=str(film(tmp_path / "d.mp4", 900_000)))
        assert [await held(two, row["media"][0]["blob"]) for row in (mine, more)] == [True, True]
        state = await fetched(two, blob)
        assert "media.max_bytes allows" in state["failed"]


async def test_what_was_read_lately_stays_longer(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "one"), media__max_bytes="3 MB")) as one:
        await account(one)
        loose = [(await call(one, "media.put", path=str(film(tmp_path / "a.mp4", n))))["blob"] for n in (500, 600)]
        assert one.context is not None
        for blob in loose:
            one.context.blobs.want(BlobRoot(bytes.fromhex(blob)), int(time.time()) - 2 * DAY_S)
        await read(one, loose[0])
        await one.worker.call(partial(collect, time.time()))
        assert [await held(one, blob) for blob in loose] == [True, False]


async def test_a_pinned_blob_stays_and_one_of_an_own_post_is_not_dropped(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "one"))) as one:
        await account(one)
        loose = (await call(one, "media.put", path=str(film(tmp_path / "a.mp4", 1000))))["blob"]
        (own,) = (await posted(one, film(tmp_path / "b.mp4", 2000)))["media"]
        with pytest.raises(CallError, match="delete the post instead"):
            await call(one, "media.drop", blob=own["blob"])
        await call(one, "media.pin", blob=loose)
        later = time.time() + 2 * DAY_S
        await one.worker.call(partial(collect, later))
        assert await held(one, loose)
        await call(one, "media.pin", blob=loose, undo=True)
        await one.worker.call(partial(collect, later))
        assert not await held(one, loose)
        assert await held(one, own["blob"])
        rows = (await call(one, "media.list"))["blobs"]
        assert [(row["blob"], row["named"]) for row in rows] == [(own["blob"], True)]


async def test_a_root_that_says_another_size_than_its_post_is_not_fetched(tmp_path: Path) -> None:
    raw = os.urandom(CHUNK + 5)
    async with pair(tmp_path) as (one, two):
        root = blob_of(raw).root

        def lie(c: Context, now: float) -> None:
            """A post that calls a large blob a small picture."""
            mine = hosted.my_account(c)
            post = Post("small", created_ms=int(now * 1000), media=(Media(root, 9, "image/png"),))
            append(c, mine, [write_post(post_key(hosted.salt_of(c, mine), bytes(16), int(now * 1000)), post)], now)

        one.edge.blobs = Liar(raw, "").answer
        await one.worker.call(lie)
        await converged([one, two])
        state = await fetched(two, BlobRoot(root).hex())
        assert state["failed"] == f"what names it says that it has 9 bytes, and its root says {len(raw)}"
        assert not (await call(two, "media.list"))["blobs"]


async def test_a_preview_that_is_large_is_not_fetched_by_itself(tmp_path: Path) -> None:
    raw = os.urandom(CHUNK + 5)
    async with pair(tmp_path, media__fetch_bytes="100 kB") as (one, two):
        root, asked = blob_of(raw).root, list[bytes]()

        def post(c: Context, now: float) -> None:
            """A post whose preview is larger than a picture that is fetched by itself."""
            mine, now_ms = hosted.my_account(c), int(now * 1000)
            said = Post("small", created_ms=now_ms, media=(Media(bytes(32), 9, "video/mp4", preview=root),))
            append(c, mine, [write_post(post_key(hosted.salt_of(c, mine), bytes(16), now_ms), said)], now)

        liar = Liar(raw, "")

        async def answer(peer: str, question: bytes) -> bytes:
            asked.append(question)
            return await liar.answer(peer, question)

        one.edge.blobs = answer
        await one.worker.call(post)
        await converged([one, two])
        with trio.fail_after(60):
            while not asked:
                await trio.sleep(0.05)
        await trio.sleep(0.5)
        assert {question[0] for question in asked} == {1}, "only its list was asked for"
        assert not await held(two, root.hex())
        assert (await fetched(two, root.hex()))["whole"], "who asks for it gets it"
