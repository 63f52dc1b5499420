"""SNAP edge lists: `#` comments, then two whole numbers a line, `from to`, and perhaps a third (a time), not used here.

The whole file is read before anything is sent, so a word in the place of a number gives an error with its line number,
and not half a graph. Edges that repeat, or that lead to their own start, are counted and left out.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from banyan_cli.errors import BadInput
from banyan_cli.importing.plan import Batch, Plan, account_rows, no_archive, source_of

FOLLOWS_PER_BATCH = 4000
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


def read_edges(path: Path, undirected: bool = False, limit: int | None = None) -> Graph:
    """The graph of the first `limit` edges. Raises BadInput, naming the line."""
    no_archive(path)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            lines: Iterable[bytes] = gzip.GzipFile(fileobj=file) if packed else file
            return parse_edges(lines, str(path), undirected, limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{path} is a damaged gzip file ({error}); fetch it again.") from error


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
