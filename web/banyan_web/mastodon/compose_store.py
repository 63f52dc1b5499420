"""What the door keeps of who composes: files that are not posted yet, and what apps are to choose. It is on the disk
before it is answered."""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

import anyio
import msgspec

from banyan_crdt.blob import CHUNK
from banyan_web.door_store import DAY_S, DoorStore
from banyan_web.endpoint import DoorContext
from banyan_web.refusals import HttpRefusal, gone

READING_S, SAID_S = 45, 15.0
"""A file is being read as long as its process said so in the last READING_S, which it does every SAID_S."""
INTERRUPTED = "The server was interrupted while it read this file: send it again."


class PendingUpload(NamedTuple):
    """A file that was sent. focus: what matters of a picture, from -1 to 1 each. made: what `media.put` answered; None
    while it is being read. failed: why it cannot be posted. posted: whether a post has it, or may have it."""

    id: str
    account: str
    description: str | None
    focus: tuple[float, float]
    kind: str
    made: dict[str, Any] | None
    failed: str | None
    posted: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """As the node shows media of posts."""
        assert self.made is not None
        return {**self.made, "description": self.description}


def new_upload() -> str:
    return f"{int(time.time())}{secrets.randbelow(10**40):040d}"


def begin_upload(
    door: DoorStore, id_: str, account: str, kind: str, description: str | None, focus: tuple[float, float]
) -> bool:
    """Whether the caller is to read the file: it is new, or whatever read it died. kind: the type that the client says,
    for apps that ask before it is known."""
    now = int(time.time())
    row = (id_, account, now, description, *focus, kind, None, None, now + READING_S, 0)
    with door.writing() as db:
        door.end_terms("uploads")
        db.execute(f"insert into uploads values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_UNLESS_READ}", row)
        return bool(db.changes())


_UNLESS_READ = (
    "on conflict (id) do update set created = excluded.created, read_until = excluded.read_until "
    "where made is null and failed is null and read_until < excluded.created"
)


async def say_reading(door: DoorStore, id_: str) -> None:
    """Says that the file is being read, as long as this runs. Whoever asks another process learns so that it died."""
    while True:
        door.write("update uploads set read_until = ? where id = ?", int(time.time()) + READING_S, id_)
        await anyio.sleep(SAID_S)


def end_upload(door: DoorStore, id_: str, made: dict[str, Any] | None, failed: str | None) -> None:
    text = None if made is None else msgspec.json.encode(made).decode()
    door.write("update uploads set made = ?, failed = ?, read_until = null where id = ?", text, failed, id_)


def upload(door: DoorStore, id_: str) -> PendingUpload | None:
    what = (
        "select account, description, focus_x, focus_y, kind, made, failed, read_until, posts from uploads "
        "where id = ? and created > ?"
    )
    now = int(time.time())
    row = door.row(what, id_, now - DAY_S)
    if row is None:
        return None
    made = None if row[5] is None else msgspec.json.decode(row[5])
    failed = row[6]
    if made is None and failed is None and (row[7] is None or row[7] < now):
        failed = INTERRUPTED
    return PendingUpload(id_, row[0], row[1], (row[2], row[3]), row[4], made, failed, row[8] > 0)


@contextmanager
def posting(door: DoorStore, account: str, ids: Sequence[str]) -> Iterator[None]:
    """While a post is written that has these uploads of the account. It is noted before, so whatever becomes of this
    process and of the answer, no upload opens a file that is posted; and taken back if the node refuses the post."""
    if not ids:
        yield
        return
    _note_posts(door, account, ids, 1)
    try:
        yield
    except HttpRefusal as why:
        if why.status < 500:  # else it may be written
            _note_posts(door, account, ids, -1)
        raise


def _note_posts(door: DoorStore, account: str, ids: Sequence[str], more: int) -> None:
    """Several posts may have one upload, and some of them may be refused: they are counted."""
    with door.writing() as db:
        for id_ in dict.fromkeys(ids):
            db.execute("update uploads set posts = posts + ? where id = ? and account = ?", (more, id_, account))


def upload_of(web: DoorContext, id_: str, account: str) -> PendingUpload:
    """The account's own upload. Raises HttpRefusal."""
    found = upload(web.door, id_)
    if found is None or found.account != account:
        raise gone()
    return found


def describe_upload(door: DoorStore, id_: str, description: str | None, focus: tuple[float, float]) -> None:
    door.write("update uploads set description = ?, focus_x = ?, focus_y = ? where id = ?", description, *focus, id_)


def drop_upload(door: DoorStore, id_: str) -> None:
    door.write("delete from uploads where id = ?", id_)


# -- what somebody's apps are to choose: kept by this door, because a node keeps no such thing

PRIVACIES = ("public", "unlisted")
"""What the network has."""
QUOTERS = {"public": "everybody", "followers": "followers", "nobody": "nobody"}
"""What apps call those who may quote a post."""


class Defaults(NamedTuple):
    privacy: str = "public"
    sensitive: bool = False
    language: str | None = None
    quoters: str = "public"


def defaults_of(door: DoorStore, account: str) -> Defaults:
    """account: a DID."""
    row = door.row("select privacy, sensitive, language, quoters from defaults where account = ?", account)
    return Defaults() if row is None else Defaults(row[0], bool(row[1]), row[2], row[3])


def keep_defaults(door: DoorStore, account: str, chosen: Defaults) -> None:
    row = (account, chosen.privacy, int(chosen.sensitive), chosen.language, chosen.quoters)
    door.write("insert or replace into defaults values (?, ?, ?, ?, ?)", *row)


async def blob_of(web: DoorContext, raw: bytes) -> str:
    """The blob of the node that these bytes become. Raises HttpRefusal."""
    chunks = [raw[at : at + CHUNK] for at in range(0, len(raw), CHUNK)]
    begun = await web.call("upload.begin", size=len(raw), hashes=[sha256(chunk).hexdigest() for chunk in chunks])
    for number in begun["missing"]:
        data = b64encode(chunks[number]).decode()
        await web.call("upload.chunk", upload=begun["upload"], number=number, data=data)
    return str((await web.call("media.put", upload=begun["upload"]))["blob"])
