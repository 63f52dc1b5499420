"""An edit moves a post into pages and out of them, and so do streams; what they carry has what happened."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from banyan_crdt.ids import AccountId, account_to_text
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.streaming import endpoints, listeners
from banyan_web.mastodon.streaming.listeners import Listener
from banyan_web.refusals import HttpRefusal
from tests.web.door import Door, open_node
from tests.web.test_streaming import socket_of


class Streams:
    """What one WebSocket was told, by streams."""

    def __init__(self, door: Door, socket: Any) -> None:
        self._door, self._socket = door, socket
        self._told = defaultdict[str, list[tuple[str, Any]]](list)

    async def listen(self, *names: str) -> None:
        for name in names:
            asked = {"type": "subscribe", "stream": name, "tag": "tết"}
            await self._socket.send_message(json.dumps(asked))
        with trio.fail_after(60):
            while len(self._door.hub.channels) < len(names):
                await trio.sleep(0.01)

    async def next(self, name: str, event: str) -> Any:
        """The next message of a stream, which is of this kind."""
        with trio.fail_after(60):
            while not self._told[name]:
                told = json.loads(await self._socket.get_message())
                self._told[told["stream"][0]].append((told["event"], told.get("payload", "null")))
        got, payload = self._told[name].pop(0)
        assert got == event, (name, got, payload)
        return payload if event == "delete" else json.loads(payload)


async def test_an_edit_takes_a_post_out_of_streams_and_into_them(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("giang")  # the node's own account, as which no stream reads
        (an, client), *others = [await door.person(name) for name in ("an", "bình", "chi", "dung")]
        binh, chi, dung = [did for did, _ in others]
        call = door.node.backend.call
        for other in (binh, chi):
            await call("follow", {"account": other, "as": an})
        for word, action, context in (("mưa", "hide", "home"), ("gió", "warn", "thread")):
            rule = {"title": word, "words": [{"words": word}], "action": action, "contexts": [context]}
            await call("filters.set", rule | {"as": an})
        await call("decision.add", {"account": chi, "verdict": "limit"})
        async with socket_of(door, client.token or "") as socket:
            streams = Streams(door, socket)
            await streams.listen("user", "public", "hashtag")
            uri = (await call("post", {"text": "nắng #tết", "as": binh}))["uri"]
            ids = [(await streams.next(name, "update"))["id"] for name in ("user", "public", "hashtag")]
            assert len(set(ids)) == 1
            for _ in range(2):
                await call("edit", {"uri": uri, "text": "mưa"})
                assert [await streams.next(name, "delete") for name in ("user", "hashtag")] == ids[:2]
                await call("edit", {"uri": uri, "text": "nắng #tết"})
                found = [await streams.next(name, "update") for name in ("user", "hashtag")]
                assert [one["id"] for one in found] == ids[:2]
                for _ in range(2):
                    await streams.next("public", "status.update")
            await call("edit", {"uri": uri, "text": "nắng to #tết"})
            for name in ("user", "public", "hashtag"):
                await streams.next(name, "status.update")
            # because of one whom moderators limit and whom the reader follows
            root = (await call("post", {"text": "gió", "as": dung}))["uri"]
            await streams.next("public", "update")
            await call("repost", {"uri": root, "as": chi})
            await streams.next("user", "update")
            await call("edit", {"uri": root, "text": "gió lớn"})
            for name in ("user", "public"):
                await streams.next(name, "status.update")
            # what is quoted, and how much its author said until then
            for count in (2, 3):
                await call("quote", {"uri": root, "text": "trích", "as": binh})
                found = await streams.next("public", "update")
                assert found["account"]["statuses_count"] == count
                assert [one["keyword_matches"] for one in found["quote"]["quoted_status"]["filtered"]] == [["gió"]]


async def test_filters_that_a_heartbeat_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "FRESH_S", 0.0)
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.05)
    async with open_node(tmp_path) as door:
        an, client = await door.person("an")
        async with socket_of(door, client.token or "") as socket:
            streams = Streams(door, socket)
            await streams.listen("user")
            async with door.hub._people[an]._turn:
                while not door.hub._people[an]._turn.statistics().tasks_waiting:
                    await trio.sleep(0.01)
                await door.node.backend.call("filter.set", {"words": "mưa", "as": an})
            await streams.next("user", "filters_changed")


async def test_what_could_not_be_read_of_a_reader_is_read_again(tmp_path: Path) -> None:
    class Busy:
        async def call(self, name: str, **params: Any) -> Any:
            raise HttpRefusal(503, "busy")

    one, busy = Listener(account_to_text(AccountId(bytes(32)))), cast(DoorContext, Busy())
    with pytest.raises(HttpRefusal):
        await one.refresh(busy)
    assert one.stale


async def test_what_an_author_does_not_let_any_more_leaves_the_streams_that_have_it(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("giang")
        (an, _), (binh, _), (chi, client) = [await door.person(name) for name in ("an", "bình", "chi")]
        call = door.node.backend.call
        await call("follow", {"account": binh, "as": chi})
        root = (await call("post", {"text": "gốc", "as": an}))["uri"]
        async with socket_of(door, client.token or "") as socket:
            streams = Streams(door, socket)
            await streams.listen("user")

            async def told(event: str, *ids: str) -> list[Any]:
                found = [await streams.next("user", event) for _ in ids]
                assert {one if event == "delete" else one["id"] for one in found} == {*ids}
                return found

            answer = (await call("reply", {"uri": root, "text": "lời xấu", "as": binh}))["uri"]
            answered = (await streams.next("user", "update"))["id"]
            await call("quote", {"uri": root, "text": "xem", "as": binh})
            quoting = (await streams.next("user", "update"))["id"]
            await call("repost", {"uri": root, "as": binh})
            repost = (await streams.next("user", "update"))["id"]

            async def allow(**policy: str) -> None:
                """The post itself is told again, because of its repost."""
                await call("edit", {"uri": root, "policy": policy})

            await allow(answers="followers")
            await streams.next("user", "status.update")
            assert await streams.next("user", "delete") == answered
            assert (await streams.next("user", "status.update"))["quote"]["state"] == "accepted"
            await told("status.update", repost)
            await call("follow", {"account": an, "as": binh})
            await told("update", answered)
            await told("status.update", quoting, repost)
            await call("follow", {"account": an, "as": binh, "undo": True})
            assert await streams.next("user", "delete") == answered
            await told("status.update", quoting, repost)
            await allow(answers="everybody", quotes="nobody", reposts="nobody")
            await told("update", answered)
            (quote,) = await told("status.update", quoting)
            assert quote["quote"]["state"] == "unauthorized"
            assert await streams.next("user", "delete") == repost
            await call("thread.hide", {"uri": answer, "as": an})
            assert await streams.next("user", "delete") == answered
            await call("thread.hide", {"uri": answer, "undo": True, "as": an})
            await told("update", answered)


async def test_whom_one_follows_no_more_or_mutes_leaves_the_streams_that_are_open(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await door.person("giang")
        (an, _), (binh, _), (chi, _), (dung, client) = [
            await door.person(name) for name in ("an", "bình", "chi", "dung")
        ]
        call = door.node.backend.call
        for other in (binh, chi):
            await call("follow", {"account": other, "as": dung})
        async with socket_of(door, client.token or "") as socket:
            streams = Streams(door, socket)
            await streams.listen("user", "public")
            root = (await call("post", {"text": "gốc", "as": an}))["uri"]
            await streams.next("public", "update")
            for who in (binh, chi):
                await call("repost", {"uri": root, "as": who})
            reposts = [(await streams.next("user", "update"))["id"] for _ in range(2)]
            await call("post", {"text": "một", "as": binh})
            (id_, _) = [(await streams.next(name, "update"))["id"] for name in ("user", "public")]
            await call("follow", {"account": binh, "undo": True, "as": dung})
            gone = {await streams.next("user", "delete") for _ in range(2)}
            assert gone == {id_, reposts[0]}, "the post, and what it reposted, not what others did"
            await call("mute", {"account": binh, "as": dung})
            assert await streams.next("public", "delete") == id_
            await call("mute", {"account": binh, "undo": True, "as": dung})
            await call("post", {"text": "hai", "as": binh})
            await streams.next("public", "update")
            await call("mute", {"account": an, "as": dung})
            while await streams.next("user", "delete") != reposts[1]:
                pass  # the post itself, which it may have too


async def test_a_post_that_a_readers_labeller_hides_is_taken_back_from_its_open_streams_alone(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        call = door.node.backend.call
        (an, client), (binh, other) = await door.person("an"), await door.person("binh")
        chi, dung = [
            (await call("account.create", {"name": name, "hosted": True}))["account"] for name in ("chi", "dung")
        ]
        await call("follow", {"account": chi, "as": an})
        await call("follow", {"account": chi, "as": binh})
        await call("label.define", {"name": "scam", "severity": "hide", "as": dung})
        await call("labeller.choose", {"account": dung, "wish": "hide", "as": an})
        async with socket_of(door, client.token or "") as mine, socket_of(door, other.token or "") as theirs:
            streams, others = Streams(door, mine), Streams(door, theirs)
            await streams.listen("user", "public")
            await others.listen("user")
            uri = (await call("post", {"text": "trúng thưởng", "as": chi}))["uri"]
            id_ = (await streams.next("user", "update"))["id"]
            await streams.next("public", "update")
            await others.next("user", "update")
            await call("label.put", {"about": uri, "name": "scam", "as": dung})
            assert await streams.next("user", "delete") == id_
            assert await streams.next("public", "delete") == id_
            await others.next("user", "status.update")
