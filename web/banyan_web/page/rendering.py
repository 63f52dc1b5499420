"""Makes pages from templates (language, policy, ETag, refusals), and serves the style and the scripts that they need.

The policy allows scripts, styles and all else from this origin alone, and nothing inline: what a stranger wrote can
become neither, even if a template forgot to escape it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache, wraps
from gzip import compress
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.oauth.sessions import Visitor, visitor_of
from banyan_web.page import formats
from banyan_web.page.formats import account_path
from banyan_web.page.translations import LANGUAGES, WORDS, counted, language_of
from banyan_web.refusals import HttpRefusal

# Style, scripts and the light client are under a path that names what they hold, so a browser keeps them for ever:
#
#     /static/HASH/page.css
#     /static/HASH/js/page/worker.js    imports ../src/archive.js, as it does in the repository

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
async def static(web: DoorContext, ask: DoorRequest) -> Any:
    """One file. Only under the present hash, because a page holds together only as a whole."""
    held, name = tree(), ask.path["name"]
    raw = held.files.get(name) if ask.path["digest"] == held.digest else None
    if raw is None:
        raise HttpRefusal(404, "There is no such file; load the page again.")
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
async def picture(web: DoorContext, ask: DoorRequest) -> Any:
    """The picture of accounts without one, at an address that apps keep."""
    name = ask.path["name"]
    if name not in _PICTURES:
        raise HttpRefusal(404, "There is no such file.")
    headers = {"content-type": "image/png", "cache-control": "public, max-age=86400"}
    return Response(tree().files[name], headers=headers)


# -- pages

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PACKED = 6
"""How hard pages are packed: more takes longer than the line saves."""
THEMES = ("auto", "light", "dark")
TONGUES = (
    ("vi", "Tiếng Việt"),
    ("en", "English"),
    ("ar", "العربية"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("he", "עברית"),
    ("hi", "हिन्दी"),
    ("id", "Bahasa Indonesia"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("pt", "Português"),
    ("ru", "Русский"),
    ("th", "ไทย"),
    ("zh", "中文"),
)
"""Languages that a writer chooses from, each in its own."""
_ANYBODY = (
    ("/groups", "groups", "people"),
    ("/events", "events", "date"),
    ("/channels", "channels", "play"),
    ("/live", "live", "live"),
    ("/about", "about", "info"),
    ("/own", "own_short", "key"),
)
_PERSON = (
    ("/local", "local", "place"),
    ("/drafts", "drafts", "draft"),
    ("/bookmarks", "bookmarks", "keep"),
    ("/lists", "lists", "list"),
    *_ANYBODY[:3],
    ("/network", "network", "net"),
    *_ANYBODY[3:],
    ("/settings", "settings", "gear"),
)
"""Pages beside the first ones: address, key of the word, icon."""
Do: TypeAlias = Callable[[DoorContext, DoorRequest], Awaitable[Response]]


_FILTERS = """
linked readable day account_path post_path colour_of safe_site media_kind initial hue loved size clock month in_zone
day_of_month for_input
"""
"""Functions of formats.py."""


@lru_cache(1)
def templates() -> Environment:
    made = Environment(
        loader=PackageLoader("banyan_web.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {name: getattr(formats, name) for name in _FILTERS.split()}
    made.filters["machine_time"] = iso
    made.globals |= {
        "static": tree().path,
        "languages": LANGUAGES,
        "counted": counted,
        "themes": THEMES,
        "tongues": TONGUES,
        "tongue_codes": frozenset(code for code, _ in TONGUES),
    }
    return made


def language(ask: DoorRequest) -> str:
    """That which the visitor chose, or the browser asks for."""
    chosen = ask.request.cookies.get("lang")
    return chosen if chosen in LANGUAGES else language_of(ask.request.headers.get("accept-language", ""))


async def render(web: DoorContext, ask: DoorRequest, template: str, status: int = 200, /, **values: Any) -> Response:
    """A page. values: what the template needs beside what each has."""
    lang, visitor = language(ask), visitor_of(web, ask)
    unread, waiting = 0, None
    if visitor is not None:
        waiting = await reports_for(web, visitor)
        try:
            unread = (await web.call("notifications.unread", by=visitor.did))["unread"]
        except (HttpRefusal, KeyError):
            pass
    path, query = ask.request.scope["path"], ask.request.scope["query_string"].decode("latin-1")  # no word of Host
    query = "&".join(part for part in query.split("&") if not part.startswith("said="))
    here = path + (f"?{query}" if query else "")
    common: Mapping[str, Any] = {
        "t": WORDS[lang],
        "lang": lang,
        "title": web.server.title,
        "me": visitor,
        "unread": unread,
        "waiting": waiting,
        "here": here,
        "path": path,
        "realm": (await web.call("id"))["realm"],
        "url": web.url,
        "theme": theme(ask),
        "places": _ANYBODY if visitor is None else ((account_path(visitor.did), "profile", "person"), *_PERSON),
        **_said(ask, lang),
    }
    body = templates().get_template(template).render({**common, **values}).encode("utf-8", "replace")
    # A page for who is not logged in has no secret that its length could tell (BREACH).
    packs = visitor is None and "gzip" in ask.request.headers.get("accept-encoding", "")
    tag = f'"{sha256(body).hexdigest()[:32]}{"-gz" if packs else ""}"'
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": POLICY,
        "cache-control": "private, no-cache",
        "vary": "accept-language, accept-encoding, cookie",
        "etag": tag,
        "referrer-policy": "same-origin",
    }
    if status == 200 and ask.has(tag):
        return Response(status_code=304, headers=headers)
    if packs:
        return Response(compress(body, PACKED), status, headers | {"content-encoding": "gzip"})
    return Response(body, status, headers)


async def reports_for(web: DoorContext, visitor: Visitor) -> int | None:
    """How many reports wait for a moderator; None for who is none. Asked anew for each page: a role may end."""
    try:
        found = await web.call("moderator.am_i", by=visitor.did)
    except HttpRefusal:
        return None
    return int(found["open"]) if found["moderator"] else None


def theme(ask: DoorRequest) -> str | None:
    """Light or dark, if the visitor chose one."""
    chosen = ask.request.cookies.get("theme")
    return chosen if chosen in THEMES[1:] else None


def _said(ask: DoorRequest, lang: str) -> dict[str, Any]:
    """What a form did that led here, in words of ours."""
    key = ask.request.query_params.get("said", "")
    link = ("/drafts", WORDS[lang]["said_undo"]) if key == "deleted_kept" else None
    return {"said": WORDS[lang].get(f"said_{key}") if key else None, "said_link": link}


def page(endpoints: Endpoints, path: str) -> Callable[[Do], Do]:
    """Declares a page."""
    return lambda do: endpoints.get(path)(as_page(do))


def as_page(do: Do) -> Do:
    """What is refused is a page too, in the visitor's language."""

    @wraps(do)
    async def shown(web: DoorContext, ask: DoorRequest) -> Response:
        try:
            return await do(web, ask)
        except HttpRefusal as why:
            if why.status == 401:
                return RedirectResponse("/login?next=/home", 303)
            web.bounds.refused(why, ask.request)
            says = 422 if why.more.get("code") == "refused" else why.status  # to load the page again changes nothing
            return await render(web, ask, "error.html", why.status, why=why.message, status=says)

    return shown
