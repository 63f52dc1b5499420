"""What a request for the firehose asks for, however it comes, over HTTP or WebSocket; and its named consumers."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args

import anyio
import msgspec
from msgspec import Meta
from starlette.requests import HTTPConnection

from banyan_crdt.frontier import PREFIX
from banyan_node.operator_errors import CallError
from banyan_web.door_store import DoorStore, Token
from banyan_web.endpoint import DoorContext
from banyan_web.firehose.encodings import ZSTD, CborFrames, Form, Lines, ServerSentEvents, dictionaries, packed
from banyan_web.firehose.subscription import Elsewhere, FirehoseFilter, follow
from banyan_web.firehose.tail import RUNS, place_of, store_of
from banyan_web.open_streams import StreamEnd, says_its_end
from banyan_web.params import boolean, text, texts, whole
from banyan_web.refusals import HttpRefusal, of_call, too_much

# Named consumers: how far each has confirmed the firehose, kept by the door for at-least-once delivery.
#
# A cursor is on the disk before its confirmation is answered, and never goes back by a late one. A consumer belongs to
# an account, or to an app without one, so a new token of theirs finds it again.

MOST_CONSUMERS = 100
"""Consumers of one owner."""


class Consumer(NamedTuple):
    """cursor: everything up to it was confirmed. updated: seconds since 1970."""

    name: str
    cursor: str
    updated: int


def owner_of(token: Token) -> str:
    """Whose consumers these are. Anybody may register an app under any name, so an app is known by its client id."""
    return token.account or (f"app:{token.app}" if token.client is None else f"client:{token.client}")


def consumers_of(door: DoorStore, owner: str) -> list[Consumer]:
    """By name."""
    what = "select name, cursor, updated from consumers where owner = ? order by name"
    return [Consumer(*row) for row in door.rows(what, owner)]


def find_consumer(door: DoorStore, owner: str, name: str) -> Consumer | None:
    return next((one for one in consumers_of(door, owner) if one.name == name), None)


def begin_consumer(door: DoorStore, owner: str, name: str, cursor: str) -> Consumer:
    """The consumer; a new one begins at the cursor. Raises HttpRefusal."""
    with door.writing() as db:
        held = find_consumer(door, owner, name)
        if held is not None:
            return held
        if len(consumers_of(door, owner)) >= MOST_CONSUMERS:
            raise HttpRefusal(429, "There are too many consumers of this account; delete one.", gate="streams")
        made = Consumer(name, cursor, int(time.time()))
        db.execute("insert into consumers values (?, ?, ?, ?)", (owner, *made))
        return made


def confirm(door: DoorStore, owner: str, name: str, cursor: str, back: bool) -> Consumer | None:
    """Everything up to the cursor is done. back: it may go back. None if there is no such consumer."""
    with door.writing() as db:
        held = find_consumer(door, owner, name)
        if held is None:
            return None
        same_store = store_of(held.cursor) == store_of(cursor)
        if not back and same_store and place_of(cursor) <= place_of(held.cursor):
            return held
        now = int(time.time())
        what = "update consumers set cursor = ?, updated = ? where owner = ? and name = ?"
        db.execute(what, (cursor, now, owner, name))
        return Consumer(name, cursor, now)


def drop_consumer(door: DoorStore, owner: str, name: str) -> bool:
    """Whether there was one."""
    return bool(door.write("delete from consumers where owner = ? and name = ?", owner, name))


NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
SCOPE = "firehose|read"
Format = Literal["ndjson", "sse", "cbor"]
FORMATS = get_args(Format)
MOST = 64
"""Streams at a time."""
NOW, BEGINNING = "now", "begin"
APP_CURSOR = 1 << 20
"""Letters of the longest frontier cursor without the scope `firehose`: one of all logs costs memory to read."""
LONGEST_S = 3_600
"""The most seconds between frontier cursors."""


class FirehoseBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As the parameters of GET: for a frontier cursor that is too long for an address."""

    since: str | None = None
    seen: str | None = None
    consumer: str | None = None
    format: Format | None = None
    compress: str | None = None
    collection: str | list[str] | None = None
    account: str | list[str] | None = None
    shard: str | list[str] | None = None
    platform: str | list[str] | None = None
    label: str | list[str] | None = None
    proof: bool = False
    uncounted: bool = False
    follow: bool = True
    frontier: Annotated[int, Meta(ge=1, le=LONGEST_S)] | None = None


KNOWN = frozenset(FirehoseBody.__struct_fields__)


class StreamStart(NamedTuple):
    """A stream that has begun. pieces: what follows `first`. packed: whether each is a frame of zstd. is_text: JSON
    lines that are not packed."""

    first: bytes
    pieces: AsyncGenerator[bytes, None]
    content_type: str
    packed: str | None
    is_text: bool
    ending: StreamEnd


async def opened(web: DoorContext, token: Token, p: dict[str, Any], line: HTTPConnection) -> StreamStart:
    """line: the request, which the stream answers. Raises HttpRefusal."""
    headers = line.headers
    if unknown := sorted(p.keys() - KNOWN):
        raise HttpRefusal(400, f"firehose has no parameter '{unknown[0][:60]}'; it takes {', '.join(sorted(KNOWN))}.")
    if web.firehose.tail.followers + web.firehose.runs.followers >= web.bounds.share(MOST):
        raise too_much("streams", f"{MOST} streams of the firehose are open, and no more are allowed.", 30)
    given, proof, uncounted = _format(p, headers), boolean(p, "proof"), boolean(p, "uncounted")
    if given == "cbor" and (proof or uncounted):
        raise HttpRefusal(
            400, "format=cbor has proofs in it, and tells what counts: leave out `proof` and `uncounted`."
        )
    if given == "cbor" and not token.allows("firehose"):
        raise HttpRefusal(403, "format=cbor has sealed entries in it too: it needs a token of the scope firehose.")
    pack = _packing(p, given)
    try:
        wanted = FirehoseFilter(
            _names(p, "collection"),
            await _accounts(web, p),
            _names(p, "shard"),
            _sorted(_names(p, "platform")),
            _sorted(_names(p, "label")),
            uncounted,
            proof,
            token.allows("firehose"),
            token.allows("firehose") or token.allows("admin"),
        )
        since, seen = await _since(web, token, p, headers)
        if seen is not None and len(seen) > APP_CURSOR and not token.allows("firehose"):
            raise HttpRefusal(403, "A frontier cursor of so many logs needs a token of the scope firehose.")
        form = await _form(web, given, since, seen)
        if form.reading is RUNS and wanted.collections is not None:  # runs are judged by control logs
            wanted = wanted._replace(collections=wanted.collections | {"account"})
        tail = web.firehose.runs if form.reading is RUNS else web.firehose.tail
        every_s = whole(p, "frontier", LONGEST_S, LONGEST_S, status=400) if p.get("frontier") is not None else None
        live = boolean(p, "follow", True)
        ending = says_its_end(line.scope, tail.wake)
        pieces = follow(web.backend, tail, wanted, since, form, ending, live, Elsewhere(seen, every_s))
        if pack is not None:
            pieces = packed(pieces, None if pack == ZSTD else pack)
        return StreamStart(
            await anext(pieces), pieces, form.content_type, pack, given != "cbor" and pack is None, ending
        )
    except CallError as why:
        raise refused(why) from None


def _format(p: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    given = p.get("format")
    if given is None:
        given = "sse" if "text/event-stream" in headers.get("accept", "") else "ndjson"
    if given not in FORMATS:
        raise HttpRefusal(400, f"format is one of {', '.join(FORMATS)}.")
    return str(given)


def _packing(p: Mapping[str, Any], given: str) -> str | None:
    """`zstd`, or the hash of a dictionary; None: nothing is compressed."""
    wanted = p.get("compress")
    if wanted is None or wanted == ZSTD:
        return wanted
    found = dictionaries().get(wanted) if isinstance(wanted, str) else None
    if found is None or found.of != given:
        why = f"compress is {ZSTD}, or the hash of a dictionary for format={given}: GET /v1/firehose/dictionaries."
        raise HttpRefusal(400, why)
    return found.hash


async def _form(web: DoorContext, given: str, since: str, seen: str | None) -> Form:
    if given == "cbor":
        realm = (await web.backend.call(RUNS.method, {}))["realm"]
        return CborFrames(bytes.fromhex(realm), place_of(since).n == 0 and seen is None)
    return ServerSentEvents() if given == "sse" else Lines()


def _names(params: dict[str, Any], name: str) -> frozenset[str] | None:
    """Of a parameter that is given once with commas, or several times as `name[]`."""
    found = [one.strip() for given in texts(params, name) for one in given.split(",")]
    return frozenset(found) if found else None


def _sorted(names: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))


async def _accounts(web: DoorContext, params: dict[str, Any]) -> frozenset[str] | None:
    """As DIDs. Raises HttpRefusal."""
    given = _names(params, "account")
    if given is None:
        return None
    return frozenset([(await web.call("profile.get", account=one))["account"] for one in sorted(given)])


async def _since(
    web: DoorContext, token: Token, p: dict[str, Any], headers: Mapping[str, str]
) -> tuple[str, str | None]:
    """Where the stream begins: at `since`; else where the consumer stands, or behind Last-Event-ID; else now. And what
    its reader was told elsewhere. Raises CallError, HttpRefusal."""
    named, given = p.get("consumer"), p.get("since")
    seen = text(p, "seen") if "seen" in p else None
    if given is None and named is None:
        given = headers.get("last-event-id")
    begin = NOW if given is None else text({"since": given}, "since")
    if begin.startswith(PREFIX):
        begin, seen = BEGINNING, begin
    if given is None and seen is not None and named is None:
        begin = BEGINNING
    if begin in (NOW, BEGINNING):
        now = str((await web.backend.call("firehose", {}))["cursor"])
        begin = now if begin == NOW else now.partition("-")[0] + "-0"
    if named is None:
        return begin, seen
    name = name_of(named)
    held = await anyio.to_thread.run_sync(begin_consumer, web.door, owner_of(token), name, begin)
    return held.cursor if given is None else begin, seen


def name_of(given: Any) -> str:
    """Of a consumer. Raises HttpRefusal."""
    if not isinstance(given, str) or not NAME.fullmatch(given):
        raise HttpRefusal(422, "The name of a consumer is 1 to 64 letters, digits, dots, dashes and underscores.")
    return given


def refused(why: CallError) -> HttpRefusal:
    """As the rest of /v1: the status that the node gives."""
    return HttpRefusal(why.status, why.message, code=why.code) if why.code != "not_found" else of_call(why)
