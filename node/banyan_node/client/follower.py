"""Following the firehose: where the reader stands, at which node, and what it asks for next. It does no I/O.

The invariants: nothing is missed over a broken connection, a node that restarts, or a change of node. The reader goes
on with its cursor where that cursor is from, and elsewhere with the frontier cursor that it had last. What it was told
since then comes again there, and so does what the other node gets later. This object leaves out the last REMEMBERED;
beyond them, and in another process, the `id` of an event tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args
from urllib.parse import urlencode

import anyio
import h11
import msgspec
from anyio.abc import ByteStream
from backports.zstd import ZstdDecompressor, ZstdDict

from banyan_node.api.firehose import FirehoseEvent, Kind
from banyan_node.client.v1 import FirehoseNote
from banyan_node.client.wire import JSON, Address, HttpAnswer
from banyan_node.operator_errors import CallError

FRONTIER_S = 30
"""Between frontier cursors."""
REMEMBERED = 100_000
"""Names of the last events, which may come again at another node that got them later."""
TRIES = 3
"""In a row at one node, before the next is asked."""
FIRST_S, LONGEST_S = 0.1, 5.0
"""The first pause after a failure, which doubles, and the longest."""
LONG = 4_096
"""Letters of a query: a longer one goes into a body."""
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Refusals after which the same request is sent again."""
GONE = 410
_NOTES = frozenset({"begin", "heartbeat", "frontier", "end"})
_EVENTS: frozenset[str] = frozenset(get_args(Kind))


class Place(msgspec.Struct, frozen=True):
    """Where a reader stands. Save it in one transaction with what was made of the events before it, as JSON or in
    parts. cursor: at `node`, an address. frontier: at any other; `of`: the node that gave it."""

    cursor: str
    node: str
    frontier: str | None = None
    of: str = ""


class _Line(msgspec.Struct):
    kind: str
    cursor: str


class StreamRequest(NamedTuple):
    """url: of the node. body: JSON, or None."""

    url: str
    verb: str
    target: str
    body: bytes | None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.body is None else {"content-type": JSON}


class Follower:
    """The state of one reader. place: behind the last event that it gave out; None: nothing was heard yet. nodes:
    addresses, the first one first. since: where it begins without a place. filters: as GET /v1/firehose has them.
    consumer: the name under which the node keeps what was confirmed."""

    def __init__(
        self,
        nodes: Sequence[str],
        place: Place | None = None,
        since: str = "now",
        consumer: str | None = None,
        frontier_s: int = FRONTIER_S,
        **filters: Any,
    ) -> None:
        self.nodes = [node.rstrip("/") for node in nodes]
        self.place = place
        self.at = self.nodes.index(place.node) if place is not None and place.node in self.nodes else 0
        self._since, self._consumer = since, consumer
        self._asked = {"frontier": frontier_s, **{name: value for name, value in filters.items() if value is not None}}
        self._told: dict[str, None] = {}
        self._failures = 0
        self._rest = b""
        self.is_done = False
        """Whether it was told that nothing more is held, as it wanted."""

    @property
    def node(self) -> str:
        return self.nodes[self.at]

    def request(self, compress: str | None = None) -> StreamRequest:
        """What to ask now. Begins a new connection."""
        self._rest = b""
        given: dict[str, Any] = {**self._asked, **self._where()}
        given |= {} if compress is None else {"compress": compress}
        query = urlencode([(name, _text(value)) for name, value in given.items()])
        if len(query) > LONG:
            return StreamRequest(self.node, "POST", "/v1/firehose", msgspec.json.encode(given))
        return StreamRequest(self.node, "GET", f"/v1/firehose?{query}", None)

    def _where(self) -> dict[str, str]:
        place = self.place
        named = {} if self._consumer is None else {"consumer": self._consumer}
        if place is None:
            return named if named and self._since == "now" else {**named, "since": self._since}
        seen = {} if place.frontier is None or place.of == self.node else {"seen": place.frontier}
        if place.node == self.node:
            return {**named, "since": place.cursor, **seen}
        if place.frontier is None:
            return {**named, "since": "begin"}
        return {**named, "since": place.frontier}

    def feed(self, piece: bytes) -> Iterator[FirehoseEvent]:
        """The new events in bytes of the answer. `place` is behind the one that was given out last."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in filter(None, lines):
            self._failures = 0
            head = msgspec.json.decode(line, type=_Line)
            if head.kind in _NOTES:
                self._note(msgspec.json.decode(line, type=FirehoseNote))
                continue
            if head.kind not in _EVENTS:  # of a later version
                self._stand(head.cursor)
                continue
            event = msgspec.json.decode(line, type=FirehoseEvent)
            self._stand(event.cursor)
            if event.id not in self._told:
                self._remember(event.id)
                yield event

    def _note(self, note: FirehoseNote) -> None:
        if note.kind == "begin" and self.place is not None and self.place.node != self.node:
            return  # nothing was told here yet: the place at the other node still stands
        self.is_done = note.kind == "end" and note.why == "caught_up"
        if isinstance(note.frontier, str):
            self.place = Place(note.cursor, self.node, note.frontier, self.node)
        else:
            self._stand(note.cursor)

    def _stand(self, cursor: str) -> None:
        place = self.place
        frontier, of = (None, "") if place is None else (place.frontier, place.of)
        self.place = Place(cursor, self.node, frontier, of)

    def _remember(self, id: str) -> None:
        if len(self._told) >= REMEMBERED:
            del self._told[next(iter(self._told))]
        self._told[id] = None

    def failed(self, error: CallError | None = None) -> float:
        """A connection broke, ended or was refused. Returns how long to wait, seconds, before the next request. Raises
        the refusal if asking again is of no use."""
        self._failures += 1
        place = self.place
        if error is not None and error.status == GONE and place is not None and place.frontier is not None:
            self.place = Place("", "", place.frontier, "")  # the store was restored, and does not know its cursor
        elif error is not None and error.status not in AGAIN:
            raise error
        if self._failures % TRIES == 0:
            self.at = (self.at + 1) % len(self.nodes)
        return min(FIRST_S * float(1 << min(self._failures - 1, 16)), LONGEST_S)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else str(value)


class FrameDecompressor:
    """Frames of zstd that come in pieces of any size. dictionary: its bytes, or None."""

    def __init__(self, dictionary: bytes | None) -> None:
        self._dictionary = None if dictionary is None else ZstdDict(dictionary)
        self._one = ZstdDecompressor(zstd_dict=self._dictionary)

    def feed(self, piece: bytes) -> bytes:
        out = b""
        while piece:
            out += self._one.decompress(piece)
            if not self._one.eof:
                break
            piece = self._one.unused_data
            self._one = ZstdDecompressor(zstd_dict=self._dictionary)
        return out


# A stream of a node, read piece by piece from inside trio or asyncio.


class AsyncPieces:
    """The pieces of one answer as they come, from inside trio or asyncio, on a connection of their own. httpx would
    leave generators behind when a reader stops in the middle. seconds: the limit of each wait."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._address, self._seconds = address, seconds
        self._http = h11.Connection(h11.CLIENT)
        self._line: ByteStream | None = None

    async def begin(self, verb: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HttpAnswer | None:
        """Asks. Returns the answer if it is a refusal. Raises one of BROKEN."""
        at, size = self._address, b"" if body is None else body
        with anyio.fail_after(self._seconds):
            if at.tls:
                self._line = await anyio.connect_tcp(at.host, at.port, tls=True, tls_standard_compatible=False)
            else:
                self._line = await anyio.connect_tcp(at.host, at.port)
            host = f"[{at.host}]:{at.port}" if ":" in at.host else f"{at.host}:{at.port}"
            names = {"host": host, "content-length": str(len(size)), **headers}
            request = h11.Request(method=verb, target=at.path + path, headers=list(names.items()))
            head = self._http.send(request) or b""
            end = self._http.send(h11.Data(size)) if size else b""
            await self._line.send(head + (end or b"") + (self._http.send(h11.EndOfMessage()) or b""))
            answer = await self._event()
            if not isinstance(answer, h11.Response):
                raise h11.RemoteProtocolError("this is no answer")
            if answer.status_code < 400:
                return None
            content = b""
            while (piece := await self.next()) is not None:
                content += piece
            said = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
            return HttpAnswer(answer.status_code, said, content)

    async def next(self) -> bytes | None:
        """None at the end. Raises one of BROKEN."""
        with anyio.fail_after(self._seconds):
            event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                self._http.receive_data(b"" if self._line is None else await self._line.receive())
            except anyio.EndOfStream:
                self._http.receive_data(b"")
        if isinstance(event, type) and event is not h11.PAUSED:
            raise h11.RemoteProtocolError("the answer breaks off")
        return event

    async def close(self) -> None:
        if self._line is not None:
            await anyio.aclose_forcefully(self._line)


BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, h11.RemoteProtocolError, TimeoutError)
"""What a broken connection raises in AsyncPieces."""
