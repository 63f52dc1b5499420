"""A person with Mastodon.py: https://pypi.org/project/Mastodon.py"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import mastodon
import trio
from mastodon import Mastodon

from tests.interop.said import Person, Poll, Post, Refusal, Told, plain
from tests.web.door import Door
from tests.web.login_page import Browser, code_on

SCOPES = ["read", "write", "follow"]
MARKS = {"boost": "reblog", "unboost": "unreblog"}


class MastodonPy:
    LACKS = frozenset[str]()

    def __init__(self) -> None:
        self._door: Door
        self._api: Any

    async def _ask(self, method: str, *given: Any, **named: Any) -> Any:
        """The library is synchronous: it works on a thread."""
        do: Callable[..., Any] = getattr(self._api, method)
        try:
            return await trio.to_thread.run_sync(lambda: do(*given, **named))
        except mastodon.MastodonAPIError as error:
            raise Refusal(str(error)) from error

    async def log_in(self, door: Door, name: str, password: str) -> None:
        self._door = door

        def logged_in() -> Mastodon:
            client_id, secret = Mastodon.create_app("Tried", SCOPES, api_base_url=door.url, website="https://a.example")
            api = Mastodon(client_id, secret, api_base_url=door.url, request_timeout=60)
            browser = Browser(door.url)
            url = api.auth_request_url(scopes=SCOPES, state="kept", force_login=True, allow_http=True)
            code = code_on(browser.send(browser.log_in(url, name, password), 200, answer="allow"))
            api.log_in(code=code, scopes=SCOPES, allow_http=True)
            return api

        self._api = await trio.to_thread.run_sync(logged_in)

    async def me(self) -> Person:
        return _person(await self._ask("account_verify_credentials"))

    async def post(
        self,
        text: str,
        *,
        picture: tuple[Path, str] | None = None,
        poll: Sequence[str] = (),
        answers: str | None = None,
        warning: str | None = None,
    ) -> Post:
        media = None
        if picture is not None:
            media = [
                await self._ask(
                    "media_post", picture[0].read_bytes(), "image/png", description=picture[1], synchronous=True
                )
            ]
        asked = self._api.make_poll(list(poll), 600) if poll else None
        said: dict[str, Any] = {"media_ids": media, "poll": asked, "in_reply_to_id": answers, "spoiler_text": warning}
        return _post(await self._ask("status_post", text, **said))

    async def show(self, id_: str) -> Post:
        return _post(await self._ask("status", id_))

    async def edit(self, id_: str, text: str) -> Post:
        return _post(await self._ask("status_update", id_, text))

    async def history(self, id_: str) -> list[str]:
        return [plain(one.content) for one in await self._ask("status_history", id_)]

    async def delete(self, id_: str) -> None:
        await self._ask("status_delete", id_)

    async def thread(self, id_: str) -> list[str]:
        around = await self._ask("status_context", id_)
        return [*_ids(around.ancestors), id_, *_ids(around.descendants)]

    async def mark(self, what: str, id_: str) -> None:
        await self._ask("status_" + MARKS.get(what, what), id_)

    async def favourited_by(self, id_: str) -> list[str]:
        return [one.acct for one in await self._ask("status_favourited_by", id_)]

    async def quote(self, id_: str, text: str) -> Post:
        return _post(await self._ask("status_post", text, quoted_status_id=id_))

    async def quoted_by(self, id_: str) -> list[str]:
        return _ids(await self._ask("status_quotes", id_))

    async def boosted_by(self, id_: str) -> list[str]:
        return [one.acct for one in await self._ask("status_reblogged_by", id_)]

    async def vote(self, poll: str, option: int) -> Poll:
        return _poll(await self._ask("poll_vote", poll, [option]))

    async def find(self, name: str) -> Person:
        (found,) = await self._ask("account_search", name)
        return _person(found)

    async def tie(self, what: str, who: Person) -> None:
        await self._ask("account_" + what, who.id)

    async def people(self, what: str) -> list[str]:
        if what in ("followers", "following"):
            found = await self._ask("account_" + what, (await self.me()).id)
        else:
            found = await self._ask({"muted": "mutes", "blocked": "blocks"}[what])
        return [one.acct for one in found]

    async def _page(self, what: str, of: str, **limit: int) -> Any:
        match what:
            case "favourites" | "bookmarks":
                return await self._ask(what, **limit)
            case "notices":
                return await self._ask("notifications", **limit)
            case "tag":
                return await self._ask("timeline_hashtag", of, **limit)
            case "list":
                (list_,) = [one for one in await self._ask("lists") if one.title == of]
                return await self._ask("timeline_list", list_, **limit)
            case "account":
                return await self._ask("account_statuses", (await self._ask("account_lookup", of)).id, **limit)
        return await self._ask("timeline_" + what, **limit)

    async def timeline(self, what: str, of: str = "") -> list[Post]:
        return [_post(one) for one in await self._page(what, of)]

    async def every(self, what: str, of: str = "") -> list[str]:
        return _ids(await self._ask("fetch_remaining", await self._page(what, of, limit=2)))

    async def make_list(self, title: str, who: Person) -> None:
        await self._ask("list_accounts_add", await self._ask("list_create", title), [who.id])

    async def lists(self) -> list[str]:
        return [one.title for one in await self._ask("lists")]

    async def drop_list(self, title: str) -> None:
        (list_,) = [one for one in await self._ask("lists") if one.title == title]
        await self._ask("list_delete", list_)

    async def filter(self, word: str) -> str:
        made = await self._ask(
            "create_filter_v2", word, ["home"], "hide", keywords_attributes=[{"keyword": word, "whole_word": True}]
        )
        return str(made.id)

    async def filters(self) -> list[str]:
        return [word.keyword for one in await self._ask("filters_v2") for word in one.keywords]

    async def unfilter(self, id_: str) -> None:
        await self._ask("delete_filter_v2", id_)

    async def search(self, words: str) -> tuple[list[str], list[str], list[str]]:
        found = await self._ask("search", words)
        return [one.acct for one in found.accounts], [one.name for one in found.hashtags], _ids(found.statuses)

    async def notices(self) -> list[tuple[str, str]]:
        return [(one.type, one.account.acct) for one in await self._ask("notifications")]

    @asynccontextmanager
    async def listen(self, over: str, stream: str) -> AsyncIterator[_Heard]:
        heard, open_before = _Heard(), streams_open(self._door)

        def begin() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a base for streams that it finds by itself
                if over == "websocket":
                    line = self._api.stream_open_websocket(heard)
                    line.subscribe(*(["hashtag"] if stream[0] == "#" else [stream]), **_tag(stream))
                    return line
                if stream[0] == "#":
                    return self._api.stream_hashtag(stream[1:], heard, run_async=True)
                return getattr(self._api, "stream_" + stream)(heard, run_async=True)

        line = await trio.to_thread.run_sync(begin)
        try:
            await until_open(self._door, open_before + 1)
            yield heard
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(line.close)
                await until_open(self._door, open_before)

    async def schedule(self, text: str, at: datetime) -> None:
        assert (await self._ask("status_post", text, scheduled_at=at)).params.text == text

    async def scheduled(self) -> list[str]:
        return [one.params.text for one in await self._ask("scheduled_statuses")]

    async def unschedule(self, text: str) -> None:
        (one,) = [one for one in await self._ask("scheduled_statuses") if one.params.text == text]
        await self._ask("scheduled_status_delete", one)

    async def revoke(self) -> None:
        token = str(self._api.access_token)
        await trio.to_thread.run_sync(lambda: self._api.revoke_access_token(allow_http=True))
        self._api = Mastodon(access_token=token, api_base_url=self._door.url)

    async def close(self) -> None:
        self._api.session.close()


class _Heard(mastodon.StreamListener):
    """What a stream tells, in order."""

    def __init__(self) -> None:
        self._got: list[Told] = []

    def on_update(self, status: Any) -> None:
        self._got.append(Told("update", str(status.id)))

    def on_status_update(self, status: Any) -> None:
        self._got.append(Told("status.update", str(status.id)))

    def on_delete(self, status_id: Any) -> None:
        self._got.append(Told("delete", str(status_id)))

    def on_notification(self, notification: Any) -> None:
        self._got.append(Told("notification", notification.type))

    async def next(self) -> Told:
        with trio.fail_after(60):
            while not self._got:
                await trio.sleep(0.01)
        return self._got.pop(0)


def streams_open(door: Door) -> int:
    return sum(map(len, door.hub.channels.values()))


async def until_open(door: Door, count: int) -> None:
    """Until the door knows of so many streams: what happens from then on is in them."""
    with trio.fail_after(60):
        while streams_open(door) != count:
            await trio.sleep(0.01)


def _tag(stream: str) -> dict[str, str]:
    return {"tag": stream[1:]} if stream[0] == "#" else {}


def _person(account: Any) -> Person:
    return Person(account.acct, account.display_name, str(account.id))


def _poll(poll: Any) -> Poll:
    options = poll.options
    votes = tuple(one.votes_count for one in options)
    return Poll(str(poll.id), tuple(one.title for one in options), votes, tuple(poll.own_votes))


def _post(status: Any) -> Post:
    said = status.reblog or status
    return Post(
        str(status.id),
        plain(said.content),
        said.account.acct,
        None if said.in_reply_to_id is None else str(said.in_reply_to_id),
        status.account.acct if status.reblog else None,
        tuple(one.url for one in said.media_attachments),
        tuple(one.description for one in said.media_attachments),
        None if said.poll is None else _poll(said.poll),
        said.spoiler_text,
        said.url,
    )


def _ids(found: Any) -> list[str]:
    return [str(one.id) for one in found]
