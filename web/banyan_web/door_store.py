"""What the door itself must remember, in a SQLite file beside the store: tokens, of which it keeps hashes only.

Nothing here is of the network: another door of the same node has its own file. A row is on the disk before it is
answered.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import apsw

SCOPES = ("read", "write", "follow", "push", "host", "admin", "firehose")
FOLLOW = frozenset({"blocks", "follows", "mutes"})
"""Of which `follow` allows reading and writing, as in old versions of Mastodon."""
_SCHEMA = """
create table if not exists tokens (
    hash blob primary key, id text not null unique, account text, app text not null, scopes text not null,
    created integer not null, expires integer
) without rowid;
create table if not exists sealed (
    name blob primary key, said blob not null, kept integer not null, text blob not null
) without rowid;
create index if not exists sealed_by_age on sealed (kept);
create table if not exists webhooks (
    id text primary key, owner text not null, url text not null, secret text not null, filters text not null,
    created integer not null, state text not null, cursor text, error text, failing integer, tried integer,
    delivered integer
) without rowid;
"""


class Token(NamedTuple):
    """What a token allows. account: a DID; None: of an app alone. app: its name. expires: seconds since 1970."""

    id: str
    account: str | None
    app: str
    scopes: tuple[str, ...]
    created: int
    expires: int | None

    def allows(self, scope: str) -> bool:
        """scope: such as `read` or `write:statuses`; a token with `read` has all that begin with it."""
        top, _, part = scope.partition(":")
        return scope in self.scopes or top in self.scopes or ("follow" in self.scopes and part in FOLLOW)


class DoorStore:
    """Any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        path.touch(0o600)
        self._db = apsw.Connection(str(path))
        self._db.set_busy_timeout(5_000)
        self._db.execute("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on")
        self._db.execute(_SCHEMA)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """A transaction: all or nothing."""
        with self._lock, self._db:
            yield self._db

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        with self._lock:
            yield self._db

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # -- tokens

    def mint(self, account: str | None, app: str, scopes: tuple[str, ...], seconds: int | None = None) -> str:
        """A new token. seconds: how long it lasts; None: until it is revoked."""
        raw, now = secrets.token_urlsafe(32), int(time.time())
        row = (_hash(raw), secrets.token_hex(8), account, app, " ".join(scopes), now, seconds and now + seconds)
        with self.writing() as db:
            db.execute("insert into tokens values (?, ?, ?, ?, ?, ?, ?)", row)
        return raw

    def token(self, raw: str) -> Token | None:
        """What a token allows; None if there is none, or none any more."""
        with self.reading() as db:
            what = "select id, account, app, scopes, created, expires from tokens where hash = ?"
            row = next(iter(db.execute(what, (_hash(raw),))), None)
        if row is None or (row[5] is not None and row[5] <= time.time()):
            return None
        return Token(row[0], row[1], row[2], tuple(row[3].split()), row[4], row[5])

    def revoke(self, raw: str) -> None:
        """The token allows nothing any more. One that there is not is no mistake."""
        with self.writing() as db:
            db.execute("delete from tokens where hash = ?", (_hash(raw),))


def _hash(raw: str) -> bytes:
    """Of a random token of 256 bits no slow hash is needed."""
    return sha256(raw.encode("utf-8", "surrogateescape")).digest()
