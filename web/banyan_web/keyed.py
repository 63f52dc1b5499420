"""Idempotency-Keys: the same request with the same key is answered again, and not done again.

The node keeps the records (`banyan_node.idempotency`), of its own acts and of what the door does. An answer with a
secret is sealed with the token of the request and the name of its record. This server has only a hash of the token, so
what lies there is of no use to a thief of its files.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from banyan_node.idempotency import MAX_KEY, RecordKey, key_of
from banyan_node.operator_errors import CallError
from banyan_web.endpoint import DoorContext, DoorRequest
from banyan_web.platform.requests import whose
from banyan_web.refusals import HttpRefusal, of_call


def given_key(ask: DoorRequest) -> str | None:
    """The Idempotency-Key. Raises HttpRefusal."""
    key = ask.request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise HttpRefusal(422, f"An Idempotency-Key has 1 to {MAX_KEY} characters.", code="bad_request")
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
