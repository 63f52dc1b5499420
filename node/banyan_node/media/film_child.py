"""Reads one film or sound and makes its poster: the program of a process that may fail, as picture_child.py is.

The file is standard input; the poster goes to descriptor 4, and one JSON object to standard output. The demuxer is
named by the caller, from the first bytes of the file: those that would open other files or addresses (playlists) are
never tried.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from banyan_node.media.picture_child import PREVIEW, blurred, fresh, give, limit, saved

MEMORY = 2 << 30
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


def main(word: str) -> None:
    """word: the media type of the file."""
    limit(MEMORY)
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
