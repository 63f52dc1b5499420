"""A new node reads the network from three real nodes in separate processes, of which one is stopped half way."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from banyan_crdt.ids import LogId, key_digest
from banyan_crdt.signing import Signer
from banyan_node.context import Context
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_replica.intake.author import EntryDraft, grant_to
from banyan_schema.social import Post, post_key, write_post
from tests.forking import started
from tests.node import victim
from tests.node.real import digest_of, load_settings, make_home, make_node, running

ACCOUNTS, POSTS = 700, 3


class Server(NamedTuple):
    pid: int
    address: str

    @property
    def peer(self) -> str:
        return self.address.rsplit("/p2p/", 1)[-1]


@contextmanager
def serving(home: Home) -> Iterator[Server]:
    """A node in a separate process."""
    log = home.path.with_suffix(".log")
    process = started(_serve, home.path, log)
    assert process.pid is not None
    try:
        while not (said := _ready(log)):
            assert process.is_alive(), log.read_text("utf-8")[-2_000:]
            time.sleep(0.02)
        yield Server(process.pid, said)
    finally:
        process.kill()
        process.join()


def _serve(home: Path, log: Path) -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    trio.run(victim.serve, Home(home))


def _ready(log: Path) -> str:
    """The address that it said, or nothing yet."""
    lines = log.read_text("utf-8").splitlines(keepends=True) if log.exists() else []
    return next((line.split()[1] for line in lines if line.startswith("ready /") and line.endswith("\n")), "")


def fill(home: Home) -> None:
    with open_local(home, load_settings(home)) as local:
        c = local.context
        now = int(time.time() * 1000)
        for k in range(ACCOUNTS):
            rng = random.Random(k)
            root, later, device = (Signer(c.realm, rng.randbytes(32)) for _ in range(3))
            salt = rng.randbytes(16)
            slots = [(root, key_digest(later.key))]
            account, _ = c.replica.author.open_account(slots, salt, [grant_to(device.key)], now)
            drafts = [write_post(post_key(salt, bytes((n,))), Post("xin chào " * 20)) for n in range(POSTS)]
            c.replica.author.append(
                LogId(account, device.key, 1), device, [EntryDraft((d.op,), (d.content,)) for d in drafts], now
            )
        c.store.commit()


def _entries(c: Context, now: float) -> int:
    return c.store.counts().entries


def _readers(c: Context, now: float) -> set[str]:
    return {peer for peer in c.replica.links if c.replica.sync.asking.catchup.reads(peer)}


async def wait(node: Node, entries: int, within: float) -> None:
    with trio.fail_after(within):
        while await node.worker.call(_entries) < entries:
            await trio.sleep(0.05)


async def test_a_fresh_node_has_everything_though_one_of_three_that_read_to_it_is_stopped(tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in ("one", "two", "three")]
    fill(homes[0])
    for home in homes[1:]:
        shutil.copytree(homes[0].store, home.store)
    total = ACCOUNTS * (1 + POSTS)
    with serving(homes[0]) as one, serving(homes[1]) as two, serving(homes[2]) as three:
        servers = [one, two, three]
        fresh = make_node(make_home(tmp_path / "fresh"), [s.address for s in servers])
        async with running(fresh, 120) as node:
            with trio.fail_after(60):
                while len(readers := await node.worker.call(_readers)) < 2:
                    await trio.sleep(0.02)
            assert await node.worker.call(_entries) < total, "it was over before anybody could help"
            stopped = next(s for s in servers if s.peer in readers)
            os.kill(stopped.pid, signal.SIGSTOP)
            try:
                await wait(node, total, 60)
            finally:
                os.kill(stopped.pid, signal.SIGCONT)
            others = [s for s in servers if s is not stopped]
            ledger = node.context.replica.ledger if node.context else None
            assert ledger is not None
            assert ledger.bans(time.time()) == {}
            assert [ledger.last_sentence(s.peer) for s in others] == ["", ""]
            reason = ledger.last_sentence(stopped.peer)  # none where the others had taken over before it was missed
            assert not reason or "while it owed us a range of accounts" in reason
            assert (await node.backend.call("digest", {}))["lacking_parts"] == 0
            held = await digest_of(node)
    with open_local(homes[0], load_settings(homes[0])) as local:
        assert local.call("digest")["digest"] == held[0]
