"""The push subscriptions of apps, in the door's file: one of each token, which ends with it.

A message carries the token itself, as Mastodon's does: apps find by it which of their accounts is meant. It is kept
sealed with the node's secret, so that who copies the file has no token.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio
import msgspec

from banyan_web.door_store import DoorStore
from banyan_web.mastodon.push.crypto import AppKeys, PushIdentity
from banyan_web.outbound_http import OutboundHttp

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


def subscribe(
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
    with door.reading() as db:
        row = next(iter(db.execute(f"select {_ROW} from push_subscriptions where {name} = ?", (value,))), None)
    return None if row is None else _subscription(row)


def _subscription(row: Sequence[Any]) -> PushSubscription:
    keys, wish = AppKeys(bytes(row[3]), bytes(row[4])), PushWish(msgspec.json.decode(row[6]), row[7])
    return PushSubscription(row[0], row[1], row[2], keys, bool(row[5]), wish, bytes(row[8]), *row[9:])


def by_account(door: DoorStore) -> dict[str, set[int]]:
    """The ids of all."""
    found: dict[str, set[int]] = {}
    with door.reading() as db:
        for account, id_ in db.execute("select account, id from push_subscriptions"):
            found.setdefault(account, set()).add(id_)
    return found


def change(door: DoorStore, id_: int, wish: PushWish) -> None:
    note(door, id_, alerts=msgspec.json.encode(wish.alerts).decode(), policy=wish.policy)


def note(door: DoorStore, id_: int, **changed: Any) -> None:
    """Changes columns. Nothing if it is gone."""
    sets = ", ".join(f"{name} = ?" for name in changed)
    with door.writing() as db:
        db.execute(f"update push_subscriptions set {sets} where id = ?", (*changed.values(), id_))


def end(door: DoorStore, id_: int) -> None:
    with door.writing() as db:
        db.execute("delete from push_subscriptions where id = ?", (id_,))


def end_of_token(door: DoorStore, token: str) -> None:
    with door.writing() as db:
        db.execute("delete from push_subscriptions where token = ?", (token,))


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
