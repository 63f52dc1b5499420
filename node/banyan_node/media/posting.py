"""Makes items of media of what was put here: those of posts, and the pictures of profiles."""

from __future__ import annotations

from banyan_crdt.blob import BlobRoot
from banyan_node.context import Context
from banyan_node.media.about import about_of
from banyan_node.media.held import whole
from banyan_node.operator_errors import CallError
from banyan_schema.media import Media


def item_of(ctx: Context, blob: str, description: str | None, now: float) -> Media:
    """An item whose blobs are here, so that whoever reads the post can have them. Raises CallError."""
    root = BlobRoot(bytes.fromhex(blob))
    held, about = whole(ctx, root), about_of(ctx.blobs, root)
    if about is None:
        raise CallError("refused", f"The blob {blob[:16]}... came from a peer; put the file itself first.", 409)
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
        raise CallError("bad_request", f"The blob {blob[:16]}... is no picture but {item.type}; put a picture instead.")
    return item.description or "", item._replace(description=None)
