"""Posts as apps see them: what notifications and searches need of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from banyan_web.endpoint import Web
from banyan_web.mastodon.entities.accounts import accounts, iso, paragraphs
from banyan_web.mastodon.ids import status_id
from banyan_web.refusals import Refused


async def rows_of(web: Web, uris: Sequence[str], reader: str | None) -> dict[str, dict[str, Any]]:
    """Posts by their addresses, without those that are not shown."""
    found: dict[str, dict[str, Any]] = {}
    for uri in dict.fromkeys(uris):
        try:
            rows = (await web.call("thread", uri=uri, limit=1, by=reader))["posts"]
        except Refused:
            continue
        found |= {row["uri"]: row for row in rows if row["uri"] == uri}
    return found


async def status(web: Web, uri: str, reader: str | None) -> dict[str, Any]:
    """The Status entity of a post. Raises Refused if it is not shown here."""
    found = await rows_of(web, [uri], reader)
    if uri not in found:
        raise Refused(404, "Record not found")
    return (await statuses(web, [found[uri]], reader))[0]


async def statuses(web: Web, rows: Sequence[Mapping[str, Any]], reader: str | None) -> list[dict[str, Any]]:
    """The Status entities of rows of the node, in their order. reader: a DID, or None."""
    people = await accounts(web, [row["account"] for row in rows])
    return [_entity(web, row, people[row["account"]]) for row in rows]


def _entity(web: Web, row: Mapping[str, Any], author: dict[str, Any]) -> dict[str, Any]:
    id_ = status_id(row["uri"], row["time_ms"])
    return {
        "id": id_,
        "created_at": iso(row["time_ms"]),
        "edited_at": None,
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "sensitive": row["warning"] is not None,
        "spoiler_text": row["warning"] or "",
        "visibility": row["audience"],
        "language": row["lang"],
        "uri": row["uri"],
        "url": f"{web.url}/@{author['acct']}/{id_}",
        "replies_count": row["replies"],
        "reblogs_count": row["reposts"],
        "favourites_count": sum(row["reactions"].values()),
        "content": paragraphs(row["text"]),
        "reblog": None,
        "application": None,
        "account": author,
        "media_attachments": [],
        "mentions": [],
        "tags": [{"name": tag, "url": f"{web.url}/tags/{tag}"} for tag in row["tags"]],
        "emojis": [],
        "card": None,
        "poll": None,
    }
