"""Whom and what the path of a page names."""

from __future__ import annotations

import re

from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.entities.statuses import uri_of
from banyan_web.refusals import Refused

_TAIL = re.compile(r"z[1-9A-HJ-NP-Za-km-z]{40,44}")
_KEY = re.compile(r"[0-9a-f]{32}")
_NOBODY = "No account of this name is known here."


async def did_of(web: DoorContext, name: str) -> str:
    """The account of a name behind `/@`: a DID, the end of one, a confirmed handle (`an`, `an@other.example`), or a
    name that is hosted here. Raises Refused."""
    name = name.removeprefix("acct:").strip()
    if name.startswith("did:banyan:") or _TAIL.fullmatch(name.partition("@")[0]):
        return "did:banyan:" + name.removeprefix("did:banyan:").partition("@")[0]
    user, _, domain = name.partition("@")
    try:
        found = await web.call("handle.find", handle=f"{user}.{domain or web.server.domain}")
    except Refused:
        found = {"accounts": []}
    for one in found["accounts"]:
        if one["platforms"]:
            return str(one["account"])
    if domain in ("", web.server.domain) and user:
        named = await web.call("find", text=user)
        for one in named["accounts"]:
            if user in (one["name"], one["account"]) or len(named["accounts"]) == 1:
                return str(one["account"])
    raise Refused(404, _NOBODY)


async def uri_in(web: DoorContext, did: str, key: str) -> str:
    """The post behind `/@NAME/`: its key, or the id that apps give it. Raises Refused."""
    if _KEY.fullmatch(key):
        return f"{did}/{key}"
    uri = await uri_of(web, key)
    if uri.partition("/")[0] != did:
        raise Refused(404, "That post is of another account.")
    return uri


def thing_in(name: str, key: str) -> str:
    """A group, channel or post whose account and key stand in the path. Raises Refused."""
    tail = name.removeprefix("@").removeprefix("did:banyan:")
    if not _TAIL.fullmatch(tail) or not _KEY.fullmatch(key):
        raise Refused(404, "Nothing has that address.")
    return f"did:banyan:{tail}/{key}"
