"""The clients of the platform API: one that waits, and one for trio and asyncio. v1.py has the calls.

Both do the same with the same values, and differ in how they wait. A refusal is a CallError (status, code, sentence); a
node that cannot be reached is one too, with the code `no_answer` and status 503. What is safe to repeat is repeated:
reading, and what has a key or an id, because the node does that once.
"""

from __future__ import annotations

import http.client
import secrets
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar

import anyio
import msgspec

from banyan_node.api.firehose import FirehoseEvent
from banyan_node.client import v1
from banyan_node.client.follower import AGAIN, BROKEN, FRONTIER_S, AsyncPieces, Follower, FrameDecompressor, Place
from banyan_node.client.v1 import Call, ConsumerRow, OpenedAccount, OperationRow, refused
from banyan_node.client.wire import STREAM_SECONDS, Address, AsyncHttpLine, HttpAnswer, HttpLine, is_late, is_refused
from banyan_node.operator_errors import CallError

T = TypeVar("T")
CALL_SECONDS = 60.0
TRIES, PAUSE_S = 4, 0.2
"""Of a call that may be repeated; the first pause, which doubles."""
BATCH = 1_000
"""Lines of one request. The next are asked for when these are answered."""
NDJSON = {"content-type": "application/x-ndjson"}


class _Batch:
    """Lines of one request, and what was answered to each. first: the number of the first one, from 1."""

    def __init__(self, first: int, lines: Sequence[Mapping[str, Any]], kind: type[Any]) -> None:
        self._first, self._lines, self._kind = first, lines, kind
        self._rows: dict[int, Any] = {}
        self._tries = 0

    @property
    def asked(self) -> list[int]:
        """The places of the lines that have no final answer."""
        return [at for at in range(len(self._lines)) if at not in self._rows]

    @property
    def body(self) -> bytes:
        return b"".join(msgspec.json.encode(self._lines[at]) + b"\n" for at in self.asked)

    def take(self, answer: HttpAnswer) -> float | None:
        """Returns how long to wait before what is left is sent again; None: all is answered. Raises CallError."""
        if answer.status >= 400:
            raise refused(answer)
        self._tries += 1
        rows = [msgspec.json.decode(line, type=self._kind) for line in answer.content.split(b"\n") if line]
        for at, row in zip(self.asked, rows, strict=False):  # fewer, if the answer broke off
            if row.status < 500 or self._tries >= TRIES:
                self._rows[at] = msgspec.structs.replace(row, line=self._first + at)
        return PAUSE_S * 2**self._tries if self.asked else None

    @property
    def rows(self) -> list[Any]:
        return [self._rows[at] for at in range(len(self._lines))]


def _batches(lines: Iterator[Mapping[str, Any]], kind: type[Any], ids: bool) -> Iterator[_Batch]:
    """ids: whether lines without an id get one, so that they may be sent again."""
    first = 1
    while some := list(islice(lines, BATCH)):
        made = [{"id": secrets.token_hex(12), **line} if ids else line for line in some]
        yield _Batch(first, made, kind)
        first += len(some)


def _no_answer(address: Address, error: Exception) -> CallError:
    if is_refused(error):
        why = f"Nobody answers at {address}: is the node running, with a door (`banyan up --http`)?"
    elif is_late(error):
        why = f"The node at {address} took longer than it was given to answer; it may be busy. Try again."
    else:
        why = f"The connection to the node at {address} broke: {error}."
    return CallError("no_answer", why, 503)


def _headers(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class Client:
    """Waits. One per thread; close it, or use it as a context manager. url: of the door. Raises ValueError for what is
    no address."""

    def __init__(self, url: str, token: str, seconds: float = CALL_SECONDS) -> None:
        self.url, self._token = url.rstrip("/"), token
        self._address = Address.of_url(url)
        self._line = HttpLine(self._address, _headers(token), seconds)

    def ask(self, call: Call[T]) -> T:
        """The answer to a call. Raises CallError."""
        return call.read(self._send(call.verb, call.target, call.content, call.headers, call.again))

    def pages(self, call: Call[T]) -> Iterator[T]:
        """The answer, and those for the pages behind it. Raises CallError."""
        here: Call[T] | None = call
        while here is not None:
            page = self.ask(here)
            yield page
            here = here.after(page)

    def publish(self, operations: Iterable[Mapping[str, Any]]) -> Iterator[OperationRow]:
        """Does operations of any number, in their order, and gives one row for each (docs/platform-api.md). Some
        hundreds are in memory at a time. Raises CallError if the node refuses them all, or is gone for long."""
        yield from self._rows("/v1/operations", _batches(iter(operations), OperationRow, True))

    def open_accounts(self, accounts: Iterable[Mapping[str, Any]]) -> Iterator[OpenedAccount]:
        """The same for accounts: `name`, `profile`, `recovery` of each."""
        yield from self._rows("/v1/accounts/bulk", _batches(iter(accounts), OpenedAccount, False))

    def _rows(self, path: str, batches: Iterable[_Batch]) -> Iterator[Any]:
        for batch in batches:
            while (pause := batch.take(self._send("POST", path, batch.body, NDJSON, True))) is not None:
                time.sleep(pause)
            yield from batch.rows

    def follow(
        self,
        place: Place | None = None,
        since: str = "now",
        others: Mapping[str, str] = MappingProxyType({}),
        consumer: str | None = None,
        frontier_s: int = FRONTIER_S,
        compress: bool = False,
        **filters: Any,
    ) -> FirehoseReader:
        """The firehose, over every restart of the node; at one of `others`, tokens by addresses, while this one does
        not answer. place: saved before. filters: `collection`, `account`, `shard`, `platform`, `label`, each one or a
        list; `proof`, `uncounted`, and `follow=False` to end where nothing more is held."""
        tokens = {self.url: self._token, **{url.rstrip("/"): token for url, token in others.items()}}
        follower = Follower(list(tokens), place, since, consumer, frontier_s, **filters)
        return FirehoseReader(follower, tokens, compress, consumer)

    def _send(self, verb: str, target: str, body: bytes | None, headers: Mapping[str, str], again: bool) -> HttpAnswer:
        """Raises CallError, not for a refusal."""
        for tries in range(1, TRIES + 1):
            try:
                answer = self._line.ask(verb, target, body, headers)
            except (OSError, http.client.HTTPException) as error:
                if not again or tries == TRIES:
                    raise _no_answer(self._address, error) from error
            else:
                if answer.status not in AGAIN or not again or tries == TRIES:
                    return answer
            time.sleep(PAUSE_S * 2**tries)
        raise AssertionError("a call is tried at least once")

    def close(self) -> None:
        self._line.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FirehoseReader:
    """Events one after the other. place: behind the last of them."""

    def __init__(self, follower: Follower, tokens: Mapping[str, str], compress: bool, consumer: str | None) -> None:
        self._follower, self._tokens = follower, tokens
        self._compress, self._consumer = compress, consumer
        self._events = self._run()

    @property
    def place(self) -> Place | None:
        return self._follower.place

    def __iter__(self) -> Generator[FirehoseEvent, None, None]:
        return self._events

    def __next__(self) -> FirehoseEvent:
        return next(self._events)

    def ack(self) -> ConsumerRow:
        """Confirms everything up to `place` for the consumer. Raises CallError, ValueError without a consumer."""
        node, name, cursor = _to_confirm(self._follower, self._consumer)
        with Client(node, self._tokens[node]) as there:
            return there.ask(v1.ack(name, cursor))

    def close(self) -> None:
        self._events.close()

    def _run(self) -> Generator[FirehoseEvent, None, None]:
        while True:
            node = self._follower.node
            address = Address.of_url(node)
            try:
                unpacking, hash = self._unpacking(node)
                asked = self._follower.request(hash)
                line = HttpLine(address, _headers(self._tokens[node]), STREAM_SECONDS)
                with closing(line.stream(asked.verb, asked.target, asked.body, asked.headers)) as pieces:
                    while True:
                        try:
                            piece = next(pieces)
                        except StopIteration as end:
                            if end.value is not None:
                                raise refused(end.value) from None
                            break
                        yield from self._follower.feed(piece if unpacking is None else unpacking.feed(piece))
                if self._follower.is_done:
                    return
                pause = self._follower.failed()
            except CallError as error:
                pause = self._follower.failed(error)
            except (OSError, http.client.HTTPException):
                pause = self._follower.failed()
            time.sleep(pause)

    def _unpacking(self, node: str) -> tuple[FrameDecompressor | None, str | None]:
        if not self._compress:
            return None, None
        with Client(node, self._tokens[node]) as there:
            offered = there.ask(v1.dictionaries()).dictionaries
            hash = next((one.hash for one in offered if one.format == "ndjson"), None)
            if hash is None:
                return FrameDecompressor(None), "zstd"
            return FrameDecompressor(there.ask(v1.dictionary(hash))), hash


def _to_confirm(follower: Follower, consumer: str | None) -> tuple[str, str, str]:
    """(node, name of the consumer, cursor)."""
    if consumer is None or follower.place is None or not follower.place.node:
        raise ValueError("only a stream with `consumer` confirms, and only what it was told")
    return follower.place.node, consumer, follower.place.cursor


class AsyncClient:
    """The same on trio or asyncio. Use it as an async context manager."""

    def __init__(self, url: str, token: str, seconds: float = CALL_SECONDS) -> None:
        self.url, self._token = url.rstrip("/"), token
        self._address = Address.of_url(url)
        self._line = AsyncHttpLine(self._address, _headers(token), seconds)

    async def ask(self, call: Call[T]) -> T:
        """The answer to a call. Raises CallError."""
        return call.read(await self._send(call.verb, call.target, call.content, call.headers, call.again))

    async def pages(self, call: Call[T]) -> AsyncIterator[T]:
        """The answer, and those for the pages behind it. Raises CallError."""
        here: Call[T] | None = call
        while here is not None:
            page = await self.ask(here)
            yield page
            here = here.after(page)

    async def publish(self, operations: Iterable[Mapping[str, Any]]) -> AsyncIterator[OperationRow]:
        """As `Client.publish`."""
        async for row in self._rows("/v1/operations", _batches(iter(operations), OperationRow, True)):
            yield row

    async def open_accounts(self, accounts: Iterable[Mapping[str, Any]]) -> AsyncIterator[OpenedAccount]:
        """As `Client.open_accounts`."""
        async for row in self._rows("/v1/accounts/bulk", _batches(iter(accounts), OpenedAccount, False)):
            yield row

    async def _rows(self, path: str, batches: Iterable[_Batch]) -> AsyncIterator[Any]:
        for batch in batches:
            while (pause := batch.take(await self._send("POST", path, batch.body, NDJSON, True))) is not None:
                await anyio.sleep(pause)
            for row in batch.rows:
                yield row

    def follow(
        self,
        place: Place | None = None,
        since: str = "now",
        others: Mapping[str, str] = MappingProxyType({}),
        consumer: str | None = None,
        frontier_s: int = FRONTIER_S,
        compress: bool = False,
        **filters: Any,
    ) -> AsyncFirehoseReader:
        """As `Client.follow`."""
        tokens = {self.url: self._token, **{url.rstrip("/"): token for url, token in others.items()}}
        follower = Follower(list(tokens), place, since, consumer, frontier_s, **filters)
        return AsyncFirehoseReader(follower, tokens, compress, consumer)

    async def _send(
        self, verb: str, target: str, body: bytes | None, headers: Mapping[str, str], again: bool
    ) -> HttpAnswer:
        """Raises CallError, not for a refusal."""
        import httpx

        for tries in range(1, TRIES + 1):
            try:
                answer = await self._line.ask(verb, target, body, headers)
            except httpx.TransportError as error:
                if not again or tries == TRIES:
                    raise _no_answer(self._address, error) from error
            else:
                if answer.status not in AGAIN or not again or tries == TRIES:
                    return answer
            await anyio.sleep(PAUSE_S * 2**tries)
        raise AssertionError("a call is tried at least once")

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._line.close()


class AsyncFirehoseReader:
    """Events one after the other. Use it as an async context manager, or close it. place: behind the last of them."""

    def __init__(self, follower: Follower, tokens: Mapping[str, str], compress: bool, consumer: str | None) -> None:
        self._follower, self._tokens = follower, tokens
        self._compress, self._consumer = compress, consumer
        self._pieces: AsyncPieces | None = None
        self._unpacking: FrameDecompressor | None = None
        self._some: Iterator[FirehoseEvent] = iter(())

    @property
    def place(self) -> Place | None:
        return self._follower.place

    def __aiter__(self) -> AsyncFirehoseReader:
        return self

    async def __anext__(self) -> FirehoseEvent:
        while True:
            event = next(self._some, None)
            if event is not None:
                return event
            try:
                piece = await self._piece()
                if piece is not None:
                    unpacked = piece if self._unpacking is None else self._unpacking.feed(piece)
                    self._some = self._follower.feed(unpacked)
                    continue
                if self._follower.is_done:
                    raise StopAsyncIteration
                pause = self._follower.failed()
            except CallError as error:
                pause = self._follower.failed(error)
            except BROKEN:
                pause = self._follower.failed()
            await self.aclose()
            await anyio.sleep(pause)

    async def ack(self) -> ConsumerRow:
        """Confirms everything up to `place` for the consumer. Raises CallError, ValueError without a consumer."""
        node, name, cursor = _to_confirm(self._follower, self._consumer)
        async with AsyncClient(node, self._tokens[node]) as there:
            return await there.ask(v1.ack(name, cursor))

    async def aclose(self) -> None:
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            with anyio.CancelScope(shield=True):
                await pieces.close()

    async def __aenter__(self) -> AsyncFirehoseReader:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _piece(self) -> bytes | None:
        """The next piece, of a new answer if there is none; None at its end. Raises CallError, one of BROKEN."""
        if self._pieces is None:
            node = self._follower.node
            hash = await self._dictionary(node)
            asked = self._follower.request(hash)
            self._pieces = AsyncPieces(Address.of_url(node), STREAM_SECONDS)
            headers = {**_headers(self._tokens[node]), **asked.headers}
            answer = await self._pieces.begin(asked.verb, asked.target, asked.body, headers)
            if answer is not None:
                raise refused(answer)
        return await self._pieces.next()

    async def _dictionary(self, node: str) -> str | None:
        """What to ask for as `compress`."""
        if not self._compress:
            return None
        async with AsyncClient(node, self._tokens[node]) as there:
            offered = (await there.ask(v1.dictionaries())).dictionaries
            hash = next((one.hash for one in offered if one.format == "ndjson"), None)
            raw = b"" if hash is None else await there.ask(v1.dictionary(hash))
        self._unpacking = FrameDecompressor(raw or None)
        return hash or "zstd"
