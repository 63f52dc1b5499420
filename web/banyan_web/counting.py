"""Counts requests and what they cost, and refuses those that are too many: over HTTP and over WebSocket alike."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from starlette.types import Message, Send

from banyan_node.api.cost import SPENT, Cost, Driven
from banyan_web.bounds import UNLIMITED, Bounds, Count
from banyan_web.door_store import Token
from banyan_web.refusals import Refused

BYTE_S = 1e-8
"""What a byte of an answer counts as, seconds: 100 MB as one."""
STEP_S = 0.05
"""An answer that goes on is charged whenever it cost so much."""


def counted(bounds: Bounds, token: Token | None, address: str) -> dict[str, str]:
    """One request more of the token; without one, of the address. Returns the headers of its answer, which are none
    where there is no limit. Raises Refused (429), with these headers and `Retry-After`."""
    count = bounds.request(token, address)
    if count is None:
        return {}
    headers = _headers(count)
    if count.over:
        headers["retry-after"] = _again(count)
        raise Refused(429, "Too many requests", headers)
    return headers


class Meter:
    """What one answer costs. It is charged to nobody until `charge` says to whom."""

    def __init__(self, bounds: Bounds, send: Send) -> None:
        self._bounds, self._send, self._cost = bounds, send, Cost()
        self._address: str | None = None
        self._charged, self._begun = 0.0, True

    def charge(self, address: str) -> None:
        """Who asks from there pays. Raises Refused (429), with `Retry-After`, if nothing of their allowance is left."""
        over = self._bounds.anonymous_over(address)
        if over is not None:
            raise Refused(429, "Too much was asked for without logging in.", {"retry-after": _again(over)})
        self._address, self._begun = address, False
        self._bounds.begin_anonymous(address, 1)

    async def send(self, message: Message) -> None:
        """Sends a part of the answer."""
        self._begins()
        await self._send(message)
        self._cost.seconds += len(message.get("body", b"")) * BYTE_S
        if self._cost.seconds - self._charged > STEP_S:
            self._spend()

    async def run(self, answering: Coroutine[Any, Any, None]) -> None:
        """Makes and sends the answer."""
        before = SPENT.set(self._cost)
        try:
            await Driven(answering, self._cost)
        finally:
            SPENT.reset(before)
            self._begins()
            self._spend()

    def _begins(self) -> None:
        if self._address is not None and not self._begun:
            self._begun = True
            self._bounds.begin_anonymous(self._address, -1)

    def _spend(self) -> None:
        if self._address is not None:
            self._bounds.spend_anonymous(self._address, self._cost.seconds - self._charged)
            self._charged = self._cost.seconds


def is_anonymous(token: Token | None) -> bool:
    """Whether anybody can ask so: without a token, or with one of an app alone, which whoever registers one has."""
    return token is None or (token.account is None and not any(scope in token.scopes for scope in UNLIMITED))


def _again(count: Count) -> str:
    return str(max(1, count.ends - int(time.time())))


def _headers(count: Count) -> dict[str, str]:
    ends = datetime.fromtimestamp(count.ends, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "x-ratelimit-limit": str(count.limit),
        "x-ratelimit-remaining": str(count.left),
        "x-ratelimit-reset": ends,
    }
