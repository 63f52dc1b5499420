"""How a form of a page is declared: it acts for who is logged in, and leads back to where it was. And the forms of one
click."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.compose_store import blob_of
from banyan_web.mastodon.entities.statuses import FAVOURITE
from banyan_web.oauth.sessions import Visitor, local, visitor_of, writing
from banyan_web.page.rendering import as_page
from banyan_web.params import text, texts
from banyan_web.refusals import HttpRefusal

Act: TypeAlias = Callable[[DoorContext, DoorRequest, Visitor], Awaitable[str | None]]


def form(endpoints: Endpoints, path: str, files: bool = False) -> Callable[[Act], Act]:
    """Declares what a form does. It returns where it leads; None: where the form says."""

    def declare(do: Act) -> Act:
        @endpoints.post(path, files=files)
        @as_page
        async def done(web: DoorContext, ask: DoorRequest) -> Response:
            me = writing(web, ask)
            to = await do(web, ask, me)
            return RedirectResponse(to or back(ask), 303)

        return do

    return declare


def somebody(web: DoorContext, ask: DoorRequest) -> Visitor:
    """Who is logged in. Raises HttpRefusal."""
    me = visitor_of(web, ask)
    if me is None:
        raise HttpRefusal(401, "Log in first.")
    return me


def back(ask: DoorRequest, word: str = "") -> str:
    """Where the form says, with a word that the page there says: `said_WORD` of translations.csv."""
    to = local(ask.params.get("to"))
    return saying(to, word) if word else to


def saying(path: str, word: str) -> str:
    parts = urlsplit(path)
    query = "&".join([part for part in parts.query.split("&") if part and not part.startswith("said=")])
    return urlunsplit(("", "", parts.path, f"{query}&said={word}".lstrip("&"), parts.fragment))


def undone(ask: DoorRequest) -> bool:
    """Whether the form takes back what it did."""
    return ask.params.get("undo") == "1"


def sure(ask: DoorRequest) -> None:
    """Raises HttpRefusal unless the box beside the button is checked."""
    if ask.params.get("sure") != "1":
        raise HttpRefusal(422, "Check the box beside the button first.")


def files_of(ask: DoorRequest, name: str) -> list[UploadFile]:
    """The files of a parameter, those that are there. Raises HttpRefusal."""
    given = ask.params.get(name, [])
    given = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str | UploadFile) for one in given):
        raise HttpRefusal(422, f"{name} is a list of files.")
    return [one for one in given if isinstance(one, UploadFile) and one.filename]


async def media_of(
    web: DoorContext, ask: DoorRequest, name: str = "media", alts: str = "alt"
) -> list[dict[str, str | None]]:
    """The files of a form as items of media, each with its description."""
    said, given = texts(ask.params, alts), ask.params.get(name, [])
    described = dict[int, str]()
    if isinstance(given, list):  # an empty field of a file has a description too
        described = {id(one): text for one, text in zip(given, said, strict=False) if isinstance(one, UploadFile)}
    return [
        {"blob": await put(web, file), "description": described.get(id(file), "").strip() or None}
        for file in files_of(ask, name)
    ]


async def put(web: DoorContext, file: UploadFile) -> str:
    """The blob of a file that a form brought. Raises HttpRefusal."""
    raw = await file.read()
    if not raw:
        raise HttpRefusal(422, "The file is empty.")
    return await blob_of(web, raw)


# What one does with a post or an account by one click: each form takes back what it did if it says `undo`.

ENDPOINTS = Endpoints()
HEARTS = (FAVOURITE, f"{FAVOURITE}\ufe0f")
"""As apps and as keyboards write it."""


def _click(path: str, method: str, of: str = "uri", said: str = "") -> None:
    """of: what the form names. said: the word that the page says afterwards."""

    @form(ENDPOINTS, path)
    async def click(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
        undo = undone(ask)
        await web.mark(method, undo, **{of: text(ask.params, of)}, by=me.did)
        return back(ask, said if not undo else "")


_click("/boost", "repost")
_click("/bookmark", "bookmark")
_click("/pin", "pin")
_click("/hide", "thread.hide")  # an answer to somebody, or a quote of them, for everybody
_click("/mute", "mute", "account", "muted")
_click("/block", "block", "account", "blocked")


@form(ENDPOINTS, "/favourite")
async def favourite(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Reacts with a heart."""
    uri, undo = text(ask.params, "uri"), undone(ask)
    for emoji in HEARTS if undo else HEARTS[:1]:
        await web.mark("react", undo, uri=uri, emoji=emoji, by=me.did)


@form(ENDPOINTS, "/vote")
async def vote(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Votes in a poll."""
    chosen = [int(one) for one in texts(ask.params, "options") if one.isascii() and one.isdigit() and len(one) < 4]
    await web.call("vote", uri=text(ask.params, "uri"), options=chosen, by=me.did)


@form(ENDPOINTS, "/follow")
async def follow(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Follows an account, or asks to."""
    await web.call("follow", account=text(ask.params, "account"), by=me.did)


@form(ENDPOINTS, "/unfollow")
async def unfollow(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Follows it no more."""
    await web.call("unfollow", account=text(ask.params, "account"), by=me.did)


@form(ENDPOINTS, "/requests")
async def answer(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Accepts who asks to follow a locked account, or takes the wish off the list."""
    method = "follow.accept" if ask.params.get("do") == "accept" else "follow.refuse"
    await web.call(method, account=text(ask.params, "account"), by=me.did)
