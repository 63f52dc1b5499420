"""NDJSON in, NDJSON out, over one request: lines are done while more come, and each gets one line of answer, in order.
For clients that know only JSON (most generated ones), an array of objects is answered by an array.

The invariants: no more is read than can be answered, so a client that does not read its answers is not read either,
beyond what the buffers hold; a line that did not come whole is not done; a bad line is refused alone.

Many HTTP clients write their whole body before they read. `ANSWER_BYTES` of answers are kept for them, so that both do
not wait for each other; for larger bodies a client has to read while it writes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, TypeAlias

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_web.rate_limits import RateLimits
from banyan_web.refusals import HttpRefusal, failure

NDJSON, JSON = "application/x-ndjson", "application/json"
LINE_BYTES = 256 << 10
ARRAY_BYTES = 1 << 20
"""Of a JSON array, which is in memory as a whole; more comes as NDJSON."""
IDLE_S = 60.0
"""The longest pause of a body, seconds."""
BATCH = 256
"""The most lines that are done together."""
PIECES = 16
"""Pieces of the body that wait."""
ANSWER_BYTES = 16 << 20
"""Answers that wait to be sent."""
_DECODE = msgspec.json.Decoder()
_ENCODE = msgspec.json.Encoder()


class NdjsonLine(NamedTuple):
    """number: from 1. value: what it says; or `why` it is refused."""

    number: int
    value: Any
    why: HttpRefusal | None


Do: TypeAlias = Callable[[Sequence[NdjsonLine]], Awaitable[list[dict[str, Any]]]]
"""Does lines, and returns what to answer to each, without its number."""


def is_json(request: Request) -> bool:
    """Whether the body is JSON; otherwise it is NDJSON. Raises HttpRefusal if it is said to be something else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (JSON, NDJSON, "application/ndjson", "application/jsonl"):
        raise HttpRefusal(415, f"Send one JSON object a line, as {NDJSON}, or an array, as {JSON}.")
    return kind == JSON


async def answer_array(lines: Sequence[NdjsonLine], do: Do) -> list[dict[str, Any]]:
    """What to answer to each, with its number."""
    batches = [lines[at : at + BATCH] for at in range(0, len(lines), BATCH)]
    return [row for batch in batches for row in await _rows(batch, do)]


def refused_line(why: HttpRefusal, **more: Any) -> dict[str, Any]:
    return {**more, "status": why.status, "error": why.message, "code": why.code}


class Conversation(Response):
    """The answer to a request whose body is lines."""

    def __init__(self, bounds: RateLimits, request: Request, do: Do) -> None:
        super().__init__(headers={"content-type": "application/x-ndjson", "cache-control": "no-store"})
        del self.headers["content-length"]
        self._bounds, self._request, self._do = bounds, request, do

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        came, coming = anyio.create_memory_object_stream[list[NdjsonLine]](PIECES)
        said = _Outbox(ANSWER_BYTES)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, came, tasks.cancel_scope)
            tasks.start_soon(self._work, coming, said)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while some := await said.take():
                await send({"type": "http.response.body", "body": some, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()

    async def _read(self, came: MemoryObjectSendStream[list[NdjsonLine]], scope: anyio.CancelScope) -> None:
        try:
            async with came, aclosing(lines_of(self._request)) as lines:
                async for some in lines:
                    for why in (line.why for line in some if line.why is not None):
                        self._bounds.refused(why, self._request)
                    await came.send(some)
        except ClientDisconnect:
            scope.cancel()  # what was sent whole may be done; its answer reaches nobody

    async def _work(self, coming: MemoryObjectReceiveStream[list[NdjsonLine]], said: _Outbox) -> None:
        async with coming:
            async for some in coming:
                while len(some) < BATCH:
                    try:
                        some += coming.receive_nowait()
                    except (anyio.WouldBlock, anyio.EndOfStream):
                        break
                for at in range(0, len(some), BATCH):
                    await said.put(_ENCODE.encode_lines(await _rows(some[at : at + BATCH], self._do)))
        said.end()


async def _rows(batch: Sequence[NdjsonLine], do: Do) -> list[dict[str, Any]]:
    try:
        done = await do(batch)
    except HttpRefusal as why:
        done = [refused_line(why)] * len(batch)
    except Exception as why:
        done = [refused_line(failure(why, "a batch of lines"))] * len(batch)
    return [{"line": line.number, **answer} for line, answer in zip(batch, done, strict=True)]


class _Outbox:
    """Bytes that wait to be sent, at most so many; one that is larger waits alone."""

    def __init__(self, most: int) -> None:
        self._most, self._size, self._ended = most, 0, False
        self._pieces: list[bytes] = []
        self._changed = anyio.Event()

    async def put(self, piece: bytes) -> None:
        while self._size and self._size + len(piece) > self._most:
            await self._changed.wait()
        self._pieces.append(piece)
        self._size += len(piece)
        self._change()

    async def take(self) -> bytes:
        """All that waits; empty at the end."""
        while not self._pieces and not self._ended:
            await self._changed.wait()
        pieces, self._pieces, self._size = self._pieces, [], 0
        self._change()
        return b"".join(pieces)

    def end(self) -> None:
        self._ended = True
        self._change()

    def _change(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


async def lines_of(request: Request) -> AsyncGenerator[list[NdjsonLine], None]:
    """The lines as they come, those of one piece together; empty lines are left out. Raises ClientDisconnect."""
    rest, number, skipping = b"", 0, False
    async with aclosing(_pieces(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, HttpRefusal):
                yield [NdjsonLine(number + 1, None, piece)]
                return
            *whole, rest = (rest + piece).split(b"\n")
            some = []
            for raw in whole:
                number += 1
                if skipping:
                    skipping = False
                elif len(raw) > LINE_BYTES:
                    some.append(NdjsonLine(number, None, _TOO_LONG))
                elif raw.strip():
                    some.append(_line(number, raw))
            if len(rest) > LINE_BYTES:
                if not skipping:
                    some.append(NdjsonLine(number + 1, None, _TOO_LONG))
                rest, skipping = b"", True
            if some:
                yield some
    if rest.strip() and not skipping:
        yield [_line(number + 1, rest)]


_TOO_LONG = HttpRefusal(413, f"A line has at most {LINE_BYTES:,} bytes.")
_TOO_LONG_LINE = NdjsonLine(1, None, _TOO_LONG)


async def _pieces(request: Request) -> AsyncGenerator[bytes | HttpRefusal, None]:
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                with anyio.fail_after(IDLE_S):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                yield HttpRefusal(408, f"Nothing came for {IDLE_S:.0f} s; what came before is answered.")
                return
            yield piece


async def objects_of(request: Request) -> NdjsonLine | list[NdjsonLine]:
    """The body: one JSON object, or an array of them. Raises HttpRefusal."""
    raw = bytearray()
    try:
        with anyio.fail_after(IDLE_S):
            async with aclosing(_pieces(request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, HttpRefusal):
                        raise piece
                    raw += piece
                    if len(raw) > ARRAY_BYTES:
                        why = f"At most {ARRAY_BYTES:,} bytes of JSON are taken here; send more as {NDJSON}."
                        raise HttpRefusal(413, why)
    except TimeoutError:
        raise HttpRefusal(408, f"The body did not come within {IDLE_S:.0f} s.") from None
    value = _decoded(bytes(raw))
    if isinstance(value, list):
        return [_of_value(number, one) for number, one in enumerate(value, 1)]
    return _TOO_LONG_LINE if len(raw) > LINE_BYTES else _of_value(1, value)


def _decoded(raw: bytes) -> Any:
    try:
        return _DECODE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return HttpRefusal(400, "This is no JSON.")


def _line(number: int, raw: bytes) -> NdjsonLine:
    return _of_value(number, _decoded(raw))


def _of_value(number: int, value: Any) -> NdjsonLine:
    if isinstance(value, HttpRefusal):
        return NdjsonLine(number, None, value)
    if not isinstance(value, dict):
        return NdjsonLine(number, None, HttpRefusal(422, "This is no JSON object."))
    return NdjsonLine(number, value, None)
