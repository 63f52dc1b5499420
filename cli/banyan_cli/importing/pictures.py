"""Pictures and films of items and of the profile: which of them are wanted, and put where the node can name them.

A post that is here already is not written again, so its pictures are not decoded again either. Those that will be asked
for next are put meanwhile (`UploadQueue`). A picture that is missing, damaged or refused is named and left out, and
its post comes without it. What would refuse all of them (no room) is raised.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from banyan_cli.errors import BadInput, Failed
from banyan_cli.importing.archives import Archive, Opener, no_room
from banyan_cli.importing.identities import Report
from banyan_cli.importing.model import Attachment, Item, ProfilePicture
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from banyan_cli.command_session import CallTarget
    from banyan_node.workers.side_threads import Waiting


# Files of the archive are found by the path that a post names, and copied to where a node can read them. The copies
# are in a folder that this process alone reads and writes. It is removed at the end, and what a process left that was
# killed is removed by the next one: a folder belongs to whoever has it locked.

PREFIX = "banyan-import-"
NO_MEDIA = ("heic", "heif", "avif", "jxl", "tif", "tiff", "bmp", "svg", "psd", "pdf")
"""How names of files end that are no pictures which a node takes."""


class AttachmentFiles:
    """The files that posts name, among all of an archive."""

    def __init__(self, archive: Archive, paths: Iterable[str]) -> None:
        """paths: all that posts name."""
        self._archive = archive
        self._openers: Mapping[str, Opener] | None = None
        wanted = {last for path in paths for way in _ways(path) if (last := _last(way))}
        self._by_last = dict[str, list[str]]()
        for name in archive.names:
            if (last := _last(name)) in wanted:
                self._by_last.setdefault(last, []).append(name)
        found = ((path, self._look(path)) for path in paths)
        self._names = {path: name for path, name in found if name is not None}

    def find(self, path: str) -> str | None:
        """The name in the archive, or None."""
        return self._names.get(path)

    def refused(self, name: str) -> str | None:
        """Why a file cannot be posted, as far as it can be told without reading it; or None."""
        if name in self._archive.empty:
            return "it is empty"
        end = name.lower().rpartition(".")[2]
        return f"{end.upper()} cannot be posted; JPEG, PNG, WebP and GIF can" if end in NO_MEDIA else None

    def _look(self, path: str) -> str | None:
        for way in _ways(path):
            some = [(_plain(name), name) for name in self._by_last.get(_last(way), ())]
            for plain, name in some:
                if plain == way:
                    return name
            # the archive may be in a folder; or the address of a server may stand before the path
            fits = [n for plain, n in some if plain.endswith("/" + way) or ("/" in plain and way.endswith("/" + plain))]
            if len(fits) == 1:
                return fits[0]
        return None

    @contextmanager
    def copied(self, name: str, folder: Path) -> Iterator[Path]:
        """A copy of a file of the archive in this folder, which is removed afterwards. Raises BadInput if it is damaged
        or a bomb, Failed if there is no room."""
        if self._openers is None:
            self._openers = self._archive.pick(set(self._names.values()))
        try:
            alone = Path(tempfile.mkdtemp(dir=folder))  # several of one name may be copied at a time
        except OSError as error:
            raise no_room(folder, error) from error
        copy = alone / re.sub(r"[^\w.-]", "_", name.rpartition("/")[2])[-60:]
        try:
            with self._archive.open(name, self._openers[name]) as stream:
                try:
                    out = copy.open("xb", buffering=0)
                except OSError as error:
                    raise no_room(folder, error) from error
                with out:
                    while chunk := stream.read(1 << 20):
                        try:
                            while chunk:
                                chunk = chunk[out.write(chunk) :]
                        except OSError as error:
                            raise no_room(folder, error) from error
            yield copy
        finally:
            shutil.rmtree(alone, ignore_errors=True)


def _ways(path: str) -> Iterator[str]:
    """A path as it is, and as it is if it is an address, or escaped as in one."""
    yield _plain(path)
    with suppress(ValueError):
        if path.startswith(("http://", "https://")):
            path = urlsplit(path).path.lstrip("/")
            yield _plain(path)
        if "%" in path:
            yield _plain(unquote(path))


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path).removeprefix("./")


def _last(path: str) -> str:
    return _plain(path).rpartition("/")[2]


@contextmanager
def copies() -> Iterator[Path]:
    """A folder for copies. Removes those of processes that ended without removing them. Raises Failed."""
    base = Path(tempfile.gettempdir())
    _sweep(base)
    try:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():  # nobody swept it before it was locked
                break
            os.close(handle)
    except OSError as error:
        raise no_room(base, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _sweep(base: Path) -> None:
    for left in base.glob(PREFIX + "*"):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(handle).st_uid == os.getuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)


# Several are decoded at the same time: while the first is waited for, those behind it are put too, at most AHEAD of
# them, and no further one while their copies take AHEAD_BYTES. What goes wrong with one is raised when it is its turn.

AHEAD = 4
"""Files that are put at a time: the node decodes two, and has the next two before it has ended these."""
AHEAD_BYTES = 64 << 20


class _Begun(NamedTuple):
    """answer: waits for that of `media.put`. copy: removes the copy. size: its bytes."""

    answer: Waiting
    copy: ExitStack
    size: int


class UploadQueue:
    """One import. folder: for copies."""

    def __init__(self, backend: CallTarget, attached: AttachmentFiles, folder: Path) -> None:
        self._backend, self._attached, self._folder = backend, attached, folder
        self._next = deque[str]()
        self._begun = dict[str, _Begun]()

    def expect(self, names: Iterable[str]) -> None:
        """These will be taken, in this order, each once."""
        self._next = deque(names)

    def take(self, name: str) -> dict[str, Any]:
        """What `media.put` answered of this file. Raises BadInput where the archive is damaged, Failed, CallError."""
        while self._next and self._has_room() and self._begin(self._next[0]):
            self._next.popleft()
        if name not in self._begun:  # nobody said that it would be taken
            self._begin(name, now=True)
        begun = self._begun.pop(name)
        try:
            answer: dict[str, Any] = begun.answer()
            return answer
        finally:
            begun.copy.close()

    def _has_room(self) -> bool:
        copied = sum(begun.size for begun in self._begun.values())
        return not self._begun or (len(self._begun) < AHEAD and copied < AHEAD_BYTES)

    def _begin(self, name: str, now: bool = False) -> bool:
        """Copies a file and begins to put it. Returns False if it must wait for the room that others take. now: it does
        not wait."""
        with ExitStack() as stack:
            try:
                copy = stack.enter_context(self._attached.copied(name, self._folder))
                size = copy.stat().st_size
                answer = self._backend.begin("media.put", path=str(copy))
            except Exception as error:
                if isinstance(error, Failed) and self._begun and not now:
                    return False
                size, answer = 0, _raising(error)
            self._begun[name] = _Begun(answer, stack.pop_all(), size)
        return True


def _raising(error: Exception) -> Waiting:
    def answer() -> Any:
        raise error

    return answer


PUT = ("new", "bare")
"""States of posts whose pictures are put."""
MOST_OF_A_POST = 64
MOST_DESCRIPTION = 8_192
"""Items of media of a post, and characters of a description."""
MISSING, REFUSED = "pictures and films that are not in the archive", "pictures and films that cannot be posted"
MANY = f"pictures and films beyond {MOST_OF_A_POST} of one post"
SPARE = 64 << 20
"""Bytes on the disk that decoding a picture may need beside its size."""


class Pictures:
    """Those of one run. totals: what became of them. left: why some do not come, and how many. as_it_is: films and
    sounds, which are not written anew."""

    def __init__(
        self,
        backend: CallTarget,
        attached: AttachmentFiles,
        folder: Path,
        report: Report,
        dry: bool,
        left: Counter[str] | None = None,
    ) -> None:
        """folder: for copies. left: where what is left out is counted too; None: a counter of its own."""
        self._backend, self._attached, self._folder, self._report, self._dry = backend, attached, folder, report, dry
        self._ahead = UploadQueue(backend, attached, folder)
        self._put = dict[str, str | None]()
        self.totals, self.left = Counter[str](), Counter[str]() if left is None else left
        self.as_it_is = 0

    def states(self, service: str, items: Sequence[Item], who: dict[str, str]) -> dict[str, str]:
        """By id, of items with media: new, here, bare (here without media) or deleted."""
        ids = [item.id for item in items if item.media]
        if not ids:
            return {}
        known = self._backend.call("move.known", service=service, ids=ids, **who)
        return dict(zip(ids, known["states"], strict=True))

    def expect(self, items: Sequence[Item], states: dict[str, str]) -> None:
        """These are asked for next, in this order."""
        if not self._dry:
            wanted = (item for item in items if item.media and states[item.id] in PUT)
            paths = (one.path for item in wanted for one in item.media[:MOST_OF_A_POST])
            names = (name for path in paths if (name := self._attached.find(path)) is not None)
            self._ahead.expect(name for name in dict.fromkeys(names) if name not in self._put)

    def of(self, item: Item, state: str, advance: Callable[[int], None]) -> list[dict[str, str]]:
        """What `move.posts` takes as the media of an item. Raises what stops the import."""
        if state not in PUT:
            self.totals["here" if state == "here" else "gone"] += len(item.media)
            advance(len(item.media))
            return []
        rows = list[dict[str, str]]()
        for number, one in enumerate(item.media):
            if number >= MOST_OF_A_POST:
                self.lost(MANY, one, item.place)
            elif (blob := self._blob(one, item.place)) is not None:
                told = one.description.strip()[:MOST_DESCRIPTION]
                rows.append({"blob": blob, "description": told} if told else {"blob": blob})
            advance(1)
        return rows

    def _blob(self, one: Attachment, place: str) -> str | None:
        """The blob of a file. In a dry run the name alone, if it looks as if it could be posted."""
        name = self._attached.find(one.path)
        if name is None:
            self.lost(MISSING, one, place)
            return None
        if self._dry:
            why_not = self._attached.refused(name)
            if why_not is None:
                return name
            self.lost(REFUSED, one, f"{place}: {why_not}")
            return None
        if name not in self._put:
            try:
                self._put[name] = self._stored(name)
            except BadInput as why:  # damaged, or a bomb
                self._put[name] = None
                self.lost(REFUSED, one, f"{place}: {why}")
                return None
            except CallError as why:
                if why.code != "bad_request":
                    raise
                if shutil.disk_usage(self._folder).free < SPARE:  # a decoder cannot tell it from damage
                    raise Failed(f"The disk of {self._folder.parent} is full; free some room, then go on.") from why
                self._put[name] = None
                self.lost(REFUSED, one, f"{place}: {why.message}")
                return None
        elif self._put[name] is None:
            self.lost(REFUSED, one, place)
        return self._put[name]

    def _stored(self, name: str) -> str:
        found = self._ahead.take(name)
        self.as_it_is += found["note"] is not None
        return str(found["blob"])

    def lost(self, why: str, one: Attachment, place: str) -> None:
        """Counts and names one that does not come."""
        self.totals["left_out"] += 1
        self.left[why] += 1
        self._report.add(why, one.path, place)


# The pictures of a profile: brought where none was ever set here, as those of posts are, and counted apart.


def bring_portraits(
    backend: CallTarget,
    pictures: Pictures,
    some: Mapping[str, ProfilePicture],
    without: Sequence[str],
    who: Mapping[str, str],
    dry: bool,
    advance: Callable[[int], None],
) -> int:
    """some: by name. without: the names of pictures that were never set here. Returns how many entries were written;
    the totals of `pictures` say what became of each. Raises what stops the import."""
    entries, states = 0, {name: "new" if name in without else "here" for name in some}
    items = [Item(name, "", None, one.place, media=(one.item,)) for name, one in some.items()]
    pictures.expect(items, states)
    for item, (name, one) in zip(items, some.items(), strict=True):
        for row in pictures.of(item, states[name], advance):
            try:
                if not dry:
                    entries += backend.call("move.profile", pictures={name: row}, **who)["entries"]
                pictures.totals["came"] += 1
            except CallError as why:
                if why.code != "bad_request":
                    raise
                pictures.lost(REFUSED, one.item, f"{one.place}: {why.message}")  # a film, say
    return entries
