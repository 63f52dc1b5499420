"""Pictures, films and sounds as apps see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.entities.accounts import media_url

_KINDS = {"image": "image", "video": "video", "audio": "audio"}
ROOT_DIGITS, LOST_ZEROS = 78, 8
"""Of a blob's id, which is its root as a number."""
_PREVIEW_SIDE = 640
_MOST = (1 << 31) - 1
"""Apps read a length as 32 bits, and fail at the whole page past that; lengths are claims of who posts."""


def blob_id(blob: str) -> str:
    """The id of the attachment of a post that shows a blob."""
    return f"{int(blob, 16):0{ROOT_DIGITS}d}"


def blob_of(id_: str) -> str | None:
    """The blob of such an id, whose first zeros may be missing; None if it is none."""
    if (
        not ROOT_DIGITS - LOST_ZEROS <= len(id_) <= ROOT_DIGITS
        or not id_.isascii()
        or not id_.isdigit()
        or int(id_) >> 256
    ):
        return None
    return f"{int(id_):064x}"


def attachment(
    web: DoorContext,
    item: Mapping[str, Any],
    id_: str | None = None,
    focus: tuple[float, float] = (0.0, 0.0),
    key: str = "",
) -> dict[str, Any]:
    """The MediaAttachment entity. item: a MediaShownRow. id_: of an upload. key: what the addresses end with."""
    kind = _KINDS.get(item["type"].partition("/")[0], "unknown")
    if item["type"] == "image/gif":
        kind = "image"
    url = media_url(web, item["blob"]) + key
    preview = item["preview"]
    if preview is not None:
        small: str | None = media_url(web, preview) + key
    else:
        small = url if kind == "image" else None
    return {
        "id": id_ or blob_id(item["blob"]),
        "type": kind,
        "url": url,
        "preview_url": small,
        "remote_url": None,
        "preview_remote_url": None,
        "text_url": None,
        "meta": _meta(item, focus, kind),
        "description": item["description"],
        "blurhash": item["blurhash"],
    }


def _meta(item: Mapping[str, Any], focus: tuple[float, float], kind: str) -> dict[str, Any]:
    width, height, ms = item["width"], item["height"], item["duration_ms"]
    meta: dict[str, Any] = {}
    if kind == "image":
        meta["focus"] = {"x": focus[0], "y": focus[1]}
    if min(width or 0, height or 0) > 0 and max(width, height) <= _MOST:
        size = {"width": width, "height": height, "size": f"{width}x{height}", "aspect": width / height}
        meta |= {"original": size, **({} if kind == "audio" else {"small": _small(width, height)})}
    if ms is not None and ms <= _MOST:
        meta["original"] = {**meta.get("original", {}), "duration": ms / 1000}
    return meta


def _small(width: int, height: int) -> dict[str, Any]:
    part = min(1.0, _PREVIEW_SIDE / max(width, height))
    width, height = max(1, round(width * part)), max(1, round(height * part))
    return {"width": width, "height": height, "size": f"{width}x{height}", "aspect": width / height}
