"""Zstandard for the firehose: each piece is a frame of its own, so any of them can be read alone. Where HTTP itself
encodes (Accept-Encoding), the whole answer is one frame, because decoders of HTTP clients read one.

Pieces are small, so most of what repeats in them was said in an earlier one. A dictionary has it instead: one for
events, one for runs, each known by its SHA-256. They are made by `python -m bench dictionary` and come with the
program. A reader fetches one once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from backports.zstd import CompressionParameter, ZstdCompressor, ZstdDict

ZSTD = "zstd"
LEVEL = 3
WINDOW_LOG = 17
"""Of a piece, 128 KiB: a compressor needs little memory."""
FOLDER = "dictionaries"
_OPTIONS: dict[int, int] = {
    CompressionParameter.compression_level: LEVEL,
    CompressionParameter.window_log: WINDOW_LOG,
}


class Dictionary(NamedTuple):
    """of: the format that it is for. hash: SHA-256 of its bytes, by which readers name it."""

    of: str
    hash: str
    raw: bytes


@lru_cache(1)
def dictionaries() -> dict[str, Dictionary]:
    """Those that come with the program, by their hash."""
    found = {}
    for path in sorted((files(__package__) / FOLDER).iterdir(), key=lambda one: one.name):
        if path.name.endswith(".zdict"):
            raw = path.read_bytes()
            one = Dictionary(path.name.removesuffix(".zdict"), sha256(raw).hexdigest(), raw)
            found[one.hash] = one
    return found


@lru_cache(8)
def compressor(hash: str | None) -> ZstdCompressor:
    """One for all streams: what is compressed is a whole frame each time. hash: of a dictionary."""
    dictionary = None if hash is None else ZstdDict(dictionaries()[hash].raw)
    return ZstdCompressor(options=_OPTIONS, zstd_dict=None if dictionary is None else dictionary.as_digested_dict)


def pack(piece: bytes, hash: str | None) -> bytes:
    """A frame."""
    return compressor(hash).compress(piece, ZstdCompressor.FLUSH_FRAME)


async def packed(pieces: AsyncGenerator[bytes, None], hash: str | None) -> AsyncGenerator[bytes, None]:
    """The same pieces, each a frame."""
    async with aclosing(pieces):
        async for piece in pieces:
            yield pack(piece, hash)


def accepts_zstd(accept_encoding: str) -> bool:
    """Whether a client takes `Content-Encoding: zstd` (RFC 9110, 12.5.3)."""
    for one in accept_encoding.lower().split(","):
        name, _, weight = one.replace(" ", "").partition(";q=")
        if name == ZSTD:
            return weight.strip("0.") != "" or not weight
    return False


def encoded(first: bytes, pieces: AsyncGenerator[bytes, None]) -> tuple[bytes, AsyncGenerator[bytes, None]]:
    """The same as one frame, flushed behind each piece."""
    one = ZstdCompressor(options=_OPTIONS)

    async def rest() -> AsyncGenerator[bytes, None]:
        async with aclosing(pieces):
            async for piece in pieces:
                yield one.compress(piece, ZstdCompressor.FLUSH_BLOCK)
        yield one.flush(ZstdCompressor.FLUSH_FRAME)

    return one.compress(first, ZstdCompressor.FLUSH_BLOCK), rest()
