"""What the door itself must remember, in a SQLite file beside the store: its tables, how it is opened and written, and
tokens.

Of tokens, secrets, codes and cookies only hashes are kept, but for tokens that a push message carries: those are
sealed with the node's own secret. Nothing here is of the network. A row is on the disk before it is answered. Several
processes may have the file open: the node, and `banyan token` and `banyan login` beside it. oauth/apps.py has apps and
codes, oauth/logins.py passwords and sessions.
"""

from __future__ import annotations

import ctypes
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from banyan_node.home.audit import AuditLog
from banyan_node.home.folder import Home
from banyan_storage.errors import CorruptStore, StoreVersion
from banyan_storage.sqlite_errors import SqliteFile

# The tables of `door.db`, as the steps that lead to them.
#
# Step n makes a file of version n (`PRAGMA user_version`) one of version n + 1, in one transaction, so a process that
# is killed leaves a version or the next. A new file is of version 0. Steps are added at the end; one that was released
# stays as it is.

_FIRST = """
create table if not exists tokens (
    hash blob primary key, id text not null unique, account text, app text not null, scopes text not null,
    created integer not null, expires integer, client text, code blob
) without rowid;
create index if not exists tokens_account on tokens (account, created);
create index if not exists tokens_code on tokens (code) where code is not null;
create table if not exists apps (
    number integer primary key autoincrement, client text not null unique, secret blob not null, name text not null,
    website text, redirects text not null, scopes text not null, created integer not null, used integer
);
create index if not exists apps_unused on apps (number) where used is null;
create table if not exists codes (
    hash blob primary key, client text not null, account text not null, redirect text not null, scopes text not null,
    challenge text, expires integer not null
) without rowid;
create table if not exists logins (
    account text primary key, name text not null unique, password text not null, created integer not null
) without rowid;
create table if not exists links (
    hash blob primary key, account text not null, name text not null, expires integer not null
) without rowid;
create table if not exists sessions (
    hash blob primary key, account text not null, name text not null, expires integer not null
) without rowid;
create table if not exists defaults (
    account text primary key, privacy text not null, sensitive integer not null, language text
) without rowid;
create table if not exists writings (
    account text not null, key text not null, once text not null, created integer not null, answer text,
    primary key (account, key)
) without rowid;
create table if not exists uploads (
    id text primary key, account text not null, created integer not null, description text, focus_x real not null,
    focus_y real not null, kind text not null, made text, failed text
) without rowid;
create table if not exists reading (
    upload text primary key references uploads (id) on delete cascade, until integer not null
) without rowid;
create table if not exists posted (
    upload text primary key references uploads (id) on delete cascade, posts integer not null
) without rowid;
create table if not exists sealed (
    name blob primary key, said blob not null, kept integer not null, text blob not null
) without rowid;
create index if not exists sealed_by_age on sealed (kept);
create table if not exists sealed_of (
    about text not null, name blob not null references sealed (name) on delete cascade, primary key (about, name)
) without rowid;
create index if not exists sealed_of_name on sealed_of (name);
create table if not exists webhooks (
    id text primary key, owner text not null, url text not null, secret text not null, filters text not null,
    created integer not null, state text not null, cursor text, error text, failing integer, tried integer,
    delivered integer
) without rowid;
create table if not exists push_subscriptions (
    id integer primary key autoincrement, token text not null unique references tokens (id) on delete cascade,
    account text not null, endpoint text not null, p256dh blob not null, auth blob not null, standard integer not null,
    alerts text not null, policy text not null, sealed blob not null, heard text not null, created integer not null,
    failing integer, error text
);
create index if not exists push_by_account on push_subscriptions (account);
create table if not exists cards (
    url text not null primary key, said text, picture text, kind text, raw blob, kept integer not null
);
create index if not exists cards_by_picture on cards (picture) where picture is not null;
create index if not exists cards_by_age on cards (kept);
create table if not exists consumers (
    owner text not null, name text not null, cursor text not null, updated integer not null,
    primary key (owner, name)
) without rowid;
"""
_UPLOADS_IN_ONE_TABLE = """
alter table uploads add column read_until integer;
alter table uploads add column posts integer not null default 0;
update uploads set
    read_until = (select until from reading where upload = id),
    posts = coalesce((select posts from posted where upload = id), 0);
drop table reading;
drop table posted
"""
_KEYS_AT_THE_NODE = """
drop table writings;
drop table sealed_of;
drop table sealed
"""
_WHO_MAY_QUOTE = "alter table defaults add column quoters text not null default 'public'"
MIGRATIONS = (_FIRST, _FIRST + _UPLOADS_IN_ONE_TABLE, _KEYS_AT_THE_NODE, _WHO_MAY_QUOTE)
"""SQL. Files of version 1 have those of the first tables that there were when they were last opened."""
_SQL = ";".join(MIGRATIONS)
TABLES = {*re.findall(r"create table if not exists (\w+)", _SQL)} - {*re.findall(r"drop table (\w+)", _SQL)}
"""Of a file that is up to date."""
SCOPES = ("read", "write", "follow", "push", "host", "admin", "firehose")
FOLLOW = frozenset({"blocks", "follows", "mutes"})
"""Of which `follow` allows reading and writing, as in old versions of Mastodon."""
LOST = "passwords, tokens, apps, push subscriptions, webhooks, consumers' cursors and uploads that are not posted yet"
"""What is in the door's file alone."""
BUSY_S = 5
"""How long one process waits for another that writes."""
DAY_S = 86_400
TERMS = {
    "tokens": "expires <= :now",
    "codes": "expires <= :now",
    "links": "expires <= :now",
    "sessions": "expires <= :now",
    "uploads": f"created < :now - {DAY_S}",
    "cards": f"kept < :now - {14 * DAY_S}",
}
"""Rows that are of no use any more; `now` in seconds since 1970."""


class Token(NamedTuple):
    """What a token allows. account: a DID; None: of an app alone. app: its name. expires: seconds since 1970. client:
    the app's `client_id`; None if no app asked for it."""

    id: str
    account: str | None
    app: str
    scopes: tuple[str, ...]
    created: int
    expires: int | None
    client: str | None = None

    def allows(self, scope: str) -> bool:
        """scope: such as `read` or `write:statuses`; a token with `read` has all that begin with it."""
        top, _, part = scope.partition(":")
        return scope in self.scopes or top in self.scopes or ("follow" in self.scopes and part in FOLLOW)


class DoorStore:
    """Any thread. All that reads or writes raises StorageError."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError."""
        self._lock = threading.RLock()
        self._written = 0
        self.path = path
        self._errors = _sqlite(path).errors
        with self._errors():
            self._open()

    def _open(self) -> None:
        self.path.touch(0o600)
        _refuse_what_is_empty(self.path)
        self._db = apsw.Connection(str(self.path))
        self._db.set_busy_timeout(BUSY_S * 1000)
        stay = ctypes.c_int(1)  # the files beside it stay at the end: on a full disk they could not be made again
        self._db.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(stay))
        for setting in ("journal_mode = wal", "secure_delete = on", "synchronous = full", "foreign_keys = on"):
            self._set(setting)  # of several in one call, those behind a row would wait for it
        while self._migrate():
            pass

    def _set(self, setting: str) -> None:
        """Waits for processes that open a new file at the same time: SQLite itself does not, where it changes the
        mode."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                list(self._db.execute(f"pragma {setting}"))
                return
            except apsw.BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def _migrate(self) -> bool:
        """One step, if there is one. Where there is none nothing is written, so a node starts on a full disk."""
        with self.writing() as db:
            found = _version(db, self.path)
            if found < len(MIGRATIONS):
                db.execute(f"{MIGRATIONS[found]}; pragma user_version = {found + 1}")
            return found < len(MIGRATIONS)

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """A transaction: all or nothing. One inside another is a part of it."""
        with self._lock, self._errors():
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("begin immediate")  # one that read first could not wait for another process
            try:
                yield self._db
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:  # SQLite ends it itself where the disk is full
                    self._db.execute("rollback")
                raise
            self._written += 1

    @property
    def version(self) -> tuple[int, int]:
        """Another one after each write, of any process."""
        return self._written, self.rows("pragma data_version")[0][0]

    def forget(self, account: str) -> None:
        """Forgets all that is kept of the account. It is overwritten in the file, and in the one beside it."""
        with self.writing() as db:
            for (table,) in list(db.execute("select name from sqlite_master where type = 'table'")):
                for _, column, *_ in list(db.execute(f"pragma table_info({table})")):
                    if column in ("account", "owner"):
                        db.execute(f"delete from {table} where {column} = ?", (account,))
        self.rows("pragma wal_checkpoint(truncate)")

    def end_terms(self, *tables: str) -> None:
        """Deletes rows whose term has ended; default: of all tables."""
        with self.writing() as db:
            for table in tables or TERMS:
                db.execute(f"delete from {table} where {TERMS[table]}", {"now": int(time.time())})

    def rows(self, what: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with self._lock, self._errors():
            return list(self._db.execute(what, values))

    def row(self, what: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row that a query finds."""
        return next(iter(self.rows(what, *values)), None)

    def write(self, what: str, *values: Any) -> int:
        """One statement. Returns how many rows it changed."""
        with self.writing() as db:
            db.execute(what, values)
            return db.changes()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @property
    def audit(self) -> AuditLog:
        """The audit log of the node, for what is done to tokens and logins."""
        return AuditLog(Home(self.path.parent).audit)

    # -- tokens

    def mint(
        self,
        account: str | None,
        app: str,
        scopes: tuple[str, ...],
        seconds: int | None = None,
        client: str | None = None,
        code: bytes | None = None,
    ) -> str:
        """A new token. seconds: how long it lasts; None: until it is revoked. code: the hash of the code that it was
        given for."""
        raw, now = secrets.token_urlsafe(32), int(time.time())
        expires = None if seconds is None else now + seconds
        row = (hashed(raw), secrets.token_hex(8), account, app, " ".join(scopes), now, expires, client, code)
        with self.writing() as db:
            self.end_terms("tokens")
            db.execute("insert into tokens values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return raw

    def token(self, raw: str) -> Token | None:
        """What a token allows; None if there is none, or none any more."""
        row = self.row(f"select {_TOKEN} from tokens where hash = ?", hashed(raw))
        if row is None or (row[5] is not None and row[5] <= time.time()):
            return None
        return _token(row)

    def good_until(self, hash_: bytes) -> float | None:
        """Until when a token or the session of a browser is good, in seconds since 1970. None: for ever; 0: it is not.
        hash_: of its secret."""
        what = "select expires from tokens where hash = ?1 union all select expires from sessions where hash = ?1"
        row: tuple[float | None] = self.row(what, hash_) or (0.0,)
        return row[0]

    def platforms(self) -> set[str]:
        """The labels of those that have a token of their own which is good."""
        what = (
            "select distinct app from tokens where account is null and ' ' || scopes || ' ' like '% host %' "
            "and (expires is null or expires > ?)"
        )
        return {str(app) for (app,) in self.rows(what, time.time())}

    def tokens(self, account: str | None = None) -> list[Token]:
        """Those that are valid, of the account or of all, the newest first."""
        what = (
            f"select {_TOKEN} from tokens where (expires is null or expires > ?1) and (?2 is null or account = ?2) "
            "order by created desc, id"
        )
        return [_token(row) for row in self.rows(what, time.time(), account)]

    def revoke(self, raw: str) -> None:
        """The token allows nothing any more. One that there is not is no mistake."""
        self.write("delete from tokens where hash = ?", hashed(raw))

    def revoke_all(self, account: str) -> None:
        """Tokens of the account allow nothing any more, and codes become none."""
        with self.writing() as db:
            for table in ("tokens", "codes"):
                db.execute(f"delete from {table} where account = ?", (account,))

    def revoke_id(self, id_: str, account: str | None = None) -> None:
        """The same by the id of the token, if it is of this account; None: whosever it is."""
        self.write("delete from tokens where id = ?1 and (?2 is null or account = ?2)", id_, account)


_TOKEN = "id, account, app, scopes, created, expires, client"


def _token(row: Sequence[Any]) -> Token:
    return Token(row[0], row[1], row[2], tuple(row[3].split()), *row[4:])


def _sqlite(path: Path) -> SqliteFile:
    remedy = "stop the node and put a copy back, or let `banyan store repair` set it aside, which loses"
    return SqliteFile(path, "the door's file", f"{remedy} {LOST}; posts and accounts stay")


def beside(path: Path, do: Callable[[DoorStore], object]) -> None:
    """Does it with the door's file, if a door was ever open. Raises StorageError."""
    if not path.exists():
        return
    with closing(DoorStore(path)) as door:
        do(door)


def _refuse_what_is_empty(path: Path) -> None:
    """Raises CorruptError if there is no file of SQLite where one was: what is beside it stays for good."""
    # In this order: another process may be making both, and it fills the file before it makes the one beside it.
    if path.is_dir() or (Path(f"{path}-wal").exists() and path.stat().st_size == 0):
        raise apsw.CorruptError("it is a folder" if path.is_dir() else "it is empty")


def _version(db: apsw.Connection, path: Path) -> int:
    """Of the file. Raises CorruptError if its tables are not those of that, StoreVersion if it is a newer one."""
    (found,), known = next(iter(db.execute("pragma user_version"))), len(MIGRATIONS)
    if found > known:
        raise StoreVersion(
            f"{path} is of version {found}, and this banyan reads versions up to {known}: "
            "start the newer one that wrote it, or put back a copy from before."
        )
    held = {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
    if (found == known and TABLES - held) or (held and not found):
        raise apsw.CorruptError("its tables are not those of a door")
    return int(found)


def check(path: Path) -> None:
    """Reads all pages of the file, also beside a running node. Raises CorruptStore, another StorageError."""
    with _sqlite(path).errors():
        _refuse_what_is_empty(path)
        with closing(apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)) as db:
            db.set_busy_timeout(BUSY_S * 1000)
            found = str(next(iter(db.execute("pragma quick_check(1)")))[0])
            if found != "ok":
                raise apsw.CorruptError(" ".join(found.split()))
            _version(db, path)


def tidy(door: DoorStore) -> None:
    """Deletes what has ended. Raises CorruptStore also for damage where nobody reads."""
    door.end_terms()
    check(door.path)


def damage_of(path: Path) -> str | None:
    """What is wrong with the file, and what to do; None: nothing, or there is none. Raises StorageError."""
    try:
        if path.exists():
            check(path)
    except CorruptStore as why:
        return str(why)
    return None


def set_aside(path: Path) -> None:
    """Moves the file to `door.db-damaged`. Raises OSError."""
    for end in ("-wal", "-shm", ""):  # last the file itself: a new one must not find what was written beside it
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").replace(f"{path}-damaged{end}")


def hashed(raw: str) -> bytes:
    """Of something random of 256 bits, which needs no slow hash."""
    return sha256(raw.encode("utf-8", "surrogatepass")).digest()
