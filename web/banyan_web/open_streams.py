"""The open streams of this process, and what each was opened with: a token, or the session of a browser.

The invariant: a stream ends within a second of the moment at which what it was opened with is good no more, whoever
ended that: the person, the app, the operator beside the node, or the clock. Tokens and sessions are looked up in
requests by `token_shown` and `person_shown` alone, which note them, so no stream can be forgotten.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from starlette.types import Scope

from banyan_web.door_logins import Person, session
from banyan_web.door_store import DoorStore, Token, hashed

LOOK_S = 0.25
"""Between two looks at whether anything was revoked: some microseconds where nothing was written."""
_SHOWN = "banyan.credentials"
_log = logging.getLogger(__name__)


def token_shown(door: DoorStore, scope: Scope, raw: str) -> Token | None:
    """What the token of a request allows. Its streams end with it."""
    found = door.token(raw)
    if found is not None:
        scope.setdefault(_SHOWN, set()).add(hashed(raw))
    return found


def person_shown(door: DoorStore, scope: Scope, raw: str) -> Person | None:
    """Whose browser has this cookie. The streams that it opens end with its session."""
    found = session(door, raw)
    if found is not None:
        scope.setdefault(_SHOWN, set()).add(hashed(raw))
    return found


@dataclass(slots=True, eq=False)
class OpenStream:
    """until: its scope. shown: hashes of what it was opened with. checked: the version of the store with which that was
    good. ends: when it is good no more, seconds since 1970. revoked: it ended for that."""

    until: anyio.CancelScope
    shown: set[bytes]
    checked: object = None
    ends: float | None = None
    revoked: bool = field(default=False)


class OpenStreams:
    """Use it in one event loop."""

    def __init__(self, door: DoorStore) -> None:
        self._door = door
        self._open: dict[OpenStream, None] = {}

    @contextmanager
    def stream(self, scope: Scope, until: anyio.CancelScope) -> Iterator[OpenStream]:
        """While a request is answered by a stream. scope: of the request. until: is cancelled when it has to end."""
        made = OpenStream(until, scope.setdefault(_SHOWN, set()))
        self._open[made] = None
        try:
            yield made
        finally:
            del self._open[made]

    def end_all(self) -> None:
        """The server stops."""
        for stream in list(self._open):
            stream.until.cancel()

    async def run(self) -> None:
        """Ends the streams of what was revoked, until it is cancelled."""
        while True:
            await anyio.sleep(LOOK_S)
            try:
                self._look()
            except Exception:  # the disk fails, perhaps
                _log.exception("whether tokens were revoked cannot be read")

    def _look(self) -> None:
        shown = [stream for stream in self._open if stream.shown]
        if not shown:
            return
        version, now = self._door.version, time.time()
        for stream in shown:
            if stream.checked != version:
                ends = [self._door.good_until(one) for one in stream.shown]
                stream.ends, stream.checked = min((end for end in ends if end is not None), default=None), version
            if stream.ends is not None and stream.ends <= now:
                stream.revoked = True
                stream.until.cancel()
