"""Decodes one picture and writes it anew, or makes the poster of one film: the program of a process that may fail, use
its memory up or be ended (decoders.py).

The file is standard input; the new picture goes to descriptor 3, a preview to descriptor 4, and one JSON object to
standard output. Nothing of the file survives but its pixels: they are pasted into a fresh picture, because Pillow
carries comments, EXIF and with it the place over from the picture that it opened.

Only four formats are tried. Size and number of frames are read from the heads before any pixel is decoded.
"""

import io
import json
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from math import copysign, cos, pi
from typing import Any, BinaryIO

from PIL import (
    GifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from banyan_node.media.decode_limits import MAX_PIXELS

# BlurHash (https://github.com/woltapp/blurhash): a blurred picture in some 30 letters of base 83, the first
# coefficients of a discrete cosine transform.

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_BASE = len(_LETTERS)
Rgb = tuple[float, float, float]


def blurhash(pixels: Sequence[tuple[int, int, int]], width: int, height: int, across: int = 4, down: int = 3) -> str:
    """pixels: sRGB, 0 to 255, row by row. across, down: how many components, 1 to 9. Costs width * height * across
    steps, so give it a picture of some 32 pixels."""
    linear = [(_LINEAR[r], _LINEAR[g], _LINEAR[b]) for r, g, b in pixels]
    columns = [[cos(pi * i * x / width) for x in range(width)] for i in range(across)]
    rows = [[cos(pi * j * y / height) for y in range(height)] for j in range(down)]
    lines = [[_sum(linear[y * width : (y + 1) * width], column) for y in range(height)] for column in columns]
    found = [
        _component(lines[i], rows[j], (1 if i == j == 0 else 2) / (width * height))
        for j in range(down)
        for i in range(across)
    ]
    most = max((abs(value) for one in found[1:] for value in one), default=0.0)
    steps = max(0, min(82, int(most * 166 - 0.5)))
    scale = (steps + 1) / 166 if len(found) > 1 else 1.0
    return (
        _text((across - 1) + (down - 1) * 9, 1)
        + _text(steps if len(found) > 1 else 0, 1)
        + _text(_average(found[0]), 4)
        + "".join(_text(_detail(one, scale), 2) for one in found[1:])
    )


def _component(lines: Sequence[Rgb], row: Sequence[float], scale: float) -> Rgb:
    """lines: the sum of each row of the picture, under the wave across it."""
    red, green, blue = _sum(lines, row)
    return red * scale, green * scale, blue * scale


def _sum(some: Sequence[Rgb], weights: Sequence[float]) -> Rgb:
    red = green = blue = 0.0
    for weight, (r, g, b) in zip(weights, some, strict=True):
        red, green, blue = red + weight * r, green + weight * g, blue + weight * b
    return red, green, blue


def _average(colour: Rgb) -> int:
    red, green, blue = map(_srgb, colour)
    return red << 16 | green << 8 | blue


def _detail(colour: Rgb, scale: float) -> int:
    red, green, blue = (max(0, min(18, int(copysign(abs(v / scale) ** 0.5, v) * 9 + 9.5))) for v in colour)
    return red * 19 * 19 + green * 19 + blue


def _text(value: int, digits: int) -> str:
    return "".join(_LETTERS[value // _BASE**k % _BASE] for k in reversed(range(digits)))


def _srgb(value: float) -> int:
    v = max(0.0, min(1.0, value))
    return int((v * 12.92 if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055) * 255 + 0.5)


_LINEAR = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (n / 255 for n in range(256))]


# -- decoding

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
READERS = (JpegImagePlugin, PngImagePlugin, WebPImagePlugin, GifImagePlugin)
"""Named so that they are loaded once: Pillow would load those of all formats, in each process."""
PICTURE_MEMORY = 1 << 30
"""Address space of this process, bytes: three times what the largest picture needs."""
PROCESSOR_S = 30
OUTPUT = 64 << 20
MAX_FRAMES = 500
MAX_MOVING = 64_000_000
"""Pixels of all frames of a moving picture together, after they were made smaller."""
PREVIEW = 400
"""The longer side of a preview, pixels."""
NEAR = 1.5
"""How many times as wide as the picture that is made libjpeg leaves a picture at least."""
LARGE_PNG = 1 << 20
"""A larger PNG is a photograph, and becomes a WebP."""


class BadPicture(Exception):
    """A sentence without a full stop, about "it"."""


def read_picture(word: str) -> None:
    """word: the longer side of the picture, pixels."""
    side = int(word)
    limit(PICTURE_MEMORY)
    Image.MAX_IMAGE_PIXELS = None  # ours says what is wrong
    try:
        found = _picture(os.fdopen(0, "rb"), side)
    except BadPicture as why:
        found = {"refused": str(why)}
    except UnidentifiedImageError:
        found = {"refused": "is no picture that can be decoded: JPEG, PNG, WebP and GIF can"}
    except MemoryError:
        found = {"refused": f"needs more memory than the {PICTURE_MEMORY >> 20} MiB that decoding may use"}
    except Exception as error:  # Pillow raises nearly anything for bytes that are not what their head says
        found = {"refused": f"is a damaged or truncated picture ({str(error)[:200] or type(error).__name__})"}
    sys.stdout.write(json.dumps(found))


def limit(memory: int) -> None:
    """What this process may use from now on. memory: bytes of address space."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, PROCESSOR_S),
        (resource.RLIMIT_FSIZE, OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a lower limit holds already, or this system has none
            resource.setrlimit(what, (most, most))


def _picture(file: BinaryIO, side: int) -> dict[str, Any]:
    with Image.open(file, formats=FORMATS) as opened:
        width, height = opened.size
        if width * height > MAX_PIXELS:
            raise BadPicture(
                f"has {width:,} x {height:,} pixels; at most {MAX_PIXELS // 1_000_000} million are decoded"
            )
        frames = _frames(opened)
        if frames > 1:
            shown, raw, kind = _moving(opened, frames, side)
        else:
            shown = _still(opened, side)
            raw, kind = _written(shown, opened.format or "")
    give(3, raw)
    found = {"type": kind, "width": shown.width, "height": shown.height, "frames": frames, "blurhash": blurred(shown)}
    if max(shown.size) > PREVIEW or frames > 1:
        shown.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS)
        opaque = shown.mode == "RGB"
        give(4, saved(shown, "JPEG", quality=80, optimize=True) if opaque else saved(shown, "WEBP", quality=80))
        found["preview"] = "image/jpeg" if opaque else "image/webp"
    return found


def _still(opened: Image.Image, side: int) -> Image.Image:
    """A picture that does not move, turned as the camera was held. It is made smaller first where its values can be
    mixed, because each copy of 12 million pixels takes some 15 ms. libjpeg makes it smaller while it decodes, as long
    as NEAR times the width stays. Of a photograph this is a ninth of the error that writing it as a JPEG makes, of thin
    lines a third (mean squares)."""
    width, height = opened.size
    near = NEAR * min(1.0, side / max(width, height))
    opened.draft("RGB", (int(width * near), int(height * near)))
    opened.load()
    mixes = opened.mode in ("RGB", "RGBA", "L", "CMYK") and "transparency" not in opened.info
    if mixes:
        opened.thumbnail((side, side), Image.Resampling.LANCZOS)
    shown = fresh(ImageOps.exif_transpose(opened))
    if not mixes:
        shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    return shown


def _frames(opened: Image.Image) -> int:
    """How many frames it has; an animated PNG is its first. Refuses too many without reading the rest."""
    if opened.format == "WEBP":
        frames = int(getattr(opened, "n_frames", 1))
    elif opened.format == "GIF":
        frames = 1
        with suppress(EOFError):
            while frames <= MAX_FRAMES:
                opened.seek(frames)
                frames += 1
        opened.seek(0)
    else:
        return 1
    if frames > MAX_FRAMES:
        raise BadPicture(f"has more than {MAX_FRAMES} frames; post it as a film")
    return frames


def _moving(opened: Image.Image, frames: int, side: int) -> tuple[Image.Image, bytes, str]:
    """A moving picture as WebP. Returns its first frame too."""
    width, height = opened.size
    side = min(side, int(max(width, height) * (MAX_MOVING / frames / (width * height)) ** 0.5))
    made, durations = list[Image.Image](), list[int]()
    for frame in range(frames):
        opened.seek(frame)
        one = fresh(opened)
        one.thumbnail((side, side), Image.Resampling.LANCZOS)
        made.append(one)
        durations.append(int(opened.info.get("duration") or 100))
    mode = "RGBA" if any(one.mode == "RGBA" for one in made) else "RGB"
    made = [one if one.mode == mode else one.convert(mode) for one in made]
    raw = saved(
        made[0], "WEBP", save_all=True, append_images=made[1:], duration=durations, loop=0, quality=80, method=2
    )
    return made[0], raw, "image/webp"


def fresh(opened: Image.Image) -> Image.Image:
    """The pixels alone, as RGB or, where some are transparent, RGBA; in the colours of a screen (sRGB)."""
    if opened.mode.startswith("I;16") or opened.mode == "I":
        opened = opened.point(lambda v: v / 256).convert("L")
    profile = opened.info.get("icc_profile")
    see_through = "A" in opened.getbands() or "transparency" in opened.info
    mode = "RGBA" if see_through else "RGB"
    if profile and opened.mode in ("RGB", "RGBA", "CMYK", "L"):
        with suppress(ImageCms.PyCMSError, OSError, ValueError):
            converted = ImageCms.profileToProfile(
                opened, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode=mode
            )
            opened = converted or opened
    made = Image.new(mode, opened.size)
    made.paste(opened.convert(mode))
    return made


def _written(shown: Image.Image, source: str) -> tuple[bytes, str]:
    """The picture in the format that suits where it came from."""
    if source == "JPEG":
        return saved(shown, "JPEG", quality=88, optimize=True, progressive=True), "image/jpeg"
    if source in ("PNG", "GIF") and len(raw := saved(shown, "PNG", optimize=True)) <= LARGE_PNG:
        return raw, "image/png"
    return saved(shown, "WEBP", quality=88), "image/webp"


def saved(shown: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    shown.save(file, kind, **how)
    return file.getvalue()


def give(descriptor: int, raw: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)


def blurred(shown: Image.Image) -> str:
    small = shown.convert("RGB").resize((32, 32), Image.Resampling.BOX)
    raw = small.tobytes()
    return blurhash(list(zip(raw[0::3], raw[1::3], raw[2::3], strict=True)), 32, 32)


# Films and sounds. The file is standard input; the poster goes to descriptor 4, and one JSON object to standard output.
# The demuxer is named by the caller, from the first bytes of the file: those that would open other files or addresses
# (playlists) are never tried.

FILM_MEMORY = 2 << 30
"""Address space, bytes: FFmpeg's threads reserve more than they use."""
DEMUXERS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/mpeg": "mpeg",
    "audio/mpeg": "mp3",
    "audio/mp4": "mp4",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/aac": "aac",
}
PLAYED = ("h264", "vp8", "vp9", "av1", "aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le", "pcm_u8")
"""Codecs that browsers play."""
POSTER_AT = 0.1
"""The share of the film after which its poster is taken: the first frame is often black."""


def read_film(word: str) -> None:
    """word: the media type of the file."""
    limit(FILM_MEMORY)
    try:
        found = _film(word)
    except MemoryError:
        found = {"failed": "it needs too much memory"}
    except Exception as error:  # av raises many for bytes that are not what their head says
        found = {"failed": _in_words(error)}
    sys.stdout.write(json.dumps(found))


def _in_words(error: Exception) -> str:
    """For people: without the numbers of FFmpeg."""
    if isinstance(error, (EOFError, StopIteration)):
        return "it ends too early"
    said = str(getattr(error, "strerror", "") or "")
    if said.startswith("Invalid data"):
        return "its bytes are not those of a whole file of its type"
    return f"FFmpeg says of it: {said[:200].rstrip('.')}" if said else f"reading it failed by a {type(error).__name__}"


def _film(kind: str) -> dict[str, Any]:
    import av

    av.logging.set_level(None)
    with os.fdopen(0, "rb") as file, av.open(file, mode="r", format=DEMUXERS[kind]) as container:
        found: dict[str, Any] = {}
        heard = [stream for stream in container.streams if stream.type in ("video", "audio")]
        codecs = [stream.codec_context.codec.canonical_name for stream in heard]
        found["unplayed"] = [codec for codec in dict.fromkeys(codecs) if codec not in PLAYED]
        if container.duration:
            found["duration_ms"] = container.duration // (av.time_base // 1000)
        if kind.startswith("audio/") or not container.streams.video:
            return found
        if container.duration:
            container.seek(int(container.duration * POSTER_AT))
        frame: Any = next(container.decode(video=0))
        poster = fresh(frame.to_image())
        turned = int(getattr(frame, "rotation", 0)) % 360
        if turned:
            poster = poster.rotate(turned, expand=True)
        found |= {"width": poster.width, "height": poster.height}
        poster.thumbnail((PREVIEW, PREVIEW))
        give(4, saved(poster, "JPEG", quality=80, optimize=True))
        return found | {"preview": "image/jpeg", "blurhash": blurred(poster)}
