"""Posts of one account from a CSV file whose columns are named: threads of any depth, by ids and ids of parents."""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from banyan_cli.errors import BadInput
from banyan_cli.importing import streams
from banyan_cli.importing.archives import Archive
from banyan_cli.importing.model import BROKEN, MOST_ID, ArchiveContents, Found, Item, Omission, any_ms, line, plain


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
    there = [unicodedata.normalize("NFC", column.strip()) for column in first]
    for wanted in filter(None, columns):
        if unicodedata.normalize("NFC", wanted) not in there:
            raise BadInput(f"{archive.label} has no column '{wanted}'; it has {', '.join(map(repr, there))}.")

    def read() -> Iterator[Found]:
        for where, row in streams.named(archive, name, delimiter):
            if isinstance(row, Omission):
                yield row
            else:
                yield _item({unicodedata.normalize("NFC", key): cell for key, cell in row.items()}, columns, where)

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
        return "" if column is None else row.get(unicodedata.normalize("NFC", column), "")

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
