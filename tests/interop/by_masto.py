"""A person with masto, for JavaScript: https://www.npmjs.com/package/masto. It runs in Node.js, beside the test."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import trio

from tests.interop.by_mastodon_py import MARKS, streams_open, until_open
from tests.interop.packages import HERE, PLACE
from tests.interop.said import Person, Poll, Post, Refusal, Told, plain
from tests.web.door import Door
from tests.web.login_page import Browser

SCOPES = "read write follow"
BACK = "https://app.example/back"
_PART = re.compile(r"\.?([A-Za-z0-9]+)|\[([^\]]*)\]")


class Library:
    """The library in a process of its own. `ask` calls what stands at a path of a client, such as
    `v1.statuses[7].favourite`."""

    def __init__(self, process: trio.Process, nursery: trio.Nursery) -> None:
        self._process, self._numbers = process, count(1)
        self._waiting: dict[int, trio.MemorySendChannel[Any]] = {}
        nursery.start_soon(self._read)

    async def ask(self, kind: str, config: Any, path: str, *given: Any, **more: Any) -> Any:
        """Raises Refusal."""
        n = next(self._numbers)
        parts = [name if name else [id_] for name, id_ in _PART.findall(path)]
        send, receive = trio.open_memory_channel[Any](1_000)
        self._waiting[n] = send
        asked = {"n": n, "kind": kind, "client": config, "path": parts, "given": given, **more}
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps(asked).encode() + b"\n")
        with trio.fail_after(180):
            said = await receive.receive()
        if "refused" in said:
            raise Refusal(said["refused"])
        if kind == "streaming":
            return n, receive
        del self._waiting[n]
        return said["gave"]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        async for piece in self._process.stdout:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                said = json.loads(line)
                send = self._waiting.get(said.get("n", said.get("of")))
                if send is not None:
                    send.send_nowait(said)


@asynccontextmanager
async def library() -> AsyncIterator[Library]:
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            ["node", HERE / "masto.mjs", PLACE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield Library(process, nursery)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            nursery.cancel_scope.cancel()


class Masto:
    LACKS = frozenset({"listen sse"})

    def __init__(self, library: Library) -> None:
        self._library = library
        self._door: Door
        self._app: dict[str, Any]
        self._config: dict[str, Any]

    async def _ask(self, path: str, *given: Any, **more: Any) -> Any:
        return await self._library.ask("rest", self._config, path, *given, **more)

    async def log_in(self, door: Door, name: str, password: str) -> None:
        self._door, self._config = door, {"url": door.url}
        given = {"clientName": "Tried", "redirectUris": [BACK], "scopes": SCOPES, "website": "https://a.example"}
        self._app = await self._ask("v1.apps.create", given)
        verifier = secrets.token_urlsafe(40)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._app["clientId"],
            "redirect_uri": BACK,
            "scope": SCOPES,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }

        def in_browser() -> str:
            browser = Browser(door.url)
            page = browser.log_in("/oauth/authorize?" + urlencode(query), name, password)
            sent = browser.send(page, answer="allow").headers["location"]
            assert sent.startswith(BACK + "?")
            return parse_qs(urlsplit(sent).query)["code"][0]

        code = await trio.to_thread.run_sync(in_browser)
        given = {"grantType": "authorization_code", "code": code, "redirectUri": BACK, "codeVerifier": verifier}
        token = await self._oauth("token.create", given)
        assert (token["tokenType"], token["scope"]) == ("Bearer", SCOPES)
        self._config = {"url": door.url, "accessToken": token["accessToken"]}

    async def _oauth(self, path: str, given: dict[str, Any]) -> Any:
        secret = {name: self._app[name] for name in ("clientId", "clientSecret")}
        return await self._library.ask("oauth", {"url": self._door.url}, path, {**given, **secret})

    async def me(self) -> Person:
        return _person(await self._ask("v1.accounts.verifyCredentials"))

    async def post(
        self,
        text: str,
        *,
        picture: tuple[Path, str] | None = None,
        poll: Sequence[str] = (),
        answers: str | None = None,
        warning: str | None = None,
    ) -> Post:
        given: dict[str, Any] = {"status": text, "inReplyToId": answers, "spoilerText": warning}
        if picture is not None:
            file = {"$file": str(picture[0]), "type": "image/png"}
            sent = await self._ask("v2.media.create", {"file": file, "description": picture[1]})
            given["mediaIds"] = [sent["id"]]
        if poll:
            given["poll"] = {"options": poll, "expiresIn": 600}
        return _post(await self._ask("v1.statuses.create", given))

    async def show(self, id_: str) -> Post:
        return _post(await self._ask(f"v1.statuses[{id_}].fetch"))

    async def edit(self, id_: str, text: str) -> Post:
        return _post(await self._ask(f"v1.statuses[{id_}].update", {"status": text}))

    async def history(self, id_: str) -> list[str]:
        return [plain(one["content"]) for one in await self._ask(f"v1.statuses[{id_}].history.list")]

    async def delete(self, id_: str) -> None:
        await self._ask(f"v1.statuses[{id_}].remove")

    async def thread(self, id_: str) -> list[str]:
        around = await self._ask(f"v1.statuses[{id_}].context.fetch")
        return [*_ids(around["ancestors"]), id_, *_ids(around["descendants"])]

    async def mark(self, what: str, id_: str) -> None:
        await self._ask(f"v1.statuses[{id_}].{MARKS.get(what, what)}")

    async def favourited_by(self, id_: str) -> list[str]:
        return [one["acct"] for one in await self._ask(f"v1.statuses[{id_}].favouritedBy.list")]

    async def quote(self, id_: str, text: str) -> Post:
        return _post(await self._ask("v1.statuses.create", {"status": text, "quotedStatusId": id_}))

    async def quoted_by(self, id_: str) -> list[str]:
        return _ids(await self._ask(f"v1.statuses[{id_}].quotes.list"))

    async def boosted_by(self, id_: str) -> list[str]:
        return [one["acct"] for one in await self._ask(f"v1.statuses[{id_}].rebloggedBy.list")]

    async def vote(self, poll: str, option: int) -> Poll:
        return _poll(await self._ask(f"v1.polls[{poll}].votes.create", {"choices": [option]}))

    async def find(self, name: str) -> Person:
        (found,) = await self._ask("v1.accounts.search.list", {"q": name})
        return _person(found)

    async def tie(self, what: str, who: Person) -> None:
        await self._ask(f"v1.accounts[{who.id}].{what}")

    async def people(self, what: str) -> list[str]:
        if what in ("followers", "following"):
            found = await self._ask(f"v1.accounts[{(await self.me()).id}].{what}.list", page="all")
        else:
            found = await self._ask({"muted": "v1.mutes.list", "blocked": "v1.blocks.list"}[what], page="all")
        return [one["acct"] for one in found]

    async def _list(self, title: str) -> str:
        (found,) = [one for one in await self._ask("v1.lists.list") if one["title"] == title]
        return str(found["id"])

    async def _page(self, what: str, of: str, **more: Any) -> Any:
        limit = {"limit": 2} if more else {}
        match what:
            case "favourites" | "bookmarks":
                path = f"v1.{what}.list"
            case "notices":
                path = "v1.notifications.list"
            case "tag":
                path = f"v1.timelines.tag[{of}].list"
            case "list":
                path = f"v1.timelines.list[{await self._list(of)}].list"
            case "account":
                id_ = (await self._ask("v1.accounts.lookup", {"acct": of}))["id"]
                path = f"v1.accounts[{id_}].statuses.list"
            case _:
                path = f"v1.timelines.{what}.list"
        return await self._ask(path, limit, **more)

    async def timeline(self, what: str, of: str = "") -> list[Post]:
        return [_post(one) for one in await self._page(what, of)]

    async def every(self, what: str, of: str = "") -> list[str]:
        return _ids(await self._page(what, of, page="all"))

    async def make_list(self, title: str, who: Person) -> None:
        made = await self._ask("v1.lists.create", {"title": title, "repliesPolicy": "list", "exclusive": False})
        await self._ask(f"v1.lists[{made['id']}].accounts.create", {"accountIds": [who.id]})

    async def lists(self) -> list[str]:
        return [one["title"] for one in await self._ask("v1.lists.list")]

    async def drop_list(self, title: str) -> None:
        await self._ask(f"v1.lists[{await self._list(title)}].remove")

    async def filter(self, word: str) -> str:
        words = [{"keyword": word, "wholeWord": True}]
        given = {"title": word, "context": ["home"], "filterAction": "hide", "keywordsAttributes": words}
        return str((await self._ask("v2.filters.create", given))["id"])

    async def filters(self) -> list[str]:
        return [word["keyword"] for one in await self._ask("v2.filters.list") for word in one["keywords"]]

    async def unfilter(self, id_: str) -> None:
        await self._ask(f"v2.filters[{id_}].remove")

    async def search(self, words: str) -> tuple[list[str], list[str], list[str]]:
        found = await self._ask("v2.search.list", {"q": words, "resolve": True})
        people, tags = [one["acct"] for one in found["accounts"]], [one["name"] for one in found["hashtags"]]
        return people, tags, _ids(found["statuses"])

    async def notices(self) -> list[tuple[str, str]]:
        return [(one["type"], one["account"]["acct"]) for one in await self._ask("v1.notifications.list")]

    @asynccontextmanager
    async def listen(self, over: str, stream: str) -> AsyncIterator[_Heard]:
        assert over == "websocket"
        instance = await self._ask("v2.instance.fetch")
        token = {"accessToken": self._config["accessToken"]}
        config = {"streamingApiUrl": instance["configuration"]["urls"]["streaming"], **token, "retry": False}
        before = streams_open(self._door)
        if stream[0] == "#":
            n, heard = await self._library.ask("streaming", config, "hashtag.subscribe", {"tag": stream[1:]})
        else:
            n, heard = await self._library.ask("streaming", config, f"{stream}.subscribe")
        await until_open(self._door, before + 1)
        try:
            yield _Heard(heard)
        finally:
            await self._library.ask("rest", self._config, "", close=n)
            await until_open(self._door, before)

    async def schedule(self, text: str, at: datetime) -> None:
        made = await self._ask("v1.statuses.create", {"status": text, "scheduledAt": at.isoformat()})
        assert made["params"]["text"] == text

    async def scheduled(self) -> list[str]:
        return [one["params"]["text"] for one in await self._ask("v1.scheduledStatuses.list")]

    async def unschedule(self, text: str) -> None:
        (one,) = [one for one in await self._ask("v1.scheduledStatuses.list") if one["params"]["text"] == text]
        await self._ask(f"v1.scheduledStatuses[{one['id']}].remove")

    async def revoke(self) -> None:
        await self._oauth("revoke", {"token": self._config["accessToken"]})

    async def close(self) -> None:
        pass


class _Heard:
    def __init__(self, channel: trio.MemoryReceiveChannel[Any]) -> None:
        self._channel = channel

    async def next(self) -> Told:
        with trio.fail_after(180):
            told = (await self._channel.receive())["told"]
        event, payload = told["event"], told["payload"]
        about = payload if event == "delete" else payload["type" if event == "notification" else "id"]
        return Told(event, about)


def _person(account: Any) -> Person:
    return Person(account["acct"], account["displayName"], account["id"])


def _poll(poll: Any) -> Poll:
    options = poll["options"]
    votes = tuple(one["votesCount"] for one in options)
    return Poll(poll["id"], tuple(one["title"] for one in options), votes, tuple(poll["ownVotes"]))


def _post(status: Any) -> Post:
    said = status["reblog"] or status
    return Post(
        status["id"],
        plain(said["content"]),
        said["account"]["acct"],
        said["inReplyToId"],
        status["account"]["acct"] if status["reblog"] else None,
        tuple(one["url"] for one in said["mediaAttachments"]),
        tuple(one["description"] for one in said["mediaAttachments"]),
        None if said["poll"] is None else _poll(said["poll"]),
        said["spoilerText"],
        said["url"],
    )


def _ids(found: Any) -> list[str]:
    return [one["id"] for one in found]
