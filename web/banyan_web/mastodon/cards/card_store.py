"""The cards that are kept, in the door's file, by the address of the page; and the addresses that gave none.

They are a cache: what is old or too much goes, and is fetched again when somebody sees the link.
"""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from banyan_web.door_store import DAY_S, DoorStore

KEPT_S, FAILED_S = 14 * DAY_S, DAY_S
"""How long a card is shown, and how long an address that gave none is not asked again."""
MOST, PICTURE_BYTES = 5_000, 64 << 20
"""Addresses, and bytes of all pictures."""


class KeptCard(NamedTuple):
    """said: fields of the PreviewCard entity, without addresses of this server; None: there is no card. picture: the
    name of its picture, and type of it."""

    said: dict[str, Any] | None
    picture: str | None
    kind: str | None
    kept: int

    @property
    def fresh(self) -> bool:
        return time.time() - self.kept < (FAILED_S if self.said is None else KEPT_S)


def card(door: DoorStore, url: str) -> KeptCard | None:
    with door.reading() as db:
        what = "select said, picture, kind, kept from cards where url = ?"
        row = next(iter(db.execute(what, (url,))), None)
    if row is None:
        return None
    return KeptCard(None if row[0] is None else msgspec.json.decode(row[0]), *row[1:])


def keep(door: DoorStore, url: str, said: dict[str, Any] | None, raw: bytes | None, kind: str | None) -> KeptCard:
    """raw, kind: of its picture, if it has one."""
    now = int(time.time())
    name = None if raw is None else sha256(raw).hexdigest()[:32]
    text = None if said is None else msgspec.json.encode(said).decode()
    with door.writing() as db:
        door.end_terms("cards")
        db.execute("insert or replace into cards values (?, ?, ?, ?, ?, ?)", (url, text, name, kind, raw, now))
        size = "sum(length(coalesce(raw, x''))) over (order by kept desc, url)"
        place = "row_number() over (order by kept desc, url)"
        db.execute(
            f"delete from cards where url in (select url from (select url, {size} as size, {place} as place from cards)"
            " where size > ? or place > ?)",
            (PICTURE_BYTES, MOST),
        )
    return KeptCard(said, name, kind, now)


def picture(door: DoorStore, name: str) -> tuple[str, bytes] | None:
    """Type and bytes."""
    with door.reading() as db:
        row = next(iter(db.execute("select kind, raw from cards where picture = ? limit 1", (name,))), None)
    return None if row is None else (row[0], bytes(row[1]))
