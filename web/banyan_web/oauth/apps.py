"""Apps: what a token may do, registering, and the codes that apps change for tokens (RFC 6749).

A code is of one app, one redirect URI and one challenge (RFC 7636), lives CODE_S and is taken once. A code that comes
again was seen by somebody else: its token ends.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import anyio.to_thread

from banyan_web.door_store import SCOPES, DoorStore, hashed
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.push.subscriptions import PushSubscribers
from banyan_web.params import text, texts
from banyan_web.rate_limits import APPS_ADDRESS, APPS_S
from banyan_web.refusals import HttpRefusal, too_much

# What a token may do, in the words of Mastodon and some of this node.
#
# `read` allows all that begins with `read:`; `follow` is the old word for follows, blocks and mutes. Apps can ask a
# person for what is of persons (`GRANTED`). `host`, `admin` and `firehose` are of the node: only `banyan token add`
# gives them.

_BOTH = ("accounts", "blocks", "bookmarks", "favourites", "filters", "follows", "lists", "mutes", "notifications")
READ = tuple(f"read:{part}" for part in (*_BOTH, "search", "statuses"))
WRITE = tuple(f"write:{part}" for part in (*_BOTH, "conversations", "media", "reports", "statuses"))
GRANTED = ("profile", "read", *READ, "write", *WRITE, "follow", "push")
"""What a person can allow an app."""
EVERY = (*GRANTED, *(scope for scope in SCOPES if scope not in GRANTED))


def scopes_in(text: str, allowed: tuple[str, ...] = GRANTED) -> tuple[str, ...]:
    """The scopes of a text, each once, separated by spaces. Raises HttpRefusal if one is not allowed."""
    found = tuple(dict.fromkeys(text.replace("+", " ").split()))
    for scope in found:
        if scope not in allowed:
            raise HttpRefusal(422, f"{scope[:40]!r} is no scope that can be given; those are {', '.join(allowed)}.")
    return found


def covers(given: tuple[str, ...], asked: tuple[str, ...]) -> bool:
    """Whether who has `given` has all of `asked`."""
    return all(scope in given or scope.partition(":")[0] in given for scope in asked)


# -- apps and codes, in the door's file

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
    row = door.row(f"select {_APP} from apps where client = ?", client)
    return None if row is None else _app(row)


def app_with(door: DoorStore, client: str, secret: str) -> App | None:
    """The app, if the secret is its own."""
    row = door.row(f"select {_APP}, secret from apps where client = ?", client)
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


ENDPOINTS = Endpoints()
MOST_REDIRECTS, LONGEST, LONGEST_NAME = 16, 2_000, 60
"""Redirect URIs of an app, characters of an address and of the app's name."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_NEVER = ("javascript", "data", "vbscript", "file", "blob", "about", "view-source", "urn")
"""Schemes that a browser would run or open here."""


@ENDPOINTS.post("/api/v1/apps")
async def create(web: DoorContext, ask: DoorRequest) -> Any:
    """Registers an app. Its secret is told this once."""
    name = " ".join(text(ask.params, "client_name").split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise _invalid(f"Client name has 1 to {LONGEST_NAME} characters")
    redirects = redirects_in(ask.params)
    scopes = scopes_in(text(ask.params, "scopes", "read")) or ("read",)
    website = text(ask.params, "website", "").strip() or None
    if website is not None and not _is_website(website):
        raise _invalid("Website must be an http or https URL")
    if web.bounds.take("apps", ask.address, APPS_ADDRESS, APPS_S).over:
        says = f"One address registers {APPS_ADDRESS} apps in {APPS_S // 60} minutes; try again later."
        raise too_much("tries", says, APPS_S)
    app, secret = await anyio.to_thread.run_sync(register, web.door, name, redirects, scopes, website)
    more = {"client_id": app.client, "client_secret": secret, "client_secret_expires_at": 0}
    return {**application(web, app), **more}


@ENDPOINTS.get("/api/v1/apps/verify_credentials")
async def verify(web: DoorContext, ask: DoorRequest) -> Any:
    """The app that a token is of. One that `banyan token add` made is of no app, and has its name alone."""
    if ask.token is None:
        raise HttpRefusal(401, "The access token is invalid", {"www-authenticate": "Bearer"})
    app = None if ask.token.client is None else app_of(web.door, ask.token.client)
    if app is None:
        app = App(0, "", ask.token.app, None, (SHOWN,), ask.token.scopes, ask.token.created)
    return application(web, app)


def application(web: DoorContext, app: App) -> dict[str, Any]:
    """The Application entity with what only the app is told."""
    return {
        "id": str(app.number),
        "name": app.name,
        "website": app.website,
        "scopes": list(app.scopes),
        "redirect_uri": "\n".join(app.redirects),
        "redirect_uris": list(app.redirects),
        "vapid_key": web.part(PushSubscribers).identity.server_key,
    }


def redirects_in(params: dict[str, Any]) -> list[str]:
    """Where an app wants people to be sent. Raises HttpRefusal."""
    said = texts(params, "redirect_uris") or texts(params, "redirect_uri")
    found = list(dict.fromkeys(part for one in said for part in one.split()))
    if not found:
        raise _invalid("Redirect URI can't be blank")
    if len(found) > MOST_REDIRECTS:
        raise _invalid(f"An app has at most {MOST_REDIRECTS} redirect URIs")
    for uri in found:
        if uri != SHOWN and not _is_redirect(uri):
            raise _invalid("Redirect URI must be an absolute URI")
    return found


def _is_redirect(uri: str) -> bool:
    """An absolute URI without a fragment (RFC 6749, 3.1.2), which no browser takes for a program."""
    if len(uri) > LONGEST or not _ADDRESS.fullmatch(uri) or "#" in uri or "\\" in uri:
        return False
    try:
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https"):
            return bool(parts.hostname) and "@" not in parts.netloc and (parts.port or 1) > 0
    except ValueError:
        return False
    return parts.scheme not in _NEVER


def _is_website(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and len(text) <= LONGEST and text.isprintable()


def _invalid(what: str) -> HttpRefusal:
    return HttpRefusal(422, f"Validation failed: {what}.")
