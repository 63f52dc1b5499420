"""The door of an edge: applies the decisions of connection_slots.py and arrivals.py to its connections and links.

A slot belongs to one connection. Until that carries a link, its `ender` ends it; then the link does.
"""

from collections.abc import Callable, Mapping

import trio

from banyan_node.admission.arrivals import Pauses
from banyan_node.admission.connection_slots import ConnectionSlots, PeerActivity
from banyan_node.admission.gates import AdmissionTally
from banyan_node.edge.config import DialFailed, EdgeConfig, EdgeEvent, NotAdmitted, Paused
from banyan_node.edge.link import Link

MADE_ROOM = (
    "its slot is needed for another peer: the slots, or those for its network, are in use, and it was of least use"
)
TOO_LATE = "no hello came in time"
TWIN = "another node runs with the same key, a copy of the home: stop one of the two"
"""Said to a peer that dialled again while it was linked. A node that is alone with its key reads it no more."""


class Admission:
    """enders: how to end the connection of a slot. standing: what the replica says of linked peers. part: ends the
    link of a peer that has no slot (any more), with a sentence; by default at once."""

    def __init__(self, config: EdgeConfig, tell: Callable[[EdgeEvent], None], tally: AdmissionTally) -> None:
        self.slots, self.pauses = ConnectionSlots(config.slots, config.named), Pauses(config.pauses)
        self.enders: dict[int, Callable[[], None]] = {}
        self.standing: Callable[[], Mapping[str, PeerActivity]] = dict
        self.part: Callable[[Link, str], None] = Link.close
        self._config, self._tell, self._tally = config, tell, tally
        self._links: dict[int, Link] = {}

    # -- connections that come in

    def arrives(self, host: str | None, end: Callable[[], None]) -> int:
        """The slot of an accepted socket. Raises NotAdmitted if there is no place."""
        verdict = self.slots.arrives(host, trio.current_time())
        if verdict.refused:
            raise NotAdmitted("arrivals", verdict.refused)
        self.enders[verdict.slot] = end
        self._let_go(verdict.out, "another connection took its place before it said hello", "arrivals")
        return verdict.slot

    def speaks(self, slot: int) -> None:
        """The first bytes of an arrival came."""
        self.slots.speaks(slot)

    def met(self, slot: int, peer: str) -> None:
        """The id of an arrival is proven. Raises NotAdmitted if that peer has to wait."""
        now = trio.current_time()
        left = self.pauses.left(peer, now)
        if left:
            raise NotAdmitted("pause", f"{peer} came too often and has to wait {left:.0f} s")
        self.slots.met(slot, peer, now)

    def left(self, slot: int) -> None:
        """The connection of a slot has ended."""
        self.enders.pop(slot, None)
        self.slots.leaves(slot)

    # -- dials

    def wait(self, peer: str) -> None:
        """Raises Paused if the peer must not be dialled yet."""
        left = self.pauses.left(peer, trio.current_time())
        if left:
            raise Paused(f"the last links with {peer} ended at once; it is dialled again in {left:.0f} s", left)

    def dials(self, host: str | None, peer: str) -> int:
        """A slot for a dial. Raises DialFailed."""
        verdict = self.slots.dials(host, peer, trio.current_time(), self.standing())
        if verdict.refused:
            raise DialFailed(verdict.refused)
        self._let_go(verdict.out, MADE_ROOM, "slots")
        return verdict.slot

    # -- links

    async def run(self, link: Link) -> None:
        """Runs a link to its end, in its slot."""
        began = trio.current_time()
        slot = link.slot
        self._links[slot] = link
        if not link.inbound:
            self.slots.met(link.slot, link.peer_id, began)
        try:
            await link.run(lambda: self.slots.spoke(slot, trio.current_time()))
        finally:
            if self._links.get(link.slot) is link:
                del self._links[link.slot]
            self.left(link.slot)
        now = trio.current_time()
        if not link.excused and now - began < self._config.pauses.quick_s:
            self.pauses.count(link.peer_id, now)

    def replaces(self, peer: str) -> bool:
        """A peer dialled again. Whether its new link may replace the one that stands."""
        now = trio.current_time()
        if self.pauses.left(peer, now):
            return False
        self.pauses.count(peer, now)
        return True

    def replace(self, link: Link) -> None:
        """Ends a link whose peer dialled again, and tells it: if it is still there, another node has its key."""
        link.excused = True
        self.part(link, TWIN)

    def settle(self, link: Link) -> None:
        """The peer of an inbound link said hello: the link takes a slot, or is parted with."""
        verdict = self.slots.settles(link.slot, trio.current_time(), self.standing())
        self._let_go(verdict.out, MADE_ROOM, "slots")
        if verdict.refused:
            self._tell(EdgeEvent("connection-refused", link.peer_id, f"{link.peer_id}: {verdict.refused}"))
            self._tally.stopped("slots", link.peer_id)
            link.excused = True
            self.part(link, f"no slot is free here: {verdict.refused}")

    def sweep(self, in_use: set[int]) -> None:
        """Ends connections that took too long to say hello. in_use: slots of those that other programs use. Who is not
        read from cannot be heard."""
        now = trio.current_time()
        held = {slot for slot, link in self._links.items() if link.usage.held_lately}
        for slot in held | (in_use - self._links.keys()):
            self.slots.waits(slot, now)
        late = tuple(self.slots.late(now))
        for slot in late:
            self.slots.leaves(slot)
        self._let_go(late, TOO_LATE, "proof")

    def _let_go(self, slots: tuple[int, ...], why: str, gate: str) -> None:
        """Ends the connections of slots that were taken from them."""
        for slot in slots:
            self._tally.stopped(gate, self._links[slot].peer_id if slot in self._links else "newcomers")
            if slot in self._links:
                self._links[slot].excused = why is not TOO_LATE
                self.part(self._links[slot], why)
            elif slot in self.enders:
                self.enders[slot]()
