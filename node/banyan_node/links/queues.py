"""What comes over one link, on its way to the replica's thread, and what waits to be sent on it."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import trio

from banyan_crdt.ids import AccountId
from banyan_node.admission.fair_queue import JobOwner
from banyan_node.admission.throttle import Throttle
from banyan_node.context import Context
from banyan_node.edge import Link
from banyan_node.workers.frame_preparer import SLICE, FramePreparer
from banyan_node.workers.worker import TAKE_BYTES, Worker
from banyan_replica.gossip.frames import brings_messages, is_of_the_tree
from banyan_replica.gossip.pushes import relays, without_messages
from banyan_replica.intake.prepare import PreparedFrame
from banyan_replica.peers.backlog import Backlog, Lane
from banyan_replica.wire.message_table import goes_ahead, is_gossip, is_lasting

if TYPE_CHECKING:
    from concurrent.futures import Future

    from banyan_replica.peers.session import PeerSession

FLOOD = 64 << 10
"""A gossip frame of more bytes is judged in slices at any time: news of honest people is seldom so large. Frames of
some kilobytes come whenever many write at once, and cutting these up made posts late by seconds."""
FOLD = 256
"""Operations of a long run that one job folds, so that calls go between: some 8 ms."""
FOLD_BYTES = TAKE_BYTES
"""What such a job counts as, so that none shares a commit with the next: so many operations touch some 1,000 pages of
the store, and a post that comes waits until these are on the disk."""
SHORTEST = 160
"""No smaller frame can hold an entry: two keys, a link and a signature have so many bytes."""


class LinkReceiver:
    """Hands the frames of one link over. What a link brought before its end is read too, unless it only asks."""

    def __init__(
        self,
        link: Link,
        whose: JobOwner,
        backlog: Backlog,
        ahead: FramePreparer,
        worker: Worker[Context],
        throttle: Throttle,
    ) -> None:
        self._link, self._whose, self._backlog, self._ahead = link, whose, backlog, ahead
        self._worker, self._throttle = worker, throttle
        self._spent = partial(throttle.spent, *whose)
        self._session: PeerSession | None = None
        self._dropped = self._losing = False

    def begin(self, addrs: tuple[str, ...], address: str, outbound: bool) -> None:
        """The link is up."""
        peer, group = self._whose

        def up(context: Context, now: float) -> None:
            begin = context.replica.peer_up
            self._session = begin(peer, group=group, outbound=outbound, addrs=addrs, now=now, address=address)

        self._worker.post(up, whose=self._whose)

    def end(self) -> None:
        """The link has ended. What it brought is read before that is told. But what would have to wait is not worth
        that: comparing brings it again, and until then the peer would count as linked."""
        if self._throttle.leaves_nothing(*self._whose):
            self._dropped = True
            self._worker.post(self._down)
        self._worker.post(self._down, whose=self._whose, lane=Lane.LAST)

    def _down(self, context: Context, now: float) -> None:
        """It may be linked again meanwhile, from elsewhere."""
        if self._session is not None:
            context.replica.peer_down(self._whose.peer, now, session=self._session)

    async def take(self, frame: bytes) -> None:
        """While own people work, a large frame of a stranger is prepared first, and comes to the replica in slices:
        what it costs is not to hold up a call. So does a flood of gossip, which is not to hold up news. Of a flood that
        the peer relays, what is more than may wait is dropped: comparing brings it."""
        if self._useless(frame):
            return
        if self._backlog.floods and relays(frame) and self._throttle.makes_way(self._link.usage, False):
            self._throttle.tally.stopped("flood", self._link.peer_id)
            self._lose()
            rest = without_messages(frame)
            if rest is None:
                return
            frame = rest
        why = self._backlog.put(frame)
        if why is not None:
            self._worker.post(partial(_overran, self._link.peer_id, why), whose=self._whose)
            return
        lane = self._backlog.lane(frame)
        if self._goes_whole(frame):
            self._post(frame, self._ahead.begin(frame, self._spent), lane)
            return
        try:
            (peer, group), relied_on = self._whose, self._throttle.relied_on(self._whose.peer)
            waits = not self._ahead.has_room(frame, group, relied_on)
            with self._throttle.tally.delay("prepare", peer) if waits else nullcontext():
                parts = await self._ahead.in_slices(frame, self._spent, group, relied_on)
        except BaseException:  # the link ended before there was room for it, or preparing it raised a bug
            self._post(frame, None, lane)
            raise
        for part in parts:
            job = partial(self._slice, frame, part, part is parts[-1])
            self._worker.post(job, len(frame) // len(parts), writes=True, whose=self._whose, lane=lane)

    def _goes_whole(self, frame: bytes) -> bool:
        """Also where there is no room, if it is no flood and its peer need not wait: who waits fills the room."""
        (peer, group), small = self._whose, len(frame) <= FLOOD
        if len(frame) <= SLICE or not self._throttle.makes_way(self._link.usage, not small and is_gossip(frame)):
            return True
        first = small and not self._throttle.has_to_wait(peer)
        return first and not self._ahead.has_room(frame, group, self._throttle.relied_on(peer))

    def _lose(self) -> None:
        """Says once, until it was heard, that messages of the peer are dropped."""
        if not self._losing:
            self._losing = True
            self._worker.post(self._lost, whose=self._whose, lane=Lane.FIRST)

    def _post(self, frame: bytes, begun: Future[PreparedFrame] | None, lane: Lane) -> None:
        job = partial(self._whole, frame, begun)
        self._worker.post(job, len(frame), writes=_may_write(frame), whose=self._whose, lane=lane)

    def _useless(self, frame: bytes) -> bool:
        """Whether the frame only asks, and nobody is there any more to be answered, or it was given up. A flood leaves
        thousands of them."""
        return self._dropped or (self._link.closed is not None and not is_lasting(frame))

    # -- on the replica's thread

    def _lost(self, context: Context, now: float) -> None:
        self._losing = False
        context.replica.gossip.lost(self._link.peer_id)

    def _whole(self, frame: bytes, begun: Future[PreparedFrame] | None, context: Context, now: float) -> None:
        try:
            self._receive(frame, self._ahead.taken(begun, frame), context, now)
        finally:
            self._backlog.took(frame)

    def _slice(self, frame: bytes, part: PreparedFrame, last: bool, context: Context, now: float) -> None:
        try:
            self._receive(frame, part, context, now)
        finally:
            if last:
                self._ahead.judged(frame, self._whose.group)
                self._backlog.took(frame)

    def _receive(self, frame: bytes, prepared: PreparedFrame | None, context: Context, now: float) -> None:
        if not self._useless(frame):
            context.replica.receive(self._link.peer_id, frame, now, prepared)
        if long := context.to_fold:
            for account in dict.fromkeys(long):
                self._fold_on(account)
            long.clear()

    def _fold_on(self, account: AccountId) -> None:
        """While own people work, upkeep/derived_data.py does it, with pauses: each step ends in a commit, which costs
        the disk more time than the processor, and a post that comes waits for it."""
        if self._throttle.busy:
            return
        job = partial(self._fold, account)
        self._worker.post(job, FOLD_BYTES, writes=True, whose=self._whose, lane=Lane.GOSSIP)

    def _fold(self, account: AccountId, context: Context, now: float) -> None:
        """The peer pays for what it sent, and its other frames wait in turn."""
        if context.replica.store.fold_again(FOLD, account):
            self._fold_on(account)


def _may_write(frame: bytes) -> bool:
    """Whether a frame may bring entries: a commit waits a moment for others that do."""
    return len(frame) >= SHORTEST and (not is_gossip(frame) or brings_messages(frame[2:5]))


def _overran(peer: str, why: str, context: Context, now: float) -> None:
    context.replica.peers.overran(peer, why, now)


# What waits to be sent on one link.

WRITE_BYTES = 32 << 10
"""Frames are handed to a stream until they have so many bytes together: what comes meanwhile waits for them."""
TALK_BYTES = WRITE_BYTES // 2
"""Of these, so many go ahead of answers that wait: neither is to hold up the other."""
HOLD_BYTES = 256 << 10
"""Of what is relayed, so much may wait here for one peer. The rest waits in the gossip, which announces what does not
fit: a peer that reads slowly is not disconnected because of what others made this node relay."""


class SendQueue:
    """Frames that wait to be sent on one link: hello, then what this node's people wrote and what it asks, then gossip,
    then answers. A slow line may need a minute for these."""

    def __init__(self) -> None:
        self.first: deque[bytes] = deque()
        self.talk: deque[bytes] = deque()
        self.frames: deque[bytes] = deque()
        self.size = self.relayed = 0
        self.held = self.ended = False
        self.more = trio.Event()
        self.since = trio.current_time()
        self._greeted = False

    def put(self, frame: bytes, own: bool) -> None:
        gossip, ahead = is_gossip(frame), self._greeted and goes_ahead(frame)
        first = self._greeted and (own or (ahead and not gossip))
        (self.first if first else self.talk if ahead else self.frames).append(frame)
        self.size += len(frame)
        if gossip and not first:
            self.relayed += len(frame)
        self.more.set()

    def hold(self) -> bool:
        """Whether it changed that too much waits of what is relayed."""
        before, self.held = self.held, self.relayed > (HOLD_BYTES // 2 if self.held else HOLD_BYTES)
        return before != self.held

    def end(self) -> None:
        """Nothing more is sent."""
        self.ended = True
        for queue in (self.first, self.talk, self.frames):
            queue.clear()
        self.size = self.relayed = 0

    async def take(self) -> tuple[list[bytes], bool]:
        """Waiting frames, about WRITE_BYTES; waits for at least one. And whether most of it are messages of the gossip,
        which are sent for those who wrote them and not for the peer."""
        while not (self.first or self.talk or self.frames):
            self.more = trio.Event()
            await self.more.wait()
        self._greeted = True
        taken, size, told = [], 0, 0
        while size < WRITE_BYTES:
            ahead = self.talk if size < TALK_BYTES or not self.frames else None
            queue = self.first or ahead or self.frames
            if not queue:
                break
            taken.append(queue.popleft())
            size += len(taken[-1])
            if is_gossip(taken[-1]):
                told += len(taken[-1]) if is_of_the_tree(taken[-1][2:4]) else 0
                self.relayed -= 0 if queue is self.first else len(taken[-1])
        return taken, 2 * told > size

    def sent(self, frames: list[bytes]) -> None:
        """What was taken is sent, and takes no memory any more."""
        if not self.ended:
            self.size -= sum(map(len, frames))
