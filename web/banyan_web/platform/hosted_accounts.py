"""/v1/admin: tokens; hosted accounts and their end."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from anyio import to_thread
from msgspec import Meta

from banyan_node.api.declare import NoResult, Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.json_types import Did, DidText, EntryHex
from banyan_node.api.methods.accounts.account_exit import ErasureReceipt
from banyan_node.api.methods.moderation.decisions import DecisionRow, ModerationStatus
from banyan_node.hosting.erasure import MOST_DAYS
from banyan_node.idempotency import RecordKey
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.oauth.logins import login_of, sessions, sign_out
from banyan_web.params import text, whole
from banyan_web.platform.requests import ADMIN, Why, actor, acts, keep, once, only, queried, shaped, written_down
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
PAGE = 100
_AFTER: dict[str, Any] = {"after": str, "limit": Annotated[int, Meta(ge=1, le=PAGE)]}


class TokenRow(Said, frozen=True):
    """account: null: of none. app: its name, or the label. created, expires: seconds since 1970; expires null: when it
    is revoked. by_app: whether an app of a person got it."""

    id: str
    account: Did | None
    app: str
    scopes: list[str]
    created: int
    expires: int | None
    by_app: bool


class TokenRows(Said, frozen=True):
    """Newest first."""

    tokens: list[TokenRow]


class HostedAccount(Said, frozen=True):
    """standing: what holds because moderators decided it. password: whether it can log in with one. sessions: browsers
    that are logged in."""

    account: Did
    name: str
    own: bool
    standing: ModerationStatus
    password: bool
    sessions: int
    tokens: int


class HostedAccounts(Said, frozen=True):
    """In the order of their opening. after: give it to get the next page; null on the last one."""

    accounts: list[HostedAccount]
    count: int
    after: Did | None


class SignedOut(Said, frozen=True):
    account: Did
    sessions: int
    tokens: int


class Suspension(Request, frozen=True, forbid_unknown_fields=True):
    """why: for other moderators. text: for the account."""

    why: Annotated[str, Meta(max_length=1_000)] = ""
    text: Annotated[str, Meta(max_length=500)] = ""


class OnlyWhy(Request, frozen=True, forbid_unknown_fields=True):
    why: Why = ""


@ENDPOINTS.get("/v1/admin/tokens", ADMIN, EndpointShape(None, TokenRows, query={"account": str}))
async def tokens(web: DoorContext, ask: DoorRequest) -> Any:
    """The tokens that are valid, of all or of one account (a DID). Never a secret: this server has only its hash."""
    only(ask.params, "account")
    of = text(ask.params, "account") if "account" in ask.params else None
    return TokenRows([_token(one) for one in await to_thread.run_sync(web.door.tokens, of)])


def _token(one: Token) -> TokenRow:
    account = None if one.account is None else DidText(one.account)
    return TokenRow(one.id, account, one.app, list(one.scopes), one.created, one.expires, one.client is not None)


@ENDPOINTS.delete("/v1/admin/tokens/{id}", ADMIN, acts(None, NoResult, query={"why": Why}))
async def revoke(web: DoorContext, ask: DoorRequest) -> Any:
    """Ends a token at once."""
    only(ask.params, "why")
    by, id_ = actor(ask, text(ask.params, "why", "")), ask.path["id"]

    async def do(key: RecordKey | None) -> Any:
        found = next((one for one in await to_thread.run_sync(web.door.tokens) if one.id == id_), None)
        if found is None:
            raise HttpRefusal(404, "There is no such token, or none any more.")
        await written_down(web, by, "token.revoke", msgspec.to_builtins(_token(found)))
        return await keep(web, key, {})

    done = await once(web, ask, do)
    await to_thread.run_sync(web.door.revoke_id, id_)
    return done


@ENDPOINTS.get("/v1/admin/accounts", ADMIN, EndpointShape(None, HostedAccounts, query=_AFTER))
async def hosted(web: DoorContext, ask: DoorRequest) -> Any:
    """The accounts that are hosted here, with what holds of them and how they are logged in."""
    only(ask.params, "after", "limit")
    after = text(ask.params, "after") if "after" in ask.params else None
    found = await web.call("account.list", after=after, limit=whole(ask.params, "limit", 50, PAGE))
    return HostedAccounts([await _row(web, one) for one in found["accounts"]], found["count"], found["after"])


async def _row(web: DoorContext, one: dict[str, Any]) -> HostedAccount:
    did = one["account"]

    def at_the_door() -> tuple[bool, int, int]:
        return login_of(web.door, did) is not None, sessions(web.door, did), len(web.door.tokens(did))

    password, browsers, held = await to_thread.run_sync(at_the_door)
    standing = await web.call("account.standing", account=did)
    return HostedAccount(did, one["name"], one["own"], standing, password, browsers, held)


async def hosted_standing(web: DoorContext, ask: DoorRequest) -> dict[str, Any]:
    """What holds of the account of the path. Raises HttpRefusal."""
    found: dict[str, Any] = await web.call("account.standing", account=ask.path["account"])
    if not found["hosted"]:
        raise HttpRefusal(404, "That account is not hosted here.")
    return found


@ENDPOINTS.post("/v1/admin/accounts/{account}/suspend", ADMIN, acts(Suspension, DecisionRow))
async def suspend(web: DoorContext, ask: DoorRequest) -> Any:
    """This node writes nothing for a hosted account any more. It can read, export itself, and leave with its recovery
    key."""
    wanted, by = shaped(ask.params, Suspension), actor(ask)

    async def do(key: RecordKey | None) -> Any:
        account = (await hosted_standing(web, ask))["account"]
        said = {"account": account, "why": wanted.why, "text": wanted.text}
        return await web.act(by, "decision.add", key, verdict="suspend", **said)

    return await once(web, ask, do)


@ENDPOINTS.post("/v1/admin/accounts/{account}/restore", ADMIN, acts(OnlyWhy, DecisionRow))
async def restore(web: DoorContext, ask: DoorRequest) -> Any:
    """Takes the suspension of a hosted account back."""
    wanted, by = shaped(ask.params, OnlyWhy), actor(ask)

    async def do(key: RecordKey | None) -> Any:
        number = (await hosted_standing(web, ask))["suspended"]
        if number is None:
            raise HttpRefusal(409, "That account is not suspended.", code="refused")
        return await web.act(by, "decision.undo", key, id=number, why=wanted.why)

    return await once(web, ask, do)


@ENDPOINTS.post("/v1/admin/accounts/{account}/sign-out", ADMIN, acts(OnlyWhy, SignedOut))
async def sign_everything_out(web: DoorContext, ask: DoorRequest) -> Any:
    """Logs an account out everywhere: browsers, links, and tokens of its apps. Its password stays."""
    wanted = shaped(ask.params, OnlyWhy)

    async def do(key: RecordKey | None) -> Any:
        account = (await hosted_standing(web, ask))["account"]
        await written_down(web, actor(ask, wanted.why), "account.sign_out", {"account": account})
        browsers, ended = await to_thread.run_sync(sign_out, web.door, account)
        return await keep(web, key, {"account": account, "sessions": browsers, "tokens": ended})

    return await once(web, ask, do)


# Who ends an account types its name again. Nobody is logged in as it afterwards; once its erasing begins, the door
# forgets all that it kept of it (`DoorStore.forget`).

_Reason = Annotated[str, Meta(min_length=1, max_length=500)]
_Days = Annotated[int, Meta(ge=0, le=MOST_DAYS)]


class EndOfAccount(Request, frozen=True, forbid_unknown_fields=True):
    """confirm: the name under which it is hosted here, or its DID, typed again. erase: also erase what this node holds
    of it; then `reason` says why, and `days` within how many days."""

    confirm: str
    erase: bool = False
    reason: _Reason | None = None
    days: _Days | None = None
    why: Why | None = None


class EndedAccount(Said, frozen=True):
    """entry: the one that closed it, also before; null: `erasure` says more."""

    account: Did
    entry: EntryHex | None
    erasure: ErasureReceipt | None


_QUERY: dict[str, Any] = {"confirm": str, "erase": bool, "reason": _Reason, "days": _Days, "why": Why}


@ENDPOINTS.delete("/v1/accounts/{account}", ADMIN, acts(None, EndedAccount, query=_QUERY))
async def end(web: DoorContext, ask: DoorRequest) -> Any:
    """Closes a hosted account: nobody can write in it, and nodes show nothing of it; its recovery key undoes that. With
    `erase` all that this node holds of it goes from its files, but for its control log."""
    asked, named = queried(ask, EndOfAccount), ask.path["account"]
    by, confirm = actor(ask, asked.get("why")), asked["confirm"]
    said = {name: asked[name] for name in ("reason", "days") if name in asked}
    if said and not asked["erase"]:
        says = "`reason` and `days` are of an erasure: add erase=true, or leave them out to close the account only."
        raise HttpRefusal(422, says)

    async def do(key: RecordKey | None) -> Any:
        if asked["erase"]:
            return await web.act(by, "account.erase", key, account=named, confirm=confirm, **said)
        account = (await web.call("account.standing", account=named))["account"]
        closed = await web.act(by, "account.close", account=account, confirm=confirm)
        return await keep(web, key, {"account": account, "entry": closed["entry"]})

    done = await once(web, ask, do, outlives=True)  # or it would end the next account of that name
    await to_thread.run_sync(sign_out, web.door, done["account"])
    entry, erasure = (None, done) if asked["erase"] else (done["entry"], None)
    return EndedAccount(done["account"], entry, erasure)
