"""kill -9 at random moments while films are put and fetched: what was acknowledged is there, and a fetch goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trio

from banyan_crdt.blob import BlobRoot
from banyan_node.api import LocalBackend
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import StoreLocked
from tests.node.pictures import film
from tests.node.real import load_settings, make_home, make_node, running
from tests.node.test_kill import Victim, sound
from tests.node.test_media import account, posted

KILLS = 8
SIZE = 20_000_000


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    made = Victim()
    yield made
    made.close()


@contextmanager
def opened(home: Home) -> Iterator[LocalBackend]:
    """The store, once a process that the killed one had just begun has let go of it."""
    with ExitStack() as stack:
        deadline = time.monotonic() + 60
        while True:
            try:
                local = stack.enter_context(open_local(home, load_settings(home)))
                break
            except StoreLocked:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield local


def test_after_a_kill_amid_a_put_every_acknowledged_film_is_whole_and_nothing_else_is_left(
    victim: Victim, tmp_path: Path
) -> None:
    rng, home, known = random.Random(5), make_home(tmp_path / "home"), dict[bytes, str]()
    life, longest = 0, 0.25
    while life < KILLS or len(known) < KILLS:
        life += 1
        lines = victim.lives(f"put {home.path}", rng.random() * longest)
        if not lines:
            longest += 0.1  # a slow machine's lives must be long enough to acknowledge something
        for line in lines:
            _, what, blob = line.split()
            known[bytes.fromhex(blob)] = what
        with opened(home) as local:
            blobs = local.context.blobs
            blobs.tidy()
            for root in known:
                held = blobs.find(BlobRoot(root))
                assert held is not None, f"life {life}: an acknowledged film is gone"
                assert held.whole
            assert all(held.whole for held in blobs.all()), "what was not acknowledged is whole, or not there"
            names = {p.name for p in home.blobs.rglob("*") if p.is_file()}
            assert len(names) == 3 * len(blobs.all()), "bytes, list and what it is; no drafts"
            sound(local.context)
            rows = local.call("feed", limit=1000)["posts"]
            said = {bytes.fromhex(row["media"][0]["blob"]) for row in rows}
            assert said >= {root for root, what in known.items() if what == "posted"}
            assert all(row["media"][0]["here"] for row in rows)
    for root in known:  # and each byte of the last ones
        blobs.read(BlobRoot(root), 0, 700_000)


async def test_after_a_kill_amid_a_fetch_it_goes_on_with_every_chunk_that_was_told(
    victim: Victim, tmp_path: Path
) -> None:
    rng, lives, longest = random.Random(6), 0, 1.5
    file = film(tmp_path / "sea.mp4", SIZE)
    async with running(make_node(make_home(tmp_path / "one"), media__strangers_rate="5 MB"), within=200) as one:
        await account(one)
        (item,) = (await posted(one, file))["media"]
        home, told, whole, resumed = make_home(tmp_path / "two"), 0, False, 0
        while not whole:
            order = f"fetch {home.path} {one.edge.addresses[0]} {item['blob']}"
            lines = await trio.to_thread.run_sync(victim.lives, order, rng.random() * longest)
            longest += 0.02  # a slow machine's lives must be long enough to fetch something
            lives += 1
            held = [int(line.split()[2]) for line in lines]
            whole = any(line.split()[1] == "whole" for line in lines)
            blobs, root = BlobStore(home.blobs), BlobRoot(bytes.fromhex(item["blob"]))
            blobs.tidy()
            of = blobs.list_of(root)
            if of is None:
                assert not told
                continue
            if (found := blobs.find(root)) is not None and found.whole:
                whole = True
                break
            partial = blobs.begin(of)
            partial.close()
            assert partial.bytes_held >= max([told, *held]), "a chunk that was told is gone"
            told = partial.bytes_held
            resumed += bool(told)
        assert blobs.read(root, 0, SIZE) == file.read_bytes()
        assert resumed > 1, "the film must be large enough for kills amid it"
