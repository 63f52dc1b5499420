"""Accounts that an app looks at, whom they follow, what somebody does to another one, and lists of them."""

from __future__ import annotations

import re
import time
from typing import Any

from banyan_schema.dates import iso
from banyan_web.endpoint import Do, DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities import accounts
from banyan_web.mastodon.entities.accounts import account_named, as_did, relationship
from banyan_web.mastodon.entities.accounts import relationships as standing
from banyan_web.mastodon.entity_ids import account_id, did_of, thing_id, thing_of
from banyan_web.mastodon.paging import between
from banyan_web.params import number, text, texts, truthy
from banyan_web.platform.requests import key_for
from banyan_web.refusals import HttpRefusal, there

# What somebody does to another account: follow, block, mute, note; and those who ask to follow.

ENDPOINTS = Endpoints()
PAGE, MOST = 40, 80
LONGEST_S = 100 * 366 * 86_400
"""The longest mute that ends."""
_LANGUAGE = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,6})?")


async def _done(web: DoorContext, ask: DoorRequest) -> dict[str, Any]:
    return await relationship(web, ask.account, did_of(ask.path["id"]))


async def _undone(web: DoorContext, ask: DoorRequest, method: str, **params: Any) -> dict[str, Any]:
    """Takes something back; it is no mistake if there is nothing to take back, as with Mastodon."""
    try:
        await web.call(method, account=did_of(ask.path["id"]), by=ask.account, **params)
    except HttpRefusal as why:
        if why.status != 404:
            raise
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/accounts/{id}/follow", "write:follows")
async def follow(web: DoorContext, ask: DoorRequest) -> Any:
    """Again, of somebody whom one follows, it changes which posts are at home. Of `notify` the network knows
    nothing."""
    other, params = did_of(ask.path["id"]), ask.params
    langs = [one for one in texts(params, "languages") if one]
    if not all(_LANGUAGE.fullmatch(one) for one in langs):
        raise HttpRefusal(422, "languages[] are tags such as vi or en.")
    await web.call("follow", account=other, by=ask.account)
    if {"reblogs", "languages"} & params.keys():
        (known,) = (await web.call("relationships", accounts=[other], by=ask.account))["relationships"]
        wish = {"reposts": truthy(params, "reblogs", known["reposts"])}
        wanted = langs if "languages" in params else known["langs"]
        await web.call("follow.wish", account=other, **wish, langs=wanted or None, by=ask.account)
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/accounts/{id}/unfollow", "write:follows")
async def unfollow(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("follow.wish", account=did_of(ask.path["id"]), by=ask.account)
    return await _undone(web, ask, "unfollow")


@ENDPOINTS.post("/api/v1/accounts/{id}/mute", "write:mutes")
async def mute(web: DoorContext, ask: DoorRequest) -> Any:
    """Notifications are muted too: the network has no mute without them."""
    seconds = number(ask.params, "duration", 0, LONGEST_S, 0)
    until = int((time.time() + seconds) * 1_000) if seconds else None
    await web.call("mute", account=did_of(ask.path["id"]), until=until, by=ask.account)
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/accounts/{id}/note", "write:accounts")
async def note(web: DoorContext, ask: DoorRequest) -> Any:
    return await _undone(web, ask, "note.set", text=text(ask.params, "comment", ""))


@ENDPOINTS.post("/api/v1/accounts/{id}/remove_from_followers", "write:follows")
async def remove(web: DoorContext, ask: DoorRequest) -> Any:
    """Only a locked account decides who follows it."""
    mine = (await accounts.profiles(web, [ask.account]))[ask.account]
    if not mine["locked"]:
        says = "Your account is not locked, so everybody may follow it: lock it first, or block this account."
        raise HttpRefusal(422, says)
    return await _undone(web, ask, "follow.accept", undo=True)


def _act(method: str, undo: bool = False) -> Do:
    """What an endpoint does to the account of the path, or takes back. It answers how the two stand then."""

    async def do(web: DoorContext, ask: DoorRequest) -> Any:
        if undo:
            return await _undone(web, ask, method, undo=True)
        await web.call(method, account=did_of(ask.path["id"]), by=ask.account)
        return await _done(web, ask)

    return do


for _path, _scope, _do in (
    ("accounts/{id}/block", "write:blocks", _act("block")),
    ("accounts/{id}/unblock", "write:blocks", _act("block", True)),
    ("accounts/{id}/unmute", "write:mutes", _act("mute", True)),
    ("follow_requests/{id}/authorize", "write:follows", _act("follow.accept")),
    ("follow_requests/{id}/reject", "write:follows", _act("follow.refuse")),
):
    ENDPOINTS.post(f"/api/v1/{_path}", _scope)(_do)


async def _page(web: DoorContext, ask: DoorRequest, method: str, **asked: Any) -> list[dict[str, Any]]:
    """A page of the accounts that a method of the node answers, by id."""
    after = did_of(text(ask.params, "max_id")) if ask.params.get("max_id") else None
    found = await web.call(method, after=after, limit=number(ask.params, "limit", PAGE, MOST), **asked)
    between(web, ask, None if found["after"] is None else account_id(found["after"]))
    return list(found["accounts"])


@ENDPOINTS.get("/api/v1/follow_requests", "read:follows")
async def follow_requests(web: DoorContext, ask: DoorRequest) -> Any:
    return await accounts.listed(web, await _page(web, ask, "follow.requests", by=ask.account))


def page_of(web: DoorContext, ask: DoorRequest, rows: list[dict[str, Any]], most: int = MOST) -> list[dict[str, Any]]:
    """A page of rows that have an `account`, by id; `limit` 0: all of them."""
    limit = number(ask.params, "limit", PAGE, most, 0) or len(rows)
    if ask.params.get("max_id"):
        last = did_of(text(ask.params, "max_id"))
        rows = [row for row in rows if account_id(row["account"]) > account_id(last)]
    if len(rows) > limit:
        between(web, ask, account_id(rows[limit - 1]["account"]))
    return rows[:limit]


@ENDPOINTS.get("/api/v1/blocks", "read:blocks")
async def blocks(web: DoorContext, ask: DoorRequest) -> Any:
    rows = (await web.call("blocks", by=ask.account))["blocks"]
    return await accounts.listed(web, page_of(web, ask, rows))


@ENDPOINTS.get("/api/v1/mutes", "read:mutes")
async def mutes(web: DoorContext, ask: DoorRequest) -> Any:
    rows = page_of(web, ask, (await web.call("mutes", by=ask.account))["mutes"])
    found = await accounts.listed(web, rows)
    until = [None if row["until"] is None else iso(row["until"]) for row in rows]
    return [{**one, "mute_expires_at": ends} for one, ends in zip(found, until, strict=True)]


# Lists: who is on one is read by the devices of the account alone.

REPLIES = ("list", "followed", "none")
MEMBERS_MOST = 1_000
"""The most accounts that are put on a list at once."""


def _entity(row: dict[str, Any]) -> dict[str, Any]:
    """A list of which nobody said which replies it shows has all of them; the nearest word for that is `followed`."""
    replies = "followed" if row["replies"] == "all" else row["replies"]
    return {"id": thing_id(row["id"]), "title": row["title"], "replies_policy": replies, "exclusive": row["exclusive"]}


async def _one(web: DoorContext, ask: DoorRequest) -> dict[str, Any]:
    """The list and who is on it. Raises HttpRefusal."""
    found: dict[str, Any] = await web.call("list.show", id=thing_of(ask.path["id"]), by=ask.account)
    return found


@ENDPOINTS.get("/api/v1/lists", "read:lists")
async def every(web: DoorContext, ask: DoorRequest) -> Any:
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
async def show_list(web: DoorContext, ask: DoorRequest) -> Any:
    return _entity(await _one(web, ask))


@ENDPOINTS.post("/api/v1/lists", "write:lists")
async def make(web: DoorContext, ask: DoorRequest) -> Any:
    return _entity(await web.call("list.set", key_for(ask), title=_title(ask), **_ways(ask), by=ask.account))


@ENDPOINTS.put("/api/v1/lists/{id}", "write:lists")
async def change(web: DoorContext, ask: DoorRequest) -> Any:
    shown = await _one(web, ask)
    title, ways = _title(ask) if "title" in ask.params else shown["title"], _ways(ask)
    return _entity(await web.call("list.set", id=shown["id"], title=title, **ways, by=ask.account))


def _ways(ask: DoorRequest) -> dict[str, Any]:
    """What is said of how it shows posts. Raises HttpRefusal."""
    replies = text(ask.params, "replies_policy", "") or None
    if replies not in (None, *REPLIES):
        raise HttpRefusal(422, f"replies_policy is {', '.join(REPLIES)}.")
    return {"replies": replies, "exclusive": truthy(ask.params, "exclusive") if "exclusive" in ask.params else None}


def _title(ask: DoorRequest) -> str:
    title = text(ask.params, "title").strip()
    if not title:
        raise HttpRefusal(422, "Validation failed: Title can't be blank")
    return title


@ENDPOINTS.delete("/api/v1/lists/{id}", "write:lists")
async def delete(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("list.delete", id=(await _one(web, ask))["id"], by=ask.account)
    return {}


@ENDPOINTS.get("/api/v1/lists/{id}/accounts", "read:lists")
async def members(web: DoorContext, ask: DoorRequest) -> Any:
    rows = (await _one(web, ask))["members"]
    rows.sort(key=lambda row: account_id(row["account"]))
    return await accounts.listed(web, page_of(web, ask, rows))


@ENDPOINTS.post("/api/v1/lists/{id}/accounts", "write:lists")
@ENDPOINTS.delete("/api/v1/lists/{id}/accounts", "write:lists")
async def add(web: DoorContext, ask: DoorRequest) -> Any:
    """Also accounts that one does not follow. Or takes them off."""
    undo = ask.request.method == "DELETE"
    await web.call("list.add", id=(await _one(web, ask))["id"], accounts=_named(ask), undo=undo, by=ask.account)
    return {}


def _named(ask: DoorRequest) -> list[str]:
    found = [did_of(one) for one in texts(ask.params, "account_ids")]
    if not 1 <= len(found) <= MEMBERS_MOST:
        raise HttpRefusal(422, f"account_ids[] names 1 to {MEMBERS_MOST:,} accounts.")
    return found


# -- accounts

ASKED = 100
"""The most ids of a request."""


def ids(ask: DoorRequest) -> list[str]:
    """The DIDs of `id[]`. Those that are no ids are left out. Raises HttpRefusal."""
    found = dict[str, None]()
    for one in texts(ask.params, "id")[:ASKED]:
        try:
            found[did_of(one)] = None
        except HttpRefusal:
            continue
    return list(found)


@ENDPOINTS.get("/api/v1/accounts/{id}")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    return await accounts.known(web, did_of(ask.path["id"]), ask.reader)


@ENDPOINTS.get("/api/v1/accounts")
async def several(web: DoorContext, ask: DoorRequest) -> Any:
    rows = await accounts.profiles(web, ids(ask))
    return await accounts.listed(web, [row for row in rows.values() if row["held"]])


@ENDPOINTS.get("/api/v1/accounts/lookup")
async def lookup(web: DoorContext, ask: DoorRequest) -> Any:
    did = await account_named(web, text(ask.params, "acct"), ask.reader)
    return await accounts.known(web, there(did), ask.reader)


@ENDPOINTS.get("/api/v1/accounts/search", "read:accounts")
async def search(web: DoorContext, ask: DoorRequest) -> Any:
    limit, skip = number(ask.params, "limit", PAGE, MOST), number(ask.params, "offset", 0, 1_000, 0)
    following = truthy(ask.params, "following")
    return await find(web, ask, text(ask.params, "q"), limit, skip, following)


async def find(
    web: DoorContext, ask: DoorRequest, words: str, limit: int, skip: int, following: bool
) -> list[dict[str, Any]]:
    """Accounts that are called so: first the one whose name or DID it is. With `resolve` also one of which nothing is
    held here yet, so that it can be followed."""
    if not any(letter.isalnum() for letter in words):
        return []
    found = await web.call(
        "accounts.search", text=words[:500], following=following, skip=skip, limit=limit, by=ask.reader
    )
    dids = [row["account"] for row in found["accounts"]]
    if not skip and not following:
        exactly = await account_named(web, words, ask.reader)
        resolve = truthy(ask.params, "resolve") and as_did(words.strip()) is not None
        if exactly is not None and (resolve or (await accounts.profiles(web, [exactly]))[exactly]["held"]):
            dids = [exactly, *(did for did in dids if did != exactly)]
    return await accounts.listed(web, [{"account": did} for did in dids[:limit]])


def _tied(method: str) -> Do:
    """Of others, without whom one mutes; of oneself with them, as with Mastodon."""

    async def do(web: DoorContext, ask: DoorRequest) -> Any:
        did = did_of(ask.path["id"])
        own = did == ask.reader
        rows = await _page(web, ask, method, account=did, by=None if own else ask.reader)
        blocked = {row["account"] for row in (await web.call("blocks", by=did))["blocks"]} if own else set()
        return await accounts.listed(web, [row for row in rows if row["account"] not in blocked])

    return do


for _method in ("followers", "following"):
    ENDPOINTS.get(f"/api/v1/accounts/{{id}}/{_method}")(_tied(_method))


@ENDPOINTS.get("/api/v1/accounts/relationships", "read:follows")
async def relationships(web: DoorContext, ask: DoorRequest) -> Any:
    return await standing(web, ask.account, ids(ask))


@ENDPOINTS.get("/api/v1/accounts/familiar_followers", "read:follows")
async def familiar(web: DoorContext, ask: DoorRequest) -> Any:
    found = []
    for did in ids(ask)[:MOST]:
        known = await web.call("relationship", account=did, named=MOST, by=ask.account)
        found.append({"id": account_id(did), "accounts": await accounts.listed(web, known["familiar"])})
    return found


@ENDPOINTS.get("/api/v1/accounts/{id}/lists", "read:lists")
async def lists(web: DoorContext, ask: DoorRequest) -> Any:
    return await with_member(web, ask.account, did_of(ask.path["id"]))


@ENDPOINTS.get("/api/v1/directory")
async def directory(web: DoorContext, ask: DoorRequest) -> Any:
    """Accounts hosted here, in the order in which they were opened, or the other way round."""
    limit, skip = number(ask.params, "limit", PAGE, MOST), number(ask.params, "offset", 0, 5_000, 0)
    found = (await web.call("account.list", limit=skip + limit))["accounts"][skip:]
    entities = await accounts.listed(web, found)
    if ask.params.get("order", "active") == "active":
        entities.sort(key=lambda one: one["last_status_at"] or "", reverse=True)
    return entities


@ENDPOINTS.get("/api/v2/suggestions", "read:accounts")
async def suggestions(web: DoorContext, ask: DoorRequest) -> Any:
    found = await _suggested(web, ask)
    return [{"source": "past_interactions", "sources": ["friends_of_friends"], "account": one} for one in found]


@ENDPOINTS.get("/api/v1/suggestions", "read:accounts")
async def old_suggestions(web: DoorContext, ask: DoorRequest) -> Any:
    return await _suggested(web, ask)


async def _suggested(web: DoorContext, ask: DoorRequest) -> list[dict[str, Any]]:
    limit = number(ask.params, "limit", PAGE, MOST)
    return await accounts.listed(web, (await web.call("suggestions", by=ask.account, limit=limit))["suggestions"])


@ENDPOINTS.delete("/api/v1/suggestions/{id}", "write:accounts")
async def not_suggested(web: DoorContext, ask: DoorRequest) -> Any:
    """Nothing is kept of it: the account is suggested until it is followed, muted or blocked."""
    did_of(ask.path["id"])
    return {}
