"""Pictures, films, sounds and captions: putting them here, reading them, and which blobs are kept."""

from base64 import b64encode
from typing import Annotated

from msgspec import Meta

from banyan_crdt.blob import HASH_BYTES, BlobRoot
from banyan_node.api.declare import CommitView, MethodTable, NoResult, Request, Response, Shell, WorkContext
from banyan_node.api.json_types import BlobHex, BlobRef, Milliseconds, PostUri, blob_hex, did, root_of, uri
from banyan_node.api.methods.files.uploads import uploaded
from banyan_node.api.methods.posts.post_rows import AccountName, name_of
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.media.intake import put_file
from banyan_node.media.local_blobs import BlobNote, about_of, drafted, is_in_draft, naming, read_part, unknown, whole
from banyan_node.operator_errors import bad_request, conflict, not_found
from banyan_node.upkeep.storage_quota import accounts
from banyan_storage.blob_names import is_named, roots_from
from banyan_storage.blobs import HeldBlob

METHODS = MethodTable()
READ_MOST = 4 << 20
LIST_MOST = 1_000
POSTS_SHOWN = 50


class MediaPutRequest(Request):
    """path: of a file on the machine of the node, absolute; or upload: all of whose chunks came, which ends with
    that."""

    path: str | None = None
    upload: BlobRef | None = None


class BlobRequest(Request):
    blob: BlobRef


class MediaShowRequest(Request):
    """blob: its first digits are enough, at least 8."""

    blob: Annotated[str, Meta(title="at least 8 hexadecimal digits", description="A blob.", pattern="^[0-9a-f]{8,64}$")]


class MediaReadRequest(Request):
    """offset, length: bytes. A film is played from any place so."""

    blob: BlobRef
    offset: Annotated[int, Meta(ge=0, le=1 << 40)] = 0
    length: Annotated[int, Meta(ge=1, le=READ_MOST)] = 1 << 20


class MediaPinRequest(Request):
    blob: BlobRef
    undo: Annotated[bool, Meta(description="Takes it back.")] = False


class MediaListRequest(Request):
    after: Annotated[str | None, Meta(title="a blob", description="`after` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=LIST_MOST)] = 100


class MediaFetchRequest(Request):
    """wait_s: answer after so many seconds in any case; ask again to go on waiting."""

    blob: BlobRef
    wait_s: Annotated[float, Meta(ge=0, le=60)] = 10.0


class MediaPut(Response):
    """blob: give it to `post`. type: what the file is, found by reading it. size: bytes that are stored; a picture is
    written anew and smaller. note: what the person who posts it should know, or null."""

    blob: BlobHex
    type: str
    size: int
    width: int | None
    height: int | None
    duration_ms: int | None
    blurhash: str | None
    preview: BlobHex | None
    note: str | None


class PictureOf(AccountName):
    """field: `avatar` or `banner` of the account's profile."""

    field: str


class MediaShown(Response):
    """type: null if neither a post nor this node says it. size: null if nothing says it. held: bytes that are here.
    posts, profiles: that name it, the first 50; those of edits, of deleted posts and of pictures that were replaced
    whose content is not erased yet included."""

    blob: BlobHex
    type: str | None
    size: int | None
    held: int
    whole: bool
    pinned: bool
    wanted_ms: Milliseconds | None
    width: int | None
    height: int | None
    duration_ms: int | None
    description: str | None
    preview: BlobHex | None
    posts: list[PostUri]
    profiles: list[PictureOf]


class MediaRead(Response):
    """data: base64, with fewer bytes than asked at the end. size: of the whole."""

    data: str
    offset: int
    size: int


class MediaRow(Response):
    """wanted_ms: when somebody last wanted it. named: whether anything that is held names it, or a draft."""

    blob: BlobHex
    type: str | None
    size: int
    whole: bool
    pinned: bool
    wanted_ms: Milliseconds
    named: bool


class MediaList(Response):
    """By blob. bytes: what all of them take. after: give it to get the next page; null on the last."""

    blobs: list[MediaRow]
    bytes: int
    after: BlobHex | None


class MediaFetchResult(Response):
    """held, size: bytes; size is null until a peer told it. peers: how many send it at this moment. failed: why it
    cannot be had now, a sentence without a full stop, or null."""

    blob: BlobHex
    held: int
    size: int | None
    whole: bool
    peers: int
    failed: str | None


class MediaDropResult(Response):
    """bytes: how many are free again."""

    blob: BlobHex
    bytes: int


@METHODS.work("media.put", "write", "refused")
def put(at: WorkContext, ask: MediaPutRequest) -> MediaPut:
    """Stores a picture, film, sound or captions, to be posted within a day. A picture is written anew without what the
    camera noted in it, and made smaller (`media.picture_side`); everything else is stored as it is."""
    side = at.settings.config.media.picture_side
    if (ask.path is None) == (ask.upload is None):
        raise bad_request("Give the path of a file, or an upload.")
    if ask.upload is None:
        of, about = put_file(at.blobs, at.decoders, at.home, ask.path or "", side, at.make_room)
    else:
        with uploaded(at, ask.upload) as path:
            of, about = put_file(at.blobs, at.decoders, None, str(path), side, at.make_room)
    return MediaPut(
        blob=blob_hex(of.root),
        type=about.type,
        size=of.size,
        width=about.width,
        height=about.height,
        duration_ms=about.duration_ms,
        blurhash=about.blurhash,
        preview=None if about.preview is None else blob_hex(bytes.fromhex(about.preview)),
        note=about.note,
    )


@METHODS.read("media.show", "not_found")
def show(at: CommitView, ask: MediaShowRequest) -> MediaShown:
    """What is known of a blob, how much of it is here, and what names it."""
    root = _beginning(at, ask.blob)
    held, about, named = at.blobs.find(root), about_of(at.blobs, root), naming(at.store, root, POSTS_SHOWN)
    if held is None and not is_named(at.store.txn, root) and not is_in_draft(at.store.txn, root):
        raise unknown(root)
    item = next((n.item for n in named if not n.is_preview), None)
    kind = about
    if item is not None:
        preview = None if item.preview is None else item.preview.hex()
        kind = BlobNote(item.type, item.width, item.height, item.duration_ms, preview=preview)
    return MediaShown(
        blob=blob_hex(root),
        type=None if kind is None else kind.type,
        size=held.size if held is not None else None if item is None else item.size,
        held=0 if held is None else at.blobs.bytes_of(held),
        whole=held is not None and held.whole,
        pinned=held is not None and held.pinned,
        wanted_ms=None if held is None else held.wanted_s * 1000,
        width=None if kind is None else kind.width,
        height=None if kind is None else kind.height,
        duration_ms=None if kind is None else kind.duration_ms,
        description=None if item is None else item.description,
        preview=None if kind is None or not kind.preview else blob_hex(bytes.fromhex(kind.preview)),
        posts=[uri(n.post) for n in named if n.post is not None],
        profiles=[
            PictureOf(did(n.account), name_of(at.queries(), n.account), n.field) for n in named if n.field is not None
        ],
    )


def _beginning(at: CommitView, digits: str) -> BlobRoot:
    """The one blob that begins so. Raises CallError."""
    if len(digits) == 2 * HASH_BYTES:
        return root_of(digits)
    beginning = bytes.fromhex(digits[:8])
    found = {held.root for held in at.blobs.all()} | set(roots_from(at.store.txn, beginning))
    found |= {one.root for one in drafted(at.store.txn, beginning)}
    some = sorted(root for root in found if root.hex().startswith(digits))
    if not some:
        raise not_found(f"No blob that is here, or that held content names, begins with {digits}.")
    if len(some) > 1:
        raise bad_request(f"{len(some)} blobs begin with {digits}; give more of its digits.")
    return some[0]


@METHODS.read("media.read", "not_found", apart=False)
def read(at: CommitView, ask: MediaReadRequest) -> MediaRead:
    """Bytes of a blob that is here whole, checked against its hashes."""
    held = whole(at, root_of(ask.blob))
    data = read_part(at, held.root, ask.offset, ask.length)
    return MediaRead(b64encode(data).decode(), ask.offset, held.size)


@METHODS.read("media.list", apart=False)
def listed(at: CommitView, ask: MediaListRequest) -> MediaList:
    """The blobs that are here, whole or in part."""
    held = sorted(at.blobs.all(), key=lambda one: one.root)
    rest = [one for one in held if ask.after is None or one.root.hex() > ask.after]
    page = rest[: ask.limit]
    after = blob_hex(page[-1].root) if len(rest) > len(page) else None
    return MediaList([_row(at, one) for one in page], sum(one.size for one in held), after)


def _row(at: CommitView, held: HeldBlob) -> MediaRow:
    about, named = about_of(at.blobs, held.root), naming(at.store, held.root, 1)
    kind = about.type if about else named[0].item.type if named and not named[0].is_preview else None
    wanted, kept = held.wanted_s * 1000, is_named(at.store.txn, held.root) or is_in_draft(at.store.txn, held.root)
    return MediaRow(blob_hex(held.root), kind, held.size, held.whole, held.pinned, wanted, kept)


@METHODS.node("media.fetch", "write", "not_found", "refused")
async def fetch(shell: Shell, ask: MediaFetchRequest) -> MediaFetchResult:
    """Fetches a blob from peers that are linked, several at once, and waits for it. What is here already is not fetched
    again."""
    root = root_of(ask.blob)
    at = await shell.media.fetch(root, ask.wait_s)
    return MediaFetchResult(blob_hex(root), at.held, at.size, at.whole, at.peers, at.failed)


@METHODS.write("media.drop", "not_found", "refused", audited=True)
def drop(ctx: Context, ask: BlobRequest, now: float) -> MediaDropResult:
    """Removes a blob from this node. If what names it is read again, it can be fetched from a peer that has it. Those
    of accounts hosted here are removed by deleting the post, or by taking the picture out of the profile."""
    root = root_of(ask.blob)
    held = ctx.blobs.find(root)
    if held is None:
        raise unknown(root)
    if any(hosted.is_hosted(ctx.store, account) for account in accounts(ctx, root)):
        raise conflict(
            "A post or the profile of an account hosted here names this blob; delete the post instead, or take the "
            "picture out of the profile."
        )
    if is_in_draft(ctx.engine.write(), root):
        raise conflict("A draft names this blob; drop the draft instead.")
    ctx.blobs.drop(root)
    return MediaDropResult(blob_hex(root), held.size)


@METHODS.write("media.pin", "not_found", audited=True)
def pin(ctx: Context, ask: MediaPinRequest, now: float) -> NoResult:
    """Keeps a blob here whatever happens to what names it, and however much room blobs take."""
    root = root_of(ask.blob)
    if ctx.blobs.find(root) is None:
        raise unknown(root)
    ctx.blobs.pin(root, not ask.undo)
    return NoResult()
