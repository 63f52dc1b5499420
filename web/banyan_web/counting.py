"""Counts requests, and refuses those that are too many: over HTTP and over WebSocket alike."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from banyan_web.bounds import Bounds, Count
from banyan_web.door_store import Token
from banyan_web.refusals import Refused


def counted(bounds: Bounds, token: Token | None, address: str) -> dict[str, str]:
    """One request more of the token; without one, of the address. Returns the headers of its answer, which are none
    where there is no limit. Raises Refused (429), with these headers and `Retry-After`."""
    count = bounds.request(token, address)
    if count is None:
        return {}
    headers = _headers(count)
    if count.over:
        headers["retry-after"] = str(max(1, count.ends - int(time.time())))
        raise Refused(429, "Too many requests", headers)
    return headers


def _headers(count: Count) -> dict[str, str]:
    ends = datetime.fromtimestamp(count.ends, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "x-ratelimit-limit": str(count.limit),
        "x-ratelimit-remaining": str(count.left),
        "x-ratelimit-reset": ends,
    }
