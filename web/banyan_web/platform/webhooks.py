"""Webhooks: a platform is told what happens at the node, at an address of its own.

Each is signed as Standard Webhooks says: `webhook-signature: v1,` and base64 of HMAC-SHA256, with the secret, over
`webhook-id`, a dot, `webhook-timestamp` (seconds since 1970), a dot, and the body. deliveries.py sends them.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal, NamedTuple

from anyio import to_thread
from msgspec import Meta

from banyan_node.api.declare import NoResult, Request
from banyan_node.client.v1 import Webhook, Webhooks
from banyan_node.operator_errors import CallError
from banyan_storage.acts import RULES, ActKind, of_kind
from banyan_web.door_store import DoorStore
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.firehose.subscription import SEALED, without_reason
from banyan_web.outbound_http import Unreachable
from banyan_web.platform.requests import BODY, HOST, Seal, is_platform, keep, key_for, only, shaped, whose
from banyan_web.refusals import HttpRefusal, of_call

ENDPOINTS = Endpoints()
PREFIX = "whsec_"
MOST, ACCOUNTS, COLLECTIONS = 100, 1_000, 100
"""Webhooks of one platform, and accounts and collections that one names."""
Kind = Literal[
    "entries", "control", "create", "update", "delete", "account", ActKind,
]  # fmt: skip
EVENTS: tuple[Kind, ...] = ("entries", "control")
CONTENT: tuple[Kind, ...] = ("create", "update", "delete", "account", *RULES)
"""Events of the firehose, with what was said."""
BEGINNING = "begin"
GAP = "It goes on with what happens now."
"""How `error` ends that says that events were left out. It stays until the platform enables or replays the webhook."""
_AFTER_A_TRY = (
    f"error = nullif(trim(iif(instr(error, '{GAP}'), substr(error, 1, instr(error, '{GAP}') + {len(GAP) - 1}), '')"
    " || ' ' || ifnull(?, '')), '')"
)
ACTIVE, DISABLED = "active", "disabled"
_ROW = "id, owner, url, secret, filters, created, state, cursor, error, failing, tried, delivered"


class Hook(NamedTuple):
    """filters: JSON. created, failing (since when), tried, delivered (when last): seconds since 1970. cursor: of the
    last event that was delivered or did not concern it."""

    id: str
    owner: str
    url: str
    secret: str
    filters: str
    created: int
    state: str
    cursor: str | None
    error: str | None
    failing: int | None
    tried: int | None
    delivered: int | None

    @property
    def said(self) -> dict[str, Any]:
        """accounts, events, collections. sealed: whether it is told that accounts wrote something to themselves.
        moderation: whether it is told what moderators did. turn: how often it was told to replay."""
        return {"collections": [], "sealed": False, "moderation": False, "turn": 0, **json.loads(self.filters)}

    @property
    def has_content(self) -> bool:
        return not {*self.said["events"]}.isdisjoint(CONTENT)

    def wants(self, event: dict[str, Any]) -> bool:
        """Of the node's events, or of the firehose: there the node applied the other filters."""
        said = self.said
        rule = of_kind(event.get("kind", ""))
        if not said["moderation"] and rule is not None and rule.for_read == "nothing":
            return False
        if "kind" in event:
            return event["kind"] in said["events"] and (said["sealed"] or event["collection"] not in SEALED)
        account = event.get("account") or event.get("log", {}).get("account")
        return event["event"] in said["events"] and (not said["accounts"] or account in said["accounts"])

    def told(self, event: dict[str, Any]) -> dict[str, Any]:
        """As this webhook is told it."""
        rule = of_kind(event.get("kind", ""))
        return event if self.said["moderation"] or rule is None or rule.for_read == "act" else without_reason(event)

    def sign(self, id: str, seconds: int, body: bytes) -> str:
        """The value of `webhook-signature`."""
        key = b64decode(self.secret.removeprefix(PREFIX))
        return "v1," + b64encode(hmac.digest(key, b"%b.%d.%b" % (id.encode(), seconds, body), "sha256")).decode()


def every(door: DoorStore, owner: str | None = None) -> list[Hook]:
    """By their time. owner: None: of all."""
    what = f"select {_ROW} from webhooks where ?1 is null or owner = ?1 order by created, id"
    return [Hook(*row) for row in door.rows(what, owner)]


def stands(door: DoorStore, hook: Hook) -> bool:
    """Whether it is there as it was read."""
    return any((one.id, one.filters) == (hook.id, hook.filters) for one in every(door, hook.owner))


def note(door: DoorStore, id: str, filters: str | None = None, **changed: Any) -> None:
    """Changes columns of a webhook. why: `error` after a try, behind a gap that was said there. Nothing if it is gone,
    or told to replay since it had these filters."""
    sets = ", ".join(_AFTER_A_TRY if name == "why" else f"{name} = ?" for name in changed)
    what = f"update webhooks set {sets} where id = ? and (? is null or filters = ?)"
    door.write(what, *changed.values(), id, filters, filters)


class NewWebhook(Request, frozen=True, forbid_unknown_fields=True):
    """url: https. secret: whsec_ and base64 of 24 to 64 bytes; default: one is made. accounts: DIDs of those about
    which it is told; default: all. events: `entries` and `control`, which is the default, say that a log grew;
    the others are those of the firehose, with content, and with what the node itself did. collections: of the latter;
    default: all. since: the cursor of an event, or `begin`; default: from now on."""

    url: Annotated[str, Meta(min_length=9, max_length=2_048)]
    secret: str | None = None
    accounts: Annotated[tuple[str, ...], Meta(max_length=ACCOUNTS)] = ()
    events: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=len(EVENTS + CONTENT))] = EVENTS
    collections: Annotated[tuple[str, ...], Meta(max_length=COLLECTIONS)] = ()
    since: str | None = None


class ReplayRequest(Request, frozen=True, forbid_unknown_fields=True):
    """since: a cursor, or `begin`."""

    since: str


@ENDPOINTS.post("/v1/webhooks", HOST, shape=EndpointShape(NewWebhook, Webhook, refuses=(*BODY, 410), keyed=True))
async def create(web: DoorContext, ask: DoorRequest) -> Any:
    """Sends what happens from now on, or since a cursor, to a URL of the platform."""
    owner = _owner(ask)
    wanted = shaped(ask.params, NewWebhook)
    url, events = wanted.url, wanted.events
    try:
        await web.outside.check(url)
    except Unreachable as why:
        raise HttpRefusal(422, f"This URL cannot be told anything: {why}.") from None
    secret = _new_secret() if wanted.secret is None else _secret(wanted.secret)
    await _check(web, wanted)
    names = [one for one in wanted.accounts if not one.startswith("did:")]
    dids = {name: (await web.call("account.show", account=name))["account"] for name in names}
    accounts = [dids.get(one, one) for one in wanted.accounts]
    cursor = await _cursor(web, wanted.since, not {*events}.isdisjoint(CONTENT))
    seal, key = Seal(ask), key_for(ask)
    plan = seal.close(key, {"id": f"wh_{secrets.token_hex(12)}", "secret": secret})
    made = seal.open(key, await keep(web, key, plan))
    sealed = ask.token is not None and ask.token.allows("firehose")
    moderation = sealed or (ask.token is not None and ask.token.allows("admin"))
    filtering = {"accounts": accounts, "events": events, "collections": wanted.collections}
    filters = json.dumps({**filtering, "sealed": sealed, "moderation": moderation})
    await to_thread.run_sync(_insert, web.door, owner, made, url, filters, cursor)
    (found,) = (hook for hook in every(web.door, owner) if hook.id == made["id"])
    return {**_shown(found), "secret": made["secret"]}


def _insert(door: DoorStore, owner: str, made: dict[str, str], url: str, filters: str, cursor: str) -> None:
    """Once. Raises HttpRefusal."""
    names = "id, owner, url, secret, filters, created, state, cursor"
    row = (made["id"], owner, url, made["secret"], filters, int(time.time()), ACTIVE, cursor)
    with door.writing() as db:
        if len([hook for hook in every(door, owner) if hook.id != made["id"]]) >= MOST:
            raise HttpRefusal(409, f"There are {MOST} webhooks already: delete one first.", code="refused")
        db.execute(f"insert or ignore into webhooks ({names}) values (?, ?, ?, ?, ?, ?, ?, ?)", row)


async def _check(web: DoorContext, wanted: NewWebhook) -> None:
    """Raises HttpRefusal."""
    kinds = {*wanted.events}
    if not kinds.isdisjoint(EVENTS) and not kinds.isdisjoint(CONTENT):
        why = f"events are of {', '.join(EVENTS)} or of {', '.join(CONTENT)}: make a webhook for each."
        raise HttpRefusal(422, why)
    if wanted.collections and kinds.isdisjoint(CONTENT):
        raise HttpRefusal(422, f"collections are for events of {', '.join(CONTENT)}.")
    await web.call("firehose", **of_firehose(wanted.accounts, wanted.collections))  # the node knows which there are


def of_firehose(accounts: Sequence[str], collections: Sequence[str]) -> dict[str, Any]:
    """Parameters of the node's method."""
    given = {"accounts": list(accounts), "collections": list(collections)}
    return {name: some for name, some in given.items() if some}


async def _cursor(web: DoorContext, since: str | None, has_content: bool) -> str:
    """Where it begins: the cursor that was given, or that of now. Raises HttpRefusal."""
    if has_content and since != BEGINNING:
        given = {} if since is None else {"since": since, "limit": 1}
        now = str((await web.call("firehose", **given))["cursor"])
        return now if since is None else since
    if since == BEGINNING:
        now = str((await web.call("firehose"))["cursor"])
        return now.partition("-")[0] + "-0"
    try:
        events = await web.backend.events({} if since is None else {"since": since})
    except CallError as error:
        raise of_call(error) from None
    async with aclosing(events):
        begin = await anext(events)
    found: str = begin["cursor"]
    return found


@ENDPOINTS.get("/v1/webhooks", HOST, EndpointShape(None, Webhooks))
async def listing(web: DoorContext, ask: DoorRequest) -> Any:
    """The webhooks of the platform, each with the last error."""
    owner = _owner(ask)
    only(ask.params)
    return {"webhooks": [_shown(hook) for hook in every(web.door, owner)]}


@ENDPOINTS.post("/v1/webhooks/{id}/enable", HOST, shape=EndpointShape(None, Webhook, refuses=BODY))
async def enable(web: DoorContext, ask: DoorRequest) -> Any:
    """Starts a webhook again that failed for a day. It goes on where it stopped."""
    only(ask.params)
    hook = _one(web, ask)
    note(web.door, hook.id, state=ACTIVE, failing=None, error=None)
    return _shown(_one(web, ask))


@ENDPOINTS.post("/v1/webhooks/{id}/replay", HOST, shape=EndpointShape(ReplayRequest, Webhook, refuses=(*BODY, 410)))
async def replay(web: DoorContext, ask: DoorRequest) -> Any:
    """Sends everything again that came after a cursor, in order, and then goes on. It is active then."""
    wanted, hook = shaped(ask.params, ReplayRequest), _one(web, ask)
    cursor, said = await _cursor(web, wanted.since, hook.has_content), hook.said
    filters = json.dumps({**said, "turn": said["turn"] + 1})
    what = "update webhooks set cursor = ?, filters = ?, state = ?, failing = null, error = null where id = ?"
    web.door.write(what, cursor, filters, ACTIVE, hook.id)
    return _shown(_one(web, ask))


@ENDPOINTS.delete("/v1/webhooks/{id}", HOST, EndpointShape(None, NoResult, refuses=BODY))
async def delete(web: DoorContext, ask: DoorRequest) -> Any:
    """Ends a webhook."""
    only(ask.params)
    hook = _one(web, ask)
    web.door.write("delete from webhooks where id = ?", hook.id)
    return {}


def _owner(ask: DoorRequest) -> str:
    if not is_platform(ask.token):
        raise HttpRefusal(403, "Webhooks are made with a platform's token, which is of no account.")
    return whose(ask)


def _one(web: DoorContext, ask: DoorRequest) -> Hook:
    found = [hook for hook in every(web.door, _owner(ask)) if hook.id == ask.path["id"]]
    if not found:
        raise HttpRefusal(404, "There is no such webhook.")
    return found[0]


def _shown(hook: Hook) -> dict[str, Any]:
    """Without its secret."""
    return {
        "id": hook.id,
        "url": hook.url,
        **{name: hook.said[name] for name in ("accounts", "events", "collections")},
        "created": hook.created,
        "state": hook.state,
        "cursor": hook.cursor,
        "error": hook.error,
        "failing_since": hook.failing,
        "tried": hook.tried,
        "delivered": hook.delivered,
    }


def _new_secret() -> str:
    return PREFIX + b64encode(secrets.token_bytes(32)).decode()


def _secret(said: str) -> str:
    """Raises HttpRefusal."""
    try:
        size = len(b64decode(said.removeprefix(PREFIX), validate=True)) if said.startswith(PREFIX) else 0
    except ValueError:
        size = 0
    if not 24 <= size <= 64:
        raise HttpRefusal(422, f"secret: {PREFIX} and 24 to 64 random bytes in base64.")
    return said
