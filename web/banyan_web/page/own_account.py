"""A person's settings: profile, what is written by default, what is hidden. Accounts whose keys are in a browser."""

from __future__ import annotations

from typing import Any

from mnemonic import Mnemonic
from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon import compose_store
from banyan_web.mastodon.entities.accounts import SPOKEN_FOR
from banyan_web.oauth.sessions import Visitor, from_here, visitor_of
from banyan_web.page.formats import account_path
from banyan_web.page.forms import back, files_of, form, put, somebody
from banyan_web.page.rendering import page, render
from banyan_web.params import text, texts
from banyan_web.refusals import HttpRefusal, too_much

ENDPOINTS = Endpoints()
FIELDS = 4
"""Rows for more fields of a profile, beside those that it has."""
PICTURES = ("avatar", "banner")


@page(ENDPOINTS, "/settings")
async def settings(web: DoorContext, ask: DoorRequest) -> Response:
    """All of them on one page."""
    me = somebody(web, ask)
    profile = await web.call("profile.get", account=me.did)
    row = (await web.call("profiles", accounts=[me.did]))["profiles"][0]
    fields = _more(profile["fields"])
    return await render(
        web,
        ask,
        "people/settings.html",
        profile=profile,
        locked=row["locked"],
        more_fields=[*fields.items(), *[("", "")] * max(1, FIELDS - len(fields))],
        chosen=compose_store.defaults_of(web.door, me.did),
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
    if audience not in compose_store.PRIVACIES:
        raise HttpRefusal(422, f"audience is {' or '.join(compose_store.PRIVACIES)}.")
    language = text(ask.params, "lang", "").strip()[:35] or None
    before = compose_store.defaults_of(web.door, me.did)
    compose_store.keep_defaults(web.door, me.did, before._replace(privacy=audience, language=language))
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


# Accounts whose keys are in a browser: the page on which one is made, and where what it signed comes in.
#
# What comes is signed by the account, so whoever brings it cannot forge it: no session is needed. How much comes is
# bounded by address, what strangers have the node work on together by rate_limits.py, where who proves to have a
# key of an account that is held here waits apart from newcomers, and what they may take of the disk by
# `storage.strangers`.

WRITINGS, WRITING_S = 60, 600
"""Archives that one address brings in so many seconds."""


@page(ENDPOINTS, "/own")
async def own(web: DoorContext, ask: DoorRequest) -> Response:
    """Makes an account of this browser's own keys, and writes with it."""
    return await render(
        web, ask, "people/own.html", taken=web.server.browser_accounts or visitor_of(web, ask) is not None
    )


@ENDPOINTS.post("/own/entries")
async def take(web: DoorContext, ask: DoorRequest) -> Any:
    """Takes entries that a browser signed. New accounts: of people who are logged in, or of everybody if the operator
    says so."""
    from_here(web, ask.request)
    if web.bounds.take("own entries", ask.address, WRITINGS, WRITING_S).over:
        raise too_much("tries", "Too much came from here; try again in some minutes.", 60)
    account, archive = text(ask.params, "account"), text(ask.params, "archive")
    if visitor_of(web, ask) is not None:
        return await _taken(web, account, archive)
    seen = await web.call("entries.look", archive=archive, account=account)
    if not (seen["held"] or web.server.browser_accounts):
        raise HttpRefusal(403, "This node takes no new accounts from browsers: log in first.")
    async with web.bounds.strangers.turn(ask.address, account if seen["news"] else None):
        return await _taken(web, account, archive)


async def _taken(web: DoorContext, account: str, archive: str) -> Any:
    done = await web.call("entries.take", archive=archive, account=account)
    return {**done, "path": account_path(done["account"])}


@ENDPOINTS.get("/own/words")
async def word_list(web: DoorContext, ask: DoorRequest) -> Response:
    """The 2,048 words in which a browser writes what is to be kept on paper, with spaces between them."""
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "public, max-age=86400"}
    return Response(" ".join(Mnemonic("english").wordlist), headers=headers)
