"""Lists of accounts. Who is on one is read by the devices of the account alone."""

from __future__ import annotations

from typing import Any

from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.entities import accounts
from banyan_web.mastodon.ids import account_id, did_of, thing_id, thing_of
from banyan_web.mastodon.ties import page_of
from banyan_web.params import text, texts, truthy
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
REPLIES = ("list", "followed", "none")
MOST = 1_000
"""The most accounts that are put on a list at once."""


def _entity(row: dict[str, Any]) -> dict[str, Any]:
    """A list of which nobody said which replies it shows has all of them; the nearest word for that is `followed`."""
    replies = "followed" if row["replies"] == "all" else row["replies"]
    return {
        "id": thing_id(row["id"]),
        "title": row["title"],
        "replies_policy": replies,
        "exclusive": row["exclusive"],
    }


async def _one(web: DoorContext, ask: Ask) -> dict[str, Any]:
    """The list and who is on it. Raises Refused."""
    found: dict[str, Any] = await web.call("list.show", id=thing_of(ask.path["id"]), by=ask.account)
    return found


@ENDPOINTS.get("/api/v1/lists", "read:lists")
async def every(web: DoorContext, ask: Ask) -> Any:
    return [_entity(row) for row in (await web.call("lists", by=ask.account))["lists"]]


async def with_member(web: DoorContext, reader: str, did: str) -> list[dict[str, Any]]:
    """The reader's lists on which an account is."""
    found = []
    for row in (await web.call("lists", by=reader))["lists"]:
        shown = await web.call("list.show", id=row["id"], by=reader)
        if any(member["account"] == did for member in shown["members"]):
            found.append(_entity(row))
    return found


@ENDPOINTS.get("/api/v1/lists/{id}", "read:lists")
async def show(web: DoorContext, ask: Ask) -> Any:
    return _entity(await _one(web, ask))


@ENDPOINTS.post("/api/v1/lists", "write:lists")
async def make(web: DoorContext, ask: Ask) -> Any:
    return _entity(await web.call("list.set", title=_title(ask), **_ways(ask), by=ask.account))


@ENDPOINTS.put("/api/v1/lists/{id}", "write:lists")
async def change(web: DoorContext, ask: Ask) -> Any:
    shown = await _one(web, ask)
    title, ways = _title(ask) if "title" in ask.params else shown["title"], _ways(ask)
    return _entity(await web.call("list.set", id=shown["id"], title=title, **ways, by=ask.account))


def _ways(ask: Ask) -> dict[str, Any]:
    """What is said of how it shows posts. Raises Refused."""
    replies = text(ask.params, "replies_policy", "") or None
    if replies not in (None, *REPLIES):
        raise Refused(422, f"replies_policy is {', '.join(REPLIES)}.")
    return {"replies": replies, "exclusive": truthy(ask.params, "exclusive") if "exclusive" in ask.params else None}


def _title(ask: Ask) -> str:
    title = text(ask.params, "title").strip()
    if not title:
        raise Refused(422, "Validation failed: Title can't be blank")
    return title


@ENDPOINTS.delete("/api/v1/lists/{id}", "write:lists")
async def delete(web: DoorContext, ask: Ask) -> Any:
    await web.call("list.delete", id=(await _one(web, ask))["id"], by=ask.account)
    return {}


@ENDPOINTS.get("/api/v1/lists/{id}/accounts", "read:lists")
async def members(web: DoorContext, ask: Ask) -> Any:
    rows = (await _one(web, ask))["members"]
    rows.sort(key=lambda row: account_id(row["account"]))
    return await accounts.listed(web, page_of(web, ask, rows))


@ENDPOINTS.post("/api/v1/lists/{id}/accounts", "write:lists")
async def add(web: DoorContext, ask: Ask) -> Any:
    """Also accounts that one does not follow."""
    await web.call("list.add", id=(await _one(web, ask))["id"], accounts=_named(ask), by=ask.account)
    return {}


@ENDPOINTS.delete("/api/v1/lists/{id}/accounts", "write:lists")
async def take_off(web: DoorContext, ask: Ask) -> Any:
    await web.call("list.add", id=(await _one(web, ask))["id"], accounts=_named(ask), undo=True, by=ask.account)
    return {}


def _named(ask: Ask) -> list[str]:
    found = [did_of(one) for one in texts(ask.params, "account_ids")]
    if not 1 <= len(found) <= MOST:
        raise Refused(422, f"account_ids[] names 1 to {MOST:,} accounts.")
    return found
