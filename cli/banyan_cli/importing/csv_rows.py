"""Rows of a CSV file of an archive, as a stream, with the place of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from banyan_cli.importing.archives import Archive
from banyan_cli.importing.json_stream import REST
from banyan_cli.importing.moved import BROKEN, Left

MOST_FIELD = 1 << 24
"""Characters of one field."""


def rows(archive: Archive, name: str, delimiter: str = ",") -> Iterator[tuple[str, list[str] | Left]]:
    """(place, row) of all rows that are not empty, the first with the names of columns too. A file that is broken ends
    in a Left, which says that the rest was not read."""
    csv.field_size_limit(MOST_FIELD)
    with archive.open(name) as raw, io.TextIOWrapper(raw, "utf-8-sig", "replace", newline="") as text:
        found = csv.reader(text, delimiter=delimiter)
        while True:
            try:
                row = next(found)
            except StopIteration:
                return
            except csv.Error as error:
                where = f"{name}, line {found.line_num}"
                yield where, Left(BROKEN, where, f"{error}{REST}")
                return
            if any(row):
                yield f"{name}, line {found.line_num}", row


def named(archive: Archive, name: str, delimiter: str = ",") -> Iterator[tuple[str, dict[str, str] | Left]]:
    """(place, row) by the names in the first row. A field that a short row lacks is empty."""
    columns: list[str] | None = None
    for where, row in rows(archive, name, delimiter):
        if isinstance(row, Left):
            yield where, row
        elif columns is None:
            columns = [column.strip() for column in row]
        else:
            yield where, {**dict.fromkeys(columns, ""), **dict(zip(columns, row, strict=False))}
