"""Push messages: what one says, and sending them, each subscription from the notification on that it was sent last.

Nothing is queued: what is to be sent is read from the store, behind a place that is noted once the push service took
the message. So a node that is killed sends on, and at most the message that was on its way comes twice, under the same
`notification_id`. (A `Topic` would replace it, but some services keep few of these, and drop the others.)

An entry that names somebody says when to look. What none tells, such as the end of a poll, is found within SWEEP_S.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import anyio
import msgspec
from anyio import to_thread
from anyio.abc import TaskGroup

from banyan_node.api.firehose import ArrivalPlace
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon import compose_store
from banyan_web.mastodon.entities.accounts import profiles
from banyan_web.mastodon.entities.statuses import rows_of
from banyan_web.mastodon.notifications import SHOWN_AS, AppNotification, entities, notification, shown_of, told_of
from banyan_web.mastodon.push import subscriptions
from banyan_web.mastodon.push.crypto import encrypt, encrypt_old, url64
from banyan_web.mastodon.push.subscriptions import PushSubscribers, PushSubscription
from banyan_web.outbound_http import OutboundAnswer, Unreachable
from banyan_web.page.translations import PUSH
from banyan_web.refusals import HttpRefusal

# A message says what Mastodon's says, so that apps know it.

NEWEST = 40
"""So many are sent at once: of more, the older ones are left out, for nobody reads a hundred messages."""
OLDEST_S = 48 * 3_600
"""What is older is not sent, and a push service keeps a message for so long, as with Mastodon."""
BODY, NAME = 140, 100
"""Characters of the text, and of a name."""


class PushNews(NamedTuple):
    """A notification. place: of it. message: what is sent; None: the app does not want it."""

    place: str
    message: bytes | None


async def news(web: DoorContext, to: PushSubscription, token: str, now: float) -> list[PushNews]:
    """What there is to tell, the oldest first. token: of the app. now: seconds since 1970. Raises HttpRefusal."""
    kinds = list(SHOWN_AS)
    rows = (await web.call("notifications", kinds=kinds, each=True, limit=NEWEST, by=to.account))["notices"]
    found = [told_of(row) for row in reversed(rows) if row["at"] > to.heard]
    wanted = [one for one in found if to.wish.alerts.get(one.type) and one.time_ms / 1_000 > now - OLDEST_S]
    wanted = await _of_whom(web, to, wanted)
    known = await entities(web, to.account, wanted)
    wanted = shown_of(wanted, known)
    bodies = await _bodies(web, to.account, wanted)
    language = compose_store.defaults_of(web.door, to.account).language or "en"
    says = PUSH["vi" if language.partition("-")[0] == "vi" else "en"]
    said: dict[str, bytes] = {}
    for one in wanted:
        entity = notification(one, known)
        who = entity["account"]
        name = " ".join((who["display_name"] or who["username"]).split())[:NAME]
        said[one.place] = msgspec.json.encode(
            {
                "access_token": token,
                "preferred_locale": language,
                "notification_id": one.id,
                "notification_type": one.type,
                "icon": who["avatar_static"],
                "title": says[one.type].format(name),
                "body": bodies[one.place],
            }
        )
    return [PushNews(one.place, said.get(one.place)) for one in found]


async def _of_whom(web: DoorContext, to: PushSubscription, some: list[AppNotification]) -> list[AppNotification]:
    """Those of whom the policy lets through."""
    policy = to.wish.policy
    if policy == "all" or not some:
        return some
    if policy == "none":
        return []
    who = list(dict.fromkeys(one.by for one in some))
    rows = (await web.call("relationships", accounts=who, by=to.account))["relationships"]
    fine = {row["account"] for row in rows if row["following" if policy == "followed" else "followed_by"]}
    return [one for one in some if one.by in fine]


async def _bodies(web: DoorContext, reader: str, some: list[AppNotification]) -> dict[str, str]:
    """By place: the warning of a post, else its text; without one what the account says of itself."""
    rows: dict[str, Any] = await rows_of(web, [one.uri for one in some if one.uri is not None], reader)
    people = await profiles(web, [one.by for one in some if one.uri not in rows])
    found = {}
    for one in some:
        row = rows.get(one.uri or "")
        full = people[one.by]["fields"].get("bio", "") if row is None else row["warning"] or row["text"]
        found[one.place] = full if len(full) <= BODY else full[: BODY - 1] + "…"
    return found


# -- sending

TOGETHER = 32
"""Subscriptions that are served at once."""
FIRST_S, LONGEST_S = 10.0, 3_600.0
"""The first pause after a failure, which doubles, and the longest."""
LOOK_S, SWEEP_S = 5.0, 600.0
GO_ON = (408, 429)
"""Of the answers that begin with 4 these say "later"; all others end the subscription, as with Mastodon."""
_DID = re.compile(rb"did:banyan:z[1-9A-HJ-NP-Za-km-z]+")
_log = logging.getLogger(__name__)


async def send_pushes(web: DoorContext) -> None:
    """Until it is cancelled, or the node stops."""
    async with anyio.create_task_group() as tasks:
        await _PushSender(web, tasks).run()
        tasks.cancel_scope.cancel()


class _PushSender:
    def __init__(self, web: DoorContext, tasks: TaskGroup) -> None:
        self._web, self._pushes, self._tasks = web, web.part(PushSubscribers), tasks
        self._running: set[int] = set()
        self._loaded = 0.0
        self._again: set[int] = set()
        """Those that are to look once more before they end."""
        self._slots = anyio.Semaphore(TOGETHER)

    async def run(self) -> None:
        web, pushes = self._web, self._pushes
        while not web.firehose.tail.closed:
            self._load()
            if not pushes.watched:
                pushes.needed = anyio.Event()
                with anyio.move_on_after(LOOK_S):
                    await pushes.needed.wait()
                continue
            with web.firehose.tail.followed():
                await self._follow()
            pushes.needed = anyio.Event()

    def _load(self) -> None:
        """Another process may have taken subscriptions too."""
        for account, ids in subscriptions.by_account(self._web.door).items():
            for id_ in ids - self._pushes.watched.get(account, set()):
                self._pushes.watch(account, id_)
        self._loaded = time.monotonic()

    async def _follow(self) -> None:
        tail, swept = self._web.firehose.tail, 0.0
        place: ArrivalPlace | None = None
        while self._pushes.watched and not tail.closed:
            await tail.moved(place or ArrivalPlace(-1), LOOK_S)
            found = None if place is None else tail.after(place)
            place, now = tail.end, time.monotonic()
            if now - self._loaded >= LOOK_S:
                self._load()
            if place is None:
                continue
            if found is None or now - swept >= SWEEP_S:  # the first time, and when more came than is kept
                swept = now
                self._wake(self._pushes.watched)
            for one in found or ():
                named = {match.group().decode() for match in _DID.finditer(one.line)} - {one.account}
                self._wake(named & self._pushes.watched.keys())

    def _wake(self, accounts: Iterable[str]) -> None:
        for id_ in [id_ for account in accounts for id_ in self._pushes.watched[account]]:
            if id_ in self._running:
                self._again.add(id_)
            else:
                self._running.add(id_)
                self._tasks.start_soon(self._serve, id_)

    async def _serve(self, id_: int) -> None:
        """Until there is nothing to send."""
        pause = FIRST_S
        try:
            while True:
                self._again.discard(id_)
                wait: float | None = 0.0
                try:
                    async with self._slots:
                        wait = await self._turn(id_)
                except HttpRefusal as why:
                    _log.warning("push messages cannot be read now: %s", why.message)
                except Exception:
                    _log.exception("push messages of subscription %d failed", id_)
                if wait is not None:
                    await anyio.sleep(max(wait, pause * random.uniform(0.8, 1.2)))
                    pause = min(2 * pause, LONGEST_S)
                elif id_ in self._again:
                    pause = FIRST_S
                else:
                    return
        finally:
            self._running.discard(id_)

    async def _turn(self, id_: int) -> float | None:
        """Sends what there is. None if that is all; else it failed, and is tried again after so many seconds at least.
        Raises HttpRefusal."""
        to = subscriptions.with_id(self._web.door, id_)
        raw = None if to is None else self._pushes.identity.opened(to.sealed)
        if to is None or raw is None or not self._allowed(raw, to):
            self._end(id_)
            return None
        heard = to.heard
        for one in await news(self._web, to, raw, time.time()):
            if one.message is not None:
                wait = await self._send(to._replace(heard=heard), one.message) if self._allowed(raw, to) else None
                if wait is not None or subscriptions.with_id(self._web.door, id_) is None:
                    return wait
                await self._note(id_, heard=one.place, failing=None, error=None)
            heard = one.place
        if heard != to.heard:
            await self._note(id_, heard=heard)
        return None

    def _allowed(self, raw: str, to: PushSubscription) -> bool:
        token = self._web.door.token(raw)
        return token is not None and token.account == to.account and token.allows("push")

    def _end(self, id_: int) -> None:
        subscriptions.drop_subscription(self._web.door, id_)
        for account, ids in list(self._pushes.watched.items()):
            if id_ in ids:
                self._pushes.forget(account, id_)

    async def _send(self, to: PushSubscription, message: bytes) -> float | None:
        """Sends one. As `_turn`; a subscription that the service ended is gone then."""
        try:
            answer = await self._post(to, message)
        except Unreachable as why:
            return await self._failed(to, f"{why}.", 0.0)
        if 200 <= answer.status < 300:
            return None
        if 400 <= answer.status < 500 and answer.status not in GO_ON:
            _log.info("a push service answered %d: subscription %d ends", answer.status, to.id)
            self._end(to.id)
            return None
        later = answer.headers.get("retry-after", "")
        wait = min(float(later), LONGEST_S) if later.isascii() and later.isdigit() and len(later) < 9 else 0.0
        return await self._failed(to, f"It answered {answer.status}.", wait)

    async def _failed(self, to: PushSubscription, why: str, wait: float) -> float:
        await self._note(to.id, heard=to.heard, error=why, failing=to.failing or int(time.time()))
        return wait

    async def _note(self, id_: int, **changed: Any) -> None:
        await to_thread.run_sync(partial(subscriptions.note, self._web.door, id_, **changed))

    async def _post(self, to: PushSubscription, message: bytes) -> OutboundAnswer:
        identity = self._pushes.identity
        contact = f"mailto:{self._web.server.email}" if self._web.server.email else self._web.url
        signature = identity.signature(to.endpoint, contact, time.time())
        headers = {"content-type": "application/octet-stream", "ttl": str(OLDEST_S), "urgency": "normal"}
        if to.standard:
            sealed = encrypt(message, to.keys)
            headers["content-encoding"] = "aes128gcm"
            headers["authorization"] = f"vapid t={signature},k={url64(identity.point)}"
        else:
            sealed = encrypt_old(message, to.keys)
            headers["content-encoding"] = "aesgcm"
            headers["authorization"] = f"WebPush {signature}"
            headers["encryption"] = f"salt={url64(sealed.salt)}"
            headers["crypto-key"] = f"dh={url64(sealed.point)};p256ecdsa={url64(identity.point)}"
        return await self._pushes.outside.ask("POST", to.endpoint, headers, sealed.body)
