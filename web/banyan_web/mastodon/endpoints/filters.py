"""Filters. One of an app is several of the node's, one for each keyword."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entity_ids import thing_id, thing_of
from banyan_web.params import number, text, texts, truthy
from banyan_web.platform.requests import key_for
from banyan_web.refusals import HttpRefusal, gone, there

ENDPOINTS = Endpoints()
CONTEXTS = ("home", "notifications", "public", "thread", "account")
LONGEST_S = 100 * 366 * 86_400
_NEW: Mapping[str, Any] = {"title": None, "action": "warn", "until": None, "contexts": None}


def _groups(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The node's filters that are one filter of an app, by its id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["of"], []).append(row)
    return found


async def _every(web: DoorContext, ask: DoorRequest) -> dict[str, list[dict[str, Any]]]:
    return _groups((await web.call("filters", by=ask.account))["filters"])


async def _rows(web: DoorContext, ask: DoorRequest) -> list[dict[str, Any]]:
    """Raises HttpRefusal."""
    return there((await _every(web, ask)).get(thing_of(ask.path["id"])))


async def _keyword(web: DoorContext, ask: DoorRequest) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A keyword, and all of its filter. Raises HttpRefusal."""
    wanted = thing_of(ask.path["id"])
    for rows in (await _every(web, ask)).values():
        for row in rows:
            if row["id"] == wanted:
                return row, rows
    raise gone()


def _keyword_entity(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": thing_id(row["id"]), "keyword": row["words"], "whole_word": row["whole"]}


def contexts_of(row: Mapping[str, Any]) -> list[str]:
    """Where a filter of the node counts."""
    return list(CONTEXTS) if row["contexts"] is None else [one for one in CONTEXTS if one in row["contexts"]]


def entity(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The Filter entity of the node's filters that are one."""
    first = rows[0]
    return {
        "id": thing_id(first["of"]),
        "title": first["title"],
        "context": contexts_of(first),
        "expires_at": None if first["until"] is None else iso(first["until"]),
        "filter_action": first["action"],
        "keywords": [_keyword_entity(row) for row in rows],
        "statuses": [],
    }


@ENDPOINTS.get("/api/v2/filters", "read:filters")
async def every(web: DoorContext, ask: DoorRequest) -> Any:
    return [entity(rows) for rows in (await _every(web, ask)).values()]


@ENDPOINTS.get("/api/v2/filters/{id}", "read:filters")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    return entity(await _rows(web, ask))


@ENDPOINTS.post("/api/v2/filters", "write:filters")
async def make(web: DoorContext, ask: DoorRequest) -> Any:
    return await _set(web, ask, [])


@ENDPOINTS.put("/api/v2/filters/{id}", "write:filters")
async def change(web: DoorContext, ask: DoorRequest) -> Any:
    return await _set(web, ask, await _rows(web, ask))


async def _set(web: DoorContext, ask: DoorRequest, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Makes a filter, or changes the one that has these rows. Raises HttpRefusal."""
    first: Mapping[str, Any] = rows[0] if rows else _NEW
    action = text(ask.params, "filter_action", first["action"])
    if action not in ("warn", "hide"):
        raise HttpRefusal(422, "filter_action is warn or hide.")
    words = {thing_id(row["id"]): (row["words"], row["whole"]) for row in rows}
    fresh = list[tuple[str, bool]]()
    for item in _attributes(ask.params.get("keywords_attributes")):
        id_ = text(item, "id", "")
        if id_ and id_ not in words:
            raise gone()
        if id_ and truthy(item, "_destroy"):
            del words[id_]
        elif id_:
            said, whole = words[id_]
            words[id_] = text(item, "keyword", said), truthy(item, "whole_word", whole)
        elif not truthy(item, "_destroy"):
            fresh.append((text(item, "keyword"), truthy(item, "whole_word", True)))
    given = [{"words": said, "whole": whole, "id": thing_of(id_)} for id_, (said, whole) in words.items()]
    given += [{"words": said, "whole": whole} for said, whole in fresh]
    about = {
        "title": text(ask.params, "title", first["title"]),
        "contexts": _contexts(ask, first["contexts"]),
        "action": action,
        "until": _until(ask, first["until"]),
    }
    return await _write(web, ask, rows, about, given)


def _contexts(ask: DoorRequest, before: list[str] | None) -> list[str] | None:
    """Raises HttpRefusal."""
    found = texts(ask.params, "context")
    if unknown := set(found) - {*CONTEXTS}:
        raise HttpRefusal(422, f"'{min(unknown)[:40]}' is no context of a filter; those are {', '.join(CONTEXTS)}.")
    return found or before


async def _write(
    web: DoorContext,
    ask: DoorRequest,
    rows: list[dict[str, Any]],
    about: Mapping[str, Any],
    words: list[dict[str, Any]],
) -> dict[str, Any]:
    if not words:
        raise HttpRefusal(422, "A filter has at least one keyword: this network filters posts by their words alone.")
    of = rows[0]["of"] if rows else None
    said = {name: about[name] for name in _NEW}
    found = await web.call("filters.set", key_for(ask), **said, words=words, of=of, by=ask.account)
    return entity(found["filters"])


def _attributes(given: Any) -> list[dict[str, Any]]:
    items = list(given.values()) if isinstance(given, dict) else [] if given is None else given
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise HttpRefusal(422, "keywords_attributes is a list of objects.")
    return items


def _until(ask: DoorRequest, before: int | None) -> int | None:
    """Empty means for ever."""
    if "expires_in" not in ask.params:
        return before
    seconds = number(ask.params, "expires_in", 0, LONGEST_S, 0)
    return int((time.time() + seconds) * 1_000) if seconds else None


@ENDPOINTS.delete("/api/v2/filters/{id}", "write:filters")
async def delete(web: DoorContext, ask: DoorRequest) -> Any:
    rows = await _rows(web, ask)
    await web.call("filters.set", title=rows[0]["title"], words=[], of=rows[0]["of"], by=ask.account)
    return {}


# -- keywords


@ENDPOINTS.get("/api/v2/filters/{id}/keywords", "read:filters")
async def keywords(web: DoorContext, ask: DoorRequest) -> Any:
    return [_keyword_entity(row) for row in await _rows(web, ask)]


def _said(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"words": row["words"], "whole": row["whole"], "id": row["id"]} for row in rows]


@ENDPOINTS.post("/api/v2/filters/{id}/keywords", "write:filters")
async def add_keyword(web: DoorContext, ask: DoorRequest) -> Any:
    rows = await _rows(web, ask)
    more = {"words": text(ask.params, "keyword"), "whole": truthy(ask.params, "whole_word", True)}
    changed = await _write(web, ask, rows, rows[0], [*_said(rows), more])
    return changed["keywords"][-1]


@ENDPOINTS.get("/api/v2/filters/keywords/{id}", "read:filters")
async def show_keyword(web: DoorContext, ask: DoorRequest) -> Any:
    return _keyword_entity((await _keyword(web, ask))[0])


@ENDPOINTS.put("/api/v2/filters/keywords/{id}", "write:filters")
async def change_keyword(web: DoorContext, ask: DoorRequest) -> Any:
    row, rows = await _keyword(web, ask)
    said = {"words": text(ask.params, "keyword", row["words"]), "whole": truthy(ask.params, "whole_word", row["whole"])}
    await _write(web, ask, rows, rows[0], [{**one, **said} if one["id"] == row["id"] else one for one in _said(rows)])
    return _keyword_entity({**row, **said})


@ENDPOINTS.delete("/api/v2/filters/keywords/{id}", "write:filters")
async def delete_keyword(web: DoorContext, ask: DoorRequest) -> Any:
    row, rows = await _keyword(web, ask)
    await _write(web, ask, rows, rows[0], [one for one in _said(rows) if one["id"] != row["id"]])
    return {}


@ENDPOINTS.get("/api/v2/filters/{id}/statuses", "read:filters")
async def statuses(web: DoorContext, ask: DoorRequest) -> Any:
    await _rows(web, ask)
    return []


@ENDPOINTS.post("/api/v2/filters/{id}/statuses", "write:filters")
async def add_status(web: DoorContext, ask: DoorRequest) -> Any:
    await _rows(web, ask)
    raise HttpRefusal(422, "This network filters posts by their words alone: mute the account, or add a keyword.")


# -- version 1, to read


def _old(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": thing_id(row["id"]),
        "phrase": row["words"],
        "context": contexts_of(row),
        "whole_word": row["whole"],
        "expires_at": None if row["until"] is None else iso(row["until"]),
        "irreversible": row["action"] == "hide",
    }


@ENDPOINTS.get("/api/v1/filters", "read:filters")
async def old(web: DoorContext, ask: DoorRequest) -> Any:
    return [_old(row) for row in (await web.call("filters", by=ask.account))["filters"]]


@ENDPOINTS.get("/api/v1/filters/{id}", "read:filters")
async def old_one(web: DoorContext, ask: DoorRequest) -> Any:
    return _old((await _keyword(web, ask))[0])
