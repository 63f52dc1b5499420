"""Why one sees a post: who signed it, from whom it came, what proves it; and why it stands where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from banyan_crdt.ids import EntryId, WriterKey
from banyan_crdt.signing import verify
from banyan_node.api import LocalBackend
from banyan_node.hosting.home_timeline import HomeCandidate, catch_up
from banyan_node.local import open_local
from banyan_node.operator_errors import CallError
from tests.node.real import converged, load_settings, make_home, make_node, running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="an")
        for name in ("bình", "chi", "dung"):
            backend.call("account.create", name=name, hosted=True)
        yield backend


async def test_a_post_is_explained_at_the_node_that_wrote_it_and_at_one_that_got_it(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        await a.backend.call("account.create", {"name": "An"})
        for n in range(5):
            await a.backend.call("post", {"text": f"{n}"})
        uri = (await a.backend.call("post", {"text": "một"}))["uri"]
        await a.backend.call("edit", {"uri": uri, "text": "hai"})
        await a.backend.call("edit", {"uri": uri, "text": "ba"})
        async with running(make_node(make_home(tmp_path / "b"), [a.edge.addresses[0]])) as b:
            await converged([a, b])
            here, there = [await node.backend.call("why", {"uri": uri}) for node in (a, b)]
            assert (here["here"], here["from_peer"], there["here"], there["from_peer"]) == (
                *(True, None),
                *(False, a.edge.peer_id),
            )
            assert there["arrived_ms"] >= here["arrived_ms"] > 0
            assert [version["text"] for version in there["versions"]] == ["một", "hai", "ba"]
            with trio.fail_after(60):  # the two compare what they hold
                while (await b.backend.call("why", {"uri": uri}))["holders"] != [
                    {"peer": a.edge.peer_id, "holds": "yes"}
                ]:
                    await trio.sleep(0.1)
            assert a.context is not None
            for said in (here, there):
                proof = said["proof"]
                assert proof["valid"]
                key, entry = WriterKey(bytes.fromhex(said["writer"])), EntryId(bytes.fromhex(proof["entry"]))
                verify(a.context.realm, key, entry, bytes.fromhex(proof["signature"]))
            assert here["granted"] == there["granted"] is not None
            late = (await a.backend.call("post", {"text": "muộn"}))["uri"]
            await converged([a, b])
            assert (await b.backend.call("why", {"uri": late}))["from_peer"] == a.edge.peer_id
            mine = (await b.backend.call("account.create", {"name": "B"}))["account"]
            own = (await b.backend.call("post", {"text": "của b", "as": mine}))["uri"]
            assert (await b.backend.call("why", {"uri": own}))["from_peer"] is None
            await a.backend.call("delete", {"uri": uri})
            with pytest.raises(CallError, match="deleted by its author"):
                await a.backend.call("why", {"uri": uri})


async def test_writes_of_two_devices_that_were_apart_are_both_told(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a:
        await a.backend.call("account.create", {"name": "an"})
        uri = (await a.backend.call("post", {"text": "gốc"}))["uri"]
        home = make_home(tmp_path / "b")
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await a.backend.call("account.grant", {"writer": (await b.backend.call("id", {}))["writer"]})
            await converged([a, b])
        with open_local(home, load_settings(home)) as apart:
            apart.call("edit", uri=uri, text="từ b")
        await a.backend.call("edit", {"uri": uri, "text": "từ a"})
        async with running(make_node(home, [a.edge.addresses[0]])) as b:
            await converged([a, b])
            for node in (a, b):
                said = [version["text"] for version in (await node.backend.call("why", {"uri": uri}))["versions"]]
                assert said == ["gốc", "từ b", "từ a"]


def test_a_timeline_says_of_each_post_why_it_is_there(node: LocalBackend) -> None:
    node.call("follow", account="bình")
    uri = node.call("post", text="của dung", by="dung")["uri"]
    node.call("post", text="của bình", by="bình")
    node.call("post", text="của an")
    node.call("repost", uri=uri, by="bình")
    page = node.call("feed", explain=True)
    said = {row["text"]: why for row, why in zip(page["posts"], page["explained"], strict=True)}
    assert {text: (why["because"], [a["name"] for a in why["by"]]) for text, why in said.items()} == {
        "của dung": ("reposted", ["bình"]),
        "của bình": ("followed", ["bình"]),
        "của an": ("own", ["an"]),
    }
    assert node.call("feed")["explained"] == []


def test_catching_up_shows_first_what_those_whom_one_follows_responded_to(node: LocalBackend) -> None:
    for name in ("bình", "chi"):
        node.call("follow", account=name)
    quiet, loud, shared = [node.call("post", text=text, by="bình")["uri"] for text in ("im", "ồn", "chia sẻ")]
    node.call("react", uri=quiet, emoji="❤", by="dung")  # whom nobody here follows
    node.call("react", uri=loud, emoji="❤", by="chi")
    node.call("react", uri=loud, emoji="🌳", by="chi")
    node.call("repost", uri=shared, by="chi")
    page = node.call("feed", rank="catch_up", explain=True, replies=False)
    assert [(row["text"], why["score"]) for row, why in zip(page["posts"], page["explained"], strict=True)] == [
        *(("chia sẻ", 3), ("ồn", 1), ("im", 0))
    ]
    assert page["explained"][1]["order"] == "1 reaction of those whom you follow"
    node.call("marker.set", timeline="home")
    assert node.call("feed", rank="catch_up")["posts"] == [], "nothing came since"
    for more in ({"all": True}, {"account": "bình"}, {"before": page["posts"][0]["uri"]}):
        with pytest.raises(CallError, match="order catch_up"):
            node.call("feed", rank="catch_up", **more)


def test_an_order_is_a_function_of_what_everybody_can_see() -> None:
    assert catch_up(HomeCandidate(5, 1, 1, 1)) == (6, "1 repost, 1 answer, 1 reaction of those whom you follow")
    assert catch_up(HomeCandidate(5, 0, 2, 0)).score == 4
    assert catch_up(HomeCandidate(5)).score == 0
