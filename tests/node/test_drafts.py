"""Posts that are not published yet: only the devices of the account know them, and what is due is published once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.blob import BlobRoot
from banyan_node.api import LocalBackend
from banyan_node.api.declare import named
from banyan_node.hosting import drafts, hosted, sealed_writer
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.node import Node
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance, storage_quota
from banyan_replica.wire.blob_messages import draft_token
from tests.node.pictures import photo
from tests.node.real import converged, load_settings, make_home, make_node, running

DAY_S = 86_400


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
    for method in ("drafts", "decision.mine", "notifications"):
        with pytest.raises(CallError, match="An empty text names nobody, and this needs an account"):
            node.call(method, by="")
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
    assert maintenance.publish_scheduled(ctx, time.time()).number == 0
    assert maintenance.publish_scheduled(ctx, time.time() + 120).number == 1
    ctx.store.commit()
    assert texts(node.call("feed")) == ["đúng giờ"]
    assert maintenance.publish_scheduled(ctx, time.time() + 120).number == 0
    assert [row["id"] for row in node.call("drafts")["drafts"]] == [moved, never]


def test_what_was_due_stands_at_its_time_and_in_its_order_and_what_is_very_late_where_it_is_published(
    node: LocalBackend,
) -> None:
    ctx, first = node.context, soon(60)
    for n in range(6):
        node.call("draft.set", text=f"{n}/6", due=first + 50 * n)
    late = [node.call("draft.set", text=f"muộn {n}", due=soon(30) + n, by="bình") for n in range(3)]
    assert maintenance.publish_scheduled(ctx, time.time() + 62).number == 9
    ctx.store.commit()
    rows = node.call("feed")["posts"]
    assert [(row["text"], row["time_ms"]) for row in rows] == [(f"{n}/6", first + 50 * n) for n in (5, 4, 3, 2, 1, 0)]
    assert len(late) == 3
    for n in range(3):
        node.call("draft.set", text=f"rất muộn {n}", due=soon(60) + n, by="bình")
    assert maintenance.publish_scheduled(ctx, time.time() + 5_000).number == 3
    ctx.store.commit()
    rows = node.call("feed", account="bình")["posts"]
    assert [row["text"] for row in rows] == [*(f"rất muộn {n}" for n in (2, 1, 0)), *(f"muộn {n}" for n in (2, 1, 0))]
    assert rows[0]["time_ms"] > soon(4_000)


def test_what_is_no_longer_allowed_is_not_published_and_says_why(node: LocalBackend) -> None:
    ctx = node.context
    gone, group = (
        node.call("post", text="hỏi", by="bình")["uri"],
        node.call("group.create", name="Vườn", by="bình")["uri"],
    )
    node.call("group.join", group=group)
    poll = {"options": ["a", "b"], "closes_ms": soon(0.3)}
    drafts = [
        node.call("draft.set", text="đáp", reply=gone, due=soon(60))["id"],
        node.call("draft.set", text="dẫn", quote=gone, due=soon(60))["id"],
        node.call("draft.set", text="ở nhóm", group=group, due=soon(60))["id"],
        node.call("draft.set", text="chọn", poll=poll, due=soon(60))["id"],
    ]
    assert all(row["refused"] is None for row in node.call("drafts")["drafts"] if row["text"] != "chọn")
    node.call("delete", uri=gone)
    node.call("group.join", group=group, undo=True)
    time.sleep(0.35)
    said = {row["id"]: row["refused"] for row in node.call("drafts")["drafts"]}
    for draft, why in zip(
        drafts, ("answers is deleted", "quotes is deleted", "no member", "poll has ended"), strict=True
    ):
        assert why in said[draft]
        with pytest.raises(CallError, match=why):
            node.call("draft.publish", id=draft)
    assert maintenance.publish_scheduled(ctx, time.time() + 120).number == 0
    ctx.store.commit()
    assert {row["id"] for row in node.call("drafts")["drafts"]} == {*drafts}


async def test_a_running_node_publishes_within_two_seconds(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        await node.backend.call("account.create", {"name": "an"})
        due = soon(1)
        await node.backend.call("draft.set", {"text": "đúng giờ", "due": due})
        with trio.fail_after(60):
            while not (rows := (await node.backend.call("feed", {}))["posts"]):
                await trio.sleep(0.05)
        assert rows[0]["time_ms"] == due


async def test_a_draft_that_was_changed_after_another_device_published_it_is_not_lost(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        me = (await a.backend.call("account.create", {"name": "an"}))["account"]
        draft = (await a.backend.call("draft.set", {"text": "một"}))["id"]
        home = make_home(tmp_path / "b")
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await a.backend.call("account.grant", {"writer": (await b.backend.call("id", {}))["writer"]})
            await converged([a, b])
        await a.backend.call("draft.publish", {"id": draft})
        with open_local(home, load_settings(home)) as apart:
            apart.call("draft.set", id=draft, text="hai", by=me)
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await converged([a, b])
            for node in (a, b):
                with pytest.raises(CallError, match="Another device published this draft with other words"):
                    await node.backend.call("draft.publish", {"id": draft, "as": me})
                assert [row["text"] for row in (await node.backend.call("drafts", {"as": me}))["drafts"]] == ["hai"]
                assert texts(await node.backend.call("feed", {"account": me})) == ["một"]


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


def with_picture(node: LocalBackend, file: Path) -> dict[str, Any]:
    """What `media.put` answered."""
    return dict(node.call("media.put", path=str(file)))


def whole(node: LocalBackend) -> set[str]:
    """The blobs that are here."""
    return {row["blob"] for row in node.call("media.list")["blobs"]}


def collect(node: LocalBackend, days: float) -> None:
    """As a node does it, so many days from now."""
    later = time.time() + days * DAY_S
    maintenance.keep_for_drafts(node.context, later)
    storage_quota.collect(storage_quota.old(node.context.blobs, later), node.context, later)
    node.context.store.commit()


def test_pictures_of_a_draft_are_kept_published_with_it_and_let_go_when_it_is_dropped(
    node: LocalBackend, tmp_path: Path
) -> None:
    cat, sea = (with_picture(node, photo(tmp_path / f"{n}.jpg", 800 + n, 600)) for n in range(2))
    media = [{"blob": cat["blob"], "description": "Một con mèo"}]
    mine = node.call("draft.set", text="", media=media)["id"]
    other = node.call("draft.set", text="biển", media=[{"blob": sea["blob"]}])["id"]
    row = next(row for row in node.call("drafts")["drafts"] if row["id"] == mine)
    (item,) = row["media"]
    assert (item["blob"], item["description"], item["here"], row["lacking"]) == (cat["blob"], "Một con mèo", True, 0)
    everything = {one[key] for one in (cat, sea) for key in ("blob", "preview")}
    for days in (2, 40, 400):
        collect(node, days)
        assert whole(node) == everything
    with pytest.raises(CallError, match="A draft names this blob; drop the draft instead"):
        node.call("media.drop", blob=cat["blob"])
    assert all(row["named"] for row in node.call("media.list")["blobs"])
    uri = node.call("draft.publish", id=mine)["uri"]
    (shown,) = node.call("thread", uri=uri)["posts"][0]["media"]
    assert shown == item
    node.call("draft.drop", id=other)
    collect(node, 500)
    assert whole(node) == {cat["blob"], cat["preview"]}


def test_a_preview_that_a_draft_names_stays_when_a_post_with_it_is_deleted(node: LocalBackend, tmp_path: Path) -> None:
    cat = with_picture(node, photo(tmp_path / "a.jpg", 800, 600))
    uri = node.call("post", text="", media=[{"blob": cat["blob"]}])["uri"]
    draft = node.call("draft.set", text="", media=[{"blob": cat["blob"]}])["id"]
    node.call("delete", uri=uri)
    preview = [BlobRoot(bytes.fromhex(cat["preview"]))]
    storage_quota.fade(preview, node.context, time.time())
    assert whole(node) == {cat["blob"], cat["preview"]}
    node.call("draft.drop", id=draft)
    storage_quota.fade(preview, node.context, time.time())
    assert whole(node) == {cat["blob"]}


def test_a_preview_of_a_picture_that_was_put_again_stays_until_that_is_posted_and_deleted(
    node: LocalBackend, tmp_path: Path
) -> None:
    cat = with_picture(node, photo(tmp_path / "a.jpg", 800, 600))
    preview = [BlobRoot(bytes.fromhex(cat["preview"]))]
    first = node.call("post", text="", media=[{"blob": cat["blob"]}])["uri"]
    node.call("delete", uri=first)
    time.sleep(0.02)  # the clock of files is coarser than that of posts
    assert with_picture(node, photo(tmp_path / "a.jpg", 800, 600)) == cat
    storage_quota.fade(preview, node.context, time.time())
    assert whole(node) == {cat["blob"], cat["preview"]}
    time.sleep(0.02)
    node.call("delete", uri=node.call("post", text="", media=[{"blob": cat["blob"]}])["uri"])
    storage_quota.fade(preview, node.context, time.time())
    assert whole(node) == {cat["blob"]}


def test_a_picture_that_is_put_again_has_its_day_again(node: LocalBackend, tmp_path: Path) -> None:
    cat = with_picture(node, photo(tmp_path / "a.jpg", 800, 600))
    for name in ("blob", "preview"):
        node.context.blobs.want(BlobRoot(bytes.fromhex(cat[name])), int(time.time() - 2 * DAY_S))
    assert with_picture(node, photo(tmp_path / "a.jpg", 800, 600)) == cat
    collect(node, 0)
    assert whole(node) == {cat["blob"], cat["preview"]}


def test_a_draft_that_is_changed_names_its_pictures_anew(node: LocalBackend, tmp_path: Path) -> None:
    one, two = (with_picture(node, photo(tmp_path / f"{n}.jpg", 300 + n, 200))["blob"] for n in range(2))
    draft = node.call("draft.set", text="a", media=[{"blob": one}])["id"]
    node.call("draft.set", id=draft, text="b", media=[{"blob": one, "description": "hoa"}, {"blob": two}])
    collect(node, 2)
    assert whole(node) == {one, two}
    node.call("draft.set", id=draft, text="c", media=[{"blob": two}])
    collect(node, 4)
    assert whole(node) == {two}
    with pytest.raises(CallError, match="is not here"):
        node.call("draft.set", text="d", media=[{"blob": one}])
    node.call("draft.set", id=draft, text="e")
    collect(node, 6)
    assert whole(node) == set()
    with pytest.raises(CallError, match="is empty"):
        node.call("draft.set", text=" ", media=[])


def test_after_a_restart_a_draft_still_has_its_pictures_and_is_published_at_its_time(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as node:
        node.call("account.create", name="an")
        blob = with_picture(node, photo(tmp_path / "a.jpg", 300, 200))["blob"]
        node.call("draft.set", text="đúng giờ", due=soon(5 * DAY_S), media=[{"blob": blob}])
    with open_local(home, load_settings(home)) as node:
        for days in (2, 3, 4):
            collect(node, days)
        assert maintenance.publish_scheduled(node.context, time.time() + 6 * DAY_S).number == 1
        node.context.store.commit()
        (post,) = node.call("feed")["posts"]
        assert (post["text"], [item["blob"] for item in post["media"]]) == ("đúng giờ", [blob])
        assert node.call("drafts")["drafts"] == []
        collect(node, 40)
        assert whole(node) == {blob}


async def call(node: Node, method: str, **params: Any) -> Any:
    return await node.backend.call(method, named(params))


async def test_pictures_of_a_draft_come_to_the_other_device_and_to_nobody_else(tmp_path: Path) -> None:
    file = photo(tmp_path / "a.jpg", 900, 600)
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        me = (await call(a, "account.create", name="an"))["account"]
        other, addr = make_home(tmp_path / "b"), a.edge.addresses[0]
        async with running(make_node(other, [addr])) as b, running(make_node(make_home(tmp_path / "c"), [addr])) as c:
            await call(a, "account.grant", writer=(await call(b, "id"))["writer"])
            await converged([a, b, c])
            put = await call(a, "media.put", path=str(file))
            draft = (await call(a, "draft.set", text="", media=[{"blob": put["blob"]}]))["id"]
            await converged([a, b, c])
            (row,) = (await call(b, "drafts", by=me))["drafts"]
            assert (row["id"], row["lacking"], row["media"][0]["here"]) == (draft, 2, False)
            with pytest.raises(CallError, match="2 of their files are not on this device yet"):
                await call(b, "draft.publish", id=draft, by=me)
            await b.worker.call(maintenance.follow)
            with trio.fail_after(60):
                while (await call(b, "drafts", by=me))["drafts"][0]["lacking"]:
                    await trio.sleep(0.05)
            root = bytes.fromhex(put["blob"])
            token = draft_token(BlobRoot(root), bytes.fromhex(draft), b.edge.peer_id)
            for question in (b"\1" + root, b"\3" + token, b"\3" + root):  # what others know, or heard the device ask
                assert await c.media._peers.ask(a.edge.peer_id, question, 10_000) == b"\0not here"
            uri = (await call(b, "draft.publish", id=draft, by=me))["uri"]
            await converged([a, b, c])
            assert [item["blob"] for item in (await call(c, "thread", uri=uri))["posts"][0]["media"]] == [put["blob"]]
            with pytest.raises(CallError, match="There is no draft"):
                await call(a, "draft.publish", id=draft)


async def test_a_draft_with_a_picture_that_two_devices_publish_at_its_time_is_one_post(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        me = (await call(a, "account.create", name="an"))["account"]
        blob = (await call(a, "media.put", path=str(photo(tmp_path / "a.jpg", 300, 200))))["blob"]
        draft = (await call(a, "draft.set", text="một lần", media=[{"blob": blob}]))["id"]
        home = make_home(tmp_path / "b")
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await call(a, "account.grant", writer=(await call(b, "id"))["writer"])
            await converged([a, b])
            await b.worker.call(maintenance.follow)
            with trio.fail_after(60):
                while (await call(b, "drafts", by=me))["drafts"][0]["lacking"]:
                    await trio.sleep(0.05)
            await call(a, "draft.set", id=draft, text="một lần", media=[{"blob": blob}], due=soon(6))
            await converged([a, b])
        with open_local(home, load_settings(home)) as apart:
            apart.call("draft.publish", id=draft, by=me)
        with trio.fail_after(60):
            while (await call(a, "drafts", by=me))["drafts"]:
                await trio.sleep(0.05)
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await converged([a, b])
            for node in (a, b):
                (post,) = (await call(node, "feed", account=me))["posts"]
                assert (post["text"], [item["blob"] for item in post["media"]]) == ("một lần", [blob])
                assert (await call(node, "drafts", by=me))["drafts"] == []


def test_a_draft_that_another_device_dropped_keeps_its_pictures_a_day_at_most(
    node: LocalBackend, tmp_path: Path
) -> None:
    ctx, blob = node.context, with_picture(node, photo(tmp_path / "a.jpg", 300, 200))["blob"]
    draft = node.call("draft.set", text="a", media=[{"blob": blob}])["id"]
    me = hosted.my_account(ctx)
    gone = sealed_writer.taking_back(ctx, me, [drafts.draft_of(ctx, me, bytes.fromhex(draft))])
    append(ctx, me, gone, time.time())  # as it comes from there: nothing is noted here
    ctx.store.commit()
    assert [row["blob"] for row in node.call("media.list")["blobs"] if row["named"]] == [blob]
    collect(node, 2)
    assert whole(node) == set()
