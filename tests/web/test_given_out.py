"""What readers are not given comes out by no way: every way is walked, for every reason.

WAYS is the table of ways. What one asks for by GET, and every read of the control API, is in it by itself: a new one is
walked without a word here, or the test says that it lacks its parameters.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from banyan_node.api.dispatch import EVERY
from banyan_node.api.firehose import ArrivalPlace
from banyan_node.client.follower import FrameDecompressor
from banyan_node.context import Context
from banyan_node.operator_errors import CallError
from banyan_schema.social import post_from_text
from banyan_web.firehose import subscription, tail
from banyan_web.mastodon.entity_ids import account_id
from banyan_web.mastodon.push import sender
from banyan_web.platform import deliveries
from tests.web.door import Client, Door, open_node
from tests.web.library import Person
from tests.web.test_firehose import write
from tests.web.test_firehose_forms import messages, socket
from tests.web.test_platform_webhooks import Backend, backend
from tests.web.test_push import EVERY as EVERY_PUSH
from tests.web.test_push import App, service
from tests.web.test_workers import every_path, fresh, say

__all__ = ["backend", "service"]
REASONS = ("by decision", "by statement", "hidden", "deleted", "erased", "dropped", "closed")
SHOWN, LIST = "shown", "/api/v1/timelines/list/"
"""The post of which nothing is decided."""
NO_READER = frozenset({"archive.export", "entries.look", "report.list", "report.show"})
"""Reads of the operator and of moderators: what peers get, and the copies of what was reported."""
_OTHERS = """account.standing accounts.search accounts.seen alliance.quota channel.show diff episode.list
event.replies event.show find
group.feed group.members group.requests group.show handle.find idempotency.find linked.page linked.picture
list.show media.read media.show media.shown note playlist.show profiles relationship relationships repost.find"""
OF_OTHERS = frozenset(_OTHERS.split())
"""Reads that need parameters of other things than posts."""


def word(reason: str) -> str:
    """Stands in the post, and nowhere else."""
    return "zq" + reason.replace(" ", "") + "qz"


class Story:
    """Posts of one author for each reason, with everything that may tell of them. reader: follows all, and marks every
    post. uris, ids: of the posts by reason; authors: their accounts. needs: reads that lacked parameters."""

    def __init__(self, door: Door, backend: Backend, service: Backend, folder: Path) -> None:
        self.door, self.backend, self.service, self.folder = door, backend, service, folder
        self.call = door.node.backend.call
        self.platform = Client(door.url, door.store.mint(None, "p", ("read", "write", "host", "firehose")))
        self.uris, self.authors, self.ids = dict[str, str](), dict[str, str](), dict[str, str]()
        self.reader, self.listed, self.hook = "", "", ""
        self.walked, self.needs, self.decided = 0, set[str](), False

    async def tell(self) -> None:
        self.reader, app = await self.door.person("binh")
        self.app, self.phone, self.nobody = app, App(Person(self.door, self.reader)), self.door.client()
        await self.phone.subscribe(self.service.url, **EVERY_PUSH)
        self.phone.who.api.session.close()
        self.listed = (await app.post("/api/v1/lists", title="all"))["id"]
        for reason in (SHOWN, *REASONS):
            author, client = await self.door.person("an" + reason.replace(" ", ""))
            await app.post(f"/api/v1/accounts/{account_id(author)}/follow")
            await app.post(f"/api/v1/lists/{self.listed}/accounts", account_ids=[account_id(author)])
            said = await say(client, status=f"{word(reason)} #tết @binh https://vn.example/{word(reason)}")
            self.uris[reason], self.authors[reason], self.ids[reason] = said["uri"], author, said["id"]
            for verb in ("favourite", "reblog", "bookmark"):
                await app.post(f"/api/v1/statuses/{said['id']}/{verb}")
            await say(app, status="a word", in_reply_to_id=said["id"])
            await self.call("quote", {"uri": said["uri"], "text": "quoted", "as": self.reader})
        hook = await self.platform.post("/v1/webhooks", url=self.backend.url, events=["create", "update", "delete"])
        self.hook = hook["id"]

    async def decide(self, reason: str) -> None:
        """What makes it a post that is not given out."""
        self.decided = True
        uri, author = self.uris[reason], self.authors[reason]
        given: dict[str, Any] = {"account": author, "posts": [uri]}
        if reason == "by decision":
            await self.call("decision.add", {**given, "verdict": "withhold", "order": "1"})
        elif reason == "by statement":
            await self.call("content.withhold", {"uri": uri, "order": "2"})
        elif reason == "hidden":
            await self.call("decision.add", {**given, "verdict": "hide"})
        elif reason == "deleted":
            await self.call("delete", {"uri": uri})
        elif reason == "closed":
            await self.call("account.close", {"account": author})
        elif reason == "dropped":
            (event,) = (await self.call("firehose", {"since": "begin", "accounts": [author], "collections": ["post"]}))[
                "events"
            ]
            await self.call("account.drop", {"account": author, "writer": event["writer"], "log": event["log"]})
        else:
            assert reason == "erased"
            await self.door.node.worker.call(partial(_erase, post=uri))

    # -- the ways

    async def get(self) -> bytes:
        """Every page and every answer by GET, of nobody and of the reader; before anything is decided, until each post
        was told."""
        found, paths = list[bytes](), dict.fromkeys([LIST + self.listed])
        for reason, uri in self.uris.items():
            author = [self.authors[reason]]
            known = {
                "id": [self.ids[reason], account_id(*author), self.ids[reason]],
                "key": [uri.partition("/")[2]],
                "name": author,
            }
            paths |= dict.fromkeys(every_path({**known, "account": author, "did": author, "tag": ["tết"]}))
            paths |= {f"/v1/accounts/{author[0]}/archive": None}
            for path in (f"/search?q={word(reason)}", f"/api/v2/search?q={word(reason)}"):
                answer = await self.app.http.get(path)  # it repeats what is searched for
                found += [word(reason).encode()] if uri.encode() in answer.content else []
        self.walked, untold = len(paths), {word(reason).encode() for reason in self.uris}
        for path in paths:
            if not (untold or self.decided):
                break
            for client in (self.app,) if path.startswith(("/api/", "/v1/")) else (self.nobody, self.app):
                answer = await client.http.get(path)
                if answer.is_success:
                    found += [answer.content]
                    untold -= {one for one in untold if one in answer.content}
        return b"".join(found)

    async def control(self) -> bytes:
        """Every read of the control API."""
        found, exported = list[bytes](), 0
        reads = sorted(m.name for m in EVERY.values() if m.kind == "read" and m.name not in NO_READER)
        for reason, uri in self.uris.items():
            author, key = self.authors[reason], uri.partition("/")[2]
            given: dict[str, dict[str, Any]] = {
                "account.export": {"account": author, "readers": True},
                **{name: {"uri": uri} for name in ("thread", "post.get", "post.proof", "reactions", "reposts", "why")},
                "posts.get": {"uris": [uri]},
                "items.list": {"account": author, "collection": "post"},
                "items.get": {"account": author, "collection": "post", "key": key},
                "feed": {"account": author},
                "search": {"question": "#tết", "limit": 50},
                "tagged": {"tags": ["tết"]},
                "firehose": {"since": "begin", "proof": True, "uncounted": True, "limit": 1000},
                "firehose.runs": {"since": "begin", "limit": 1000},
                "firehose.control": {"account": author},
                "account.erasure": {"account": author},
            }
            for name in reads:
                for form in ("archive", "activitystreams", "html") if name == "account.export" else ("",):
                    params = given.get(name, {})
                    if form:
                        exported += 1
                        path = self.folder / f"{time.monotonic_ns()}{exported}"
                        params = {**params, "path": str(path), "format": form}
                    try:
                        found += [repr(_decoded(await self.call(name, params))).encode()]
                    except CallError as why:
                        self.needs |= {name} if why.code == "bad_request" else set()
                    if form and path.exists():
                        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
                        found += [one.read_bytes() for one in files]
        return b"".join(found)

    async def firehose(self, **params: str) -> bytes:
        """All that is held, on connections of their own."""
        found = b""
        for _ in range(4):
            given = {"since": "begin", "follow": "0", **params}
            async with fresh(self.door, self.platform.token) as client:
                answer = await client.http.get("/v1/firehose", params=given, headers={"accept-encoding": "identity"})
            assert answer.status_code == 200, answer.text
            found += answer.content
        return found

    async def packed(self) -> bytes:
        given = {"since": "begin", "follow": "0", "compress": "zstd"}
        async with self.platform.http.stream("GET", "/v1/firehose", params=given) as answer:
            return FrameDecompressor(None).feed(b"".join([piece async for piece in answer.aiter_raw()]))

    async def socket(self) -> bytes:
        async with socket(self.platform, "since=begin&follow=0") as line:
            return b"".join([str(one).encode() async for one in messages(line)])

    async def webhook(self) -> bytes:
        """Everything is sent again."""
        self.backend.came.clear()
        await self.platform.post(f"/v1/webhooks/{self.hook}/replay", since="begin")
        last = (await self.call("firehose", {}))["cursor"]
        with trio.fail_after(120):
            while not any(one["cursor"] == last for one in (await self.platform.get("/v1/webhooks"))["webhooks"]):
                await trio.sleep(0.1)
        return b"".join(body for _, body in self.backend.came)

    async def push(self) -> bytes:
        """What the app could not be told before."""
        self.service.came.clear()
        self.service.status = 201
        with trio.fail_after(120):
            while not any(word(SHOWN).encode() in found for found in self._pushed()):
                await trio.sleep(0.1)
        await trio.sleep(0.5)
        return b"".join(self._pushed())

    def _pushed(self) -> list[bytes]:
        return [repr(self.phone.read(headers, body)).encode() for headers, body in self.service.came]

    async def live(self) -> bytes:
        """A page that comes again gets what it missed."""
        begin = (await self.call("firehose", {}))["cursor"].partition("-")[0] + "-0"
        found = b""
        with trio.move_on_after(1.5):
            async with self.app.http.stream("GET", "/live/events", headers={"last-event-id": begin}) as answer:
                async for piece in answer.aiter_raw():
                    found += piece
        return found


WAYS: dict[str, Callable[[Story], Awaitable[bytes]]] = {
    "by GET": Story.get,
    "control API": Story.control,
    "firehose, lines": Story.firehose,
    "firehose, events": lambda s: s.firehose(format="sse"),
    "firehose, signed": lambda s: s.firehose(format="cbor"),
    "firehose, packed": Story.packed,
    "firehose, proofs": lambda s: s.firehose(proof="1"),
    "firehose, uncounted": lambda s: s.firehose(uncounted="1"),
    "firehose, socket": Story.socket,
    "webhooks": Story.webhook,
    "pages that are open": Story.live,
    "push messages": Story.push,
}


def _decoded(answer: Any) -> Any:
    """With the bytes that are in base64."""
    if isinstance(answer, dict):
        return {name: _decoded(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [_decoded(value) for value in answer]
    if isinstance(answer, str) and len(answer) > 40:
        try:
            return (answer, b64decode(answer, validate=True))
        except ValueError:
            return answer
    return answer


def _erase(ctx: Context, now: float, post: str) -> None:
    """As the daily work does with what was deleted long ago."""
    q = ctx.queries()
    view = q.post(post_from_text(post))
    assert view is not None
    shown = q.ref(view.write)
    ctx.store.erase_part(shown.entry, shown.op, None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (deliveries, sender):
        monkeypatch.setattr(module, "FIRST_S", 0.1)
        monkeypatch.setattr(module, "LONGEST_S", 1.0)
        monkeypatch.setattr(module, "LOOK_S", 0.2)
    monkeypatch.setattr(subscription, "PAGE", 2)  # so that readers come to what is kept of the end
    return iter([None])


@asynccontextmanager
async def followed(door: Door, token: str, streams: int = 1) -> AsyncIterator[None]:
    """Somebody follows in each form, so that the end is kept."""
    async with trio.open_nursery() as nursery:

        async def follow(form: str, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
            path = f"/v1/firehose?format={form}"
            async with fresh(door, token) as client, client.http.stream("GET", path, timeout=60) as answer:
                task_status.started()
                async for _ in answer.aiter_raw():
                    pass

        for form in ("ndjson", "cbor") * streams:
            await nursery.start(follow, form)
        yield
        nursery.cancel_scope.cancel()


async def test_the_end_that_is_kept_loses_at_once_what_is_not_given_out_any_more(
    tmp_path: Path, backend: Backend
) -> None:
    """Each reason by itself: what one drops is dropped with everything before it. Erasing follows a deletion."""
    async with open_node(tmp_path) as door, trio.open_nursery() as nursery:
        story, before = Story(door, backend, backend, tmp_path), dict[str, ArrivalPlace]()
        ends = [tail.Tail(door.node.backend, tail.EVENTS), tail.Tail(door.node.backend, tail.RUNS)]
        reasons = [reason for reason in REASONS if reason != "erased"]
        for reason in reasons:
            story.authors[reason], _ = await door.person("an" + reason.replace(" ", ""))

        async def now() -> ArrivalPlace:
            return tail.place_of((await story.call("firehose", {}))["cursor"])

        async def kept(end: tail.Tail) -> list[str]:
            last = await now()
            with trio.fail_after(60):
                while end.end is None or end.end < last:
                    await trio.sleep(0.01)
            found = {reason: end.after(place) or () for reason, place in before.items()}
            return [r for r, some in found.items() if any(word(r).encode() in one.line for one in some)]

        for end in ends:
            nursery.start_soon(end.run)
        with ends[0].followed(), ends[1].followed():
            assert [await kept(end) for end in ends] == [[], []]
            for reason, author in story.authors.items():
                before[reason] = await now()
                story.uris[reason] = (await story.call("post", {"text": word(reason), "as": author}))["uri"]
            while reasons:
                assert [await kept(end) for end in ends] == [reasons, reasons]
                await story.decide(reasons.pop(0))
            assert [await kept(end) for end in ends] == [[], []]
        nursery.cancel_scope.cancel()
        await story.platform.http.aclose()


async def test_what_is_not_given_out_comes_out_by_no_way(tmp_path: Path, backend: Backend, service: Backend) -> None:
    service.status = 503
    flags = {"http__local_webhooks": "true", "http__local_push": "true", "http__email": "an@vn.example"}
    flags |= {"http__token_rate": "0", "http__address_rate": "0"}
    async with open_node(tmp_path / "home", **flags) as door:
        story = Story(door, backend, service, tmp_path)
        async with followed(door, story.platform.token or ""):
            await story.tell()
            await trio.sleep(0.5)  # the index of posts follows
            for name, way in WAYS.items():
                if name not in ("push messages", "pages that are open"):
                    found = await way(story)
                    lacking = {reason for reason in (SHOWN, *REASONS) if word(reason).encode() not in found}
                    assert not lacking, f"{name} tells no more of these, so this test would prove nothing"
            assert sorted(story.needs) == sorted(OF_OTHERS), (
                f"a new way: give it parameters above {sorted(story.needs)}"
            )
            for reason in REASONS:
                await story.decide(reason)
            for name, way in WAYS.items():
                found = await way(story)
                assert not {reason for reason in REASONS if word(reason).encode() in found}, name
                assert word(SHOWN).encode() in found or name == "pages that are open", name
        assert story.walked > 200
        await story.platform.http.aclose()


async def test_workers_that_were_followed_before_tell_it_no_more(tmp_path: Path, backend: Backend) -> None:
    """Each worker keeps the end for itself, and a reader may meet any of them."""
    async with open_node(tmp_path, http__workers="2", http__token_rate="0") as door:
        story = Story(door, backend, backend, tmp_path)
        author, _ = await door.person("an")
        async with followed(door, story.platform.token or "", 4):
            for reason in ("hidden", "deleted"):
                begin = (await story.call("firehose", {}))["cursor"]
                await write(door, [f"bài {n}" for n in range(520)], 50)  # more than a page: then comes what is kept
                story.uris[reason] = (await story.call("post", {"text": word(reason)}))["uri"]
                story.authors[reason] = author
                for told in (True, False):
                    for form in ("ndjson", "cbor"):
                        found = await story.firehose(format=form, since=begin)
                        assert (word(reason).encode() in found) == told, (reason, form)
                    if told:
                        await story.decide(reason)
        await story.platform.http.aclose()
