"""A process whose lives are there to be killed. It imports everything once, then forks one life for each line it reads.

    write HOME           a node without network writes batches of posts, as fast as it can
    sync HOME ADDRESS    a real node syncs from a peer
    mend HOME            a store of an earlier schema is opened, and checked with a commit for each account
    views HOME           all views are built again, with a commit for each step; it goes on where the life before was
    put HOME             a node without network puts films and posts each, as fast as it can
    upload HOME          a node without network takes a file in pieces; it goes on where the life before was
    fetch HOME ADDRESS BLOB    a real node fetches a blob from a peer
    serve HOME           a real node that gives each peer about 30 kB a second, its credit each second

A life says `pid N`, then `ack ...` for whatever was acknowledged to it (one that serves, its address);
when it is dead, its parent says `dead`.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
import trio

from banyan_crdt.blob import CHUNK
from banyan_crdt.ids import LogId
from banyan_crdt.realm import REALMS, TEST
from banyan_node import context
from banyan_node.api.dispatch import settle
from banyan_node.context import open_checked, unbuilt
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import log_check
from banyan_replica.peers.limits import Limits
from banyan_storage import id_index
from banyan_storage.views import builder
from banyan_storage.views.registry import NAMES
from tests.node.real import load_settings, make_node
from tests.replica.helpers import draft

BATCH = 20


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def write(home: Home) -> None:
    id_index.YOUNG_IDS = 300  # so that many a kill falls while ids move on
    with open_local(home, load_settings(home)) as local:
        if local.call("account.list")["accounts"] == []:
            local.call("account.create", name="An", hosted=False)
        local.call("account.create", name=f"An {os.getpid()}", hosted=True)
        c = local.context
        # the first that leaves room: no log may hold more than 10,000 entries on its first day
        account = next(a for a in c.store.accounts() if c.store.head(c.own_log(a)).length < 4_000)
        say("ready")
        k = 0
        while True:
            log: LogId = c.own_log(account)
            drafts = [draft(f"post {k} {n}", k * BATCH + n) for n in range(BATCH)]
            written = c.replica.writes.publish(log, c.device, drafts, time.time(), push=False)
            settle(c)
            say(f"ack {written[-1].entries[-1].id.hex()}")
            if k % 3 == 0:
                local.call("post", text=f"and a post {k}")
            k += 1


def mend(home: Home) -> None:
    log_check.COMMIT_CHECKED = 0
    say("ready")
    _, store = open_checked(home, TEST)
    say(f"ack {store.digest().hex()}")
    store.close()


def views(home: Home) -> None:
    engine, store = open_checked(home, REALMS[load_settings(home).config.node.realm])
    say("ready")
    if not unbuilt(engine):
        say("ack 0.0 anew")
        builder.begin(engine.write(), NAMES)
        store.commit()
    more = True
    while more:
        say(f"ack {min((view.done for view in unbuilt(engine)), default=1.0)}")
        more = builder.step(engine.write(), store, 20)
        store.commit()
    say("ack 1.0")
    store.close()


def put(home: Home) -> None:
    with open_local(home, load_settings(home)) as local:
        if local.call("account.list")["accounts"] == []:
            local.call("account.create", name="An", hosted=False)
        say("ready")
        file, k = home.path.with_name(f"film {os.getpid()}.mp4"), 0
        while True:
            file.write_bytes(b"\0\0\0\x18ftypisom" + os.urandom(600_000 + k))
            blob = local.call("media.put", path=str(file))["blob"]
            say(f"ack put {blob}")
            local.call("post", text=f"film {k}", media=[{"blob": blob}])
            say(f"ack posted {blob}")
            k += 1


UPLOADED = random.Random("upload").randbytes(40 * CHUNK - 5)


def upload(home: Home) -> None:
    with open_local(home, load_settings(home)) as local:
        local.context.uploads.tidy()
        chunks = [UPLOADED[at : at + CHUNK] for at in range(0, len(UPLOADED), CHUNK)]
        said = {"size": len(UPLOADED), "hashes": [sha256(chunk).hexdigest() for chunk in chunks]}
        begun = local.call("upload.begin", **said)
        say("ready")
        for number in begun["missing"]:
            data = b64encode(chunks[number]).decode()
            local.call("upload.chunk", upload=begun["upload"], number=number, data=data)
            say(f"ack {number}")
        time.sleep(60)


async def fetch(home: Home, address: str, blob: str) -> None:
    node = make_node(home, [address])
    async with trio.open_nursery() as nursery:
        await nursery.start(node.run)
        say("ready")
        while True:
            try:
                state = await node.backend.call("media.fetch", {"blob": blob, "wait_s": 0.01})
            except CallError:  # the post has not come yet
                await trio.sleep(0.02)
                continue
            say(f"ack {'whole' if state['whole'] else 'held'} {state['held']}")


async def sync(home: Home, address: str) -> None:
    node = make_node(home, [address])
    async with trio.open_nursery() as nursery:
        await nursery.start(node.run)
        say("ready")
        async for event in await node.backend.events({}):
            if event["event"] == "entries":
                log = event["log"]
                say(f"ack {log['account']} {log['writer']} {log['log']} {event['length']}")


async def serve(home: Home) -> None:
    context.limits_of = lambda settings: Limits(root_s=0.5, outbox=30_000, piece=30_000)
    node = make_node(home)
    async with trio.open_nursery() as nursery:
        await nursery.start(node.run)
        say(f"ready {node.edge.addresses[0]}")


ALONE = {"put": put, "upload": upload, "write": write, "mend": mend, "views": views}


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for line in sys.stdin:
        what, *args = line.split()
        pid = os.fork()
        if not pid:
            say(f"pid {os.getpid()}")
            home = Home(Path(args[0]))
            try:
                if what in ALONE:
                    ALONE[what](home)
                else:
                    life: Any = {"sync": sync, "fetch": fetch, "serve": serve}[what]
                    trio.run(life, home, *args[1:])
            except BaseException as error:
                say(f"error {type(error).__name__} {error}")
            finally:
                os._exit(1)
        os.waitpid(pid, 0)
        say("dead")


if __name__ == "__main__":
    main()
