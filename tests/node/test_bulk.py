"""Many operations in one call: each alone, in order, and once in a day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from banyan_node.api import LocalBackend
from banyan_node.api.declare import MethodTable, Request, Response
from banyan_node.api.dispatch import settle
from banyan_node.api.methods.posts import bulk
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from banyan_schema.social import set_profile
from banyan_storage.local_tables import IDEMPOTENCY
from tests.node.real import load_settings, make_home, make_node, running

DAY_S = 24 * 3_600


@contextmanager
def local(path: Path) -> Iterator[LocalBackend]:
    home = make_home(path)
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="Lotus")
        for name in ("an", "bình"):
            node.call("account.create", name=name, hosted=True)
        yield node


def post(id: str, by: str = "an", **more: Any) -> dict[str, Any]:
    return {"id": id, "as": by, "do": "post", "text": f"post {id}", **more}


def states(node: LocalBackend, *operations: Any, whose: str = "") -> list[str]:
    return [row["state"] for row in node.call("bulk.write", operations=list(operations), whose=whose)["rows"]]


def texts(node: LocalBackend, who: str) -> list[str]:
    return [p["text"] for p in node.call("feed", account=who, limit=1000)["posts"]]


def test_an_operation_sees_what_those_before_it_wrote(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        (row,) = node.call("bulk.write", operations=[post("1")])["rows"]
        uri = row["answer"]["uri"]
        again = [
            {"id": "e1", "as": "an", "do": "edit", "uri": uri, "text": "once"},
            {"id": "r1", "as": "bình", "do": "react", "uri": uri, "emoji": "🌳"},
            {"id": "e2", "as": "an", "do": "edit", "uri": uri, "text": "twice"},
            {"id": "r2", "as": "bình", "do": "react", "uri": uri, "emoji": "🌳", "undo": True},
            {"id": "r3", "as": "bình", "do": "react", "uri": uri, "emoji": "🌳", "undo": True},
            {"id": "d", "as": "an", "do": "delete", "uri": uri},
            {"id": "a", "as": "bình", "do": "reply", "uri": uri, "text": "late"},
        ]
        assert states(node, *again) == ["done"] * 4 + ["refused", "done", "refused"]
        assert texts(node, "an") == []
        assert node.call("store.verify")["problems"] == []


def test_posts_of_one_call_keep_their_order_and_so_do_calls_that_follow_at_once(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        for call in range(5):
            states(node, *(post(f"{call * 50 + n}") for n in range(50)))
        assert texts(node, "an") == [f"post {n}" for n in reversed(range(250))]


def test_the_same_id_is_done_once_and_answered_again_also_after_a_restart(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        first = node.call("bulk.write", operations=[post("1"), post("1")])["rows"]
        assert [row["state"] for row in first] == ["done", "before"]
        assert states(node, post("1"), whose="another platform") == ["done"]
        other = node.call("bulk.write", operations=[post("1", lang="vi")])["rows"][0]
        assert (other["state"], other["status"]) == ("refused", 422)
        assert states(node, {**post("2"), "text": " "}, post("2")) == ["refused", "done"]  # what was refused may come
        home = node.context.home
    with open_local(home, load_settings(home)) as node:
        assert node.call("bulk.write", operations=[post("1")])["rows"][0]["answer"] == first[0]["answer"]
        assert len(texts(node, "an")) == 3


def test_ids_are_forgotten_after_two_days_at_most(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        ctx, now = node.context, time.time()

        def states_at(days: float, *ids: str) -> list[str]:
            ask = bulk.BulkRequest([post(id) for id in ids])
            rows = bulk.bulk(ctx, ask, now + days * DAY_S).rows
            settle(ctx)
            return [row.state for row in rows]

        assert states_at(0, "1", "2", "3") == ["done"] * 3
        assert states_at(0.99, "1") == ["before"]
        assert states_at(2.01, "4") == ["done"]
        assert states_at(2.01, "1") == ["done"]
        assert len([*IDEMPOTENCY.keys(ctx.store)]) == 2


def test_what_is_no_operation_is_refused_alone(tmp_path: Path) -> None:
    with local(tmp_path) as node:
        bad = [
            7,
            {},
            {"id": "", "do": "post", "text": "x"},
            {"id": "x" * 257, "do": "post", "text": "x"},
            {"id": "1", "do": "shutdown"},
            {"id": "1", "do": ["post"]},
            {"id": "1", "as": 7, "do": "edit", "uri": "x", "text": "x"},
            {"id": "1", "as": "nobody", "do": "post", "text": "x"},
            {"id": "1", "as": "an", "do": "post", "text": "x", "colour": "red"},
            {"id": "1", "as": "an", "do": "reply", "uri": "x", "text": "x"},
            {"id": "1", "as": "an", "do": "profile.set"},
        ]
        assert states(node, *bad, post("1")) == ["refused"] * len(bad) + ["done"]
        uri = node.call("post", text="of Lotus")["uri"]
        rows = node.call("bulk.write", operations=[{"id": "2", "as": "an", "do": "delete", "uri": uri}])["rows"]
        assert (rows[0]["code"], rows[0]["status"]) == ("refused", 403)
        assert texts(node, "Lotus") == ["of Lotus"]


class Nobody(Request, frozen=True, forbid_unknown_fields=True):
    by: str | None = None


class Never(Response, frozen=True):
    pass


async def test_an_operation_that_is_refused_half_done_takes_the_whole_call_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = MethodTable()

    @odd.write("odd", "refused")
    def write_and_refuse(ctx: Context, ask: Nobody, now: float) -> Never:
        """Writes and refuses."""
        account = hosted.account_of(ctx, ask.by)
        append(ctx, account, [set_profile(hosted.salt_of(ctx, account), "bio", "half")], now)
        raise CallError("refused", "No.", 409)

    monkeypatch.setitem(bulk.DOES, "odd", next(iter(odd)))
    async with running(make_node(make_home(tmp_path))) as node:
        await node.backend.call("account.create", {"name": "an"})
        before = (await node.backend.call("digest", {}))["digest"]
        with pytest.raises(CallError) as caught:
            await node.backend.call("bulk.write", {"operations": [post("1"), {"id": "2", "as": "an", "do": "odd"}]})
        assert caught.value.code == "half_done"
        assert (await node.backend.call("digest", {}))["digest"] == before
        rows = (await node.backend.call("bulk.write", {"operations": [post("1")]}))["rows"]
        assert rows[0]["state"] == "done"
