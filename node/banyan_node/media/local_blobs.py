"""Blobs that must be here, what is noted of them and what names them; and the sentences if they are not here."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple, Protocol

from msgspec import DecodeError, Struct, json

from banyan_crdt.blob import HASH_BYTES, BlobRoot
from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Put, decode_body
from banyan_crdt.parts import content_of
from banyan_node.operator_errors import CallError, conflict, not_found
from banyan_replica.wire.blob_messages import draft_token
from banyan_schema.media import Media
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Post, ProfileField, Target
from banyan_storage import tables as t
from banyan_storage.blob_names import places
from banyan_storage.blobs import BlobStore, HeldBlob
from banyan_storage.due import Work, planned
from banyan_storage.engine import ReadTxn
from banyan_storage.reader import StoreReader

WANTED_S = 3_600
"""A blob that is read is noted as wanted, at most once in so many seconds."""


class HasBlobs(Protocol):
    """What reads blobs."""

    @property
    def blobs(self) -> BlobStore: ...


def unknown(root: BlobRoot) -> CallError:
    return not_found(f"The blob {root.hex()[:16]}... is not here, and nothing that is held names it.")


def whole(at: HasBlobs, root: BlobRoot) -> HeldBlob:
    """A blob that is here whole. Raises CallError."""
    held = at.blobs.find(root)
    if held is None:
        raise not_found(f"The blob {root.hex()[:16]}... is not here; fetch it first (`media.fetch`).")
    if not held.whole:
        have = f"{at.blobs.bytes_of(held):,} of {held.size:,} bytes"
        raise not_found(f"Of the blob {root.hex()[:16]}... {have} are here; fetch the rest first.")
    return held


def read_part(at: HasBlobs, root: BlobRoot, offset: int, length: int) -> bytes:
    """Bytes of a blob that is here whole, checked against its hashes; fewer at its end. Notes that it is wanted. Raises
    CallError, and what `BlobStore.read` raises."""
    held = whole(at, root)
    data, now_s = at.blobs.read(root, offset, length), int(time.time())
    if held.wanted_s < now_s - WANTED_S:
        at.blobs.want(root, now_s)
    return data


# What is known of a blob that was put here, until a post says it.


class BlobNote(Struct, frozen=True):
    """type: a media type. width, height: pixels, as it is shown. preview: the root of a smaller picture, in
    hexadecimal. note: what the person who posts it should know, or null."""

    type: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    blurhash: str | None = None
    preview: str | None = None
    note: str | None = None


def about_bytes(about: BlobNote) -> bytes:
    return json.encode(about)


def about_of(blobs: BlobStore, root: BlobRoot) -> BlobNote | None:
    """None of a blob that came from a peer: its posts say it."""
    raw = blobs.about(root)
    try:
        return None if raw is None else json.decode(raw, type=BlobNote)
    except DecodeError:
        return None


# Which uploads something is done with at this moment.


class UploadLocks:
    """Chunks of an upload may come at once; a blob is made of it, or it is dropped, alone. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._alone = set[BlobRoot]()
        self._beside = Counter[BlobRoot]()

    @contextmanager
    def alone(self, root: BlobRoot) -> Iterator[None]:
        """Raises CallError if anything else is done with the upload."""
        with self._lock:
            if root in self._alone or self._beside[root]:
                raise _busy(root)
            self._alone.add(root)
        try:
            yield
        finally:
            with self._lock:
                self._alone.discard(root)

    @contextmanager
    def beside(self, root: BlobRoot) -> Iterator[None]:
        """Raises CallError while somebody has the upload alone."""
        with self._lock:
            if root in self._alone:
                raise _busy(root)
            self._beside[root] += 1
        try:
            yield
        finally:
            with self._lock:
                self._beside[root] -= 1
                if not self._beside[root]:
                    del self._beside[root]


def _busy(root: BlobRoot) -> CallError:
    says = f"Something else is being done with the upload {root.hex()[:16]}...: wait for its answer."
    return conflict(says)


# What names a blob, read from held content: posts, pictures of profiles, and drafts.


class RegisterContent(NamedTuple):
    """What a register says, and whose it is."""

    account: AccountId
    key: CellKey
    content: object

    @property
    def media(self) -> tuple[Media, ...]:
        """The items that it shows."""
        if isinstance(self.content, Post):
            return self.content.media
        picture = self.content.picture if isinstance(self.content, ProfileField) else None
        return () if picture is None else (picture,)


class BlobReference(NamedTuple):
    """What names a blob, or named it before it was changed: a post, or else a field of the account's profile.
    is_preview: as the preview of the item."""

    account: AccountId
    post: Target | None
    field: str | None
    item: Media
    is_preview: bool


def said_at(reader: StoreReader, place: bytes) -> RegisterContent | None:
    """What the held content at a place says; None if there is none, or it is of no register."""
    n, at = t.part_place(place)
    entry, raw = reader.at(n), reader.txn.get(t.PARTS, place)
    op = None if entry is None or raw is None else decode_body(entry.ops).ops[at]
    if entry is None or raw is None or not isinstance(op, Put):
        return None
    return RegisterContent(entry.account, op.key, SOCIAL.decode(op.coll, op, content_of(raw)))


def naming(reader: StoreReader, root: BlobRoot, limit: int) -> list[BlobReference]:
    """What names it, oldest first, at most about so many."""
    found = dict[Target, BlobReference]()
    for place in places(reader.txn, root, limit):
        said = said_at(reader, t.part_key(*place))
        item = None if said is None else next((m for m in said.media if root in (m.blob, m.preview)), None)
        if said is not None and item is not None:
            target = Target(said.account, said.key)
            field = said.content.field if isinstance(said.content, ProfileField) else None
            post = target if field is None else None
            found[target] = BlobReference(said.account, post, field, item, root != item.blob)
    return list(found.values())


# Nothing that others can see names the blobs of drafts. A node notes those of accounts for which it writes
# (hosting/drafts.py); these notes are what is read here, on any thread.

MOST = 4_096
"""Blobs among which one is looked for that a peer asks for: each costs a hash."""


class DraftBlob(NamedTuple):
    """draft: its id."""

    root: BlobRoot
    account: AccountId
    draft: bytes

    @property
    def key(self) -> bytes:
        """Of the note."""
        return self.root + self.account + self.draft


def drafted(txn: ReadTxn, beginning: bytes = b"", most: int = MOST) -> list[DraftBlob]:
    """Those whose root begins so, by root."""
    return [drafted_of(key) for key in planned(txn, Work.KEEP, beginning, most)]


def drafted_of(key: bytes) -> DraftBlob:
    return DraftBlob(BlobRoot(key[:HASH_BYTES]), AccountId(key[HASH_BYTES : HASH_BYTES + 32]), key[HASH_BYTES + 32 :])


def is_in_draft(txn: ReadTxn, root: BlobRoot) -> bool:
    """Whether a draft names it."""
    return bool(drafted(txn, root, 1))


def root_for(txn: ReadTxn, token: bytes, peer: str) -> BlobRoot | None:
    """The blob that this peer asks for by a token, which says that it can read the draft."""
    return next((one.root for one in drafted(txn) if draft_token(one.root, one.draft, peer) == token), None)
