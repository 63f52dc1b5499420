"""Hosting: opens accounts for the users of a platform, one or many.

Each user gets a recovery key of their own, 24 words that undo whatever the platform does with the account. They are
shown in the answer, for the platform to hand over. Until the next day the same request by the same token gets the same
answer, in case the first one was lost: the words are kept for so long, sealed with the token, of which this server
keeps a hash only (sealed.py). They are kept before the account is opened, so that no crash opens one without words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from anyio import to_thread
from starlette.responses import Response

from banyan_node.home.recovery import commitment, new_words
from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.params import number, text
from banyan_web.platform import operations
from banyan_web.platform.acting import HOST, is_platform, key_of, only, whose
from banyan_web.platform.lines import Conversation, Line, refused_line
from banyan_web.platform.sealed import Kept, Seal, digest_of
from banyan_web.refusals import Refused, answer

ENDPOINTS = Endpoints()
PAGE = 1_000
MAX_NAME = 256
"""Bytes."""


@ENDPOINTS.post("/v1/accounts", HOST)
async def create(web: Web, ask: Ask) -> Response:
    """Opens one account."""
    _demand_platform(ask)
    (row,) = await _create(web, ask, [Line(1, ask.params, None)], key_of(ask))
    return answer(row, row["status"], ask.headers)


@ENDPOINTS.post("/v1/accounts/bulk", HOST, raw=True)
async def create_many(web: Web, ask: Ask) -> Response:
    """Opens many accounts: a line each, as NDJSON."""
    _demand_platform(ask)
    key_of(ask)

    async def do(lines: Sequence[Line]) -> list[dict[str, Any]]:
        return await _create(web, ask, lines, None)

    return Conversation(ask.request, do)


@ENDPOINTS.get("/v1/accounts", HOST)
async def listing(web: Web, ask: Ask) -> Any:
    """The accounts that are hosted here, page by page, in the order of opening."""
    _demand_platform(ask)
    only(ask.params, "after", "limit")
    after = text(ask.params, "after") if "after" in ask.params else None
    return await web.call("account.list", after=after, limit=number(ask.params, "limit", 100, PAGE))


def _demand_platform(ask: Ask) -> None:
    if not is_platform(ask.token):
        raise Refused(403, "Accounts are opened with a platform's token, which is of no account.")


class _Wanted(NamedTuple):
    """An account to be. recovery: a commitment; None: one is made from words that are shown."""

    name: str
    profile: dict[str, str]
    recovery: str | None


async def _create(web: Web, ask: Ask, lines: Sequence[Line], key: str | None) -> list[dict[str, Any]]:
    """Opens an account for each line. The name is the key of a line: it is there once."""
    seal, giver = Seal(web.door, ask), whose(ask)
    wanted = [_read(line) for line in lines]
    names = [seal.name(f"account {one.name if key is None else key}") for one in wanted if isinstance(one, _Wanted)]
    plans = {
        name: (digest_of(one), "" if one.recovery else new_words())
        for name, one in zip(names, (one for one in wanted if isinstance(one, _Wanted)), strict=True)
    }
    kept = await to_thread.run_sync(seal.keep, plans)
    ids, rows = iter(names), list[dict[str, Any]]()
    todo: list[tuple[int, bytes, _Wanted, str]] = []
    for at, one in enumerate(wanted):
        rows.append(refused_line(one) if isinstance(one, Refused) else {})
        if isinstance(one, _Wanted):
            name = next(ids)
            found = kept[name]
            if isinstance(found, Kept) and found.said == digest_of(one):
                todo.append((at, name, one, found.text))
            else:
                rows[at] = refused_line(_used(key) if isinstance(found, Kept) else found, name=one.name)
    opened = await operations.write(web, giver, [_opening(name, one, words) for _, name, one, words in todo])
    fields = [
        {"id": f"profile {name.hex()}", "do": "profile.set", "as": row["answer"]["account"], "fields": one.profile}
        for (_, name, one, _), row in zip(todo, opened, strict=True)
        if "answer" in row and one.profile
    ]
    told = {row["id"]: row for row in await operations.write(web, giver, fields)}
    for (at, name, one, words), row in zip(todo, opened, strict=True):
        said = told.get(f"profile {name.hex()}", row)
        rows[at] = {"name": one.name, "status": said["status"]}
        if "answer" in row:
            rows[at] |= {"account": row["answer"]["account"], "recovery_words": words or None}
            rows[at]["repeated"] = row["repeated"]
        elif row["status"] < 500:  # else it may have been opened
            seal.drop(name)
        if "answer" not in said:
            rows[at] |= {"error": said["error"], "code": said["code"]}
    return rows


def _used(key: str | None) -> Refused:
    if key is not None:
        return Refused(422, "This Idempotency-Key was used for another account: use a new one.", code="refused")
    return Refused(409, "This name was used a short time ago, with another profile or recovery key.", code="refused")


def _opening(name: bytes, one: _Wanted, words: str) -> dict[str, Any]:
    """The operation that opens it."""
    recovery = one.recovery or commitment(words)
    return {
        "id": f"account {name.hex()}",
        "do": "account.create",
        "name": one.name,
        "hosted": True,
        "recovery": recovery,
    }


def _read(line: Line) -> _Wanted | Refused:
    if line.why is not None:
        return line.why
    try:
        only(line.value, "name", "profile", "recovery")
        name, profile = text(line.value, "name").strip(), line.value.get("profile", {})
        if not name or len(name.encode()) > MAX_NAME:
            raise Refused(422, f"An account needs a name, of at most {MAX_NAME} bytes.", code="bad_request")
        if name.startswith("did:"):
            raise Refused(422, "A name does not begin with `did:`.", code="bad_request")
        if not isinstance(profile, dict) or not all(isinstance(value, str) for value in profile.values()):
            raise Refused(422, "profile: texts by name, such as bio.", code="bad_request")
        recovery = line.value.get("recovery")
        if not isinstance(recovery, str | None):
            raise Refused(422, "recovery: a commitment, 128 hexadecimal digits.", code="bad_request")
        return _Wanted(name, profile, recovery)
    except Refused as why:
        return why
