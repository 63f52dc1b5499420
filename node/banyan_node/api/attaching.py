"""What a post shows beside its text, as a request names it: blobs that were put here, each with a description."""

from __future__ import annotations

from banyan_crdt.blob import BlobRoot
from banyan_node.api.declare import Request
from banyan_node.api.texts import BlobRef, root_of
from banyan_node.context import Context
from banyan_node.media.about import about_of
from banyan_node.media.held import whole
from banyan_node.operator_errors import CallError
from banyan_schema.social.post import Media


class MediaItem(Request, frozen=True, forbid_unknown_fields=True):
    """blob: as `media.put` answered. description: what it shows, for those who do not see it; of captions, their
    language."""

    blob: BlobRef
    description: str | None = None


def attached(ctx: Context, ask: MediaItem, now: float) -> Media:
    """An item of media whose blobs are here, so that whoever reads the post can have them. Raises CallError."""
    root = root_of(ask.blob)
    held, about = whole(ctx, root), about_of(ctx.blobs, root)
    if about is None:
        raise CallError("refused", f"The blob {ask.blob[:16]}... came from a peer; put the file itself first.", 409)
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
        (ask.description or "").strip() or None,
        about.blurhash,
        preview,
    )
