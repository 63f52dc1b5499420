"""Apps that registered, and the codes that they change for tokens (RFC 6749).

A code is of one app, one redirect URI and one challenge (RFC 7636), lives CODE_S and is taken once. A code that comes
again was seen by somebody else: its token ends.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from banyan_web.door_store import DoorStore, hashed

CODE_S = 600
SHOWN = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect URI of an app that cannot be reached: the person copies the code."""
MOST_UNUSED = 10_000
"""Apps for which nobody logged in yet: beyond it, the oldest of them goes."""


class App(NamedTuple):
    """client: its public id. redirects: where people are sent back to."""

    number: int
    client: str
    name: str
    website: str | None
    redirects: tuple[str, ...]
    scopes: tuple[str, ...]
    created: int


class AppGrant(NamedTuple):
    """What a person allowed an app. challenge: S256 of a secret of the app, None without PKCE."""

    client: str
    account: str
    redirect: str
    scopes: tuple[str, ...]
    challenge: str | None


_APP = "number, client, name, website, redirects, scopes, created"


def register(
    door: DoorStore, name: str, redirects: Sequence[str], scopes: Sequence[str], website: str | None
) -> tuple[App, str]:
    """A new app, and its secret."""
    client, secret, now = secrets.token_urlsafe(32), secrets.token_urlsafe(32), int(time.time())
    row = (client, hashed(secret), name, website, "\n".join(redirects), " ".join(scopes), now)
    with door.writing() as db:
        db.execute(
            "delete from apps where number in (select number from apps where used is null order by number desc "
            "limit -1 offset ?)",
            (MOST_UNUSED - 1,),
        )
        db.execute(
            "insert into apps (client, secret, name, website, redirects, scopes, created) values (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        number = db.last_insert_rowid()
    return App(number, client, name, website, tuple(redirects), tuple(scopes), now), secret


def app_of(door: DoorStore, client: str) -> App | None:
    with door.reading() as db:
        row = next(iter(db.execute(f"select {_APP} from apps where client = ?", (client,))), None)
    return None if row is None else _app(row)


def app_with(door: DoorStore, client: str, secret: str) -> App | None:
    """The app, if the secret is its own."""
    with door.reading() as db:
        row = next(iter(db.execute(f"select {_APP}, secret from apps where client = ?", (client,))), None)
    if row is None or not hmac.compare_digest(row[7], hashed(secret)):
        return None
    return _app(row)


def _app(row: Sequence[Any]) -> App:
    return App(row[0], row[1], row[2], row[3], tuple(row[4].split("\n")), tuple(row[5].split()), row[6])


def issue(door: DoorStore, grant: AppGrant) -> str:
    """The code of a grant."""
    raw, now = secrets.token_urlsafe(32), int(time.time())
    row = (hashed(raw), grant.client, grant.account, grant.redirect, " ".join(grant.scopes), grant.challenge)
    with door.writing() as db:
        door.end_terms("codes")
        db.execute("insert into codes values (?, ?, ?, ?, ?, ?, ?)", (*row, now + CODE_S))
        db.execute("update apps set used = ? where client = ?", (now, grant.client))
    return raw


def redeem(door: DoorStore, app: App, code: str, redirect: str, verifier: str | None) -> tuple[str, AppGrant] | None:
    """A token for a code, and what was granted. None if the code is not good for that. The code is used up either way,
    unless another app shows it."""
    key = hashed(code)
    what = "select client, account, redirect, scopes, challenge, expires from codes where hash = ?"
    with door.writing() as db:
        row = next(iter(db.execute(what, (key,))), None)
        if row is None:
            db.execute("delete from tokens where code = ? and client = ?", (key, app.client))
            return None
        grant = AppGrant(row[0], row[1], row[2], tuple(row[3].split()), row[4])
        if grant.client != app.client:
            return None
        db.execute("delete from codes where hash = ?", (key,))
        if row[5] <= time.time() or grant.redirect != redirect or not _proves(grant.challenge, verifier):
            return None
        return door.mint(grant.account, app.name, grant.scopes, None, app.client, key), grant


def _proves(challenge: str | None, verifier: str | None) -> bool:
    """A verifier without a challenge is refused too: somebody took the challenge away (RFC 9700, 4.8.2)."""
    if challenge is None or verifier is None:
        return challenge is None and verifier is None
    said = urlsafe_b64encode(sha256(verifier.encode("utf-8", "replace")).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(said, challenge)


def owns(door: DoorStore, app: App, token: str) -> bool:
    """Whether a token is of this app, or of nobody."""
    found = door.token(token)
    return found is None or found.client == app.client
