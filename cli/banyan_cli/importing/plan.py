"""An import as numbered batches: the same source and options always give the same batches.

This makes an import resumable: a node counts the batches that are durable, and a later command sends from there on.
`source` names content and options together, so a changed file is another import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from banyan_cli.errors import BadInput

ACCOUNTS_PER_BATCH = 250
"""Accounts in one batch. Each costs a few signatures; this many take about half a second."""

Batch: TypeAlias = list[Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be sent. `batches`, `rows`: how many. `make`: makes the batches, from the first one on at each call."""

    kind: Literal["graph", "posts"]
    source: str
    label: str
    batches: int
    rows: int
    make: Callable[[], Iterator[Batch]]


def source_of(path: Path, *options: object) -> str:
    """SHA-256 over the file's bytes and the options that shape its batches, in hex."""
    digest = hashlib.sha256(repr(options).encode() + b"\0")
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def ordinary(path: Path) -> None:
    """Raises BadInput for a pipe or a device, which may have no end, and for a folder."""
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is no ordinary file; name one.")


def no_archive(path: Path) -> None:
    """Raises BadInput if the file is an archive, which has a command of its own."""
    from banyan_storage.archive import MAGIC

    ordinary(path)
    with path.open("rb") as file:
        if MAGIC in file.read(100):
            raise BadInput(f"{path} is an archive that `banyan export` wrote; read it with `banyan import archive`.")


def account_rows(names: Iterable[str]) -> Iterator[Batch]:
    """One batch of one row for each few accounts."""
    for some in chunks(names, ACCOUNTS_PER_BATCH):
        yield [{"accounts": some}]


def chunks(items: Iterable[_T], most: int) -> Iterator[list[_T]]:
    """The items in lists of at most that many."""
    rest = iter(items)
    while some := list(islice(rest, most)):
        yield some


def weight(batch: Batch) -> int:
    """What a batch adds to a progress bar: accounts, follows and posts."""
    return sum(_weight(row) for row in batch)


def _weight(row: Any) -> int:
    if isinstance(row, dict):
        return len(row["accounts"]) if "accounts" in row else 1
    return len(row[1])
