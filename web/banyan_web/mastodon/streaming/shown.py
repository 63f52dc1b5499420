"""The entities that streams carry: the posts and notifications of the node, as apps see them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from banyan_web.endpoint import Web
from banyan_web.mastodon.entities.accounts import account, iso
from banyan_web.mastodon.ids import account_id, repost_id, status_id
from banyan_web.refusals import Refused

KINDS = {
    "reply": "mention",
    "mention": "mention",
    "quote": "quote",
    "reaction": "favourite",
    "repost": "reblog",
    "follow": "follow",
    "follow_request": "follow_request",
    "poll_ended": "poll",
    "move": "follow",
}
"""Mastodon's words for what an account hears of. Without one here, apps are not told."""


class Eyes(NamedTuple):
    """Who sees it. reader: None: anybody. hiding: the words of its filters that hide posts."""

    reader: str | None = None
    hiding: frozenset[str] = frozenset()


async def status(web: Web, uri: str, eyes: Eyes) -> dict[str, Any]:
    """A post. Raises Refused if it is not shown."""
    for row in (await web.call("thread", uri=uri, by=eyes.reader, limit=1))["posts"]:
        if row["uri"] == uri and row["filtered"] not in eyes.hiding:
            return await _status(web, row)
    raise Refused(404, "Record not found")


async def reposted(web: Web, uri: str, by: str, time_ms: int, eyes: Eyes) -> dict[str, Any]:
    """A post as one account reposted it. Raises Refused."""
    inner = await status(web, uri, eyes)
    outer = {**inner, "id": repost_id(uri, by, time_ms), "created_at": iso(time_ms), "account": await account(web, by)}
    return outer | {"content": "", "media_attachments": [], "mentions": [], "tags": [], "poll": None, "reblog": inner}


async def notification(web: Web, row: Mapping[str, Any], reader: str) -> dict[str, Any] | None:
    """What the reader hears of; None if apps have no word for it."""
    kind = KINDS.get(row["kind"])
    if kind is None or not row["accounts"]:
        return None
    found = {
        "id": f"{int(row['at'], 16):020d}",
        "type": kind,
        "created_at": iso(row["time_ms"]),
        "group_key": f"ungrouped-{int(row['at'], 16):020d}",
        "account": await account(web, row["accounts"][0]["account"]),
    }
    about = row["post"]["uri"] if row["post"] else row["about"]
    if about is not None:
        found["status"] = await status(web, about, Eyes(reader))
    return found


async def _status(web: Web, row: Mapping[str, Any]) -> dict[str, Any]:
    reactions = sum(row["reactions"].values())
    id_ = status_id(row["uri"], row["time_ms"])
    text = "".join(f"<p>{escape(part)}</p>" for part in row["text"].split("\n\n") if part).replace("\n", "<br />")
    url = f"{web.url}/@{row['account'].removeprefix('did:banyan:')}/{id_}"
    return {
        "id": id_,
        "created_at": iso(row["time_ms"]),
        "in_reply_to_id": None,
        "in_reply_to_account_id": account_id(row["reply_to"].partition("/")[0]) if row["reply_to"] else None,
        "sensitive": row["warning"] is not None,
        "spoiler_text": row["warning"] or "",
        "visibility": row["audience"],
        "language": row["lang"],
        "uri": url,
        "url": url,
        "replies_count": row["replies"],
        "reblogs_count": row["reposts"],
        "favourites_count": reactions,
        "edited_at": iso(row["time_ms"]) if row["edited"] else None,
        "content": text,
        "reblog": None,
        "account": await account(web, row["account"]),
        "media_attachments": [],
        "mentions": [],
        "tags": [{"name": tag, "url": f"{web.url}/tags/{tag}"} for tag in row["tags"]],
        "emojis": [],
        "card": None,
        "poll": None,
        "filtered": [],
        "favourited": False,
        "reblogged": False,
        "muted": False,
        "bookmarked": False,
        "pinned": False,
    }
