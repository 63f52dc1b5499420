"""Rows that only this node has: one that cannot be read hides no other, and a repair loses nothing that it can tell."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from banyan_crdt.ids import AccountId, account_from_text
from banyan_crdt.realm import MAIN
from banyan_node.api import LocalBackend
from banyan_node.context import TABLES, open_store
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_node.upkeep.repair import repair
from banyan_storage import local_tables as local
from banyan_storage.check import verify
from banyan_storage.errors import DiskFailed
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.local_state import LocalRows
from banyan_storage.tables import COPIES, META, NOTE
from tests.node.real import load_settings


class Judged:
    """A home with a hosted account, posts of it that are hidden by decisions 1 and 2, and what else moderators did."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.home.prepare()
        Keystore.create(self.home.keys)
        with self.open() as node:
            node.call("account.create", name="me", hosted=False)
            self.an: str = node.call("account.create", name="an", hosted=True)["account"]
            self.posts = [node.call("post", text=f"{k}", **{"as": "an"})["uri"] for k in range(4)]
            for post, verdict in zip(self.posts, ("hide", "hide", "label"), strict=False):
                node.call("decision.add", verdict=verdict, account=self.an, posts=[post], why="WHY", text="TEXT")
            node.call("decision.add", verdict="limit", account=self.an)
            node.call("decision.add", verdict="withhold", account=self.an, posts=[self.posts[3]], order="ORDER")
            node.call("report.add", account=self.an, posts=[self.posts[2]], comment="WORDS", **{"as": "me"})

    def hide_more(self, posts: int) -> None:
        """So many that local state has several pages in both tables."""
        with self.open() as node:
            for k in range(posts):
                post = node.call("post", text=f"HIDDEN{k}", **{"as": "an"})["uri"]
                node.call("decision.add", verdict="hide", account=self.an, posts=[post], why="w" * 200)
                self.posts.append(post)

    def open(self) -> Any:
        return open_local(self.home, load_settings(self.home))

    def damage(self, rows: LocalRows[Any, Any], only: int | None = None) -> int:
        """The last byte of the values of these rows, or of one of them, is changed. Returns how many were."""
        with closing(LmdbEngine(self.home.store, TABLES)) as engine:
            txn = engine.write()
            found = [*txn.prefix(META, NOTE + rows.prefix)]
            for key, raw in found if only is None else [found[only]]:
                txn.put(META, key, raw[:-1] + b"\xf8")
                txn.delete(COPIES, key[len(NOTE) :])
            engine.commit()
        return len(found)

    def repaired(self) -> str:
        done = repair(self.home, MAIN, lambda sentence: None)
        assert done.left == []
        assert verify_again(self.home) == []
        return "\n".join(done.local)


def verify_again(home: Home) -> list[Any]:
    engine, store = open_store(home, MAIN)
    with closing(engine):
        return verify(store, lambda account, n: None)


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path)


def hidden(node: LocalBackend, judged: Judged) -> list[str]:
    """The posts that nobody is shown."""
    gone = list[str]()
    for post in judged.posts:
        try:
            node.call("post.get", uri=post, **{"as": judged.an})
        except CallError:
            gone.append(post)
    return gone


def test_a_decision_that_cannot_be_read_hides_no_other_and_is_made_again_from_what_it_hides(judged: Judged) -> None:
    judged.damage(local.DECISIONS, -1)  # the oldest, number 1
    with judged.open() as node:
        for method in ("decision.list", "decision.mine"):
            found = node.call(method, **({"as": "an"} if method == "decision.mine" else {}))
            assert ([one["id"] for one in found["decisions"]], found["damaged"]) == ([5, 4, 3, 2], [1])
        assert node.call("decision.list", limit=2)["damaged"] == []
        (sentence,) = node.call("store.stats")["damaged"]
        assert sentence.isascii()
        before = hidden(node, judged)
    said = judged.repaired()
    assert f"decision 1 stands (hide {judged.posts[0]})" in said
    assert b"WHY".hex() in judged.home.mended.read_text()
    with judged.open() as node:
        found = node.call("decision.list")
        assert ([one["id"] for one in found["decisions"]], found["damaged"]) == ([5, 4, 3, 2, 1], [])
        assert hidden(node, judged) == before
        assert judged.posts[0] in before
        node.call("decision.undo", id=1)
        assert judged.posts[0] not in hidden(node, judged)


@pytest.mark.parametrize("name", ["HIDDEN", "LABELLED", "LIMITED", "WITHHELD"])
def test_what_holds_of_posts_and_accounts_holds_after_a_repair(judged: Judged, name: str) -> None:
    rows: LocalRows[Any, Any] = getattr(local, name)
    with judged.open() as node:
        before = hidden(node, judged)
    assert judged.damage(rows)
    assert "stays" in judged.repaired()
    with judged.open() as node:
        assert hidden(node, judged) == before
        assert node.call("account.standing", account=judged.an)["limited"] == 4
        if name != "WITHHELD":
            for number in (1, 2, 3, 4):
                node.call("decision.undo", id=number)
            assert hidden(node, judged) == [judged.posts[3]]


def test_a_post_stays_hidden_if_its_decision_is_lost_too(judged: Judged) -> None:
    judged.damage(local.DECISIONS)
    judged.damage(local.HIDDEN)
    judged.repaired()
    with judged.open() as node:
        assert {*judged.posts[:2]} <= {*hidden(node, judged)}
        of = {post: one["id"] for one in node.call("decision.list")["decisions"] for post in one["posts"]}
        for post in judged.posts[:2]:
            node.call("decision.undo", id=of[post])
        assert hidden(node, judged) == [judged.posts[3]]


def test_accounts_stay_hosted_under_their_names(judged: Judged) -> None:
    with judged.open() as node:
        before = node.call("account.list")
    with closing(LmdbEngine(judged.home.store, TABLES)) as engine:
        txn = engine.write()
        for key, raw in [*txn.prefix(META, NOTE + local.HOSTED.prefix)]:
            txn.put(META, key, raw[:-2])
            txn.delete(COPIES, key[len(NOTE) :])
        engine.commit()
    assert "stays hosted, as 'an'" in judged.repaired()
    with judged.open() as node:
        assert node.call("account.list") == before
        node.call("post", text="goes on", **{"as": "an"})


def test_a_row_whose_kind_cannot_be_read_is_put_back(judged: Judged) -> None:
    an = AccountId(account_from_text(judged.an))
    with closing(LmdbEngine(judged.home.store, TABLES)) as engine:
        txn, key = engine.write(), NOTE + local.HOSTED.prefix + an
        txn.put(META, b"note:hosteh:" + an, txn.get(META, key) or b"")
        txn.delete(META, key)
        txn.delete(COPIES, key[len(NOTE) :])
        txn.put(META, b"note:\x1b[2J of nobody", b"x")
        engine.commit()
    assert all(one.sentence.isprintable() for one in verify_again(judged.home))
    said = judged.repaired()
    assert "it is back as one of 'hosted'" in said
    assert "it is lost" in said
    assert said.replace("\n", "").isprintable()
    with judged.open() as node:
        assert [one["name"] for one in node.call("account.list")["accounts"]] == ["me", "an"]


def test_a_report_that_is_lost_is_counted_no_more(judged: Judged) -> None:
    judged.damage(local.REPORTS_OPEN)
    with judged.open() as node:
        assert node.call("report.list")["reports"] == []
    assert "it is lost" in judged.repaired()
    with judged.open() as node:
        assert node.call("report.list")["open"] == 0
        assert node.call("report.add", account=judged.an, posts=[judged.posts[2]], **{"as": "me"})["id"] == 2


def test_without_a_report_of_them_no_row_goes(judged: Judged) -> None:
    judged.damage(local.DECISIONS, -1)
    judged.home.mended.mkdir()
    assert len(verify_again(judged.home)) == 2  # the row, and that it has no copy
    with pytest.raises(DiskFailed, match="nothing was dropped"):
        judged.repaired()
    assert len(verify_again(judged.home)) == 1  # the row; what can be read of it is its copy
