"""A client of streams that can be broken off at any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

import h11
import trio


class LineStream:
    """The lines of an answer, as they come. status, headers: of the answer."""

    def __init__(self, line: trio.SocketStream, http: h11.Connection) -> None:
        self._line, self._http, self._rest = line, http, b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def begin(self) -> None:
        answer = await self._event()
        assert isinstance(answer, h11.Response), answer
        self.status, self.headers = answer.status_code, {n.decode(): v.decode() for n, v in answer.headers}

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._line.receive_some(65_536))
        assert not isinstance(event, type) or event is h11.PAUSED
        return event

    def __aiter__(self) -> LineStream:
        return self

    async def __anext__(self) -> str:
        """Raises h11.RemoteProtocolError or trio.BrokenResourceError if the answer breaks off."""
        while b"\n" not in self._rest:
            event = await self._event()
            if not isinstance(event, h11.Data):
                raise StopAsyncIteration
            self._rest += bytes(event.data)
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()


@asynccontextmanager
async def open_lines(
    url: str,
    path: str,
    token: str | None,
    params: Mapping[str, object] | None = None,
    status: int = 200,
    cookie: str | None = None,
) -> AsyncIterator[LineStream]:
    """GET of a path, until the block ends. cookie: the session of a browser."""
    at = urlsplit(url)
    line = await trio.open_tcp_stream(at.hostname or "", at.port or 80)
    async with line:
        http = h11.Connection(h11.CLIENT)
        headers = [("Host", at.netloc)] + ([] if token is None else [("Authorization", f"Bearer {token}")])
        headers += [] if cookie is None else [("Cookie", f"banyan={cookie}")]
        target = path + ("?" + urlencode(params, doseq=True) if params else "")
        await line.send_all(http.send(h11.Request(method="GET", target=target, headers=headers)) or b"")
        await line.send_all(http.send(h11.EndOfMessage()) or b"")
        found = LineStream(line, http)
        await found.begin()
        assert found.status == status, found.status
        yield found
