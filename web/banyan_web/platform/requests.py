"""What endpoints of /v1 share: who may act or read as whom, what a request may name, and its Idempotency-Key.

A token of a person acts and reads as that person. Any account that is hosted here is for a platform's own token: one of
no account, with the scope `host`. A token that an app got for itself (client credentials) has no such scope.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, TypeVar

import msgspec
from anyio import to_thread
from msgspec import Meta
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from banyan_node.api import decode
from banyan_node.api.declare import Request
from banyan_node.home.audit import Actor
from banyan_node.idempotency import MAX_KEY, RecordKey, key_of
from banyan_node.operator_errors import CallError
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext, DoorRequest, EndpointShape
from banyan_web.refusals import HttpRefusal, of_call

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
            raise HttpRefusal(422, "Say which account acts: `as` is its DID, or its name here.")
        return named
    if named in (None, ask.account) or (own is not None and named == own):
        return ask.account
    raise HttpRefusal(403, "This token is of another account than `as`.")


async def reading(web: DoorContext, ask: DoorRequest, needed: bool = False) -> str | None:
    """The account that reads; None: nobody, which a platform's token may. needed: what is read is of an account, so
    somebody has to. Raises HttpRefusal."""
    named = ask.params.get("as")
    if not isinstance(named, str | None):
        raise HttpRefusal(422, "`as` is one account.")
    if is_platform(ask.token):
        if needed and not named:
            says = "Say of which account: `as` is its DID, or its name here. Your token is of no account."
            raise HttpRefusal(422, says)
        return named
    if named not in (None, ask.account) and named != await own_name(web, ask):
        raise HttpRefusal(403, "This token is of another account than `as`.")
    return ask.account


def only(params: Iterable[str], *known: str) -> None:
    """Raises HttpRefusal if the request has a parameter that the endpoint does not know."""
    for name in params:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"did you mean '{near[0]}'?" if near else f"it takes {', '.join(known) or 'none'}."
            raise HttpRefusal(422, f"There is no parameter '{name[:60]}'; {meant}")


def shaped(params: dict[str, Any], kind: type[T]) -> T:
    """The parameters of a request in their type. Raises HttpRefusal."""
    only(params, *kind.__struct_encode_fields__)
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise HttpRefusal(422, decode.wrong("This", kind, params, str(error))) from None


# What the endpoints of /v1/admin share: who acts, and parameters of a query.
#
# Every act goes through `DoorContext.act`, or is written down here before it is done: the audit log has all of them.

ADMIN = "admin"
R = TypeVar("R", bound=Request)
BODY = (400, 408, 413, 415)
"""Statuses of refusals of what has a body."""
acts = partial(EndpointShape, refuses=BODY, keyed=True)
"""The shape of an endpoint that does something, once under an Idempotency-Key."""


MOST_WHY = 500
"""Characters of what somebody says for the audit log."""
Why = Annotated[str, Meta(max_length=MOST_WHY)]


def actor(ask: DoorRequest, why: str | None = None) -> Actor:
    """Who acts, as the audit log names it. Raises HttpRefusal."""
    if ask.token is None:
        raise HttpRefusal(401, "This needs a token.")
    if len(why or "") > MOST_WHY:
        raise HttpRefusal(422, f"'why' has at most {MOST_WHY} characters.")
    return Actor(f"token {ask.token.id} ({ask.token.app})", "api", why or None)


def queried(ask: DoorRequest, kind: type[R]) -> dict[str, Any]:
    """The parameters of a query, for the method of the node that takes `kind`. Raises HttpRefusal."""
    only(ask.params, *kind.__struct_encode_fields__)
    try:
        asked = msgspec.convert(ask.params, kind, strict=False)
    except msgspec.ValidationError as error:
        raise HttpRefusal(422, decode.wrong("This", kind, ask.params, str(error))) from None
    return {name: getattr(asked, name) for name in kind.__struct_fields__ if getattr(asked, name) is not None}


async def written_down(web: DoorContext, by: Actor, do: str, given: dict[str, Any]) -> None:
    """Before the door does something that no method of the node does. Raises StorageError."""
    await to_thread.run_sync(web.door.audit.append, by, do, given)


# Idempotency-Keys: the same request with the same key is answered again, and not done again.
#
# The node keeps the records (`banyan_node.idempotency`), of its own acts and of what the door does. An answer with a
# secret is sealed with the token of the request and the name of its record. This server has only a hash of the token,
# so what lies there is of no use to a thief of its files.


def given_key(ask: DoorRequest) -> str | None:
    """The Idempotency-Key. Raises HttpRefusal."""
    key = ask.request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise HttpRefusal(422, f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
    return key


def key_for(ask: DoorRequest, params: Mapping[str, Any] | None = None, outlives: bool = False) -> RecordKey | None:
    """Of the request. params: what it says; default: its parameters. outlives: the answer stays when an account is
    erased that it names. Raises HttpRefusal."""
    given = given_key(ask)
    if given is None:
        return None
    request = [ask.request.method, str(ask.request.scope["path"]), ask.params if params is None else params]
    return key_of(f"key {whose(ask)}", given, request)._replace(outlives=outlives)


async def answered(web: DoorContext, key: RecordKey | None) -> Any:
    """What was answered under the key; None: nothing yet. Raises HttpRefusal if that was another request."""
    found = None if key is None else (await web.call("idempotency.find", name=key.name.hex()))["record"]
    return None if key is None or found is None else _same(key, found)


async def once(
    web: DoorContext, ask: DoorRequest, do: Callable[[RecordKey | None], Awaitable[Any]], outlives: bool = False
) -> Any:
    """What `do` answers, which keeps it under the key that it gets; or what was answered under that before. outlives:
    as in `key_for`. Raises HttpRefusal."""
    key = key_for(ask, outlives=outlives)
    if (found := await answered(web, key)) is not None:
        return found
    try:
        return await do(key)
    except HttpRefusal:
        if (found := await answered(web, key)) is None:  # else another process did it meanwhile
            raise
        return found


async def keep(web: DoorContext, key: RecordKey | None, answer: Any, about: Collection[str] = ()) -> Any:
    """Keeps what the door itself did; returns what is kept, which another process may have done. about: DIDs and names
    of accounts with whose erasing it goes, beside the DIDs that can be read in it. Raises HttpRefusal."""
    return answer if key is None else _same(key, (await keep_all(web, [record(key, answer, about)]))[0])


async def keep_all(web: DoorContext, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is kept under each name. Raises HttpRefusal."""
    found: list[dict[str, Any]] = (await web.call("idempotency.keep", records=records))["records"]
    return found


def record(key: RecordKey, answer: Any, about: Collection[str] = ()) -> dict[str, Any]:
    whose = None if key.outlives else [*about]
    return {"name": key.name.hex(), "said": key.said.hex(), "answer": answer, "about": whose}


def _same(key: RecordKey, found: Mapping[str, Any]) -> Any:
    try:
        key.demand_same(bytes.fromhex(found["said"]))
    except CallError as why:
        raise of_call(why) from why
    return found["answer"]


class Seal:
    """Of the token of a request."""

    def __init__(self, ask: DoorRequest) -> None:
        raw = ask.request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
        self._secret = sha256(b"banyan door seal\0" + raw.partition(b" ")[2].strip()).digest()

    def close(self, key: RecordKey | None, value: Any) -> Any:
        """key: without one nothing is kept, so nothing is sealed."""
        if key is None:
            return value
        return b64encode(self._box(key).encrypt(msgspec.json.encode(value))).decode()

    def open(self, key: RecordKey | None, sealed: Any) -> Any:
        """Raises HttpRefusal."""
        if key is None:
            return sealed
        try:
            return msgspec.json.decode(self._box(key).decrypt(b64decode(sealed)))
        except CryptoError:
            says = "This was answered under another token of yours, and only that one opens the answer again."
            raise HttpRefusal(409, says, code="refused") from None

    def _box(self, key: RecordKey) -> SecretBox:
        return SecretBox(sha256(self._secret + key.name).digest())
