"""Status entities as JSON, each made once for as long as nothing of it changes.

A node gives out a row that did not change as the same object, and `EntityCaches.person` answers the same objects until
they are asked for again. What was made of the same objects is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from banyan_node.api.methods.reading import PostRow
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.cards.link_cards import LinkCards
from banyan_web.mastodon.entities.caches import Body
from banyan_web.mastodon.entities.statuses import statuses


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
                web.caches.bodies[id(row)] = Body(row, people, json)
    return [found[id(row)] for row in rows]


def answer_of(found: Sequence[bytes]) -> Response:
    """The answer of an endpoint that lists entities."""
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
    return Response(b"[" + b",".join(found) + b"]", 200, headers)


def _held(web: DoorContext, row: PostRow) -> bytes | None:
    body = web.caches.bodies.get(id(row))
    if body is None:
        return None
    for did, one in body.people:
        if web.caches.person(did) is not one:
            return None
    return body.json


def _named(row: PostRow) -> list[str]:
    """The accounts in the entity of a row."""
    return [row.account, *[one.account for one in row.mentions], *[one.account for one in row.reposted[:1]]]
