"""The push subscriptions of apps, in the door's file, and their endpoints: one of each token, which ends with it.

A message carries the token itself, as Mastodon's does: apps find by it which of their accounts is meant. It is kept
sealed with the node's secret, so that who copies the file has no token.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio
import msgspec
from anyio import to_thread

from banyan_web.door_store import DoorStore
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.notifications import SHOWN_AS
from banyan_web.mastodon.push.crypto import AUTH_BYTES, AppKeys, PushIdentity, from_64, is_point
from banyan_web.mastodon.streaming.endpoints import raw_token
from banyan_web.outbound_http import OutboundHttp, Unreachable
from banyan_web.params import text, truthy
from banyan_web.refusals import HttpRefusal, there

MOST = 50
"""Subscriptions of one account: beyond it, the oldest goes."""
POLICIES = ("all", "followed", "follower", "none")
_ROW = "id, account, endpoint, p256dh, auth, standard, alerts, policy, sealed, heard, failing, error"


class PushWish(NamedTuple):
    """What an app wants to hear of. alerts: types of notifications, as Mastodon calls them. policy: of whom."""

    alerts: dict[str, bool]
    policy: str


class PushSubscription(NamedTuple):
    """account: a DID. standard: whether the app reads RFC 8291. sealed: its token. heard: the place of the newest
    notification that was sent, or was not to be. failing: since when it fails, seconds since 1970. error: of the last
    try."""

    id: int
    account: str
    endpoint: str
    keys: AppKeys
    standard: bool
    wish: PushWish
    sealed: bytes
    heard: str
    failing: int | None
    error: str | None


def keep_subscription(
    door: DoorStore,
    token: str,
    account: str,
    endpoint: str,
    keys: AppKeys,
    standard: bool,
    wish: PushWish,
    sealed: bytes,
    heard: str,
) -> PushSubscription:
    """In the place of the one that the token had. token: its id."""
    names = "token, account, endpoint, p256dh, auth, standard, alerts, policy, sealed, heard, created"
    alerts = msgspec.json.encode(wish.alerts).decode()
    row = (token, account, endpoint, *keys, standard, alerts, wish.policy, sealed, heard, int(time.time()))
    with door.writing() as db:
        db.execute("delete from push_subscriptions where token = ?", (token,))
        db.execute(
            "delete from push_subscriptions where id in (select id from push_subscriptions where account = ? "
            "order by id desc limit -1 offset ?)",
            (account, MOST - 1),
        )
        db.execute(f"insert into push_subscriptions ({names}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return PushSubscription(
            db.last_insert_rowid(), account, endpoint, keys, standard, wish, sealed, heard, None, None
        )


def of_token(door: DoorStore, token: str) -> PushSubscription | None:
    return _one(door, "token", token)


def with_id(door: DoorStore, id_: int) -> PushSubscription | None:
    return _one(door, "id", id_)


def _one(door: DoorStore, name: str, value: str | int) -> PushSubscription | None:
    row = door.row(f"select {_ROW} from push_subscriptions where {name} = ?", value)
    return None if row is None else _subscription(row)


def _subscription(row: Sequence[Any]) -> PushSubscription:
    keys, wish = AppKeys(bytes(row[3]), bytes(row[4])), PushWish(msgspec.json.decode(row[6]), row[7])
    return PushSubscription(row[0], row[1], row[2], keys, bool(row[5]), wish, bytes(row[8]), *row[9:])


def by_account(door: DoorStore) -> dict[str, set[int]]:
    """The ids of all."""
    found: dict[str, set[int]] = {}
    for account, id_ in door.rows("select account, id from push_subscriptions"):
        found.setdefault(account, set()).add(id_)
    return found


def keep_wish(door: DoorStore, id_: int, wish: PushWish) -> None:
    note(door, id_, alerts=msgspec.json.encode(wish.alerts).decode(), policy=wish.policy)


def note(door: DoorStore, id_: int, **changed: Any) -> None:
    """Changes columns. Nothing if it is gone."""
    sets = ", ".join(f"{name} = ?" for name in changed)
    door.write(f"update push_subscriptions set {sets} where id = ?", *changed.values(), id_)


def drop_subscription(door: DoorStore, id_: int) -> None:
    door.write("delete from push_subscriptions where id = ?", id_)


def end_of_token(door: DoorStore, token: str) -> None:
    door.write("delete from push_subscriptions where token = ?", token)


class PushSubscribers:
    """What endpoints and the sender share. outside: asks push services. watched: ids of subscriptions, by account. Use
    it in one event loop."""

    def __init__(self, identity: PushIdentity, outside: OutboundHttp) -> None:
        self.identity, self.outside = identity, outside
        self.watched: dict[str, set[int]] = {}
        self.needed = anyio.Event()

    def watch(self, account: str, id_: int) -> None:
        self.watched.setdefault(account, set()).add(id_)
        self.needed.set()

    def forget(self, account: str, id_: int) -> None:
        held = self.watched.get(account, set())
        held.discard(id_)
        if not held:
            self.watched.pop(account, None)


# -- endpoints: an app says where it wants to be told, and of what

ENDPOINTS = Endpoints()
PATH = "/api/v1/push/subscription"
ALERTS = ("mention", "status", "reblog", "follow", "follow_request", "favourite", "poll", "update", "quote",
          "quoted_update", "admin.sign_up", "admin.report")  # fmt: skip
"""Types that an app may name; those of SHOWN_AS happen here."""


@ENDPOINTS.post(PATH, "push")
async def subscribe(web: DoorContext, ask: DoorRequest) -> Any:
    """In the place of the one that the token had. It begins with what comes from now on."""
    me, token = ask.account, ask.token
    assert token is not None
    given = _object(ask.params, "subscription")
    endpoint, keys = text(given, "endpoint").strip(), _keys(given)
    try:
        await web.part(PushSubscribers).outside.check(endpoint)
    except Unreachable as why:
        raise HttpRefusal(422, f"Validation failed: Endpoint cannot be told anything: {why}") from None
    standard, wish = truthy(given, "standard"), _wish(ask, None)
    kinds = list(SHOWN_AS)
    newest = (await web.call("notifications", kinds=kinds, each=True, limit=1, by=me))["notices"]
    heard, sealed = newest[0]["at"] if newest else "", web.part(PushSubscribers).identity.seal(raw_token(ask))

    def keep() -> PushSubscription:
        return keep_subscription(web.door, token.id, me, endpoint, keys, standard, wish, sealed, heard)

    made = await to_thread.run_sync(keep)
    web.part(PushSubscribers).watch(me, made.id)
    return _entity(web, made)


@ENDPOINTS.get(PATH, "push")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    return _entity(web, _own(web, ask))


@ENDPOINTS.put(PATH, "push")
async def change(web: DoorContext, ask: DoorRequest) -> Any:
    """Changes of what the app is told; for another address it subscribes anew."""
    held = _own(web, ask)
    wish = _wish(ask, held.wish)
    await to_thread.run_sync(keep_wish, web.door, held.id, wish)
    return _entity(web, held._replace(wish=wish))


@ENDPOINTS.delete(PATH, "push")
async def end(web: DoorContext, ask: DoorRequest) -> Any:
    """One that there is not is no mistake."""
    assert ask.token is not None
    await to_thread.run_sync(end_of_token, web.door, ask.token.id)
    return {}


def _own(web: DoorContext, ask: DoorRequest) -> PushSubscription:
    assert ask.account
    assert ask.token is not None
    return there(of_token(web.door, ask.token.id))


def _entity(web: DoorContext, one: PushSubscription) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "endpoint": one.endpoint,
        "standard": one.standard,
        "alerts": one.wish.alerts,
        "policy": one.wish.policy,
        "server_key": web.part(PushSubscribers).identity.server_key,
    }


def _object(params: dict[str, Any], name: str) -> dict[str, Any]:
    found = params.get(name)
    if not isinstance(found, dict):
        raise HttpRefusal(422, f"{name} is an object." if name in params else f"{name} is missing.")
    return found


def _keys(given: dict[str, Any]) -> AppKeys:
    """Raises HttpRefusal."""
    keys = _object(given, "keys")
    try:
        found = AppKeys(from_64(text(keys, "p256dh")), from_64(text(keys, "auth")))
    except ValueError:
        raise HttpRefusal(422, "Validation failed: Keys are base64") from None
    if not is_point(found.p256dh) or len(found.auth) != AUTH_BYTES:
        raise HttpRefusal(422, f"Validation failed: Keys are a point of P-256 and {AUTH_BYTES} bytes")
    return found


def _wish(ask: DoorRequest, before: PushWish | None) -> PushWish:
    """What `data` says; what it does not name stays in a change as it was. Some apps name the policy beside it."""
    data = ask.params.get("data") or {}
    if not isinstance(data, dict):
        raise HttpRefusal(422, "data is an object.")
    policy = text(data if "policy" in data else ask.params, "policy", "all" if before is None else before.policy)
    if policy not in POLICIES:
        raise HttpRefusal(422, f"policy is {', '.join(POLICIES)}.")
    alerts = data.get("alerts")
    if alerts is None:
        return PushWish({} if before is None else before.alerts, policy)
    if not isinstance(alerts, dict):
        raise HttpRefusal(422, "alerts is an object.")
    return PushWish({name: truthy(alerts, name) for name in ALERTS if name in alerts}, policy)
