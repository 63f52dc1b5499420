"""What others withhold is shown as withheld where its host or a named platform says so; others only say so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import EntryId
from banyan_crdt.signing import Signer
from banyan_node.api import LocalBackend
from banyan_node.api.methods.moderation.content import _writes
from banyan_node.moderation import withheld
from banyan_node.operator_errors import CallError
from banyan_replica.peers.statements import Withheld, sign_withheld
from banyan_schema.social import post_from_text
from tests.node.real import make_home, make_node, running
from tests.node.test_withholding import contents, opened

NOW_MS = time.time_ns() // 1_000_000


async def test_another_node_says_by_which_order_it_lacks_a_post_and_is_complete_until_it_comes(tmp_path: Path) -> None:
    home = make_home(tmp_path / "b")
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        await a.backend.call("account.create", {"name": "An"})
        key = await a.worker.call(lambda c, now: c.device.key.hex())
        uri = (await a.backend.call("post", {"text": "một tin"}))["uri"]
        answer = (await a.backend.call("reply", {"uri": uri, "text": "hai"}))["uri"]
        order = {"order": "QĐ 12", "basis": "NĐ 147", "scope": "VN", "days": 30}
        await a.backend.call("content.withhold", {"uri": uri, **order})
        for restarted in (False, True):
            async with running(make_node(home, a.edge.addresses)) as b:
                with trio.fail_after(90):
                    while not (status := await b.backend.call("status", {}))["complete"] or not status["lacking_parts"]:
                        await trio.sleep(0.1)
                assert (status["lacking_parts"], status["behind"]) == (1, 0)
                for method in ("thread", "post.get", "why", "post.proof"):
                    asked = {"uri": uri}
                    if method == "thread":
                        found = await b.backend.call("thread", {"uri": answer})
                        assert (found["missing"], found["gone"]["word"]) == (uri, "withheld")
                        by = found["gone"]["withheld"]
                    else:
                        with pytest.raises(CallError, match="QĐ 12; NĐ 147; VN; until 20") as refused:
                            await b.backend.call(method, asked)
                        assert refused.value.status == 451
                        by = refused.value.more["withheld"]
                    said = (by["by"], by["order"], by["basis"], by["scope"])
                    assert said == (key, "QĐ 12", "NĐ 147", "VN")
                    assert by["until_ms"] == by["since_ms"] + 30 * 86_400_000
                if restarted:
                    await a.backend.call("content.release", {"uri": uri})
                    with trio.fail_after(90):
                        while (await b.backend.call("status", {}))["lacking_parts"]:
                            await trio.sleep(0.1)
                    assert (await b.backend.call("post.get", {"uri": uri}))["text"] == "một tin"
                    assert not await b.worker.call(lambda c, now: [*c.store.notes(b"stated")])


def test_only_its_host_and_named_platforms_count_and_others_only_say(tmp_path: Path) -> None:
    with opened(tmp_path) as node:
        node.call("account.create", name="an", hosted=False)
        uri = node.call("post", text="một tin")["uri"]
        ctx = node.context
        ((entry, op),) = _writes(ctx, post_from_text(uri))
        (raw,) = contents(node, uri)
        node.call("content.withhold", uri=uri, order="QĐ 1", erase=True)
        node.call("content.release", uri=uri)
        stranger, named = Signer(ctx.realm, b"s" * 32), Signer(ctx.realm, b"p" * 32)
        config = ctx.settings.config
        assert config.node.platforms == []
        long = "x" * 900
        say(node, stranger, entry, op, long)
        refused = refusal(node, uri)
        assert (refused.status, "withheld" in refused.more) == (404, False)
        assert f"says: {'x' * 200}." in refused.message
        assert withheld.withheld(ctx.store, NOW_MS) == 0
        ctx.replica.peers.set_members((), [named.key])
        say(node, named, entry, op, "QĐ 2")
        assert (refusal(node, uri).status, withheld.withheld(ctx.store, NOW_MS)) == (451, 1)
        say(node, stranger, entry, op, "khác")
        assert refusal(node, uri).more["withheld"]["order"] == "QĐ 2"
        say(node, ctx.device, entry, op, "QĐ 3", NOW_MS - 1)
        assert (refusal(node, uri).status, withheld.withheld(ctx.store, NOW_MS)) == (404, 0), "its term has ended"
        say(node, ctx.device, entry, op, "QĐ 4", NOW_MS + 9_000_000)
        assert (refusal(node, uri).status, withheld.withheld(ctx.store, NOW_MS)) == (451, 1)
        assert ctx.store.lacks_part(entry, op), "it is asked for all the same"
        ctx.store.put_parts([(entry, op, raw)])
        from banyan_replica.host import PartItem

        withheld.came(ctx.store, [PartItem(entry, op, raw)])
        ctx.store.commit()
        assert node.call("post.get", uri=uri)["text"] == "một tin"
        assert [raw for key, raw in ctx.store.notes(b"stat")] == [bytes(4)]


def say(node: LocalBackend, by: Signer, entry: bytes, op: int, order: str, until_ms: int | None = None) -> None:
    ctx = node.context
    said = Withheld(by.key, NOW_MS, EntryId(entry), op, order, "", "", until_ms)
    withheld.met(ctx, said.entry, op, sign_withheld(by, said))
    ctx.store.commit()


def refusal(node: LocalBackend, uri: str) -> CallError:
    with pytest.raises(CallError) as refused:
        node.call("post.get", uri=uri)
    return refused.value
