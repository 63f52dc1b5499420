"""Mastodon.py as a client of a door. It is synchronous, so its calls run on threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from mastodon import Mastodon

from tests.web.door import Door


def app_of(door: Door, did: str | None) -> Mastodon:
    token = None if did is None else door.token(did)
    return Mastodon(access_token=token, api_base_url=door.url, mastodon_version="4.5.0", request_timeout=60)


async def run(do: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """A call of the library, on a thread."""
    return await trio.to_thread.run_sync(lambda: do(*given, **named))
