"""Push subscriptions: an app says where it wants to be told, and of what."""

from __future__ import annotations

from typing import Any

from anyio import to_thread

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.notifications import SHOWN_AS
from banyan_web.mastodon.push import subscriptions
from banyan_web.mastodon.push.crypto import AUTH_BYTES, AppKeys, from_64, is_point
from banyan_web.mastodon.push.subscriptions import PushSubscribers
from banyan_web.mastodon.push.subscriptions import POLICIES, PushSubscription, PushWish
from banyan_web.mastodon.streaming.endpoints import raw_token
from banyan_web.outbound_http import Unreachable
from banyan_web.params import text, truthy
from banyan_web.refusals import HttpRefusal

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
        return subscriptions.subscribe(web.door, token.id, me, endpoint, keys, standard, wish, sealed, heard)

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
    await to_thread.run_sync(subscriptions.change, web.door, held.id, wish)
    return _entity(web, held._replace(wish=wish))


@ENDPOINTS.delete(PATH, "push")
async def end(web: DoorContext, ask: DoorRequest) -> Any:
    """One that there is not is no mistake."""
    assert ask.token is not None
    await to_thread.run_sync(subscriptions.end_of_token, web.door, ask.token.id)
    return {}


def _own(web: DoorContext, ask: DoorRequest) -> PushSubscription:
    assert ask.account
    assert ask.token is not None
    found = subscriptions.of_token(web.door, ask.token.id)
    if found is None:
        raise HttpRefusal(404, "Record not found")
    return found


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
