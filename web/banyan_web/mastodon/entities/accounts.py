"""Accounts as apps see them, how the one who asks stands to them, and which one a name stands for.

A name before the @ is one that the node stands for: of a handle that a platform confirms whose word counts here, else
of an account hosted here, else the end of the account's DID, which is nobody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from banyan_crdt.ids import account_from_text
from banyan_schema.dates import iso
from banyan_schema.social.profile import LOCKED
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon import compose_store
from banyan_web.mastodon.entity_ids import account_id
from banyan_web.refusals import HttpRefusal, gone

NAME, BIO, TAGS = "name", "bio", "tags"
SPOKEN_FOR = frozenset({NAME, BIO, TAGS, LOCKED, "language", "domain", "handle", "avatar", "banner"})
"""Fields of a profile that apps are shown in a place of their own, or that mean something to the network."""
AT_ONCE = 200
"""The most accounts of one call to the node."""
COUNTED = 1_000
"""Wishes to follow that are counted."""
_USER = re.compile(r"[a-z0-9_]+([.-]?[a-z0-9_]+)*", re.IGNORECASE)
LONGEST_USER = 30
"""Letters of a name before the @; a DID's end is longer."""
_LINK = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_TAIL = ".,;:!?)]}"


def media_url(web: DoorContext, blob: str) -> str:
    return f"{web.url}/media/{blob}"


def picture_of(entity: Mapping[str, Any]) -> str | None:
    """The blob of an Account entity's picture, of the smaller one if there are two; None: it has none."""
    return entity["avatar_static"].partition("/media/")[2] or None


def username(did: str, handle: str | None) -> str:
    """The name before the @: that of a confirmed handle, else the end of the DID, by which it is found too."""
    return handle.partition("@")[0] if handle else did.removeprefix("did:banyan:")


def linked(text: str) -> str:
    """One line of HTML of a text that somebody wrote: escaped, with links to http and https."""
    out, at = list[str](), 0
    for found in _LINK.finditer(text):
        address = found.group().rstrip(_TAIL)
        whole = escape(address)
        out.append(escape(text[at : found.start()]))
        out.append(f'<a href="{whole}" target="_blank" rel="nofollow noopener noreferrer">{whole}</a>')
        at = found.start() + len(address)
    return "".join(out) + escape(text[at:])


def paragraphs(text: str) -> str:
    """The same of several lines."""
    return "".join(
        f"<p>{'<br />'.join(map(linked, part.splitlines()))}</p>" for part in text.split("\n\n") if part.strip()
    )


def said_fields(row: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of the fields of a profile that are shown as a table."""
    return [(key, value) for key, value in row["fields"].items() if value and key not in SPOKEN_FOR]


def named(web: DoorContext, row: dict[str, Any]) -> tuple[str, str]:
    """(the name before the @, the same with the domain unless it is this server's) of a row of `profiles`."""
    if row["confirmed"]:
        user, _, domain = row["handle"]["handle"].partition("@")
        return user, user if domain == web.server.domain else f"{user}@{domain}"
    home = row["hosted"] or ""
    user = home if len(home) <= LONGEST_USER and _USER.fullmatch(home) else username(row["account"], None)
    return user, user


def _entity(web: DoorContext, row: dict[str, Any]) -> dict[str, Any]:
    user, acct = named(web, row)
    avatar, banner = (
        media_url(web, row["pictures"][part]["blob"]) if part in row["pictures"] else f"{web.url}/static/{part}.png"
        for part in ("avatar", "banner")
    )
    described = {part: picture["description"] or "" for part, picture in row["pictures"].items()}
    still = row["pictures"].get("avatar", {}).get("preview")
    last = row["last_post_ms"]
    return {
        "id": account_id(row["account"]),
        "username": user,
        "acct": acct,
        "display_name": row["name"],
        "locked": row["locked"],
        "bot": False,
        "group": False,
        "discoverable": True,
        "indexable": True,
        "created_at": iso(row["born_ms"] or 0),
        "note": paragraphs(row["fields"].get(BIO, "")),
        "url": f"{web.url}/@{acct}",
        "uri": row["account"],
        "avatar": avatar,
        "avatar_static": media_url(web, still) if still else avatar,
        "avatar_description": described.get("avatar", ""),
        "header": banner,
        "header_static": banner,
        "header_description": described.get("banner", ""),
        "followers_count": row["followers"],
        "following_count": row["follows"],
        "statuses_count": row["posts"],
        "last_status_at": None if last is None else iso(last)[:10],
        "hide_collections": False,
        "emojis": [],
        "roles": [],
        "fields": [{"name": key, "value": linked(value), "verified_at": None} for key, value in said_fields(row)],
    }


async def profiles(web: DoorContext, dids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rows of `profiles` by DID."""
    asked, found = list(dict.fromkeys(dids)), dict[str, dict[str, Any]]()
    for at in range(0, len(asked), AT_ONCE):
        rows = (await web.call("profiles", accounts=asked[at : at + AT_ONCE]))["profiles"]
        found |= {row["account"]: row for row in rows}
    return found


async def accounts(web: DoorContext, dids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Account entities by DID, each made once. One of which nothing is held here has no name."""
    return await _made(web, await profiles(web, dids))


async def _made(web: DoorContext, rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Account entities of rows of `profiles`, with those as which they went on."""
    gone_on = {did: row["moved_to"]["account"] for did, row in rows.items() if row["moved_to"]}
    lacking = [to for to in gone_on.values() if to not in rows]
    more = rows | (await profiles(web, lacking) if lacking else {})
    return {
        did: _entity(web, row) | ({"moved": _entity(web, more[gone_on[did]])} if did in gone_on else {})
        for did, row in rows.items()
    }


async def account(web: DoorContext, did: str) -> dict[str, Any]:
    """The Account entity. Raises HttpRefusal."""
    return (await accounts(web, [did]))[did]


async def listed(web: DoorContext, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Account entities of rows that have an `account`, in their order."""
    dids = [row["account"] for row in rows]
    found = await accounts(web, dids)
    return [found[did] for did in dids]


async def known(web: DoorContext, did: str, reader: str | None) -> dict[str, Any]:
    """The Account entity of one that is held here, or that the reader follows though it has not come yet. Raises
    HttpRefusal."""
    row = (await profiles(web, [did]))[did]
    if not row["held"] and did != reader:
        if reader is None:
            raise gone()
        (stands,) = (await web.call("relationships", accounts=[did], by=reader))["relationships"]
        if not any(stands[what] for what in ("following", "requested", "blocking", "muting")):
            raise gone()
    return (await _made(web, {did: row}))[did]


async def credentials(web: DoorContext, did: str) -> dict[str, Any]:
    """The CredentialAccount entity: of somebody for themselves."""
    row = (await profiles(web, [did]))[did]
    asked = await web.call("follow.requests", by=did, limit=COUNTED) if row["locked"] else {"accounts": []}
    chosen = compose_store.defaults_of(web.door, did)
    return {
        **(await _made(web, {did: row}))[did],
        "source": {
            "privacy": chosen.privacy,
            "sensitive": chosen.sensitive,
            "language": chosen.language or "",
            "note": row["fields"].get(BIO, ""),
            "fields": [{"name": key, "value": value, "verified_at": None} for key, value in said_fields(row)],
            "follow_requests_count": len(asked["accounts"]),
            "quote_policy": chosen.quoters,
            "hide_collections": False,
            "discoverable": True,
            "indexable": True,
            "attribution_domains": [],
        },
        "role": {"id": "-99", "name": "", "color": "", "permissions": "0", "highlighted": False},
    }


async def own_profile(web: DoorContext, did: str) -> dict[str, Any]:
    """The Profile entity without its tags: of somebody for themselves, to be edited."""
    row = (await profiles(web, [did]))[did]
    made = (await _made(web, {did: row}))[did]
    shown = ("id", "display_name", "locked", "bot", "hide_collections", "discoverable", "indexable")
    described = ("avatar_description", "header_description")
    pictures = {"avatar": "avatar", "avatar_static": "avatar", "header": "banner", "header_static": "banner"}
    return {
        **{name: made[name] for name in (*shown, *described)},
        **{name: made[name] if ours in row["pictures"] else None for name, ours in pictures.items()},
        "note": row["fields"].get(BIO, ""),
        "fields": [{"name": key, "value": value, "verified_at": None} for key, value in said_fields(row)],
        "show_media": True,
        "show_media_replies": True,
        "show_featured": True,
        "attribution_domains": [],
    }


# How two accounts stand to one another.


def _relationship(row: dict[str, Any]) -> dict[str, Any]:
    until = row["muting_until"]
    return {
        "id": account_id(row["account"]),
        "following": row["following"],
        "showing_reblogs": (row["following"] or row["requested"]) and row["reposts"],
        "notifying": False,
        "languages": row["langs"],
        "followed_by": row["followed_by"],
        "blocking": row["blocking"],
        "blocked_by": row["blocked_by"],
        "muting": row["muting"],
        "muting_notifications": row["muting"],
        "muting_expires_at": None if until is None else iso(until),
        "requested": row["requested"],
        "requested_by": row["requested_by"],
        "domain_blocking": False,
        "endorsed": False,
        "note": row["note"],
    }


async def relationships(web: DoorContext, reader: str, dids: Sequence[str]) -> list[dict[str, Any]]:
    """Relationship entities, in this order. Raises HttpRefusal."""
    found = list[dict[str, Any]]()
    for at in range(0, len(dids), AT_ONCE):
        rows = await web.call("relationships", accounts=list(dids[at : at + AT_ONCE]), by=reader)
        found += map(_relationship, rows["relationships"])
    return found


async def relationship(web: DoorContext, reader: str, did: str) -> dict[str, Any]:
    """Raises HttpRefusal."""
    return (await relationships(web, reader, [did]))[0]


# Which account a name stands for: what people type, paste and follow.

DID = "did:banyan:"


def as_did(text: str) -> str | None:
    """The DID that a text is, with or without `did:banyan:`."""
    whole = text if text.startswith(DID) else DID + text
    try:
        account_from_text(whole)
    except ValueError:
        return None
    return whole


async def account_named(web: DoorContext, name: str, reader: str | None) -> str | None:
    """The DID of `name`, `name@domain`, with or without an @ before it, or of a DID; None if nobody is called so
    here."""
    text = name.strip().removeprefix("acct:").removeprefix("@")
    user, at, domain = text.partition("@")
    here = not at or domain.lower() == web.server.domain.lower()
    if here and (did := as_did(user)) is not None:
        return did
    claimed = f"{user}@{domain or web.server.domain}".lower()
    try:
        rows = (await web.call("handle.find", handle=claimed, by=reader))["accounts"]
    except HttpRefusal:
        rows = []  # no handle is written so
    if (found := await _first(web, rows, text if not here else user)) is not None:
        return found
    if not here or not user:
        return None
    for spelling in dict.fromkeys((user, user.lower())):
        rows = (await web.call("find", text=spelling))["accounts"]
        if (found := await _first(web, rows, spelling)) is not None:
            return found
    return None


async def _first(web: DoorContext, rows: Iterable[dict[str, Any]], acct: str) -> str | None:
    """The first of them that is shown under this name."""
    found = await profiles(web, [row["account"] for row in rows])
    return next((did for did, row in found.items() if named(web, row)[1].lower() == acct.lower()), None)
