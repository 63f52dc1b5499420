"""How far somebody has read; their devices share it."""

from __future__ import annotations

import time
from typing import Any

from banyan_crdt.ids import CellKey, account_from_text, account_to_text
from banyan_reading.places import home_place
from banyan_schema.dates import iso
from banyan_schema.social import Target, post_from_text, post_to_text
from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.ids import RepostId, id_of_repost, parsed, status_id
from banyan_web.mastodon.notice_ids import notice_id, place_of
from banyan_web.params import text, texts
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
TIMELINES = ("home", "notifications")
_LAST, _LAST_REPOST = b"\xff\xff", b"\xff\xfe"
"""The counter of a time, of which an id says the milliseconds only: behind all posts of that millisecond. It also says
whether the 48 bytes after it are of a post, or of a repost as its id has them."""


def _home(place: str) -> tuple[str, int]:
    """(id of a status, milliseconds) of a place at home."""
    ms, counter, account, key = home_place(place)
    if counter == _LAST_REPOST:
        return id_of_repost(RepostId(account_to_text(account), ms, key.hex())), ms
    return status_id(post_to_text(Target(account, CellKey(key))), ms), ms


def place_at_home(id_: str) -> str:
    """The place of a status in the home timeline. Raises Refused."""
    found = parsed(id_)
    time_ms = found.time_ms.to_bytes(6, "big")
    if isinstance(found, RepostId):
        return (time_ms + _LAST_REPOST + account_from_text(found.by)).hex() + found.short
    return (time_ms + _LAST + post_from_text(found.uri).raw).hex()


async def _markers(web: DoorContext, ask: Ask, wanted: list[str]) -> dict[str, Any]:
    found = await web.call("markers", by=ask.account)
    said: dict[str, Any] = {}
    if found["home"] is not None and "home" in wanted:
        id_, ms = _home(found["home"])
        said["home"] = {"last_read_id": id_, "version": 1, "updated_at": iso(ms)}
    if found["notifications"] is not None and "notifications" in wanted:
        id_ = notice_id(found["notifications"])
        said["notifications"] = {"last_read_id": id_, "version": 1, "updated_at": iso(int(time.time() * 1_000))}
    return said


@ENDPOINTS.get("/api/v1/markers", "read:statuses")
async def show(web: DoorContext, ask: Ask) -> Any:
    return await _markers(web, ask, texts(ask.params, "timeline"))


@ENDPOINTS.post("/api/v1/markers", "write:statuses")
async def keep(web: DoorContext, ask: Ask) -> Any:
    """A marker goes forward only."""
    places: dict[str, str] = {}
    for timeline in TIMELINES:
        given = ask.params.get(timeline)
        if given is None:
            continue
        if not isinstance(given, dict):
            raise Refused(422, f"{timeline} is an object with last_read_id.")
        id_ = text(given, "last_read_id")
        try:
            places[timeline] = place_at_home(id_) if timeline == "home" else place_of(id_)
        except Refused:
            raise Refused(422, f"{timeline}[last_read_id] is no id of this server.") from None
    for timeline, place in places.items():
        await web.call("marker.set", timeline=timeline, place=place, by=ask.account)
    return await _markers(web, ask, list(places))
