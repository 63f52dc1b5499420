"""Posts: writing, reading, editing, deleting them, later ones, cards, and the conversation around one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from anyio import to_thread
from starlette.responses import Response

from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon import link_cards
from banyan_web.mastodon.compose_store import posting
from banyan_web.mastodon.composer import answered_uri, attached, content, due_ms, mentioned, policy, warning_of
from banyan_web.mastodon.entities.accounts import account
from banyan_web.mastodon.entities.media import attachment, blob_id
from banyan_web.mastodon.entities.statuses import SENSITIVE, row_of, rows_of, status, status_by_id, statuses, uri_of
from banyan_web.mastodon.entity_ids import RepostId, parsed, status_id, thing_id, thing_of
from banyan_web.mastodon.paging import cut, link
from banyan_web.mastodon.post_html import html
from banyan_web.params import text, texts
from banyan_web.platform.requests import answered, key_for
from banyan_web.refusals import HttpRefusal, gone

# -- cards

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/api/v1/statuses/{id}/card")
async def card(web: DoorContext, ask: DoorRequest) -> Any:
    """Of the first link of a post, as old apps ask for it."""
    shown = await status_by_id(web, ask.path["id"], ask.reader)
    return (shown["reblog"] or shown)["card"] or {}


@ENDPOINTS.get("/cards/{name}")
async def picture(web: DoorContext, ask: DoorRequest) -> Any:
    found = await to_thread.run_sync(link_cards.picture, web.door, ask.path["name"][:64])
    if found is None:
        raise HttpRefusal(404, "Nothing is here.")
    kind, raw = found
    kept = {"cache-control": "public, immutable, max-age=1209600", "access-control-allow-origin": "*"}
    return Response(raw, headers={**kept, "content-type": kind, "cross-origin-resource-policy": "cross-origin"})


# -- later: drafts of the node that are due at a time


async def scheduled(web: DoorContext, ask: DoorRequest, id_: str) -> dict[str, Any]:
    """The ScheduledStatus entity. Raises HttpRefusal."""
    draft = thing_of(id_)
    for one in await _due(web, ask):
        if one["id"] == draft:
            return (await _entities(web, ask, [one]))[0]
    raise gone()


async def _due(web: DoorContext, ask: DoorRequest) -> list[dict[str, Any]]:
    drafts = (await web.call("drafts", by=ask.account))["drafts"]
    return [one for one in drafts if one["due"] is not None]


async def _entities(web: DoorContext, ask: DoorRequest, drafts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    named = list({one[part] for one in drafts for part in ("reply", "quote") if one[part]})
    ids = {uri: status_id(uri, row["time_ms"]) for uri, row in (await rows_of(web, named, ask.account)).items()}
    return [_entity(web, one, ids) for one in drafts]


def _entity(web: DoorContext, draft: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    warning, due = draft["warning"] or "", iso(draft["due"])
    media = [item for item in draft["media"] if item["type"] != "text/vtt"]
    return {
        "id": thing_id(draft["id"]),
        "scheduled_at": due,
        "params": {
            "text": draft["text"],
            "media_ids": [blob_id(item["blob"]) for item in media] or None,
            "sensitive": bool(warning),
            "spoiler_text": "" if warning == SENSITIVE and media else warning,
            "visibility": draft["audience"],
            "language": draft["lang"],
            "scheduled_at": None,
            "poll": None,
            "idempotency": None,
            "in_reply_to_id": ids.get(draft["reply"] or ""),
            "quoted_status_id": ids.get(draft["quote"] or ""),
            "application_id": 0,
            "with_rate_limit": False,
        },
        "media_attachments": [attachment(web, item) for item in media],
    }


@ENDPOINTS.get("/api/v1/scheduled_statuses", "read:statuses")
async def index(web: DoorContext, ask: DoorRequest) -> Any:
    """By id."""
    found = sorted(await _entities(web, ask, await _due(web, ask)), key=lambda one: str(one["id"]), reverse=True)
    page = cut(ask, found, lambda one: str(one["id"]), 20, 40)
    link(web, ask, [str(one["id"]) for one in page], page[-1:] != found[-1:])
    return page


@ENDPOINTS.get("/api/v1/scheduled_statuses/{id}", "read:statuses")
async def show_scheduled(web: DoorContext, ask: DoorRequest) -> Any:
    return await scheduled(web, ask, ask.path["id"])


@ENDPOINTS.put("/api/v1/scheduled_statuses/{id}", "write:statuses")
async def move(web: DoorContext, ask: DoorRequest) -> Any:
    due = due_ms(ask.params)
    if due is not None:
        await web.call("draft.due", id=thing_of(ask.path["id"]), due=due, by=ask.account)
    return await scheduled(web, ask, ask.path["id"])


@ENDPOINTS.delete("/api/v1/scheduled_statuses/{id}", "write:statuses")
async def drop(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("draft.drop", id=thing_of(ask.path["id"]), by=ask.account)
    return {}


AT_ONCE, PAGES = 40, 5
"""Posts of one request, and pages of a conversation."""


# -- posts


@ENDPOINTS.post("/api/v1/statuses", "write:statuses")
async def create(web: DoorContext, ask: DoorRequest) -> Any:
    """Publishes a post, or keeps one that is due later."""
    key, me = key_for(ask), ask.account
    if (known := await answered(web, key)) is not None:
        return await (status(web, known["uri"], me) if "uri" in known else scheduled(web, ask, thing_id(known["id"])))
    said, due = await content(web, ask), due_ms(ask.params)
    reply = await answered_uri(web, ask.params, "in_reply_to_id")
    quote = await answered_uri(web, ask.params, "quoted_status_id")
    files = texts(ask.params, "media_ids")
    if due is not None:
        with posting(web.door, me, files):
            kept = await web.call("draft.set", key, **said, reply=reply, quote=quote, due=due, by=me)
        return await scheduled(web, ask, thing_id(kept["id"]))
    if reply is not None and quote is not None:
        raise HttpRefusal(422, "A post answers or quotes; it cannot do both here.")
    method, about = ("reply", reply) if reply else ("quote", quote) if quote else ("post", None)
    with posting(web.door, me, files):
        uri = (await web.call(method, key, uri=about, **said, by=me))["uri"]
    return await status(web, uri, me)


@ENDPOINTS.get("/api/v1/statuses", "read:statuses")
async def several(web: DoorContext, ask: DoorRequest) -> Any:
    uris = []
    for id_ in texts(ask.params, "id")[:AT_ONCE]:
        with suppress(HttpRefusal):  # others are there
            uris.append(await uri_of(web, id_))
    rows = await rows_of(web, uris, ask.reader)
    return await statuses(web, list(rows.values()), ask.reader)


@ENDPOINTS.get("/api/v1/statuses/{id}")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    return await status_by_id(web, ask.path["id"], ask.reader)


@ENDPOINTS.delete("/api/v1/statuses/{id}", "write:statuses")
async def delete(web: DoorContext, ask: DoorRequest) -> Any:
    """Answers with the text, so that it can be written anew. Of a repost, the repost alone is taken back."""
    id_ = ask.path["id"]
    shown = await status_by_id(web, id_, ask.account)
    uri, found = await uri_of(web, id_), parsed(id_)
    by = found.by if isinstance(found, RepostId) else uri.partition("/")[0]
    if by != ask.account:
        raise HttpRefusal(403, "This action is not allowed")
    if isinstance(found, RepostId):
        await web.call("repost", uri=uri, undo=True, by=ask.account)
        return shown
    row = await row_of(web, uri, ask.account)
    await web.call("delete", uri=uri)
    return {**shown, "text": row["text"]}


async def own_row(web: DoorContext, ask: DoorRequest) -> dict[str, Any]:
    """The post of the path, which is one's own. Raises HttpRefusal."""
    row = await row_of(web, await uri_of(web, ask.path["id"]), ask.account)
    if row["account"] != ask.account:
        raise gone()
    return row


@ENDPOINTS.put("/api/v1/statuses/{id}", "write:statuses")
async def edit(web: DoorContext, ask: DoorRequest) -> Any:
    """Replaces the text, the warning, the language and the media; a poll stays as it is."""
    params, row = ask.params, await own_row(web, ask)
    said = text(params, "status", row["text"] if "status" not in params else None)
    given, poll = params.get("poll"), row["poll"]
    if isinstance(given, dict) and given:
        options = texts(given, "options")
        if poll is None or options != [one["text"] for one in poll["options"]]:
            raise HttpRefusal(422, "A poll cannot be changed: people voted in it. Write a new post.")
    change: dict[str, Any] = {"text": said, "mentions": await mentioned(web, said, ask.account)}
    if "spoiler_text" in params or "sensitive" in params:
        change["warning"] = warning_of(params)
    if params.get("language"):
        change["lang"] = text(params, "language")
    if (may := policy(params)) is not None:
        change["policy"] = may
    media = await _media_after(web, ask, row)
    if media is not None:
        change["media"] = media
    with posting(web.door, ask.account, texts(params, "media_ids")):
        await web.call("edit", uri=row["uri"], **change)
    return await status(web, row["uri"], ask.account)


@ENDPOINTS.put("/api/v1/statuses/{id}/interaction_policy", "write:statuses")
async def interaction_policy(web: DoorContext, ask: DoorRequest) -> Any:
    """Says who may quote the post from now on: also quotes that there are."""
    row = await own_row(web, ask)
    await web.call("edit", uri=row["uri"], policy=policy(ask.params))
    return await status(web, row["uri"], ask.account)


@ENDPOINTS.post("/api/v1/statuses/{id}/quotes/{by}/revoke", "write:statuses")
async def revoke(web: DoorContext, ask: DoorRequest) -> Any:
    """Hides a quote of one's own post: it is shown without it."""
    row, quoting = await own_row(web, ask), await uri_of(web, ask.path["by"])
    found = await row_of(web, quoting, ask.account)
    if found["quote"] is None or found["quote"]["uri"] != row["uri"]:
        raise gone()
    await web.call("thread.hide", uri=quoting, below=row["uri"], by=ask.account)
    return await status(web, quoting, ask.account)


async def _media_after(web: DoorContext, ask: DoorRequest, row: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The media that a post has after an edit; None: those that it had."""
    known = {item["blob"]: item["description"] for item in row["media"]}
    attributes = ask.params.get("media_attributes")
    described: dict[str, str] = {}
    for one in attributes if isinstance(attributes, list) else []:
        if not isinstance(one, dict):
            raise HttpRefusal(422, "media_attributes is a list of objects, each with id and description.")
        if "description" in one:
            described[text(one, "id")] = text(one, "description", "")
    if "media_ids" not in ask.params and not described:
        return None
    ids = texts(ask.params, "media_ids") if "media_ids" in ask.params else [blob_id(blob) for blob in known]
    found = await attached(web, ask, ids, known)
    return [
        {**item, "description": described.get(id_, item["description"])} for id_, item in zip(ids, found, strict=True)
    ]


@ENDPOINTS.get("/api/v1/statuses/{id}/source", "read:statuses")
async def source(web: DoorContext, ask: DoorRequest) -> Any:
    row = await own_row(web, ask)
    return {"id": ask.path["id"], "text": row["text"], "spoiler_text": row["warning"] or ""}


@ENDPOINTS.get("/api/v1/statuses/{id}/history")
async def history(web: DoorContext, ask: DoorRequest) -> Any:
    """All that the post said, the first first, as far as it is held."""
    row = await row_of(web, await uri_of(web, ask.path["id"]), ask.reader)
    versions = (await web.call("why", uri=row["uri"]))["versions"]
    author = await account(web, row["account"])
    poll = None if row["poll"] is None else {"options": [{"title": one["text"]} for one in row["poll"]["options"]]}
    return [
        {
            "content": html(one["text"] or "", {}, web.url),
            "spoiler_text": one["warning"] or "",
            "sensitive": bool(one["warning"]),
            "created_at": iso(row["time_ms"] if at == 0 else one["time_ms"]),
            "account": author,
            "media_attachments": [attachment(web, item) for item in one["media"] if item["type"] != "text/vtt"],
            "emojis": [],
            **({} if poll is None else {"poll": poll}),
        }
        for at, one in enumerate(versions)
    ]


@ENDPOINTS.get("/api/v1/statuses/{id}/context")
async def context(web: DoorContext, ask: DoorRequest) -> Any:
    """What the post answers, and what answers it."""
    uri, after = await uri_of(web, ask.path["id"]), None
    rows: list[dict[str, Any]] = []
    for _ in range(PAGES):
        page = await web.call("thread", uri=uri, by=ask.reader, after=after)
        rows += page["posts"]
        after = page["after"]
        if after is None:
            break
    at = next((n for n, row in enumerate(rows) if row["uri"] == uri), None)
    if at is None:
        raise gone()
    made = await statuses(web, rows, ask.reader)
    return {"ancestors": made[:at], "descendants": made[at + 1 :]}
