"""Has peers read ranges of accounts to us, as catchup.py decides.

What is left to read is noted in the store, in the transaction of what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from banyan_replica.peers.ledger import Charge, Offence
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.catchup import Catchup, SpanRequest
from banyan_replica.wire.messages import Message, Scanned
from banyan_storage.local_tables import CATCHUP
from banyan_storage.store import Store


class RangeReaders:
    """out, slighted: take frames, and what peers are charged with. rests: whether nothing is asked for now."""

    def __init__(
        self,
        store: Store,
        links: Mapping[str, PeerSession],
        out: list[tuple[str, Message | bytes]],
        slighted: list[tuple[str, Charge]],
        rests: Callable[[], bool],
    ) -> None:
        self._store, self._links, self._out, self._slighted, self._rests = store, links, out, slighted, rests
        self.catchup = Catchup(CATCHUP.get(store))
        self.wanted = True
        """Whether peers read to this node: not if it holds only what people here chose."""

    def read_through(self, link: PeerSession, logs: int, held: int, now: float) -> bool:
        """Whether a peer that claims so many logs reads to us; then it is not compared with."""
        fresh = not self.catchup.active
        if not self.wanted:
            return False
        if link.course.stuck.spent(now) and not self.catchup.reads(link.peer):
            return False  # what it reads is not taken
        if not self.catchup.join(link.peer, logs, held, now):
            return False
        self.assign(now)
        if fresh:
            self._write_note()
        return True

    def scanned(self, link: PeerSession, m: Scanned, now: float) -> bool:
        """Whether that was the end of a catch-up."""
        link.owed.ranges.scanned(m)
        if not self.catchup.reads(link.peer):
            return False
        why = self.catchup.scanned(link.peer, m, now)
        if why is not None:
            self._slighted.append((link.peer, Charge(Offence.UNREAD, why)))
        self.assign(now)
        self._write_note()
        return not self.catchup.active

    def close(self) -> None:
        """Ends a catch-up: we are equal to a peer that holds all, or we hold only some accounts."""
        if self.catchup.active:
            self._say(self.catchup.close())
            self._write_note()

    def restore(self) -> None:
        """After a rollback: reads again from the store what is left to read."""
        self._say(self.catchup.close())
        self.catchup.reopen(CATCHUP.get(self._store))

    def failed(self, peer: str, now: float) -> None:
        """It stalls or lies: others read, for a while."""
        self.catchup.rest(peer, now)
        self.assign(now)

    def gone(self, peer: str, now: float) -> None:
        """It cannot read the network to us, or not any more: others do."""
        self.catchup.leave(peer)
        self.assign(now)

    def assign(self, now: float) -> None:
        """Gives idle readers work."""
        if not self._rests():
            self._say(self.catchup.assign(now))

    def _say(self, asks: Iterable[SpanRequest]) -> None:
        for link, scan in ((self._links.get(ask.peer), ask.scan) for ask in asks):
            if link is None:
                continue
            link.owed.ranges.ask(scan)
            self._out.append((link.peer, scan))

    def _write_note(self) -> None:
        CATCHUP.put(self._store, self.catchup.note())
