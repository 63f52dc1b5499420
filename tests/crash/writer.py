"""What is written while every call is recorded: `python -m tests.crash.writer SCENE HOME [SCENE HOME ...]`.

Each scene is a process of its own, one after the other, forked from one that has loaded the product. A writer uses the
product as a node and its commands do. It says what was acknowledged to it, after it was:

    commit HASH       the store holds these rows, by `content`
    entry ID          this entry counts
    file NAME HASH    a file of the home has this content
    master HASH       these are the node's keys
    blob ROOT         this blob is here whole
    token ID          this token of the door is valid
    revoked ID        and this one is not any more
    act N             the audit log has a line of this number
    copy NAME HASH    the folder NAME beside the home is a store with these rows
    scene NAME        a scene begins
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio

from banyan_crdt.blob import CHUNK, BlobRoot, blob_of
from banyan_crdt.realm import TEST
from banyan_node import own_log
from banyan_node.api import LocalBackend
from banyan_node.api.dispatch import settle
from banyan_node.context import open_checked
from banyan_node.home.audit import OPERATOR, AuditLog
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore, PassphraseCost
from banyan_node.home.settings import parse, set_in_file
from banyan_node.links import peerstore
from banyan_node.local import open_local, rebuild_local, take_compacted
from banyan_node.upkeep import log_check
from banyan_node.upkeep.rows_file import FileRowStore
from banyan_replica.frontier.persistence import Size
from banyan_storage import id_index
from banyan_storage.engine import Engine
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.lmdb_folder import sync_folder
from banyan_storage.views import builder
from banyan_storage.views.registry import NAMES
from banyan_web.door_store import DoorStore
from banyan_web.oauth import apps
from tests.crash.disk import MARK
from tests.node.real import load_settings, make_node
from tests.replica.helpers import draft
from tests.storage.old.load import old_home

CHEAP = PassphraseCost(ops=1, memory=8 << 10)
FILES = ("keys", "keys.old", "config.toml", "peers.json", "store.rows")
BATCH = 20


def say(*words: str) -> None:
    os.write(1, MARK + " ".join(words).encode() + b"\n")


def content(engine: Engine) -> str:
    """The hash of all rows of all tables."""
    digest = hashlib.sha256()
    with engine.read() as txn:
        for table in sorted(engine.tables, key=lambda table: table.name):
            for key, value in txn.scan(table):
                digest.update(b"%d %d %s " % (len(key), len(value), table.name.encode()) + key + value)
    return digest.hexdigest()[:16]


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else "none"


_SAID = set[str]()
"""Files that were there once: if one is gone later, that is said too."""


def say_files(home: Home) -> None:
    for name in FILES:
        if name in _SAID or (home.path / name).exists():
            _SAID.add(name)
            say("file", name, file_hash(home.path / name))


@contextmanager
def told() -> Iterator[None]:
    """Says each commit of any engine, after it."""
    commit = LmdbEngine.commit

    def telling(engine: LmdbEngine) -> None:
        wrote = engine.pending
        commit(engine)
        if wrote:
            say("commit", content(engine))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LmdbEngine, "commit", telling)
        yield


def one_place() -> None:
    """What a crash left is examined in another folder, and must continue the logs of this one as if it were here."""
    own_log._place = lambda folder: b"the same"


def master(keys: Path) -> str:
    """The hash of the master secret in a file of keys."""
    return hashlib.sha256(Keystore.open(keys).keys.device_seed()).hexdigest()[:16]


def new_home(path: Path) -> Home:
    home = Home(path)
    home.prepare()
    Keystore.create(home.keys, None, CHEAP)
    say("master", master(home.keys))
    say_files(home)
    set_in_file(home.config, "node.realm", parse("node.realm", "test"))
    say_files(home)
    return home


def write(local: LocalBackend, rounds: int, first: int = 0) -> None:
    """Batches of entries, and calls as people make them."""
    c = local.context
    if not local.call("account.list")["accounts"]:
        local.call("account.create", name="An", hosted=False)
    for k in range(first, first + rounds):
        if k % 4 == 0:
            local.call("account.create", name=f"An {k}", hosted=True)
        account = list(c.store.accounts())[-1]
        drafts = [draft(f"post {k} {n}", k * BATCH + n) for n in range(BATCH)]
        written = c.replica.writes.publish(c.own_log(account), c.device, drafts, time.time(), push=False)
        settle(c)
        say("entry", written[-1].entries[-1].id.hex())
        posted = local.call("post", text=f"and a post {k} " * (1 + k % 5))
        say("entry", posted["entry"])
        if k % 3 == 0:
            said = local.call("edit", uri=posted["uri"], text="better")
            local.call("react", uri=posted["uri"], emoji="🌳")
            local.call("delete", uri=said["uri"])
        if k % 7 == 5:
            local.call("content.withhold", uri=posted["uri"], order="an order")


def posts(home: Path) -> None:
    """A home from nothing: keys, settings, accounts, posts, and the ids that move to their table."""
    id_index.YOUNG_IDS = 60
    made = new_home(home)
    for life in range(3):
        with open_local(made, load_settings(made)) as local:
            write(local, 12, life * 12)


def grow(home: Path) -> None:
    """Commits that make the map grow."""
    defaults = LmdbEngine.__init__.__kwdefaults__
    assert defaults is not None
    defaults["map_size"] = 1 << 17
    made = new_home(home)
    with open_local(made, load_settings(made)) as local:
        write(local, 24)


def views(home: Path) -> None:
    """All views are built again, twice, with a commit for each step."""
    made = new_home(home)
    with open_local(made, load_settings(made)) as local:
        write(local, 8)
    rebuild_local(made, load_settings(made), ["thread"], lambda sentence: None)
    engine, store = open_checked(made, TEST)
    with closing(engine):
        builder.begin(engine.write(), NAMES)
        store.commit()
        while builder.step(engine.write(), store, 20):
            store.commit()
        store.commit()


def compact(home: Path) -> None:
    """The store is compacted in place, and copied aside, between posts."""
    made = new_home(home)
    for life in range(2):
        with open_local(made, load_settings(made)) as local:
            write(local, 8, life * 8)
            aside = home.with_name(f"copy-{life}")
            local.call("store.compact", path=str(aside))
            say("copy", aside.name, content(local.context.engine))
            local.call("post", text="and on")
            local.call("store.compact", path=str(home / "store.compacted"))
        take_compacted(made, home / "store.compacted")
    with open_local(made, load_settings(made)) as local:
        write(local, 2, 30)


def files(home: Path) -> None:
    """The other files of a home are made and replaced."""
    made = new_home(home)
    for k in range(6):
        set_in_file(made.config, "control.port", parse("control.port", str(4_000 + k)))
        say_files(made)
        peerstore.write(made.peers, [peerstore.Anchor("peer", (f"/ip4/127.0.0.{k}/tcp/1",))])
        say_files(made)
        rows = FileRowStore(made.rows).draft([Size(9_000, 10_000), Size(50, 100)])
        for column in (0, 1, 0):
            rows.put(column, bytes([k, column]) * 25 * (1 if column else 90))
        rows.finish(b"about", b"tail")
        rows.wait()
        say_files(made)
        Keystore.open(made.keys).change_passphrase(None, CHEAP)
        say_files(made)
        if k % 3 == 2:
            made.old_keys.unlink(missing_ok=True)  # as its owner does, who took them away
            sync_folder(home)
            say_files(made)
            Keystore.open(made.keys).renew(made.old_keys, None, CHEAP)
            say("master", master(made.keys))
            say_files(made)
    with open_local(made, load_settings(made)) as local:
        write(local, 2)


def mend(home: Path) -> None:
    """A store of schema 4 is upgraded, and checked with a commit for each account."""
    made = old_home(home)
    log_check.COMMIT_CHECKED = 0
    with open_local(made, load_settings(made)) as local:
        local.call("account.create", name="An", hosted=False)
        say("entry", local.call("post", text="after the check")["entry"])


def media(home: Path) -> None:
    """Films are put and posted; blobs are fetched chunk by chunk, pinned and dropped."""
    made = new_home(home)
    for life in range(2):
        with open_local(made, load_settings(made)) as local:
            if not life:
                local.call("account.create", name="An", hosted=False)
            blobs = local.context.blobs
            blobs.tidy()
            for k in range(4):
                file = home.with_name("film.mp4")
                file.write_bytes(b"\0\0\0\x18ftypisom" + bytes([life, k]) * (20_000 + 150_000 * (k % 2)))
                blob = local.call("media.put", path=str(file))["blob"]
                say("blob", blob)
                posted = local.call("post", text=f"film {k}", media=[{"blob": blob}])
                say("entry", posted["entry"])
                raw = bytes([life, k, 1]) * 120_000
                partial = blobs.begin(blob_of(raw))
                for chunk in reversed(partial.missing()):
                    partial.write(chunk, raw[chunk * CHUNK : (chunk + 1) * CHUNK])
                    if k == 3:
                        break  # this one stays unfinished
                else:
                    blobs.finished(partial)
                    say("blob", partial.list.root.hex())
                if k == 2:
                    blobs.pin(BlobRoot(bytes.fromhex(blob)), True)
                partial.close()


def node(home: Path) -> None:
    """A real node with its threads, from its start to its end, twice."""
    made = new_home(home)

    async def life() -> None:
        running = make_node(made)
        async with trio.open_nursery() as nursery:
            await nursery.start(running.run)
            if not (await running.backend.call("account.list", {}))["accounts"]:
                await running.backend.call("account.create", {"name": "An", "hosted": False})
            for k in range(30):
                posted = await running.backend.call("post", {"text": f"post {k}"})
                say("entry", posted["entry"])
            running.shutdown.set()

    for _ in range(2):
        trio.run(life)


def door(home: Path) -> None:
    """What the door remembers: tokens are made and revoked, codes are changed for tokens, in two lives. The audit log
    has all of it, in files that are full soon."""
    made = new_home(home)
    log = AuditLog(made.audit, file_bytes=2_000, files=3)
    for _ in range(2):
        store = DoorStore(made.door)
        app, _secret = apps.register(store, "app", ["x:/y"], ["read"], None)
        for k in range(12):
            if k % 3:
                raw = store.mint("did:banyan:z1", f"app {k}", ("read",))
            else:
                code = apps.issue(store, apps.AppGrant(app.client, "did:banyan:z1", "x:/y", ("read",), None))
                redeemed = apps.redeem(store, app, code, "x:/y", None)
                assert redeemed is not None
                raw = redeemed[0]
            token = store.token(raw)
            assert token is not None
            say("token", token.id)
            say("act", str(log.append(OPERATOR, "token.add", {"id": token.id})))
            if k % 4 == 3:
                store.revoke(raw)
                say("revoked", token.id)
        store.close()


SCENES: dict[str, Callable[[Path], None]] = {
    scene.__name__: scene for scene in (posts, grow, views, compact, files, mend, media, node, door)
}


def main() -> None:
    one_place()
    for scene, home in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        say("scene", scene)
        child = os.fork()
        if not child:
            with told():
                SCENES[scene](Path(home))
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{scene} failed")


if __name__ == "__main__":
    main()
