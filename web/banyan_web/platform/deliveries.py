"""Sends webhooks. Each goes on from its cursor, so nothing is skipped by a crash, a restart or an address that fails.

The invariant: a cursor is noted once the events up to it were taken (any 2xx), or did not concern the webhook. So an
event comes at least once, in order; the same one has the same `cursor`. An address that fails is tried again, later
each time, for a day; then the webhook is disabled and says why. Content is read anew for each try: what was deleted,
hidden or withheld meanwhile is not sent.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectSendStream

from banyan_node.operator_errors import CallError
from banyan_web.endpoint import DoorContext
from banyan_web.firehose.tail import in_pieces, place_of
from banyan_web.outbound_http import Unreachable
from banyan_web.platform.requests import owner_name
from banyan_web.platform.webhooks import ACTIVE, DISABLED, GAP, Hook, every, note, of_firehose, stands
from banyan_web.refusals import failure

TOGETHER = 100
"""The most events of one request."""
GATHER_S = 0.1
"""How long events are gathered for one request."""
LOOK_S = 0.5
"""How often it is looked which webhooks there are, and whose platform has a token."""
FIRST_S, LONGEST_S, GIVEN_UP_S = 5.0, 3_600.0, 24 * 3_600
"""The first pause after a failure, which doubles, the longest, and after how long a webhook is disabled."""
BODY_BYTES = 512 << 10
"""Of the events of one request, about."""
NOTE_S = 5.0
"""How often a cursor is noted where nothing concerned the webhook."""
_log = logging.getLogger(__name__)


async def deliver(web: DoorContext) -> None:
    """Sends all webhooks until it is cancelled."""
    running: dict[str, tuple[Hook, anyio.CancelScope]] = {}
    async with anyio.create_task_group() as tasks:
        while True:
            try:
                owners = {owner_name(None, label) for label in web.door.platforms()}
                wanted = {hook.id: hook for hook in every(web.door) if hook.state == ACTIVE and hook.owner in owners}
            except Exception as why:  # a full disk, perhaps: the node goes on
                failure(why, "reading webhooks")
                await anyio.sleep(FIRST_S)
                continue
            for id, (hook, _) in [*running.items()]:
                if id not in wanted or wanted[id].filters != hook.filters:
                    running.pop(id)[1].cancel()
            for id, hook in wanted.items():
                if id not in running:
                    scope = anyio.CancelScope()
                    running[id] = hook, scope
                    tasks.start_soon(_keep, web, hook, scope)
            await anyio.sleep(LOOK_S)


async def _keep(web: DoorContext, hook: Hook, scope: anyio.CancelScope) -> None:
    with scope:
        cursor = hook.cursor
        while True:
            sender = _WebhookSender(web, hook, cursor)
            try:
                cursor = await sender.run()
            except Exception:
                _log.exception("webhook %s failed", hook.id)
                cursor = sender.cursor
            await anyio.sleep(FIRST_S)


class _WebhookSender:
    """One webhook from a cursor on; None: from now on."""

    def __init__(self, web: DoorContext, hook: Hook, cursor: str | None) -> None:
        self._web, self._hook, self.cursor = web, hook, cursor
        self._failing: int | None = hook.failing
        self._noted = time.monotonic()
        self._pause = FIRST_S

    async def run(self) -> str | None:
        """Returns the cursor where the events ended."""
        return await (self._tell_content() if self._hook.has_content else self._tell_events())

    async def _tell_content(self) -> str | None:
        """Events of the firehose, with what was said."""
        said, tail = self._hook.said, self._web.firehose.tail
        given = {"limit": TOGETHER, **of_firehose(said["accounts"], said["collections"])}
        call = self._web.backend.call
        with tail.followed():
            while not tail.closed:
                try:
                    cursor = self.cursor or (await call("firehose", {}))["cursor"]
                    page = await call("firehose", {"since": cursor, **given})
                except CallError as error:
                    return self._begin_anew(error)
                sizes = (len(msgspec.json.encode(event)) for event in page["events"])
                for some in in_pieces(page["events"], sizes, BODY_BYTES):
                    if not await self._tell(some):
                        break
                else:
                    await self._noted_at(page["cursor"])
                    if not page["more"]:
                        await tail.moved(place_of(page["cursor"]), NOTE_S)
        return self.cursor

    async def _noted_at(self, cursor: str) -> None:
        """Nothing that concerned it came up to there."""
        self.cursor = cursor
        if time.monotonic() - self._noted > NOTE_S:
            self._noted = time.monotonic()
            self._note(cursor=cursor)

    def _begin_anew(self, error: CallError) -> str | None:
        """The store was restored, and never saw what the cursor names. Raises the error if it is another."""
        if error.code != "cursor_gone":
            raise error
        self._note(error=f"{error.message} {GAP}", cursor=None)
        return None

    def _note(self, **changed: Any) -> None:
        note(self._web.door, self._hook.id, self._hook.filters, **changed)

    async def _tell_events(self) -> str | None:
        given: dict[str, str] = {} if self.cursor is None else {"since": self.cursor}
        try:
            events = await self._web.backend.events(given)
        except CallError as error:
            return self._begin_anew(error)
        coming_in, coming = anyio.create_memory_object_stream[dict[str, Any]](TOGETHER)
        async with anyio.create_task_group() as tasks, coming:
            tasks.start_soon(self._read, events, coming_in)
            async for first in coming:
                some = [first]
                await anyio.sleep(GATHER_S)
                while len(some) < TOGETHER:
                    try:
                        some.append(coming.receive_nowait())
                    except (anyio.WouldBlock, anyio.EndOfStream):
                        break
                while not await self._tell(some):
                    pass
            tasks.cancel_scope.cancel()
        return self.cursor

    async def _read(self, events: Any, into: MemoryObjectSendStream[dict[str, Any]]) -> None:
        async with aclosing(events), into:
            async for event in events:
                await into.send(event)

    async def _tell(self, some: Sequence[dict[str, Any]]) -> bool:
        """Whether they were taken. If not, it is time for another try."""
        wanted = [self._hook.told(event) for event in some if self._hook.wants(event)]
        if wanted and not stands(self._web.door, self._hook):
            await anyio.sleep_forever()  # deleted or told to replay since it was looked
        body = json.dumps({"webhook": self._hook.id, "events": wanted}).encode()
        if wanted and not await self._send(body, wanted[-1]["cursor"]):
            return False
        self.cursor = some[-1]["cursor"]
        if wanted or time.monotonic() - self._noted > NOTE_S:
            self._noted = time.monotonic()
            told = {"delivered": int(time.time()), "failing": None, "why": None} if wanted else {}
            self._note(cursor=self.cursor, **told)
        return True

    async def _send(self, body: bytes, cursor: str) -> bool:
        """Whether it was taken; if not, returns after a pause. Waits for ever once it has failed for a day."""
        why = await self._try(body, f"{self._hook.id}-{cursor}")
        if why is None:
            self._failing, self._pause = None, FIRST_S
            return True
        now = int(time.time())
        self._failing = self._failing or now
        gone = now - self._failing >= GIVEN_UP_S
        state = {"state": DISABLED} if gone else {}
        self._note(why=why, failing=self._failing, tried=now, **state)
        if gone:
            _log.warning("webhook %s is disabled: %s", self._hook.id, why)
            await anyio.sleep_forever()
        await anyio.sleep(self._pause * random.uniform(0.8, 1.2))
        self._pause = min(2 * self._pause, LONGEST_S)
        return False

    async def _try(self, body: bytes, id: str) -> str | None:
        """Why it was not taken, or None."""
        now = int(time.time())
        signature = self._hook.sign(id, now, body)
        headers = {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature,
        }
        try:
            status = (await self._web.outside.ask("POST", self._hook.url, headers, body)).status
        except Unreachable as why:
            return f"{why}."
        if 300 <= status < 400:
            return f"It answered {status}: redirects are not followed."
        return None if 200 <= status < 300 else f"It answered {status}."
