"""Puts a file of this machine into the blobs: what it is, what of it is stored, that it stayed the same, and the item
of media made of it."""

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

import filetype
from msgspec import DecodeError, Struct, json

from banyan_crdt.blob import MAX_BLOB, BlobList, BlobRoot
from banyan_crdt.errors import Malformed
from banyan_node.context import Context
from banyan_node.home.folder import Home
from banyan_node.media.decoders import Decoders, Program
from banyan_node.media.local_blobs import BlobNote, about_bytes, about_of, whole
from banyan_node.operator_errors import CallError, bad_request, conflict
from banyan_schema.media import Media
from banyan_storage.blobs import BlobStore

# What a file is: by decoding it, or by its first bytes, and never by its name.
#
# Pictures are decoded and written anew by a process of their own (decoders.py). Films and sounds are recognised and
# stay as they are. Captions are read here.

HEAD = 8_192
"""First bytes that tell what a file is."""
DEADLINE_S = 30.0
"""For one picture. A photograph of 50 million pixels takes 2 s."""
MAX_PICTURE = 256 << 20
MAX_CAPTIONS = 1 << 20
"""Bytes of a file that is read as a picture, and as captions."""
PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif")
_AS_IT_IS = "It is posted as it is, with all that was written into it, such as the place."
_NO_EXTRA = "It has no poster and no length: `pip install 'banyan-social[video]'` makes them."
_TYPES = {"video/x-m4v": "video/mp4", "audio/x-flac": "audio/flac", "audio/x-wav": "audio/wav"}
"""What `filetype` calls by other names than browsers do."""
FILMS = ("video/mp4", "video/webm", "video/quicktime", "video/x-matroska", "video/mpeg")
SOUNDS = ("audio/mpeg", "audio/mp4", "audio/ogg", "audio/flac", "audio/wav", "audio/aac")
_TIME = r"(?:\d{2,}:)?[0-5]\d:[0-5]\d\.\d{3}"
_CUE = re.compile(rf"^({_TIME})[ \t]+-->[ \t]+({_TIME})(?:[ \t].*)?$")


class ProbeResult(NamedTuple):
    """about: without its preview. file: what is to be stored. preview, preview_type: a smaller picture, if there is
    one."""

    about: BlobNote
    file: IO[bytes]
    preview: IO[bytes] | None
    preview_type: str


class _ChildAnswer(Struct):
    """What the child answers."""

    refused: str = ""
    type: str = ""
    width: int = 0
    height: int = 0
    frames: int = 1
    blurhash: str | None = None
    preview: str = ""


class _FilmAnswer(Struct):
    """The same of a film. failed: why it could not be read. unplayed: codecs that browsers do not play."""

    failed: str = ""
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    blurhash: str | None = None
    preview: str = ""
    unplayed: list[str] = []


def refuse(name: str, what: str) -> CallError:
    """The refusal of a file. what: a sentence about "it", without its subject and full stop."""
    return bad_request(f"{name} {what}.")


@contextmanager
def looked(file: IO[bytes], name: str, side: int, decoders: Decoders) -> Iterator[ProbeResult]:
    """What the file is, and what of it is stored. side: the longer side of a picture, pixels; larger ones are made
    smaller. Raises CallError."""
    head = file.read(HEAD)
    file.seek(0)
    guess = filetype.guess(head)
    kind = "" if guess is None else _TYPES.get(guess.mime, guess.mime)
    if kind in PICTURES:
        with tempfile.TemporaryFile() as made, tempfile.TemporaryFile() as preview:
            yield _picture(file, name, side, made, preview, decoders)
    elif head.removeprefix(b"\xef\xbb\xbf")[:6] == b"WEBVTT":
        _check_captions(file, name)
        file.seek(0)
        yield ProbeResult(BlobNote("text/vtt"), file, None, "")
    elif kind in FILMS or kind in SOUNDS:
        with tempfile.TemporaryFile() as poster:
            found = _film(file, kind, poster, decoders)
            file.seek(0)
            yield found
    elif kind.startswith("image/"):
        raise refuse(name, f"is a picture of the type {kind}; JPEG, PNG, WebP and GIF are taken, so convert it first")
    else:
        what = f"is of the type {kind}" if kind else "is of no known type"
        raise refuse(name, f"{what}; pictures, films, sounds and captions (WebVTT) can be posted")


def _picture(
    file: IO[bytes], name: str, side: int, made: IO[bytes], preview: IO[bytes], decoders: Decoders
) -> ProbeResult:
    if (size := os.fstat(file.fileno()).st_size) > MAX_PICTURE:
        raise refuse(name, f"is a picture of {size:,} bytes; at most {MAX_PICTURE:,} are decoded")
    try:
        raw = _run(decoders, "picture", str(side), file, made, preview)
        said = json.decode(raw, type=_ChildAnswer)
    except TimeoutError:
        raise refuse(name, f"could not be decoded within {DEADLINE_S:.0f} seconds") from None
    except DecodeError:  # it ended without an answer: killed by a limit, or by a fault of a decoder
        raise refuse(name, "could not be decoded: the process that tried it ended") from None
    if said.refused:
        raise refuse(name, said.refused)
    about = BlobNote(said.type, said.width, said.height, blurhash=said.blurhash)
    for one in (made, preview):
        one.seek(0)
    return ProbeResult(about, made, preview if said.preview else None, said.preview)


def _film(file: IO[bytes], kind: str, poster: IO[bytes], decoders: Decoders) -> ProbeResult:
    """A film is posted whether or not it can be read here: what is missing is said."""
    if find_spec("av") is None:
        return ProbeResult(BlobNote(kind, note=f"{_AS_IT_IS} {_NO_EXTRA}"), file, None, "")
    try:
        said = json.decode(_run(decoders, "film", kind, file, poster, poster), type=_FilmAnswer)
    except TimeoutError:
        said = _FilmAnswer(f"it takes more than {DEADLINE_S:.0f} seconds")
    except DecodeError:
        said = _FilmAnswer("the process that tried it ended")
    notes = [_AS_IT_IS]
    if said.failed:
        notes.append(f"It may be damaged: no length and no poster could be made of it ({said.failed}).")
    if said.unplayed:
        notes.append(f"Browsers do not play {' and '.join(said.unplayed)}, so some people will not see or hear it.")
    poster.seek(0)
    about = BlobNote(kind, said.width, said.height, said.duration_ms, said.blurhash, note=" ".join(notes))
    return ProbeResult(about, file, poster if said.preview else None, said.preview)


def _run(
    decoders: Decoders, program: Program, word: str, file: IO[bytes], made: IO[bytes], preview: IO[bytes]
) -> bytes:
    """What the program said of the file. Raises TimeoutError."""
    return decoders.run(program, word, [file.fileno(), made.fileno(), preview.fileno()], DEADLINE_S)


def _check_captions(file: IO[bytes], name: str) -> None:
    raw = file.read(MAX_CAPTIONS + 1)
    if len(raw) > MAX_CAPTIONS:
        raise refuse(name, f"has captions of more than {MAX_CAPTIONS:,} bytes")
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise refuse(name, f"has captions that are not UTF-8 ({error.reason} at byte {error.start})") from None
    cues = 0
    for number, line in enumerate(lines, 1):
        if "-->" not in line:
            continue
        cue = _CUE.match(line)
        if cue is None or _seconds(cue[1]) >= _seconds(cue[2]):
            raise refuse(name, f"has captions whose line {number} is no time span such as 00:01.000 --> 00:02.500")
        cues += 1
    if not cues:
        raise refuse(name, "has captions without a single cue")


def _seconds(time: str) -> float:
    total = 0.0
    for part in time.split(":"):
        total = total * 60 + float(part)
    return total


MakeRoom = Callable[[int], None]
"""Makes room for so many bytes, or raises CallError."""


def put_file(
    blobs: BlobStore, decoders: Decoders, home: Path | None, path: str, side: int, make_room: MakeRoom
) -> tuple[BlobList, BlobNote]:
    """The blob of a file, and what is known of it. Durable when this returns. home: of the node, whose own files are
    not taken; None: this is one that was uploaded. side: see `looked`. Raises CallError with one sentence, and then
    nothing is kept."""
    with _opened(path, home) as (file, name):
        before = os.fstat(file.fileno())
        make_room(before.st_size)
        with looked(file, name, side, decoders) as found:
            preview = None
            if found.preview is not None:
                preview = _put(blobs, found.preview.read, BlobNote(found.preview_type), name)
            about = _with(found.about, None if preview is None else preview.root)
            read = _unchanging(found.file, file, before, name)
            return _put(blobs, read, about, name), about


def _with(about: BlobNote, preview: BlobRoot | None) -> BlobNote:
    if preview is None:
        return about
    return BlobNote(about.type, about.width, about.height, about.duration_ms, about.blurhash, preview.hex(), about.note)


def _put(blobs: BlobStore, read: Callable[[int], bytes], about: BlobNote, name: str) -> BlobList:
    try:
        return blobs.put(read, lambda of: about_bytes(about))
    except Malformed as error:
        raise refuse(name, f"cannot be stored: {error}") from None


def _unchanging(stored: IO[bytes], file: IO[bytes], before: os.stat_result, name: str) -> Callable[[int], bytes]:
    """Reads what is stored. At its end, the file itself must be what it was before it was first read."""

    def read(size: int) -> bytes:
        raw = stored.read(size)
        if len(raw) < size:
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise refuse(name, "changed while it was read; try again when it is complete")
        return raw

    return read


@contextmanager
def _opened(path: str, home: Path | None) -> Iterator[tuple[IO[bytes], str]]:
    """The file, and its name for sentences. A pipe or a device is not waited for."""
    where = Path(path)
    if not where.is_absolute():
        raise bad_request(f"'{path[:200]}' is not an absolute path: the node may run in another folder.")
    name = "The upload" if home is None else f"The file '{where.name[:100]}'"
    try:
        handle = os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise refuse(name, f"cannot be opened ({why}): {path[:200]}") from None
    try:
        _check(os.fstat(handle), where, home, name)
    except BaseException:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb", buffering=0) as file:
        yield file, name


def _check(found: os.stat_result, where: Path, home: Path | None, name: str) -> None:
    """Raises CallError for what cannot be posted whatever is in it."""
    if stat.S_ISDIR(found.st_mode):
        raise refuse(name, "is a folder; name one of the files in it")
    if not stat.S_ISREG(found.st_mode):
        raise refuse(name, "is no ordinary file: a pipe or a device cannot be posted")
    if home is not None and Home(home).is_own(where):
        raise refuse(name, "is in the folder of the node itself, whose files are not posted")
    if not found.st_size:
        raise refuse(name, "is empty")
    if found.st_size > MAX_BLOB:
        raise refuse(name, f"has {found.st_size:,} bytes; at most {MAX_BLOB:,} can be posted")


# Items of media of what was put here: those of posts, and the pictures of profiles.


def item_of(ctx: Context, blob: str, description: str | None, now: float) -> Media:
    """An item whose blobs are here, so that whoever reads the post can have them. Raises CallError."""
    root = BlobRoot(bytes.fromhex(blob))
    held, about = whole(ctx, root), about_of(ctx.blobs, root)
    if about is None:
        raise conflict(f"The blob {blob[:16]}... came from a peer; put the file itself first.")
    preview = None if about.preview is None else BlobRoot(bytes.fromhex(about.preview))
    for one in (root, preview):
        if one is not None:
            whole(ctx, one)
            ctx.blobs.want(one, int(now))
    return Media(
        root,
        held.size,
        about.type,
        about.width,
        about.height,
        about.duration_ms,
        (description or "").strip() or None,
        about.blurhash,
        preview,
    )


def picture_of(ctx: Context, blob: str, description: str | None, now: float) -> tuple[str, Media]:
    """A picture for a profile: its description, which is the value of its field, and the picture without one. Raises
    CallError."""
    item = item_of(ctx, blob, description, now)
    if not item.is_picture:
        raise bad_request(f"The blob {blob[:16]}... is no picture but {item.type}; put a picture instead.")
    return item.description or "", item._replace(description=None)
