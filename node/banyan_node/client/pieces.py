"""A stream of a node, read piece by piece from inside trio or asyncio."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import h11
from anyio.abc import ByteStream

from banyan_node.client.wire import Address, HttpAnswer


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
