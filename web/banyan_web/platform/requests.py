"""Who may act or read as whom, and what a request of /v1 may name.

A token of a person acts and reads as that person. Any account that is hosted here is for a platform's own token: one of
no account, with the scope `host`. A token that an app got for itself (client credentials) has no such scope.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec

from banyan_node.api import decode
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext, DoorRequest
from banyan_web.refusals import HttpRefusal

HOST = "host"
T = TypeVar("T", bound=msgspec.Struct)


def is_platform(token: Token | None) -> bool:
    return token is not None and token.account is None and token.allows(HOST)


def whose(ask: DoorRequest) -> str:
    """Who gives the ids of operations: a platform keeps them when it changes its token. Raises HttpRefusal."""
    if ask.token is None:
        raise HttpRefusal(401, "This needs a token.")
    return owner_name(ask.token.account, ask.token.app)


def owner_name(account: str | None, app: str) -> str:
    """Of ids and webhooks. account: None for a platform, whose label `app` is."""
    return f"{account or ''} {app}"


async def own_name(web: DoorContext, ask: DoorRequest) -> str | None:
    """The name under which the account of a person's token is hosted here."""
    if ask.token is None or ask.token.account is None:
        return None
    found = await web.call("profiles", accounts=[ask.token.account])
    name: str | None = found["profiles"][0]["hosted"]
    return name or None


def acting(ask: DoorRequest, named: str | None, own: str | None = None) -> str:
    """The account that acts. named: whom the request names, a DID or a name. own: the name of who asks. Raises
    HttpRefusal."""
    if is_platform(ask.token):
        if named is None:
            raise HttpRefusal(422, "Say which account acts: `as` is its DID, or its name here.", code="bad_request")
        return named
    if named in (None, ask.account) or (own is not None and named == own):
        return ask.account
    raise HttpRefusal(403, "This token is of another account than `as`.", code="not_allowed")


async def reading(web: DoorContext, ask: DoorRequest, needed: bool = False) -> str | None:
    """The account that reads; None: nobody, which a platform's token may. needed: what is read is of an account, so
    somebody has to. Raises HttpRefusal."""
    named = ask.params.get("as")
    if not isinstance(named, str | None):
        raise HttpRefusal(422, "`as` is one account.", code="bad_request")
    if is_platform(ask.token):
        if needed and not named:
            says = "Say of which account: `as` is its DID, or its name here. Your token is of no account."
            raise HttpRefusal(422, says, code="bad_request")
        return named
    if named not in (None, ask.account) and named != await own_name(web, ask):
        raise HttpRefusal(403, "This token is of another account than `as`.", code="not_allowed")
    return ask.account


def only(params: Iterable[str], *known: str) -> None:
    """Raises HttpRefusal if the request has a parameter that the endpoint does not know."""
    for name in params:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"did you mean '{near[0]}'?" if near else f"it takes {', '.join(known) or 'none'}."
            raise HttpRefusal(422, f"There is no parameter '{name[:60]}'; {meant}", code="bad_request")


def shaped(params: dict[str, Any], kind: type[T]) -> T:
    """The parameters of a request in their type. Raises HttpRefusal."""
    only(params, *kind.__struct_encode_fields__)
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise HttpRefusal(422, decode.wrong("This", kind, params, str(error)), code="bad_request") from None
