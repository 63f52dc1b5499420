"""Posts from a CSV file: one column is the text; others may name the author, the thread and the time.

`posts_plan` makes posts of many accounts: a thread (an article, a topic) becomes one post by the press account, and
each of its rows an answer to it. If no column names the author, rows are spread over a number of accounts in turn. The
file is read twice. The first reading checks every row, so that a bad row gives an error with its line before anything
is sent; the second one sends. `reading` gives the posts of one account that moves in: threads of any depth, by ids and
ids of parents.

Text is written in NFC, as everywhere in Banyan. Otherwise it is unchanged, including line breaks within quotes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from banyan_cli.errors import BadInput
from banyan_cli.importing import streams
from banyan_cli.importing.archives import Archive
from banyan_cli.importing.model import BROKEN, MOST_ID, ArchiveContents, Found, Item, Omission, any_ms, line, plain
from banyan_cli.importing.plan import Batch, Plan, account_rows, no_archive, source_of

POSTS_PER_BATCH = 500
BYTES_PER_BATCH = 1 << 20
MAX_TEXT = 32_768
MAX_NAME = 256
"""Bytes of UTF-8."""
csv.field_size_limit(1 << 24)


class CommentColumns(NamedTuple):
    """Names of columns; None: not there. authors: over how many accounts rows without an author are spread."""

    text: str
    author: str | None = None
    thread: str | None = None
    time: str | None = None
    authors: int = 100
    press: str = "press"


class Comment(NamedTuple):
    """row: its number in the file, from 1. thread: None for a post that answers nothing."""

    row: int
    author: str
    thread: str | None
    text: str
    time_ms: int | None


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first reading found. `threads`: title -> time of its first row. `empty`: rows without text."""

    authors: tuple[str, ...]
    threads: dict[str, int | None]
    comments: int
    empty: int


def read_comments(path: Path, columns: CommentColumns) -> Iterator[Comment]:
    """Rows with text, in order. Raises BadInput, naming the line."""
    for comment in _all_rows(path, columns):
        if comment.text:
            yield comment


def survey(path: Path, columns: CommentColumns) -> Survey:
    """Check every row. Raises BadInput."""
    authors: dict[str, None] = {}
    threads: dict[str, int | None] = {}
    comments = empty = 0
    for comment in _all_rows(path, columns):
        if not comment.text:
            empty += 1
            continue
        comments += 1
        authors[comment.author] = None
        if comment.thread is not None:
            threads.setdefault(comment.thread, comment.time_ms)
    return Survey(tuple(authors), threads, comments, empty)


def posts_plan(path: Path, columns: CommentColumns, found: Survey) -> Plan:
    """Accounts, then the threads' opening posts, then the rows."""
    names = list(dict.fromkeys([*([columns.press] if found.threads else []), *found.authors]))

    def make() -> Iterator[Batch]:
        yield from account_rows(names)
        articles = (
            {"article": title, "by": columns.press, "text": title, "time_ms": time}
            for title, time in found.threads.items()
        )
        yield from _post_batches(articles)
        yield from _post_batches(map(_row, read_comments(path, columns)))

    batches = sum(1 for _ in make())
    rows = len(names) + len(found.threads) + found.comments
    return Plan("posts", source_of(path, "posts", *columns), path.name, batches, rows, make)


def _post_batches(rows: Iterable[dict[str, Any]]) -> Iterator[Batch]:
    """Bounded in number and in bytes: a batch travels in one request."""
    batch: Batch = []
    size = 0
    for row in rows:
        more = len(row["text"].encode()) + 256
        if batch and (len(batch) == POSTS_PER_BATCH or size + more > BYTES_PER_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += more
    if batch:
        yield batch


def _row(comment: Comment) -> dict[str, Any]:
    return {
        "author": comment.author,
        "thread": comment.thread,
        "text": comment.text,
        "time_ms": comment.time_ms,
        "row": comment.row,
    }


def _all_rows(path: Path, columns: CommentColumns) -> Iterator[Comment]:
    with _opened(path) as file:
        rows = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            header = next(rows, [])
            if not header:
                raise BadInput(f"{path} is empty; its first line should name the columns.")
            place = _places(str(path), header, columns[:4])
            for number, row in enumerate(filter(None, rows), 1):
                yield _comment(f"{path}, line {rows.line_num}", number, row, place, columns)
        except csv.Error as error:
            raise BadInput(f"{path}, line {rows.line_num}: not CSV ({error}); nothing was imported.") from error
        except UnicodeDecodeError as error:
            raise _not_text(path) from error


def _not_text(path: Path) -> BadInput:
    """Names the line; the reader decodes many at once and cannot."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                where = f"line {number}, byte {line[error.start]:02x}"
                return BadInput(f"{path} is not UTF-8 ({where}); convert it, for example with iconv.")
    return BadInput(f"{path} changed while it was read; import it again.")


def _places(name: str, header: list[str], wanted: Iterable[str | None]) -> dict[str, int]:
    """Column -> index, of those that are wanted. Raises BadInput."""
    there = [_nfc(column.strip()) for column in header]
    for column in filter(None, wanted):
        if _nfc(column) not in there:
            raise BadInput(f"{name} has no column '{column}'; it has {', '.join(map(repr, there))}.")
    return {column: there.index(_nfc(column)) for column in filter(None, wanted)}


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _comment(where: str, number: int, row: list[str], places: dict[str, int], columns: CommentColumns) -> Comment:
    if len(row) <= max(places.values()):
        raise BadInput(
            f"{where}: {len(row)} columns, where at least {max(places.values()) + 1} are needed; nothing was imported."
        )

    def field(name: str | None) -> str:
        return "" if name is None else _nfc(row[places[name]])

    text = field(columns.text)
    if not text.strip():
        text = ""
    author = _name(where, field(columns.author)) or _spread(number, columns.authors)
    thread = field(columns.thread).strip() or None
    for what, value in (("the text", text), ("the thread", thread or "")):
        if len(value.encode()) > MAX_TEXT:
            raise BadInput(f"{where}: {what} has {len(value.encode())} bytes and {MAX_TEXT} is the most; shorten it.")
    return Comment(number, author, thread, text, _time(where, field(columns.time)))


def _name(where: str, text: str) -> str:
    name = " ".join(text.split())
    if len(name.encode()) > MAX_NAME:
        raise BadInput(f"{where}: the author has {len(name.encode())} bytes and {MAX_NAME} is the most; shorten it.")
    return name


def _spread(number: int, authors: int) -> str:
    """`reader 007`: rows go around the accounts in turn."""
    return f"reader {(number - 1) % authors + 1:0{max(3, len(str(authors)))}d}"


def _time(where: str, text: str) -> int | None:
    """Milliseconds since 1970; None where there is no time."""
    if not text.strip():
        return None
    time_ms = any_ms(text.strip())
    if time_ms is None or not 0 <= time_ms < 1 << 48:
        raise BadInput(f"{where}: '{text.strip()[:40]}' is no time; give seconds since 1970 or ISO 8601.")
    return time_ms


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOWrapper]:
    no_archive(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield file


class PostColumns(NamedTuple):
    """Names of columns; None: not there. tags: with spaces or commas between them."""

    text: str
    id: str | None = None
    parent: str | None = None
    time: str | None = None
    lang: str | None = None
    warning: str | None = None
    tags: str | None = None


def reading(archive: Archive, columns: PostColumns, service: str | None = None) -> ArchiveContents:
    """service: tells the ids of two files apart; default: the name of the file. Raises BadInput if a column is not
    there."""
    if len(archive.files) != 1:
        raise BadInput(f"{archive.label} has {len(archive.files)} files; name one CSV file.")
    (name,) = archive.files
    delimiter = "\t" if name.lower().endswith(".tsv") else ","
    first = next((row for _, row in streams.rows(archive, name, delimiter)), None)
    if first is None or isinstance(first, Omission):
        raise BadInput(f"{archive.label} is no CSV file; its first line should name the columns.")
    _places(archive.label, first, columns)

    def read() -> Iterator[Found]:
        for where, row in streams.named(archive, name, delimiter):
            if isinstance(row, Omission):
                yield row
            else:
                yield _item({_nfc(key): cell for key, cell in row.items()}, columns, where)

    return ArchiveContents((service or f"csv {name}")[:256], read)


@contextmanager
def uri_file(path: Path | None) -> Iterator[Callable[[str, str], None]]:
    """Yields what writes a line `id,uri` of each post; None: nothing is written. Raises BadInput."""
    if path is None:
        yield lambda item, uri: None
        return
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.") from error
    with file:
        lines = csv.writer(file)
        lines.writerow(("id", "uri"))
        yield lambda item, uri: lines.writerow((item, uri)) and None


def _item(row: dict[str, str], columns: PostColumns, where: str) -> Item | Omission:
    def cell(column: str | None) -> str:
        return "" if column is None else row.get(_nfc(column), "")

    text, time = plain(cell(columns.text)), cell(columns.time).strip()
    if columns.id is None:  # rows before it may come and go
        this = hashlib.sha256(f"{time}\0{text}".encode()).hexdigest()[:32]
    else:
        this = line(cell(columns.id))
        if not 0 < len(this) <= MOST_ID:
            return Omission(BROKEN, where, "its id is too long" if this else "it has no id")
    tags = tuple(plain(cell(columns.tags)).replace(",", " ").split())
    return Item(
        this,
        text,
        any_ms(time),
        where,
        line(cell(columns.parent)) or None,
        line(cell(columns.lang)) or None,
        line(cell(columns.warning)) or None,
        tags=tags or None,
    )
