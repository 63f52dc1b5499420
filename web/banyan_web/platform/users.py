"""What a platform does for its users over /v1: tokens for their apps, and reports in their name."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from anyio import to_thread
from msgspec import Meta

from banyan_node.api.declare import NoResult, Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.methods.reports import MyReport, ReportRequest
from banyan_node.api.texts import Did, DidText
from banyan_node.idempotency import Key
from banyan_web.admin.acting import BODY, actor, written_down
from banyan_web.admin.people import hosted_standing
from banyan_web.endpoint import Ask, DoorContext, Endpoints, Shape
from banyan_web.keyed import Seal, keep, key_for, once
from banyan_web.platform.acting import HOST, acting, is_platform, only, own_name, shaped
from banyan_web.refusals import Refused
from banyan_web.scopes import scopes_in

ENDPOINTS = Endpoints()
LONGEST_S = 366 * 24 * 3_600


class NewToken(Request, frozen=True, forbid_unknown_fields=True):
    """scopes: what a person can allow an app, such as `read` and `write`. app: the name that the person is shown;
    default: the label of the platform's token. seconds: how long it lasts; null: until it is revoked."""

    scopes: Annotated[list[str], Meta(min_length=1, max_length=64)]
    app: Annotated[str, Meta(min_length=1, max_length=60)] | None = None
    seconds: Annotated[int, Meta(ge=1, le=LONGEST_S)] | None = None


class MintedToken(Said, frozen=True):
    """token: the secret, which is shown in this answer only. id: to end it."""

    id: str
    token: str
    account: Did
    scopes: list[str]
    expires: int | None


@ENDPOINTS.post("/v1/accounts/{account}/tokens", HOST, shape=Shape(NewToken, MintedToken, refuses=BODY, keyed=True))
async def mint(web: DoorContext, ask: Ask) -> Any:
    """A token of an account that is hosted here, for the apps of its user."""
    given, account = shaped(ask.params, NewToken), await _hosted(web, ask)
    if await web.is_closed(account):
        raise Refused(
            409, "That account is closed: nobody acts as it, unless its recovery key undoes that.", code="refused"
        )
    scopes = scopes_in(" ".join(given.scopes))
    app, seal = given.app or _platform(ask), Seal(ask)

    async def do(key: Key | None) -> Any:
        await written_down(web, actor(ask), "token.add", {"account": account, "app": app, "scopes": list(scopes)})
        raw = await to_thread.run_sync(web.door.mint, account, app, scopes, given.seconds)
        token = await to_thread.run_sync(web.door.token, raw)
        if token is None:
            raise Refused(500, "The token was not kept: ask for another one.", code="internal")
        answer = MintedToken(token.id, raw, account, list(scopes), token.expires)
        made = seal.close(key, msgspec.to_builtins(answer))
        kept = await keep(web, key, made, [account])
        if kept != made:  # another process made one meanwhile
            await to_thread.run_sync(web.door.revoke_id, token.id)
        return kept

    return seal.open(key_for(ask), await once(web, ask, do))


@ENDPOINTS.delete("/v1/accounts/{account}/tokens/{id}", HOST, Shape(None, NoResult, keyed=True))
async def revoke(web: DoorContext, ask: Ask) -> Any:
    """Ends a token of an account that is hosted here, at once."""
    only(ask.params)
    account, id_ = await _hosted(web, ask), ask.path["id"]

    async def do(key: Key | None) -> Any:
        if all(one.id != id_ for one in await to_thread.run_sync(web.door.tokens, account)):
            raise Refused(404, "There is no such token of this account, or none any more.", code="not_found")
        await written_down(web, actor(ask), "token.revoke", {"id": id_, "account": account})
        return await keep(web, key, {})

    done = await once(web, ask, do)
    await to_thread.run_sync(web.door.revoke_id, id_, account)
    return done


@ENDPOINTS.post("/v1/reports", "write:reports", shape=Shape(ReportRequest, MyReport, refuses=(*BODY, 409, 429)))
async def report(web: DoorContext, ask: Ask) -> Any:
    """Reports an account, or posts of it, to the moderators of this node. One that says what an open one says is folded
    into it."""
    given = shaped(ask.params, ReportRequest)
    by = acting(ask, given.by, await own_name(web, ask))
    return await web.call(
        "report.add", **{**{name: getattr(given, name) for name in given.__struct_fields__}, "by": by}
    )


def _platform(ask: Ask) -> str:
    """The label of the platform's token. Raises Refused."""
    if ask.token is None or not is_platform(ask.token):
        raise Refused(403, "Tokens of users are made with a platform's token, which is of no account.")
    return ask.token.app


async def _hosted(web: DoorContext, ask: Ask) -> DidText:
    """The DID of the account of the path. Raises Refused."""
    _platform(ask)
    return DidText((await hosted_standing(web, ask))["account"])
