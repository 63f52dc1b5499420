"""What this network has no word for, answered as Mastodon does when a feature is off: an empty list, or a refusal that
says why."""

from __future__ import annotations

from typing import Any, NamedTuple

from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()


class Off(NamedTuple):
    """why: a refusal; None: `empty` is answered. status: of the refusal."""

    verb: str
    path: str
    scope: str | None
    why: str | None = None
    status: int = 422
    empty: Any = ()


_COLLECTIONS = "This network has no collections: make a list."
_NONE: dict[str, list[Any]] = {"collections": []}
_ENDORSED = "This network has no endorsements: pin a post of yours that names the account."
_DOMAINS = "This network has no domains to block: block or mute accounts."
EVERY = (
    Off("GET", "/api/v1/domain_blocks", "read:blocks"),
    Off("POST", "/api/v1/domain_blocks", "write:blocks", _DOMAINS),
    Off("DELETE", "/api/v1/domain_blocks", "write:blocks", _DOMAINS),
    Off("GET", "/api/v1/accounts/{id}/endorsements", None),
    Off("GET", "/api/v1/accounts/{id}/identity_proofs", None),
    Off("GET", "/api/v1/endorsements", "read:accounts"),
    Off("POST", "/api/v1/accounts/{id}/pin", "write:accounts", _ENDORSED),
    Off("POST", "/api/v1/accounts/{id}/unpin", "write:accounts", _ENDORSED),
    Off("POST", "/api/v1/accounts/{id}/endorse", "write:accounts", _ENDORSED),
    Off("POST", "/api/v1/accounts/{id}/unendorse", "write:accounts", _ENDORSED),
    Off("GET", "/api/v1/accounts/{id}/collections", None, empty=_NONE),
    Off("GET", "/api/v1/accounts/{id}/in_collections", None, empty=_NONE),
    Off("GET", "/api/v1/collections", "read:accounts", empty=_NONE),
    Off("POST", "/api/v1/collections", "write:accounts", _COLLECTIONS),
    Off("GET", "/api/v1/collections/{id}", None, "Record not found", 404),
    Off("GET", "/api/v1/conversations", "read:statuses"),
    Off("DELETE", "/api/v1/conversations/{id}", "write:conversations", "Record not found", 404),
    Off("POST", "/api/v1/conversations/{id}/read", "write:conversations", "Record not found", 404),
)


def _declare(one: Off) -> None:
    async def answer(web: DoorContext, ask: Ask) -> Any:
        if one.why is not None:
            raise Refused(one.status, one.why)
        return one.empty

    ENDPOINTS.add(one.verb, one.path, one.scope)(answer)


for _one in EVERY:
    _declare(_one)
