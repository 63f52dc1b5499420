"""The promise: whoever wants polls writes one file of schema/ and one view, and touches nothing else.

Both are put into a copy of the two rooms, and a node of that program opens a store that was written without them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

import banyan_schema
import banyan_storage
from banyan_crdt.ids import AccountId, CellKey, account_from_text
from banyan_node.hosting.entry_writer import append
from banyan_schema.address import Target
from banyan_schema.collection import OpDraft
from banyan_storage.engine import Table
from banyan_storage.views.registry import VIEWS, checked
from banyan_storage.views.view import View, by_account
from tests.node.real import make_home, make_node, running
from tests.node.test_node import no_problems
from tests.schema.poll import Poll, vote, write_poll

TESTS = Path(__file__).parents[1]
KEY = CellKey(b"lunch".ljust(16))


def program_with_polls(folder: Path) -> str:
    """The path of a program with one more collection and one more view."""
    rooms = []
    for package, added in (
        (banyan_schema, {"schema/poll.py": "social/poll.py"}),
        (banyan_storage, {"storage/polls.py": "views/social/polls.py"}),
    ):
        to = folder / package.__name__
        shutil.copytree(Path(package.__path__[0]), to / package.__name__)
        for source, name in added.items():
            shutil.copy(TESTS / source, to / package.__name__ / name)
        rooms.append(str(to))
    return os.pathsep.join(rooms)


async def test_a_file_of_schema_and_a_view_are_all_that_polls_need(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    async with running(make_node(home)) as node:
        ids = list[AccountId]()
        for name in ("An", "Bình", "Chi"):
            made = await node.backend.call("account.create", {"name": name, "hosted": bool(ids)})
            ids.append(account_from_text(made["account"]))
        poll = Target(ids[0], KEY)

        async def said(who: AccountId, *drafts: OpDraft) -> None:
            await node.worker.call(lambda ctx, now: append(ctx, who, drafts, now))

        await said(poll.account, write_poll(KEY, Poll("Lunch?", ("phở", "bún chả", "bánh mì"))))
        for who, option in zip(ids, (2, 0, 2), strict=True):
            await said(who, vote(b"s" * 32, poll, option), vote(b"liar".ljust(32), poll, option))

    found = await trio.to_thread.run_sync(_run, program_with_polls(tmp_path / "more"), home.path, poll)
    assert Path(found["code"]).is_relative_to(tmp_path)
    assert {"vn.example.poll", "vn.example.vote"} < set(found["collections"])
    assert found["before"] == "view shown is being built, 0 %; ask again later"
    assert found["built"] == found["again"] == {"0": 1, "2": 2}
    assert found["begun"] == ["polls"]
    assert found["sound"] == found["mended"] == []
    assert {where.rpartition(":")[0] for where in found["damaged"]} == {"views"}
    assert all(where.startswith("views: polls of ") for where in found["damaged"])

    async with running(make_node(home)) as node:  # the program that has no polls: it forgets the view, and goes on
        await node.backend.call("post", {"text": "without polls"})
    no_problems(home)


def _run(path: str, home: Path, poll: Target) -> Any:
    asked = [sys.executable, "-m", "tests.node.with_polls", str(home), poll.raw.hex()]
    done = subprocess.run(
        asked, env={**os.environ, "PYTHONPATH": path}, cwd=TESTS.parent, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()[-3_000:]
    return json.loads(done.stdout.splitlines()[-1])  # the node logs before it


def test_views_have_the_order_of_their_names_and_share_nothing() -> None:
    assert checked(reversed(VIEWS)) == VIEWS
    assert {"followers", "reactions", "relations", "thread"} <= {view.name for view in VIEWS}
    for what, other in (
        ("view 'thread'", View("thread", 1, (Table("a"),), {}, {})),
        ("view 'shown'", View("shown", 1, (Table("a"),), {}, {})),
        ("table 'timeline'", View("a", 1, (Table("timeline", dupsort=True),), {}, {})),
        ("table 'entries'", View("a", 1, (Table("entries"),), {}, {})),
        ("kind of facts 'follows'", View("a", 1, (Table("a"),), {"follows": by_account(Table("a"))}, {})),
    ):
        with pytest.raises(ValueError, match=f"^{what} is of two views, or of a view and the store: rename one$"):
            checked((*VIEWS, other))
