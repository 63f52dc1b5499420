"""Frames on a stream: u32 big-endian length, then that many bytes. No I/O."""

import struct
from collections.abc import Iterable, Iterator

PREFIX = struct.Struct(">I")
READ_SIZE = 64 * 1024
# One yamux frame of this size, with its header of 12 bytes, is the largest noise message (65,519 bytes of plaintext).
# Where packets carry 660 bytes or more it arrives in fewer than the 100 pieces at which other py-libp2p peers give up.
WRITE_SIZE = 65_507


class LinkFrameReader:
    """Frames out of bytes that come in pieces. `len`: bytes that are not taken yet."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def clear(self) -> None:
        self._bytes.clear()

    @property
    def announced(self) -> int | None:
        """Bytes of the next frame, whose length has come; else None."""
        return int(PREFIX.unpack_from(self._bytes)[0]) if len(self._bytes) >= PREFIX.size else None

    def is_whole(self) -> bool:
        """Whether the next frame has come."""
        return (size := self.announced) is not None and len(self._bytes) >= PREFIX.size + size

    def take(self) -> bytes:
        """The next frame, which has come."""
        end = PREFIX.size + (self.announced or 0)
        with memoryview(self._bytes) as whole, whole[PREFIX.size : end] as part:
            frame = bytes(part)
        del self._bytes[:end]
        return frame


def pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts one after the other, in pieces for one write each. Many links wait in the middle of a megabyte, so the
    whole is never joined."""
    piece: list[bytes | memoryview] = []
    room = WRITE_SIZE
    for part in parts:
        at = 0
        while len(part) - at >= room:
            piece.append(memoryview(part)[at : at + room])
            at += room
            yield b"".join(piece)
            piece, room = [], WRITE_SIZE
        piece.append(memoryview(part)[at:] if at else part)
        room -= len(part) - at
    if room < WRITE_SIZE:
        yield b"".join(piece)
