"""Named consumers: how far each has confirmed the firehose, kept by the door for at-least-once delivery.

A cursor is on the disk before its confirmation is answered, and never goes back by a late one. A consumer belongs to an
account, or to an app without one, so a new token of theirs finds it again.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from banyan_web.door_store import DoorStore, Token
from banyan_web.firehose.tail import place_of, store_of

MOST = 100
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


class Consumers:
    """Any thread. Its calls wait for the disk."""

    def __init__(self, store: DoorStore) -> None:
        self._store = store

    def of(self, owner: str) -> list[Consumer]:
        """By name."""
        with self._store.reading() as db:
            what = "select name, cursor, updated from consumers where owner = ? order by name"
            return [Consumer(*row) for row in db.execute(what, (owner,))]

    def find(self, owner: str, name: str) -> Consumer | None:
        return next((one for one in self.of(owner) if one.name == name), None)

    def begin(self, owner: str, name: str, cursor: str) -> Consumer:
        """The consumer; a new one begins at the cursor. Raises TooMany."""
        with self._store.writing() as db:
            held = self.find(owner, name)
            if held is not None:
                return held
            if len(self.of(owner)) >= MOST:
                raise TooMany
            made = Consumer(name, cursor, int(time.time()))
            db.execute("insert into consumers values (?, ?, ?, ?)", (owner, *made))
            return made

    def confirm(self, owner: str, name: str, cursor: str, back: bool) -> Consumer | None:
        """Everything up to the cursor is done. back: it may go back. None if there is no such consumer."""
        with self._store.writing() as db:
            held = self.find(owner, name)
            if held is None:
                return None
            same_store = store_of(held.cursor) == store_of(cursor)
            if not back and same_store and place_of(cursor) <= place_of(held.cursor):
                return held
            now = int(time.time())
            db.execute(
                "update consumers set cursor = ?, updated = ? where owner = ? and name = ?", (cursor, now, owner, name)
            )
            return Consumer(name, cursor, now)

    def drop(self, owner: str, name: str) -> bool:
        """Whether there was one."""
        with self._store.writing() as db:
            db.execute("delete from consumers where owner = ? and name = ?", (owner, name))
            return bool(db.changes())
