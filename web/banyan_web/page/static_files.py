"""The style, the scripts of the page and the light client, under a path that names what they hold: so a browser keeps
them for ever, and a changed file has another address.

    /static/HASH/page.css
    /static/HASH/js/page/worker.js    imports ../src/archive.js, as it does in the repository
"""

from __future__ import annotations

from functools import lru_cache
from gzip import compress
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from starlette.responses import Response

from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
_PICTURES = ("avatar.png", "banner.png")
_IMMUTABLE = "public, max-age=31536000, immutable"


class Tree(NamedTuple):
    """digest: of all names and files. files: bytes by path. packed: the same, gzipped."""

    digest: str
    files: dict[str, bytes]
    packed: dict[str, bytes]

    def path(self, name: str) -> str:
        return f"/static/{self.digest}/{name}"


@lru_cache(1)
def tree() -> Tree:
    """All that is served, read once."""
    own = Path(str(files("banyan_web.page"))) / "static"
    packed, checkout = own / "js", Path(__file__).parents[3] / "js"
    client = packed if packed.is_dir() else checkout
    found = {path.name: path.read_bytes() for path in sorted(own.iterdir()) if path.suffix in _TYPES}
    scripts = [client / "index.js", *sorted((client / "src").glob("*.js")), *sorted((client / "page").glob("*.js"))]
    found |= {f"js/{path.relative_to(client).as_posix()}": path.read_bytes() for path in scripts}
    digest = sha256()
    for name, raw in sorted(found.items()):
        digest.update(b"%d %s %d " % (len(name), name.encode(), len(raw)) + raw)
    packed_files = {name: compress(raw, 9, mtime=0) for name, raw in found.items()}
    return Tree(digest.hexdigest()[:20], found, packed_files)


@ENDPOINTS.get("/static/{digest}/{name:path}")
async def static(web: DoorContext, ask: Ask) -> Any:
    """One file. Only under the present hash, because a page holds together only as a whole."""
    held, name = tree(), ask.path["name"]
    raw = held.files.get(name) if ask.path["digest"] == held.digest else None
    if raw is None:
        raise Refused(404, "There is no such file; load the page again.")
    kind = _TYPES[Path(name).suffix]
    # A worker is governed by the policy of its own file.
    policy = "default-src 'none'; script-src 'self'; connect-src 'self'"
    headers = {
        "content-type": kind if kind == "image/png" else f"{kind}; charset=utf-8",
        "cache-control": _IMMUTABLE,
        "content-security-policy": policy,
        "vary": "accept-encoding",
    }
    if "gzip" in ask.request.headers.get("accept-encoding", ""):  # of no secret, so its length tells nothing
        return Response(held.packed[name], headers=headers | {"content-encoding": "gzip"})
    return Response(raw, headers=headers)


@ENDPOINTS.get("/static/{name}")
async def picture(web: DoorContext, ask: Ask) -> Any:
    """The picture of accounts without one, at an address that apps keep."""
    name = ask.path["name"]
    if name not in _PICTURES:
        raise Refused(404, "There is no such file.")
    headers = {"content-type": "image/png", "cache-control": "public, max-age=86400"}
    return Response(tree().files[name], headers=headers)
