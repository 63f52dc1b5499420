"""Channels: films and sound in episodes, with a player."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.oauth.sessions import Visitor, visitor_of
from banyan_web.page.formats import did_of, media_kind, post_path, readable, thing_in
from banyan_web.page.forms import files_of, form, media_of, put, undone
from banyan_web.page.rendering import language, page, render
from banyan_web.page.translations import WORDS
from banyan_web.params import text
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
A_PAGE = 20
_CHAPTER = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2})\s+(\S.*)")


def channel_path(uri: str) -> str:
    return "/channels/" + post_path(uri).removeprefix("/@")


@page(ENDPOINTS, "/channels")
async def mine(web: DoorContext, ask: DoorRequest) -> Response:
    """New episodes of channels that the visitor follows, and its own; for others those of the node's own account."""
    me, words = visitor_of(web, ask), WORDS[language(ask)]
    if me is None:
        account = (await web.call("id"))["account"]
        own = (await web.call("channel.list", account=account, by=None))["channels"] if account else []
        return await _list(web, ask, words["channels"], own, [], [], False)
    own = (await web.call("channel.list", account=me.did, by=me.did))["channels"]
    subscribed = (await web.call("channel.list", subscribed=True, account=me.did, by=me.did))["channels"]
    episodes = (await web.call("subscriptions", limit=A_PAGE, by=me.did))["episodes"]
    return await _list(web, ask, words["channels"], own, subscribed, episodes, True)


@page(ENDPOINTS, "/@{name}/channels")
async def theirs(web: DoorContext, ask: DoorRequest) -> Response:
    """The channels of an account."""
    me, did, words = visitor_of(web, ask), await did_of(web, ask.path["name"]), WORDS[language(ask)]
    own = (await web.call("channel.list", account=did, by=me and me.did))["channels"]
    name = (await web.call("profile.get", account=did))["name"] or words["nameless"]
    heading = words["channels_of"].format(name=readable(name))
    return await _list(web, ask, heading, own, [], [], me is not None and me.did == did)


async def _list(
    web: DoorContext,
    ask: DoorRequest,
    heading: str,
    own: list[Any],
    subscribed: list[Any],
    episodes: list[Any],
    makes: bool,
) -> Response:
    rows = {"own": own, "subscribed": subscribed, "episodes": [one for one in episodes if one["post"] is not None]}
    return await render(web, ask, "community/channels.html", heading=heading, may_make=makes, **rows)


@form(ENDPOINTS, "/channels", files=True)
async def make(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Opens a channel."""
    picture = [await put(web, file) for file in files_of(ask, "picture")[:1]]
    said = {name: text(ask.params, name, "").strip() for name in ("title", "description")}
    kind = text(ask.params, "kind", "video")
    made = await web.call("channel.set", **said, kind=kind, picture=picture[0] if picture else None, by=me.did)
    return channel_path(made["uri"])


@page(ENDPOINTS, "/channels/{name}/{key}")
async def channel(web: DoorContext, ask: DoorRequest) -> Response:
    """A channel: the episode that is chosen, in a player, and the others below."""
    me, uri = visitor_of(web, ask), thing_in(ask.path["name"], ask.path["key"])
    after, chosen = text(ask.params, "after", "") or None, text(ask.params, "episode", "")
    found = await web.call("channel.show", channel=uri, by=me and me.did)
    episodes = await web.call("episode.list", channel=uri, after=after, limit=A_PAGE, by=me and me.did)
    rows = episodes["episodes"]
    playing = next((one for one in rows if one["uri"].endswith(f"/{chosen}")), None) if chosen else None
    if chosen and playing is None and after is None:
        playing = await _elsewhere(web, me, uri, chosen, episodes["after"])
    if playing is None and after is None:
        playing = next((one for one in rows if one["post"] is not None), None)
    media = playing["post"]["media"] if playing is not None and playing["post"] is not None else []
    film = next((item for item in media if media_kind(item) in ("film", "sound")), None)
    return await render(
        web, ask, "community/channel.html", channel=found, episodes=episodes, playing=playing, film=film
    )


async def _elsewhere(web: DoorContext, me: Visitor | None, uri: str, key: str, after: str | None) -> Any:
    """An episode of a later page. Looks through 1,000."""
    for _ in range(5):
        if after is None:
            return None
        page = await web.call("episode.list", channel=uri, after=after, limit=200, by=me and me.did)
        found = next((one for one in page["episodes"] if one["uri"].endswith(f"/{key}")), None)
        if found is not None:
            return found
        after = page["after"]
    return None


@form(ENDPOINTS, "/channels/subscribe")
async def subscribe(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Subscribes to a channel, or takes that back."""
    await web.mark("channel.subscribe", undone(ask), channel=text(ask.params, "channel"), by=me.did)


@form(ENDPOINTS, "/channels/episode", files=True)
async def add(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Posts a film or sound with its captions, and makes the post an episode."""
    uri, title = text(ask.params, "channel"), text(ask.params, "title").strip()
    if uri.partition("/")[0] != me.did:
        raise HttpRefusal(403, "Episodes are added to channels of one's own.")
    chapters = _chapters(text(ask.params, "chapters", ""))
    numbers = {name: _number(ask, name) for name in ("season", "number")}
    media: list[dict[str, Any]] = [*await media_of(web, ask)][:1]
    if not media:
        raise HttpRefusal(422, "An episode has a film or sound: choose a file.")
    media += [{"blob": await put(web, file), "description": None} for file in files_of(ask, "captions")[:1]]
    said = text(ask.params, "text", "").replace("\r\n", "\n").strip() or title
    made = await web.call("post", text=said, media=media, by=me.did)
    more = {"title": title, "chapters": chapters or None, **numbers}
    episode = await web.call("episode.set", channel=uri, post=made["uri"], **more, by=me.did)
    return f"{channel_path(uri)}?episode={episode['uri'][-32:]}"


def _number(ask: DoorRequest, name: str) -> int | None:
    said = text(ask.params, name, "").strip()
    if said and not (said.isascii() and said.isdigit() and len(said) < 7):
        raise HttpRefusal(422, f"{name} is a whole number.")
    return int(said) if said else None


def _chapters(said: str) -> list[dict[str, Any]]:
    """One a line: `12:30 title`. Raises HttpRefusal."""
    found = []
    for line in filter(None, map(str.strip, said.splitlines())):
        parts = _CHAPTER.fullmatch(line)
        if parts is None:
            raise HttpRefusal(
                422, f"'{line[:60]}' is no chapter: write its time and its title, such as 12:30 The market."
            )
        hours, minutes, seconds = (int(one or 0) for one in parts.groups()[:3])
        found.append({"at_ms": ((hours * 60 + minutes) * 60 + seconds) * 1000, "title": parts[4]})
    return found
