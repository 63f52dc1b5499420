"""A person's settings: profile, what is written by default, what is hidden."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon import defaults
from banyan_web.mastodon.entities.accounts import SPOKEN_FOR
from banyan_web.page.forms import back, files_of, form, put, somebody
from banyan_web.page.rendering import as_page, render
from banyan_web.params import text, texts
from banyan_web.refusals import HttpRefusal
from banyan_web.sessions import Visitor

ENDPOINTS = Endpoints()
FIELDS = 4
"""Rows for more fields of a profile, beside those that it has."""
PICTURES = ("avatar", "banner")


@ENDPOINTS.get("/settings")
@as_page
async def settings(web: DoorContext, ask: DoorRequest) -> Response:
    """All of them on one page."""
    me = somebody(web, ask)
    profile = await web.call("profile.get", account=me.did)
    row = (await web.call("profiles", accounts=[me.did]))["profiles"][0]
    fields = _more(profile["fields"])
    return await render(
        web,
        ask,
        "settings.html",
        profile=profile,
        locked=row["locked"],
        more_fields=[*fields.items(), *[("", "")] * max(1, FIELDS - len(fields))],
        chosen=defaults.of(web.door, me.did),
        filters=(await web.call("filters", by=me.did))["filters"],
        mutes=(await web.call("mutes", by=me.did))["mutes"],
        blocks=(await web.call("blocks", by=me.did))["blocks"],
    )


def _more(fields: dict[str, str]) -> dict[str, str]:
    """Those that people made up: the others have a meaning in the network."""
    return {key: value for key, value in fields.items() if value and key.lower() not in SPOKEN_FOR}


@form(ENDPOINTS, "/settings/profile", files=True)
async def profile(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Texts and pictures are one write."""
    before = await web.call("profile.get", account=me.did)
    fields = {name: text(ask.params, name, "").replace("\r\n", "\n").strip() for name in ("name", "bio")}
    fields |= dict.fromkeys(_more(before["fields"]), "")
    for key, value in zip(texts(ask.params, "key"), texts(ask.params, "value"), strict=False):
        if not key.strip():
            continue
        if key.strip().lower() in SPOKEN_FOR:
            raise HttpRefusal(
                422, f"A field cannot be called '{key.strip()[:60]}': the network means something else by it."
            )
        fields[key.strip()] = value.strip()
    pictures: dict[str, Any] = {}
    for which in PICTURES:
        there, said = before["pictures"].get(which), text(ask.params, f"{which}_alt", "").strip()
        if files := files_of(ask, which):
            pictures[which] = {"blob": await put(web, files[0]), "description": said}
        elif there is not None and ask.params.get(f"no_{which}") == "1":
            pictures[which] = None
        elif there is not None and said != (there["description"] or ""):
            pictures[which] = {"blob": there["blob"], "description": said}
    changed = {key: value for key, value in fields.items() if value != before["fields"].get(key, "")}
    if changed or pictures:
        await web.call("profile.set", fields=changed, pictures=pictures, by=me.did)
    locked = (await web.call("profiles", accounts=[me.did]))["profiles"][0]["locked"]
    if locked != (ask.params.get("locked") == "1"):
        await web.call("lock", undo=locked, by=me.did)
    return back(ask, "saved")


@form(ENDPOINTS, "/settings/posting")
async def posting(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """What a new post says of itself if nothing else is chosen; apps are told it too."""
    audience = text(ask.params, "audience", "public")
    if audience not in defaults.PRIVACIES:
        raise HttpRefusal(422, f"audience is {' or '.join(defaults.PRIVACIES)}.")
    language = text(ask.params, "lang", "").strip()[:35] or None
    before = defaults.of(web.door, me.did)
    defaults.keep(web.door, me.did, before._replace(privacy=audience, language=language))
    return back(ask, "saved")


@form(ENDPOINTS, "/settings/filters")
async def filters(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Adds a filter, or takes one away."""
    if ask.params.get("do") == "drop":
        await web.call("filter.delete", id=text(ask.params, "id"), by=me.did)
    else:
        action = text(ask.params, "action", "warn")
        await web.call("filter.set", words=text(ask.params, "words").strip(), action=action, by=me.did)
    return back(ask, "saved")
