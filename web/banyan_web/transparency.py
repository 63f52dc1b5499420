"""The public log of the node as static files, for mirrors and auditors (C2SP tlog-tiles; docs/transparency.md).

    /transparency/checkpoint    size and root, with cosignatures
    /transparency/tile/...      hashes and lines
    /transparency/withheld      which order withholds a post, with a proof

And its witnesses: what members ask of this node, and what it asks of them. Both go over HTTP, because there it is a
standard that others have, reaches a member without a link to it, and comes from the one who names the log's address.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import from_thread, to_thread
from starlette.responses import Response

from banyan_crdt.errors import Malformed, Reject
from banyan_crdt.ids import account_from_text
from banyan_node.transparency.member_logs import Wanted, read
from banyan_node.transparency.remote_log import UnreadableLog
from banyan_translog.merkle import MOST_LEAVES
from banyan_translog.tiles import tile_of
from banyan_translog.witness import SIZE_TYPE
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.outbound_http import Unreachable
from banyan_web.params import boolean, bounded, number, text
from banyan_web.rate_limits import BODY_S
from banyan_web.refusals import HttpRefusal, too_much

ENDPOINTS = Endpoints()
MOST_REQUEST = 300 << 10
"""Bytes of a request to a witness: a note and hashes."""
SALTS, SALTS_S = 60, 3_600
"""How many salts one address gets in so many seconds."""
ASK_S = 1.0
"""How often it is looked whom to ask, and which logs to read."""
MOST_FILE, LOG_S = 1 << 20, 20.0
"""Bytes of a file of a member's log; seconds for what is read of one at once."""
_IMMUTABLE = {"content-type": "application/octet-stream", "cache-control": "public, max-age=31536000, immutable"}
_CHANGING = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-cache"}


@ENDPOINTS.get("/transparency/checkpoint")
async def checkpoint(web: DoorContext, ask: DoorRequest) -> Response:
    """The last checkpoint."""
    return await _file(web.files.home.transparency / "checkpoint", _CHANGING, "This node has logged nothing yet.")


@ENDPOINTS.get("/transparency/tile/{name:path}")
async def tile(web: DoorContext, ask: DoorRequest) -> Response:
    """A tile of hashes, or a bundle of lines."""
    try:
        name = tile_of(f"tile/{ask.path['name']}").path
    except Malformed as why:
        raise HttpRefusal(404, f"{why}.") from None
    lacks = "The log has no such tile; one that is full has no other widths."
    return await _file(web.files.home.transparency / name, _IMMUTABLE, lacks)


async def _file(path: Path, headers: dict[str, str], lacks: str) -> Response:
    try:
        return Response(await to_thread.run_sync(path.read_bytes), headers=headers)
    except (FileNotFoundError, NotADirectoryError):
        raise HttpRefusal(404, lacks) from None


@ENDPOINTS.get("/transparency/withheld")
async def withheld(web: DoorContext, ask: DoorRequest) -> Any:
    """Which order withholds a post here, and the proof of it. Salts are few, because each confirms what an order is
    about."""
    salt = boolean(ask.params, "salt")
    if salt and web.bounds.take("salt", ask.address, SALTS, SALTS_S).over:
        raise too_much("tries", f"At most {SALTS} salts an hour are given to one address; ask without.", SALTS_S)
    return await web.call("transparency.prove", uri=text(ask.params, "uri"), salt=salt)


@ENDPOINTS.get("/transparency/cosigned")
async def cosigned(web: DoorContext, ask: DoorRequest) -> Any:
    """Checkpoints as they were when enough witnesses had cosigned them, the first ones with more than `after` lines."""
    return await web.call("transparency.cosigned", after=number(ask.params, "after", 0, MOST_LEAVES, 0))


@ENDPOINTS.post("/transparency/add-checkpoint", raw=True)
async def add_checkpoint(web: DoorContext, ask: DoorRequest) -> Response:
    """This node as a witness of a member's log (C2SP tlog-witness)."""
    with bounded(ask.request, MOST_REQUEST, BODY_S):
        body = await ask.request.body()
    found = await web.call("transparency.cosign", body=b64encode(body).decode())
    kind = SIZE_TYPE if found["status"] == 409 else "text/plain; charset=utf-8"
    return Response(found["body"], found["status"], {"content-type": kind})


async def ask_witnesses(web: DoorContext) -> None:
    """Has members cosign this node's checkpoints, for ever."""
    answers = list[Any]()

    async def ask(one: Any) -> None:
        try:
            answer = await web.outside.ask("POST", one["url"], {"content-type": "text/plain"}, b64decode(one["body"]))
            status, body = answer.status, answer.body
        except Unreachable as why:
            status, body = 0, str(why).encode()
        said = {"status": status, "body": b64encode(body).decode()}
        answers.append({"member": one["member"], "size": one["size"], **said})

    await _each(web, "transparency.requests", "answers", answers, "requests", ask)


async def read_logs(web: DoorContext) -> None:
    """Reads the public logs of other members, for ever."""
    reads = list[Any]()

    async def fetched(below: str, until: float, path: str) -> bytes:
        url, seconds = f"{below}/{path}", until - anyio.current_time()
        if seconds <= 0:
            raise UnreadableLog(f"it took longer than {LOG_S:.0f} s")
        try:
            answer = await web.outside.ask("GET", url, {}, most=MOST_FILE, seconds=seconds)
        except Unreachable as why:
            raise UnreadableLog(f"{why}") from None
        if answer.status != 200:
            raise UnreadableLog(f"{url} answers {answer.status}")
        return answer.body

    async def look(one: Any) -> None:
        url, until = one["url"], anyio.current_time() + LOG_S
        accounts, keys = map(account_from_text, one["accounts"]), map(bytes.fromhex, one["witnesses"])
        wanted = Wanted(url, bytes.fromhex(one["log"]), one["after"], tuple(accounts), tuple(keys), one["needed"])
        said: dict[str, Any] = {"log": one["log"], "mark": one["mark"]}
        try:
            get = partial(from_thread.run, partial(fetched, url, until))
            found = await to_thread.run_sync(read, wanted, get)
            times = {name.hex(): ms for name, ms in found.times.items()}
            reads.append({**said, "size": found.size, "last_ms": found.last_ms, "times": times})
        except Reject as why:
            reads.append({**said, "why": str(why)[:1_000] or "it is no log"})

    await _each(web, "transparency.logs", "reads", reads, "logs", look)


async def _each(
    web: DoorContext,
    method: str,
    takes: str,
    said: list[Any],
    gives: str,
    do: Callable[[Any], Coroutine[Any, Any, None]],
) -> None:
    """Gives a method what was found out, and does with each row that it answers what adds to that; for ever."""
    while True:
        await anyio.sleep(ASK_S)
        with suppress(HttpRefusal):  # the node is busy, or stops
            found = await web.call(method, **{takes: said})
            said.clear()
            async with anyio.create_task_group() as tasks:
                for one in found[gives]:
                    tasks.start_soon(do, one)
