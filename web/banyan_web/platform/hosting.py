"""Hosting: opens accounts for the users of a platform, one or many; tokens for their apps, and reports in their name.

Each user gets a recovery key of their own, 24 words that undo whatever the platform does with the account. They are
shown in the answer, for the platform to hand over. Until the next day the same request by the same token gets the same
answer, in case the first one was lost: the words are kept for so long, sealed with the token, of which this server
keeps a hash only (requests.py). They are kept before the account is opened, so that no crash opens one without words.
They go when the account is erased, and the node opens no other one with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from anyio import to_thread
from msgspec import Meta
from starlette.responses import Response

from banyan_node.api.declare import NoResult, Request
from banyan_node.api.declare import Response as Said
from banyan_node.api.json_types import Did, DidText
from banyan_node.api.methods.accounts.accounts import HostedRows
from banyan_node.api.methods.moderation.reports import MyReport, ReportRequest
from banyan_node.client.v1 import OpenedAccount
from banyan_node.home.recovery import commitment, new_words
from banyan_node.idempotency import RecordKey, key_of
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.oauth.apps import scopes_in
from banyan_web.params import text, whole
from banyan_web.platform import operations
from banyan_web.platform.hosted_accounts import hosted_standing
from banyan_web.platform.json_lines import Conversation, NdjsonLine, answer_array, is_json, objects_of, refused_line
from banyan_web.platform.requests import (
    BODY,
    HOST,
    Seal,
    acting,
    actor,
    acts,
    given_key,
    is_platform,
    keep,
    keep_all,
    key_for,
    once,
    only,
    own_name,
    record,
    shaped,
    whose,
    written_down,
)
from banyan_web.refusals import HttpRefusal, answer

ENDPOINTS = Endpoints()
PAGE = 1_000
MAX_NAME = 256
"""Bytes."""


class NewAccount(Request, frozen=True, forbid_unknown_fields=True):
    """name: unique at this node. profile: texts by name, such as bio. recovery: the commitment of a recovery key that
    the user made (`banyan keys words`), 128 hexadecimal digits; default: a key is made, and shown once."""

    name: Annotated[
        str, Meta(min_length=1, max_length=MAX_NAME, pattern="^(?!did:)", title="a text that does not begin with did:")
    ]
    profile: dict[str, str] = msgspec.field(default_factory=dict)
    recovery: Annotated[str, Meta(pattern="^[0-9a-fA-F]{128}$", title="128 hexadecimal digits")] | None = None


_ONE = acts(NewAccount, OpenedAccount)
_MANY = EndpointShape(NewAccount, OpenedAccount, refuses=BODY, lines=True)
_AFTER: dict[str, Any] = {"after": str, "limit": Annotated[int, Meta(ge=1, le=PAGE)]}


@ENDPOINTS.post("/v1/accounts", HOST, shape=_ONE)
async def create(web: DoorContext, ask: DoorRequest) -> Response:
    """Opens one account."""
    _demand_platform(ask)
    (row,) = await _create(web, ask, [NdjsonLine(1, ask.params, None)], given_key(ask))
    return answer(row, row["status"], ask.headers)


@ENDPOINTS.post("/v1/accounts/bulk", HOST, raw=True, shape=_MANY)
async def create_many(web: DoorContext, ask: DoorRequest) -> Response:
    """Opens many accounts: a line each, as NDJSON, or an array. Each has an answer of its own, in order."""
    _demand_platform(ask)
    given = await objects_of(ask.request) if is_json(ask.request) else None

    async def do(lines: Sequence[NdjsonLine]) -> list[dict[str, Any]]:
        return [row for run in _runs(lines) for row in await _create(web, ask, run, None)]

    if isinstance(given, NdjsonLine):
        raise given.why or HttpRefusal(422, "Send an array of accounts. POST /v1/accounts opens one.")
    return Conversation(web.bounds, ask.request, do) if given is None else answer(await answer_array(given, do))


@ENDPOINTS.get("/v1/accounts", HOST, EndpointShape(None, HostedRows, query=_AFTER))
async def listing(web: DoorContext, ask: DoorRequest) -> Any:
    """The accounts that are hosted here, page by page, in the order of opening."""
    _demand_platform(ask)
    only(ask.params, "after", "limit")
    after = text(ask.params, "after") if "after" in ask.params else None
    return await web.call("account.list", after=after, limit=whole(ask.params, "limit", 100, PAGE))


def _demand_platform(ask: DoorRequest) -> None:
    if not is_platform(ask.token):
        raise HttpRefusal(403, "Accounts are opened with a platform's token, which is of no account.")


def _runs(lines: Sequence[NdjsonLine]) -> Iterator[list[NdjsonLine]]:
    """Neighbours without a name that is there twice: a line is read after what the one before it of its name did."""
    run, names = list[NdjsonLine](), set[str]()
    for line in lines:
        name = str(line.value.get("name")) if line.why is None else ""
        if name in names:
            yield run
            run, names = [], set()
        run.append(line)
        names.update([name] if name else [])
    yield run


async def _create(
    web: DoorContext, ask: DoorRequest, lines: Sequence[NdjsonLine], key: str | None
) -> list[dict[str, Any]]:
    """Opens an account for each line. The name is the key of a line: it is there once (`_runs`)."""
    seal, giver = Seal(ask), whose(ask)
    wanted = [_read(line) for line in lines]
    keys = {
        at: key_of(f"account {giver}", key or one.name, msgspec.to_builtins(one))
        for at, one in enumerate(wanted)
        if isinstance(one, NewAccount)
    }
    plans = [
        record(keys[at], seal.close(keys[at], "" if one.recovery else new_words()), (one.name,))
        for at, one in enumerate(wanted)
        if isinstance(one, NewAccount)
    ]
    kept = iter(await keep_all(web, plans))
    rows = list[dict[str, Any]]()
    todo: list[tuple[int, str, NewAccount, str]] = []
    for at, one in enumerate(wanted):
        rows.append(refused_line(one) if isinstance(one, HttpRefusal) else {})
        if isinstance(one, NewAccount):
            found = next(kept)
            try:
                if found["said"] != keys[at].said.hex():
                    raise _used(key)
                todo.append((at, keys[at].name.hex(), one, seal.open(keys[at], found["answer"])))
            except HttpRefusal as why:
                rows[at] = refused_line(why, name=one.name)
    opened = await operations.write(web, giver, [_opening(name, one, words) for _, name, one, words in todo])
    fields = [
        {"id": f"profile {name}", "do": "profile.set", "as": row["answer"]["account"], "fields": one.profile}
        for (_, name, one, _), row in zip(todo, opened, strict=True)
        if "answer" in row and one.profile
    ]
    told = {row["id"]: row for row in await operations.write(web, giver, fields)}
    for (at, name, one, words), row in zip(todo, opened, strict=True):
        said = told.get(f"profile {name}", row)
        rows[at] = {"name": one.name, "status": said["status"]}
        if "answer" in row:
            rows[at] |= {"account": row["answer"]["account"], "recovery_words": words or None}
            rows[at]["repeated"] = row["repeated"]
        elif row["status"] < 500:  # else it may have been opened
            await web.call("idempotency.drop", name=name)
        if "answer" not in said:
            rows[at] |= {"error": said["error"], "code": said["code"]}
    return rows


def _used(key: str | None) -> HttpRefusal:
    if key is not None:
        return HttpRefusal(422, "This Idempotency-Key was used for another account: use a new one.", code="refused")
    return HttpRefusal(
        409, "This name was used a short time ago, with another profile or recovery key.", code="refused"
    )


def _opening(name: str, one: NewAccount, words: str) -> dict[str, Any]:
    """The operation that opens it."""
    recovery = one.recovery or commitment(words)
    return {"id": f"account {name}", "do": "account.create", "name": one.name, "hosted": True, "recovery": recovery}


def _read(line: NdjsonLine) -> NewAccount | HttpRefusal:
    if line.why is not None:
        return line.why
    try:
        one = shaped(line.value, NewAccount)
        if not one.name.strip() or len(one.name.encode()) > MAX_NAME:
            raise HttpRefusal(422, f"A name has 1 to {MAX_NAME} bytes, and not only spaces.")
        return one
    except HttpRefusal as why:
        return why


# What a platform does for its users.

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


@ENDPOINTS.post("/v1/accounts/{account}/tokens", HOST, acts(NewToken, MintedToken))
async def mint(web: DoorContext, ask: DoorRequest) -> Any:
    """A token of an account that is hosted here, for the apps of its user."""
    given, account = shaped(ask.params, NewToken), await _hosted(web, ask)
    if await web.is_closed(account):
        raise HttpRefusal(
            409, "That account is closed: nobody acts as it, unless its recovery key undoes that.", code="refused"
        )
    scopes = scopes_in(" ".join(given.scopes))
    app, seal = given.app or _platform(ask), Seal(ask)

    async def do(key: RecordKey | None) -> Any:
        await written_down(web, actor(ask), "token.add", {"account": account, "app": app, "scopes": list(scopes)})
        raw = await to_thread.run_sync(web.door.mint, account, app, scopes, given.seconds)
        token = await to_thread.run_sync(web.door.token, raw)
        if token is None:
            raise HttpRefusal(500, "The token was not kept: ask for another one.")
        answer = MintedToken(token.id, raw, account, list(scopes), token.expires)
        made = seal.close(key, msgspec.to_builtins(answer))
        kept = await keep(web, key, made, [account])
        if kept != made:  # another process made one meanwhile
            await to_thread.run_sync(web.door.revoke_id, token.id)
        return kept

    return seal.open(key_for(ask), await once(web, ask, do))


@ENDPOINTS.delete("/v1/accounts/{account}/tokens/{id}", HOST, EndpointShape(None, NoResult, keyed=True))
async def revoke(web: DoorContext, ask: DoorRequest) -> Any:
    """Ends a token of an account that is hosted here, at once."""
    only(ask.params)
    account, id_ = await _hosted(web, ask), ask.path["id"]

    async def do(key: RecordKey | None) -> Any:
        if all(one.id != id_ for one in await to_thread.run_sync(web.door.tokens, account)):
            raise HttpRefusal(404, "There is no such token of this account, or none any more.")
        await written_down(web, actor(ask), "token.revoke", {"id": id_, "account": account})
        return await keep(web, key, {})

    done = await once(web, ask, do)
    await to_thread.run_sync(web.door.revoke_id, id_, account)
    return done


@ENDPOINTS.post("/v1/reports", "write:reports", shape=acts(ReportRequest, MyReport, refuses=(*BODY, 409, 429)))
async def report(web: DoorContext, ask: DoorRequest) -> Any:
    """Reports an account, or posts of it, to the moderators of this node. One that says what an open one says is folded
    into it."""
    given = shaped(ask.params, ReportRequest)
    by = acting(ask, given.by, await own_name(web, ask))
    return await web.call("report.add", key_for(ask), **{**msgspec.structs.asdict(given), "by": by})


def _platform(ask: DoorRequest) -> str:
    """The label of the platform's token. Raises HttpRefusal."""
    if ask.token is None or not is_platform(ask.token):
        raise HttpRefusal(403, "Tokens of users are made with a platform's token, which is of no account.")
    return ask.token.app


async def _hosted(web: DoorContext, ask: DoorRequest) -> DidText:
    """The DID of the account of the path. Raises HttpRefusal."""
    _platform(ask)
    return DidText((await hosted_standing(web, ask))["account"])
