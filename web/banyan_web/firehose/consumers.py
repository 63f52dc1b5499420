"""Named consumers: how far each has confirmed the firehose, kept by the door for at-least-once delivery.

A cursor is on the disk before its confirmation is answered, and never goes back by a late one. A consumer belongs to an
account, or to an app without one, so a new token of theirs finds it again.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from banyan_web.door_store import DoorStore, Token
from banyan_web.firehose.tail import place_of, store_of

MOST_CONSUMERS = 100
"""Consumers of one owner."""


class Consumer(NamedTuple):
    """cursor: everything up to it was confirmed. updated: seconds since 1970."""

    name: str
    cursor: str
    updated: int


class TooMany(Exception):
    """The owner has as many as it may."""


def owner_of(token: Token) -> str:
    """Whose consumers these are. Anybody may register an app under any name, so an app is known by its client id."""
    return token.account or (f"app:{token.app}" if token.client is None else f"client:{token.client}")


def consumers_of(door: DoorStore, owner: str) -> list[Consumer]:
    """By name."""
    with door.reading() as db:
        what = "select name, cursor, updated from consumers where owner = ? order by name"
        return [Consumer(*row) for row in db.execute(what, (owner,))]


def find_consumer(door: DoorStore, owner: str, name: str) -> Consumer | None:
    return next((one for one in consumers_of(door, owner) if one.name == name), None)


def begin_consumer(door: DoorStore, owner: str, name: str, cursor: str) -> Consumer:
    """The consumer; a new one begins at the cursor. Raises TooMany."""
    with door.writing() as db:
        held = find_consumer(door, owner, name)
        if held is not None:
            return held
        if len(consumers_of(door, owner)) >= MOST_CONSUMERS:
            raise TooMany
        made = Consumer(name, cursor, int(time.time()))
        db.execute("insert into consumers values (?, ?, ?, ?)", (owner, *made))
        return made


def confirm(door: DoorStore, owner: str, name: str, cursor: str, back: bool) -> Consumer | None:
    """Everything up to the cursor is done. back: it may go back. None if there is no such consumer."""
    with door.writing() as db:
        held = find_consumer(door, owner, name)
        if held is None:
            return None
        same_store = store_of(held.cursor) == store_of(cursor)
        if not back and same_store and place_of(cursor) <= place_of(held.cursor):
            return held
        now = int(time.time())
        what = "update consumers set cursor = ?, updated = ? where owner = ? and name = ?"
        db.execute(what, (cursor, now, owner, name))
        return Consumer(name, cursor, now)


def drop_consumer(door: DoorStore, owner: str, name: str) -> bool:
    """Whether there was one."""
    with door.writing() as db:
        db.execute("delete from consumers where owner = ? and name = ?", (owner, name))
        return bool(db.changes())
