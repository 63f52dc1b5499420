"""Logging in with an access token, and logging out."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.page.rendering import as_page, reader, render
from banyan_web.page.visitor import COOKIE, from_here, keep, writing
from banyan_web.params import text

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/login")
@as_page
async def login(web: Web, ask: Ask) -> Response:
    """Asks for a token."""
    return await render(web, ask, "login.html", wrong=False)


@ENDPOINTS.post("/login")
@as_page
async def enter(web: Web, ask: Ask) -> Response:
    """Keeps a token in a cookie of this site."""
    from_here(web, ask.request)
    raw = text(ask.params, "token", "").strip()
    token = web.door.token(raw)
    if token is None or token.account is None or not token.allows("read"):
        return await render(web, ask, "login.html", 403, wrong=True)
    answer = RedirectResponse("/home", 303)
    keep(web, answer, COOKIE, raw)
    return answer


@ENDPOINTS.post("/logout")
@as_page
async def leave(web: Web, ask: Ask) -> Response:
    """Ends the session: the token allows nothing any more."""
    from_here(web, ask.request)
    raw = ask.request.cookies.get(COOKIE)
    if raw and reader(web, ask) is not None:
        writing(web, ask)
        web.door.revoke(raw)
    answer = RedirectResponse("/", 303)
    keep(web, answer, COOKIE, "", 0)
    return answer
