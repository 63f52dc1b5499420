"""One authenticated, framed, bidirectional stream to one peer: the only thing the node sends bytes through.

On the wire: u32 big-endian length, then that many bytes. A frame of length 0 is empty. The accepting side sends one to
say "this is the link" (the dialling side does not use the link before it), and both sides send one when they have sent
nothing for a third of the idle timeout.

Bounds. A reader task always reads the stream, because yamux resets a stream whose reader is five seconds late. Frames
wait in a buffer of fixed size until `receive` takes them. The node grants credits for less than that buffer. So if the
buffer overflows, the peer sent without credit, and the link is closed with CreditBroken. Every read and every write has
a deadline. A send that is interrupted leaves half a frame on the stream, so it ends the link.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import trio

from banyan_node.admission.usage import Usage
from banyan_node.edge.config import MAX_WINDOW, CreditBroken, EdgeConfig, FrameTooLarge, LinkClosed, SlowPeer

# Frames on a stream: u32 big-endian length, then that many bytes. No I/O.

PREFIX = struct.Struct(">I")
READ_SIZE = 64 * 1024
# One yamux frame of this size, with its header of 12 bytes, is the largest noise message (65,519 bytes of plaintext).
# Where packets carry 660 bytes or more it arrives in fewer than the 100 pieces at which other py-libp2p peers give up.
WRITE_SIZE = 65_507


class LinkFrameReader:
    """Frames out of bytes that come in pieces. `len`: bytes that are not taken yet."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def clear(self) -> None:
        self._bytes.clear()

    @property
    def announced(self) -> int | None:
        """Bytes of the next frame, whose length has come; else None."""
        return int(PREFIX.unpack_from(self._bytes)[0]) if len(self._bytes) >= PREFIX.size else None

    def is_whole(self) -> bool:
        """Whether the next frame has come."""
        return (size := self.announced) is not None and len(self._bytes) >= PREFIX.size + size

    def take(self) -> bytes:
        """The next frame, which has come."""
        end = PREFIX.size + (self.announced or 0)
        with memoryview(self._bytes) as whole, whole[PREFIX.size : end] as part:
            frame = bytes(part)
        del self._bytes[:end]
        return frame


def pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts one after the other, in pieces for one write each. Many links wait in the middle of a megabyte, so the
    whole is never joined."""
    piece: list[bytes | memoryview] = []
    room = WRITE_SIZE
    for part in parts:
        at = 0
        while len(part) - at >= room:
            piece.append(memoryview(part)[at : at + room])
            at += room
            yield b"".join(piece)
            piece, room = [], WRITE_SIZE
        piece.append(memoryview(part)[at:] if at else part)
        room -= len(part) - at
    if room < WRITE_SIZE:
        yield b"".join(piece)


FRAME_OVERHEAD = 64
AT_ONCE = 256
"""Frames that are taken from the bytes that came without a pause for other tasks."""


class Buffers:
    """What waits unread in all links of an edge together, those that ended included. most: bytes. Beyond it, the link
    with most of it ends, and what waits in it is dropped: free identities must not get as many buffers."""

    def __init__(self, most: int) -> None:
        self._most, self._total = most, 0
        self._of: dict[Link, int] = {}

    def hold(self, link: Link, size: int) -> None:
        """So much of the link waits now. Raises CreditBroken if it has to end."""
        self.note(link, size)
        while self._total > self._most:
            worst = max(self._of, key=self._of.__getitem__)
            why = CreditBroken(
                f"{worst.peer_id} has {self._of[worst]} bytes waiting here, more than any other, and no room is left"
            )
            if worst is link:
                raise why
            worst.end(why)

    def note(self, link: Link, size: int) -> None:
        """So much of the link waits now."""
        self._total += size - self._of.pop(link, 0)
        if size:
            self._of[link] = size


class ByteStream(Protocol):
    """What a link needs of a libp2p stream."""

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte, at most n; raises or returns nothing at the end."""

    async def write(self, data: bytes) -> None:
        """All of data, or raise."""


class Link:
    """peer_id: who is at the other end, proved by noise. inbound: the peer dialled us. remote_addr: its multiaddr.

    slot: its slot at the edge. usage: what it uses of the processor. excused: its end says nothing against the peer.
    """

    def __init__(
        self,
        stream: ByteStream,
        hang_up: Callable[[], Awaitable[None]],
        *,
        peer_id: str,
        remote_addr: str,
        inbound: bool,
        slot: int,
        usage: Usage,
        config: EdgeConfig,
        buffers: Buffers,
    ) -> None:
        self.peer_id, self.remote_addr, self.inbound, self.slot, self.usage = peer_id, remote_addr, inbound, slot, usage
        self.excused = False
        self._stream, self._hang_up, self._config, self._buffers = stream, hang_up, config, buffers
        self._scope = trio.CancelScope()
        self._why: LinkClosed | None = None
        self._over = trio.Event()
        self._accepted = trio.Event()
        self._spoken = False
        """Whether a frame came that is not empty."""
        self._reader = LinkFrameReader()
        self._frames: deque[bytes] = deque()
        self._handed = 0
        self._buffered = 0
        self._wake = trio.Event()
        self._send_lock = trio.Lock()
        self._pending: list[bytes] = []
        self._last_write = trio.current_time()
        self._probe = trio.Event()

    def __repr__(self) -> str:
        return f"<Link {'from' if self.inbound else 'to'} {self.peer_id} at {self.remote_addr}>"

    @property
    def closed(self) -> LinkClosed | None:
        """Why the link has ended, or None while it stands."""
        return self._why

    @property
    def waiting(self) -> int:
        """Bytes that came and were not received yet, including those of an incomplete frame. Any thread may ask."""
        return self._buffered + len(self._reader)

    async def wait_closed(self) -> None:
        """Returns when the link has ended and its connection is closed."""
        await self._over.wait()

    async def wait_accepted(self) -> None:
        """Returns when the accepting side has said that this is the link. Raises LinkClosed if it ends before."""
        await self._accepted.wait()
        if self._why is not None:
            raise self._closing()

    async def send(self, frames: Sequence[bytes]) -> None:
        """Sends frames of 1..max_frame bytes in order; returns when the stream has taken them.

        Frames that other tasks queued meanwhile are sent in the same writes. Raises LinkClosed or SlowPeer.
        """
        for frame in frames:
            if not 0 < len(frame) <= self._config.max_frame:
                raise ValueError(
                    f"a frame of {len(frame)} bytes cannot be sent: 1..{self._config.max_frame} can; split it"
                )
        await self._send(frames)

    async def receive(self) -> bytes:
        """The next frame. After the link has ended: the frames that were complete before, then raises why it ended."""
        while not self._frames:
            if self._why is not None:
                raise self._closing()
            await self._wake.wait()
        frame = self._frames.popleft()
        self._buffered -= len(frame) + FRAME_OVERHEAD
        self._buffers.note(self, self.waiting)
        if not self._frames and self._why is None:
            self._wake = trio.Event()
        self._handed += 1
        if self._handed % AT_ONCE:
            await trio.lowlevel.checkpoint()
        else:
            await self._give_way()
        return frame

    def close(self, reason: str, excused: bool = False) -> None:
        """Starts to end the link and does not wait; what was not received is dropped."""
        self.excused |= excused
        self.end(LinkClosed(reason))

    def end(self, why: LinkClosed) -> None:
        """The same, for a reason that has a kind."""
        self._end(why)
        self._reader.clear()
        self.discard()

    def discard(self) -> None:
        """Drops the frames that were not received."""
        self._frames.clear()
        self._buffered = 0
        self._buffers.note(self, self.waiting)

    async def accept(self) -> None:
        """Tells the peer that this is the link."""
        await self._send([b""])

    def probe(self) -> None:
        """Sends an empty frame soon. A peer that has forgotten this link answers with a reset."""
        self._last_write = float("-inf")
        self._probe.set()

    async def run(self, spoke: Callable[[], None]) -> None:
        """Runs the link until it ends. Never raises an Exception; on return the connection is closed.

        spoke: called at the first frame that is not empty. It must come within the time for a step of the handshake.
        """
        try:
            with self._scope:
                if self._why is None:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._keep_alive)
                        try:
                            await self._read(spoke)
                        except LinkClosed as why:
                            self._end(why)  # before the send that this cancels says its own reason
                            raise
        except* LinkClosed as group:
            self._end(_first(group))
        except* Exception as group:
            error = _first(group)
            self._end(LinkClosed(f"the stream of {self.peer_id} ended: {type(error).__name__} {error}"))
        finally:
            # Errors hold frames of the stack and these hold errors, so what they name lives until a full collection
            # of garbage, which is rare. A stranger's 4 MiB must not live as long.
            self._reader.clear()
            self._end(LinkClosed("the host went down"))
            self._buffers.note(self, self.waiting)
            with trio.CancelScope(shield=True), trio.move_on_after(4):
                try:
                    await self._hang_up()
                except Exception:
                    pass
            self._over.set()

    def _end(self, why: LinkClosed) -> None:
        if self._why is None:
            self._why = why
            if isinstance(why, CreditBroken | FrameTooLarge | SlowPeer):
                self.usage.throttle.tally.stopped("frame", self.peer_id)
            self._scope.cancel()
            self._wake.set()
            self._accepted.set()

    def _closing(self) -> LinkClosed:
        assert self._why is not None
        return type(self._why)(str(self._why))

    async def _send(self, frames: Sequence[bytes]) -> None:
        if self._why is not None:
            raise self._closing()
        for frame in frames:
            self._pending += (PREFIX.pack(len(frame)), frame)
        async with self._send_lock:
            if self._why is not None:  # all tasks whose frames were in a write that failed must be told
                raise self._closing()
            pending, self._pending = self._pending, []
            try:
                for piece in pieces(pending):
                    await self._write(piece)
            except BaseException:
                self._end(
                    LinkClosed(f"a send to {self.peer_id} was cut short, which leaves half a frame on the stream")
                )
                raise

    async def _write(self, chunk: bytes) -> None:
        """Writes a piece, which may have to wait until a slow line has carried the whole window before it."""
        patience = self._config.write_deadline + MAX_WINDOW / self._config.min_rate
        with self.usage.until(self.usage.now + patience) as scope:
            try:
                await self._stream.write(chunk)
            except Exception as error:
                self._end(LinkClosed(f"a write to {self.peer_id} failed: {type(error).__name__} {error}"))
                raise self._closing() from error
        if scope.cancelled_caught:
            self._end(SlowPeer(f"{self.peer_id} took no {len(chunk)} bytes within {patience:.3g} s"))
            raise self._closing()
        self._last_write = trio.current_time()

    async def _keep_alive(self) -> None:
        quiet = self._config.idle_timeout / 3
        while True:
            due = self._last_write + quiet - trio.current_time()
            if due > 0:
                with trio.move_on_after(due):
                    await self._probe.wait()
                    self._probe = trio.Event()
            else:
                await self._send([b""])

    async def _read(self, spoke: Callable[[], None]) -> None:
        reader, frame_due = self._reader, 0.0
        hello_due = self.usage.now + self._config.slots.step_s
        while True:
            idle_due = self.usage.now + self._config.idle_timeout
            if not self._spoken:
                idle_due = min(idle_due, hello_due)
            due = min(frame_due, idle_due) if len(reader) else idle_due
            with self.usage.until(due) as scope:
                chunk = await self._stream.read(READ_SIZE)
            if scope.cancelled_caught:
                if not self._spoken and due == hello_due:
                    raise SlowPeer(f"{self.peer_id} said nothing within {self._config.slots.step_s} s")
                if due == idle_due:
                    raise SlowPeer(f"{self.peer_id} was silent for {self._config.idle_timeout} s")
                raise SlowPeer(f"{self.peer_id} did not finish a frame in time: {len(reader)} bytes of it came")
            if not chunk:
                raise LinkClosed(f"{self.peer_id} closed the link")
            fresh = not len(reader)
            reader.feed(chunk)
            while taken := self._take_frames(spoke):
                fresh = True
                if taken == AT_ONCE:
                    await self._give_way()
            self._buffers.hold(self, self.waiting)
            if fresh and len(reader):
                began = (reader.announced or 0) / self._config.min_rate
                frame_due = self.usage.now + self._config.read_deadline + began

    async def _give_way(self) -> None:
        """Many tiny frames must not keep others waiting, and they cost far more than to read them from the socket: a
        stranger waits for its turn here too."""
        if self.usage.throttle.holds(self.usage):
            await self.usage.throttle.turn(self.usage)
        else:
            await trio.lowlevel.checkpoint()

    def _take_frames(self, spoke: Callable[[], None]) -> int:
        """Takes some whole frames, and returns how many."""
        reader, config = self._reader, self._config
        for taken in range(AT_ONCE):
            size = reader.announced
            if size is not None and size > config.max_frame:
                raise FrameTooLarge(
                    f"{self.peer_id} announced a frame of {size} bytes; the limit is {config.max_frame}"
                )
            if not reader.is_whole():
                return taken
            self._accepted.set()
            if not size:
                reader.take()
                continue
            self._buffered += size + FRAME_OVERHEAD
            if self._buffered > config.frame_buffer:
                raise CreditBroken(
                    f"{self.peer_id} has {self._buffered} bytes waiting here and the buffer is "
                    f"{config.frame_buffer}: it sent more than it had credit for"
                )
            self._frames.append(reader.take())
            self._wake.set()
            if not self._spoken:
                self._spoken = True
                spoke()
        return AT_ONCE


def _first(group: BaseExceptionGroup[Any]) -> Any:
    error: Any = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
