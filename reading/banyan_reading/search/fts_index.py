"""The index: a table of posts and SQLite's FTS5, which answers the newest first without reading the others.

A post's row number is its time in milliseconds and 20 bits that tell posts of one time apart. FTS5 gives rows in the
order of their numbers, so the newest twenty of a common word cost no more than those of a rare one, and a span of time
is a span of rows. Filters are words too, in a column of their own.

What was deleted is overwritten: neither the words nor the text stay in the file, nor, after `tidy`, in the one beside
it that SQLite writes first.

The file belongs to one store. It notes with each commit how far it has read the store's changes. What is wrong with it
is never the store's loss: a damaged one is made again. Each page has a checksum (SQLite's own extension cksumvfs), so
that damage is noticed where it is read, and nothing that was there is missing without a word.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import compress, decompress
from zlib import error as DecompressError

import apsw
from apsw import sqlite_extra

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.search.query import SearchQuery, Term
from banyan_reading.timelines import APART
from banyan_schema.social import Target
from banyan_storage.errors import DiskFailed, IndexDamaged
from banyan_storage.sqlite_errors import SqliteFile

VERSION = 4
"""Raise it by one when the same post is indexed otherwise; then the index is made again."""
PATIENCE_MS = 5_000
"""How long one connection waits for another that writes."""
CHECKSUM_BYTES = 8
"""At the end of each page."""
_REMEDY = "it is made again"
_LATEST = (1 << 63 - APART) - 1


HOUR_MS = 3_600_000
_SEEN = "account not in (select unhex(value) from json_each(?))"


class Document(NamedTuple):
    """A post as it is indexed. exact, folded: its words, with a space between two. marks: what filters ask for. tags:
    folded."""

    post: Target
    time_ms: int
    exact: str
    folded: str
    marks: str
    tags: tuple[str, ...] = ()


class Trend(NamedTuple):
    """A tag, how many accounts used it within the time asked for, and in how many posts of each hour, the oldest
    first."""

    tag: str
    accounts: int
    posts: tuple[int, ...]


class FtsIndex:
    """One connection to the index. Not for two threads at a time; several may be open, of which one writes."""

    def __init__(self, path: Path, store_id: bytes) -> None:
        """An index of another store is emptied, a damaged one or one of another version made again. Raises
        StorageError."""
        self._path, self._store = path, store_id
        self._as_sqlite = SqliteFile(path, "the search index", _REMEDY, IndexDamaged)
        self.untidy = False
        """Whether something was removed that may still be in the file beside it."""
        try:
            with self._errors():
                self._open()
        except IndexDamaged:
            with self._errors():
                remove(path)
                self._open()

    def _open(self) -> None:
        with suppress(OSError):  # SQLite says why it cannot be opened; its other files get the mode of this one
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._path.chmod(0o600)
        self._db = apsw.Connection(str(self._path), vfs=_checking())
        self._db.set_busy_timeout(PATIENCE_MS)
        self._db.reserve_bytes(reserve=CHECKSUM_BYTES)  # of a new file
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma secure_delete=on")
        self._db.execute("pragma synchronous=normal")  # after a power cut it reads some changes again
        self._file = _identity(self._path)
        version = self._noted("version")
        if version is not None and version != VERSION:
            raise IndexDamaged(f"the search index {self._path} is of another version; it is made again")
        if version is None or self._noted("store") != self._store:
            self.empty()

    @property
    def replaced(self) -> bool:
        """Whether another file, or none, is in its place by now."""
        return _identity(self._path) != self._file

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._as_sqlite.errors():
                yield
        except DecompressError as why:
            raise IndexDamaged(f"the search index {self._path} is damaged ({why}); {_REMEDY}") from why
        except apsw.Error as why:
            raise DiskFailed(f"the search index {self._path} failed ({why}); delete it, and {_REMEDY}") from why

    def close(self) -> None:
        """Nothing is used afterwards."""
        self._db.close()

    def _noted(self, name: str) -> object:
        try:
            return next(iter(self._db.execute("select value from notes where name = ?", (name,))), (None,))[0]
        except apsw.SQLError:  # there is no such table yet
            return None

    def empty(self) -> None:
        """Forgets all posts. Raises StorageError."""
        with self._errors(), self._db:
            for table in ("notes", "documents", "posts", "tags"):
                self._db.execute(f"drop table if exists {table}")
            self._db.execute("create table notes (name text primary key, value)")
            self._db.execute(
                "create table documents "
                "(row integer primary key, account blob, key blob, said blob, unique (account, key))"
            )
            self._db.execute("create table tags (hour integer, tag text, account blob, row integer)")
            self._db.execute("create index tags_by_hour on tags (hour, tag, account)")
            self._db.execute("create index tags_by_row on tags (row)")
            self._db.execute(
                "create virtual table posts using fts5 (folded, exact, marks, content='', "
                "prefix='3', tokenize='unicode61 remove_diacritics 0')"
            )
            self._db.execute("insert into posts (posts, rank) values ('secure-delete', 1)")
            self._note("store", self._store)
            self._note("version", VERSION)
            self._note("read", -1)

    def _note(self, name: str, value: object) -> None:
        self._db.execute("insert or replace into notes values (?, ?)", (name, value))

    @property
    def read(self) -> int:
        """The number of the last change that it has read; -1 if all posts must be read."""
        with self._errors():
            found = self._noted("read")
        return found if isinstance(found, int) else -1

    @contextmanager
    def commit(self, read: int | None = None) -> Iterator[None]:
        """All or nothing of what is done inside. read: see `read`. Raises StorageError."""
        with self._errors(), self._db:
            yield
            if read is not None:
                self._note("read", read)

    def put(self, documents: Iterable[Document]) -> None:
        """Adds posts, or replaces them."""
        for document in documents:
            self.remove([document.post])
            row = self._free(document.time_ms)
            said = "\0".join([document.exact, document.folded, document.marks])
            kept = "insert into documents values (?, ?, ?, ?)"
            self._db.execute(kept, (row, *document.post, compress(said.encode(), 1)))
            words = "insert into posts (rowid, exact, folded, marks) values (?, ?, ?, ?)"
            self._db.execute(words, (row, document.exact, document.folded, document.marks))
            hour = (row >> APART) // HOUR_MS
            tags = [(hour, tag, document.post.account, row) for tag in document.tags]
            self._db.executemany("insert into tags values (?, ?, ?, ?)", tags)

    def remove(self, posts: Iterable[Target]) -> None:
        """Removes posts; those that are not there are no mistake."""
        for post in posts:
            self.untidy = True
            gone = "delete from documents where account = ? and key = ? returning row, said"
            for row, said in list(self._db.execute(gone, tuple(post))):
                words = decompress(said).decode().split("\0")  # without them their rows of the index would stay
                remove = "insert into posts (posts, rowid, exact, folded, marks) values ('delete', ?, ?, ?, ?)"
                self._db.execute(remove, (row, *words))
                self._db.execute("delete from tags where row = ?", (row,))

    def tidy(self) -> None:
        """Takes what was removed out of the file beside the index too, unless somebody reads just now."""
        with self._errors():
            busy = next(iter(self._db.execute("pragma wal_checkpoint(truncate)")))[0]
        self.untidy = bool(busy)

    def _free(self, time_ms: int) -> int:
        """A row number for a post of this time."""
        first = min(max(time_ms, 0), _LATEST) << APART
        span = first, first | (1 << APART) - 1
        last = next(iter(self._db.execute("select max(row) from documents where row between ? and ?", span)))[0]
        return first if last is None else int(last) + 1

    def count(self) -> int:
        """How many posts are in it."""
        with self._errors():
            return int(next(iter(self._db.execute("select count(*) from documents")))[0])

    def trends(
        self, now_ms: int, hours: int, limit: int, unseen: Iterable[AccountId] = (), only: str | None = None
    ) -> list[Trend]:
        """The tags that most accounts used in the last hours, this one included; those of as many by their posts, then
        by name. unseen: accounts that are not counted. only: this tag, folded. Raises StorageError."""
        last = now_ms // HOUR_MS
        without = json.dumps([account.hex() for account in unseen])
        span = (last - hours + 1, last, without)
        with self._errors():
            most = self._db.execute(
                "select tag, count(distinct account) as accounts, count(*) as posts from tags "
                f"where hour between ? and ? and {_SEEN} and tag = coalesce(?, tag) "
                "group by tag order by accounts desc, posts desc, tag limit ?",
                (*span, only, limit),
            )
            found = []
            for tag, accounts, _ in list(most):
                counts = [0] * hours
                of_tag = f"where tag = ? and hour between ? and ? and {_SEEN}"
                by_hour = self._db.execute(f"select hour, count(*) from tags {of_tag} group by hour", (tag, *span))
                for hour, posts in by_hour:
                    counts[hour - span[0]] = posts
                found.append(Trend(tag, accounts, tuple(counts)))
        return found

    def find(self, question: SearchQuery, marks: Sequence[str], before: int | None) -> Iterator[tuple[int, Target]]:
        """(row, post), newest first. marks: more that must be there. before: the last row of the page before. Raises
        StorageError."""
        low = min(question.since_ms or 0, _LATEST) << APART
        high = (1 << 63) - 1 if question.until_ms is None else (min(question.until_ms, _LATEST) << APART) - 1
        if before is not None:
            high = min(high, before - 1)
        with self._errors():
            rows = self._db.execute(
                "select p.rowid, d.account, d.key from posts p join documents d on d.row = p.rowid "
                "where posts match ? and p.rowid between ? and ? order by p.rowid desc",
                (_match(question, [*question.marks, *marks]), low, high),
            )
            for row, account, key in rows:
                yield row, Target(AccountId(account), CellKey(key))


def used(path: Path) -> int:
    """Bytes that an index takes, as of its last checkpoint, and those of the file beside it; 0 if there is none. Pages
    that hold nothing are not counted: they are written again before it grows."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
            size = file.seek(0, os.SEEK_END)
        beside = Path(f"{path}-wal")
        size += beside.stat().st_size if beside.exists() else 0
    except OSError:
        return 0
    page, empty = int.from_bytes(head[16:18], "big"), int.from_bytes(head[36:40], "big")  # the format of SQLite
    return max(0, size - (65_536 if page == 1 else page) * empty)


def remove(path: Path) -> None:
    """Removes an index; it is made again. Raises OSError."""
    for end in ("-wal", "-shm", ""):
        Path(f"{path}{end}").unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@cache
def _checking() -> str:
    """The name of what reads and writes files with checksums of their pages. It is loaded through a connection."""
    with closing(apsw.Connection(":memory:")) as any_connection:
        sqlite_extra.load(any_connection, "cksumvfs")
    return "cksmvfs"


def _match(question: SearchQuery, marks: Sequence[str]) -> str:
    """The question in the language of FTS5. All words are quoted, so that none is taken for an operator."""
    wanted = [f'marks : "{mark}"' for mark in marks] + [_column(term) for term in question.wanted]
    if question.tags:
        wanted.append(" OR ".join(f'marks : "{mark}"' for mark in question.tags))
    found = " AND ".join(f"({one})" for one in wanted)
    for term in question.unwanted:
        found = f"({found}) NOT ({_column(term)})"
    return found


def _column(term: Term) -> str:
    star = " *" if term.beginning else ""
    return f'{"exact" if term.exactly else "folded"} : "{" ".join(term.words)}"{star}'
