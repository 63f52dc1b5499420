"""How people log in to the door: passwords (argon2id), links that work once, and the sessions of browsers."""

from __future__ import annotations

import secrets
import time
import unicodedata
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from nacl import pwhash
from nacl.exceptions import InvalidkeyError

from banyan_node.context import DoorData
from banyan_web.door_store import DoorStore, beside, hashed, tidy

LEAST, MOST = 10, 1_024
"""Characters of a password, and its bytes of UTF-8."""
LINK_S = 900
SESSION_S = 30 * 86_400
stretched = partial(
    pwhash.argon2id.str, opslimit=pwhash.argon2id.OPSLIMIT_INTERACTIVE, memlimit=pwhash.argon2id.MEMLIMIT_INTERACTIVE
)
"""A password as it is kept: each guess at it takes 64 MiB and some 0.1 s."""


class Login(NamedTuple):
    """Who can log in with a password. account: a DID. name: what is typed. created: seconds since 1970."""

    account: str
    name: str
    created: int


class Person(NamedTuple):
    """Who is logged in. account: a DID. name: by which it is hosted."""

    account: str
    name: str


def wrong_password(password: str) -> str | None:
    """Why a new password is refused, one sentence; None if it is good."""
    if len(password) < LEAST:
        return f"A password has at least {LEAST} characters."
    if len(_bytes(password)) > MOST:
        return f"A password has at most {MOST} bytes."
    return None


def set_password(door: DoorStore, account: str, name: str, password: str) -> None:
    """The account can log in with this password from now on; browsers that are logged in as it are so no more. Takes
    some 0.1 s."""
    made = stretched(_bytes(password)).decode()
    name = typed(name)
    with door.writing() as db:
        db.execute("delete from logins where account = ? or name = ?", (account, name))
        db.execute("insert into logins values (?, ?, ?, ?)", (account, name, made, int(time.time())))
        db.execute("delete from sessions where account = ?", (account,))


def logins(door: DoorStore) -> list[Login]:
    """By name."""
    return [Login(*row) for row in door.rows("select account, name, created from logins order by name")]


def login_of(door: DoorStore, account: str) -> Login | None:
    """None if the account has no password."""
    row = door.row("select account, name, created from logins where account = ?", account)
    return None if row is None else Login(*row)


def drop_login(door: DoorStore, account: str) -> bool:
    """Nobody logs in as the account any more, and browsers that did are logged out. Returns whether it had a
    password. Tokens of apps stay."""
    with door.writing() as db:
        had = bool(list(db.execute("select 1 from logins where account = ?", (account,))))
        for table in ("logins", "links", "sessions"):
            db.execute(f"delete from {table} where account = ?", (account,))
    return had


def who(door: DoorStore, name: str, password: str) -> Person | None:
    """Who has this name (or DID) and password. Takes some 0.1 s, also if nobody has the name."""
    row = door.row("select account, name, password from logins where name = ?1 or account = ?1", typed(name))
    raw = _bytes(password)
    if len(raw) > MOST:
        return None
    try:
        pwhash.verify(_nobodys() if row is None else row[2].encode(), raw)
    except InvalidkeyError:
        return None
    return None if row is None else Person(row[0], row[1])


@cache
def _nobodys() -> bytes:
    """A hash that no password fits: a name that there is not costs as much time as one that there is."""
    return stretched(secrets.token_bytes(32))


def typed(name: str) -> str:
    """A name as it is kept: the same for a letter with its accent in one character or two, as keyboards differ."""
    return unicodedata.normalize("NFC", name).strip()


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace")


# -- links and sessions: secrets, each of a person and for a time


def _new_secret(door: DoorStore, table: str, person: Person, seconds: int) -> str:
    raw, now = secrets.token_urlsafe(32), int(time.time())
    with door.writing() as db:
        door.end_terms(table)
        db.execute(f"insert into {table} values (?, ?, ?, ?)", (hashed(raw), *person, now + seconds))
    return raw


def _whose(door: DoorStore, table: str, raw: str) -> Person | None:
    what = f"select account, name from {table} where hash = ? and expires > ?"
    row = door.row(what, hashed(raw), time.time())
    return None if row is None else Person(*row)


def make_link(door: DoorStore, person: Person) -> str:
    """The secret of a link that logs a browser in, once, within LINK_S."""
    return _new_secret(door, "links", person, LINK_S)


def linked(door: DoorStore, raw: str) -> Person | None:
    """Whom a link logs in; it stays good."""
    return _whose(door, "links", raw)


def use_link(door: DoorStore, raw: str) -> str | None:
    """A new session for a link, which is used up."""
    with door.writing() as db:
        person = linked(door, raw)
        db.execute("delete from links where hash = ?", (hashed(raw),))
        return None if person is None else open_session(door, person)


def open_session(door: DoorStore, person: Person) -> str:
    """The secret of a new session, for a cookie."""
    return _new_secret(door, "sessions", person, SESSION_S)


def session(door: DoorStore, raw: str) -> Person | None:
    """Who is logged in."""
    return _whose(door, "sessions", raw)


def sessions(door: DoorStore, account: str) -> int:
    """How many browsers are logged in as the account."""
    return len(door.rows("select 1 from sessions where account = ? and expires > ?", account, time.time()))


def sign_out(door: DoorStore, account: str) -> tuple[int, int]:
    """Everywhere: browsers are logged out, links and tokens end. The password stays. Returns how many (browsers,
    tokens)."""
    with door.writing() as db:
        ended = sessions(door, account), len(door.tokens(account))
        for table in ("links", "sessions"):
            db.execute(f"delete from {table} where account = ?", (account,))
        door.revoke_all(account)
    return ended


def end_session(door: DoorStore, raw: str) -> None:
    door.write("delete from sessions where hash = ?", hashed(raw))


def at_door(path: Path) -> DoorData:
    """What the node does with the door's file, also while no door is open."""
    return DoorData(
        lambda account: beside(path, lambda door: door.forget(account)),
        lambda account: beside(path, lambda door: sign_out(door, account)),
        lambda: beside(path, tidy),
    )
