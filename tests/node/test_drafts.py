"""Posts that are not published yet: only the devices of the account know them, and what is due is published once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import chores
from tests.node.real import converged, load_settings, make_home, make_node, running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        backend.call("account.create", name="bình", hosted=True)
        yield backend


def texts(page: dict[str, Any]) -> list[str]:
    return [row["text"] for row in page["posts"]]


def soon(seconds: float) -> int:
    return int((time.time() + seconds) * 1000)


def test_a_draft_is_kept_changed_published_and_dropped(node: LocalBackend, tmp_path: Path) -> None:
    answered = node.call("post", text="hỏi", by="bình")["uri"]
    first = node.call("draft.set", text="secretdraft", reply=answered)["id"]
    second = node.call("draft.set", text="khác")["id"]
    assert [row["text"] for row in node.call("drafts")["drafts"]] == ["khác", "secretdraft"]
    assert texts(node.call("feed", all=True)) == ["hỏi"]
    node.call("draft.set", id=second, text="khác nữa", warning="dài")
    uri = node.call("draft.publish", id=first)["uri"]
    (_, row) = node.call("thread", uri=answered)["posts"]
    assert (row["uri"], row["text"]) == (uri, "secretdraft")
    node.call("draft.drop", id=second)
    assert node.call("drafts")["drafts"] == []
    for method in ("draft.publish", "draft.drop"):
        with pytest.raises(CallError, match="There is no draft"):
            node.call(method, id=first)
    for due in (soon(-5), soon(400 * 86_400)):
        with pytest.raises(CallError, match="later than now, and within a year"):
            node.call("draft.set", text="x", due=due)
    with pytest.raises(CallError, match="is empty"):
        node.call("draft.set", text=" ")


def test_what_is_due_is_published_once_and_what_was_changed_is_not(node: LocalBackend) -> None:
    ctx = node.context
    due = node.call("draft.set", text="đúng giờ", due=soon(60))["id"]
    moved = node.call("draft.set", text="sau", due=soon(60))["id"]
    never = node.call("draft.set", text="thôi", due=soon(60))["id"]
    node.call("draft.set", id=moved, text="sau", due=soon(7_200))
    node.call("draft.set", id=never, text="thôi")
    assert [row["id"] for row in node.call("drafts")["drafts"]] == [due, moved, never]
    assert chores.publish_scheduled(ctx, time.time()).number == 0
    assert chores.publish_scheduled(ctx, time.time() + 120).number == 1
    ctx.store.commit()
    assert texts(node.call("feed")) == ["đúng giờ"]
    assert chores.publish_scheduled(ctx, time.time() + 120).number == 0
    assert [row["id"] for row in node.call("drafts")["drafts"]] == [moved, never]


async def test_two_devices_that_publish_one_draft_write_one_post(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        me = (await a.backend.call("account.create", {"name": "an"}))["account"]
        draft = (await a.backend.call("draft.set", {"text": "một lần"}))["id"]
        home = make_home(tmp_path / "b")
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await a.backend.call("account.grant", {"writer": (await b.backend.call("id", {}))["writer"]})
            await converged([a, b])
            assert [row["id"] for row in (await b.backend.call("drafts", {"as": me}))["drafts"]] == [draft]
        with open_local(home, load_settings(home)) as apart:
            apart.call("draft.publish", id=draft, by=me)
        await a.backend.call("draft.publish", {"id": draft})
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await converged([a, b])
            for node in (a, b):
                assert texts(await node.backend.call("feed", {"account": me})) == ["một lần"]
                assert (await node.backend.call("drafts", {"as": me}))["drafts"] == []
