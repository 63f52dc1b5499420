"""Pictures and other files for tests, made as they are needed."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

PLACE = b"ba dinh square"
"""What a camera wrote into `photo`: a comment and a description that must not be posted."""


def photo(path: Path, width: int = 1600, height: int = 1200) -> Path:
    """A JPEG of a camera held upright: EXIF with orientation, description and place, and a comment."""
    path.write_bytes(_photo(width, height))
    return path


@cache
def _photo(width: int, height: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, PLACE.decode()
    exif.get_ifd(0x8825)[1] = "N"
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    made = io.BytesIO()
    picture.save(made, "JPEG", exif=exif, comment=PLACE, quality=90)
    return made.getvalue()


def gif(path: Path, frames: int) -> Path:
    """A moving picture. Its frames are copies of the second, so that many cost nothing to make."""
    pictures = [Image.new("L", (8, 8), shade) for shade in (0, 128, 255)]
    made = io.BytesIO()
    pictures[0].save(made, "GIF", save_all=True, append_images=pictures[1:], duration=50)
    raw = made.getvalue()
    marks = [at for at in range(len(raw)) if raw[at : at + 3] == b"\x21\xf9\x04"]
    before, frame, after = raw[: marks[1]], raw[marks[1] : marks[2]], raw[marks[2] :]
    path.write_bytes(before + frame * (frames - 2) + after)
    return path


def bomb(path: Path, side: int = 50_000) -> Path:
    """A small PNG that says that it is large."""

    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = piece(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    lines = piece(b"IDAT", zlib.compress(bytes(1_000_000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + lines + piece(b"IEND", b""))
    return path


def film(path: Path, size: int) -> Path:
    """What begins as an MP4 does; its chunks differ."""
    head = struct.pack(">I", 24) + b"ftypisom" + struct.pack(">I", 512) + b"isommp41"
    path.write_bytes((head + np.arange(size // 8 + 1, dtype=">u8").tobytes())[:size])
    return path
