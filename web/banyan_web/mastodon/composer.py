"""What a request to write says, in the words of the node: posts, edits, and posts that are published later."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from banyan_web.endpoint import DoorContext, DoorRequest
from banyan_web.mastodon.compose_store import QUOTERS, defaults_of, upload
from banyan_web.mastodon.entities.accounts import account_named
from banyan_web.mastodon.entities.media import blob_of
from banyan_web.mastodon.entities.statuses import SENSITIVE, uri_of
from banyan_web.mastodon.post_html import mentions_in
from banyan_web.params import number, text, texts, truthy
from banyan_web.refusals import HttpRefusal

_VISIBLE = {"public": "public", "unlisted": "unlisted", "": "public"}
MOST_MEDIA = 16
LONGEST_POLL_S = 366 * 24 * 3_600
ASKED_MOST = 20
"""Names with @ of one text that the node is asked about."""


async def content(web: DoorContext, ask: DoorRequest) -> dict[str, Any]:
    """The parameters of `post`, but for what it answers. Raises HttpRefusal."""
    params = ask.params
    said = text(params, "status", "")
    media = await attached(web, ask, texts(params, "media_ids"))
    if not said.strip() and not media:
        raise HttpRefusal(422, "Validation failed: Text can't be blank")
    visibility = text(params, "visibility", "public")
    if visibility not in _VISIBLE:
        raise HttpRefusal(
            422, "Posts here are public or unlisted: everybody can read them. This one was not published."
        )
    if truthy(params, "local_only"):
        raise HttpRefusal(422, "Posts here reach every node: none can be local only. This one was not published.")
    asked = _poll(params)
    if asked is not None and media:
        raise HttpRefusal(422, "Validation failed: A post has a poll or media, not both")
    return {
        "text": said,
        "warning": warning_of(params) or None,
        "audience": _VISIBLE[visibility],
        "lang": text(params, "language", "") or None,
        "mentions": await mentioned(web, said, ask.account) or None,
        "media": media or None,
        "poll": asked,
        "policy": policy(params, defaults_of(web.door, ask.account).quoters),
    }


def policy(params: dict[str, Any], usual: str = "") -> dict[str, Any] | None:
    """Who may quote a post; None: nothing is said of that. usual: what it is if nothing is said. Raises HttpRefusal."""
    given = text(params, "quote_approval_policy", "") or usual
    if given and given not in QUOTERS:
        raise HttpRefusal(422, f"quote_approval_policy is one of {', '.join(QUOTERS)}.")
    return {"quotes": QUOTERS[given]} if given else None


def warning_of(params: dict[str, Any]) -> str:
    said = text(params, "spoiler_text", "").strip()
    return said or (SENSITIVE if truthy(params, "sensitive") else "")


async def attached(
    web: DoorContext, ask: DoorRequest, ids: Sequence[str], known: Mapping[str, str | None] | None = None
) -> list[dict[str, Any]]:
    """The media of these ids: of uploads, or of a post. known: descriptions by blob. Raises HttpRefusal."""
    if len(ids) > MOST_MEDIA:
        raise HttpRefusal(422, f"A post has at most {MOST_MEDIA} files.")
    found = []
    for id_ in ids:
        one = upload(web.door, id_)
        blob = blob_of(id_)
        if one is not None and one.account == ask.account:
            if one.failed:
                raise HttpRefusal(422, one.failed)
            if one.made is None:
                raise HttpRefusal(422, "Cannot attach files that have not finished processing. Try again in a moment!")
            found.append({"blob": one.made["blob"], "description": one.description})
        elif one is None and blob is not None:
            description = known.get(blob) if known is not None else await _described(web, blob)
            found.append({"blob": blob, "description": description})
        else:
            raise HttpRefusal(422, f"No upload {id_[:60]!r} is here: send the file again.")
    return found


async def _described(web: DoorContext, blob: str) -> str | None:
    """Of media of a post that was deleted to be written anew."""
    found: str | None = (await web.call("media.show", blob=blob))["description"]
    return found


async def mentioned(web: DoorContext, said: str, author: str) -> list[str]:
    """The DIDs of those whom a text names with @: by a DID, a name hosted here, or a handle. Others stay text."""
    found = [await account_named(web, name, author) for name in mentions_in(said)[:ASKED_MOST]]
    return list(dict.fromkeys(did for did in found if did is not None and did != author))


def _poll(params: dict[str, Any]) -> dict[str, Any] | None:
    given = params.get("poll")
    if given is None or given == "" or given == {}:
        return None
    if not isinstance(given, dict):
        raise HttpRefusal(422, "poll has options and expires_in.")
    seconds = number(given, "expires_in", 24 * 3_600, LONGEST_POLL_S)
    return {
        "options": texts(given, "options"),
        "choices": "several" if truthy(given, "multiple") else "one",
        "closes_ms": int(time.time() * 1000) + seconds * 1000,
    }


def due_ms(params: dict[str, Any]) -> int | None:
    """When a post is to be published; None: now. Raises HttpRefusal."""
    given = text(params, "scheduled_at", "")
    if not given:
        return None
    try:
        at = datetime.fromisoformat(given)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        ms = int(at.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise HttpRefusal(422, "scheduled_at is a time such as 2031-01-31T08:00:00Z.") from None
    if ms <= time.time() * 1000:
        raise HttpRefusal(422, "Validation failed: Scheduled at must be in the future")
    return ms


async def answered_uri(web: DoorContext, params: dict[str, Any], name: str) -> str | None:
    """The address of the post that is answered or quoted."""
    given = text(params, name, "")
    return await uri_of(web, given) if given else None
