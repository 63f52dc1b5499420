"""Who may use the HTTP door: passwords and links for people, tokens for programs.

They are kept in the home's `door.db`, so these commands work beside a running node, which sees at once what they
change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import Hosted, argument, some_account
from banyan_cli.show.tables import ago, columns, count
from banyan_schema import dates

if TYPE_CHECKING:
    from banyan_web.door_store import DoorStore, Token

_login = root.group("login", "Who can log in at the HTTP door (`banyan up --http`).")
_token = root.group("token", "Tokens with which programs use the HTTP door.")
Name = Annotated[str, argument("An account hosted here: its name or id.", some_account)]
DAY_S = 86_400
MOST_DAYS = 36_500
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Where a browser of this machine finds a door that listens at all addresses."""


_LOGINS = columns(("name", "name"), ("since", lambda row: ago(row["created"] * 1000)), ("account", "account"))
_TOKENS = columns(
    ("id", "id"),
    ("app", "app"),
    ("scopes", lambda row: " ".join(row["scopes"])),
    ("made", lambda row: ago(row["created"] * 1000)),
    ("ends", lambda row: "never" if row["expires"] is None else dates.day(row["expires"] * 1000)),
    ("account", lambda row: row["account"] or "the node"),
)


@_login.command("set")
def set_login(
    s: Session,
    name: Hosted,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from standard input, one line.")] = False,
) -> None:
    """Give an account a password, or another one. Browsers that are logged in as it are then logged out."""
    from banyan_web.oauth.logins import logins, set_password, typed, wrong_password

    account, known = _hosted(s, name)
    password = _password(stdin)
    if (wrong := wrong_password(password)) is not None:
        raise BadInput(wrong)
    known = typed(known)
    with door_of(s) as door:
        if any(login.name == known and login.account != account for login in logins(door)):
            known = account  # two people of one name: this one types the id
        _note(door, "login.set", account=account, name=known)
        set_password(door, account, known, password)
    s.out.done({"account": account, "name": known}, f"{known or account} can log in with this password.")


@_login.command("list")
def list_logins(s: Session) -> None:
    """The accounts that have a password."""
    from banyan_web.oauth.logins import logins

    with door_of(s) as door:
        rows = [login._asdict() for login in logins(door)]
    s.out.answers(rows, _LOGINS, "Nobody has a password yet: `banyan login set NAME` gives one.")


@_login.command("drop")
def drop_login(s: Session, name: Hosted) -> None:
    """Take the password of an account away, its links, and the sessions of its browsers. Tokens of its apps stay."""
    from banyan_web.oauth import logins

    with door_of(s) as door:
        known = [login for login in logins.logins(door) if name in (login.name, login.account)]
        account = known[0].account if known else refs.account(s, name)
        _note(door, "login.drop", account=account)
        had = logins.drop_login(door, account)
        left = len(door.tokens(account))
    s.out.done(
        {"account": account, "had_password": had, "tokens": left},
        "It cannot log in any more." if had else "It had no password; its links and sessions have ended.",
    )
    if left:
        s.out.note(f"{count(left, 'token')} of it still work: `banyan token list`, `banyan token revoke ID`.")


@_login.command("link")
def link(s: Session, name: Hosted) -> None:
    """Make a link that logs a browser in as the account, once, within 15 minutes. It needs no password."""
    from banyan_web.oauth.logins import LINK_S, Person, make_link

    account, known = _hosted(s, name)
    base = _url(s)
    with door_of(s) as door:
        _note(door, "login.link", account=account)
        raw = make_link(door, Person(account, known or account))
    url = f"{base}/login/link/{raw}"
    s.out.done({"account": account, "url": url, "seconds": LINK_S}, url)
    s.out.note(f"Good once, for {LINK_S // 60} minutes. Whoever opens it is {known or account}.")


@_token.command("add")
def add_token(
    s: Session,
    name: Annotated[str | None, argument("The account that it acts for; none: for the node.", some_account)] = None,
    scopes: Annotated[
        str, typer.Option(help="What it allows: read write follow push host admin firehose, read:statuses ...")
    ] = "read",
    days: Annotated[int | None, typer.Option(min=1, max=MOST_DAYS, help="How long it lasts.")] = None,
    label: Annotated[str, typer.Option(help="What `token list` calls it.")] = "banyan token add",
) -> None:
    """Make a token, and show it this once."""
    from banyan_web.oauth.apps import EVERY, scopes_in
    from banyan_web.refusals import HttpRefusal

    try:
        given = scopes_in(scopes, EVERY)
    except HttpRefusal as why:
        raise BadInput(why.message) from why
    if not given:
        raise BadInput('--scopes is empty; say what the token allows, such as --scopes "read write".')
    account = None if name is None else _hosted(s, name)[0]
    with door_of(s) as door:
        _note(door, "token.add", account=account, label=label, scopes=list(given), days=days)
        raw = door.mint(account, label, given, None if days is None else days * DAY_S)
        made = door.token(raw)
    assert made is not None
    s.out.done({**_token_json(made), "token": raw}, raw)
    s.out.note(f"Shown this once. Send it as `Authorization: Bearer ...`; `banyan token revoke {made.id}` ends it.")


@_token.command("list")
def list_tokens(
    s: Session, name: Annotated[str | None, argument("Only those of this account.", some_account)] = None
) -> None:
    """The tokens that are valid, those of apps too, the newest first."""
    account = None if name is None else refs.account(s, name)
    with door_of(s) as door:
        rows = [_token_json(token) for token in door.tokens(account)]
    s.out.answers(rows, _TOKENS, "No token is valid.")


@_token.command("revoke")
def revoke_token(
    s: Session, id: Annotated[str, typer.Argument(metavar="ID", help="As `banyan token list` shows it.")]
) -> None:
    """End a token at once."""
    with door_of(s) as door:
        known = [token.id for token in door.tokens()]
        found = refs.one_of("token", id, known, "`banyan token list`")
        _note(door, "token.revoke", id=found)
        door.revoke_id(found)
    s.out.done({"revoked": found}, "It allows nothing any more.")


def _note(door: DoorStore, do: str, **given: Any) -> None:
    """In the audit log, before it is done. Raises StorageError."""
    from banyan_node.home.audit import AT_REST

    door.audit.append(AT_REST, do, given)


@contextmanager
def door_of(s: Session) -> Iterator[DoorStore]:
    """What the door keeps, with or without a running node."""
    from banyan_web.door_store import DoorStore

    if not s.home.keys.exists():
        raise BadInput(f"There is no node in {s.home.path}; `banyan init` makes one.")
    with closing(DoorStore(s.home.door)) as door:
        yield door


def log_out(s: Session, account: str) -> None:
    """Everywhere at the door, if it was ever open; tokens end too."""
    from banyan_web.oauth.logins import sign_out

    if s.home.door.exists():
        with door_of(s) as door:
            sign_out(door, account)


def _hosted(s: Session, name: str) -> tuple[str, str]:
    """The account, and the name under which it is hosted here, or that of its profile."""
    account = refs.account(s, name)
    shown = s.call("account.show", account=account)
    if not shown["hosted"]:
        raise BadInput(f"{account} is not hosted here; only accounts of `banyan account list` can log in at this node.")
    if shown["closed"]:
        raise BadInput(f"{account} is closed, and nobody logs in or acts as it. Only its recovery key undoes that.")
    return account, str(shown["name"] or s.call("profile.get", account=account)["name"] or account)


def _password(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise BadInput("A password is asked for and there is no terminal; give it with --stdin.")
    return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True))


def _url(s: Session) -> str:
    """Where browsers find the door: what the settings say; else where the running node serves it, which a flag may have
    said; else where it will."""
    http, node = s.settings.config.http, s.node()
    if http.url:
        return http.url
    open_now = [] if node is None else node.call("id")["doors"]
    for address in [*open_now, http.address]:
        if address and not address.startswith("unix:") and not address.endswith(":0"):
            host, _, port = address.rpartition(":")
            return f"http://{EVERYWHERE.get(host, host)}:{port}"
    raise BadInput(
        "Where the door is cannot be told: `banyan config set http.url https://...` is the address by which "
        "browsers know it, or `banyan config set http.address 127.0.0.1:8080` opens it there."
    )


def _token_json(token: Token) -> dict[str, Any]:
    return {**token._asdict(), "scopes": list(token.scopes)}
