"""What apps are told while they are open, read by clients that nobody here wrote."""

from __future__ import annotations

import json
import socket
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mastodon
import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, open_websocket_url

from banyan_crdt.ids import CellKey, account_from_text
from banyan_node.hosting.entry_writer import append
from banyan_node.links.queues import LinkReceiver
from banyan_replica.intake import ingest
from banyan_schema.social import Post, write_post
from banyan_web.firehose.tail import Tail
from banyan_web.mastodon.entity_ids import thing_id
from banyan_web.mastodon.streaming import endpoints, hub
from banyan_web.mastodon.streaming.listeners import Listener
from banyan_web.refusals import HttpRefusal
from tests.node.real import converged
from tests.web.door import Client, Door, open_node
from tests.web.lines import open_lines

FRAME_TEXT, FRAME_CLOSE, PING = 0x81, 0x88, b"\x89\0"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mastodon.py closes a stream at the next heartbeat."""
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.2)


class Heard(mastodon.StreamListener):
    """Everything that Mastodon.py gives to a listener, in order."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []

    def on_update(self, status: Any) -> None:
        self.got.append(("update", status))

    def on_status_update(self, status: Any) -> None:
        self.got.append(("status.update", status))

    def on_delete(self, status_id: Any) -> None:
        self.got.append(("delete", str(status_id)))

    def on_notification(self, notification: Any) -> None:
        self.got.append(("notification", notification))

    def on_filters_changed(self) -> None:
        self.got.append(("filters_changed", None))

    async def next(self, count: int = 1) -> list[tuple[str, Any]]:
        """The next ones; they are taken away."""
        with trio.fail_after(60):
            while len(self.got) < count:
                await trio.sleep(0.02)
        found, self.got = self.got[:count], self.got[count:]
        return found


def app(door: Door, account: str, *scopes: str) -> Any:
    """Mastodon.py, as the account."""
    return mastodon.Mastodon(
        access_token=door.token(account, *scopes or ("read",)), api_base_url=door.url, version_check_mode="none"
    )


class Listening:
    """Streams of Mastodon.py on threads of their own, closed at the end."""

    def __init__(self, door: Door) -> None:
        self._door, self._handles = door, list[Any]()

    async def to(self, client: Any, what: str, **given: Any) -> Heard:
        heard, before = Heard(), self._door.hub.count

        def begin() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # whether the server says that it streams is not asked here
                return getattr(client, what)(listener=heard, run_async=True, **given)

        self._handles.append(await trio.to_thread.run_sync(begin))
        with trio.fail_after(60):
            while self._door.hub.count == before:
                await trio.sleep(0.02)
        return heard

    async def close(self) -> None:
        for handle in self._handles:
            await trio.to_thread.run_sync(handle.close)


async def test_a_post_of_another_node_reaches_an_app_that_listens(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as here, open_node(tmp_path / "b", [here.node.edge.addresses[0]]) as there:
        an, _ = await here.person("an")
        binh, _ = await there.person("bình")
        await converged([here.node, there.node])
        call, far = here.node.backend.call, there.node.backend.call
        await call("follow", {"account": binh})
        listening = Listening(here)
        client = app(here, an)
        home = await listening.to(client, "stream_user")
        public = await listening.to(client, "stream_public")
        local = await listening.to(client, "stream_public", local=True)
        remote = await listening.to(client, "stream_public", remote=True)
        tagged = await listening.to(client, "stream_hashtag", tag="TẾT")
        uri = (await far("post", {"text": "Chúc mừng <b>năm</b> mới #tết"}))["uri"]
        for stream in (home, public, remote, tagged):
            ((event, status),) = await stream.next()
            assert event == "update"
            assert status.content.startswith("<p>Chúc mừng &lt;b&gt;")
            assert status.account.uri == binh
        await far("edit", {"uri": uri, "text": "Chúc mừng #tết"})
        for stream in (home, public, remote, tagged):
            ((event, edited),) = await stream.next()
            assert (event, str(edited.id)) == ("status.update", str(status.id))
            assert edited.edited_at is not None
        mine = (await call("post", {"text": "của An"}))["uri"]
        for stream in (home, public, local):
            ((event, status),) = await stream.next()
            assert (event, status.account.uri) == ("update", an)
        await converged([here.node, there.node])
        await far("react", {"uri": mine, "emoji": "❤"})
        ((event, notice),) = await home.next()
        assert (event, notice.type, notice.account.uri) == ("notification", "favourite", binh)
        assert str(notice.status.id) == str(status.id)
        await far("repost", {"uri": mine})
        found = dict(await home.next(2))
        assert found["notification"].type == "reblog"
        assert (found["update"].account.uri, str(found["update"].reblog.id)) == (binh, str(status.id))
        await far("delete", {"uri": uri})
        for stream in (home, public, remote, tagged):
            assert await stream.next() == [("delete", str(edited.id))]
        assert not any(stream.got for stream in (home, public, local, remote, tagged))
        await listening.close()


async def test_posts_of_a_long_run_are_told_once_it_is_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come to no view with their run, so whoever asks for one at once is told to come again."""
    monkeypatch.setattr(ingest, "LONG_RUN", 1)
    monkeypatch.setattr(
        LinkReceiver, "_fold_on", lambda incoming, account: None
    )  # the node does it at rest, in a second
    async with open_node(tmp_path / "a") as here, open_node(tmp_path / "b", [here.node.edge.addresses[0]]) as there:
        an, _ = await here.person("an")
        binh, _ = await there.person("bình")
        await converged([here.node, there.node])
        await here.node.backend.call("follow", {"account": binh})
        listening = Listening(here)
        home = await listening.to(app(here, an), "stream_user")
        monkeypatch.setattr(hub, "LOOK_S", 0.2)  # not before: so long it waits until the stream is followed
        said = hub.Hub._said

        async def folded_behind(self: hub.Hub, web: Any, event: Any) -> None:
            try:
                await said(self, web, event)
            finally:  # the second post could be shown now, and the first waits
                await here.node.worker.call(lambda ctx, now: ctx.store.fold_again(1_000))

        monkeypatch.setattr(hub.Hub, "_said", folded_behind)
        both = ((CellKey(bytes(16)), "một"), (CellKey(bytes(15) + b"1"), "hai"))
        posts = [write_post(key, Post(text, created_ms=1)) for key, text in both]
        await there.node.worker.call(lambda ctx, now: append(ctx, account_from_text(binh), posts, now))
        found = await home.next(2)
        assert [event for event, _ in found] == ["update", "update"]
        assert [status.content for _, status in found] == ["<p>một</p>", "<p>hai</p>"]
        await listening.close()


async def test_a_stream_of_one_person_has_what_is_theirs_and_nothing_else(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door:
        (an, _), (binh, _), (chi, _) = [await door.person(name) for name in ("an", "bình", "chi")]
        call = door.node.backend.call
        await call("follow", {"account": binh})
        friends = (await call("list.set", {"title": "bạn"}))["id"]
        await call("list.add", {"id": friends, "accounts": [chi]})
        listening = Listening(door)
        client = app(door, an)
        home = await listening.to(client, "stream_user")
        notices = await listening.to(client, "stream_user_notifications")
        listed = await listening.to(client, "stream_list", id=thing_id(friends))
        direct = await listening.to(client, "stream_direct")
        await call("post", {"text": "của Chi", "as": chi})
        assert (await listed.next())[0][1].account.uri == chi
        await call("follow", {"account": chi})  # from now on
        await call("follow", {"account": an, "as": chi})
        assert [(event, found.type) for event, found in await notices.next()] == [("notification", "follow")]
        assert [(event, found.type) for event, found in await home.next()] == [("notification", "follow")]
        await call("post", {"text": "của Chi nữa", "as": chi})
        assert (await home.next())[0][1].account.uri == chi
        await listed.next()
        await call("filter.set", {"words": "bóng đá", "action": "hide"})
        assert await home.next() == [("filters_changed", None)]
        await call("post", {"text": "bóng đá hôm nay", "as": binh})
        await call("mute", {"account": chi})
        gone = await home.next(2)
        assert ([event for event, _ in gone], await listed.next(2)) == (["delete", "delete"], gone), "what Chi said"
        await call("post", {"text": "không nghe", "as": chi})
        await call("post", {"text": "nghe", "as": binh})
        assert (await home.next())[0][1].content == "<p>nghe</p>"
        assert not any(stream.got for stream in (home, notices, listed, direct))
        await listening.close()


async def test_what_somebody_mutes_is_taken_back_once_however_many_streams_ask_at_that_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Listener._read_anew

    async def while_others_wait(self: Listener, *given: Any) -> None:
        """The heartbeats of both streams ask for the same while it is read."""
        if self.home:
            while self._turn.statistics().tasks_waiting < 2:
                await trio.sleep(0.01)
        await read(self, *given)

    async with open_node(tmp_path / "a") as door:
        (an, _), (binh, _), (chi, _) = [await door.person(name) for name in ("an", "bình", "chi")]
        call, listening, client = door.node.backend.call, Listening(door), app(door, an)
        for followed in (binh, chi):
            await call("follow", {"account": followed})
        both = [await listening.to(client, "stream_user") for _ in range(2)]
        await call("post", {"text": "của Chi", "as": chi})
        assert [[event for event, _ in await home.next()] for home in both] == [["update"]] * 2
        monkeypatch.setattr(Listener, "_read_anew", while_others_wait)
        with trio.fail_after(60):
            await call("mute", {"account": chi})
            assert [[event for event, _ in await home.next()] for home in both] == [["delete"]] * 2
        monkeypatch.undo()
        await call("post", {"text": "nghe", "as": binh})
        assert [(await home.next())[0][1].content for home in both] == ["<p>nghe</p>"] * 2
        await listening.close()


async def test_who_goes_while_streams_are_told_leaves_it_to_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, calls = hub.Hub._left, list[int]()

    async def interrupted(self: hub.Hub, *given: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise HttpRefusal(503, "the reader went")
        await left(self, *given)

    async with open_node(tmp_path / "a") as door:
        (an, _), (chi, _) = [await door.person(name) for name in ("an", "chi")]
        call, listening = door.node.backend.call, Listening(door)
        await call("follow", {"account": chi})
        home = await listening.to(app(door, an), "stream_user")
        await call("post", {"text": "của Chi", "as": chi})
        await home.next()
        monkeypatch.setattr(hub.Hub, "_left", interrupted)
        await call("mute", {"account": chi})
        assert [event for event, _ in await home.next()] == ["delete"]
        await listening.close()


REPLIES = ("none", "list", "followed", "all")


async def test_the_streams_of_a_person_have_what_their_timelines_have(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door:
        names = ("an", "bình", "chi", "dung", "giang")
        an, binh, chi, dung, giang = [(await door.person(name))[0] for name in names]
        call, listening = door.node.backend.call, Listening(door)
        reader, client = door.client(an), app(door, an)
        await call("lock", {"as": dung})
        for other in (chi, dung):  # dung has to accept it
            await call("follow", {"account": other, "as": an})
        lists = dict[str, str]()
        for replies in REPLIES:
            lists[replies] = (await call("list.set", {"title": replies, "replies": replies, "as": an}))["id"]
            await call("list.add", {"id": lists[replies], "accounts": [binh, giang], "as": an})
        apart = (await call("list.set", {"title": "riêng", "exclusive": True, "as": an}))["id"]
        streams = {"home": await listening.to(client, "stream_user")}
        for id_ in map(thing_id, lists.values()):
            streams[f"list/{id_}"] = await listening.to(client, "stream_list", id=id_)
        roots = {who: (await call("post", {"text": "gốc", "as": who}))["uri"] for who in (an, binh, chi, dung, giang)}

        async def said(who: str) -> None:
            for root in roots.values():
                await call("reply", {"uri": root, "text": "trả lời", "as": who})
            await call("quote", {"uri": roots[chi], "text": "trích", "as": who})
            await call("repost", {"uri": roots[giang], "as": who})

        async def agree() -> dict[str, int]:
            """How many posts each has, once the streams have as many as the timelines."""
            counts = dict[str, int]()
            for path, stream in streams.items():
                rows = await reader.get(f"/api/v1/timelines/{path}", limit=40)
                wanted = {row["id"] if row["reblog"] is None else row["reblog"]["id"] for row in rows}

                def got(stream: Heard = stream) -> set[str]:
                    some = [status for event, status in stream.got if event == "update"]
                    return {str(one.id if one.reblog is None else one.reblog.id) for one in some}

                with trio.move_on_after(10):
                    while not got() >= wanted:
                        await trio.sleep(0.02)
                counts[path] = len(wanted)
                assert got() == wanted, path
            return counts

        for who in (an, binh, chi, dung):
            await said(who)
        first = await agree()
        assert len({*first.values()}) == len(streams), f"each has something else: {first}"
        await call("follow.accept", {"account": an, "as": dung})
        await call("list.add", {"id": apart, "accounts": [chi], "as": an})
        streams["home"].got.clear()
        for who in (chi, dung):
            await call("post", {"text": "sau", "as": who})
        while (told := (await streams["home"].next())[0])[0] == "delete":
            pass  # what Chi said before
        assert told[1].account.uri == dung
        await listening.close()


async def test_a_mute_ends_in_streams_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "HEARTBEAT_S", 60.0)  # a stream that is never quiet
    async with open_node(tmp_path / "a") as door:
        an, _ = await door.person("an")
        binh, _ = await door.person("bình")
        call, listening = door.node.backend.call, Listening(door)
        until = int(time.time() * 1000) + 3_000
        await call("mute", {"account": binh, "until": until, "as": an})
        public = await listening.to(app(door, an), "stream_public")
        await call("post", {"text": "không nghe", "as": binh})
        await call("post", {"text": "một", "as": an})
        assert (await public.next())[0][1].content == "<p>một</p>"
        await trio.sleep(max(0.0, until / 1000 - time.time()))
        monkeypatch.setattr(endpoints, "HEARTBEAT_S", 0.2)  # so that it soon finds its reader gone
        await call("post", {"text": "nghe", "as": binh})
        assert (await public.next())[0][1].content == "<p>nghe</p>"
        await listening.close()


async def test_what_happened_while_somebody_was_not_seen_is_not_told_afterwards(tmp_path: Path) -> None:
    """Nor what moderators decided before a stream was opened, although something else read the firehose then."""
    async with open_node(tmp_path) as door:
        an, binh, chi, dung = [(await door.person(name))[0] for name in ("an", "bình", "chi", "dũng")]
        call, listening = door.node.backend.call, Listening(door)
        uri = (await call("post", {"text": "một", "as": an}))["uri"]
        async with open_lines(door.url, "/v1/firehose", door.token(an)) as lines:
            await anext(lines)
            await call("content.withhold", {"uri": uri, "order": "Lệnh 1"})
            await call("content.release", {"uri": uri})
            await call("post", {"text": "hai", "as": an})
            while '"hai"' not in await anext(lines):
                pass
            public = await listening.to(app(door, chi), "stream_public")
            await call("post", {"text": "ba", "as": an})
            assert [(event, status.content) for event, status in await public.next()] == [("update", "<p>ba</p>")]
        for other, do in ((binh, "mute"), (chi, "block")):
            notices = await listening.to(app(door, an), "stream_user_notifications")
            await call(do, {"account": other, "as": an})
            while account_from_text(other) not in door.hub._people[an].unseen:
                await trio.sleep(0)
            async with door.hub._people[an]._turn:
                # by this event it is read anew, when the mute has ended and that is not told yet
                await call("mute", {"account": dung, "as": an, "undo": do == "block"})
                await call("repost", {"uri": uri, "as": other})
                await call(do, {"account": other, "undo": True, "as": an})
                await trio.sleep(0.01)  # another millisecond
                await call("react", {"uri": uri, "emoji": "❤", "as": other})
            assert [found.type for _, found in await notices.next()] == ["favourite"]
        await listening.close()


async def test_a_stream_says_what_its_reader_did_with_a_post_as_everything_else_does(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        (an, client), (binh, other) = await door.person("an"), await door.person("bình")
        call = door.node.backend.call
        await call("follow", {"account": binh})
        shared = Listening(door)
        public = await shared.to(app(door, an), "stream_public")
        async with open_lines(door.url, "/api/v1/streaming/user", client.token) as lines:
            assert await anext(lines) == ":)"

            async def heard(event: str) -> dict[str, Any]:
                """The next post in the stream, which is as the reader gets it when it asks for it."""
                with trio.fail_after(60):
                    while await anext(lines) != f"event: {event}":
                        pass
                    found: dict[str, Any] = json.loads((await anext(lines)).removeprefix("data: "))
                assert found | {"muted": False} == await client.get(f"/api/v1/statuses/{found['id']}")
                return found

            async def write(who: Client, words: str, **more: Any) -> Any:
                return await who.ask("POST", "/api/v1/statuses", json={"status": words, **more})

            poll = {"options": ["Phở", "Bún"], "expires_in": 86_400}
            first = await write(other, "Ăn gì?", poll=poll)
            found = await heard("update")
            assert (found["favourited"], found["muted"]) == (False, False)
            assert (found["poll"]["voted"], found["poll"]["own_votes"]) == (False, [])
            await write(client, "Uống gì?", poll=poll)
            assert (await heard("update"))["poll"]["voted"]  # its author does not vote
            assert (await public.next(2))[0][1].get("favourited") is None
            at = f"/api/v1/statuses/{first['id']}"
            for did in ("favourite", "bookmark"):
                await client.post(f"{at}/{did}")
            await other.post(f"{at}/reblog")
            marked = (await heard("update"))["reblog"]
            assert (marked["favourited"], marked["bookmarked"], marked["reblogged"]) == (True, True, False)
            await client.post(f"{at}/reblog")
            assert (await heard("update"))["reblog"]["reblogged"]
            await other.ask("PUT", at, json={"status": "Ăn gì nào?"})
            assert (await heard("status.update"))["favourited"]
            await write(other, "Ai đi?", quoted_status_id=first["id"])
            assert (await heard("update"))["quote"]["quoted_status"]["favourited"]
            await write(other, "Tôi đi", in_reply_to_id=first["id"])
            assert "muted" not in await heard("update")
        await shared.close()


async def test_no_stream_has_the_words_of_somebody_whom_its_reader_does_not_see(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        (an, _), (binh, other), (chi, third) = [await door.person(name) for name in ("an", "bình", "chi")]
        call = door.node.backend.call
        said = await third.ask("POST", "/api/v1/statuses", json={"status": "lời của Chi"})
        await call("mute", {"account": chi, "as": an})
        shared = Listening(door)
        mine = await shared.to(app(door, an), "stream_public")
        tagged = await shared.to(app(door, an), "stream_hashtag", tag="tết")
        others = await shared.to(app(door, binh), "stream_public")
        quoting = {"status": "trích #tết", "quoted_status_id": said["id"]}
        made = await other.ask("POST", "/api/v1/statuses", json=quoting)
        await other.ask("PUT", f"/api/v1/statuses/{made['id']}", json={"status": "trích lại #tết"})
        for stream, hears in ((others, True), (mine, False), (tagged, False)):
            for event, status in await stream.next(2):
                assert ("lời của Chi" in str(status)) == hears, event
        await shared.close()


async def test_streams_show_of_a_quote_what_pages_show(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        people = [await door.person(name) for name in ("an", "bình", "chi", "dung")]
        (an, _), (binh, _), (chi, _), (dung, _) = people
        call = door.node.backend.call
        for who in (binh, chi):
            await call("follow", {"account": who, "as": an})
            await call("follow", {"account": binh, "as": dung})
        limited = (await call("post", {"text": "lời của Chi", "as": chi}))["uri"]
        await call("decision.add", {"account": chi, "verdict": "limit"})
        shared = Listening(door)
        streams = {
            (reader, path): await shared.to(app(door, reader), f"stream_{path}")
            for reader in (an, dung)
            for path in ("user", "public", "local")
        }
        for by, text in ((binh, "trích"), (chi, "trích mình")):
            await call("quote", {"uri": limited, "text": text, "as": by})
        for (reader, path), stream in streams.items():
            sees = "accepted" if reader == an else "unauthorized"
            count = 2 if reader == an else 1
            told = {str(status.id): status.quote.state for _, status in await stream.next(count)}
            page = "timelines/home" if path == "user" else "timelines/public"
            rows = await door.client(reader).get(f"/api/v1/{page}")
            assert told == {row["id"]: row["quote"]["state"] for row in rows if row["quote"]}, path
            assert {*told.values()} == {sees}, path
        await shared.close()


async def test_who_may_listen(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door:
        an, client = await door.person("an")
        health = await client.http.get("/api/v1/streaming/health")
        assert (health.status_code, health.text) == (200, "OK")
        assert await trio.to_thread.run_sync(app(door, an).stream_healthy)
        await client.get("/api/v1/streaming", 404)
        for path in ("user", "public", "list"):
            await door.client().get(f"/api/v1/streaming/{path}", 401, list="0" * 32)
        await door.client(an, "read:notifications").get("/api/v1/streaming/user", 401)
        await door.client(an, "read:statuses").get("/api/v1/streaming/user/notification", 401)
        await client.get("/api/v1/streaming/hashtag", 400)
        await client.get("/api/v1/streaming/list", 404, list="0" * 32)
        assert await door.client().get("/api/v1/preferences", 401, access_token=client.token) is not None
        assert door.hub.count == 0
        async with open_lines(door.url, "/api/v1/streaming/user", None, {"access_token": client.token}) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            assert door.hub.count == 1
        with trio.fail_after(60):
            while door.hub.count:
                await trio.sleep(0.01)


async def test_what_happens_after_a_stream_is_answered_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Tail._read_while_followed

    async def late(of: Tail) -> None:
        await trio.sleep(0.5)
        await read(of)

    monkeypatch.setattr(Tail, "_read_while_followed", late)
    async with open_node(tmp_path / "a") as door:
        _, client = await door.person("an")
        with trio.fail_after(60):
            async with open_lines(door.url, "/api/v1/streaming/public", client.token) as lines:
                assert await anext(lines) == ":)"
                await door.node.backend.call("post", {"text": "ngay"})
                assert "event: update" in [await anext(lines) for _ in range(4)]


async def test_a_stream_beats_and_ends_with_its_token_and_with_the_node(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door:
        an, client = await door.person("an")
        path = "/api/v1/streaming/public"
        async with (
            open_lines(door.url, path, client.token) as lines,
            open_lines(door.url, path, door.token(an)) as kept,
        ):
            assert await anext(lines) == ":)"
            assert await anext(lines) == ":thump"
            door.store.revoke(client.token or "")
            assert [line async for line in lines if line != ":thump"] == []
            assert await anext(kept) == ":)"
            door.node.shutdown.set()
            assert [line async for line in kept if line != ":thump"] == []  # ends as it should: no error


# -- WebSocket


def socket_of(door: Door, token: str, query: str = "", **given: Any) -> Any:
    url = door.url.replace("http", "ws")
    return open_websocket_url(f"{url}/api/v1/streaming?access_token={token}{query}", **given)


async def test_many_streams_go_over_one_websocket(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door:
        _, client = await door.person("an")
        binh, _ = await door.person("bình")
        token = client.token or ""

        async def post(text: str) -> None:
            await door.node.backend.call("post", {"text": text, "as": binh})

        async def listening(count: int) -> None:
            with trio.fail_after(60):
                while sum(map(len, door.hub.channels.values())) != count:
                    await trio.sleep(0.01)

        with trio.fail_after(60):
            async with socket_of(door, token, "&stream=public:local") as found:

                async def told() -> Any:
                    return json.loads(await found.get_message())

                async def ask(**given: str) -> None:
                    await found.send_message(json.dumps(given))

                await listening(1)
                await post("một")
                got = await told()
                assert (got["stream"], got["event"]) == (["public:local"], "update")
                assert json.loads(got["payload"])["content"] == "<p>một</p>"
                await ask(type="subscribe", stream="hashtag", tag="Tết")
                await listening(2)
                await post("hai #tết")
                assert sorted([(await told())["stream"] for _ in range(2)]) == [["hashtag", "Tết"], ["public:local"]]
                await ask(type="unsubscribe", stream="public:local")
                await listening(1)
                await post("ba")
                await post("bốn #tết")
                got = await told()
                assert got["stream"] == ["hashtag", "Tết"]
                assert "bốn" in json.loads(got["payload"])["content"]
                for wrong in ("no JSON", "[]", '{"type": "subscribe", "stream": "potato"}', '{"stream": "user"}'):
                    await found.send_message(wrong)
                    assert (await told())["error"]
                await found.ping()
            with pytest.raises(ConnectionRejected) as caught:
                async with socket_of(door, "wrong"):
                    pass
            assert caught.value.status_code == 401
            async with socket_of(door, "", subprotocols=[token]) as found:  # as Mastodon's own page
                assert found.subprotocol == token
            while door.hub.count:
                await trio.sleep(0.01)


async def test_a_websocket_ends_by_a_close_frame(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door:
        an, client = await door.person("an")
        async with socket_of(door, client.token or "") as revoked, socket_of(door, door.token(an)) as kept:
            door.store.revoke(client.token or "")
            assert await code_of(revoked) == 1008
            door.node.shutdown.set()
            assert await code_of(kept) == 1001


async def code_of(found: Any) -> int:
    """With which the server closes it."""
    with trio.fail_after(60), pytest.raises(ConnectionClosed) as caught:
        await found.get_message()
    assert caught.value.reason is not None
    return int(caught.value.reason.code)


HANDSHAKE = (
    "GET /api/v1/streaming?access_token={} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
    "Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def masked(first: int, payload: bytes) -> bytes:
    """A frame of a client, with a mask of zeros."""
    if len(payload) < 126:
        return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload
    return bytes([first, 0x80 | 127]) + len(payload).to_bytes(8, "big") + bytes(4) + payload


async def test_wrong_frames_are_answered_and_end_the_connection(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as door:
        _, client = await door.person("an")
        at, head = urlsplit(door.url), HANDSHAKE.format(client.token).encode()

        def speak(*pieces: bytes) -> bytes:
            """Everything that comes back until the other side closes."""
            with socket.create_connection((at.hostname, at.port), timeout=60) as line:
                for piece in pieces:
                    line.sendall(piece)
                    time.sleep(0.2)
                got = b""
                try:
                    while more := line.recv(65536):
                        got += more
                except ConnectionResetError:
                    pass
                return got

        def frames(got: bytes) -> bytes:
            head, _, rest = got.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
            return rest.replace(PING, b"")

        close = masked(FRAME_CLOSE, (1000).to_bytes(2, "big"))

        def story() -> None:
            got = frames(speak(head + masked(FRAME_TEXT, b"?"), close))  # a frame behind the handshake in one write
            assert b"error" in got
            assert got.endswith(b"\x88\x02\x03\xe8")
            for wrong, code in (
                (bytes([FRAME_TEXT, 2]) + b"{}", 1002),  # without a mask
                (masked(0xF1, b"{}"), 1002),  # reserved bits
                (masked(FRAME_TEXT, b"\xff\xfe"), 1007),
                (masked(FRAME_TEXT, b"x" * 70_000), 1009),
            ):
                got = frames(speak(head, wrong))
                assert got[:1] == b"\x88", (wrong[:4], got)
                assert int.from_bytes(got[2:4], "big") == code
            # a length of 2^62: nothing is kept for it
            assert frames(
                speak(head, bytes([FRAME_TEXT, 0xFF]) + (1 << 62).to_bytes(8, "big") + bytes(4) + b"x" * 70_000)
            )
            # no upgrade: with a body, another version, to HTTP/2, elsewhere
            assert (
                speak(head.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"))[9:12]
                == b"404"
            )
            assert speak(head.replace(b"Version: 13", b"Version: 12"))[9:12] == b"400"
            plain = head.replace(b"WebSocket\r\n", b"h2c\r\n", 1).replace(b"keep-alive, Upgrade", b"close, Upgrade")
            assert speak(plain)[9:12] == b"404"
            assert speak(head.replace(b"/api/v1/streaming", b"/nowhere"))[9:12] in (b"403", b"404")

        with trio.fail_after(60):
            await trio.to_thread.run_sync(story)
        assert (await client.http.get("/api/v1/streaming/health")).text == "OK"
