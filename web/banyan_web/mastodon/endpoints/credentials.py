"""Somebody's own account: what its apps know of it, and changing its profile with its pictures."""

from __future__ import annotations

import re
from typing import Any

from starlette.datastructures import UploadFile

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon import compose_store
from banyan_web.mastodon.compose_store import blob_of
from banyan_web.mastodon.endpoints.tags import featured_tags
from banyan_web.mastodon.entities import accounts
from banyan_web.mastodon.entities.accounts import BIO, NAME, SPOKEN_FOR, said_fields
from banyan_web.params import text, truthy
from banyan_web.refusals import HttpRefusal

# Files of a request become blobs of the node.

PICTURE_BYTES = 16 << 20
"""The largest file of a picture; the node makes it smaller."""


async def put(web: DoorContext, params: dict[str, Any], name: str) -> str | None:
    """The blob of the file of a parameter; None if it is not given. Raises HttpRefusal."""
    file = params.get(name)
    if file is None or file == "":
        return None
    if not isinstance(file, UploadFile):
        raise HttpRefusal(422, f"{name} is a file: send it as multipart/form-data.")
    raw = await file.read(PICTURE_BYTES + 1)
    if len(raw) > PICTURE_BYTES:
        raise HttpRefusal(422, f"{name} has more than {PICTURE_BYTES:,} bytes.")
    if not raw:
        raise HttpRefusal(422, f"{name} is empty.")
    return await blob_of(web, raw)


ENDPOINTS = Endpoints()
PICTURES = {"avatar": "avatar", "header": "banner"}
"""What apps call the pictures of a profile, and what the network calls them."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@ENDPOINTS.get("/api/v1/accounts/verify_credentials", "profile|read:accounts")
async def verify(web: DoorContext, ask: DoorRequest) -> Any:
    """Of the scopes `profile` is enough, as with Mastodon."""
    return await accounts.credentials(web, ask.account)


@ENDPOINTS.patch("/api/v1/accounts/update_credentials", "write:accounts", files=True)
async def update(web: DoorContext, ask: DoorRequest) -> Any:
    """The profile, and with which settings one writes."""
    await _change(web, ask)
    return await accounts.credentials(web, ask.account)


@ENDPOINTS.get("/api/v1/profile")
async def profile(web: DoorContext, ask: DoorRequest) -> Any:
    """As one edits it: texts as they were written, and no picture where none was chosen."""
    await verify(web, ask)
    return await _profile(web, ask.account)


@ENDPOINTS.patch("/api/v1/profile", "write:accounts", files=True)
async def update_profile(web: DoorContext, ask: DoorRequest) -> Any:
    """The same as `update`, answered with the profile."""
    await _change(web, ask)
    return await _profile(web, ask.account)


async def _profile(web: DoorContext, did: str) -> dict[str, Any]:
    return {**await accounts.own_profile(web, did), "featured_tags": await featured_tags(web, did)}


async def _change(web: DoorContext, ask: DoorRequest) -> None:
    """Everything is checked before anything is written; texts and pictures are one write."""
    row = (await accounts.profiles(web, [ask.account]))[ask.account]
    chosen, fields = _chosen(ask, compose_store.defaults_of(web.door, ask.account)), _fields(ask, row)
    locked = truthy(ask.params, "locked", row["locked"])
    pictures: dict[str, dict[str, str]] = {}
    for name, ours in PICTURES.items():
        blob, there = await put(web, ask.params, name), row["pictures"].get(ours)
        if blob is not None:
            pictures[ours] = {"blob": blob, "description": text(ask.params, f"{name}_description", "")}
        elif f"{name}_description" in ask.params and there is not None:
            pictures[ours] = {"blob": there["blob"], "description": text(ask.params, f"{name}_description")}
    if fields or pictures:
        await web.call("profile.set", fields=fields, pictures=pictures, by=ask.account)
    if locked != row["locked"]:
        await web.call("lock", undo=not locked, by=ask.account)
    compose_store.keep_defaults(web.door, ask.account, chosen)


def _chosen(ask: DoorRequest, before: compose_store.Defaults) -> compose_store.Defaults:
    """Raises HttpRefusal."""
    source = ask.params.get("source")
    if source is None:
        return before
    if not isinstance(source, dict):
        raise HttpRefusal(422, "source is an object.")
    privacy = text(source, "privacy", before.privacy)
    if privacy not in compose_store.PRIVACIES:
        raise HttpRefusal(
            422, f"source[privacy] is {' or '.join(compose_store.PRIVACIES)}: everybody can read this network."
        )
    language = text(source, "language", before.language or "") if source.get("language") is not None else None
    if language and not _LANGUAGE.fullmatch(language):
        raise HttpRefusal(422, "source[language] is a tag such as vi or pt-BR.")
    said = language or None if "language" in source else before.language
    quoters = text(source, "quote_policy", before.quoters)
    if quoters not in compose_store.QUOTERS:
        raise HttpRefusal(422, f"source[quote_policy] is one of {', '.join(compose_store.QUOTERS)}.")
    return compose_store.Defaults(privacy, truthy(source, "sensitive", before.sensitive), said, quoters)


def _fields(ask: DoorRequest, row: dict[str, Any]) -> dict[str, str]:
    """What changes of the texts. Raises HttpRefusal."""
    found: dict[str, str] = {}
    for name, ours in (("display_name", NAME), ("note", BIO)):
        if name in ask.params:
            found[ours] = text(ask.params, name)
    given = ask.params.get("fields_attributes")
    if given is not None:
        found |= {name: "" for name, _ in said_fields(row)}
        for item in given.values() if isinstance(given, dict) else given if isinstance(given, list) else [None]:
            if not isinstance(item, dict):
                raise HttpRefusal(422, "fields_attributes is a list of objects with a name and a value.")
            name = text(item, "name", "").strip()
            if name.lower() in SPOKEN_FOR:
                raise HttpRefusal(422, f"A field cannot be called '{name}': the network means something else by that.")
            if name:
                found[name] = text(item, "value", "").strip()
    return {name: value for name, value in found.items() if value != row["fields"].get(name, "")}


@ENDPOINTS.delete("/api/v1/profile/avatar", "write:accounts")
@ENDPOINTS.delete("/api/v1/profile/header", "write:accounts")
async def no_picture(web: DoorContext, ask: DoorRequest) -> Any:
    ours, row = PICTURES[ask.last_part], (await accounts.profiles(web, [ask.account]))[ask.account]
    if ours in row["pictures"]:
        await web.call("profile.set", pictures={ours: None}, by=ask.account)
    return await accounts.credentials(web, ask.account)
