"""The files of a log as C2SP tlog-tiles names them: tiles of 256 hashes, and bundles of 256 entries.

    tile/L/N[.p/W]         hashes of subtrees of 256^L leaves, from N * 256 on; W of them if the tile is not full
    tile/entries/N[.p/W]   entries, each behind its length as two bytes

A full tile never changes, and one of W hashes neither: a log that grows has another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from banyan_crdt.errors import Malformed
from banyan_translog.merkle import MOST_LEAVES, Hashes, node_hash

WIDTH, HEIGHT = 256, 8
"""Hashes of a full tile; levels of the tree in one level of tiles."""
MOST_ENTRY_BYTES = (1 << 16) - 1
_NAME = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """level: None for entries. index: its place in the level. width: WIDTH if it is full."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Below the address of the log."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        *above, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
        name = "/".join([*("x" + one for one in above), last])
        part = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{name}{part}"


def tile_of(path: str) -> Tile:
    """The inverse of `path`. Raises Malformed."""
    found = _NAME.fullmatch(path)
    if found is not None and len(found[2]) < 40:
        index, width = int(re.sub("[x/]", "", found[2])), int(found[3] or WIDTH)
        tile = Tile(None if found[1] == "entries" else int(found[1]), index, width)
        if tile.path == path and (tile.width < WIDTH or not found[3]) and (tile.level or 0) < 64:
            return tile
    raise Malformed(f"'{path[:80]}' names no tile, as tile/0/x001/067 and tile/entries/000.p/12 do")


def tiles(size: int, known: int = 0) -> Iterator[Tile]:
    """The tiles of hashes of a log of this size, lowest level first; without the full ones of a log of `known`."""
    level = 0
    while count := size >> HEIGHT * level:
        for index in range((known >> HEIGHT * level) // WIDTH, -(-count // WIDTH)):
            yield Tile(level, index, min(WIDTH, count - index * WIDTH))
        level += 1


def in_tile(level: int, index: int) -> tuple[int, int, int, int]:
    """Of which hashes of which tile a perfect subtree is made: level and index of the tile, the first one, how many."""
    above = level % HEIGHT
    first = index << above
    return level // HEIGHT, first // WIDTH, first % WIDTH, 1 << above


def tile_hash(tile: bytes, first: int, count: int) -> bytes:
    """The root of `count` hashes of a tile, a power of two."""
    row = [tile[at : at + 32] for at in range(32 * first, 32 * (first + count), 32)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def tile_bytes(hashes: Hashes, tile: Tile) -> bytes:
    """What stands in a tile of hashes."""
    level, first = HEIGHT * (tile.level or 0), tile.index * WIDTH
    return b"".join(hashes(level, first + n) for n in range(tile.width))


def bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each behind its length. Raises Malformed."""
    if any(not 0 < len(one) <= MOST_ENTRY_BYTES for one in entries):
        raise Malformed(f"an entry of a log has 1 to {MOST_ENTRY_BYTES} bytes")
    return b"".join(len(one).to_bytes(2, "big") + one for one in entries)


def entries_of(raw: bytes, count: int) -> list[bytes]:
    """The entries of a bundle. Raises Malformed unless it has exactly `count`."""
    found, at = list[bytes](), 0
    while at + 2 <= len(raw) and len(found) < count:
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        found.append(raw[at + 2 : end])
        at = end
    if at != len(raw) or len(found) != count:
        raise Malformed(f"a bundle of {count} entries ends at byte {at} of {len(raw)}, after {len(found)} entries")
    return found


def size_of(text: str) -> int:
    """A decimal number of leaves, without zeros before it. Raises Malformed."""
    if re.fullmatch(r"0|[1-9][0-9]{0,18}", text, re.ASCII) and int(text) <= MOST_LEAVES:
        return int(text)
    raise Malformed(f"'{text[:40]}' is not the size of a log, a decimal number without zeros before it")
