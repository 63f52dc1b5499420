"""What somebody's apps are to choose when they compose: kept by this door, because a node keeps no such thing."""

from __future__ import annotations

from typing import NamedTuple

from banyan_web.door_store import DoorStore

PRIVACIES = ("public", "unlisted")
"""What the network has."""


class Defaults(NamedTuple):
    privacy: str = "public"
    sensitive: bool = False
    language: str | None = None


def of(door: DoorStore, account: str) -> Defaults:
    """account: a DID."""
    with door.reading() as db:
        what = "select privacy, sensitive, language from defaults where account = ?"
        row = next(iter(db.execute(what, (account,))), None)
    return Defaults() if row is None else Defaults(row[0], bool(row[1]), row[2])


def keep(door: DoorStore, account: str, chosen: Defaults) -> None:
    row = (account, chosen.privacy, int(chosen.sensitive), chosen.language)
    with door.writing() as db:
        db.execute("insert or replace into defaults values (?, ?, ?, ?)", row)
