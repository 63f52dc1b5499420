"""Streams for blobs: one from this node to a peer that it asks, and one from each peer that asks this node.

A stream of blobs shares its connection with the link, and must not delay the entries on it. So few chunks are asked for
at a time: at most MOST_ASKED, and fewer while a chunk takes longer than SLOW_S, down to one. The peer writes an answer
in pieces of the size of a link's, between which frames of the link go.

yamux keeps 2 MiB of a connection that nobody read (yamux.py): there is one stream a peer, and its answers are read at
once.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from banyan_crdt.errors import Malformed
from banyan_node.edge.config import EdgeError
from banyan_node.edge.link import PREFIX, READ_SIZE, WRITE_SIZE, ByteStream, LinkFrameReader
from banyan_node.media.blob_fetcher import BlobAnswers, NoPeerAnswer
from banyan_replica.wire.blob_messages import MAX_QUESTION

BLOB_PROTOCOL = "/banyan/blob/1"
MOST_ASKED = 4
"""Questions to one peer that are not answered: a MiB, which keeps a fast line busy while chunks are written."""
FAST_S, SLOW_S = 0.1, 0.5
"""With answers faster than the one, more are asked for; with slower ones than the other, fewer."""
IDLE_S = 30.0
"""A stream on which nothing is asked for so long ends."""
ANSWER_S = 60.0
"""Until an answer begins, and for a piece of 64 KiB of it."""
LEAST_RATE = 16 << 10
"""Bytes a second: an answer that comes more slowly ends with its stream, but none is ended before ANSWER_S."""


class _Question:
    """One that waits for its answer."""

    def __init__(self, most: int) -> None:
        self.most, self.done = most, trio.Event()
        self.answer: bytes | None = None
        self.wrong: Malformed | None = None


class BlobLine:
    """This node's stream to one peer. `run` reads it."""

    def __init__(self, peer: str, stream: ByteStream) -> None:
        self._peer, self._stream = peer, stream
        self._asked: deque[_Question] = deque()
        self._room = trio.CapacityLimiter(2)
        self._writing = trio.Lock()
        self._more = trio.Event()
        self._ends = trio.CancelScope()
        self.closed: str | None = None

    async def ask(self, question: bytes, most: int) -> bytes:
        """Raises NoPeerAnswer, Malformed. If this is cancelled, the peer still owes the answer, and the question counts
        as one of those that it may be asked until it came."""
        mine = _Question(most)
        await self._room.acquire_on_behalf_of(mine)
        began = trio.current_time()
        if self.closed is not None:
            self._room.release_on_behalf_of(mine)
            raise NoPeerAnswer(self.closed)
        self._asked.append(mine)
        self._more.set()
        await self._put(question)
        await mine.done.wait()
        if mine.wrong is not None:
            raise Malformed(f"its answer about a blob is too long: {mine.wrong}") from mine.wrong
        if mine.answer is None:
            raise NoPeerAnswer(self.closed or f"{self._peer} did not answer")
        took, now = trio.current_time() - began, self._room.total_tokens
        if took < FAST_S:
            self._room.total_tokens = min(MOST_ASKED, now + 1)
        elif took > SLOW_S:
            self._room.total_tokens = max(1, now - 1)
        return mine.answer

    async def _put(self, question: bytes) -> None:
        """Writes a question. One that is not written whole, because whoever asks was cancelled, would spoil those
        behind it: it ends the stream."""
        written = False
        try:
            async with self._writing:
                await _write(self._stream, question)
            written = True
        except Exception as error:
            self.closed = self.closed or f"{self._peer} cannot be asked: {type(error).__name__} {error}"
            raise NoPeerAnswer(self.closed) from error
        finally:
            if not written:
                self.closed = self.closed or f"a question to {self._peer} was cut short"
                self._ends.cancel()

    def _ended(self, mine: _Question) -> None:
        self._room.release_on_behalf_of(mine)
        mine.done.set()

    async def run(self) -> None:
        """Reads answers until the stream ends or is idle. Whoever waits then is told."""
        frames = _Frames(self._stream)
        try:
            with self._ends:
                while True:
                    while not self._asked:
                        self._more = trio.Event()
                        with trio.fail_after(IDLE_S):
                            await self._more.wait()
                    answer = await frames.read(self._asked[0].most, ANSWER_S)
                    mine = self._asked.popleft()
                    mine.answer = answer
                    self._ended(mine)
        except Exception as error:
            self.closed = self.closed or f"{self._peer} gave no answer: {_why(error)}"
            if isinstance(error, Malformed):
                self._asked[0].wrong = error
        finally:
            self.closed = self.closed or "the node stops"
            for question in self._asked:
                self._ended(question)
            self._asked.clear()
            await _reset(self._stream)


class BlobLines:
    """This node's streams to peers, opened when they are needed. Implements `media.lines.BlobPeers`."""

    def __init__(
        self, open_stream: Callable[[str], Awaitable[ByteStream]], linked: Callable[[], list[str]], live: Any
    ) -> None:
        """live: a nursery."""
        self._open, self._linked, self._live = open_stream, linked, live
        self._lines: dict[str, BlobLine] = {}
        self._opening: dict[str, trio.Lock] = {}

    def linked(self) -> list[str]:
        return self._linked()

    async def ask(self, peer: str, question: bytes, most: int) -> bytes:
        """Raises NoPeerAnswer, Malformed."""
        return await (await self._line(peer)).ask(question, most)

    async def _line(self, peer: str) -> BlobLine:
        async with self._opening.setdefault(peer, trio.Lock()):
            line = self._lines.get(peer)
            if line is None or line.closed is not None:
                try:
                    with trio.fail_after(IDLE_S):
                        stream = await self._open(peer)
                except (EdgeError, trio.TooSlowError) as error:
                    raise NoPeerAnswer(f"{peer} takes no questions for blobs: {_why(error)}") from error
                line = self._lines[peer] = BlobLine(peer, stream)
                self._live.start_soon(self._run, peer, line)
            return line

    async def _run(self, peer: str, line: BlobLine) -> None:
        await line.run()
        if self._lines.get(peer) is line:
            del self._lines[peer]
            self._opening.pop(peer, None)


async def serve_blobs(stream: ByteStream, peer: str, answers: BlobAnswers) -> None:
    """Answers one peer, in the order of its questions, until its stream ends or is idle. While an answer is written,
    the next one is read from the disk, and no more: a peer costs the memory of two."""
    send, ready = trio.open_memory_channel[bytes](0)

    async def ask(frames: _Frames) -> None:
        try:
            while True:
                await send.send(await answers(peer, await frames.read(MAX_QUESTION, ANSWER_S + IDLE_S)))
        except (NoPeerAnswer, Malformed, trio.TooSlowError, trio.BrokenResourceError):
            serving.cancel()

    async def write() -> None:
        try:
            async for answer in ready:
                await _write(stream, answer)
        except Exception:  # the peer is gone, or does not read
            serving.cancel()

    try:
        async with trio.open_nursery() as nursery:
            serving = nursery.cancel_scope
            nursery.start_soon(ask, _Frames(stream))
            nursery.start_soon(write)
    finally:
        await _reset(stream)


class _Frames:
    """Frames of one stream, each behind its length."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream, self._reader = stream, LinkFrameReader()

    async def read(self, most: int, patience: float) -> bytes:
        """The next frame. Raises NoPeerAnswer, Malformed if it is larger than `most`, TooSlowError."""
        with trio.fail_after(patience):
            await self._fill(PREFIX.size, patience)
        length = self._reader.announced or 0
        if length > most:
            raise Malformed(f"a frame of {length} bytes was announced, and at most {most} are possible")
        with trio.fail_after(max(patience, length / LEAST_RATE)):
            await self._fill(PREFIX.size + length, patience)
        return self._reader.take()

    async def _fill(self, size: int, patience: float) -> None:
        while len(self._reader) < size:
            try:
                with trio.fail_after(patience):
                    chunk = await self._stream.read(READ_SIZE)
            except trio.TooSlowError:
                raise
            except Exception as error:  # libp2p has one for each way in which a stream ends
                raise NoPeerAnswer(f"the stream ended: {_why(error)}") from error
            if not chunk:
                raise NoPeerAnswer("the stream ended")
            self._reader.feed(chunk)


async def _write(stream: ByteStream, frame: bytes) -> None:
    """Raises TooSlowError, and what libp2p raises when the stream ended."""
    raw = PREFIX.pack(len(frame)) + frame
    for at in range(0, len(raw), WRITE_SIZE):
        with trio.fail_after(ANSWER_S):
            await stream.write(raw[at : at + WRITE_SIZE])
        await trio.lowlevel.checkpoint()


async def _reset(stream: Any) -> None:
    with trio.CancelScope(shield=True), trio.move_on_after(1):
        try:
            await stream.reset()
        except Exception:
            pass


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
