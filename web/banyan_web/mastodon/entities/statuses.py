"""Posts and polls as apps see them.

A row of the node says what the reader did with the post. What else a page needs is asked at once for all of its posts:
the accounts of all whom they name, and what they quote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from banyan_node.api.methods.posts.post_rows import PostRow
from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext, StatusBody
from banyan_web.mastodon.entities.accounts import accounts, picture_of
from banyan_web.mastodon.entities.media import attachment
from banyan_web.mastodon.entity_ids import RepostId, account_id, parsed, repost_id, status_id, thing_id
from banyan_web.mastodon.link_cards import LinkCards
from banyan_web.mastodon.post_html import MentionTarget, folded, html, tag_url
from banyan_web.refusals import BUILDING, HttpRefusal, gone, there

# A poll has the id of its post.


def poll(row: Mapping[str, Any], id_: str, reader: str | None, own: bool = False) -> dict[str, Any]:
    """The Poll entity. row: a PollRow. own: whether the reader wrote it, who then counts as having voted."""
    mine = row["mine"] if reader is not None else []
    found = {
        "id": id_,
        "expires_at": iso(row["closes_ms"]),
        "expired": row["closed"],
        "multiple": row["choices"] == "several",
        "votes_count": sum(option["votes"] for option in row["options"]),
        "voters_count": row["voters"],
        "options": [{"title": option["text"], "votes_count": option["votes"]} for option in row["options"]],
        "emojis": [],
    }
    if reader is not None:
        found |= {"voted": bool(mine) or own, "own_votes": mine}
    return found


# -- posts

FAVOURITE = "❤"
"""A favourite is a reaction; every reaction counts as one."""
SENSITIVE = "Sensitive"
"""The warning of a post that is marked as sensitive without a word of its own. Apps are shown the mark alone."""
MOST = 300
"""Addresses of one question to the node."""
Row = Mapping[str, Any]
_APPROVED = {"everybody": ["public"], "followers": ["followers"], "mentioned": ["unsupported_policy"], "nobody": []}


async def status(web: DoorContext, uri: str, reader: str | None) -> dict[str, Any]:
    """The Status entity of a post. Raises HttpRefusal if it is not shown here."""
    return (await statuses(web, [await row_of(web, uri, reader)], reader))[0]


async def row_of(
    web: DoorContext,
    uri: str,
    reader: str | None,
    where: str | None = None,
    seen: bool = False,
    reposter: str | None = None,
) -> dict[str, Any]:
    """The post as the node has it. where, seen, reposter: see `posts.get`. Raises HttpRefusal."""
    asked = {"where": where, "seen": seen, "reposter": reposter, "by": reader}
    (row,) = (await web.call("posts.get", uris=[uri], **asked))["posts"]
    if row is None:
        try:
            await web.call("post.get", uri=uri, by=reader)
        except HttpRefusal as why:
            if why.status in (451, BUILDING):  # with the order by which it is withheld, or it is shown later
                raise
        raise gone()
    found: dict[str, Any] = row
    return found


async def rows_of(
    web: DoorContext, uris: Sequence[str], reader: str | None, where: str | None = None, seen: bool = False
) -> dict[str, dict[str, Any]]:
    """Posts by their addresses, without those that are not shown. where, seen: see `posts.get`."""
    found: dict[str, dict[str, Any]] = {}
    uris = list(dict.fromkeys(uris))
    for at in range(0, len(uris), MOST):
        part = uris[at : at + MOST]
        rows = (await web.call("posts.get", uris=part, where=where, seen=seen, by=reader))["posts"]
        found |= {uri: row for uri, row in zip(part, rows, strict=True) if row is not None}
    return found


async def uri_of(web: DoorContext, id_: str) -> str:
    """The URI of the post that an id names, or whose repost it names. Raises HttpRefusal, also if the repost was taken
    back."""
    found = parsed(id_)
    if not isinstance(found, RepostId):
        return found.uri
    named = await web.call("repost.find", account=found.by, time_ms=found.time_ms, short=found.short)
    return str(there(named["uri"]))


async def status_by_id(web: DoorContext, id_: str, reader: str | None) -> dict[str, Any]:
    """The Status entity of a post, or of a repost. Raises HttpRefusal."""
    row, found = await row_of(web, await uri_of(web, id_), reader), parsed(id_)
    if isinstance(found, RepostId):
        row["reposted"] = [{"account": found.by, "time_ms": found.time_ms}]
    return (await statuses(web, [row], reader))[0]


async def statuses(
    web: DoorContext, rows: Sequence[Row], reader: str | None, known: Mapping[str, dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """The Status entities of rows of the node, in their order. reader: a DID, or None. known: Account entities that
    were made for them."""
    if not rows:
        return []
    quoted = await rows_of(web, [row["quote"]["uri"] for row in rows if row["quote"]], reader)
    every = [*rows, *quoted.values()]
    who = [one for row in every for one in [row, *row["mentions"], *row["reposted"][:1]]]
    made = _PageEntities(web, reader, await _people(web, who, known or {}), await _filters(web, every, reader), quoted)
    return [made.shown(row) for row in rows]


def unmarked(entity: Mapping[str, Any]) -> dict[str, Any]:
    """A new post, made for nobody, as each sees it who did nothing with it yet. Whether somebody muted the conversation
    that an answer is in is left out."""
    poll, muted = entity["poll"], {} if entity["in_reply_to_id"] else {"muted": False}
    marks = dict.fromkeys(("favourited", "reblogged", "bookmarked", "pinned"), False)
    return {**entity, **marks, **muted, "filtered": [], "poll": poll and {**poll, "voted": False, "own_votes": []}}


async def _people(web: DoorContext, who: Sequence[Row], known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Account entities, those from the cache that were made lately and have the names and pictures of these rows."""
    held = {did: known.get(did) or web.caches.person(did) or {} for did in (one["account"] for one in who)}
    made = await accounts(web, [one["account"] for one in who if not _is_now(held[one["account"]], one)])
    for did, entity in made.items():
        web.caches.put_person(did, entity)
    return held | made


def _is_now(entity: Mapping[str, Any], row: Row) -> bool:
    if not entity:
        return False
    name, picture = entity["display_name"], picture_of(entity)
    return bool(row.get("name", name) == name and row.get("avatar", picture) == picture)


async def _filters(web: DoorContext, rows: Iterable[Row], reader: str | None) -> dict[str, Row]:
    """The reader's filters by their words, if a post needs one."""
    if reader is None or not any(row["filtered"] for row in rows):
        return {}
    return {one["words"]: one for one in (await web.call("filters", by=reader))["filters"]}


class _PageEntities:
    """What a page needs, and the entities that are made of it."""

    def __init__(
        self,
        web: DoorContext,
        reader: str | None,
        people: Mapping[str, Row],
        filters: Mapping[str, Row],
        quoted: Mapping[str, Row],
    ) -> None:
        self._web, self._reader = web, reader
        self._people, self._filters, self._quoted = people, filters, quoted

    def shown(self, row: Row) -> dict[str, Any]:
        """A post, or the repost because of which it stands there."""
        found = self._status(row)
        by = next(iter(row["reposted"]), None)
        if by is None:
            return found
        id_ = repost_id(row["uri"], by["account"], by["time_ms"])
        found_at = iso(by["time_ms"])
        own = {"id": id_, "created_at": found_at, "edited_at": None, "account": self._person(by["account"])}
        mine = {"pinned": False} if self._reader is not None else {}
        empty: dict[str, Any] = {name: [] for name in ("media_attachments", "mentions", "tags", "filtered")}
        empty |= dict.fromkeys(("poll", "card", "quote"))
        return {**found, **empty, **own, **mine, "content": "", "spoiler_text": "", "reblog": found}

    def _person(self, did: str) -> Row:
        return self._people.get(did) or {"id": account_id(did), "username": did, "acct": did}

    def _status(self, row: Row, deep: bool = True) -> dict[str, Any]:
        web, uri, author = self._web, row["uri"], self._person(row["account"])
        id_, parent, parent_ms = status_id(uri, row["time_ms"]), row["reply_to"], row["reply_to_ms"]
        answered = None if parent_ms is None else status_id(parent, parent_ms)
        mentions = [self._mention(one) for one in row["mentions"]]
        edited, warning, mine = row["edited_ms"], row["warning"] or row["label"] or "", row["mine"]
        found = {
            "id": id_,
            "created_at": iso(row["time_ms"]),
            "edited_at": None if edited is None else iso(edited),
            "in_reply_to_id": answered,
            "in_reply_to_account_id": account_id(parent.partition("/")[0]) if answered else None,
            "sensitive": bool(warning),
            "spoiler_text": "" if warning == SENSITIVE and row["media"] else warning,
            "visibility": row["audience"],
            "language": row["lang"],
            "uri": uri,
            "url": f"{web.url}/@{author['acct']}/{id_}",
            "replies_count": row["replies"],
            "reblogs_count": row["reposts"],
            "favourites_count": sum(row["reactions"].values()),
            "quotes_count": row["quotes"],
            "quote_approval": self._approval(row),
            "content": self._html(row),
            "reblog": None,
            "application": None,
            "account": author,
            "media_attachments": [attachment(web, item) for item in row["media"] if item["type"] != "text/vtt"],
            "mentions": mentions,
            "tags": [{"name": tag, "url": tag_url(web.url, tag)} for tag in row["tags"]],
            "emojis": [],
            "card": None if row["media"] else web.part(LinkCards).of(web, row["text"], uri, self._reader),
            "poll": poll(row["poll"], id_, self._reader, row["account"] == self._reader) if row["poll"] else None,
            "quote": self._quote(row, deep),
        }
        if self._reader is not None and mine is not None:
            found |= {
                "favourited": bool(mine["reactions"]),
                "reblogged": mine["reposted_ms"] is not None,
                "muted": mine["muted"],
                "bookmarked": mine["bookmarked"],
                "pinned": mine["pinned"],
                "filtered": self._filtered(row),
            }
        return found

    def _mention(self, named: Row) -> dict[str, Any]:
        who = self._person(named["account"])
        return {"id": who["id"], "username": who["username"], "acct": who["acct"], "url": who.get("url", "")}

    def _html(self, row: Row) -> str:
        places = self._places(row) if row["mentions"] else {}
        key = row["text"] if not places else (row["text"], tuple(places.items()))
        found = self._web.caches.texts.get(key)
        if found is None:
            found = html(row["text"], places, self._web.url)
            self._web.caches.texts[key] = found
        return found

    def _places(self, row: Row) -> dict[str, MentionTarget]:
        """What may stand behind an @ of the text, of each that it mentions."""
        found: dict[str, MentionTarget] = {}
        for named in row["mentions"]:
            who, did = self._person(named["account"]), named["account"]
            place = MentionTarget(who.get("url", ""), named["name"] or who["username"])
            names = (who["acct"], who["username"], named["name"], did, did.removeprefix("did:banyan:"))
            domain = f"{who['username']}@{self._web.server.domain}"
            found = {folded(name): place for name in (*names, domain) if name} | found
        return found

    def _approval(self, row: Row) -> dict[str, Any]:
        """Who may quote a post, and whether the reader may: as quotes are taken at once, there is no `manual`."""
        whom = row["policy"]["quotes"]
        mine = {"everybody": "automatic", "nobody": "denied"}.get(whom, "unknown")
        if row["mine"] is not None:
            mine = "denied" if "quotes" in row["mine"]["may_not"] else "automatic"
        return {"automatic": _APPROVED[whom], "manual": [], "current_user": mine}

    def _quote(self, row: Row, deep: bool) -> dict[str, Any] | None:
        if row["quote"] is None:
            return None
        held = self._quoted.get(row["quote"]["uri"])
        if (refused := row["quote"]["refused"]) is not None:
            return {"state": "revoked" if refused == "hidden" else "unauthorized", "quoted_status": None}
        if held is None or row["quote"]["text"] is None:
            return {"state": "deleted" if held is None else "unauthorized", "quoted_status": None}
        if not deep:
            return {"state": "accepted", "quoted_status_id": status_id(held["uri"], held["time_ms"])}
        return {"state": "accepted", "quoted_status": self._status(held, deep=False)}

    def _filtered(self, row: Row) -> list[dict[str, Any]]:
        one = self._filters.get(words := row["filtered"])
        if one is None:  # nothing is said before it, or it was taken away meanwhile
            return []
        about = {
            "id": thing_id(one["of"]),
            "title": one["title"],
            "context": one["contexts"] or ["home", "notifications", "public", "thread", "account"],
            "expires_at": None if one["until"] is None else iso(one["until"]),
            "filter_action": one["action"],
        }
        return [{"filter": about, "keyword_matches": [words], "status_matches": []}]


# As JSON, each is made once for as long as nothing of it changes. A node gives out a row that did not change as the
# same object, and `EntityCaches.person` answers the same objects until they are asked for again. What was made of the
# same objects is the same.


async def bodies(web: DoorContext, rows: Sequence[PostRow], reader: str | None) -> list[bytes]:
    """The Status entities of rows, each as JSON, in their order."""
    found = {id(row): json for row in rows if (json := _held(web, row)) is not None}
    lacking = [row for row in rows if id(row) not in found]
    made = await statuses(web, msgspec.to_builtins(lacking), reader) if lacking else []
    for row, entity in zip(lacking, made, strict=True):
        json = found[id(row)] = msgspec.json.encode(entity)
        settled = bool(row.media) or web.part(LinkCards).settled(row.text, row.account)
        if settled and row.quote is None and row.poll is None and row.filtered is None:
            people = tuple((did, web.caches.person(did)) for did in _named(row))
            if all(one is not None for _, one in people):
                web.caches.bodies[id(row)] = StatusBody(row, people, json)
    return [found[id(row)] for row in rows]


def answer_of(found: Sequence[bytes]) -> Response:
    """The answer of an endpoint that lists entities."""
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
    return Response(b"[" + b",".join(found) + b"]", 200, headers)


def _held(web: DoorContext, row: PostRow) -> bytes | None:
    body = web.caches.bodies.get(id(row))
    if body is None or any(web.caches.person(did) is not one for did, one in body.people):
        return None
    return body.json


def _named(row: PostRow) -> list[str]:
    """The accounts in the entity of a row."""
    return [row.account, *[one.account for one in row.mentions], *[one.account for one in row.reposted[:1]]]
