"""SNAP edge lists: `#` comments, then two whole numbers a line, `from to`, and perhaps a third (a time), not used here.

The whole file is read before anything is sent, so a word in the place of a number gives an error with its line number,
and not half a graph. Edges that repeat, or that lead to their own start, are counted and left out.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from banyan_cli.errors import BadInput
from banyan_cli.importing.plan import Batch, Plan, account_rows, no_archive, ordinary, source_of

FOLLOWS_PER_BATCH = 4000
LONGEST_LINE = 4096
"""Bytes of a line at most. An edge needs under 100; comments of SNAP have some hundred."""
UNPACKED, MOST_UNPACKED = 16 << 20, 20
"""A gzip file may unpack to so many bytes, or to so many times its own. Lists of edges pack to a third or a sixth; gzip
can pack zeros to a thousandth."""
LOOK_BYTES = 1 << 20
"""Bytes of lines between two looks at how much was read."""
_LINE = re.compile(rb"\s*([0-9]{1,18})[\s,]+([0-9]{1,18})([\s,]+-?[0-9.]{1,32})?\s*")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Graph:
    """`follows`: account -> whom it follows; accounts and follows in the order in which the file names them first.

    `edges`: lines read. `repeated`, `loops`: follows left out."""

    follows: dict[int, list[int]]
    edges: int
    repeated: int
    loops: int

    @property
    def count(self) -> int:
        """How many follows."""
        return sum(len(targets) for targets in self.follows.values())


def read_edges(
    path: Path, undirected: bool = False, limit: int | None = None, advance: Callable[[int], None] = lambda read: None
) -> Graph:
    """The graph of the first `limit` edges. advance: told how many bytes of the file were read, now and then.

    Raises BadInput, naming the line.
    """
    no_archive(path)
    try:
        ordinary(path)
        with path.open("rb") as file:
            return parse_edges(_lines(path, file, advance), str(path), undirected, limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{path} is a damaged gzip file ({error}); fetch it again.") from error


def _lines(path: Path, file: BinaryIO, advance: Callable[[int], None]) -> Iterator[bytes]:
    """The lines, unpacked if they are packed. A file that would unpack to very much more is refused before it does."""
    packed = file.read(2) == _GZIP
    file.seek(0)
    source: BinaryIO = io.BufferedReader(gzip.GzipFile(fileobj=file)) if packed else file
    number = out = looked = read = 0
    while line := source.readline(LONGEST_LINE + 1):
        number += 1
        out += len(line)
        if len(line) > LONGEST_LINE:
            raise BadInput(
                f"{path}, line {number}: more than {LONGEST_LINE:,} bytes, where two whole numbers were expected; "
                "nothing was imported."
            )
        if out >= looked + LOOK_BYTES:
            looked, before, read = out, read, file.tell()
            advance(read - before)
            if packed and out > max(UNPACKED, MOST_UNPACKED * read):
                raise BadInput(
                    f"{path}: its first {read:,} bytes unpack to {out:,}, which no list of edges does; nothing was "
                    f"imported. If it is one, unpack it with gunzip first."
                )
        yield line


def parse_edges(lines: Iterable[bytes], name: str, undirected: bool, limit: int | None) -> Graph:
    """Like read_edges, of lines in memory."""
    follows: dict[int, dict[int, None]] = {}
    edges = repeated = loops = 0
    for number, line in enumerate(lines, 1):
        if edges == limit:
            break
        bare = line.strip().removeprefix(b"\xef\xbb\xbf")
        if not bare or bare.startswith(b"#"):
            continue
        match = _LINE.fullmatch(bare)
        if match is None:
            shown = "".join(map(_visible, bare[:60].decode("utf-8", "backslashreplace")))
            raise BadInput(
                f"{name}, line {number}: expected two whole numbers, `from to`, and found '{shown}'; nothing was "
                "imported."
            )
        a, b = int(match[1]), int(match[2])
        edges += 1
        from_a, from_b = follows.setdefault(a, {}), follows.setdefault(b, {})
        if a == b:
            loops += 1
            continue
        repeated += b in from_a
        from_a[b] = None
        if undirected:
            repeated += a in from_b
            from_b[a] = None
    return Graph({a: list(targets) for a, targets in follows.items()}, edges, repeated, loops)


def _visible(character: str) -> str:
    """What is no text is written as its code, so that nothing in a file moves the cursor."""
    return character if character.isprintable() or character == "\t" else f"\\x{ord(character):02x}"


def graph_plan(path: Path, graph: Graph, undirected: bool, limit: int | None, prefix: str) -> Plan:
    """Accounts first, then whom each follows. `prefix`: put before each number to make a name."""

    def make() -> Iterator[Batch]:
        yield from account_rows(f"{prefix}{a}" for a in graph.follows)
        yield from _follow_batches(graph, prefix)

    batches = sum(1 for _ in make())
    source = source_of(path, "graph", undirected, limit, prefix)
    return Plan("graph", source, path.name, batches, len(graph.follows) + graph.count, make)


def _follow_batches(graph: Graph, prefix: str) -> Iterator[Batch]:
    batch: Batch = []
    size = 0
    for a, targets in graph.follows.items():
        if not targets:
            continue
        if batch and size + len(targets) > FOLLOWS_PER_BATCH:
            yield batch
            batch, size = [], 0
        batch.append([f"{prefix}{a}", [f"{prefix}{b}" for b in targets]])
        size += len(targets)
    if batch:
        yield batch
