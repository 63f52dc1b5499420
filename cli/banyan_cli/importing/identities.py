"""Who is who: names of people at another service, and their accounts here. And the file that says what did not come."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from banyan_cli.errors import BadInput
from banyan_cli.importing.plan import ordinary
from banyan_node.exporting.sinks import draft_of

LONGEST = 1_000
"""Characters."""
_HEADERS = {"here", "account", "did", "banyan", "account here"}


class IdentityMap:
    """Accounts here, by their names elsewhere: `@an@example.org`, a number, or a full name. Case does not matter."""

    def __init__(self, rows: Iterable[tuple[str, str]] = ()) -> None:
        self._here = {fold(there): here for there, here in rows}

    def here(self, names: Iterable[str]) -> str | None:
        """The account of a person of these names, or None."""
        return next((found for name in names if (found := self._here.get(fold(name)))), None)

    def accounts(self) -> list[str]:
        """All accounts, each once."""
        return list(dict.fromkeys(self._here.values()))


def fold(name: str) -> str:
    """The same for a name however it is typed. Nobody's name is longer than LONGEST."""
    return " ".join(unicodedata.normalize("NFC", name[:LONGEST]).casefold().split()).removeprefix("@")


def read_people(path: Path) -> IdentityMap:
    """A CSV file of two columns: the name there; the account here, an id or the name of one hosted here. Raises
    BadInput, naming the line."""
    rows = []
    try:
        ordinary(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) < 2 or not row[0].strip() or not row[1].strip():
                    raise BadInput(
                        f"{path}, line {reader.line_num}: expected the name there and the account here, with a comma "
                        "between; nothing was imported."
                    )
                if reader.line_num > 1 or row[1].strip().lower() not in _HEADERS:
                    rows.append((row[0], row[1].strip()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is no CSV file in UTF-8 ({error}); nothing was imported.") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    return IdentityMap(rows)


class Report:
    """The file that names what did not come, one line each. It is made with its first line, and has its name once it is
    closed, so that what stood there before is not lost for a part."""

    def __init__(self, path: Path | None) -> None:
        """path: None: nothing is written; no ordinary file: it is written there at once. Raises BadInput if it cannot
        be written."""
        self.path, self.lines = path, 0
        self._file: TextIO | None = None
        if path is None:
            return
        plain, there = path.is_file() or not path.exists(), path.resolve()
        self._draft = draft_of(there) if plain else path
        if not os.access(there.parent if plain else path, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise BadInput(f"{path} cannot be written; name another file by --report.")

    def add(self, why: str, name: str, place: str) -> None:
        self.lines += 1
        if self.path is None:
            return
        if self._file is None:
            try:
                self._file = self._draft.open("w", encoding="utf-8", newline="")
            except OSError as error:
                raise BadInput(f"{self.path} cannot be written: {error.strerror}; name a file by --report.") from error
            csv.writer(self._file).writerow(("why", "what", "where"))
        csv.writer(self._file).writerow((why, name, place))

    def close(self) -> None:
        if self._file is None or self.path is None:
            return
        with self._file as file:
            file.flush()
            if self._draft != self.path:
                os.fsync(file.fileno())
                self._draft.replace(self.path.resolve())
