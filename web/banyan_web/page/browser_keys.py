"""Accounts whose keys are in a browser: the page on which one is made, and where what it signed comes in.

What comes is signed by the account, so whoever brings it cannot forge it: no session is needed. How much comes is
bounded by address, what strangers have the node work on together by anonymous_queue.py, where who proves to have a key
of an account that is held here waits apart from newcomers, and what they may take of the disk by `storage.strangers`.
"""

from __future__ import annotations

from typing import Any

from mnemonic import Mnemonic
from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.page.formats import account_path
from banyan_web.page.rendering import as_page, reader, render
from banyan_web.params import text
from banyan_web.refusals import HttpRefusal
from banyan_web.sessions import from_here

ENDPOINTS = Endpoints()
WRITINGS, WRITING_S = 60, 600
"""Archives that one address brings in so many seconds."""


@ENDPOINTS.get("/own")
@as_page
async def own(web: DoorContext, ask: DoorRequest) -> Response:
    """Makes an account of this browser's own keys, and writes with it."""
    return await render(web, ask, "own.html", taken=web.server.browser_accounts or reader(web, ask) is not None)


@ENDPOINTS.post("/own/entries")
async def take(web: DoorContext, ask: DoorRequest) -> Any:
    """Takes entries that a browser signed. New accounts: of people who are logged in, or of everybody if the operator
    says so."""
    from_here(web, ask.request)
    if web.bounds.take("own entries", ask.address, WRITINGS, WRITING_S).over:
        raise HttpRefusal(
            429, "Too much came from here; try again in some minutes.", {"retry-after": "60"}, gate="tries"
        )
    account, archive = text(ask.params, "account"), text(ask.params, "archive")
    if reader(web, ask) is not None:
        return await _taken(web, account, archive)
    seen = await web.call("entries.look", archive=archive, account=account)
    if not (seen["held"] or web.server.browser_accounts):
        raise HttpRefusal(403, "This node takes no new accounts from browsers: log in first.", code="not_allowed")
    async with web.bounds.strangers.turn(ask.address, account if seen["news"] else None):
        return await _taken(web, account, archive)


async def _taken(web: DoorContext, account: str, archive: str) -> Any:
    done = await web.call("entries.take", archive=archive, account=account)
    return {**done, "path": account_path(done["account"])}


@ENDPOINTS.get("/own/words")
async def word_list(web: DoorContext, ask: DoorRequest) -> Response:
    """The 2,048 words in which a browser writes what is to be kept on paper, with spaces between them."""
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "public, max-age=86400"}
    return Response(" ".join(Mnemonic("english").wordlist), headers=headers)
