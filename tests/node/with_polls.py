"""A node of a program whose folders have one collection and one view more: a process of test_a_new_view.py.

python -m tests.node.with_polls HOME POLL: what it finds, as JSON.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import trio

import banyan_storage
from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.realm import REALMS
from banyan_node.context import Context, finish
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_node.upkeep import derived_data
from banyan_node.workers.worker import Worker
from banyan_reading.queries import queries
from banyan_schema.address import Target
from banyan_schema.registry import SOCIAL
from banyan_storage.check import verify
from banyan_storage.errors import ViewBuilding
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.views.builder import begin
from tests.node.real import load_settings, make_node, running

polls = import_module("banyan_storage.views.social.polls")


def tally(engine: LmdbEngine, poll: Target) -> Any:
    with queries(engine, REALMS["main"]) as ask:
        try:
            return {str(option): count for option, count in polls.tally(ask, poll).items()}
        except ViewBuilding as error:
            return str(error)


async def built(node: Node, names: set[str]) -> None:
    with trio.fail_after(60):
        while names & {v["view"] for v in (await node.backend.call("store.views", {}))["views"] if not v["built"]}:
            await trio.sleep(0.02)


async def asked(home: Home, poll: Target) -> dict[str, Any]:
    """The poll as a running node answers it, before and after the view is built, and after it is built again."""
    gate, build = trio.Event(), derived_data.build

    async def later(worker: Worker[Context], engine: LmdbEngine) -> None:
        await gate.wait()
        await build(worker, engine)

    derived_data.build = later
    async with running(make_node(home)) as node:
        assert node.context is not None
        engine = node.context.engine
        found = {"before": tally(engine, poll)}
        await node.backend.call("post", {"text": "meanwhile"})
        gate.set()
        await built(node, {"shown", "polls"})
        found["built"] = tally(engine, poll)
        begun = await node.backend.call("store.rebuild", {"view": "polls"})
        await built(node, {"polls"})
        return {**found, "begun": begun["rebuilding"], "again": tally(engine, poll)}


def proved(home: Home) -> dict[str, Any]:
    """The findings of `store verify` for the store, without the rows of the view, and after rebuilding it."""
    with open_local(home, load_settings(home)) as local:
        store, engine = local.context.store, local.context.engine

        def problems() -> list[str]:
            return [problem.where for problem in verify(store, lambda account, n: None)]

        found = {"sound": problems()}
        engine.write().delete_range(polls.VOTES, b"", None)
        found["damaged"] = problems()
        begin(engine.write(), ["polls"])
        store.commit()
        finish(engine, store, lambda said: None)
        return {**found, "mended": problems()}


def main(path: str, poll: str) -> None:
    home, raw = Home(Path(path)), bytes.fromhex(poll)
    found = trio.run(asked, home, Target(AccountId(raw[:32]), CellKey(raw[32:])))
    names = [of.name for of in SOCIAL]
    print(json.dumps({**found, **proved(home), "code": banyan_storage.__file__, "collections": names}))


if __name__ == "__main__":
    main(*sys.argv[1:])
