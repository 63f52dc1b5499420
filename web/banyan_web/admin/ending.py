"""Ends a hosted account: closes it, and on request erases it from every file of this node.

Who ends it types its name again. Nobody is logged in as it afterwards; once its erasing begins, the door forgets all
that it kept of it (`DoorStore.forget`).
"""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from msgspec import Meta

from banyan_node.api.declare import Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.methods.erasing import ErasureReceipt
from banyan_node.api.texts import Did, EntryHex
from banyan_node.hosting.erasing import MOST_DAYS
from banyan_node.idempotency import Key
from banyan_web.admin.acting import ADMIN, BODY, actor, queried
from banyan_web.door_logins import sign_out
from banyan_web.endpoint import Ask, DoorContext, Endpoints, Shape
from banyan_web.keyed import keep, once
from banyan_web.platform.acting import only
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
_Reason = Annotated[str, Meta(min_length=1, max_length=500)]
_Days = Annotated[int, Meta(ge=0, le=MOST_DAYS)]
_Why = Annotated[str, Meta(max_length=500)]


class EndOfAccount(Request, frozen=True, forbid_unknown_fields=True):
    """confirm: the name under which it is hosted here, or its DID, typed again. erase: also erase what this node holds
    of it; then `reason` says why, and `days` within how many days."""

    confirm: str
    erase: bool = False
    reason: _Reason | None = None
    days: _Days | None = None
    why: _Why | None = None


class UndoErasure(Request, frozen=True, forbid_unknown_fields=True):
    why: _Why | None = None


class EndedAccount(Said, frozen=True):
    """entry: the one that closed it, also before; null: `erasure` says more."""

    account: Did
    entry: EntryHex | None
    erasure: ErasureReceipt | None


_UNDO: dict[str, Any] = {"why": _Why}
_QUERY: dict[str, Any] = {"confirm": str, "erase": bool, "reason": _Reason, "days": _Days, "why": _Why}


@ENDPOINTS.delete("/v1/accounts/{account}", ADMIN, Shape(None, EndedAccount, query=_QUERY, refuses=BODY, keyed=True))
async def end(web: DoorContext, ask: Ask) -> Any:
    """Closes a hosted account: nobody can write in it, and nodes show nothing of it; its recovery key undoes that. With
    `erase` all that this node holds of it goes from its files, but for its control log."""
    asked, named = queried(ask, EndOfAccount), ask.path["account"]
    by, confirm = actor(ask, asked.get("why")), asked["confirm"]
    said = {name: asked[name] for name in ("reason", "days") if name in asked}
    if said and not asked["erase"]:
        says = "`reason` and `days` are of an erasure: add erase=true, or leave them out to close the account only."
        raise Refused(422, says, code="bad_request")

    async def do(key: Key | None) -> Any:
        if asked["erase"]:
            return await web.act(by, "account.erase", key, account=named, confirm=confirm, **said)
        account = (await web.call("account.standing", account=named))["account"]
        closed = await web.act(by, "account.close", account=account, confirm=confirm)
        return await keep(web, key, {"account": account, "entry": closed["entry"]})

    done = await once(web, ask, do, outlives=True)  # or it would end the next account of that name
    await to_thread.run_sync(sign_out, web.door, done["account"])
    erasure = done if asked["erase"] else None
    return {"account": done["account"], "entry": done["entry"] if erasure is None else None, "erasure": erasure}


@ENDPOINTS.get("/v1/accounts/{account}/erasure", ADMIN, Shape(None, ErasureReceipt))
async def receipt(web: DoorContext, ask: Ask) -> Any:
    """How far the erasing of an account is, here and at peers."""
    only(ask.params)
    return await web.call("account.erasure", account=ask.path["account"])


@ENDPOINTS.delete("/v1/accounts/{account}/erasure", ADMIN, Shape(None, ErasureReceipt, query=_UNDO, keyed=True))
async def take_back(web: DoorContext, ask: Ask) -> Any:
    """Takes back, here and at peers, that the account is to be erased, if that has not begun here. It stays closed."""
    by = actor(ask, queried(ask, UndoErasure).get("why"))
    return await once(web, ask, lambda key: web.act(by, "account.unerase", key, account=ask.path["account"]))
