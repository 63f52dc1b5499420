"""How the firehose is written: JSON lines, server-sent events, or frames with the signed entries; and how it is
compressed."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import msgspec
from backports.zstd import CompressionParameter, ZstdCompressor, ZstdDict

from banyan_crdt.firehose import BEGIN, END, FRONTIER, MAGIC, PLACE, frame
from banyan_node.operator_errors import CallError
from banyan_web.firehose.tail import EVENTS, RUNS, Source, TailEvent, TailKind

KNOWN = 100_000
"""Accounts of which a stream remembers that it told their control logs."""


class Form(Protocol):
    """How events are written. reading: what they are made of."""

    content_type: str
    reading: TailKind

    def events(self, some: Sequence[TailEvent]) -> bytes: ...

    def note(self, kind: str, cursor: str, **more: Any) -> bytes:
        """begin, heartbeat, frontier, end: what is no event."""

    async def before(self, source: Source, some: Iterable[TailEvent]) -> bytes:
        """What a reader must know to understand these events. Raises CallError."""


class Lines:
    """One JSON value a line."""

    content_type = "application/x-ndjson"
    reading = EVENTS

    def events(self, some: Sequence[TailEvent]) -> bytes:
        return b"".join([one.line + b"\n" for one in some])

    def note(self, kind: str, cursor: str, **more: Any) -> bytes:
        return _note(kind, cursor, more) + b"\n"

    async def before(self, source: Source, some: Iterable[TailEvent]) -> bytes:
        return b""


class ServerSentEvents:
    """As browsers read it: the id is the cursor, so that an EventSource continues by itself. Notes have a name, so
    that `onmessage` gets events alone."""

    content_type = "text/event-stream"
    reading = EVENTS

    def events(self, some: Sequence[TailEvent]) -> bytes:
        return b"".join([b"id: %b\ndata: %b\n\n" % (one.cursor.encode(), one.line) for one in some])

    def note(self, kind: str, cursor: str, **more: Any) -> bytes:
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor.encode(), kind.encode(), _note(kind, cursor, more))

    async def before(self, source: Source, some: Iterable[TailEvent]) -> bytes:
        return b""


class CborFrames:
    """Frames of CBOR (crdt/banyan_crdt/firehose.py). realm: its id. whole: whether the reader begins at the beginning,
    where each control log comes before what it lets count; otherwise it is told with the first run of its account."""

    content_type = "application/vnd.banyan.firehose"
    reading = RUNS

    def __init__(self, realm: bytes, whole: bool) -> None:
        self._realm = realm
        self._known: set[str] | None = None if whole else set()

    def events(self, some: Sequence[TailEvent]) -> bytes:
        now = _now_ms()
        return b"".join([one.line + frame(PLACE, one.cursor.encode(), now) for one in some])

    def note(self, kind: str, cursor: str, **more: Any) -> bytes:
        place = cursor.encode()
        if kind == "begin":
            return frame(BEGIN, MAGIC, self._realm, place, _now_ms())
        if kind == "frontier":
            return frame(FRONTIER, place, more["frontier"].encode())
        if kind == "end":
            return frame(END, place, more["why"].encode(), more["message"].encode())
        return frame(PLACE, place, _now_ms())

    async def before(self, source: Source, some: Iterable[TailEvent]) -> bytes:
        if self._known is None:
            return b""
        if len(self._known) > KNOWN:
            self._known.clear()
        new = dict.fromkeys(one.account for one in some if one.account not in self._known)
        self._known.update(new)
        return b"".join([await _control(source, account) for account in new])


async def _control(source: Source, account: str) -> bytes:
    """The control log of an account; nothing if it went meanwhile."""
    try:
        found = await source.call("firehose.control", {"account": account})
    except CallError as why:
        if why.code != "not_found":
            raise
        return b""
    return b64decode(found["frames"])


def _note(kind: str, cursor: str, more: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({"kind": kind, "cursor": cursor, "time_ms": _now_ms(), **more})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# Zstandard: each piece is a frame of its own, so any of them can be read alone. Where HTTP itself encodes
# (Accept-Encoding), the whole answer is one frame, because decoders of HTTP clients read one. Most of what repeats in a
# piece was said in an earlier one; a dictionary has it instead: one for events, one for runs, each known by its
# SHA-256, made by `python -m bench dictionary`. They come with the program, and a reader fetches one once.

ZSTD = "zstd"
LEVEL = 3
WINDOW_LOG = 17
"""Of a piece, 128 KiB: a compressor needs little memory."""
FOLDER = "dictionaries"
_OPTIONS: dict[int, int] = {CompressionParameter.compression_level: LEVEL, CompressionParameter.window_log: WINDOW_LOG}


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
