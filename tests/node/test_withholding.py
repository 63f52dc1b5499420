"""Withheld content: the structure stays, the content is erased, and peers that ask get a signed statement."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_crdt.errors import BadSignature, Malformed
from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Put
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.signing import Signer
from banyan_node.api import LocalBackend
from banyan_node.api.methods.moderation import content
from banyan_node.api.methods.moderation.content import _writes
from banyan_node.context import Context
from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keys, Keystore
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.moderation import withheld
from banyan_node.operator_errors import CallError
from banyan_node.upkeep import maintenance
from banyan_replica.peers.statements import Withheld, read_withheld, sign_withheld
from banyan_schema.social import POST, Post, post_from_text, write_post
from banyan_storage.due import Work
from tests.forking import Code
from tests.node.pictures import photo
from tests.node.real import converged, make_home, make_node, running

DAY_S = maintenance.DAY_S

ENTRY = EntryId(b"e" * 32)


def test_a_statement_reads_back_and_no_changed_byte_of_it_passes() -> None:
    signer = Signer(MAIN, b"p" * 32)
    said = Withheld(signer.key, 1_800_000_000_000, ENTRY, 3, "QĐ 12/2026", "Nghị định 147/2024", "VN", None)
    raw = sign_withheld(signer, said)
    assert read_withheld(MAIN, raw, ENTRY, 3) == said
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises((Malformed, BadSignature)):
            read_withheld(MAIN, bytes(changed), ENTRY, 3)
    for realm, entry, op in ((TEST, ENTRY, 3), (MAIN, EntryId(bytes(32)), 3), (MAIN, ENTRY, 4)):
        with pytest.raises((Malformed, BadSignature)):
            read_withheld(realm, raw, entry, op)


def test_a_withheld_post_is_gone_from_the_feed_while_the_frontier_stays_and_may_be_released(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        uri = twice(node)
        before, parts = node.call("digest"), contents(node, uri)
        feed = node.call("feed", limit=9)
        recent = node.context.replica.gossip._tree.recent
        assert all(any(part in kept.payload for kept in recent.items.values()) for part in parts)
        answer = node.call("content.withhold", uri=uri, order="QĐ 12", days=30)
        assert (answer["withheld"], answer["kept"]) == (2, 2)
        assert node.call("feed", limit=9)["posts"] == []
        assert node.call("digest")["digest"] == before["digest"]
        assert not any(part in kept.payload for kept in recent.items.values() for part in parts)
        ctx = node.context
        for entry, op in _writes(ctx, post_from_text(uri)):
            assert ctx.store.part(entry, op) is None
            ((_, _, raw, reason),) = ctx.replica.missing.answer([(entry, op)])
            assert raw is None
            assert read_withheld(ctx.realm, reason, entry, op).order == "QĐ 12"
        assert not [raw for _, raw in ctx.store.notes() if any(part in raw for part in parts)], "the copy is sealed"
        answer = node.call("content.release", uri=uri)
        assert (answer["released"], answer["kept"]) == (2, 2)
        assert contents(node, uri) == parts
        assert node.call("feed", limit=9) == feed
        assert node.call("digest")["lacking_parts"] == 0
        assert not [*ctx.store.notes(b"sealed content:")]
        with pytest.raises(CallError, match="The order is empty"):
            node.call("content.withhold", uri=uri, order=" ")


def test_another_order_replaces_the_one_that_stands_and_nothing_is_given_out_in_between(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        uri = twice(node)
        ctx, feed, since = node.context, node.call("feed", limit=9), node.call("firehose")["cursor"]
        given: dict[str, Any] = {"account": uri.split("/")[0], "posts": [uri], "verdict": "withhold"}
        short = node.call("decision.add", order="QĐ 12", days=1, **given)["id"]
        answer = node.call("content.withhold", uri=uri, order="QĐ 13", days=9)
        assert (answer["withheld"], answer["kept"]) == (2, 2)
        at(node, 2 * DAY_S, content.end_terms)
        long = node.call("decision.add", order="QĐ 14", days=30, **given)["id"]
        at(node, 10 * DAY_S, content.end_terms)
        node.call("decision.undo", id=short)
        assert [row["order"] for row in node.call("content.withheld")["posts"]] == ["QĐ 14"]
        for entry, op in _writes(ctx, post_from_text(uri)):
            ((_, _, raw, reason),) = ctx.replica.missing.answer([(entry, op)])
            assert (raw, read_withheld(ctx.realm, reason, entry, op).order) == (None, "QĐ 14")
        told = node.call("firehose", since=since)["events"]
        assert [(event["kind"], event["said"][0]) for event in told] == [
            ("withheld", "QĐ 12"), ("withheld", "QĐ 13"), ("withheld", "QĐ 14")
        ]  # fmt: skip
        assert node.call("feed", limit=9)["posts"] == []
        node.call("decision.undo", id=long)
        assert node.call("feed", limit=9) == feed
        assert node.call("store.verify")["problems"] == []


def test_an_erased_copy_is_gone_for_good_and_a_kept_one_may_be_erased_later(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        uri = twice(node)
        assert node.call("content.withhold", uri=uri, order="QĐ 12", days=9)["kept"] == 2
        answer = node.call("content.withhold", uri=uri, order="QĐ 12", erase=True)
        assert (answer["withheld"], answer["kept"]) == (0, 0)
        assert answer["expires_ms"] == node.call("content.withheld")["posts"][0]["expires_ms"]
        assert not [*node.context.store.notes(b"sealed content:")]
        answer = node.call("content.release", uri=uri)
        assert (answer["released"], answer["kept"]) == (2, 0)
        assert node.call("digest")["lacking_parts"] == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from banyan_node.home import settings
from banyan_node.home.folder import Home
from banyan_node.local import open_local
home = Home(Path(sys.argv[1]))
with open_local(home, settings.load(home, env={})) as node:
    node.call(sys.argv[2], **eval(sys.argv[3]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_after_the_answer_loses_neither_the_copy_nor_what_was_given_back(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        uri = twice(node)
        parts = contents(node, uri)

    def killed(method: str, **asked: object) -> None:
        assert Code(KILLED, tmp_path / "home", method, repr(asked)).wait() == -9

    for _ in range(2):
        killed("content.withhold", uri=uri, order="QĐ 12")
        with opened(tmp_path) as node:
            assert node.call("feed", limit=9)["posts"] == []
        killed("content.release", uri=uri)
        with opened(tmp_path) as node:
            assert contents(node, uri) == parts
    killed("content.withhold", uri=uri, order="QĐ 12")
    with opened(tmp_path) as node:
        assert node.call("content.release", uri=uri)["kept"] == 2
        assert contents(node, uri) == parts


def test_a_post_is_shown_again_when_its_term_ends_also_one_that_an_older_program_withheld(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        uri = twice(node)
        parts, feed = contents(node, uri), node.call("feed", limit=9)
        node.call("content.withhold", uri=uri, order="QĐ 12", days=30)
        at(node, 29 * DAY_S, content.end_terms)
        assert node.call("feed", limit=9)["posts"] == []
        at(node, 31 * DAY_S, content.end_terms)
        assert (node.call("feed", limit=9), contents(node, uri)) == (feed, parts)
        assert node.call("content.withheld")["posts"] == []
        node.call("content.withhold", uri=uri, order="QĐ 12", days=30)
        ctx, post = node.context, post_from_text(uri)
        for item in [*withheld.opened(ctx, post)]:  # as the release before this one kept them
            ctx.store.put_note(b"kept content:" + item.entry + item.op.to_bytes(2, "big"), item.raw)
        withheld.drop(ctx.store, post.account, post.key)
        ctx.store.drop_due(Work.WITHHELD, post.account + post.key)
        ctx.store.put_note(b"terms of orders", None)
        ctx.store.commit()
        at(node, 0, content.end_terms)
        assert not [*ctx.store.notes(b"kept content:")]
        at(node, 31 * DAY_S, content.end_terms)
        assert (node.call("feed", limit=9), contents(node, uri)) == (feed, parts)


async def test_no_copy_outlives_what_the_author_deleted_and_its_picture_stays_while_one_is_kept(tmp_path: Path) -> None:
    def then(days: float, work: Callable[[Context, float], object]) -> Callable[[Context, float], object]:
        return lambda ctx, now: work(ctx, now + days * DAY_S)

    async with running(make_node(make_home(tmp_path / "a"))) as node:
        call = node.backend.call
        await call("account.create", {"name": "An"})
        blob = (await call("media.put", {"path": str(photo(tmp_path / "a.jpg"))}))["blob"]
        uri = (await call("post", {"text": "mèo", "media": [{"blob": blob}]}))["uri"]

        async def pinned() -> bool:
            return bool((await call("media.show", {"blob": blob}))["pinned"])

        async def kept() -> bool:
            return bool(await node.worker.call(lambda c, now: withheld.any_of(c.store, post_from_text(uri))))

        await call("content.withhold", {"uri": uri, "order": "QĐ 12"})
        assert (await pinned(), await kept()) == (True, True)
        await call("content.release", {"uri": uri})
        await node.worker.call(content.end_terms)
        assert (await pinned(), await kept()) == (False, False)
        await call("content.withhold", {"uri": uri, "order": "QĐ 12"})
        await call("delete", {"uri": uri})
        await node.worker.call(maintenance.erase_deleted)
        await node.worker.call(then(29, maintenance.erase_deleted))
        assert (await pinned(), await kept()) == (True, True), "a cut may undo the deletion"
        await node.worker.call(then(32, maintenance.erase_deleted))
        await node.worker.call(content.end_terms)
        assert (await pinned(), await kept()) == (False, False)


def test_a_new_master_secret_opens_the_copies_of_the_old_one(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        uri = twice(node)
        post, ctx = post_from_text(uri), node.context
        node.call("content.withhold", uri=uri, order="QĐ 12")
        kept = [*withheld.opened(ctx, post)]
        other = Keys(b"m" * 32)
        withheld.reseal(ctx.store, ctx.keys, other)
        assert (len(kept), [*withheld.opened(ctx, post)]) == (2, [])
        ctx.keys = other
        assert [*withheld.opened(ctx, post)] == kept


def opened(tmp_path: Path) -> AbstractContextManager[LocalBackend]:
    home = Home(tmp_path / "home")
    if not home.keys.exists():
        home.prepare()
        Keystore.create(home.keys)
    return open_local(home, settings.load(home, env={}))


def test_what_the_author_makes_of_a_withheld_post_is_not_shown_until_it_is_released(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        uri = twice(node)
        target, ctx = post_from_text(uri), node.context
        live = ctx.queries().live(target.account, Put(POST, target.key, (), None))
        node.call("content.withhold", uri=uri, order="QĐ 12", days=30)
        append(ctx, target.account, [write_post(target.key, Post("lại tin"), live)], time.time())  # of another device
        ctx.store.commit()
        for rows in (node.call("feed", limit=9)["posts"], node.call("search", question="tin")["posts"]):
            assert rows == []
        with pytest.raises(CallError, match="QĐ 12") as refused:
            node.call("post.get", uri=uri)
        assert refused.value.status == 451
        since = str(node.call("firehose")["cursor"]).partition("-")[0] + "-0"
        assert "lại tin" not in str(node.call("firehose", since=since))
        node.call("content.release", uri=uri)
        assert [post["text"] for post in node.call("feed", limit=9)["posts"]] == ["lại tin"]


def twice(node: LocalBackend) -> str:
    """A post that was edited."""
    node.call("account.create", name="an", hosted=False)
    uri = str(node.call("post", text="một tin")["uri"])
    node.call("edit", uri=uri, text="một tin khác")
    return uri


def contents(node: LocalBackend, uri: str) -> list[bytes]:
    """What is held of the post, as its author wrote it."""
    raws = [node.context.store.part(*ref) for ref in _writes(node.context, post_from_text(uri))]
    return [raw for raw in raws if raw is not None]


def at(node: LocalBackend, seconds: float, work: Callable[[Context, float], object]) -> None:
    """Does the daily work as it is done so many seconds later."""
    work(node.context, time.time() + seconds)
    node.context.store.commit()


@pytest.mark.parametrize("erase", [False, True])
async def test_an_edit_that_comes_after_the_order_is_given_to_no_peer(tmp_path: Path, erase: bool) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        await a.backend.call("account.create", {"name": "An"})
        uri = (await a.backend.call("post", {"text": "một tin"}))["uri"]

        def answer(c: Context, now: float) -> list[tuple[bytes | None, bool]]:
            rows = c.replica.missing.answer(_writes(c, post_from_text(uri)))
            return [(raw, bool(reason)) for _, _, raw, reason in rows]

        async with running(make_node(make_home(tmp_path / "b"), a.edge.addresses)) as b:
            await converged([a, b])
            await b.backend.call("content.withhold", {"uri": uri, "order": "QĐ 12", "erase": erase})
            for number, text in ((2, "sửa một"), (3, "sửa hai")):
                await a.backend.call("edit", {"uri": uri, "text": text})
                with trio.fail_after(60):
                    while len(await b.worker.call(answer)) < number:
                        await trio.sleep(0.05)
                assert await b.worker.call(answer) == [(None, True)] * number
            recent = await b.worker.call(lambda c, now: [*c.replica.gossip._tree.recent.items.values()])
            assert not any("sửa".encode() in kept.payload for kept in recent)
            assert (await b.backend.call("content.release", {"uri": uri}))["kept"] == (0 if erase else 3)
            with trio.fail_after(60):
                while len(rows := await b.worker.call(answer)) < 3 or not all(raw for raw, _ in rows):
                    await trio.sleep(0.1)
            assert (await b.backend.call("post.get", {"uri": uri}))["text"] == "sửa hai"
